/**
 * Opens a capture: a file, a pipe or standard input, decoded if its format is compressed. A plain file is read by
 * synchronous calls straight into the caller's memory, which is the fastest way; pipes and terminals are read as
 * streams, so that a signal is noticed while no bytes come.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { Socket } from "node:net";
import { isatty, ReadStream } from "node:tty";
import { type ByteSource, type RawSource, SourceError, START_BYTES } from "./byte-source.ts";
import { decodedFormat } from "./formats/index.ts";
import { ioMessage } from "./io-message.ts";

/** Milliseconds in which bytes of a pipe's writer are still read after `stop`. */
const LAST_BYTES_MS = 500;

/** Opens a file, or standard input for `-`. Throws SourceError. */
export async function openSource(name: string): Promise<ByteSource> {
  const file = openRaw(name);
  return decodedFormat(await file.peek(START_BYTES))?.open(file) ?? file;
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

/** Shared by files and streams: the bytes that were read ahead to recognize the format. */
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
  /** Where to read next; null: at the descriptor's own position. */
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
        // A device in non-blocking mode that is empty now.
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

/** A pipe, a socket or a terminal: bytes come when another process writes them. */
class StreamSource extends Raw {
  readonly totalBytes = null;
  readonly identity = null;
  readonly isImmediate = false;
  readonly fd = null;
  readonly #stream: Socket | ReadStream;
  /** Bytes that arrived and were not consumed yet. */
  #arrived: Uint8Array = new Uint8Array(0);
  #isEnded = false;
  #error: unknown = null;
  /** Ends the wait for bytes; null while there is none. */
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
    throw new Error("internal error: a stream cannot be read at an offset");
  }

  protected async read(target: Uint8Array): Promise<number> {
    while (this.#arrived.length === 0) {
      const bytes: Uint8Array | null = this.#stream.read();
      if (bytes !== null) this.#arrived = bytes;
      else if (this.#error !== null) throw new SourceError(ioMessage(this.#error));
      else if (this.#isEnded) return 0;
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
    const bytes = Math.min(this.#arrived.length, target.length);
    target.set(this.#arrived.subarray(0, bytes));
    this.#arrived = this.#arrived.subarray(bytes);
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
