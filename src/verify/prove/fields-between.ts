/**
 * The names of what differs between two outcomes, read off the bytes that left. It is said of frames that the interpreter
 * made; the symbolic machine has no part in it.
 */
import {
  ACCOMPANYING_WORDS,
  extract,
  FIELDS,
  KEY,
  KEY_WORDS,
  type Outcome,
  PACKET_IN_WORDS,
} from "../../openflow/index.ts";
import { accompanying, type Yardstick } from "./confirm.ts";

/**
 * The fields in which the first outputs that differ do, by the names that set_field has, with commas between them; where
 * no frame differs, the fields that go along with one, then those of packet-ins.
 */
export function fieldsBetween(a: Outcome, b: Outcome, by: Yardstick): string {
  const [left, right] = [framesOf(a), framesOf(b)];
  const at = left.findIndex((frame, index) => {
    const other = right[index];
    return other !== undefined && !isSame(frame, other);
  });
  if (at < 0) return alongBetween(a, b, by) ?? "output";
  const names = namesBetween(keyOf(left[at]!), keyOf(right[at]!));
  return names.length === 0 ? "what no field shows" : names.join(", ");
}

/** The fields that go along with frames which are the same; null when none differs. */
function alongBetween(a: Outcome, b: Outcome, by: Yardstick): string | null {
  const along = ({ effects }: Outcome): Uint32Array[] => [
    ...effects!.outputs.map(output => keyWith(ACCOMPANYING_WORDS, accompanying(output, by))),
    ...effects!.packetIns.map(({ state }) => keyWith(PACKET_IN_WORDS, state)),
  ];
  const others = along(b);
  for (const [index, key] of along(a).entries()) {
    const names = namesBetween(key, others[index] ?? key, 0);
    if (names.length > 0) return names.map(name => (name === "skb_priority" ? "queue" : name)).join(", ");
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

function keyOf(frame: Uint8Array): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  extract(frame, key, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
  return key;
}

function namesBetween(left: Uint32Array, right: Uint32Array, from: number = KEY.dlDst): string[] {
  const seen = new Set<string>();
  return FIELDS.filter(({ place }) => {
    if (place === null || place.word < from) return false;
    const mask = place.bits >= 32 ? 0xffffffff : (2 ** place.bits - 1) * 2 ** place.shift;
    const words = Array.from({ length: Math.ceil(place.bits / 32) }, (_, index) => place.word + index);
    if (words.every(word => ((left[word]! ^ right[word]!) & mask) === 0)) return false;
    // Names for the same bits (nw_tos and ip_dscp) are told once.
    const bits = `${place.word}/${place.shift}`;
    return !seen.has(bits) && seen.add(bits).size > 0;
  }).map(({ name }) => name);
}
