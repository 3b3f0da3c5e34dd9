/**
 * The queue of reconciliations: one at a time. Requests that wait for the next one share it; it has the
 * widest of their scopes and begins when the first is due. A resync runs beside it, and the one after takes
 * it in.
 */

import type { ReconcileReport, Scope } from "./reconciler.ts";

export interface QueueWork {
  reconcile(scope: Scope): Promise<ReconcileReport>;
  /** Reads everything beside reconciliations. */
  resync(): Promise<void>;
  /** Whether a reconciliation has to read everything by itself. */
  needsResync(): boolean;
  /** Called after each reconciliation, before its requests are answered. */
  onReport(report: ReconcileReport, scope: Scope): void;
}

const WIDTH: Readonly<Record<Scope, number>> = { routes: 0, vms: 1, all: 2 };
const STOPPING = "the agent is stopping";

/** Calls back within a time, or at once without a timer. Returns a function that cancels it. */
function soon(callback: () => void, withinMs: number): () => void {
  if (withinMs > 0) {
    const timer = setTimeout(callback, withinMs);
    return () => clearTimeout(timer);
  }
  const immediate = setImmediate(callback);
  return () => clearImmediate(immediate);
}

export class ReconcileQueue {
  readonly #work: QueueWork;
  #pending: Scope | null = null;
  #waiting: ((report: ReconcileReport) => void)[] = [];
  #dueAt = Number.POSITIVE_INFINITY;
  /** Cancels the start of the next reconciliation. */
  #cancel: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #resyncing: Promise<void> = Promise.resolve();
  /** The last resync with its reconciliation. */
  #lastResync: Promise<unknown> = Promise.resolve();
  /** A resync that was requested and has not begun. */
  #nextResync: Promise<ReconcileReport> | null = null;
  #isStopped = false;

  constructor(work: QueueWork) {
    this.#work = work;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * Runs a reconciliation that begins after this call and within `withinMs`; resolves with its report. With
   * scope `all` a resync comes first, unless the state of the switch is unknown.
   */
  request(scope: Scope, withinMs = 0): Promise<ReconcileReport> {
    if (this.#isStopped) return Promise.reject(new Error(STOPPING));
    return scope === "all" && !this.#work.needsResync() ? this.#resync() : this.#enqueue(scope, withinMs);
  }

  /** As `request`, for events that nobody waits for. */
  notify(scope: Scope, withinMs: number): void {
    if (!this.#isStopped) void this.request(scope, withinMs).catch(() => undefined);
  }

  /** Ends after the reconciliation that is running. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#resyncing;
    await this.#running;
  }

  /** Requests that come while a resync runs get the next one. */
  #resync(): Promise<ReconcileReport> {
    if (this.#nextResync !== null) return this.#nextResync;
    const resync = this.#lastResync.then(async () => {
      this.#nextResync = null;
      if (!this.#isStopped) this.#resyncing = this.#work.resync();
      await this.#resyncing;
      return this.#enqueue("all", 0);
    });
    this.#nextResync = resync;
    this.#lastResync = resync.catch(() => undefined);
    return resync;
  }

  #enqueue(scope: Scope, withinMs: number): Promise<ReconcileReport> {
    if (this.#isStopped) return Promise.reject(new Error(STOPPING));
    if (this.#pending === null || WIDTH[scope] > WIDTH[this.#pending]) this.#pending = scope;
    const done = new Promise<ReconcileReport>(resolve => this.#waiting.push(resolve));
    const dueAt = performance.now() + withinMs;
    if (dueAt < this.#dueAt) {
      this.#dueAt = dueAt;
      if (this.#running === null) this.#schedule();
    }
    return done;
  }

  #schedule(): void {
    this.#cancel();
    this.#cancel = soon(() => this.#begin(), this.#dueAt - performance.now());
  }

  #begin(): void {
    if (this.#isStopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#pending !== null && !this.#isStopped) this.#schedule();
    });
  }

  async #run(): Promise<void> {
    const scope = this.#pending!;
    const waiting = this.#waiting;
    this.#pending = null;
    this.#waiting = [];
    this.#dueAt = Number.POSITIVE_INFINITY;
    const report = await this.#work.reconcile(scope);
    this.#work.onReport(report, scope);
    for (const resolve of waiting) resolve(report);
  }
}
