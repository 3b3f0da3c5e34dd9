/**
 * A command that computes without a pause runs in a second thread, so that this one sees signals meanwhile
 * (Node runs their handlers between two turns of its event loop only). The two share a few numbers: which
 * signal came, which the work looks at as it goes on, and whether there is anything yet that is worth the
 * wait for an answer.
 */
import { getHeapStatistics } from "node:v8";
import { isMainThread, parentPort, SHARE_ENV, Worker, workerData } from "node:worker_threads";
import { say } from "./context.ts";
import { Interruption } from "./signals.ts";

/** Words of the memory that both threads have. */
const STOP = 0;
const BEGUN = 1;
const WORDS = 2;

/** Whether a command may move to a second thread: this is the first one. */
export const canMove = isMainThread;

interface Shared {
  readonly stop?: Int32Array;
  /** What the first thread gives the work beside the words of the command line. */
  readonly given?: unknown;
}

const shared = (): Int32Array | undefined => (workerData as Shared | null)?.stop;

/** Called by the work in the second thread. */
export const work = {
  /** From here on an interruption gets an answer: what is known by then. */
  begin(): void {
    const words = shared();
    if (words !== undefined) Atomics.store(words, BEGUN, 1);
  },
  /** Whether a signal came. */
  isStopped(): boolean {
    const words = shared();
    return words !== undefined && Atomics.load(words, STOP) !== 0;
  },
  /** What the first thread gave. */
  given: <T>(): T => (workerData as Shared).given as T,
  /** Sends a result to the first thread, beside the exit status. */
  post(result: unknown): void {
    parentPort?.postMessage(result);
  },
};

/** Starts the program with these words in a second thread. */
export function startWork(name: string, args: readonly string[], shared: Shared): Worker {
  return new Worker(new URL("./slash32.js", import.meta.url), {
    argv: [name, ...args],
    env: SHARE_ENV,
    workerData: shared,
    resourceLimits: { maxOldGenerationSizeMb: Math.ceil(getHeapStatistics().heap_size_limit / 2 ** 20) },
  });
}

/** Runs the program with these words in a second thread; gives the exit status. */
export async function runInSecondThread(name: string, args: readonly string[]): Promise<number> {
  const words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
  const interruption = new Interruption();
  const worker = startWork(name, args, { stop: words });
  interruption.signal.addEventListener("abort", () => {
    Atomics.store(words, STOP, 1);
    if (Atomics.load(words, BEGUN) === 1) return;
    say("slash32: interrupted before there was a result");
    // The other thread may wait for standard input, and no thread can be ended in that: the signal itself
    // ends all.
    process.kill(process.pid, interruption.name!);
  });
  const code = await new Promise<number>((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", resolve);
  });
  interruption.dispose();
  return interruption.exitCode(code);
}
