/**
 * The regular files of a folder or of a tarball (plain, gzip, xz, or zstd), one at a time, without unpacking
 * anything to disk. Links, devices and pipes are skipped and never followed, and the path of a member is a
 * text and nothing else, so that `..` in it leads nowhere. A tarball may be hostile or damaged: what it
 * expands to, the number of its members and the size of what is kept are bounded, and a tarball that ends
 * early is an error. modern-tar reads the format (POSIX.1-2017 pax, ustar, GNU), xz-decompress the xz data.
 */
import { closeSync, createReadStream, openSync, readdirSync, readSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { ReadableStream, type ReadableStreamDefaultReader } from "node:stream/web";
import * as zlib from "node:zlib";
import { createTarDecoder, type TarHeader } from "modern-tar";
import { count } from "../../report/index.ts";
import { UserError } from "../errors.ts";

/** A regular file in a folder or tarball. */
export interface Member {
  /** Relative to the folder or tarball. */
  readonly path: string;
  /** Its first bytes, at most HEAD_BYTES. */
  readonly head: Uint8Array;
  /** All of its bytes; only until the next member is taken. Rejects with UserError if it is too large. */
  read(): Promise<Uint8Array>;
}

/** Something that has members. */
export interface Archive {
  readonly path: string;
  /** May be called again. */
  members(): AsyncGenerator<Member>;
}

const HEAD_BYTES = 65_536;
const DEPTH_MAX = 64;
const TAR_BLOCK = 512;

/** Bounds on what is read. */
export interface Limits {
  readonly members: number;
  /** Bytes that a tarball may expand to. */
  readonly expanded: number;
  /** Bytes of a file that is kept whole. */
  readonly file: number;
}

const LIMITS: Limits = { members: 1_000_000, expanded: 2 ** 34, file: 2 ** 31 - 16 };

/** As the types of the DOM have it. */
type WebStream = globalThis.ReadableStream<Uint8Array>;

type Compression = "gzip" | "zstd" | "xz";

const MAGIC: Readonly<Record<Compression, readonly number[]>> = {
  gzip: [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
};

/** The archive at a path; null if it is another file, or none. Rejects with UserError. */
export async function archiveAt(path: string, limits = LIMITS): Promise<Archive | null> {
  const status = path === "-" ? undefined : statSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory()) return { path, members: () => filesBelow(path, limits) };
  if (!status?.isFile()) return null;
  const head = headOf(path);
  const compression = compressionOf(head);
  const isTarball = isTar(compression === null ? head : await firstBlock(path, compression));
  if (isTarball) return { path, members: () => membersOf(path, compression, limits) };
  if (compression !== "xz") return null;
  throw new UserError(`${path}: the xz data is not a tar archive; run xz -d first`);
}

function headOf(path: string): Uint8Array {
  const bytes = new Uint8Array(TAR_BLOCK);
  const handle = openSync(path, "r");
  try {
    return bytes.subarray(0, readSync(handle, bytes));
  } finally {
    closeSync(handle);
  }
}

function compressionOf(head: Uint8Array): Compression | null {
  const found = Object.entries(MAGIC).find(([, magic]) => magic.every((byte, at) => head[at] === byte));
  return (found?.[0] as Compression | undefined) ?? null;
}

/** Whether bytes begin a tar archive: `ustar` in its place, and the sum of the header is right. */
function isTar(head: Uint8Array): boolean {
  const block = Buffer.from(head.subarray(0, TAR_BLOCK));
  if (block.length < TAR_BLOCK || block.toString("latin1", 257, 262) !== "ustar") return false;
  const sum = Number.parseInt(block.toString("latin1", 148, 156), 8);
  return block.fill(32, 148, 156).reduce((total, byte) => total + byte, 0) === sum;
}

/** The first bytes of compressed data; none if the data is damaged before that: then it is not a tarball. */
async function firstBlock(path: string, compression: Compression): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of chunksOf(path, compression, LIMITS)) {
      parts.push(chunk);
      bytes += chunk.length;
      if (bytes >= TAR_BLOCK) break;
    }
  } catch (error) {
    // Whoever reads a file of flows reports the damage; nothing else reads xz.
    if (!(error instanceof Damage) || compression === "xz") throw error;
  }
  return Buffer.concat(parts);
}

/** Compressed data that ends early or is damaged. */
class Damage extends UserError {
  override readonly name = "Damage";
}

/** The decompressed bytes of a file. Throws UserError. */
async function* chunksOf(
  path: string,
  compression: Compression | null,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path);
  let expanded = 0;
  try {
    for await (const chunk of decompressing(file, path, compression)) {
      expanded += chunk.length;
      if (expanded > limits.expanded)
        throw new UserError(`${path}: expands to more than ${count(limits.expanded)} bytes, the limit`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof UserError || compression === null) throw error;
    const isShort =
      (error as NodeJS.ErrnoException).code === "Z_BUF_ERROR" || /end of file/.test(String(error));
    throw new Damage(`${path}: the ${compression} data ${isShort ? "ends too early" : "is damaged"}`);
  } finally {
    file.destroy();
  }
}

type MadeZstd = () => NodeJS.ReadWriteStream;

function decompressing(
  file: Readable,
  path: string,
  compression: Compression | null,
): AsyncIterable<Uint8Array> {
  const through = (made: NodeJS.ReadWriteStream): AsyncIterable<Uint8Array> => {
    file.once("error", error => (made as unknown as Readable).destroy(error));
    return file.pipe(made) as unknown as AsyncIterable<Uint8Array>;
  };
  switch (compression) {
    case null:
      return file;
    case "gzip":
      return through(zlib.createGunzip());
    case "zstd": {
      // Node has zstd from version 22.15 on.
      const { createZstdDecompress } = zlib as { createZstdDecompress?: MadeZstd };
      if (createZstdDecompress !== undefined) return through(createZstdDecompress());
      const found = process.versions.node;
      throw new UserError(
        `${path}: zstd data requires Node.js 22.15 or later, not ${found}; run zstd -d first`,
      );
    }
    case "xz":
      return xzDecompressing(file, path);
    default:
      return compression satisfies never;
  }
}

/**
 * The package is loaded at first use: it compiles a WebAssembly module. A stream of it that has reached the
 * end of its data throws when it is cancelled.
 */
async function* xzDecompressing(file: Readable, path: string): AsyncGenerator<Uint8Array> {
  const loaded = await import("xz-decompress").catch(() => null);
  if (loaded === null)
    throw new UserError(
      `${path}: the package xz-decompress is not installed; run npm install, or xz -d first`,
    );
  const reader = new loaded.default.XzReadableStream(Readable.toWeb(file) as WebStream).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

// ── Tarballs ───────────────────────────────────────────────────────────────────────────────────────────────

async function* membersOf(
  path: string,
  compression: Compression | null,
  limits: Limits,
): AsyncGenerator<Member> {
  const bytes = ReadableStream.from(chunksOf(path, compression, limits)) as unknown as WebStream;
  const entries = bytes.pipeThrough(createTarDecoder({ strict: true }));
  let members = 0;
  try {
    for await (const { header, body } of entries as unknown as AsyncIterable<Entry>) {
      if (++members > limits.members) throw tooMany(path, limits);
      if (header.type !== "file") {
        await body.cancel();
        continue;
      }
      const content = new MemberBytes(`${path}/${header.name}`, body);
      const head = await content.upTo(HEAD_BYTES);
      yield { path: header.name, head, read: () => content.all(limits.file) };
      await content.skip();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: the tar archive is damaged: ${(error as Error).message}`);
  }
}

interface Entry {
  readonly header: TarHeader;
  readonly body: ReadableStream<Uint8Array>;
}

const tooMany = (path: string, { members }: Limits): UserError =>
  new UserError(`${path}: has more than ${count(members)} files, the limit`);

const tooLarge = (path: string, limit: number): UserError =>
  new UserError(`${path}: is larger than ${count(limit)} bytes, the limit`);

/** The bytes of one member, read as far as they are needed. */
class MemberBytes {
  readonly #path: string;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;
  #isOver = false;

  constructor(path: string, body: ReadableStream<Uint8Array>) {
    this.#path = path;
    this.#reader = body.getReader();
  }

  async #readTo(bytes: number): Promise<void> {
    while (this.#bytes < bytes && !this.#isOver) {
      const { done, value } = await this.#reader.read();
      this.#isOver = done;
      if (value === undefined) continue;
      this.#parts.push(value);
      this.#bytes += value.length;
    }
  }

  async upTo(bytes: number): Promise<Uint8Array> {
    await this.#readTo(bytes);
    return Buffer.concat(this.#parts).subarray(0, bytes);
  }

  async all(limit: number): Promise<Uint8Array> {
    await this.#readTo(limit + 1);
    if (this.#bytes > limit) throw tooLarge(this.#path, limit);
    return Buffer.concat(this.#parts);
  }

  skip(): Promise<void> {
    return this.#isOver ? Promise.resolve() : this.#reader.cancel();
  }
}

// ── Folders ────────────────────────────────────────────────────────────────────────────────────────────────

/** The files below a folder, sorted in each folder; those that may not be read end the walk with an error. */
async function* filesBelow(root: string, limits: Limits): AsyncGenerator<Member> {
  let members = 0;
  const pending: { readonly folder: string; readonly depth: number }[] = [{ folder: "", depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { folder, depth } = next;
    const entries = readdirSync(join(root, folder), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    for (const entry of entries) {
      if (++members > limits.members) throw tooMany(root, limits);
      const path = join(folder, entry.name);
      if (entry.isDirectory() && depth < DEPTH_MAX) pending.push({ folder: path, depth: depth + 1 });
      if (entry.isFile()) yield await fileAt(join(root, path), path, limits);
    }
  }
}

async function fileAt(place: string, path: string, limits: Limits): Promise<Member> {
  const handle = await open(place);
  try {
    const head = new Uint8Array(HEAD_BYTES);
    const { bytesRead } = await handle.read(head);
    return { path, head: head.subarray(0, bytesRead), read: () => wholeFile(place, limits.file) };
  } finally {
    await handle.close();
  }
}

async function wholeFile(place: string, limit: number): Promise<Uint8Array> {
  const handle = await open(place);
  try {
    if ((await handle.stat()).size > limit) throw tooLarge(place, limit);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
