/** The live room's only door. */

export { type CaptureCounts, PassingCapture, parseSize } from "./capture.ts";
export { type Controlled, startControl } from "./control-api.ts";
export { ANY, type Backend, type DeviceSpec, type PortArgument, parsePort } from "./device.ts";
export { type Edited, Live, type LiveOptions } from "./live.ts";
export { startMetrics, type Totals } from "./metrics.ts";
export type { Mirrored } from "./mirror.ts";
export type { PortState, Snapshot } from "./thread-protocol.ts";
export { WatchedFile } from "./watched-file.ts";
