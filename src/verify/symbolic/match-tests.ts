/**
 * The match of a flow as tests on words of the flow key.
 */
import { type Flow, isModelled, KEY, type MatchField } from "../../openflow/index.ts";

/** The bits of `mask` in word `word` of the key equal `value`. */
export interface WordTest {
  readonly word: number;
  readonly mask: number;
  readonly value: number;
}

/** A match as tests on words, in the order of the key. */
export function testsOf(match: readonly MatchField[]): WordTest[] {
  const masks = new Map<number, number>();
  const values = new Map<number, number>();
  for (const { field, value, mask } of match) {
    const { place } = field;
    if (place === null || !isModelled(field)) continue;
    const last = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
    for (let word = last, low = 0n; word >= place.word; word--, low += 32n) {
      const bits = (Number((mask >> low) & 0xffffffffn) << place.shift) >>> 0;
      if (bits === 0) continue;
      const part = (Number((value >> low) & 0xffffffffn) << place.shift) >>> 0;
      masks.set(word, ((masks.get(word) ?? 0) | bits) >>> 0);
      values.set(word, ((values.get(word) ?? 0) | (part & bits)) >>> 0);
    }
  }
  return [...masks.keys()]
    .sort((a, b) => a - b)
    .map(word => ({ word, mask: masks.get(word)!, value: values.get(word)! }));
}

export function unknownOf(flow: Flow): string | null {
  const odd = flow.match.find(({ field }) => !isModelled(field));
  return odd === undefined ? null : `match on ${odd.field.name}`;
}

export const isPortWord = ({ word }: WordTest): boolean => word === KEY.tpSrc || word === KEY.tpDst;
const fragment = (value: number): WordTest => ({ word: KEY.nwFrag, mask: 1, value });

function withTest(tests: readonly WordTest[], extra: WordTest): WordTest[] | null {
  const same = tests.find(({ word }) => word === extra.word);
  if (same === undefined) return [...tests, extra].sort((a, b) => a.word - b.word);
  if (((same.value ^ extra.value) & same.mask & extra.mask) !== 0) return null;
  const met = { ...same, mask: (same.mask | extra.mask) >>> 0, value: (same.value | extra.value) >>> 0 };
  return tests.map(test => (test === same ? met : test));
}

/**
 * Open vSwitch looks up fragments with ports of zero: a match on ports matches whole packets and, if all
 * ports are zero, later fragments.
 */
export function variantsOf(tests: readonly WordTest[]): WordTest[][] {
  const ports = tests.filter(isPortWord);
  if (ports.length === 0) return [[...tests]];
  const whole = withTest(tests, fragment(0));
  const parts = ports.every(({ value }) => value === 0)
    ? withTest(
        tests.filter(test => !isPortWord(test)),
        fragment(1),
      )
    : null;
  return [whole, parts].filter(variant => variant !== null);
}
