/**
 * Answers the questions of a symbolic machine along one path. If the answer depends on the input, it throws
 * a Fork with the parts of the path, and the machine runs the step again on each part.
 */
import type { Decider } from "../symbolic/decider.ts";
import type { Extractions } from "../symbolic/extractions.ts";
import type { FrameFormat } from "../symbolic/input-space.ts";
import type { Terms, Word } from "../symbolic/terms.ts";
import type { Path } from "./path-condition.ts";
import { splitEqual } from "./split-equal.ts";

/** Thrown if the answer depends on the input: the parts of the path. */
export class Fork {
  readonly paths: readonly Path[];

  constructor(paths: readonly Path[]) {
    this.paths = paths;
  }
}

export class PathDecider implements Decider {
  readonly terms: Terms;
  readonly #extractions: Extractions;
  #path: Path;

  constructor(extractions: Extractions, path: Path) {
    this.terms = extractions.terms;
    this.#extractions = extractions;
    this.#path = path;
  }

  /** The path, with all extractions so far. */
  get path(): Path {
    return this.#path;
  }

  is = (word: Word, mask: number, value: number): boolean => {
    if (word.value !== null) return ((word.value ^ value) & mask) === 0;
    const { yes, no } = this.#path.split([{ word, mask, value }]);
    if (yes === null) return false;
    if (no.length === 0) return true;
    throw new Fork([yes, ...no]);
  };

  isSame = (a: Word, b: Word): boolean => {
    const { yes, no } = splitEqual(this.#path, a, b);
    if (yes === null) return false;
    if (no.length === 0) return true;
    throw new Fork([yes, ...no]);
  };

  hasFormat = (extraction: number, test: (format: FrameFormat) => boolean): boolean => {
    const path = this.#path;
    let yes = 0;
    for (const [index, format] of path.space.formats.entries()) if (test(format)) yes |= 1 << index;
    const formats = path.formatBits[extraction]!;
    if ((formats & yes) === 0) return false;
    if ((formats & ~yes) === 0) return true;
    const of = (some: number): Path => path.with({ formatBits: path.formatBits.with(extraction, some) });
    throw new Fork([of(formats & yes), of(formats & ~yes)]);
  };

  compare = (a: Word, b: Word, mustDecide: boolean): boolean | null => {
    const { yes, no } = splitEqual(this.#path, a, b);
    if (no.length === 0) return true;
    if (yes === null) return false;
    if (mustDecide) throw new Fork([yes, ...no]);
    return null;
  };

  extend = (): void => {
    this.#path = this.#path.with({ formatBits: this.#extractions.formatBitsWith(this.#path.formatBits) });
  };
}
