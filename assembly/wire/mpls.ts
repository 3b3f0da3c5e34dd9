/**
 * Label stack entries (RFC 3032 §2.1): label 20 bits, TC 3, S 1, TTL 8, network order. In a little-endian u32
 * load, the TTL is the top byte.
 */

import { TYPE_MPLS } from "./ethernet";
import { MIN_HEADER_WORDS } from "./ipv4";

export const ENTRY_BYTES: u32 = 4;
/** The S bit of an entry in host order. */
export const BOTTOM: u32 = 0x100;

/** The entry in host order. */
export function entry(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

export function label(entry: u32): u32 {
  return entry >>> 12;
}

/** The S bit: this entry is the bottom of the stack. */
export function isBottom(entry: u32): bool {
  return (entry & BOTTOM) != 0;
}

/** A stored entry (network order, TTL zero) with its TTL. */
export function withTtl(stored: u32, ttl: u32): u32 {
  return stored | (ttl << 24);
}

/**
 * Bytes 12…19 of an Ethernet II frame hold type, label, S bit and IHL; TC, TTL, version and TOS are left out.
 */
export const LABELLED_MASK: u64 = 0x000f_00f1_ffff_ffff;

/** The value of these bytes, under LABELLED_MASK, for this label alone on an IPv4 header without options. */
export function labelledWord(label: u32): u64 {
  const entry = bswap<u32>((label << 12) | BOTTOM);
  return <u64>TYPE_MPLS | ((<u64>entry) << 16) | ((<u64>MIN_HEADER_WORDS) << 48);
}
