/** The capture room's only door. */
export {
  commentOption,
  directionOptions,
  ETHERNET,
  FormatError,
  type InterfaceDescription,
  type Opening,
  PCAP_HEADER_BYTES,
  pcapHeader,
  pcapngHeader,
  pcapngPacket,
  pcapngPacketWith,
  readHeaderBlock,
  readOpening,
} from "./format.ts";
export { ioMessage } from "./io-message.ts";
export { linkTypeName } from "./link-types.ts";
export { identityOf, Sink, SinkError, touchedBy } from "./sink.ts";
export { openSource, type Source } from "./source.ts";
export { SourceError } from "./source-error.ts";
