/**
 * Encodes a flow key as a frame: the smallest one of its frame format, with valid lengths and checksums. The
 * caller must check that Open vSwitch extracts the same key from it.
 */
import { crc32c, extract, KEY, KEY_WORDS } from "../../openflow/index.ts";
import { internetChecksum, unreachable } from "../../wire/index.ts";
import { type Extractions, SNAP_WORD } from "../symbolic/extractions.ts";
import {
  cubesOf,
  EVERY_FRAME,
  FRAME_FORMATS,
  type FrameFormat,
  INPUT_WORDS,
} from "../symbolic/input-space.ts";
import type { Input } from "./find-input.ts";

type Word = (word: number) => number;

const u16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)];
const mac = (high: number, low: number): number[] => [...u16(high), ...u32(low)];
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** Neighbour discovery up to the reserved word, and the target behind it (RFC 4861, 4.3 and 4.4). */
const ndHead = (word: Word): number[] => [
  ...[word(KEY.tpSrc), word(KEY.tpDst), 0, 0],
  ...u32(word(KEY.ndReserved)),
];
const ndTarget = (word: Word): number[] => [0, 1, 2, 3].flatMap(i => u32(word(KEY.ndTarget + i)));

/** Layer 4 by the last word of the format's name. */
const LAYER_4: Readonly<Record<string, (word: Word) => number[]>> = {
  udp: word => [...u16(word(KEY.tpSrc)), ...u16(word(KEY.tpDst)), ...u16(8), 0, 0],
  tcp: word => [
    ...u16(word(KEY.tpSrc)),
    ...u16(word(KEY.tpDst)),
    ...zeros(8),
    ...u16(0x5000 | word(KEY.tcpFlags)),
    ...zeros(6),
  ],
  sctp: word => [...u16(word(KEY.tpSrc)), ...u16(word(KEY.tpDst)), ...zeros(8)],
  icmp: word => [word(KEY.tpSrc), word(KEY.tpDst), ...zeros(6)],
  igmp: word => [word(KEY.tpSrc), word(KEY.tpDst), 0, 0, ...u32(word(KEY.igmpGroup))],
  icmp6: word => [word(KEY.tpSrc), word(KEY.tpDst), ...zeros(6)],
  nd: word => [...ndHead(word), ...ndTarget(word), ...options(word)],
  "nd bare": word => [...ndHead(word), ...ndTarget(word)],
  "nd cut": ndHead,
};

/** Offset of the layer 4 checksum, and whether it covers the pseudo header (RFC 768, 9293, 4443). */
const CHECKSUMS: Readonly<Record<string, { readonly at: number; readonly hasPseudo: boolean }>> = {
  udp: { at: 6, hasPseudo: true },
  tcp: { at: 16, hasPseudo: true },
  icmp: { at: 2, hasPseudo: false },
  igmp: { at: 2, hasPseudo: false },
  icmp6: { at: 2, hasPseudo: true },
  nd: { at: 2, hasPseudo: true },
  "nd bare": { at: 2, hasPseudo: true },
  "nd cut": { at: 2, hasPseudo: true },
};

/**
 * Layer 4 with its checksum: over the pseudo header, which ends with protocol and length; SCTP has a CRC
 * (RFC 9260).
 */
function sealed(name: string, payload: readonly number[], pseudo: readonly number[]): readonly number[] {
  if (name === "sctp") {
    const crc = crc32c(Uint8Array.from(payload), 0, payload.length);
    return [...payload.slice(0, 8), ...u32(crc), ...payload.slice(12)];
  }
  const checked = CHECKSUMS[name];
  if (checked === undefined) return payload;
  const sum = internetChecksum(checked.hasPseudo ? pseudo : [], payload);
  // In UDP, 0 means no checksum.
  const written = sum === 0 && name === "udp" ? 0xffff : sum;
  return payload.with(checked.at, written >>> 8).with(checked.at + 1, written & 0xff);
}

/** First the option of type ndOptionsType, then the other one if it has an address. */
function options(word: Word): number[] {
  const addresses = [KEY.arpSha, KEY.arpTha].map(at => [word(at), word(at + 1)] as const);
  const first = word(KEY.ndOptionsType);
  return [first, 3 - first].flatMap(type => {
    const [high, low] = addresses[type - 1]!;
    return type !== first && high === 0 && low === 0 ? [] : [type, 1, ...mac(high, low)];
  });
}

function ip4(name: string, word: Word): number[] {
  if (name === "ip4 bad") return zeros(20);
  const open = LAYER_4[name.slice(4)]?.(word) ?? [];
  const addresses = [...u32(word(KEY.nwSrc)), ...u32(word(KEY.nwDst))];
  const pseudo = [...addresses, 0, word(KEY.nwProto), ...u16(open.length)];
  // The checksum of a fragment also covers bytes that are not in it.
  const payload = word(KEY.nwFrag) === 0 ? sealed(name.slice(4), open, pseudo) : open;
  const frag = [0, 0x2000, 0, 1][word(KEY.nwFrag)]!;
  const header = [
    0x45,
    word(KEY.nwTos),
    ...u16(20 + payload.length),
    0,
    0,
    ...u16(frag),
    word(KEY.nwTtl),
    word(KEY.nwProto),
    0,
    0,
    ...addresses,
  ];
  const sum = internetChecksum(header);
  return [...header.slice(0, 10), ...u16(sum), ...header.slice(12), ...payload];
}

function ip6(name: string, word: Word): number[] {
  if (name === "ip6 bad") return zeros(20);
  const open = LAYER_4[name.slice(4)]?.(word) ?? [];
  const frag = word(KEY.nwFrag);
  const protocol = word(KEY.nwProto);
  const addresses = [KEY.ipv6Src, KEY.ipv6Dst].flatMap(at => [0, 1, 2, 3].flatMap(i => u32(word(at + i))));
  const pseudo = [...addresses, ...u32(open.length), ...u32(protocol)];
  const payload = frag === 0 ? sealed(name.slice(4), open, pseudo) : open;
  const extension =
    frag === 0 ? [] : [frag === 3 ? 59 : protocol, 0, ...u16(frag === 3 ? 8 : 1), ...zeros(4)];
  const next = name === "ip6 cut" ? 0 : frag === 0 ? protocol : 44;
  const rest = [...extension, ...payload];
  return [
    ...u32(((6 << 28) | (word(KEY.nwTos) << 20) | word(KEY.ipv6Label)) >>> 0),
    ...u16(rest.length),
    next,
    word(KEY.nwTtl),
    ...addresses,
    ...rest,
  ];
}

function arp(name: string, word: Word): number[] {
  return [
    ...u16(name === "arp bad" ? 0 : 1),
    ...u16(0x0800),
    6,
    4,
    ...u16(word(KEY.nwProto)),
    ...mac(word(KEY.arpSha), word(KEY.arpSha + 1)),
    ...u32(word(KEY.nwSrc)),
    ...mac(word(KEY.arpTha), word(KEY.arpTha + 1)),
    ...u32(word(KEY.nwDst)),
  ];
}

function layer3(format: FrameFormat, word: Word): number[] {
  switch (format.layer3) {
    case "ip4":
      return ip4(format.name, word);
    case "ip6":
      return ip6(format.name, word);
    case "arp":
      return arp(format.name, word);
    case "mpls":
    case "none":
      return [];
    default:
      return unreachable(format.layer3);
  }
}

/** Number of visible label stack entries of each MPLS format. */
const ENTRIES: Readonly<Record<string, number>> = {
  "mpls 1": 1,
  "mpls 2": 2,
  "mpls 3": 3,
  "mpls 4 or cut after 3": 3,
  "mpls cut after 2": 2,
  "mpls cut after 1": 1,
  "mpls cut at once": 0,
};

/** Encodes an input; `extraction` is the one behind the labels to include. */
export function frameOf({ terms, list }: Extractions, input: Input, extraction: number): Uint8Array {
  const word: Word = index => input.valueOf(0, index);
  const behind = list[extraction]?.behind ?? null;
  const inner =
    behind === null ? [] : layer3(input.formats[extraction]!, index => input.valueOf(extraction, index));
  return bytesOf(input.formats[0]!, word, {
    isSnap: terms.atoms.some(atom => atom.word === SNAP_WORD) && word(SNAP_WORD) === 1,
    // The bytes at the place of further labels are those labels.
    labelCount: behind?.popped ?? Number.POSITIVE_INFINITY,
    inner,
  });
}

interface Layout {
  readonly isSnap: boolean;
  /** At most this number of label stack entries, then the bytes of `inner`. */
  readonly labelCount: number;
  readonly inner: readonly number[];
}

function bytesOf(format: FrameFormat, word: Word, { isSnap, labelCount, inner }: Layout): Uint8Array {
  const head = [...mac(word(KEY.dlDst), word(KEY.dlDst + 1)), ...mac(word(KEY.dlSrc), word(KEY.dlSrc + 1))];
  const tag = word(KEY.vlanTci);
  if (tag !== 0) head.push(...u16(tag >>> 16), ...u16(tag & ~0x1000));
  const type = word(KEY.dlType);
  const isTagType = type === 0x8100 || type === 0x88a8;
  if (format.name === "802.3") return Uint8Array.from([...head, ...u16(4), ...zeros(4)]);
  if (isSnap) head.push(0, 50, 0xaa, 0xaa, 3, 0, 0, 0);
  head.push(...u16(type));
  if (format.layer3 !== "mpls") return Uint8Array.from([...head, ...(isTagType ? [] : layer3(format, word))]);
  const count = Math.min(ENTRIES[format.name]!, labelCount);
  const entries = Array.from({ length: count }, (_, i) => u32(word(KEY.mplsLse + i))).flat();
  return Uint8Array.from([...head, ...entries, ...inner]);
}

/**
 * Whether one frame can have the words of both extractions: the second starts right behind the last label.
 * Otherwise the same bytes are extracted twice, and the words may contradict each other.
 */
export function isExact(extractions: Extractions, input: Input, extraction: number): boolean {
  const behind = extractions.list[extraction]?.behind ?? null;
  if (behind === null) return true;
  return !behind.isShifted && input.formats[0]!.name === `mpls ${behind.popped}`;
}

/** Formats in the order in which they are tried for a key: those with layer 4 first. */
const MOST_SPECIFIC: readonly FrameFormat[] = [...FRAME_FORMATS].sort(
  (a, b) => Number(b.hasLayer4) - Number(a.hasLayer4),
);

/**
 * The smallest frame from which Open vSwitch extracts a key, with valid lengths and checksums; null if there
 * is none. Ignores words that are not of the frame (port, registers, tunnel).
 */
export function frameOfKey(key: Uint32Array): Uint8Array | null {
  const given = key.slice();
  if (given[KEY.vlanTci]! >>> 16 === 0 && given[KEY.vlanTci] !== 0)
    given[KEY.vlanTci] = (given[KEY.vlanTci]! | 0x81000000) >>> 0;
  for (const format of MOST_SPECIFIC) {
    const hasFormat = INPUT_WORDS.every(
      word =>
        word === KEY.inPort ||
        (cubesOf(EVERY_FRAME, format, word)?.some(
          ({ mask, value }) => ((given[word]! ^ value) & mask) === 0,
        ) ??
          true),
    );
    if (!hasFormat || format.notTypes.includes(given[KEY.dlType]!)) continue;
    const layout = { isSnap: false, labelCount: Number.POSITIVE_INFINITY, inner: [] };
    const frame = bytesOf(format, word => given[word]!, layout);
    const seen = new Uint32Array(KEY_WORDS);
    extract(frame, seen, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
    if (INPUT_WORDS.every(word => word === KEY.inPort || seen[word] === given[word])) return frame;
  }
  return null;
}
