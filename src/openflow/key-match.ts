/**
 * A match as key words: two arrays of 32-bit words, the values and the bits that are compared, in the layout
 * of key.ts. The flow language works on these as Open vSwitch works on struct match: what is said last wins,
 * aliases overlap. Nothing here knows text.
 */
import { KEY_WORDS, type Place } from "./flow-key.ts";

/** Values and masks of a whole key. Bits of a value outside its mask are 0. */
export interface KeyMatch {
  readonly values: Uint32Array;
  readonly masks: Uint32Array;
}

export function emptyMatch(): KeyMatch {
  return { values: new Uint32Array(KEY_WORDS), masks: new Uint32Array(KEY_WORDS) };
}

/**
 * The words a place covers, from the one with its least significant bits upwards: word, shift within it, bits
 * in it.
 */
function* piecesOf({
  word,
  shift,
  bits,
}: Place): Generator<{ word: number; shift: number; bits: number; low: number }> {
  const last = word + Math.ceil((shift + bits) / 32) - 1;
  for (let low = 0, at = last; low < bits; low += 32, at--)
    yield { word: at, shift, bits: Math.min(32, bits - low), low };
}

const maskOf = (bits: number): number => (bits === 32 ? 0xffffffff : (1 << bits) - 1) >>> 0;

/** The bits of a place, as one number. */
export function readPlace(words: Uint32Array, place: Place): bigint {
  let value = 0n;
  for (const { word, shift, bits, low } of piecesOf(place)) {
    value |= BigInt(((words[word]! >>> shift) & maskOf(bits)) >>> 0) << BigInt(low);
  }
  return value;
}

/** Replaces the bits of a place. */
function writePlace(words: Uint32Array, place: Place, value: bigint): void {
  for (const { word, shift, bits, low } of piecesOf(place)) {
    const mask = maskOf(bits);
    const part = Number(BigInt.asUintN(32, value >> BigInt(low))) & mask;
    words[word] = ((words[word]! & ~(mask << shift)) | (part << shift)) >>> 0;
  }
}

/** Compares the bits of `mask` at a place with those of `value`, instead of whatever was compared there. */
export function setMatch(match: KeyMatch, place: Place, value: bigint, mask: bigint): void {
  writePlace(match.values, place, value & mask);
  writePlace(match.masks, place, mask);
}

/** Compares nothing at a place. */
export function clearMatch(match: KeyMatch, place: Place): void {
  setMatch(match, place, 0n, 0n);
}
