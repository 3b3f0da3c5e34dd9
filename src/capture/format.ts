/**
 * What a capture file says about itself: the headers of pcap and pcapng, read and written. Packets are not touched
 * here (the core finds and writes them). Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */

import { UserError } from "../errors/index.ts";
import { foreignFormat } from "./foreign.ts";

/** Headers that something is wrong with; the message says what, and what would be right. */
export class FormatError extends UserError {
  override readonly name = "FormatError";
}

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

/** What the first bytes of a capture say. */
export type Opening =
  | {
      readonly format: "pcap";
      readonly isSwapped: boolean;
      /** 6: timestamps in microseconds, 9: in nanoseconds. */
      readonly resolution: 6 | 9;
      /** Order of the two lengths in a record; `either`: swapped where the first one is the larger. */
      readonly lengths: "usual" | "swapped" | "either";
      readonly linkType: number;
    }
  | { readonly format: "pcapng" };

/** Of the pcap header's last word: the low half is the link type, the high 6 bits are about an FCS (draft, section 4). */
const RESERVED_NETWORK_BITS = 0x0bff0000;

const PCAP_MAGICS: ReadonlyMap<number, { isSwapped: boolean; resolution: 6 | 9 }> = new Map([
  [0xa1b2c3d4, { isSwapped: false, resolution: 6 }],
  [0xd4c3b2a1, { isSwapped: true, resolution: 6 }],
  [0xa1b23c4d, { isSwapped: false, resolution: 9 }],
  [0x4d3cb2a1, { isSwapped: true, resolution: 9 }],
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
    throw new FormatError(`not a capture: ${foreignFormat(bytes)}`);
  }
  if (bytes.length < PCAP_HEADER_BYTES) {
    throw new FormatError(`the pcap header is cut short: ${bytes.length} of ${PCAP_HEADER_BYTES} bytes`);
  }
  const major = view.getUint16(4, !pcap.isSwapped);
  const minor = view.getUint16(6, !pcap.isSwapped);
  const network = view.getUint32(20, !pcap.isSwapped);
  if ((network & RESERVED_NETWORK_BITS) !== 0) {
    const hex = network.toString(16).padStart(8, "0");
    throw new FormatError(
      `link type 0x${hex}: reserved bits are set; only the length of an FCS may stand there`,
    );
  }
  return { format: "pcap", ...pcap, lengths: lengthsOf(major, minor), linkType: network & 0xffff };
}

/**
 * Order of the lengths by version, as libpcap has it (sf-pcap.c): 2.4 is the one in use; before 2.3, and in 543.0 of
 * DG/UX, they are swapped; in 2.3 they may be.
 */
function lengthsOf(major: number, minor: number): "usual" | "swapped" | "either" {
  if (major === 2 && minor <= 4) return minor === 4 ? "usual" : minor === 3 ? "either" : "swapped";
  if (major === 543 && minor === 0) return "swapped";
  throw new FormatError(`pcap version ${major}.${minor} is unknown; expected 2.4 or an earlier 2.x`);
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
    const minor = view.getUint16(14, !isSwapped);
    // Readers must treat 1.2 like 1.0 (draft-ietf-opsawg-pcapng, 4.1).
    if (major !== 1 || (minor !== 0 && minor !== 2))
      throw new FormatError(`pcapng version ${major}.${minor} is unknown; expected 1.0 or 1.2`);
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

/**
 * A pcapng section header and one Ethernet interface per name, in order; timestamps in 10^-resolution seconds since
 * `base`, in seconds of 1970.
 */
export function pcapngHeader(names: readonly string[], resolution: number, base = 0n): Uint8Array {
  const section = new DataView(new ArrayBuffer(16));
  section.setUint32(0, BYTE_ORDER_MAGIC, true);
  section.setUint16(4, 1, true);
  section.setBigInt64(8, -1n, true);
  const offset = new DataView(new ArrayBuffer(8));
  offset.setBigInt64(0, base, true);
  const offsetOption = base === 0n ? [] : [option(IF_TSOFFSET, new Uint8Array(offset.buffer))];
  const blocks = names.map(name => {
    const fixed = new DataView(new ArrayBuffer(8));
    fixed.setUint16(0, ETHERNET, true);
    const body = [
      new Uint8Array(fixed.buffer),
      option(IF_NAME, new TextEncoder().encode(name)),
      option(IF_TSRESOL, Uint8Array.of(resolution)),
      ...offsetOption,
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

/** A comment as one of a packet's options. */
export function commentOption(text: string): Uint8Array {
  return option(OPT_COMMENT, new TextEncoder().encode(text));
}

/** The options of a packet that carries a comment: the comment, and the end of options. */
function commentOptions(text: string): Uint8Array {
  return concat([commentOption(text), option(OPT_END, new Uint8Array(0))]);
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
