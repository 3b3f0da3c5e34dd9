/**
 * What the actions between two lookups changed in a packet, in the words of ovs-fields(7), for people who
 * read a trace. It compares two flow keys; nothing is executed here. A field is compared only where both
 * packets have it: what a pushed label hides has not changed.
 */
import { FIELDS, type Field } from "../fields.ts";
import { KEY } from "../flow-key.ts";
import { formatIpv6Address, formatMacValue, formatPort } from "../values.ts";
import { FRAGMENT, isIpType, isMplsType, PROTOCOL, TYPE, VLAN_PRESENT } from "./extract.ts";
import { narrowPort, readSubfield } from "./field-access.ts";
import { countLabels } from "./mpls.ts";

/** One field before and after. */
export interface Change {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

type Key = Uint32Array;

interface Shown {
  readonly field: string;
  readonly words: readonly [first: number, count: number];
  readonly isThere: (key: Key) => boolean;
  readonly format: (key: Key) => string;
}

const always = (): boolean => true;
const isType =
  (...types: number[]) =>
  (key: Key): boolean =>
    types.includes(key[KEY.dlType]!);
const isIp = (key: Key): boolean => isIpType(key[KEY.dlType]!);
const isArp = isType(TYPE.arp, TYPE.rarp);
const hasPorts = (key: Key): boolean =>
  isIp(key) &&
  [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp].includes(key[KEY.nwProto]! as 6) &&
  (key[KEY.nwFrag]! & FRAGMENT.later) === 0;
const isIcmp = (key: Key): boolean =>
  isIp(key) && [PROTOCOL.icmp, PROTOCOL.icmpv6].includes(key[KEY.nwProto]! as 1);

const mac =
  (word: number) =>
  (key: Key): string =>
    formatMacValue((BigInt(key[word]!) << 32n) | BigInt(key[word + 1]!));
const address =
  (word: number) =>
  (key: Key): string =>
    [24, 16, 8, 0].map(shift => (key[word]! >>> shift) & 0xff).join(".");
const ipv6 =
  (word: number) =>
  (key: Key): string =>
    formatIpv6Address([0, 1, 2, 3].reduce((value, index) => (value << 32n) | BigInt(key[word + index]!), 0n));
const decimal =
  (word: number) =>
  (key: Key): string =>
    String(key[word]!);
const hexadecimal =
  (word: number) =>
  (key: Key): string =>
    `0x${key[word]!.toString(16)}`;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [TYPE.ipv4, "ip"],
  [TYPE.arp, "arp"],
  [TYPE.rarp, "rarp"],
  [TYPE.ipv6, "ipv6"],
  [TYPE.mpls, "mpls"],
  [TYPE.mplsMulticast, "mplsm"],
]);

function typeText(key: Key): string {
  const type = key[KEY.dlType]!;
  return TYPE_NAMES.get(type) ?? `0x${type.toString(16).padStart(4, "0")}`;
}

function tagText(key: Key): string {
  const tags = [KEY.vlanTci, KEY.innerVlanTci].map(word => key[word]!).filter(tag => tag & VLAN_PRESENT);
  if (tags.length === 0) return "untagged";
  return tags.map(tag => `${tag & 0xfff}${tag & 0xe000 ? ` pcp ${(tag >>> 13) & 7}` : ""}`).join(" / ");
}

/** `2002 tc 0 ttl 63 / 16 tc 0 ttl 63 S`: outermost first. */
function labelText(key: Key): string {
  const count = countLabels(key);
  if (count === 0) return "none";
  const entries = Array.from({ length: count }, (_, index) => key[KEY.mplsLse + index]!);
  return entries
    .map(entry => {
      const bottom = entry & 0x100 ? " S" : "";
      return `${entry >>> 12} tc ${(entry >>> 9) & 7} ttl ${entry & 0xff}${bottom}`;
    })
    .join(" / ");
}

const shown = (
  field: string,
  first: number,
  count: number,
  isThere: (key: Key) => boolean,
  format: (key: Key) => string,
): Shown => ({ field, words: [first, count], isThere, format });

const PACKET: readonly Shown[] = [
  shown("in_port", KEY.inPort, 1, always, key => formatPort(narrowPort(key[KEY.inPort]!))),
  shown("dl_dst", KEY.dlDst, 2, always, mac(KEY.dlDst)),
  shown("dl_src", KEY.dlSrc, 2, always, mac(KEY.dlSrc)),
  shown("dl_type", KEY.dlType, 1, always, typeText),
  shown("vlan", KEY.vlanTci, 2, always, tagText),
  shown("labels", KEY.mplsLse, 3, always, labelText),
  shown("nw_src", KEY.nwSrc, 1, isType(TYPE.ipv4), address(KEY.nwSrc)),
  shown("nw_dst", KEY.nwDst, 1, isType(TYPE.ipv4), address(KEY.nwDst)),
  shown("ipv6_src", KEY.ipv6Src, 4, isType(TYPE.ipv6), ipv6(KEY.ipv6Src)),
  shown("ipv6_dst", KEY.ipv6Dst, 4, isType(TYPE.ipv6), ipv6(KEY.ipv6Dst)),
  shown("ipv6_label", KEY.ipv6Label, 1, isType(TYPE.ipv6), hexadecimal(KEY.ipv6Label)),
  shown("nw_tos", KEY.nwTos, 1, isIp, decimal(KEY.nwTos)),
  shown("nw_ttl", KEY.nwTtl, 1, isIp, decimal(KEY.nwTtl)),
  shown("arp_op", KEY.nwProto, 1, isArp, decimal(KEY.nwProto)),
  shown("arp_sha", KEY.arpSha, 2, isArp, mac(KEY.arpSha)),
  shown("arp_spa", KEY.nwSrc, 1, isArp, address(KEY.nwSrc)),
  shown("arp_tha", KEY.arpTha, 2, isArp, mac(KEY.arpTha)),
  shown("arp_tpa", KEY.nwDst, 1, isArp, address(KEY.nwDst)),
  shown("tp_src", KEY.tpSrc, 1, hasPorts, decimal(KEY.tpSrc)),
  shown("tp_dst", KEY.tpDst, 1, hasPorts, decimal(KEY.tpDst)),
  shown("icmp_type", KEY.tpSrc, 1, isIcmp, decimal(KEY.tpSrc)),
  shown("icmp_code", KEY.tpDst, 1, isIcmp, decimal(KEY.tpDst)),
  shown("nd_target", KEY.ndTarget, 4, isType(TYPE.ipv6), ipv6(KEY.ndTarget)),
  shown("nd_sll", KEY.arpSha, 2, isType(TYPE.ipv6), mac(KEY.arpSha)),
  shown("nd_tll", KEY.arpTha, 2, isType(TYPE.ipv6), mac(KEY.arpTha)),
];

/** Metadata by the registry's names: registers, metadata, tunnel and marks. */
const METADATA: readonly Shown[] = FIELDS.filter(isPlainMetadata).map(field => {
  const { word, shift, bits } = field.place!;
  const format = (key: Key): string => {
    const words = readSubfield(key, { field, start: 0, bits });
    const value = words.reduceRight((sum, one) => (sum << 32n) | BigInt(one), 0n);
    return `0x${value.toString(16)}`;
  };
  return shown(field.name, word, Math.ceil((shift + bits) / 32), always, format);
});

function isPlainMetadata({ name, place }: Field): boolean {
  if (place === null || place.word >= KEY.dlDst || place.bits > 64) return false;
  return /^(reg\d+|metadata|tun_(id|src|dst)|pkt_mark)$/.test(name);
}

/** The fields in which two keys differ, those of the packet first. */
export function changesBetween(before: Key, after: Key): Change[] {
  return [...PACKET, ...METADATA].flatMap(({ field, words, isThere, format }) => {
    const [first, count] = words;
    let differs = field === "labels" && isMplsType(before[KEY.dlType]!) !== isMplsType(after[KEY.dlType]!);
    for (let word = first; word < first + count; word++) differs ||= before[word] !== after[word];
    if (!differs || !isThere(before) || !isThere(after)) return [];
    const [was, is] = [format(before), format(after)];
    return was === is ? [] : [{ field, before: was, after: is }];
  });
}
