/**
 * The flow key during a pass, and the bits of it that the outcome depends on. `flow` is what the actions have
 * made of the key, `base` what the datapath actions so far make of the packet. A cache of translations holds
 * an outcome for every key with the same read bits, so whoever uses a word must read it here first.
 */
import type { Demanded, Field } from "../fields.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { HOLDS, HOLDS_BY } from "./field-access.ts";
import type { Scratch } from "./translation.ts";

const TYPE_AND_PROTOCOL = [KEY.dlType, KEY.nwProto];
const LABEL_WORDS = [KEY.mplsLse, KEY.mplsLse + 1, KEY.mplsLse + 2];
const TAG_WORDS = [KEY.vlanTci, KEY.innerVlanTci];
const PORT_WORDS = [KEY.tpSrc, KEY.tpDst];

/** Words that go into a packet together: a write to one of them makes the outcome depend on all. */
const WRITTEN_TOGETHER: ReadonlyMap<number, readonly number[]> = new Map(
  [[KEY.dlType, ...LABEL_WORDS], TAG_WORDS, PORT_WORDS].flatMap(words => words.map(word => [word, words])),
);

export class TrackedKey {
  flow: Uint32Array;
  base: Uint32Array;
  readonly reads: Uint32Array;
  /** Whether the key was changed at all. */
  isWritten = false;
  /** Whether a pushed label wiped the layers behind it. */
  isWiped = false;
  /**
   * Whether labels were popped, so that the packet must recirculate before its layers behind them are used.
   */
  wasMpls = false;

  constructor(key: Uint32Array, { base, reads }: Scratch) {
    this.flow = key;
    this.base = base;
    base.set(key);
    this.reads = reads.fill(0);
  }

  read(word: number): void {
    this.reads[word] = 0xffffffff;
  }

  readAll(words: readonly number[]): void {
    for (const word of words) this.reads[word] = 0xffffffff;
  }

  readField({ place }: Field): void {
    const count = Math.ceil((place!.shift + place!.bits) / 32);
    for (let word = place!.word; word < place!.word + count; word++) this.read(word);
  }

  /** Before a write to a field: it will be compared with the packet's, and so counts as read. */
  write(field: Field): void {
    this.isWritten = true;
    this.readField(field);
    this.readAll(WRITTEN_TOGETHER.get(field.place!.word) ?? []);
  }

  /** Before a write to the VLAN tags. */
  writeTags(): void {
    this.isWritten = true;
    this.readAll(TAG_WORDS);
  }

  /** Before a write to the label stack. */
  writeLabels(): void {
    this.isWritten = true;
    this.read(KEY.dlType);
    this.readAll(LABEL_WORDS);
  }

  /** What the connection tracker said is gone. */
  untrack(): void {
    this.flow.fill(0, KEY.ctState, KEY.dlDst);
  }

  holds(prerequisite: Demanded): boolean {
    this.readAll(HOLDS_BY[prerequisite]);
    return HOLDS[prerequisite](this.flow);
  }

  /**
   * Before `flow` and `base` are compared. Wiped layers are zero, and are compared only if the protocol was
   * written again.
   */
  readForCommit(): void {
    this.readAll(TYPE_AND_PROTOCOL);
    if (this.isWiped && this.flow[KEY.nwProto] !== 0)
      for (let word = KEY.nwSrc; word < KEY_WORDS; word++) this.read(word);
  }
}
