/**
 * Lanes divided: those rows of a domain for which something holds, and the others. A division that was made before is not
 * made again, which is what makes a million rows behind several tables a matter of a few passes.
 */
import type { Column } from "./terms.ts";

/** The bits of `mask` of a column have the values of `value`. */
export interface ColumnTest {
  readonly column: Column;
  readonly mask: number;
  readonly value: number;
}

/** Lanes that were divided before are not divided again: by the vector itself, and by what was asked. */
const divided = new WeakMap<Int32Array, Map<string, { hit: Int32Array; miss: Int32Array }>>();

/** Lanes for which something holds, and the others; `question` names it. */
export function partitionOnce(
  lanes: Int32Array,
  question: string,
  holds: (lane: number) => boolean,
): { hit: Int32Array; miss: Int32Array } {
  const known = divided.get(lanes) ?? new Map<string, { hit: Int32Array; miss: Int32Array }>();
  divided.set(lanes, known);
  let parts = known.get(question);
  if (parts === undefined) {
    parts = partitionBy(lanes, holds);
    known.set(question, parts);
  }
  return parts;
}

/** Lanes for which all tests hold, and the others. */
export function partition(
  lanes: Int32Array,
  tests: readonly ColumnTest[],
): { hit: Int32Array; miss: Int32Array } {
  const question = tests.map(({ column, mask, value }) => `${column.id} ${mask} ${value}`).join();
  if (tests.length !== 1)
    return partitionOnce(lanes, question, lane =>
      tests.every(({ column, mask, value }) => ((column.at(lane) ^ value) & mask) === 0),
    );
  const { column, mask, value } = tests[0]!;
  const { at } = column;
  return partitionOnce(lanes, question, lane => ((at(lane) ^ value) & mask) === 0);
}

export function partitionBy(
  lanes: Int32Array,
  holds: (lane: number) => boolean,
): { hit: Int32Array; miss: Int32Array } {
  const hit = new Int32Array(lanes.length);
  const miss = new Int32Array(lanes.length);
  let hits = 0;
  let misses = 0;
  for (let i = 0; i < lanes.length; i++) {
    const lane = lanes[i]!;
    if (holds(lane)) hit[hits++] = lane;
    else miss[misses++] = lane;
  }
  if (hits === lanes.length) return { hit: lanes, miss: miss.subarray(0, 0) };
  if (misses === lanes.length) return { hit: hit.subarray(0, 0), miss: lanes };
  return { hit: hit.slice(0, hits), miss: miss.slice(0, misses) };
}
