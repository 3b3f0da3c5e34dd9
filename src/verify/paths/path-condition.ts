/**
 * A path: the condition under which a machine has come to where it is. Cubes and clauses speak of bits of the input
 * (solve.ts). A *rowSet* is a vector of elements, the rows of a flow table that were hit at once: a path holds the elements it
 * still is about, and *columnEqualities* say that bits of the input are a column of a rowSet. Several rowSets are independent of
 * each other. Paths are immutable; every split gives new ones, disjoint and together the old one.
 *
 * A path may hold for no frame at all, as elements, misses and wordEqualities are not looked at together. That costs time and
 * nothing else: whatever is found different is solved exactly before anybody hears of it.
 */

import { unreachable } from "../../wire/index.ts";
import type { Budget } from "../budget.ts";
import { Undecidable } from "../symbolic/decider.ts";
import type { Cube, Space } from "../symbolic/input-space.ts";
import type { Subtable } from "../symbolic/sorted-subtable.ts";
import {
  type Atom,
  type Column,
  gathered,
  type Literal,
  maskOf,
  type Segment,
  type Terms,
  type Word,
} from "../symbolic/terms.ts";
import { hasConditions } from "./conditions.ts";
import { type Clause, type Cubes, meet, restrict } from "./cubes.ts";
import { byFormats, formatsWith, formatsWithout } from "./frame-formats.ts";
import { type ColumnTest, partition } from "./row-partition.ts";
import { mayHaveInput } from "./sat-solver.ts";

/** The bits of `mask` of a word have the values of `value`. */
export interface Test {
  readonly word: Word;
  readonly mask: number;
  readonly value: number;
}

/** Bits `mask` of an atom are those of a column of a rowSet. */
export interface ColumnEquality {
  readonly mask: number;
  readonly column: Column;
}

/** None of a subtable's rows is hit by these words. */
export interface Miss {
  readonly subtable: Subtable;
  readonly words: readonly Word[];
}

/** Two words that are, or are not, the same; known by the path in no other way. */
export interface WordEquality {
  readonly a: Word;
  readonly b: Word;
  readonly isSame: boolean;
}

export interface Split {
  readonly yes: Path | null;
  readonly no: readonly Path[];
}

/** Tests, taken apart into what concerns elements and what concerns free bits. */
interface Flat {
  readonly columns: Map<number, ColumnTest[]>;
  readonly literals: Literal[];
}

/** A rowSet that became part of another one: each element there is a element here. */
export interface JoinMap {
  readonly rowSet: number;
  readonly elementOf: Int32Array;
}

/** All that a path is made of but the space. */
type Parts = Pick<
  Path,
  | "budget"
  | "terms"
  | "formatBits"
  | "cubes"
  | "clauses"
  | "elements"
  | "columnEqualities"
  | "misses"
  | "wordEqualities"
  | "joinMaps"
>;

const NOTHING: ReadonlyMap<never, never> = new Map<never, never>();

export class Path {
  readonly space: Space;
  readonly budget: Budget;
  readonly terms: Terms;
  /** For each extraction of the frame the formats it may be, as bits. */
  readonly formatBits: readonly number[];
  readonly cubes: Cubes;
  readonly clauses: readonly Clause[];
  readonly elements: ReadonlyMap<number, Int32Array>;
  readonly columnEqualities: ReadonlyMap<Atom, readonly ColumnEquality[]>;
  readonly misses: readonly Miss[];
  readonly wordEqualities: readonly WordEquality[];
  readonly joinMaps: ReadonlyMap<number, JoinMap>;
  #holding: readonly Atom[] | null = null;

  constructor(space: Space, parts: Parts) {
    this.space = space;
    this.budget = parts.budget;
    this.terms = parts.terms;
    this.joinMaps = parts.joinMaps;
    this.formatBits = parts.formatBits;
    this.cubes = parts.cubes;
    this.clauses = parts.clauses;
    this.elements = parts.elements;
    this.columnEqualities = parts.columnEqualities;
    this.misses = parts.misses;
    this.wordEqualities = parts.wordEqualities;
  }

  /** The path of every frame whose extractions are of these formats. */
  static of(budget: Budget, space: Space, terms: Terms, formatBits: readonly number[]): Path {
    return new Path(space, {
      budget,
      terms,
      joinMaps: NOTHING,
      formatBits,
      cubes: NOTHING,
      clauses: [],
      elements: NOTHING,
      columnEqualities: NOTHING,
      misses: [],
      wordEqualities: [],
    });
  }

  /** True when nothing but the formats is known. */
  get isGeneral(): boolean {
    return (
      this.cubes.size === 0 &&
      this.clauses.length === 0 &&
      this.elements.size === 0 &&
      this.misses.length === 0 &&
      this.wordEqualities.length === 0
    );
  }

  /** Conditions that hold. */
  get holding(): readonly Atom[] {
    this.#holding ??= [...this.cubes]
      .filter(([{ condition }, { value }]) => condition !== undefined && value === 1)
      .map(([atom]) => atom);
    return this.#holding;
  }

  with(change: Partial<Parts>): Path {
    return new Path(this.space, { ...this, ...change });
  }

  withElements(rowSet: number, elements: Int32Array): Path {
    return this.with({ elements: new Map(this.elements).set(rowSet, elements) });
  }

  /** Splits by whether all tests hold. */
  split(tests: readonly Test[]): Split {
    const flat = this.flatten(tests);
    if (flat === null) return { yes: null, no: [this] };
    let rest: Path = this;
    const no: Path[] = [];
    for (const [rowSet, columns] of flat.columns) {
      const { hit, miss } = partition(rest.elements.get(rowSet)!, columns);
      if (miss.length > 0)
        no.push(miss.length === rest.elements.get(rowSet)!.length ? rest : rest.withElements(rowSet, miss));
      if (hit.length === 0) return { yes: null, no };
      if (miss.length > 0) rest = rest.withElements(rowSet, hit);
    }
    if (flat.literals.length === 0) return { yes: rest, no };
    const yes = rest.assume(flat.literals);
    const denied = yes === null ? rest : rest.deny(flat.literals);
    if (denied !== null) no.push(denied);
    return { yes, no };
  }

  /** Takes tests apart; null when they cannot all hold. What holds anyway is left out. */
  flatten(tests: readonly Test[]): Flat | null {
    const columns = new Map<number, ColumnTest[]>();
    const literals = new Map<Atom, Literal>();
    for (const { word, mask, value } of tests) {
      let at = 0;
      for (const segment of word.segments) {
        const bits = maskOf(segment.bits);
        const part = ((mask >>> at) & bits) >>> 0;
        const wanted = ((value >>> at) & part) >>> 0;
        at += segment.bits;
        if (part === 0) continue;
        if (!this.#flattenSegment(segment, part, wanted, columns, literals)) return null;
        if (at >= 32) break;
      }
    }
    const open: Literal[] = [];
    for (const literal of literals.values()) {
      const verdict = byFormats(this, literal);
      if (verdict === false) return null;
      if (verdict === null) open.push(literal);
    }
    return { columns, literals: open };
  }

  #flattenSegment(
    segment: Segment,
    mask: number,
    value: number,
    columns: Map<number, ColumnTest[]>,
    literals: Map<Atom, Literal>,
  ): boolean {
    switch (segment.is) {
      case "const":
        return ((segment.value ^ value) & mask) === 0;
      case "column":
        addColumn(columns, {
          column: this.resolve(segment.column),
          mask: (mask << segment.from) >>> 0,
          value: (value << segment.from) >>> 0,
        });
        return true;
      case "atom":
        return this.#flattenAtom(
          segment.atom,
          (mask << segment.from) >>> 0,
          (value << segment.from) >>> 0,
          columns,
          literals,
        );
      case "less": {
        if (segment.from !== 0 || mask !== 0xff)
          throw new Undecidable("a test of a part of a decremented TTL");
        const before = value + segment.by;
        if (before > 0xff) return false;
        return this.#flattenAtom(
          segment.atom,
          (0xff << segment.at) >>> 0,
          (before << segment.at) >>> 0,
          columns,
          literals,
        );
      }
      default:
        return unreachable(segment);
    }
  }

  #flattenAtom(
    atom: Atom,
    mask: number,
    value: number,
    columns: Map<number, ColumnTest[]>,
    literals: Map<Atom, Literal>,
  ): boolean {
    let open = mask;
    for (const columnEquality of this.columnEqualities.get(atom) ?? []) {
      const bound = (open & columnEquality.mask) >>> 0;
      if (bound === 0) continue;
      addColumn(columns, {
        column: this.resolve(columnEquality.column),
        mask: bound,
        value: (value & bound) >>> 0,
      });
      open = (open & ~bound) >>> 0;
    }
    const cube = this.cubes.get(atom);
    if (cube !== undefined) {
      if (((cube.value ^ value) & cube.mask & open) !== 0) return false;
      open = (open & ~cube.mask) >>> 0;
    }
    if (open === 0) return true;
    const known = literals.get(atom);
    const wanted = (value & open) >>> 0;
    const both =
      known === undefined ? { mask: open, value: wanted } : meet(known, { mask: open, value: wanted });
    if (both === null) return false;
    literals.set(atom, { atom, ...both });
    return true;
  }

  /** This path where the literals hold; null when they cannot. */
  assume(literals: readonly Literal[]): Path | null {
    const cubes = new Map(this.cubes);
    for (const { atom, mask, value } of literals) if (!restrict(cubes, atom, { mask, value })) return null;
    const atoms = literals.map(({ atom }) => atom);
    const formatBits = this.formatBits.map((formats, extraction) =>
      atoms.some(atom => atom.extraction === extraction)
        ? formatsWith(this, extraction, cubes, atoms)
        : formats,
    );
    if (formatBits.includes(0)) return null;
    const clauses = this.clauses.filter(clause => !failsAlready(clause, cubes));
    const path = this.with({ cubes, formatBits, clauses });
    return path.isFeasible() ? path : null;
  }

  /** This path where not all of the literals hold; null when they must. */
  deny(literals: readonly Literal[]): Path | null {
    const [only] = literals;
    if (literals.length === 1 && (only!.mask & (only!.mask - 1)) === 0)
      return this.assume([{ ...only!, value: (~only!.value & only!.mask) >>> 0 }]);
    let formatBits = this.formatBits;
    if (literals.length === 1) formatBits = formatsWithout(this, only!);
    if (formatBits.includes(0)) return null;
    const path = this.with({ clauses: [...this.clauses, literals], formatBits });
    return path.isFeasible() ? path : null;
  }

  /** Whether cubes and clauses leave anything. */
  isFeasible(): boolean {
    return (
      (this.clauses.length === 0 && !hasConditions(this.cubes, [])) ||
      mayHaveInput(this.budget, this.space, this.formatBits, this.cubes, this.clauses)
    );
  }

  /** A column as one of the rowSets that this path has elements of. */
  resolve(column: Column): Column {
    let resolved = column;
    for (
      let joinMap = this.joinMaps.get(resolved.rowSet);
      joinMap !== undefined;
      joinMap = this.joinMaps.get(resolved.rowSet)
    ) {
      const { rowSet, elementOf } = joinMap;
      const inner = resolved;
      resolved = this.terms.column(`${inner.id} in ${rowSet}`, rowSet, () =>
        gathered(inner.values, elementOf),
      );
    }
    return resolved;
  }

  /** Bits of an atom that neither a columnEquality nor a cube gives. */
  freeBits(atom: Atom): number {
    let free = maskOf(atom.bits);
    for (const { mask } of this.columnEqualities.get(atom) ?? []) free &= ~mask;
    return (free & ~(this.cubes.get(atom)?.mask ?? 0)) >>> 0;
  }
}

function addColumn(columns: Map<number, ColumnTest[]>, test: ColumnTest): void {
  const list = columns.get(test.column.rowSet);
  if (list === undefined) columns.set(test.column.rowSet, [test]);
  else list.push(test);
}

function failsAlready(clause: Clause, cubes: Cubes): boolean {
  return clause.some(({ atom, mask, value }) => {
    const cube: Cube | undefined = cubes.get(atom);
    return cube !== undefined && ((cube.value ^ value) & cube.mask & mask) !== 0;
  });
}
