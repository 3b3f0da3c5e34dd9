/**
 * Bits that a packet on its way to a goal must have had from the start, because no step can write the value
 * that the goal needs.
 */
import { KEY, KEY_WORDS } from "../../openflow/index.ts";
import { writesIn } from "../symbolic/asked.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import type { WordTest } from "../symbolic/match-tests.ts";
import type { Write } from "../symbolic/writes.ts";
import type { KnownBits } from "./known-bits.ts";

/** Words that are zero in an incoming packet. */
export const FIRST_ZERO: readonly (readonly [from: number, to: number])[] = [
  [KEY.metadata, KEY.tunnelId],
  [KEY.ctState, KEY.ctPorts + 1],
];
/** Words that a lookup sets, whatever the packet has. */
const OF_LOOKUP: readonly number[] = [KEY.inPort, KEY.conjId];
const PORT_PROTOCOLS: readonly number[] = [6, 17, 132];
const ICMP6 = 58;
/**
 * ICMPv6 types of multicast listener and neighbour discovery, which connection tracking ignores (RFC 4890,
 * 4.4.1).
 */
const NEVER_TRACKED: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 143];

export const isFirstZero = (word: number): boolean =>
  FIRST_ZERO.some(([from, to]) => word >= from && word < to);

export class LastingBits {
  /** All writes of the program, by word. */
  readonly #writes: ReadonlyMap<number, readonly Write[]>;
  /** Bits that a step may change, by word; those that only NAT changes apart. */
  readonly #changed = new Uint32Array(KEY_WORDS);
  readonly #translated = new Uint32Array(KEY_WORDS);

  constructor(program: Program) {
    this.#writes = writesIn(program);
    for (const [word, writes] of this.#writes)
      for (const { mask, only } of writes)
        (only === "translated" ? this.#translated : this.#changed)[word]! |= mask;
    for (const word of OF_LOOKUP) this.#changed[word] = 0xffffffff;
  }

  /** Bits of a word that some step may change in a packet of this cube. */
  changeable(word: number, cube: KnownBits): number {
    const isPort = word === KEY.tpSrc || word === KEY.tpDst;
    const hasNoPorts =
      isPort &&
      (cube.known[KEY.nwProto]! & ~this.#changed[KEY.nwProto]! & 0xff) === 0xff &&
      !PORT_PROTOCOLS.includes(cube.value[KEY.nwProto]! & 0xff);
    return this.#changed[word]! | (hasNoPorts ? 0 : this.#translated[word]!);
  }

  /** Of tests that a packet satisfies all at once, those that it must have satisfied from the start. */
  of(tests: readonly WordTest[]): WordTest[] {
    const mayCome = (test: WordTest, write: Write): boolean => {
      if (write.value !== null) return ((write.value ^ test.value) & write.mask & test.mask) === 0;
      if (write.only === "one less") return (test.mask & 0xff) !== 0xff || (test.value & 0xff) !== 0xff;
      return write.only === undefined || isTranslated(test.word);
    };
    const lasting = (word: number, mask: number): number | null => {
      const test = tests.find(one => one.word === word && (one.mask & mask) === mask);
      return test === undefined || !this.#lasts(test, mayCome) ? null : test.value & mask;
    };
    // Whether NAT can change the word: addresses, and ports of protocols that have them, unless the packet is
    // never tracked.
    const isTranslated = (word: number): boolean => {
      const protocol = word === KEY.nwProto ? null : lasting(KEY.nwProto, 0xff);
      const isPort = word === KEY.tpSrc || word === KEY.tpDst;
      if (protocol !== null && isPort) return PORT_PROTOCOLS.includes(protocol);
      const type = protocol === ICMP6 && !isPort ? lasting(KEY.tpSrc, 0xffff) : null;
      return type === null || !NEVER_TRACKED.includes(type);
    };
    return tests
      .filter(({ word }) => !isFirstZero(word) && !OF_LOOKUP.includes(word))
      .filter(test => this.#lasts(test, mayCome))
      .sort((a, b) => a.word - b.word);
  }

  #lasts(test: WordTest, mayCome: (test: WordTest, write: Write) => boolean): boolean {
    return !(this.#writes.get(test.word) ?? []).some(
      write => (write.mask & test.mask) !== 0 && mayCome(test, write),
    );
  }
}
