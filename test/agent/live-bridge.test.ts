/**
 * The reconciler over live ports in place of a bridge: a `slash32 live` process, and what stands in its intent after each round.
 * What it has in common with a bridge is tested there (reconciler.test.ts); here is what differs, and that both end the same.
 */

import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BridgeError, examineLive, LiveBridge, type Reconciler, startAgent } from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { formatIntent, type Vm } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { macFromBits } from "../../src/wire/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, seed, suite } from "../harness.ts";
import { killAll, type Running, startLive, until } from "../live/base.ts";
import { rng } from "../model/random.ts";
import { BASE, best, FakeAnnouncer, reconcilerOf, vmOf, Workplace } from "./base.ts";

const test = suite("the reconciler over live ports");

class Scene {
  readonly place = new Workplace();
  readonly announcer = new FakeAnnouncer();
  readonly socket = join(this.place.path, "control");
  readonly bridge = new LiveBridge(this.socket, BASE);
  live: Running | null = null;

  async start(base = BASE): Promise<void> {
    const file = join(this.place.path, "base.yaml");
    writeFileSync(file, formatIntent(base));
    const ports = `*=punix:${join(this.place.path, "p-*")}`;
    this.live = await startLive(["-n", file, "--control", this.socket, "--port", ports]);
  }

  reconciler(more: Parameters<typeof reconcilerOf>[3] = {}): Reconciler {
    return reconcilerOf(this.place, this.bridge, this.announcer, more);
  }

  /** Asserts that these VMs and routes are in force, and no others. */
  async assertVms(vms: readonly Vm[], routes = 1): Promise<void> {
    const intent = await this.bridge.intent();
    const byId = (list: readonly Vm[]): Vm[] => list.toSorted((a, b) => a.id - b.id);
    assert.equal(byId(intent.vms), byId(vms));
    assert.is(intent.routes.count, routes);
  }

  has(port: string): boolean {
    return existsSync(join(this.place.path, `p-${port}`));
  }
}

async function onScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = new Scene();
  try {
    await scene.start();
    await body(scene);
  } finally {
    killAll();
    scene.place.remove();
  }
}

const nothing = ({ added, changed, removed }: { added: number; changed: number; removed: number }): void =>
  assert.equal([added, changed, removed], [0, 0, 0]);

test("a VM file brings the VM with its port, then its announcement; its removal withdraws first", () =>
  onScene(async scene => {
    const reconciler = scene.reconciler();
    nothing(await reconciler.reconcile("all"));
    scene.place.drop(vmOf(1));
    const report = await reconciler.reconcile("vms");
    assert.equal(report.problems, []);
    assert.ok(reconciler.isInSync(101));
    await scene.assertVms([vmOf(1)]);
    assert.ok(scene.has("tap101"));
    assert.equal([...scene.announcer.routes.keys()], ["203.0.113.1/32"]);
    scene.place.take(101);
    scene.announcer.error = new Error("the daemon is away");
    const held = await reconciler.reconcile("vms");
    assert.match(held.problems.join(), /the daemon is away/);
    // Its L3-in rows have to stay, so all of it does.
    await scene.assertVms([vmOf(1)]);
    scene.announcer.error = null;
    await reconciler.reconcile("all");
    await scene.assertVms([]);
    assert.is(scene.has("tap101"), false);
    assert.equal(scene.announcer.history.at(-1), "withdraw 203.0.113.1/32");
  }));

test("what is in force is the flows it compiles to; another agent writes nothing", () =>
  onScene(async scene => {
    for (const [n, path] of [
      [1, "l2"],
      [2, "dual-l2"],
      [3, "dual-l3"],
      [4, "l3"],
    ] as const)
      scene.place.drop(vmOf(n, path, [`203.0.113.${n}`, `203.0.113.${n + 100}`]));
    await scene.reconciler().reconcile("all");
    const intent = await scene.bridge.intent();
    const lines: string[] = [];
    for await (const some of scene.bridge.lines()) lines.push(...some);
    assert.equal(lines, [...new Flows(intent)].map(flowText));
    nothing(await scene.reconciler().reconcile("all"));
  }));

test("each step of a migration is a change of that VM", () =>
  onScene(async scene => {
    const reconciler = scene.reconciler();
    for (const path of ["l2", "dual-l2", "dual-l3", "l3", "dual-l3", "dual-l2", "l2"] as const) {
      scene.place.drop(vmOf(1, path));
      assert.equal((await reconciler.reconcile("vms")).problems, []);
      await scene.assertVms([vmOf(1, path)]);
    }
  }));

test("a VM whose name, port or MTU alone is another is set again, at once", () =>
  onScene(async scene => {
    const reconciler = scene.reconciler();
    scene.place.drop(vmOf(1));
    await reconciler.reconcile("all");
    const other = { ...vmOf(1), name: "web", port: "eth9" };
    scene.place.drop(other);
    assert.equal((await reconciler.reconcile("vms")).problems, []);
    await scene.assertVms([other]);
    assert.equal([scene.has("tap101"), scene.has("eth9")], [false, true]);
    nothing(await reconciler.reconcile("all"));
  }));

test("routes come, change their next hop, and go", () =>
  onScene(async scene => {
    const reconciler = scene.reconciler({ hasRoutes: true });
    const prefixes = Array.from({ length: 3000 }, (_, n) => `198.51.${n >> 8}.${n & 255}/32`);
    reconciler.rib.apply(
      prefixes.map((prefix, n) => best(prefix, 1000 + n)),
      true,
    );
    assert.is((await reconciler.reconcile("all")).added, 3000);
    await scene.assertVms([], 3001);
    reconciler.rib.apply([best(prefixes[7]!, 77, "10.0.0.8"), { type: "gone", prefix: prefixes[8]! }], false);
    const { changed, removed, problems } = await reconciler.reconcile("routes");
    assert.equal([changed, removed, problems], [1, 1, []]);
    const { routes } = await scene.bridge.intent();
    const at = routes.prefixes.indexOf(((198 << 24) | (51 << 16) | 7) >>> 0);
    assert.equal(routes.nextHops[routes.nextHopOf[at]!], { labels: [77], via: 0x020000000108 });
    assert.is(routes.count, 3000);
    nothing(await reconciler.reconcile("all"));
  }));

test("what others changed is repaired, or left whole by option; live ports that begin anew are filled again", () =>
  onScene(async scene => {
    scene.place.drop(vmOf(1));
    const reconciler = scene.reconciler();
    await reconciler.reconcile("all");
    const patch = (edit: object) => ask(scene.socket, "PATCH", "/v1/intent", JSON.stringify(edit));
    await patch({ vms: { remove: [101] }, routes: { remove: ["0.0.0.0/0"] } });
    const report = await reconciler.reconcile("all");
    assert.ok(report.drifted.length > 5 && report.problems.length === 0);
    await scene.assertVms([vmOf(1)]);
    await scene.live!.end();
    const away = await reconciler.reconcile("all");
    assert.match(away.problems[0]!, /; start slash32 live --control /);
    assert.ok(reconciler.needsResync);
    await scene.start();
    assert.equal((await reconciler.reconcile("all")).problems, []);
    await scene.assertVms([vmOf(1)]);
    const tolerant = scene.reconciler({ drift: "report" });
    await tolerant.reconcile("all");
    await patch({ vms: { remove: [101] } });
    assert.ok((await tolerant.reconcile("all")).drifted.length > 5);
    await scene.assertVms([]);
  }));

test("live ports with another base are refused by name, by rounds and by the doctor", () =>
  onScene(async scene => {
    for (const [base, name] of [
      [{ ...BASE, label: 1002 }, "label"],
      [{ ...BASE, virtualMac: macFromBits(BASE.virtualMac + 1) }, "virtualMac"],
      [{ ...BASE, trafficClass: 3 }, "trafficClass"],
      [{ ...BASE, uplink: { ...BASE.uplink, ofport: 2 } }, "uplink.ofport"],
      [{ ...BASE, uplink: { ...BASE.uplink, mac: macFromBits(BASE.uplink.mac + 1) } }, "uplink.mac"],
    ] as const) {
      await scene.live!.end();
      await scene.start(base);
      scene.place.drop(vmOf(1));
      const said = `${name} differs from the agent's intent; start slash32 live with the agent's intent`;
      const { problems, added } = await scene.reconciler().reconcile("all");
      assert.equal([problems.length, problems[0]!.endsWith(said), added], [1, true, 0], problems.join());
      const found = await examineLive(scene.socket, BASE).catch((error: Error) => error);
      assert.instance(found, BridgeError);
      assert.ok((found as BridgeError).message.endsWith(said));
    }
  }));

test("an agent over live ports follows files, and proves what is in force", () =>
  onScene(async scene => {
    const said: string[] = [];
    const running = await startAgent({
      base: BASE,
      live: scene.socket,
      vms: scene.place.vms,
      state: join(scene.place.path, "state"),
      mayCreateFolders: true,
      socket: join(scene.place.path, "agent.sock"),
      peers: null,
      everySeconds: 3600,
      quarantineSeconds: 0,
      drift: "repair",
      isForced: false,
      isProved: true,
      ignoredCookies: [],
      isTakingOver: false,
      log: (_, message) => said.push(message),
      quietMs: 50,
    });
    try {
      scene.place.drop(vmOf(1));
      await until(() => scene.has("tap101"));
      await until(() => said.includes("the installed table equals the desired one"));
      await scene.assertVms([vmOf(1)]);
      await ask(scene.socket, "PATCH", "/v1/intent", '{"routes":{"remove":["0.0.0.0/0"]}}');
      assert.ok((await running.agent.request("all")).drifted.includes("40/100/ip"));
      await until(() => said.includes("effect of the changes that another party made"));
      await scene.assertVms([vmOf(1)]);
      await scene.live!.end("SIGKILL");
      await scene.start();
      await until(() => said.includes("the switch is back"));
      await until(() => scene.has("tap101"));
    } finally {
      await running.stop();
    }
  }));

test("slash32 agent doctor --live looks at the socket in place of a bridge", () =>
  onScene(async scene => {
    const words = ["agent", "doctor", "-n", join(scene.place.path, "base.yaml"), "--live", scene.socket];
    const folders = [
      "--vms",
      scene.place.vms,
      "--create-folders",
      "--state",
      scene.place.path,
      "--socket",
      join(scene.place.path, "a"),
    ];
    const { stdout } = spawnSync(process.execPath, [PROGRAM, ...words, ...folders], { encoding: "utf8" });
    assert.match(stdout, /^ok {5}live ports .*: 0 VMs and 1 routes, answered in /m);
    assert.not.match(stdout, /ovs-ofctl/);
  }));

const first = seed();
test(`random VM files and routes over many rounds, agents that begin anew among them (SEED=${first})`, () =>
  onScene(async scene => {
    const r = rng(first);
    const model = new Map<number, Vm>();
    const routes = new Map<string, number>();
    let reconciler = scene.reconciler({ hasRoutes: true });
    reconciler.rib.apply([], true);
    await reconciler.reconcile("all");
    for (let step = 0; step < 150; step++) {
      const n = 1 + r.below(12);
      if (model.has(n) && r.chance(40)) {
        model.delete(n);
        scene.place.take(100 + n);
      } else {
        const path = model.get(n)?.path ?? r.pick(["l2", "dual-l2", "dual-l3", "l3"] as const);
        const vm = {
          ...vmOf(n, path, [`203.0.113.${n}`, `203.0.113.${20 + n * 3 + r.below(3)}`]),
          port: `p${n}-${r.below(2)}`,
        };
        model.set(n, vm);
        scene.place.drop(vm);
      }
      for (let count = r.below(20); count > 0; count--) {
        const prefix = `198.51.100.${r.below(250)}/32`;
        const isGone = routes.has(prefix) && r.chance(40);
        if (isGone) routes.delete(prefix);
        else routes.set(prefix, 100 + r.below(40));
        reconciler.rib.apply([isGone ? { type: "gone", prefix } : best(prefix, routes.get(prefix)!)], false);
      }
      const isNew = r.chance(8);
      if (isNew) {
        reconciler = scene.reconciler({ hasRoutes: true });
        reconciler.rib.apply(
          [...routes].map(([prefix, label]) => best(prefix, label)),
          true,
        );
      }
      const report = await reconciler.reconcile(isNew ? "all" : "vms");
      assert.equal(report.problems, [], `step ${step}`);
      if (step % 5 === 0) await scene.assertVms([...model.values()], 1 + routes.size);
    }
    await scene.assertVms([...model.values()], 1 + routes.size);
  }));

test.run();
