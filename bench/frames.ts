/**
 * Batches that pass in and out of the core through JavaScript: convenient for tests and traces; the replay
 * avoids it. Verdicts are checked before anything is timed.
 */
import * as abi from "../assembly/abi.ts";
import { Core, type FrameIn } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
import type { Case, Effort, Section } from "./cases.ts";
import { ratioOf, scaled, spreadOf, timeInMemory } from "./harness.ts";
import { frameOf, inPortOf, type Kind, numbers, writeIntent } from "./traffic.ts";

const KINDS: readonly { kind: Kind; what: string; routed: boolean }[] = [
  { kind: "inbound", what: "label popped, /32 of a local VM", routed: false },
  { kind: "outbound", what: "/32 route, label pushed", routed: true },
  { kind: "arp", what: "request answered", routed: true },
  { kind: "bridge", what: "VM to VM by MAC address", routed: false },
  { kind: "drop", what: "labelled packet to nobody here", routed: false },
];
const BATCH_FRAMES = 256;

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

function checkFates(core: Core, kind: Kind, frames: number): void {
  const { frames: seen, drops, ports } = core.counters();
  const replies = ports.reduce((sum, { replyFrames }) => sum + replyFrames, 0);
  const outputs = ports.reduce((sum, { txFrames }) => sum + txFrames, 0);
  const wanted = kind === "drop" ? (drops.get("no-local-vm") ?? 0) : kind === "arp" ? replies : outputs;
  if (seen !== frames || wanted !== frames) {
    throw new Error(`${kind}: ${wanted} of ${frames} frames as wanted; ${JSON.stringify([...drops])}`);
  }
}

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
      { name: `${kind}, by JavaScript`, remark: what, entries: effort.entries },
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
