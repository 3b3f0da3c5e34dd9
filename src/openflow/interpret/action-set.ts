/**
 * The action set of OpenFlow 1.1 (ovs-actions(7), "Action sets"; ofpacts_execute_action_set() of
 * lib/ofp-actions.c): which of the steps written to it run at the end, and in which order. Buckets of groups
 * are action sets too. The last step of each part runs, all steps that change a field run, and of the parts
 * that end the set only the highest; without such an end nothing runs. An action set ignores all other steps,
 * although a bucket may hold them. The entries of actions/ state the part of each action.
 */
import { SET_END, SET_FIRST, type SetPart } from "../actions/index.ts";
import { PORT } from "../ast.ts";
import { KEY } from "../flow-key.ts";
import type { Step } from "./compile-actions.ts";

/** The list of steps that an action set, as it was written, stands for. */
export function orderActionSet(written: readonly Step[]): readonly Step[] {
  if (written.length === 0) return written;
  const lastOf = (part: SetPart): Step[] => written.filter(({ inSet }) => inSet === part).slice(-1);
  const end = SET_END.flatMap(lastOf);
  if (end.length === 0) return [];
  return [...SET_FIRST.flatMap(lastOf), ...written.filter(({ inSet }) => inSet === "change"), end.at(-1)!];
}

/** The action set of a packet, and the field actset_output of its key, which depends on it. */
export class ActionSet {
  /** The steps as they were written. */
  steps: Step[] = [];
  #hasGroup = false;

  /** actset_output is the port of the last output written, and is unset as soon as a group was. */
  write(steps: readonly Step[], flow: Uint32Array): void {
    for (const step of steps) {
      if (this.#hasGroup) break;
      if (step.do === "output") flow[KEY.actsetOutput] = step.port;
      if (step.do === "controller" && step.inSet !== null) flow[KEY.actsetOutput] = PORT.controller;
      if (step.do !== "group") continue;
      flow[KEY.actsetOutput] = PORT.unset;
      this.#hasGroup = true;
    }
    this.steps.push(...steps);
  }

  clear(flow: Uint32Array): void {
    this.steps = [];
    this.#hasGroup = false;
    flow[KEY.actsetOutput] = PORT.unset;
  }

  /** Empties the set and returns the steps that it stands for. */
  take(): readonly Step[] {
    const steps = orderActionSet(this.steps);
    this.steps = [];
    return steps;
  }
}
