/**
 * The machine's interface to a path: questions about symbolic values. The symbolic machine never sees a path
 * condition. paths/path-decider.ts answers along one path; if the answer depends on the input, it splits the
 * path and throws.
 */
import type { FrameFormat } from "./input-space.ts";
import type { Terms, Word } from "./terms.ts";

/** Answers questions about symbolic values. Each method throws if the answer depends on the input. */
export interface Decider {
  readonly terms: Terms;
  is(word: Word, mask: number, value: number): boolean;
  isSame(a: Word, b: Word): boolean;
  /** Whether two words are equal. If it depends on the input: null or, with `mustDecide`, an exception. */
  compare(a: Word, b: Word, mustDecide: boolean): boolean | null;
  /** Whether the frame format of an extraction satisfies `test`. */
  hasFormat(extraction: number, test: (format: FrameFormat) => boolean): boolean;
  /** Adds the extractions made since; call it before questions about them. */
  extend(): void;
}

/** A test that the path condition cannot express, such as one on part of a decremented TTL. */
export class Undecidable extends Error {}

/** An action or state that the proof does not model, with the line that needs it. */
export class Unmodelled extends Error {
  readonly feature: string;
  readonly line: number;

  constructor(feature: string, line: number) {
    super(feature);
    this.feature = feature;
    this.line = line;
  }
}
