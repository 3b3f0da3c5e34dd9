/** The replay room's only door. */

export { Against, type AgainstResult, type Difference, type FlowAt } from "./against.ts";
export { type SecondCore, startSecondCore } from "./ahead.ts";
export { ReplayError } from "./errors.ts";
export { type CapturedFrame, readFrames } from "./frames.ts";
export type { Damage } from "./input.ts";
export { PortNames, parseCaptureArgument } from "./ports.ts";
export { type Progress, type ReplayOptions, type ReplayResult, replay } from "./replay.ts";
