/**
 * Generalization of proof obligations: if both machines hold the same word (an address that both wrote) and
 * no reachable table matches it, the word is replaced by a free variable. An equivalence that holds for
 * every value holds for the original one, so one proof obligation serves all values. Words that determine
 * how a packet is extracted (types, protocols, tags, labels) stay. A generalized pair may differ although
 * the original pair is equal; the caller must then try the original.
 */
import { KEY, KEY_WORDS } from "../../openflow/index.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { INPUT_WORDS, widthOfWord } from "../symbolic/input-space.ts";
import type { State } from "../symbolic/state.ts";
import type { Terms, Word } from "../symbolic/terms.ts";

const words = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

/** Independent words: free whether or not an action wrote them. */
const PLAIN: readonly number[] = [
  ...words(KEY.metadata, 2),
  ...words(KEY.registers, KEY.tunnelId - KEY.registers),
  ...words(KEY.dlDst, 4),
];

/** Words that can have any value in the same frame format: free once they were written. */
const WRITTEN: readonly number[] = [
  ...words(KEY.nwSrc, 2),
  ...words(KEY.ipv6Src, 8),
  ...words(KEY.nwTos, 2),
  ...words(KEY.arpSha, 4),
  ...words(KEY.tpSrc, 2),
];

/** The extraction of free words: none, so that no frame format constrains them. */
const NO_EXTRACTION = -1;

const isInput = Array.from({ length: KEY_WORDS }, (_, word) => INPUT_WORDS.includes(word));

export class Generalization {
  readonly #programs: readonly [Program, Program];
  /** Free words for the packet's bytes, and for a key that differs from them. */
  readonly #inPacket: readonly Word[];
  readonly #toWrite: readonly Word[];

  constructor(programs: readonly [Program, Program], terms: Terms) {
    this.#programs = programs;
    const free = (name: string): Word[] =>
      Array.from({ length: KEY_WORDS }, (_, word) =>
        terms.atomWord(terms.atom(`${name} ${word}`, NO_EXTRACTION, word, widthOfWord(word))),
      );
    this.#inPacket = free("free");
    this.#toWrite = free("free, to be written");
  }

  /** Both states, at lookups, with free words; null if there is none. */
  of(a: State, b: State): { a: State; b: State } | null {
    if (a.lookup === null || b.lookup === null) return null;
    const [left, right] = this.#programs;
    const [matchedLeft, matchedRight] = [
      left.wordsMatchedFrom(a.lookup.table),
      right.wordsMatchedFrom(b.lookup.table),
    ];
    // Both machines must agree in the packet's bytes and in the key.
    const isSame = (word: number): boolean =>
      a.flow[word] === b.flow[word] &&
      a.packet.base[word] === b.packet.base[word] &&
      !matchedLeft.has(word) &&
      !matchedRight.has(word);
    const flow = new Map<number, Word>();
    const base = new Map<number, Word>();
    for (const word of PLAIN) {
      if (!isSame(word)) continue;
      flow.set(word, this.#toWrite[word]!);
      if (!isAsRead(a.packet.base[word]!, word)) base.set(word, this.#inPacket[word]!);
    }
    for (const word of WRITTEN) {
      if (!isSame(word)) continue;
      const [own, packets] = [a.flow[word]!, a.packet.base[word]!];
      if (!isAsRead(own, word)) flow.set(word, (own === packets ? this.#inPacket : this.#toWrite)[word]!);
      if (!isAsRead(packets, word)) base.set(word, this.#inPacket[word]!);
    }
    const isMoreGeneral =
      [...flow].some(([word, free]) => a.flow[word] !== free) ||
      [...base].some(([word, free]) => a.packet.base[word] !== free);
    return isMoreGeneral ? { a: replaced(a, flow, base), b: replaced(b, flow, base) } : null;
  }
}

function replaced(state: State, flow: ReadonlyMap<number, Word>, base: ReadonlyMap<number, Word>): State {
  const [own, packets] = [[...state.flow], [...state.packet.base]];
  for (const [word, free] of flow) own[word] = free;
  for (const [word, free] of base) packets[word] = free;
  return { ...state, flow: own, packet: { ...state.packet, base: packets } };
}

/** Whether a word is as extracted or, if frames lack it, zero. */
function isAsRead(word: Word, at: number): boolean {
  if (!isInput[at]) return word.value === 0;
  const [only] = word.segments;
  return only!.is === "atom" && only!.atom.extraction === 0 && only!.atom.word === at && only!.from === 0;
}
