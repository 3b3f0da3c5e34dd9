/** The report room's only door. */
export { type CheckReport, checkJson, checkText } from "./check.ts";
export { type ReplayReport, replayJson, replayMarkdown, replayText } from "./replay.ts";
export { count, type Palette, palette, table } from "./text.ts";
export { type TraceReport, traceErrorJson, traceJson, traceText } from "./trace.ts";
