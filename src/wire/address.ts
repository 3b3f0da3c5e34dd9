/**
 * Addresses as people write them: MAC addresses in colon form, IPv4 in dotted decimal. Not a validator of what an
 * intent may contain; it only reads and prints. IPv4 addresses are unsigned 32-bit numbers in host order
 * (203.0.113.7 is 0xcb007107), MAC addresses are numbers below 2^48 (exact in a double).
 */

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);

/** Reads `52:54:00:00:00:0b`; null when the text is no MAC address. */
export function parseMac(text: string): number | null {
  return MAC.test(text) ? Number.parseInt(text.replaceAll(":", ""), 16) : null;
}

/** Prints a MAC address in lower case, with colons. */
export function formatMac(mac: number): string {
  const high = Math.floor(mac / 2 ** 24);
  const low = mac % 2 ** 24;
  return `${hexOf(high >>> 16)}:${hexOf(high >>> 8)}:${hexOf(high)}:${hexOf(low >>> 16)}:${hexOf(low >>> 8)}:${hexOf(low)}`;
}

const HEX_OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/** The low eight bits as two digits. */
function hexOf(number: number): string {
  return HEX_OCTETS[number & 255]!;
}

/** True for group (multicast and broadcast) addresses: the low bit of the first octet is set (IEEE 802-2014 §8.2.2). */
export function isGroupMac(mac: number): boolean {
  return (Math.floor(mac / 2 ** 40) & 1) === 1;
}

/** Reads dotted decimal without leading zeros; null when the text is no IPv4 address. */
export function parseIpv4(text: string): number | null {
  const octets = IPV4.exec(text);
  if (octets === null) return null;
  return (
    ((Number(octets[1]) << 24) | (Number(octets[2]) << 16) | (Number(octets[3]) << 8) | Number(octets[4])) >>>
    0
  );
}

/** Prints an address in dotted decimal. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The network mask of a prefix length 0…32, as an unsigned number. */
export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}
