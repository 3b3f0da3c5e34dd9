/**
 * Which steps a pass keeps for a later one that reads the packet anew, and which steps are themselves all that they do.
 */
import { PORT, type Step } from "../../openflow/index.ts";
import { type Bound, type State, tableOf } from "./state.ts";

/** Puts out by a port that a hash says, and leaves the packet alone. */
export const isOpaque = (step: Extract<Step, { do: "unknown" }>): boolean =>
  step.feature === "bundle" && step.text !== undefined;

/** Whether a step asks neither a table nor a group, so that its text says all it does. */
export function endsHere(step: Step): boolean {
  switch (step.do) {
    case "resubmit":
    case "group":
      return false;
    case "output":
      return step.port !== PORT.table;
    case "output_field":
      return false;
    case "clone":
    case "write_actions":
      return step.steps.every(endsHere);
    case "nothing":
      return step.outlives === null;
    case "unknown":
      return isOpaque(step);
    default:
      return true;
  }
}

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

/** Keeps the steps from `index` on; those that speak of their table are led by the number of it. */
export function keepForLater(state: State, list: readonly Bound[], index: number): State {
  const frozen = [...state.frozen];
  let { frozenTable } = state;
  const table = tableOf(state);
  for (const bound of list.slice(index)) {
    const { step } = bound;
    if (step.do === "nothing" && !step.isFrozen) continue;
    const isOfTable = SPEAKS_OF_TABLE.has(step.do) && (step.do !== "resubmit" || step.table === null);
    if (isOfTable && frozenTable !== table) {
      const unroll: Step = { do: "unroll", table, line: step.line, needsReparse: false, inSet: null };
      frozen.push({ step: unroll, source: bound.source });
      frozenTable = table;
    }
    frozen.push(bound);
  }
  return { ...state, frozen, frozenTable };
}
