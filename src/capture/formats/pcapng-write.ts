/**
 * pcapng, written (draft-ietf-opsawg-pcapng): section headers, interface descriptions, and packets with comments. The
 * core writes the packets of a replay (assembly/output.ts) with the options that are made here.
 */
import { ETHERNET } from "./pcap.ts";
import { IF_NAME, IF_TSOFFSET, IF_TSRESOL, SECTION_HEADER } from "./pcapng.ts";

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const OPT_END = 0;
const OPT_COMMENT = 1;
const EPB_FLAGS = 2;

/**
 * A pcapng section header and one Ethernet interface per name, in order; timestamps in 10^-resolution seconds since
 * `base`, which is in seconds since 1970.
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

/** An enhanced packet block (§4.3) of the interface with this index, with a comment. */
export function pcapngPacket(index: number, time: bigint, frame: Uint8Array, comment: string): Uint8Array {
  return pcapngPacketWith(index, time, frame, commentOptions(comment));
}

/** An enhanced packet block with encoded options. */
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

/** A comment, encoded as an option. */
export function commentOption(text: string): Uint8Array {
  return option(OPT_COMMENT, new TextEncoder().encode(text));
}

/** A comment and the end of options. */
function commentOptions(text: string): Uint8Array {
  return concat([commentOption(text), option(OPT_END, new Uint8Array(0))]);
}

/** The direction of a packet (epb_flags, §4.3.1, bits 0 and 1), a comment and the end of options. */
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
