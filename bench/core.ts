/**
 * g. The core alone, on frames that lie in memory: a window of a capture as the replay room fills it, and
 * batches that go in and out through JavaScript. Before anything is timed the verdicts are counted: every
 * frame must have the fate that the row is named after.
 */
import * as abi from "../assembly/abi.ts";
import { Core, type FrameIn } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
import type { Case, Effort, Section } from "./cases.ts";
import { ratioOf, scaled, spreadOf, timeInMemory } from "./harness.ts";
import { frameOf, inPortOf, type Kind, numbers, RECORD_BYTES, recordsOf, writeIntent } from "./traffic.ts";

const KINDS: readonly { kind: Kind; what: string; routed: boolean }[] = [
  { kind: "inbound", what: "label popped, /32 of a local VM", routed: false },
  { kind: "outbound", what: "/32 route, label pushed", routed: true },
  { kind: "arp", what: "request answered", routed: true },
  { kind: "bridge", what: "VM to VM by MAC address", routed: false },
  { kind: "drop", what: "labelled packet to nobody here", routed: false },
];
const BATCH_FRAMES = 256;
/** Frames in a window: its size is what one call into the core works through. */
const WINDOW_FRAMES = Math.min(4096, Math.floor(abi.WINDOW_BYTES / RECORD_BYTES));
const ANY_NUMBER_OF_FRAMES = 0xffffffff;

/** A core whose tables suit frames of this kind. */
function coreFor({ kind, routed }: { kind: Kind; routed: boolean }, entries: number, folder: string): Core {
  const file = writeIntent(folder, kind, {
    localCount: routed ? 4 : entries,
    routeCount: routed ? entries : 0,
    nextHopCount: 16,
    path: kind === "bridge" ? "l2" : "l3",
  });
  const core = Core.load();
  core.install(loadIntent(file).intent!);
  return core;
}

// ── A window of a capture ──────────────────────────────────────────────────────────────────────────────────

/** Lays a capture's window and its one interface into the core's memory; `rewind` makes it unread again. */
function layWindow(core: Core, records: Uint8Array, inPort: number): { rewind: () => void } {
  const { bytes, words } = core;
  bytes.set(records, abi.INPUT);
  const link = abi.INTERFACES >>> 2;
  words.fill(0, link, link + (abi.INTERFACE_BYTES >>> 2));
  words[link + (abi.INTERFACE_IN_PORT >>> 2)] = inPort;
  // Microseconds in and out: a fraction counts once, a second a million times.
  words[link + (abi.INTERFACE_MULTIPLIER >>> 2)] = 1;
  words[link + (abi.INTERFACE_DIVISOR >>> 2)] = 1_000_000;
  const state = new Uint32Array(abi.CAPTURE_BYTES >>> 2);
  const set = (field: number, value: number): void => {
    state[field >>> 2] = value;
  };
  set(abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
  set(abi.CAPTURE_AT, abi.INPUT);
  set(abi.CAPTURE_END, abi.INPUT + records.length);
  set(abi.CAPTURE_EOF, 1);
  set(abi.CAPTURE_INTERFACES, abi.INTERFACES);
  set(abi.CAPTURE_INTERFACE_COUNT, 1);
  return { rewind: () => words.set(state, abi.CAPTURES >>> 2) };
}

/** Runs the window from its start to its end; gives how many frames that were. */
function runWindow(core: Core, rewind: () => void): number {
  const { exports } = core;
  exports.resetCaptures();
  rewind();
  let frames = 0;
  for (;;) {
    const event = exports.runCaptures(1, ANY_NUMBER_OF_FRAMES);
    frames += exports.framesRead();
    if (event === abi.Event.Done) return frames;
    if (event !== abi.Event.Full) throw new Error(`event ${event}`);
    exports.emptyOutput();
  }
}

function checkFates(core: Core, kind: Kind, frames: number): void {
  const { frames: seen, drops, ports } = core.counters();
  const replies = ports.reduce((sum, { replyFrames }) => sum + replyFrames, 0);
  const outputs = ports.reduce((sum, { txFrames }) => sum + txFrames, 0);
  const wanted = kind === "drop" ? (drops.get("no-local-vm") ?? 0) : kind === "arp" ? replies : outputs;
  if (seen !== frames || wanted !== frames) {
    throw new Error(`${kind}: ${wanted} of ${frames} frames as wanted; ${JSON.stringify([...drops])}`);
  }
}

export function coreRow(effort: Effort, folder: string): Section {
  const cases = KINDS.map((row): Case => {
    const { kind, what } = row;
    const core = coreFor(row, effort.entries, folder);
    const random = numbers(3);
    const frames = Array.from({ length: WINDOW_FRAMES }, () => frameOf(kind, effort.entries, random));
    const records = recordsOf(frames);
    const { rewind } = layWindow(core, records, inPortOf(kind));
    core.exports.setOutput(abi.OutputFormat.Pcap, abi.OutputFormat.None, 1_000_000);
    core.resetCounters();
    if (runWindow(core, rewind) !== WINDOW_FRAMES)
      throw new Error(`${kind}: the window was not read to its end`);
    checkFates(core, kind, WINDOW_FRAMES);
    const samples = timeInMemory(
      {
        ours: () => runWindow(core, rewind),
        copy: () => core.bytes.copyWithin(abi.OUTPUT, abi.INPUT, abi.INPUT + records.length),
      },
      effort.memory,
    );
    return frameCase(
      { name: kind, remark: what, entries: effort.entries },
      WINDOW_FRAMES,
      "memory copy",
      samples,
    );
  });
  return {
    title: "The core in memory",
    notes: [
      `${WINDOW_FRAMES} frames of 60 bytes: pcap records in, decided, counted, rewritten, pcap records out`,
      "memory copy: the same window copied at once, the least that any program moving those bytes would take",
    ],
    cases,
  };
}

// ── Batches through JavaScript ─────────────────────────────────────────────────────────────────────────────

export function framesRow(effort: Effort, folder: string): Section {
  const cases = KINDS.map((row): Case => {
    const { kind, what } = row;
    const core = coreFor(row, effort.entries, folder);
    const random = numbers(4);
    const inPort = inPortOf(kind);
    const batches = Array.from({ length: 16 }, () =>
      Array.from(
        { length: BATCH_FRAMES },
        (): FrameIn => ({ inPort, frame: frameOf(kind, effort.entries, random) }),
      ),
    );
    for (const batch of batches) core.runFrames(batch);
    checkFates(core, kind, BATCH_FRAMES * batches.length);
    let turn = 0;
    const next = (): FrameIn[] => batches[turn++ % batches.length]!;
    const samples = timeInMemory(
      { ours: () => core.runFrames(next()), copy: () => copyInAndOut(core, next()) },
      effort.memory,
    );
    return frameCase(
      { name: kind, remark: what, entries: effort.entries },
      BATCH_FRAMES,
      "the copies alone",
      samples,
    );
  });
  return {
    title: "Frames in and out through JavaScript",
    notes: [
      `core.runFrames, batches of ${BATCH_FRAMES}: each frame is copied in, and out again with its verdict`,
      "convenient, not the fast way; the copies alone: in and out again, without the core between",
    ],
    cases,
  };
}

/** The copies that runFrames cannot do without, and nothing else. */
function copyInAndOut(core: Core, frames: readonly FrameIn[]): Uint8Array[] {
  let at = abi.FRAMES_DATA;
  for (const { frame } of frames) {
    core.bytes.set(frame, at);
    at += 128;
  }
  return frames.map(({ frame }, index) => {
    const start = abi.FRAMES_DATA + index * 128;
    return core.bytes.slice(start, start + frame.length);
  });
}

function frameCase(
  of: { name: string; remark: string; entries: number },
  frames: number,
  yardstick: string,
  samples: ReadonlyMap<string, number[]>,
): Case {
  const ours = samples.get("ours")!;
  const theirs = samples.get("copy")!;
  const perFrame = 1e9 / frames;
  return {
    ...of,
    distribution: "uniform",
    unit: "ns/frame",
    value: scaled(spreadOf(ours), perFrame),
    frames: 1,
    yardsticks: [
      {
        name: yardstick,
        value: scaled(spreadOf(theirs), perFrame),
        timesFaster: ratioOf(ours, theirs),
        objection: null,
      },
    ],
    target: null,
  };
}
