/**
 * Where captures go: a file or standard output. A regular file is written under a name with `.part` behind it and
 * renamed when it is complete, so that whatever stops the program, a half-written capture never carries the name of
 * a whole one. Of a link, the file it points to is replaced. Devices, pipes and standard output are written directly.
 * A new file can be read and written by its owner only: captures hold other people's traffic.
 * A name that ends in `.gz` is compressed, one gzip member a piece, which RFC 1952 §2.2 allows.
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

/** What is wrong with an output, in one line that begins with its name. */
export class SinkError extends UserError {
  override readonly name = "SinkError";
  /** The reader of a pipe ended: whoever has had enough needs no message. */
  readonly isClosedPipe: boolean;

  constructor(message: string, isClosedPipe = false) {
    super(message);
    this.isClosedPipe = isClosedPipe;
  }
}

export class Sink {
  readonly name: string;
  readonly #fd: number;
  /** The file's name until it is complete; null for what is written directly. */
  readonly #part: string | null;
  readonly #isGzip: boolean;
  #isOpen = true;

  /** Opens a file, or standard output for `-`; `mode` is that of a new file, less the umask. Throws SinkError. */
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

  /** File descriptor to which bytes may be written as they are, from any thread; null when they may not. */
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
   * Ends the file under its own name. An older one goes first: ext4 writes out a file that is renamed over another
   * one before it returns, which takes longer than everything else here.
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

  /** Throws away what was written, as far as that can be done. Harmless after `finish`. */
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

/** Makes a file; one that a killed process left there goes first, with its mode, and a link is not followed. */
function openNew(name: string, mode: number): number {
  rmSync(name, { force: true });
  return openSync(name, "wx", mode);
}

/** The name of an existing directory, device, pipe or socket: no place for a `.part` beside it. */
function isSpecial(name: string): boolean {
  const stat = statOf(name);
  return stat !== null && !stat.isFile();
}

/**
 * What tells a regular file from all others, whatever it is called: device and inode, or its whole path while it is
 * not there. `-` is standard output. Null for devices and pipes.
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

/** The name a file has until it is complete, beside the file that a link points to. */
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
