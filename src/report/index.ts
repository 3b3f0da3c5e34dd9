/**
 * The entry point of the room of reports: pure functions from plain data to text, JSON, JUnit, SARIF,
 * Markdown, HTML.
 */
export { plural } from "./causes.ts";
export { type CheckReport, checkJson, checkText } from "./check.ts";
export { compileJson, type FlowReport, flowJson } from "./compile.ts";
export type { ShownOutput, ShownPacketIn } from "./ends.ts";
export type { Finding, Findings } from "./finding.ts";
export { githubAnnotations } from "./github.ts";
export { junit } from "./junit.ts";
export { type LivePort, type LiveReport, liveJson, liveText } from "./live.ts";
export { html, markdown } from "./markdown.ts";
export { type AgainstReport, type ReplayReport, replayJson, replayMarkdown, replayText } from "./replay.ts";
export { sarif } from "./sarif.ts";
export { control, visible, visibleLine } from "./terminal.ts";
export { count, type Palette, palette, table } from "./text.ts";
export {
  type TraceClause,
  type TraceEvent,
  type TraceReport,
  type TraceStep,
  traceErrorJson,
  traceJson,
  traceText,
} from "./trace.ts";
export {
  type Compared,
  type CookiePair,
  type LeftOut,
  placeText,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyDifference,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRow,
  type VerifyRows,
  type VerifySide,
  type VerifyStep,
} from "./verify.ts";
export { verifyFindings } from "./verify-findings.ts";
export { verifyJson, verifyNdjson } from "./verify-json.ts";
export { verifyText } from "./verify-text.ts";
