/**
 * What the tests of captures share: the program run in a folder of its own, and a writer and a reader of pcap
 * and pcapng. Both are whole-file, slow and plain, and written from draft-ietf-opsawg-pcap and -pcapng alone:
 * nothing of src/ or assembly/ is used here, so that a mistake there cannot hide behind the same one here.
 * The reader is also the judge of damaged files: it says how many whole packets stand before the damage, and
 * where that is.
 */
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WAIT_MS } from "../harness.ts";

export const root = join(import.meta.dirname, "../..");
const program = join(root, "bin/slash32");

// ── Folders and the program ────────────────────────────────────────────────────────────────────────────────

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A private folder that is gone when the tests are. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "slash32-test-"));
  folders.push(folder);
  return folder;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly bytes: Buffer;
}

/** Runs `slash32 ARGS` in `cwd`; no terminal, no colours from the environment, input empty unless given. */
export function slash32(cwd: string, args: readonly string[], options: SpawnSyncOptions = {}): Ran {
  const { NO_COLOR: _, FORCE_COLOR: __, ...env } = process.env;
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [program, ...args], {
    cwd,
    input: "",
    timeout: 2 * WAIT_MS,
    maxBuffer: 1 << 28,
    ...options,
    env: { ...env, ...options.env },
  });
  if (error !== undefined) throw error;
  const bytes = Buffer.from(stdout ?? "");
  return { code: status, stdout: bytes.toString(), stderr: (stderr ?? "").toString(), bytes };
}

/** Writes a file into a folder and gives its path. */
export function put(folder: string, name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The lines of a text, without the last line end. */
export function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

// ── Writing ────────────────────────────────────────────────────────────────────────────────────────────────

export const NS = 1_000_000_000n;

export interface Packet {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** The captured bytes. */
  readonly frame: Uint8Array;
  /** Bytes on the wire; those captured when not given. */
  readonly length?: number;
}

export interface PcapOptions {
  readonly nano?: boolean;
  readonly bigEndian?: boolean;
  readonly linkType?: number;
  readonly snaplen?: number;
}

/** A number of `bytes` bytes. */
function number(value: number | bigint, bytes: number, bigEndian: boolean): Buffer {
  const buffer = Buffer.alloc(bytes);
  let rest = BigInt.asUintN(bytes * 8, BigInt(value));
  for (let index = 0; index < bytes; index++) {
    buffer[bigEndian ? bytes - 1 - index : index] = Number(rest & 255n);
    rest >>= 8n;
  }
  return buffer;
}

/** The 24 bytes in front of a pcap's records. */
export function pcapHead({
  nano,
  bigEndian = false,
  linkType = 1,
  snaplen = 262_144,
}: PcapOptions = {}): Buffer {
  const u32 = (value: number): Buffer => number(value, 4, bigEndian);
  const version = Buffer.concat([number(2, 2, bigEndian), number(4, 2, bigEndian)]);
  return Buffer.concat([
    u32(nano ? 0xa1b23c4d : 0xa1b2c3d4),
    version,
    u32(0),
    u32(0),
    u32(snaplen),
    u32(linkType),
  ]);
}

/** One record of a pcap, its header with any numbers. */
export function pcapRecord(
  { time, frame, length }: Packet,
  { nano, bigEndian = false }: PcapOptions = {},
): Buffer {
  const u32 = (value: number | bigint): Buffer => number(value, 4, bigEndian);
  const fraction = (time % NS) / (nano ? 1n : 1000n);
  return Buffer.concat([
    u32(time / NS),
    u32(fraction),
    u32(frame.length),
    u32(length ?? frame.length),
    frame,
  ]);
}

export function pcapFile(packets: readonly Packet[], options: PcapOptions = {}): Buffer {
  return Buffer.concat([pcapHead(options), ...packets.map(packet => pcapRecord(packet, options))]);
}

export interface Interface {
  readonly name?: string;
  /** The option's octet: n for 10^-n, 0x80 + n for 2^-n; left out: microseconds. */
  readonly tsresol?: number;
  readonly tsoffset?: bigint;
  readonly snaplen?: number;
  readonly linkType?: number;
  /** More options, as bytes. */
  readonly extra?: Uint8Array;
}

/** Ticks of a timestamp on an interface, cut to whole ones. */
export function ticksOf(time: bigint, { tsresol = 6, tsoffset = 0n }: Interface): bigint {
  return ((time - tsoffset * NS) * unitsOf(tsresol)) / NS;
}

function unitsOf(tsresol: number): bigint {
  return tsresol < 0x80 ? 10n ** BigInt(tsresol) : 2n ** BigInt(tsresol & 0x7f);
}

/** Builds a pcapng block by block; every method gives the writer back. */
export class PcapNg {
  #parts: Buffer[] = [];
  #bigEndian = false;
  #interfaces: Interface[] = [];

  get length(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** A number in the section's byte order. */
  int(value: number | bigint, bytes: number): Buffer {
    return number(value, bytes, this.#bigEndian);
  }

  option(code: number, value: Uint8Array | string): Buffer {
    const bytes = Buffer.from(value);
    const padding = Buffer.alloc(-bytes.length & 3);
    return Buffer.concat([this.int(code, 2), this.int(bytes.length, 2), bytes, padding]);
  }

  /** Options, ended as they should be; nothing when there are none. */
  options(...list: readonly Uint8Array[]): Buffer {
    return list.length === 0 ? Buffer.alloc(0) : Buffer.concat([...list, Buffer.alloc(4)]);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  block(type: number, ...body: readonly Uint8Array[]): this {
    const bytes = Buffer.concat(body);
    const padding = Buffer.alloc(-bytes.length & 3);
    const length = this.int(bytes.length + padding.length + 12, 4);
    return this.raw(Buffer.concat([this.int(type, 4), length, bytes, padding, length]));
  }

  section(bigEndian = false, ...options: readonly (readonly [code: number, value: string])[]): this {
    this.#bigEndian = bigEndian;
    this.#interfaces = [];
    const fixed = [this.int(0x1a2b3c4d, 4), this.int(1, 2), this.int(0, 2), this.int(-1n, 8)];
    return this.block(
      0x0a0d0d0a,
      ...fixed,
      this.options(...options.map(([code, value]) => this.option(code, value))),
    );
  }

  interface(description: Interface = {}): this {
    const { name, tsresol, tsoffset, snaplen = 0, linkType = 1, extra } = description;
    this.#interfaces.push(description);
    const options: Uint8Array[] = [];
    if (name !== undefined) options.push(this.option(2, name));
    if (tsresol !== undefined) options.push(this.option(9, Uint8Array.of(tsresol)));
    if (tsoffset !== undefined) options.push(this.option(14, this.int(tsoffset, 8)));
    if (extra !== undefined) options.push(extra);
    const fixed = [this.int(linkType, 2), this.int(0, 2), this.int(snaplen, 4)];
    return this.block(1, ...fixed, this.options(...options));
  }

  /** An Enhanced Packet Block. */
  packet(link: number, packet: Packet, ...options: readonly Uint8Array[]): this {
    const ticks = ticksOf(packet.time, this.#interfaces[link] ?? {});
    return this.ticks(link, ticks, packet.frame, packet.length, ...options);
  }

  /** An Enhanced Packet Block whose timestamp is given in the interface's own units. */
  ticks(
    link: number,
    ticks: bigint,
    frame: Uint8Array,
    length?: number,
    ...options: readonly Uint8Array[]
  ): this {
    const fixed = [
      link,
      BigInt.asUintN(64, ticks) >> 32n,
      ticks & 0xffffffffn,
      frame.length,
      length ?? frame.length,
    ];
    return this.block(
      6,
      ...fixed.map(value => this.int(value, 4)),
      this.#padded(frame),
      this.options(...options),
    );
  }

  /** An obsolete Packet Block. */
  obsolete(link: number, { time, frame, length }: Packet, ...options: readonly Uint8Array[]): this {
    const ticks = ticksOf(time, this.#interfaces[link] ?? {});
    const counts = [this.int(link, 2), this.int(0xffff, 2)];
    const fixed = [ticks >> 32n, ticks & 0xffffffffn, frame.length, length ?? frame.length];
    const head = Buffer.concat([...counts, ...fixed.map(value => this.int(value, 4))]);
    return this.block(2, head, this.#padded(frame), this.options(...options));
  }

  /** A Simple Packet Block: interface 0, no timestamp. */
  simple(frame: Uint8Array, length = frame.length): this {
    return this.block(3, this.int(length, 4), this.#padded(frame));
  }

  #padded(frame: Uint8Array): Buffer {
    return Buffer.concat([frame, Buffer.alloc(-frame.length & 3)]);
  }
}

// ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────

export interface ReadInterface {
  readonly linkType: number;
  readonly snaplen: number;
  readonly name: string | null;
  readonly tsresol: number;
  readonly tsoffset: bigint;
}

export interface ReadPacket {
  /** Number of its section, its interface in there, and that interface's name. */
  readonly section: number;
  readonly link: number;
  readonly name: string | null;
  /** Nanoseconds, cut; null for a Simple Packet Block. */
  readonly time: bigint | null;
  readonly frame: Buffer;
  readonly length: number;
  readonly comments: readonly string[];
  /** File offset of its record or block. */
  readonly at: number;
}

export interface ReadFile {
  readonly format: "pcap" | "pcapng" | null;
  /** What the file header said, for pcap. */
  readonly nano: boolean;
  /** Interfaces of each section. */
  readonly sections: readonly (readonly ReadInterface[])[];
  readonly packets: readonly ReadPacket[];
  /** File offsets of all records or blocks, foreign ones too. */
  readonly starts: readonly number[];
  /** Where and why reading ended early; `cut`: there is nothing wrong but the end. */
  readonly damage: {
    readonly at: number;
    readonly why: string;
    readonly kind: "cut" | "bad" | "header";
  } | null;
}

class Damaged extends Error {
  readonly at: number;
  readonly kind: "cut" | "bad" | "header";
  constructor(at: number, kind: "cut" | "bad" | "header", why: string) {
    super(why);
    this.at = at;
    this.kind = kind;
  }
}

/** Reads a whole capture, up to its damage if it has any. */
export function readCapture(bytes: Uint8Array): ReadFile {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = file.length < 4 ? "" : file.toString("hex", 0, 4);
  if (magic === "0a0d0d0a") return new PcapNgReader(file).read();
  const packets: ReadPacket[] = [];
  const starts: number[] = [];
  const nano = magic === "4d3cb2a1" || magic === "a1b23c4d";
  let damage: ReadFile["damage"] = null;
  try {
    readPcap(file, magic, packets, starts);
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    damage = { at: error.at, kind: error.kind, why: error.message };
  }
  const format = /^(d4c3b2a1|a1b2c3d4|4d3cb2a1|a1b23c4d)$/.test(magic) ? "pcap" : null;
  return { format, nano, sections: [], packets, starts, damage };
}

/** No libpcap captures more of one packet. */
const MOST_CAPTURED = 262_144;

function readPcap(file: Buffer, magic: string, packets: ReadPacket[], starts: number[]): void {
  const isLittle = magic === "d4c3b2a1" || magic === "4d3cb2a1";
  const isBig = magic === "a1b2c3d4" || magic === "a1b23c4d";
  if (!isLittle && !isBig) throw new Damaged(0, "header", "magic");
  if (file.length < 24) throw new Damaged(0, "header", "short header");
  const u32 = (at: number): number => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const major = isLittle ? file.readUInt16LE(4) : file.readUInt16BE(4);
  if (major !== 2) throw new Damaged(0, "header", "version");
  if ((u32(20) & 0xffff) !== 1) throw new Damaged(0, "header", "link type");
  const unit = magic === "d4c3b2a1" || magic === "a1b2c3d4" ? 1000n : 1n;
  for (let at = 24; at < file.length; ) {
    starts.push(at);
    if (file.length - at < 16) throw new Damaged(at, "cut", "record header");
    const [captured, length] = [u32(at + 8), u32(at + 12)];
    if (captured > MOST_CAPTURED) throw new Damaged(at, "bad", "absurd length");
    if (file.length - at - 16 < captured) throw new Damaged(at, "cut", "record");
    const time = BigInt(u32(at)) * NS + BigInt(u32(at + 4)) * unit;
    const frame = file.subarray(at + 16, at + 16 + captured);
    packets.push({
      section: 0,
      link: 0,
      name: null,
      time,
      frame,
      length: Math.max(length, captured),
      comments: [],
      at,
    });
    at += 16 + captured;
  }
}

class PcapNgReader {
  readonly #file: Buffer;
  readonly #sections: ReadInterface[][] = [];
  readonly #packets: ReadPacket[] = [];
  readonly #starts: number[] = [];
  #isBig = false;

  constructor(file: Buffer) {
    this.#file = file;
  }

  read(): ReadFile {
    let damage: ReadFile["damage"] = null;
    try {
      for (let at = 0; at < this.#file.length; ) at += this.#block(at);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      damage = { at: error.at, kind: error.kind, why: error.message };
    }
    const [sections, packets, starts] = [this.#sections, this.#packets, this.#starts];
    return { format: "pcapng", nano: false, sections, packets, starts, damage };
  }

  #u32(at: number): number {
    return this.#isBig ? this.#file.readUInt32BE(at) : this.#file.readUInt32LE(at);
  }

  #u16(at: number): number {
    return this.#isBig ? this.#file.readUInt16BE(at) : this.#file.readUInt16LE(at);
  }

  /** Reads a block and gives its length. */
  #block(at: number): number {
    const left = this.#file.length - at;
    this.#starts.push(at);
    if (left < 12) throw new Damaged(at, "cut", "block header");
    const isSection = this.#file.readUInt32LE(at) === 0x0a0d0d0a;
    if (isSection) {
      const order = this.#file.toString("hex", at + 8, at + 12);
      if (order !== "1a2b3c4d" && order !== "4d3c2b1a") throw new Damaged(at, "bad", "byte order");
      this.#isBig = order === "1a2b3c4d";
    }
    const length = this.#u32(at + 4);
    if (length < 12 || length % 4 !== 0) throw new Damaged(at, "bad", "block length");
    const type = isSection ? 0x0a0d0d0a : this.#u32(at);
    const isKnown = [0x0a0d0d0a, 1, 2, 3, 6].includes(type);
    if (isKnown && length > 524_288) throw new Damaged(at, "bad", "huge block");
    if (left < length) throw new Damaged(at, "cut", "block");
    if (this.#u32(at + length - 4) !== length) throw new Damaged(at, "bad", "trailer");
    if (isSection) this.#section(at, length);
    else if (type === 1) this.#interface(at, length);
    else if (isKnown) this.#packet(at, length, type);
    return length;
  }

  #section(at: number, length: number): void {
    if (length < 28) throw new Damaged(at, "header", "short section header");
    if (this.#u16(at + 12) !== 1) throw new Damaged(at, "header", "version");
    this.#options(at + 24, at + length - 4, at, "header");
    this.#sections.push([]);
  }

  #interface(at: number, length: number): void {
    if (length < 20) throw new Damaged(at, "header", "short interface description");
    let name: string | null = null;
    let tsresol = 6;
    let tsoffset = 0n;
    for (const { code, value } of this.#options(at + 16, at + length - 4, at, "header")) {
      if (code === 2) name = value.toString().replace(/\0+$/, "");
      const wanted = { 9: 1, 14: 8 }[code];
      if (wanted !== undefined && value.length !== wanted) throw new Damaged(at, "header", "option length");
      if (code === 9) tsresol = value[0]!;
      if (code === 14) tsoffset = this.#isBig ? value.readBigInt64BE() : value.readBigInt64LE();
    }
    const linkType = this.#u16(at + 8);
    if (linkType !== 1) throw new Damaged(at, "header", "link type");
    this.#sections.at(-1)!.push({ linkType, snaplen: this.#u32(at + 12), name, tsresol, tsoffset });
  }

  #packet(at: number, length: number, type: number): void {
    const fixed = type === 3 ? 12 : 28;
    if (length < fixed + 4) throw new Damaged(at, "bad", "block length");
    const link = type === 3 ? 0 : type === 2 ? this.#u16(at + 8) : this.#u32(at + 8);
    const section = this.#sections.length - 1;
    const described = this.#sections[section]?.[link];
    if (described === undefined) throw new Damaged(at, "bad", "unknown interface");
    const wire = this.#u32(at + (type === 3 ? 8 : 24));
    const simple = described.snaplen === 0 ? wire : Math.min(wire, described.snaplen);
    const captured = type === 3 ? simple : this.#u32(at + 20);
    if (captured > MOST_CAPTURED) throw new Damaged(at, "bad", "absurd length");
    const end = at + fixed + captured + (-captured & 3);
    if (end > at + length - 4) throw new Damaged(at, "bad", "packet overrun");
    const options = type === 3 ? [] : this.#options(end, at + length - 4, at, "bad");
    const comments = options.filter(({ code }) => code === 1).map(({ value }) => value.toString());
    const ticks = (BigInt(this.#u32(at + 12)) << 32n) | BigInt(type === 3 ? 0 : this.#u32(at + 16));
    const { name, tsresol, tsoffset } = described;
    const time = type === 3 ? null : (ticks * NS) / unitsOf(tsresol) + tsoffset * NS;
    const frame = this.#file.subarray(at + fixed, at + fixed + captured);
    this.#packets.push({ section, link, name, time, frame, length: Math.max(wire, captured), comments, at });
  }

  #options(
    from: number,
    end: number,
    block: number,
    kind: "bad" | "header",
  ): { code: number; value: Buffer }[] {
    const found: { code: number; value: Buffer }[] = [];
    for (let at = from; end - at >= 4; ) {
      const [code, length] = [this.#u16(at), this.#u16(at + 2)];
      if (code === 0) break;
      const padded = length + (-length & 3);
      if (at + 4 + padded > end) throw new Damaged(block, kind, "option overrun");
      found.push({ code, value: this.#file.subarray(at + 4, at + 4 + length) });
      at += 4 + padded;
    }
    return found;
  }
}

export function readCaptureFile(path: string): ReadFile {
  return readCapture(readFileSync(path));
}
