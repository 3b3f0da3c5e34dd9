/** The pipeline as data, intents compiled to its flows, and its flows recognized and explained: the only entry point. */
export { Flows, flowText, ruleText } from "./compile.ts";
export { matchedFlows, popped } from "./explain-match.ts";
export {
  cookieOf,
  fill,
  KIND_BITS,
  PIPELINE_ROWS,
  PIPELINE_TABLES,
  type PipelineRow,
  PUSH,
  prefixText,
  Recognizer,
  type RowInstance,
  type RowKind,
  wordsOf,
} from "./tables.ts";
