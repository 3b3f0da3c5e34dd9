/**
 * The agent: when a round is run, and what is asked of it. Events of the directory, of the routes and of whoever asks are
 * gathered for a few milliseconds and answered by one round; every few seconds, after a failure, and when the whole table
 * of routes was told, everything is looked at. Proofs run beside it, after quiet moments, and hold nobody up.
 */

import { UserError } from "../errors/index.ts";
import type { RouteSource } from "../bgp/index.ts";
import type { Path, Vm } from "../intent/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";
import { claimsOf, isStep, jumpMessage, type RefusalCode } from "./admission.ts";
import type { Log } from "./log.ts";
import { AgentMetrics } from "./metrics.ts";
import type { Bridge } from "./ofctl-bridge.ts";
import type { Prover } from "./proof-client.ts";
import { Proofs } from "./proofs.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Reconciler, RoundReport, Scope } from "./reconciler.ts";
import { formatVm, type VmDirectory } from "./vm-directory.ts";

export interface AgentOptions {
  readonly reconciler: Reconciler;
  readonly bridge: Bridge;
  readonly directory: VmDirectory;
  readonly quarantine: Quarantine;
  readonly routes: RouteSource | null;
  /** Null: nothing is proved. */
  readonly prover: Prover | null;
  readonly log: Log;
  /** Cookies of flows that are left out of proofs. */
  readonly ignoredCookies?: readonly bigint[];
  /** Seconds between looks at everything: 30. */
  readonly everySeconds?: number;
  /** How long changes of routes are gathered that follow another, and when they come by the hundred: 20 ms, 100 ms. */
  readonly batchMs?: number;
  readonly bulkMs?: number;
  /** How long nothing is written before the table is proved, and the least time between proofs: 1 s, 5 s. */
  readonly quietMs?: number;
  readonly proofGapMs?: number;
  /** How often a failed proof is logged again while it lasts: 5 minutes. */
  readonly remindMs?: number;
}

/** Why a request was not done. */
export class RequestError extends UserError {
  override readonly name = "RequestError";
  readonly code: RefusalCode | "not-found" | "bad-request";

  constructor(code: RequestError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A VM as it is told to whoever asks. */
export interface VmView {
  readonly id: number;
  readonly name: string;
  readonly port: string;
  readonly ofport: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** The path on which it is; that of its file stands in `wantedPath` when it is another. */
  readonly path: Path;
  readonly wantedPath?: Path;
  /** `in-step`: flows in, announced where it should be. */
  readonly state: "in-step" | "pending" | "refused";
  readonly reason?: string;
}

/** A VM that is wanted, and its file; null: it stands in the intent. */
type Listed = NonNullable<ReturnType<Reconciler["listed"]>>;

const WIDTH: Readonly<Record<Scope, number>> = { routes: 0, vms: 1, all: 2 };
const RETRY_MS = [250, 500, 1000, 2000, 5000];
/** How long events of the directory and of routes are gathered. */
const EVENT_MS = 1;
const BATCH_MS = 20;
const BULK_MS = 100;
/** Changes of routes in one round from which on a table is being told, and not routes one by one. */
const BULK_COUNT = 100;
const SHOWN = 5;
const REMIND_MS = 60_000;

/** Calls back within so many milliseconds; what is due now does not wait for the clock. Returns what calls it off. */
function soon(callback: () => void, withinMs: number): () => void {
  if (withinMs > 0) {
    const timer = setTimeout(callback, withinMs);
    return () => clearTimeout(timer);
  }
  const immediate = setImmediate(callback);
  return () => clearImmediate(immediate);
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #metrics = new AgentMetrics();
  #pending: Scope | null = null;
  #waiting: ((report: RoundReport) => void)[] = [];
  /** Calls off the round that is to begin. */
  #cancel: () => void = () => undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | null = null;
  #looking: Promise<void> = Promise.resolve();
  /** The last look with its round. */
  #lastLook: Promise<unknown> = Promise.resolve();
  /** A look that was asked for and has not begun. */
  #nextLook: Promise<RoundReport> | null = null;
  #isStopped = false;
  /** Whether the source of routes was lost at any time. */
  #wasLost = false;
  /** What VMs that are being created claim, until their round is over. */
  readonly #coming = new Map<string, Vm>();
  #failures = 0;
  #lastRoutesAt = Number.NEGATIVE_INFINITY;
  /** Changes of routes that the next round takes in, and that the last one did. */
  #changeCount = 0;
  #lastChangeCount = 0;
  readonly #proofs: Proofs;
  #lastReport: RoundReport | null = null;
  /** The last one that looked at the VM files, too. */
  #lastWide: RoundReport | null = null;
  /** When each problem was logged last. */
  readonly #told = new Map<string, number>();
  #doubles = "";
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(options: AgentOptions) {
    this.#options = options;
    const { prover, bridge, reconciler, log, ignoredCookies = [], quietMs, proofGapMs, remindMs } = options;
    this.#proofs = new Proofs({
      prover,
      bridge,
      reconciler,
      log,
      ignoredCookies,
      onVerdict: verdict => this.#metrics.proof(verdict),
      isRunning: () => this.#running !== null,
      ...(quietMs === undefined ? {} : { quietMs }),
      ...(proofGapMs === undefined ? {} : { gapMs: proofGapMs }),
      ...(remindMs === undefined ? {} : { remindMs }),
    });
  }

  /** Begins: the first look, then events. Resolves when the first round is over, whether all could be done or not. */
  async start(): Promise<RoundReport> {
    const { directory, routes, reconciler, everySeconds = 30, log } = this.#options;
    directory.watch(() => this.#ask("vms", EVENT_MS));
    const first = this.request("all", 0);
    routes?.watch(
      (changes, isComplete) => {
        const wasComplete = reconciler.fabric.isComplete;
        reconciler.fabric.apply(changes, isComplete);
        const isNews = isComplete && !wasComplete;
        if (isNews) log("info", "the table of routes is complete", { routes: reconciler.fabric.count });
        this.#ask("routes", this.#gatherMs(changes.length));
        // What happened meanwhile, nobody told.
        if (isNews && this.#wasLost) this.#ask("all", 0);
      },
      error => {
        log("warn", "routes were lost; those known stay", { error: error.message });
        this.#wasLost = true;
        reconciler.fabric.lose();
      },
    );
    this.#every("look", everySeconds * 1000);
    return first;
  }

  /**
   * Runs a round that begins after this call and within `withinMs`; resolves with what it did. A look at everything goes on
   * beside other rounds, and its round is the one that takes in what it found; before the first, all wait for it.
   */
  request(scope: Scope, withinMs = 0): Promise<RoundReport> {
    if (this.#isStopped) return Promise.reject(new Error("the agent is stopping"));
    if (scope === "all" && !this.#options.reconciler.needsLook) return this.#look();
    return this.#request(scope, withinMs);
  }

  /** Looks beside rounds; whoever asks while a look is on gets the next one. */
  #look(): Promise<RoundReport> {
    if (this.#nextLook !== null) return this.#nextLook;
    const look = this.#lastLook.then(async () => {
      this.#nextLook = null;
      if (!this.#isStopped) this.#looking = this.#options.reconciler.look();
      await this.#looking;
      return this.#request("all", 0);
    });
    this.#nextLook = look;
    this.#lastLook = look.catch(() => undefined);
    return look;
  }

  #request(scope: Scope, withinMs: number): Promise<RoundReport> {
    if (this.#isStopped) return Promise.reject(new Error("the agent is stopping"));
    if (this.#pending === null || WIDTH[scope] > WIDTH[this.#pending]) this.#pending = scope;
    const done = new Promise<RoundReport>(resolve => this.#waiting.push(resolve));
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

  /** Something around has changed: a next hop is another station, the routing daemon answers again. */
  nudge(): void {
    this.#ask("vms", EVENT_MS);
  }

  /** The switch went away, or is back with an empty table, most likely. */
  switchChanged(): void {
    this.#options.reconciler.forgetSwitch();
    this.#ask("all", 0);
  }

  /** Ends after the round that is running; flows and announcements stay as they are. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#options.directory.close();
    await this.#looking;
    await this.#running;
    await this.#options.routes?.close();
    await this.#proofs.close();
  }

  // ── What may be asked ───────────────────────────────────────────────────────────────────────────────────────────

  list(): VmView[] {
    return this.#options.reconciler.listing.map(listed => this.#view(listed));
  }

  view(id: number): VmView | null {
    const listed = this.#options.reconciler.listed(id);
    return listed === null ? null : this.#view(listed);
  }

  /** Has a VM created. The same VM again is no error; another one under the same id is. */
  async create(vm: Vm): Promise<VmView> {
    const { reconciler } = this.#options;
    await this.ready();
    const listed = reconciler.listed(vm.id);
    if (listed !== null && formatVm({ ...listed.vm, path: vm.path }) !== formatVm(vm))
      throw new RequestError("conflict", `VM ${vm.id} is there and is another; destroy it first`);
    if (listed !== null && listed.vm.path !== vm.path)
      throw new RequestError(
        "conflict",
        `VM ${vm.id} is on ${listed.vm.path}; a path is changed by its own request`,
      );
    if (listed === null) {
      const refusal = reconciler.wouldRefuse(vm);
      if (refusal !== null) throw new RequestError(refusal.code, refusal.message);
      await this.#bring(vm);
    } else if (!reconciler.isInStep(vm.id)) {
      // Asked again while its round goes on: that is waited for, too.
      await this.request("vms");
    }
    return this.view(vm.id)!;
  }

  /** Writes a new VM down and waits for its round; two that want the same at once are told from each other here. */
  async #bring(vm: Vm): Promise<void> {
    const claims = claimsOf(vm);
    const text = formatVm(vm);
    for (const claim of claims) {
      const rival = this.#coming.get(claim);
      if (rival !== undefined && formatVm(rival) !== text)
        throw new RequestError("conflict", `${claim} is asked for as VM ${rival.id}'s at this moment`);
    }
    for (const claim of claims) this.#coming.set(claim, vm);
    try {
      this.#options.directory.put(vm);
      await this.request("vms");
    } finally {
      for (const claim of claims) if (this.#coming.get(claim) === vm) this.#coming.delete(claim);
    }
  }

  /** Has a VM destroyed; one that is not there is no error. */
  async destroy(id: number): Promise<void> {
    const { reconciler, directory } = this.#options;
    await this.ready();
    const listed = reconciler.listed(id);
    if (listed === null && !reconciler.isHeld(id)) return;
    if (listed !== null && listed.file === null)
      throw new RequestError("conflict", `VM ${id} stands in the intent itself`);
    reconciler.release(id);
    directory.remove(id);
    await this.request("vms");
  }

  /** Has a VM take one step of a migration, forwards or back. */
  async setPath(id: number, path: Path): Promise<VmView> {
    const { reconciler, directory } = this.#options;
    await this.ready();
    const listed = reconciler.listed(id);
    if (listed === null) throw new RequestError("not-found", `there is no VM ${id}`);
    if (listed.file === null) throw new RequestError("conflict", `VM ${id} stands in the intent itself`);
    const from = reconciler.installed?.summaryOf(id).path ?? listed.vm.path;
    if (!isStep(from, path)) throw new RequestError("jump", jumpMessage(from, path));
    if (listed.vm.path !== path) {
      directory.put({ ...listed.vm, path }, listed.file);
      await this.request("vms");
    }
    return this.view(id)!;
  }

  status(): Readonly<Record<string, unknown>> {
    const { reconciler, quarantine } = this.#options;
    const { fabric } = reconciler;
    return {
      inStep: this.#isInStep(),
      problems: this.#lastReport === null ? ["nothing was looked at yet"] : this.#problems(),
      vms: reconciler.wanted.vms.size,
      refused: reconciler.refusals.map(({ id, file, code, message }) => ({ id, file, code, message })),
      unreadable: [...reconciler.unreadable.values()],
      announced: reconciler.announced?.size ?? null,
      routes: {
        count: fabric.count,
        complete: fabric.isComplete,
        unresolved: [...reconciler.wanted.unresolved.values()],
        rejected: Object.fromEntries(fabric.rejected),
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

  metrics(): Promise<string> {
    const { reconciler, quarantine } = this.#options;
    return this.#metrics.text({
      vms: reconciler.wanted.vms.size,
      refused: reconciler.refusals.length,
      announced: reconciler.announced?.size ?? 0,
      routes: reconciler.fabric.count,
      unresolved: reconciler.wanted.unresolved.size,
      quarantined: quarantine.entries.length,
      doubleOwners: reconciler.doubleOwners().length,
      isInStep: this.#isInStep(),
      isFabricComplete: reconciler.fabric.isComplete,
      isProofFailed: this.#proofs.problem !== null,
    });
  }

  /** What the last rounds could not do, and why the last proof failed. */
  #problems(): string[] {
    const { problem } = this.#proofs;
    const ofRounds = [...(this.#lastWide?.problems ?? []), ...(this.#lastReport?.problems ?? [])];
    return [...new Set([...ofRounds, ...(problem === null ? [] : [problem])])];
  }

  #isInStep(): boolean {
    const { lingersUntil } = this.#options.reconciler;
    return this.#lastReport !== null && this.#problems().length === 0 && lingersUntil === null;
  }

  /** Waits for the first look: before it, nobody knows what is there. */
  async ready(): Promise<void> {
    const { reconciler } = this.#options;
    if (!reconciler.isReady) await this.request("all");
    if (!reconciler.isReady)
      throw new Error(`not ready: ${this.#lastReport?.problems[0] ?? "the switch was not read yet"}`);
  }

  #view({ vm, file }: Listed): VmView {
    const { reconciler } = this.#options;
    const taken = reconciler.wanted.vms.get(vm.id);
    const refusal = reconciler.refusals.find(refused => refused.id === vm.id && refused.file === file);
    const path = taken?.path ?? vm.path;
    return {
      id: vm.id,
      name: vm.name,
      port: vm.port,
      ofport: vm.ofport,
      mac: formatMac(vm.mac),
      addresses: vm.addresses.map(formatIpv4),
      path,
      ...(path === vm.path ? {} : { wantedPath: vm.path }),
      state: refusal !== undefined ? "refused" : reconciler.isInStep(vm.id) ? "in-step" : "pending",
      ...(refusal === undefined ? {} : { reason: refusal.message }),
    };
  }

  // ── Rounds ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** As `request`, for events that nobody waits for. */
  #ask(scope: Scope, withinMs: number): void {
    if (!this.#isStopped) void this.request(scope, withinMs).catch(() => undefined);
  }

  /**
   * A change of routes that comes by itself is done at once. When they come thick and fast, those of some time are one
   * round; more time while a table is told, since each round costs a write.
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
    this.#lastChangeCount = this.#changeCount;
    this.#changeCount = 0;
    const report = await this.#options.reconciler.round(scope);
    this.#lastReport = report;
    if (scope !== "routes" || report.isFull) this.#lastWide = report;
    this.#note(report);
    for (const resolve of waiting) resolve(report);
  }

  #note(report: RoundReport): void {
    const { log, quarantine } = this.#options;
    const {
      added,
      changed,
      removed,
      announced,
      withdrawn,
      problems,
      drifted,
      haveOthersWritten,
      milliseconds,
    } = report;
    this.#metrics.round(report);
    const writes = added + changed + removed;
    const fields = { added, changed, removed, announced, withdrawn, ms: Math.round(milliseconds) };
    if (writes + announced + withdrawn > 0) log("info", "written", fields);
    if (drifted.length > 0)
      log("warn", "others changed rows of ours", { count: drifted.length, rows: drifted.slice(0, SHOWN) });
    if (drifted.length > 0) void this.#proofs.showDrift();
    if (haveOthersWritten) log("info", "flows that are not ours have changed");
    this.#tell(problems);
    this.#noteDoubles();
    this.#proofs.noteRound(report);
    const { needsLook, needsList, lingersUntil } = this.#options.reconciler;
    this.#failures = needsLook || needsList ? this.#failures + 1 : 0;
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length) - 1]!;
    if (needsLook) this.#after("retry", wait, "all");
    else if (needsList) this.#after("retry", wait, "vms");
    if (lingersUntil !== null) this.#after("linger", Math.max(lingersUntil - Date.now(), 0) + 5, "routes");
    const next = quarantine.entries.reduce((least, { until }) => Math.min(least, until), Infinity);
    if (next !== Infinity) this.#after("quarantine", Math.max(next - Date.now(), 0) + 5, "vms");
  }

  /** Logs problems that are new, and again those that stay, every minute. */
  #tell(problems: readonly string[]): void {
    const now = performance.now();
    for (const [problem, at] of this.#told) if (now - at >= REMIND_MS) this.#told.delete(problem);
    for (const problem of problems.filter(text => !this.#told.has(text)).slice(0, SHOWN)) {
      this.#told.set(problem, now);
      this.#options.log("warn", problem);
    }
  }

  #noteDoubles(): void {
    const doubles = this.#options.reconciler.doubleOwners();
    const text = JSON.stringify(doubles);
    if (text !== this.#doubles && doubles.length > 0)
      this.#options.log("error", "somebody else announces addresses of VMs here", {
        owners: doubles.slice(0, SHOWN),
      });
    this.#doubles = text;
  }

  #after(name: string, milliseconds: number, scope: Scope): void {
    // The round that was running when the agent was stopped plans nothing any more: a timer would keep the process alive.
    if (this.#isStopped) return;
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(
      () => void this.request(scope).catch(() => undefined),
      Math.min(milliseconds, 2 ** 30),
    );
    this.#timers.set(name, timer);
  }

  #every(name: string, milliseconds: number): void {
    const again = (): void => {
      this.#ask("all", 0);
      this.#timers.set(name, setTimeout(again, milliseconds));
    };
    this.#timers.set(name, setTimeout(again, milliseconds));
  }
}
