/**
 * Conjunctive matches (ovs-fields(7), "Conjunctive Match Fields"; find_conjunctive_match() in
 * lib/classifier.c of Open vSwitch). A flow whose actions are `conjunction(id,i/n)` is not a match but one
 * clause of a match. The flows of one priority that match a packet are weighed together: when all n clauses
 * of an id are met, the table is asked again with that id as conj_id. Open vSwitch goes through these flows
 * in an order that depends on its past and stops at the first id that is complete and leads to a flow; where
 * that order decides, all that it can come to is told.
 */
import type { Flow } from "../ast.ts";

/** What one conjunction action says: clause `clause` of `clauses`, counted from 0. */
export interface Membership {
  readonly id: number;
  readonly clause: number;
  readonly clauses: number;
}

/** The clauses that a flow stands for; null for an ordinary flow. */
export function membershipsOf({ actions }: Flow): readonly Membership[] | null {
  const found = actions.flatMap(action =>
    action.type === "conjunction"
      ? [{ id: action.id, clause: action.clause - 1, clauses: action.clauses }]
      : [],
  );
  return found.length === 0 ? null : found;
}

/** A flow that matches, as part of a conjunctive match. */
export interface Part {
  readonly memberships: readonly Membership[];
}

const ALL = (1n << 64n) - 1n;

/** The clauses that need not be met. Of 64 Open vSwitch shifts by none, so that one that is met is enough. */
const unasked = (clauses: number): bigint => (ALL << BigInt(clauses & 63)) & ALL;

type Met = Map<number, bigint>;

/**
 * Takes in one more flow; the id that is complete then, or null. What comes behind that id is not looked at.
 */
function take(met: Met, { memberships }: Part, count: number): number | null {
  if (memberships.every(({ clauses }) => clauses > count)) return null;
  for (const { id, clause, clauses } of memberships) {
    if (clauses > count) continue;
    const now = (met.get(id) ?? unasked(clauses)) | (1n << BigInt(clause));
    met.set(id, now);
    if (now === ALL) return id;
  }
  return null;
}

/** Ids that are complete in some order, and those of them that say two numbers of clauses. */
function completeIds(parts: readonly Part[]): { ids: Set<number>; isOdd: boolean } {
  const met: Met = new Map();
  const asked = new Map<number, number>();
  let isOdd = false;
  for (const { memberships } of parts)
    for (const { id, clause, clauses } of memberships) {
      if (clauses > parts.length) continue;
      isOdd ||= (asked.get(id) ?? clauses) !== clauses;
      asked.set(id, clauses);
      met.set(id, (met.get(id) ?? 0n) | unasked(clauses) | (1n << BigInt(clause)));
    }
  const complete = [...met].filter(([, clauses]) => clauses === ALL);
  return { ids: new Set(complete.map(([id]) => id)), isOdd };
}

/** So many flows are gone through in every order; of more, every id that is complete counts as possible. */
const MAX_ORDERED = 10;

/**
 * Everything that flows of one priority can come to, the most usual first: what `ask` finds for an id, or
 * null when none of them is complete or leads to a flow. Empty lists there are not. `isSame` tells results
 * that need not be told apart.
 */
export function possible<Result>(
  parts: readonly Part[],
  ask: (id: number) => Result | null,
  isSame: (a: Result, b: Result) => boolean,
): readonly (Result | null)[] {
  const { ids, isOdd } = completeIds(parts);
  if (ids.size === 0) return [null];
  const answers = new Map<number, Result | null>();
  for (const id of ids) answers.set(id, ask(id));
  const found: (Result | null)[] = [];
  const add = (result: Result | null): void => {
    const isKnown = found.some(
      one => one === result || (one !== null && result !== null && isSame(one, result)),
    );
    if (!isKnown) found.push(result);
  };
  for (const answer of answers.values()) add(answer);
  if (found.length === 1 && (!isOdd || found[0] === null)) return found;
  // Flows that have no part in these ids neither complete one nor come in the way of one.
  const concerned = parts.filter(({ memberships }) => memberships.some(({ id }) => ids.has(id)));
  if (concerned.length > MAX_ORDERED) {
    add(null);
    return found;
  }
  found.length = 0;
  const seen = new Set<string>();
  const visit = (left: number, met: Met): void => {
    const state = `${left} ${[...met].sort(([a], [b]) => a - b).join()}`;
    if (seen.has(state)) return;
    seen.add(state);
    if (left === 0) add(null);
    for (const [index, part] of concerned.entries()) {
      if ((left & (1 << index)) === 0) continue;
      const next = new Map(met);
      const id = take(next, part, parts.length);
      const answer = id === null ? null : answers.get(id)!;
      if (answer !== null) add(answer);
      else visit(left & ~(1 << index), next);
    }
  };
  visit((1 << concerned.length) - 1, new Map());
  return found;
}
