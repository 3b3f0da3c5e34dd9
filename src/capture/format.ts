/**
 * What a capture file says about itself: the headers of pcap and pcapng, read and written. Packets are not touched
 * here (the core finds and writes them). Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */

/** Headers that something is wrong with; the message says what, and what would be right. */
export class FormatError extends Error {}

export const ETHERNET = 1;
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const OPT_END = 0;
const OPT_COMMENT = 1;
const EPB_FLAGS = 2;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;

export const PCAP_HEADER_BYTES = 24;

/** Names of link types that people meet, from the IANA registry of PCAP link types. */
const LINK_TYPES: ReadonlyMap<number, string> = new Map([
  [0, "NULL (BSD loopback)"],
  [1, "EN10MB (Ethernet)"],
  [6, "IEEE802_5 (token ring)"],
  [9, "PPP"],
  [10, "FDDI"],
  [12, "RAW (bare IP)"],
  [50, "PPP_HDLC"],
  [51, "PPP_ETHER"],
  [101, "RAW (bare IP)"],
  [104, "C_HDLC (Cisco HDLC)"],
  [105, "IEEE802_11 (Wi-Fi)"],
  [108, "LOOP (OpenBSD loopback)"],
  [113, "LINUX_SLL (Linux cooked, as from tcpdump -i any)"],
  [127, "IEEE802_11_RADIOTAP (Wi-Fi)"],
  [187, "BLUETOOTH_HCI_H4"],
  [189, "USB_LINUX"],
  [192, "PPI"],
  [195, "IEEE802_15_4_WITHFCS"],
  [220, "USB_LINUX_MMAPPED"],
  [227, "CAN_SOCKETCAN"],
  [228, "IPV4"],
  [229, "IPV6"],
  [239, "NFLOG"],
  [249, "USBPCAP"],
  [276, "LINUX_SLL2 (Linux cooked, as from tcpdump -i any)"],
]);

/** `113 LINUX_SLL …`, or the bare number. */
export function linkTypeName(linkType: number): string {
  const name = LINK_TYPES.get(linkType);
  return name === undefined ? String(linkType) : `${linkType} ${name}`;
}

/** What the first bytes of a capture say. */
export type Opening =
  | {
      readonly format: "pcap";
      readonly isSwapped: boolean;
      /** 6: timestamps in microseconds, 9: in nanoseconds. */
      readonly resolution: 6 | 9;
      readonly linkType: number;
    }
  | { readonly format: "pcapng" };

const PCAP_MAGICS: ReadonlyMap<number, { isSwapped: boolean; resolution: 6 | 9 }> = new Map([
  [0xa1b2c3d4, { isSwapped: false, resolution: 6 }],
  [0xd4c3b2a1, { isSwapped: true, resolution: 6 }],
  [0xa1b23c4d, { isSwapped: false, resolution: 9 }],
  [0x4d3cb2a1, { isSwapped: true, resolution: 9 }],
]);

/** Formats that are no pcap, by the number their first four bytes make. */
const STRANGERS: ReadonlyMap<number, string> = new Map([
  [0x34cdb2a1, "a pcap of Kuznetzov's modified format"],
  [0xa1b2cd34, "a pcap of Kuznetzov's modified format"],
  [0x6f6f6e73, "a snoop capture"],
  [0x04034b50, "a zip archive"],
  [0x587a37fd, "an xz file"],
  [0x184d2204, "an lz4 file"],
]);

/** Reads the beginning of a capture: at least 24 bytes, or all there are. Throws FormatError. */
export function readOpening(bytes: Uint8Array): Opening {
  if (bytes.length === 0) throw new FormatError("the file is empty; expected a pcap or pcapng capture");
  if (bytes.length < 4) {
    throw new FormatError(`${bytes.length} bytes are no capture; a pcap header has ${PCAP_HEADER_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0, true);
  if (magic === SECTION_HEADER) return { format: "pcapng" };
  const pcap = PCAP_MAGICS.get(magic);
  if (pcap === undefined) {
    const name = STRANGERS.get(magic);
    const first = [...bytes.subarray(0, 4)].map(byte => byte.toString(16).padStart(2, "0")).join(" ");
    const what = name === undefined ? `it begins with ${first}` : `it is ${name}`;
    throw new FormatError(`not a capture: ${what}; expected pcap (a1 b2 c3 d4 …) or pcapng (0a 0d 0d 0a)`);
  }
  if (bytes.length < PCAP_HEADER_BYTES) {
    throw new FormatError(`the pcap header is cut short: ${bytes.length} of ${PCAP_HEADER_BYTES} bytes`);
  }
  const major = view.getUint16(4, !pcap.isSwapped);
  if (major !== 2) throw new FormatError(`pcap version ${major} is unknown; expected 2.4`);
  // The upper bits hold the FCS length and are no part of the link type.
  return { format: "pcap", ...pcap, linkType: view.getUint32(20, !pcap.isSwapped) & 0xffff };
}

/** An interface description. */
export interface InterfaceDescription {
  readonly linkType: number;
  /** Bytes kept of a packet, 0 for all. */
  readonly snapBytes: number;
  readonly name: string | null;
  /** Timestamp units: 10^-n, or 2^-n when binary. */
  readonly resolution: { readonly exponent: number; readonly isBinary: boolean };
  /** Seconds to add to every timestamp. */
  readonly offsetSeconds: bigint;
}

/** A section header or interface description that the core found whole. */
export type HeaderBlock =
  | { readonly type: "section" }
  | ({ readonly type: "interface" } & InterfaceDescription);

/** Reads a section header or an interface description block. Throws FormatError. */
export function readHeaderBlock(block: Uint8Array, isSwapped: boolean): HeaderBlock {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  if (view.getUint32(0, true) === SECTION_HEADER) {
    if (block.length < 28)
      throw new FormatError(`a section header of ${block.length} bytes; it has at least 28`);
    const major = view.getUint16(12, !isSwapped);
    if (major !== 1) throw new FormatError(`pcapng version ${major} is unknown; expected 1.0`);
    // Nobody needs what they say, but they must lie inside their block.
    for (const _ of options(view, 24, block.length - 4, !isSwapped));
    return { type: "section" };
  }
  return { type: "interface", ...readInterface(block, view, !isSwapped) };
}

function readInterface(block: Uint8Array, view: DataView, isLittle: boolean): InterfaceDescription {
  if (block.length < 20) {
    throw new FormatError(`an interface description of ${block.length} bytes; it has at least 20`);
  }
  let name: string | null = null;
  let resolution = { exponent: 6, isBinary: false };
  let offsetSeconds = 0n;
  for (const [code, at, bytes] of options(view, 16, block.length - 4, isLittle)) {
    if (code === IF_NAME) name = new TextDecoder().decode(block.subarray(at, at + bytes)).replace(/\0+$/, "");
    if (code === IF_TSRESOL) {
      need(code, bytes, 1);
      const byte = view.getUint8(at);
      resolution = { exponent: byte & 0x7f, isBinary: (byte & 0x80) !== 0 };
    }
    if (code === IF_TSOFFSET) {
      need(code, bytes, 8);
      offsetSeconds = view.getBigInt64(at, isLittle);
    }
  }
  return {
    linkType: view.getUint16(8, isLittle),
    snapBytes: view.getUint32(12, isLittle),
    name,
    resolution,
    offsetSeconds,
  };
}

function need(code: number, bytes: number, wanted: number): void {
  if (bytes !== wanted) throw new FormatError(`option ${code} has ${bytes} bytes; it has ${wanted}`);
}

/** Code, address and length of each option between two offsets. Throws when one reaches past the end. */
function* options(
  view: DataView,
  first: number,
  end: number,
  isLittle: boolean,
): Generator<[number, number, number]> {
  let at = first;
  while (end - at >= 4) {
    const code = view.getUint16(at, isLittle);
    const bytes = view.getUint16(at + 2, isLittle);
    if (code === OPT_END) return;
    const padded = (bytes + 3) & ~3;
    if (at + 4 + padded > end) {
      throw new FormatError(`option ${code} of ${bytes} bytes reaches past the end of its block`);
    }
    yield [code, at + 4, bytes];
    at += 4 + padded;
  }
}

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A pcap file header, little-endian, Ethernet; resolution 6 or 9. */
export function pcapHeader(resolution: 6 | 9): Uint8Array {
  const header = new DataView(new ArrayBuffer(PCAP_HEADER_BYTES));
  header.setUint32(0, resolution === 9 ? 0xa1b23c4d : 0xa1b2c3d4, true);
  header.setUint16(4, 2, true);
  header.setUint16(6, 4, true);
  header.setUint32(16, 262_144, true);
  header.setUint32(20, ETHERNET, true);
  return new Uint8Array(header.buffer);
}

/** A pcapng section header and one Ethernet interface per name, in order; timestamps in 10^-resolution seconds. */
export function pcapngHeader(names: readonly string[], resolution: number): Uint8Array {
  const section = new DataView(new ArrayBuffer(16));
  section.setUint32(0, BYTE_ORDER_MAGIC, true);
  section.setUint16(4, 1, true);
  section.setBigInt64(8, -1n, true);
  const blocks = names.map(name => {
    const fixed = new DataView(new ArrayBuffer(8));
    fixed.setUint16(0, ETHERNET, true);
    const body = [
      new Uint8Array(fixed.buffer),
      option(IF_NAME, new TextEncoder().encode(name)),
      option(IF_TSRESOL, Uint8Array.of(resolution)),
      option(OPT_END, new Uint8Array(0)),
    ];
    return block(INTERFACE_DESCRIPTION, concat(body));
  });
  return concat([block(SECTION_HEADER, new Uint8Array(section.buffer)), ...blocks]);
}

/** An enhanced packet block: the frame came by the interface with this index, and carries a comment (draft-ietf-opsawg-pcapng §4.3). */
export function pcapngPacket(index: number, time: bigint, frame: Uint8Array, comment: string): Uint8Array {
  return pcapngPacketWith(index, time, frame, commentOptions(comment));
}

/** The same with options that are made already. */
export function pcapngPacketWith(
  index: number,
  time: bigint,
  frame: Uint8Array,
  options: Uint8Array,
): Uint8Array {
  const padded = (frame.length + 3) & ~3;
  const bytes = new Uint8Array(32 + padded + options.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ENHANCED_PACKET, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, index, true);
  view.setUint32(12, Number(time >> 32n), true);
  view.setUint32(16, Number(time & 0xffffffffn), true);
  view.setUint32(20, frame.length, true);
  view.setUint32(24, frame.length, true);
  bytes.set(frame, 28);
  bytes.set(options, 28 + padded);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

/** The options of a packet that carries a comment: the comment, and the end of options. */
export function commentOptions(text: string): Uint8Array {
  return concat([option(OPT_COMMENT, new TextEncoder().encode(text)), option(OPT_END, new Uint8Array(0))]);
}

/** The same for a packet that also says whether it came in or went out (§4.3.1, bits 0 and 1). */
export function directionOptions(text: string, direction: "inbound" | "outbound"): Uint8Array {
  const flags = Uint8Array.of(direction === "inbound" ? 1 : 2, 0, 0, 0);
  return concat([option(EPB_FLAGS, flags), commentOptions(text)]);
}

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + ((value.length + 3) & ~3));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

function block(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  bytes.set(body, 8);
  view.setUint32(bytes.length - 4, bytes.length, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
