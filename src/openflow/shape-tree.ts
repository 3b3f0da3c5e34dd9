/**
 * Texts with holes, put together where they begin alike: a tree whose nodes hold the bytes up to the next place where
 * texts differ or a number stands. A line is read once, from its first byte to its last, however many texts there are,
 * and its numbers are read on the way. Which texts are put in, and what their numbers mean, is decided elsewhere
 * (columns.ts, probe.ts). Where a digit of one text stands in the place of another's number both ways are gone.
 */
import { HOLE_WORDS, type Hole, readHole } from "./holes.ts";

/** A number of a text whose value belongs into the row; other numbers are read and forgotten. */
export interface Filled {
  /** Which of the text's holes it is. */
  readonly hole: number;
  /** Words of the row. */
  readonly words: 1 | 2;
  /** The greatest value. */
  readonly limit: number;
  /** The bits that count, upper and lower half. */
  readonly upperMask: number;
  readonly lowerMask: number;
}

/** What stands at the end of a text. */
export interface Fitted {
  /** In the order of the row. */
  readonly filled: readonly Filled[];
}

/** A text: bytes, all of them ASCII, and holes, which are `HOLE_BASE` and their kind. */
export type Symbols = readonly number[];

export const HOLE_BASE = 128;
const NEWLINE = 10;
const RETURN = 13;

class Node<Leaf> {
  readonly label: readonly number[];
  /** The label in words of four bytes, the last of which ends with it; none below four bytes. */
  readonly words: Int32Array;
  leaf: Leaf | null = null;
  /** By the byte that follows; null while there is none. */
  letters: (Node<Leaf> | null)[] | null = null;
  readonly kinds: Hole[] = [];
  readonly behind: Node<Leaf>[] = [];

  constructor(label: readonly number[]) {
    this.label = label;
    const view = new DataView(Uint8Array.from(label).buffer);
    const count = label.length < 4 ? 0 : Math.ceil(label.length / 4);
    this.words = Int32Array.from({ length: count }, (_, index) =>
      view.getInt32(Math.min(4 * index, label.length - 4), true),
    );
  }

  /** The same with a shorter label, and this one's rest behind it. */
  cut(length: number): Node<Leaf> {
    const rest = new Node<Leaf>(this.label.slice(length));
    rest.leaf = this.leaf;
    rest.letters = this.letters;
    rest.kinds.push(...this.kinds);
    rest.behind.push(...this.behind);
    const head = new Node<Leaf>(this.label.slice(0, length));
    head.put(this.label[length]!, rest);
    return head;
  }

  next(symbol: number): Node<Leaf> | null {
    if (symbol < HOLE_BASE) return this.letters?.[symbol] ?? null;
    return this.behind[this.kinds.indexOf((symbol - HOLE_BASE) as Hole)] ?? null;
  }

  put(symbol: number, node: Node<Leaf>): void {
    if (symbol < HOLE_BASE) {
      this.letters ??= new Array(HOLE_BASE).fill(null);
      this.letters[symbol] = node;
      return;
    }
    const kind = (symbol - HOLE_BASE) as Hole;
    const at = this.kinds.indexOf(kind);
    if (at >= 0) this.behind[at] = node;
    else {
      this.kinds.push(kind);
      this.behind.push(node);
    }
  }
}

export class ShapeTree<Leaf extends Fitted> {
  /** Where the text ends that was found last: at a line end, or at the end of all. */
  behind = 0;
  #root = new Node<Leaf>([]);
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The holes on the way from the root, two words each. */
  #read = new Uint32Array(HOLE_WORDS * 16);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Adds a text. One that is there already gets this leaf. */
  add(symbols: Symbols, leaf: Leaf): void {
    const holes = symbols.filter(symbol => symbol >= HOLE_BASE).length;
    if (this.#read.length < holes * HOLE_WORDS) this.#read = new Uint32Array(holes * HOLE_WORDS);
    let put = (node: Node<Leaf>): void => {
      this.#root = node;
    };
    let node = this.#root;
    for (let at = 0; ; ) {
      const same = commonLength(node.label, symbols, at);
      if (same < node.label.length) {
        node = node.cut(same);
        put(node);
      }
      at += same;
      if (at === symbols.length) break;
      const symbol = symbols[at]!;
      const parent = node;
      // Behind a hole the label begins with the next byte; a byte is the first of its label.
      if (symbol >= HOLE_BASE) at++;
      put = child => parent.put(symbol, child);
      node = parent.next(symbol) ?? new Node(literalFrom(symbols, at));
      put(node);
    }
    node.leaf = leaf;
  }

  /** The leaf of the line that begins at `start`, or null. Its row is written to `row` from `to` on. */
  find(start: number, row: Uint32Array, to: number): Leaf | null {
    return this.#walk(this.#root, start, 0, row, to);
  }

  #walk(from: Node<Leaf>, start: number, holes: number, row: Uint32Array, to: number): Leaf | null {
    const bytes = this.#bytes;
    const end = bytes.length;
    let node = from;
    let place = start;
    let at = holes;
    for (;;) {
      if (!this.#begins(node, place)) return null;
      place += node.label.length;
      const { leaf, letters, kinds } = node;
      if (leaf !== null && isLineEnd(bytes, place) && fill(leaf, this.#read, row, to)) {
        this.behind = place;
        return leaf;
      }
      const last = kinds.length - 1;
      const letter = letters !== null && place < end ? letters[bytes[place]! & 127]! : null;
      if (letter !== null) {
        if (last < 0) {
          node = letter;
          continue;
        }
        const found = this.#walk(letter, place, at, row, to);
        if (found !== null) return found;
      }
      if (last < 0) return null;
      for (let index = 0; index < last; index++) {
        const next = readHole(kinds[index]!, bytes, place, end, this.#read, HOLE_WORDS * at);
        const found = next < 0 ? null : this.#walk(node.behind[index]!, next, at + 1, row, to);
        if (found !== null) return found;
      }
      place = readHole(kinds[last]!, bytes, place, end, this.#read, HOLE_WORDS * at);
      if (place < 0) return null;
      node = node.behind[last]!;
      at++;
    }
  }

  /** Whether a node's label stands at `place`. Four bytes at a time: this is where most bytes of a dump go through. */
  #begins({ label, words }: Node<Leaf>, place: number): boolean {
    const { length } = label;
    if (this.#bytes.length - place < length) return false;
    if (length < 4) {
      for (let at = 0; at < length; at++) if (this.#bytes[place + at] !== label[at]) return false;
      return true;
    }
    const view = this.#view;
    const last = words.length - 1;
    for (let at = 0; at < last; at++) if (view.getInt32(place + 4 * at, true) !== words[at]) return false;
    return view.getInt32(place + length - 4, true) === words[last];
  }
}

/** Writes a leaf's row from the numbers of its text; false when one of them is too great. */
function fill({ filled }: Fitted, read: Uint32Array, row: Uint32Array, to: number): boolean {
  let word = to;
  for (let index = 0; index < filled.length; index++) {
    const { hole, words, limit, upperMask, lowerMask } = filled[index]!;
    const upper = read[HOLE_WORDS * hole]!;
    const lower = read[HOLE_WORDS * hole + 1]!;
    if (upper * 0x1_0000_0000 + lower > limit) return false;
    if (words === 2) row[word++] = upper & upperMask;
    row[word++] = lower & lowerMask;
  }
  return true;
}

function isLineEnd(bytes: Uint8Array, place: number): boolean {
  const { length } = bytes;
  if (place === length || bytes[place] === NEWLINE) return true;
  return bytes[place] === RETURN && (place + 1 === length || bytes[place + 1] === NEWLINE);
}

function commonLength(label: readonly number[], symbols: Symbols, from: number): number {
  let same = 0;
  while (same < label.length && from + same < symbols.length && symbols[from + same] === label[same]) same++;
  return same;
}

/** The bytes up to the next hole. */
function literalFrom(symbols: Symbols, from: number): number[] {
  let end = from;
  while (end < symbols.length && symbols[end]! < HOLE_BASE) end++;
  return symbols.slice(from, end);
}
