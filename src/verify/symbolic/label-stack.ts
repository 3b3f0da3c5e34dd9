/**
 * The label stack of a symbolic flow key: counts, pushes and pops entries as interpret/mpls.ts does. A key
 * holds three entries (RFC 3032). The results match Open vSwitch also for malformed stacks.
 */
import { KEY, KEY_WORDS } from "../../openflow/index.ts";
import type { Decider } from "./decider.ts";
import { hasType, isIp, isMpls, TYPES } from "./fields.ts";
import type { Word } from "./terms.ts";

export const MPLS_LABELS = 3;
const BOTTOM = 0x100;

/** The number of entries in the key: up to the first with S=1, else those that are not zero. */
export function countLabels(decider: Decider, key: readonly Word[]): number {
  if (!isMpls(decider, key)) return 0;
  let count = 0;
  for (let index = 0; index < MPLS_LABELS; index++) {
    const entry = key[KEY.mplsLse + index]!;
    if (decider.is(entry, BOTTOM, BOTTOM)) return index + 1;
    if (!decider.is(entry, 0xffffffff, 0)) count++;
  }
  return count;
}

/** Pushes an entry on a stack of `count` < 3. The first push clears the fields behind the labels. */
export function pushLabel(decider: Decider, before: readonly Word[], count: number, type: number): Word[] {
  const { terms } = decider;
  const key = [...before];
  const at = KEY.mplsLse;
  if (count > 0) {
    for (let i = count; i > 0; i--) key[at + i] = key[at + i - 1]!;
    key[at] = terms.replace(key[at]!, 8, [{ is: "const", bits: 1, value: 0 }]);
  } else {
    key[at] = firstEntry(decider, key);
    for (let word: number = KEY.nwSrc; word < KEY_WORDS; word++) key[word] = terms.constant(0);
    key[KEY.dpHash] = terms.constant(0);
  }
  key[KEY.dlType] = terms.constant(type);
  return key;
}

/** The first label takes its TTL (64 if 0) and the low three bits of DSCP from the IP header; S=1. */
function firstEntry(decider: Decider, key: readonly Word[]): Word {
  const { terms } = decider;
  const isPacket = isIp(decider, key);
  const label = isPacket && hasType(decider, key, TYPES.ip6) ? 2 : 0;
  const hasTtl = isPacket && !decider.is(key[KEY.nwTtl]!, 0xff, 0);
  return terms.word([
    ...(hasTtl ? terms.slice(key[KEY.nwTtl]!, 0, 8) : [{ is: "const", bits: 8, value: 64 } as const]),
    { is: "const", bits: 1, value: 1 },
    ...(isPacket ? terms.slice(key[KEY.nwTos]!, 2, 3) : [{ is: "const", bits: 3, value: 0 } as const]),
    { is: "const", bits: 20, value: label },
  ]);
}

/**
 * Pops the outer entry off a stack of `count`; null if it is empty, or if a fourth entry would become
 * visible.
 */
export function popLabel(
  decider: Decider,
  before: readonly Word[],
  count: number,
  type: number,
): Word[] | null {
  if (count === 0) return null;
  if (count === MPLS_LABELS && decider.is(before[KEY.mplsLse + MPLS_LABELS - 1]!, BOTTOM, 0)) return null;
  const key = [...before];
  for (let i = 0; i < count - 1; i++) key[KEY.mplsLse + i] = key[KEY.mplsLse + i + 1]!;
  key[KEY.mplsLse + count - 1] = decider.terms.constant(0);
  key[KEY.dlType] = decider.terms.constant(type);
  return key;
}
