/**
 * How the machine asks about symbolic values: it never looks at a path itself. paths/path-decider.ts answers along one
 * path; where the answer depends on the input, it splits the path and throws.
 */
import type { FrameFormat } from "./input-space.ts";
import type { Terms, Word } from "./terms.ts";

/** Answers whether the bits of a word have a value; leaves by an exception when that depends. */
export interface Decider {
  readonly terms: Terms;
  is(word: Word, mask: number, value: number): boolean;
  isSame(a: Word, b: Word): boolean;
  /** Whether two words are the same; null where it depends. */
  compare(a: Word, b: Word): boolean | null;
  /** Whether a extraction of the frame is of a format that `test` holds for. */
  hasFormat(extraction: number, test: (format: FrameFormat) => boolean): boolean;
  /** Takes in extractions that were added since: later questions may be about them. */
  extend(): void;
}

/** A test of a form that is not decided: part of a decremented TTL. */
export class Undecidable extends Error {}

/** What is not modelled, with the line that asks for it. */
export class Unmodelled extends Error {
  readonly feature: string;
  readonly line: number;

  constructor(feature: string, line: number) {
    super(feature);
    this.feature = feature;
    this.line = line;
  }
}
