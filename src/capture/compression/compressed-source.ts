/**
 * Shared by decompressors: the compressed file, the bytes read from it and not used yet, and the decompressed chunks
 * that the caller has not taken. A decompressor implements `step`.
 */
import { type ByteSource, type RawSource, SourceError } from "../byte-source.ts";

/** Bytes of one read from the file. */
const CHUNK_BYTES = 0x20000;
/** Decompressed bytes that are gathered before `fill` returns, if the file can be read without waiting. */
const ENOUGH_BYTES = 0x40000;

/** Chunks that were taken and are still referenced. */
const MOST_TAKEN = 16;

/** Decompressed chunks that wait to be taken. */
class Queue {
  readonly #chunks: Uint8Array[] = [];
  /** Index of the first chunk that was not taken yet. */
  #first = 0;
  bytes = 0;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Moves as many bytes as fit into `target`. */
  take(target: Uint8Array): number {
    let at = 0;
    while (at < target.length && this.#first < this.#chunks.length) {
      const chunk = this.#chunks[this.#first]!;
      const bytes = Math.min(chunk.length, target.length - at);
      target.set(chunk.subarray(0, bytes), at);
      if (bytes === chunk.length) this.#first++;
      else this.#chunks[this.#first] = chunk.subarray(bytes);
      at += bytes;
    }
    // Taken chunks are removed several at a time: shifting each off a long list costs more than all other work here.
    if (this.#first > MOST_TAKEN || this.#first === this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
    this.bytes -= at;
    return at;
  }
}

/**
 * Decompressed data. Everything that was decompressed before damage or a premature end is returned first; then `fill`
 * throws the error.
 */
export abstract class CompressedSource implements ByteSource {
  protected readonly file: RawSource;
  protected readonly queue = new Queue();
  /** Compressed bytes that were read and not used yet. */
  protected ahead: Uint8Array = new Uint8Array(0);
  readonly fd = null;
  /** `gzip` or `zstd`. */
  readonly #format: string;
  #failure: SourceError | null = null;
  #isDone = false;

  constructor(file: RawSource, format: string) {
    this.file = file;
    this.#format = format;
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
    throw new Error("internal error: compressed data cannot be read at an offset");
  }

  async fill(target: Uint8Array): Promise<number> {
    const enough = this.file.isImmediate ? ENOUGH_BYTES : 1;
    while (this.queue.bytes < enough && !this.#isDone && this.#failure === null) await this.step();
    if (this.queue.bytes > 0) return this.queue.take(target);
    if (this.#failure !== null) throw this.#failure;
    return 0;
  }

  /** Reads or decompresses one more part; ends with `finish` or `fail`. */
  protected abstract step(): void | Promise<void>;

  protected finish(): void {
    this.#isDone = true;
  }

  /** Ends with the error `the gzip data WHAT`. */
  protected fail(what: string, isTruncation = false): void {
    this.#failure ??= new SourceError(`the ${this.#format} data ${what}`, isTruncation);
  }

  /** The next chunk of the compressed file, empty at its end. */
  protected async chunk(): Promise<Uint8Array> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    return chunk.subarray(0, await this.file.fill(chunk));
  }

  /** Reads until `ahead` has `bytes` bytes; false if the file ends before. */
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
