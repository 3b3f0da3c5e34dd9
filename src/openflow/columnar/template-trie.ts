/**
 * Texts with numbers, put together where they begin alike: a tree whose nodes hold the bytes up to the next
 * place where texts differ or a number stands. A line is read once, from its first byte to its last, however
 * many texts there are, and its numbers are read on the way. Which texts are put in, and what their numbers
 * mean, is decided elsewhere (dump.ts, infer-slots.ts). Where a digit of one text stands in the place of
 * another's number both ways are gone.
 */
import { NUMBER_WORDS, type NumberKind, readNumber } from "./numbers.ts";

/** A number of a text whose value belongs into the row; other numbers are read and forgotten. */
export interface Filled {
  /** Which of the text's numbers it is. */
  readonly number: number;
  /** Words of the row. */
  readonly words: 1 | 2;
  /** The greatest value. */
  readonly limit: bigint;
  /** The bits that count. */
  readonly mask: bigint;
}

/** A text: bytes from 1 to 127, and numbers, which are `NUMBER_BASE` and their kind. */
export type Symbols = readonly number[];

export const NUMBER_BASE = 128;
const NEWLINE = 10;
const RETURN = 13;
const PIECE_BYTES = 8;

/** What stands at the end of a text: `Filled` as numbers, in the order of the row. */
interface End<Leaf> {
  readonly leaf: Leaf;
  readonly terms: Uint32Array;
}

/** Words of a term: number, words of the row, limit and mask, each of these two with its upper half first. */
const TERM_WORDS = 6;
const LOWER = 0xffff_ffffn;

function termsOf(filled: readonly Filled[]): Uint32Array {
  const halves = (value: bigint): number[] => [Number(value >> 32n), Number(value & LOWER)];
  return Uint32Array.from(
    filled.flatMap(({ number, words, limit, mask }) => [number, words, ...halves(limit), ...halves(mask)]),
  );
}

class Node<Leaf> {
  readonly label: readonly number[];
  /**
   * The label in pieces of eight bytes, the last of which ends with it; none below eight bytes. They are
   * compared as doubles: of bytes from 1 to 127 none is a NaN or a zero, so that two are equal only when all
   * of their bits are.
   */
  readonly pieces: Float64Array;
  readonly length: number;
  end: End<Leaf> | null = null;
  /** By the byte that follows; null while there is none. */
  letters: (Node<Leaf> | null)[] | null = null;
  /** The number that follows, when there is one. */
  kind: NumberKind | 0 = 0;
  behind: Node<Leaf> | null = null;
  /** Numbers of other kinds that may follow instead. */
  readonly others: { readonly kind: NumberKind; node: Node<Leaf> }[] = [];
  /** Nothing follows but one number: so it is nearly always. */
  isPlain = false;

  constructor(label: readonly number[]) {
    this.label = label;
    this.length = label.length;
    const view = new DataView(Uint8Array.from(label).buffer);
    const count = label.length < PIECE_BYTES ? 0 : Math.ceil(label.length / PIECE_BYTES);
    this.pieces = Float64Array.from({ length: count }, (_, index) =>
      view.getFloat64(Math.min(PIECE_BYTES * index, label.length - PIECE_BYTES), true),
    );
  }

  /** The same with a shorter label, and this one's rest behind it. */
  cut(length: number): Node<Leaf> {
    const rest = new Node<Leaf>(this.label.slice(length));
    rest.end = this.end;
    rest.letters = this.letters;
    rest.kind = this.kind;
    rest.behind = this.behind;
    rest.others.push(...this.others);
    rest.isPlain = this.isPlain;
    const head = new Node<Leaf>(this.label.slice(0, length));
    head.put(this.label[length]!, rest);
    return head;
  }

  next(symbol: number): Node<Leaf> | null {
    if (symbol < NUMBER_BASE) return this.letters?.[symbol] ?? null;
    if (this.kind === symbol - NUMBER_BASE) return this.behind;
    return this.others.find(({ kind }) => kind === symbol - NUMBER_BASE)?.node ?? null;
  }

  put(symbol: number, node: Node<Leaf>): void {
    const kind = (symbol - NUMBER_BASE) as NumberKind;
    const other = this.others.find(one => one.kind === kind);
    if (symbol < NUMBER_BASE) {
      this.letters ??= new Array(NUMBER_BASE).fill(null);
      this.letters[symbol] = node;
    } else if (this.kind === 0 || this.kind === kind) {
      this.kind = kind;
      this.behind = node;
    } else if (other !== undefined) other.node = node;
    else this.others.push({ kind, node });
    this.#look();
  }

  endsWith(end: End<Leaf>): void {
    this.end = end;
    this.#look();
  }

  #look(): void {
    this.isPlain = this.end === null && this.letters === null && this.kind !== 0 && this.others.length === 0;
  }
}

export class TemplateTrie<Leaf> {
  /** Where the text ends that was found last: at a line end, or at the end of all. */
  behind = 0;
  #root = new Node<Leaf>([]);
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The numbers on the way from the root, two words each. */
  #read = new Uint32Array(NUMBER_WORDS * 16);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /**
   * Adds a text, and what is filled by its numbers in the order of the row. One that is there already is
   * replaced.
   */
  add(symbols: Symbols, leaf: Leaf, filled: readonly Filled[]): void {
    const numbers = symbols.filter(symbol => symbol >= NUMBER_BASE).length;
    if (this.#read.length < numbers * NUMBER_WORDS) this.#read = new Uint32Array(numbers * NUMBER_WORDS);
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
      // Behind a number the label begins with the next byte; a byte is the first of its label.
      if (symbol >= NUMBER_BASE) at++;
      put = child => parent.put(symbol, child);
      node = parent.next(symbol) ?? new Node(literalFrom(symbols, at));
      put(node);
    }
    node.endsWith({ leaf, terms: termsOf(filled) });
  }

  /** The leaf of the line that begins at `start`, or null. Its row is written to `row` from `to` on. */
  find(start: number, row: Uint32Array, to: number): Leaf | null {
    return this.#walk(this.#root, start, 0, row, to);
  }

  #walk(from: Node<Leaf>, start: number, numbers: number, row: Uint32Array, to: number): Leaf | null {
    const bytes = this.#bytes;
    const read = this.#read;
    const stop = bytes.length;
    let node = from;
    let place = start;
    let at = NUMBER_WORDS * numbers;
    for (;;) {
      if (!begins(node, bytes, this.#view, place)) return null;
      place += node.length;
      if (!node.isPlain) {
        const { end, letters } = node;
        if (end !== null && isLineEnd(bytes, place) && fill(end.terms, read, row, to)) {
          this.behind = place;
          return end.leaf;
        }
        const letter = letters !== null && place < stop ? letters[bytes[place]! & 127]! : null;
        if (letter !== null && node.kind === 0) {
          node = letter;
          continue;
        }
        const found = this.#tryOthers(node, letter, place, at / NUMBER_WORDS, row, to);
        if (found !== null || node.kind === 0) return found;
      }
      place = readNumber(node.kind as NumberKind, bytes, place, stop, read, at);
      if (place < 0) return null;
      node = node.behind!;
      at += NUMBER_WORDS;
    }
  }

  /** All ways on from the end of a node's label but its first number. */
  #tryOthers(
    { others }: Node<Leaf>,
    letter: Node<Leaf> | null,
    place: number,
    numbers: number,
    row: Uint32Array,
    to: number,
  ): Leaf | null {
    let found = letter === null ? null : this.#walk(letter, place, numbers, row, to);
    for (let index = 0; found === null && index < others.length; index++) {
      const { kind, node } = others[index]!;
      const bytes = this.#bytes;
      const next = readNumber(kind, bytes, place, bytes.length, this.#read, NUMBER_WORDS * numbers);
      if (next >= 0) found = this.#walk(node, next, numbers + 1, row, to);
    }
    return found;
  }
}

/** Whether a node's label stands at `place`. Most bytes of a dump go through here, hence eight at a time. */
function begins<Leaf>(node: Node<Leaf>, bytes: Uint8Array, view: DataView, place: number): boolean {
  const { length } = node;
  if (bytes.length - place < length) return false;
  if (length < PIECE_BYTES) {
    const { label } = node;
    for (let at = 0; at < length; at++) if (bytes[place + at] !== label[at]) return false;
    return true;
  }
  const { pieces } = node;
  const last = pieces.length - 1;
  for (let at = 0; at < last; at++)
    if (view.getFloat64(place + PIECE_BYTES * at, true) !== pieces[at]) return false;
  return view.getFloat64(place + length - PIECE_BYTES, true) === pieces[last];
}

/** Writes a row from the numbers of its text; false when one of them is too great. */
function fill(terms: Uint32Array, read: Uint32Array, row: Uint32Array, to: number): boolean {
  let word = to;
  for (let at = 0; at < terms.length; at += TERM_WORDS) {
    const number = NUMBER_WORDS * terms[at]!;
    const upper = read[number]!;
    const lower = read[number + 1]!;
    const most = terms[at + 2]!;
    if (upper > most || (upper === most && lower > terms[at + 3]!)) return false;
    if (terms[at + 1] === 2) row[word++] = upper & terms[at + 4]!;
    row[word++] = lower & terms[at + 5]!;
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

/** The bytes up to the next number. */
function literalFrom(symbols: Symbols, from: number): number[] {
  let end = from;
  while (end < symbols.length && symbols[end]! < NUMBER_BASE) end++;
  return symbols.slice(from, end);
}
