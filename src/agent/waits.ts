/**
 * Which changes may be written now, and why the others wait. Each flow that is not as desired has one state,
 * until its key is compared again; one that waits on purpose keeps the flow that was installed when the wait
 * began.
 */

import { type Change, flowOf, type Keys } from "./flow-changes.ts";
import type { FlowEntry } from "./flow-entry.ts";
import { lineOf } from "./ofctl-text.ts";

/**
 * `drift`: another party changed the flow, and it is left so (--drift report). `foreign`: a foreign flow has
 * its place. `table`: a route is deleted once the table of routes is complete. `order`: a withdrawal, a next
 * hop's MAC or a VM's file comes first. `failed`: the last write failed, or was not attempted.
 */
export type Reason = "drift" | "foreign" | "table" | "order" | "failed";

interface Wait {
  readonly reason: Reason;
  /** The flow when the wait began; null: there was none. */
  readonly before: FlowEntry | null;
}

const isOnPurpose = (reason: Reason): boolean => reason === "table" || reason === "order";

export class Waits {
  readonly #waits = new Map<string, Wait>();

  /** Leaves a flow that another party changed as it is. */
  tolerate(key: string): void {
    this.#waits.set(key, { reason: "drift", before: null });
  }

  /** The desired flow of a key is another one now: drift is no longer left. */
  forget(key: string): void {
    if (this.#waits.get(key)?.reason === "drift") this.#waits.delete(key);
  }

  /** Drift counts from a new switch on. */
  forgetDrift(): void {
    for (const key of this.#waits.keys()) this.forget(key);
  }

  /** Whether the flow of a key is known to be as desired, or left on request. */
  isSettled(key: string): boolean {
    const reason = this.#waits.get(key)?.reason;
    return reason === undefined || reason === "drift";
  }

  /** Keys to compare again in each reconciliation. */
  *retries(isTableComplete: boolean): Generator<string> {
    for (const [key, { reason }] of this.#waits)
      if (reason !== "drift" && (reason !== "table" || isTableComplete)) yield key;
  }

  /** The lines of the flows that should be installed now: those that wait on purpose are as they were. */
  *expectedLines(desired: ReadonlyMap<string, FlowEntry>): Generator<string> {
    for (const entry of desired.values()) {
      const wait = this.#waits.get(entry.key);
      if (wait === undefined || !isOnPurpose(wait.reason)) yield lineOf(entry);
    }
    for (const { reason, before } of this.#waits.values())
      if (isOnPurpose(reason) && before !== null) yield lineOf(before);
  }

  /**
   * Takes the result of a comparison of these keys: `changes` are those that are not as desired. Returns the
   * changes that may be written now. `isVmUnit`: those of one VM are written together or not at all;
   * `reasonFor`: why a change must wait, null if it need not.
   */
  admit(
    compared: Keys,
    changes: readonly Change[],
    isVmUnit: boolean,
    reasonFor: (change: Change) => Reason | null,
  ): Change[] {
    const before = new Map<string, FlowEntry | null>();
    for (const { key } of changes) {
      const wait = this.#waits.get(key);
      if (wait !== undefined && isOnPurpose(wait.reason)) before.set(key, wait.before);
    }
    for (const key of compared === "all" ? [...this.#waits.keys()] : compared)
      if (!this.isSettled(key)) this.#waits.delete(key);
    const reasons = new Map<Change, Reason>();
    for (const change of changes) {
      const isDrift = this.#waits.get(change.key)?.reason === "drift";
      const reason = isDrift ? "drift" : reasonFor(change);
      if (reason !== null) reasons.set(change, reason);
    }
    if (reasons.size === 0) return [...changes];
    const vms = new Set([...reasons.keys()].map(change => flowOf(change).owner));
    const free: Change[] = [];
    for (const change of changes) {
      const { owner } = flowOf(change);
      const isHeld = isVmUnit && owner !== 0 && vms.has(owner);
      const reason = reasons.get(change) ?? (isHeld ? "order" : null);
      if (reason === null) free.push(change);
      else if (reason !== "drift") {
        const { key } = change;
        // As it was at first: what another party made of it since does not count.
        this.#waits.set(key, { reason, before: before.has(key) ? before.get(key)! : change.before });
      }
    }
    return free;
  }

  /** Changes that could not be written. */
  fail(changes: readonly Change[]): void {
    for (const { key, before } of changes) this.#waits.set(key, { reason: "failed", before });
  }
}
