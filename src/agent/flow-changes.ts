/**
 * The diff: desired and observed flows in, the change set out. Pure; when a change may be written is decided
 * in waits.ts, and how it is spelt in ofctl-text.ts.
 */

import { type FlowEntry, isSameEntry } from "./flow-entry.ts";
import type { Observed } from "./observed-state.ts";

/** One flow that is written. `before`: the flow of ours in its place; null if there is none. */
export type Change =
  | { readonly op: "add"; readonly key: string; readonly entry: FlowEntry; readonly before: FlowEntry | null }
  | { readonly op: "delete"; readonly key: string; readonly before: FlowEntry };

/** The changes after which the flows of these keys are as desired. */
export function diff(
  desired: ReadonlyMap<string, FlowEntry>,
  observed: ReadonlyMap<string, FlowEntry>,
  keys: Iterable<string>,
): Change[] {
  const changes: Change[] = [];
  for (const key of keys) {
    const entry = desired.get(key);
    const before = observed.get(key) ?? null;
    if (entry !== undefined) {
      if (before === null || !isSameEntry(before, entry)) changes.push({ op: "add", key, entry, before });
    } else if (before !== null) changes.push({ op: "delete", key, before });
  }
  return changes;
}

/** The flow that a change is about. */
export const flowOf = (change: Change): FlowEntry => (change.op === "add" ? change.entry : change.before);

/** Changes that belong together: those of a VM, those of the pipeline; each route is a group of its own. */
export function groupsOf(changes: readonly Change[]): Change[][] {
  const groups = new Map<string, Change[]>();
  for (const change of changes) {
    const { kind, owner } = flowOf(change);
    const key = kind === "route" ? change.key : `${owner}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [change]);
    else group.push(change);
  }
  return [...groups.values()];
}

/** Enters changes that the switch accepted. */
export function apply(observed: Observed, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.op === "delete") observed.delete(change.key);
    else observed.set(change.entry);
  }
}
