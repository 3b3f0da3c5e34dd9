/**
 * Reading and writing fields of a flow key, with the oddities that Open vSwitch's writers have
 * (mf_set_flow_value and mf_are_prereqs_ok of lib/meta-flow.c): a VLAN field that is written makes a tag, an
 * ARP operation keeps eight bits, NXM_OF_IN_PORT has 16 bits of a 32-bit port. Values are lists of 32-bit
 * words, the least significant first.
 */
import { PORT, type Subfield } from "../ast.ts";
import type { Demanded, Field } from "../fields.ts";
import { KEY } from "../flow-key.ts";
import { FRAGMENT, isIpType, isMplsType, ND, PROTOCOL, TYPE, VLAN_PRESENT } from "./extract.ts";

/** A value of up to 128 bits: four words, the least significant first. */
export type Words = [number, number, number, number];

const noWords = (): Words => [0, 0, 0, 0];

/** The words of a bigint. */
export function wordsOf(value: bigint): Words {
  if (value <= 0xffff_ffff_ffffn) {
    const number = Number(value);
    return [number >>> 0, Math.floor(number / 0x1_0000_0000), 0, 0];
  }
  const word = (index: bigint): number => Number((value >> (32n * index)) & 0xffffffffn);
  return [word(0n), word(1n), word(2n), word(3n)];
}

/** A 16-bit port number as the key has it: reserved ports from 0xff00 on become 32-bit ones. */
export const widePort = (port: number): number => (port >= 0xff00 ? (port | 0xffff0000) >>> 0 : port);

/** Whether frames can come in by a number, as people write it: 1 to 65279, or LOCAL. */
export const isPort = (number: number): boolean => (number > 0 && number < 0xff00) || number === 0xfffe;

/** A port of the key as people know it: LOCAL is 65534. */
export const narrowPort = (port: number): number => (port > 0xffff ? port & 0xffff : port);

/**
 * Calls `visit(word of the key, lowest bit in it, bits, bit of the value)` for each piece of `bits` bits from
 * `start`.
 */
function pieces(
  field: Field,
  start: number,
  bits: number,
  visit: (word: number, shift: number, count: number, valueBit: number) => void,
): void {
  const place = field.place!;
  const lastWord = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
  for (let done = 0; done < bits; ) {
    const bit = place.shift + start + done;
    const count = Math.min(bits - done, 32 - (bit & 31), 32 - (done & 31));
    visit(lastWord - (bit >>> 5), bit & 31, count, done);
    done += count;
  }
}

const maskOf = (bits: number): number => (bits === 32 ? 0xffffffff : (1 << bits) - 1);

/** The bits of a subfield. */
export function readSubfield(key: Uint32Array, { field, start, bits }: Subfield): Words {
  const value = noWords();
  pieces(field, start, bits, (word, shift, count, valueBit) => {
    const piece = (key[word]! >>> shift) & maskOf(count);
    value[valueBit >>> 5] = (value[valueBit >>> 5]! | (piece << (valueBit & 31))) >>> 0;
  });
  // The two lowest bits of nw_tos are nw_ecn's.
  if (field.name === "nw_tos" && start < 2) value[0] &= ~(3 >>> start);
  return value;
}

/** Writes the lowest `bits` bits of `value` to a subfield. */
export function writeSubfield(key: Uint32Array, { field, start, bits }: Subfield, value: Words): void {
  const before = key[field.place!.word]!;
  pieces(field, start, bits, (word, shift, count, valueBit) => {
    const mask = maskOf(count) << shift;
    const piece = (value[valueBit >>> 5]! >>> (valueBit & 31)) << shift;
    key[word] = (key[word]! & ~mask) | (piece & mask);
  });
  AFTER_WRITE[field.name]?.(key, before);
}

/** Writes `value` where `mask` has ones; both in the width of the field. */
export function writeMasked(key: Uint32Array, field: Field, value: Words, mask: Words): void {
  const place = field.place!;
  const lastWord = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
  const before = key[place.word]!;
  for (let word = lastWord, index = 0; word >= place.word; word--, index++) {
    const bits = mask[index]! << place.shift;
    key[word] = (key[word]! & ~bits) | ((value[index]! << place.shift) & bits);
  }
  AFTER_WRITE[field.name]?.(key, before);
}

/** A tag without a type gets 802.1Q's. One whose TCI becomes 0 is gone, yet its type stays for the next. */
function fixTag(key: Uint32Array): void {
  const tag = key[KEY.vlanTci]!;
  if (tag !== 0 && tag >>> 16 === 0) key[KEY.vlanTci] = (TYPE.vlan << 16) | tag;
}

function makeTag(key: Uint32Array): void {
  key[KEY.vlanTci] = key[KEY.vlanTci]! | VLAN_PRESENT;
  fixTag(key);
}

/** What a write does besides writing; `before` is the first word of the field as it was. */
const AFTER_WRITE: Record<string, (key: Uint32Array, before: number) => void> = {
  vlan_tci: fixTag,
  vlan_vid: fixTag,
  dl_vlan: makeTag,
  dl_vlan_pcp: makeTag,
  vlan_pcp: makeTag,
  nw_tos: (key, before) => {
    key[KEY.nwTos] = (key[KEY.nwTos]! & 0xfc) | (before & 3);
  },
  arp_op: key => {
    key[KEY.nwProto] = key[KEY.nwProto]! & 0xff;
  },
  in_port: key => {
    key[KEY.inPort] = widePort(key[KEY.inPort]! & 0xffff);
  },
  in_port_oxm: key => {
    const port = key[KEY.inPort]!;
    if (port >= 0xff00 && port < 0xffffff00) key[KEY.inPort] = PORT.none;
  },
};

const isIcmpv6 = (key: Uint32Array): boolean =>
  key[KEY.dlType] === TYPE.ipv6 && key[KEY.nwProto] === PROTOCOL.icmpv6;

const isTransport = (key: Uint32Array, protocol: number): boolean =>
  isIpType(key[KEY.dlType]!) && key[KEY.nwProto] === protocol && (key[KEY.nwFrag]! & FRAGMENT.later) === 0;

const isNd = (key: Uint32Array, ...types: number[]): boolean =>
  isIcmpv6(key) && key[KEY.tpDst] === 0 && types.includes(key[KEY.tpSrc]!);

/** Whether a packet has the fields of this prerequisite right now. */
export const HOLDS: Record<Demanded, (key: Uint32Array) => boolean> = {
  none: () => true,
  Ethernet: () => true,
  ARP: key => key[KEY.dlType] === TYPE.arp || key[KEY.dlType] === TYPE.rarp,
  "VLAN VID": key => (key[KEY.vlanTci]! & VLAN_PRESENT) !== 0,
  IPv4: key => key[KEY.dlType] === TYPE.ipv4,
  IPv6: key => key[KEY.dlType] === TYPE.ipv6,
  "IPv4/IPv6": key => isIpType(key[KEY.dlType]!),
  CT: () => false,
  MPLS: key => isMplsType(key[KEY.dlType]!),
  NSH: () => false,
  TCP: key => isTransport(key, PROTOCOL.tcp),
  UDP: key => isTransport(key, PROTOCOL.udp),
  SCTP: key => isTransport(key, PROTOCOL.sctp),
  ports: key => isIpType(key[KEY.dlType]!) && (key[KEY.nwFrag]! & FRAGMENT.later) === 0,
  ICMPv4: key => key[KEY.dlType] === TYPE.ipv4 && key[KEY.nwProto] === PROTOCOL.icmp,
  ICMPv6: isIcmpv6,
  ND: key => isNd(key, ND.solicit, ND.advert),
  "ND solicit": key => isNd(key, ND.solicit),
  "ND advert": key => isNd(key, ND.advert),
};

const TYPE_AND_PROTOCOL = [KEY.dlType, KEY.nwProto];
const TRANSPORT = [...TYPE_AND_PROTOCOL, KEY.nwFrag];
const NEIGHBOUR = [...TYPE_AND_PROTOCOL, KEY.tpSrc, KEY.tpDst];

/** The words of a key that `HOLDS` looks at. */
export const HOLDS_BY: Record<Demanded, readonly number[]> = {
  none: [],
  Ethernet: [],
  ARP: [KEY.dlType],
  "VLAN VID": [KEY.vlanTci],
  IPv4: [KEY.dlType],
  IPv6: [KEY.dlType],
  "IPv4/IPv6": [KEY.dlType],
  CT: [],
  MPLS: [KEY.dlType],
  NSH: [],
  TCP: TRANSPORT,
  UDP: TRANSPORT,
  SCTP: TRANSPORT,
  // The protocol is part of what Open vSwitch reads then, too.
  ports: TRANSPORT,
  ICMPv4: TYPE_AND_PROTOCOL,
  ICMPv6: TYPE_AND_PROTOCOL,
  ND: NEIGHBOUR,
  "ND solicit": NEIGHBOUR,
  "ND advert": NEIGHBOUR,
};
