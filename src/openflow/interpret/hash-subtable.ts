/**
 * Rows of key words under one set of masks, found by hash (a subtable of Open vSwitch's classifier,
 * lib/classifier.c; Srinivasan, Suri, Varghese 1999). Columns of numbers, so that a million rows cost tens of
 * megabytes; what a row stands for is a number of the caller's. Rows can be added and replaced, not taken
 * out.
 */

const NONE = -1;

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};

function grown<T extends Int32Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

export class Tuple {
  /** Words of the key, and the bits of each that are compared. */
  readonly words: Int32Array;
  readonly masks: Int32Array;
  maxPriority = -1;
  count = 0;
  /** Open addressing; the row of the highest priority among those with the same values. */
  #heads = new Int32Array(8).fill(NONE);
  #values: Int32Array;
  #priorities = new Uint16Array(4);
  #refs = new Int32Array(4);
  /** The row with the same values and the next lower priority. */
  #next = new Int32Array(4);

  constructor(words: readonly number[], masks: readonly number[]) {
    this.words = Int32Array.from(words);
    this.masks = Int32Array.from(masks);
    this.#values = new Int32Array(4 * words.length);
  }

  /** The row of the highest priority that matches a key, -1 for none. */
  find(key: Uint32Array): number {
    const { words, masks } = this;
    const width = words.length;
    let hash = 0;
    for (let i = 0; i < width; i++) hash = mix(hash, key[words[i]!]! & masks[i]!);
    const heads = this.#heads;
    const values = this.#values;
    const last = heads.length - 1;
    for (let slot = hash & last; ; slot = (slot + 1) & last) {
      const row = heads[slot]!;
      if (row === NONE) return NONE;
      const at = row * width;
      let i = 0;
      while (i < width && (key[words[i]!]! & masks[i]!) === values[at + i]) i++;
      if (i === width) return row;
    }
  }

  /** The row with the same values and the next lower priority, -1 for none. */
  below(row: number): number {
    return this.#next[row]!;
  }

  priorityOf(row: number): number {
    return this.#priorities[row]!;
  }

  /** What was given to `add`. */
  refOf(row: number): number {
    return this.#refs[row]!;
  }

  /**
   * Adds a row, or replaces the one with the same values and priority. `values` are under the masks, in
   * order.
   */
  add(values: Int32Array, priority: number, ref: number): void {
    if (priority > this.maxPriority) this.maxPriority = priority;
    const slot = this.#slotOf(values, 0);
    let above = NONE;
    let row = this.#heads[slot]!;
    while (row !== NONE && this.#priorities[row]! > priority) {
      above = row;
      row = this.#next[row]!;
    }
    if (row !== NONE && this.#priorities[row] === priority) {
      this.#refs[row] = ref;
      return;
    }
    const added = this.#append(values, priority, ref);
    this.#next[added] = row;
    if (above === NONE) this.#heads[slot] = added;
    else this.#next[above] = added;
    if (2 * this.count > this.#heads.length) this.#rehash();
  }

  #append(values: Int32Array, priority: number, ref: number): number {
    const row = this.count++;
    if (row === this.#refs.length) {
      this.#refs = grown(this.#refs, new Int32Array(2 * row));
      this.#next = grown(this.#next, new Int32Array(2 * row));
      this.#priorities = grown(this.#priorities, new Uint16Array(2 * row));
      this.#values = grown(this.#values, new Int32Array(2 * row * this.words.length));
    }
    const at = row * this.words.length;
    for (let i = 0; i < this.words.length; i++) this.#values[at + i] = values[i]!;
    this.#refs[row] = ref;
    this.#priorities[row] = priority;
    return row;
  }

  /** The slot of these values, or the empty one where they would stand. They begin at `from`. */
  #slotOf(values: Int32Array, from: number): number {
    const width = this.words.length;
    let hash = 0;
    for (let i = 0; i < width; i++) hash = mix(hash, values[from + i]!);
    const last = this.#heads.length - 1;
    for (let slot = hash & last; ; slot = (slot + 1) & last) {
      const row = this.#heads[slot]!;
      if (row === NONE) return slot;
      let i = 0;
      while (i < width && values[from + i] === this.#values[row * width + i]) i++;
      if (i === width) return slot;
    }
  }

  #rehash(): void {
    const heads = this.#heads;
    this.#heads = new Int32Array(4 * heads.length).fill(NONE);
    for (const row of heads) {
      if (row !== NONE) this.#heads[this.#slotOf(this.#values, row * this.words.length)] = row;
    }
  }
}
