/**
 * A zstd frame (RFC 8878, 3.1.1) as far as it was read: its header, the blocks that wait to be decompressed, and the
 * bounds on memory that follow from them. Also the interfaces between the reader of frames and the engines.
 */

/** A block has at most this much content (3.1.1.2.4). */
export const MAX_BLOCK_BYTES = 0x20000;
export const CHECKSUM_BYTES = 4;

/** Decompresses one frame. Each chunk is a whole number of blocks; the last one ends with the checksum, if any. */
export interface Decoder {
  push(chunk: Uint8Array, isLast: boolean): void | Promise<void>;
  close(): void;
}

/** Makes the decoders. */
export interface Engine {
  /** Whether enough blocks of a frame were read to begin: memory is allocated by what they need. */
  isEnough(frame: Frame): boolean;
  begin(frame: Frame, onData: (chunk: Uint8Array) => void): Decoder;
}

/** Invalid zstd data; the message names the invalid part. */
export class DamageError extends Error {}

export class Frame {
  readonly header: Uint8Array;
  readonly windowBytes: number;
  /** Null if the header does not contain it. */
  readonly contentBytes: number | null;
  readonly hasChecksum: boolean;
  readonly dictionary: number;
  /** Upper bound of the content of the blocks read so far. */
  boundBytes = 0;
  /** Blocks that were read and not decompressed yet. */
  readonly blocks: Uint8Array[] = [];
  /** Whether the last block was read, and whether the file ended before it. */
  isWhole = false;
  isCut = false;
  /** Damage after the blocks that were read; null if there is none, or the file just ends. */
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
    if ((descriptor & 8) !== 0) throw new DamageError("its frame header");
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

  /** Upper bound of the history that the blocks read so far refer to. */
  get historyBytes(): number {
    return Math.min(this.windowBytes, this.boundBytes);
  }
}

/** Size of a frame's header, by its descriptor byte. */
export function headerBytes(descriptor: number): number {
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 ? (isSingle ? 1 : 0) : 2 ** sizeFlag;
  return 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizeBytes;
}
