/**
 * Map nodes: flows of one table and priority that compare the same bits, as columns of keys with a hash index. A table
 * of a million routes is one node. Rows are unique by key; of equal ones the last stands, as after add-flow.
 */
import type { Template } from "./program.ts";

/** The bits of `mask` of word `word` of the key have the values of `value`. */
export interface WordTest {
  readonly word: number;
  readonly mask: number;
  readonly value: number;
}

let mapCount = 0;

/** The 32-bit mixing step of MurmurHash3 (Appleby, public domain). */
function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

export class MapNode {
  readonly id = mapCount++;
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
  readonly #slots: Int32Array;
  readonly #residues = new Map<MapNode, Int32Array>();

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
    this.keys = parts.keys;
    this.flows = parts.flows;
    this.templateOf = parts.templateOf;
    this.templates = parts.templates;
    let capacity = 16;
    while (capacity < this.flows.length * 2) capacity *= 2;
    this.#slots = new Int32Array(capacity);
    this.size = this.#fill();
  }

  /** Enters all rows, moving them together where an older one gave way; gives the number that is left. */
  #fill(): number {
    const { keys, flows, templateOf } = this;
    let size = 0;
    for (let row = 0; row < flows.length; row++) {
      let hash = 0;
      for (const key of keys) hash = mix(hash, key[row]!);
      const slot = this.#slotOf(hash, k => keys[k]![row]!);
      const known = this.#slots[slot]! - 1;
      if (known >= 0) {
        if (flows[row]! > flows[known]!) {
          flows[known] = flows[row]!;
          templateOf[known] = templateOf[row]!;
        }
        continue;
      }
      for (const key of keys) key[size] = key[row]!;
      flows[size] = flows[row]!;
      templateOf[size] = templateOf[row]!;
      this.#slots[slot] = ++size;
    }
    return size;
  }

  /** The slot of a key, or the empty one where it would be. */
  #slotOf(hash: number, value: (word: number) => number): number {
    const { keys } = this;
    const slots = this.#slots;
    const last = slots.length - 1;
    for (let slot = hash & last; ; slot = (slot + 1) & last) {
      const row = slots[slot]! - 1;
      if (row < 0) return slot;
      let k = 0;
      while (k < keys.length && keys[k]![row] === value(k)) k++;
      if (k === keys.length) return slot;
    }
  }

  /** The row of one-word key; -1 when there is none. */
  findOne(value: number): number {
    const key = this.keys[0]!;
    const slots = this.#slots;
    const last = slots.length - 1;
    for (let slot = mix(0, value) & last; ; slot = (slot + 1) & last) {
      const row = slots[slot]! - 1;
      if (row < 0 || key[row] === value) return row;
    }
  }

  /** The row of a key, its words unsigned and masked; -1 when there is none. */
  find(values: ArrayLike<number>): number {
    if (this.keys.length === 1) return this.findOne(values[0]!);
    let hash = 0;
    for (let k = 0; k < this.keys.length; k++) hash = mix(hash, values[k]!);
    return this.#slots[this.#slotOf(hash, k => values[k]!)]! - 1;
  }

  /** The key of a row, in `into`. */
  keyOf(row: number, into: number[]): number[] {
    for (let k = 0; k < this.keys.length; k++) into[k] = this.keys[k]![row]!;
    return into;
  }

  /** True when the rows of both compare the same bits. */
  isAlike(other: MapNode): boolean {
    return (
      this.words.length === other.words.length &&
      this.words.every((word, k) => word === other.words[k] && this.masks[k] === other.masks[k])
    );
  }

  /** Rows whose keys the other map does not have. The maps must be alike. */
  residue(other: MapNode): Int32Array {
    let rows = this.#residues.get(other);
    if (rows === undefined) {
      const left: number[] = [];
      const key: number[] = [];
      for (let row = 0; row < this.size; row++) if (other.find(this.keyOf(row, key)) < 0) left.push(row);
      rows = Int32Array.from(left);
      this.#residues.set(other, rows);
    }
    return rows;
  }
}
