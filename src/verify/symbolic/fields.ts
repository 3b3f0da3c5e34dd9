/**
 * Reads and writes fields of a symbolic flow key, as interpret/field-access.ts does with numbers, with the
 * same peculiarities of Open vSwitch's writers. Questions about values go to a Decider.
 */
import { type Demanded, type Field, KEY, type Subfield } from "../../openflow/index.ts";
import type { Decider } from "./decider.ts";
import { type Segment, sliceSegments, type Word } from "./terms.ts";

type Key = readonly Word[];

export const TYPES = {
  ip4: 0x0800,
  ip6: 0x86dd,
  arp: 0x0806,
  rarp: 0x8035,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
} as const;
export const VLAN_PRESENT = 0x1000;

/** Calls `visit(word, lowest bit, bit count, bit of the value)` for each piece of a subfield. */
function pieces(
  field: Field,
  start: number,
  bits: number,
  visit: (word: number, shift: number, count: number, at: number) => void,
): void {
  const { place } = field;
  if (place === null) throw new Error(`internal error: field ${field.name} has no place in the flow key`);
  const last = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
  for (let done = 0; done < bits; ) {
    const bit = place.shift + start + done;
    const count = Math.min(bits - done, 32 - (bit & 31));
    visit(last - (bit >>> 5), bit & 31, count, done);
    done += count;
  }
}

export function readField({ terms }: Decider, key: Key, { field, start, bits }: Subfield): Segment[] {
  const out: Segment[] = [];
  pieces(field, start, bits, (word, shift, count) => out.push(...terms.slice(key[word]!, shift, count)));
  // The two lowest bits of nw_tos belong to nw_ecn.
  const hidden = field.name === "nw_tos" ? Math.min(bits, Math.max(0, 2 - start)) : 0;
  if (hidden === 0) return out;
  return [{ is: "const", bits: hidden, value: 0 }, ...sliceSegments(out, hidden, bits - hidden)];
}

export function writeField(
  decider: Decider,
  key: Key,
  { field, start, bits }: Subfield,
  value: readonly Segment[],
): Word[] {
  const after = [...key];
  const { terms } = decider;
  pieces(field, start, bits, (word, shift, count, at) => {
    after[word] = terms.replace(after[word]!, shift, sliceSegments(value, at, count));
  });
  afterWrite(decider, field, key, after);
  return after;
}

/** Writes `value` where `mask` is 1; 32-bit words, the least significant first. */
export function writeMasked(
  decider: Decider,
  key: Key,
  field: Field,
  value: readonly Segment[],
  mask: readonly number[],
): Word[] {
  const after = [...key];
  const { terms } = decider;
  for (const { start, bits } of runsOf(mask)) {
    pieces(field, start, bits, (word, shift, count, at) => {
      after[word] = terms.replace(after[word]!, shift, sliceSegments(value, start + at, count));
    });
  }
  afterWrite(decider, field, key, after);
  return after;
}

/** Runs of ones in a mask. */
function runsOf(mask: readonly number[]): { start: number; bits: number }[] {
  const runs: { start: number; bits: number }[] = [];
  for (let bit = 0; bit < mask.length * 32; bit++) {
    if (((mask[bit >>> 5]! >>> (bit & 31)) & 1) === 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.bits === bit) last.bits++;
    else runs.push({ start: bit, bits: 1 });
  }
  return runs;
}

/** A tag without a type becomes 802.1Q; a TCI of 0 means no tag. */
function fixTag({ terms, is }: Decider, key: Word[]): void {
  const tag = key[KEY.vlanTci]!;
  if (is(tag, 0xffff, 0)) key[KEY.vlanTci] = terms.constant(0);
  else if (is(tag, 0xffff0000, 0))
    key[KEY.vlanTci] = terms.replace(tag, 16, [{ is: "const", bits: 16, value: 0x8100 }]);
}

function afterWrite(decider: Decider, field: Field, before: Key, key: Word[]): void {
  const { terms } = decider;
  switch (field.name) {
    case "vlan_tci":
    case "vlan_vid":
      fixTag(decider, key);
      return;
    case "dl_vlan":
    case "dl_vlan_pcp":
    case "vlan_pcp":
      key[KEY.vlanTci] = terms.replace(key[KEY.vlanTci]!, 12, [{ is: "const", bits: 1, value: 1 }]);
      fixTag(decider, key);
      return;
    case "nw_tos":
      key[KEY.nwTos] = terms.word([
        ...terms.slice(before[KEY.nwTos]!, 0, 2),
        ...terms.slice(key[KEY.nwTos]!, 2, 6),
      ]);
      return;
    case "arp_op":
      key[KEY.nwProto] = terms.word(terms.slice(key[KEY.nwProto]!, 0, 8));
      return;
    case "in_port": {
      const port = terms.word(terms.slice(key[KEY.inPort]!, 0, 16));
      key[KEY.inPort] = widePort(decider, port);
      return;
    }
    case "in_port_oxm": {
      const port = key[KEY.inPort]!;
      const isSmall = decider.is(port, 0xffff0000, 0) && !decider.is(port, 0xff00, 0xff00);
      if (!isSmall && !decider.is(port, 0xffffff00, 0xffffff00)) key[KEY.inPort] = terms.constant(0xffffffff);
      return;
    }
  }
}

/** Extends a 16-bit port to the word of the key: from 0xff00 on, the upper half is ones. */
export function widePort(decider: Decider, port: Word): Word {
  if (!decider.is(port, 0xff00, 0xff00)) return port;
  return decider.terms.replace(port, 16, [{ is: "const", bits: 16, value: 0xffff }]);
}

export const hasType = (decider: Decider, key: Key, ...types: number[]): boolean =>
  types.some(type => decider.is(key[KEY.dlType]!, 0xffff, type));

export const isMpls = (decider: Decider, key: Key): boolean =>
  hasType(decider, key, TYPES.mpls, TYPES.mplsMulticast);

export const isIp = (decider: Decider, key: Key): boolean => hasType(decider, key, TYPES.ip4, TYPES.ip6);

const hasProtocol = (decider: Decider, key: Key, protocol: number): boolean =>
  decider.is(key[KEY.nwProto]!, 0xffffffff, protocol);

const isTransport =
  (protocol: number) =>
  (decider: Decider, key: Key): boolean =>
    isIp(decider, key) && hasProtocol(decider, key, protocol) && decider.is(key[KEY.nwFrag]!, 2, 0);

const isIcmp6 = (decider: Decider, key: Key): boolean =>
  hasType(decider, key, TYPES.ip6) && hasProtocol(decider, key, 58);

/** Whether the port words hold an ICMP type and code. */
export const isIcmp = (decider: Decider, key: Key): boolean =>
  HOLDS.ICMPv4(decider, key) || HOLDS.ICMPv6(decider, key);

const isNd =
  (...types: number[]) =>
  (decider: Decider, key: Key): boolean =>
    isIcmp6(decider, key) &&
    decider.is(key[KEY.tpDst]!, 0xffffffff, 0) &&
    types.some(type => decider.is(key[KEY.tpSrc]!, 0xffffffff, type));

/** For each prerequisite, whether the packet satisfies it now. */
export const HOLDS: Record<Demanded, (decider: Decider, key: Key) => boolean> = {
  none: () => true,
  Ethernet: () => true,
  ARP: (decider, key) => hasType(decider, key, TYPES.arp, TYPES.rarp),
  "VLAN VID": (decider, key) => !decider.is(key[KEY.vlanTci]!, VLAN_PRESENT, 0),
  IPv4: (decider, key) => hasType(decider, key, TYPES.ip4),
  IPv6: (decider, key) => hasType(decider, key, TYPES.ip6),
  "IPv4/IPv6": isIp,
  CT: () => false,
  MPLS: isMpls,
  NSH: () => false,
  TCP: isTransport(6),
  UDP: isTransport(17),
  SCTP: isTransport(132),
  ports: (decider, key) => isIp(decider, key) && decider.is(key[KEY.nwFrag]!, 2, 0),
  ICMPv4: (decider, key) => hasType(decider, key, TYPES.ip4) && hasProtocol(decider, key, 1),
  ICMPv6: isIcmp6,
  ND: isNd(135, 136),
  "ND solicit": isNd(135),
  "ND advert": isNd(136),
};
