/**
 * A path: the condition under which a machine has come to where it is. Cubes and clauses speak of bits of the input
 * (solve.ts). A *domain* is a vector of lanes, the rows of a flow table that were hit at once: a path holds the lanes it
 * still is about, and *bindings* say that bits of the input are a column of a domain. Several domains are independent of
 * each other. Paths are immutable; every split gives new ones, disjoint and together the old one.
 *
 * A path may hold for no frame at all, as lanes, misses and links are not looked at together. That costs time and
 * nothing else: whatever is found different is solved exactly before anybody hears of it.
 */
import type { Budget } from "../budget.ts";
import { Undecidable } from "../symbolic/decider.ts";
import type { Cube, Space } from "../symbolic/input-space.ts";
import type { MapNode } from "../symbolic/sorted-subtable.ts";
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
import { byKinds, kindsWith, kindsWithout } from "./frame-formats.ts";
import { type ColumnTest, partition } from "./row-partition.ts";
import { mayHaveInput } from "./sat-solver.ts";

/** The bits of `mask` of a word have the values of `value`. */
export interface Test {
  readonly word: Word;
  readonly mask: number;
  readonly value: number;
}

/** Bits `mask` of an atom are those of a column of a domain. */
export interface Binding {
  readonly mask: number;
  readonly column: Column;
}

/** None of a map's rows is hit by these words. */
export interface Miss {
  readonly map: MapNode;
  readonly words: readonly Word[];
}

/** Two words that are, or are not, the same; known by the path in no other way. */
export interface Link {
  readonly a: Word;
  readonly b: Word;
  readonly isSame: boolean;
}

export interface Split {
  readonly yes: Path | null;
  readonly no: readonly Path[];
}

/** Tests, taken apart into what concerns lanes and what concerns free bits. */
interface Flat {
  readonly columns: Map<number, ColumnTest[]>;
  readonly literals: Literal[];
}

/** A domain that became part of another one: each lane there is a lane here. */
export interface View {
  readonly domain: number;
  readonly laneOf: Int32Array;
}

/** All that a path is made of but the space. */
type Parts = Pick<
  Path,
  "budget" | "terms" | "contents" | "cubes" | "clauses" | "lanes" | "bindings" | "misses" | "links" | "views"
>;

const NOTHING: ReadonlyMap<never, never> = new Map<never, never>();

export class Path {
  readonly space: Space;
  readonly budget: Budget;
  readonly terms: Terms;
  /** For each reading of the frame the kinds it may be, as bits. */
  readonly contents: readonly number[];
  readonly cubes: Cubes;
  readonly clauses: readonly Clause[];
  readonly lanes: ReadonlyMap<number, Int32Array>;
  readonly bindings: ReadonlyMap<Atom, readonly Binding[]>;
  readonly misses: readonly Miss[];
  readonly links: readonly Link[];
  readonly views: ReadonlyMap<number, View>;
  #holding: readonly Atom[] | null = null;

  constructor(space: Space, parts: Parts) {
    this.space = space;
    this.budget = parts.budget;
    this.terms = parts.terms;
    this.views = parts.views;
    this.contents = parts.contents;
    this.cubes = parts.cubes;
    this.clauses = parts.clauses;
    this.lanes = parts.lanes;
    this.bindings = parts.bindings;
    this.misses = parts.misses;
    this.links = parts.links;
  }

  /** The path of every frame whose readings are of these kinds. */
  static of(budget: Budget, space: Space, terms: Terms, contents: readonly number[]): Path {
    return new Path(space, {
      budget,
      terms,
      views: NOTHING,
      contents,
      cubes: NOTHING,
      clauses: [],
      lanes: NOTHING,
      bindings: NOTHING,
      misses: [],
      links: [],
    });
  }

  /** True when nothing but the kinds is known. */
  get isGeneral(): boolean {
    return (
      this.cubes.size === 0 &&
      this.clauses.length === 0 &&
      this.lanes.size === 0 &&
      this.misses.length === 0 &&
      this.links.length === 0
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

  withLanes(domain: number, lanes: Int32Array): Path {
    return this.with({ lanes: new Map(this.lanes).set(domain, lanes) });
  }

  /** Splits by whether all tests hold. */
  split(tests: readonly Test[]): Split {
    const flat = this.flatten(tests);
    if (flat === null) return { yes: null, no: [this] };
    let rest: Path = this;
    const no: Path[] = [];
    for (const [domain, columns] of flat.columns) {
      const { hit, miss } = partition(rest.lanes.get(domain)!, columns);
      if (miss.length > 0)
        no.push(miss.length === rest.lanes.get(domain)!.length ? rest : rest.withLanes(domain, miss));
      if (hit.length === 0) return { yes: null, no };
      if (miss.length > 0) rest = rest.withLanes(domain, hit);
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
      const verdict = byKinds(this, literal);
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
    for (const binding of this.bindings.get(atom) ?? []) {
      const bound = (open & binding.mask) >>> 0;
      if (bound === 0) continue;
      addColumn(columns, { column: this.resolve(binding.column), mask: bound, value: (value & bound) >>> 0 });
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
    const contents = this.contents.map((kinds, content) =>
      atoms.some(atom => atom.content === content) ? kindsWith(this, content, cubes, atoms) : kinds,
    );
    if (contents.includes(0)) return null;
    const clauses = this.clauses.filter(clause => !failsAlready(clause, cubes));
    const path = this.with({ cubes, contents, clauses });
    return path.isFeasible() ? path : null;
  }

  /** This path where not all of the literals hold; null when they must. */
  deny(literals: readonly Literal[]): Path | null {
    const [only] = literals;
    if (literals.length === 1 && (only!.mask & (only!.mask - 1)) === 0)
      return this.assume([{ ...only!, value: (~only!.value & only!.mask) >>> 0 }]);
    let contents = this.contents;
    if (literals.length === 1) contents = kindsWithout(this, only!);
    if (contents.includes(0)) return null;
    const path = this.with({ clauses: [...this.clauses, literals], contents });
    return path.isFeasible() ? path : null;
  }

  /** Whether cubes and clauses leave anything. */
  isFeasible(): boolean {
    return (
      (this.clauses.length === 0 && !hasConditions(this.cubes, [])) ||
      mayHaveInput(this.budget, this.space, this.contents, this.cubes, this.clauses)
    );
  }

  /** A column as one of the domains that this path has lanes of. */
  resolve(column: Column): Column {
    let resolved = column;
    for (
      let view = this.views.get(resolved.domain);
      view !== undefined;
      view = this.views.get(resolved.domain)
    ) {
      const { domain, laneOf } = view;
      const inner = resolved;
      resolved = this.terms.column(`${inner.id} in ${domain}`, domain, () => gathered(inner.values, laneOf));
    }
    return resolved;
  }

  /** Bits of an atom that neither a binding nor a cube gives. */
  freeBits(atom: Atom): number {
    let free = maskOf(atom.bits);
    for (const { mask } of this.bindings.get(atom) ?? []) free &= ~mask;
    return (free & ~(this.cubes.get(atom)?.mask ?? 0)) >>> 0;
  }
}

function addColumn(columns: Map<number, ColumnTest[]>, test: ColumnTest): void {
  const list = columns.get(test.column.domain);
  if (list === undefined) columns.set(test.column.domain, [test]);
  else list.push(test);
}

function failsAlready(clause: Clause, cubes: Cubes): boolean {
  return clause.some(({ atom, mask, value }) => {
    const cube: Cube | undefined = cubes.get(atom);
    return cube !== undefined && ((cube.value ^ value) & cube.mask & mask) !== 0;
  });
}
