/**
 * The second lane of a replay (lane.ts) as a worker thread: a core of its own with the main one's tables, capture
 * state and outputs. It is started ahead of its work and waits for one message that says what to do, ends when all
 * lanes have stopped, and leaves its counters in shared memory.
 */
import { parentPort } from "node:worker_threads";
import * as abi from "../../assembly/abi.ts";
import { adoptImage, Core, type TableImage } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { type LaneFiles, runPiece, Shared, usedPieces } from "./parallel-worker.ts";

const WARM_UP_FRAME_BYTES = 64;
const WARM_UP_BYTES = 1000 * (16 + WARM_UP_FRAME_BYTES);
/** Optimised code comes after some 20,000 frames. */
const WARM_UP_ROUNDS = 40;

/** What the main thread gives a lane. */
export interface LaneSetup {
  readonly shared: SharedArrayBuffer;
  readonly tables: TableImage;
  /** Pieces of the core's memory to start from: capture state, interfaces, reason texts. */
  readonly memory: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  readonly output: {
    readonly format: number;
    readonly dropsFormat: number;
    readonly unitsPerSecond: number;
    readonly baseSeconds: number;
  };
  readonly files: LaneFiles;
  /** Offset of the first packet in the file. */
  readonly first: number;
  /** Where the counters go, from `at` in the core's memory. */
  readonly counters: { readonly at: number; readonly bytes: Uint8Array };
}

function run(
  core: Core,
  { tables, memory, output, files, first, counters }: LaneSetup,
  shared: Shared,
): void {
  adoptImage(core, tables);
  for (const { at, bytes } of memory) core.bytes.set(bytes, at);
  core.exports.setOutput(output.format, output.dropsFormat, output.unitsPerSecond, output.baseSeconds);
  while (runPiece(core, shared, files, first));
  const counted = core.bytes.subarray(counters.at, counters.at + counters.bytes.length);
  for (const [from, to] of usedPieces(counted)) counters.bytes.set(counted.subarray(from, to), from);
}

function obey(core: Core, setup: LaneSetup): void {
  const shared = new Shared(setup.shared);
  if (!shared.begin()) return;
  try {
    run(core, setup, shared);
  } catch (error) {
    const { message } = error as Error;
    shared.fail(error instanceof ReplayError ? message : `the second core stopped: ${message}`);
  } finally {
    shared.finish();
  }
}

/**
 * Runs packets of nobody's, so that the engine compiles the core's optimised form, which all threads of the process
 * share, while the main thread still loads the intent. Nothing of it is left but the code.
 */
function warmUp({ exports, words }: Core): void {
  const set = (at: number, value: number): void => {
    words[at >>> 2] = value;
  };
  set(abi.CAPTURES + abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
  set(abi.CAPTURES + abi.CAPTURE_INTERFACES, abi.INTERFACES);
  for (let at = abi.INPUT; at < abi.INPUT + WARM_UP_BYTES; at += 16 + WARM_UP_FRAME_BYTES) {
    set(at + 8, WARM_UP_FRAME_BYTES);
    set(at + 12, WARM_UP_FRAME_BYTES);
  }
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    set(abi.CAPTURES + abi.CAPTURE_AT, abi.INPUT);
    set(abi.CAPTURES + abi.CAPTURE_END, abi.INPUT + WARM_UP_BYTES);
    exports.runCaptures(1, 0xffffffff);
  }
  exports.resetCaptures();
  exports.resetCounters();
}

const core = Core.load();
warmUp(core);
parentPort!.once("message", (setup: LaneSetup) => obey(core, setup));
