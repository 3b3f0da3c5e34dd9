/**
 * The possible lengths of the frames of a path, to compare truncated outputs.
 */
import { KEY } from "../../openflow/index.ts";
import type { Path } from "../paths/path-condition.ts";
import { type Extractions, SNAP_WORD } from "../symbolic/extractions.ts";
import type { Word } from "../symbolic/terms.ts";
import { withFormats } from "./compare-packets.ts";

/** Label stacks that end before their bottom, behind a tag and an LLC header; a truncated tag. */
const CUT_STACK = /^mpls cut (at once|after \d)$/;
const CUT_STACK_BYTES = 14 + 4 + 8 + 2 * 4 + 3;
const CUT_TAG_BYTES = 17;

/**
 * The part of a path whose frames can have any length, and the parts whose frames end early, with their
 * greatest length.
 */
export function lengthsOf(
  extractions: Extractions,
  path: Path,
): { long: readonly Path[]; short: readonly { path: Path; most: number }[] } {
  const { terms } = extractions;
  const of = (word: number): Word => terms.atomWord(extractions.atom(0, word));
  const short: { path: Path; most: number }[] = [];
  let long = withFormats(path, 0, ({ name }) => !CUT_STACK.test(name));
  for (const one of withFormats(path, 0, ({ name }) => CUT_STACK.test(name)))
    short.push({ path: one, most: CUT_STACK_BYTES });
  // The type announces a tag, and the frame is too short for one.
  for (const type of [0x8100, 0x88a8]) {
    const splits = long.map(one =>
      one.split([
        { word: of(KEY.dlType), mask: 0xffff, value: type },
        { word: of(KEY.vlanTci), mask: 0xffffffff, value: 0 },
        { word: of(SNAP_WORD), mask: 1, value: 0 },
      ]),
    );
    for (const { yes } of splits) if (yes !== null) short.push({ path: yes, most: CUT_TAG_BYTES });
    long = splits.flatMap(({ no }) => no);
  }
  return { long, short };
}
