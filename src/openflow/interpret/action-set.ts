/**
 * The action set of OpenFlow 1.1 (ovs-actions(7), "Action sets"): which of the steps written to it run at the end, and
 * in which order. Buckets of groups are action sets too. Of each kind the last one counts, all sets and moves stay, and
 * of what ends the list only the highest; without such an end nothing runs.
 */
import type { Step } from "./program.ts";

const FIRST: readonly Step["do"][] = [
  "pop_vlan",
  "pop_mpls",
  "push_mpls",
  "push_vlan",
  "dec_ttl",
  "dec_mpls_ttl",
];
const MIDDLE: readonly Step["do"][] = ["set", "move", "set_queue"];
/** The highest last. ct and ct_clear, which are never executed, come before all of them. */
const END: readonly Step["do"][] = ["resubmit", "output", "group"];

/** Steps of an action set whose place in its order is not modelled. */
export const isUndecided = (step: Step): boolean =>
  step.do === "unknown" || (step.do === "effect" && step.effect === "tracks");

/** Such a step as one that leaves the outcome open. */
export function undecided(step: Step): Step {
  if (step.do !== "effect") return step;
  return { do: "unknown", feature: `${step.name} in an action set`, line: step.line, needsReparse: true };
}

/** The list of steps that an action set, as it was written, stands for. */
export function orderActionSet(written: readonly Step[]): readonly Step[] {
  if (written.length === 0) return written;
  const unknown = written.find(isUndecided);
  if (unknown !== undefined) return [undecided(unknown)];
  const lastOf = (kind: Step["do"]): Step[] => written.filter(step => step.do === kind).slice(-1);
  // CONTROLLER is an output: the later of the two counts.
  const outputs = written.filter(step => step.do === "output" || step.do === "controller").slice(-1);
  const end = END.flatMap(kind => (kind === "output" ? outputs : lastOf(kind)));
  if (end.length === 0) return [];
  const middle = written.filter(step => MIDDLE.includes(step.do));
  return [...FIRST.flatMap(lastOf), ...middle, end.at(-1)!];
}
