/**
 * The columns of a dump: of each flow its line template, the words of its numbers, its line and where that
 * begins. The arrays grow by the share of the dump that is left, since memory that is not written to costs
 * nothing, and copying it again and again does.
 */

/** Words that are free behind the last row, so that a row can be written before it is added. */
export const MAX_ROW_WORDS = 256;

export class LineColumns {
  count = 0;
  /** Words of all rows. The row of the next flow is written from `valueCount` on. */
  values = new Uint32Array(4096);
  valueCount = 0;
  readonly #bytes: number;
  /** The id of the flow's line template; -1 - i: the irregular flow i. */
  #templateOf = new Int32Array(1024);
  #rowAt = new Uint32Array(1024);
  #lineOf = new Uint32Array(1024);
  #startOf = new Float64Array(1024);

  /** `bytes`: the length of the dump. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** The id of a flow's line template; -1 - i: the irregular flow i. */
  templateOf(index: number): number {
    return this.#templateOf[index]!;
  }

  /** The line of a flow, from 1 on. */
  lineOf(index: number): number {
    return this.#lineOf[index]!;
  }

  /** The byte at which the line of a flow begins. */
  startOf(index: number): number {
    return this.#startOf[index]!;
  }

  /** Word `at` of the row of a flow. */
  valueAt(index: number, at: number): number {
    return this.values[this.#rowAt[index]! + at]!;
  }

  /** Some words of the rows of some flows: an array for each word, in the order of the flows. */
  valuesAt(flows: Int32Array, words: readonly number[]): Uint32Array[] {
    const { values } = this;
    const columns = words.map(() => new Uint32Array(flows.length));
    for (let i = 0; i < flows.length; i++) {
      const row = this.#rowAt[flows[i]!]!;
      for (let k = 0; k < words.length; k++) columns[k]![i] = values[row + words[k]!]!;
    }
    return columns;
  }

  /** Adds a flow, whose row begins at `valueCount`. */
  add(template: number, start: number, line: number): void {
    const index = this.count++;
    if (index === this.#templateOf.length) this.#grow(start);
    this.#templateOf[index] = template;
    this.#rowAt[index] = this.valueCount;
    this.#lineOf[index] = line;
    this.#startOf[index] = start;
  }

  /** Gives an irregular flow a line template; its row begins at `valueCount`. */
  change(index: number, template: number): void {
    this.#templateOf[index] = template;
    this.#rowAt[index] = this.valueCount;
  }

  /** Ends the row that begins at `valueCount`; `start` is how far the dump is read. */
  endRow(words: number, start: number): void {
    this.valueCount += words;
    if (this.values.length - this.valueCount < MAX_ROW_WORDS) {
      const room = this.#expected(start, this.valueCount) + MAX_ROW_WORDS;
      this.values = grown(this.values, new Uint32Array(room));
    }
  }

  /** Removes all flows but those for which `isKept` returns true; returns how many were removed. */
  keep(isKept: (index: number) => boolean): number {
    let to = 0;
    for (let from = 0; from < this.count; from++) {
      if (!isKept(from)) continue;
      this.#templateOf[to] = this.#templateOf[from]!;
      this.#rowAt[to] = this.#rowAt[from]!;
      this.#lineOf[to] = this.#lineOf[from]!;
      this.#startOf[to++] = this.#startOf[from]!;
    }
    const removed = this.count - to;
    this.count = to;
    return removed;
  }

  #grow(start: number): void {
    const room = this.#expected(start, this.count);
    this.#templateOf = grown(this.#templateOf, new Int32Array(room));
    this.#rowAt = grown(this.#rowAt, new Uint32Array(room));
    this.#lineOf = grown(this.#lineOf, new Uint32Array(room));
    this.#startOf = grown(this.#startOf, new Float64Array(room));
  }

  /**
   * How many there will be at the end of the dump if there are `count` at byte `place`, and some to spare.
   */
  #expected(place: number, count: number): number {
    const rest = (this.#bytes - place) / Math.max(1, place);
    return Math.ceil(count * Math.max(1.25, 1 + rest * 1.05));
  }
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
