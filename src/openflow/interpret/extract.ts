/**
 * From the bytes of a frame to its flow key, as Open vSwitch 3.1 reads it (lib/flow.c): what cannot be read
 * is zero, and nothing is an error. It checks neither the IP version nor any checksum. Only what is in the
 * frame is written; in_port, registers and the like are the caller's.
 */
import { KEY } from "../flow-key.ts";
import { u16, u32 } from "./bytes.ts";
import type { Layers } from "./packet.ts";

export const TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  rarp: 0x8035,
  vlan: 0x8100,
  serviceVlan: 0x88a8,
  ipv6: 0x86dd,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  /** What a frame has that names no type: IEEE 802.3 without a SNAP header. */
  none: 0x05ff,
} as const;

export const PROTOCOL = { icmp: 1, igmp: 2, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

export const ETHERNET_BYTES = 14;
export const MPLS_LABELS = 3;
export const VLAN_PRESENT = 0x1000;
export const FRAGMENT = { any: 1, later: 2 } as const;
export const ND = { solicit: 135, advert: 136, sourceOption: 1, targetOption: 2 } as const;

const SNAP_BYTES = 8;
export const ARP_BYTES = 28;
const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, authentication: 51, options: 60 } as const;

export const isVlanType = (type: number): boolean => type === TYPE.vlan || type === TYPE.serviceVlan;
export const isMplsType = (type: number): boolean => type === TYPE.mpls || type === TYPE.mplsMulticast;
export const isIpType = (type: number): boolean => type === TYPE.ipv4 || type === TYPE.ipv6;

/**
 * What is left to read: `at` moves up, `end` is where the packet ends (before padding, once that is known).
 */
interface Cursor {
  readonly frame: Uint8Array;
  at: number;
  end: number;
}

/**
 * Reads a frame into `key`, whose words from KEY.dlDst on must be zero, and notes where its layers begin.
 * `vlanLimit` is Open vSwitch's other_config:vlan-limit: tags beyond it are payload.
 */
export function extract(frame: Uint8Array, key: Uint32Array, layers: Layers, vlanLimit = 1): void {
  layers.labelsAt = -1;
  layers.layer3At = -1;
  layers.layer4At = -1;
  layers.paddingBytes = 0;
  if (frame.length < ETHERNET_BYTES) return;
  key[KEY.dlDst] = u16(frame, 0);
  key[KEY.dlDst + 1] = u32(frame, 2);
  key[KEY.dlSrc] = u16(frame, 6);
  key[KEY.dlSrc + 1] = u32(frame, 8);
  const cursor: Cursor = { frame, at: 12, end: frame.length };
  readTags(cursor, key, vlanLimit);
  const type = readType(cursor);
  key[KEY.dlType] = type;
  if (isMplsType(type)) {
    layers.labelsAt = cursor.at;
    readLabels(cursor, key);
  }
  layers.layer3At = cursor.at;
  if (type === TYPE.ipv4) readIpv4(cursor, key, layers);
  else if (type === TYPE.ipv6) readIpv6(cursor, key, layers);
  else if (type === TYPE.arp || type === TYPE.rarp) readArp(cursor, key);
}

/** A tag is kept as its type in the upper half of the word and its TCI, present bit set, in the lower. */
function readTags(cursor: Cursor, key: Uint32Array, vlanLimit: number): void {
  const { frame } = cursor;
  for (let tag = 0; tag < Math.min(vlanLimit, 2); tag++) {
    if (!isVlanType(u16(frame, cursor.at)) || cursor.end - cursor.at < 6) return;
    key[KEY.vlanTci + tag] = u32(frame, cursor.at) | VLAN_PRESENT;
    cursor.at += 4;
  }
}

function readType(cursor: Cursor): number {
  const { frame } = cursor;
  const type = u16(frame, cursor.at);
  cursor.at += 2;
  if (type >= 0x0600) return type;
  if (cursor.end - cursor.at < SNAP_BYTES) return TYPE.none;
  const isSnap = u32(frame, cursor.at) === 0xaaaa0300 && u16(frame, cursor.at + 4) === 0;
  if (!isSnap) return TYPE.none;
  cursor.at += SNAP_BYTES;
  const inner = u16(frame, cursor.at - 2);
  return inner >= 0x0600 ? inner : TYPE.none;
}

/** All entries up to the bottom of the stack are stepped over, three are kept. */
function readLabels(cursor: Cursor, key: Uint32Array): void {
  for (let index = 0; cursor.end - cursor.at >= 4; index++) {
    const entry = u32(cursor.frame, cursor.at);
    cursor.at += 4;
    if (index < MPLS_LABELS) key[KEY.mplsLse + index] = entry;
    if (entry & 0x100) return;
  }
}

function readIpv4(cursor: Cursor, key: Uint32Array, layers: Layers): void {
  const { frame, at } = cursor;
  const size = cursor.end - at;
  if (size < 20) return;
  const headerBytes = (frame[at]! & 15) * 4;
  const totalBytes = u16(frame, at + 2);
  if (headerBytes < 20 || headerBytes > totalBytes || totalBytes > size) return;
  layers.paddingBytes = size - totalBytes;
  cursor.end = at + totalBytes;
  const offset = u16(frame, at + 6) & 0x3fff;
  if (offset !== 0) key[KEY.nwFrag] = FRAGMENT.any | (offset & 0x1fff ? FRAGMENT.later : 0);
  key[KEY.nwTos] = frame[at + 1]!;
  key[KEY.nwTtl] = frame[at + 8]!;
  key[KEY.nwProto] = frame[at + 9]!;
  key[KEY.nwSrc] = u32(frame, at + 12);
  key[KEY.nwDst] = u32(frame, at + 16);
  cursor.at += headerBytes;
  layers.layer4At = cursor.at;
  readLayer4(cursor, key);
}

function readIpv6(cursor: Cursor, key: Uint32Array, layers: Layers): void {
  const { frame, at } = cursor;
  const size = cursor.end - at;
  if (size < 40) return;
  const payloadBytes = u16(frame, at + 4);
  if (payloadBytes + 40 > size) return;
  layers.paddingBytes = size - 40 - payloadBytes;
  cursor.end = at + 40 + payloadBytes;
  for (let word = 0; word < 4; word++) {
    key[KEY.ipv6Src + word] = u32(frame, at + 8 + 4 * word);
    key[KEY.ipv6Dst + word] = u32(frame, at + 24 + 4 * word);
  }
  const first = u32(frame, at);
  cursor.at += 40;
  const protocol = skipExtensions(cursor, key, frame[at + 6]!);
  if (protocol < 0) {
    key[KEY.nwFrag] = 0;
    return;
  }
  key[KEY.ipv6Label] = first & 0xfffff;
  key[KEY.nwTos] = (first >>> 20) & 0xff;
  key[KEY.nwTtl] = frame[at + 7]!;
  key[KEY.nwProto] = protocol;
  layers.layer4At = cursor.at;
  readLayer4(cursor, key);
}

/** Steps over the extension headers; the protocol behind them, or -1 when one is cut short. */
function skipExtensions(cursor: Cursor, key: Uint32Array, first: number): number {
  const { frame } = cursor;
  for (let protocol = first; ; ) {
    if (!Object.values<number>(EXTENSION).includes(protocol)) return protocol;
    if (cursor.end - cursor.at < 8) return -1;
    const at = cursor.at;
    const isFragment = protocol === EXTENSION.fragment;
    const isAuthentication = protocol === EXTENSION.authentication;
    const bytes = isFragment ? 8 : isAuthentication ? (frame[at + 1]! + 2) * 4 : (frame[at + 1]! + 1) * 8;
    protocol = frame[at]!;
    if (cursor.end - at < bytes) return -1;
    cursor.at += bytes;
    if (isFragment && u16(frame, at + 2) !== 0) {
      key[KEY.nwFrag] = FRAGMENT.any;
      if (u16(frame, at + 2) & 0xfff8) {
        key[KEY.nwFrag] = FRAGMENT.any | FRAGMENT.later;
        return EXTENSION.fragment;
      }
    }
  }
}

/** Only eight bits of the operation are kept: one above 255 reads as 0. */
function readArp(cursor: Cursor, key: Uint32Array): void {
  const { frame, at } = cursor;
  if (cursor.end - at < ARP_BYTES) return;
  const isEthernetIpv4 = u32(frame, at) === 0x00010800 && u16(frame, at + 4) === 0x0604;
  if (!isEthernetIpv4) return;
  const operation = u16(frame, at + 6);
  if (operation <= 0xff) key[KEY.nwProto] = operation;
  key[KEY.arpSha] = u16(frame, at + 8);
  key[KEY.arpSha + 1] = u32(frame, at + 10);
  key[KEY.nwSrc] = u32(frame, at + 14);
  key[KEY.arpTha] = u16(frame, at + 18);
  key[KEY.arpTha + 1] = u32(frame, at + 20);
  key[KEY.nwDst] = u32(frame, at + 24);
}

/** Header bytes that must be there before anything of layer 4 is read. */
const LAYER_4_BYTES: Record<number, number> = {
  [PROTOCOL.tcp]: 20,
  [PROTOCOL.udp]: 8,
  [PROTOCOL.sctp]: 12,
  [PROTOCOL.icmp]: 8,
  [PROTOCOL.igmp]: 8,
  [PROTOCOL.icmpv6]: 8,
};

function readLayer4(cursor: Cursor, key: Uint32Array): void {
  const { frame, at } = cursor;
  const protocol = key[KEY.nwProto]!;
  const needed = LAYER_4_BYTES[protocol];
  if (key[KEY.nwFrag]! & FRAGMENT.later || needed === undefined || cursor.end - at < needed) return;
  if (protocol === PROTOCOL.tcp && !isTcpHeader(cursor)) return;
  if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.sctp) {
    key[KEY.tpSrc] = u16(frame, at);
    key[KEY.tpDst] = u16(frame, at + 2);
    if (protocol === PROTOCOL.tcp) key[KEY.tcpFlags] = u16(frame, at + 12) & 0x0fff;
    return;
  }
  key[KEY.tpSrc] = frame[at]!;
  key[KEY.tpDst] = frame[at + 1]!;
  if (protocol === PROTOCOL.igmp) key[KEY.igmpGroup] = u32(frame, at + 4);
  if (protocol === PROTOCOL.icmpv6) readNeighbourDiscovery(cursor, key);
}

/** A data offset of less than five words, or beyond the packet, makes ports and flags unreadable. */
function isTcpHeader({ frame, at, end }: Cursor): boolean {
  const headerBytes = (frame[at + 12]! >>> 4) * 4;
  return headerBytes >= 20 && headerBytes <= end - at;
}

/**
 * Of the link-layer options the first of each kind is kept; a second one makes target and both addresses
 * zero.
 */
function readNeighbourDiscovery(cursor: Cursor, key: Uint32Array): void {
  const { frame, end } = cursor;
  if (key[KEY.tpDst] !== 0 || (key[KEY.tpSrc] !== ND.solicit && key[KEY.tpSrc] !== ND.advert)) return;
  key[KEY.ndReserved] = u32(frame, cursor.at + 4);
  let at = cursor.at + 8;
  if (end - at < 16) return;
  for (let word = 0; word < 4; word++) key[KEY.ndTarget + word] = u32(frame, at + 4 * word);
  at += 16;
  while (end - at >= 8) {
    const type = frame[at]!;
    const bytes = frame[at + 1]! * 8;
    if (bytes === 0 || bytes > end - at) return;
    if ((type === ND.sourceOption || type === ND.targetOption) && bytes === 8) {
      const word = type === ND.sourceOption ? KEY.arpSha : KEY.arpTha;
      if (key[word] !== 0 || key[word + 1] !== 0) {
        key.fill(0, KEY.ndTarget, KEY.ndTarget + 4);
        key.fill(0, KEY.arpSha, KEY.arpTha + 2);
        return;
      }
      key[word] = u16(frame, at + 2);
      key[word + 1] = u32(frame, at + 4);
      if (key[KEY.ndOptionsType] === 0) key[KEY.ndOptionsType] = type;
    }
    at += bytes;
  }
}
