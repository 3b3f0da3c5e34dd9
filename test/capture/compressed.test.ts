/**
 * zstd and gzip as sources, in this process: frames and members made byte by byte (RFC 8878, RFC 1952), many
 * small ones, windows that a header only claims, and damage. Where zstd(1) is there, it makes frames, too.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { openSource, SourceError } from "../../src/capture/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { makeFolder, put } from "./base.ts";

const test = suite("capture/compressed");
const folder = makeFolder();
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

interface Block {
  readonly type: "raw" | "rle";
  readonly bytes: Uint8Array;
  /** Of an RLE block: how many of its byte. */
  readonly times?: number;
}

/**
 * A frame without checksum. `window` is the descriptor's octet; null: a
 * single segment with its size in the header.
 */
function frame(blocks: readonly Block[], window: number | null, size?: number): Buffer {
  const content = blocks.reduce((sum, { bytes, times }) => sum + (times ?? bytes.length), 0);
  const field = Buffer.alloc(8);
  field.writeBigUInt64LE(BigInt(size ?? content));
  const isSized = window === null || size !== undefined;
  const descriptor = (isSized ? 0xc0 : 0) | (window === null ? 0x20 : 0);
  const parts = [Buffer.from([...MAGIC, descriptor, ...(window === null ? [] : [window])])];
  if (isSized) parts.push(field);
  for (const [index, { type, bytes, times }] of blocks.entries()) {
    const isLast = index === blocks.length - 1 ? 1 : 0;
    const header = ((times ?? bytes.length) << 3) | (type === "rle" ? 2 : 0) | isLast;
    parts.push(Buffer.from([header & 255, (header >>> 8) & 255, (header >>> 16) & 255]), Buffer.from(bytes));
  }
  return Buffer.concat(parts);
}

const raw = (bytes: Uint8Array): Block => ({ type: "raw", bytes });
const rle = (byte: number, times: number): Block => ({ type: "rle", bytes: Uint8Array.of(byte), times });

/** Everything that a file holds, and the error that comes behind it. */
async function readAll(file: Uint8Array): Promise<{ bytes: Buffer; error: SourceError | null }> {
  const source = await openSource(put(folder, "file", file));
  const parts: Buffer[] = [];
  try {
    for (;;) {
      const target = new Uint8Array(50_000);
      const filled = await source.fill(target);
      if (filled === 0) return { bytes: Buffer.concat(parts), error: null };
      parts.push(Buffer.from(target.subarray(0, filled)));
    }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { bytes: Buffer.concat(parts), error };
  } finally {
    source.close();
  }
}

async function reads(file: Uint8Array, content: Uint8Array): Promise<void> {
  const { bytes, error } = await readAll(file);
  assert.is(error, null);
  assert.ok(bytes.equals(content), `${bytes.length} of ${content.length} bytes`);
}

async function fails(file: Uint8Array, content: Uint8Array, message: RegExp, isCut = false): Promise<void> {
  const { bytes, error } = await readAll(file);
  assert.match(error?.message ?? "no error", message);
  assert.is(error!.isTruncation, isCut);
  assert.ok(bytes.equals(content), `${bytes.length} of ${content.length} bytes in front of the error`);
}

const HELLO = Buffer.from("hello, world");

test("zstd: raw and RLE blocks, empty ones, sizes in the header, any window", async () => {
  const content = Buffer.concat([HELLO, Buffer.alloc(100_000, 7), HELLO]);
  const blocks = [raw(HELLO), rle(7, 100_000), raw(new Uint8Array(0)), raw(HELLO)];
  for (const window of [0x50, 0x38, 0x3f, 0x88, null]) await reads(frame(blocks, window), content);
  await reads(frame(blocks, 0x50, content.length), content);
  await reads(Buffer.concat([frame([raw(HELLO)], 0), frame([], null).subarray(0, 0)]), HELLO);
  await reads(frame([raw(new Uint8Array(0))], null), new Uint8Array(0));
});

test("zstd: a window is what RFC 8878 says, and what is above 128 MiB is refused by its size", async () => {
  // 2^(10 + 17) = 128 MiB is the last one; its mantissa adds eighths.
  await reads(frame([raw(HELLO)], 17 << 3), HELLO);
  for (const [window, text] of [
    [(17 << 3) | 1, "144 MiB"],
    [20 << 3, "1 GiB"],
    [21 << 3, "2 GiB"],
    [31 << 3, "2 TiB"],
    [255, "3.8 TiB"],
  ] as const) {
    const what = new RegExp(`needs a window of ${text} \\(RFC 8878.*at most 128 MiB.*zstd -d --long=31`);
    await fails(frame([raw(HELLO)], window), new Uint8Array(0), what);
    // What stands before such a frame is read.
    await fails(Buffer.concat([frame([raw(HELLO)], 0), frame([raw(HELLO)], window)]), HELLO, what);
  }
  await fails(frame([raw(HELLO)], null, 2 ** 28), new Uint8Array(0), /needs a window of 256 MiB/);
});

/** Address space of this process, in MiB; 0 where there is no /proc. */
function addressSpaceMiB(): number {
  const file = "/proc/self/status";
  return existsSync(file) ? Number(/VmPeak:\s+(\d+) kB/.exec(readFileSync(file, "utf8"))![1]) / 1024 : 0;
}

test("zstd: 20,000 frames that claim a window of 128 MiB each", async () => {
  const before = addressSpaceMiB();
  const one = frame([raw(HELLO)], 17 << 3);
  await reads(
    Buffer.concat(Array<Buffer>(20_000).fill(one)),
    Buffer.concat(Array<Buffer>(20_000).fill(HELLO)),
  );
  // Reserved address space counts, too: with 70 GB of it no process could be started any more.
  const grownMiB = addressSpaceMiB() - before;
  assert.ok(grownMiB < 4096, `${grownMiB} MiB of address space more`);
});

test("zstd: many frames and frames to skip, as zstd(1) writes them, of every level and length", async () => {
  peer("zstd");
  const random = rng(seed());
  const words = Array.from({ length: 50 }, () => Buffer.alloc(1 + random.below(40), random.below(256)));
  const parts: Buffer[] = [];
  const contents: Buffer[] = [];
  for (const bytes of [0, 1, 17, 1000, 130_000, 131_072, 131_073, 400_000, 3_000_000]) {
    const content: Buffer[] = [];
    for (let left = bytes; left > 0; left -= content.at(-1)!.length)
      content.push(random.pick(words).subarray(0, left));
    const input = Buffer.concat(content);
    for (const options of [["-1"], ["-19"], ["--no-check", "--long=27"], ["-3", "--no-content-size"]]) {
      const { stdout, error } = spawnSync("zstd", ["-cq", ...options], { input, maxBuffer: 1 << 28 });
      if (error !== undefined) throw error;
      parts.push(stdout, Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]));
      contents.push(input);
    }
  }
  await reads(Buffer.concat(parts), Buffer.concat(contents));
  const whole = parts.at(-4)!;
  const cut = await readAll(whole.subarray(0, whole.length - 1000));
  assert.match(cut.error!.message, /^the zstd data ends too early$/);
});

test("zstd: damage is named without the words of a library, behind what came before it", async () => {
  const good = frame([raw(HELLO)], 0x50);
  const reserved = frame([raw(HELLO), raw(HELLO)], 0x50);
  reserved[6 + 3 + HELLO.length]! |= 6;
  await fails(reserved, HELLO, /^the zstd data is damaged \(a block of an unknown type\)$/);
  const wrongSize = await readAll(frame([raw(HELLO)], 0x50, 100));
  assert.match(wrongSize.error!.message, /is damaged \(its (size|blocks)/);
  await fails(frame([raw(Buffer.alloc(2000))], 0), new Uint8Array(0), /is damaged \(a block of 2000 bytes\)/);
  const unused = Buffer.from(good);
  unused[4]! |= 8;
  await fails(unused, new Uint8Array(0), /is damaged \(its frame header\)/);
  await fails(Buffer.concat([good, HELLO]), HELLO, /is damaged \(other data follows it\)/);
  for (const bytes of [good.length - 1, 7, 5]) {
    await fails(good.subarray(0, bytes), new Uint8Array(0), /ends too early/, true);
    await fails(Buffer.concat([good, good.subarray(0, bytes)]), HELLO, /ends too early/, true);
  }
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 100, 0, 0, 0, 1]);
  await fails(Buffer.concat([good, skipped]), HELLO, /ends too early/, true);
  const dictionary = Buffer.concat([Buffer.from([...MAGIC, 1, 0x50, 77]), good.subarray(6)]);
  await fails(dictionary, new Uint8Array(0), /needs dictionary 77; decompress it with zstd -d -D/);
  const compressed = Buffer.from([...MAGIC, 0, 0x50, 0x25, 0, 0, 0xff, 0xff, 0xff, 0xff]);
  await fails(compressed, new Uint8Array(0), /^the zstd data is damaged \(its blocks\)$/);
});

test("zstd: a checksum that is wrong is found where node:zlib knows zstd", async () => {
  peer("zstd");
  const { stdout } = spawnSync("zstd", ["-cq", "--check"], { input: HELLO });
  stdout[stdout.length - 1]! ^= 1;
  const { bytes, error } = await readAll(stdout);
  assert.ok(bytes.equals(HELLO));
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  if (major > 22 || (major === 22 && minor >= 15))
    assert.match(error!.message, /is damaged \(its checksum\)/);
  else assert.is(error, null);
});

test("gzip: 20,000 members, small and large in turn, and a bad one among them", async () => {
  const large = Buffer.alloc(300_000, "large");
  const noise = Buffer.from(
    Uint8Array.from({ length: 40_000 }, (_, at) => Math.imul(at, 2_654_435_761) >>> 24),
  );
  const contents = [HELLO, large, HELLO, noise, Buffer.alloc(0), HELLO, HELLO];
  const small = Array<Uint8Array>(20_000).fill(HELLO);
  const all: Uint8Array[] = [...contents, ...small, ...contents];
  const packed = new Map<Uint8Array, Buffer>(contents.map(content => [content, gzipSync(content)]));
  await reads(Buffer.concat(all.map(content => packed.get(content)!)), Buffer.concat(all));
  const bad = Buffer.from(packed.get(HELLO)!);
  bad[bad.length - 5]! ^= 1;
  const list = [HELLO, HELLO, HELLO].map(content => packed.get(content)!);
  await fails(Buffer.concat([...list, bad]), Buffer.concat([HELLO, HELLO, HELLO, HELLO]), /its checksum/);
  const broken = Buffer.concat([...list, packed.get(HELLO)!.subarray(0, 10), Buffer.alloc(20, 0xff)]);
  await fails(
    broken,
    Buffer.concat([HELLO, HELLO, HELLO]),
    /^the gzip data is damaged \(its deflate data\)$/,
  );
  for (const bytes of [5, 12, 20]) {
    const cut = await readAll(Buffer.concat([...list, packed.get(HELLO)!.subarray(0, bytes)]));
    assert.match(cut.error!.message, /^the gzip data ends too early$/);
    assert.ok(cut.error!.isTruncation && cut.bytes.toString().startsWith(HELLO.toString().repeat(3)));
  }
});

test.run();
