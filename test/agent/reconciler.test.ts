/** Rounds of the reconciler against a private Open vSwitch: what is written, what is left alone, and in which order. */

import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Bridge,
  BridgeError,
  bundleOf,
  type Change,
  OfctlBridge,
  Quarantine,
  type ReconcileReport,
  type RouteChange,
} from "../../src/agent/index.ts";
import type { Vm } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { assert, isTimed, peer, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { BASE, best, FakeAnnouncer, reconcilerOf, resolver, vmOf, Workplace } from "./base.ts";

const test = suite("the reconciler");

/** A bridge that notes what is written among an announcer's history. */
class Noting implements Bridge {
  readonly bundles: string[] = [];
  error: Error | null = null;
  readonly #inner: OfctlBridge;
  readonly #history: string[];

  constructor(inner: OfctlBridge, history: string[]) {
    this.#inner = inner;
    this.#history = history;
  }

  readonly tagOf = null;

  flows(...words: Parameters<Bridge["flows"]>): ReturnType<Bridge["flows"]> {
    return this.#inner.flows(...words);
  }

  lines(): ReturnType<Bridge["lines"]> {
    return this.#inner.lines();
  }

  async write(changes: readonly Change[]): Promise<void> {
    if (this.error !== null) throw this.error;
    await this.#inner.write(changes);
    this.bundles.push(bundleOf(changes));
    this.#history.push("flows");
  }

  /** Writes past the agent. */
  bundle(text: string): Promise<void> {
    return this.#inner.bundle(text);
  }
}

interface Scene {
  readonly sw: PrivateSwitch;
  readonly place: Workplace;
  readonly announcer: FakeAnnouncer;
  readonly bridge: Noting;
}

async function onStage(body: (scene: Scene) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] });
  const place = new Workplace();
  const announcer = new FakeAnnouncer();
  const bridge = new Noting(new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt")), announcer.history);
  try {
    await body({ sw, place, announcer, bridge });
  } finally {
    place.remove();
    await sw.close();
  }
}

/** Asserts that the switch holds exactly the compiled flows of these VMs and the base, besides `foreign` others. */
async function assertFlows(sw: PrivateSwitch, vms: readonly Vm[], foreign = 0): Promise<void> {
  const wanted = [...new Flows({ ...BASE, vms })].map(flowText);
  const check = await sw.parseFlows(wanted);
  assert.ok(check.every(one => "text" in one));
  const dump = (await sw.dumpFlows()).trim().split("\n");
  const cookies = (lines: readonly string[]): string[] =>
    lines.map(line => /cookie=(0x[0-9a-f]+)/.exec(line)![1]!).sort();
  const ours = dump.filter(line => !line.includes("cookie=0xf00"));
  assert.is(dump.length - ours.length, foreign, "foreign flows");
  assert.equal(cookies(ours), cookies(wanted));
}

test("a VM file brings flows, then its announcement; its removal withdraws first", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer);
    await reconciler.reconcile("all");
    await assertFlows(sw, []);
    place.drop(vmOf(1));
    announcer.history.length = 0;
    const report = await reconciler.reconcile("vms");
    assert.equal(report.problems, []);
    assert.equal(announcer.history, ["flows", "announce 203.0.113.1/32"]);
    assert.equal(announcer.routes.get("203.0.113.1/32")!.labels, [1001]);
    assert.ok(reconciler.isInSync(101));
    await assertFlows(sw, [vmOf(1)]);
    place.take(101);
    announcer.history.length = 0;
    await reconciler.reconcile("vms");
    assert.equal(announcer.history, ["withdraw 203.0.113.1/32", "flows"]);
    await assertFlows(sw, []);
  }));

test("a step back to l2 withdraws, and leaves what delivers until others have heard", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    let now = 1_000_000;
    const reconciler = reconcilerOf(place, bridge, announcer, { clock: () => now, lingerMs: 1000 });
    place.drop(vmOf(1, "dual-l2"));
    place.drop(vmOf(2, "dual-l2"));
    await reconciler.reconcile("all");
    assert.is(reconciler.lingersUntil, null);
    place.drop(vmOf(1, "l2"));
    place.take(102);
    announcer.history.length = 0;
    const report = await reconciler.reconcile("vms");
    assert.is(report.withdrawn, 2);
    assert.is(reconciler.lingersUntil, now + 1000, "one that stays is waited for");
    await assertFlows(sw, [vmOf(1, "dual-l2")]);
    now += 999;
    await reconciler.reconcile("all");
    await assertFlows(sw, [vmOf(1, "dual-l2")]);
    // Announced again and withdrawn again: the time begins anew.
    place.drop(vmOf(1, "dual-l2"));
    await reconciler.reconcile("vms");
    assert.is(reconciler.lingersUntil, null, "nothing waits that is wanted");
    place.drop(vmOf(1, "l2"));
    await reconciler.reconcile("vms");
    now += 999;
    await reconciler.reconcile("routes");
    await assertFlows(sw, [vmOf(1, "dual-l2")]);
    now += 1;
    await reconciler.reconcile("routes");
    assert.is(reconciler.lingersUntil, null);
    await assertFlows(sw, [vmOf(1, "l2")]);
  }));

test("a second agent finds all in step and writes nothing, whatever spelling the switch gives back", () =>
  onStage(async ({ place, announcer, bridge }) => {
    for (const [n, path] of [
      [1, "l3"],
      [2, "dual-l2"],
      [3, "dual-l3"],
      [4, "l2"],
    ] as const)
      place.drop(vmOf(n, path));
    const first = await reconcilerOf(place, bridge, announcer).reconcile("all");
    assert.ok(first.added > 50);
    announcer.history.length = 0;
    const second = await reconcilerOf(place, bridge, announcer).reconcile("all");
    assert.equal(
      [second.added, second.changed, second.removed, second.announced, second.withdrawn],
      [0, 0, 0, 0, 0],
    );
    assert.equal(announcer.history, []);
  }));

test("other spellings of a row are that row: nothing is rewritten", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    await sw.replaceFlows(
      [...new Flows(BASE)]
        .map(flowText)
        .map(line => line.replace("set_field:02:00:00:00:00:fe->eth_dst", "mod_dl_dst:02:00:00:00:00:fe"))
        .map(line =>
          line
            .replace("vlan_tci=0x1000/0x1000", "dl_vlan=0x0/0x0,vlan_tci=0x1000/0x1000")
            .replace("dl_vlan=0x0/0x0,", ""),
        )
        .map(line => line.replace("mpls_label=1001", "mpls_label=0x3e9"))
        .join("\n"),
    );
    const report = await reconcilerOf(place, bridge, announcer).reconcile("all");
    assert.equal([report.added, report.changed, report.removed], [0, 0, 0]);
  }));

test("foreign flows stay, also where they stand in the way of one of ours, which is said", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const foreign = [
      "cookie=0xf00,table=7,priority=9,ip actions=drop",
      "cookie=0xf00,table=0,priority=300,ip,nw_src=203.0.113.1,dl_src=52:54:00:00:00:01,in_port=11,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00 actions=drop",
    ];
    await sw.replaceFlows(foreign.join("\n"));
    place.drop(vmOf(1));
    const report = await reconcilerOf(place, bridge, announcer).reconcile("all");
    assert.is(
      report.problems.filter(text =>
        text.includes("another owner's flow has the same table, priority and match"),
      ).length,
      1,
    );
    assert.equal(announcer.history, ["flows"], "a VM that is not all in is not announced");
    const dump = await sw.dumpFlows();
    assert.is(dump.split("\n").filter(line => line.includes("cookie=0xf00")).length, 2);
    place.take(101);
    await reconcilerOf(place, bridge, announcer).reconcile("all");
    await assertFlows(sw, [], 2);
  }));

test("a migration walks by steps, each with one bundle; jumps are refused and change nothing", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer);
    place.drop(vmOf(2, "l3"));
    place.drop(vmOf(1, "l2"));
    await reconciler.reconcile("all");
    const walk = ["dual-l2", "dual-l3", "l3", "dual-l3", "dual-l2", "l2"] as const;
    const orders: string[][] = [];
    for (const path of walk) {
      announcer.history.length = 0;
      const before = bridge.bundles.length;
      place.drop(vmOf(1, path));
      await reconciler.reconcile("vms");
      assert.is(bridge.bundles.length - before, 1, path);
      assert.not.match(bridge.bundles.at(-1)!, /cookie=0x66/, "no row of another VM");
      orders.push([...announcer.history]);
      await assertFlows(sw, [vmOf(1, path), vmOf(2)]);
    }
    const prefix = "203.0.113.1/32";
    assert.equal(orders[0], ["flows", `announce ${prefix}`]);
    assert.equal(orders[1], ["flows"]);
    assert.equal(orders[5], [`withdraw ${prefix}`, "flows"]);
    place.drop(vmOf(1, "l3"));
    announcer.history.length = 0;
    await reconciler.reconcile("vms");
    assert.equal(announcer.history, []);
    assert.is(reconciler.vms.refusals[0]!.code, "jump");
    assert.match(
      reconciler.vms.refusals[0]!.message,
      "path l2 to l3 is more than one step; the next step is dual-l2",
    );
    await assertFlows(sw, [vmOf(1, "l2"), vmOf(2)]);
    // A new agent knows the path by the rows.
    const next = reconcilerOf(place, bridge, announcer);
    await next.reconcile("all");
    assert.is(next.vms.refusals[0]!.code, "jump");
    assert.equal(announcer.history, []);
  }));

test("routes come, change and go; before the table is complete none is removed", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer, { hasRoutes: true });
    reconciler.rib.apply([best("198.51.100.1/32", 2001), best("198.51.100.2/32", 2002)], true);
    await reconciler.reconcile("all");
    assert.match(await sw.dumpFlows(), /nw_dst=198\.51\.100\.2 actions=[^\n]*set_field:2002->mpls_label/);
    reconciler.rib.apply([best("198.51.100.2/32", 2009), { type: "gone", prefix: "198.51.100.1/32" }], false);
    const report = await reconciler.reconcile("routes");
    assert.equal([report.added, report.changed, report.removed], [0, 1, 1]);
    const next = reconcilerOf(place, bridge, announcer, { hasRoutes: true });
    const atStart = await next.reconcile("all");
    assert.equal(
      [atStart.added, atStart.changed, atStart.removed],
      [0, 0, 0],
      "nothing is known of the fabric yet",
    );
    next.rib.apply([best("198.51.100.3/32", 2003)], true);
    const complete = await next.reconcile("all");
    assert.equal([complete.added, complete.removed], [1, 1]);
    next.rib.lose();
    next.rib.apply([best("198.51.100.4/32", 2004)], false);
    assert.equal([(await next.reconcile("all")).removed, next.rib.count], [0, 2]);
    next.rib.apply([{ type: "gone", prefix: "198.51.100.3/32" }], true);
    assert.is((await next.reconcile("routes")).removed, 1);
    assert.match(await sw.dumpFlows(), "198.51.100.4");
    assert.not.match(await sw.dumpFlows(), "198.51.100.3");
  }));

test("a table that is completed while a round withdraws is the next round's: no row of it is removed meanwhile", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    place.drop(vmOf(1));
    const before = reconcilerOf(place, bridge, announcer, { hasRoutes: true });
    before.rib.apply([best("198.51.100.1/32", 2001)], true);
    await before.reconcile("all");
    place.take(101);
    const next = reconcilerOf(place, bridge, announcer, { hasRoutes: true });
    const withdraw = announcer.withdraw.bind(announcer);
    announcer.withdraw = async prefixes => {
      await withdraw(prefixes);
      next.rib.apply([best("198.51.100.1/32", 2001)], true);
    };
    bridge.bundles.length = 0;
    await next.reconcile("all");
    await next.reconcile("routes");
    assert.match(bridge.bundles.join(""), "nw_dst=203.0.113.1");
    assert.not.match(bridge.bundles.join(""), "nw_dst=198.51.100.1");
    assert.match(await sw.dumpFlows(), "nw_dst=198.51.100.1 ");
  }));

test("routes go as fast as they come, however many share their cookie", () =>
  onStage(async ({ sw, place, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, null, { hasRoutes: true });
    const prefixes = Array.from({ length: 20_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}/32`);
    reconciler.rib.apply([], true);
    await reconciler.reconcile("all");
    const timed = async (changes: readonly RouteChange[]): Promise<ReconcileReport> => {
      reconciler.rib.apply(changes, false);
      return reconciler.reconcile("routes");
    };
    const come = await timed(prefixes.map(prefix => best(prefix, 2000)));
    const gone = await timed(prefixes.map(prefix => ({ type: "gone", prefix })));
    assert.equal([come.added, gone.removed, come.problems, gone.problems], [20_000, 20_000, [], []]);
    assert.not.match(await sw.dumpFlows(), "nw_dst=10.0.");
    // By an exact cookie, which every bit of the mask makes it, Open vSwitch would look at all of them for each.
    const deletions = bridge.bundles.flatMap(text => text.match(/^delete_strict .*$/gm) ?? []);
    assert.is(deletions.length, prefixes.length);
    const exact = deletions.find(line => !/cookie=0x[0-9a-f]+\/0x(?!f{16})[0-9a-f]+,/.test(line));
    assert.is(exact, undefined, "a deletion by an exact cookie");
    const [comeMs, goneMs] = [come.milliseconds, gone.milliseconds];
    if (isTimed) assert.ok(goneMs < 2 * comeMs + 500, `${comeMs} ms to come, ${goneMs} ms to go`);
  }));

test("a next hop without a MAC: the row that is there stays, and no other comes", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    let isKnown = true;
    const options = { hasRoutes: true, resolver: (hop: string) => (isKnown ? resolver(hop) : null) };
    const reconciler = reconcilerOf(place, bridge, announcer, options);
    reconciler.rib.apply([best("198.51.100.1/32", 2001)], true);
    await reconciler.reconcile("all");
    isKnown = false;
    reconciler.rib.apply([best("198.51.100.1/32", 2007), best("198.51.100.2/32", 2002)], false);
    const report = await reconciler.reconcile("all");
    assert.equal([report.added, report.changed, report.removed], [0, 0, 0]);
    assert.match(await sw.dumpFlows(), "set_field:2001->mpls_label");
    isKnown = true;
    const then = await reconciler.reconcile("all");
    assert.equal([then.added, then.changed, then.removed], [1, 1, 0]);
  }));

test("a next hop that got another MAC: all its routes follow in the next round", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    let offset = 0;
    const options = { hasRoutes: true, resolver: (hop: string) => resolver(hop)! + offset };
    const reconciler = reconcilerOf(place, bridge, announcer, options);
    reconciler.rib.apply([best("198.51.100.1/32", 2001), best("198.51.100.2/32", 2002)], true);
    await reconciler.reconcile("all");
    offset = 0x1000;
    reconciler.rib.apply([best("198.51.100.2/32", 2003)], false);
    assert.is((await reconciler.reconcile("routes")).changed, 2);
    assert.is((await sw.dumpFlows()).split("set_field:02:00:00:00:11:09->eth_dst").length - 1, 2);
    assert.is((await reconciler.reconcile("all")).changed, 0);
  }));

test("an address in quarantine is no other VM's until its time is over, also over a restart", () =>
  onStage(async ({ place, announcer, bridge }) => {
    let now = 1_000_000;
    const make = () =>
      reconcilerOf(place, bridge, announcer, {
        clock: () => now,
        quarantine: new Quarantine(join(place.path, "quarantine.json"), 60_000),
      });
    const first = make();
    place.drop(vmOf(1));
    await first.reconcile("all");
    // Gone while no agent runs: what is installed tells who had the address.
    place.take(101);
    place.drop({ ...vmOf(2), addresses: vmOf(1).addresses });
    const second = make();
    await second.reconcile("all");
    assert.is(second.vms.refusals[0]?.code, "quarantine");
    assert.equal([...announcer.routes.keys()], []);
    now += 59_000;
    const third = make();
    await third.reconcile("all");
    assert.is(third.vms.refusals[0]?.code, "quarantine");
    now += 2000;
    await third.reconcile("vms");
    assert.equal(third.vms.refusals, []);
    assert.equal([...announcer.routes.keys()], ["203.0.113.1/32"]);
  }));

test("drift is repaired, or reported and left, by option; a switch that lost all flows is filled again", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    place.drop(vmOf(1));
    for (const drift of ["repair", "report"] as const) {
      const reconciler = reconcilerOf(place, bridge, announcer, { drift });
      await reconciler.reconcile("all");
      await bridge.bundle("modify_strict table=30,priority=200,ip,nw_dst=203.0.113.1 actions=drop\n");
      const report = await reconciler.reconcile("all");
      assert.equal(report.drifted, ["30/200/ip,nw_dst=203.0.113.1"]);
      assert.is(report.changed, drift === "repair" ? 1 : 0);
      assert.is(/nw_dst=203\.0\.113\.1 actions=drop/.test(await sw.dumpFlows()), drift === "report");
      if (drift === "repair") continue;
      await sw.replaceFlows("");
      const refilled = await reconciler.reconcile("all");
      assert.ok(refilled.added > 20);
      assert.equal(refilled.drifted, []);
      await assertFlows(sw, [vmOf(1)]);
    }
  }));

test("the daemon away: flows come, deliveries stay; the switch away: nothing new is announced", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer);
    place.drop(vmOf(1));
    await reconciler.reconcile("all");
    announcer.error = new Error("connection refused");
    place.take(101);
    place.drop(vmOf(2));
    await reconciler.reconcile("all");
    const dump = await sw.dumpFlows();
    assert.match(dump, "nw_dst=203.0.113.1 ", "still announced, as far as anybody knows");
    assert.match(dump, "nw_dst=203.0.113.2 ");
    announcer.error = null;
    bridge.error = new Error("no switch");
    announcer.history.length = 0;
    place.drop(vmOf(3));
    await reconciler.reconcile("all");
    assert.equal(announcer.history, ["withdraw 203.0.113.1/32", "announce 203.0.113.2/32"]);
    bridge.error = null;
    await reconciler.reconcile("vms");
    assert.equal(announcer.history.slice(2), ["flows", "announce 203.0.113.3/32"]);
    await assertFlows(sw, [vmOf(2), vmOf(3)]);
  }));

test("a file that cannot be read removes nobody", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer);
    place.drop(vmOf(1));
    place.drop(vmOf(2));
    await reconciler.reconcile("all");
    place.dropText("101.yaml", "id: [\n");
    const report = await reconciler.reconcile("vms");
    assert.match(report.problems[0]!, "101.yaml:");
    place.take(102);
    await reconciler.reconcile("vms");
    await assertFlows(sw, [vmOf(1)]);
    // A new agent never saw what stood in it.
    await reconcilerOf(place, bridge, announcer).reconcile("all");
    await assertFlows(sw, [vmOf(1)]);
    assert.equal([...announcer.routes.keys()], ["203.0.113.1/32"]);
  }));

/** A bridge whose dump stops after its first piece until it is let go. */
class Halting extends Noting {
  #go: () => void = () => undefined;
  #gate: Promise<void> | null = null;

  halt(): void {
    this.#gate = new Promise(resolve => {
      this.#go = resolve;
    });
  }

  go(): void {
    this.#gate = null;
    this.#go();
  }

  override async *flows(...words: Parameters<Bridge["flows"]>): ReturnType<Bridge["flows"]> {
    const gate = this.#gate;
    const pieces = [];
    for await (const piece of super.flows(...words)) pieces.push(piece);
    await gate;
    yield* pieces;
  }
}

const halting = ({ sw, announcer }: Scene): Halting =>
  new Halting(new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt")), announcer.history);

test("beside a look: what is written meanwhile is not undone by its old dump, nor taken for drift", () =>
  onStage(async scene => {
    const { sw, place, announcer } = scene;
    const bridge = halting(scene);
    const reconciler = reconcilerOf(place, bridge, announcer);
    for (const n of [1, 2, 3, 4]) place.drop(vmOf(n));
    await reconciler.reconcile("all");
    bridge.halt();
    const looking = reconciler.resync();
    await sleep(200);
    // The dump is made; now a VM comes, one goes, one moves.
    place.drop(vmOf(5));
    place.take(101);
    place.drop(vmOf(2, "dual-l3"));
    const quick = await reconciler.reconcile("vms");
    assert.equal([quick.isFull, quick.problems], [false, []]);
    const expected = [vmOf(2, "dual-l3"), vmOf(3), vmOf(4), vmOf(5)];
    await assertFlows(sw, expected);
    const history = [...announcer.history];
    bridge.go();
    await looking;
    const report = await reconciler.reconcile("all");
    assert.equal([report.isFull, report.drifted, report.problems], [true, [], []]);
    assert.equal([report.added, report.changed, report.removed], [0, 0, 0]);
    assert.equal(announcer.history, history);
    await assertFlows(sw, expected);
    await reconciler.resync();
    assert.equal((await reconciler.reconcile("all")).drifted, []);
  }));

test("beside a look: what others change is found by it or by the next, also in rows written meanwhile", () =>
  onStage(async scene => {
    const { sw, place, announcer } = scene;
    const bridge = halting(scene);
    const reconciler = reconcilerOf(place, bridge, announcer);
    place.drop(vmOf(1));
    place.drop(vmOf(2));
    await reconciler.reconcile("all");
    const spoil = (n: number) =>
      bridge.bundle(`modify_strict table=30,priority=200,ip,nw_dst=203.0.113.${n} actions=drop\n`);
    await spoil(1);
    bridge.halt();
    const looking = reconciler.resync();
    await sleep(200);
    place.drop(vmOf(3));
    await reconciler.reconcile("vms");
    await spoil(2);
    await spoil(3);
    await bridge.bundle("delete_strict table=50,priority=100,in_port=1\n");
    bridge.go();
    await looking;
    const first = await reconciler.reconcile("all");
    assert.equal([first.drifted, first.changed], [["30/200/ip,nw_dst=203.0.113.1"], 1]);
    await reconciler.resync();
    const second = await reconciler.reconcile("all");
    assert.equal(second.drifted.toSorted(), [
      "30/200/ip,nw_dst=203.0.113.2",
      "30/200/ip,nw_dst=203.0.113.3",
      "50/100/in_port=1",
    ]);
    assert.equal([second.changed, second.added], [2, 1]);
    await assertFlows(sw, [vmOf(1), vmOf(2), vmOf(3)]);
    assert.not.match(await sw.dumpFlows(), /table=30[^\n]*nw_dst=203[^\n]*drop/);
  }));

test("beside a look: a switch that lost all flows before the dump is filled whole, with what was written meanwhile", () =>
  onStage(async scene => {
    const { sw, place, announcer } = scene;
    const bridge = halting(scene);
    const reconciler = reconcilerOf(place, bridge, announcer);
    place.drop(vmOf(1));
    await reconciler.reconcile("all");
    await sw.replaceFlows("");
    bridge.halt();
    const looking = reconciler.resync();
    await sleep(200);
    place.drop(vmOf(2));
    await reconciler.reconcile("vms");
    await sw.replaceFlows("");
    bridge.go();
    await looking;
    const report = await reconciler.reconcile("all");
    assert.equal(report.problems, []);
    await assertFlows(sw, [vmOf(1), vmOf(2)]);
  }));

test("a bundle larger than a pipe is a file before it is read: whole or not at all, refused by name, and nothing is left", () =>
  onStage(async ({ sw, place }) => {
    const bridge = new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt"), place.path);
    const before = readdirSync(place.path);
    const lines = Array.from({ length: 2000 }, (_, index) => {
      const address = `10.9.${index >> 8}.${index & 255}`;
      return `add cookie=0x40028,table=40,priority=132,ip,nw_dst=${address} actions=drop\n`;
    });
    const spoilt = lines
      .with(1234, "add table=40,priority=132,ip,nw_dst=10.9.9.9 actions=nonsense\n")
      .join("");
    const count = async (): Promise<number> => (await sw.dumpFlows()).split("nw_dst=10.9.").length - 1;
    const error = await bridge.bundle(spoilt).catch((reason: unknown) => reason);
    assert.ok(error instanceof BridgeError && error.isRefusal, String(error));
    assert.is(await count(), 0);
    await bridge.bundle(lines.join(""));
    assert.is(await count(), 2000);
    assert.equal(readdirSync(place.path), before);
  }));

test("a directory that is suddenly empty, or gone, removes nobody, also over a restart; requests and --allow-empty do", () =>
  onStage(async ({ sw, place, announcer, bridge }) => {
    const all = [1, 2, 3, 4, 5].map(n => vmOf(n));
    const reconciler = reconcilerOf(place, bridge, announcer);
    for (const vm of all) place.drop(vm);
    await reconciler.reconcile("all");
    for (const { id } of all) place.take(id);
    announcer.history.length = 0;
    const report = await reconciler.reconcile("vms");
    assert.match(report.problems.join(), "kept 5 VMs whose files disappeared at once");
    const next = reconcilerOf(place, bridge, announcer);
    for (let times = 0; times < 2; times++) {
      for (const one of [reconciler, next]) {
        const { problems, removed, withdrawn } = await one.reconcile("all");
        assert.equal([problems.length, removed, withdrawn], [1, 0, 0]);
        assert.ok(one.vms.isHeld(101));
      }
      // One that comes does not make the others go.
      place.drop(vmOf(6));
    }
    await assertFlows(sw, [...all, vmOf(6)]);
    assert.equal(announcer.history, ["flows", "announce 203.0.113.6/32"]);
    // Asked for, one goes; the others' files come back.
    next.vms.release(101);
    assert.is((await next.reconcile("vms")).withdrawn, 1);
    for (const vm of all.slice(1)) place.drop(vm);
    assert.equal((await next.reconcile("vms")).problems, []);
    await assertFlows(sw, [...all.slice(1), vmOf(6)]);
    rmSync(place.vms, { recursive: true });
    const gone = await next.reconcile("all");
    assert.match(gone.problems.join(), "kept all VMs as they are");
    assert.is(gone.removed, 0);
    mkdirSync(place.vms);
    await reconcilerOf(place, bridge, announcer, { mayBeEmpty: true }).reconcile("all");
    await assertFlows(sw, []);
    assert.is(announcer.routes.size, 0);
  }));

test("double ownership is seen, and our own announcement is none", () =>
  onStage(async ({ place, announcer, bridge }) => {
    const reconciler = reconcilerOf(place, bridge, announcer, { hasRoutes: true });
    place.drop(vmOf(1));
    reconciler.rib.apply([best("203.0.113.1/32", 1001, "10.0.0.1")], true);
    await reconciler.reconcile("all");
    assert.equal(reconciler.doubleOwners(), []);
    reconciler.rib.apply([best("203.0.113.1/32", 1007, "10.0.0.7")], false);
    await reconciler.reconcile("routes");
    const claimed = { prefix: "203.0.113.1/32", vm: 101, nextHop: "10.0.0.7", originator: null };
    assert.equal(reconciler.doubleOwners(), [claimed]);
    // Announced here, ours is the best path, and only the list of all paths has the other.
    reconciler.rib.apply([{ type: "gone", prefix: claimed.prefix }], false);
    await reconciler.reconcile("routes");
    assert.equal(reconciler.doubleOwners(), []);
    announcer.contested = [{ ...claimed, labels: [1007] }];
    await reconciler.resync();
    await reconciler.reconcile("all");
    assert.equal(reconciler.doubleOwners(), [claimed]);
  }));

test.run();
