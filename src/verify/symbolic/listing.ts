/** The flows of a program by table, as they stand in the dump, and which of them are clauses of conjunctive matches. */
import { type Flow, matchWords } from "../../openflow/index.ts";
import type { Program } from "./compiled-tables.ts";

/** A table with more flows is large: it is looked at by columns only. */
export const LARGE = 1000;

export interface Listing {
  /** Indices of flows, in the order of the dump; null of a large table. */
  readonly flows: readonly number[] | null;
  /** Of those that are clauses. */
  readonly clauses: readonly number[];
}

const listings = new WeakMap<Program, ReadonlyMap<number, Listing>>();

const isClause = ({ actions }: Flow): boolean => actions.some(({ type }) => type === "conjunction");

/** Each table that has flows. */
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

/** Equal names: the same priority and match, so that of two such flows of a table the later one has replaced the other. */
export function matchName(flow: Pick<Flow, "priority" | "match">): string {
  const { words, unplaced } = matchWords(flow);
  const others = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`).sort();
  const match = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`).join();
  return `${flow.priority} ${match} ${others.join()}`;
}

/** Whether no packet has both matches, by fields that are in no word of the key, or whether they are one and the same. */
export function areApart(a: Flow, b: Flow): boolean {
  const differs = a.match.some(({ field, value, mask }) =>
    b.match.some(other => other.field === field && ((other.value ^ value) & other.mask & mask) !== 0n),
  );
  return differs || matchName(a) === matchName(b);
}
