/** The capture module's only entry point: formats read and written, link types, sources and sinks. */
export { type ByteSource, SourceError } from "./byte-source.ts";
export { FormatError, type Opening } from "./formats/capture-format.ts";
export { readOpening } from "./formats/index.ts";
export { ETHERNET, PCAP_HEADER_BYTES, pcapHeader } from "./formats/pcap.ts";
export { type InterfaceDescription, readHeaderBlock } from "./formats/pcapng.ts";
export {
  commentOption,
  directionOptions,
  pcapngHeader,
  pcapngPacket,
  pcapngPacketWith,
} from "./formats/pcapng-write.ts";
export { ioMessage } from "./io-message.ts";
export { linkTypeName } from "./link-types.ts";
export { identityOf, Sink, touchedBy } from "./sink.ts";
export { openSource } from "./source.ts";
