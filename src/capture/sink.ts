/**
 * Writes captures to a file or to standard output. A regular file is written as NAME.part and renamed when it
 * is complete, so that an incomplete capture never has the final name. If the name is a link, the file it
 * points to is replaced. Devices, pipes and standard output are written directly. A new file has mode 0600,
 * because captures contain other people's traffic. A name that ends in `.gz` is compressed, one gzip member a
 * chunk, which RFC 1952, 2.2 allows.
 */

import {
  closeSync,
  fstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { UserError } from "../errors/index.ts";
import { ioMessage } from "./io-message.ts";

const PART = ".part";
/** Read and written by the owner. */
const PRIVATE = 0o600;

/** An error of an output, in one line that begins with its name. */
class SinkError extends UserError {
  override readonly name = "SinkError";
  /** True if the reader of a pipe closed it, which needs no message. */
  readonly isClosedPipe: boolean;

  constructor(message: string, isClosedPipe = false) {
    super(message);
    this.isClosedPipe = isClosedPipe;
  }
}

export class Sink {
  readonly name: string;
  readonly #fd: number;
  /** The file's name until it is complete; null if the output is written directly. */
  readonly #part: string | null;
  readonly #isGzip: boolean;
  #isOpen = true;

  /**
   * Opens a file, or standard output for `-`; `mode` is that of a new file, less the umask. Throws SinkError.
   */
  constructor(name: string, mode = PRIVATE) {
    this.name = name;
    this.#isGzip = name.endsWith(".gz");
    if (/\.(zst|zstd)$/.test(name)) {
      throw new SinkError(`${name}: zstd is read, not written; write a plain file, or .gz`);
    }
    this.#part = name === "-" || isSpecial(name) ? null : partOf(name);
    try {
      this.#fd = name === "-" ? 1 : this.#part === null ? openSync(name, "w") : openNew(this.#part, mode);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** File descriptor for writing bytes unchanged, from any thread; null if that is not possible. */
  get fd(): number | null {
    return this.#isGzip || this.#fd === 1 ? null : this.#fd;
  }

  write(bytes: Uint8Array): void {
    const data = this.#isGzip ? gzipSync(bytes, { level: 6 }) : bytes;
    let at = 0;
    while (at < data.length) {
      try {
        at += writeSync(this.#fd, data, at, data.length - at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw this.#failure(error);
        // Standard output is a pipe that somebody made non-blocking, and it is full.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  /**
   * Completes the file and gives it its own name. An older file is removed first: ext4 flushes a file that is
   * renamed over another one, which takes longer than all else here.
   */
  finish(): void {
    this.#close();
    if (this.#part === null) return;
    try {
      const whole = this.#part.slice(0, -PART.length);
      rmSync(whole, { force: true });
      renameSync(this.#part, whole);
    } catch (error) {
      rmSync(this.#part, { force: true });
      throw this.#failure(error);
    }
  }

  /** Removes what was written, if possible. Does nothing after `finish`. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#close();
    if (this.#part !== null) unlinkSync(this.#part);
  }

  #close(): void {
    this.#isOpen = false;
    if (this.#fd !== 1) closeSync(this.#fd);
  }

  #failure(error: unknown): SinkError {
    const isClosedPipe = this.name === "-" && (error as NodeJS.ErrnoException).code === "EPIPE";
    const name = this.name === "-" ? "standard output" : this.name;
    return new SinkError(`${name}: ${ioMessage(error)}`, isClosedPipe);
  }
}

/** Creates a file. One that a killed process left is removed first, with its mode; a link is not followed. */
function openNew(name: string, mode: number): number {
  rmSync(name, { force: true });
  return openSync(name, "wx", mode);
}

/** Whether a name is an existing directory, device, pipe or socket, which has no `.part` file. */
function isSpecial(name: string): boolean {
  const stat = statOf(name);
  return stat !== null && !stat.isFile();
}

/**
 * Identifies a regular file whatever its name: device and inode, or its full path if it does not exist yet.
 * `-` is standard output. Null for devices and pipes.
 */
export function identityOf(name: string): string | null {
  const stat = name === "-" ? fstatSync(1) : statOf(name);
  if (stat !== null) return stat.isFile() ? `${stat.dev}:${stat.ino}` : null;
  try {
    return join(realpathSync(dirname(name)), basename(name));
  } catch {
    return null;
  }
}

/** Identities of all files that writing to `name` touches: its own, and that of its unfinished part. */
export function touchedBy(name: string): string[] {
  const names = name === "-" ? [name] : [name, partOf(name)];
  return names.map(identityOf).filter(identity => identity !== null);
}

/** The name of a file until it is complete; for a link, beside its target. */
function partOf(name: string): string {
  return `${statOf(name) === null ? name : realpathSync(name)}${PART}`;
}

function statOf(name: string): Stats | null {
  try {
    return statSync(name);
  } catch {
    return null;
  }
}
