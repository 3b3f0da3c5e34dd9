/**
 * The routes of an intent that is edited: columns as in types.ts, a row by prefix, and numbered next hops. A
 * next hop without routes is free, and its number is used again by a later edit.
 */
import { ipv4FromBits, type Prefix } from "../wire/index.ts";
import { type IntentChange, NO_NEXT_HOP, type Route } from "./edit.ts";
import { LABELS_MAX } from "./limits.ts";
import type { NextHop, Routes } from "./types.ts";

const FIRST_ROOM = 64;

export const hopKey = ({ labels, via }: NextHop): string => `${via} ${labels.join("/")}`;
export const prefixKey = ({ address, length }: Prefix): number => address * 64 + length;

/** The key of a row of columns. */
export const rowKey = (address: number, length: number): number =>
  prefixKey({ address: ipv4FromBits(address), length });

export class EditableRoutes {
  count = 0;
  #prefixes = new Uint32Array(FIRST_ROOM);
  #lengths = new Uint8Array(FIRST_ROOM);
  #nextHopOf = new Uint32Array(FIRST_ROOM);
  readonly #rowOf = new Map<number, number>();
  readonly #nextHops: NextHop[];
  /** Routes to each next hop. */
  readonly #uses: number[];
  readonly #numberOf: Map<string, number>;
  #free: number[] = [];
  /** Next hops in use by the number of their labels. */
  readonly #depths = new Array<number>(LABELS_MAX + 1).fill(0);

  constructor({ count, prefixes, lengths, nextHopOf, nextHops }: Routes) {
    this.#nextHops = [...nextHops];
    this.#uses = nextHops.map(() => 0);
    this.#numberOf = new Map(nextHops.map((hop, index) => [hopKey(hop), index]));
    this.#prefixes = prefixes.slice(0, count);
    this.#lengths = lengths.slice(0, count);
    this.#nextHopOf = nextHopOf.slice(0, count);
    this.count = count;
    for (let row = 0; row < count; row++) {
      this.#rowOf.set(rowKey(prefixes[row]!, lengths[row]!), row);
      this.#use(nextHopOf[row]!, 1);
    }
    for (const [index, uses] of this.#uses.entries()) if (uses === 0) this.#forget(index);
  }

  get mostLabels(): number {
    return Math.max(
      this.#depths.findLastIndex(uses => uses > 0),
      0,
    );
  }

  get nextHopCount(): number {
    return this.#numberOf.size;
  }

  has(prefix: Prefix): boolean {
    return this.#rowOf.has(prefixKey(prefix));
  }

  /** The next hop of a prefix; null if there is no route to it. */
  hopOf(prefix: Prefix): NextHop | null {
    const row = this.#rowOf.get(prefixKey(prefix));
    return row === undefined ? null : this.#nextHops[this.#nextHopOf[row]!]!;
  }

  /** Makes the changes. A next hop that loses its last route is free for the next edit, not for this one. */
  apply(set: readonly Route[], remove: readonly Prefix[]): Pick<IntentChange, "nextHops" | "routes"> {
    const nextHops: { index: number; hop: NextHop }[] = [];
    const rows = new Uint32Array(3 * (set.length + remove.length));
    const released = new Set<number>();
    let at = 0;
    const put = ({ address, length }: Prefix, nextHop: number): void => {
      rows[at++] = address;
      rows[at++] = length;
      rows[at++] = nextHop;
    };
    for (const prefix of remove) {
      const row = this.#rowOf.get(prefixKey(prefix));
      if (row === undefined) continue;
      released.add(this.#nextHopOf[row]!);
      this.#use(this.#nextHopOf[row]!, -1);
      this.#removeRow(row);
      put(prefix, NO_NEXT_HOP);
    }
    for (const route of set) {
      const index = this.#intern(route, nextHops);
      const row = this.#rowOf.get(prefixKey(route));
      if (row !== undefined && this.#nextHopOf[row] === index) continue;
      if (row === undefined) this.#addRow(route, index);
      else {
        released.add(this.#nextHopOf[row]!);
        this.#use(this.#nextHopOf[row]!, -1);
        this.#nextHopOf[row] = index;
      }
      this.#use(index, 1);
      put(route, index);
    }
    for (const index of released) if (this.#uses[index] === 0) this.#forget(index);
    return { nextHops, routes: rows.subarray(0, at) };
  }

  /** A copy of the columns, without the next hops that have no routes. */
  toRoutes(): Routes {
    const prefixes = this.#prefixes.slice(0, this.count);
    const lengths = this.#lengths.slice(0, this.count);
    const nextHopOf = this.#nextHopOf.slice(0, this.count);
    if (this.#free.length === 0)
      return { count: this.count, prefixes, lengths, nextHopOf, nextHops: [...this.#nextHops] };
    const numbers = new Uint32Array(this.#nextHops.length);
    const nextHops: NextHop[] = [];
    for (const [index, hop] of this.#nextHops.entries())
      if (this.#uses[index]! > 0) numbers[index] = nextHops.push(hop) - 1;
    return {
      count: this.count,
      prefixes,
      lengths,
      nextHopOf: nextHopOf.map(index => numbers[index]!),
      nextHops,
    };
  }

  #intern({ labels, via }: Route, added: { index: number; hop: NextHop }[]): number {
    const hop = { labels, via };
    const key = hopKey(hop);
    const known = this.#numberOf.get(key);
    if (known !== undefined) return known;
    const index = this.#free.pop() ?? this.#nextHops.length;
    this.#nextHops[index] = hop;
    this.#uses[index] = 0;
    this.#numberOf.set(key, index);
    added.push({ index, hop });
    return index;
  }

  #use(index: number, by: number): void {
    const before = this.#uses[index]!;
    this.#uses[index] = before + by;
    const depth = this.#nextHops[index]!.labels.length;
    if (before === 0 || before + by === 0) this.#depths[depth]! += by;
  }

  #forget(index: number): void {
    this.#numberOf.delete(hopKey(this.#nextHops[index]!));
    this.#free.push(index);
  }

  #addRow(route: Route, nextHop: number): void {
    const row = this.count++;
    if (row >= this.#prefixes.length) this.#grow(Math.max(FIRST_ROOM, row * 2));
    this.#prefixes[row] = route.address;
    this.#lengths[row] = route.length;
    this.#nextHopOf[row] = nextHop;
    this.#rowOf.set(prefixKey(route), row);
  }

  /** Moves the last row to the place of the removed one. */
  #removeRow(row: number): void {
    const last = --this.count;
    const keyOf = (at: number): number => rowKey(this.#prefixes[at]!, this.#lengths[at]!);
    this.#rowOf.delete(keyOf(row));
    if (row === last) return;
    this.#rowOf.set(keyOf(last), row);
    this.#prefixes[row] = this.#prefixes[last]!;
    this.#lengths[row] = this.#lengths[last]!;
    this.#nextHopOf[row] = this.#nextHopOf[last]!;
  }

  #grow(room: number): void {
    const before = { prefixes: this.#prefixes, lengths: this.#lengths, nextHopOf: this.#nextHopOf };
    this.#prefixes = new Uint32Array(room);
    this.#lengths = new Uint8Array(room);
    this.#nextHopOf = new Uint32Array(room);
    this.#prefixes.set(before.prefixes);
    this.#lengths.set(before.lengths);
    this.#nextHopOf.set(before.nextHopOf);
  }
}
