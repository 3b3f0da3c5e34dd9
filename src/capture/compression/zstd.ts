/**
 * zstd (RFC 8878): skippable frames, frame headers and block headers are read here; an engine (zstd-engines.ts)
 * decompresses the blocks. Since the blocks are known, memory grows with a frame's data and not with the window that
 * its header declares, and time grows with its bytes.
 */
import type { RawSource } from "../byte-source.ts";
import { beginsWithHex, type DecodedFormat } from "../formats/capture-format.ts";
import { CompressedSource } from "./compressed-source.ts";
import { MAX_WINDOW_BYTES, zstdEngine } from "./zstd-engines.ts";
import { CHECKSUM_BYTES, DamageError, type Decoder, type Engine, Frame, headerBytes } from "./zstd-frame.ts";

const MAGIC = 0xfd2fb528;
/** 3.1.2: 0x184d2a50 to 0x184d2a5f. */
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
/** Types of blocks (3.1.1.2.2); 0 is raw. */
const RLE = 1;
const COMPRESSED = 2;

const isFrame = beginsWithHex("28b52ffd");
const isSkippable = beginsWithHex("2a4d18");

export const ZSTD: DecodedFormat = {
  kind: "decoded",
  name: "zstd",
  reads: "recognized by content",
  writes: "no",
  recognizes: start => isFrame(start) || (isSkippable(start.subarray(1)) && (start[0]! & 0xf0) === 0x50),
  open: async file => new ZstdSource(file, await zstdEngine()),
};

class ZstdSource extends CompressedSource {
  readonly #engine: Engine;
  #frame: Frame | null = null;
  #isFirst = true;
  /** Bytes of a skippable frame that were not skipped yet. */
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
      else if (frame.damage !== null) throw new DamageError(frame.damage);
      else if (frame.isCut) this.fail("ends too early", true);
      else if (frame.isWhole) this.#endFrame(frame);
      else await this.#readBlock(frame);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
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
    if (magic !== MAGIC) throw new DamageError(this.#isFirst ? "its header" : "other data follows it");
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

  /** Reads the next block, and after the last one the checksum; starts the decoder when there are enough. */
  async #readBlock(frame: Frame): Promise<void> {
    try {
      const block = await this.#nextBlock(frame);
      if (block === null) frame.isCut = true;
      else frame.blocks.push(block);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      // The blocks before the damage are decompressed first.
      frame.isCut = true;
      frame.damage = error.message;
    }
    if (frame.decoder !== null || (frame.isCut && frame.blocks.length === 0)) return;
    if (frame.isWhole || frame.isCut || this.#engine.isEnough(frame)) {
      frame.decoder = this.#engine.begin(frame, chunk => {
        frame.doneBytes += chunk.length;
        this.queue.push(chunk);
      });
    }
  }

  async #nextBlock(frame: Frame): Promise<Uint8Array | null> {
    if (!(await this.want(BLOCK_HEADER_BYTES))) return null;
    const header = this.ahead[0]! | (this.ahead[1]! << 8) | (this.ahead[2]! << 16);
    const isLast = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type > COMPRESSED) throw new DamageError("a block of an unknown type");
    if (size > frame.blockBytes) throw new DamageError(`a block of ${size} bytes`);
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
      throw new DamageError(`its size: ${frame.doneBytes} bytes where its header says ${frame.contentBytes}`);
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
