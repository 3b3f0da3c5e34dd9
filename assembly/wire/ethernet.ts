/**
 * Ethernet II, IEEE 802.3 with LLC/SNAP, and the 802.1Q tag, as far as Open vSwitch parses them. A frame is
 * an address; accessors check nothing: `header` and `typeOf` determine what may be read.
 */

/** dst 0…5 │ src 6…11 │ type 12…13 */
export const HEADER_BYTES: u32 = 14;
/** The same, then LLC (aa aa 03), OUI 00 00 00 and the type at 20…21. */
export const SNAP_HEADER_BYTES: u32 = 22;
const TAGGED_BYTES: u32 = 18;

/** Ethernet types as a little-endian u16 loads them from memory. */
export const TYPE_IPV4: u32 = 0x0008;
export const TYPE_ARP: u32 = 0x0608;
export const TYPE_MPLS: u32 = 0x4788;
const TYPE_CTAG: u32 = 0x0081;
const TYPE_STAG: u32 = 0xa888;
/** Result of `typeOf` for a frame without a type, or with one that the pipeline does not distinguish. */
export const TYPE_OTHER: u32 = 0;
/** Result of `typeOf` for a tagged frame. */
export const TYPE_TAGGED: u32 = 1;

/** aa aa 03 00 00 00 as the low 48 bits of a u64. */
const LLC_SNAP: u64 = 0x0000_0003_aaaa;
export const MAC_MASK: u64 = 0xffff_ffff_ffff;
export const BROADCAST: u64 = MAC_MASK;

/** Destination MAC: six bytes in network order in the low 48 bits. */
export function destination(frame: usize): u64 {
  return load<u64>(frame) & MAC_MASK;
}

/** Source MAC, as `destination`. */
export function source(frame: usize): u64 {
  return load<u64>(frame, 6) & MAC_MASK;
}

/** The low bit of the first octet: multicast and broadcast. */
export function isGroup(frame: usize): bool {
  return (load<u8>(frame) & 1) != 0;
}

/** True when the type field is a length: IEEE 802.3 instead of Ethernet II. */
export function isLength(frame: usize): bool {
  return load<u8>(frame, 12) < 6;
}

/** True when LLC and SNAP headers of OUI 00-00-00 with an Ethernet type follow the length field. */
export function isSnap(frame: usize, length: u32): bool {
  return (
    length >= SNAP_HEADER_BYTES && (load<u64>(frame, 14) & MAC_MASK) == LLC_SNAP && load<u8>(frame, 20) >= 6
  );
}

/**
 * The frame's type as Open vSwitch reads it, for frames of at least HEADER_BYTES: one of
 * the TYPE constants or any other type's two bytes. A tag's type behind SNAP, or in a frame
 * that is too short for a tag, is not a tag.
 */
export function typeOf(frame: usize, length: u32): u32 {
  if (isLength(frame)) {
    if (!isSnap(frame, length)) return TYPE_OTHER;
    return <u32>load<u16>(frame, 20);
  }
  const type = <u32>load<u16>(frame, 12);
  if (type != TYPE_CTAG && type != TYPE_STAG) return type;
  return length >= TAGGED_BYTES ? TYPE_TAGGED : TYPE_OTHER;
}

/** Bytes in front of layer 3, for a frame with a type. */
export function headerBytes(frame: usize): u32 {
  return isLength(frame) ? SNAP_HEADER_BYTES : HEADER_BYTES;
}
