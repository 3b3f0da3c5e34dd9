/**
 * Partitions the elements of a row set by tests. Partitions are memoized by the element vector and the test,
 * so that a million rows behind several tables cost a few passes.
 */
import type { Column } from "../symbolic/terms.ts";

/** The bits of `mask` of a column equal `value`. */
export interface ColumnTest {
  readonly column: Column;
  readonly mask: number;
  readonly value: number;
}

/** Bits of two columns, by element: those of `mask`, from bit `leftFrom` and `rightFrom` on. */
export interface ColumnPair {
  readonly left: Uint32Array;
  readonly right: Uint32Array;
  readonly leftFrom: number;
  readonly rightFrom: number;
  readonly mask: number;
  /** Identifies the columns and the bits. */
  readonly name: string;
}

export interface Division {
  readonly hit: Int32Array;
  readonly miss: Int32Array;
}

/** Memoized partitions, by element vector and question. */
const divided = new WeakMap<Int32Array, Map<string, Division>>();

function once(elements: Int32Array, question: string, divide: () => Division): Division {
  let known = divided.get(elements);
  if (known === undefined) {
    known = new Map();
    divided.set(elements, known);
  }
  let parts = known.get(question);
  if (parts === undefined) {
    parts = divide();
    known.set(question, parts);
  }
  return parts;
}

/** Elements for which all tests hold, and the others. */
export function partition(elements: Int32Array, tests: readonly ColumnTest[]): Division {
  const question = tests.map(({ column, mask, value }) => `${column.id} ${mask} ${value}`).join();
  return once(elements, question, () => {
    const marks = new Uint8Array(elements.length);
    for (const { column, mask, value } of tests) {
      const { values } = column;
      for (let i = 0; i < elements.length; i++)
        if (((values[elements[i]!]! ^ value) & mask) !== 0) marks[i] = 1;
    }
    return partitionBy(elements, marks);
  });
}

/** Elements for which the bits of every pair are equal, and the others. */
export function partitionSame(elements: Int32Array, pairs: readonly ColumnPair[]): Division {
  return once(elements, `same ${pairs.map(({ name }) => name).join()}`, () => {
    const marks = new Uint8Array(elements.length);
    for (const { left, right, leftFrom, rightFrom, mask } of pairs)
      for (let i = 0; i < elements.length; i++) {
        const element = elements[i]!;
        if ((((left[element]! >>> leftFrom) ^ (right[element]! >>> rightFrom)) & mask) !== 0) marks[i] = 1;
      }
    return partitionBy(elements, marks);
  });
}

/** Elements with a row, and the others; `question` names the lookup. */
export function partitionFound(elements: Int32Array, question: string, rowOf: Int32Array): Division {
  return once(elements, question, () => {
    const marks = new Uint8Array(elements.length);
    for (let i = 0; i < elements.length; i++) if (rowOf[elements[i]!]! < 0) marks[i] = 1;
    return partitionBy(elements, marks);
  });
}

/** More distinct values are not enumerated. */
const MAX_DISTINCT = 4096;

const distinct = new WeakMap<Int32Array, Map<string, ReadonlySet<number> | null>>();

/** The values that bits of a column have on some elements; null if there are too many. */
export function valuesOn(
  elements: Int32Array,
  { column, from, mask }: { readonly column: Column; readonly from: number; readonly mask: number },
): ReadonlySet<number> | null {
  const known = distinct.get(elements) ?? new Map<string, ReadonlySet<number> | null>();
  distinct.set(elements, known);
  const name = `${column.id} ${from} ${mask}`;
  let found = known.get(name);
  if (found === undefined) {
    const { values } = column;
    const set = new Set<number>();
    for (let i = 0; i < elements.length && set.size <= MAX_DISTINCT; i++)
      set.add(((values[elements[i]!]! >>> from) & mask) >>> 0);
    found = set.size > MAX_DISTINCT ? null : set;
    known.set(name, found);
  }
  return found;
}

/** Elements without a mark, and those with one. */
function partitionBy(elements: Int32Array, marks: Uint8Array): Division {
  let misses = 0;
  for (let i = 0; i < marks.length; i++) misses += marks[i]!;
  if (misses === 0) return { hit: elements, miss: NO_ELEMENTS };
  if (misses === elements.length) return { hit: NO_ELEMENTS, miss: elements };
  const hit = new Int32Array(elements.length - misses);
  const miss = new Int32Array(misses);
  let hits = 0;
  misses = 0;
  for (let i = 0; i < elements.length; i++) {
    if (marks[i] === 0) hit[hits++] = elements[i]!;
    else miss[misses++] = elements[i]!;
  }
  return { hit, miss };
}

const NO_ELEMENTS = new Int32Array(0);
