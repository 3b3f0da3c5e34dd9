/** The capture room's only door. */
export {
  commentOptions,
  directionOptions,
  ETHERNET,
  FormatError,
  type InterfaceDescription,
  linkTypeName,
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
export { identityOf, Sink, SinkError, touchedBy } from "./sink.ts";
export { openSource, type Source, SourceError } from "./source.ts";
