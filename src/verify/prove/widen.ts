/**
 * Pairs of states made more general: where both machines hold the same word, an address that both have written for
 * example, and no table that can come asks for it, whatever that word is becomes free. What is then equal for every value
 * is equal for the one there was, so that one obligation serves for all values that lead to it. Words that decide how a
 * packet is read (types, protocols, tags, labels) stay what they are. It may be that only the special pair is equal:
 * whoever asks tries that one, too.
 */
import { KEY } from "../../openflow/index.ts";
import type { Program } from "./program.ts";
import { INPUT_WORDS, widthOfWord } from "./space.ts";
import type { State } from "./state.ts";
import type { Terms, Word } from "./terms.ts";

const words = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

/** Words that may be anything without the packet becoming another kind of packet. */
const FREED: readonly number[] = [
  ...words(KEY.metadata, 2),
  ...words(KEY.registers, KEY.tunnelId - KEY.registers),
  ...words(KEY.dlDst, 4),
  ...words(KEY.nwSrc, 2),
  ...words(KEY.ipv6Src, 8),
  ...words(KEY.nwTos, 2),
  ...words(KEY.arpSha, 4),
  ...words(KEY.tpSrc, 2),
];

/** The reading that free words count as: none, so that no kind of frame says anything of them. */
const NO_READING = -1;

/** Both states with free words; null when there is nothing to free. */
export function widened(
  programs: readonly [Program, Program],
  terms: Terms,
  a: State,
  b: State,
): { a: State; b: State } | null {
  if (a.lookup === null || b.lookup === null) return null;
  const asked = [programs[0].wordsAskedFrom(a.lookup.table), programs[1].wordsAskedFrom(b.lookup.table)];
  const states = [a, b].map(state => ({ state, flow: [...state.flow], base: [...state.packet.base] }));
  let isWider = false;
  for (const word of FREED) {
    if (asked.some(one => one.has(word))) continue;
    const [left, right] = states;
    // Of what is in the packet and of what is to be written the machines must agree.
    if (left!.flow[word] !== right!.flow[word] || left!.base[word] !== right!.base[word]) continue;
    const [flow, base] = [left!.flow[word]!, left!.base[word]!];
    const freeFlow = isAsRead(flow, word)
      ? flow
      : freeWord(terms, word, flow === base ? "" : "to be written");
    const freeBase = isAsRead(base, word) ? base : freeWord(terms, word, "");
    if (freeFlow === flow && freeBase === base) continue;
    for (const one of states) {
      one.flow[word] = freeFlow;
      one.base[word] = freeBase;
    }
    isWider = true;
  }
  if (!isWider) return null;
  const [wideA, wideB] = states.map(({ state, flow, base }) => ({
    ...state,
    flow,
    packet: { ...state.packet, base },
  }));
  return { a: wideA!, b: wideB! };
}

/** Whether a word is what the frame has there, or, where a frame has nothing, zero. */
function isAsRead(word: Word, at: number): boolean {
  if (!INPUT_WORDS.includes(at)) return word.value === 0;
  const [only] = word.segments;
  return only!.is === "atom" && only!.atom.content === 0 && only!.atom.word === at && only!.from === 0;
}

function freeWord(terms: Terms, word: number, name: string): Word {
  return terms.atomWord(terms.atom(`free ${word} ${name}`, NO_READING, word, widthOfWord(word)));
}
