/**
 * A path: one branch of the symbolic execution, with its path condition. Cubes and clauses constrain bits of
 * the input. A row set is a set of flow table rows that matched together; the path stores its remaining
 * elements. A column equality states that bits of the input equal a column of a row set. Distinct row sets
 * are independent. Paths are immutable; each split returns disjoint paths that together are the original
 * one.
 *
 * A path condition may be unsatisfiable, because elements, misses and word equalities are not combined. That
 * costs only time: before a difference is reported, counterexample/find-input.ts solves its path exactly.
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
import { CubeIndex } from "./cube-index.ts";
import { type Clause, type Cubes, FREE, isOneBit, meet, openOf, restrict } from "./cubes.ts";
import { byFormats, formatsWith, formatsWithout } from "./frame-formats.ts";
import { type ColumnTest, partition } from "./row-partition.ts";
import { mayHaveInput } from "./sat-solver.ts";

/** The bits of `mask` of a word equal `value`. */
export interface Test {
  readonly word: Word;
  readonly mask: number;
  readonly value: number;
}

/** The bits of `mask` of an atom equal those of a column. */
export interface ColumnEquality {
  readonly mask: number;
  readonly column: Column;
}

/** No row of a subtable has this key. */
export interface Miss {
  readonly subtable: Subtable;
  readonly words: readonly Word[];
}

/** Two words are equal, or not equal, and the path cannot express it in another way. */
export interface WordEquality {
  readonly a: Word;
  readonly b: Word;
  readonly isSame: boolean;
}

export interface Split {
  readonly yes: Path | null;
  readonly no: readonly Path[];
}

/** Tests, separated into tests of columns (by row set) and literals. */
interface Flat {
  readonly columns: Map<number, ColumnTest[]>;
  readonly literals: Literal[];
}

/** A row set that was joined into another one: `elementOf[i]` is the element for element i there. */
export interface JoinMap {
  readonly rowSet: number;
  readonly elementOf: Int32Array;
}

/** Everything a path consists of, except the space. */
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
  /** For each extraction, the possible frame formats as bits of `space.formats`. */
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

  /** The path of all inputs with these frame formats. */
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

  /** True if only frame formats are constrained. */
  get isGeneral(): boolean {
    return (
      this.cubes.size === 0 &&
      this.clauses.length === 0 &&
      this.elements.size === 0 &&
      this.misses.length === 0 &&
      this.wordEqualities.length === 0
    );
  }

  /** The conditions that hold. */
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

  /** Separates tests, and omits those that always hold; null if they contradict the path. */
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
          throw new Undecidable("a match on part of a decremented TTL");
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

  /** This path with the literals; null if it becomes unsatisfiable. */
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
    const isSure = this.#leaves(atoms, formatBits);
    const clauses = isSure ? this.clauses : openClauses(this.clauses, cubes);
    const path = this.with({ cubes, formatBits, clauses });
    return isSure || path.isFeasible() ? path : null;
  }

  /** Whether nothing else depends on some atoms: then a test of them cannot make the path unsatisfiable. */
  #leaves(atoms: readonly Atom[], formatBits: readonly number[]): boolean {
    if (!formatBits.every((formats, extraction) => formats === this.formatBits[extraction])) return false;
    if (hasConditions(this.cubes, this.clauses)) return false;
    return !this.clauses.some(clause => clause.some(({ atom }) => atoms.includes(atom)));
  }

  /** This path with the literals, and with at least one literal of each clause false; null as above. */
  assumeAndDeny(literals: readonly Literal[], denied: readonly Clause[]): Path | null {
    const cubes = new Map(this.cubes);
    for (const { atom, mask, value } of literals) if (!restrict(cubes, atom, { mask, value })) return null;
    if (denied.some(clause => holdsAlready(clause, cubes)) || holdsAny(this.clauses, cubes)) return null;
    const left = openClauses(this.clauses, cubes);
    const changed = literals.map(({ atom }) => atom);
    const added: Clause[] = [];
    let formatBits = this.formatBits;
    for (const clause of denied) {
      const open = openOf(clause, cubes);
      if (open === null) continue;
      const [only] = open;
      if (only === undefined) return null;
      if (open.length === 1 && isOneBit(only.mask)) {
        if (!restrict(cubes, only.atom, { ...only, value: (~only.value & only.mask) >>> 0 })) return null;
        changed.push(only.atom);
        continue;
      }
      if (open.length === 1) formatBits = formatsWithout({ space: this.space, formatBits, cubes }, only);
      added.push(open);
    }
    const before = { space: this.space, formatBits, cubes };
    formatBits = formatBits.map((formats, extraction) =>
      changed.some(atom => atom.extraction === extraction)
        ? formatsWith(before, extraction, cubes, changed)
        : formats,
    );
    if (formatBits.includes(0)) return null;
    const path = this.with({ cubes, formatBits, clauses: added.length === 0 ? left : [...left, ...added] });
    return path.isFeasible() ? path : null;
  }

  /** This path with at least one literal false; null if it becomes unsatisfiable. */
  deny(literals: readonly Literal[]): Path | null {
    const [only] = literals;
    if (literals.length === 1 && (only!.mask & (only!.mask - 1)) === 0)
      return this.assume([{ ...only!, value: (~only!.value & only!.mask) >>> 0 }]);
    let formatBits = this.formatBits;
    if (literals.length === 1) formatBits = formatsWithout(this, only!);
    if (formatBits.includes(0)) return null;
    const path = this.with({ clauses: [...this.clauses, literals], formatBits });
    const atoms = literals.map(({ atom }) => atom);
    return this.#leaves(atoms, formatBits) || path.isFeasible() ? path : null;
  }

  /** Whether cubes and clauses are satisfiable. */
  isFeasible(): boolean {
    return (
      (this.clauses.length === 0 && !hasConditions(this.cubes, [])) ||
      mayHaveInput(this.budget, this.space, this.formatBits, this.cubes, this.clauses)
    );
  }

  /** The column in terms of the row sets of this path, after joins. */
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

  /** Bits of an atom that neither a column equality nor a cube determines. */
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

/** Clauses are searched by an index if there are that many, from the second time on. */
const MANY_CLAUSES = 500;
const indices = new WeakMap<readonly Clause[], CubeIndex<Atom> | null>();

/** The clauses of which no literal is false already. */
function openClauses(clauses: readonly Clause[], cubes: Cubes): readonly Clause[] {
  const index = clauses.length < MANY_CLAUSES ? null : indexOf(clauses);
  if (index === null) return clauses.filter(clause => !failsAlready(clause, cubes));
  return index.find(atom => cubes.get(atom) ?? FREE).map(at => clauses[at]!);
}

/** Whether all literals of one of some clauses are true. */
function holdsAny(clauses: readonly Clause[], cubes: Cubes): boolean {
  const index = clauses.length < MANY_CLAUSES ? null : indexOf(clauses);
  if (index === null) return clauses.some(clause => holdsAlready(clause, cubes));
  return index.covers(
    atom => cubes.get(atom) ?? FREE,
    () => true,
  );
}

function indexOf(clauses: readonly Clause[]): CubeIndex<Atom> | null {
  const known = indices.get(clauses);
  if (known instanceof CubeIndex) return known;
  const made =
    known === undefined
      ? null
      : new CubeIndex(
          clauses.map(clause => clause.map(({ atom, mask, value }) => ({ of: atom, mask, value }))),
        );
  indices.set(clauses, made);
  return made;
}

/** Whether all literals of a clause are true. */
function holdsAlready(clause: Clause, cubes: Cubes): boolean {
  for (const { atom, mask, value } of clause) {
    const cube = cubes.get(atom);
    if (cube === undefined || (mask & ~cube.mask) !== 0 || ((cube.value ^ value) & mask) !== 0) return false;
  }
  return true;
}

function failsAlready(clause: Clause, cubes: Cubes): boolean {
  return clause.some(({ atom, mask, value }) => {
    const cube: Cube | undefined = cubes.get(atom);
    return cube !== undefined && ((cube.value ^ value) & cube.mask & mask) !== 0;
  });
}
