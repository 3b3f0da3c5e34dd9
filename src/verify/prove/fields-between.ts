/**
 * The names of what differs between two outcomes, read off the bytes that left. It is said of frames that the interpreter
 * made; the symbolic machine has no part in it.
 */
import { extract, FIELDS, KEY, KEY_WORDS, type Outcome } from "../../openflow/index.ts";

/** The fields in which the first outputs that differ do, by the names that set_field has, with commas between them. */
export function fieldsBetween(a: Outcome, b: Outcome): string {
  const [left, right] = [framesOf(a), framesOf(b)];
  const at = left.findIndex((frame, index) => {
    const other = right[index];
    return other !== undefined && !isSame(frame, other);
  });
  if (at < 0) return "output";
  const names = namesBetween(keyOf(left[at]!), keyOf(right[at]!));
  return names.length === 0 ? "what no field shows" : names.join(", ");
}

const framesOf = ({ outputs, packetIns }: Outcome): readonly Uint8Array[] =>
  [...outputs, ...packetIns.filter(({ reason }) => reason !== "invalid_ttl")].map(({ frame }) => frame);

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

function keyOf(frame: Uint8Array): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  extract(frame, key, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
  return key;
}

function namesBetween(left: Uint32Array, right: Uint32Array): string[] {
  const seen = new Set<string>();
  return FIELDS.filter(({ place }) => {
    if (place === null || place.word < KEY.dlDst) return false;
    const mask = place.bits >= 32 ? 0xffffffff : (2 ** place.bits - 1) * 2 ** place.shift;
    const words = Array.from({ length: Math.ceil(place.bits / 32) }, (_, index) => place.word + index);
    if (words.every(word => ((left[word]! ^ right[word]!) & mask) === 0)) return false;
    // Names for the same bits (nw_tos and ip_dscp) are told once.
    const bits = `${place.word}/${place.shift}`;
    return !seen.has(bits) && seen.add(bits).size > 0;
  }).map(({ name }) => name);
}
