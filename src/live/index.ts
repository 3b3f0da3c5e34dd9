/** The live room's only door. */
export { type CaptureCounts, PassingCapture, parseSize } from "./capture.ts";
export { type Controlled, startControl } from "./control.ts";
export { ANY, type Backend, type DeviceSpec, type PortArgument, parsePort } from "./device.ts";
export { LiveError } from "./errors.ts";
export {
  ask,
  type HttpAnswer,
  HttpError,
  type HttpRequest,
  harmlessJson,
  isAnswered,
  jsonAnswer,
  refusalOf,
  SocketError,
  UnixServer,
} from "./http.ts";
export { type Edited, Live, type LiveOptions } from "./live.ts";
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
export { WatchedFile } from "./watched-file.ts";
