/**
 * The action set of OpenFlow 1.1 (ovs-actions(7), "Action sets"): which of the steps written to it run at the end, and
 * in which order. Buckets of groups are action sets too. Of each kind the last one counts, all sets and moves stay, and
 * of what ends the list only the highest; without such an end nothing runs. Everything else is ignored, although a
 * bucket may hold it: controller() with arguments, clone, learn, note, an output that is cut or computed, the stack.
 * ofpacts_execute_action_set() of lib/ofp-actions.c.
 */
import type { Step } from "./compile-actions.ts";

/** What runs at most once, in this order. */
const FIRST = [
  "pop_vlan",
  "pop_mpls",
  "decap",
  "encap",
  "push_mpls",
  "push_vlan",
  "dec_ttl",
  "dec_mpls_ttl",
  "dec_nsh_ttl",
] as const;
/** What ends the list, the highest last. */
const END = ["ct", "ct_clear", "resubmit", "output", "group"] as const;

/** The part of an action set that an action belongs to; `change`: one of those that all run, in their order. */
export type SetPart = (typeof FIRST)[number] | "change" | (typeof END)[number];

/** The list of steps that an action set, as it was written, stands for. */
export function orderActionSet(written: readonly Step[]): readonly Step[] {
  if (written.length === 0) return written;
  const lastOf = (part: SetPart): Step[] => written.filter(({ inSet }) => inSet === part).slice(-1);
  const end = END.flatMap(lastOf);
  if (end.length === 0) return [];
  return [...FIRST.flatMap(lastOf), ...written.filter(({ inSet }) => inSet === "change"), end.at(-1)!];
}
