/**
 * The pipeline as data, intents compiled to its flows, and its flows recognized and explained: the only entry
 * point.
 */
export { Flows, KINDS_OF, pipelineFlows, routeFlow, vmFlows } from "./compile.ts";
export { matchedFlows, popped } from "./explain-match.ts";
export {
  actionsText,
  type FlowText,
  flowText,
  type Hypervisor,
  hypervisorOf,
  isSameFlow,
  type PipelineFlow,
  type PrintedFlow,
  printedMatchText,
  printFlow,
  ruleText,
} from "./flow.ts";
export { lowered, type Recognized, Recognizer, respell } from "./recognize.ts";
export {
  cookieOf,
  ownershipOf,
  PIPELINE_ROWS,
  PIPELINE_TABLES,
  type PipelineRow,
  type RowKind,
} from "./tables.ts";
