/**
 * Which inputs there are under a condition: cubes (bits that are given) and *clauses*, conjunctions of literals of
 * which at least one must fail. A small DPLL search over bits, complete: it finds an input, or there is none. Kinds of
 * frames are tried in their order, and the cubes of a word within a kind in theirs.
 */

import { KEY } from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import { type Cube, cubesOf, type Kind, type Space } from "../symbolic/input-space.ts";
import type { Atom } from "../symbolic/terms.ts";
import { hasConditions, searchConditions, settled, spokenOf } from "./conditions.ts";
import { type Clause, type Cubes, FREE, isOneBit, meet, openOf, restrict } from "./cubes.ts";

/** An input: the kind of each reading, and what is fixed of the atoms; everything else may be anything of its kind. */
export interface Solution {
  readonly kinds: readonly Kind[];
  readonly cubes: Cubes;
}

/** Cubes under which every clause fails, or null. */
export function search(budget: Budget, given: Cubes, clauses: readonly Clause[]): Cubes | null {
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

/** Lets each bit of the shortest clause fail in turn, the bits before it held as the clause has them. */
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

function typeClauses(kind: Kind, atoms: Iterable<Atom>): Clause[] {
  for (const atom of atoms) {
    if (atom.word !== KEY.dlType) continue;
    return kind.notTypes.map(value => [{ atom, mask: 0xffff, value }]);
  }
  return [];
}

/** One choice of cubes for an atom. */
interface Choice {
  readonly atom: Atom;
  readonly cubes: readonly Cube[];
}

/** Makes the choices one after the other, and looks whether the clauses still can fail after each. */
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
 * Finds an input. `contents` has, for each reading of the frame, the kinds it may be as bits of `space.kinds`;
 * `atoms` are those that must have a kind's value (those of cubes and clauses always do).
 */
export function findInput(
  budget: Budget,
  space: Space,
  contents: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
  atoms: Iterable<Atom> = [],
): Solution | null {
  const concerned = spokenOf([...given.keys(), ...clauses.flatMap(clause => clause.map(({ atom }) => atom))]);
  const found = chooseKinds(budget, space, contents, given, clauses, [...concerned], []);
  return found === null ? null : { kinds: found.kinds, cubes: filled(space, found, atoms) };
}

/**
 * Whether there may be an input: a quick answer that is never wrong when it is no, and when it is yes leaves out only
 * types that a frame cannot have, and what conditions need a search for. A solution of the clauses stays one when more bits are given, so that a kind needs
 * no more than to go along with it.
 */
export function mayHaveInput(
  budget: Budget,
  space: Space,
  contents: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
): boolean {
  if (hasConditions(given, clauses)) {
    const rest = settled(given, clauses);
    return rest !== null && mayHaveInput(budget, space, contents, rest.cubes, rest.clauses);
  }
  const found = search(budget, given, clauses);
  if (found === null) return false;
  const fits = contents.every((kinds, content) => {
    const atoms = [...found.keys()].filter(atom => atom.content === content);
    if (atoms.length === 0) return true;
    return space.kinds.some(
      (kind, index) =>
        (kinds & (1 << index)) !== 0 &&
        atoms.every(atom => {
          const options = cubesOf(space, kind, atom.word);
          return options === null || options.some(option => meet(option, found.get(atom)!) !== null);
        }),
    );
  });
  return fits || findInput(budget, space, contents, given, clauses) !== null;
}

/** Gives atoms that nothing is asked of the first value of their kind. */
function filled(space: Space, { kinds, cubes }: Solution, atoms: Iterable<Atom>): Cubes {
  const all = new Map(cubes);
  for (const atom of atoms) {
    const kind = kinds[atom.content];
    if (kind === undefined || all.has(atom)) continue;
    const options = cubesOf(space, kind, atom.word);
    if (options !== null) restrict(all, atom, options[0]!);
  }
  return all;
}

function chooseKinds(
  budget: Budget,
  space: Space,
  contents: readonly number[],
  given: Cubes,
  clauses: readonly Clause[],
  concerned: readonly Atom[],
  kinds: readonly Kind[],
): Solution | null {
  const content = kinds.length;
  if (content === contents.length) {
    const cubes = chooseCubes(budget, space, given, clauses, concerned, kinds);
    return cubes === null ? null : { kinds, cubes };
  }
  const isAsked = concerned.some(atom => atom.content === content);
  for (const [index, kind] of space.kinds.entries()) {
    if ((contents[content]! & (1 << index)) === 0) continue;
    const found = chooseKinds(budget, space, contents, given, clauses, concerned, [...kinds, kind]);
    // A reading that nothing is asked of cannot be what stands in the way.
    if (found !== null || !isAsked) return found;
  }
  return null;
}

function chooseCubes(
  budget: Budget,
  space: Space,
  given: Cubes,
  clauses: readonly Clause[],
  concerned: readonly Atom[],
  kinds: readonly Kind[],
): Cubes | null {
  const cubes = new Map(given);
  const choices: Choice[] = [];
  const conditions = [...given.keys()].filter(({ condition }) => condition !== undefined);
  const inClauses = spokenOf([...conditions, ...clauses.flatMap(clause => clause.map(({ atom }) => atom))]);
  for (const atom of concerned) {
    const kind = kinds[atom.content];
    const options = kind === undefined ? null : cubesOf(space, kind, atom.word);
    if (options === null) continue;
    const cube = cubes.get(atom) ?? FREE;
    const left = options.filter(option => meet(cube, option) !== null);
    if (left.length === 0) return null;
    // Where no clause depends on it the first will do.
    if (left.length === 1 || (!inClauses.has(atom) && atom.word !== KEY.dlType)) {
      if (!restrict(cubes, atom, left[0]!)) return null;
    } else choices.push({ atom, cubes: left });
  }
  const all = [...clauses, ...kinds.flatMap(kind => typeClauses(kind, concerned))];
  return choose(budget, cubes, all, choices, 0);
}
