/**
 * Terms: symbolic values of the 32-bit words of a flow key. A word is a list of segments over atoms (bits of
 * the input), columns (one value for every element of a row set) and constants. Actions only copy, cut, join
 * and decrement, so these forms are enough. Words are hash-consed: equal words are the same object, and
 * comparing them is free.
 */
import { unreachable } from "../../wire/index.ts";

/** A variable: a word of the flow key as extracted. */
export interface Atom {
  readonly id: number;
  readonly name: string;
  /**
   * The extraction it belongs to: 0 for the incoming frame, later ones after popped labels. Negative: none,
   * so that no frame format constrains it.
   */
  readonly extraction: number;
  /** Index of the word in the key. */
  readonly word: number;
  /** Number of low bits that can be nonzero. */
  readonly bits: number;
  /** Set if the atom is not input: the condition that its one bit stands for. */
  readonly condition?: Condition;
  /** Set if it is part of an answer of the connection tracker: the name of the answer. */
  readonly answer?: string;
  /** The value to give it where any would do; 0 without. */
  readonly preferred?: number;
}

/** The bits of `mask` of an atom equal `value`. */
export interface Literal {
  readonly atom: Atom;
  readonly mask: number;
  readonly value: number;
}

/** A conjunction of literals over atoms that are not conditions themselves. */
export type Case = readonly Literal[];

export type Condition =
  | { readonly is: "any"; readonly cases: readonly Case[] }
  | { readonly is: "all"; readonly of: readonly Atom[] };

/** Extraction and word of a condition; extraction of an answer. */
const NOWHERE = -1;

/** One value for every element of a row set. */
export class Column {
  readonly id: number;
  readonly rowSet: number;
  readonly #make: () => Uint32Array;
  #values: Uint32Array | null = null;

  constructor(id: number, rowSet: number, make: () => Uint32Array) {
    this.id = id;
    this.rowSet = rowSet;
    this.#make = make;
  }

  /** By element; arbitrary for elements that no path has. Computed at first use. */
  get values(): Uint32Array {
    this.#values ??= this.#make();
    return this.#values;
  }
}

/**
 * `bits` bits from bit `from` on of the atom or column; for a constant, the value itself. Lists start with
 * the lowest bits.
 */
export type Segment =
  | { readonly is: "const"; readonly bits: number; readonly value: number }
  | { readonly is: "atom"; readonly bits: number; readonly from: number; readonly atom: Atom }
  | { readonly is: "column"; readonly bits: number; readonly from: number; readonly column: Column }
  /** A TTL after `by` decrements: eight bits of an atom from `at` on, minus `by`. */
  | {
      readonly is: "less";
      readonly bits: number;
      readonly from: number;
      readonly atom: Atom;
      readonly at: number;
      readonly by: number;
    };

/** A 32-bit value. Words not made by `Terms` are temporary. */
export interface Word {
  readonly id: number;
  readonly segments: readonly Segment[];
  /** The value of a constant word, else null. */
  readonly value: number | null;
  /** All atoms belong to the first extraction, or to none, and to no answer. */
  readonly isOfFrame: boolean;
  /** The word depends on the elements of a row set. */
  readonly hasColumn: boolean;
}

/** A text for a list of words: equal texts are the same words. */
export const namesOf = (words: readonly Word[]): string => words.map(({ id }) => id).join(".");

export const maskOf = (bits: number): number => (bits >= 32 ? 0xffffffff : (1 << bits) - 1) >>> 0;

export class Terms {
  readonly atoms: Atom[] = [];
  readonly columns: Column[] = [];
  readonly #words = new Map<string, Word>();
  readonly #constants = new Map<number, Word>();
  readonly #atomNames = new Map<string, Atom>();
  readonly #columnNames = new Map<string, Column>();
  #count = 0;

  /** The atom with this name; created at first use. */
  atom(name: string, extraction: number, word: number, bits: number): Atom {
    let atom = this.#atomNames.get(name);
    if (atom === undefined) {
      atom = { id: this.atoms.length, name, extraction, word, bits };
      this.atoms.push(atom);
      this.#atomNames.set(name, atom);
    }
    return atom;
  }

  /** The atom of a condition with this name; created at first use. */
  condition(name: string, condition: Condition): Atom {
    let atom = this.#atomNames.get(name);
    if (atom === undefined) {
      atom = { id: this.atoms.length, name, extraction: NOWHERE, word: NOWHERE, bits: 1, condition };
      this.atoms.push(atom);
      this.#atomNames.set(name, atom);
    }
    return atom;
  }

  /** A word of an answer of the connection tracker; created at first use. */
  answer(answer: string, word: number, bits: number, preferred: number): Atom {
    const name = `answer ${word} ${answer}`;
    let atom = this.#atomNames.get(name);
    if (atom === undefined) {
      atom = { id: this.atoms.length, name, extraction: NOWHERE, word, bits, answer, preferred };
      this.atoms.push(atom);
      this.#atomNames.set(name, atom);
    }
    return atom;
  }

  column(name: string, rowSet: number, make: () => Uint32Array): Column {
    let column = this.#columnNames.get(name);
    if (column === undefined) {
      column = new Column(this.columns.length, rowSet, make);
      this.columns.push(column);
      this.#columnNames.set(name, column);
    }
    return column;
  }

  constant(value: number): Word {
    const unsigned = value >>> 0;
    let word = this.#constants.get(unsigned);
    if (word === undefined) {
      word = {
        id: this.#count++,
        segments: [{ is: "const", bits: 32, value: unsigned }],
        value: unsigned,
        isOfFrame: true,
        hasColumn: false,
      };
      this.#constants.set(unsigned, word);
    }
    return word;
  }

  /** The word with the value of an atom, zero above its bits. */
  atomWord(atom: Atom): Word {
    return this.word([{ is: "atom", bits: atom.bits, from: 0, atom }]);
  }

  /** The word of these segments, zero-extended. */
  word(segments: readonly Segment[]): Word {
    const joined = joinSegments(segments);
    if (joined.length === 1 && joined[0]!.is === "const") return this.constant(joined[0]!.value);
    const name = joined.map(nameOf).join(" ");
    let word = this.#words.get(name);
    if (word === undefined) {
      word = {
        id: this.#count++,
        segments: joined,
        value: null,
        isOfFrame: joined.every(
          segment =>
            !("atom" in segment) || (segment.atom.extraction <= 0 && segment.atom.answer === undefined),
        ),
        hasColumn: joined.some(segment => segment.is === "column"),
      };
      this.#words.set(name, word);
    }
    return word;
  }

  /** `bits` bits of a word from bit `from` on. */
  slice(word: Word, from: number, bits: number): Segment[] {
    return sliceSegments(word.segments, from, bits);
  }

  /** A word with the bits from `from` on replaced. */
  replace(word: Word, from: number, segments: readonly Segment[]): Word {
    const bits = widthOf(segments);
    return this.word([
      ...this.slice(word, 0, from),
      ...segments,
      ...this.slice(word, from + bits, 32 - from - bits),
    ]);
  }
}

const nameOf = (segment: Segment): string => {
  switch (segment.is) {
    case "const":
      return `${segment.bits}=${segment.value}`;
    case "atom":
      return `${segment.bits}a${segment.atom.id}.${segment.from}`;
    case "column":
      return `${segment.bits}c${segment.column.id}.${segment.from}`;
    case "less":
      return `${segment.bits}l${segment.atom.id}.${segment.at}-${segment.by}.${segment.from}`;
    default:
      return unreachable(segment);
  }
};

/** A temporary word of these segments. */
export const looseWord = (segments: readonly Segment[]): Word => ({
  id: -1,
  segments,
  value: null,
  isOfFrame: false,
  hasColumn: false,
});

const widthOf = (segments: readonly Segment[]): number => segments.reduce((sum, { bits }) => sum + bits, 0);

function cut(segment: Segment, from: number, bits: number): Segment {
  if (segment.is === "const") return { is: "const", bits, value: (segment.value >>> from) & maskOf(bits) };
  return { ...segment, bits, from: segment.from + from };
}

/** `bits` bits from bit `from` on of a list of segments. */
export function sliceSegments(segments: readonly Segment[], from: number, bits: number): Segment[] {
  const out: Segment[] = [];
  let at = 0;
  for (const segment of segments) {
    const start = Math.max(from, at);
    const end = Math.min(from + bits, at + segment.bits);
    if (start < end) out.push(cut(segment, start - at, end - start));
    at += segment.bits;
  }
  const missing = bits - widthOf(out);
  if (missing > 0) out.push({ is: "const", bits: missing, value: 0 });
  return out;
}

/** Merges adjacent segments that belong together, and extends the list to 32 bits. */
function joinSegments(segments: readonly Segment[]): Segment[] {
  const out: Segment[] = [];
  const total = widthOf(segments);
  const all = total < 32 ? [...segments, { is: "const", bits: 32 - total, value: 0 } as const] : segments;
  for (const next of all) {
    if (next.bits === 0) continue;
    const last = out.at(-1);
    const joined = last === undefined ? null : join(last, next);
    if (joined === null) out.push(next);
    else out[out.length - 1] = joined;
  }
  return out;
}

function join(low: Segment, high: Segment): Segment | null {
  const bits = low.bits + high.bits;
  if (low.is === "const" && high.is === "const")
    return { is: "const", bits, value: (low.value | (high.value << low.bits)) >>> 0 };
  if (low.is === "const" || high.is === "const" || high.from !== low.from + low.bits) return null;
  const isSame =
    (low.is === "atom" && high.is === "atom" && low.atom === high.atom) ||
    (low.is === "column" && high.is === "column" && low.column === high.column) ||
    (low.is === "less" &&
      high.is === "less" &&
      low.atom === high.atom &&
      low.at === high.at &&
      low.by === high.by);
  return isSame ? { ...low, bits } : null;
}

/** Segments of a constant of any width, from its 32-bit words, the least significant first. */
export function constantSegments(words: readonly number[], bits: number): Segment[] {
  const out: Segment[] = [];
  for (let at = 0, index = 0; at < bits; at += 32, index++) {
    const count = Math.min(32, bits - at);
    out.push({ is: "const", bits: count, value: (words[index] ?? 0) & maskOf(count) });
  }
  return out.map(segment => (segment.is === "const" ? { ...segment, value: segment.value >>> 0 } : segment));
}

/** Pairs of segments of two words, cut to equal lengths, without those that are identical. */
export function pairsOf(a: Word, b: Word): [Segment, Segment][] {
  const pairs: [Segment, Segment][] = [];
  for (let at = 0; at < 32; ) {
    const [left] = sliceSegments(a.segments, at, 32 - at);
    const [right] = sliceSegments(b.segments, at, 32 - at);
    const bits = Math.min(left!.bits, right!.bits);
    const [l] = sliceSegments([left!], 0, bits);
    const [r] = sliceSegments([right!], 0, bits);
    at += bits;
    if (!isSameSegment(l!, r!)) pairs.push([l!, r!]);
  }
  return pairs;
}

function isSameSegment(a: Segment, b: Segment): boolean {
  if (a.is === "const") return b.is === "const" && a.value === b.value;
  if (b.is === "const" || a.from !== b.from) return false;
  if (a.is === "column") return b.is === "column" && a.column === b.column;
  if (a.is === "atom") return b.is === "atom" && a.atom === b.atom;
  return b.is === "less" && a.atom === b.atom && a.at === b.at && a.by === b.by;
}

/** `values[from[i]]` for each i; 0 where `from[i]` is negative. */
export function gathered(values: Uint32Array, from: Int32Array): Uint32Array {
  const out = new Uint32Array(from.length);
  for (let i = 0; i < from.length; i++) out[i] = from[i]! < 0 ? 0 : values[from[i]!]!;
  return out;
}
