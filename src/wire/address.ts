/**
 * Addresses in text and as numbers: MAC addresses in colon notation, IPv4 addresses and prefixes in dotted
 * decimal. The numbers have types of their own (brands), so that an address cannot be taken for a label, a
 * port or a MAC address. Only the functions here make them: from text (`parse…`, null if it is not valid), or
 * from the bits of a table or a packet (`…FromBits`). Which of them an intent may contain is src/intent's
 * rule. IPv6 gets types beside these.
 */

declare const brand: unique symbol;

/** An IPv4 address: an unsigned 32-bit number in host order (203.0.113.7 is 0xcb007107). */
export type Ipv4Address = number & { readonly [brand]: "Ipv4Address" };

/** A MAC address: a number below 2^48, which a double holds exactly. */
export type MacAddress = number & { readonly [brand]: "MacAddress" };

/** An IPv4 prefix; the bits of `address` behind the first `length` (0…32) are zero. */
export interface Ipv4Prefix {
  readonly address: Ipv4Address;
  readonly length: number;
}

/** The prefix of a route: IPv4 today, a union when IPv6 comes. */
export type Prefix = Ipv4Prefix;

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);
const LENGTH = /^(?:[12]?\d|3[0-2])$/;

// ── MAC addresses ──────────────────────────────────────────────────────────────────────────────────────────

/** Parses `52:54:00:00:00:0b`; null if the text is not a MAC address. */
export function parseMac(text: string): MacAddress | null {
  return MAC.test(text) ? macFromBits(Number.parseInt(text.replaceAll(":", ""), 16)) : null;
}

/** The MAC address with these 48 bits. */
export function macFromBits(bits: number): MacAddress {
  return bits as MacAddress;
}

/** Prints a MAC address in lower case, with colons. */
export function formatMac(mac: number): string {
  const high = Math.floor(mac / 2 ** 24);
  const low = mac % 2 ** 24;
  const upper = `${hexOf(high >>> 16)}:${hexOf(high >>> 8)}:${hexOf(high)}`;
  return `${upper}:${hexOf(low >>> 16)}:${hexOf(low >>> 8)}:${hexOf(low)}`;
}

const HEX_OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/** The low eight bits as two digits. */
function hexOf(number: number): string {
  return HEX_OCTETS[number & 255]!;
}

/**
 * True for group (multicast and broadcast) addresses: the low bit of the
 * first octet is set (IEEE 802-2014, 8.2.2).
 */
export function isGroupMac(mac: number): boolean {
  return (Math.floor(mac / 2 ** 40) & 1) === 1;
}

// ── IPv4 ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Parses dotted decimal without leading zeros; null if the text is not an IPv4 address. */
export function parseIpv4(text: string): Ipv4Address | null {
  const octets = IPV4.exec(text);
  if (octets === null) return null;
  const [, a, b, c, d] = octets;
  return ipv4FromBits((Number(a) << 24) | (Number(b) << 16) | (Number(c) << 8) | Number(d));
}

/** The address with these 32 bits, signed or not. */
export function ipv4FromBits(bits: number): Ipv4Address {
  return (bits >>> 0) as Ipv4Address;
}

/** Prints an address in dotted decimal. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The network mask of a prefix length 0…32, as an unsigned number. */
export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

/** The first `length` bits of an address; the others are zero. */
export function networkOf(address: number, length: number): Ipv4Address {
  return ipv4FromBits(address & maskOf(length));
}

/** Parses a prefix length 0…32 without leading zeros; null if the text is not one. */
export function parsePrefixLength(text: string): number | null {
  return LENGTH.test(text) ? Number(text) : null;
}

/** Prints `203.0.113.0/24`. */
export function formatPrefix({
  address,
  length,
}: {
  readonly address: number;
  readonly length: number;
}): string {
  return `${formatIpv4(address)}/${length}`;
}
