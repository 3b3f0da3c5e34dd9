/** What talks to sockets, processes and files beside captures: the only entry point. */
export { removeWhole, StateError, writeWhole } from "./atomic-file.ts";
export { type Daemons, runProgram, SwitchError, startDaemons } from "./child-process.ts";
export { socketOf, watchPresence, watchSocket } from "./connection-watch.ts";
export { type LiveBridge, type LiveOptions, readLiveBridge } from "./dump-bridge.ts";
export type { PacketIn, PacketInReason } from "./openflow-messages.ts";
export { PrestartedProcess } from "./prestarted-process.ts";
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
