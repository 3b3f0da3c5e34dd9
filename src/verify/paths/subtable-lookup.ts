/**
 * A lookup of a subtable on a path.
 */
import { Unmodelled } from "../symbolic/decider.ts";
import { laneSource, rowSource } from "../symbolic/slot-values.ts";
import type { MapNode } from "../symbolic/sorted-subtable.ts";
import type { Source } from "../symbolic/state.ts";
import type { Template } from "../symbolic/templates.ts";
import { gathered, type Terms, type Word } from "../symbolic/terms.ts";
import { type Key, keyParts, moved, openRows, rowClause, wordsByLane } from "./lookup-key.ts";
import type { Binding, Path } from "./path-condition.ts";
import { partitionFound } from "./row-partition.ts";

/** Rows that are few are split off one by one; of joins no more lanes are made than these. */
const FEW_ROWS = 2;
const MAX_JOINED = 4_000_000;
/** Rows that are remembered for what rules the others out; at four bytes each. */
const MAX_FILTERED = 32_000_000;

export class SubtableLookups {
  readonly #terms: Terms;
  #domains = 0;
  #joins = 0;
  readonly #joined = new WeakMap<Int32Array, Map<string, Joined>>();
  /** Domains of each map's rows. */
  readonly #domainsOf = new Map<MapNode, number[]>();
  readonly #filtered = new Map<string, Int32Array>();
  #filteredRows = 0;

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  find(map: MapNode, key: readonly Word[], given: Path): Found {
    const { yes: path, no } = given.split(
      map.constants.map(({ word, mask, value }) => ({ word: key[word]!, mask, value })),
    );
    if (path === null) return { hits: [], misses: no };
    const words = map.words.map(word => key[word]!);
    const parts = keyParts(map, words, path);
    const domains = new Set(parts.columns.map(({ column }) => column.domain));
    let found: Found;
    if (parts.free.length === 0 && domains.size === 0) found = constantHit(map, parts, path);
    else if (parts.free.length === 0 && domains.size === 1)
      found = this.#byLanes(map, parts, path, [...domains][0]!);
    else found = this.#byRows(map, parts, path, words, domains);
    return { hits: found.hits, misses: [...no, ...found.misses] };
  }

  /** Each lane of a domain looks for its row. */
  #byLanes(map: MapNode, key: Key, path: Path, domain: number): Found {
    const lanes = path.lanes.get(domain)!;
    const { rowOf, name } = this.#rowsOfLanes(map, key, lanes, domain);
    const { hit, miss } = partitionFound(lanes, name, rowOf);
    const misses = miss.length === 0 ? [] : [path.withLanes(domain, miss)];
    const hits = byTemplate(map, hit, rowOf, name).map(({ template, items }) => ({
      path: items.length === lanes.length ? path : path.withLanes(domain, items),
      source: laneSource(this.#terms, { template, map, domain, name, rows: rowOf }),
    }));
    return { hits, misses };
  }

  #rowsOfLanes(map: MapNode, key: Key, lanes: Int32Array, domain: number): Joined {
    const signature = [
      `${map.id} ${domain}`,
      ...key.fixed.map(({ k, mask, value }) => `${k}/${mask}=${value}`),
      ...key.columns.map(({ k, mask, column, from, at }) => `${k}/${mask}c${column.id}.${from}.${at}`),
    ].join(" ");
    const joins = this.#joined.get(lanes) ?? new Map<string, Joined>();
    this.#joined.set(lanes, joins);
    const known = joins.get(signature);
    if (known !== undefined) return known;
    const rowOf = map.findAll(wordsByLane(map, key, lanes), lanes);
    const join = { name: `join ${this.#joins++}`, rowOf };
    joins.set(signature, join);
    return join;
  }

  /** The rows become lanes; with lanes of other domains they are joined. */
  #byRows(map: MapNode, key: Key, path: Path, words: readonly Word[], domains: ReadonlySet<number>): Found {
    const rows = this.#rows(map, key, path, words);
    if (rows.length <= FEW_ROWS) return this.#fewRows(map, rows, path, words);
    const missed = path.with({ misses: [...path.misses, { map, words }] });
    const hits: Found["hits"] = [];
    for (const { template, items } of byTemplate(map, rows, null, `map ${map.id}`)) {
      if (domains.size === 0) {
        const domain = this.#domainOf(map, path);
        hits.push(this.#bound({ map, template, domain, rows: null, lanes: items }, key, path));
        continue;
      }
      const joined = this.#join(map, key, path, items, domains);
      if (joined.rowOf.length === 0) continue;
      const domain = this.#domains++;
      const views = new Map(path.views);
      const left = new Map(path.lanes);
      for (const [old, laneOf] of joined.lanesOf) {
        views.set(old, { domain, laneOf });
        left.delete(old);
      }
      const lanes = Int32Array.from({ length: joined.rowOf.length }, (_, lane) => lane);
      const base = path.with({ views, lanes: left });
      hits.push(this.#bound({ map, template, domain, rows: joined.rowOf, lanes }, key, base));
    }
    return { hits, misses: [missed] };
  }

  /**
   * The domain of a map's rows, whose lanes are the rows: the same one each time, but never one that the path is about
   * already. A table that is asked twice, by different words, is hit by two rows that have nothing to do with each other.
   */
  #domainOf(map: MapNode, path: Path): number {
    const known = this.#domainsOf.get(map) ?? [];
    this.#domainsOf.set(map, known);
    let found = known.find(domain => !path.lanes.has(domain) && !path.views.has(domain));
    if (found === undefined) {
      found = this.#domains++;
      known.push(found);
    }
    return found;
  }

  /** The path on which the free bits of the key are columns of a domain of rows. */
  #bound(hit: RowsHit, key: Key, path: Path): { path: Path; source: Source } {
    const { map, domain, rows, lanes } = hit;
    const bindings = new Map(path.bindings);
    for (const { k, mask, atom, atomMask, from, at } of key.free) {
      const column = this.#terms.column(`domain ${domain} key ${k} ${mask} ${from}`, domain, () => {
        const values = rows === null ? map.keys[k]! : gathered(map.keys[k]!, rows);
        if (mask === 0xffffffff) return values;
        return values.map(value => moved((value & mask) >>> 0, at, from));
      });
      const binding: Binding = { mask: atomMask, column };
      bindings.set(atom, [...(bindings.get(atom) ?? []), binding]);
    }
    const bound = path.with({ bindings, lanes: new Map(path.lanes).set(domain, lanes) });
    return { path: bound, source: laneSource(this.#terms, { ...hit, name: `domain ${domain}` }) };
  }

  /** Rows that the path does not rule out: by bits that are known, by clauses on the key alone, by other maps' misses. */
  #rows(map: MapNode, key: Key, path: Path, words: readonly Word[]): Int32Array {
    const missed = path.misses
      .filter(miss => miss.map.isAlike(map) && miss.words.every((word, k) => word === words[k]))
      .map(miss => miss.map);
    const clauses = path.clauses.flatMap(clause => rowClause(key, clause));
    const signature = `${map.id} ${missed.map(({ id }) => id)} ${JSON.stringify([key.fixed, clauses])}`;
    const known = this.#filtered.get(signature);
    if (known !== undefined) return known;
    let { rows } = map;
    for (const other of missed) {
      const left = other === map ? new Int32Array(0) : map.residue(other);
      if (left.length < rows.length) rows = left;
    }
    // The same vector where nothing is ruled out: what is known of it need not be found out again.
    const kept = openRows(map, rows, key.fixed, clauses);
    if (kept !== map.rows) this.#filteredRows += kept.length;
    if (this.#filteredRows > MAX_FILTERED) {
      this.#filtered.clear();
      this.#filteredRows = 0;
    }
    this.#filtered.set(signature, kept);
    return kept;
  }

  #fewRows(map: MapNode, rows: Int32Array, path: Path, words: readonly Word[]): Found {
    const hits: Found["hits"] = [];
    let rest: readonly Path[] = [path];
    for (const row of rows) {
      const tests = words.map((word, k) => ({ word, mask: map.masks[k]!, value: map.keys[k]![row]! }));
      const left: Path[] = [];
      for (const one of rest) {
        const { yes, no } = one.split(tests);
        left.push(...no);
        if (yes !== null)
          hits.push({ path: yes, source: rowSource(map.templates[map.templateOf[row]!]!, map.flows[row]!) });
      }
      rest = left;
    }
    return { hits, misses: [...rest] };
  }

  /** All combinations of a row with lanes of the domains that agree with it. */
  #join(
    map: MapNode,
    key: Key,
    path: Path,
    rows: Int32Array,
    domains: ReadonlySet<number>,
  ): { rowOf: Int32Array; lanesOf: Map<number, Int32Array> } {
    let rowOf: Int32Array = rows;
    const lanesOf = new Map<number, Int32Array>();
    for (const domain of domains) {
      const parts = key.columns.filter(({ column }) => column.domain === domain);
      const byKey = new Map<string, number[]>();
      const valueAt = ({ column, mask, from, at }: (typeof parts)[number], lane: number): number =>
        (moved(column.values[lane]!, from, at) & mask) >>> 0;
      for (const lane of path.lanes.get(domain)!) {
        const name = parts.map(part => valueAt(part, lane)).join();
        const list = byKey.get(name);
        if (list === undefined) byKey.set(name, [lane]);
        else list.push(lane);
      }
      const from: number[] = [];
      const own: number[] = [];
      for (let i = 0; i < rowOf.length; i++) {
        const row = rowOf[i]!;
        const name = parts.map(({ k, mask }) => (map.keys[k]![row]! & mask) >>> 0).join();
        for (const lane of byKey.get(name) ?? []) {
          from.push(i);
          own.push(lane);
        }
        if (from.length > MAX_JOINED) throw new Unmodelled("budget", 0);
      }
      for (const [other, lanes] of lanesOf)
        lanesOf.set(
          other,
          Int32Array.from(from, i => lanes[i]!),
        );
      rowOf = Int32Array.from(from, i => rowOf[i]!);
      lanesOf.set(domain, Int32Array.from(own));
    }
    return { rowOf, lanesOf };
  }
}

interface Joined {
  readonly name: string;
  readonly rowOf: Int32Array;
}

/** Rows of a map that are hit at once: lanes of a domain, each with its row; `rows` null: it is its row. */
interface RowsHit {
  readonly map: MapNode;
  readonly template: Template;
  readonly domain: number;
  readonly rows: Int32Array | null;
  readonly lanes: Int32Array;
}

export interface Found {
  readonly hits: { readonly path: Path; readonly source: Source }[];
  readonly misses: readonly Path[];
}

function constantHit(map: MapNode, { fixed }: Key, path: Path): Found {
  const values = map.words.map(() => 0);
  for (const { k, value } of fixed) values[k] = (values[k]! | value) >>> 0;
  const row = map.find(values);
  if (row < 0) return { hits: [], misses: [path] };
  return {
    hits: [{ path, source: rowSource(map.templates[map.templateOf[row]!]!, map.flows[row]!) }],
    misses: [],
  };
}

/** Some rows, or lanes, that do what a template says. */
interface Alike {
  readonly template: Template;
  readonly items: Int32Array;
}

const divided = new WeakMap<Int32Array, Map<string, readonly Alike[]>>();

/**
 * Rows, or lanes whose rows `rowOf` has, by what their flows do; `name` says which rows those are. The answer for the same
 * items is the same, vectors and all.
 */
function byTemplate(
  map: MapNode,
  items: Int32Array,
  rowOf: Int32Array | null,
  name: string,
): readonly Alike[] {
  if (items.length === 0) return [];
  if (map.templates.length === 1) return [{ template: map.templates[0]!, items }];
  const known = divided.get(items) ?? new Map<string, readonly Alike[]>();
  divided.set(items, known);
  let parts = known.get(name);
  if (parts === undefined) {
    parts = dividedByTemplate(map, items, rowOf);
    known.set(name, parts);
  }
  return parts;
}

function dividedByTemplate(map: MapNode, items: Int32Array, rowOf: Int32Array | null): Alike[] {
  const { templateOf } = map;
  const at = (item: number): number => templateOf[rowOf === null ? item : rowOf[item]!]!;
  const counts = new Int32Array(map.templates.length);
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
    list.length === 0 ? [] : [{ template: map.templates[index]!, items: list }],
  );
}
