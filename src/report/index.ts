/** The report room's only door. */
export { type CheckReport, checkJson, checkText } from "./check.ts";
export { compileJson, type FlowReport, flowJson } from "./compile.ts";
export { type AgainstReport, type ReplayReport, replayJson, replayMarkdown, replayText } from "./replay.ts";
export { count, type Palette, palette, table } from "./text.ts";
export {
  type TraceEvent,
  type TraceReport,
  type TraceStep,
  traceErrorJson,
  traceJson,
  traceText,
} from "./trace.ts";
