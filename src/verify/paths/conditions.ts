/**
 * Conditions: atoms of one bit that stand for a disjunction of cases or a conjunction of conditions over
 * other atoms. A clause of a conjunctive match has hundreds of flows; as a condition it is one bit, split
 * once, and two tables that list the same flows in another order have the same condition. This file has what
 * solving needs: exclusion, propagation and a complete search. A case is a cube over atoms that are not
 * conditions.
 */

import type { Budget } from "../budget.ts";
import { type Atom, type Case, type Condition, type Literal, maskOf, type Terms } from "../symbolic/terms.ts";
import { type Clause, type Cubes, isOneBit, openOf, restrict } from "./cubes.ts";

const TRUE = { mask: 1, value: 1 } as const;
const FALSE = { mask: 1, value: 0 } as const;

const nameOf = (one: Case): string =>
  one.map(({ atom, mask, value }) => `${atom.id}/${mask}=${value}`).join("&");

/** The condition that one of some cases holds; a boolean if it is constant. */
export function anyOf(terms: Terms, cases: readonly Case[]): Atom | boolean {
  if (cases.some(({ length }) => length === 0)) return true;
  if (cases.length === 0) return false;
  const byName = new Map(cases.map(one => [nameOf(one), one]));
  const names = [...byName.keys()].sort();
  const condition: Condition = { is: "any", cases: names.map(name => byName.get(name)!) };
  return terms.condition(`any ${names.join("|")}`, condition);
}

/** The condition that all of some conditions hold. */
export function allOf(terms: Terms, of: readonly Atom[]): Atom | true {
  const atoms = [...new Set(of)].sort((a, b) => a.id - b.id);
  if (atoms.length <= 1) return atoms[0] ?? true;
  return terms.condition(`all ${atoms.map(({ id }) => id).join()}`, { is: "all", of: atoms });
}

export const hasConditions = (cubes: Cubes, clauses: readonly Clause[]): boolean => {
  for (const atom of cubes.keys()) if (atom.condition !== undefined) return true;
  return clauses.some(clause => clause.some(({ atom }) => atom.condition !== undefined));
};

/** The given atoms, and all atoms that conditions among them depend on. */
export function dependenciesOf(given: Iterable<Atom>): Set<Atom> {
  const atoms = new Set(given);
  // Iteration over a Set includes elements that are added meanwhile.
  for (const { condition } of atoms) {
    if (condition === undefined) continue;
    for (const atom of atomsOf(condition)) atoms.add(atom);
  }
  return atoms;
}

const dependencies = new WeakMap<Condition, readonly Atom[]>();

function atomsOf(condition: Condition): readonly Atom[] {
  if (condition.is === "all") return condition.of;
  let atoms = dependencies.get(condition);
  if (atoms === undefined) {
    atoms = [...new Set(condition.cases.flatMap(one => one.map(({ atom }) => atom)))];
    dependencies.set(condition, atoms);
  }
  return atoms;
}

// --- Two conditions ----------------------------------------------------------------------------------------

/** Cases that compare the same bits. */
interface Alike {
  readonly bits: readonly { readonly atom: Atom; readonly mask: number }[];
  readonly cases: Case[];
}

const divided = new WeakMap<Condition, readonly Alike[]>();

function byBits(condition: Extract<Condition, { is: "any" }>): readonly Alike[] {
  let parts = divided.get(condition);
  if (parts === undefined) {
    const found = new Map<string, Alike>();
    for (const one of condition.cases) {
      const name = one.map(({ atom, mask }) => `${atom.id}/${mask}`).join();
      const alike = found.get(name) ?? { bits: one.map(({ atom, mask }) => ({ atom, mask })), cases: [] };
      found.set(name, alike);
      alike.cases.push(one);
    }
    parts = [...found.values()];
    divided.set(condition, parts);
  }
  return parts;
}

const valuesUnder = (one: Case, bits: Alike["bits"]): string =>
  bits.map(({ atom, mask }) => one.find(literal => literal.atom === atom)!.value & mask).join();

/** Whether each case of one excludes each case of the other. */
function doCasesExclude(a: Alike, b: Alike): boolean {
  const common = a.bits.flatMap(({ atom, mask }) => {
    const both = mask & (b.bits.find(one => one.atom === atom)?.mask ?? 0);
    return both === 0 ? [] : [{ atom, mask: both }];
  });
  if (common.length === 0) return false;
  const values = new Set(a.cases.map(one => valuesUnder(one, common)));
  return !b.cases.some(one => values.has(valuesUnder(one, common)));
}

const exclusions = new WeakMap<Atom, Map<Atom, boolean>>();

/** Whether two conditions exclude each other; checks pairs of cases only, so `false` can be wrong. */
export function areExclusive(a: Atom, b: Atom): boolean {
  if (a === b || a.condition === undefined || b.condition === undefined) return false;
  const [one, other] = a.id < b.id ? [a, b] : [b, a];
  const known = exclusions.get(one) ?? new Map<Atom, boolean>();
  exclusions.set(one, known);
  let found = known.get(other);
  if (found === undefined) {
    const [left, right] = [one.condition!, other.condition!];
    if (left.is === "all") found = left.of.some(part => areExclusive(part, other));
    else if (right.is === "all") found = right.of.some(part => areExclusive(one, part));
    else found = byBits(left).every(x => byBits(right).every(y => doCasesExclude(x, y)));
    known.set(other, found);
  }
  return found;
}

/** Whether one condition implies another; checks cases one by one, so `false` can be wrong. */
function isWithin(a: Condition, b: Condition): boolean {
  if (a.is !== "any" || b.is !== "any") return false;
  return byBits(a).every(inner => {
    const wider = byBits(b).filter(({ bits }) =>
      bits.every(({ atom, mask }) => {
        const own = inner.bits.find(one => one.atom === atom)?.mask ?? 0;
        return (mask & ~own) === 0;
      }),
    );
    const sets = wider.map(({ bits, cases }) => ({
      bits,
      values: new Set(cases.map(one => valuesUnder(one, bits))),
    }));
    return inner.cases.every(one => sets.some(({ bits, values }) => values.has(valuesUnder(one, bits))));
  });
}

// --- Propagation
// ---------------------------------------------------------------------------------------------------

/** What propagation leaves undecided. */
interface Left {
  readonly clauses: readonly Clause[];
  /** For each condition that must hold, the cases that can still hold, if there are several. */
  readonly choices: readonly (readonly Case[])[];
}

/** Cases that can still hold, without their known literals; null if one holds already. */
function openCases(cases: readonly Case[], cubes: Cubes): Case[] | null {
  const open: Case[] = [];
  for (const one of cases) {
    const left = openOf(one, cubes);
    if (left === null) continue;
    if (left.length === 0) return null;
    open.push(left);
  }
  return open;
}

/**
 * Unit propagation: adds to `cubes` what conditions and clauses force; null if they contradict each other.
 */
function propagate(cubes: Map<Atom, { mask: number; value: number }>, given: readonly Clause[]): Left | null {
  const done = new Set<Atom>();
  let clauses = given;
  for (;;) {
    let isForced = false;
    const added: Clause[] = [];
    const choices: Case[][] = [];
    // Iteration over a Map includes entries that are added meanwhile, here the parts of a conjunction.
    for (const [atom, { value }] of cubes) {
      const { condition } = atom;
      if (condition === undefined || done.has(atom)) continue;
      if (condition.is === "all") {
        done.add(atom);
        if (value === 0) added.push(condition.of.map(part => ({ atom: part, ...TRUE })));
        else if (!condition.of.every(part => restrict(cubes, part, TRUE))) return null;
      } else if (value === 1) {
        const open = openCases(condition.cases, cubes);
        if (open === null || open.length === 1) done.add(atom);
        if (open === null) continue;
        if (open.length === 0) return null;
        if (open.length > 1) choices.push(open);
        else {
          if (!open[0]!.every(literal => restrict(cubes, literal.atom, literal))) return null;
          isForced = true;
        }
      }
    }
    const left: Clause[] = [];
    for (const clause of [...clauses, ...added]) {
      const open = openOf(clause, cubes);
      if (open === null) continue;
      const [only] = open;
      if (only === undefined) return null;
      if (open.length > 1 || !isOneBit(only.mask)) {
        left.push(open);
        continue;
      }
      if (!restrict(cubes, only.atom, { mask: only.mask, value: ~only.value & only.mask })) return null;
      isForced = true;
    }
    clauses = left;
    if (!isForced) return { clauses, choices };
  }
}

/**
 * Consequences for atoms that are not conditions: sound but incomplete, and fast. Null if no input satisfies
 * the conditions.
 */
export function settled(
  given: Cubes,
  clauses: readonly Clause[],
): { readonly cubes: Cubes; readonly clauses: readonly Clause[] } | null {
  const cubes = new Map(given);
  const left = propagate(cubes, clauses);
  if (left === null) return null;
  const conditions = [...cubes].filter(([{ condition }]) => condition?.is === "any");
  const holding = conditions.filter(([, { value }]) => value === 1).map(([atom]) => atom);
  const failing = conditions.filter(([, { value }]) => value === 0).map(([atom]) => atom);
  for (const [index, atom] of holding.entries()) {
    if (holding.slice(index + 1).some(other => areExclusive(atom, other))) return null;
    if (failing.some(other => isWithin(atom.condition!, other.condition!))) return null;
  }
  for (const { condition } of failing)
    if (condition!.is === "any" && openCases(condition!.cases, cubes) === null) return null;
  for (const atom of cubes.keys()) if (atom.condition !== undefined) cubes.delete(atom);
  return {
    cubes,
    clauses: left.clauses.filter(clause => clause.every(({ atom }) => atom.condition === undefined)),
  };
}

// --- Search ------------------------------------------------------------------------------------------------

/**
 * Cubes that satisfy the conditions and fail every clause, whatever the other bits are; null if there are
 * none. Complete. The cases of a condition that must be false become clauses only when one is violated.
 */
export function searchConditions(budget: Budget, given: Cubes, clauses: readonly Clause[]): Cubes | null {
  const learned: Clause[] = [];

  const visit = (from: Cubes): Cubes | null => {
    budget.step();
    const cubes = new Map(from);
    for (;;) {
      const left = propagate(cubes, [...clauses, ...learned]);
      if (left === null) return null;
      if (left.clauses.length > 0 || left.choices.length > 0) return branch(cubes, left);
      const met = casesMet(cubes);
      if (met.length === 0) return fixed(cubes);
      learned.push(...met);
    }
  };

  /** Branches on the clause or choice with the fewest alternatives. */
  const branch = (cubes: Cubes, left: Left): Cubes | null => {
    const choice = least(left.choices);
    const clause = least(left.clauses);
    if (choice !== undefined && (clause === undefined || choice.length <= clause.length)) {
      for (const one of choice) {
        const next = new Map(cubes);
        if (!one.every(literal => restrict(next, literal.atom, literal))) continue;
        const found = visit(next);
        if (found !== null) return found;
      }
      return null;
    }
    const held = new Map(cubes);
    for (const { atom, mask, value } of clause!) {
      for (const bit of bitsOf(mask)) {
        const failing = new Map(held);
        if (restrict(failing, atom, { mask: bit, value: (~value & bit) >>> 0 })) {
          const found = visit(failing);
          if (found !== null) return found;
        }
        if (!restrict(held, atom, { mask: bit, value: (value & bit) >>> 0 })) return null;
      }
    }
    return null;
  };

  return visit(given);
}

const least = <T extends { readonly length: number }>(list: readonly T[]): T | undefined =>
  list.reduce<T | undefined>(
    (best, one) => (best === undefined || one.length < best.length ? one : best),
    undefined,
  );

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let left = mask >>> 0; left !== 0; left = (left & (left - 1)) >>> 0) bits.push((left & -left) >>> 0);
  return bits;
}

/** Conditions that must be false, with their cases. */
function* falseConditions(cubes: Cubes): Generator<{ atom: Atom; cases: readonly Case[] }> {
  for (const [atom, { value }] of cubes) {
    const { condition } = atom;
    if (condition?.is === "any" && value === 0) yield { atom, cases: condition.cases };
  }
}

/** For conditions that must be false: clauses against the cases that hold if all open bits are 0. */
function casesMet(cubes: Cubes): Clause[] {
  const isMet = ({ atom, mask, value }: Literal): boolean =>
    (((cubes.get(atom)?.value ?? 0) ^ value) & mask) === 0;
  return [...falseConditions(cubes)].flatMap(({ atom, cases }) =>
    cases.filter(one => one.every(isMet)).map(one => [{ atom, ...FALSE }, ...one]),
  );
}

/** The cubes, extended by every bit that a false condition depends on. */
function fixed(cubes: Map<Atom, { mask: number; value: number }>): Cubes {
  for (const { atom } of [...falseConditions(cubes)])
    for (const one of atomsOf(atom.condition!))
      cubes.set(one, { mask: maskOf(one.bits), value: cubes.get(one)?.value ?? 0 });
  return cubes;
}
