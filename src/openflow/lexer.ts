/**
 * The lexical grammar of flow text (ofputil_parse_key_value() of Open vSwitch): `key`, `key=value`,
 * `key:value`, `key(value)` and `key(value)->value`, separated by commas and blanks. It knows columns and
 * nothing of what the words mean. What reads flows throws a `Fault`; the functions at the door turn it into a
 * problem with its place.
 */
import type { SourceLocation, Span, TextProblem } from "./ast.ts";

/** What is wrong with a piece of text: thrown while reading, never seen outside. */
export class Fault extends Error {
  readonly span: Span;
  constructor(span: Span, message: string) {
    super(message);
    this.span = span;
  }
}

/** A piece of a line with its columns. */
export interface Token extends Span {
  readonly text: string;
}

/** One `key=value`; the value of a word that stands alone is empty and lies at its end. */
export interface Pair {
  readonly key: Token;
  /** `=`, `:`, `(`, or nothing. */
  readonly delimiter: string;
  readonly value: Token;
  /** From the key to the end of the value, the closing parenthesis included. */
  readonly span: Span;
}

const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);
const COMMA = 44;
const OPEN = 40;
const CLOSE = 41;
const QUOTE = 34;
const BACKSLASH = 92;

const isSeparator = (code: number): boolean => code === COMMA || isBlank(code);

/** Column of the quote that ends the string which begins at `start`, or `end` when none does. */
function endOfString(text: string, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at;
  }
  return end;
}

/** First column from `start` on at which a value outside parentheses ends, at a separator or at `)`. */
function endOfValue(text: string, start: number, end: number, isParenthesized: boolean): number {
  let level = 0;
  let opened = start;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN) {
      if (level++ === 0) opened = at;
    } else if (code === CLOSE && level > 0) level--;
    else if (code === CLOSE && isParenthesized) return at;
    else if (code === QUOTE && (at === start || isOpener(text.charCodeAt(at - 1))))
      at = endOfString(text, at, end);
    else if (level === 0 && !isParenthesized && isSeparator(code)) return at;
  }
  if (level > 0) throw new Fault({ start: opened, end: opened + 1 }, "this parenthesis is never closed");
  return end;
}

/** What may stand before a quoted name inside a value: `output(port="a b",…)`, `ct(exec(…))`. */
const isOpener = (code: number): boolean => code === OPEN || code === 61 || code === 58 || isSeparator(code);

/** Column at which a key ends. */
function endOfKey(text: string, start: number, end: number): number {
  if (text.charCodeAt(start) === QUOTE) return Math.min(endOfString(text, start, end) + 1, end);
  let at = start;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 58 || code === 61 || code === OPEN || isSeparator(code)) break;
  }
  return at;
}

/** A piece of `text` as a token. */
function token(text: string, start: number, end: number): Token {
  return { text: text.slice(start, end), start, end };
}

/** The value behind `key(`, and behind `key(…)->`; `from` is the column after the parenthesis. */
function parenthesizedValue(
  text: string,
  key: Token,
  from: number,
  end: number,
): { value: Token; end: number } {
  const close = endOfValue(text, from, end, true);
  if (close >= end) throw new Fault({ start: key.end, end: key.end + 1 }, "this parenthesis is never closed");
  if (!text.startsWith("->", close + 1)) return { value: token(text, from, close), end: close + 1 };
  const stop = endOfValue(text, close + 1, end, false);
  return { value: token(text, from, stop), end: stop };
}

/** The pairs of `text` between two columns. Throws a `Fault` for a parenthesis that is never closed. */
export function* scanPairs(text: string, start: number, end: number): Generator<Pair> {
  let at = start;
  for (;;) {
    while (at < end && isSeparator(text.charCodeAt(at))) at++;
    if (at >= end) return;
    const key = token(text, at, endOfKey(text, at, end));
    const delimiter = key.end < end ? text[key.end]! : "";
    if (delimiter === "(") {
      const { value, end: stop } = parenthesizedValue(text, key, key.end + 1, end);
      at = stop;
      yield { key, delimiter, value, span: { start: key.start, end: stop } };
    } else if (delimiter === "=" || delimiter === ":") {
      at = endOfValue(text, key.end + 1, end, false);
      yield { key, delimiter, value: token(text, key.end + 1, at), span: { start: key.start, end: at } };
    } else {
      // A comma or blank is skipped by the next round; anything else that ends a key is an odd character of
      // it.
      at = key.end;
      yield { key, delimiter: "", value: token(text, key.end, key.end), span: key };
    }
  }
}

/** Text from a line for a message: on one line, without control characters, and not too long. */
export function clip(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be replaced.
  return short.replace(/[\u0000-\u001f\u007f]/g, "?");
}

/** Puts a fault at its place: lines and columns from 1. */
export function problemAt(
  source: SourceLocation,
  span: Span,
  level: TextProblem["level"],
  message: string,
): TextProblem {
  return { file: source.file, line: source.line, column: span.start + 1, level, message };
}

/** Edits between two words, given up above `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** `; did you mean "nw_dst"?` for the name nearest to `word`, or nothing when none is near. */
export function nearest(word: string, names: Iterable<string>): string {
  const lower = word.toLowerCase();
  if (lower.length > 40) return "";
  let best = "";
  let bestDistance = Math.max(1, Math.floor(lower.length / 3)) + 1;
  for (const name of names) {
    const edits = distance(lower, name.toLowerCase(), bestDistance);
    if (edits < bestDistance) [best, bestDistance] = [name, edits];
  }
  return best === "" ? "" : `; did you mean ${best}?`;
}
