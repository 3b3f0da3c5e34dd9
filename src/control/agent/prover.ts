/** The main thread's side of the proof thread: one question at a time, the next when the last was answered. */
import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { Question, Verdict } from "./proof-worker.ts";
import type { PlanJudge } from "./reconciler.ts";

/** The worker's program lies beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./proof-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../../build/proof-worker.js", import.meta.url);
}

export class Prover {
  #worker: Worker | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #id = 0;
  #isClosed = false;

  /** Proves that table `b` does what table `a` does. Rejects when the thread ends. */
  ask(a: string, b: string, maxSeconds: number): Promise<Verdict> {
    const answer = this.#last.then(() => this.#ask({ id: ++this.#id, a, b, maxSeconds }));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #ask(question: Question): Promise<Verdict> {
    if (this.#isClosed) return Promise.reject(new Error("the proof was given up"));
    this.#worker ??= new Worker(workerFile());
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        worker.removeAllListeners();
        worker.unref();
        settle();
      };
      worker.ref();
      worker.once("message", (verdict: Verdict) => end(() => resolve(verdict)));
      worker.once("error", error => {
        this.#worker = null;
        end(() => reject(error));
      });
      worker.once("exit", () => {
        this.#worker = null;
        end(() => reject(new Error("the proof was given up")));
      });
      worker.postMessage(question);
    });
  }
}

/**
 * Judges plans: our rows with everybody else's beside them must do what ours do alone. Flows with an ignored cookie are
 * left out. What cannot be told within `maxSeconds` is refused too.
 */
export function planJudge(prover: Prover, ignoredCookies: readonly bigint[], maxSeconds: number): PlanJudge {
  const ignored = ignoredCookies.map(cookie => `cookie=0x${cookie.toString(16)},`);
  return async (ours, foreign) => {
    const others = foreign.split("\n").filter(line => !ignored.some(text => line.startsWith(text)));
    if (others.every(line => line === "")) return null;
    const { verdict, witness } = await prover.ask(ours, ours + others.join("\n"), maxSeconds);
    return verdict === "equal" ? null : (witness ?? verdict);
  };
}
