/** The main thread's side of the proof thread: one request at a time. */
import { existsSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Ignored, NO_PORT_KINDS, type PortKinds } from "../verify/index.ts";
import type { PlanCheck } from "./flow-writer.ts";
import type { Question, Verdict } from "./proof-worker.ts";

/** The worker's program lies beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./proof-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/proof-worker.js", import.meta.url);
}

/** How many lines are put together before others have their turn: some milliseconds' worth. */
const SLICE = 2000;

type Lines = Iterable<string> | AsyncIterable<readonly string[]>;

/** Lines of flow text as bytes for the prover, put together a piece at a time. `isKept`: which lines are. */
export async function bytesOf(
  lines: Lines,
  isKept: (line: string) => boolean = () => true,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Buffer[] = [];
  const add = async (some: readonly string[]): Promise<void> => {
    pieces.push(Buffer.from(`${some.filter(isKept).join("\n")}\n`, "latin1"));
    await turn();
  };
  if (Symbol.asyncIterator in lines) for await (const some of lines) await add(some);
  else {
    let some: string[] = [];
    for (const line of lines) {
      if (some.push(line) < SLICE) continue;
      await add(some);
      some = [];
    }
    await add(some);
  }
  // Not of a pool: the whole buffer is transferred.
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

interface Asked {
  resolve(verdict: Verdict): void;
  reject(error: Error): void;
}

export interface ProverOptions {
  /** Parts of an outcome that are not compared: none. */
  readonly ignored?: ReadonlySet<Ignored>;
  /** Which ports are tunnels; nothing is known by default. */
  readonly portKinds?: () => Promise<PortKinds>;
}

export class Prover {
  readonly #options: ProverOptions;
  #worker: Worker | null = null;
  #asked: Asked | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #id = 0;
  #isClosed = false;

  constructor(options: ProverOptions = {}) {
    this.#options = options;
  }

  /** Proves that table `b` does what table `a` does. Takes both; rejects when the thread ends. */
  ask(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>, maxSeconds: number): Promise<Verdict> {
    const { ignored = new Set<Ignored>(), portKinds = async () => NO_PORT_KINDS } = this.#options;
    const answer = this.#last.then(async () =>
      this.#ask({ id: ++this.#id, a, b, maxSeconds, ignored, ports: await portKinds() }),
    );
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the thread and cancels its request. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#fail(new Error("the proof was cancelled"));
    await worker?.terminate();
  }

  #ask(question: Question): Promise<Verdict> {
    if (this.#isClosed) return Promise.reject(new Error("the proof was cancelled"));
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      worker.postMessage(question, [question.a.buffer, question.b.buffer]);
    });
  }

  #start(): Worker {
    const worker = new Worker(workerFile());
    worker.on("message", (verdict: Verdict) => {
      const asked = this.#asked;
      this.#asked = null;
      asked?.resolve(verdict);
    });
    worker.on("error", error => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("internal error: the proof thread ended")));
    return worker;
  }

  #fail(error: Error): void {
    const asked = this.#asked;
    this.#asked = null;
    this.#worker = null;
    asked?.reject(error);
  }
}

/**
 * Checks plans: the planned flows must do the same beside the foreign ones as alone. Flows with an ignored
 * cookie are left out. An undecided check is a refusal.
 */
export function planCheck(prover: Prover, ignoredCookies: readonly bigint[], maxSeconds: number): PlanCheck {
  const ignored = ignoredCookies.map(cookie => `cookie=0x${cookie.toString(16)},`);
  return async (ours, foreign) => {
    const others = foreign.split("\n").filter(line => !ignored.some(text => line.startsWith(text)));
    if (others.every(line => line === "")) return null;
    const [a, b] = [await bytesOf([ours]), await bytesOf([ours, ...others])];
    const { verdict, witness } = await prover.ask(a, b, maxSeconds);
    return verdict === "equal" ? null : (witness ?? verdict);
  };
}
