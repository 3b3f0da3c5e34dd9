/**
 * Where captures come from: files, pipes and standard input, plain, gzip or zstd. A source fills a piece of memory
 * with the next bytes; plain files are read straight into it, by synchronous calls, as nothing else is as fast. Pipes
 * and terminals are read as streams, so that a signal is noticed while nothing comes.
 * Compression is recognised by content, not by name.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { Socket } from "node:net";
import { isatty, ReadStream } from "node:tty";
import { GzipSource } from "./gzip.ts";
import { ioMessage } from "./io-message.ts";
import { SourceError } from "./source-error.ts";
import { openZstd } from "./zstd.ts";

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
  /**
   * Nothing more is wanted: a file ends here, a pipe after what its writer still sends within LAST_BYTES_MS, because a
   * signal from the terminal reaches the writer, too, and it sends what it holds back.
   */
  stop(): void;
  close(): void;
}

/** A source of the bytes as they lie in the file. */
export interface RawSource extends Source {
  /** True when `fill` never waits for somebody who writes. */
  readonly isImmediate: boolean;
  /** The next bytes without consuming them; fewer only at the end. */
  peek(bytes: number): Promise<Uint8Array>;
}

/** Time for which the writer of a pipe is listened to after `stop`. */
const LAST_BYTES_MS = 500;

const GZIP_MAGIC = [0x1f, 0x8b];
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** zstd also allows a skippable frame first: 0x184d2a50 to 0x184d2a5f, little-endian. */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18];

/** Opens a file, or standard input for `-`. Throws SourceError. */
export async function openSource(name: string): Promise<Source> {
  const file = openRaw(name);
  const magic = await file.peek(4);
  const begins = (bytes: number[], at = 0): boolean =>
    bytes.every((byte, index) => magic[at + index] === byte);
  if (begins(GZIP_MAGIC)) return new GzipSource(file);
  if (begins(ZSTD_MAGIC) || (begins(ZSTD_SKIPPABLE, 1) && (magic[0]! & 0xf0) === 0x50)) return openZstd(file);
  return file;
}

function openRaw(name: string): RawSource {
  let fd: number;
  let stat: Stats;
  try {
    fd = name === "-" ? 0 : openSync(name, "r");
    stat = fstatSync(fd);
  } catch (error) {
    throw new SourceError(ioMessage(error));
  }
  if (stat.isDirectory()) throw new SourceError("is a directory; expected a capture file");
  if (stat.isFIFO() || stat.isSocket()) return new StreamSource(name, fd, new Socket({ fd, readable: true }));
  if (isatty(fd)) return new StreamSource(name, fd, new ReadStream(fd));
  return new FileSource(name, fd, stat);
}

/** What files and streams share: the bytes that were read ahead to look at the file's type. */
abstract class Raw implements RawSource {
  readonly name: string;
  abstract readonly totalBytes: number | null;
  abstract readonly identity: string | null;
  abstract readonly isImmediate: boolean;
  readBytes = 0;
  protected readonly descriptor: number;
  protected isStopped = false;
  protected ahead: Uint8Array = new Uint8Array(0);

  constructor(name: string, fd: number) {
    this.name = name;
    this.descriptor = fd;
  }

  async peek(bytes: number): Promise<Uint8Array> {
    const ahead = new Uint8Array(bytes);
    let got = 0;
    while (got < bytes) {
      const read = await this.read(ahead.subarray(got));
      if (read === 0) break;
      got += read;
    }
    this.ahead = ahead.subarray(0, got);
    return this.ahead;
  }

  fill(target: Uint8Array): number | Promise<number> {
    if (this.ahead.length === 0) return this.read(target);
    const bytes = Math.min(this.ahead.length, target.length);
    target.set(this.ahead.subarray(0, bytes));
    this.ahead = this.ahead.subarray(bytes);
    return bytes;
  }

  abstract readonly fd: number | null;
  abstract seek(offset: number): void;
  abstract stop(): void;
  abstract close(): void;
  protected abstract read(target: Uint8Array): number | Promise<number>;
}

/** A file, or a device that always has bytes. */
class FileSource extends Raw {
  readonly totalBytes: number | null;
  readonly identity: string | null;
  readonly isImmediate = true;
  /** Where to read next, null: wherever the descriptor stands. */
  #offset: number | null = null;

  constructor(name: string, fd: number, stat: Stats) {
    super(name, fd);
    this.totalBytes = stat.isFile() ? stat.size : null;
    this.identity = stat.isFile() ? `${stat.dev}:${stat.ino}` : null;
  }

  get fd(): number | null {
    return this.identity === null ? null : this.descriptor;
  }

  seek(offset: number): void {
    this.#offset = offset;
    this.readBytes = offset;
    this.ahead = new Uint8Array(0);
  }

  protected read(target: Uint8Array): number {
    if (this.isStopped) return 0;
    for (;;) {
      try {
        const bytes = readSync(this.descriptor, target, 0, target.length, this.#offset);
        this.readBytes += bytes;
        if (this.#offset !== null) this.#offset += bytes;
        return bytes;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EOF") return 0;
        if (code !== "EAGAIN") throw new SourceError(ioMessage(error));
        // A device that somebody else made non-blocking and that is empty just now.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  stop(): void {
    this.isStopped = true;
  }

  close(): void {
    if (this.descriptor !== 0) closeSync(this.descriptor);
  }
}

/** A pipe, a socket or a terminal: bytes come when somebody writes them. */
class StreamSource extends Raw {
  readonly totalBytes = null;
  readonly identity = null;
  readonly isImmediate = false;
  readonly fd = null;
  readonly #stream: Socket | ReadStream;
  /** Bytes that came and were not taken yet. */
  #piece: Uint8Array = new Uint8Array(0);
  #isEnded = false;
  #error: unknown = null;
  /** Ends the wait for bytes, null while nobody waits. */
  #wake: (() => void) | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, fd: number, stream: Socket | ReadStream) {
    super(name, fd);
    this.#stream = stream;
    const wake = (): void => this.#wake?.();
    const end = (): void => {
      this.#isEnded = true;
      wake();
    };
    stream.on("readable", wake);
    stream.on("end", end);
    stream.on("close", end);
    stream.on("error", error => {
      this.#error = error;
      wake();
    });
  }

  seek(): void {
    throw new Error("a stream cannot be read at an offset");
  }

  protected async read(target: Uint8Array): Promise<number> {
    while (this.#piece.length === 0) {
      const piece: Uint8Array | null = this.#stream.read();
      if (piece !== null) this.#piece = piece;
      else if (this.#error !== null) throw new SourceError(ioMessage(this.#error));
      else if (this.#isEnded) return 0;
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
    const bytes = Math.min(this.#piece.length, target.length);
    target.set(this.#piece.subarray(0, bytes));
    this.#piece = this.#piece.subarray(bytes);
    this.readBytes += bytes;
    return bytes;
  }

  stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.#timer = setTimeout(() => this.#stream.destroy(), LAST_BYTES_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stream.destroy();
  }
}
