/**
 * Which steps a pass keeps for a later one that reads the packet anew.
 */
import { unrollStep } from "../../openflow/index.ts";
import { type Bound, type State, tableOf } from "./state.ts";

/** Keeps the steps from `index` on; those that speak of their table are led by the number of it. */
export function keepForLater(state: State, list: readonly Bound[], index: number): State {
  const frozen = [...state.frozen];
  let { frozenTable } = state;
  const table = tableOf(state);
  for (const bound of list.slice(index)) {
    const { step } = bound;
    if (step.freezing === "left out") continue;
    if (step.freezing === "with its table" && frozenTable !== table) {
      frozen.push({ step: unrollStep(table, step.line), source: bound.source });
      frozenTable = table;
    }
    frozen.push(bound);
  }
  return { ...state, frozen, frozenTable };
}
