/**
 * ARP for IPv4 over Ethernet (RFC 826): 28 bytes.
 *
 *   hrd 0…1 │ pro 2…3 │ hln 4 │ pln 5 │ op 6…7 │ sha 8…13 │ spa 14…17 │ tha 18…23 │ tpa 24…27
 */
import { MAC_MASK } from "./ethernet";

export const BYTES: u32 = 28;
/** 00 01 08 00 06 04 as the low 48 bits of a u64: Ethernet, IPv4, and the lengths of their addresses. */
const ETHERNET_IPV4: u64 = 0x0406_0008_0100;
export const REQUEST: u32 = 1;
export const REPLY: u32 = 2;

/** True when the fields may be read, `available` bytes being there. */
export function isReadable(header: usize, available: u32): bool {
  return available >= BYTES && (load<u64>(header) & MAC_MASK) == ETHERNET_IPV4;
}

/** The operation; Open vSwitch keeps eight bits of it, so one above 255 reads as 0. */
export function operation(header: usize): u32 {
  return load<u8>(header, 6) != 0 ? 0 : <u32>load<u8>(header, 7);
}

/** Sender MAC: six bytes in network order in the low 48 bits. */
export function senderMac(header: usize): u64 {
  return load<u64>(header, 8) & MAC_MASK;
}

/** Sender address, network order. */
export function senderAddress(header: usize): u32 {
  return load<u32>(header, 14);
}

/** Target address, network order. */
export function targetAddress(header: usize): u32 {
  return load<u32>(header, 24);
}

/**
 * Writes the reply to a request to `out`: op 2, the requester as target, `mac` (network order, low 48 bits)
 * and the requested address as sender. `out` may be the request itself.
 */
export function writeReply(request: usize, out: usize, mac: u64): void {
  const asker = senderMac(request);
  const asker_address = senderAddress(request);
  const asked_address = targetAddress(request);
  store<u64>(out, ETHERNET_IPV4 | ((<u64>REPLY) << 56));
  store<u32>(out, <u32>mac, 8);
  store<u16>(out, <u16>(mac >> 32), 12);
  store<u32>(out, asked_address, 14);
  store<u32>(out, <u32>asker, 18);
  store<u16>(out, <u16>(asker >> 32), 22);
  store<u32>(out, asker_address, 24);
}
