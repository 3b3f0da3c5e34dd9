/**
 * A subtable (as in the OVS classifier): the flows of one table and priority that share one mask, as columns
 * of keys in ascending order. A table of a million routes is one subtable. Keys are unique; of flows with
 * equal keys the last one remains, as after add-flow. Two sorted subtables have their rows in the same
 * order, so lookups of one subtable's keys in another mostly hit the next row.
 */
import type { WordTest } from "./match-tests.ts";
import { sortedRows } from "./radix-sort.ts";
import type { Template } from "./templates.ts";
import { gathered } from "./terms.ts";

let subtableCount = 0;

export class Subtable {
  readonly id = subtableCount++;
  /** Tests that all rows share. */
  readonly constants: readonly WordTest[];
  /** Words and masks of the key columns. */
  readonly words: readonly number[];
  readonly masks: readonly number[];
  /** One column of keys for each word. */
  readonly keys: readonly Uint32Array[];
  /** For each row, the index of its flow, and of its template in `templates`. */
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
    const order = withoutReplaced(keys, flows, sortedRows(keys, flows.length));
    this.size = order.length;
    this.keys = keys.map(key => gathered(key, order));
    this.flows = new Int32Array(order.length);
    this.templateOf = new Int32Array(order.length);
    for (let row = 0; row < order.length; row++) {
      this.flows[row] = flows[order[row]!]!;
      this.templateOf[row] = templateOf[order[row]!]!;
    }
  }

  /** The numbers of all rows. */
  get rows(): Int32Array {
    if (this.#rows === null) {
      this.#rows = new Int32Array(this.size);
      for (let row = 0; row < this.size; row++) this.#rows[row] = row;
    }
    return this.#rows;
  }

  /** Value word `at` of each row's flow; arbitrary if the flow has fewer words. */
  valuesAt(at: number): Uint32Array {
    if (this.#values.size === 0) {
      // Reads all columns at once: the values of one flow are adjacent in memory.
      const places = this.templates.flatMap(({ slots }) =>
        [...slots.values()].flatMap(({ at, words }) => (words === 2 ? [at, at + 1] : [at])),
      );
      const words = [...new Set(places)];
      const columns = this.templates[0]!.flows.valuesAt(this.flows, words);
      for (const [i, column] of columns.entries()) this.#values.set(words[i]!, column);
    }
    const values = this.#values.get(at);
    if (values === undefined) throw new Error("internal error: not the word of a slot");
    return values;
  }

  /** That value if it is the same in all rows of a template, else null. */
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

  /** The row with a key (words unsigned and masked); -1 if there is none. */
  find(values: ArrayLike<number>): number {
    const { keys } = this;
    const row = this.#firstFrom(0, this.size, keys.length === 1 ? null : values, values[0]!);
    return row < this.size && keys.every((key, k) => key[row] === values[k]) ? row : -1;
  }

  /** For each element, the row with its key, or -1. `values` has the keys by word, each by element. */
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
      // Usually it is the row after the previous one.
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

  /** The first row in `from` to `to` whose key is not less than the given one: one word, or several. */
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

  /**
   * Rows whose first word lies in a range (both ends included): the first of them, and the one after the
   * last.
   */
  range(least: number, most: number): readonly [from: number, to: number] {
    const from = this.#firstFrom(0, this.size, null, least);
    return [from, most === 0xffffffff ? this.size : this.#firstFrom(from, this.size, null, most + 1)];
  }

  /** The match of a row. */
  testsAt(row: number): WordTest[] {
    return [
      ...this.constants,
      ...this.words.map((word, k) => ({ word, mask: this.masks[k]!, value: this.keys[k]![row]! })),
    ];
  }

  /** Whether both subtables compare the same bits. */
  isAlike(other: Subtable): boolean {
    return (
      this.words.length === other.words.length &&
      this.words.every((word, k) => word === other.words[k] && this.masks[k] === other.masks[k])
    );
  }

  /** Rows whose keys the other subtable lacks. Both must compare the same bits. */
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

/** Rows sorted by key, without those that a later flow with the same key replaced. */
function withoutReplaced(keys: readonly Uint32Array[], flows: Int32Array, order: Int32Array): Int32Array {
  let count = 0;
  for (const row of order) {
    const before = count === 0 ? -1 : order[count - 1]!;
    const isSame = before >= 0 && keys.every(key => key[row] === key[before]);
    if (!isSame) order[count++] = row;
    else if (flows[row]! > flows[before]!) order[count - 1] = row;
  }
  return order.subarray(0, count);
}
