/**
 * Numbers in frames, and the arithmetic that Open vSwitch does on checksums when it changes them (RFC 1624,
 * one step for every 16 bits; lib/csum.c). It never looks at more of a packet than the changed field, so a
 * wrong checksum stays wrong. Only SCTP's CRC-32C (RFC 9260 appendix A) and that of rewritten neighbour
 * discovery options are computed.
 */

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The checksum after one 16-bit word changed from `before` to `after`: HC' = ~(~HC + ~m + m'). */
export function checksum16(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}

/** The same for a 32-bit word: its upper half first. */
export function checksum32(checksum: number, before: number, after: number): number {
  return checksum16(checksum16(checksum, before >>> 16, after >>> 16), before & 0xffff, after & 0xffff);
}

/** The Internet checksum (RFC 1071) of `bytes[from … to)`, to which `sum` has been added. */
export function internetChecksum(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  for (let at = from; at < to; at += 2) sum += at + 1 < to ? u16(bytes, at) : bytes[at]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

const CRC_32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C of `bytes[from … to)`, as SCTP writes it: the least significant byte first. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at++) crc = CRC_32C[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  const last = ~crc >>> 0;
  return ((last << 24) | ((last & 0xff00) << 8) | ((last >>> 8) & 0xff00) | (last >>> 24)) >>> 0;
}
