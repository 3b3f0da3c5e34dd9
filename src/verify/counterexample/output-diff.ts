/**
 * Names the differences between two outcomes of the interpreter, from the output bytes: fields with the
 * names of set_field and, for fields that are not outermost, their place (behind the label, in the inner
 * tag, in the second label stack entry).
 */
import {
  ACCOMPANYING_WORDS,
  extract,
  FIELDS,
  type Field,
  KEY,
  KEY_WORDS,
  type Outcome,
  PACKET_IN_WORDS,
} from "../../openflow/index.ts";
import { accompanying, type ComparisonRules } from "./confirm.ts";

/**
 * The comma-separated fields in which the first differing outputs differ; if all frames are equal, the
 * differing accompanying fields, then those of packet-ins.
 */
export function differingFields(a: Outcome, b: Outcome, by: ComparisonRules): string {
  const [left, right] = [framesOf(a), framesOf(b)];
  const at = left.findIndex((frame, index) => {
    const other = right[index];
    return other !== undefined && !isSame(frame, other);
  });
  if (at < 0) return alongBetween(a, b, by) ?? "output";
  return namesOf(left[at]!, right[at]!).join(", ");
}

/** The differing fields that accompany equal frames; null if there is none. */
function alongBetween(a: Outcome, b: Outcome, by: ComparisonRules): string | null {
  const along = ({ effects }: Outcome): Uint32Array[] => [
    ...effects!.outputs.map(output => keyWith(ACCOMPANYING_WORDS, accompanying(output, by))),
    ...effects!.packetIns.map(({ state }) => keyWith(PACKET_IN_WORDS, state)),
  ];
  const others = along(b);
  for (const [index, key] of along(a).entries()) {
    const fields = fieldsOf(key, others[index] ?? key, 0);
    if (fields.length > 0)
      return fields.map(({ name }) => (name === "skb_priority" ? "queue" : name)).join(", ");
  }
  return null;
}

function keyWith(words: readonly number[], values: ArrayLike<number>): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  for (const [index, word] of words.entries()) key[word] = values[index]!;
  return key;
}

const framesOf = ({ effects }: Outcome): readonly Uint8Array[] =>
  [...effects!.outputs, ...effects!.packetIns.filter(({ isExpired }) => !isExpired)].map(
    ({ frame }) => frame,
  );

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

/** Tags to extract, independent of the switch's limit. */
const TAGS = 2;
const ETHERNET_BYTES = 14;
const LABEL_BYTES = 4;
/** Label stack entries to scan for the bottom of the stack. */
const MAX_LABELS = 64;
const PRESENT = 0x1000;

interface Read {
  readonly frame: Uint8Array;
  readonly key: Uint32Array;
  /** Label stack entries, the outermost first. */
  readonly labels: readonly number[];
  /** The packet behind the labels, as a frame; null if it is not IP. */
  readonly inner: Uint8Array | null;
  readonly layer3At: number;
  readonly layer4At: number;
}

function read(frame: Uint8Array): Read {
  const key = new Uint32Array(KEY_WORDS);
  const layers = { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 };
  extract(frame, key, layers, TAGS);
  const labels: number[] = [];
  let at = layers.labelsAt;
  const joinMap = new DataView(frame.buffer, frame.byteOffset, frame.length);
  while (layers.labelsAt >= 0 && at + LABEL_BYTES <= frame.length && labels.length < MAX_LABELS) {
    labels.push(joinMap.getUint32(at));
    at += LABEL_BYTES;
    if ((labels.at(-1)! & 0x100) !== 0) break;
  }
  const { layer3At, layer4At } = layers;
  return { frame, key, labels, inner: labels.length === 0 ? null : innerOf(frame, at), layer3At, layer4At };
}

/**
 * A label stack does not name the type behind it; IPv4 and IPv6 have a version in the first four bits (RFC
 * 3032, 2.2).
 */
function innerOf(frame: Uint8Array, at: number): Uint8Array | null {
  const version = (frame[at] ?? 0) >>> 4;
  if (version !== 4 && version !== 6) return null;
  const inner = new Uint8Array(ETHERNET_BYTES + frame.length - at);
  inner.set(version === 4 ? [0x08, 0x00] : [0x86, 0xdd], 12);
  inner.set(frame.subarray(at), ETHERNET_BYTES);
  return inner;
}

/** At least one name. */
function namesOf(a: Uint8Array, b: Uint8Array): string[] {
  const [left, right] = [read(a), read(b)];
  const names = [
    ...fieldNames(left, right),
    ...tagNames(left.key[KEY.innerVlanTci]!, right.key[KEY.innerVlanTci]!),
    ...labelNames(left.labels, right.labels),
  ];
  const [inner, other] = [left.inner, right.inner];
  if (inner !== null && other !== null && !isSame(inner, other)) {
    const where = left.labels.length === 1 && right.labels.length === 1 ? "the label" : "the labels";
    names.push(...namesOf(inner, other).map(name => `${name} behind ${where}`));
  }
  return names.length > 0 ? names : [bytesName(left, right)];
}

/** Fields of the outer headers, marked if they are behind a second tag. */
function fieldNames({ key: left }: Read, { key: right }: Read): string[] {
  const isBehindTag = [left, right].every(key => (key[KEY.innerVlanTci]! & PRESENT) !== 0);
  return fieldsOf(left, right, KEY.dlDst).map(({ name, place }) =>
    isBehindTag && place!.word > KEY.innerVlanTci ? `${name} behind the inner tag` : name,
  );
}

/** The fields, from a word of the key on, in which two keys differ. */
function fieldsOf(left: Uint32Array, right: Uint32Array, from: number): Field[] {
  const seen = new Set<string>();
  return FIELDS.filter(({ place }) => {
    if (place === null || place.word < from) return false;
    const mask = place.bits >= 32 ? 0xffffffff : (2 ** place.bits - 1) * 2 ** place.shift;
    const words = Array.from({ length: Math.ceil(place.bits / 32) }, (_, index) => place.word + index);
    if (words.every(word => ((left[word]! ^ right[word]!) & mask) === 0)) return false;
    // Several names for the same bits (nw_tos and ip_dscp) are listed once.
    const bits = `${place.word}/${place.shift}`;
    return !seen.has(bits) && seen.add(bits).size > 0;
  });
}

/** Parts of a tag and of a label stack entry, with the names of set_field. */
const TAG_PARTS = [
  { name: "vlan_vid", mask: 0x0fff },
  { name: "vlan_pcp", mask: 0xe000 },
  { name: "the type", mask: 0xffff0000 },
];
const LABEL_PARTS = [
  { name: "mpls_label", mask: 0xfffff000 },
  { name: "mpls_tc", mask: 0xe00 },
  { name: "mpls_bos", mask: 0x100 },
  { name: "mpls_ttl", mask: 0xff },
];

const partsBetween = (
  parts: readonly { readonly name: string; readonly mask: number }[],
  left: number,
  right: number,
): string[] => parts.flatMap(({ name, mask }) => (((left ^ right) & mask) === 0 ? [] : [name]));

function tagNames(left: number, right: number): string[] {
  const [inLeft, inRight] = [left, right].map(tag => (tag & PRESENT) !== 0);
  if (inLeft !== inRight) return ["the number of tags"];
  return partsBetween(TAG_PARTS, left, right).map(name => `${name} of the inner tag`);
}

/** Differences in all entries except the outermost, which is a field. */
function labelNames(left: readonly number[], right: readonly number[]): string[] {
  if (left.length !== right.length && left.length > 0 && right.length > 0) return ["the number of labels"];
  const names: string[] = [];
  for (let entry = 1; entry < Math.min(left.length, right.length); entry++)
    for (const name of partsBetween(LABEL_PARTS, left[entry]!, right[entry]!))
      names.push(`${name} of label ${entry + 1}`);
  return names;
}

/** Offset of the checksum in the header of a protocol. */
const CHECKSUMS: Readonly<Record<number, { readonly name: string; readonly at: number }>> = {
  1: { name: "ICMP", at: 2 },
  6: { name: "TCP", at: 16 },
  17: { name: "UDP", at: 6 },
  58: { name: "ICMPv6", at: 2 },
  132: { name: "SCTP", at: 8 },
};

/** Bytes outside all fields: a checksum, a length, or the offset of the first differing byte. */
function bytesName(left: Read, right: Read): string {
  const [a, b] = [left.frame, right.frame];
  let at = 0;
  while (at < Math.min(a.length, b.length) && a[at] === b[at]) at++;
  const isAt = (from: number, start: number): boolean =>
    start >= 0 && at >= from + start && at < from + start + 2;
  if (left.key[KEY.dlType] === 0x0800 && isAt(10, left.layer3At)) return "the IPv4 header checksum";
  const checksum = CHECKSUMS[left.key[KEY.nwProto]!];
  if (checksum !== undefined && isAt(checksum.at, left.layer4At)) return `the ${checksum.name} checksum`;
  return at === Math.min(a.length, b.length) ? "the length" : `byte ${at} (counted from 0)`;
}
