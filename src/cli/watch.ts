/**
 * `slash32 watch`: the verdict each time the flows of a bridge change, against a golden file. It is
 * level-triggered: an event, a restart of the switch, a new golden file or the interval only start a check,
 * which dumps the bridge and proves again if the dump is new. One check at a time; changes during a check
 * start the next one.
 */
import { statSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import { type Context, print, say } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { FlowMonitor } from "./flow-monitor.ts";
import { canMove, startWork } from "./second-thread.ts";
import { Interruption } from "./signals.ts";
import { type CheckInput, type CheckResult, check } from "./watch-check.ts";
import { serveMetrics, WatchMetrics } from "./watch-metrics.ts";

const INTERVAL_SECONDS = 10;
/** Changes come in groups: a check starts so long after the first event. */
const SETTLE_MS = 200;

const CODES = { equal: 0, different: 2, ambiguous: 2, unknown: 1 } as const;

export async function watch(context: Context, args: readonly string[]): Promise<number> {
  if (!canMove) return check(context);
  const where = context.text("metrics");
  const metrics = where === undefined ? null : new WatchMetrics();
  const served = metrics === null ? null : await serveMetrics(where!, metrics);
  if (served !== null && !context.isQuiet) say(`metrics at ${served.place}`);
  try {
    return await new Watcher(context, args, metrics).run();
  } finally {
    await served?.close();
  }
}

/** `--interval`: seconds, also with a fraction. Throws UsageError. */
function intervalOf(context: Context): number {
  const text = context.text("interval");
  if (text === undefined) return INTERVAL_SECONDS;
  const seconds = /^\d{1,6}(?:\.\d{1,3})?s?$/.test(text) ? Number.parseFloat(text) : 0;
  if (seconds > 0) return seconds;
  throw new UsageError(`--interval: "${text}" is not a valid time; expected seconds, as 10 or 0.5`);
}

class Watcher {
  readonly #metrics: WatchMetrics | null;
  readonly #context: Context;
  readonly #args: readonly string[];
  readonly #intervalMs: number;
  readonly #interruption = new Interruption();
  readonly #monitor: FlowMonitor | null;
  #worker: Worker | null = null;
  /** The dump that was judged last. */
  #judged: string | null = null;
  #golden = "";
  #code = 1;
  /** The error of the last check; it is printed when it is new. */
  #error: string | null = null;
  #isChanged = false;
  #wake: () => void = () => undefined;

  constructor(context: Context, args: readonly string[], metrics: WatchMetrics | null) {
    this.#metrics = metrics;
    this.#context = context;
    this.#args = args;
    this.#intervalMs = intervalOf(context) * 1000;
    const [database, protocols] = [context.text("db"), context.text("protocols")];
    const onChange = (): void => this.#note();
    this.#monitor = context.flag("once")
      ? null
      : new FlowMonitor({ bridge: context.text("bridge")!, database, protocols, onChange });
    this.#interruption.signal.addEventListener("abort", () => {
      void this.#worker?.terminate();
      this.#note();
    });
  }

  /** Runs until a signal, or once; gives the exit status of the last check. */
  async run(): Promise<number> {
    try {
      for (let isFirst = true; ; isFirst = false) {
        this.#monitor?.keep();
        this.#isChanged = false;
        const result = await this.#check();
        if (result !== null) this.#enter(result, isFirst);
        if (this.#monitor === null || this.#isStopped) return this.#code;
        await this.#nextChange();
        if (this.#isStopped) return this.#code;
      }
    } finally {
      this.#interruption.dispose();
      await this.#monitor?.close();
    }
  }

  get #isStopped(): boolean {
    return this.#interruption.name !== null;
  }

  /** Runs a check in a thread of its own; null if a signal ended it before there was a result. */
  async #check(): Promise<CheckResult | null> {
    const golden = stateOf(this.#context.text("golden")!);
    if (golden !== this.#golden) this.#judged = null;
    this.#golden = golden;
    const given: CheckInput = { judged: this.#judged };
    const worker = startWork("watch", this.#args, { given });
    this.#worker = worker;
    if (this.#isStopped) void worker.terminate();
    return new Promise((resolve, reject) => {
      let result: CheckResult | null = null;
      worker.on("message", (message: CheckResult) => {
        result = message;
        this.#metrics?.checked(message);
        // A result is printed next, and no signal cuts it off.
        this.#worker = null;
      });
      worker.on("error", reject);
      worker.on("exit", () => {
        this.#worker = null;
        if (result === null && !this.#isStopped) reject(new UserError("the check ended without a verdict"));
        else resolve(result);
      });
    });
  }

  #enter(result: CheckResult, isFirst: boolean): void {
    if (result.what === "same") return;
    if (result.what === "error") {
      const isFatal = this.#monitor === null || (isFirst && !result.isAway);
      if (isFatal) throw new UserError(result.message);
      this.#fail(result.message);
      return;
    }
    this.#error = null;
    this.#judged = result.fingerprint;
    this.#code = CODES[result.verdict];
  }

  /** A check that failed: nothing is known of the bridge until the next one. */
  #fail(message: string): void {
    this.#judged = null;
    this.#code = 1;
    if (message === this.#error) return;
    this.#error = message;
    const at = new Date().toISOString();
    if (this.#context.format === "text") say(`${at} ${message}; slash32 tries again`);
    else print(`${JSON.stringify({ type: "error", schema: 1, at, message })}\n`);
  }

  #note(): void {
    this.#isChanged = true;
    this.#wake();
  }

  /** Waits for a change or the interval; then for the changes that come with it. */
  async #nextChange(): Promise<void> {
    await this.#pause(this.#isChanged ? 0 : this.#intervalMs);
    if (this.#isChanged && !this.#isStopped) await this.#pause(SETTLE_MS);
  }

  /** Resolves after a time; a change ends only the longer wait, a signal both. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        if (milliseconds <= SETTLE_MS && !this.#isStopped) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Changes when the file does. */
function stateOf(path: string): string {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? "" : `${status.ino} ${status.size} ${status.mtimeMs}`;
}
