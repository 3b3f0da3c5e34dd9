/**
 * The agent: when it reconciles, and what it reports. Events that come within a few milliseconds share one
 * reconciliation; at intervals, after a failure and when the table of routes is complete, everything is
 * resynced. Proofs run beside that and delay nothing.
 */

import type { RouteChange, RouteSource } from "../bgp/index.ts";
import { AgentMetrics } from "./metrics.ts";
import { type ProofOptions, Proofs } from "./proofs.ts";
import type { Quarantine } from "./quarantine.ts";
import { ReconcileQueue } from "./reconcile-queue.ts";
import type { ReconcileReport, Scope } from "./reconciler.ts";
import type { VmDirectory } from "./vm-directory.ts";
import { VmRequests } from "./vm-requests.ts";

export interface AgentOptions extends Omit<ProofOptions, "onVerdict" | "isRunning"> {
  readonly directory: VmDirectory;
  readonly quarantine: Quarantine;
  readonly routes: RouteSource | null;
  /** Seconds between resyncs: 30. */
  readonly everySeconds?: number;
  /** How long changes of routes are gathered, and when they come by the hundred: 20 ms, 100 ms. */
  readonly batchMs?: number;
  readonly bulkMs?: number;
}

const RETRY_MS = [250, 500, 1000, 2000, 5000];
/** How long events of the directory and of routes are gathered. */
const EVENT_MS = 1;
const BATCH_MS = 20;
const BULK_MS = 100;
/** So many changes of routes for one reconciliation are a table that is being sent, and not single routes. */
const BULK_COUNT = 100;
const SHOWN = 5;
const REMIND_MS = 60_000;
/** setTimeout takes 31 bits. */
const TIMER_MAX_MS = 2 ** 30;

export class Agent {
  readonly vms: VmRequests;
  readonly #options: AgentOptions;
  readonly #queue: ReconcileQueue;
  readonly #metrics = new AgentMetrics();
  readonly #proofs: Proofs;
  /** Whether the source of routes was lost at any time. */
  #wasLost = false;
  #failures = 0;
  #lastRoutesAt = Number.NEGATIVE_INFINITY;
  /** Changes of routes that the next reconciliation takes in, and that the last one did. */
  #changeCount = 0;
  #lastChangeCount = 0;
  #lastReport: ReconcileReport | null = null;
  /** The last one that read the VM files, too. */
  #lastWide: ReconcileReport | null = null;
  /** When each problem was logged last. */
  readonly #loggedAt = new Map<string, number>();
  #doubles = "";
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(options: AgentOptions) {
    this.#options = options;
    const { reconciler, directory } = options;
    this.#queue = new ReconcileQueue({
      reconcile: scope => {
        this.#lastChangeCount = this.#changeCount;
        this.#changeCount = 0;
        return reconciler.reconcile(scope);
      },
      resync: () => reconciler.resync(),
      needsResync: () => reconciler.needsResync,
      onReport: (report, scope) => this.#note(report, scope),
    });
    this.vms = new VmRequests({
      reconciler,
      directory,
      ready: () => this.ready(),
      reconcile: () => this.request("vms"),
    });
    this.#proofs = new Proofs({
      ...options,
      onVerdict: verdict => this.#metrics.proof(verdict),
      isRunning: () => this.#queue.isRunning,
    });
  }

  /** Starts: a full reconciliation, whose report it returns, then events. */
  async start(): Promise<ReconcileReport> {
    const { directory, routes, everySeconds = 30, log, reconciler } = this.#options;
    directory.watch(() => this.#queue.notify("vms", EVENT_MS));
    const first = this.request("all", 0);
    routes?.watch(
      (changes, isComplete) => this.#takeRoutes(changes, isComplete),
      error => {
        log("warn", "lost the routing daemon; kept the known routes", { error: error.message });
        this.#wasLost = true;
        reconciler.rib.lose();
      },
    );
    this.#timers.set(
      "resync",
      setInterval(() => this.#queue.notify("all", 0), everySeconds * 1000),
    );
    return first;
  }

  #takeRoutes(changes: readonly RouteChange[], isComplete: boolean): void {
    const { log, reconciler } = this.#options;
    const { rib } = reconciler;
    const isNews = isComplete && !rib.isComplete;
    rib.apply(changes, isComplete);
    if (isNews) log("info", "the table of routes is complete", { routes: rib.count });
    this.#queue.notify("routes", this.#gatherMs(changes.length));
    // No event reported what happened meanwhile.
    if (isNews && this.#wasLost) this.#queue.notify("all", 0);
  }

  /** Runs a reconciliation that begins after this call and within `withinMs`; resolves with its report. */
  request(scope: Scope, withinMs = 0): Promise<ReconcileReport> {
    return this.#queue.request(scope, withinMs);
  }

  /** A next hop has another MAC, or the routing daemon answers again. */
  nudge(): void {
    this.#queue.notify("vms", EVENT_MS);
  }

  /** The connection to the switch is lost, or back, most likely with an empty table. */
  switchChanged(): void {
    this.#options.reconciler.forgetSwitch();
    this.#queue.notify("all", 0);
  }

  /** Ends after the reconciliation that is running; flows and announcements stay as they are. */
  async stop(): Promise<void> {
    const stopped = this.#queue.stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#options.directory.close();
    await stopped;
    await this.#options.routes?.close();
    await this.#proofs.close();
  }

  /** Waits for the first dump and the first read of the files: before, the state is unknown. */
  async ready(): Promise<void> {
    const { reconciler } = this.#options;
    if (!reconciler.isReady) await this.request("all");
    if (!reconciler.isReady)
      throw new Error(
        `not ready: ${this.#lastReport?.problems[0] ?? "the first dump of the switch is not complete"}`,
      );
  }

  // ── Reports ──────────────────────────────────────────────────────────────────────────────────────────────

  /** The body of GET /v1/status. */
  status(): Readonly<Record<string, unknown>> {
    const { reconciler, quarantine } = this.#options;
    const { rib, vms, desired } = reconciler;
    return {
      inStep: this.#isInSync(),
      problems: this.#lastReport === null ? ["the first reconciliation is not complete"] : this.#problems(),
      vms: desired.vms.size,
      refused: vms.refusals.map(({ id, file, code, message }) => ({ id, file, code, message })),
      unreadable: [...vms.unreadable.values()],
      announced: reconciler.announced?.size ?? null,
      routes: {
        count: rib.count,
        complete: rib.isComplete,
        unresolved: [...desired.unresolved.values()],
        rejected: Object.fromEntries(rib.rejected),
      },
      quarantine: quarantine.entries.map(({ address, owner, until }) => ({
        address,
        owner,
        until: new Date(until).toISOString(),
      })),
      doubleOwners: reconciler.doubleOwners(),
      proof: this.#proofs.state,
    };
  }

  /** The body of GET /metrics. */
  metrics(): Promise<string> {
    const { reconciler, quarantine } = this.#options;
    return this.#metrics.text({
      vms: reconciler.desired.vms.size,
      refused: reconciler.vms.refusals.length,
      announced: reconciler.announced?.size ?? 0,
      routes: reconciler.rib.count,
      unresolved: reconciler.desired.unresolved.size,
      quarantined: quarantine.entries.length,
      doubleOwners: reconciler.doubleOwners().length,
      isInStep: this.#isInSync(),
      isFabricComplete: reconciler.rib.isComplete,
      isProofFailed: this.#proofs.problem !== null,
    });
  }

  /** The problems of the last reconciliations, and why the last proof failed. */
  #problems(): string[] {
    const { problem } = this.#proofs;
    const reported = [...(this.#lastWide?.problems ?? []), ...(this.#lastReport?.problems ?? [])];
    return [...new Set([...reported, ...(problem === null ? [] : [problem])])];
  }

  #isInSync(): boolean {
    const { lingersUntil } = this.#options.reconciler;
    return this.#lastReport !== null && this.#problems().length === 0 && lingersUntil === null;
  }

  // ── Events ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * How long to gather changes of routes: a single one not at all; those that follow each other share a
   * reconciliation, and wait longer while a table is sent, because each reconciliation costs a write.
   */
  #gatherMs(count: number): number {
    const { batchMs = BATCH_MS, bulkMs = BULK_MS } = this.#options;
    const now = performance.now();
    this.#changeCount += count;
    const isBulk = Math.max(this.#changeCount, this.#lastChangeCount) >= BULK_COUNT;
    const gatherMs = isBulk ? bulkMs : batchMs;
    const isAlone = now - this.#lastRoutesAt > gatherMs;
    this.#lastRoutesAt = now;
    return isAlone ? 0 : gatherMs;
  }

  #note(report: ReconcileReport, scope: Scope): void {
    this.#lastReport = report;
    if (scope !== "routes" || report.isFull) this.#lastWide = report;
    this.#metrics.reconciled(report);
    this.#logReport(report);
    this.#logProblems(report.problems);
    this.#logDoubleOwners();
    if (report.drifted.length > 0) void this.#proofs.showDrift();
    this.#proofs.noteReport(report);
    this.#planNext();
  }

  #logReport(report: ReconcileReport): void {
    const { log } = this.#options;
    const { added, changed, removed, announced, withdrawn, drifted } = report;
    const fields = { added, changed, removed, announced, withdrawn, ms: Math.round(report.milliseconds) };
    if (added + changed + removed + announced + withdrawn > 0) log("info", "written", fields);
    if (drifted.length > 0)
      log("warn", "another party changed flows of the agent", {
        count: drifted.length,
        rows: drifted.slice(0, SHOWN),
      });
    if (report.haveOthersWritten) log("info", "foreign flows have changed");
  }

  /** Logs problems that are new, and every minute those that last. */
  #logProblems(problems: readonly string[]): void {
    const now = performance.now();
    for (const [problem, at] of this.#loggedAt) if (now - at >= REMIND_MS) this.#loggedAt.delete(problem);
    for (const problem of problems.filter(text => !this.#loggedAt.has(text)).slice(0, SHOWN)) {
      this.#loggedAt.set(problem, now);
      this.#options.log("warn", problem);
    }
  }

  #logDoubleOwners(): void {
    const doubles = this.#options.reconciler.doubleOwners();
    const text = JSON.stringify(doubles);
    if (text !== this.#doubles && doubles.length > 0)
      this.#options.log("error", "another router announces addresses of local VMs", {
        owners: doubles.slice(0, SHOWN),
      });
    this.#doubles = text;
  }

  /** Plans what time alone makes due: a retry, the end of a linger time, the end of a quarantine. */
  #planNext(): void {
    const { reconciler, quarantine } = this.#options;
    const { needsResync, needsList, lingersUntil } = reconciler;
    this.#failures = needsResync || needsList ? this.#failures + 1 : 0;
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length) - 1]!;
    if (needsResync) this.#after("retry", wait, "all");
    else if (needsList) this.#after("retry", wait, "vms");
    if (lingersUntil !== null) this.#after("linger", Math.max(lingersUntil - Date.now(), 0) + 5, "routes");
    const next = quarantine.entries.reduce((least, { until }) => Math.min(least, until), Infinity);
    if (next !== Infinity) this.#after("quarantine", Math.max(next - Date.now(), 0) + 5, "vms");
  }

  #after(name: string, milliseconds: number, scope: Scope): void {
    // A reconciliation that ends after the stop plans nothing: a timer would keep the process alive.
    if (this.#queue.isStopped) return;
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(() => this.#queue.notify(scope, 0), Math.min(milliseconds, TIMER_MAX_MS));
    this.#timers.set(name, timer);
  }
}
