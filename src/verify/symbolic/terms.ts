/**
 * Symbolic values: what a 32-bit word of a flow key is, as a list of segments over *atoms* (bits of the input),
 * *columns* (one value for every element of a rowSet, see path.ts) and constants. Actions only copy, cut, join and
 * decrement, so that these few forms are all there is. Words are made once for every text (hash-consed): two words
 * that are built alike are the same object, and equality costs nothing.
 */
import { unreachable } from "../../wire/index.ts";

/** An input of the machine: a word of the frame's key as it was read. */
export interface Atom {
  readonly id: number;
  readonly name: string;
  /** Which extraction of the frame it belongs to: 0 the first, further ones after labels were popped. */
  readonly extraction: number;
  /** Word of the key. */
  readonly word: number;
  /** Bits that can be anything but 0; they begin at bit 0. */
  readonly bits: number;
  /** Of an atom that is no input: what its one bit says of others. */
  readonly condition?: Condition;
}

/** The bits of `mask` of an atom have the values of `value`. */
export interface Literal {
  readonly atom: Atom;
  readonly mask: number;
  readonly value: number;
}

/** A cube over bits that are no conditions themselves. */
export type Case = readonly Literal[];

export type Condition =
  | { readonly is: "any"; readonly cases: readonly Case[] }
  | { readonly is: "all"; readonly of: readonly Atom[] };

/** The extraction and the word of a condition: none. */
const NOWHERE = -1;

/** Values that differ from element to element of one rowSet. */
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

  /** By element; for elements that no path of the rowSet has, anything. Made when they are first asked for. */
  get values(): Uint32Array {
    this.#values ??= this.#make();
    return this.#values;
  }
}

/** `bits` bits from bit `from` of what `ref` names; for constants the value itself. Lowest bits first in a list. */
export type Segment =
  | { readonly is: "const"; readonly bits: number; readonly value: number }
  | { readonly is: "atom"; readonly bits: number; readonly from: number; readonly atom: Atom }
  | { readonly is: "column"; readonly bits: number; readonly from: number; readonly column: Column }
  /** A TTL after `by` decrements: eight bits of an atom from `at` on, less `by`. */
  | {
      readonly is: "less";
      readonly bits: number;
      readonly from: number;
      readonly atom: Atom;
      readonly at: number;
      readonly by: number;
    };

/** A word: 32 bits. Those that are not made by `Terms` live for one question only. */
export interface Word {
  readonly id: number;
  readonly segments: readonly Segment[];
  /** The value of a word that is constant, else null. */
  readonly value: number | null;
  /** All its atoms are of the first extraction, or of none. */
  readonly isOfFrame: boolean;
  /** It depends on the elements of a rowSet. */
  readonly hasColumn: boolean;
}

export const maskOf = (bits: number): number => (bits >= 32 ? 0xffffffff : (1 << bits) - 1) >>> 0;

export class Terms {
  readonly atoms: Atom[] = [];
  readonly columns: Column[] = [];
  readonly #words = new Map<string, Word>();
  readonly #constants = new Map<number, Word>();
  readonly #atomNames = new Map<string, Atom>();
  readonly #columnNames = new Map<string, Column>();
  #count = 0;

  /** The atom of this name, made if need be. */
  atom(name: string, extraction: number, word: number, bits: number): Atom {
    let atom = this.#atomNames.get(name);
    if (atom === undefined) {
      atom = { id: this.atoms.length, name, extraction, word, bits };
      this.atoms.push(atom);
      this.#atomNames.set(name, atom);
    }
    return atom;
  }

  /** The atom of a condition of this name, made if need be. */
  condition(name: string, condition: Condition): Atom {
    let atom = this.#atomNames.get(name);
    if (atom === undefined) {
      atom = { id: this.atoms.length, name, extraction: NOWHERE, word: NOWHERE, bits: 1, condition };
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

  /** The word that holds an atom, zero above its bits. */
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
        isOfFrame: joined.every(segment => !("atom" in segment) || segment.atom.extraction <= 0),
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

/** Segments as a word of their own, for one question. */
export const looseWord = (segments: readonly Segment[]): Word => ({
  id: -1,
  segments,
  value: null,
  isOfFrame: false,
  hasColumn: false,
});

export const widthOf = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { bits }) => sum + bits, 0);

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

/** Neighbours that belong together become one; 32 bits in all. */
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

/** Segments of two words, cut to the same lengths; those that are the same are left out. */
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

/** The values at the places that `from` says; 0 for places that there are not. */
export function gathered(values: Uint32Array, from: Int32Array): Uint32Array {
  const out = new Uint32Array(from.length);
  for (let i = 0; i < from.length; i++) out[i] = from[i]! < 0 ? 0 : values[from[i]!]!;
  return out;
}
