/**
 * A source of bytes: the one interface between a capture's file and whoever reads it. Files, pipes and terminals
 * (source.ts) implement it, and so do decompressors, each in front of a `RawSource`. Errors are `SourceError`s, one line
 * each, without the file's name: the caller adds the name and the byte offset.
 */

import { UserError } from "../errors/index.ts";

/** Bytes that are read ahead to recognize a format. */
export const START_BYTES = 8;

export interface ByteSource {
  /** As given by the user; `-` is standard input. */
  readonly name: string;
  /** Size of the file on disk in bytes; null if unknown. */
  readonly totalBytes: number | null;
  /** Bytes of the file read so far, before decompression. */
  readonly readBytes: number;
  /** Device and inode, so that two names of one file are noticed; null for pipes. */
  readonly identity: string | null;
  /** File descriptor of a plain file that can be read at any offset; null for everything else. */
  readonly fd: number | null;
  /** Continues at this offset of a plain file; the bytes before it count as read. */
  seek(offset: number): void;
  /** Fills `target` (not empty) from its start; returns the bytes written, 0 at the end. Throws SourceError. */
  fill(target: Uint8Array): number | Promise<number>;
  /**
   * Ends reading: a file ends here, a pipe after the bytes that its writer sends within LAST_BYTES_MS. A signal from
   * the terminal reaches the writer too, which then flushes its buffer.
   */
  stop(): void;
  close(): void;
}

/** A source of the bytes as they are on disk or in the pipe. */
export interface RawSource extends ByteSource {
  /** True when `fill` never waits for another process to write. */
  readonly isImmediate: boolean;
  /** The next bytes without consuming them; fewer only at the end. */
  peek(bytes: number): Promise<Uint8Array>;
}

/** An error of a file in one line, without its name. */
export class SourceError extends UserError {
  override readonly name = "SourceError";
  /** True when the compressed data only ends too early: everything before the end is valid. */
  readonly isTruncation: boolean;
  constructor(message: string, isTruncation = false) {
    super(message);
    this.isTruncation = isTruncation;
  }
}
