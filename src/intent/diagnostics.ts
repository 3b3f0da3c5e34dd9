/**
 * Problems and how they are worded: a bag that keeps the first hundred and counts the rest, values quoted safely for a
 * terminal, and the nearest known word for a misspelt one. A message says what is wrong and, after a semicolon, what
 * would be right.
 */
import type { Diagnostic } from "../errors/index.ts";
import { formatCount } from "./limits.ts";

/** A place in one file; line and column count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Collects errors or warnings; keeps the first `limit` and counts the rest, so that a hopeless file stays readable. */
export class Bag {
  private readonly kept: Diagnostic[] = [];
  private firstLeftOut: Diagnostic | null = null;
  private leftOutCount = 0;

  /** `level` is also the noun of the last line: "…and 12 more errors". */
  constructor(
    private readonly level: "error" | "warning",
    private readonly limit: number,
  ) {}

  get count(): number {
    return this.kept.length + this.leftOutCount;
  }

  /** True when a further problem is only counted: then neither its place nor its message need be made. */
  get onlyCounts(): boolean {
    return this.leftOutCount > 0;
  }

  /** Adds a problem; `message` is only called when it will be shown. */
  add(file: string, place: Place, message: string | (() => string)): void {
    if (this.kept.length >= this.limit && this.leftOutCount++ > 0) return;
    const problem = {
      file,
      line: place.line,
      column: place.column,
      level: this.level,
      message: typeof message === "string" ? message : message(),
    };
    if (this.kept.length < this.limit) this.kept.push(problem);
    else this.firstLeftOut = problem;
  }

  /** All problems, those of `first` (the intent) before those of other files, each file's in the order of its lines. */
  list(first: string): Diagnostic[] {
    const rank = (problem: Diagnostic): number => (problem.file === first ? 0 : 1);
    const sorted = this.kept.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
    if (this.firstLeftOut === null) return sorted;
    const noun = this.leftOutCount === 1 ? this.level : `${this.level}s`;
    return [
      ...sorted,
      { ...this.firstLeftOut, message: `…and ${formatCount(this.leftOutCount)} more ${noun}` },
    ];
  }
}

/** What a terminal would act upon or not show: controls, lone surrogates, direction marks, line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text from a file, fit for a message: cut when long, nothing in it that a terminal would act upon. */
export function printable(text: string, max = 48): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return cut.replace(UNPRINTABLE, sign => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** As `printable`, in double quotes. */
export function quoted(text: string): string {
  return `"${printable(text)}"`;
}

/** A list for people: `a, b or c`. */
export function either(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/**
 * The known word a person most likely meant, or null: the same letters in another spelling (`virtual_mac`), else the
 * smallest edit distance, at most a third of the word's length.
 */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > 40) return null;
  const bare = (text: string): string => text.toLowerCase().replace(/[-_ ]/g, "");
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(bare(word), bare(candidate));
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Edits from a to b: insert, delete, replace a letter or swap two neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replace, row[j]! + 1, next[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, before[j - 2]! + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
