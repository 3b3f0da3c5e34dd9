/** The table of the fabric's routes over a daemon that comes and goes, and announcements that are said once; with a fake daemon. */

import { until } from "../../lab/machine.ts";
import { BgpAnnouncer, BgpRoutes } from "../../src/bgp/index.ts";
import type { FabricRoute, RouteChange } from "../../src/bgp/types.ts";
import { assert, seed, suite } from "../harness.ts";
import { FakeDaemon, route } from "./fake.ts";

const test = suite("control: routes");

interface Told {
  readonly source: BgpRoutes;
  /** As `+PREFIX LABEL`, `-PREFIX`, `complete`. */
  readonly lines: string[];
  readonly losses: string[];
}

function follow(daemon: FakeDaemon, deferMs?: number): Told {
  const source = new BgpRoutes(daemon, deferMs === undefined ? {} : { deferMs });
  const lines: string[] = [];
  const losses: string[] = [];
  const textOf = (change: RouteChange): string =>
    change.type === "gone" ? `-${change.prefix}` : `+${change.route.prefix} ${change.route.labels.join("/")}`;
  source.watch(
    (changes, isComplete) => lines.push(...changes.map(textOf), ...(isComplete ? ["complete"] : [])),
    error => losses.push(error.message),
  );
  return { source, lines, losses };
}

/** Numbers below a bound, the same for the same seed. */
function randomOf(from: number): (below: number) => number {
  let state = from || 1;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What is on its way arrives: also when this process had to stand still, after which a timer comes before the rest. */
async function settle(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 30));
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve));
}
const A = "203.0.113.1/32";
const B = "203.0.113.2/32";

test("the whole table comes first, then changes; what changes nothing is not told", async () => {
  const daemon = new FakeDaemon();
  daemon.remote.set(A, route(A));
  const { source, lines } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  assert.equal(lines.splice(0), [`+${A} 100`, "complete"]);
  daemon.learn(B, route(B, 200));
  daemon.learn(A, route(A, 100));
  await settle();
  assert.equal(lines.splice(0), [`+${B} 200`]);
  daemon.learn(B, route(B, 201));
  await settle();
  daemon.learn(B, null);
  await settle();
  assert.equal(lines.splice(0), [`+${B} 201`, `-${B}`]);
  // There and gone between two turns: nobody needs to hear of it.
  daemon.learn(B, route(B));
  daemon.learn(B, null);
  await settle();
  assert.equal(lines, []);
  await source.close();
});

test("our own announcement is no route of the fabric, and takes the place of one", async () => {
  const daemon = new FakeDaemon();
  daemon.remote.set(A, route(A));
  const { source, lines } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  lines.length = 0;
  daemon.tellLocal(route(A));
  daemon.tellLocal(route(B));
  await settle();
  assert.equal(lines, [`-${A}`]);
  await source.close();
});

test("a daemon that was away: one loss told, the same table is no change, what is missing is gone at the end", async () => {
  const daemon = new FakeDaemon();
  daemon.remote.set(A, route(A)).set(B, route(B));
  const { source, lines, losses } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  lines.length = 0;
  daemon.crash();
  await settle();
  await new Promise(resolve => setTimeout(resolve, 200));
  assert.equal(losses, ["down"]);
  assert.equal(lines, [], "nothing is gone while the daemon is away");
  // Back, its session not yet up: its empty table is not the truth.
  daemon.peerStates = [
    { address: "10.0.0.254", isUp: false, hasFamily: true, hasEnded: false, willEnd: true, receivedCount: 0 },
  ];
  daemon.isDown = false;
  await new Promise(resolve => setTimeout(resolve, 700));
  assert.equal(lines, []);
  daemon.peerStates = [
    { address: "10.0.0.254", isUp: true, hasFamily: true, hasEnded: false, willEnd: true, receivedCount: 0 },
  ];
  daemon.learn(A, route(A));
  // A reflector that restarted itself is up long before it has all routes; it is not taken for quiet.
  await new Promise(resolve => setTimeout(resolve, 1400));
  assert.equal(lines, []);
  daemon.peerStates = [
    { address: "10.0.0.254", isUp: true, hasFamily: true, hasEnded: true, willEnd: true, receivedCount: 1 },
  ];
  await until("complete again", () => lines.includes("complete"));
  assert.equal(lines, [`-${B}`, "complete"]);
  assert.equal([...source.routes.keys()], [A]);
  await source.close();
});

test("a peer without graceful restart has ended when it is quiet; a table without peers is complete in time", async () => {
  const quiet = new FakeDaemon();
  quiet.peerStates = [
    { address: "10.0.0.254", isUp: true, hasFamily: true, hasEnded: false, willEnd: false, receivedCount: 5 },
  ];
  const first = follow(quiet);
  const start = performance.now();
  await until("quiet", () => first.lines.includes("complete"));
  assert.ok(performance.now() - start >= 1000, "it was waited for");
  await first.source.close();
  const alone = new FakeDaemon();
  alone.peerStates = [
    { address: "10.0.0.254", isUp: false, hasFamily: true, hasEnded: false, willEnd: true, receivedCount: 0 },
  ];
  const second = follow(alone, 300);
  await until("deferred", () => second.lines.includes("complete"));
  await second.source.close();
});

test("told changes build the daemon's table, none is told twice, over any events, ends and returns (property)", async () => {
  const from = seed() ^ 7;
  process.stdout.write(`  seed ${from}\n`);
  const random = randomOf(from);
  const daemon = new FakeDaemon();
  const up = daemon.peerStates;
  const source = new BgpRoutes(daemon);
  const built = new Map<string, string>();
  let completions = 0;
  source.watch(
    (changes, isComplete) => {
      for (const change of changes) {
        if (change.type === "gone") {
          assert.ok(built.delete(change.prefix), `seed ${from}: ${change.prefix} is gone, but was not there`);
        } else {
          const text = `${change.route.labels.join("/")} ${change.route.nextHop}`;
          assert.is.not(built.get(change.route.prefix), text, `seed ${from}: told twice`);
          built.set(change.route.prefix, text);
        }
      }
      if (isComplete) completions++;
    },
    () => undefined,
  );
  await until("complete", () => completions > 0);
  for (let round = 0; round < 12; round++) {
    const before = new Map(daemon.remote);
    for (let step = random(60); step > 0; step--) {
      const prefix = `203.0.113.${random(8)}/32`;
      if (random(3) > 0) daemon.learn(prefix, route(prefix, 100 + random(3)));
      else if (daemon.remote.has(prefix)) daemon.learn(prefix, null);
      if (random(4) === 0) await new Promise(resolve => setImmediate(resolve));
    }
    if (random(2) === 0) {
      // It ends, as it does when it is stopped or when it is killed, and comes back with another table.
      if (random(2) === 0) {
        daemon.peerStates = [];
        for (const prefix of [...daemon.remote.keys()]) daemon.learn(prefix, null);
      }
      daemon.crash();
      await settle();
      for (const [prefix, one] of before) if (random(2) === 0) daemon.remote.set(prefix, one);
      daemon.peerStates = up;
      const then = completions;
      daemon.comeBack();
      await until(`complete in round ${round}, seed ${from}`, () => completions > then);
    }
    await settle();
    const wanted = [...daemon.remote.values()].map(one => `${one.prefix} ${one.labels[0]} ${one.nextHop}`);
    const told = [...built].map(([prefix, text]) => `${prefix} ${text}`);
    assert.equal(told.sort(), wanted.sort(), `seed ${from}, round ${round}`);
  }
  await source.close();
});

test("after close nothing is told", async () => {
  const daemon = new FakeDaemon();
  const { source, lines } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  lines.length = 0;
  await source.close();
  daemon.learn(A, route(A));
  daemon.crash();
  await settle();
  assert.equal(lines, []);
});

test("announcements are said once, over any sequence of calls and losses (property)", async () => {
  const from = seed();
  process.stdout.write(`  seed ${from}\n`);
  const random = randomOf(from);
  const daemon = new FakeDaemon();
  const announcer = new BgpAnnouncer(daemon);
  let model = new Map<string, FabricRoute>();
  for (let step = 0; step < 2000; step++) {
    const prefixes = Array.from({ length: random(4) }, () => `203.0.113.${random(6)}/32`);
    const what = random(10);
    if (what === 0) {
      daemon.crash();
      const failure = await announcer.announce([route(A)]).catch((error: Error) => error.message);
      assert.is(failure, "down");
      daemon.isDown = false;
      model = new Map();
    } else if (what < 6) {
      const routes = prefixes.map(prefix => route(prefix, 100 + random(2)));
      const wanted = new Map(routes.map(one => [one.prefix, one]));
      const changed = [...wanted.values()].filter(one => model.get(one.prefix)?.labels[0] !== one.labels[0]);
      daemon.calls.length = 0;
      await announcer.announce(routes);
      const said = daemon.calls.filter(call => call !== "ours").sort();
      assert.equal(
        said,
        changed.map(one => `+${one.prefix} ${one.labels[0]}`).sort(),
        `seed ${from}, step ${step}`,
      );
      for (const one of changed) model.set(one.prefix, one);
    } else {
      const there = [...new Set(prefixes)].filter(prefix => model.has(prefix));
      daemon.calls.length = 0;
      await announcer.withdraw(prefixes);
      const said = daemon.calls.filter(call => call !== "ours").sort();
      assert.equal(said, there.map(prefix => `-${prefix}`).sort(), `seed ${from}, step ${step}`);
      for (const prefix of there) model.delete(prefix);
    }
    assert.equal([...daemon.local.keys()].sort(), [...model.keys()].sort());
  }
});

test("a daemon that ends withdraws everything first: nothing of that is told, as no session is up after it", async () => {
  const daemon = new FakeDaemon();
  daemon.remote.set(A, route(A)).set(B, route(B));
  const { source, lines, losses } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  lines.length = 0;
  const up = daemon.peerStates;
  daemon.peerStates = [];
  daemon.learn(A, null);
  daemon.learn(B, null);
  await settle();
  assert.equal(losses, ["no session is up"]);
  daemon.crash();
  await settle();
  daemon.remote.set(A, route(A));
  daemon.peerStates = up;
  daemon.isDown = false;
  await until("complete again", () => lines.includes("complete"));
  assert.equal(lines, [`-${B}`, "complete"]);
  await source.close();
});

test("a route withdrawn and announced again while the daemon is asked stays", async () => {
  const daemon = new FakeDaemon();
  daemon.remote.set(A, route(A));
  const { source, lines } = follow(daemon);
  await until("complete", () => lines.includes("complete"));
  lines.length = 0;
  daemon.learn(A, null);
  daemon.learn(A, route(A, 7));
  await settle();
  assert.equal(lines, [`+${A} 7`]);
  await source.close();
});

test("a daemon that comes back with nothing is given again what holds, once it takes it", async () => {
  const daemon = new FakeDaemon();
  const announcer = new BgpAnnouncer(daemon);
  await announcer.announce([route(A), route(B)]);
  daemon.crash();
  const failure = await announcer.withdraw([B]).catch((error: Error) => error.message);
  assert.is(failure, "down");
  daemon.calls.length = 0;
  daemon.comeBack();
  await until("announced again", () => daemon.local.size > 0);
  await settle();
  assert.equal(daemon.calls, ["ours", `+${A} 100`]);
});

test("what was announced before we came is given again, too, unless it was withdrawn since", async () => {
  const daemon = new FakeDaemon();
  await daemon.announce([route(A), route(B)]);
  const announcer = new BgpAnnouncer(daemon);
  assert.is((await announcer.list()).ours.length, 2);
  await announcer.withdraw([B]);
  daemon.crash();
  daemon.calls.length = 0;
  daemon.comeBack();
  await until("announced again", () => daemon.local.size > 0);
  await settle();
  assert.equal(daemon.calls, ["ours", `+${A} 100`]);
});

test("calls take effect in the order they were made; an address that another claims is seen", async () => {
  const daemon = new FakeDaemon();
  const announcer = new BgpAnnouncer(daemon);
  await Promise.all([
    announcer.announce([route(A)]),
    announcer.withdraw([A]),
    announcer.announce([route(A, 7), route(B)]),
  ]);
  assert.equal(daemon.calls, ["ours", `+${A} 100`, `-${A}`, `+${A} 7`, `+${B} 100`]);
  daemon.remote.set(A, route(A, 300, "10.0.0.9"));
  daemon.remote.set("203.0.113.9/32", route("203.0.113.9/32"));
  assert.equal((await announcer.list()).contested, [route(A, 300, "10.0.0.9")]);
  assert.equal(
    (await announcer.list()).ours.map(({ prefix }) => prefix),
    [A, B],
  );
});

test("a list of all paths holds up no announcement, and does not undo what changed meanwhile", async () => {
  const daemon = new FakeDaemon();
  const announcer = new BgpAnnouncer(daemon);
  await announcer.announce([route(A), route(B)]);
  const paths = await daemon.list();
  let answer: () => void = () => undefined;
  daemon.list = () => new Promise(resolve => (answer = () => resolve(paths)));
  const listed = announcer.list();
  const other = "203.0.113.9/32";
  await announcer.announce([route(A, 7), route(other)]);
  await announcer.withdraw([B]);
  answer();
  assert.is((await listed).ours.length, 2, "what the daemon said");
  daemon.calls.length = 0;
  await announcer.announce([route(A, 7), route(other)]);
  await announcer.withdraw([B]);
  assert.equal(daemon.calls, [], "all of it stands as it was left");
  // Somebody else takes one away.
  daemon.local.delete(other);
  daemon.list = FakeDaemon.prototype.list;
  await announcer.list();
  await announcer.announce([route(A, 7), route(other)]);
  assert.equal(daemon.calls, ["list", `+${other} 100`], "a list finds what somebody took away");
});

test.run();
