/**
 * Compressed captures: gzip through zlib, zstd through fzstd. What was decompressed before a damage or a cut is always
 * given out first; then the error comes, once.
 */
import { crc32, createInflateRaw, type InflateRaw } from "node:zlib";
import type { Decompress } from "fzstd";
import { type Source, SourceError } from "./source.ts";

/** The file behind: a source of its compressed bytes. */
export type CompressedFile = Omit<Source, "fill"> & { fill(target: Uint8Array): number };

/** What one compressed read takes from the file. */
const COMPRESSED_CHUNK_BYTES = 0x20000;

/** What zstd is given at a time: four bytes may stand for 128 KiB, so that this many stand for 32 MiB at the most. */
const ZSTD_MOUTHFUL_BYTES = 1024;

/** Decompressed pieces waiting to be taken. */
class Queue {
  readonly #pieces: Uint8Array[] = [];
  bytes = 0;

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** Moves as many bytes as fit into `target`. */
  take(target: Uint8Array): number {
    let at = 0;
    while (at < target.length && this.#pieces.length > 0) {
      const piece = this.#pieces[0]!;
      const bytes = Math.min(piece.length, target.length - at);
      target.set(piece.subarray(0, bytes), at);
      if (bytes === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(bytes);
      at += bytes;
    }
    this.bytes -= at;
    return at;
  }
}

/** What compressed sources share: the file behind, and the queue in front. */
abstract class CompressedSource implements Source {
  protected readonly file: CompressedFile;
  protected readonly queue = new Queue();
  readonly fd = null;

  constructor(file: CompressedFile) {
    this.file = file;
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

  abstract fill(target: Uint8Array): number | Promise<number>;

  /** A piece of the compressed file, empty at its end. */
  protected chunk(): Uint8Array {
    const chunk = new Uint8Array(COMPRESSED_CHUNK_BYTES);
    return chunk.subarray(0, this.file.fill(chunk));
  }

  close(): void {
    this.file.close();
  }
}

/** RFC 1952 §2.3: fixed part of a member's header, flags in it, and its trailer of CRC32 and ISIZE. */
const GZIP_HEADER_BYTES = 10;
const GZIP_TRAILER_BYTES = 8;
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
/** More than any header has that somebody wrote on purpose. */
const MAX_GZIP_HEADER_BYTES = 0x20000;

/** Which part of a member is read next. */
type Part = "header" | "body" | "trailer";

/**
 * gzip, member by member. Node's own Gunzip loses what it decompressed last when something else than a member follows,
 * so the frame around the deflate data is read here and only that data is given to zlib.
 */
export class GzipSource extends CompressedSource {
  #part: Part = "header";
  #inflate: InflateRaw | null = null;
  /** Compressed bytes that were read and not used yet. */
  #ahead: Uint8Array = new Uint8Array(0);
  #isFirst = true;
  #checksum = 0;
  #bytes = 0;
  #failure: SourceError | null = null;
  #isDone = false;

  async fill(target: Uint8Array): Promise<number> {
    while (this.queue.bytes === 0 && !this.#isDone && this.#failure === null) {
      if (this.#part === "body") await this.#readBody();
      else if (this.#part === "header") this.#readHeader();
      else this.#readTrailer();
    }
    if (this.queue.bytes > 0) return this.queue.take(target);
    if (this.#failure !== null) throw this.#failure;
    return 0;
  }

  #fail(what: string, isTruncation = false): void {
    this.#failure = new SourceError(`the gzip data ${what}`, isTruncation);
  }

  /** Makes `bytes` bytes stand ahead, or all there are. False when there are fewer. */
  #want(bytes: number): boolean {
    while (this.#ahead.length < bytes) {
      const chunk = this.chunk();
      if (chunk.length === 0) return false;
      this.#ahead = Buffer.concat([this.#ahead, chunk]);
    }
    return true;
  }

  #readHeader(): void {
    if (!this.#isFirst && this.#isPadding()) {
      this.#isDone = true;
      return;
    }
    const isWhole = this.#want(GZIP_HEADER_BYTES);
    const magic = [0x1f, 0x8b, 8];
    if (magic.some((byte, index) => index < this.#ahead.length && this.#ahead[index] !== byte)) {
      this.#fail(this.#isFirst ? "is damaged (its header)" : "is damaged (something else follows it)");
      return;
    }
    const length = isWhole ? this.#headerBytes() : null;
    if (length === null) {
      this.#fail("ends too early", true);
      return;
    }
    this.#ahead = this.#ahead.subarray(length);
    this.#inflate = this.#begin();
    this.#part = "body";
  }

  /** Whether nothing follows but zeros, which tapes and block devices leave behind, and gzip(1) ignores. */
  #isPadding(): boolean {
    while (this.#want(1)) {
      const other = this.#ahead.findIndex(byte => byte !== 0);
      if (other >= 0) return false;
      this.#ahead = this.#ahead.subarray(this.#ahead.length);
    }
    return true;
  }

  /** Bytes of the member's header, null when the file ends in it. */
  #headerBytes(): number | null {
    const flags = this.#ahead[3]!;
    let at = GZIP_HEADER_BYTES;
    if ((flags & FEXTRA) !== 0) {
      if (!this.#want(at + 2)) return null;
      at += 2 + this.#ahead[at]! + 256 * this.#ahead[at + 1]!;
    }
    for (const flag of [FNAME, FCOMMENT]) {
      if ((flags & flag) === 0) continue;
      while (this.#ahead.indexOf(0, at) < 0) {
        if (this.#ahead.length > MAX_GZIP_HEADER_BYTES || !this.#want(this.#ahead.length + 1)) return null;
      }
      at = this.#ahead.indexOf(0, at) + 1;
    }
    if ((flags & FHCRC) !== 0) at += 2;
    return this.#want(at) ? at : null;
  }

  #begin(): InflateRaw {
    this.#checksum = 0;
    this.#bytes = 0;
    const inflate = createInflateRaw();
    inflate.on("data", (piece: Uint8Array) => {
      this.#checksum = crc32(piece, this.#checksum);
      this.#bytes += piece.length;
      this.queue.push(piece);
    });
    return inflate;
  }

  /** Gives zlib what stands ahead, or one more piece, and waits until it is worked off. */
  #readBody(): Promise<void> {
    const chunk = this.#ahead.length > 0 ? this.#ahead : this.chunk();
    const inflate = this.#inflate!;
    const before = inflate.bytesWritten;
    return new Promise(resolve => {
      inflate.once("error", (error: NodeJS.ErrnoException) => {
        const isTruncation = error.code === "Z_BUF_ERROR";
        this.#fail(isTruncation ? "ends too early" : `is damaged (${error.message})`, isTruncation);
        resolve();
      });
      const worked = (): void => {
        const used = inflate.bytesWritten - before;
        this.#ahead = chunk.subarray(used);
        // zlib takes nothing behind the last block; without more input its end is only seen by ending it.
        if (used < chunk.length || chunk.length === 0) this.#part = "trailer";
        inflate.removeAllListeners("error");
        inflate.on("error", () => {});
        resolve();
      };
      if (chunk.length > 0) inflate.write(chunk, error => error ?? worked());
      else inflate.once("end", worked).end();
    });
  }

  #readTrailer(): void {
    if (!this.#want(GZIP_TRAILER_BYTES)) {
      this.#fail("ends too early", true);
      return;
    }
    const view = new DataView(this.#ahead.buffer, this.#ahead.byteOffset);
    const isRight =
      view.getUint32(0, true) === this.#checksum && view.getUint32(4, true) === this.#bytes % 2 ** 32;
    if (!isRight) this.#fail("is damaged (its checksum)");
    this.#ahead = this.#ahead.subarray(GZIP_TRAILER_BYTES);
    this.#isFirst = false;
    this.#part = "header";
  }

  override close(): void {
    this.#inflate?.destroy();
    super.close();
  }
}

/** Opens zstd data. The library is loaded on demand: it computes tables when it is loaded. */
export async function openZstd(file: CompressedFile): Promise<Source> {
  const { Decompress } = await import("fzstd");
  return new ZstdSource(file, onData => new Decompress(onData));
}

class ZstdSource extends CompressedSource {
  readonly #decompress: Decompress;
  /** Compressed bytes that were read and not decompressed yet. */
  #ahead: Uint8Array = new Uint8Array(0);
  #failure: SourceError | null = null;
  #isDone = false;

  constructor(file: CompressedFile, make: (onData: (piece: Uint8Array) => void) => Decompress) {
    super(file);
    this.#decompress = make(piece => this.queue.push(piece.slice()));
  }

  fill(target: Uint8Array): number {
    while (this.queue.bytes === 0 && !this.#isDone && this.#failure === null) this.#feed();
    if (this.queue.bytes > 0) return this.queue.take(target);
    if (this.#failure !== null) throw this.#failure;
    return 0;
  }

  #feed(): void {
    if (this.#ahead.length === 0) this.#ahead = this.chunk();
    const chunk = this.#ahead.subarray(0, ZSTD_MOUTHFUL_BYTES);
    this.#ahead = this.#ahead.subarray(chunk.length);
    try {
      this.#decompress.push(chunk, chunk.length === 0);
      this.#isDone = chunk.length === 0;
    } catch (error) {
      const { message } = error as Error;
      const isTruncation = chunk.length === 0;
      const what = isTruncation ? "the zstd data ends too early" : `the zstd data is damaged (${message})`;
      this.#failure = new SourceError(what, isTruncation);
    }
  }
}
