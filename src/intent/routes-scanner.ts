/**
 * Reads the lines of a routesFile (`PREFIX LABELS VIA`, `#` begins a comment) from bytes. The fast reader
 * parses the plain form of a line without a string or object a line, and leaves every other line to the slow
 * reader. The slow reader alone defines which lines are valid, and words the errors; a test compares both on
 * the same lines.
 */
import { maskOf } from "../wire/index.ts";
import { quoted } from "./diagnostics.ts";
import { formatCount, LABELS_MAX } from "./limits.ts";
import type { FileBytes } from "./read.ts";
import { type RouteRow, rowOf } from "./route-table.ts";
import { Fault, LABEL, readLabel, readMac, readPrefix } from "./values.ts";

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

/** The value of a hex digit; 256 for other bytes, which makes the octet too large. */
const HEX = new Uint16Array(256).fill(256);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Longer lines, without their comment, are not valid. */
const LINE_MAX_BYTES = 1024;
/** The reader to use; `slow` alone is for the test that compares the two. */
export type LineReading = "fast" | "slow";

/** Reads the lines of one routesFile: `new RoutesScanner(bytes).scan("fast", onRoute, onFault)`. */
export class RoutesScanner {
  /** The last route: one object, overwritten by each line. */
  readonly row: RouteRow = { prefix: 0, length: 0, labels: [0, 0, 0], viaHigh: 0, viaLow: 0 };
  /** Offset of the next byte. */
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(file: FileBytes) {
    this.#bytes = file.bytes;
    this.#end = file.length;
    const [a, b, c] = file.bytes;
    if (file.length >= 3 && a === 0xef && b === 0xbb && c === 0xbf) this.#at = 3;
  }

  /** Calls one of the two for each line that is not blank; they return false to stop. */
  scan(
    reading: LineReading,
    onRoute: (line: number, col: number) => boolean,
    onFault: (line: number, col: number, message: string) => boolean,
  ): void {
    for (let line = 1; this.#at < this.#end; line++) {
      const start = this.#at;
      let col = reading === "fast" ? this.#fastLine(start) : FAST_UNSURE;
      if (col === FAST_UNSURE) {
        const slow = this.#slowLine(start);
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
   * Reads a plain line into `row` and moves behind it: returns the prefix's column,
   * FAST_BLANK for a line without a route, or FAST_UNSURE (without moving) for anything else.
   * The newline behind the last byte ends every loop.
   */
  #fastLine(start: number): number {
    this.#at = start;
    this.#blanks();
    const col = this.#at - start + 1;
    if (this.#lineEnds()) return FAST_BLANK;
    const good =
      this.#fastPrefix() && this.#blanks() && this.#fastLabels() && this.#blanks() && this.#fastMac();
    if (good) {
      this.#blanks();
      if (this.#lineEnds()) return col;
    }
    this.#at = start;
    return FAST_UNSURE;
  }

  /** Skips blanks; returns whether there was one. */
  #blanks(): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (bytes[at] === SPACE || bytes[at] === TAB) at++;
    this.#at = at;
    return at > start;
  }

  /** Moves behind the end of the line, and the comment before it; false if neither is next. */
  #lineEnds(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    if (bytes[at] === HASH) at = this.#newlineFrom(at);
    else if (bytes[at] === RETURN && bytes[at + 1] === NEWLINE) at++;
    if (bytes[at] !== NEWLINE) return false;
    this.#at = at + 1;
    return true;
  }

  #newlineFrom(at: number): number {
    return this.#bytes.indexOf(NEWLINE, at);
  }

  /** Reads a decimal number without leading zeros, of at most `digits` digits; -1 if there is none. */
  #decimal(digits: number): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9 || at - start === digits) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === start || (bytes[start] === ZERO && at - start > 1)) return -1;
    this.#at = at;
    return value;
  }

  /** Inlined, with local variables: four calls of `decimal` would take a fifth of the whole time. */
  #fastPrefix(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
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
    this.#at = at;
    const length = this.#decimal(2);
    if (length < 0 || length > 32 || (address & ~maskOf(length)) !== 0) return false;
    this.row.prefix = address >>> 0;
    this.row.length = length;
    return true;
  }

  #fastLabels(): boolean {
    const labels = this.row.labels;
    labels[0] = labels[1] = labels[2] = 0;
    if (this.#bytes[this.#at] === DASH) {
      this.#at++;
      return true;
    }
    for (let index = 0; index < LABELS_MAX; index++) {
      const label = this.#decimal(7);
      if (label < LABEL.min || label > LABEL.max) return false;
      labels[index] = label;
      if (this.#bytes[this.#at] !== SLASH) return true;
      this.#at++;
    }
    return false;
  }

  #fastMac(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
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
    this.#at = at;
    this.row.viaHigh = high;
    this.row.viaLow = low;
    return true;
  }

  /** Reads any line and moves behind it: returns the prefix's column, FAST_BLANK, or what is not valid. */
  #slowLine(start: number): number | LineFault {
    const newline = this.#newlineFrom(start);
    this.#at = newline + 1;
    const comment = this.#bytes.subarray(start, newline).indexOf(HASH);
    const end = comment < 0 ? newline : start + comment;
    if (end - start > LINE_MAX_BYTES && !this.#isBlank(start, end)) {
      return new LineFault(1, `the line is longer than ${formatCount(LINE_MAX_BYTES)} bytes; ${WANTED}`);
    }
    const text = decoder.decode(this.#bytes.subarray(start, end)).replace(/\r$/, "");
    if (text.includes("\0")) return new LineFault(text.indexOf("\0") + 1, BINARY);
    const words = [...text.matchAll(/[^ \t]+/g)].map(match => ({ text: match[0], col: match.index + 1 }));
    if (words.length === 0) return FAST_BLANK;
    return fillRow(this.row, words) ?? words[0]!.col;
  }

  #isBlank(start: number, end: number): boolean {
    return this.#bytes.subarray(start, end).every(byte => byte === SPACE || byte === TAB || byte === RETURN);
  }
}

const FAST_BLANK = 0;
const FAST_UNSURE = -1;
const WANTED = "one route a line: PREFIX LABELS VIA";
export const BINARY = "a zero byte; a routes file is plain text in UTF-8, not compressed";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class LineFault {
  readonly col: number;
  readonly message: string;

  constructor(col: number, message: string) {
    this.col = col;
    this.message = message;
  }
}

interface Word {
  readonly text: string;
  readonly col: number;
}

/** Parses the words of a line into `row`; returns what is not valid, or null. */
function fillRow(row: RouteRow, words: readonly Word[]): LineFault | null {
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
  Object.assign(row, rowOf(prefix, { labels, via }));
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
  return new LineFault(
    word.col,
    `labels: ${labels.length} are too many; Open vSwitch supports ${LABELS_MAX}`,
  );
}
