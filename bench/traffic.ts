/**
 * What is replayed: captures of 60-byte UDP frames and the intents that they suit, the same bytes on every
 * run. All checksums are right, since tools that meet wrong ones take another, slower path (tcprewrite four
 * times so). Files lie in a temporary folder that is removed at the end, or in BENCH_DIR, which is kept.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARP_REQUEST, eth, formatIpv4, formatMac } from "../src/wire/index.ts";

export const FRAME_BYTES = 60;
export const RECORD_HEADER_BYTES = 16;
export const RECORD_BYTES = RECORD_HEADER_BYTES + FRAME_BYTES;
export const LABEL = 1001;
export const UPLINK_PORT = 1;
/** VMs that the local addresses are spread over: few, so that loading YAML is not what is measured. */
export const VM_COUNT = 16;

export const UPLINK_MAC = "02:00:00:00:00:01";
export const ROUTER_MAC = "02:00:00:00:00:fe";
export const VIRTUAL_MAC = "fe:00:00:00:01:01";
/** Local addresses, two benchmarking networks apart from those far away (RFC 2544). */
const LOCAL_BASE = 0xc6120000;
export const OUTSIDE = "192.0.2.9";
/** First of the local addresses where they are scattered, over 32.0.0.0/5. */
const SCATTERED_LOCAL_BASE = 0x20000000;
/** First address of the routes, and how many they are scattered over: 16.0.0.0/5. */
const ROUTES_BASE = 0x10000000;
const ROUTES_MASK = 0x7ffffff;
/** 2^32 divided by the golden ratio, made odd: multiplied by it, numbers scatter and stay distinct. */
const GOLDEN = 0x9e3779b1;
/** UDP ports that no dissector takes for something else. */
const SOURCE_PORT = 49_321;
const DISCARD_PORT = 9;
const FIRST_SECOND = 1_735_689_600;

// ── Folder ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A folder for files of a run; `remove` takes it away unless BENCH_DIR asked to keep it. */
export function workFolder(): { path: string; remove: () => void } {
  const kept = process.env.BENCH_DIR;
  if (kept !== undefined && kept !== "") {
    mkdirSync(kept, { recursive: true });
    return { path: kept, remove: () => {} };
  }
  const path = mkdtempSync(join(tmpdir(), "slash32-bench-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

// ── Addresses ──────────────────────────────────────────────────────────────────────────────────────────────

/** Address `index` of the local ones; they are spread over the VMs in turn. */
function localAddress(index: number): number {
  return (LOCAL_BASE + 10 + index) >>> 0;
}

/** Address `index` of those that /32 routes lead to, scattered. */
function routedAddress(index: number): number {
  return (ROUTES_BASE + (Math.imul(index, GOLDEN) & ROUTES_MASK)) >>> 0;
}

/** Addresses one behind the other, or scattered so that no two of a table are neighbours. */
export type Layout = "dense" | "scattered";

export const LOCAL: Readonly<Record<Layout, (index: number) => number>> = {
  dense: localAddress,
  scattered: index => (SCATTERED_LOCAL_BASE + (Math.imul(index, GOLDEN) & ROUTES_MASK)) >>> 0,
};

export const ROUTED: Readonly<Record<Layout, (index: number) => number>> = {
  dense: index => ROUTES_BASE + index,
  scattered: routedAddress,
};

export function vmPort(vm: number): number {
  return 11 + vm;
}

/** What a capture argument calls the port of a VM. */
export function vmPortName(vm: number): string {
  return `tap${vm}`;
}

export function vmMac(vm: number): string {
  return formatMac(0x525400000100 + vm);
}

/** A small generator of numbers (xorshift32, Marsaglia 2003), so that every run sees the same traffic. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

// ── Intents ────────────────────────────────────────────────────────────────────────────────────────────────

export interface IntentOptions {
  /** Local addresses, spread over VM_COUNT VMs. */
  readonly localCount: number;
  readonly routeCount: number;
  /** Next hops that the routes lead to in turn. */
  readonly nextHopCount: number;
  /** How the VMs are attached; `l3` when not given. */
  readonly path?: "l2" | "l3";
}

/** Writes `NAME.yaml` and, where there are routes, `NAME.txt`; gives the path of the first. */
export function writeIntent(folder: string, name: string, options: IntentOptions): string {
  const { localCount, routeCount, path = "l3" } = options;
  const lines = [
    `{ name: bench, bridge: br0, label: ${LABEL}, virtualMac: "${VIRTUAL_MAC}",`,
    `uplink: { port: uplink0, ofport: ${UPLINK_PORT}, mac: "${UPLINK_MAC}" },`,
  ];
  if (routeCount > 0) {
    writeRoutes(join(folder, `${name}.txt`), options);
    lines.push(`routesFile: ${name}.txt,`);
  }
  lines.push("vms: [");
  for (let vm = 0; vm < Math.min(VM_COUNT, localCount); vm++) {
    const addresses: string[] = [];
    for (let index = vm; index < localCount; index += VM_COUNT)
      addresses.push(formatIpv4(localAddress(index)));
    const id = `id: ${vm + 1}, name: vm${vm}, port: ${vmPortName(vm)}, ofport: ${vmPort(vm)}`;
    lines.push(`{ ${id}, mac: "${vmMac(vm)}", path: ${path}, addresses: [${addresses.join(", ")}] },`);
  }
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, `${lines.join("\n")}\n] }\n`);
  return file;
}

/** A line a route, /32 each, one label; written a chunk at a time. */
function writeRoutes(file: string, { routeCount, nextHopCount }: IntentOptions): void {
  const fd = openSync(file, "w");
  for (let first = 0; first < routeCount; first += 10_000) {
    let text = "";
    for (let index = first; index < Math.min(first + 10_000, routeCount); index++) {
      const hop = index % nextHopCount;
      const via = formatMac(0x020000010000 + (hop & 0xffff));
      text += `${formatIpv4(routedAddress(index))}/32 ${2000 + hop} ${via}\n`;
    }
    writeSync(fd, text);
  }
  closeSync(fd);
}

// ── Frames ─────────────────────────────────────────────────────────────────────────────────────────────────

export type Kind = "inbound" | "outbound" | "arp" | "bridge" | "drop";

/** A frame of `FRAME_BYTES` of this kind, with the port it enters by; `pick` chooses among the entries. */
export function frameOf(kind: Kind, entryCount: number, pick: (below: number) => number): Uint8Array {
  const index = pick(entryCount);
  const payload = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x5a);
  const fromVm = { src: formatIpv4(localAddress(0)), ttl: 64, id: pick(65_536) };
  const udp = { src: SOURCE_PORT, dst: DISCARD_PORT };
  if (kind === "inbound" || kind === "drop") {
    // Beyond the last local address nobody lives: what is dropped is a packet that a stale route brought.
    const dst = formatIpv4(localAddress(kind === "drop" ? index + 0x8000 : index));
    return eth({ dst: UPLINK_MAC, src: ROUTER_MAC })
      .mpls({ label: LABEL, bos: true, ttl: 63 })
      .ipv4({ src: OUTSIDE, dst, ttl: 63, id: fromVm.id })
      .udp(udp)
      .payload(payload(14))
      .bytes();
  }
  if (kind === "arp") {
    return eth({ dst: "ff:ff:ff:ff:ff:ff", src: vmMac(0) })
      .arp({
        op: ARP_REQUEST,
        sha: vmMac(0),
        spa: fromVm.src,
        tha: "00:00:00:00:00:00",
        tpa: formatIpv4(routedAddress(index)),
      })
      .pad(FRAME_BYTES)
      .bytes();
  }
  const isBridged = kind === "bridge";
  const dst = formatIpv4(isBridged ? localAddress(1 + (index % (VM_COUNT - 1))) : routedAddress(index));
  return eth({ dst: isBridged ? vmMac(1 + (index % (VM_COUNT - 1))) : VIRTUAL_MAC, src: vmMac(0) })
    .ipv4({ ...fromVm, dst })
    .udp(udp)
    .payload(payload(18))
    .bytes();
}

/** The port by which frames of a kind come in. */
export function inPortOf(kind: Kind): number {
  return kind === "inbound" || kind === "drop" ? UPLINK_PORT : vmPort(0);
}

// ── Captures ───────────────────────────────────────────────────────────────────────────────────────────────

/** The header of a pcap file in microseconds, of Ethernet frames. */
export function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  [0xa1b2c3d4, 0x00040002, 0, 0, 262_144, 1].forEach((word, index) => {
    header.writeUInt32LE(word, index * 4);
  });
  return header;
}

/** A pcap record header at `at`: one microsecond after the record before it. */
export function putRecordHeader(buffer: Buffer, at: number, index: number, bytes = FRAME_BYTES): void {
  buffer.writeUInt32LE(FIRST_SECOND + Math.floor(index / 1_000_000), at);
  buffer.writeUInt32LE(index % 1_000_000, at + 4);
  buffer.writeUInt32LE(bytes, at + 8);
  buffer.writeUInt32LE(bytes, at + 12);
}

/** Records of these frames, without a file header. */
export function recordsOf(frames: readonly Uint8Array[]): Buffer {
  const buffer = Buffer.alloc(frames.length * RECORD_BYTES);
  for (const [index, frame] of frames.entries()) {
    if (frame.length !== FRAME_BYTES) throw new Error(`a frame of ${frame.length} bytes`);
    putRecordHeader(buffer, index * RECORD_BYTES, index);
    buffer.set(frame, index * RECORD_BYTES + 16);
  }
  return buffer;
}

/** A sum of 16-bit words with its carries added in again (RFC 1071). */
function folded(sum: number): number {
  let left = sum;
  while (left > 0xffff) left = (left & 0xffff) + (left >>> 16);
  return left;
}

/**
 * A frame that is copied many times, each copy with another address: built once by the frame builder; copies
 * differ in the bytes that the setters write, and in the checksums over them.
 */
export class Stamp {
  readonly #frame: Uint8Array;
  /** Where the IPv4 header begins. */
  readonly #ip: number;
  /** Sums of header and UDP without destination and identification; a checksum's complement is such a sum. */
  readonly #ipSum: number;
  readonly #udpSum: number;

  constructor(frame: Uint8Array) {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    this.#frame = frame;
    this.#ip = view.getUint16(12) === 0x8847 ? 18 : 14;
    const at = this.#ip;
    // ~checksum is the sum of everything else, and 0xffff counts as nothing.
    const destination = view.getUint16(at + 16) + view.getUint16(at + 18);
    this.#ipSum = (view.getUint16(at + 10) ^ 0xffff) + 0x2fffd - destination - view.getUint16(at + 4);
    this.#udpSum = (view.getUint16(at + 26) ^ 0xffff) + 0x2fffd - destination;
  }

  put(buffer: Buffer, at: number): void {
    buffer.set(this.#frame, at);
  }

  /** Of UDP packets. */
  setDestination(buffer: Buffer, at: number, destination: number, id: number): void {
    const ip = at + this.#ip;
    const halves = (destination >>> 16) + (destination & 0xffff);
    buffer.writeUInt16BE(id, ip + 4);
    buffer.writeUInt16BE(folded(this.#ipSum + halves + id) ^ 0xffff, ip + 10);
    buffer.writeUInt32BE(destination, ip + 16);
    // A UDP checksum of 0 would mean "none" (RFC 768).
    buffer.writeUInt16BE(folded(this.#udpSum + halves) ^ 0xffff || 0xffff, ip + 26);
  }

  setArp(buffer: Buffer, at: number, sender: number, target: number): void {
    buffer.writeUInt32BE(sender, at + this.#ip + 14);
    buffer.writeUInt32BE(target, at + this.#ip + 24);
  }

  /** The destination MAC. */
  setMac(buffer: Buffer, at: number, mac: string): void {
    buffer.write(mac.replaceAll(":", ""), at, "hex");
  }
}

/** Writes a capture of `frameCount` frames to or from `entryCount` entries, drawn evenly. */
export function writeCapture(
  file: string,
  kind: "inbound" | "outbound",
  frameCount: number,
  entryCount: number,
): void {
  const random = numbers(0x5eed + frameCount);
  const frame = frameOf(kind, 1, () => 0);
  const stamp = new Stamp(frame);
  const address = kind === "inbound" ? localAddress : routedAddress;
  const chunk = Buffer.alloc(Math.min(frameCount, 1 << 16) * RECORD_BYTES);
  const fd = openSync(file, "w");
  writeSync(fd, pcapHeader());
  for (let first = 0; first < frameCount; first += 1 << 16) {
    const count = Math.min(1 << 16, frameCount - first);
    for (let index = 0; index < count; index++) {
      const at = index * RECORD_BYTES;
      const destination = address(random(entryCount));
      putRecordHeader(chunk, at, first + index);
      stamp.put(chunk, at + RECORD_HEADER_BYTES);
      stamp.setDestination(chunk, at + RECORD_HEADER_BYTES, destination, (first + index) & 0xffff);
    }
    writeSync(fd, chunk, 0, count * RECORD_BYTES);
  }
  closeSync(fd);
}
