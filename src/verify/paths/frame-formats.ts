/**
 * What the kinds of frames (space.ts) that a path leaves say of bits of the input: whether a test holds for all of them, and
 * which kinds are left where it does, or does not.
 */

import { KEY } from "../../openflow/index.ts";
import { cubesOf, type Space } from "../symbolic/input-space.ts";
import type { Atom, Literal } from "../symbolic/terms.ts";
import { type Cubes, meet } from "./cubes.ts";

/** What a path says of kinds. */
interface Left {
  readonly space: Space;
  /** For each reading of the frame the kinds it may be, as bits. */
  readonly contents: readonly number[];
  readonly cubes: Cubes;
}

/** Whether a literal holds, or fails, for every kind that is left; null when it depends. */
export function byKinds({ space, contents, cubes }: Left, { atom, mask, value }: Literal): boolean | null {
  const kinds = contents[atom.content] ?? 0;
  const cube = cubes.get(atom) ?? { mask: 0, value: 0 };
  let holds = false;
  let fails = false;
  for (let index = 0; kinds >>> index !== 0; index++) {
    if ((kinds & (1 << index)) === 0) continue;
    const options = cubesOf(space, space.kinds[index]!, atom.word);
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

/** The kinds that a reading can still be when these cubes hold, of which `atoms` are new. */
export function kindsWith(
  { space, contents }: Left,
  content: number,
  cubes: Cubes,
  atoms: readonly Atom[],
): number {
  let left = 0;
  const kinds = contents[content]!;
  for (let index = 0; kinds >>> index !== 0; index++) {
    if ((kinds & (1 << index)) === 0) continue;
    const kind = space.kinds[index]!;
    const isPossible = atoms.every(atom => {
      if (atom.content !== content) return true;
      const cube = cubes.get(atom)!;
      const isRuledOut =
        atom.word === KEY.dlType && cube.mask === 0xffff && kind.notTypes.includes(cube.value);
      return (
        !isRuledOut && (cubesOf(space, kind, atom.word)?.some(option => meet(cube, option) !== null) ?? true)
      );
    });
    if (isPossible) left |= 1 << index;
  }
  return left;
}

/** The kinds that each reading can still be when a literal fails. */
export function kindsWithout({ space, contents, cubes }: Left, { atom, mask, value }: Literal): number[] {
  const cube = cubes.get(atom) ?? { mask: 0, value: 0 };
  return contents.map((kinds, content) => {
    if (content !== atom.content) return kinds;
    let left = 0;
    for (let index = 0; kinds >>> index !== 0; index++) {
      if ((kinds & (1 << index)) === 0) continue;
      const options = cubesOf(space, space.kinds[index]!, atom.word);
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
