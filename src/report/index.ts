/** The report room's only door. */
export { type CheckReport, checkJson, checkText } from "./check.ts";
export { compileJson, type FlowReport, flowJson } from "./compile.ts";
export { type Finding, type Findings, RULES } from "./finding.ts";
export { githubAnnotations } from "./github.ts";
export { junit } from "./junit.ts";
export { type LivePort, type LiveReport, liveJson, liveText } from "./live.ts";
export { html, markdown } from "./markdown.ts";
export { type AgainstReport, type ReplayReport, replayJson, replayMarkdown, replayText } from "./replay.ts";
export { sarif } from "./sarif.ts";
export { control, visible, visibleLine } from "./terminal.ts";
export { count, type Palette, palette, table } from "./text.ts";
export {
  type TraceEvent,
  type TraceReport,
  type TraceStep,
  traceErrorJson,
  traceJson,
  traceText,
} from "./trace.ts";
export {
  type CookiePair,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyDifference,
  type VerifyReport,
  type VerifySide,
  type VerifyStep,
  verifyFindings,
  verifyHeadline,
  verifyJson,
  verifyNdjson,
  verifyText,
} from "./verify.ts";
