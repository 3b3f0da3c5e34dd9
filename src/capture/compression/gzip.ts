/**
 * gzip (RFC 1952), member by member. Node's own Gunzip loses the last decompressed bytes if other data follows a
 * member, so the header and trailer of a member are read here and zlib gets the deflate data alone. Small members are
 * decompressed in one call each: a stream for every member takes ten times as long.
 */
import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from "node:zlib";
import type { RawSource } from "../byte-source.ts";
import { beginsWithHex, type DecodedFormat } from "../formats/capture-format.ts";
import { CompressedSource } from "./compressed-source.ts";

/** RFC 1952 §2.3: fixed part of a member's header, flags in it, and its trailer of CRC32 and ISIZE. */
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
/** No header has more bytes unless the file is damaged. */
const MAX_HEADER_BYTES = 0x20000;

/** Deflate data and content of a small member, in bytes. */
const SMALL_BYTES = 0x4000;
const SMALL_CONTENT_BYTES = 0x40000;

export const GZIP: DecodedFormat = {
  kind: "decoded",
  name: "gzip",
  reads: "recognized by content",
  writes: "when the name ends in `.gz`",
  recognizes: beginsWithHex("1f8b"),
  open: file => new GzipSource(file),
};

/** The part of a member that is read next. */
type Part = "header" | "body" | "trailer";

class GzipSource extends CompressedSource {
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
      return this.fail(this.#isFirst ? "is damaged (its header)" : "is damaged (other data follows it)");
    const length = isWhole ? await this.#headerBytes() : null;
    if (length === null) return this.fail("ends too early", true);
    this.ahead = this.ahead.subarray(length);
    if (!this.#isSmall || !this.#inflateWhole()) {
      this.#inflate = this.#begin();
      this.#part = "body";
    }
  }

  /** Whether only zeros follow: tapes and block devices pad a file with them, and gzip(1) ignores them. */
  async #isPadding(): Promise<boolean> {
    while (await this.want(1)) {
      const other = this.ahead.findIndex(byte => byte !== 0);
      if (other >= 0) return false;
      this.ahead = this.ahead.subarray(this.ahead.length);
    }
    return true;
  }

  /** Bytes of the member's header; null if the file ends in it. */
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

  /** Decompresses a member of which all bytes are read; false if they are not, or it is not small. */
  #inflateWhole(): boolean {
    const data = this.ahead.subarray(0, SMALL_BYTES);
    try {
      const options = { info: true, maxOutputLength: SMALL_CONTENT_BYTES };
      // `info` adds the stream to the result, which has the number of bytes it consumed.
      const result = inflateRawSync(data, options) as unknown as { buffer: Buffer; engine: InflateRaw };
      this.#checksum = crc32(result.buffer);
      this.#bytes = result.buffer.length;
      this.queue.push(result.buffer);
      this.ahead = this.ahead.subarray(result.engine.bytesWritten);
      this.#part = "trailer";
      return true;
    } catch {
      // Cut, too large or damaged: decompressing it as a stream shows which.
      return false;
    }
  }

  #begin(): InflateRaw {
    this.#checksum = 0;
    this.#bytes = 0;
    const inflate = createInflateRaw();
    inflate.on("data", (chunk: Uint8Array) => {
      this.#checksum = crc32(chunk, this.#checksum);
      this.#bytes += chunk.length;
      this.queue.push(chunk);
    });
    return inflate;
  }

  /** Passes the bytes that were read ahead, or the next chunk, to zlib, and waits until it has consumed them. */
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
        // zlib consumes nothing after the last block. At the end of the input, only ending the stream shows its end.
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
