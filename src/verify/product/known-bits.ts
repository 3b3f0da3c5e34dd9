/**
 * A set of flow keys as one cube: bits with a known value, and bits that can have any value.
 */
import { KEY_WORDS } from "../../openflow/index.ts";
import type { WordTest } from "../symbolic/match-tests.ts";

export class KnownBits {
  readonly #bits: Uint32Array;
  readonly known: Uint32Array;
  readonly value: Uint32Array;

  constructor(bits = new Uint32Array(2 * KEY_WORDS)) {
    this.#bits = bits;
    this.known = bits.subarray(0, KEY_WORDS);
    this.value = bits.subarray(KEY_WORDS);
  }

  copy(): KnownBits {
    return new KnownBits(this.#bits.slice());
  }

  set(word: number, mask: number, value: number): void {
    this.known[word] = this.known[word]! | mask;
    this.value[word] = (this.value[word]! & ~mask) | (value & mask);
  }

  forget(word: number, mask: number): void {
    this.known[word] = this.known[word]! & ~mask;
    this.value[word] = this.value[word]! & this.known[word]!;
  }

  /** The known bits. */
  tests(): WordTest[] {
    return [...this.known].flatMap((mask, word) =>
      mask === 0 ? [] : [{ word, mask, value: this.value[word]! }],
    );
  }

  agreesWith({ word, mask, value }: WordTest): boolean {
    return ((this.value[word]! ^ value) & this.known[word]! & mask) === 0;
  }

  has({ word, mask, value }: WordTest): boolean {
    return (mask & ~this.known[word]!) === 0 && ((this.value[word]! ^ value) & mask) === 0;
  }

  /** Joins two cubes: keeps the bits on which both agree; returns whether any bit was lost. */
  join(other: KnownBits): boolean {
    let isLess = false;
    for (let word = 0; word < KEY_WORDS; word++) {
      const both = this.known[word]! & other.known[word]! & ~(this.value[word]! ^ other.value[word]!);
      if (both >>> 0 === this.known[word]!) continue;
      this.known[word] = both;
      this.value[word] = this.value[word]! & both;
      isLess = true;
    }
    return isLess;
  }
}

export type Tests = readonly WordTest[];

export const hasAll = (cube: KnownBits, tests: Tests): boolean => tests.every(test => cube.has(test));

/** Whether all keys of a cube that satisfy some tests also have one of the matches `above`. */
export function isBelow(key: KnownBits, tests: Tests, above: readonly Tests[]): boolean {
  if (above.length === 0) return false;
  const narrowed = key.copy();
  for (const { word, mask, value } of tests) narrowed.set(word, mask, value);
  return above.some(others => hasAll(narrowed, others));
}
