/**
 * The second worker of a replay (parallel-worker.ts) as a thread: a core of its own with the tables, capture state and
 * outputs of the main one. It is started before there is work and waits for one message with the setup. It ends when the
 * workers have stopped, and leaves its counters in shared memory.
 */
import { parentPort } from "node:worker_threads";
import * as abi from "../../assembly/abi.ts";
import { adoptImage, Core, type TableImage } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { runChunk, Shared, usedPages, type WorkerFiles } from "./parallel-worker.ts";

const WARM_UP_FRAME_BYTES = 64;
const WARM_UP_BYTES = 1000 * (16 + WARM_UP_FRAME_BYTES);
/** The engine optimizes the code after about 20,000 frames. */
const WARM_UP_ROUNDS = 40;

/** The message of the main thread. */
export interface WorkerSetup {
  readonly shared: SharedArrayBuffer;
  readonly tables: TableImage;
  /** Parts of the core's memory to copy: capture state, interfaces, reason texts. */
  readonly memory: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  readonly output: {
    readonly format: number;
    readonly dropsFormat: number;
    readonly unitsPerSecond: number;
    readonly baseSeconds: number;
  };
  readonly files: WorkerFiles;
  /** Offset of the first packet in the file. */
  readonly first: number;
  /** Shared memory for the counters, which begin at `at` in the core's memory. */
  readonly counters: { readonly at: number; readonly bytes: Uint8Array };
}

function run(
  core: Core,
  { tables, memory, output, files, first, counters }: WorkerSetup,
  shared: Shared,
): void {
  adoptImage(core, tables);
  for (const { at, bytes } of memory) core.bytes.set(bytes, at);
  core.exports.setOutput(output.format, output.dropsFormat, output.unitsPerSecond, output.baseSeconds);
  while (runChunk(core, shared, files, first));
  const counted = core.bytes.subarray(counters.at, counters.at + counters.bytes.length);
  for (const [from, to] of usedPages(counted)) counters.bytes.set(counted.subarray(from, to), from);
}

function work(core: Core, setup: WorkerSetup): void {
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
 * Runs packets of zeros, so that the engine optimizes the core's code, which all threads of the process share, while the
 * main thread still loads the intent. The captures and counters are reset afterwards.
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
parentPort!.once("message", (setup: WorkerSetup) => work(core, setup));
