/**
 * A capture's state in the core's memory: its record (abi.CAPTURE_…) and its window of the file. The core reads packets
 * at CAPTURE_AT and stops at CAPTURE_END; the host moves what is left to the window's start and reads behind it.
 * Offsets are those of the file, after decompression.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";

export class CaptureState {
  readonly core: Core;
  readonly #state: number;
  readonly #window: number;
  /** File offset of the window's first byte. */
  #offset = 0;

  constructor(core: Core, index: number) {
    this.core = core;
    this.#state = abi.CAPTURES + index * abi.CAPTURE_BYTES;
    this.#window = abi.INPUT + index * abi.WINDOW_BYTES;
  }

  get(field: number): number {
    return this.core.words[(this.#state + field) >>> 2]!;
  }

  set(field: number, value: number): void {
    this.core.words[(this.#state + field) >>> 2] = value;
  }

  /** The timestamp of the last packet. */
  get clock(): bigint {
    return this.#view().getBigUint64(this.#state + abi.CAPTURE_CLOCK, true);
  }
  set clock(time: bigint) {
    this.#view().setBigUint64(this.#state + abi.CAPTURE_CLOCK, time, true);
  }

  /** Clears the record and the window. */
  reset(): void {
    this.core.bytes.fill(0, this.#state, this.#state + abi.CAPTURE_BYTES);
    this.#empty();
  }

  /** Continues at a file offset, as if everything before it had been read. */
  jump(offset: number, clock: bigint): void {
    this.#offset = offset;
    for (const field of [abi.CAPTURE_EOF, abi.CAPTURE_DONE, abi.CAPTURE_HEAD, abi.CAPTURE_SKIP_BLOCK])
      this.set(field, 0);
    this.#empty();
    this.clock = clock;
  }

  #empty(): void {
    this.set(abi.CAPTURE_AT, this.#window);
    this.set(abi.CAPTURE_END, this.#window);
  }

  /** Bytes in the window that the core has not consumed. */
  get available(): number {
    return this.get(abi.CAPTURE_END) - this.get(abi.CAPTURE_AT);
  }

  /** These bytes themselves. */
  get bytes(): Uint8Array {
    return this.core.bytes.subarray(this.get(abi.CAPTURE_AT), this.get(abi.CAPTURE_END));
  }

  /** Moves what is left to the window's start; returns the room behind it, at most `most` bytes. */
  makeRoom(most: number): Uint8Array {
    const at = this.get(abi.CAPTURE_AT);
    const end = this.get(abi.CAPTURE_END);
    this.core.bytes.copyWithin(this.#window, at, end);
    this.#offset += at - this.#window;
    const left = this.#window + (end - at);
    this.set(abi.CAPTURE_AT, this.#window);
    this.set(abi.CAPTURE_END, left);
    return this.core.bytes.subarray(left, Math.min(left + most, this.#window + abi.WINDOW_BYTES));
  }

  /** File offset of an address in the window. */
  offsetOf(address: number): number {
    return this.#offset + address - this.#window;
  }

  /** File offset of the record or block at which the core stands, or which it is skipping. */
  get position(): number {
    const block = this.get(abi.CAPTURE_SKIP_BLOCK);
    const skipped = block === 0 ? 0 : block - 4 - this.get(abi.CAPTURE_SKIP);
    return this.offsetOf(this.get(abi.CAPTURE_AT)) - skipped;
  }

  #view(): DataView {
    return new DataView(this.core.bytes.buffer);
  }
}
