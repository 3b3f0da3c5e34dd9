/**
 * What the remaining frame formats of a path (input-space.ts) imply for bits of the input, and which formats
 * remain after a test.
 */
import { KEY } from "../../openflow/index.ts";
import { cubesOf, type Space } from "../symbolic/input-space.ts";
import type { Atom, Literal } from "../symbolic/terms.ts";
import { type Cubes, meet } from "./cubes.ts";

/** The part of a path that this file uses. */
interface Left {
  readonly space: Space;
  /** For each extraction, the possible frame formats as bits. */
  readonly formatBits: readonly number[];
  readonly cubes: Cubes;
}

/** Whether a literal holds for every remaining format (true), for none (false), or it depends (null). */
export function byFormats(
  { space, formatBits, cubes }: Left,
  { atom, mask, value }: Literal,
): boolean | null {
  const formats = formatBits[atom.extraction] ?? 0;
  const cube = cubes.get(atom) ?? { mask: 0, value: 0 };
  let holds = false;
  let fails = false;
  for (let index = 0; formats >>> index !== 0; index++) {
    if ((formats & (1 << index)) === 0) continue;
    const options = cubesOf(space, space.formats[index]!, atom.word);
    if (options === null) return null;
    for (const option of options) {
      if (meet(cube, option) === null) continue;
      if (((option.value ^ value) & option.mask & mask) !== 0) fails = true;
      else if ((mask & ~option.mask) === 0) holds = true;
      else return null;
    }
    if (holds && fails) return null;
  }
  return holds ? true : fails ? false : null;
}

/** The formats of an extraction that are compatible with these cubes, of which those of `atoms` are new. */
export function formatsWith(
  { space, formatBits }: Left,
  extraction: number,
  cubes: Cubes,
  atoms: readonly Atom[],
): number {
  let left = 0;
  const formats = formatBits[extraction]!;
  for (let index = 0; formats >>> index !== 0; index++) {
    if ((formats & (1 << index)) === 0) continue;
    const format = space.formats[index]!;
    const isPossible = atoms.every(atom => {
      if (atom.extraction !== extraction) return true;
      const cube = cubes.get(atom)!;
      const isRuledOut =
        atom.word === KEY.dlType && cube.mask === 0xffff && format.notTypes.includes(cube.value);
      return (
        !isRuledOut &&
        (cubesOf(space, format, atom.word)?.some(option => meet(cube, option) !== null) ?? true)
      );
    });
    if (isPossible) left |= 1 << index;
  }
  return left;
}

/** The formats of each extraction in which a literal can be false. */
export function formatsWithout({ space, formatBits, cubes }: Left, { atom, mask, value }: Literal): number[] {
  const cube = cubes.get(atom) ?? { mask: 0, value: 0 };
  return formatBits.map((formats, extraction) => {
    if (extraction !== atom.extraction) return formats;
    let left = 0;
    for (let index = 0; formats >>> index !== 0; index++) {
      if ((formats & (1 << index)) === 0) continue;
      const options = cubesOf(space, space.formats[index]!, atom.word);
      const mayFail =
        options === null ||
        options.some(
          option =>
            meet(cube, option) !== null &&
            (((option.value ^ value) & option.mask & mask) !== 0 || (mask & ~option.mask) !== 0),
        );
      if (mayFail) left |= 1 << index;
    }
    return left;
  });
}
