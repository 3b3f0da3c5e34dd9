/**
 * Where captures come from: files, pipes and standard input, plain, gzip or zstd. A source fills a piece of memory
 * with the next bytes; plain files are read straight into it, by synchronous calls, as nothing else is as fast.
 * Compression is recognised by content, not by name.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { GzipSource, openZstd } from "./compressed.ts";
import { ioMessage } from "./io-message.ts";

/** What is wrong with a file, in one line, without its name. */
export class SourceError extends Error {
  /** True when the compressed file merely ends too early: everything before is good. */
  readonly isTruncation: boolean;
  constructor(message: string, isTruncation = false) {
    super(message);
    this.isTruncation = isTruncation;
  }
}

export interface Source {
  /** As given by the user; `-` is standard input. */
  readonly name: string;
  /** Bytes of the file as it lies on disk, null when that is not known. */
  readonly totalBytes: number | null;
  /** Bytes of the file read so far, before decompression. */
  readonly readBytes: number;
  /** Device and inode, to tell whether two names are one file; null for pipes. */
  readonly identity: string | null;
  /** File descriptor of a plain file that can be read at any offset, null for everything else. */
  readonly fd: number | null;
  /** Goes on at this offset of a plain file; what stands before it counts as read. */
  seek(offset: number): void;
  /** Fills `target` (not empty) from its start; gives the bytes written, 0 at the end. Throws SourceError. */
  fill(target: Uint8Array): number | Promise<number>;
  close(): void;
}

const GZIP_MAGIC = [0x1f, 0x8b];
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** zstd also allows a skippable frame first: 0x184d2a50 to 0x184d2a5f, little-endian. */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18];

/** Opens a file, or standard input for `-`. Throws SourceError. */
export async function openSource(name: string): Promise<Source> {
  const file = new FileSource(name);
  const magic = file.peek(4);
  const begins = (bytes: number[], at = 0): boolean =>
    bytes.every((byte, index) => magic[at + index] === byte);
  if (begins(GZIP_MAGIC)) return new GzipSource(file);
  if (begins(ZSTD_MAGIC) || (begins(ZSTD_SKIPPABLE, 1) && (magic[0]! & 0xf0) === 0x50)) return openZstd(file);
  return file;
}

class FileSource implements Source {
  readonly name: string;
  readonly totalBytes: number | null;
  readonly identity: string | null;
  readBytes = 0;
  readonly #fd: number;
  /** Where to read next, null: wherever the descriptor stands. */
  #offset: number | null = null;
  /** Bytes read ahead to look at the file's type. */
  #ahead = new Uint8Array(0);

  constructor(name: string) {
    this.name = name;
    let stat: Stats;
    try {
      this.#fd = name === "-" ? 0 : openSync(name, "r");
      stat = fstatSync(this.#fd);
    } catch (error) {
      throw new SourceError(ioMessage(error));
    }
    if (stat.isDirectory()) throw new SourceError("is a directory; expected a capture file");
    this.totalBytes = stat.isFile() ? stat.size : null;
    this.identity = stat.isFile() ? `${stat.dev}:${stat.ino}` : null;
  }

  get fd(): number | null {
    return this.identity === null ? null : this.#fd;
  }

  seek(offset: number): void {
    this.#offset = offset;
    this.readBytes = offset;
    this.#ahead = new Uint8Array(0);
  }

  /** The next bytes without consuming them; fewer only at the end. */
  peek(bytes: number): Uint8Array {
    const ahead = new Uint8Array(bytes);
    let got = 0;
    while (got < bytes) {
      const read = this.#read(ahead.subarray(got));
      if (read === 0) break;
      got += read;
    }
    this.#ahead = ahead.subarray(0, got);
    return this.#ahead;
  }

  fill(target: Uint8Array): number {
    if (this.#ahead.length > 0) {
      const bytes = Math.min(this.#ahead.length, target.length);
      target.set(this.#ahead.subarray(0, bytes));
      this.#ahead = this.#ahead.subarray(bytes);
      return bytes;
    }
    return this.#read(target);
  }

  #read(target: Uint8Array): number {
    for (;;) {
      try {
        const bytes = readSync(this.#fd, target, 0, target.length, this.#offset);
        this.readBytes += bytes;
        if (this.#offset !== null) this.#offset += bytes;
        return bytes;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EOF") return 0;
        if (code !== "EAGAIN") throw new SourceError(ioMessage(error));
        // A pipe that somebody else made non-blocking and that is empty just now.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  close(): void {
    if (this.#fd !== 0) closeSync(this.#fd);
  }
}
