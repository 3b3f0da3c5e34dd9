/**
 * Tiny worlds: which packets there are, all of them, as records (evaluate.ts), as frames, and as the space
 * that the prover is told. A field has a few values; the product of all of them is tried.
 */
import { KEY } from "../../../src/openflow/index.ts";
import { SNAP_WORD } from "../../../src/verify/symbolic/extractions.ts";
import {
  type Cube,
  FRAME_FORMATS,
  type FrameFormat,
  NO_PORT_KINDS,
  type Space,
} from "../../../src/verify/symbolic/input-space.ts";
import type { Body, Packet } from "./evaluate.ts";

/** How many bits, or which values, each field of a world has. */
export interface World {
  readonly ports: readonly number[];
  readonly dstBits: number;
  readonly srcBits: number;
  readonly ip: {
    readonly srcBits: number;
    readonly dstBits: number;
    readonly tos: readonly number[];
    readonly ttl: readonly number[];
  };
  /** Null: no ARP. */
  readonly arp: { readonly spaBits: number; readonly tpaBits: number } | null;
  /** Label stacks of 1 … depth entries; 0: no MPLS. */
  readonly depth: number;
  readonly labelBits: number;
  readonly labelTtl: readonly number[];
  readonly hasOther: boolean;
}

/** The body of a frame that ends behind its labels. */
export const UNREAD: Body = { is: "other" };
const OTHER_TYPE = 0x88b5;
const ARP_OPS = [1, 2] as const;
const MAC_HIGH = 0x0200;
const ADDRESS = 0x0a000000;
const PROTOCOL = 253;

const upTo = (bits: number): number[] => Array.from({ length: 1 << bits }, (_, i) => i);
const low = (bits: number): number => (1 << bits) - 1;

function* bodies(world: World): Generator<Body> {
  const { ip, arp } = world;
  for (const src of upTo(ip.srcBits))
    for (const dst of upTo(ip.dstBits))
      for (const tos of ip.tos) for (const ttl of ip.ttl) yield { is: "ip", src, dst, tos, ttl };
  if (arp !== null)
    for (const op of ARP_OPS)
      for (const spa of upTo(arp.spaBits))
        for (const tpa of upTo(arp.tpaBits)) yield { is: "arp", op, spa, tpa };
  if (world.hasOther) yield { is: "other" };
}

const entry = (label: number, isBottom: boolean, ttl: number): number =>
  ((label << 12) | (isBottom ? 0x100 : 0) | ttl) >>> 0;

function* stacks(world: World, depth: number): Generator<number[]> {
  if (depth === 0) {
    yield [];
    return;
  }
  for (const label of upTo(world.labelBits))
    for (const ttl of world.labelTtl)
      for (const inner of stacks(world, depth - 1)) yield [entry(label, depth === 1, ttl), ...inner];
}

/** Every packet of a world. */
export function* packetsOf(world: World): Generator<Packet> {
  for (const inPort of world.ports)
    for (const dst of upTo(world.dstBits))
      for (const src of upTo(world.srcBits))
        for (const body of bodies(world)) {
          yield { inPort, dst, src, labels: [], body };
          if (body.is !== "ip") continue;
          for (let depth = 1; depth <= world.depth; depth++)
            for (const labels of stacks(world, depth)) yield { inPort, dst, src, labels, body };
        }
}

const u16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)];

function bodyBytes(body: Body): number[] {
  if (body.is === "other") return [];
  if (body.is === "arp") {
    const sender = [...u16(MAC_HIGH), ...u32(9), ...u32(ADDRESS | body.spa)];
    return [0, 1, 8, 0, 6, 4, ...u16(body.op), ...sender, 0, 0, 0, 0, 0, 0, ...u32(ADDRESS | body.tpa)];
  }
  const head = [0x45, body.tos, 0, 20, 0, 0, 0, 0, body.ttl, PROTOCOL];
  const addresses = [...u32(ADDRESS | body.src), ...u32(ADDRESS | body.dst)];
  let sum = 0;
  for (const [i, byte] of [...head, ...addresses].entries()) sum += i % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [...head, ...u16(~sum), ...addresses];
}

const TYPES = { ip: 0x0800, arp: 0x0806, other: OTHER_TYPE } as const;

/** The bytes of a packet. */
export function frameOf({ dst, src, labels, body }: Packet): Uint8Array {
  const type = labels.length > 0 ? 0x8847 : TYPES[body.is];
  return Uint8Array.from([
    ...u16(MAC_HIGH),
    ...u32(dst),
    ...u16(MAC_HIGH),
    ...u32(src),
    ...u16(type),
    ...labels.flatMap(u32),
    ...bodyBytes(body),
  ]);
}

/** One reader for frames of the worlds, and of nothing else: null for those. */
export function packetOf(inPort: number, frame: Uint8Array): Packet | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 14) return null;
  const labels: number[] = [];
  let at = 14;
  const type = view.getUint16(12);
  if (type === 0x8847) {
    do {
      if (at + 4 > frame.length) return null;
      labels.push(view.getUint32(at));
      at += 4;
    } while ((labels.at(-1)! & 0x100) === 0);
  }
  const isCut = labels.length > 0 && at === frame.length;
  const body = isCut ? UNREAD : bodyAt(view, at, labels.length > 0 ? 0x0800 : type);
  return body === null
    ? null
    : { inPort, dst: view.getUint32(2) & 0xff, src: view.getUint32(8) & 0xff, labels, body };
}

function bodyAt(view: DataView, at: number, type: number): Body | null {
  const address = (offset: number): number => view.getUint8(at + offset + 3);
  if (type === OTHER_TYPE) return at === view.byteLength ? { is: "other" } : null;
  if (type === 0x0806 && view.byteLength >= at + 28)
    return { is: "arp", op: view.getUint16(at + 6), spa: address(14), tpa: address(24) };
  if (type !== 0x0800 || view.byteLength < at + 20) return null;
  const [tos, ttl] = [view.getUint8(at + 1), view.getUint8(at + 8)];
  return { is: "ip", src: address(12), dst: address(16), tos, ttl };
}

const free = (value: number, bits: number): Cube[] => [{ mask: ~low(bits) >>> 0, value: value >>> 0 }];
const among = (...values: number[]): Cube[] => values.map(value => ({ mask: 0xffffffff, value }));

function narrowed(name: string, cubes: Record<number, readonly Cube[]>): FrameFormat {
  const format = FRAME_FORMATS.find(one => one.name === name);
  if (format === undefined) throw new Error(`assertion: there is a frame format "${name}"`);
  const all = new Map(format.cubes);
  for (const [word, one] of Object.entries(cubes)) all.set(Number(word), one);
  return { ...format, cubes: all };
}

function formatsOf(world: World): FrameFormat[] {
  const { ip, arp } = world;
  const formats = [
    narrowed("ip4", {
      [KEY.nwSrc]: free(ADDRESS, ip.srcBits),
      [KEY.nwDst]: free(ADDRESS, ip.dstBits),
      [KEY.nwTos]: among(...ip.tos),
      [KEY.nwTtl]: among(...ip.ttl),
      [KEY.nwProto]: among(PROTOCOL),
      [KEY.nwFrag]: among(0),
    }),
  ];
  if (arp !== null)
    formats.push(
      narrowed("arp", {
        [KEY.dlType]: among(0x0806),
        [KEY.nwProto]: among(...ARP_OPS),
        [KEY.nwSrc]: free(ADDRESS, arp.spaBits),
        [KEY.nwDst]: free(ADDRESS, arp.tpaBits),
        [KEY.arpSha]: among(MAC_HIGH),
        [KEY.arpSha + 1]: among(9),
        [KEY.arpTha]: among(0),
        [KEY.arpTha + 1]: among(0),
      }),
    );
  for (let depth = 1; depth <= world.depth; depth++) {
    const entries: Record<number, readonly Cube[]> = { [KEY.dlType]: among(0x8847) };
    for (let at = 0; at < depth; at++) {
      const mask = ~(low(world.labelBits) << 12) >>> 0;
      const values = world.labelTtl.map(ttl => entry(0, at === depth - 1, ttl));
      entries[KEY.mplsLse + at] = values.map(value => ({ mask, value }));
    }
    formats.push(narrowed(`mpls ${depth}`, entries));
  }
  if (world.hasOther) formats.push(narrowed("other", { [KEY.dlType]: among(OTHER_TYPE) }));
  return formats;
}

/** The same packets, as the prover is told. */
export function spaceOf(world: World): Space {
  return {
    formats: formatsOf(world),
    isTupleRead: false,
    entering: [],
    ports: NO_PORT_KINDS,
    cubes: new Map<number, readonly Cube[]>([
      [KEY.inPort, among(...world.ports)],
      [KEY.dlDst, among(MAC_HIGH)],
      [KEY.dlDst + 1, free(0, world.dstBits)],
      [KEY.dlSrc, among(MAC_HIGH)],
      [KEY.dlSrc + 1, free(0, world.srcBits)],
      [KEY.vlanTci, among(0)],
      [SNAP_WORD, among(0)],
    ]),
  };
}
