/**
 * Routes as columns, and the reader of a routesFile. A million lines are read from bytes without a string, a number
 * object or a Map entry a line: `fastLine` recognises the plain form of a line, and whatever it does not recognise goes
 * to `slowLine`, which is the obvious reader, decides alone what is wrong and words it. So a line is valid when
 * slowLine says so, and fastLine is only quick (a test runs both on the same lines). Duplicates and next hops are found
 * by open addressing over typed arrays.
 */
import { formatIpv4, maskOf } from "../wire/index.ts";
import { type Bag, type Place, printable, quoted } from "./diagnostics.ts";
import { formatCount, LABELS_MAX, type Limits } from "./limits.ts";
import type { FileBytes } from "./read.ts";
import type { NextHop, Routes } from "./types.ts";
import { Fault, LABEL, martianOf, readLabel, readMac, readPrefix } from "./values.ts";

/** One route on its way into the table. `via` is split in halves of 24 bits, labels that are absent are 0. */
interface Row {
  prefix: number;
  length: number;
  labels: [number, number, number];
  viaHigh: number;
  viaLow: number;
}

/** Final mix of MurmurHash3: all bits of the input reach all bits of the result, so that neighbours spread. */
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

/** Distinct next hops: four words each, numbered in the order of their first use. */
class NextHopTable {
  count = 0;
  private words = new Uint32Array(4 * 64);
  private slots = new Uint32Array(slotsFor(64));

  /** The number of a next hop, new or known. */
  intern(row: Row): number {
    // By index: destructuring an array runs its iterator, which took longer than everything else here.
    const a = row.labels[0];
    const b = row.labels[1];
    const c = row.labels[2];
    // Three labels of 20 bits in two words, then the two halves of the MAC.
    const w0 = (a | (b << 20)) >>> 0;
    const w1 = (b >>> 12) | (c << 8);
    let slot = this.hash(w0, w1, row.viaHigh, row.viaLow);
    const mask = this.slots.length - 1;
    for (;;) {
      const entry = this.slots[slot]!;
      if (entry === 0) break;
      const at = (entry - 1) * 4;
      const words = this.words;
      const same = words[at] === w0 && words[at + 1] === w1;
      if (same && words[at + 2] === row.viaHigh && words[at + 3] === row.viaLow) return entry - 1;
      slot = (slot + 1) & mask;
    }
    if (this.count * 2 >= this.slots.length) {
      this.rehash();
      return this.intern(row);
    }
    const number = this.count++;
    if (number * 4 >= this.words.length) this.words = grown(this.words, this.words.length * 2);
    const free = number * 4;
    this.words[free] = w0;
    this.words[free + 1] = w1;
    this.words[free + 2] = row.viaHigh;
    this.words[free + 3] = row.viaLow;
    this.slots[slot] = number + 1;
    return number;
  }

  toList(): NextHop[] {
    const list: NextHop[] = [];
    for (let at = 0; at < this.count * 4; at += 4) {
      const w0 = this.words[at]!;
      const w1 = this.words[at + 1]!;
      const labels = [w0 & 0xfffff, (w0 >>> 20) | ((w1 & 0xff) << 12), w1 >>> 8].filter(label => label !== 0);
      list.push({ labels, via: this.words[at + 2]! * 2 ** 24 + this.words[at + 3]! });
    }
    return list;
  }

  private hash(w0: number, w1: number, w2: number, w3: number): number {
    return mix(mix(mix(w0) ^ w1) ^ Math.imul(w2, 0x9e3779b1) ^ w3) & (this.slots.length - 1);
  }

  private rehash(): void {
    this.slots = new Uint32Array(this.slots.length * 2);
    const words = this.words;
    for (let number = 0; number < this.count; number++) {
      const at = number * 4;
      let slot = this.hash(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      while (this.slots[slot] !== 0) slot = (slot + 1) & (this.slots.length - 1);
      this.slots[slot] = number + 1;
    }
  }
}

/** All routes of an intent: the inline ones first, then those of the routesFile, each with its place. */
export class RouteTable {
  count = 0;
  private prefixes = new Uint32Array(64);
  private lengths = new Uint8Array(64);
  private nextHopOf = new Uint32Array(64);
  private lines = new Uint32Array(64);
  private cols = new Uint32Array(64);
  private slots = new Uint32Array(slotsFor(64));
  private readonly nextHops = new NextHopTable();

  /** Makes room for `count` routes in all, so that nothing grows on the way. */
  reserve(count: number): void {
    if (count > this.prefixes.length) this.resize(count);
  }

  get nextHopCount(): number {
    return this.nextHops.count;
  }

  /** Adds a route; gives -1, or the row that has the same prefix already (then nothing is added). */
  add(row: Row, line: number, col: number): number {
    const slot = this.slotOf(row.prefix, row.length);
    const entry = this.slots[slot]!;
    if (entry !== 0) return entry - 1;
    if (this.count === this.prefixes.length) {
      this.resize(this.count * 2);
      return this.add(row, line, col);
    }
    const index = this.count++;
    this.slots[slot] = index + 1;
    this.prefixes[index] = row.prefix;
    this.lengths[index] = row.length;
    this.lines[index] = line;
    this.cols[index] = col;
    this.nextHopOf[index] = this.nextHops.intern(row);
    return -1;
  }

  /** The row of a prefix, or -1. */
  find(prefix: number, length: number): number {
    return this.slots[this.slotOf(prefix, length)]! - 1;
  }

  /** Rows that lie inside a martian block, with that block's text. */
  martians(): { index: number; block: string }[] {
    const found: { index: number; block: string }[] = [];
    for (let index = 0; index < this.count; index++) {
      const top = this.prefixes[index]! >>> 24;
      // The cheap question first: a million rows are asked.
      if (top !== 0 && top !== 127 && top < 224) continue;
      const block = martianOf(this.prefixes[index]!, this.lengths[index]!);
      if (block !== null) found.push({ index, block });
    }
    return found;
  }

  place(index: number): Place {
    return this.places()(index);
  }

  /** Where each row stands; outlives the table. */
  places(): (index: number) => Place {
    const { lines, cols } = this;
    return index => ({ line: lines[index]!, column: cols[index]! });
  }

  text(index: number): string {
    return `${formatIpv4(this.prefixes[index]!)}/${this.lengths[index]!}`;
  }

  /** The finished columns, cut to size. */
  toRoutes(): Routes {
    return {
      count: this.count,
      prefixes: this.prefixes.slice(0, this.count),
      lengths: this.lengths.slice(0, this.count),
      nextHopOf: this.nextHopOf.slice(0, this.count),
      nextHops: this.nextHops.toList(),
    };
  }

  /** The slot that holds a prefix, or the free one where it belongs. */
  private slotOf(prefix: number, length: number): number {
    const slots = this.slots;
    const mask = slots.length - 1;
    let slot = mix(prefix ^ Math.imul(length + 1, 0x9e3779b1)) & mask;
    for (;;) {
      const entry = slots[slot]!;
      if (entry === 0) return slot;
      if (this.prefixes[entry - 1] === prefix && this.lengths[entry - 1] === length) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private resize(count: number): void {
    this.prefixes = grown(this.prefixes, count);
    this.lengths = grown(this.lengths, count);
    this.nextHopOf = grown(this.nextHopOf, count);
    this.lines = grown(this.lines, count);
    this.cols = grown(this.cols, count);
    this.slots = new Uint32Array(slotsFor(count));
    for (let index = 0; index < this.count; index++) {
      this.slots[this.slotOf(this.prefixes[index]!, this.lengths[index]!)] = index + 1;
    }
  }
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const HASH = 0x23;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const COLON = 0x3a;

/** The value of a hex digit, or 256, which makes any octet it gets into too large. */
const HEX = new Uint16Array(256).fill(256);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** A line without its comment is longer only by mistake. */
const LINE_MAX_BYTES = 1024;
/** Bytes of a short route line, for the first guess of how many there are. */
const LINE_GUESS_BYTES = 32;

/** Who reads the lines: `slow` is for the test that compares the two. */
export type LineReading = "fast" | "slow";

/**
 * Reads the lines of one routesFile. Use: `new RoutesScanner(bytes).scan(onRoute, onFault)`. Each problem gives the
 * column where it stands; a route gives its row, which is the same object every time.
 */
class RoutesScanner {
  readonly row: Row = { prefix: 0, length: 0, labels: [0, 0, 0], viaHigh: 0, viaLow: 0 };
  /** Where the scanner is, in bytes. */
  private at = 0;
  private readonly bytes: Uint8Array;
  private readonly end: number;

  constructor(file: FileBytes) {
    this.bytes = file.bytes;
    this.end = file.length;
    const [a, b, c] = file.bytes;
    if (file.length >= 3 && a === 0xef && b === 0xbb && c === 0xbf) this.at = 3;
  }

  /** `onRoute(line, col)` and `onFault(line, col, message)` give false to stop. */
  scan(
    reading: LineReading,
    onRoute: (line: number, col: number) => boolean,
    onFault: (line: number, col: number, message: string) => boolean,
  ): void {
    for (let line = 1; this.at < this.end; line++) {
      const start = this.at;
      let col = reading === "fast" ? this.fastLine(start) : FAST_UNSURE;
      if (col === FAST_UNSURE) {
        const slow = this.slowLine(start);
        if (slow instanceof LineFault) {
          if (!onFault(line, slow.col, slow.message)) return;
          continue;
        }
        col = slow;
      }
      if (col !== FAST_BLANK && !onRoute(line, col)) return;
    }
  }

  /**
   * Reads a plain line into `row` and steps behind it: gives the prefix's column, FAST_BLANK for a line without a
   * route, or FAST_UNSURE (and stays) for anything else. The newline behind the last byte ends every loop.
   */
  private fastLine(start: number): number {
    this.at = start;
    this.blanks();
    const col = this.at - start + 1;
    if (this.lineEnds()) return FAST_BLANK;
    const good = this.fastPrefix() && this.blanks() && this.fastLabels() && this.blanks() && this.fastMac();
    if (good) {
      this.blanks();
      if (this.lineEnds()) return col;
    }
    this.at = start;
    return FAST_UNSURE;
  }

  /** Skips blanks; true if there was one. */
  private blanks(): boolean {
    const bytes = this.bytes;
    const start = this.at;
    let at = start;
    while (bytes[at] === SPACE || bytes[at] === TAB) at++;
    this.at = at;
    return at > start;
  }

  /** Steps behind the line's end, and the comment before it, if either is next. */
  private lineEnds(): boolean {
    const bytes = this.bytes;
    let at = this.at;
    if (bytes[at] === HASH) at = this.newlineFrom(at);
    else if (bytes[at] === RETURN && bytes[at + 1] === NEWLINE) at++;
    if (bytes[at] !== NEWLINE) return false;
    this.at = at + 1;
    return true;
  }

  private newlineFrom(at: number): number {
    return this.bytes.indexOf(NEWLINE, at);
  }

  /** A decimal number without leading zero, of at most `digits` digits; -1 if there is none. */
  private decimal(digits: number): number {
    const bytes = this.bytes;
    const start = this.at;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9 || at - start === digits) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === start || (bytes[start] === ZERO && at - start > 1)) return -1;
    this.at = at;
    return value;
  }

  /** Written out with local variables: four calls of `decimal` here cost a fifth of the whole time. */
  private fastPrefix(): boolean {
    const bytes = this.bytes;
    let at = this.at;
    let address = 0;
    for (let octet = 0; octet < 4; octet++) {
      let value = bytes[at]! - ZERO;
      if (value < 0 || value > 9) return false;
      for (let digits = 1; ; digits++) {
        const digit = bytes[++at]! - ZERO;
        if (digit < 0 || digit > 9) break;
        if (value === 0 || digits === 3) return false;
        value = value * 10 + digit;
      }
      if (value > 255 || bytes[at++] !== (octet === 3 ? SLASH : DOT)) return false;
      address = (address << 8) | value;
    }
    this.at = at;
    const length = this.decimal(2);
    if (length < 0 || length > 32 || (address & ~maskOf(length)) !== 0) return false;
    this.row.prefix = address >>> 0;
    this.row.length = length;
    return true;
  }

  private fastLabels(): boolean {
    const labels = this.row.labels;
    labels[0] = labels[1] = labels[2] = 0;
    if (this.bytes[this.at] === DASH) {
      this.at++;
      return true;
    }
    for (let index = 0; index < LABELS_MAX; index++) {
      const label = this.decimal(7);
      if (label < LABEL.min || label > LABEL.max) return false;
      labels[index] = label;
      if (this.bytes[this.at] !== SLASH) return true;
      this.at++;
    }
    return false;
  }

  private fastMac(): boolean {
    const bytes = this.bytes;
    let at = this.at;
    let high = 0;
    let low = 0;
    for (let octet = 0; octet < 6; octet++) {
      const value = (HEX[bytes[at]!]! << 4) | HEX[bytes[at + 1]!]!;
      if (value > 255 || (octet < 5 && bytes[at + 2] !== COLON)) return false;
      if (octet < 3) high = (high << 8) | value;
      else low = (low << 8) | value;
      at += octet < 5 ? 3 : 2;
    }
    if ((high & 0x10000) !== 0 || (high | low) === 0) return false;
    this.at = at;
    this.row.viaHigh = high;
    this.row.viaLow = low;
    return true;
  }

  /** Reads any line: its column into the route, FAST_BLANK, or what is wrong with it. Always steps behind the line. */
  private slowLine(start: number): number | LineFault {
    const newline = this.newlineFrom(start);
    this.at = newline + 1;
    const comment = this.bytes.subarray(start, newline).indexOf(HASH);
    const end = comment < 0 ? newline : start + comment;
    if (end - start > LINE_MAX_BYTES && !this.isBlank(start, end)) {
      return new LineFault(1, `the line is longer than ${formatCount(LINE_MAX_BYTES)} bytes; ${WANTED}`);
    }
    const text = decoder.decode(this.bytes.subarray(start, end)).replace(/\r$/, "");
    if (text.includes("\0")) return new LineFault(text.indexOf("\0") + 1, BINARY);
    const words = [...text.matchAll(/[^ \t]+/g)].map(match => ({ text: match[0], col: match.index + 1 }));
    if (words.length === 0) return FAST_BLANK;
    return fillRow(this.row, words) ?? words[0]!.col;
  }

  private isBlank(start: number, end: number): boolean {
    return this.bytes.subarray(start, end).every(byte => byte === SPACE || byte === TAB || byte === RETURN);
  }
}

const FAST_BLANK = 0;
const FAST_UNSURE = -1;
const WANTED = "one route a line: PREFIX LABELS VIA";
const BINARY = "a zero byte stands here; a routes file is plain text, not compressed and in UTF-8";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class LineFault {
  constructor(
    readonly col: number,
    readonly message: string,
  ) {}
}

interface Word {
  readonly text: string;
  readonly col: number;
}

/** The obvious reading of a line's words into `row`; gives what is wrong, or null. */
function fillRow(row: Row, words: readonly Word[]): LineFault | null {
  const [first, second, third, fourth] = words;
  const prefix = readPrefix(first!.text);
  if (prefix instanceof Fault) return new LineFault(first!.col, `prefix: ${prefix.message}`);
  const behind = (word: Word): number => word.col + word.text.length;
  if (second === undefined) {
    return new LineFault(behind(first!), `labels and via are missing; ${WANTED}, with - for no labels`);
  }
  const labels = readLabels(second);
  if (labels instanceof LineFault) return labels;
  if (third === undefined) {
    return new LineFault(behind(second), `via is missing; ${WANTED}, with the next hop's MAC address as VIA`);
  }
  const via = readMac(third.text);
  if (via instanceof Fault) return new LineFault(third.col, `via: ${via.message}`);
  if (fourth !== undefined) {
    return new LineFault(
      fourth.col,
      `${quoted(fourth.text)} is one word too many; ${WANTED}, then # for a comment`,
    );
  }
  row.prefix = prefix.prefix;
  row.length = prefix.length;
  row.labels = [labels[0] ?? 0, labels[1] ?? 0, labels[2] ?? 0];
  row.viaHigh = Math.floor(via / 2 ** 24);
  row.viaLow = via % 2 ** 24;
  return null;
}

function readLabels(word: Word): number[] | LineFault {
  if (word.text === "-") return [];
  const parts = word.text.split("/");
  const labels: number[] = [];
  let col = word.col;
  for (const part of parts) {
    const label = readLabel(part);
    if (label instanceof Fault) {
      const hint =
        part === word.text && !/^\d+$/.test(part) ? ", several are joined as in 2002/3003, none is -" : "";
      return new LineFault(col, `labels: ${label.message}${hint}`);
    }
    labels.push(label);
    col += part.length + 1;
  }
  if (labels.length <= LABELS_MAX) return labels;
  return new LineFault(word.col, `labels: ${labels.length} are too many; Open vSwitch holds ${LABELS_MAX}`);
}

/** Where the rows of a table come from: rows below `inlineCount` from the intent, the others from the routesFile. */
export interface RouteFiles {
  readonly intentFile: string;
  readonly routesFile: string;
  readonly inlineCount: number;
}

/** The file that row `index` came from. */
export function fileOf(files: RouteFiles, index: number): string {
  return index < files.inlineCount ? files.intentFile : files.routesFile;
}

/** Adds the routes of a routesFile to the table; problems go to `errors`. */
export function readRoutes(
  file: FileBytes,
  files: RouteFiles,
  table: RouteTable,
  errors: Bag,
  limits: Limits,
  reading: LineReading = "fast",
): void {
  const guess = Math.min(Math.ceil(file.length / LINE_GUESS_BYTES), limits.routes);
  table.reserve(table.count + guess);
  const scanner = new RoutesScanner(file);
  const name = files.routesFile;
  const onRoute = (line: number, col: number): boolean => {
    const twin = table.add(scanner.row, line, col);
    if (twin >= 0) {
      errors.add(name, { line, column: col }, () => `prefix: ${usedTwice(table, twin, files, name)}`);
      return true;
    }
    const full = tableIsFull(table, limits);
    if (full === null) return true;
    errors.add(name, { line, column: col }, full);
    return false;
  };
  const onFault = (line: number, col: number, message: string): boolean => {
    errors.add(name, { line, column: col }, message);
    return message !== BINARY;
  };
  scanner.scan(reading, onRoute, onFault);
}

/** What a table over its limits is refused with, or null. */
export function tableIsFull(table: RouteTable, limits: Limits): string | null {
  if (table.count > limits.routes)
    return `a route too many; an intent holds ${formatCount(limits.routes)} of them`;
  if (table.nextHopCount <= limits.nextHops) return null;
  return `a next hop too many; an intent holds ${formatCount(limits.nextHops)} distinct pairs of labels and via`;
}

/** `203.0.113.0/24 is used twice, first at routes.txt:12; …` */
export function usedTwice(table: RouteTable, twin: number, files: RouteFiles, here: string): string {
  const file = fileOf(files, twin);
  const line = table.place(twin).line;
  const first = file === here ? `line ${line}` : `${printable(file, 200)}:${line}`;
  return `${table.text(twin)} is used twice, first at ${first}; a prefix has one route`;
}

/** A row from values that were checked before. */
export function rowOf(prefix: number, length: number, hop: NextHop): Row {
  const [a, b, c] = hop.labels;
  return {
    prefix,
    length,
    labels: [a ?? 0, b ?? 0, c ?? 0],
    viaHigh: Math.floor(hop.via / 2 ** 24),
    viaLow: hop.via % 2 ** 24,
  };
}
