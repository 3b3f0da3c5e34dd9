/**
 * Looks up a subtable on a path. Many rows can match at once: if the key is free input, the rows become a
 * new row set; if the key is determined by a row set, each element looks up its row; if both, rows and
 * elements are joined.
 */
import { Unmodelled } from "../symbolic/decider.ts";
import { flowValues, rowSetValues } from "../symbolic/slot-values.ts";
import type { Subtable } from "../symbolic/sorted-subtable.ts";
import type { SlotValues } from "../symbolic/state.ts";
import type { Template } from "../symbolic/templates.ts";
import { gathered, type Terms, type Word } from "../symbolic/terms.ts";
import { type Key, keyParts, moved, openRows, rowClause, wordsByElement } from "./lookup-key.ts";
import type { ColumnEquality, Path } from "./path-condition.ts";
import { partitionFound } from "./row-partition.ts";

/** So few rows are split off one by one; a join has at most MAX_JOINED elements. */
const FEW_ROWS = 2;
const MAX_JOINED = 4_000_000;
/** Rows in memoized results of filtering, four bytes each. */
const MAX_FILTERED = 32_000_000;

export class SubtableLookups {
  readonly #terms: Terms;
  #rowSets = 0;
  #joins = 0;
  readonly #joined = new WeakMap<Int32Array, Map<string, Joined>>();
  /** Row sets of each subtable's rows. */
  readonly #rowSetsOf = new Map<Subtable, number[]>();
  readonly #filtered = new Map<string, Int32Array>();
  #filteredRows = 0;

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  find(subtable: Subtable, key: readonly Word[], given: Path): Found {
    const { yes: path, no } = given.split(
      subtable.constants.map(({ word, mask, value }) => ({ word: key[word]!, mask, value })),
    );
    if (path === null) return { hits: [], misses: no };
    const words = subtable.words.map(word => key[word]!);
    const parts = keyParts(subtable, words, path);
    const rowSets = new Set(parts.columns.map(({ column }) => column.rowSet));
    let found: Found;
    if (parts.free.length === 0 && rowSets.size === 0) found = constantHit(subtable, parts, path);
    else if (parts.free.length === 0 && rowSets.size === 1)
      found = this.#byElements(subtable, parts, path, [...rowSets][0]!);
    else found = this.#byRows(subtable, parts, path, words, rowSets);
    return { hits: found.hits, misses: [...no, ...found.misses] };
  }

  /** Each element of a row set looks up its row. */
  #byElements(subtable: Subtable, key: Key, path: Path, rowSet: number): Found {
    const elements = path.elements.get(rowSet)!;
    const { rowOf, name } = this.#rowsOfElements(subtable, key, elements, rowSet);
    const { hit, miss } = partitionFound(elements, name, rowOf);
    const misses = miss.length === 0 ? [] : [path.withElements(rowSet, miss)];
    const hits = byTemplate(subtable, hit, rowOf, name).map(({ template, items }) => ({
      path: items.length === elements.length ? path : path.withElements(rowSet, items),
      slotValues: rowSetValues(this.#terms, { template, subtable, rowSet, name, rows: rowOf }),
    }));
    return { hits, misses };
  }

  #rowsOfElements(subtable: Subtable, key: Key, elements: Int32Array, rowSet: number): Joined {
    const signature = [
      `${subtable.id} ${rowSet}`,
      ...key.fixed.map(({ k, mask, value }) => `${k}/${mask}=${value}`),
      ...key.columns.map(({ k, mask, column, from, at }) => `${k}/${mask}c${column.id}.${from}.${at}`),
    ].join(" ");
    const joins = this.#joined.get(elements) ?? new Map<string, Joined>();
    this.#joined.set(elements, joins);
    const known = joins.get(signature);
    if (known !== undefined) return known;
    const rowOf = subtable.findAll(wordsByElement(subtable, key, elements), elements);
    const join = { name: `join ${this.#joins++}`, rowOf };
    joins.set(signature, join);
    return join;
  }

  /** The rows become a row set; they are joined with the row sets that determine part of the key. */
  #byRows(
    subtable: Subtable,
    key: Key,
    path: Path,
    words: readonly Word[],
    rowSets: ReadonlySet<number>,
  ): Found {
    const rows = this.#rows(subtable, key, path, words);
    if (rows.length <= FEW_ROWS) return this.#fewRows(subtable, rows, path, words);
    const missed = path.with({ misses: [...path.misses, { subtable, words }] });
    const hits: Found["hits"] = [];
    for (const { template, items } of byTemplate(subtable, rows, null, `subtable ${subtable.id}`)) {
      if (rowSets.size === 0) {
        const rowSet = this.#rowSetOf(subtable, path);
        hits.push(this.#bound({ subtable, template, rowSet, rows: null, elements: items }, key, path));
        continue;
      }
      const joined = this.#join(subtable, key, path, items, rowSets);
      if (joined.rowOf.length === 0) continue;
      const rowSet = this.#rowSets++;
      const joinMaps = new Map(path.joinMaps);
      const left = new Map(path.elements);
      for (const [old, elementOf] of joined.elementsOf) {
        joinMaps.set(old, { rowSet, elementOf });
        left.delete(old);
      }
      const elements = Int32Array.from({ length: joined.rowOf.length }, (_, element) => element);
      const base = path.with({ joinMaps, elements: left });
      hits.push(this.#bound({ subtable, template, rowSet, rows: joined.rowOf, elements }, key, base));
    }
    return { hits, misses: [missed] };
  }

  /**
   * A row set whose elements are the rows of a subtable: the same one every time, unless the path has it
   * already. If a table is looked up twice with different words, the two matched rows are independent.
   */
  #rowSetOf(subtable: Subtable, path: Path): number {
    const known = this.#rowSetsOf.get(subtable) ?? [];
    this.#rowSetsOf.set(subtable, known);
    let found = known.find(rowSet => !path.elements.has(rowSet) && !path.joinMaps.has(rowSet));
    if (found === undefined) {
      found = this.#rowSets++;
      known.push(found);
    }
    return found;
  }

  /** The path on which the free bits of the key equal columns of a row set. */
  #bound(hit: RowsHit, key: Key, path: Path): { path: Path; slotValues: SlotValues } {
    const { subtable, rowSet, rows, elements } = hit;
    const columnEqualities = new Map(path.columnEqualities);
    for (const { k, mask, atom, atomMask, from, at } of key.free) {
      const column = this.#terms.column(`rowSet ${rowSet} key ${k} ${mask} ${from}`, rowSet, () => {
        const values = rows === null ? subtable.keys[k]! : gathered(subtable.keys[k]!, rows);
        if (mask === 0xffffffff) return values;
        return values.map(value => moved((value & mask) >>> 0, at, from));
      });
      const columnEquality: ColumnEquality = { mask: atomMask, column };
      columnEqualities.set(atom, [...(columnEqualities.get(atom) ?? []), columnEquality]);
    }
    const bound = path.with({ columnEqualities, elements: new Map(path.elements).set(rowSet, elements) });
    return { path: bound, slotValues: rowSetValues(this.#terms, { ...hit, name: `rowSet ${rowSet}` }) };
  }

  /**
   * Rows that the path does not exclude by known bits, by clauses on the key alone, or by misses in other
   * subtables.
   */
  #rows(subtable: Subtable, key: Key, path: Path, words: readonly Word[]): Int32Array {
    const missed = path.misses
      .filter(miss => miss.subtable.isAlike(subtable) && miss.words.every((word, k) => word === words[k]))
      .map(miss => miss.subtable);
    const clauses = path.clauses.flatMap(clause => rowClause(key, clause));
    const signature = `${subtable.id} ${missed.map(({ id }) => id)} ${JSON.stringify([key.fixed, clauses])}`;
    const known = this.#filtered.get(signature);
    if (known !== undefined) return known;
    let { rows } = subtable;
    for (const other of missed) {
      const left = other === subtable ? new Int32Array(0) : subtable.residue(other);
      if (left.length < rows.length) rows = left;
    }
    // If nothing is excluded, return the same vector, for which partitions are memoized.
    const kept = openRows(subtable, rows, key.fixed, clauses);
    if (kept !== subtable.rows) this.#filteredRows += kept.length;
    if (this.#filteredRows > MAX_FILTERED) {
      this.#filtered.clear();
      this.#filteredRows = 0;
    }
    this.#filtered.set(signature, kept);
    return kept;
  }

  #fewRows(subtable: Subtable, rows: Int32Array, path: Path, words: readonly Word[]): Found {
    const hits: Found["hits"] = [];
    let rest: readonly Path[] = [path];
    for (const row of rows) {
      const tests = words.map((word, k) => ({
        word,
        mask: subtable.masks[k]!,
        value: subtable.keys[k]![row]!,
      }));
      const left: Path[] = [];
      for (const one of rest) {
        const { yes, no } = one.split(tests);
        left.push(...no);
        if (yes !== null)
          hits.push({
            path: yes,
            slotValues: flowValues(subtable.templates[subtable.templateOf[row]!]!, subtable.flows[row]!),
          });
      }
      rest = left;
    }
    return { hits, misses: [...rest] };
  }

  /** All combinations of rows with elements that agree with them. */
  #join(
    subtable: Subtable,
    key: Key,
    path: Path,
    rows: Int32Array,
    rowSets: ReadonlySet<number>,
  ): { rowOf: Int32Array; elementsOf: Map<number, Int32Array> } {
    let rowOf: Int32Array = rows;
    const elementsOf = new Map<number, Int32Array>();
    for (const rowSet of rowSets) {
      const parts = key.columns.filter(({ column }) => column.rowSet === rowSet);
      const byKey = new Map<string, number[]>();
      const valueAt = ({ column, mask, from, at }: (typeof parts)[number], element: number): number =>
        (moved(column.values[element]!, from, at) & mask) >>> 0;
      for (const element of path.elements.get(rowSet)!) {
        const name = parts.map(part => valueAt(part, element)).join();
        const list = byKey.get(name);
        if (list === undefined) byKey.set(name, [element]);
        else list.push(element);
      }
      const from: number[] = [];
      const own: number[] = [];
      for (let i = 0; i < rowOf.length; i++) {
        const row = rowOf[i]!;
        const name = parts.map(({ k, mask }) => (subtable.keys[k]![row]! & mask) >>> 0).join();
        for (const element of byKey.get(name) ?? []) {
          from.push(i);
          own.push(element);
        }
        if (from.length > MAX_JOINED) throw new Unmodelled("budget", 0);
      }
      for (const [other, elements] of elementsOf)
        elementsOf.set(
          other,
          Int32Array.from(from, i => elements[i]!),
        );
      rowOf = Int32Array.from(from, i => rowOf[i]!);
      elementsOf.set(rowSet, Int32Array.from(own));
    }
    return { rowOf, elementsOf };
  }
}

interface Joined {
  readonly name: string;
  readonly rowOf: Int32Array;
}

/** Rows of a subtable that match together: for each element its row; null means element i is row i. */
interface RowsHit {
  readonly subtable: Subtable;
  readonly template: Template;
  readonly rowSet: number;
  readonly rows: Int32Array | null;
  readonly elements: Int32Array;
}

export interface Found {
  readonly hits: { readonly path: Path; readonly slotValues: SlotValues }[];
  readonly misses: readonly Path[];
}

function constantHit(subtable: Subtable, { fixed }: Key, path: Path): Found {
  const values = subtable.words.map(() => 0);
  for (const { k, value } of fixed) values[k] = (values[k]! | value) >>> 0;
  const row = subtable.find(values);
  if (row < 0) return { hits: [], misses: [path] };
  return {
    hits: [
      { path, slotValues: flowValues(subtable.templates[subtable.templateOf[row]!]!, subtable.flows[row]!) },
    ],
    misses: [],
  };
}

/** The rows or elements of one template. */
interface Alike {
  readonly template: Template;
  readonly items: Int32Array;
}

const divided = new WeakMap<Int32Array, Map<string, readonly Alike[]>>();

/**
 * Groups rows, or elements with rows `rowOf`, by template; `name` identifies `rowOf`. Memoized: equal items
 * give identical vectors.
 */
function byTemplate(
  subtable: Subtable,
  items: Int32Array,
  rowOf: Int32Array | null,
  name: string,
): readonly Alike[] {
  if (items.length === 0) return [];
  if (subtable.templates.length === 1) return [{ template: subtable.templates[0]!, items }];
  const known = divided.get(items) ?? new Map<string, readonly Alike[]>();
  divided.set(items, known);
  let parts = known.get(name);
  if (parts === undefined) {
    parts = dividedByTemplate(subtable, items, rowOf);
    known.set(name, parts);
  }
  return parts;
}

function dividedByTemplate(subtable: Subtable, items: Int32Array, rowOf: Int32Array | null): Alike[] {
  const { templateOf } = subtable;
  const at = (item: number): number => templateOf[rowOf === null ? item : rowOf[item]!]!;
  const counts = new Int32Array(subtable.templates.length);
  for (let i = 0; i < items.length; i++) {
    const template = at(items[i]!);
    counts[template] = counts[template]! + 1;
  }
  const lists = Array.from(counts, count => (count === items.length ? items : new Int32Array(count)));
  if (!lists.includes(items)) {
    counts.fill(0);
    for (let i = 0; i < items.length; i++) {
      const template = at(items[i]!);
      lists[template]![counts[template]!] = items[i]!;
      counts[template] = counts[template]! + 1;
    }
  }
  return lists.flatMap((list, index) =>
    list.length === 0 ? [] : [{ template: subtable.templates[index]!, items: list }],
  );
}
