/**
 * When the installed table is proved, and what the last verdict means. After a quiet moment, the dump is
 * compared with the flows that should be installed now, including those that wait on purpose. A `different`
 * or `ambiguous` counts until a later `equal`; an undecided or pending proof changes nothing.
 */

import type { Log } from "./log.ts";
import type { Bridge } from "./ofctl-bridge.ts";
import { bytesOf, type Prover } from "./proof-client.ts";
import type { ReconcileReport, Reconciler } from "./reconciler.ts";

export interface ProofOptions {
  /** Null: nothing is proved. */
  readonly prover: Prover | null;
  readonly bridge: Bridge;
  readonly reconciler: Reconciler;
  readonly log: Log;
  /** Called with each verdict. */
  readonly onVerdict: (verdict: string) => void;
  /** Whether a reconciliation is running: a dump may have half of what it writes. */
  readonly isRunning: () => boolean;
  /** Cookies of flows that are left out of proofs. */
  readonly ignoredCookies?: readonly bigint[];
  /** How long nothing is written before the table is proved, and the least time between proofs: 1 s, 5 s. */
  readonly quietMs?: number | undefined;
  readonly gapMs?: number | undefined;
  /** How long after a log line about a failed proof the next one follows while it lasts: 5 minutes. */
  readonly remindMs?: number | undefined;
}

/** The state of proofs as `/v1/status` shows it. */
export interface ProofState {
  /** False with --no-proof. */
  readonly enabled: boolean;
  /** A proof is planned or running: the verdict is that of an earlier table. */
  readonly pending: boolean;
  /** Of the last proof; null: there was none. */
  readonly verdict: string | null;
  readonly witness: string | null;
  /** Time of the last proof, ISO 8601; null: there was none. */
  readonly at: string | null;
  /** Why the last attempt gave no verdict; null: it gave one. */
  readonly error: string | null;
}

const PROOF_SECONDS = 60;
const QUIET_MS = 1000;
const GAP_MS = 5000;
const REMIND_MS = 300_000;

/** The verdicts by which a table is not as it should be. */
const FAILURES: Readonly<Record<string, string>> = {
  different: "the installed table does not do what the desired table does",
  ambiguous: "the result of the installed table depends on which flow was installed first",
};

export class Proofs {
  readonly #options: ProofOptions;
  #last: { verdict: string; witness: string | null; at: string } | null = null;
  /** The last proof that failed, until one holds. */
  #failure: { verdict: string; witness: string | null; at: string } | null = null;
  #error: string | null = null;
  #writes = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** Whether the table may have changed since it was proved last. */
  #isOwed = true;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #reminder: NodeJS.Timeout | undefined;

  constructor(options: ProofOptions) {
    this.#options = options;
  }

  get state(): ProofState {
    return {
      enabled: this.#options.prover !== null,
      pending: this.#options.prover !== null && this.#isOwed,
      verdict: this.#last?.verdict ?? null,
      witness: this.#last?.witness ?? null,
      at: this.#last?.at ?? null,
      error: this.#error,
    };
  }

  /** Why the table is wrong, in one line; null: no proof has failed since the last one that held. */
  get problem(): string | null {
    if (this.#failure === null) return null;
    const { verdict, witness, at } = this.#failure;
    const shown = witness === null ? "" : `: ${witness}`;
    return `${FAILURES[verdict]} (proof of ${at})${shown}`;
  }

  /** Plans a proof if a reconciliation has found or made a table that is not proved yet. */
  noteReport({ added, changed, removed, drifted, haveOthersWritten, isFull }: ReconcileReport): void {
    const writes = added + changed + removed;
    const isOther = writes > 0 || drifted.length > 0 || haveOthersWritten;
    this.#writes += writes;
    this.#isOwed ||= isOther;
    // A proof that is pending since the start, or failed because the switch was away, follows a resync.
    if (isOther || (isFull && this.#isOwed)) this.#plan();
  }

  /** Logs what the table did to frames while others had changed it, repaired meanwhile or not. */
  async showDrift(): Promise<void> {
    const { prover, reconciler, log } = this.#options;
    if (prover === null) return;
    try {
      const found = await bytesOf(reconciler.driftedLines(), this.#isProved());
      const expected = await bytesOf(reconciler.expectedLines());
      const { verdict, witness } = await prover.ask(expected, found, PROOF_SECONDS);
      log("warn", "effect of the changes that another party made", { verdict, witness });
    } catch (error) {
      if (!this.#isStopped) log("warn", "the proof failed", { error: (error as Error).message });
    }
  }

  async close(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#reminder);
    await this.#options.prover?.close();
  }

  #plan(): void {
    const { prover, quietMs = QUIET_MS, gapMs = GAP_MS } = this.#options;
    if (prover === null || this.#isStopped) return;
    const wait = Math.max(quietMs, this.#lastAt + gapMs - performance.now());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#prove(prover), wait);
  }

  async #prove(prover: Prover): Promise<void> {
    const { bridge, reconciler, log, isRunning } = this.#options;
    this.#lastAt = performance.now();
    const writes = this.#writes;
    try {
      const expected = await bytesOf(reconciler.expectedLines());
      const dump = await bytesOf(bridge.lines(), this.#isProved());
      const isCurrent = writes === this.#writes && !isRunning() && reconciler.lingersUntil === null;
      if (!isCurrent) return this.#plan();
      const { verdict, witness, seconds } = await prover.ask(expected, dump, PROOF_SECONDS);
      if (writes === this.#writes) this.#isOwed = false;
      this.#take(verdict, witness, seconds);
    } catch (error) {
      if (this.#isStopped) return;
      const { message } = error as Error;
      if (message !== this.#error) log("warn", "the proof failed", { error: message });
      this.#error = message;
    }
  }

  /** Takes a verdict: a change is logged at once, a state that lasts at intervals. */
  #take(verdict: string, witness: string | null, seconds: number): void {
    const { log, onVerdict } = this.#options;
    const before = this.#last?.verdict;
    const failedBefore = this.#failure?.verdict;
    this.#last = { verdict, witness, at: new Date().toISOString() };
    this.#error = null;
    onVerdict(verdict);
    if (verdict === "equal") {
      this.#failure = null;
      log("info", "the installed table equals the desired one", { seconds });
    } else if (verdict in FAILURES) {
      this.#failure = this.#last;
      if (verdict !== failedBefore) log("error", FAILURES[verdict]!, { verdict, witness });
    } else if (verdict !== before)
      log("warn", "cannot prove that the installed table equals the desired one", { verdict, witness });
    this.#remind(verdict !== failedBefore);
  }

  /** Logs a failure again and again while it lasts; from now on at its first moment. */
  #remind(isNew: boolean): void {
    if (this.#failure !== null && !isNew && this.#reminder !== undefined) return;
    clearTimeout(this.#reminder);
    this.#reminder = undefined;
    if (this.#failure === null || this.#isStopped) return;
    this.#reminder = setTimeout(() => {
      const { verdict, witness, at } = this.#failure!;
      this.#options.log("error", `still: ${FAILURES[verdict]!}`, { verdict, witness, since: at });
      this.#remind(true);
    }, this.#options.remindMs ?? REMIND_MS);
  }

  /** Which lines of a table are proved: all but those with an ignored cookie. */
  #isProved(): (line: string) => boolean {
    const ignored = (this.#options.ignoredCookies ?? []).map(cookie => `cookie=0x${cookie.toString(16)},`);
    return line => !ignored.some(text => line.includes(text));
  }
}
