/**
 * The second lane of a replay (lane.ts) as a worker thread: a core of its own with the main one's tables, capture
 * state and outputs. It ends when all lanes have stopped, and leaves its counters in shared memory.
 */
import { workerData } from "node:worker_threads";
import { adoptImage, Core, type TableImage } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { type LaneFiles, runLane, Shared } from "./lane.ts";

/** What the main thread gives a lane. */
export interface LaneSetup {
  readonly shared: SharedArrayBuffer;
  readonly tables: TableImage;
  /** Pieces of the core's memory to start from: capture state, interfaces, reason texts. */
  readonly memory: readonly { readonly at: number; readonly bytes: Uint8Array }[];
  readonly output: { readonly format: number; readonly dropsFormat: number; readonly unitsPerSecond: number };
  readonly files: LaneFiles;
  /** Where the counters go, from `at` in the core's memory. */
  readonly counters: { readonly at: number; readonly bytes: Uint8Array };
}

function run({ tables, memory, output, files, counters }: LaneSetup, shared: Shared): void {
  const core = Core.load();
  adoptImage(core, tables);
  for (const { at, bytes } of memory) core.bytes.set(bytes, at);
  core.exports.setOutput(output.format, output.dropsFormat, output.unitsPerSecond);
  runLane(core, shared, files, () => {});
  counters.bytes.set(core.bytes.subarray(counters.at, counters.at + counters.bytes.length));
}

const setup = workerData as LaneSetup;
const shared = new Shared(setup.shared);
if (shared.begin()) {
  try {
    run(setup, shared);
  } catch (error) {
    const { message } = error as Error;
    shared.fail(error instanceof ReplayError ? message : `the second core stopped: ${message}`);
  } finally {
    shared.finish();
  }
}
