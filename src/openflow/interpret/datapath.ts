/**
 * The datapath: a list of plain actions, carried out on the bytes of a packet one after the other, as
 * lib/odp-execute.c and lib/packets.c of Open vSwitch 3.1 do. It knows neither flows nor keys. A `null` in a
 * set leaves that field alone. Whatever a header is too short for is not written.
 */
import { unreachable } from "../../wire/index.ts";
import { checksum16, checksum32, crc32c, internetChecksum, put16, put32, u16, u32 } from "./bytes.ts";
import { isMplsType, isVlanType, ND, PROTOCOL } from "./extract.ts";
import type { Packet } from "./packet.ts";

/** A MAC address as in the key: 16 bits, 32 bits. */
export type Mac = readonly [number, number];
/** An IPv6 address as in the key: four words. */
export type Ipv6 = readonly [number, number, number, number];

export type HeaderAction =
  | { readonly do: "set_ethernet"; readonly src: Mac | null; readonly dst: Mac | null }
  | {
      readonly do: "set_ipv4";
      readonly src: number | null;
      readonly dst: number | null;
      readonly tos: number | null;
      readonly ttl: number | null;
      /** What the key says is there. */
      readonly was: {
        readonly src: number;
        readonly dst: number;
        readonly tos: number;
        readonly ttl: number;
      };
    }
  | {
      readonly do: "set_ipv6";
      readonly src: Ipv6 | null;
      readonly dst: Ipv6 | null;
      readonly label: number | null;
      readonly tos: number | null;
      readonly ttl: number | null;
      readonly was: {
        readonly src: Ipv6;
        readonly dst: Ipv6;
        readonly label: number;
        readonly tos: number;
        readonly ttl: number;
      };
    }
  | {
      readonly do: "set_arp";
      readonly op: number | null;
      readonly spa: number | null;
      readonly tpa: number | null;
      readonly sha: Mac | null;
      readonly tha: Mac | null;
    }
  | {
      readonly do: "set_ports";
      readonly protocol: number;
      readonly src: number | null;
      readonly dst: number | null;
    }
  | { readonly do: "set_icmp"; readonly type: number; readonly code: number }
  | {
      readonly do: "set_nd";
      readonly target: Ipv6 | null;
      readonly sll: Mac | null;
      readonly tll: Mac | null;
    }
  | {
      readonly do: "set_nd_extensions";
      readonly reserved: number | null;
      readonly optionsType: number | null;
    }
  | { readonly do: "set_mpls"; readonly entry: number }
  | { readonly do: "push_mpls"; readonly type: number; readonly entry: number }
  | { readonly do: "pop_mpls"; readonly type: number }
  | { readonly do: "push_vlan"; readonly type: number; readonly tci: number }
  | { readonly do: "pop_vlan" }
  | { readonly do: "truncate"; readonly maxBytes: number };

/** Rewrites the packet as one action says. */
export function applyHeaderAction(packet: Packet, action: HeaderAction): void {
  switch (action.do) {
    case "set_ethernet":
      if (action.dst !== null) putMac(packet.bytes, 0, action.dst);
      if (action.src !== null) putMac(packet.bytes, 6, action.src);
      return;
    case "set_ipv4":
      setIpv4(packet, action);
      return;
    case "set_ipv6":
      setIpv6(packet, action);
      return;
    case "set_arp":
      setArp(packet, action);
      return;
    case "set_ports":
      setPorts(packet, action);
      return;
    case "set_icmp":
      setIcmp(packet, action);
      return;
    case "set_nd":
      setNeighbourDiscovery(packet, action);
      return;
    case "set_nd_extensions":
      setNeighbourDiscoveryExtensions(packet, action);
      return;
    case "set_mpls":
      if (packet.labelsAt >= 0) put32(packet.bytes, packet.labelsAt, action.entry);
      return;
    case "push_mpls":
      pushMpls(packet, action);
      return;
    case "pop_mpls":
      popMpls(packet, action);
      return;
    case "push_vlan":
      packet.insert(12, 4);
      put16(packet.bytes, 12, action.type);
      put16(packet.bytes, 14, action.tci & ~0x1000);
      packet.moveLayers(4);
      return;
    case "pop_vlan":
      if (packet.bytes.length < 18 || !isVlanType(u16(packet.bytes, 12))) return;
      packet.remove(12, 4);
      packet.moveLayers(-4);
      return;
    case "truncate":
      packet.cutBytes = Math.max(0, packet.bytes.length - Math.max(14, action.maxBytes));
      return;
    default:
      unreachable(action);
  }
}

type Of<Name extends HeaderAction["do"]> = Extract<HeaderAction, { do: Name }>;

function putMac(bytes: Uint8Array, at: number, mac: Mac): void {
  put16(bytes, at, mac[0]);
  put32(bytes, at + 2, mac[1]);
}

/** UDP's checksum 0 means none; one that comes out as 0 is written as 0xffff (RFC 768). */
function changeUdpChecksum(bytes: Uint8Array, at: number, change: (checksum: number) => number): void {
  const checksum = u16(bytes, at);
  if (checksum !== 0) put16(bytes, at, change(checksum) || 0xffff);
}

/** Writes an address and corrects the checksums that cover it: that of layer 4 before that of IP. */
function setIpv4Address(packet: Packet, at: number, value: number): void {
  const { bytes, layer3At: ip, layer4At } = packet;
  const before = u32(bytes, at);
  if (before === value) return;
  const change = (checksum: number): number => checksum32(checksum, before, value);
  const protocol = bytes[ip + 9]!;
  const size = packet.layer4Bytes();
  if (protocol === PROTOCOL.tcp && size >= 20) {
    put16(bytes, layer4At + 16, change(u16(bytes, layer4At + 16)));
  } else if (protocol === PROTOCOL.udp && size >= 8) {
    changeUdpChecksum(bytes, layer4At + 6, change);
  }
  put16(bytes, ip + 10, change(u16(bytes, ip + 10)));
  put32(bytes, at, value);
}

/**
 * Whether an IP header is not where the packet's offsets say, as after pop_mpls behind LLC/SNAP or with tags
 * and labels that were not understood: what is to be written over is not what the key says. Open vSwitch
 * writes with a mask of the bits that its lookups and actions happened to read, so what becomes of such a
 * packet cannot be told from the flows; without an ICMPv6 message to write to, it ends itself.
 */
export function isMisplaced({ bytes, layer3At: ip, layer4At }: Packet, action: HeaderAction): boolean {
  switch (action.do) {
    case "set_nd":
    case "set_nd_extensions":
      return layer4At < 0;
    case "set_ipv4":
      return (
        (action.src !== null && u32(bytes, ip + 12) !== action.was.src) ||
        (action.dst !== null && u32(bytes, ip + 16) !== action.was.dst) ||
        (action.tos !== null && bytes[ip + 1] !== action.was.tos) ||
        (action.ttl !== null && bytes[ip + 8] !== action.was.ttl)
      );
    case "set_ipv6": {
      const holds = (at: number, words: Ipv6): boolean =>
        words.every((word, i) => u32(bytes, ip + at + 4 * i) === word);
      const head = u32(bytes, ip);
      return (
        (action.src !== null && !holds(8, action.was.src)) ||
        (action.dst !== null && !holds(24, action.was.dst)) ||
        (action.label !== null && (head & 0xfffff) !== action.was.label) ||
        (action.tos !== null && ((head >>> 20) & 0xff) !== action.was.tos) ||
        (action.ttl !== null && bytes[ip + 7] !== action.was.ttl)
      );
    }
    case "set_ethernet":
    case "set_arp":
    case "set_ports":
    case "set_icmp":
    case "set_mpls":
    case "push_mpls":
    case "pop_mpls":
    case "push_vlan":
    case "pop_vlan":
    case "truncate":
      return false;
    default:
      return unreachable(action);
  }
}

function setIpv4(packet: Packet, action: Of<"set_ipv4">): void {
  const { bytes, layer3At: ip } = packet;
  if (action.src !== null) setIpv4Address(packet, ip + 12, action.src);
  if (action.dst !== null) setIpv4Address(packet, ip + 16, action.dst);
  const { tos, ttl } = action;
  if (tos !== null && tos !== bytes[ip + 1]) {
    put16(bytes, ip + 10, checksum16(u16(bytes, ip + 10), bytes[ip + 1]!, tos));
    bytes[ip + 1] = tos;
  }
  if (ttl !== null && ttl !== bytes[ip + 8]) {
    put16(bytes, ip + 10, checksum16(u16(bytes, ip + 10), bytes[ip + 8]! << 8, ttl << 8));
    bytes[ip + 8] = ttl;
  }
}

interface Ipv6Chain {
  readonly protocol: number;
  /** A routing header is on its way to somewhere else: the checksum covers another destination. */
  readonly isRouted: boolean;
  /**
   * Any fragment but a first one of several. Those that are whole ("atomic", RFC 6946) count as such too,
   * wrongly.
   */
  readonly isFragment: boolean;
}

/** What the extension headers say, which lie in front of layer 4. */
function ipv6Chain(packet: Packet): Ipv6Chain {
  const { bytes, layer3At, layer4At } = packet;
  let protocol = bytes[layer3At + 6]!;
  let isFragment = false;
  for (let at = layer3At + 40; layer4At - at >= 8; ) {
    if (![0, 43, 44, 51, 60].includes(protocol)) break;
    if (protocol === 43 && bytes[at + 3]! > 0) return { protocol, isRouted: true, isFragment };
    if (protocol === 44) isFragment = (u16(bytes, at + 2) & 0xfff9) !== 1;
    const length = bytes[at + 1]!;
    const size = protocol === 51 ? (length + 2) * 4 : protocol === 44 ? 8 : (length + 1) * 8;
    protocol = bytes[at]!;
    at += size;
  }
  return { protocol, isRouted: false, isFragment };
}

/** Writes an IPv6 address and, when asked, corrects the checksum of the protocol that covers it. */
function setIpv6Address(packet: Packet, at: number, value: Ipv6, protocol: number | null): void {
  const { bytes, layer4At } = packet;
  const change = (checksum: number): number =>
    value.reduce((sum, word, i) => checksum32(sum, u32(bytes, at + 4 * i), word), checksum);
  if (value.every((word, i) => word === u32(bytes, at + 4 * i))) return;
  const size = packet.layer4Bytes();
  if (protocol === PROTOCOL.tcp && size >= 20) {
    put16(bytes, layer4At + 16, change(u16(bytes, layer4At + 16)));
  } else if (protocol === PROTOCOL.udp && size >= 8) {
    changeUdpChecksum(bytes, layer4At + 6, change);
  } else if (protocol === PROTOCOL.icmpv6 && size >= 4) {
    put16(bytes, layer4At + 2, change(u16(bytes, layer4At + 2)));
  }
  for (const [i, word] of value.entries()) put32(bytes, at + 4 * i, word);
}

function setIpv6(packet: Packet, action: Of<"set_ipv6">): void {
  const { bytes, layer3At: ip } = packet;
  const { isRouted, isFragment, ...chain } = ipv6Chain(packet);
  const protocol = isFragment ? null : chain.protocol;
  if (action.src !== null) setIpv6Address(packet, ip + 8, action.src, protocol);
  if (action.dst !== null) setIpv6Address(packet, ip + 24, action.dst, isRouted ? null : protocol);
  let first = u32(bytes, ip);
  if (action.tos !== null) first = (first & 0xf00fffff) | (action.tos << 20);
  if (action.label !== null) first = (first & 0xfff00000) | action.label;
  put32(bytes, ip, first);
  if (action.ttl !== null) bytes[ip + 7] = action.ttl;
}

/** The operation is written whole, though only its lower byte was read. */
function setArp(packet: Packet, action: Of<"set_arp">): void {
  const { bytes, layer3At: arp } = packet;
  // The byte of the key that stands for it means "all ones" when it is 255.
  if (action.op !== null) put16(bytes, arp + 6, action.op === 0xff ? 0xffff : action.op);
  if (action.sha !== null) putMac(bytes, arp + 8, action.sha);
  if (action.spa !== null) put32(bytes, arp + 14, action.spa);
  if (action.tha !== null) putMac(bytes, arp + 18, action.tha);
  if (action.tpa !== null) put32(bytes, arp + 24, action.tpa);
}

/** The CRC of SCTP changes by what the ports change in it, so a wrong one stays wrong. */
function setSctpPorts(packet: Packet, write: () => void): void {
  const { bytes, layer4At: at } = packet;
  const end = at + packet.layer4Bytes();
  const before = u32(bytes, at + 8);
  put32(bytes, at + 8, 0);
  const right = crc32c(bytes, at, end);
  write();
  put32(bytes, at + 8, before ^ right ^ crc32c(bytes, at, end));
}

function setPorts(packet: Packet, action: Of<"set_ports">): void {
  const { bytes, layer4At: at } = packet;
  const size = packet.layer4Bytes();
  const ports: readonly [number, number | null][] = [
    [at, action.src],
    [at + 2, action.dst],
  ];
  const write = (change: (before: number, after: number) => void): void => {
    for (const [port, value] of ports) {
      if (value === null || value === u16(bytes, port)) continue;
      change(u16(bytes, port), value);
      put16(bytes, port, value);
    }
  };
  if (action.protocol === PROTOCOL.tcp) {
    const headerBytes = size < 20 ? 0 : (bytes[at + 12]! >> 4) * 4;
    if (headerBytes < 20 || headerBytes > size) return;
    write((before, after) => put16(bytes, at + 16, checksum16(u16(bytes, at + 16), before, after)));
  } else if (action.protocol === PROTOCOL.udp) {
    if (size < 8) return;
    const isChecked = u16(bytes, at + 6) !== 0;
    write((before, after) => {
      if (isChecked) put16(bytes, at + 6, checksum16(u16(bytes, at + 6), before, after));
    });
    if (isChecked && u16(bytes, at + 6) === 0) put16(bytes, at + 6, 0xffff);
  } else if (size >= 12) {
    setSctpPorts(packet, () => write(() => undefined));
  }
}

function setIcmp(packet: Packet, action: Of<"set_icmp">): void {
  const { bytes, layer4At: at } = packet;
  if (packet.layer4Bytes() < 8) return;
  const before = u16(bytes, at);
  const after = (action.type << 8) | action.code;
  if (before === after) return;
  put16(bytes, at + 2, checksum16(u16(bytes, at + 2), before, after));
  put16(bytes, at, after);
}

/** The first link-layer option is looked at, and no other one. */
function setNeighbourDiscovery(packet: Packet, action: Of<"set_nd">): void {
  const { bytes, layer4At } = packet;
  const size = packet.layer4Bytes();
  if (size < 24) return;
  if (action.target !== null) setIpv6Address(packet, layer4At + 8, action.target, PROTOCOL.icmpv6);
  const end = layer4At + size;
  let at = layer4At + 24;
  for (let left = end - at; left >= 8 && bytes[at + 1] !== 0; ) {
    const isLinkLayer = bytes[at + 1] === 1;
    const isSource = isLinkLayer && bytes[at] === ND.sourceOption;
    if (isSource || (isLinkLayer && bytes[at] === ND.targetOption)) {
      const mac = isSource ? action.sll : action.tll;
      if (mac === null) return;
      const words = [mac[0], mac[1] >>> 16, mac[1] & 0xffff];
      for (const [i, word] of words.entries()) {
        const checksum = checksum16(u16(bytes, layer4At + 2), u16(bytes, at + 2 + 2 * i), word);
        put16(bytes, layer4At + 2, checksum);
        put16(bytes, at + 2 + 2 * i, word);
      }
      return;
    }
    at += bytes[at + 1]! * 8;
    // The length that is taken off is that of the next option (as in Open vSwitch 3.1).
    left -= at + 1 < end ? bytes[at + 1]! * 8 : left;
  }
}

function setNeighbourDiscoveryExtensions(packet: Packet, action: Of<"set_nd_extensions">): void {
  const { bytes, layer3At, layer4At: at } = packet;
  const size = packet.layer4Bytes();
  if (size < 24) return;
  if (action.reserved !== null) put32(bytes, at + 4, action.reserved);
  if (action.optionsType !== null && at + 24 < bytes.length) bytes[at + 24] = action.optionsType;
  put16(bytes, at + 2, 0);
  let pseudo = bytes[layer3At + 6]! + u16(bytes, layer3At + 4);
  for (let word = layer3At + 8; word < layer3At + 40; word += 2) pseudo += u16(bytes, word);
  put16(bytes, at + 2, internetChecksum(bytes, at, at + size, pseudo));
}

/**
 * The type of what follows the tags; without a tag, bytes 12 and 13, even when those are a length (LLC/SNAP).
 */
function putType(packet: Packet, type: number): void {
  const { bytes, labelsAt, layer3At } = packet;
  const at = isVlanType(u16(bytes, 12)) ? (labelsAt >= 0 ? labelsAt : layer3At) - 2 : 12;
  put16(bytes, at, type);
}

function pushMpls(packet: Packet, action: Of<"push_mpls">): void {
  if (!isMplsType(action.type)) return;
  if (packet.labelsAt < 0) packet.labelsAt = packet.layer3At;
  putType(packet, action.type);
  packet.insert(packet.labelsAt, 4);
  put32(packet.bytes, packet.labelsAt, action.entry);
  packet.moveInnerLayers(4);
}

function popMpls(packet: Packet, action: Of<"pop_mpls">): void {
  if (packet.labelsAt < 0) return;
  putType(packet, action.type);
  const isBottom = (packet.bytes[packet.labelsAt + 2]! & 1) !== 0;
  packet.remove(packet.labelsAt, 4);
  if (isBottom) packet.labelsAt = -1;
  packet.moveInnerLayers(-4);
}
