/**
 * What the formats of frames (space.ts) that a path leaves say of bits of the input: whether a test holds for all of them, and
 * which formats are left where it does, or does not.
 */
import { KEY } from "../../openflow/index.ts";
import { cubesOf, type Space } from "../symbolic/input-space.ts";
import type { Atom, Literal } from "../symbolic/terms.ts";
import { type Cubes, meet } from "./cubes.ts";

/** What a path says of formats. */
interface Left {
  readonly space: Space;
  /** For each extraction of the frame the formats it may be, as bits. */
  readonly formatBits: readonly number[];
  readonly cubes: Cubes;
}

/** Whether a literal holds, or fails, for every format that is left; null when it depends. */
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

/** The formats that a extraction can still be when these cubes hold, of which `atoms` are new. */
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

/** The formats that each extraction can still be when a literal fails. */
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
