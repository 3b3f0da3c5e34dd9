/** The live room's only door. */
export { PassingCapture } from "./capture.ts";
export { type Backend, type DeviceSpec, type PortArgument, parsePort } from "./device.ts";
export { LiveError } from "./errors.ts";
export { Live, type LiveOptions } from "./live.ts";
export type { PortState, Snapshot } from "./messages.ts";
export {
  Counter,
  Gauge,
  Histogram,
  Metrics,
  parseMetricsAddress,
  Registry,
  type Totals,
} from "./metrics.ts";
export type { Mirrored } from "./mirror.ts";
