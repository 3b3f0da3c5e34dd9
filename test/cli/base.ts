/**
 * What the tests of the program share: it is run as people run it, as a process of its own in a fresh
 * folder, and what it says, leaves behind and exits with is looked at. Also the smallest intent, and makers
 * of captures whose every length and number can be made wrong. These share no code with src/.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, WAIT_MS } from "../harness.ts";
import { MARKER } from "../started.ts";

export const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slash32");

/** Line numbers matter: tests name them. */
export const INTENT = `\
name: hv1
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }
vms:
  - { id: 101, name: web-1, port: tap101, ofport: 11, mac: 52:54:00:00:00:0b, addresses: [203.0.113.7], path: l3 }
  - { id: 102, name: web-2, port: tap102, ofport: 12, mac: 52:54:00:00:00:0c, addresses: [203.0.113.8], path: l2 }
routes:
  - { prefix: 0.0.0.0/0, labels: [3003], via: 02:00:00:00:00:fe }
`;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: Record<string, string>;
  /** Runs as this user and group. */
  readonly uid?: number;
  /** File descriptors for standard input, output and error instead of pipes. */
  readonly stdio?: readonly ("pipe" | "ignore" | number)[];
}

/** A program that hangs ends; one on a slow machine does not. */
const TIMEOUT_MS = 2 * WAIT_MS;

/** All that the program inherits: its environment is otherwise empty. */
function inherited(): Record<string, string> {
  const names = ["PATH", "TMPDIR", MARKER].filter(name => process.env[name] !== undefined);
  return Object.fromEntries(names.map(name => [name, process.env[name]!]));
}

/** A folder of its own for a test, with the intent as hv.yaml in it. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "slash32-cli-"));

  constructor(files: Record<string, string | Uint8Array> = {}) {
    this.write("hv.yaml", INTENT);
    for (const [name, contents] of Object.entries(files)) this.write(name, contents);
  }

  at(name: string): string {
    return join(this.path, name);
  }

  write(name: string, contents: string | Uint8Array): void {
    writeFileSync(this.at(name), contents);
  }

  read(name: string): Buffer {
    return readFileSync(this.at(name));
  }

  names(): string[] {
    return readdirSync(this.path).sort();
  }

  /** Runs the program here. */
  run(args: readonly string[], options: RunOptions = {}): Ran {
    return this.#spawn(process.execPath, [PROGRAM, ...args], options);
  }

  /** Runs a shell line here, in which slash32 is the program. */
  shell(line: string, options: RunOptions = {}): Ran {
    const script = `slash32() { "${process.execPath}" "${PROGRAM}" "$@"; }\n${line}`;
    return this.#spawn("sh", ["-c", script], options);
  }

  #spawn(command: string, args: readonly string[], { input, env, uid, stdio }: RunOptions): Ran {
    const made = spawnSync(command, args, {
      cwd: this.path,
      input: input === undefined ? "" : input,
      env: { ...inherited(), HOME: this.path, ...env },
      encoding: "utf8",
      timeout: TIMEOUT_MS,
      maxBuffer: 0x10000000,
      ...(uid === undefined ? {} : { uid, gid: uid }),
      ...(stdio === undefined ? {} : { stdio: [...stdio] }),
    });
    if (made.error !== undefined) throw made.error;
    return { code: made.status, stdout: made.stdout ?? "", stderr: made.stderr ?? "" };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Runs `body` in a fresh folder and removes it. */
export function inFolder<T>(files: Record<string, string | Uint8Array>, body: (folder: Folder) => T): T {
  const folder = new Folder(files);
  try {
    return body(folder);
  } finally {
    folder.remove();
  }
}

/** Asserts exit code 1 and exactly one line on standard error that holds all the parts. */
export function failsWith(ran: Ran, ...parts: readonly (string | RegExp)[]): void {
  const shown = `exit ${ran.code}\nstdout: ${ran.stdout.slice(0, 500)}\nstderr: ${ran.stderr}`;
  assert.is(ran.code, 1, shown);
  assert.match(ran.stderr, /^slash32: [^\n]+\n$/, `one line is expected on standard error\n${shown}`);
  for (const part of parts) {
    const holds = typeof part === "string" ? ran.stderr.includes(part) : part.test(ran.stderr);
    assert.ok(holds, `${part} is expected\n${shown}`);
  }
}

/** Asserts exit code 0 and nothing on standard error. */
export function succeeds(ran: Ran): void {
  assert.is(ran.code, 0, `stdout: ${ran.stdout.slice(0, 500)}\nstderr: ${ran.stderr}`);
  assert.is(ran.stderr, "");
}

// ── Frames ─────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * An IPv4 packet of 60 bytes that VM tap101 sends and that leaves by the uplink; `number` tells them apart.
 */
export function guestFrame(number = 0): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(Buffer.from("fe000000010152540000000b0800" + "4500002e000000004011", "hex"));
  frame.set([203, 0, 113, 7, 198, 51, 100, 9], 26);
  new DataView(frame.buffer).setUint16(18, number);
  return frame;
}

/** The same as the fabric would deliver it to tap101: an IPv4 packet without a label. */
export function fabricFrame(number = 0): Uint8Array {
  const frame = guestFrame(number);
  frame.set([0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xfe], 0);
  frame.set([198, 51, 100, 9, 203, 0, 113, 7], 26);
  return frame;
}

// ── Captures ───────────────────────────────────────────────────────────────────────────────────────────────

export function concat(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

/** 16- and 32-bit numbers in a byte order: `u(le, [2, 4], [4, 99])` is a u16 of 4 and a u32 of 99. */
export function numbers(isLittle: boolean, ...fields: readonly (readonly [2 | 4, number])[]): Buffer {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, isLittle);
    else view.setUint32(at, value >>> 0, isLittle);
    at += bytes;
  }
  return Buffer.from(view.buffer);
}

export interface PcapStyle {
  readonly isBig?: boolean;
  readonly isNano?: boolean;
  readonly major?: number;
  readonly linkType?: number;
}

export function pcapHead({ isBig, isNano, major, linkType }: PcapStyle = {}): Buffer {
  const magic = isNano === true ? 0xa1b23c4d : 0xa1b2c3d4;
  return numbers(
    isBig !== true,
    [4, magic],
    [2, major ?? 2],
    [2, 4],
    [4, 0],
    [4, 0],
    [4, 0x40000],
    [4, linkType ?? 1],
  );
}

/** A record; its two lengths may be other than the frame's. */
export function pcapRecord(
  frame: Uint8Array,
  {
    isBig,
    captured,
    length,
    time,
  }: { isBig?: boolean; captured?: number; length?: number; time?: number } = {},
): Buffer {
  const sizes = [captured ?? frame.length, length ?? frame.length] as const;
  return concat(numbers(isBig !== true, [4, time ?? 1], [4, 0], [4, sizes[0]], [4, sizes[1]]), frame);
}

/** A good pcap of `count` frames of tap101. */
export function goodPcap(count: number, style: PcapStyle = {}): Buffer {
  const isBig = style.isBig === true;
  const records = Array.from({ length: count }, (_, i) => pcapRecord(guestFrame(i), { isBig, time: i + 1 }));
  return Buffer.concat([pcapHead(style), ...records]);
}

/** A pcapng block; its two lengths may be wrong. */
export function block(
  type: number,
  body: Uint8Array,
  { isBig, first, second }: { isBig?: boolean; first?: number; second?: number } = {},
): Buffer {
  const isLittle = isBig !== true;
  const padded = concat(body, Buffer.alloc(-body.length & 3));
  const bytes = padded.length + 12;
  return concat(
    numbers(isLittle, [4, type], [4, first ?? bytes]),
    padded,
    numbers(isLittle, [4, second ?? first ?? bytes]),
  );
}

/** An option; its length may be wrong. */
export function option(code: number, value: Uint8Array, isBig = false, bytes = value.length): Buffer {
  return concat(numbers(!isBig, [2, code], [2, bytes]), value, Buffer.alloc(-value.length & 3));
}

export function section(isBig = false, major = 1): Buffer {
  const body = numbers(!isBig, [4, 0x1a2b3c4d], [2, major], [2, 0], [4, 0xffffffff], [4, 0xffffffff]);
  return block(0x0a0d0d0a, body, { isBig });
}

/** An interface description; `options` are whole options, without their end. */
export function interfaceBlock(
  name: string | null,
  { isBig, linkType, snapBytes, options }: InterfaceStyle = {},
): Buffer {
  const big = isBig === true;
  const parts = [...(name === null ? [] : [option(2, Buffer.from(name), big)]), ...(options ?? [])];
  const end = parts.length === 0 ? [] : [option(0, new Uint8Array(0), big)];
  const fixed = numbers(!big, [2, linkType ?? 1], [2, 0], [4, snapBytes ?? 0]);
  return block(1, concat(fixed, ...parts, ...end), { isBig: big });
}

export interface InterfaceStyle {
  readonly isBig?: boolean;
  readonly linkType?: number;
  readonly snapBytes?: number;
  readonly options?: readonly Uint8Array[];
}

/** An enhanced packet block; its numbers may be wrong. */
export function packet(
  frame: Uint8Array,
  { isBig, number, captured, length, options, time }: PacketStyle = {},
): Buffer {
  const fixed = numbers(
    isBig !== true,
    [4, number ?? 0],
    [4, 0],
    [4, time ?? 1],
    [4, captured ?? frame.length],
    [4, length ?? frame.length],
  );
  const padding = Buffer.alloc(-frame.length & 3);
  return block(6, concat(fixed, frame, padding, ...(options ?? [])), { isBig: isBig === true });
}

export interface PacketStyle {
  readonly isBig?: boolean;
  readonly number?: number;
  readonly captured?: number;
  readonly length?: number;
  readonly options?: readonly Uint8Array[];
  readonly time?: number;
}

/** A good pcapng of `count` frames of tap101. */
export function goodPcapng(count: number): Buffer {
  const packets = Array.from({ length: count }, (_, i) => packet(guestFrame(i), { time: i + 1 }));
  return Buffer.concat([section(), interfaceBlock("tap101"), ...packets]);
}
