/**
 * Completes frames that a sender's kernel left to hardware: restores VLAN tags that were removed, completes
 * transport checksums that hold only the sum of the pseudo header, and cuts frames that are too large into
 * the segments that a network card would have sent. Works on bytes alone. Virtio 1.2 §5.1.6 (virtio_net_hdr),
 * RFC 1071 (checksum), RFC 9293 §3.1 and RFC 768 (header fields that change from segment to segment).
 */
import { VNET_GSO_ECN, VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_GSO_UDP_L4 } from "./linux.ts";

const MACS_BYTES = 12;
const TAG_BYTES = 4;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const TAG_TYPES: readonly number[] = [0x8100, 0x88a8];
const MPLS_TYPES: readonly number[] = [0x8847, 0x8848];
const TCP = 6;
const UDP = 17;
const UDP_HEADER_BYTES = 8;
const IPV6_HEADER_BYTES = 40;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** The kernel's description of a frame: struct virtio_net_hdr without its length field. */
export interface Unfinished {
  /** VNET_GSO_…; 0: a frame of a size that a wire takes. */
  readonly gsoType: number;
  /** Payload bytes of a segment. */
  readonly gsoBytes: number;
  /** Start of the data of an incomplete checksum, and offset of its field from there. */
  readonly sumStart: number;
  readonly sumOffset: number;
}

/**
 * Inserts a tag behind the MAC addresses, using the four bytes in front of the frame; returns the frame's new
 * start.
 */
export function restoreTag(bytes: Uint8Array, at: number, type: number, tci: number): number {
  const start = at - TAG_BYTES;
  bytes.copyWithin(start, at, at + MACS_BYTES);
  put16(bytes, start + MACS_BYTES, type);
  put16(bytes, start + MACS_BYTES + 2, tci);
  return start;
}

/**
 * Completes a checksum whose field holds the sum of the pseudo header. False if the field is outside the
 * frame.
 */
export function completeChecksum(bytes: Uint8Array, at: number, length: number, what: Unfinished): boolean {
  const start = at + what.sumStart;
  const field = start + what.sumOffset;
  if (field + 2 > at + length) return false;
  put16(bytes, field, finished(sum(bytes, start, at + length)));
  return true;
}

/**
 * One's complement of a folded sum; 0 becomes 0xffff, the same number, because 0 means "no checksum" in UDP.
 */
function finished(total: number): number {
  const folded = ~fold(total) & 0xffff;
  return folded === 0 ? 0xffff : folded;
}

/** Sum of 16-bit words in network order, an odd byte being the upper half of the last. */
function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  const even = to - 1;
  let at = from;
  for (; at < even; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  return at < to ? total + (bytes[at]! << 8) : total;
}

function fold(total: number): number {
  let left = total;
  while (left > 0xffff) left = (left & 0xffff) + Math.floor(left / 0x10000);
  return left;
}

/** The headers of a frame that is to be cut. */
interface Headers {
  readonly layer3: number;
  readonly layer4: number;
  readonly payload: number;
  readonly isIpv6: boolean;
  readonly protocol: number;
}

/** Finds the headers; null if they do not match the offload type. */
function headersOf(frame: Uint8Array, { gsoType, sumStart }: Unfinished): Headers | null {
  let at = MACS_BYTES;
  while (TAG_TYPES.includes(get16(frame, at))) at += TAG_BYTES;
  let type = get16(frame, at);
  let layer3 = at + 2;
  if (MPLS_TYPES.includes(type)) {
    // Only what lies behind the stack says what it is.
    while (layer3 + 4 < frame.length && (frame[layer3 + 2]! & 1) === 0) layer3 += 4;
    layer3 += 4;
    type = frame[layer3]! >>> 4 === 6 ? TYPE_IPV6 : TYPE_IPV4;
  }
  const protocol = (gsoType & ~VNET_GSO_ECN) === VNET_GSO_UDP_L4 ? UDP : TCP;
  const isIpv6 = type === TYPE_IPV6;
  const layer4 = sumStart;
  const leastLayer4 = layer3 + (isIpv6 ? IPV6_HEADER_BYTES : (frame[layer3]! & 0xf) * 4);
  if ((type !== TYPE_IPV4 && !isIpv6) || layer4 < leastLayer4 || layer4 + 20 > frame.length) return null;
  const headerBytes = protocol === UDP ? UDP_HEADER_BYTES : (frame[layer4 + 12]! >>> 4) * 4;
  const payload = layer4 + headerBytes;
  return payload > frame.length ? null : { layer3, layer4, payload, isIpv6, protocol };
}

/** Whether frames of this offload type can be cut. */
export function isCuttable(gsoType: number): boolean {
  const type = gsoType & ~VNET_GSO_ECN;
  return type === VNET_GSO_TCPV4 || type === VNET_GSO_TCPV6 || type === VNET_GSO_UDP_L4;
}

/**
 * Cuts a large frame into segments of `gsoBytes` of payload. `room` returns the offset in `to` for the next
 * segment of so many bytes; `done` is called when it is written. Returns the number of segments, 0 if the
 * frame does not match its offload type.
 */
export function segment(
  frame: Uint8Array,
  what: Unfinished,
  to: Uint8Array,
  room: (length: number) => number,
  done: (at: number, length: number) => void,
): number {
  const headers = headersOf(frame, what);
  if (headers === null || what.gsoBytes === 0 || !isCuttable(what.gsoType)) return 0;
  const { payload } = headers;
  let index = 0;
  for (let from = payload; from < frame.length; from += what.gsoBytes, index++) {
    const end = Math.min(from + what.gsoBytes, frame.length);
    const length = payload + end - from;
    const at = room(length);
    to.set(frame.subarray(0, payload), at);
    to.set(frame.subarray(from, end), at + payload);
    const place = { index, from: from - payload, isLast: end === frame.length };
    finishSegment(to, at, length, headers, place);
    done(at, length);
  }
  return index;
}

/** Writes what differs from segment to segment, and the checksums. */
function finishSegment(
  bytes: Uint8Array,
  at: number,
  length: number,
  { layer3, layer4, isIpv6, protocol }: Headers,
  { index, from, isLast }: { index: number; from: number; isLast: boolean },
): void {
  const ip = at + layer3;
  const transport = at + layer4;
  const end = at + length;
  if (isIpv6) put16(bytes, ip + 4, length - layer3 - IPV6_HEADER_BYTES);
  else {
    put16(bytes, ip + 2, length - layer3);
    put16(bytes, ip + 4, (get16(bytes, ip + 4) + index) & 0xffff);
    put16(bytes, ip + 10, 0);
    put16(bytes, ip + 10, ~fold(sum(bytes, ip, ip + (bytes[ip]! & 0xf) * 4)) & 0xffff);
  }
  let field = transport + 6;
  if (protocol === TCP) {
    field = transport + 16;
    const sequence = (get16(bytes, transport + 4) * 0x10000 + get16(bytes, transport + 6) + from) >>> 0;
    put16(bytes, transport + 4, sequence >>> 16);
    put16(bytes, transport + 6, sequence & 0xffff);
    if (!isLast) bytes[transport + 13]! &= ~FIN_PSH;
    if (index > 0) bytes[transport + 13]! &= ~CWR;
  } else put16(bytes, transport + 4, end - transport);
  put16(bytes, field, 0);
  const addresses = isIpv6 ? sum(bytes, ip + 8, ip + 40) : sum(bytes, ip + 12, ip + 20);
  put16(bytes, field, finished(addresses + protocol + (end - transport) + sum(bytes, transport, end)));
}

function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
