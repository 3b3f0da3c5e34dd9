/**
 * Bytes of a file, a pipe or standard input, up to a limit. Its errors have the wording of the other
 * diagnostics of an intent.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { printable } from "./diagnostics.ts";
import { formatCount } from "./limits.ts";
import { Fault } from "./values.ts";

/** A file's bytes: `bytes[length]` exists and is a newline, so that a scanner needs no check for the end. */
export interface FileBytes {
  readonly bytes: Uint8Array;
  readonly length: number;
}

const NEWLINE = 0x0a;
const FIRST_CHUNK_BYTES = 64 * 1024;
const RETRY_MS = 5;

const REASONS: { readonly [code: string]: string } = {
  ENOENT: "does not exist; check its name",
  ENOTDIR: "does not exist; a part of its path is not a folder",
  EACCES: "may not be read; check its permissions",
  EPERM: "may not be read; check its permissions",
  EISDIR: "is a folder; name a file",
  ELOOP: "is a symbolic link that leads nowhere; name a file",
  ENAMETOOLONG: "has too long a name; name a file",
};

/** Reads all of `path` (`-` is standard input); a Fault if that fails. `limit` in bytes. */
export function readBytes(path: string, limit: number): FileBytes | Fault {
  let handle: number | null = null;
  try {
    handle = path === "-" ? 0 : openSync(path, "r");
    const status = fstatSync(handle);
    if (status.isDirectory()) return new Fault(REASONS.EISDIR!);
    if (status.size > limit) return tooLarge(limit);
    return readToEnd(handle, status.isFile() ? status.size + 1 : FIRST_CHUNK_BYTES, limit);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = "code" in error ? String(error.code) : "";
    return new Fault(REASONS[code] ?? `cannot be read; ${printable(error.message, 120)}`);
  } finally {
    if (handle !== null && handle !== 0) closeSync(handle);
  }
}

function readToEnd(handle: number, expectedBytes: number, limit: number): FileBytes | Fault {
  let bytes = new Uint8Array(expectedBytes + 1);
  let length = 0;
  for (;;) {
    if (length === bytes.length - 1) {
      const grown = new Uint8Array(bytes.length * 2);
      grown.set(bytes);
      bytes = grown;
    }
    const count = readSome(handle, bytes, length, bytes.length - 1 - length);
    if (count === 0) break;
    length += count;
    if (length > limit) return tooLarge(limit);
  }
  bytes[length] = NEWLINE;
  return { bytes, length };
}

/** One read; waits while a non-blocking standard input is empty. */
function readSome(handle: number, bytes: Uint8Array, offset: number, room: number): number {
  for (;;) {
    try {
      return readSync(handle, bytes, offset, room, null);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : "";
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function tooLarge(limit: number): Fault {
  return new Fault(`is larger than ${formatCount(limit)} bytes, the limit`);
}
