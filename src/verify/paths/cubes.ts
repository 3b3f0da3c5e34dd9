/**
 * Partial knowledge of the input: cubes (known bits of an atom), literals, and clauses. A clause is a
 * conjunction of literals of which at least one must be false. sat-solver.ts and conditions.ts search for
 * inputs that satisfy them.
 */
import type { Cube } from "../symbolic/input-space.ts";
import type { Atom, Literal } from "../symbolic/terms.ts";

export type Clause = readonly Literal[];
export type Cubes = ReadonlyMap<Atom, Cube>;

export const FREE: Cube = { mask: 0, value: 0 };

/** The intersection of two cubes; null if they contradict each other. */
export function meet(a: Cube, b: Cube): Cube | null {
  if (((a.value ^ b.value) & a.mask & b.mask) !== 0) return null;
  return { mask: (a.mask | b.mask) >>> 0, value: (a.value | b.value) >>> 0 };
}

/** Intersects the cube of an atom with another one; false if they contradict each other. */
export function restrict(cubes: Map<Atom, Cube>, atom: Atom, cube: Cube): boolean {
  const met = meet(cubes.get(atom) ?? FREE, cube);
  if (met === null) return false;
  const beyond = atom.bits >= 32 ? 0 : (0xffffffff << atom.bits) >>> 0;
  if ((met.value & beyond) !== 0) return false;
  cubes.set(atom, met);
  return true;
}

/** The undecided literals of a clause; null if one of them is false already. */
export function openOf(clause: Clause, cubes: Cubes): Literal[] | null {
  const left: Literal[] = [];
  for (const literal of clause) {
    const cube = cubes.get(literal.atom) ?? FREE;
    if (((cube.value ^ literal.value) & cube.mask & literal.mask) !== 0) return null;
    const mask = (literal.mask & ~cube.mask) >>> 0;
    if (mask === 0) continue;
    left.push(mask === literal.mask ? literal : { ...literal, mask, value: (literal.value & mask) >>> 0 });
  }
  return left;
}

export const isOneBit = (mask: number): boolean => (mask & (mask - 1)) === 0;
