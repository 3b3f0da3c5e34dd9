/**
 * Writes change sets to the bridge as one bundle, or in halves if the switch rejects it, so that one bad flow
 * keeps no other one out. Beside foreign flows, the planned table is proved before a full reconciliation
 * writes it.
 */

import type { Audit } from "./audit.ts";
import type { Desired } from "./desired-state.ts";
import { type Change, groupsOf } from "./flow-changes.ts";
import type { FlowEntry } from "./flow-entry.ts";
import type { Observed } from "./observed-state.ts";
import { type Bridge, BridgeError } from "./ofctl-bridge.ts";
import { lineOf } from "./ofctl-text.ts";

/** Proves a planned table, ours and foreign flows as text; null: ours are not affected, else why they are. */
export type PlanCheck = (ours: string, foreign: string) => Promise<string | null>;

/** What became of a change set, filled while it is written. */
class Written {
  readonly done: Change[] = [];
  readonly failed: Change[] = [];
  readonly problems: string[] = [];
  /** Whether a write failed, so that the state of the switch is unknown. */
  isLost = false;

  fail(changes: readonly Change[], problem: string | null): this {
    for (const change of changes) this.failed.push(change);
    if (problem !== null) this.problems.push(problem);
    return this;
  }
}

export interface FlowWriterOptions {
  readonly bridge: Bridge;
  readonly audit: Audit;
  readonly desired: Desired;
  /** Null: plans are not proved. */
  readonly check: PlanCheck | null;
  /** Called with the keys of a bundle before and after it is written. */
  readonly onWrite: (changes: readonly Change[]) => void;
}

const REFUSED =
  "the plan is refused: with the foreign flows on the bridge, the table would differ (--force writes it)";

export class FlowWriter {
  readonly #options: FlowWriterOptions;
  #isRefused = false;

  constructor(options: FlowWriterOptions) {
    this.#options = options;
  }

  /** Whether the last plan was refused: then only a full reconciliation may write. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Writes; what is done is entered into `observed`. */
  async write(changes: readonly Change[], observed: Observed, isFull: boolean): Promise<Written> {
    const written = new Written();
    if (changes.length === 0) {
      if (isFull) this.#isRefused = false;
      return written;
    }
    if (this.#isRefused && !isFull) return written.fail(changes, null);
    const problem = isFull ? await this.#problemOf(changes, observed) : null;
    if (problem !== null) return written.fail(changes, problem);
    await this.#bundle(changes, isFull ? "reconcile" : "change", observed, written);
    return written;
  }

  async #problemOf(changes: readonly Change[], observed: Observed): Promise<string | null> {
    const { check } = this.#options;
    this.#isRefused = false;
    if (check === null || observed.foreign.size === 0) return null;
    const planned = new Map<string, FlowEntry>(observed.ours);
    for (const change of changes) {
      if (change.op === "delete") planned.delete(change.key);
      else planned.set(change.key, change.entry);
    }
    const textOf = (entries: Iterable<FlowEntry>): string =>
      Array.from(entries, entry => `${lineOf(entry)}\n`).join("");
    const problem = await check(textOf(planned.values()), textOf(observed.foreign.values()));
    this.#isRefused = problem !== null;
    return problem === null ? null : `${REFUSED}: ${problem}`;
  }

  async #bundle(
    changes: readonly Change[],
    cause: string,
    observed: Observed,
    written: Written,
  ): Promise<void> {
    const { bridge, audit, desired, onWrite } = this.#options;
    const number = audit.bundle(changes, cause);
    onWrite(changes);
    try {
      await bridge.write(changes, desired);
    } catch (error) {
      const { message } = error as Error;
      audit.ended(number, message);
      const groups = groupsOf(changes);
      if (!(error instanceof BridgeError && error.isRefusal) || groups.length === 1) {
        written.isLost = true;
        written.fail(changes, message);
        return;
      }
      const half = groups.length >> 1;
      for (const part of [groups.slice(0, half), groups.slice(half)])
        await this.#bundle(part.flat(), cause, observed, written);
      return;
    }
    audit.ended(number, null);
    // Again: a resync may have begun while the bundle was on its way.
    onWrite(changes);
    for (const change of changes) {
      if (change.op === "delete") observed.delete(change.key);
      else observed.set(change.entry);
      written.done.push(change);
    }
  }
}
