/**
 * Counts the flow keys of an input space: the product over words, the sum over frame formats, as a power of
 * two.
 */
import { cubesOf, inputWordsOf, type Space, widthOfWord } from "./input-space.ts";

const bitsIn = (mask: number): number => {
  let count = 0;
  for (let left = mask >>> 0; left !== 0; left = (left & (left - 1)) >>> 0) count++;
  return count;
};

/** Base-2 logarithm of the number of keys. */
export function countKeys(space: Space): number {
  let total = 0;
  for (const format of space.formats) {
    let bits = 0;
    for (const word of inputWordsOf(space)) {
      const cubes = cubesOf(space, format, word);
      const width = widthOfWord(word);
      if (cubes === null) bits += width;
      else {
        const wide = width === 32 ? 0xffffffff : 2 ** width - 1;
        bits += Math.log2(cubes.reduce((sum, { mask }) => sum + 2 ** (width - bitsIn(mask & wide)), 0));
      }
    }
    total += 2 ** (bits - 900);
  }
  return Math.log2(total) + 900;
}
