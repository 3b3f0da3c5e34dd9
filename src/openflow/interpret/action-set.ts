/**
 * The action set of OpenFlow 1.1 (ovs-actions(7), "Action sets"; ofpacts_execute_action_set() of lib/ofp-actions.c):
 * which of the steps written to it run at the end, and in which order. Buckets of groups are action sets too. The last
 * step of each part runs, all steps that change a field run, and of the parts that end the set only the highest; without
 * such an end nothing runs. An action set ignores all other steps, although a bucket may hold them. The entries of
 * actions/ state the part of each action.
 */
import { SET_END, SET_FIRST, type SetPart } from "../actions/index.ts";
import type { Step } from "./compile-actions.ts";

/** The list of steps that an action set, as it was written, stands for. */
export function orderActionSet(written: readonly Step[]): readonly Step[] {
  if (written.length === 0) return written;
  const lastOf = (part: SetPart): Step[] => written.filter(({ inSet }) => inSet === part).slice(-1);
  const end = SET_END.flatMap(lastOf);
  if (end.length === 0) return [];
  return [...SET_FIRST.flatMap(lastOf), ...written.filter(({ inSet }) => inSet === "change"), end.at(-1)!];
}
