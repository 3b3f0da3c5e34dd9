/**
 * Random edits of an intent, and a reader of intents that knows nothing of edits: what the tests of edited tables hold a
 * core against. Addresses, MACs and ports come from small pools, so that they change hands all the time.
 */
import { adoptImage, Core } from "../../src/core/index.ts";
import type { Intent, IntentEdit, Route, Vm } from "../../src/intent/index.ts";
import { IntentTables, stepsToEdit } from "../../src/live/table-updates.ts";
import {
  formatIpv4,
  formatMac,
  ipv4FromBits,
  macFromBits,
  parseIpv4,
  parseMac,
} from "../../src/wire/index.ts";
import type { ModelIntent } from "../model/model.ts";
import { type Rng, randomFrame, rng } from "../model/random.ts";

const PATHS = ["l2", "dual-l2", "dual-l3", "l3"] as const;
const UPLINK_MAC = parseMac("02:00:00:00:00:01")!;
const VIRTUAL_MAC = parseMac("fe:00:00:00:01:01")!;
const GOLDEN = 0x9e37_79b9_7f4a_7c15n;
const MAC_SLOTS = 16384n;

/** Where a MAC stands first in the core's table (assembly/table/ports.ts). */
function homeOf(mac: number): bigint {
  const bytes = BigInt(mac).toString(16).padStart(12, "0").match(/../g)!.reverse().join("");
  return ((BigInt(`0x${bytes}`) * GOLDEN) & 0xffff_ffff_ffff_ffffn) >> 50n;
}

/** MACs that stand in each other's way at the end of the table, where it begins again. */
function crowdedMacs(count: number): number[] {
  const macs: number[] = [];
  for (let mac = parseMac("52:54:00:00:00:00")!; macs.length < count; mac++)
    if (homeOf(mac) >= MAC_SLOTS - 2n) macs.push(mac);
  return macs;
}

const MACS = [
  ...crowdedMacs(12),
  ...Array.from({ length: 24 }, (_, n) => parseMac("52:54:00:aa:00:00")! + n),
].map(macFromBits);
const ADDRESSES = Array.from({ length: 400 }, (_, n) =>
  ipv4FromBits(
    n % 3 === 0
      ? parseIpv4("203.0.113.0")! + n
      : n % 3 === 1
        ? parseIpv4("10.1.0.0")! + n * 300
        : 0x5000_0000 + n,
  ),
);
const PREFIXES = [
  ...ADDRESSES.slice(0, 40).map(address => [address, 32] as const),
  ...Array.from({ length: 60 }, (_, n) => [parseIpv4("198.51.100.0")! + n, 32] as const),
  ...[8, 12, 16, 17, 20, 24, 31].flatMap(length =>
    ["203.0.113.0", "198.51.100.0", "10.1.0.0"].map(
      text => [(parseIpv4(text)! & (-1 << (32 - length))) >>> 0, length] as const,
    ),
  ),
  [0, 0] as const,
];

/** The state that edits lead to, kept the obvious way. */
export class Reference {
  readonly vms = new Map<number, Vm>();
  readonly routes = new Map<string, Route>();

  get intent(): Intent {
    const routes = [...this.routes.values()];
    return {
      name: "hv1",
      bridge: "br0",
      label: 1001,
      virtualMac: VIRTUAL_MAC,
      trafficClass: 5,
      uplink: { port: "up", ofport: 1, mac: UPLINK_MAC, mtu: null },
      vms: [...this.vms.values()],
      routes: {
        count: routes.length,
        prefixes: Uint32Array.from(routes, ({ address }) => address),
        lengths: Uint8Array.from(routes, ({ length }) => length),
        nextHopOf: Uint32Array.from(routes, (_, index) => index),
        nextHops: routes.map(({ labels, via }) => ({ labels, via })),
      },
    };
  }

  apply({ vms, routes }: IntentEdit): void {
    for (const id of vms.remove) this.vms.delete(id);
    for (const vm of vms.set) this.vms.set(vm.id, vm);
    for (const { address, length } of routes.remove) this.routes.delete(`${address}/${length}`);
    for (const route of routes.set) this.routes.set(`${route.address}/${route.length}`, route);
  }

  /** Whether nothing is used twice. */
  get isSound(): boolean {
    const seen = new Set<string>(["port up", "ofport 1", `mac ${UPLINK_MAC}`, `mac ${VIRTUAL_MAC}`]);
    for (const { name, port, ofport, mac, addresses } of this.vms.values())
      for (const claim of [
        `name ${name}`,
        `port ${port}`,
        `ofport ${ofport}`,
        `mac ${mac}`,
        ...addresses.map(a => `a ${a}`),
      ])
        if (seen.size === seen.add(claim).size) return false;
    return true;
  }

  copy(): Reference {
    const copy = new Reference();
    for (const [id, vm] of this.vms) copy.vms.set(id, vm);
    for (const [key, route] of this.routes) copy.routes.set(key, route);
    return copy;
  }
}

/** Some of a list, none twice. */
function some<T>(r: Rng, list: readonly T[], count: number): T[] {
  const rest = [...list];
  return Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(r.below(rest.length), 1)[0]!);
}

function randomVm(r: Rng, id: number, before: Vm | undefined): Vm {
  const fresh = (): Vm => ({
    id,
    name: `vm-${id}`,
    port: `tap${r.chance(90) ? id : 100 + r.below(30)}`,
    ofport: r.chance(80) ? 10 + id : 10 + r.below(36),
    mac: r.chance(70) ? MACS[id % MACS.length]! : r.pick(MACS),
    addresses: some(r, ADDRESSES, r.chance(80) ? 1 + r.below(3) : 30),
    path: r.pick(PATHS),
    mtu: r.chance(20) ? 1400 : null,
  });
  if (before === undefined || r.chance(20)) return fresh();
  const other = fresh();
  return r.weighted<Vm>([
    [5, () => ({ ...before, path: other.path })],
    [3, () => ({ ...before, addresses: other.addresses })],
    [1, () => ({ ...before, mtu: other.mtu })],
    [1, () => ({ ...before, mac: other.mac })],
    [1, () => ({ ...before, ofport: other.ofport })],
    [1, () => ({ ...before, port: other.port })],
  ]);
}

function randomRoute(r: Rng, [bits, length]: readonly [number, number]): Route {
  const labels = Array.from({ length: r.below(4) }, () => 16 + r.below(40));
  const via = macFromBits(parseMac("02:00:00:00:00:f0")! + r.below(4));
  return { address: ipv4FromBits(bits), length, labels, via };
}

/** An edit, which need not be one that may be made. */
export function randomEdit(r: Rng, reference: Reference): IntentEdit {
  const ids = some(
    r,
    Array.from({ length: 34 }, (_, n) => n + 1),
    r.chance(70) ? r.below(3) : r.below(12),
  );
  const removed = ids.filter(() => r.chance(35));
  const set = ids.filter(id => !removed.includes(id)).map(id => randomVm(r, id, reference.vms.get(id)));
  if (r.chance(10)) swap(r, set, ids, reference);
  const prefixes = some(r, PREFIXES, r.chance(60) ? r.below(3) : r.below(60));
  const gone = prefixes.filter(() => r.chance(35));
  return {
    vms: { set, remove: removed },
    routes: {
      set: prefixes.filter(prefix => !gone.includes(prefix)).map(prefix => randomRoute(r, prefix)),
      remove: gone.map(([bits, length]) => ({ address: ipv4FromBits(bits), length })),
    },
  };
}

/** Has two VMs that are there change what they have. */
function swap(r: Rng, set: Vm[], taken: readonly number[], reference: Reference): void {
  const free = [...reference.vms.values()].filter(({ id }) => !taken.includes(id));
  const [a, b] = some(r, free, 2);
  if (a === undefined || b === undefined) return;
  const what = r.pick(["addresses", "mac", "ofport", "port"] as const);
  set.push({ ...a, [what]: b[what] }, { ...b, [what]: a[what] });
}

function modelOf({ name, bridge, label, trafficClass, vms, routes }: Intent): ModelIntent {
  return {
    name,
    bridge,
    label,
    virtualMac: formatMac(VIRTUAL_MAC),
    trafficClass,
    uplink: { port: "up", ofport: 1, mac: formatMac(UPLINK_MAC) },
    vms: vms.map(({ mac, addresses, mtu, ...vm }) => ({
      ...vm,
      mac: formatMac(mac),
      addresses: addresses.map(formatIpv4),
      ...(mtu === null ? {} : { mtu }),
    })),
    routes: Array.from({ length: routes.count }, (_, row) => {
      const { labels, via } = routes.nextHops[routes.nextHopOf[row]!]!;
      const prefix = `${formatIpv4(routes.prefixes[row]!)}/${routes.lengths[row]!}`;
      return { prefix, labels: [...labels], via: formatMac(via) };
    }),
  };
}

type Frame = { readonly inPort: number; readonly frame: Uint8Array };

/** Frames that an intent, or the one before it, may have something to say about. */
export function framesFor(r: Rng, intents: readonly Intent[], count: number): Frame[] {
  const models = intents.map(modelOf);
  return Array.from({ length: count }, (_, index) => randomFrame(r, models[index % models.length]!));
}

/** What a core does with frames, as comparable text. */
export function answersOf(core: Core, frames: readonly Frame[]): string[] {
  return core
    .runFrames(frames)
    .map(({ verdict, reason, port, tables, frame }) =>
      [
        verdict,
        reason,
        port,
        tables.join(" "),
        frame === null ? "" : Buffer.from(frame).toString("hex"),
      ].join(),
    );
}

/** How edits went. */
export interface Tally {
  edited: number;
  reloaded: number;
  refused: number;
}

/**
 * Makes random edits and gives the first thing that is not as in a core with fresh tables; null when there is none. The
 * core that carries frames is `core`; frames are run between the steps, too, and while VMs change each frame is answered as
 * before or as after.
 */
export function editsDiffer(seed: number, edits: number, core: Core, tally: Tally): string | null {
  const r = rng(seed);
  const reference = new Reference();
  const tables = new IntentTables(Core.load(), reference.intent);
  const fresh = Core.load();
  adoptImage(core, tables.install(reference.intent).image);
  for (let index = 0; index < edits; index++) {
    const edit = randomEdit(r, reference);
    const after = reference.copy();
    after.apply(edit);
    const before = reference.intent;
    const where = `seed ${seed}, edit ${index}`;
    if (!after.isSound) {
      tally.refused++;
      const isRefused = ((): boolean => {
        try {
          tables.edit(edit);
          return false;
        } catch {
          return true;
        }
      })();
      if (!isRefused) return `${where}: an edit that uses something twice was taken`;
      continue;
    }
    const frames = framesFor(r, [after.intent, before], 40);
    const old = answersOf(core, frames);
    fresh.install(after.intent);
    const wanted = answersOf(fresh, frames);
    const { made } = tables.edit(edit);
    const isVmsAlone = edit.routes.set.length + edit.routes.remove.length === 0;
    if (made !== null && "groups" in made) {
      tally.edited++;
      for (const _ of stepsToEdit(core, made, () => {})) {
        const between = answersOf(core, frames);
        const odd = between.findIndex((answer, at) => answer !== old[at] && answer !== wanted[at]);
        if (isVmsAlone && odd >= 0) return `${where}: frame ${odd} while it is made: ${between[odd]}`;
      }
    } else if (made !== null) {
      tally.reloaded++;
      adoptImage(core, made.image);
    }
    reference.apply(edit);
    const got = answersOf(core, frames);
    const odd = got.findIndex((answer, at) => answer !== wanted[at]);
    if (odd >= 0) return `${where}: frame ${odd}: ${got[odd]} is not ${wanted[odd]}`;
  }
  const [got, wanted] = [tables.intent, reference.intent].map(intent => JSON.stringify(sorted(intent)));
  return got === wanted ? null : `seed ${seed}: the intent is not the reference's`;
}

function sorted(intent: Intent): ModelIntent {
  const model = modelOf(intent);
  model.vms.sort((a, b) => a.id - b.id);
  model.routes.sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
  return model;
}
