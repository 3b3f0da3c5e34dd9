/**
 * Runs the front part of a large capture on two cores (lane.ts), as far as it consists of whole, good packets; what
 * comes behind is the ordinary replay's. For one capture in a plain file, and outputs that are plain files too.
 */
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import * as abi from "../../assembly/abi.ts";
import { type Core, imageOf } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { type LaneFiles, runLane, Shared } from "./lane.ts";
import type { LaneSetup } from "./worker.ts";

/** Below this a second core costs more than it gives: starting it takes as long as replaying 50 MB. */
export const MIN_BYTES = 64 * 1024 * 1024;

export interface AheadOptions {
  readonly core: Core;
  readonly files: LaneFiles;
  readonly output: LaneSetup["output"];
  /** Interfaces of the capture that are described so far. */
  readonly interfaceCount: number;
  /** Where the first packet begins in the file. */
  readonly offset: number;
  /** Called after each piece of this thread's with its bytes and frames. */
  readonly onPiece: (bytes: number, frames: number) => void;
}

/** Where the ordinary replay goes on: file offset, and timestamp of the packet before. */
export interface AheadResult {
  readonly offset: number;
  readonly clock: bigint;
}

/** The worker's program lies beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./replay-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/replay-worker.js", import.meta.url);
}

/** Runs pieces on two cores until something other than whole packets comes. Throws what reading and writing throw. */
export function runAhead(options: AheadOptions): AheadResult {
  const { core, files, output } = options;
  const shared = new Shared();
  shared.start = { offset: options.offset, clock: 0n };
  const piece = (at: number, length: number): { at: number; bytes: Uint8Array } => ({
    at,
    bytes: core.bytes.slice(at, at + length),
  });
  const counters = {
    at: abi.COUNTERS,
    bytes: new Uint8Array(new SharedArrayBuffer(abi.COUNTERS_END - abi.COUNTERS)),
  };
  const setup: LaneSetup = {
    shared: shared.buffer,
    tables: imageOf(core),
    memory: [
      piece(abi.CAPTURES, abi.CAPTURE_BYTES),
      piece(abi.INTERFACES, options.interfaceCount * abi.INTERFACE_BYTES),
      piece(abi.REASON_OPTIONS, abi.REASON_COUNT * abi.REASON_OPTIONS_BYTES),
    ],
    output,
    files,
    counters,
  };
  const worker = new Worker(workerFile(), { workerData: setup });
  // An error here is that the thread could not start: then the main lane does all the work.
  worker.on("error", () => {});
  try {
    runLane(core, shared, files, options.onPiece);
  } catch (error) {
    shared.fail((error as Error).message);
    shared.awaitFinish();
    throw error;
  }
  shared.awaitFinish();
  if (shared.failure !== null) throw new ReplayError(shared.failure);
  addCounters(core, counters.bytes);
  return shared.start;
}

/** Adds a lane's counters to the core's own; most of them are zero. */
function addCounters(core: Core, bytes: Uint8Array): void {
  const own = new BigUint64Array(core.bytes.buffer, abi.COUNTERS, bytes.length / 8);
  const words = new Uint32Array(bytes.buffer);
  const longs = new BigUint64Array(bytes.buffer);
  for (let index = 0; index < longs.length; index++) {
    if (words[2 * index] !== 0 || words[2 * index + 1] !== 0) own[index]! += longs[index]!;
  }
}
