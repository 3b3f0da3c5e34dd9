/**
 * Freezing, as in ofproto-dpif-xlate: the steps that a pass keeps for the pass after recirculation.
 */
import { unrollStep } from "../../openflow/index.ts";
import { type Bound, type State, tableOf } from "./state.ts";

/**
 * Appends the steps from `index` on to `frozen`; an `unroll` step restores the table before steps that
 * depend on it.
 */
export function keepForLater(state: State, list: readonly Bound[], index: number): State {
  const frozen = [...state.frozen];
  let { frozenTable } = state;
  const table = tableOf(state);
  for (const bound of list.slice(index)) {
    const { step } = bound;
    if (step.freezing === "left out") continue;
    if (step.freezing === "with its table" && frozenTable !== table) {
      frozen.push({ step: unrollStep(table, step.line), slotValues: bound.slotValues });
      frozenTable = table;
    }
    frozen.push(bound);
  }
  return { ...state, frozen, frozenTable };
}
