/**
 * Finds inputs that satisfy a path condition: chooses elements, replaces columns by their values, and solves
 * the rest (paths/sat-solver.ts). Misses are checked by lookups and excluded one by one. Exact: the result
 * distinguishes a proof that there is no input from giving up.
 */
import { ACCOMPANYING_WORDS, KEY } from "../../openflow/index.ts";
import { type Clause, restrict } from "../paths/cubes.ts";
import type { Path } from "../paths/path-condition.ts";
import { findInput, type Solution } from "../paths/sat-solver.ts";
import { type Extractions, SNAP_WORD } from "../symbolic/extractions.ts";
import { type Cube, type FrameFormat, INNER_WORDS, inputWordsOf } from "../symbolic/input-space.ts";
import type { Subtable } from "../symbolic/sorted-subtable.ts";
import { type Atom, type Literal, maskOf, pairsOf, type Segment, type Word } from "../symbolic/terms.ts";

type Valued = (atom: Atom) => number;

/** One input: the values of all atoms. */
export class Input {
  readonly #extractions: Extractions;
  /** The format of each extraction. */
  readonly formats: readonly FrameFormat[];
  /** The element of each row set. */
  readonly elements: ReadonlyMap<number, number>;
  readonly valued: Valued;

  constructor(
    extractions: Extractions,
    { formats, elements, valued }: Pick<Input, "formats" | "elements" | "valued">,
  ) {
    this.#extractions = extractions;
    this.formats = formats;
    this.elements = elements;
    this.valued = valued;
  }

  /** A word of an extraction. */
  valueOf(extraction: number, word: number): number {
    return this.valued(this.#extractions.atom(extraction, word));
  }

  /** The input with other elements, and the values that depend on them. */
  moved(elements: Input["elements"], values: ReadonlyMap<Atom, number>): Input {
    const valued: Valued = atom => values.get(atom) ?? this.valued(atom);
    return new Input(this.#extractions, { formats: this.formats, elements, valued });
  }
}

/** An input, or null with a proof that there is none, or null after giving up. */
export type Search = { readonly input: Input } | { readonly input: null; readonly isProof: boolean };

const MAX_ELEMENTS = 20_000;
const MAX_MISSES = 400;
/** Rounds that prefer an ordinary frame if word equalities are open. */
const ORDINARY_ROUNDS = 8;

/** Preferred values, for an ordinary frame. */
const PREFERENCES: readonly { readonly word: number; readonly value: number; readonly mask?: number }[] = [
  ...ACCOMPANYING_WORDS.map(word => ({ word, value: 0 })),
  { word: SNAP_WORD, value: 0 },
  { word: KEY.dlSrc, value: 0x0200 },
  { word: KEY.dlSrc + 1, value: 1 },
  { word: KEY.dlDst, value: 0x0200 },
  { word: KEY.dlDst + 1, value: 2 },
  { word: KEY.vlanTci, value: 0 },
  ...[0, 1, 2].map(entry => ({ word: KEY.mplsLse + entry, value: 64, mask: 0xff })),
  { word: KEY.nwTtl, value: 64 },
  { word: KEY.nwProto, value: 253 },
  { word: KEY.nwSrc, value: 0xc0000201 },
  { word: KEY.nwDst, value: 0xc6336401 },
];

export class Solver {
  readonly #extractions: Extractions;

  constructor(extractions: Extractions) {
    this.#extractions = extractions;
  }

  /** An input of the path. `skip` skips this number of inputs. */
  find(path: Path, skip = 0): Search {
    let left = skip;
    let tried = 0;
    let isProof = true;
    for (const elements of choices(path)) {
      path.budget.step();
      if (++tried > MAX_ELEMENTS) return { input: null, isProof: false };
      const found = this.#onElements(path, elements);
      if (found === null) continue;
      if (found === "gave up") {
        isProof = false;
        continue;
      }
      if (left-- === 0) return { input: found };
    }
    return { input: null, isProof };
  }

  #onElements(path: Path, elements: ReadonlyMap<number, number>): Input | null | "gave up" {
    const cubes = new Map<Atom, Cube>(path.cubes);
    for (const [atom, columnEqualities] of path.columnEqualities) {
      for (const { mask, column } of columnEqualities) {
        const resolved = path.resolve(column);
        const value = (resolved.values[elements.get(resolved.rowSet)!]! & mask) >>> 0;
        if (!restrict(cubes, atom, { mask, value })) return null;
      }
    }
    const clauses: Clause[] = [...path.clauses];
    const loose: { a: Word; b: Word; isSame: boolean }[] = [];
    for (const wordEquality of path.wordEqualities) {
      const taken = this.#takeWordEquality(path, elements, wordEquality, cubes, clauses);
      if (taken === false) return null;
      if (taken === "loose") loose.push(wordEquality);
    }
    return this.#solve(path, elements, cubes, clauses, loose);
  }

  /** Turns a word equality into cubes or a clause; "loose" if both words are open. */
  #takeWordEquality(
    path: Path,
    elements: ReadonlyMap<number, number>,
    { a, b, isSame }: { a: Word; b: Word; isSame: boolean },
    cubes: Map<Atom, Cube>,
    clauses: Clause[],
  ): boolean | "loose" {
    const literals: Literal[] = [];
    for (const [left, right] of pairsOf(a, b)) {
      const [x, y] = [valueIn(path, elements, left), valueIn(path, elements, right)];
      if (x !== null && y !== null) {
        if (x !== y) return !isSame;
        continue;
      }
      if (areNeverEqual(left, right)) return !isSame;
      const open = x === null ? left : right;
      const value = x ?? y;
      if (value === null || open.is !== "atom") return "loose";
      const mask = (maskOf(open.bits) << open.from) >>> 0;
      literals.push({ atom: open.atom, mask, value: (value << open.from) >>> 0 });
    }
    if (!isSame) {
      if (literals.length === 0) return false;
      clauses.push(literals);
      return true;
    }
    return literals.every(({ atom, mask, value }) => restrict(cubes, atom, { mask, value }));
  }

  #atoms(path: Path): Atom[] {
    return path.formatBits.flatMap((_, extraction) =>
      (extraction === 0 ? inputWordsOf(path.space) : INNER_WORDS).map(word =>
        this.#extractions.atom(extraction, word),
      ),
    );
  }

  #solve(
    path: Path,
    elements: ReadonlyMap<number, number>,
    cubes: Map<Atom, Cube>,
    given: readonly Clause[],
    loose: readonly { a: Word; b: Word; isSame: boolean }[],
  ): Input | null | "gave up" {
    const atoms = this.#atoms(path);
    const clauses = [...given];
    const { space } = this.#extractions;
    for (let round = 0; round < MAX_MISSES; round++) {
      const first = findInput(path.budget, space, path.formatBits, cubes, clauses, atoms);
      // Every clause excludes only inputs outside the path.
      if (first === null) return null;
      // The preferred values may be just those that a word equality excludes.
      const isPlain = loose.length > 0 && round >= ORDINARY_ROUNDS;
      const solution = isPlain ? first : this.#preferred(path, first, cubes, clauses, atoms, round);
      const valued = (atom: Atom): number => solution.cubes.get(atom)?.value ?? atom.preferred ?? 0;
      const ruled = this.#missed(path, elements, valued) ?? looseClause(path, elements, loose, valued);
      if (ruled === null)
        return new Input(this.#extractions, { formats: solution.formats, elements, valued });
      // No open bit could change the result.
      if (ruled.length === 0) return null;
      clauses.push(ruled);
    }
    return "gave up";
  }

  /** Applies the preferences as far as possible; each round prefers other addresses. */
  #preferred(
    path: Path,
    first: Solution,
    cubes: ReadonlyMap<Atom, Cube>,
    clauses: readonly Clause[],
    atoms: readonly Atom[],
    round: number,
  ): Solution {
    const formatBits = first.formats.map(format => 1 << this.#extractions.space.formats.indexOf(format));
    const wishes = PREFERENCES.flatMap(({ word, value, mask }) =>
      path.formatBits.map((_, extraction) => {
        const atom = this.#extractions.atom(extraction, word);
        const moved = word === KEY.nwDst || word === KEY.nwSrc ? value + Math.imul(round, 0x01010101) : value;
        return { atom, cube: { mask: mask ?? maskOf(atom.bits), value: moved >>> 0 } };
      }),
    );
    for (const atom of answersIn(cubes, clauses))
      wishes.push({ atom, cube: { mask: maskOf(atom.bits), value: atom.preferred ?? 0 } });
    let best = first;
    let given = cubes;
    // Applies preferences, the earlier ones first. Usually all are possible at once, so this tries all, then
    // halves.
    const grant = (some: typeof wishes): void => {
      if (some.length === 0) return;
      const next = new Map(given);
      if (some.every(({ atom, cube }) => restrict(next, atom, cube))) {
        const found = findInput(path.budget, this.#extractions.space, formatBits, next, clauses, atoms);
        if (found !== null) {
          best = found;
          given = next;
          return;
        }
      }
      if (some.length === 1) return;
      const half = some.length >> 1;
      grant(some.slice(0, half));
      grant(some.slice(half));
    };
    grant(wishes);
    return best;
  }

  /** A clause against a matching row although the path requires a miss; null if no row matches. */
  #missed(path: Path, elements: ReadonlyMap<number, number>, valued: (atom: Atom) => number): Clause | null {
    for (const { subtable, words } of path.misses) {
      const key = words.map((word, k) => (evaluate(path, elements, word, valued) & subtable.masks[k]!) >>> 0);
      if (subtable.find(key) < 0) continue;
      const block = blockOf(subtable, words, key[0]!);
      if (block !== null) return [block];
      const clause: Literal[] = [];
      for (const [k, word] of words.entries()) {
        let at = 0;
        for (const segment of word.segments) {
          const mask = ((subtable.masks[k]! >>> at) & maskOf(segment.bits)) >>> 0;
          at += segment.bits;
          if (segment.is !== "atom" || mask === 0) continue;
          const own = (mask << segment.from) >>> 0;
          clause.push({ atom: segment.atom, mask: own, value: (valued(segment.atom) & own) >>> 0 });
        }
      }
      return clause;
    }
    return null;
  }
}

/**
 * The largest block of consecutive keys that a subtable contains, for a subtable on the high bits of one
 * free word: excluding single keys would take too long in a nearly full table. Null if it does not apply.
 */
function blockOf(subtable: Subtable, words: readonly Word[], key: number): Literal | null {
  const [segment, ...others] = words[0]!.segments;
  if (words.length > 1 || others.length > 0 || segment!.is !== "atom" || segment!.from !== 0) return null;
  // The mask must be ones followed by zeros; this is the distance between neighbouring keys.
  const step = (~subtable.masks[0]! + 1) >>> 0;
  if ((step & (step - 1)) !== 0 || step === 0) return null;
  let size = step;
  while (size < 0x8000_0000) {
    const wider = size * 2;
    const first = (key - (key % wider)) >>> 0;
    const [from, to] = subtable.range(first, first + wider - 1);
    if ((to - from) * step !== wider) break;
    size = wider;
  }
  const mask = (subtable.masks[0]! & ~(size - 1)) >>> 0;
  return { atom: segment!.atom, mask, value: (key & mask) >>> 0 };
}

/** The atoms of answers of the connection tracker that a path constrains. */
function answersIn(cubes: ReadonlyMap<Atom, Cube>, clauses: readonly Clause[]): Set<Atom> {
  const atoms = [...cubes.keys(), ...clauses.flatMap(clause => clause.map(({ atom }) => atom))];
  return new Set(atoms.filter(({ answer }) => answer !== undefined));
}

/** Whether two segments are the same TTL minus different numbers. */
function areNeverEqual(a: Segment, b: Segment): boolean {
  const ttlOf = (one: Segment): { atom: Atom; at: number; by: number } | null => {
    if (one.bits !== 8) return null;
    if (one.is === "atom") return { atom: one.atom, at: one.from, by: 0 };
    return one.is === "less" && one.from === 0 ? { atom: one.atom, at: one.at, by: one.by } : null;
  };
  const [left, right] = [ttlOf(a), ttlOf(b)];
  if (left === null || right === null) return false;
  return left.atom === right.atom && left.at === right.at && ((left.by - right.by) & 0xff) !== 0;
}

/** All combinations of elements. */
function* choices(path: Path): Generator<ReadonlyMap<number, number>> {
  const rowSets = [...path.elements];
  const indices = rowSets.map(() => 0);
  if (rowSets.some(([, elements]) => elements.length === 0)) return;
  for (;;) {
    yield new Map(rowSets.map(([rowSet, elements], i) => [rowSet, elements[indices[i]!]!]));
    let i = 0;
    while (i < rowSets.length && ++indices[i]! === rowSets[i]![1].length) indices[i++] = 0;
    if (i === rowSets.length) return;
  }
}

/** The value of a segment if these elements determine it, else null. */
function valueIn(path: Path, elements: ReadonlyMap<number, number>, segment: Segment): number | null {
  if (segment.is === "const") return segment.value;
  if (segment.is !== "column") return null;
  const column = path.resolve(segment.column);
  return ((column.values[elements.get(column.rowSet)!]! >>> segment.from) & maskOf(segment.bits)) >>> 0;
}

/** The value of a word for an input. */
export function evaluate(
  path: Path,
  elements: ReadonlyMap<number, number>,
  word: Word,
  valued: (atom: Atom) => number,
): number {
  let value = 0;
  let at = 0;
  for (const segment of word.segments) {
    let bits = valueIn(path, elements, segment);
    if (segment.is === "atom") bits = valued(segment.atom) >>> segment.from;
    if (segment.is === "less")
      bits = (((valued(segment.atom) >>> segment.at) & 0xff) - segment.by) >>> segment.from;
    value |= (bits! & maskOf(segment.bits)) << at;
    at += segment.bits;
  }
  return value >>> 0;
}

/** A clause against the current values of a violated word equality; null if none is violated. */
function looseClause(
  path: Path,
  elements: ReadonlyMap<number, number>,
  loose: readonly { a: Word; b: Word; isSame: boolean }[],
  valued: (atom: Atom) => number,
): Clause | null {
  for (const { a, b, isSame } of loose) {
    if ((evaluate(path, elements, a, valued) === evaluate(path, elements, b, valued)) === isSame) continue;
    const atoms = [...a.segments, ...b.segments].flatMap(segment =>
      segment.is === "atom" || segment.is === "less" ? [segment.atom] : [],
    );
    return atoms.map(atom => ({ atom, mask: maskOf(atom.bits), value: valued(atom) }));
  }
  return null;
}
