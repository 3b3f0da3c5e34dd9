/**
 * Routes as columns of typed arrays: one row a route, with the prefix, the number of the next hop, and the
 * route's place in its file. Duplicate prefixes and equal next hops are found by open addressing, so that a
 * million routes need no objects and no Map entries.
 */
import { formatIpv4, macFromBits, type Prefix } from "../wire/index.ts";
import type { Place } from "./diagnostics.ts";
import type { NextHop, Routes } from "./types.ts";
import { martianOf } from "./values.ts";

/** One route before it is added. `via` is split into halves of 24 bits; absent labels are 0. */
export interface RouteRow {
  prefix: number;
  length: number;
  labels: [number, number, number];
  viaHigh: number;
  viaLow: number;
}

/** The row of a route whose values are valid. */
export function rowOf({ address, length }: Prefix, hop: NextHop): RouteRow {
  const [a, b, c] = hop.labels;
  return {
    prefix: address,
    length,
    labels: [a ?? 0, b ?? 0, c ?? 0],
    viaHigh: Math.floor(hop.via / 2 ** 24),
    viaLow: hop.via % 2 ** 24,
  };
}

/**
 * Final mix of MurmurHash3: all bits of the input reach all bits of the result, so that neighbours spread.
 */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A power of two that keeps `count` entries at most half full. */
function slotsFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(count, 8) * 2));
}

function grown<A extends Uint8Array | Uint32Array>(column: A, size: number): A {
  const next = new (column.constructor as new (size: number) => A)(size);
  next.set(column);
  return next;
}

/** Distinct next hops, four words each, numbered in the order of their first use. */
class NextHopTable {
  count = 0;
  #words = new Uint32Array(4 * 64);
  #slots = new Uint32Array(slotsFor(64));

  /** The number of a next hop, new or known. */
  intern(row: RouteRow): number {
    // By index: destructuring an array runs its iterator, which takes longer than all else in this method.
    const a = row.labels[0];
    const b = row.labels[1];
    const c = row.labels[2];
    // Three labels of 20 bits in two words, then the two halves of the MAC.
    const w0 = (a | (b << 20)) >>> 0;
    const w1 = (b >>> 12) | (c << 8);
    let slot = this.#hash(w0, w1, row.viaHigh, row.viaLow);
    const mask = this.#slots.length - 1;
    for (;;) {
      const entry = this.#slots[slot]!;
      if (entry === 0) break;
      const at = (entry - 1) * 4;
      const words = this.#words;
      const same = words[at] === w0 && words[at + 1] === w1;
      if (same && words[at + 2] === row.viaHigh && words[at + 3] === row.viaLow) return entry - 1;
      slot = (slot + 1) & mask;
    }
    if (this.count * 2 >= this.#slots.length) {
      this.#rehash();
      return this.intern(row);
    }
    const number = this.count++;
    if (number * 4 >= this.#words.length) this.#words = grown(this.#words, this.#words.length * 2);
    const free = number * 4;
    this.#words[free] = w0;
    this.#words[free + 1] = w1;
    this.#words[free + 2] = row.viaHigh;
    this.#words[free + 3] = row.viaLow;
    this.#slots[slot] = number + 1;
    return number;
  }

  toList(): NextHop[] {
    const list: NextHop[] = [];
    for (let at = 0; at < this.count * 4; at += 4) {
      const w0 = this.#words[at]!;
      const w1 = this.#words[at + 1]!;
      const labels = [w0 & 0xfffff, (w0 >>> 20) | ((w1 & 0xff) << 12), w1 >>> 8].filter(label => label !== 0);
      list.push({ labels, via: macFromBits(this.#words[at + 2]! * 2 ** 24 + this.#words[at + 3]!) });
    }
    return list;
  }

  #hash(w0: number, w1: number, w2: number, w3: number): number {
    return mix(mix(mix(w0) ^ w1) ^ Math.imul(w2, 0x9e3779b1) ^ w3) & (this.#slots.length - 1);
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const words = this.#words;
    for (let number = 0; number < this.count; number++) {
      const at = number * 4;
      let slot = this.#hash(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = number + 1;
    }
  }
}

/** All routes of an intent: those of `routes` first, then those of the routesFile, each with its place. */
export class RouteTable {
  count = 0;
  #prefixes = new Uint32Array(64);
  #lengths = new Uint8Array(64);
  #nextHopOf = new Uint32Array(64);
  #lines = new Uint32Array(64);
  #cols = new Uint32Array(64);
  #slots = new Uint32Array(slotsFor(64));
  readonly #nextHops = new NextHopTable();

  /** Allocates the columns for `count` routes in total. */
  reserve(count: number): void {
    if (count > this.#prefixes.length) this.#resize(count);
  }

  get nextHopCount(): number {
    return this.#nextHops.count;
  }

  /** Adds a route and returns -1; if a row has the same prefix, returns that row and adds nothing. */
  add(row: RouteRow, line: number, col: number): number {
    const slot = this.#slotOf(row.prefix, row.length);
    const entry = this.#slots[slot]!;
    if (entry !== 0) return entry - 1;
    if (this.count === this.#prefixes.length) {
      this.#resize(this.count * 2);
      return this.add(row, line, col);
    }
    const index = this.count++;
    this.#slots[slot] = index + 1;
    this.#prefixes[index] = row.prefix;
    this.#lengths[index] = row.length;
    this.#lines[index] = line;
    this.#cols[index] = col;
    this.#nextHopOf[index] = this.#nextHops.intern(row);
    return -1;
  }

  /** The row of a prefix, or -1. */
  find(prefix: number, length: number): number {
    return this.#slots[this.#slotOf(prefix, length)]! - 1;
  }

  /** Rows inside a martian block, with the block as text. */
  martians(): { index: number; block: string }[] {
    const found: { index: number; block: string }[] = [];
    for (let index = 0; index < this.count; index++) {
      const top = this.#prefixes[index]! >>> 24;
      // A cheap test first: it runs for a million rows.
      if (top !== 0 && top !== 127 && top < 224) continue;
      const block = martianOf(this.#prefixes[index]!, this.#lengths[index]!);
      if (block !== null) found.push({ index, block });
    }
    return found;
  }

  place(index: number): Place {
    return this.places()(index);
  }

  /** The place of each row; valid after the table is gone. */
  places(): (index: number) => Place {
    const lines = this.#lines;
    const cols = this.#cols;
    return index => ({ line: lines[index]!, column: cols[index]! });
  }

  text(index: number): string {
    return `${formatIpv4(this.#prefixes[index]!)}/${this.#lengths[index]!}`;
  }

  /** The columns, cut to size. */
  toRoutes(): Routes {
    return {
      count: this.count,
      prefixes: this.#prefixes.slice(0, this.count),
      lengths: this.#lengths.slice(0, this.count),
      nextHopOf: this.#nextHopOf.slice(0, this.count),
      nextHops: this.#nextHops.toList(),
    };
  }

  /** The slot of a prefix, or the free slot in which to store it. */
  #slotOf(prefix: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = mix(prefix ^ Math.imul(length + 1, 0x9e3779b1)) & mask;
    for (;;) {
      const entry = slots[slot]!;
      if (entry === 0) return slot;
      if (this.#prefixes[entry - 1] === prefix && this.#lengths[entry - 1] === length) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #resize(count: number): void {
    this.#prefixes = grown(this.#prefixes, count);
    this.#lengths = grown(this.#lengths, count);
    this.#nextHopOf = grown(this.#nextHopOf, count);
    this.#lines = grown(this.#lines, count);
    this.#cols = grown(this.#cols, count);
    this.#slots = new Uint32Array(slotsFor(count));
    for (let index = 0; index < this.count; index++) {
      this.#slots[this.#slotOf(this.#prefixes[index]!, this.#lengths[index]!)] = index + 1;
    }
  }
}
