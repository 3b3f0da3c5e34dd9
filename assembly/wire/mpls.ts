/**
 * Label stack entries (RFC 3032 §2.1): label 20 bits, TC 3, S 1, TTL 8, network order. In a u32 loaded as it stands
 * in memory, the TTL is the top byte.
 */

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
