/**
 * Lines of JSON on their way to standard output, as bytes: put together from pieces that were encoded once,
 * because a batch is bounded by that. What a line says is its writer's business.
 */
import { visible } from "../report/index.ts";
import { printBytes } from "./context.ts";

/** Bytes that are written at once. */
const FULL = 1 << 18;

const DIGITS = Buffer.from("0123456789abcdef");

/** The two digits of a byte, the first in the upper half. */
const PAIRS = Uint16Array.from({ length: 256 }, (_, byte) => (DIGITS[byte >>> 4]! << 8) | DIGITS[byte & 15]!);

/** Pieces under so many bytes are copied one by one: a call costs more. */
const SHORT = 24;

const encoder = new TextEncoder();

/** A text as a piece for `Answers.piece`. */
export const pieceOf = (text: string): Uint8Array => encoder.encode(visible(text));

export class Answers {
  #bytes = Buffer.allocUnsafe(1 << 12);
  #at = 0;

  text(line: string): void {
    const text = visible(line);
    // A UTF-16 unit is three bytes at most.
    this.#makeRoom(3 * text.length);
    this.#at += this.#bytes.write(text, this.#at);
  }

  piece(piece: Uint8Array): void {
    const { length } = piece;
    this.#makeRoom(length);
    if (length < SHORT) for (let i = 0; i < length; i++) this.#bytes[this.#at + i] = piece[i]!;
    else this.#bytes.set(piece, this.#at);
    this.#at += length;
  }

  /** A frame as lower-case hex. */
  hex(frame: Uint8Array): void {
    const { length } = frame;
    this.#makeRoom(2 * length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const pair = PAIRS[frame[i]!]!;
      bytes[at++] = pair >>> 8;
      bytes[at++] = pair & 0xff;
    }
    this.#at = at;
  }

  /** Ends a line; writes all so far when it is much. */
  endLine(): void {
    this.#makeRoom(1);
    this.#bytes[this.#at++] = 10;
    if (this.#at >= FULL) this.flush();
  }

  /** Writes what there is. */
  flush(): void {
    if (this.#at > 0) printBytes(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
  }

  #makeRoom(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + count));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
