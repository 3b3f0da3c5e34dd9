/**
 * zstd (RFC 8878). Frames are taken apart into their blocks here, as far as headers go; blocks are decompressed by
 * node:zlib where it knows zstd (Node 22.15 and later), else by fzstd. Knowing the blocks, memory grows with the data
 * that a frame has and not with the window that its header claims, and a frame costs what its bytes cost.
 *
 * node:zlib verifies the checksums of frames; fzstd does not.
 */
import * as zlib from "node:zlib";
import { CompressedSource } from "./compressed.ts";
import type { RawSource, Source } from "./source.ts";

/** The window up to which zstd(1) decompresses, too, unless it is told otherwise (--long=31). */
const MAX_WINDOW_BYTES = 2 ** 27;
const MAX_WINDOW_LOG = 27;
/** No block has more content (§3.1.1.2.4). */
const MAX_BLOCK_BYTES = 0x20000;
/** A frame that cannot have more content is decompressed in one call by node:zlib. */
const SMALL_BYTES = 8 * MAX_BLOCK_BYTES;

const MAGIC = 0xfd2fb528;
/** §3.1.2: 0x184d2a50 to 0x184d2a5f. */
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** Types of blocks (§3.1.1.2.2); 0 is raw. */
const RLE = 1;
const COMPRESSED = 2;

/** Decompresses one frame. Each piece is a whole number of blocks; the last one ends with the checksum, if any. */
interface Decoder {
  push(piece: Uint8Array, isLast: boolean): void | Promise<void>;
  close(): void;
}

/** What decompresses frames: `begin` when it is known how much content a frame has at least. */
interface Engine {
  /** Whether enough blocks of a frame are there to begin. */
  isEnough(frame: Frame): boolean;
  begin(frame: Frame, onData: (piece: Uint8Array) => void): Decoder;
}

/** Something that is no valid zstd. */
class Damaged extends Error {}

/** Opens zstd data. The library is loaded on demand: it computes tables when it is loaded. */
export async function openZstd(file: RawSource): Promise<Source> {
  return new ZstdSource(file, nativeEngine() ?? (await libraryEngine()));
}

// ── Frames ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A frame, as far as its blocks were read. */
class Frame {
  readonly header: Uint8Array;
  readonly windowBytes: number;
  /** Null when the header does not say. */
  readonly contentBytes: number | null;
  readonly hasChecksum: boolean;
  readonly dictionary: number;
  /** Most bytes that the blocks read so far can have as content. */
  boundBytes = 0;
  /** Blocks that were read and not decompressed yet. */
  readonly blocks: Uint8Array[] = [];
  /** Whether the last block was read, or the file ended before. */
  isWhole = false;
  isCut = false;
  /** What is wrong behind the blocks that were read, null when nothing is, or only their end is missing. */
  damage: string | null = null;
  decoder: Decoder | null = null;
  doneBytes = 0;

  /** Reads a header of `headerBytes` bytes (§3.1.1.1). */
  constructor(header: Uint8Array) {
    this.header = header;
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    const descriptor = header[4]!;
    const isSingle = (descriptor & 0x20) !== 0;
    this.hasChecksum = (descriptor & 4) !== 0;
    if ((descriptor & 8) !== 0) throw new Damaged("its frame header");
    const dictionaryAt = isSingle ? 5 : 6;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    const little = (at: number, bytes: number): number =>
      header.subarray(at, at + bytes).reduceRight((sum, byte) => sum * 256 + byte, 0);
    this.dictionary = little(dictionaryAt, dictionaryBytes);
    const sizeAt = dictionaryAt + dictionaryBytes;
    const size = little(sizeAt, header.length - sizeAt) + (descriptor >>> 6 === 1 ? 256 : 0);
    this.contentBytes = header.length === sizeAt ? null : size;
    const window = view.getUint8(5);
    this.windowBytes = isSingle ? size : 2 ** (10 + (window >>> 3)) * (1 + (window & 7) / 8);
  }

  get blockBytes(): number {
    return Math.min(this.windowBytes, MAX_BLOCK_BYTES);
  }

  /** The bytes of history that the blocks read so far can need. */
  get historyBytes(): number {
    return Math.min(this.windowBytes, this.boundBytes);
  }
}

/** Bytes of a frame's header by its descriptor. */
function headerBytes(descriptor: number): number {
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 ? (isSingle ? 1 : 0) : 2 ** sizeFlag;
  return 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizeBytes;
}

class ZstdSource extends CompressedSource {
  readonly #engine: Engine;
  #frame: Frame | null = null;
  #isFirst = true;
  /** Bytes of a skippable frame that are still to come. */
  #skip = 0;

  constructor(file: RawSource, engine: Engine) {
    super(file, "zstd");
    this.#engine = engine;
  }

  protected async step(): Promise<void> {
    try {
      const frame = this.#frame;
      if (this.#skip > 0) await this.#skipOn();
      else if (frame === null) await this.#readHeader();
      else if (frame.decoder !== null && frame.blocks.length > 0)
        await this.#decompress(frame, frame.decoder);
      else if (frame.damage !== null) throw new Damaged(frame.damage);
      else if (frame.isCut) this.fail("ends too early", true);
      else if (frame.isWhole) this.#endFrame(frame);
      else await this.#readBlock(frame);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      this.fail(`is damaged (${error.message})`);
    }
  }

  async #readHeader(): Promise<void> {
    if (!(await this.want(5))) {
      if (this.ahead.length === 0) this.finish();
      else this.fail("ends too early", true);
      return;
    }
    const magic = word(this.ahead, 0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return this.#beginSkipping();
    if (magic !== MAGIC) throw new Damaged(this.#isFirst ? "its header" : "something else follows it");
    const bytes = headerBytes(this.ahead[4]!);
    if (!(await this.want(bytes))) return this.fail("ends too early", true);
    const frame = new Frame(this.ahead.slice(0, bytes));
    this.ahead = this.ahead.subarray(bytes);
    if (frame.dictionary !== 0)
      return this.fail(`needs dictionary ${frame.dictionary}; decompress it with zstd -d -D FILE`);
    if (frame.windowBytes > MAX_WINDOW_BYTES) {
      const window = sizeText(frame.windowBytes);
      return this.fail(
        `needs a window of ${window} (RFC 8878, 3.1.1.1.2); at most 128 MiB is supported; ` +
          "decompress it with zstd -d --long=31",
      );
    }
    this.#isFirst = false;
    this.#frame = frame;
  }

  async #beginSkipping(): Promise<void> {
    if (!(await this.want(8))) return this.fail("ends too early", true);
    this.#skip = word(this.ahead, 4);
    this.ahead = this.ahead.subarray(8);
    this.#isFirst = false;
  }

  async #skipOn(): Promise<void> {
    if (!(await this.want(1))) return this.fail("ends too early", true);
    const bytes = Math.min(this.#skip, this.ahead.length);
    this.#skip -= bytes;
    this.ahead = this.ahead.subarray(bytes);
  }

  /** Reads the next block, with the checksum behind the last one; begins to decompress when there are enough. */
  async #readBlock(frame: Frame): Promise<void> {
    try {
      const block = await this.#nextBlock(frame);
      if (block === null) frame.isCut = true;
      else frame.blocks.push(block);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      // The blocks before it are decompressed first.
      frame.isCut = true;
      frame.damage = error.message;
    }
    if (frame.decoder !== null || (frame.isCut && frame.blocks.length === 0)) return;
    if (frame.isWhole || frame.isCut || this.#engine.isEnough(frame)) {
      frame.decoder = this.#engine.begin(frame, piece => {
        frame.doneBytes += piece.length;
        this.queue.push(piece);
      });
    }
  }

  async #nextBlock(frame: Frame): Promise<Uint8Array | null> {
    if (!(await this.want(BLOCK_HEADER_BYTES))) return null;
    const header = this.ahead[0]! | (this.ahead[1]! << 8) | (this.ahead[2]! << 16);
    const isLast = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type > COMPRESSED) throw new Damaged("a block of an unknown type");
    if (size > frame.blockBytes) throw new Damaged(`a block of ${size} bytes`);
    const content = type === RLE ? 1 : size;
    const bytes = BLOCK_HEADER_BYTES + content + (isLast && frame.hasChecksum ? CHECKSUM_BYTES : 0);
    if (!(await this.want(bytes))) return null;
    frame.boundBytes += type === COMPRESSED ? frame.blockBytes : size;
    frame.isWhole = isLast;
    const block = this.ahead.subarray(0, bytes);
    this.ahead = this.ahead.subarray(bytes);
    return block;
  }

  #decompress(frame: Frame, decoder: Decoder): void | Promise<void> {
    const block = frame.blocks.shift()!;
    return decoder.push(block, frame.isWhole && frame.blocks.length === 0);
  }

  #endFrame(frame: Frame): void {
    frame.decoder?.close();
    this.#frame = null;
    if (frame.contentBytes !== null && frame.contentBytes !== frame.doneBytes)
      throw new Damaged(`its size: ${frame.doneBytes} bytes where its header says ${frame.contentBytes}`);
  }

  override close(): void {
    this.#frame?.decoder?.close();
    super.close();
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** `2 GiB`, `190.7 MiB`. */
function sizeText(bytes: number): string {
  const units = ["MiB", "GiB", "TiB", "PiB", "EiB"];
  let size = bytes / 2 ** 20;
  while (size >= 1024 && units.length > 1) {
    size /= 1024;
    units.shift();
  }
  return `${Number(size.toFixed(1))} ${units[0]}`;
}

// ── node:zlib ───────────────────────────────────────────────────────────────────────────────────────────────────

/** What node:zlib has since 22.15, and the types of Node 20 do not know. */
interface NativeZstd {
  readonly zstdDecompressSync?: (data: Uint8Array, options: object) => Buffer;
  readonly createZstdDecompress?: (options: object) => zlib.InflateRaw;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

/** Null where node:zlib does not know zstd. */
function nativeEngine(): Engine | null {
  const { zstdDecompressSync, createZstdDecompress, constants } = zlib as unknown as NativeZstd;
  if (zstdDecompressSync === undefined || createZstdDecompress === undefined) return null;
  const params = { [constants.ZSTD_d_windowLogMax!]: MAX_WINDOW_LOG };
  return {
    isEnough: ({ boundBytes }) => boundBytes > SMALL_BYTES,
    begin(frame, onData) {
      const byBlocks = (): Decoder =>
        new StreamDecoder(frame, createZstdDecompress({ params, chunkSize: MAX_BLOCK_BYTES }), onData);
      const isSmall = frame.isWhole && frame.boundBytes <= SMALL_BYTES;
      return isSmall
        ? new WholeDecoder(frame, data => onData(zstdDecompressSync(data, { params })), byBlocks)
        : byBlocks();
    },
  };
}

/** Gathers the blocks of a small frame and decompresses them in one call; if they are damaged, one by one. */
class WholeDecoder implements Decoder {
  readonly #header: Uint8Array;
  readonly #blocks: Uint8Array[] = [];
  readonly #decompress: (data: Uint8Array) => void;
  readonly #byBlocks: () => Decoder;

  constructor(frame: Frame, decompress: (data: Uint8Array) => void, byBlocks: () => Decoder) {
    this.#header = frame.header;
    this.#decompress = decompress;
    this.#byBlocks = byBlocks;
  }

  push(piece: Uint8Array, isLast: boolean): void | Promise<void> {
    this.#blocks.push(piece);
    if (!isLast) return;
    try {
      this.#decompress(Buffer.concat([this.#header, ...this.#blocks]));
    } catch (error) {
      return this.#salvage(reasonOf(error));
    }
  }

  /** Decompresses the blocks before the damage. */
  async #salvage(reason: string): Promise<void> {
    const decoder = this.#byBlocks();
    try {
      for (const [index, block] of this.#blocks.entries())
        await decoder.push(block, index === this.#blocks.length - 1);
    } finally {
      decoder.close();
    }
    throw new Damaged(reason);
  }

  close(): void {}
}

/** Decompresses a large frame block by block. */
class StreamDecoder implements Decoder {
  readonly #stream: zlib.InflateRaw;
  #header: Uint8Array | null;
  readonly #checksumBytes: number;

  constructor(frame: Frame, stream: zlib.InflateRaw, onData: (piece: Uint8Array) => void) {
    this.#header = frame.header;
    this.#checksumBytes = frame.hasChecksum ? CHECKSUM_BYTES : 0;
    this.#stream = stream;
    stream.on("data", onData);
  }

  async push(piece: Uint8Array, isLast: boolean): Promise<void> {
    const blockBytes = piece.length - (isLast ? this.#checksumBytes : 0);
    const block = piece.subarray(0, blockBytes);
    await this.#write(this.#header === null ? block : Buffer.concat([this.#header, block]));
    this.#header = null;
    // By itself: with a wrong checksum behind it, zlib gives no content of the block.
    if (blockBytes < piece.length) await this.#write(piece.subarray(blockBytes));
  }

  #write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(new Damaged(reasonOf(error)));
      this.#stream.once("error", failed);
      this.#stream.write(data, error => {
        if (error) return;
        this.#stream.off("error", failed);
        resolve();
      });
    });
  }

  close(): void {
    this.#stream.on("error", () => {});
    this.#stream.destroy();
  }
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ZSTD_error_checksum_wrong" ? "its checksum" : "its blocks";
}

// ── fzstd ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * fzstd holds as much history as the header says from the start, and moves all of it for each block. So it is given a
 * header with the smallest window that will do, which is known as soon as enough blocks are there.
 */
async function libraryEngine(): Promise<Engine> {
  const { Decompress } = await import("fzstd");
  return {
    isEnough: ({ boundBytes, windowBytes }) => boundBytes >= windowBytes,
    begin(frame, onData) {
      const stream = new Decompress(onData);
      const checksumBytes = frame.hasChecksum ? CHECKSUM_BYTES : 0;
      let header: Uint8Array | null = plainHeader(frame);
      return {
        push(piece, isLast) {
          const blocks = isLast ? piece.subarray(0, piece.length - checksumBytes) : piece;
          const data = header === null ? blocks : Buffer.concat([header, blocks]);
          header = null;
          try {
            stream.push(data, isLast);
          } catch {
            throw new Damaged("its blocks");
          }
        },
        close() {},
      };
    },
  };
}

/** A header without checksum and size, with the smallest window descriptor (§3.1.1.1.2) that holds the history. */
function plainHeader(frame: Frame): Uint8Array {
  const wanted = Math.min(frame.historyBytes, frame.contentBytes ?? Number.POSITIVE_INFINITY);
  let descriptor = 0;
  while (2 ** (10 + (descriptor >>> 3)) * (1 + (descriptor & 7) / 8) < wanted) descriptor++;
  return Uint8Array.of(...frame.header.subarray(0, 4), 0, descriptor);
}
