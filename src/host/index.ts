/** The only entry point of the host module: sockets, processes and files other than captures. */
export { removeWhole, StateError, writeWhole } from "./atomic-file.ts";
export { socketOf, watchPresence, watchSocket } from "./connection-watch.ts";
export { addressOf, type LiveBridge, type LiveOptions, readLiveBridge, SwitchError } from "./dump-bridge.ts";
export {
  echoReply,
  encodeMessage,
  HEADER_BYTES,
  hello,
  type Message,
  splitMessages,
  VERSION,
} from "./openflow-messages.ts";
export { PrestartedProcess } from "./prestarted-process.ts";
export {
  type Counter,
  type Gauge,
  type Histogram,
  MetricSet,
  type MetricsAddress,
  MetricsServer,
  parseMetricsAddress,
} from "./prometheus.ts";
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
} from "./unix-http.ts";
