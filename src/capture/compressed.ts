/** What compressed sources share: the file behind, the bytes read from it, and decompressed pieces in front. */
import type { RawSource, Source } from "./source.ts";
import { SourceError } from "./source-error.ts";

/** Bytes that one read takes from the file. */
const CHUNK_BYTES = 0x20000;
/** Decompressed bytes that are gathered before they are given out, if they can be had without waiting. */
const ENOUGH_BYTES = 0x40000;

/** Pieces that were taken and are still held. */
const MOST_TAKEN = 16;

/** Decompressed pieces waiting to be taken. */
class Queue {
  readonly #pieces: Uint8Array[] = [];
  /** The first piece that was not taken yet. */
  #first = 0;
  bytes = 0;

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** Moves as many bytes as fit into `target`. */
  take(target: Uint8Array): number {
    let at = 0;
    while (at < target.length && this.#first < this.#pieces.length) {
      const piece = this.#pieces[this.#first]!;
      const bytes = Math.min(piece.length, target.length - at);
      target.set(piece.subarray(0, bytes), at);
      if (bytes === piece.length) this.#first++;
      else this.#pieces[this.#first] = piece.subarray(bytes);
      at += bytes;
    }
    // Taken pieces are let go of now and then: shifting each off a long list costs more than all else here.
    if (this.#first > MOST_TAKEN || this.#first === this.#pieces.length) {
      this.#pieces.splice(0, this.#first);
      this.#first = 0;
    }
    this.bytes -= at;
    return at;
  }
}

/**
 * Decompressed data. Everything that was decompressed before a damage or a cut is given out first; then the error
 * comes, once.
 */
export abstract class CompressedSource implements Source {
  protected readonly file: RawSource;
  protected readonly queue = new Queue();
  /** Compressed bytes that were read and not used yet. */
  protected ahead: Uint8Array = new Uint8Array(0);
  readonly fd = null;
  /** `gzip` or `zstd`. */
  readonly #kind: string;
  #failure: SourceError | null = null;
  #isDone = false;

  constructor(file: RawSource, kind: string) {
    this.file = file;
    this.#kind = kind;
  }

  get name(): string {
    return this.file.name;
  }
  get totalBytes(): number | null {
    return this.file.totalBytes;
  }
  get readBytes(): number {
    return this.file.readBytes;
  }
  get identity(): string | null {
    return this.file.identity;
  }

  seek(): void {
    throw new Error("compressed data cannot be read at an offset");
  }

  async fill(target: Uint8Array): Promise<number> {
    const enough = this.file.isImmediate ? ENOUGH_BYTES : 1;
    while (this.queue.bytes < enough && !this.#isDone && this.#failure === null) await this.step();
    if (this.queue.bytes > 0) return this.queue.take(target);
    if (this.#failure !== null) throw this.#failure;
    return 0;
  }

  /** Reads or decompresses a little more; ends with `finish` or `fail`. */
  protected abstract step(): void | Promise<void>;

  protected finish(): void {
    this.#isDone = true;
  }

  /** Ends with an error: `the gzip data WHAT`. */
  protected fail(what: string, isTruncation = false): void {
    this.#failure ??= new SourceError(`the ${this.#kind} data ${what}`, isTruncation);
  }

  /** A piece of the compressed file, empty at its end. */
  protected async chunk(): Promise<Uint8Array> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    return chunk.subarray(0, await this.file.fill(chunk));
  }

  /** Makes `bytes` bytes stand ahead, or all there are. False when there are fewer. */
  protected async want(bytes: number): Promise<boolean> {
    while (this.ahead.length < bytes) {
      const chunk = await this.chunk();
      if (chunk.length === 0) return false;
      this.ahead = this.ahead.length === 0 ? chunk : Buffer.concat([this.ahead, chunk]);
    }
    return true;
  }

  stop(): void {
    this.file.stop();
  }

  close(): void {
    this.file.close();
  }
}
