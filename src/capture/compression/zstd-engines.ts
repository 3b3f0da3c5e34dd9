/**
 * The two engines that decompress zstd frames: node:zlib (Node 22.15 and later), and the library fzstd for
 * older versions of Node. node:zlib verifies the checksums of frames; fzstd does not.
 */
import * as zlib from "node:zlib";
import {
  CHECKSUM_BYTES,
  Damaged,
  type Decoder,
  type Engine,
  type Frame,
  MAX_BLOCK_BYTES,
} from "./zstd-frame.ts";

const MAX_WINDOW_LOG = 27;
/** The largest window that zstd(1) decompresses without --long=31. */
export const MAX_WINDOW_BYTES = 2 ** MAX_WINDOW_LOG;
/** The flag of a frame header without window descriptor (§3.1.1.1.1.2). */
const SINGLE_SEGMENT = 0x20;
/** Frames with no more content than this are decompressed in one call by node:zlib. */
const SMALL_BYTES = 8 * MAX_BLOCK_BYTES;

/**
 * The engine of this version of Node. The library is imported on demand:
 * it computes tables when it is loaded.
 */
export async function zstdEngine(): Promise<Engine> {
  return nativeEngine() ?? (await libraryEngine());
}

/** The zstd part of node:zlib since Node 22.15, which the types of Node 20 lack. */
interface NativeZstd {
  readonly zstdDecompressSync?: (data: Uint8Array, options: object) => Buffer;
  readonly createZstdDecompress?: (options: object) => zlib.InflateRaw;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

/** Null if node:zlib does not support zstd. */
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

/**
 * Decompresses a small frame in one call; if that fails, block by block up to the damage. node:zlib reserves
 * the window that the header claims, and keeps it until garbage is collected: thousands of small frames that
 * claim 128 MiB each would reserve so much address space that no process can be started any more. So the
 * header gets the smallest sufficient window.
 */
class WholeDecoder implements Decoder {
  readonly #header: Uint8Array;
  readonly #blocks: Uint8Array[] = [];
  readonly #decompress: (data: Uint8Array) => void;
  readonly #byBlocks: () => Decoder;

  constructor(frame: Frame, decompress: (data: Uint8Array) => void, byBlocks: () => Decoder) {
    this.#header = narrowHeader(frame);
    this.#decompress = decompress;
    this.#byBlocks = byBlocks;
  }

  push(chunk: Uint8Array, isLast: boolean): void | Promise<void> {
    this.#blocks.push(chunk);
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

  constructor(frame: Frame, stream: zlib.InflateRaw, onData: (chunk: Uint8Array) => void) {
    this.#header = frame.header;
    this.#checksumBytes = frame.hasChecksum ? CHECKSUM_BYTES : 0;
    this.#stream = stream;
    stream.on("data", onData);
  }

  async push(chunk: Uint8Array, isLast: boolean): Promise<void> {
    const blockBytes = chunk.length - (isLast ? this.#checksumBytes : 0);
    const block = chunk.subarray(0, blockBytes);
    await this.#write(this.#header === null ? block : Buffer.concat([this.#header, block]));
    this.#header = null;
    // Separately: if a wrong checksum follows in the same call, zlib discards the content of the block.
    if (blockBytes < chunk.length) await this.#write(chunk.subarray(blockBytes));
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

/** The smallest window descriptor (§3.1.1.1.2) of at least so many bytes. */
function windowDescriptorOf(bytes: number): number {
  let descriptor = 0;
  while (2 ** (10 + (descriptor >>> 3)) * (1 + (descriptor & 7) / 8) < bytes) descriptor++;
  return descriptor;
}

/** The header of a frame that was read whole, with the smallest sufficient window if it has a descriptor. */
function narrowHeader(frame: Frame): Uint8Array {
  const header = frame.header.slice();
  const hasWindow = (header[4]! & SINGLE_SEGMENT) === 0;
  // Of the history alone: the window also limits the compressed size of a block, which may exceed the
  // content.
  if (hasWindow) header[5] = Math.min(header[5]!, windowDescriptorOf(frame.historyBytes));
  return header;
}

// ── fzstd ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * fzstd allocates the whole window of the header at once, and moves all of it for each block. So its header
 * gets the smallest sufficient window, which is known as soon as `isEnough` is true.
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
        push(chunk, isLast) {
          const blocks = isLast ? chunk.subarray(0, chunk.length - checksumBytes) : chunk;
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

/** A header without checksum and size, with the smallest sufficient window. */
function plainHeader(frame: Frame): Uint8Array {
  const wanted = Math.min(frame.historyBytes, frame.contentBytes ?? Number.POSITIVE_INFINITY);
  return Uint8Array.of(...frame.header.subarray(0, 4), 0, windowDescriptorOf(wanted));
}
