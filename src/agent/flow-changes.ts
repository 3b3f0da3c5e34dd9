/**
 * The diff: desired and observed flows in, the change set out. Pure; waits.ts decides when a change is
 * written.
 */

import { type FlowEntry, isSameEntry } from "./flow-entry.ts";

/** One flow that is written. `before`: the flow of ours in its place; null if there is none. */
export type Change =
  | { readonly op: "add"; readonly key: string; readonly entry: FlowEntry; readonly before: FlowEntry | null }
  | { readonly op: "delete"; readonly key: string; readonly before: FlowEntry };

/** Keys of the flows that are compared. */
export type Keys = ReadonlySet<string> | "all";
type Flows = ReadonlyMap<string, FlowEntry>;

function* allKeys(desired: Flows, observed: Flows): Generator<string> {
  yield* desired.keys();
  for (const key of observed.keys()) if (!desired.has(key)) yield key;
}

/** The changes after which the flows of these keys are as desired. */
export function diff(desired: Flows, observed: Flows, keys: Keys): Change[] {
  const changes: Change[] = [];
  for (const key of keys === "all" ? allKeys(desired, observed) : keys) {
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
