/**
 * Killed anywhere: under random VM events an agent is cut off before or after any of its dealings with the switch and the
 * daemon, a new one starts over what is left, and a model that knows nothing of rounds says what must be there at the end.
 * On the way every observer's view is checked: no delivery is announced whose flows are not there, and what stays right is
 * neither rewritten nor withdrawn.
 */

import { join } from "node:path";
import { type Bridge, bundleOf, type FabricRoute, OfctlBridge } from "../../src/agent/index.ts";
import type { AnnouncingDaemon } from "../../src/bgp/index.ts";
import type { Path, Vm } from "../../src/intent/index.ts";
import { Flows, flowText, type Recognizer } from "../../src/pipeline/index.ts";
import { formatIpv4 } from "../../src/wire/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { all, BASE, FakeAnnouncer, randomOf, reconcilerOf, rowNames, vmOf, Workplace } from "./base.ts";

const test = suite("an agent killed anywhere");
const KILLS = Number(process.env.AGENT_KILLS ?? 50);
const PATHS: readonly Path[] = ["l2", "dual-l2", "dual-l3", "l3"];

class Killed extends Error {}

/** Lets `left` dealings through, then cuts off: before the next one, or after it was done but before that is known. */
class Fuse {
  #left: number;
  readonly #isAfter: boolean;
  isBurnt = false;

  constructor(left: number, isAfter: boolean) {
    this.#left = left;
    this.#isAfter = isAfter;
  }

  async run<T>(deal: () => Promise<T>): Promise<T> {
    if (this.isBurnt) throw new Killed();
    if (this.#left-- > 0) return deal();
    this.isBurnt = true;
    if (this.#isAfter) await deal();
    throw new Killed();
  }
}

async function* fusedFlows(inner: Bridge, fuse: Fuse, recognizer: Recognizer): ReturnType<Bridge["flows"]> {
  yield await fuse.run(() => all(inner.flows(recognizer)));
}

const fusedBridge = (inner: Bridge, fuse: Fuse): Bridge => ({
  tagOf: inner.tagOf,
  flows: recognizer => fusedFlows(inner, fuse, recognizer),
  lines: () => inner.lines(),
  write: (changes, desired) => fuse.run(() => inner.write(changes, desired)),
});

const fusedAnnouncer = (inner: AnnouncingDaemon, fuse: Fuse): AnnouncingDaemon => ({
  lossCount: inner.lossCount,
  onBack: callback => inner.onBack(callback),
  announce: routes => fuse.run(() => inner.announce(routes)),
  withdraw: prefixes => fuse.run(() => inner.withdraw(prefixes)),
  ours: () => fuse.run(() => inner.ours()),
  list: () => fuse.run(() => inner.list()),
});

/** One random event on the files; the model is the map of what stands in them. */
function event(random: (below: number) => number, place: Workplace, model: Map<number, Vm>): void {
  const n = 1 + random(6);
  const there = model.get(n);
  if (there === undefined) {
    const vm = vmOf(n, PATHS[random(4)]);
    place.drop(vm);
    model.set(n, vm);
  } else if (random(2) === 0) {
    place.take(there.id);
    model.delete(n);
  } else {
    const at = PATHS.indexOf(there.path);
    const path = PATHS[at === 0 ? 1 : at === 3 ? 2 : at + (random(2) === 0 ? 1 : -1)]!;
    const vm = { ...there, path };
    place.drop(vm);
    model.set(n, vm);
  }
}

const wantedOf = (vms: Iterable<Vm>): string[] =>
  rowNames([...new Flows({ ...BASE, vms: [...vms] })].map(flowText));
const dumped = async (sw: PrivateSwitch): Promise<string[]> =>
  rowNames(
    (await sw.dumpFlows())
      .trim()
      .split("\n")
      .filter(line => line !== ""),
  );

/** Announced addresses must be delivered by the flows that are there. */
function assertDelivered(rows: readonly string[], routes: ReadonlyMap<string, FabricRoute>): void {
  for (const prefix of routes.keys()) {
    const address = prefix.replace("/32", "");
    assert.ok(
      rows.some(row => row.includes(` 30 `) && row.includes(`nw_dst=${address} `)),
      `${prefix} is announced and not delivered`,
    );
  }
}

test(`${KILLS} kills under random events: the state is the model's every time`, async () => {
  peer("ovs-vswitchd");
  const start = seed();
  process.stdout.write(`  seed ${start}\n`);
  const random = randomOf(start);
  const sw = await PrivateSwitch.start({ ports: [{ number: 1 }] });
  const place = new Workplace();
  const bridge = new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt"));
  const announcer = new FakeAnnouncer();
  const model = new Map<number, Vm>();
  let burnt = 0;
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const fuse = new Fuse(random(8), random(2) === 0);
      const victim = reconcilerOf(place, fusedBridge(bridge, fuse), fusedAnnouncer(announcer, fuse));
      await victim.reconcile("all");
      for (let step = 0; step < 4 && !fuse.isBurnt; step++) {
        event(random, place, model);
        await victim.reconcile("vms");
        assertDelivered(await dumped(sw), announcer.routes);
      }
      burnt += Number(fuse.isBurnt);
      // What is right at this moment has to be left alone by whoever comes next.
      const wanted = new Set(wantedOf(model.values()));
      const before = (await dumped(sw)).filter(row => wanted.has(row));
      const kept = [...announcer.routes.keys()].filter(prefix => isAnnounced(model, prefix));
      announcer.history.length = 0;
      const bundles: string[] = [];
      const noting: Bridge = {
        tagOf: null,
        flows: recognizer => bridge.flows(recognizer),
        lines: () => bridge.lines(),
        write: edits => {
          bundles.push(bundleOf(edits));
          return bridge.write(edits);
        },
      };
      const next = reconcilerOf(place, noting, announcer);
      const report = await next.reconcile("all");
      assert.equal(report.problems, []);
      assert.equal((await dumped(sw)).sort(), [...wanted].sort(), `kill ${kill}: flows`);
      const announced = [...model.values()].filter(({ path }) => path !== "l2");
      const prefixes = announced.flatMap(vm => vm.addresses.map(address => `${formatIpv4(address)}/32`));
      assert.equal([...announcer.routes.keys()].sort(), prefixes.sort(), `kill ${kill}: announcements`);
      const written = new Set(
        rowNames(
          bundles
            .join("")
            .split("\n")
            .filter(line => line.startsWith("add ")),
        ),
      );
      assert.equal(
        before.filter(row => written.has(row)),
        [],
        `kill ${kill}: a right row was rewritten`,
      );
      assert.equal(
        kept.filter(prefix => announcer.history.includes(`withdraw ${prefix}`)),
        [],
      );
    }
    assert.ok(burnt > KILLS / 4, `only ${burnt} of ${KILLS} were cut off`);
  } finally {
    place.remove();
    await sw.close();
  }
});

function isAnnounced(model: ReadonlyMap<number, Vm>, prefix: string): boolean {
  return [...model.values()].some(
    ({ path, addresses }) =>
      path !== "l2" && addresses.some(address => `${formatIpv4(address)}/32` === prefix),
  );
}

test.run();
