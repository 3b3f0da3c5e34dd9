/**
 * The file of --capture; the process that writes it must survive any failure of the file. A regular file
 * grows by complete blocks only: after a partial write it is truncated to the last complete block, so that it
 * is readable and can be continued at any time. Its name ends in `.part` until it is complete, its mode is
 * 0600, and a `.gz` has one gzip member per write (RFC 1952, 2.2). Pipes are written without waiting for
 * their readers. write(2), pipe(7).
 */
import {
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import { ioMessage } from "../capture/index.ts";
import { LiveError } from "./errors.ts";

const MODE = 0o600;
const GZIP_LEVEL = 6;

/** A permanent failure: the reader has gone, or the file may not grow further. */
const FINAL = new Set(["EPIPE", "EFBIG", "EBADF"]);

/** How many blocks were written, and why no more were; null: all were. */
export interface Written {
  readonly blocks: number;
  readonly problem: string | null;
  /** Whether writing is of no use from now on. */
  readonly isFinal: boolean;
}

export class CaptureFile {
  readonly name: string;
  readonly #fd: number;
  /** The name until it is complete, and from then on; null: a pipe or device. */
  readonly #names: { readonly part: string; readonly whole: string } | null;
  readonly #isGzip: boolean;
  /** What a pipe took only the beginning of. */
  #rest: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** Throws LiveError when it cannot be opened. */
  constructor(name: string) {
    if (/\.(zst|zstd)$/.test(name))
      throw new LiveError(`--capture ${name}: zstd is read, not written; write a plain file, or .gz`);
    this.name = name;
    this.#isGzip = name.endsWith(".gz");
    try {
      const there = statSync(name, { throwIfNoEntry: false });
      this.#names = there === undefined || there.isFile() ? namesOf(name, there) : null;
      this.#fd = this.#names === null ? openSpecial(name, there!) : openPart(this.#names.part);
    } catch (error) {
      throw error instanceof LiveError ? error : new LiveError(`--capture ${name}: ${ioMessage(error)}`);
    }
  }

  /** Bytes written, on disk those of the file. */
  get length(): number {
    return this.#length;
  }

  /** Writes blocks, `most` bytes of them at most, the last of them whole. Never throws. */
  write(blocks: readonly Uint8Array[], most = Number.POSITIVE_INFINITY): Written {
    const sizes = blocks.map(({ length }) => length);
    const { data, count } = this.#isGzip ? zipped(blocks, most) : plain(blocks, wholeIn(sizes, most));
    if (this.#names === null) return this.#pour(data, count);
    const start = this.#length;
    let at = 0;
    try {
      while (at < data.length) at += writeSync(this.#fd, data, at, data.length - at, start + at);
    } catch (error) {
      const whole = this.#isGzip ? 0 : wholeIn(sizes, at);
      this.#length = start + sum(sizes.slice(0, whole));
      return this.#failed(error, whole);
    }
    this.#length = start + data.length;
    return { blocks: count, problem: null, isFinal: false };
  }

  /**
   * Renames the file to its own name. Returns null, or the reason of a failure; the data then stays under
   * `.part`.
   */
  finish(): string | null {
    try {
      closeSync(this.#fd);
      if (this.#names === null) return null;
      if (this.#length === 0) {
        rmSync(this.#names.part, { force: true });
        return "nothing could be written, and there is no file";
      }
      // Remove an older file first: on ext4, rename(2) over an existing file waits until the data is on disk.
      rmSync(this.#names.whole, { force: true });
      renameSync(this.#names.part, this.#names.whole);
      return null;
    } catch (error) {
      return ioMessage(error);
    }
  }

  /** Throws away what was written, as far as that can be done. */
  abandon(): void {
    try {
      closeSync(this.#fd);
      if (this.#names !== null) rmSync(this.#names.part, { force: true });
    } catch {
      // It is no use in any case.
    }
  }

  /**
   * Writes what a pipe or device accepts at once. If it accepts the beginning of a block, the rest follows
   * later.
   */
  #pour(data: Uint8Array, count: number): Written {
    const isRest = this.#rest.length > 0;
    const bytes = isRest ? this.#rest : data;
    let at = 0;
    let error: unknown = null;
    try {
      while (at < bytes.length) at += writeSync(this.#fd, bytes, at, bytes.length - at);
    } catch (caught) {
      error = caught;
    }
    this.#length += at;
    const isSlow = (error as NodeJS.ErrnoException | null)?.code === "EAGAIN";
    if (isRest || (isSlow && at > 0)) this.#rest = bytes.slice(at);
    if (isRest && error === null) return this.#pour(data, count);
    if (error === null || (isSlow && at > 0 && !isRest))
      return { blocks: count, problem: null, isFinal: false };
    if (isSlow) return { blocks: 0, problem: "whoever reads it is too slow", isFinal: false };
    return { blocks: 0, problem: ioMessage(error), isFinal: isFinal(error) || at > 0 };
  }

  /** Cuts the file back to its last whole block. */
  #failed(error: unknown, blocks: number): Written {
    const problem = ioMessage(error);
    try {
      ftruncateSync(this.#fd, this.#length);
    } catch (second) {
      // What lies behind the last whole block is overwritten when there is room, at its place.
      return { blocks, problem: `${problem}; ${ioMessage(second)}`, isFinal: isFinal(error) };
    }
    return { blocks, problem, isFinal: isFinal(error) };
  }
}

function plain(blocks: readonly Uint8Array[], count: number): { data: Uint8Array; count: number } {
  return { data: Buffer.concat(blocks.slice(0, count)), count };
}

/** As many of the first blocks as take at most so many bytes when compressed, or half as many. */
function zipped(blocks: readonly Uint8Array[], most: number): { data: Uint8Array; count: number } {
  for (let count = blocks.length; count > 0; count >>= 1) {
    const data = gzipSync(Buffer.concat(blocks.slice(0, count)), { level: GZIP_LEVEL });
    if (data.length <= most) return { data, count };
  }
  return { data: new Uint8Array(0), count: 0 };
}

const isFinal = (error: unknown): boolean => FINAL.has((error as NodeJS.ErrnoException).code ?? "");

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** How many of the first blocks lie wholly within so many bytes. */
function wholeIn(sizes: readonly number[], bytes: number): number {
  let end = 0;
  const over = sizes.findIndex(size => {
    end += size;
    return end > bytes;
  });
  return over < 0 ? sizes.length : over;
}

/** Of a link, the file it points to is replaced. */
function namesOf(name: string, there: Stats | undefined): { part: string; whole: string } {
  const whole = there === undefined ? name : realpathSync(name);
  return { part: `${whole}.part`, whole };
}

function openPart(part: string): number {
  const fd = openSync(part, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, MODE);
  // It may have been left behind by a run that was killed, with another mode.
  fchmodSync(fd, MODE);
  return fd;
}

function openSpecial(name: string, there: Stats): number {
  try {
    return openSync(name, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    const isUnread = (error as NodeJS.ErrnoException).code === "ENXIO" && there.isFIFO();
    if (isUnread) throw new LiveError(`--capture ${name}: nobody reads this pipe; start its reader first`);
    throw error;
  }
}
