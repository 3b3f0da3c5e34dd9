/**
 * Splits a path by whether two words are equal: bits against constants, columns of one row set element by
 * element, and anything else as a word equality that is decided later.
 */
import { type Column, looseWord, maskOf, pairsOf, type Segment, type Word } from "../symbolic/terms.ts";
import type { Path, Split, Test } from "./path-condition.ts";
import { partitionSame, valuesOn } from "./row-partition.ts";
/** Splits by whether two words are equal. */
export function splitEqual(path: Path, a: Word, b: Word): Split {
  if (a === b) return { yes: path, no: [] };
  for (const wordEquality of path.wordEqualities) {
    if ((wordEquality.a === a && wordEquality.b === b) || (wordEquality.a === b && wordEquality.b === a))
      return wordEquality.isSame ? { yes: path, no: [] } : { yes: null, no: [path] };
  }
  const pairs = pairsOf(a, b);
  const tests: Test[] = [];
  let rowSet = -1;
  const columns: [Segment, Segment][] = [];
  for (const [l, r] of pairs) {
    const [left, right] = [settled(path, l), settled(path, r)];
    const fixed = left.is === "const" ? left : right.is === "const" ? right : null;
    if (fixed !== null) {
      const other = fixed === left ? right : left;
      tests.push({ word: looseWord([other]), mask: maskOf(fixed.bits), value: fixed.value });
      continue;
    }
    const known = columnOf(path, left);
    const with_ = columnOf(path, right);
    if (known === null || with_ === null) return wordEquality(path, a, b);
    if (known.rowSet !== with_.rowSet) {
      if (areDisjoint(path, left, right)) return { yes: null, no: [path] };
      return wordEquality(path, a, b);
    }
    if (rowSet >= 0 && rowSet !== known.rowSet) return wordEquality(path, a, b);
    rowSet = known.rowSet;
    columns.push([left, right]);
  }
  const first = path.split(tests);
  if (first.yes === null || columns.length === 0) return first;
  const { hit, miss } = sameElements(path, first.yes.elements.get(rowSet)!, columns);
  const no = [...first.no];
  if (miss.length > 0) no.push(first.yes.withElements(rowSet, miss));
  return { yes: hit.length === 0 ? null : first.yes.withElements(rowSet, hit), no };
}

/** Partitions elements by whether both segments of each pair are equal. */
function sameElements(
  path: Path,
  elements: Int32Array,
  pairs: readonly (readonly [Segment, Segment])[],
): { hit: Int32Array; miss: Int32Array } {
  return partitionSame(
    elements,
    pairs.map(([left, right]) => ({
      left: columnOf(path, left)!.values,
      right: columnOf(path, right)!.values,
      name: `${nameOf(path, left)}=${nameOf(path, right)}`,
      leftFrom: fromOf(left),
      rightFrom: fromOf(right),
      mask: maskOf(left.bits),
    })),
  );
}

/** Whether two segments, columns of different row sets, have no value in common. */
function areDisjoint(path: Path, a: Segment, b: Segment): boolean {
  const [left, right] = [a, b].map(segment => {
    const column = columnOf(path, segment)!;
    const part = { column, from: fromOf(segment), mask: maskOf(segment.bits) };
    return valuesOn(path.elements.get(column.rowSet)!, part);
  });
  if (left == null || right == null) return false;
  return [...left].every(value => !right.has(value));
}

function nameOf(path: Path, segment: Segment): string {
  return `${columnOf(path, segment)!.id}.${fromOf(segment)}.${segment.bits}`;
}

/** A segment as a constant, if a cube determines its bits. */
function settled(path: Path, segment: Segment): Segment {
  if (segment.is !== "atom") return segment;
  const cube = path.cubes.get(segment.atom);
  const mask = (maskOf(segment.bits) << segment.from) >>> 0;
  if (cube === undefined || (mask & ~cube.mask) !== 0) return segment;
  return { is: "const", bits: segment.bits, value: (cube.value & mask) >>> segment.from };
}

function wordEquality(path: Path, a: Word, b: Word): Split {
  return {
    yes: path.with({ wordEqualities: [...path.wordEqualities, { a, b, isSame: true }] }),
    no: [path.with({ wordEqualities: [...path.wordEqualities, { a, b, isSame: false }] })],
  };
}

/** The column that a segment is, directly or by a column equality; null if there is none. */
function columnOf(path: Path, segment: Segment): Column | null {
  if (segment.is === "column") return path.resolve(segment.column);
  if (segment.is !== "atom") return null;
  const mask = (maskOf(segment.bits) << segment.from) >>> 0;
  const columnEquality = path.columnEqualities.get(segment.atom)?.find(one => (mask & ~one.mask) === 0);
  return columnEquality === undefined ? null : path.resolve(columnEquality.column);
}

/** The lowest bit of a segment within its atom or column. */
const fromOf = (segment: Segment): number => (segment.is === "const" ? 0 : segment.from);
