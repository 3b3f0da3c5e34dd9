/**
 * Map nodes: flows of one table and priority that compare the same bits, as columns of keys in ascending order. A table
 * of a million routes is one node. Rows are unique by key; of equal ones the last stands, as after add-flow. Because rows
 * of two maps come in one order, looking the one's up in the other goes from a row to its neighbour nearly always.
 */
import type { WordTest } from "./match-tests.ts";
import { sortedRows } from "./radix-sort.ts";
import type { Template } from "./templates.ts";
import { gathered } from "./terms.ts";

let subtableCount = 0;

export class Subtable {
  readonly id = subtableCount++;
  /** What all rows compare alike. */
  readonly constants: readonly WordTest[];
  /** Words and masks that differ from row to row. */
  readonly words: readonly number[];
  readonly masks: readonly number[];
  /** Keys by word, one value a row. */
  readonly keys: readonly Uint32Array[];
  /** Index of each row's flow, and of its template in `templates`. */
  readonly flows: Int32Array;
  readonly templateOf: Int32Array;
  readonly templates: readonly Template[];
  readonly size: number;
  readonly #values = new Map<number, Uint32Array>();
  readonly #constants = new Map<string, number | null>();
  readonly #residues = new Map<Subtable, Int32Array>();
  #rows: Int32Array | null = null;

  constructor(parts: {
    constants: readonly WordTest[];
    words: readonly number[];
    masks: readonly number[];
    keys: readonly Uint32Array[];
    flows: Int32Array;
    templateOf: Int32Array;
    templates: readonly Template[];
  }) {
    this.constants = parts.constants;
    this.words = parts.words;
    this.masks = parts.masks;
    this.templates = parts.templates;
    const { keys, flows, templateOf } = parts;
    const order = clauseIndex(keys, flows, sortedRows(keys, flows.length));
    this.size = order.length;
    this.keys = keys.map(key => gathered(key, order));
    this.flows = new Int32Array(order.length);
    this.templateOf = new Int32Array(order.length);
    for (let row = 0; row < order.length; row++) {
      this.flows[row] = flows[order[row]!]!;
      this.templateOf[row] = templateOf[order[row]!]!;
    }
  }

  /** Numbers of all rows. */
  get rows(): Int32Array {
    if (this.#rows === null) {
      this.#rows = new Int32Array(this.size);
      for (let row = 0; row < this.size; row++) this.#rows[row] = row;
    }
    return this.#rows;
  }

  /** Word `at` of what differs in the flow of each row; where a flow has fewer words, anything. */
  valuesAt(at: number): Uint32Array {
    if (this.#values.size === 0) {
      // All at once: a row of values is together in memory.
      const places = this.templates.flatMap(({ slots }) =>
        [...slots.values()].flatMap(({ at, words }) => (words === 2 ? [at, at + 1] : [at])),
      );
      const words = [...new Set(places)];
      const columns = this.templates[0]!.flows.valuesAt(this.flows, words);
      for (const [i, column] of columns.entries()) this.#values.set(words[i]!, column);
    }
    const values = this.#values.get(at);
    if (values === undefined) throw new Error("assertion: word of a template's slot");
    return values;
  }

  /** The value of that word where it is one and the same in all rows of a template, else null. */
  constantAt(at: number, template: Template): number | null {
    const name = `${template.id} ${at}`;
    let constant = this.#constants.get(name);
    if (constant === undefined) {
      const values = this.valuesAt(at);
      const index = this.templates.indexOf(template);
      const first = this.templateOf.indexOf(index);
      const value = values[first]!;
      const isSame = (row: number): boolean => values[row] === value || this.templateOf[row] !== index;
      let row = first;
      while (row < this.size && isSame(row)) row++;
      constant = row === this.size ? value : null;
      this.#constants.set(name, constant);
    }
    return constant;
  }

  /** The row of a key, its words unsigned and masked; -1 when there is none. */
  find(values: ArrayLike<number>): number {
    const { keys } = this;
    const row = this.#firstFrom(0, this.size, keys.length === 1 ? null : values, values[0]!);
    return row < this.size && keys.every((key, k) => key[row] === values[k]) ? row : -1;
  }

  /** For each of some elements, whose keys `values` has by word, its row, or -1; by element. */
  findAll(values: readonly Uint32Array[], elements: Int32Array): Int32Array {
    const last = elements.reduce((max, element) => Math.max(max, element), -1);
    const rowOf = new Int32Array(last + 1).fill(-1);
    const [first, ...others] = this.keys;
    const [key, ...rest] = values;
    const words: number[] = [];
    let next = 0;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      const value = key![element]!;
      // Nearly always it is the row behind the last one.
      let row = next < this.size && first![next] === value ? next : -1;
      for (let k = 0; row >= 0 && k < others.length; k++) if (others[k]![row] !== rest[k]![element]) row = -1;
      if (row < 0) {
        for (let k = 0; k < values.length; k++) words[k] = values[k]![element]!;
        row = this.find(words);
      }
      if (row < 0) continue;
      rowOf[element] = row;
      next = row + 1;
    }
    return rowOf;
  }

  /** The first row from `from` to `to` whose key is not below one: of one word, or of several. */
  #firstFrom(from: number, to: number, values: ArrayLike<number> | null, value: number): number {
    const [key] = this.keys;
    let [low, high] = [from, to];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const isBelow =
        key![middle] === value && values !== null ? this.#isBelow(middle, values) : key![middle]! < value;
      if (isBelow) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isBelow(row: number, values: ArrayLike<number>): boolean {
    for (let k = 0; k < this.keys.length; k++) {
      const word = this.keys[k]![row]!;
      if (word !== values[k]) return word < values[k]!;
    }
    return false;
  }

  /** Rows whose first word is in a range, its ends included: the first of them, and the one behind the last. */
  range(least: number, most: number): readonly [from: number, to: number] {
    const from = this.#firstFrom(0, this.size, null, least);
    return [from, most === 0xffffffff ? this.size : this.#firstFrom(from, this.size, null, most + 1)];
  }

  /** True when the rows of both compare the same bits. */
  isAlike(other: Subtable): boolean {
    return (
      this.words.length === other.words.length &&
      this.words.every((word, k) => word === other.words[k] && this.masks[k] === other.masks[k])
    );
  }

  /** Rows whose keys the other subtable does not have. The maps must be alike. */
  residue(other: Subtable): Int32Array {
    let rows = this.#residues.get(other);
    if (rows === undefined) {
      const rowOf = other.findAll(this.keys, this.rows);
      rows = this.rows.filter(row => rowOf[row]! < 0);
      this.#residues.set(other, rows);
    }
    return rows;
  }
}

/** Rows, sorted by their keys, without those whose flow came before one of the same key. */
function clauseIndex(keys: readonly Uint32Array[], flows: Int32Array, order: Int32Array): Int32Array {
  let count = 0;
  for (const row of order) {
    const before = count === 0 ? -1 : order[count - 1]!;
    const isSame = before >= 0 && keys.every(key => key[row] === key[before]);
    if (!isSame) order[count++] = row;
    else if (flows[row]! > flows[before]!) order[count - 1] = row;
  }
  return order.subarray(0, count);
}
