/**
 * Runs the front part of a large capture on two cores (lane.ts), as far as it consists of whole, good packets; what
 * comes behind is the ordinary replay's. For one capture in a plain file, and outputs that are plain files too.
 */
import { existsSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import * as abi from "../../assembly/abi.ts";
import { type Core, imageOf } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { type LaneFiles, type Place, runPiece, Shared, usedPieces } from "./parallel-worker.ts";
import type { Interruption } from "./replay.ts";
import type { LaneSetup } from "./worker-thread.ts";

/** Below this a second core costs more than it gives: starting it takes as long as replaying 50 MB. */
export const MIN_BYTES = 64 * 1024 * 1024;

/** The thread of the second lane, from its start to its only message. */
export class SecondCore {
  readonly #worker: Worker;

  constructor() {
    this.#worker = new Worker(workerFile());
    // An error here is that the thread could not start: then the main lane does all the work.
    this.#worker.on("error", () => {});
    // Whether it got work or not, nobody waits for its end.
    this.#worker.unref();
  }

  begin(setup: LaneSetup): void {
    this.#worker.postMessage(setup);
  }
}

/** What decides whether a second core is started. */
export interface Plan {
  readonly captures: readonly string[];
  readonly threads?: number | undefined;
  readonly count?: number | undefined;
}

/**
 * Starts the second core for a plan that looks as if it will be used, so that it is there when the intent is loaded;
 * undefined for others. `replay` decides whether it is used; one that is not ends with the process.
 */
export function startSecondCore({ captures, threads, count }: Plan): SecondCore | undefined {
  const [capture, ...others] = captures;
  if (!mayUseTwo(threads) || count !== undefined || capture === undefined || others.length > 0)
    return undefined;
  const names = [capture, capture.slice(capture.indexOf("=") + 1)];
  return names.some(name => sizeOf(name) >= MIN_BYTES) ? new SecondCore() : undefined;
}

/** Whether two cores are allowed; without a word on it, whether there are two. */
export function mayUseTwo(threads: number = availableParallelism()): boolean {
  return threads >= 2;
}

function sizeOf(name: string): number {
  try {
    return statSync(name).size;
  } catch {
    return 0;
  }
}

export interface AheadOptions {
  readonly core: Core;
  readonly second: SecondCore;
  readonly files: LaneFiles;
  readonly output: LaneSetup["output"];
  /** Where the records of the capture's interfaces are, and how many are described so far. */
  readonly interfaces: { readonly at: number; readonly count: number };
  /** Where the first packet begins in the file. */
  readonly offset: number;
  /** Called after each piece of this thread's with the bytes and frames that all threads have done. */
  readonly onPiece: (bytes: number, frames: number) => void;
  readonly interruption: Interruption | undefined;
}

/** The worker's program lies beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./replay-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/replay-worker.js", import.meta.url);
}

/**
 * Runs pieces on two cores until something other than whole packets comes; gives where the ordinary replay goes on.
 * Throws what reading and writing throw.
 */
export async function runAhead(options: AheadOptions): Promise<Place> {
  const { core, second, files, output } = options;
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
      piece(options.interfaces.at, options.interfaces.count * abi.INTERFACE_BYTES),
      piece(abi.REASON_OPTIONS, abi.REASON_COUNT * abi.REASON_OPTIONS_BYTES),
    ],
    output,
    files,
    first: options.offset,
    counters,
  };
  second.begin(setup);
  try {
    while (runPiece(core, shared, files, options.offset)) {
      options.onPiece(shared.doneBytes, shared.doneFrames);
      await options.interruption?.turn();
      if (options.interruption?.signal.aborted) shared.stop();
    }
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

/** Adds a lane's counters to the core's own. */
function addCounters(core: Core, bytes: Uint8Array): void {
  const own = new BigUint64Array(core.bytes.buffer, abi.COUNTERS, bytes.length / 8);
  const longs = new BigUint64Array(bytes.buffer);
  for (const [from, to] of usedPieces(bytes)) {
    for (let index = from / 8; index < to / 8; index++) own[index]! += longs[index]!;
  }
}
