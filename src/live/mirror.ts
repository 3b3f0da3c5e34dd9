/**
 * Copies of frames on their way from the thread that moves them to the main thread, which writes captures and
 * compares: a ring in shared memory with one writer and one reader. A full ring accepts no more copies and
 * counts them: the mirror must never slow down the frames.
 *
 *   0   bytes written, bytes read, records skipped, bytes written at the last change of tables, number of
 *       changes (each an i32, counting modulo 2^32)
 *   64  the ring: records, each a multiple of 8 bytes, contiguous; length 0 means "continue at the start"
 *
 *   record  0 bytes of the record   4 in_port   8 out_port   12 verdict, reason (one byte each)
 *           16 time, f64, ms   24 bytes in   28 bytes out   32 the received frame, then (from a multiple
 *           of 8) the sent one
 */

const HEADER_BYTES = 64;
const WRITTEN = 0;
const READ = 1;
const MISSED = 2;
const CHANGED_AT = 3;
const CHANGES = 4;
const RECORD_HEADER_BYTES = 32;

/** Room for 16 MiB: a tenth of a second of small frames at full speed. */
const MIRROR_BYTES = 16 * 1024 * 1024;

const up8 = (bytes: number): number => (bytes + 7) & ~7;

/** A frame and its outcome. `out` is empty if nothing was sent. */
export interface Mirrored {
  readonly inPort: number;
  readonly outPort: number;
  readonly verdict: number;
  readonly reason: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly frame: Uint8Array;
  readonly out: Uint8Array;
}

export function mirrorBuffer(bytes = MIRROR_BYTES): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER_BYTES + up8(bytes));
}

class Ring {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly size: number;

  constructor(buffer: SharedArrayBuffer) {
    this.bytes = new Uint8Array(buffer, HEADER_BYTES);
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.size = this.bytes.length;
  }
}

/** A range of bytes: `length` of them in `bytes` from `at` on. */
export interface ByteRange {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** The end that writes. */
export class MirrorWriter extends Ring {
  #at = 0;

  /**
   * Writes a record, or counts it as missed. `outcome`: the verdict in the low 8 bits, the reason above them.
   */
  put(
    inPort: number,
    outPort: number,
    outcome: number,
    time: number,
    frame: ByteRange,
    out: ByteRange,
  ): void {
    const total = RECORD_HEADER_BYTES + up8(frame.length) + up8(out.length);
    const toEnd = this.size - this.#at;
    const skipped = toEnd < total ? toEnd : 0;
    const used = (Atomics.load(this.words, WRITTEN) - Atomics.load(this.words, READ)) >>> 0;
    if (used + skipped + total > this.size) {
      Atomics.add(this.words, MISSED, 1);
      return;
    }
    if (skipped > 0) {
      this.words[(HEADER_BYTES + this.#at) >>> 2] = 0;
      this.#at = 0;
    }
    const word = (HEADER_BYTES + this.#at) >>> 2;
    this.words[word] = total;
    this.words[word + 1] = inPort;
    this.words[word + 2] = outPort;
    this.words[word + 3] = outcome;
    this.doubles[(HEADER_BYTES + this.#at + 16) >>> 3] = time;
    this.words[word + 6] = frame.length;
    this.words[word + 7] = out.length;
    const at = this.#at + RECORD_HEADER_BYTES;
    this.bytes.set(frame.bytes.subarray(frame.at, frame.at + frame.length), at);
    this.bytes.set(out.bytes.subarray(out.at, out.at + out.length), at + up8(frame.length));
    this.#at = (this.#at + total) % this.size;
    // Last, so that the reader sees whole records only.
    Atomics.add(this.words, WRITTEN, skipped + total);
  }

  /**
   * Marks that frames from here on meet other tables. The reader must have noticed it before the next mark.
   */
  change(): void {
    Atomics.store(this.words, CHANGED_AT, Atomics.load(this.words, WRITTEN));
    Atomics.add(this.words, CHANGES, 1);
  }
}

/** The end that reads. */
export class MirrorReader extends Ring {
  #at = 0;
  #changes = 0;

  /** Number of records that were skipped. */
  get missed(): number {
    return Atomics.load(this.words, MISSED) >>> 0;
  }

  /**
   * Delivers all records, oldest first; their bytes are valid during the call only. Calls `onChange` where
   * the tables changed.
   */
  drain(take: (record: Mirrored) => void, onChange: () => void = () => {}): void {
    const written = Atomics.load(this.words, WRITTEN);
    for (;;) {
      const read = Atomics.load(this.words, READ);
      const changes = Atomics.load(this.words, CHANGES);
      if (changes !== this.#changes && read === Atomics.load(this.words, CHANGED_AT)) {
        this.#changes = changes;
        onChange();
      }
      if (read === written) return;
      const word = (HEADER_BYTES + this.#at) >>> 2;
      const total = this.words[word]!;
      if (total === 0) {
        Atomics.store(this.words, READ, (read + this.size - this.#at) | 0);
        this.#at = 0;
        continue;
      }
      take(this.#record(word));
      this.#at = (this.#at + total) % this.size;
      Atomics.store(this.words, READ, (read + total) | 0);
    }
  }

  #record(word: number): Mirrored {
    const { words } = this;
    const length = words[word + 6]!;
    const frameAt = this.#at + RECORD_HEADER_BYTES;
    const outAt = frameAt + up8(length);
    const outcome = words[word + 3]!;
    return {
      inPort: words[word + 1]!,
      outPort: words[word + 2]!,
      verdict: outcome & 0xff,
      reason: (outcome >>> 8) & 0xff,
      time: this.doubles[(HEADER_BYTES + this.#at + 16) >>> 3]!,
      frame: this.bytes.subarray(frameAt, frameAt + length),
      out: this.bytes.subarray(outAt, outAt + words[word + 7]!),
    };
  }
}
