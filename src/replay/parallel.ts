/**
 * Runs the front part of a large capture on two cores (parallel-worker.ts), as far as it consists of whole,
 * valid packets; the ordinary replay runs the rest. For one capture in a plain file, with outputs that are
 * plain files too.
 */
import { existsSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import * as abi from "../../assembly/abi.ts";
import { type Core, imageOf } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import type { Interruption } from "./interruption.ts";
import { type Position, runChunk, Shared, usedPages, type WorkerFiles } from "./parallel-worker.ts";
import type { WorkerSetup } from "./worker-thread.ts";

/** Smaller captures are faster on one core: starting a second one takes as long as replaying 50 MB. */
export const MIN_BYTES = 64 * 1024 * 1024;

/** The thread of the second worker, from its start to its only message. */
export class SecondCore {
  readonly #worker: Worker;

  constructor() {
    this.#worker = new Worker(workerFile());
    // The only error is that the thread could not start: then the main thread runs all chunks.
    this.#worker.on("error", () => {});
    // The process may end before the thread does, whether it got work or not.
    this.#worker.unref();
  }

  begin(setup: WorkerSetup): void {
    this.#worker.postMessage(setup);
  }
}

/** The options that decide whether a second core is started. */
export interface Plan {
  readonly captures: readonly string[];
  readonly threads?: number | undefined;
  readonly count?: number | undefined;
}

/**
 * Starts the second core if the options allow for it, so that it is ready when the intent is loaded; else
 * undefined. `replay` decides whether it is used; if not, it ends with the process.
 */
export function startSecondCore({ captures, threads, count }: Plan): SecondCore | undefined {
  const [capture, ...others] = captures;
  if (!mayUseTwo(threads) || count !== undefined || capture === undefined || others.length > 0)
    return undefined;
  const names = [capture, capture.slice(capture.indexOf("=") + 1)];
  return names.some(name => sizeOf(name) >= MIN_BYTES) ? new SecondCore() : undefined;
}

/** Whether two cores may be used; by default, whether the machine has two. */
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

export interface ParallelOptions {
  readonly core: Core;
  readonly second: SecondCore;
  readonly files: WorkerFiles;
  readonly output: WorkerSetup["output"];
  /** Address of the capture's interface records, and their number so far. */
  readonly interfaces: { readonly at: number; readonly count: number };
  /** File offset of the first packet. */
  readonly offset: number;
  /** Called after each chunk of this thread, with the bytes and frames that both threads have completed. */
  readonly onChunk: (bytes: number, frames: number) => void;
  readonly interruption: Interruption | undefined;
}

/** The worker's program: beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./replay-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/replay-worker.js", import.meta.url);
}

/**
 * Runs chunks on two cores until anything but whole, valid packets comes; returns where the ordinary replay
 * continues. Throws the errors of reading and writing.
 */
export async function runParallel(options: ParallelOptions): Promise<Position> {
  const { core, second, files, output } = options;
  const shared = new Shared();
  shared.start = { offset: options.offset, clock: 0n };
  const part = (at: number, length: number): { at: number; bytes: Uint8Array } => ({
    at,
    bytes: core.bytes.slice(at, at + length),
  });
  const counters = {
    at: abi.COUNTERS,
    bytes: new Uint8Array(new SharedArrayBuffer(abi.COUNTERS_END - abi.COUNTERS)),
  };
  const setup: WorkerSetup = {
    shared: shared.buffer,
    tables: imageOf(core),
    memory: [
      part(abi.CAPTURES, abi.CAPTURE_BYTES),
      part(options.interfaces.at, options.interfaces.count * abi.INTERFACE_BYTES),
      part(abi.REASON_OPTIONS, abi.REASON_COUNT * abi.REASON_OPTIONS_BYTES),
    ],
    output,
    files,
    first: options.offset,
    counters,
  };
  second.begin(setup);
  try {
    while (runChunk(core, shared, files, options.offset)) {
      options.onChunk(shared.doneBytes, shared.doneFrames);
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

/** Adds a worker's counters to those of the core. */
function addCounters(core: Core, bytes: Uint8Array): void {
  const own = new BigUint64Array(core.bytes.buffer, abi.COUNTERS, bytes.length / 8);
  const longs = new BigUint64Array(bytes.buffer);
  for (const [from, to] of usedPages(bytes)) {
    for (let index = from / 8; index < to / 8; index++) own[index]! += longs[index]!;
  }
}
