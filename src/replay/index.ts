/** The replay room's only door. */

export { Against, type AgainstResult, type Difference, type FlowAt } from "./compare-flows.ts";
export { ReplayError } from "./errors.ts";
export type { Damage } from "./input.ts";
export { type SecondCore, startSecondCore } from "./parallel.ts";
export { PortNames, parseCaptureArgument } from "./ports.ts";
export { type Progress, type ReplayOptions, type ReplayResult, replay } from "./replay.ts";
export { type CapturedFrame, readFrames } from "./single-frames.ts";
