/**
 * The interpreter with a memory, for captures: a pass over the tables is done once for all packets that agree
 * in what it read of the key, as the megaflows of Open vSwitch's datapath have it (ofproto-dpif-xlate.c,
 * xlate_wc_init). What is remembered is the translation; every frame is still read and rewritten by itself.
 * translate.ts notes the bits that an outcome may depend on; each set of masks is a tuple of keys.
 */
import type { Flow } from "../ast.ts";
import type { FlowColumns } from "../columnar/dump.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { Tuple } from "./hash-subtable.ts";
import { Interpreter, type InterpreterOptions } from "./interpreter.ts";
import type { Frozen, Scratch, Translation, Watcher } from "./translation.ts";

/** Passes that are remembered; then all are forgotten. */
const MAX_PASSES = 200_000;

/** Metadata of a packet is zero, or what the frozen pass before left, whose number is recirc_id. */
const isFromPacket = (word: number): boolean =>
  word >= KEY.dlDst || word === KEY.inPort || word === KEY.recircId;

export class CachingInterpreter extends Interpreter {
  readonly #passes: Translation[] = [];
  /** Those that were of use last come first. */
  #tuples: Tuple[] = [];
  /** By a hash of what they mask. */
  readonly #byReads = new Map<number, Tuple[]>();
  /**
   * The tuple that served last, by a few things that decide which one it is: where to look first, no more.
   */
  readonly #likely: (Tuple | undefined)[] = new Array(LIKELY).fill(undefined);
  readonly #given = new Uint32Array(KEY_WORDS);
  /** Passes that were found, and that had to be made. */
  hits = 0;
  misses = 0;

  constructor(flows: Iterable<Flow> | FlowColumns, options: InterpreterOptions = {}) {
    super(flows, options);
  }

  /**
   * With a watcher nothing is remembered: it wants to see the pass. Nor is what depends on more than port and
   * bytes, or on what the connection tracker said.
   */
  protected override translate(
    key: Uint32Array,
    scratch: Scratch,
    frozen: Frozen | null,
    watcher: Watcher | null,
  ): Translation {
    const isPlain = this.entering.size === 0 && (frozen === null || frozen.asked === null);
    if (watcher !== null || !isPlain) return super.translate(key, scratch, frozen, watcher);
    const known = this.#find(key);
    if (known !== null) {
      this.hits++;
      return known;
    }
    this.misses++;
    this.#given.set(key);
    const made = super.translate(key, scratch, frozen, null);
    // The pass itself holds more than its outcome.
    const { actions, error, tables } = made;
    const [unknown, ambiguous] = [kept(made.unknown), kept(made.ambiguous)];
    const pass: Translation = { actions, error, unknown, ambiguous, tables };
    this.#remember(scratch.reads, pass);
    return pass;
  }

  #find(key: Uint32Array): Translation | null {
    const place = likelyPlace(key);
    const likely = this.#likely[place];
    if (likely !== undefined) {
      const row = likely.find(key);
      if (row >= 0) return this.#passes[likely.refOf(row)]!;
    }
    const tuples = this.#tuples;
    for (let index = 0; index < tuples.length; index++) {
      const tuple = tuples[index]!;
      const row = tuple.find(key);
      if (row < 0) continue;
      this.#likely[place] = tuple;
      if (index > 0) {
        tuples[index] = tuples[index - 1]!;
        tuples[index - 1] = tuple;
      }
      return this.#passes[tuple.refOf(row)]!;
    }
    return null;
  }

  #remember(reads: Uint32Array, pass: Translation): void {
    if (this.#passes.length === MAX_PASSES) this.#forget();
    reads[KEY.recircId] = 0xffffffff;
    const tuple = this.#tupleOf(reads);
    const { words, masks } = tuple;
    const values = new Int32Array(words.length);
    for (let i = 0; i < words.length; i++) values[i] = this.#given[words[i]!]! & masks[i]!;
    tuple.add(values, 0, this.#passes.length);
    this.#passes.push(pass);
  }

  /** The tuple of the keys that are compared in just these bits. */
  #tupleOf(reads: Uint32Array): Tuple {
    let hash = reads[KEY.inPort]!;
    for (let word: number = KEY.dlDst; word < KEY_WORDS; word++)
      hash = Math.imul(hash ^ reads[word]!, 0x9e3779b1);
    const alike = this.#byReads.get(hash) ?? [];
    for (const tuple of alike) if (isMaskedBy(tuple, reads)) return tuple;
    const words: number[] = [];
    for (let word = 0; word < KEY_WORDS; word++)
      if (reads[word] !== 0 && isFromPacket(word)) words.push(word);
    const tuple = new Tuple(
      words,
      words.map(word => reads[word]! | 0),
    );
    this.#byReads.set(hash, [...alike, tuple]);
    this.#tuples.push(tuple);
    return tuple;
  }

  #forget(): void {
    this.#passes.length = 0;
    this.#tuples = [];
    this.#likely.fill(undefined);
    this.#byReads.clear();
  }
}

const EMPTY: readonly never[] = [];

/** A list; one empty list serves all, so that it is at hand and not somewhere among 200,000. */
const kept = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? EMPTY : list);

/** Places in #likely. */
const LIKELY = 1024;

/**
 * One of them: by port, type and protocol, by whether the packet was recirculated, is tagged, multicast, or
 * about to expire.
 */
function likelyPlace(key: Uint32Array): number {
  const odds =
    (key[KEY.recircId] === 0 ? 0 : 1) |
    (key[KEY.vlanTci] === 0 ? 0 : 2) |
    (key[KEY.nwTtl]! > 1 ? 0 : 4) |
    (key[KEY.mplsLse + 1] === 0 ? 0 : 8) |
    ((key[KEY.dlDst]! & 0x100) >>> 4);
  const kind = key[KEY.inPort]! ^ (key[KEY.dlType]! << 7) ^ (key[KEY.nwProto]! << 23) ^ odds;
  return Math.imul(kind, 0x9e3779b1) >>> 22;
}

/** Whether a tuple compares all the bits that were read, and no others. */
function isMaskedBy({ words, masks }: Tuple, reads: Uint32Array): boolean {
  let index = 0;
  for (let word = 0; word < KEY_WORDS; word++) {
    if (reads[word] === 0 || !isFromPacket(word)) continue;
    if (words[index] !== word || masks[index] !== (reads[word]! | 0)) return false;
    index++;
  }
  return index === words.length;
}
