/**
 * Freezing, as in ofproto-dpif-xlate: the steps that a pass keeps for the pass after recirculation.
 */
import type { Step } from "../../openflow/index.ts";
import { type Bound, type State, tableOf } from "./state.ts";

const SPEAKS_OF_TABLE: ReadonlySet<Step["do"]> = new Set([
  "output_field",
  "output_truncated",
  "group",
  "output",
  "controller",
  "dec_mpls_ttl",
  "dec_ttl",
  "resubmit",
]);

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
    if (step.do === "nothing" && !step.isFrozen) continue;
    const isOfTable = SPEAKS_OF_TABLE.has(step.do) && (step.do !== "resubmit" || step.table === null);
    if (isOfTable && frozenTable !== table) {
      const unroll: Step = { do: "unroll", table, line: step.line, needsReparse: true, inSet: null };
      frozen.push({ step: unroll, slotValues: bound.slotValues });
      frozenTable = table;
    }
    frozen.push(bound);
  }
  return { ...state, frozen, frozenTable };
}
