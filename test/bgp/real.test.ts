/**
 * Labelled unicast through real daemons: a gobgpd for each of two hypervisors, a GoBGP route reflector, BIRD and FRR as routers of the
 * fabric, in a namespace that this file makes and removes. What is told by `BgpRoutes` is what forwarding would follow, so
 * "nothing is told" means that forwarding does not stop.
 */
import { addRoutingNode, Bird, Frr, missingDaemons, Speaker } from "../../lab/daemons.ts";
import { Machine, until, whyNot } from "../../lab/machine.ts";
import { BgpAnnouncer, BgpRoutes, Gobgp3 } from "../../src/bgp/index.ts";
import type { FabricRoute } from "../../src/bgp/types.ts";
import { assert, skip, suite } from "../harness.ts";

const test = suite("control: real peers");
const HV1 = "10.77.0.1";
const HV2 = "10.77.0.2";
const BIRD = "10.77.0.3";
const FRR = "10.77.0.4";
const REFLECTOR = "10.77.0.254";
const A = "203.0.113.10/32";
const SESSION_MS = 60_000;
/** Ten seconds when nothing else runs, and a minute and a half on a machine that has much else to do. */
const TABLE_MS = 240_000;
/** `LAB=all` is everything in full. */
const isAll = process.env.LAB === "all";
const MANY = isAll ? 100_000 : 2_000;
/** A crash, and a stop that says goodbye to the peers, which is the harder to bridge. */
const SIGNALS = isAll ? (["SIGKILL", "SIGTERM"] as const) : (["SIGTERM"] as const);

const vm = (prefix: string, label: number, nextHop = HV1): FabricRoute => ({
  prefix,
  labels: [label],
  nextHop,
  originator: null,
});

class World {
  readonly machine: Machine;
  readonly reflector: Speaker;
  readonly hv1: Speaker;
  readonly hv2: Speaker;
  readonly bird: Bird;
  readonly frr: Frr;
  readonly daemons: readonly [Gobgp3, Gobgp3, Gobgp3];
  readonly announcer: BgpAnnouncer;
  readonly second: BgpAnnouncer;
  readonly source: BgpRoutes;
  /** What was told at the second hypervisor, as `+PREFIX LABELS NEXTHOP`, `-PREFIX`, `complete`, `lost`. */
  readonly told: string[] = [];
  changeCount = 0;

  private constructor(
    machine: Machine,
    speakers: readonly [Speaker, Speaker, Speaker],
    bird: Bird,
    frr: Frr,
  ) {
    this.machine = machine;
    [this.reflector, this.hv1, this.hv2] = speakers;
    this.bird = bird;
    this.frr = frr;
    this.daemons = [new Gobgp3(this.reflector.api), new Gobgp3(this.hv1.api), new Gobgp3(this.hv2.api)];
    this.announcer = new BgpAnnouncer(this.daemons[1]);
    this.second = new BgpAnnouncer(this.daemons[2]);
    this.source = new BgpRoutes(this.daemons[2], { heartbeatMs: 1000 });
    this.source.watch(
      (changes, isComplete) => {
        this.changeCount += changes.length;
        for (const change of changes.slice(0, 10)) {
          if (change.type === "gone") this.told.push(`-${change.prefix}`);
          else
            this.told.push(
              `+${change.route.prefix} ${change.route.labels.join("/")} ${change.route.nextHop}`,
            );
        }
        if (isComplete) this.told.push("complete");
      },
      () => void this.told.push("lost"),
    );
  }

  static async start(): Promise<World> {
    const machine = new Machine();
    try {
      await addRoutingNode(machine, [HV1, HV2, BIRD, FRR, REFLECTOR]);
      const clients = [HV1, HV2, BIRD, FRR];
      const toReflector = { peers: [REFLECTOR], unicastPeers: [REFLECTOR] };
      const speakers = [
        new Speaker(machine, {
          name: "reflector",
          address: REFLECTOR,
          peers: clients,
          unicastPeers: [HV1, HV2],
          isReflector: true,
        }),
        new Speaker(machine, { name: "hv1", address: HV1, ...toReflector }),
        new Speaker(machine, { name: "hv2", address: HV2, ...toReflector }),
      ] as const;
      await Promise.all(speakers.map(speaker => speaker.start()));
      const bird = await Bird.start(machine, BIRD, REFLECTOR);
      const frr = await Frr.start(machine, FRR, REFLECTOR);
      const world = new World(machine, speakers, bird, frr);
      await world.sessions();
      await until("complete", () => world.told.includes("complete"), SESSION_MS);
      return world;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  /** Waits until the reflector and the hypervisors have all their sessions, and all they are owed by them. */
  async sessions(): Promise<void> {
    const isUp = async (daemon: Gobgp3, count: number): Promise<boolean> => {
      const peers = await daemon.peers().catch(() => []);
      return peers.length === count && peers.every(peer => peer.isUp && peer.hasEnded);
    };
    const [reflector, ...hypervisors] = this.daemons;
    await until("the reflector's sessions", () => isUp(reflector, 4), SESSION_MS);
    for (const daemon of hypervisors)
      await until("a hypervisor's session", () => isUp(daemon, 1), SESSION_MS);
  }

  /**
   * What was told of routes while a session was cut or a reflector was away. That the table was lost and is complete again may
   * be told as well: a gobgpd whose attempt to connect fails half-way drops what it has learnt, and routes stay all the same.
   */
  async flaps(): Promise<string[]> {
    return (await this.heard()).filter(told => told !== "lost" && told !== "complete");
  }

  /** What was told since the last time, once `isSo` or after the time that a flap would take. */
  async heard(isSo?: () => boolean): Promise<string[]> {
    if (isSo === undefined) await new Promise(resolve => setTimeout(resolve, 700));
    else await until("told", isSo, SESSION_MS).catch(error => this.fail(error));
    return this.told.splice(0);
  }

  fail(error: Error): never {
    throw new Error(`${error.message}; told: ${this.told.slice(-5).join(", ")}`);
  }

  async close(): Promise<void> {
    await this.source.close();
    for (const daemon of this.daemons) daemon.close();
    await this.machine.close();
  }
}

let world: Promise<World> | undefined;

async function theWorld(): Promise<World> {
  const why = await whyNot();
  if (why !== null) skip(why);
  const missing = await missingDaemons();
  if (missing !== "") skip(`not installed: ${missing}`);
  world ??= World.start();
  const here = await world;
  here.told.length = 0;
  return here;
}

test("an announced /32 is seen by the other hypervisor, by BIRD and by FRR, with its label; and gone as fast", async () => {
  const here = await theWorld();
  const { announcer, source, bird, frr } = here;
  const start = performance.now();
  await announcer.announce([vm(A, 100)]);
  await until("seen", () => source.routes.has(A), SESSION_MS);
  process.stdout.write(`  announced and seen after ${(performance.now() - start).toFixed(1)} ms\n`);
  assert.equal(source.routes.get(A), { prefix: A, labels: [100], nextHop: HV1, originator: HV1 });
  await until("BIRD shows it", async () => (await bird.labels(A)) === "100");
  await until("FRR shows it", async () => (await frr.labels(A)) === "100");
  // The same again is no news for anybody; another label replaces the one before without a withdrawal.
  here.told.length = 0;
  await announcer.announce([vm(A, 100)]);
  await announcer.announce([vm(A, 101)]);
  await until("the new label", () => here.told.length > 0);
  await until("BIRD shows 101", async () => (await bird.labels(A)) === "101");
  await until("FRR shows 101", async () => (await frr.labels(A)) === "101");
  assert.equal(here.told, [`+${A} 101 ${HV1}`]);
  assert.equal((await announcer.list()).ours, [vm(A, 101)]);
  assert.equal(await announcer.ours(), [vm(A, 101)]);
  here.told.length = 0;
  await announcer.withdraw([A]);
  await until("gone", () => !source.routes.has(A));
  await until("gone from BIRD", async () => (await bird.labels(A)) === null);
  await until("gone from FRR", async () => (await frr.labels(A)) === null);
  assert.equal(here.told, [`-${A}`]);
  await announcer.withdraw([A]);
  assert.equal((await announcer.list()).ours, []);
});

test("plain unicast as well: no label, and a label is refused; each family has routes of its own", async () => {
  const here = await theWorld();
  const [, hv1, hv2] = [here.reflector, here.hv1, here.hv2].map(({ api }) => new Gobgp3(api, "unicast"));
  const announcer = new BgpAnnouncer(hv1!);
  const source = new BgpRoutes(hv2!);
  source.watch(
    () => undefined,
    () => undefined,
  );
  try {
    const route = { prefix: A, labels: [], nextHop: HV1, originator: null };
    await announcer.announce([route]);
    await until("seen", () => source.routes.has(A), SESSION_MS);
    assert.equal(source.routes.get(A), { ...route, originator: HV1 });
    assert.equal((await announcer.list()).ours, [route]);
    assert.equal((await here.announcer.list()).ours, [], "the labelled family has none");
    const refused = await announcer.announce([vm(A, 100)]).catch((error: Error) => error.message);
    assert.match(refused!, /plain unicast carries no label/);
    const unlabelled = await here.announcer.announce([route]).catch((error: Error) => error.message);
    assert.match(unlabelled!, /labelled unicast needs a label/);
    await announcer.withdraw([A]);
    await until("gone", () => !source.routes.has(A));
    assert.equal(await here.heard(), [], "the labelled family heard nothing");
  } finally {
    await source.close();
    for (const daemon of [hv1!, hv2!]) daemon.close();
  }
});

test("two paths: the best one counts, its loss brings the other; the address that two claim is seen by one of them", async () => {
  const { announcer, second, source, daemons, bird } = await theWorld();
  // At the reflector, which has both.
  const seen: string[] = [];
  const atReflector = new BgpRoutes(daemons[0]);
  atReflector.watch(
    changes => {
      for (const change of changes) seen.push(change.type === "gone" ? "gone" : change.route.nextHop);
    },
    () => seen.push("lost"),
  );
  try {
    await second.announce([vm(A, 200, HV2)]);
    await until("the first path", () => seen.at(-1) === HV2);
    await until("BIRD follows it", async () => (await bird.labels(A)) === "200");
    await announcer.announce([vm(A, 100)]);
    // The lower originator wins (RFC 4456, section 9).
    await until("the better path", () => seen.at(-1) === HV1);
    await until("BIRD follows the better", async () => (await bird.labels(A)) === "100");
    await until("claimed twice", async () => (await second.list()).contested.length > 0);
    assert.equal((await second.list()).contested, [{ ...vm(A, 100), originator: HV1 }]);
    assert.not.ok(source.routes.has(A), "ours is best where it is announced");
    await announcer.withdraw([A]);
    await until("the other path", () => seen.at(-1) === HV2);
    await until("BIRD follows the other", async () => (await bird.labels(A)) === "200");
    await second.withdraw([A]);
    await until("no path", () => seen.at(-1) === "gone");
    assert.equal(seen, [HV2, HV1, HV2, "gone"]);
  } finally {
    await atReflector.close();
    await Promise.all([announcer.withdraw([A]), second.withdraw([A])]);
  }
});

test("a session that breaks, and a reflector killed or stopped: nothing is told, nothing is lost", async () => {
  const here = await theWorld();
  await here.announcer.announce([vm(A, 100)]);
  await here.heard(() => here.source.routes.has(A));
  await here.hv1.cut(REFLECTOR);
  await here.hv2.cut(REFLECTOR);
  await until("the session is seen to be down", async () => !(await here.daemons[2].peers())[0]!.isUp);
  await here.sessions();
  assert.equal(await here.flaps(), []);
  for (const signal of SIGNALS) {
    await here.reflector.stop(signal);
    await here.reflector.start(true);
    await here.sessions();
    assert.equal(await here.flaps(), [], `after ${signal}`);
    assert.is(await here.bird.labels(A), "100", `BIRD after ${signal}`);
    assert.ok(here.source.routes.has(A));
  }
  if (isAll) {
    // Again, in the moment in which a session is up whose table has not ended.
    await here.reflector.stop();
    await here.reflector.start(true);
    await until("a session", async () => (await here.daemons[2].peers())[0]!.isUp, SESSION_MS);
    await here.reflector.stop();
    await here.reflector.start(true);
    await here.sessions();
    assert.equal(await here.flaps(), [], "after two in a row");
  }
  await here.announcer.withdraw([A]);
  assert.equal(await here.heard(() => here.told.length > 0), [`-${A}`]);
});

test("the hypervisors' own gobgpd restarts: the watcher's table stays, the announcer's routes come back unseen", async () => {
  const here = await theWorld();
  await here.announcer.announce([vm(A, 100)]);
  await here.heard(() => here.source.routes.has(A));
  for (const signal of SIGNALS) {
    await here.hv2.stop(signal);
    await here.hv2.start(true);
    await here.sessions();
    assert.equal(await here.heard(() => here.told.includes("complete")), ["lost", "complete"], signal);
  }
  for (const signal of SIGNALS) {
    await here.hv1.stop(signal);
    await here.hv1.start(true);
    await here.sessions();
    assert.equal(await here.heard(), [], signal);
    assert.equal((await here.announcer.list()).ours, [vm(A, 100)], signal);
  }
  await here.announcer.withdraw([A]);
  await here.heard(() => !here.source.routes.has(A));
});

test(`${MANY.toLocaleString("en")} labelled /32s in, changed, out`, async () => {
  const here = await theWorld();
  const { announcer, source } = here;
  const prefixes = Array.from(
    { length: MANY },
    (_, i) => `100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`,
  );
  const took = async (what: string, body: () => Promise<void>, isSo: () => boolean): Promise<void> => {
    const start = performance.now();
    await body();
    const acknowledged = performance.now() - start;
    await until(what, isSo, TABLE_MS);
    const seconds = [acknowledged, performance.now() - start].map(ms => (ms / 1000).toFixed(2));
    process.stdout.write(`  ${what}: taken after ${seconds[0]} s, all seen after ${seconds[1]} s\n`);
  };
  const routes = (label: number): FabricRoute[] => prefixes.map(prefix => vm(prefix, label));
  await took(
    "in",
    () => announcer.announce(routes(100)),
    () => source.routes.size === MANY,
  );
  here.changeCount = 0;
  await took(
    "changed",
    () => announcer.announce(routes(101)),
    () => here.changeCount >= MANY,
  );
  assert.ok(
    [...source.routes.values()].every(({ labels }) => labels[0] === 101),
    "each once, and none withdrawn",
  );
  assert.is(source.routes.size, MANY);
  // Restarted, the watcher is given all of it at once, and finds nothing new.
  here.changeCount = 0;
  here.told.length = 0;
  const again = new BgpRoutes(here.daemons[2]);
  let isComplete = false;
  await took(
    "watched anew",
    async () =>
      again.watch(
        (_, isWhole) => {
          isComplete ||= isWhole;
        },
        () => undefined,
      ),
    () => isComplete,
  );
  assert.is(again.routes.size, MANY);
  await again.close();
  await took(
    "out",
    () => announcer.withdraw(prefixes),
    () => source.routes.size === 0,
  );
  assert.is(here.changeCount, MANY);
  assert.equal((await announcer.list()).ours, []);
});

test("ends with nothing left behind", async () => {
  const here = await theWorld();
  assert.is((await here.machine.namespaces()).length, 1);
  await here.close();
  assert.equal(await here.machine.namespaces(), []);
});

test.run();
