/**
 * Sorts row numbers by key: a stable radix sort, least significant digit first, over columns of 32-bit
 * words. A digit that all rows share costs one counting pass.
 */

const DIGIT_BITS = 11;
const DIGITS = 3;
const RADIX = 1 << DIGIT_BITS;

/**
 * Row numbers in ascending order of their keys, the first word the most significant; equal keys keep their
 * order.
 */
export function sortedRows(keys: readonly Uint32Array[], count: number): Int32Array {
  let rows = new Int32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  let spare = new Int32Array(count);
  for (const key of keys.toReversed()) {
    let words = new Uint32Array(count);
    for (let i = 0; i < count; i++) words[i] = key[rows[i]!]!;
    let spareWords = new Uint32Array(count);
    for (let digit = 0; digit < DIGITS; digit++) {
      const shift = digit * DIGIT_BITS;
      const ends = endsOf(words, shift);
      if (ends === null) continue;
      for (let i = count - 1; i >= 0; i--) {
        const place = --ends[(words[i]! >>> shift) & (RADIX - 1)]!;
        spareWords[place] = words[i]!;
        spare[place] = rows[i]!;
      }
      [rows, spare] = [spare, rows];
      [words, spareWords] = [spareWords, words];
    }
  }
  return rows;
}

/** End positions of each digit; null if all rows have the same digit. */
function endsOf(words: Uint32Array, shift: number): Int32Array | null {
  const ends = new Int32Array(RADIX);
  for (let i = 0; i < words.length; i++) {
    const digit = (words[i]! >>> shift) & (RADIX - 1);
    ends[digit] = ends[digit]! + 1;
  }
  if (ends.includes(words.length)) return null;
  let sum = 0;
  for (let digit = 0; digit < RADIX; digit++) {
    sum += ends[digit]!;
    ends[digit] = sum;
  }
  return ends;
}
