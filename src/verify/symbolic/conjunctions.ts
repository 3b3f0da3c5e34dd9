/**
 * The conjunctive matches of a flow table (ovs-fields(7), "Conjunctive Match Fields"): the ids of each
 * priority and, for each clause of an id, its flows. Also the ordinary flows that a lookup with a conj_id
 * cannot find, because a clause with the same match and a higher priority hides them (lib/classifier.c sees
 * only the first flow of each match then). Computed once per table; paths/clauses.ts decides which clauses a
 * packet matches.
 */
import type { Flow } from "../../openflow/index.ts";
import type { WordTest } from "./match-tests.ts";

/** A flow that is a clause of conjunctive matches. */
export interface ClauseFlow {
  readonly flow: number;
  readonly line: number;
  readonly priority: number;
  /** Alternative lists of tests of which one must hold (fragments, match-tests.ts). */
  readonly variants: readonly (readonly WordTest[])[];
  readonly memberships: readonly Membership[];
}

interface Membership {
  readonly id: number;
  readonly clause: number;
  readonly clauses: number;
}

/** One id at one priority. */
export interface Conjunction {
  readonly id: number;
  readonly priority: number;
  /** The flows of each clause. */
  readonly clauses: readonly (readonly ClauseFlow[])[];
  /**
   * Why it is unknown when this conjunction holds (it never holds if a clause has no match); null for most.
   */
  readonly oddity: string | null;
  readonly line: number;
}

export const isClause = ({ actions }: Flow): boolean => actions.some(({ type }) => type === "conjunction");

export function membershipsOf({ actions }: Flow): Membership[] {
  return actions.flatMap(action =>
    action.type === "conjunction"
      ? [{ id: action.id, clause: action.clause - 1, clauses: action.clauses }]
      : [],
  );
}

/** The behaviour of Open vSwitch depends on the other matching flows. */
const TWO_NUMBERS = "conjunction: two numbers of clauses for one id";
const TWO_CLAUSES = "conjunction: a flow that is two clauses of one id";
/** Open vSwitch 3.1 takes such a conjunction as complete when one clause and 64 flows match. */
const ALL_CLAUSES = "conjunction of 64 clauses";
const MAX_CLAUSES = 64;

function oddityOf(id: number, flows: readonly ClauseFlow[]): string | null {
  const own = flows.map(({ memberships }) => memberships.filter(one => one.id === id));
  if (new Set(own.flat().map(({ clauses }) => clauses)).size > 1) return TWO_NUMBERS;
  if (own.some(list => new Set(list.map(({ clause }) => clause)).size > 1)) return TWO_CLAUSES;
  return own[0]![0]!.clauses === MAX_CLAUSES ? ALL_CLAUSES : null;
}

/**
 * The ids at one priority that can be complete, in an order in which no id follows one that it precedes in
 * every order.
 */
export function conjunctionsOf(flows: readonly ClauseFlow[]): Conjunction[] {
  const byId = new Map<number, ClauseFlow[]>();
  for (const flow of flows)
    for (const id of new Set(flow.memberships.map(one => one.id))) {
      const list = byId.get(id);
      if (list === undefined) byId.set(id, [flow]);
      else list.push(flow);
    }
  const found: Conjunction[] = [];
  for (const [id, own] of byId) {
    const oddity = oddityOf(id, own);
    const ownMemberships = own.flatMap(({ memberships }) => memberships.filter(one => one.id === id));
    // A conjunction with an oddity needs at least the smallest number of clauses that it names; with 64, one
    // clause is enough.
    const least = Math.min(...ownMemberships.map(({ clauses }) => clauses));
    const some = ownMemberships.some(({ clauses }) => clauses === MAX_CLAUSES);
    const clauses = some
      ? [own]
      : Array.from({ length: least }, (_, clause) =>
          own.filter(({ memberships }) => memberships.some(one => one.id === id && one.clause === clause)),
        );
    if (clauses.some(({ length }) => length === 0)) continue;
    found.push({ id, priority: own[0]!.priority, clauses, oddity, line: own[0]!.line });
  }
  return inOrder(found);
}

/** Sorts each conjunction behind those that always precede it. */
function inOrder(conjunctions: readonly Conjunction[]): Conjunction[] {
  const sorted: Conjunction[] = [];
  const seen = new Set<Conjunction>();
  const sharing = sharingOf(conjunctions);
  const visit = (one: Conjunction): void => {
    if (seen.has(one)) return;
    seen.add(one);
    for (const other of sharing.get(one) ?? []) if (outdoes(other, one)) visit(other);
    sorted.push(one);
  };
  for (const one of conjunctions) visit(one);
  return sorted;
}

/** For each conjunction, those that share a flow with it. */
function sharingOf(conjunctions: readonly Conjunction[]): Map<Conjunction, Set<Conjunction>> {
  const byFlow = new Map<ClauseFlow, Conjunction[]>();
  for (const one of conjunctions)
    for (const flow of new Set(one.clauses.flat())) byFlow.set(flow, [...(byFlow.get(flow) ?? []), one]);
  const sharing = new Map<Conjunction, Set<Conjunction>>();
  for (const list of byFlow.values())
    for (const one of list) {
      const others = sharing.get(one) ?? new Set();
      sharing.set(one, others);
      for (const other of list) if (other !== one) others.add(other);
    }
  return sharing;
}

const preceding = new WeakMap<Conjunction, Map<Conjunction, readonly Way[]>>();

/** For each clause of a conjunction, the flows of which one must match. */
type Way = readonly (readonly ClauseFlow[])[];

/**
 * The ways in which `a` can be complete before `b` for some order of the matching flows: until then some
 * clause of `b` is missing. The flow that comes last may have that clause after its own; all others must not
 * have it.
 */
export function waysBefore(a: Conjunction, b: Conjunction): readonly Way[] {
  const known = preceding.get(a) ?? new Map<Conjunction, readonly Way[]>();
  preceding.set(a, known);
  let ways = known.get(b);
  if (ways === undefined) {
    // Without a shared flow, `a` does not depend on a clause of `b`.
    ways = doShare(a, b) ? waysOf(a, b) : [a.clauses];
    known.set(b, ways);
  }
  return ways;
}

function waysOf(a: Conjunction, b: Conjunction): Way[] {
  return b.clauses.flatMap((_, missing) =>
    a.clauses.flatMap((_, last) => {
      const way = a.clauses.map((flows, own) =>
        flows.filter(({ memberships }) => {
          const at = memberships.findIndex(one => one.id === b.id && one.clause === missing);
          if (at < 0) return true;
          return own === last && at > memberships.findIndex(one => one.id === a.id && one.clause === own);
        }),
      );
      return way.some(({ length }) => length === 0) ? [] : [way];
    }),
  );
}

/** Whether `a` is complete before `b` in every order of the flows, whichever of them match. */
export const outdoes = (a: Conjunction, b: Conjunction): boolean =>
  a.oddity === null && b.oddity === null && waysBefore(b, a).length === 0;

/** Whether two conjunctions share a flow. */
export function doShare(a: Conjunction, b: Conjunction): boolean {
  return a.clauses.some(flows => flows.some(({ memberships }) => memberships.some(one => one.id === b.id)));
}

/** The clauses of a table by match, to find the flows that they replace (same match and priority) or hide. */
export class ClauseIndex {
  /** By signature of the match, then its values, then priority: the last clause with them. */
  readonly #byTests = new Map<string, Map<string, Map<number, number>>>();
  /** Flows that a later flow of the same match and priority replaced. */
  readonly replaced = new Set<number>();

  /** Adds a clause. Add all clauses before any ordinary flow. */
  addClause(flow: number, priority: number, tests: readonly WordTest[]): void {
    const signature = signatureOf(tests);
    const byValues = this.#byTests.get(signature) ?? new Map<string, Map<number, number>>();
    this.#byTests.set(signature, byValues);
    const values = valuesOf(tests);
    const byPriority = byValues.get(values) ?? new Map<number, number>();
    byValues.set(values, byPriority);
    const before = byPriority.get(priority);
    if (before !== undefined) this.replaced.add(Math.min(before, flow));
    byPriority.set(priority, Math.max(before ?? flow, flow));
  }

  /** Whether any clause compares the same bits as these tests. */
  isConcerned(tests: readonly WordTest[]): boolean {
    return this.#byTests.has(signatureOf(tests));
  }

  /** Adds an ordinary flow. Add all of them before any call of isHidden. */
  addOrdinary(flow: number, priority: number, tests: readonly WordTest[]): void {
    const same = this.#clausesAt(tests)?.get(priority);
    if (same !== undefined) this.replaced.add(Math.min(same, flow));
  }

  /** Whether a lookup with a conj_id cannot find an ordinary flow of this match. */
  isHidden(priority: number, tests: readonly WordTest[]): boolean {
    const clauses = this.#clausesAt(tests) ?? [];
    return [...clauses].some(([above, clause]) => above > priority && !this.replaced.has(clause));
  }

  #clausesAt(tests: readonly WordTest[]): ReadonlyMap<number, number> | undefined {
    return this.#byTests.get(signatureOf(tests))?.get(valuesOf(tests));
  }
}

const signatureOf = (tests: readonly WordTest[]): string =>
  tests.map(({ word, mask }) => `${word}/${mask}`).join();

const valuesOf = (tests: readonly WordTest[]): string => tests.map(({ value }) => value).join();
