/**
 * Answers the questions of a symbolic machine along one path. Where the answer depends on the input it throws a `Fork` with
 * the parts of the path; the step is then run again on each part.
 */
import type { Decider } from "../symbolic/decider.ts";
import type { Readings } from "../symbolic/extractions.ts";
import type { Kind } from "../symbolic/input-space.ts";
import type { Terms, Word } from "../symbolic/terms.ts";
import type { Path } from "./path-condition.ts";
import { splitEqual } from "./split-equal.ts";

/** The way depends on which of these paths it is. */
export class Fork {
  readonly paths: readonly Path[];

  constructor(paths: readonly Path[]) {
    this.paths = paths;
  }
}

export class PathDecider implements Decider {
  readonly terms: Terms;
  readonly #readings: Readings;
  #path: Path;

  constructor(readings: Readings, path: Path) {
    this.terms = readings.terms;
    this.#readings = readings;
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

  isOfKind = (content: number, test: (kind: Kind) => boolean): boolean => {
    const path = this.#path;
    let yes = 0;
    for (const [index, kind] of path.space.kinds.entries()) if (test(kind)) yes |= 1 << index;
    const kinds = path.contents[content]!;
    if ((kinds & yes) === 0) return false;
    if ((kinds & ~yes) === 0) return true;
    const of = (some: number): Path => path.with({ contents: path.contents.with(content, some) });
    throw new Fork([of(kinds & yes), of(kinds & ~yes)]);
  };

  compare = (a: Word, b: Word): boolean | null => {
    const { yes, no } = splitEqual(this.#path, a, b);
    return no.length === 0 ? true : yes === null ? false : null;
  };

  extend = (): void => {
    this.#path = this.#path.with({ contents: this.#readings.contentsWith(this.#path.contents) });
  };
}
