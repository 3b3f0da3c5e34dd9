/**
 * The core on frames in its memory, beside the yardstick: a C program that does the same work on the same
 * tables and bytes. Both are timed in turns, each in a steady state; before that they must have written the
 * same packets and counted the same (memory.ts). Batches through JavaScript are in frames.ts, the cost of
 * counting in counter-cost.ts.
 */
import * as abi from "../assembly/abi.ts";
import type { Case, Effort, Section, Target, Yardstick } from "./cases.ts";
import { alternate, ratioOf, scaled, spreadOf, timeOne } from "./harness.ts";
import { CoreWindows, checkAlike, type Mode, nativeOn } from "./memory.ts";
import { buildYardstick, type Yardstick as Native, nameOf } from "./native/build.ts";
import type { NativeWindows } from "./native/process.ts";
import { type Layout, VM_COUNT } from "./traffic.ts";
import {
  BURST_FRAMES,
  type Distribution,
  mixTraffic,
  type Population,
  plainTraffic,
  SENDER_COUNT,
  type Traffic,
} from "./workloads.ts";

export type MemoryKind = "inbound" | "outbound" | "arp" | "bridge" | "drop" | "mix";

/** One population, one choice of entries; timed in both modes. */
export interface Subject {
  readonly kind: MemoryKind;
  readonly entries: number;
  readonly distribution: Distribution;
  readonly layout: Layout;
  /** VMs that the local addresses are spread over, when that is not what is usual for the kind. */
  readonly vmCount?: number;
  /** Also part of the short form. */
  readonly isShort?: boolean;
}

/** Entries that a kind can have: hosts, ports and routes have their limits in the core. */
const MOST: Readonly<Record<MemoryKind, number>> = {
  inbound: abi.MAX_HOSTS,
  arp: abi.MAX_HOSTS,
  drop: abi.MAX_HOSTS,
  // One port is the uplink, one the sender.
  bridge: abi.MAX_PORTS - 2,
  outbound: abi.MAX_ROUTES,
  mix: abi.MAX_ROUTES,
};

const TITLES: Readonly<Record<MemoryKind, string>> = {
  inbound: "inbound: label popped, /32 of a local VM",
  outbound: "outbound: source checked, /32 route, label pushed",
  arp: "ARP requests answered",
  bridge: "VM to VM by MAC address",
  drop: "drops: labelled packets to nobody here",
  mix: "a mix: 80 % in- and outbound, 8 % ARP, 12 % noise",
};

const SIZES = [1_000, 100_000, 1_000_000];
/**
 * Tables up to this size are looked up from one window, which stays in the cache; larger ones from all
 * windows.
 */
const CACHED_ENTRIES = 1_000;
/** VMs that the mix has: of a thousand addresses each is a VM's. */
const MIX_VMS = 1_000;
const COMBINATIONS: readonly { distribution: Distribution; layout: Layout }[] = [
  { distribution: "uniform", layout: "scattered" },
  { distribution: "uniform", layout: "dense" },
  { distribution: "zipf", layout: "scattered" },
  { distribution: "zipf", layout: "dense" },
];

/** What is timed of one kind; sizes beyond what the core can hold become the most that it can. */
export function subjectsOf(kind: MemoryKind, effort: Effort): Subject[] {
  const most = Math.min(MOST[kind], effort.mostEntries);
  const sizes = [...new Set(SIZES.map(size => Math.min(size, most)))];
  // Dense and scattered are told apart where the tables are large, a MAC has no such thing as a neighbour.
  const combinations = COMBINATIONS.filter(({ distribution, layout }) => {
    if (kind === "bridge") return layout === "dense";
    return kind === "inbound" || kind === "outbound" || distribution === "uniform" || layout === "scattered";
  });
  const all = sizes.flatMap(entries => combinations.map((one): Subject => ({ kind, entries, ...one })));
  if (effort.isWhole) {
    const single: Subject = { ...all[0]!, vmCount: 1_000 };
    return kind === "inbound" ? [...all, single] : all;
  }
  return all.filter(({ entries, distribution, layout }) =>
    isInShortForm(kind, entries, distribution, layout, sizes),
  );
}

/** A minute's worth: the smallest and, where targets are, the largest table. */
function isInShortForm(
  kind: MemoryKind,
  entries: number,
  distribution: Distribution,
  layout: Layout,
  sizes: readonly number[],
): boolean {
  if (kind === "mix") return entries === sizes[Math.min(1, sizes.length - 1)] && distribution === "zipf";
  if (distribution !== "uniform") return false;
  if (entries === sizes[0]) return layout === (kind === "bridge" ? "dense" : "scattered");
  return kind === "outbound" && entries === sizes.at(-1);
}

export function populationOf({ kind, entries, layout, vmCount }: Subject): Population {
  const routed = kind === "outbound" || kind === "mix";
  const hosts = kind === "mix" ? Math.min(entries, abi.MAX_HOSTS) : entries;
  const usual = {
    inbound: VM_COUNT,
    drop: VM_COUNT,
    outbound: VM_COUNT,
    arp: 1,
    bridge: entries + 1,
    mix: MIX_VMS,
  };
  const localCount = kind === "outbound" ? VM_COUNT : kind === "bridge" ? entries + 1 : hosts;
  return {
    localCount,
    vmCount: Math.min(localCount, vmCount ?? usual[kind]),
    routeCount: routed ? entries : 0,
    layout,
    path: kind === "bridge" ? "l2" : "l3",
  };
}

/** The frames of a subject; `asLarge` takes all windows even for a small table. */
export function trafficOf(subject: Subject, effort: Effort, asLarge = false): Traffic {
  const { kind, entries, distribution } = subject;
  const population = populationOf(subject);
  if (kind === "mix") return mixTraffic({ population, distribution, cycles: effort.mixCycles });
  const windowCount = entries <= CACHED_ENTRIES && !asLarge ? 1 : effort.windowCount;
  return plainTraffic({ kind, population, entries, distribution, windowCount });
}

// ── Timing ─────────────────────────────────────────────────────────────────────────────────────────────────

const MODES: readonly Mode[] = ["judge", "write"];

let built: Native | null = null;

/** The compiled yardstick, or why there is none; compiled once. */
function yardstick(): Native {
  built ??= buildYardstick();
  return built;
}

/** Something that takes turns with the core. */
export interface Beside {
  readonly name: string;
  readonly windows: CoreWindows;
  readonly frames: number;
}

/** Ours by `benchmark`, one sample a turn: nanoseconds a frame. */
function oursOf(windows: CoreWindows, frames: number, mode: Mode, effort: Effort): () => number {
  return () => {
    windows.mode = mode;
    return (timeOne(() => windows.run(), effort.memory) * 1e9) / frames;
  };
}

/** Ours, the yardstick (null: there is none) and others in turns, in one mode. */
export async function timeMode(
  ours: Beside,
  native: NativeWindows | null,
  others: readonly Beside[],
  mode: Mode,
  effort: Effort,
): Promise<Map<string, number[]>> {
  const { rounds, samples, sampleSeconds } = effort.memory;
  const contenders: Record<string, () => number | Promise<number>> = {
    [ours.name]: oursOf(ours.windows, ours.frames, mode, effort),
  };
  if (native !== null) contenders.native = () => native.turn(mode, samples, sampleSeconds);
  for (const { name, windows, frames } of others) contenders[name] = oursOf(windows, frames, mode, effort);
  return alternate(contenders, rounds, 1);
}

/** Starts the yardstick on what the core has, and proves the two alike; null when it cannot be compiled. */
async function startNative(
  windows: CoreWindows,
  traffic: Traffic,
  folder: string,
): Promise<NativeWindows | null> {
  const { program } = yardstick();
  if (program === null) {
    windows.check();
    return null;
  }
  const native = nativeOn(program, windows, traffic, folder);
  try {
    await checkAlike(windows, native, folder);
  } catch (error) {
    await native.close();
    throw error;
  }
  return native;
}

async function subjectCases(subject: Subject, effort: Effort, folder: string): Promise<Case[]> {
  const traffic = trafficOf(subject, effort);
  const ours = { name: "ours", windows: new CoreWindows(traffic), frames: traffic.frames };
  const others = baseOf(subject, effort);
  const native = await startNative(ours.windows, traffic, folder);
  try {
    const cases: Case[] = [];
    for (const mode of MODES) {
      const samples = await timeMode(ours, native, others, mode, effort);
      cases.push(caseOf(subject, traffic, mode, samples));
    }
    return cases;
  } finally {
    await native?.close();
  }
}

const BASE = "ours at 1,000 entries";

/** What a large dense table is compared with: a small one, with as many bytes of frames. */
function baseOf(subject: Subject, effort: Effort): Beside[] {
  const { kind, entries, distribution, layout } = subject;
  if (kind !== "outbound" || distribution !== "uniform" || layout !== "dense" || entries !== 1_000_000)
    return [];
  const traffic = trafficOf({ ...subject, entries: 1_000 }, effort, true);
  const windows = new CoreWindows(traffic);
  windows.check();
  return [{ name: BASE, windows, frames: traffic.frames }];
}

function caseOf(
  subject: Subject,
  { visited }: Traffic,
  mode: Mode,
  samples: ReadonlyMap<string, readonly number[]>,
): Case {
  const { kind, entries, distribution, layout, vmCount } = subject;
  const ours = samples.get("ours")!;
  const beside = (name: string, measure: string): Yardstick[] => {
    const theirs = samples.get(measure);
    if (theirs === undefined) return [];
    return [{ name, value: spreadOf(theirs), timesFaster: ratioOf(ours, theirs), objection: null }];
  };
  const native = yardstick();
  const none: Yardstick = {
    name: nameOf(native),
    value: null,
    timesFaster: null,
    objection: native.program === null ? native.reason : null,
  };
  const sticks = native.program === null ? [none] : beside(nameOf(native), "native");
  const targets = targetsOf(subject, mode);
  return {
    name: vmCount === undefined ? kind : `${kind}, a VM an address`,
    remark: "",
    entries,
    distribution,
    addresses: layout,
    mode,
    visited,
    unit: "ns/frame",
    value: scaled(spreadOf(ours), 1),
    frames: 1,
    yardsticks: [...sticks, ...beside(BASE, BASE)],
    target: targets[0] ?? null,
    moreTargets: targets.slice(1),
  };
}

// ── Targets ────────────────────────────────────────────────────────────────────────────────────────────────

function targetsOf({ kind, entries, distribution, layout, vmCount }: Subject, mode: Mode): Target[] {
  const size = entries.toLocaleString("en");
  const slower = (what: string, target: number, stretch: number, beside?: string): Target => ({
    what: `${what}, ${mode}`,
    kind: "times slower at most",
    target,
    stretch,
    ...(beside === undefined ? {} : { beside }),
  });
  if (kind === "mix") return [slower(`mix, ${size} entries, ${distribution}: core ÷ C`, 1.5, 1.2)];
  const isHeld =
    (kind === "inbound" || kind === "outbound") && distribution === "uniform" && vmCount === undefined;
  if (!isHeld) return [];
  const targets: Target[] = [];
  if (entries <= 100_000) targets.push(slower(`${kind}, ${size} entries, uniform: core ÷ C`, 1.4, 1.15));
  if (entries === 1_000_000 && layout === "scattered") {
    targets.push(slower(`${kind}, ${size} entries, uniform, scattered: core ÷ C`, 2, 1.4));
  }
  if (entries === 1_000_000 && layout === "dense" && kind === "outbound") {
    targets.push(slower(`${kind}, ${size} dense entries ÷ 1,000`, 1.5, 1.2, BASE));
  }
  if (kind === "inbound" && entries === 1_000) {
    const what = `${kind}, ${size} entries, for orientation, ${mode}`;
    targets.push({ what, kind: "Mpps at least", target: 80, stretch: 120 });
  }
  return targets;
}

// ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The flags that matter for speed. */
const flagsOf = (flags: readonly string[]): string => flags.filter(flag => /^-[Om]/.test(flag)).join(" ");

/** Notes of all rows in memory. */
function notesOf(kind: MemoryKind, subjects: readonly Subject[], effort: Effort): string[] {
  const native = yardstick();
  const { rounds, samples, sampleSeconds } = effort.memory;
  const turn = `${samples} samples of at least ${sampleSeconds * 1e3} ms`;
  const megabytes = ((effort.windowCount * abi.WINDOW_BYTES) / 2 ** 20).toLocaleString("en");
  const notes = [
    native.program === null
      ? `no yardstick: ${native.reason}`
      : `${nameOf(native)}: ${native.compiler}, ${flagsOf(native.flags)}, tables on huge pages`,
    "judge: framed, decided, counted; write: also rewritten and written out as pcapng packets",
    `in turns, ours and then theirs, ${rounds} times after one warm-up turn; a turn: ${turn}, their median`,
    "packets and counters of both are equal, byte for byte, and every frame has its expected verdict; " +
      "checked before anything is timed",
  ];
  if (kind === "mix") {
    return [
      ...notes,
      "sizes 60, 590 and 1,514 bytes 7 : 4 : 1 (simple IMIX: 64, 594, 1,518 with FCS; ARP: smallest)",
      "noise, 2 % each: spoofed source, unknown label, stale /32, TTL 1, not IP, malformed",
      `bursts of ${BURST_FRAMES} frames a port, as in a poll loop: uplink, and ${SENDER_COUNT} VMs in turn`,
      `entries are /32 routes; as many local addresses, at most ${abi.MAX_HOSTS.toLocaleString("en")}, ` +
        `of up to ${MIX_VMS.toLocaleString("en")} VMs`,
      `${megabytes} MiB of frames pass before the first comes again; visited: different addresses among them`,
    ];
  }
  const frames =
    "frames of 60 bytes; visited: different addresses that are looked up before the first comes again";
  const cached = `up to ${CACHED_ENTRIES.toLocaleString("en")} entries one window of 512 KiB, repeatedly`;
  const windows = `${cached}; above, ${megabytes} MiB of windows in turn`;
  const most = `${MOST[kind].toLocaleString("en")} ${kind === "bridge" ? "VMs" : "local addresses"}`;
  const limit = `the core holds at most ${most} (assembly/abi.ts), the size of the largest row`;
  const isLimited = MOST[kind] < 1_000_000 && subjects.length > 0;
  return [...notes, frames, windows, ...(isLimited ? [limit] : [])];
}

export function memoryRow(kind: MemoryKind): (effort: Effort, folder: string) => Promise<Section> {
  return async (effort, folder) => {
    const subjects = subjectsOf(kind, effort);
    const cases: Case[] = [];
    for (const subject of subjects) cases.push(...(await subjectCases(subject, effort, folder)));
    return { title: `In memory, ${TITLES[kind]}`, notes: notesOf(kind, subjects, effort), cases };
  };
}
