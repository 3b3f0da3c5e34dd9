/**
 * The lookup key of a subtable on a path, split into constant bits, bits of columns, and free bits. Clauses
 * of the path on the free bits become tests of rows.
 */
import { Undecidable } from "../symbolic/decider.ts";
import type { Subtable } from "../symbolic/sorted-subtable.ts";
import { type Atom, type Column, maskOf, type Word } from "../symbolic/terms.ts";
import type { Clause } from "./cubes.ts";
import type { Path } from "./path-condition.ts";

/** A part of a key word. */
interface KeyPart {
  readonly k: number;
  /** Bits of the key word. */
  readonly mask: number;
}

interface ColumnPart extends KeyPart {
  readonly column: Column;
  /** Lowest bit in the column and in the key word; their difference is the shift. */
  readonly from: number;
  readonly at: number;
}

interface FreePart extends KeyPart {
  readonly atom: Atom;
  readonly atomMask: number;
  readonly from: number;
  readonly at: number;
}

export interface Key {
  readonly fixed: readonly { readonly k: number; readonly mask: number; readonly value: number }[];
  readonly columns: readonly ColumnPart[];
  readonly free: readonly FreePart[];
}

export const moved = (value: number, from: number, to: number): number =>
  to >= from ? (value << (to - from)) >>> 0 : value >>> (from - to);

/** The key by word, each by element, if the key has no free bits. */
export function wordsByElement(subtable: Subtable, key: Key, elements: Int32Array): readonly Uint32Array[] {
  return subtable.words.map((_, k) => {
    const columns = key.columns.filter(part => part.k === k);
    const fixed = key.fixed.filter(part => part.k === k).reduce((word, { value }) => word | value, 0);
    const [only] = columns;
    if (columns.length === 1 && fixed === 0 && only!.mask === 0xffffffff) return only!.column.values;
    const last = elements.reduce((max, element) => Math.max(max, element), -1);
    const words = new Uint32Array(last + 1).fill(fixed);
    for (const { column, mask, from, at } of columns) {
      const { values } = column;
      for (let element = 0; element <= last; element++)
        words[element] = words[element]! | (moved(values[element]!, from, at) & mask);
    }
    return words;
  });
}

/** Splits the words of a lookup key, bit by bit if necessary. */
export function keyParts(subtable: Subtable, words: readonly Word[], path: Path): Key {
  const fixed: { k: number; mask: number; value: number }[] = [];
  const columns: ColumnPart[] = [];
  const free: FreePart[] = [];
  for (const [k, word] of words.entries()) {
    let at = 0;
    for (const segment of word.segments) {
      const mask = (((maskOf(segment.bits) << at) >>> 0) & subtable.masks[k]!) >>> 0;
      const here = at;
      at += segment.bits;
      if (mask === 0) continue;
      if (segment.is === "const") {
        fixed.push({ k, mask, value: (((segment.value << here) >>> 0) & mask) >>> 0 });
      } else if (segment.is === "column") {
        columns.push({ k, mask, column: path.resolve(segment.column), from: segment.from, at: here });
      } else if (segment.is === "less") {
        throw new Undecidable("a table that matches a decremented TTL");
      } else {
        let open = moved(mask, here, segment.from);
        for (const columnEquality of path.columnEqualities.get(segment.atom) ?? []) {
          const bound = (open & columnEquality.mask) >>> 0;
          if (bound === 0) continue;
          const part = moved(bound, segment.from, here);
          columns.push({
            k,
            mask: part,
            column: path.resolve(columnEquality.column),
            from: segment.from,
            at: here,
          });
          open = (open & ~bound) >>> 0;
        }
        const cube = path.cubes.get(segment.atom) ?? { mask: 0, value: 0 };
        const known = (open & cube.mask) >>> 0;
        if (known !== 0) {
          const value = moved((cube.value & known) >>> 0, segment.from, here);
          fixed.push({ k, mask: moved(known, segment.from, here), value });
        }
        const left = (open & ~cube.mask) >>> 0;
        if (left !== 0)
          free.push({
            k,
            mask: moved(left, segment.from, here),
            atom: segment.atom,
            atomMask: left,
            from: segment.from,
            at: here,
          });
      }
    }
  }
  return { fixed, columns, free };
}

/** A clause as row tests; empty if it also depends on other bits. */
export function rowClause(key: Key, clause: Clause): { k: number; mask: number; value: number }[][] {
  const tests: { k: number; mask: number; value: number }[] = [];
  for (const { atom, mask, value } of clause) {
    let left = mask;
    for (const part of key.free) {
      const here = (left & part.atomMask) >>> 0;
      if (part.atom !== atom || here === 0) continue;
      tests.push({
        k: part.k,
        mask: moved(here, part.from, part.at),
        value: moved((value & here) >>> 0, part.from, part.at),
      });
      left = (left & ~here) >>> 0;
    }
    if (left !== 0) return [];
  }
  return [tests];
}

export type RowTest = Key["fixed"][number];

/** Rows that agree with the constant bits and violate no clause; `rows` itself if those are all. */
export function openRows(
  subtable: Subtable,
  rows: Int32Array,
  fixed: readonly RowTest[],
  clauses: readonly (readonly RowTest[])[],
): Int32Array {
  const open = clauses.filter(clause => mayHold(subtable, clause));
  if (fixed.length === 0 && open.length === 0) return rows;
  const left = rows.filter(row => isOpen(subtable, row, fixed, open));
  return left.length === rows.length ? rows : left;
}

/** False if no row has the bits of a clause: a fast test for clauses on the high bits of the first word. */
function mayHold(subtable: Subtable, clause: readonly RowTest[]): boolean {
  return clause.every(({ k, mask, value }) => {
    const rest = ~mask >>> 0;
    if (k !== 0 || (rest & (rest + 1)) !== 0) return true;
    const [from, to] = subtable.range(value, (value | rest) >>> 0);
    return from < to;
  });
}

function isOpen(
  subtable: Subtable,
  row: number,
  fixed: readonly RowTest[],
  clauses: readonly (readonly RowTest[])[],
): boolean {
  for (const { k, mask, value } of fixed) if (((subtable.keys[k]![row]! ^ value) & mask) !== 0) return false;
  for (const clause of clauses) {
    let holds = true;
    for (const { k, mask, value } of clause) holds &&= ((subtable.keys[k]![row]! ^ value) & mask) === 0;
    if (holds) return false;
  }
  return true;
}
