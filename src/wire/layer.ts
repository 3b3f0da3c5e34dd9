/**
 * Shared by all layers of the frame builder: the type of a layer, big-endian fields as byte arrays,
 * and the Internet checksum (RFC 1071). A layer encodes itself in front of bytes that are already
 * encoded; the number that announces it (EtherType or IP protocol) is data, so that the layer
 * before it can fill in its own type field.
 */
import { formatMac, parseIpv4, parseMac } from "./address.ts";

export type MacLike = string | number;
export type Ipv4Like = string | number;

export interface Layer {
  /** The EtherType that announces this layer; null when Ethernet cannot announce it. */
  readonly etherType: number | null;
  /** The IP protocol number that announces this layer; null when IP cannot announce it. */
  readonly protocol: number | null;
  /** IP layers only: the pseudo header over which UDP, TCP and ICMPv6 compute their checksums. */
  readonly pseudoHeader?: (protocol: number, length: number) => Uint8Array;
  /** The bytes of this layer with `inner` behind them; `before` and `after` are its neighbours. */
  encode(inner: Uint8Array, before: Layer | null, after: Layer | null): Uint8Array;
}

export function join(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function checked(value: number, bits: number, name: string): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return value;
  throw new RangeError(`${name} is ${value}, it must be an integer from 0 to ${2 ** bits - 1}`);
}

export function u8(value: number, name = "octet"): number[] {
  return [checked(value, 8, name)];
}

export function u16(value: number, name = "field"): number[] {
  checked(value, 16, name);
  return [value >>> 8, value & 255];
}

export function u32(value: number, name = "field"): number[] {
  checked(value, 32, name);
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** Joins bit fields, the highest first, into one number of at most 32 bits: `[value, bits, name]` each. */
export function bits(...fields: readonly (readonly [value: number, bits: number, name: string])[]): number {
  return fields.reduce((word, [value, width, name]) => word * 2 ** width + checked(value, width, name), 0);
}

export function macBytes(mac: MacLike): number[] {
  const value = typeof mac === "number" ? checked(mac, 48, "MAC address") : parseMac(mac);
  if (value === null) throw new TypeError(`"${mac}" is not a MAC address; write it as 52:54:00:00:00:0b`);
  return formatMac(value)
    .split(":")
    .map(octet => Number.parseInt(octet, 16));
}

export function ipv4Bytes(address: Ipv4Like): number[] {
  const value = typeof address === "number" ? address : parseIpv4(address);
  if (value === null) throw new TypeError(`"${address}" is not an IPv4 address; write it as 203.0.113.7`);
  return u32(value, "IPv4 address");
}

/**
 * The one's complement of the one's complement sum of all 16-bit words; an odd last byte is padded with zero.
 */
export function internetChecksum(...parts: readonly ArrayLike<number>[]): number {
  const bytes = join(...parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
