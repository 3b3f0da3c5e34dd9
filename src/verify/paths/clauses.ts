/**
 * Decides where the clauses of conjunctive matches hold on a path (classifier_lookup() in lib/classifier.c).
 * A clause, the disjunction of its flows, becomes a condition of one bit (conditions.ts), and so does the
 * conjunction of all clauses of an id: the path is split by ids, never by flows. Clauses that match a column
 * (a register loaded from a subtable's rows) divide the elements of its row set.
 */
import type { ClauseFlow } from "../symbolic/conjunctions.ts";
import { Undecidable } from "../symbolic/decider.ts";
import type { WordTest } from "../symbolic/match-tests.ts";
import { type Atom, type Case, type Column, maskOf, type Terms, type Word } from "../symbolic/terms.ts";
import { allOf, anyOf, areExclusive } from "./conditions.ts";
import type { Path } from "./path-condition.ts";

/** For each clause of an id, all or some of its flows. */
type AllClauses = readonly (readonly ClauseFlow[])[];

/** A part of a path, and whether all clauses hold there. */
interface Part {
  readonly path: Path;
  readonly isMet: boolean;
}

/** A case before the element is known. */
interface RawCase {
  readonly literals: Case;
  readonly columns: readonly { readonly column: Column; readonly mask: number; readonly value: number }[];
}

let clauseCount = 0;
const clauseIds = new WeakMap<readonly ClauseFlow[], number>();

export class Clauses {
  readonly #terms: Terms;
  readonly #conditions = new Map<string, Atom | boolean>();
  /** By key; null if the clauses match columns. */
  readonly #known = new WeakMap<readonly Word[], Map<AllClauses, Atom | boolean | null>>();
  readonly #byElements = new WeakMap<Int32Array, Map<string, readonly ElementsUnder[]>>();

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  /** Splits a path by whether all of some clauses hold, each by one of its flows. */
  divide(clauses: AllClauses, key: readonly Word[], path: Path): readonly Part[] {
    path.budget.step();
    const known = this.#known.get(key) ?? new Map<AllClauses, Atom | boolean | null>();
    this.#known.set(key, known);
    let condition = known.get(clauses);
    if (condition === undefined) {
      condition = this.#conditionOf(clauses, key, path);
      known.set(clauses, condition);
    }
    if (condition === null) return this.#divideByClauses(clauses, key, path);
    if (typeof condition === "boolean") return [{ path, isMet: condition }];
    return this.#byAll(condition, path);
  }

  /** The condition of clauses that holds on every path; null if they match columns. */
  #conditionOf(clauses: AllClauses, key: readonly Word[], path: Path): Atom | boolean | null {
    if (clauses.some(flows => dependsOnRows(flows, key))) return null;
    const atoms: Atom[] = [];
    for (const flows of clauses) {
      const [{ condition } = { condition: false }] = this.#clause(flows, key, path);
      if (condition === false) return false;
      if (condition !== true) atoms.push(condition);
    }
    return allOf(this.#terms, atoms);
  }

  #divideByClauses(clauses: AllClauses, key: readonly Word[], path: Path): Part[] {
    const parts: Part[] = [];
    let open: readonly { readonly path: Path; readonly atoms: readonly Atom[] }[] = [{ path, atoms: [] }];
    for (const flows of clauses) {
      const next: (typeof open)[number][] = [];
      for (const { path: here, atoms } of open)
        for (const { path: part, condition } of this.#clause(flows, key, here)) {
          if (condition === false) parts.push({ path: part, isMet: false });
          else next.push({ path: part, atoms: condition === true ? atoms : [...atoms, condition] });
        }
      open = next;
    }
    for (const { path: here, atoms } of open) {
      const all = allOf(this.#terms, atoms);
      if (all === true) parts.push({ path: here, isMet: true });
      else parts.push(...this.#byAll(all, here));
    }
    return parts;
  }

  #byAll(all: Atom, path: Path): Part[] {
    // It excludes a condition that holds already: no search is needed.
    if (path.holding.some(other => areExclusive(all, other))) return [{ path, isMet: false }];
    const { yes, no } = path.split([{ word: this.#terms.atomWord(all), mask: 1, value: 1 }]);
    return [
      ...(yes === null ? [] : [{ path: yes, isMet: true }]),
      ...no.map(rest => ({ path: rest, isMet: false })),
    ];
  }

  /** The condition of a clause, for each part of the elements. */
  #clause(
    flows: readonly ClauseFlow[],
    key: readonly Word[],
    path: Path,
  ): readonly { readonly path: Path; readonly condition: Atom | boolean }[] {
    const name = nameOf(flows, key);
    const known = this.#conditions.get(name);
    if (known !== undefined) return [{ path, condition: known }];
    const cases = flows.flatMap(({ variants }) => variants.flatMap(tests => rawCase(tests, key, path) ?? []));
    const rowSets = new Set(cases.flatMap(({ columns }) => columns.map(({ column }) => column.rowSet)));
    if (rowSets.size === 0) {
      const condition = anyOf(
        this.#terms,
        cases.map(({ literals }) => literals),
      );
      // A condition on the words of the state alone is the same on every path.
      if (!dependsOnRows(flows, key)) this.#conditions.set(name, condition);
      return [{ path, condition }];
    }
    if (rowSets.size > 1) throw new Undecidable("a conjunction over several row sets");
    const [rowSet] = [...rowSets];
    return this.#elements(path, rowSet!, name, cases).map(({ elements, condition }) => ({
      path:
        elements.length === path.elements.get(rowSet!)!.length ? path : path.withElements(rowSet!, elements),
      condition,
    }));
  }

  /** Divides the elements of a row set by the condition that remains for them. */
  #elements(path: Path, rowSet: number, name: string, cases: readonly RawCase[]): readonly ElementsUnder[] {
    const elements = path.elements.get(rowSet)!;
    const byName = this.#byElements.get(elements) ?? new Map<string, readonly ElementsUnder[]>();
    this.#byElements.set(elements, byName);
    const columns = cases.flatMap(one => one.columns.map(({ column }) => column.id));
    const question = `${name} ${columns.join()}`;
    let parts = byName.get(question);
    if (parts === undefined) {
      parts = this.#divided(elements, cases);
      byName.set(question, parts);
    }
    return parts;
  }

  #divided(elements: Int32Array, cases: readonly RawCase[]): ElementsUnder[] {
    const tables = tablesOf(cases);
    const byCases = new Map<string, Atom | boolean>();
    const byCondition = new Map<Atom | boolean, number[]>();
    for (const element of elements) {
      const left = tables.flatMap(({ columns, byValues }) => {
        const values = columns.map(({ column, mask }) => (column.values[element]! & mask) >>> 0).join();
        return byValues.get(values) ?? [];
      });
      const found = left.join();
      let condition = byCases.get(found);
      if (condition === undefined) {
        condition = anyOf(
          this.#terms,
          left.map(index => cases[index]!.literals),
        );
        byCases.set(found, condition);
      }
      const list = byCondition.get(condition);
      if (list === undefined) byCondition.set(condition, [element]);
      else list.push(element);
    }
    return [...byCondition].map(([condition, list]) => ({
      condition,
      elements: list.length === elements.length ? elements : Int32Array.from(list),
    }));
  }
}

interface ElementsUnder {
  readonly elements: Int32Array;
  readonly condition: Atom | boolean;
}

/** Cases that compare the same bits of columns, by their values. */
interface Table {
  readonly columns: RawCase["columns"];
  readonly byValues: Map<string, number[]>;
}

function tablesOf(cases: readonly RawCase[]): Table[] {
  const tables = new Map<string, Table>();
  for (const [index, { columns }] of cases.entries()) {
    const name = columns.map(({ column, mask }) => `${column.id}/${mask}`).join();
    const table = tables.get(name) ?? { columns, byValues: new Map<string, number[]>() };
    tables.set(name, table);
    const values = columns.map(({ value }) => value).join();
    table.byValues.set(values, [...(table.byValues.get(values) ?? []), index]);
  }
  return [...tables.values()];
}

/** A text for a clause and the words that it matches. */
function nameOf(flows: readonly ClauseFlow[], key: readonly Word[]): string {
  let id = clauseIds.get(flows);
  if (id === undefined) {
    id = clauseCount++;
    clauseIds.set(flows, id);
  }
  return `${id} ${wordsOf(flows)
    .map(word => key[word]!.id)
    .join()}`;
}

const matchedWords = new WeakMap<readonly ClauseFlow[], readonly number[]>();

/** Words of the key that the flows of a clause match. */
function wordsOf(flows: readonly ClauseFlow[]): readonly number[] {
  let words = matchedWords.get(flows);
  if (words === undefined) {
    words = [...new Set(flows.flatMap(({ variants }) => variants.flat().map(({ word }) => word)))];
    matchedWords.set(flows, words);
  }
  return words;
}

const dependsOnRows = (flows: readonly ClauseFlow[], key: readonly Word[]): boolean =>
  wordsOf(flows).some(word => key[word]!.hasColumn);

/** The literals and column tests of a flow; null if a constant word contradicts its match. */
function rawCase(tests: readonly WordTest[], key: readonly Word[], path: Path): RawCase | null {
  const literals = new Map<Atom, { mask: number; value: number }>();
  const columns: RawCase["columns"][number][] = [];
  for (const { word, mask, value } of tests) {
    let at = 0;
    for (const segment of key[word]!.segments) {
      const part = ((mask >>> at) & maskOf(segment.bits)) >>> 0;
      const wanted = ((value >>> at) & part) >>> 0;
      at += segment.bits;
      if (part === 0) continue;
      if (segment.is === "const") {
        if (((segment.value ^ wanted) & part) !== 0) return null;
        continue;
      }
      if (segment.is === "less") throw new Undecidable("a conjunction that matches a decremented TTL");
      const own = { mask: (part << segment.from) >>> 0, value: (wanted << segment.from) >>> 0 };
      if (segment.is === "column") columns.push({ column: path.resolve(segment.column), ...own });
      else if (!join(literals, segment.atom, own)) return null;
    }
  }
  return { literals: [...literals].map(([atom, cube]) => ({ atom, ...cube })), columns };
}

/** Adds to the cube of an atom; false if they contradict. */
function join(
  literals: Map<Atom, { mask: number; value: number }>,
  atom: Atom,
  { mask, value }: { mask: number; value: number },
): boolean {
  const known = literals.get(atom) ?? { mask: 0, value: 0 };
  if (((known.value ^ value) & known.mask & mask) !== 0) return false;
  literals.set(atom, { mask: (known.mask | mask) >>> 0, value: (known.value | value) >>> 0 });
  return true;
}
