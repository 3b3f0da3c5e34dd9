/**
 * IPv4 (RFC 791) as far as forwarding needs it, read as Open vSwitch reads it: version and header checksum
 * are not checked. Addresses stay in network order: the u32 as loaded from memory.
 */

/** A header without options: its length in words, as IHL has it, and in bytes. */
export const MIN_HEADER_WORDS: u32 = 5;
export const MIN_HEADER_BYTES: u32 = 20;

/**
 * True when the fields may be read: 20 bytes are there, and 20 ≤ IHL·4 ≤ total length ≤ `available`, the
 * bytes from the header's start to the frame's end.
 */
export function isReadable(header: usize, available: u32): bool {
  if (available < MIN_HEADER_BYTES) return false;
  const ihl_bytes = headerWords(header) << 2;
  const total_bytes = totalBytes(header);
  return ihl_bytes >= MIN_HEADER_BYTES && total_bytes >= ihl_bytes && available >= total_bytes;
}

/** IHL: 32-bit words of the header. */
export function headerWords(header: usize): u32 {
  return <u32>load<u8>(header) & 15;
}

/** Total length. Two loads of a byte are cheaper than one load and the four instructions of a swap. */
export function totalBytes(header: usize): u32 {
  return ((<u32>load<u8>(header, 2)) << 8) | <u32>load<u8>(header, 3);
}

export function ttl(header: usize): u32 {
  return <u32>load<u8>(header, 8);
}

export function source(header: usize): u32 {
  return load<u32>(header, 12);
}

export function destination(header: usize): u32 {
  return load<u32>(header, 16);
}

/** 0/8, 127/8, 224/3: never forwarded (RFC 1812 §5.3.7). */
export function isMartian(address: u32): bool {
  const first = address & 0xff;
  return first == 0 || first == 127 || first >= 224;
}

/**
 * The word of TTL, protocol and checksum, bytes 8…11, with the TTL one less and the checksum corrected by RFC
 * 1624 equation 3, HC' = ~(~HC + ~m + m'), with m = TTL·256. ~m + m' is 0xfeff for every TTL; the sum is
 * taken on bytes swapped, which ones' complement addition allows (RFC 1071 §2 (B)). Protocol 0 leaves the
 * word as it is: Open vSwitch 3.1 does not write the header of such a packet.
 */
export function decrementTtl(word: u32): u32 {
  if ((word & 0xff00) == 0) return word;
  let sum = ((word >>> 16) ^ 0xffff) + 0xfffe;
  sum = (sum & 0xffff) + (sum >>> 16);
  return ((word & 0xffff) - 1) | (~sum << 16);
}
