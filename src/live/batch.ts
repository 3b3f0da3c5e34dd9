/**
 * Positions of the frames of a batch in the core's memory while they are received, run and sent: a slot for
 * each frame that is read straight into place, and behind the slots room for frames that are copied in. This
 * file writes only numbers, never frame bytes. Layout of descriptors and limits: assembly/abi.ts.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import { addressOf } from "./libc.ts";

/** Frames read straight into place in one batch. */
export const BATCH_FRAMES = 256;
/** Bytes read of a frame at most: one more than the pipeline accepts, which is enough for `too-long`. */
export const MOST_BYTES = abi.MAX_FRAME_BYTES + 1;
/** Headroom, frame, and the bytes behind it that a rewrite may touch; an odd number of cache lines. */
const SLOT_BYTES = 147 * 64;

const COPIES = abi.FRAMES_DATA + BATCH_FRAMES * SLOT_BYTES;
const DESCRIPTOR_WORDS = abi.DESCRIPTOR_BYTES >>> 2;
const FIRST = abi.FRAMES >>> 2;

export class Batch {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  /** Address of the core's memory: offset 0. */
  readonly base: number;
  /** Frames described so far. */
  count = 0;
  /** Slots in use: those of frames that are described, and of frames about to be. */
  slots = 0;
  #copyAt = COPIES;
  readonly #run: () => void;

  /**
   * `run` is called when a batch is full before all frames were added; it must run the batch and `clear` it.
   */
  constructor(core: Core, run: () => void) {
    this.bytes = core.bytes;
    this.words = core.words;
    this.base = addressOf(core.bytes.buffer);
    this.#run = run;
  }

  /** Offset in the core's memory of the frame of a slot. */
  static frameAt(slot: number): number {
    return abi.FRAMES_DATA + slot * SLOT_BYTES + abi.FRAME_HEADROOM_BYTES;
  }

  /** Adds the descriptor of a frame that is in the core's memory. */
  add(inPort: number, at: number, length: number): void {
    if (this.count === abi.MAX_BATCH_FRAMES) this.#run();
    const word = FIRST + this.count++ * DESCRIPTOR_WORDS;
    this.words[word + (abi.DESCRIPTOR_IN_PORT >>> 2)] = inPort;
    this.words[word + (abi.DESCRIPTOR_FRAME >>> 2)] = at;
    this.words[word + (abi.DESCRIPTOR_LENGTH >>> 2)] = length;
  }

  /** Copies a frame in, the bytes from `from` to `to`, and adds its descriptor. */
  copy(inPort: number, bytes: Uint8Array, from: number, to: number): void {
    const length = Math.min(to - from, MOST_BYTES);
    const at = this.room(length);
    this.bytes.set(bytes.subarray(from, from + length), at);
    this.add(inPort, at, length);
  }

  /** Offset where a frame of `length` bytes can be written that is added next. */
  room(length: number): number {
    const needed = (2 * abi.FRAME_HEADROOM_BYTES + length + 63) & ~63;
    if (this.#copyAt + needed > abi.FRAMES_END || this.count === abi.MAX_BATCH_FRAMES) this.#run();
    const at = this.#copyAt + abi.FRAME_HEADROOM_BYTES;
    this.#copyAt += needed;
    return at;
  }

  /** Removes the descriptors; frames that were read into slots but have none yet stay in place. */
  clear(): void {
    this.count = 0;
    this.#copyAt = COPIES;
  }
}
