/**
 * Flow tables of a dump for a few lookups: nothing is made ready, every lookup goes through all rows of its
 * table. That takes milliseconds for a million flows, of which an index would take half a second and as much
 * memory again. The rows that match are handed to a classifier (classifier.ts), which decides between them as
 * ever.
 */
import type { FlowColumns } from "../columnar/dump.ts";
import { KEY } from "../flow-key.ts";
import { Classifier, comparisonOf, type Entry, entryOf, type Hit } from "./classifier.ts";
import { type Membership, membershipsOf } from "./conjunctions.ts";
import { type FlowTables, type Lookup, type Rows, rowsOf } from "./load.ts";

/** Flows that compare alike, by number. */
interface Group extends Rows {
  readonly flows: number[];
}

export class SearchedTables implements FlowTables {
  readonly byNumber = new Map<number, SearchedTable>();

  constructor(flows: FlowColumns) {
    const groups = flows.templates.map((template): Group => {
      const group: Group = { ...rowsOf(template), flows: [] };
      this.#table(flows, template.model.table).groups.push(group);
      return group;
    });
    for (let index = 0; index < flows.count; index++) {
      const template = flows.templateOf(index);
      if (template !== null && groups[template.id]!.parts !== null) groups[template.id]!.flows.push(index);
      else this.#addAlone(flows, index);
    }
  }

  #table(flows: FlowColumns, number: number): SearchedTable {
    let table = this.byNumber.get(number);
    if (table === undefined) {
      table = new SearchedTable(flows);
      this.byNumber.set(number, table);
    }
    return table;
  }

  #addAlone(flows: FlowColumns, index: number): void {
    const flow = flows.flow(index);
    const comparison = comparisonOf(flow);
    const group = { comparison, fixed: Int32Array.from(comparison.values), parts: [], flows: [index] };
    this.#table(flows, flow.table).groups.push(group);
  }
}

class SearchedTable implements Lookup {
  readonly groups: Group[] = [];
  readonly #flows: FlowColumns;
  readonly #entryAt = (index: number): Entry => entryOf(this.#flows.flow(index));

  constructor(flows: FlowColumns) {
    this.#flows = flows;
  }

  lookup(key: Uint32Array, hit: Hit, reads: Uint32Array): Entry | null {
    for (const { comparison } of this.groups) {
      const { words, masks } = comparison;
      for (let i = 0; i < words.length; i++) reads[words[i]!]! |= masks[i]!;
    }
    const table = new Classifier(this.#entryAt);
    // Of flows with one match and priority the last one stands.
    for (const index of this.#matching(key)) {
      const flow = this.#flows.flow(index);
      const comparison = comparisonOf(flow);
      table.add(table.tupleOf(comparison), Int32Array.from(comparison.values), flow.priority, index);
    }
    return table.lookup(key, hit, reads);
  }

  /** The flows that match a key, in order, and those that match it with a conj_id that they may lead to. */
  #matching(key: Uint32Array): number[] {
    const found = new Set<number>();
    const search = (): void => {
      for (const group of this.groups) this.#search(group, key, found);
    };
    search();
    const given = key[KEY.conjId]!;
    for (const id of idsMet([...found].map(index => membershipsOf(this.#flows.flow(index))))) {
      key[KEY.conjId] = id;
      search();
    }
    key[KEY.conjId] = given;
    return [...found].sort((a, b) => a - b);
  }

  #search({ comparison, fixed, parts, flows }: Group, key: Uint32Array, found: Set<number>): void {
    const { words, masks } = comparison;
    // What the rows' own values must be.
    const wanted = fixed.map((value, i) => (value ^ key[words[i]!]!) & masks[i]!);
    for (const { at, mask } of parts!) wanted[at]! &= ~mask;
    if (wanted.some(bits => bits !== 0)) return;
    const columns = this.#flows;
    const own = parts!.map(({ at, word, shift, mask }) => ({
      word,
      shift,
      mask,
      value: key[words[at]!]! & mask,
    }));
    for (const index of flows) {
      let isHit = true;
      for (const { word, shift, mask, value } of own)
        if ((((columns.valueAt(index, word) << shift) ^ value) & mask) !== 0) {
          isHit = false;
          break;
        }
      if (isHit) found.add(index);
    }
  }
}

/** Ids of which the flows that match have so many clauses as one of them asks for, or more. */
function idsMet(all: readonly (readonly Membership[] | null)[]): number[] {
  const met = new Map<number, { readonly clauses: Set<number>; least: number }>();
  for (const { id, clause, clauses } of all.flatMap(memberships => memberships ?? [])) {
    const one = met.get(id) ?? { clauses: new Set(), least: clauses };
    met.set(id, one);
    one.clauses.add(clause);
    one.least = Math.min(one.least, clauses);
  }
  // Of 64 clauses one is enough (conjunctions.ts).
  return [...met]
    .filter(([, { clauses, least }]) => clauses.size >= least || all.length >= 64)
    .map(([id]) => id);
}
