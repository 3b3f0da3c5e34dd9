/**
 * Writes change sets to the bridge: as one bundle, and in halves if the switch rejects it, so that one bad
 * flow keeps no other one out. Where foreign flows share the bridge, the planned table is proved before a
 * full reconciliation writes it.
 */

import type { Audit } from "./audit.ts";
import type { Desired } from "./desired-state.ts";
import { apply, type Change, groupsOf } from "./flow-changes.ts";
import type { FlowEntry } from "./flow-entry.ts";
import type { Observed } from "./observed-state.ts";
import { type Bridge, BridgeError } from "./ofctl-bridge.ts";
import { lineOf } from "./ofctl-text.ts";

/** Proves a planned table, ours and foreign flows as text; null: ours are not affected, else why they are. */
export type PlanCheck = (ours: string, foreign: string) => Promise<string | null>;

/** What became of a change set. */
export interface Written {
  readonly done: readonly Change[];
  readonly failed: readonly Change[];
  readonly problems: readonly string[];
  /** Whether a write failed, so that the state of the switch is unknown. */
  readonly isLost: boolean;
}

const nothing = (failed: readonly Change[], problems: readonly string[] = [], isLost = false): Written => ({
  done: [],
  failed,
  problems,
  isLost,
});

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
    if (changes.length === 0) {
      if (isFull) this.#isRefused = false;
      return nothing([]);
    }
    if (this.#isRefused && !isFull) return nothing(changes);
    const problem = isFull ? await this.#problemOf(changes, observed) : null;
    if (problem !== null) return nothing(changes, [problem]);
    return this.#bundle(changes, isFull ? "reconcile" : "change", observed);
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

  async #bundle(changes: readonly Change[], cause: string, observed: Observed): Promise<Written> {
    const { bridge, audit, desired, onWrite } = this.#options;
    const number = audit.bundle(changes, cause);
    onWrite(changes);
    try {
      await bridge.write(changes, desired);
    } catch (error) {
      const { message } = error as Error;
      audit.ended(number, message);
      const groups = groupsOf(changes);
      if (!(error instanceof BridgeError && error.isRefusal) || groups.length === 1)
        return nothing(changes, [message], true);
      const half = groups.length >> 1;
      const first = await this.#bundle(groups.slice(0, half).flat(), cause, observed);
      const second = await this.#bundle(groups.slice(half).flat(), cause, observed);
      return {
        done: [...first.done, ...second.done],
        failed: [...first.failed, ...second.failed],
        problems: [...first.problems, ...second.problems],
        isLost: first.isLost || second.isLost,
      };
    }
    audit.ended(number, null);
    // Again: a resync may have begun while the bundle was on its way.
    onWrite(changes);
    apply(observed, changes);
    return { done: changes, failed: [], problems: [], isLost: false };
  }
}
