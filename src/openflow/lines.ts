/**
 * Files as lines: colours and comments taken away, empty lines left out, columns kept. And the border at
 * which a `Fault` of one line becomes a problem of it.
 */

import { Fault } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI codes begin with the escape character.
const COLOUR = /\u001b\[[0-9;]*[mK]/g;

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** The lines that say something. */
export function* linesOf(text: string): Generator<Line> {
  let line = 0;
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    line++;
    const raw = text.slice(start, text.charCodeAt(end - 1) === 13 ? Math.max(start, end - 1) : end);
    start = end + 1;
    const said = saidIn(raw);
    if (said !== null) yield { text: said, line };
  }
}

/** A line without colours and comment; null when nothing is left. */
export function saidIn(raw: string): string | null {
  const plain = raw.includes("\u001b") ? raw.replace(COLOUR, "") : raw;
  const comment = commentIn(plain);
  const said = comment < 0 ? plain : plain.slice(0, comment);
  return said.trim() === "" ? null : said;
}

/** Where a comment begins, or -1: a `#` in a quoted name is none. */
function commentIn(text: string): number {
  let at = text.indexOf("#");
  if (at < 0 || !text.includes('"')) return at;
  while (at >= 0) {
    const quotes = text.slice(0, at).replace(/\\./g, "").match(/"/g)?.length ?? 0;
    if (quotes % 2 === 0) return at;
    at = text.indexOf("#", at + 1);
  }
  return -1;
}

/** Runs a reader of a line; a `Fault` becomes a problem at its place. */
export function guarded<T>(reading: Reading, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    reading.error(error.span, error.message);
    return null;
  }
}
