/**
 * Prints a frame in one line, like a terse tcpdump: for traces, differences and failed tests. It dissects a
 * frame as far as its bytes reach and marks where it is cut. It never throws, whatever the bytes, and it does
 * not decide what the pipeline does with the frame.
 */
import { formatIpv4, formatMac } from "./address.ts";
import { ETHERTYPE } from "./ethernet.ts";

const ICMP_TYPES: Readonly<Record<number, string>> = {
  0: "echo reply",
  3: "unreachable",
  5: "redirect",
  8: "echo",
  11: "time exceeded",
};
const TCP_FLAGS = "FSRP.U";
/** A frame of 9,216 bytes can hold 2,300 labels; a line that long is not readable. */
const LABELS_SHOWN = 8;

/**
 * A reader that stops at the end of the frame, or of the packet in it: padding behind an IP packet is not a
 * header. Reads past the end return zero; `left` is the number of bytes before it.
 */
class Cursor {
  #end: number;

  constructor(
    private readonly bytes: Uint8Array,
    public at = 0,
  ) {
    this.#end = bytes.length;
  }

  get left(): number {
    return Math.max(this.#end - this.at, 0);
  }

  /** Limits further reads to the next `bytes` bytes. */
  limit(bytes: number): void {
    this.#end = Math.min(this.#end, this.at + bytes);
  }

  u8(offset: number): number {
    const at = this.at + offset;
    return at < this.#end ? this.bytes[at]! : 0;
  }

  u16(offset: number): number {
    return this.u8(offset) * 256 + this.u8(offset + 1);
  }

  u32(offset: number): number {
    return this.u16(offset) * 65_536 + this.u16(offset + 2);
  }

  mac(offset: number): string {
    return formatMac(this.u16(offset) * 2 ** 32 + this.u32(offset + 2));
  }

  ipv4(offset: number): string {
    return formatIpv4(this.u32(offset));
  }
}

function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

/**
 * `52:54:00:00:00:0b > fe:00:00:00:01:01 MPLS 1001 S ttl 63 / IPv4 … UDP 4000 > 53 len 60`; len = frame
 * bytes.
 */
export function summarize(frame: Uint8Array): string {
  const cursor = new Cursor(frame);
  if (cursor.left < 14) return `cut Ethernet header len ${frame.length}`;
  const addresses = `${cursor.mac(6)} > ${cursor.mac(0)}`;
  const type = cursor.u16(12);
  cursor.at = 14;
  return `${addresses} ${byType(cursor, type)} len ${frame.length}`;
}

function byType(cursor: Cursor, type: number): string {
  if (type < 0x0600) return llc(cursor, type);
  if (type === ETHERTYPE.vlan || type === ETHERTYPE.serviceVlan) return vlan(cursor, type);
  if (type === ETHERTYPE.mpls || type === ETHERTYPE.mplsMulticast) return mpls(cursor, type);
  if (type === ETHERTYPE.arp) return arp(cursor);
  if (type === ETHERTYPE.ipv4) return ipv4(cursor);
  if (type === ETHERTYPE.ipv6) return ipv6(cursor);
  return `type ${hex16(type)}`;
}

function llc(cursor: Cursor, length: number): string {
  cursor.limit(length);
  const snap = cursor.left >= 8 && cursor.u32(0) === 0xaaaa_0300 && cursor.u16(4) === 0;
  const type = cursor.u16(6);
  // Tags are not looked for behind SNAP, and a type below 0x0600 would be a length again.
  if (!snap || type < 0x0600) return `LLC length ${length}`;
  cursor.at += 8;
  const tag = type === ETHERTYPE.vlan || type === ETHERTYPE.serviceVlan;
  return `SNAP ${tag ? `type ${hex16(type)}` : byType(cursor, type)}`;
}

/**
 * Stacked tags in a loop: a frame may hold thousands, and recursion on input is a stack overflow in waiting.
 */
function vlan(cursor: Cursor, outer: number): string {
  const tags: string[] = [];
  let type = outer;
  while ((type === ETHERTYPE.vlan || type === ETHERTYPE.serviceVlan) && tags.length < LABELS_SHOWN) {
    const name = type === ETHERTYPE.vlan ? "802.1Q" : "802.1ad";
    if (cursor.left < 4) return [...tags, `${name} cut`].join(" ");
    tags.push(`${name} ${cursor.u16(0) & 0xfff}`);
    type = cursor.u16(2);
    cursor.at += 4;
  }
  const tagAgain = type === ETHERTYPE.vlan || type === ETHERTYPE.serviceVlan;
  return `${tags.join(" ")} ${tagAgain ? "…" : byType(cursor, type)}`;
}

function mpls(cursor: Cursor, type: number): string {
  const entries: string[] = [];
  const name = type === ETHERTYPE.mpls ? "MPLS" : "MPLS multicast";
  for (;;) {
    if (entries.length === LABELS_SHOWN) return `${name} ${entries.join(" ")} …`;
    if (cursor.left < 4) return `${name} ${[...entries, "cut"].join(" ")}`;
    const entry = cursor.u32(0);
    cursor.at += 4;
    const bottom = (entry & 0x100) !== 0;
    const tc = (entry >>> 9) & 7;
    entries.push(`${entry >>> 12}${bottom ? " S" : ""}${tc === 0 ? "" : ` tc ${tc}`} ttl ${entry & 255}`);
    if (bottom) break;
  }
  // Nothing says what is below a label; the first nibble is the usual guess (RFC 4928).
  const nibble = cursor.left === 0 ? -1 : cursor.u8(0) >>> 4;
  const inner = nibble === 4 ? ipv4(cursor) : nibble === 6 ? ipv6(cursor) : `payload ${cursor.left}`;
  return `${name} ${entries.join(" ")} / ${inner}`;
}

function arp(cursor: Cursor): string {
  if (cursor.left < 28) return "ARP cut";
  const known = cursor.u32(0) === 0x0001_0800 && cursor.u16(4) === 0x0604;
  if (!known) return `ARP hrd ${cursor.u16(0)} pro ${hex16(cursor.u16(2))}`;
  const op = cursor.u16(6);
  const sender = `${cursor.ipv4(14)} is ${cursor.mac(8)}`;
  if (op === 1) return `ARP who has ${cursor.ipv4(24)} tell ${cursor.ipv4(14)} (${cursor.mac(8)})`;
  return op === 2 ? `ARP ${sender} tell ${cursor.ipv4(24)}` : `ARP op ${op} ${sender}`;
}

function ipv4(cursor: Cursor): string {
  if (cursor.left < 20) return "IPv4 cut";
  const headerLength = (cursor.u8(0) & 15) * 4;
  const totalLength = cursor.u16(2);
  const [ttl, protocol, fragment] = [cursor.u8(8), cursor.u8(9), cursor.u16(6)];
  const head = `IPv4 ${cursor.ipv4(12)} > ${cursor.ipv4(16)} ttl ${ttl}`;
  if (headerLength < 20 || headerLength > totalLength || totalLength > cursor.left) {
    return `${head} bad lengths (header ${headerLength}, total ${totalLength}, there ${cursor.left})`;
  }
  const offset = (fragment & 0x1fff) * 8;
  const options = headerLength > 20 ? ` options ${headerLength - 20}` : "";
  const more = (fragment & 0x2000) !== 0;
  const piece = offset > 0 || more ? ` fragment at ${offset}${more ? "+" : ""}` : "";
  cursor.limit(totalLength);
  cursor.at += headerLength;
  const inner = offset > 0 ? `protocol ${protocol}` : transport(cursor, protocol);
  return `${head}${options}${piece} ${inner}`;
}

/** RFC 5952 in short: groups without leading zeros, and the longest run of zero groups as `::`. */
function ipv6Text(cursor: Cursor, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, at) => cursor.u16(offset + at * 2).toString(16));
  let [start, length] = [0, 0];
  for (let at = 0; at < 8; at++) {
    const end = groups.findIndex((group, index) => index >= at && group !== "0");
    const run = (end < 0 ? 8 : end) - at;
    if (run > length) [start, length] = [at, run];
  }
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function ipv6(cursor: Cursor): string {
  if (cursor.left < 40) return "IPv6 cut";
  const [length, next, hopLimit] = [cursor.u16(4), cursor.u8(6), cursor.u8(7)];
  const head = `IPv6 ${ipv6Text(cursor, 8)} > ${ipv6Text(cursor, 24)} hlim ${hopLimit}`;
  cursor.at += 40;
  if (length > cursor.left) return `${head} bad lengths (payload ${length}, there ${cursor.left})`;
  cursor.limit(length);
  return `${head} ${transport(cursor, next)}`;
}

function transport(cursor: Cursor, protocol: number): string {
  if (protocol === 1) return icmp(cursor);
  if (protocol === 58) return cursor.left < 4 ? "ICMPv6 cut" : `ICMPv6 type ${cursor.u8(0)}`;
  if (protocol === 17) return cursor.left < 8 ? "UDP cut" : `UDP ${cursor.u16(0)} > ${cursor.u16(2)}`;
  if (protocol === 6) return tcp(cursor);
  return `protocol ${protocol}`;
}

function icmp(cursor: Cursor): string {
  if (cursor.left < 8) return "ICMP cut";
  const type = cursor.u8(0);
  const name = ICMP_TYPES[type] ?? `type ${type}`;
  const echo = type === 0 || type === 8;
  return echo ? `ICMP ${name} id ${cursor.u16(4)} seq ${cursor.u16(6)}` : `ICMP ${name} code ${cursor.u8(1)}`;
}

function tcp(cursor: Cursor): string {
  if (cursor.left < 20) return "TCP cut";
  const headerLength = (cursor.u8(12) >>> 4) * 4;
  const isBad = headerLength < 20 || headerLength > cursor.left;
  const bits = cursor.u8(13);
  const flags = [...TCP_FLAGS].filter((_, bit) => (bits & (1 << bit)) !== 0).join("");
  const bad = isBad ? ` bad header length ${headerLength}` : "";
  return `TCP ${cursor.u16(0)} > ${cursor.u16(2)} [${flags}] seq ${cursor.u32(4)}${bad}`;
}
