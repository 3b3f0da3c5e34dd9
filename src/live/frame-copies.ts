/**
 * Copies frames of a batch for the mirror: every n-th frame as received, before the core rewrites it, and
 * then as sent. The writer (mirror.ts) drops copies if the main thread falls behind. Layout of descriptors:
 * assembly/abi.ts.
 */
import * as abi from "../../assembly/abi.ts";
import type { Batch } from "./batch.ts";
import type { MirrorWriter } from "./mirror.ts";

const DESCRIPTOR_WORDS = abi.DESCRIPTOR_BYTES >>> 2;
const FIRST = abi.FRAMES >>> 2;

export class FrameCopies {
  readonly #writer: MirrorWriter;
  readonly #every: number;
  readonly #copies = new Uint8Array(abi.FRAMES_END - abi.FRAMES_DATA);
  /** Frames seen so far. */
  #count = 0;
  /** Index of the first copied frame of the batch. */
  #first = 0;

  constructor(writer: MirrorWriter, every: number) {
    this.#writer = writer;
    this.#every = every;
  }

  /** Marks that the frames from here on meet other tables. */
  change(): void {
    this.#writer.change();
  }

  /** Keeps the frames as received; to be called before the core runs the batch. */
  keep({ count, words, bytes }: Batch): void {
    const every = this.#every;
    this.#first = (every - (this.#count % every)) % every;
    let to = 0;
    for (let index = this.#first; index < count; index += every) {
      const word = FIRST + index * DESCRIPTOR_WORDS;
      const at = words[word + (abi.DESCRIPTOR_FRAME >>> 2)]!;
      const length = words[word + (abi.DESCRIPTOR_LENGTH >>> 2)]!;
      this.#copies.set(bytes.subarray(at, at + length), to);
      to += length;
    }
    this.#count += count;
  }

  /** Writes the kept frames with their outcomes; to be called after the core has run the batch. */
  write({ count, words, bytes }: Batch): void {
    const time = performance.timeOrigin + performance.now();
    let from = 0;
    for (let index = this.#first; index < count; index += this.#every) {
      const word = FIRST + index * DESCRIPTOR_WORDS;
      const length = words[word + (abi.DESCRIPTOR_LENGTH >>> 2)]!;
      const outcome = words[word + (abi.DESCRIPTOR_VERDICT >>> 2)]! & 0xffff;
      const isDropped = (outcome & 0xff) === abi.Verdict.Drop;
      this.#writer.put(
        words[word + (abi.DESCRIPTOR_IN_PORT >>> 2)]!,
        isDropped ? 0 : words[word + (abi.DESCRIPTOR_OUT_PORT >>> 2)]!,
        outcome,
        time,
        { bytes: this.#copies, at: from, length },
        {
          bytes,
          at: isDropped ? 0 : words[word + (abi.DESCRIPTOR_OUT_FRAME >>> 2)]!,
          length: isDropped ? 0 : words[word + (abi.DESCRIPTOR_OUT_LENGTH >>> 2)]!,
        },
      );
      from += length;
    }
  }
}
