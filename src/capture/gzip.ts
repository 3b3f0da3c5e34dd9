/**
 * gzip (RFC 1952), member by member. Node's own Gunzip loses what it decompressed last when something else than a
 * member follows, so the frame around the deflate data is read here and only that data is given to zlib. Small members
 * are decompressed in one call each: a stream for every member costs ten times as much.
 */
import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from "node:zlib";
import { CompressedSource } from "./compressed.ts";
import type { RawSource } from "./source.ts";

/** RFC 1952 §2.3: fixed part of a member's header, flags in it, and its trailer of CRC32 and ISIZE. */
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
/** More than any header has that somebody wrote on purpose. */
const MAX_HEADER_BYTES = 0x20000;

/** Deflate data and content of a member that counts as small. */
const SMALL_BYTES = 0x4000;
const SMALL_CONTENT_BYTES = 0x40000;

/** The part of a member that is read next. */
type Part = "header" | "body" | "trailer";

export class GzipSource extends CompressedSource {
  #part: Part = "header";
  #inflate: InflateRaw | null = null;
  #isFirst = true;
  /** Whether the member before this one was small. */
  #isSmall = false;
  #checksum = 0;
  #bytes = 0;

  constructor(file: RawSource) {
    super(file, "gzip");
  }

  protected step(): Promise<void> {
    if (this.#part === "header") return this.#readHeader();
    return this.#part === "body" ? this.#readBody() : this.#readTrailer();
  }

  async #readHeader(): Promise<void> {
    if (!this.#isFirst && (await this.#isPadding())) return this.finish();
    const isWhole = await this.want(HEADER_BYTES);
    const magic = [0x1f, 0x8b, 8];
    if (magic.some((byte, index) => index < this.ahead.length && this.ahead[index] !== byte))
      return this.fail(this.#isFirst ? "is damaged (its header)" : "is damaged (something else follows it)");
    const length = isWhole ? await this.#headerBytes() : null;
    if (length === null) return this.fail("ends too early", true);
    this.ahead = this.ahead.subarray(length);
    if (!this.#isSmall || !this.#inflateWhole()) {
      this.#inflate = this.#begin();
      this.#part = "body";
    }
  }

  /** Whether nothing follows but zeros, which tapes and block devices leave behind, and gzip(1) ignores. */
  async #isPadding(): Promise<boolean> {
    while (await this.want(1)) {
      const other = this.ahead.findIndex(byte => byte !== 0);
      if (other >= 0) return false;
      this.ahead = this.ahead.subarray(this.ahead.length);
    }
    return true;
  }

  /** Bytes of the member's header, null when the file ends in it. */
  async #headerBytes(): Promise<number | null> {
    const flags = this.ahead[3]!;
    let at = HEADER_BYTES;
    if ((flags & FEXTRA) !== 0) {
      if (!(await this.want(at + 2))) return null;
      at += 2 + this.ahead[at]! + 256 * this.ahead[at + 1]!;
    }
    for (const flag of [FNAME, FCOMMENT]) {
      if ((flags & flag) === 0) continue;
      while (this.ahead.indexOf(0, at) < 0) {
        if (this.ahead.length > MAX_HEADER_BYTES || !(await this.want(this.ahead.length + 1))) return null;
      }
      at = this.ahead.indexOf(0, at) + 1;
    }
    if ((flags & FHCRC) !== 0) at += 2;
    return (await this.want(at)) ? at : null;
  }

  /** Decompresses a member that stands ahead as a whole. False when it does not, or is not small. */
  #inflateWhole(): boolean {
    const data = this.ahead.subarray(0, SMALL_BYTES);
    try {
      const options = { info: true, maxOutputLength: SMALL_CONTENT_BYTES };
      // With `info` there is also the stream, which counts the bytes that it used.
      const result = inflateRawSync(data, options) as unknown as { buffer: Buffer; engine: InflateRaw };
      this.#checksum = crc32(result.buffer);
      this.#bytes = result.buffer.length;
      this.queue.push(result.buffer);
      this.ahead = this.ahead.subarray(result.engine.bytesWritten);
      this.#part = "trailer";
      return true;
    } catch {
      // Cut, too large or damaged: the stream tells which.
      return false;
    }
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

  /** Gives zlib the bytes that stand ahead, or one more piece, and waits until it has used them. */
  async #readBody(): Promise<void> {
    const chunk = this.ahead.length > 0 ? this.ahead : await this.chunk();
    const inflate = this.#inflate!;
    const before = inflate.bytesWritten;
    return new Promise(resolve => {
      inflate.once("error", (error: NodeJS.ErrnoException) => {
        const isTruncation = error.code === "Z_BUF_ERROR";
        this.fail(isTruncation ? "ends too early" : "is damaged (its deflate data)", isTruncation);
        resolve();
      });
      const worked = (): void => {
        const used = inflate.bytesWritten - before;
        this.ahead = chunk.subarray(used);
        // zlib takes nothing behind the last block; without more input its end is only seen by ending it.
        if (used < chunk.length || chunk.length === 0) this.#endBody();
        inflate.removeAllListeners("error");
        inflate.on("error", () => {});
        resolve();
      };
      if (chunk.length > 0) inflate.write(chunk, error => error ?? worked());
      else inflate.once("end", worked).end();
    });
  }

  #endBody(): void {
    this.#part = "trailer";
    this.#isSmall = this.#inflate!.bytesWritten <= SMALL_BYTES && this.#bytes <= SMALL_CONTENT_BYTES;
    this.#inflate!.close();
    this.#inflate = null;
  }

  async #readTrailer(): Promise<void> {
    if (!(await this.want(TRAILER_BYTES))) return this.fail("ends too early", true);
    const view = new DataView(this.ahead.buffer, this.ahead.byteOffset);
    const isRight =
      view.getUint32(0, true) === this.#checksum && view.getUint32(4, true) === this.#bytes % 2 ** 32;
    if (!isRight) this.fail("is damaged (its checksum)");
    this.ahead = this.ahead.subarray(TRAILER_BYTES);
    this.#isFirst = false;
    this.#part = "header";
  }

  override close(): void {
    this.#inflate?.destroy();
    super.close();
  }
}
