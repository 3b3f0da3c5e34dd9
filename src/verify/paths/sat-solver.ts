/**
 * Satisfiability of cubes and clauses over the bits of the input: a small, complete DPLL search. A clause is
 * a conjunction of literals of which at least one must be false. Frame formats are tried in their order, and
 * so are the cubes of a word within a format.
 */
import { KEY } from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import { type Cube, cubesOf, type FrameFormat, type Space } from "../symbolic/input-space.ts";
import type { Atom } from "../symbolic/terms.ts";
import { dependenciesOf, hasConditions, searchConditions, settled } from "./conditions.ts";
import { type Clause, type Cubes, FREE, isOneBit, meet, openOf, restrict } from "./cubes.ts";

/**
 * An input: the format of each extraction, and the fixed bits of atoms; all other bits may have any value of
 * the format.
 */
export interface Solution {
  readonly formats: readonly FrameFormat[];
  readonly cubes: Cubes;
}

/** Cubes under which every clause is false, or null. */
function search(budget: Budget, given: Cubes, clauses: readonly Clause[]): Cubes | null {
  budget.step();
  const cubes = new Map(given);
  let pending = clauses;
  for (;;) {
    const next: Clause[] = [];
    let isForced = false;
    for (const clause of pending) {
      const left = openOf(clause, cubes);
      if (left === null) continue;
      if (left.length === 0) return null;
      const only = left[0]!;
      if (left.length === 1 && isOneBit(only.mask)) {
        if (!restrict(cubes, only.atom, { mask: only.mask, value: ~only.value & only.mask })) return null;
        isForced = true;
      } else next.push(left);
    }
    pending = next;
    if (pending.length === 0) return cubes;
    if (!isForced) break;
  }
  return branch(budget, cubes, pending);
}

/** Makes each bit of the shortest clause false in turn, with the earlier bits true. */
function branch(budget: Budget, cubes: Map<Atom, Cube>, clauses: readonly Clause[]): Cubes | null {
  const shortest = clauses.reduce((best, clause) => (clause.length < best.length ? clause : best));
  const held = new Map(cubes);
  for (const { atom, mask, value } of shortest) {
    for (let bit = 1, left = mask; left !== 0; bit <<= 1, left &= ~(bit >>> 1)) {
      if ((mask & bit) === 0) {
        if (bit === 0) break;
        continue;
      }
      const one = bit >>> 0;
      const failing = new Map(held);
      if (restrict(failing, atom, { mask: one, value: (~value & one) >>> 0 })) {
        const found = search(budget, failing, clauses);
        if (found !== null) return found;
      }
      if (!restrict(held, atom, { mask: one, value: (value & one) >>> 0 })) return null;
    }
  }
  return null;
}

function typeClauses(format: FrameFormat, atoms: Iterable<Atom>): Clause[] {
  for (const atom of atoms) {
    if (atom.word !== KEY.dlType) continue;
    return format.notTypes.map(value => [{ atom, mask: 0xffff, value }]);
  }
  return [];
}

/** The possible cubes of one atom. */
interface Choice {
  readonly atom: Atom;
  readonly cubes: readonly Cube[];
}

/** Makes the choices one after the other, and checks the clauses after each. */
function choose(
  budget: Budget,
  cubes: Cubes,
  clauses: readonly Clause[],
  choices: readonly Choice[],
  index: number,
): Cubes | null {
  const find = hasConditions(cubes, clauses) ? searchConditions : search;
  const found = find(budget, cubes, clauses);
  if (found === null || index === choices.length) return found;
  const { atom, cubes: options } = choices[index]!;
  const likely = options.filter(option => meet(option, found.get(atom) ?? FREE) !== null);
  for (const option of [...likely, ...options.filter(option => !likely.includes(option))]) {
    const next = new Map(cubes);
    if (!restrict(next, atom, option)) continue;
    const chosen = choose(budget, next, clauses, choices, index + 1);
    if (chosen !== null) return chosen;
  }
  return null;
}

/**
 * Finds an input. `formatBits` has, for each extraction, its possible formats as bits of `space.formats`.
 * `atoms` get a value of their format, beside the atoms of cubes and clauses.
 */
export function findInput(
  budget: Budget,
  space: Space,
  formatBits: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
  atoms: Iterable<Atom> = [],
): Solution | null {
  const concerned = dependenciesOf([
    ...given.keys(),
    ...clauses.flatMap(clause => clause.map(({ atom }) => atom)),
  ]);
  const found = chooseFormats(budget, space, formatBits, given, clauses, [...concerned], []);
  return found === null ? null : { formats: found.formats, cubes: filled(space, found, atoms) };
}

/**
 * Whether an input may exist. `false` is always right; `true` ignores excluded types and what conditions
 * need a search for. A solution of the clauses remains one if more bits are fixed, so a format only has to
 * be compatible with it.
 */
export function mayHaveInput(
  budget: Budget,
  space: Space,
  formatBits: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
): boolean {
  if (hasConditions(given, clauses)) {
    const rest = settled(given, clauses);
    return rest !== null && mayHaveInput(budget, space, formatBits, rest.cubes, rest.clauses);
  }
  const found = search(budget, given, clauses);
  if (found === null) return false;
  const fits = formatBits.every((formats, extraction) => {
    const atoms = [...found.keys()].filter(atom => atom.extraction === extraction);
    if (atoms.length === 0) return true;
    return space.formats.some(
      (format, index) =>
        (formats & (1 << index)) !== 0 &&
        atoms.every(atom => {
          const options = cubesOf(space, format, atom.word);
          return options === null || options.some(option => meet(option, found.get(atom)!) !== null);
        }),
    );
  });
  return fits || findInput(budget, space, formatBits, given, clauses) !== null;
}

/** Gives unconstrained atoms the first value of their format. */
function filled(space: Space, { formats, cubes }: Solution, atoms: Iterable<Atom>): Cubes {
  const all = new Map(cubes);
  for (const atom of atoms) {
    const format = formats[atom.extraction];
    if (format === undefined || all.has(atom)) continue;
    const options = cubesOf(space, format, atom.word);
    if (options !== null) restrict(all, atom, options[0]!);
  }
  return all;
}

function chooseFormats(
  budget: Budget,
  space: Space,
  formatBits: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
  concerned: readonly Atom[],
  formats: readonly FrameFormat[],
): Solution | null {
  const extraction = formats.length;
  if (extraction === formatBits.length) {
    const cubes = chooseCubes(budget, space, given, clauses, concerned, formats);
    return cubes === null ? null : { formats, cubes };
  }
  const isConstrained = concerned.some(atom => atom.extraction === extraction);
  for (const [index, format] of space.formats.entries()) {
    if ((formatBits[extraction]! & (1 << index)) === 0) continue;
    const found = chooseFormats(budget, space, formatBits, given, clauses, concerned, [...formats, format]);
    // An extraction without constraints cannot be the reason.
    if (found !== null || !isConstrained) return found;
  }
  return null;
}

function chooseCubes(
  budget: Budget,
  space: Space,
  given: Cubes,
  clauses: readonly Clause[],
  concerned: readonly Atom[],
  formats: readonly FrameFormat[],
): Cubes | null {
  const cubes = new Map(given);
  const choices: Choice[] = [];
  const conditions = [...given.keys()].filter(({ condition }) => condition !== undefined);
  const inClauses = dependenciesOf([
    ...conditions,
    ...clauses.flatMap(clause => clause.map(({ atom }) => atom)),
  ]);
  for (const atom of concerned) {
    const format = formats[atom.extraction];
    const options = format === undefined ? null : cubesOf(space, format, atom.word);
    if (options === null) continue;
    const cube = cubes.get(atom) ?? FREE;
    const left = options.filter(option => meet(cube, option) !== null);
    if (left.length === 0) return null;
    // If no clause depends on it, any cube will do.
    if (left.length === 1 || (!inClauses.has(atom) && atom.word !== KEY.dlType)) {
      if (!restrict(cubes, atom, left[0]!)) return null;
    } else choices.push({ atom, cubes: left });
  }
  const all = [...clauses, ...formats.flatMap(format => typeClauses(format, concerned))];
  return choose(budget, cubes, all, choices, 0);
}
