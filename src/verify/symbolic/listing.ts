/**
 * The flows of a program by table, in the order of the dump, and those that are clauses of conjunctive
 * matches.
 */
import { type Flow, matchWords } from "../../openflow/index.ts";
import type { Program } from "./compiled-tables.ts";

/** A table with more flows is large: it is processed by columns only. */
const LARGE = 1000;

export interface Listing {
  /** Indices of the flows, in the order of the dump; null if the table is large. */
  readonly flows: readonly number[] | null;
  /** Indices of the clauses. */
  readonly clauses: readonly number[];
}

const listings = new WeakMap<Program, ReadonlyMap<number, Listing>>();

const isClause = ({ actions }: Flow): boolean => actions.some(({ type }) => type === "conjunction");

/** The listing of each table that has flows. */
export function listingsOf(program: Program): ReadonlyMap<number, Listing> {
  let tables = listings.get(program);
  if (tables === undefined) {
    tables = listed(program);
    listings.set(program, tables);
  }
  return tables;
}

function listed({ flows }: Program): Map<number, Listing> {
  const shapes = flows.templates.map(({ model }) => ({ table: model.table, isClause: isClause(model) }));
  const counts = new Map<number, number>();
  const tables = new Map<number, { flows: number[]; clauses: number[] }>();
  for (let index = 0; index < flows.count; index++) {
    const shape = flows.templateOf(index);
    const of = shape === null ? flows.flow(index) : null;
    const table = of === null ? shapes[shape!.id]!.table : of.table;
    const count = (counts.get(table) ?? 0) + 1;
    counts.set(table, count);
    const listing = tables.get(table) ?? { flows: [], clauses: [] };
    if (count === 1) tables.set(table, listing);
    if (count <= LARGE) listing.flows.push(index);
    if (of === null ? shapes[shape!.id]!.isClause : isClause(of)) listing.clauses.push(index);
  }
  return new Map(
    [...tables].map(([table, { flows: own, clauses }]) => [
      table,
      { flows: counts.get(table)! > LARGE ? null : own, clauses },
    ]),
  );
}

/**
 * A text of priority and match: of two flows of a table with equal texts, the later one replaced the other.
 */
export function matchName(flow: Pick<Flow, "priority" | "match">): string {
  const { words, unplaced } = matchWords(flow);
  const others = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`).sort();
  const match = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`).join();
  return `${flow.priority} ${match} ${others.join()}`;
}

/** Whether two matches are disjoint by fields that are in no word of the key, or are identical. */
export function areApart(a: Flow, b: Flow): boolean {
  const differs = a.match.some(({ field, value, mask }) =>
    b.match.some(other => other.field === field && ((other.value ^ value) & other.mask & mask) !== 0n),
  );
  return differs || matchName(a) === matchName(b);
}
