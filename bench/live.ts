/**
 * Rows on live ports: frames through taps and packet sockets, beside C programs that only move frames, and
 * beside Open vSwitch's userspace datapath with the same flows. C is compared by processor time per frame, of
 * bursts that queue while the forwarder is stopped: so neither the sender nor other load counts. The rig is
 * in lab/live-rigs.ts.
 */

import { buildWire, frameHex, type Kind, type Who, Wires, whyNot } from "../lab/live-rigs.ts";
import type { Case, Effort, Section, Yardstick } from "./cases.ts";
import { alternate, isInstalled, ratioOf, type Spread, spreadOf } from "./harness.ts";

/** Fits the queue of a tap of either forwarder (8,192 frames), and any socket. */
const BURST_FRAMES = 8000;
const LATENCY_GAP_US = 500;

const TITLE = "Live ports";
const NOTES = [
  "Frames of 64 bytes (FCS included) from one VM's port to another's: new MACs, TTL and checksum.",
  "tap, veth: processor time per frame, user and system, all threads, of bursts of 8,000 frames that queue",
  "while the forwarder is stopped. C: only read and write (tap), recvmmsg and sendmmsg (veth).",
  "OVS: frames delivered while a sender floods it.",
];

interface Sizes {
  readonly warmups: number;
  readonly rounds: number;
  readonly floodSeconds: number;
  readonly floods: number;
  readonly pings: number;
}

const SIZES: Readonly<Record<Effort["name"], Sizes>> = {
  smoke: { warmups: 0, rounds: 1, floodSeconds: 0.2, floods: 1, pings: 20 },
  short: { warmups: 5, rounds: 15, floodSeconds: 0.5, floods: 3, pings: 500 },
  long: { warmups: 8, rounds: 60, floodSeconds: 2, floods: 5, pings: 4000 },
};

/** Runs something with forwarders that end with it. */
async function withWires<T>(
  which: Readonly<Record<string, readonly [Who, Kind]>>,
  wire: string,
  body: (wires: Readonly<Record<string, Wires>>) => Promise<T>,
): Promise<T> {
  const started: Record<string, Wires> = {};
  try {
    for (const [name, [who, kind]] of Object.entries(which))
      started[name] = await Wires.start(who, kind, wire);
    return await body(started);
  } finally {
    for (const wires of Object.values(started)) await wires.stop();
  }
}

function caseOf(what: Pick<Case, "name" | "remark" | "unit" | "value" | "yardsticks" | "target">): Case {
  return { entries: null, distribution: null, frames: null, ...what };
}

function beside(name: string, ours: readonly number[], theirs: readonly number[]): Yardstick {
  return { name, value: spreadOf(theirs), timesFaster: ratioOf(ours, theirs), objection: null };
}

/** Forwarding beside the smallest C program that does it. */
async function forwardCase(kind: Kind, sizes: Sizes, wire: string): Promise<Case> {
  const samples = await withWires({ ours: ["slash32", kind], theirs: ["C", kind] }, wire, wires =>
    alternate(
      { ours: () => wires.ours!.burst(BURST_FRAMES), theirs: () => wires.theirs!.burst(BURST_FRAMES) },
      sizes.rounds,
      sizes.warmups,
    ),
  );
  const [ours, theirs] = [samples.get("ours")!, samples.get("theirs")!];
  const isTap = kind === "tap";
  return caseOf({
    name: isTap ? "tap to tap" : "packet sockets on veth",
    remark: "64 bytes, processor time",
    unit: "ns/frame",
    value: spreadOf(ours),
    yardsticks: [beside(isTap ? "C read, write" : "C recvmmsg, sendmmsg", ours, theirs)],
    target: {
      what: isTap ? "tap to tap, beside C read and write" : "veth to veth, beside C recvmmsg and sendmmsg",
      kind: "times slower at most",
      target: isTap ? 1.6 : 1.5,
      stretch: isTap ? 1.3 : 1.2,
    },
  });
}

/** Frames delivered a second, beside Open vSwitch in userspace; given as time a frame. */
async function ovsCase(sizes: Sizes, wire: string): Promise<Case> {
  const hasOvs = isInstalled("ovs-vswitchd");
  const which: Record<string, readonly [Who, Kind]> = { ours: ["slash32", "veth"] };
  if (hasOvs) which.theirs = ["OVS", "veth"];
  const samples = await withWires(which, wire, wires => {
    const flood = (name: "ours" | "theirs") => async () => {
      const rate = await wires[name]!.flood(sizes.floodSeconds);
      if (rate === 0) throw new Error("no frame came out");
      return 1e9 / rate;
    };
    return alternate(
      { ours: flood("ours"), ...(hasOvs ? { theirs: flood("theirs") } : {}) },
      sizes.floods,
      1,
    );
  });
  const ours = samples.get("ours")!;
  const theirs = samples.get("theirs");
  const name = "OVS, userspace";
  const stick: Yardstick =
    theirs === undefined
      ? { name, value: null, timesFaster: null, objection: "not installed" }
      : beside(name, ours, theirs);
  return caseOf({
    name: "veth, flooded",
    remark: "time for each frame delivered",
    unit: "ns/frame",
    value: spreadOf(ours),
    yardsticks: [stick],
    target: {
      what: "frames delivered a second on veth, beside Open vSwitch's userspace datapath",
      kind: "times faster",
      target: 1.5,
      stretch: 4,
    },
  });
}

/** A lone frame's time through two taps; C's beside it is what the kernel takes of it. */
async function latencyCase(sizes: Sizes, wire: string): Promise<Case> {
  const median = (sorted: readonly number[]): number => sorted[sorted.length >>> 1]! / 1e6;
  const samples = await withWires({ ours: ["slash32", "tap"], theirs: ["C", "tap"] }, wire, wires =>
    alternate(
      {
        ours: () => median(wires.ours!.latencies(sizes.pings, LATENCY_GAP_US)),
        theirs: () => median(wires.theirs!.latencies(sizes.pings, LATENCY_GAP_US)),
      },
      3,
      1,
    ),
  );
  const [ours, theirs] = [samples.get("ours")!, samples.get("theirs")!];
  return caseOf({
    name: "a lone frame, tap to tap",
    remark: "median from sent to received",
    unit: "ms",
    value: spreadOf(ours),
    yardsticks: [beside("C read, write", ours, theirs)],
    target: {
      what: "median time of a lone frame through taps",
      kind: "at most",
      target: 0.15,
      stretch: null,
    },
  });
}

/** A section without cases, and the reason. */
function empty(reason: string): Section {
  return { title: TITLE, notes: [`Not measured: ${reason}.`], cases: [] };
}

export async function liveRow(effort: Effort, folder: string): Promise<Section> {
  const reason = whyNot();
  if (reason !== null) return empty(reason);
  let wire: string;
  try {
    wire = buildWire(folder);
  } catch (error) {
    return empty((error as Error).message);
  }
  const sizes = SIZES[effort.name];
  const cases = [
    await forwardCase("tap", sizes, wire),
    await forwardCase("veth", sizes, wire),
    await ovsCase(sizes, wire),
    await latencyCase(sizes, wire),
  ];
  return { title: TITLE, notes: NOTES, cases };
}

// ── Long ones ──────────────────────────────────────────────────────────────────────────────────────────────

const LOSS_SHARE = 0.7;
const SECONDS: Readonly<Record<Effort["name"], { loss: number; soak: number }>> = {
  smoke: { loss: 0.5, soak: 1 },
  short: { loss: 20, soak: 25 },
  long: { loss: 60, soak: 600 },
};

/**
 * Frames lost at 70 % of its capacity, and memory at full load; one minute and ten minutes in the long form.
 */
export async function soakRow(effort: Effort, folder: string): Promise<Section> {
  const title = "Live ports for long";
  const reason = whyNot();
  if (reason !== null) return { ...empty(reason), title };
  const wire = buildWire(folder);
  const seconds = SECONDS[effort.name];
  const cases = await withWires({ ours: ["slash32", "tap"] }, wire, async ({ ours }) => [
    await lossCase(ours!, seconds.loss),
    await memoryCase(ours!, seconds.soak),
  ]);
  const notes = [
    `Frames at ${LOSS_SHARE * 100} % of the rate delivered in a flood, for ${seconds.loss} s; ` +
      `then a flood for ${seconds.soak} s.`,
  ];
  return { title, notes, cases };
}

/** Waits until queued frames have been delivered. */
function settled(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 300));
}

async function lossCase(ours: Wires, seconds: number): Promise<Case> {
  await ours.flood(0.5);
  const capacity = await ours.flood(1);
  await settled();
  const before = ours.received;
  const rate = String(Math.floor(capacity * LOSS_SHARE));
  const { sent, refused } = ours.send("send", ours.source, String(seconds), rate, frameHex());
  await settled();
  // A queue that is full because nobody reads it fast enough is a loss, too.
  const offered = sent + refused;
  const lost = offered - (ours.received - before);
  const millionths = (1e6 * lost) / offered;
  return caseOf({
    name: "frames lost of a million",
    remark: `${rate} frames a second, ${offered} in all, ${refused} of them refused by a full queue`,
    unit: "frames",
    value: spreadOf([millionths]),
    yardsticks: [],
    target: { what: "frames lost below 70 % of capacity", kind: "at most", target: 0, stretch: null },
  });
}

async function memoryCase(ours: Wires, seconds: number): Promise<Case> {
  await ours.flood(Math.min(10, seconds / 5));
  const samples: number[] = [];
  const end = performance.now() + seconds * 1000;
  const before = ours.rssBytes();
  while (performance.now() < end) {
    await ours.flood(Math.min(2, seconds / 2));
    samples.push((ours.rssBytes() - before) / 1e6);
  }
  const value: Spread = spreadOf(samples);
  return caseOf({
    name: "growth of resident memory under flood",
    remark: `over ${seconds} s, from ${(before / 1e6).toFixed(0)} MB`,
    unit: "MB",
    value: { ...value, value: value.max },
    yardsticks: [],
    target: { what: "growth of memory at full load", kind: "at most", target: 5, stretch: null },
  });
}
