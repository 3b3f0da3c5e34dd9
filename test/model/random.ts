/**
 * Random intents and random frames from a seed: the same seed gives the same world everywhere. Intents are
 * small and valid but adversarial (few distinct bytes, so that MACs, addresses and prefixes nearly collide);
 * frames are built layer by layer, each layer with its own ways to be wrong, so that every row and every drop
 * reason is met often. Nothing here knows what the answer should be.
 */
import type { ModelIntent, ModelPath, ModelRoute, ModelVm } from "./model.ts";
import { ipNumber, ipText, macBytes, maskOf } from "./model.ts";

/** A small deterministic generator (mulberry32). */
export interface Rng {
  /** An unsigned 32-bit number. */
  u32(): number;
  /** A whole number from 0 to n-1. */
  below(n: number): number;
  /** A whole number from low to high, both included. */
  between(low: number, high: number): number;
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean;
  /** One item of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** Calls one of the makers; the numbers are their weights. */
  weighted<T>(makers: readonly (readonly [number, () => T])[]): T;
}

/** A generator for a seed (uint32). */
export function rng(seed: number): Rng {
  let state = seed >>> 0;
  const u32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (n: number): number => Math.floor((u32() / 0x100000000) * n);
  const weighted = <T>(makers: readonly (readonly [number, () => T])[]): T => {
    let sum = 0;
    for (let at = 0; at < makers.length; at++) sum += makers[at]![0];
    let left = below(sum);
    for (let at = 0; at < makers.length; at++) {
      const maker = makers[at]!;
      if (left < maker[0]) return maker[1]();
      left -= maker[0];
    }
    throw new Error("random: no weights");
  };
  return {
    u32,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: percent => below(10000) < percent * 100,
    pick: list => list[below(list.length)]!,
    weighted,
  };
}

// ── intents ────────────────────────────────────────────────────────────────────────────────────────────────

const PATHS: readonly ModelPath[] = ["l2", "dual-l2", "dual-l3", "l3"];
const LABELS: readonly number[] = [
  16, 17, 1001, 2002, 4096, 65535, 65536, 0x55555, 0xaaaaa, 1048574, 1048575,
];
const ADDRESS_BYTES: readonly number[] = [0, 1, 2, 3, 128, 254, 255];
const FIRST_BYTES: readonly number[] = [1, 10, 10, 10, 126, 128, 203, 223];
const VIA_MACS: readonly string[] = ["02:00:00:00:00:fe", "02:00:00:00:00:fd", "fe:ff:ff:ff:ff:ff"];

function macText(bytes: readonly number[]): string {
  return bytes.map(byte => byte.toString(16).padStart(2, "0")).join(":");
}

/** A unicast MAC of few distinct bytes: two of them often differ in one bit only. */
function closeMac(r: Rng): string {
  const first = r.pick([0x02, 0x52, 0xfe, 0x00]);
  const last = r.between(1, 255);
  return macText([first, r.pick([0x00, 0x54]), 0, r.pick([0, 0, 1]), r.pick([0, 1, 0x80]), last]);
}

/** An address that a VM may own. */
function ownableAddress(r: Rng): string {
  const rest = r.chance(70) ? [0, 0, r.below(256)] : [0, 1, 2].map(() => r.pick(ADDRESS_BYTES));
  return [r.pick(FIRST_BYTES), ...rest].join(".");
}

/** Draws from `make` until `taken` does not hold it, and notes it there. */
function unique<T>(taken: Set<T>, make: () => T): T {
  for (let tries = 0; tries < 10000; tries++) {
    const value = make();
    if (taken.has(value)) continue;
    taken.add(value);
    return value;
  }
  throw new Error("random: nothing left to draw");
}

/** A valid intent of at most 12 VMs and 40 routes. */
export function randomIntent(r: Rng): ModelIntent {
  const macs = new Set<string>(VIA_MACS);
  const ofports = new Set<number>();
  const drawPort = (): number =>
    unique(ofports, () => (r.chance(80) ? r.between(1, 40) : r.between(1, 65279)));
  const mtu = (): { mtu?: number } => {
    return r.chance(12) ? { mtu: r.pick([68, 100, 576, 1500, 9000]) } : {};
  };
  const uplinkMac = unique(macs, () => closeMac(r));
  const vms: ModelVm[] = [];
  const taken = { ids: new Set<number>(), addresses: new Set<string>() };
  const virtualMac = unique(macs, () => (r.chance(50) ? "fe:00:00:00:01:01" : closeMac(r)));
  const vmCount = r.chance(5) ? 0 : r.between(1, 12);
  for (let i = 0; i < vmCount; i++) {
    const id = unique(taken.ids, () => (r.chance(80) ? r.between(1, 200) : r.between(1, 0xffffffff)));
    const mac = unique(macs, () => (r.chance(25) ? neighbourMac(r, r.pick([...macs])) : closeMac(r)));
    const addresses: string[] = [];
    const count = r.weighted([
      [6, () => 1],
      [4, () => r.between(2, 4)],
    ]);
    while (addresses.length < count) addresses.push(unique(taken.addresses, () => ownableAddress(r)));
    const path = r.pick(PATHS);
    vms.push({ id, name: `vm-${i}`, port: `tap${i}`, ofport: drawPort(), mac, addresses, path, ...mtu() });
  }
  return {
    name: "hv",
    bridge: "br0",
    label: r.pick(LABELS),
    virtualMac,
    trafficClass: r.chance(50) ? 0 : r.between(1, 7),
    uplink: { port: "uplink0", ofport: drawPort(), mac: uplinkMac, ...mtu() },
    vms,
    routes: randomRoutes(
      r,
      vms.flatMap(vm => vm.addresses),
    ),
  };
}

/** The MAC with one bit other than the group bit flipped, never zero. */
function neighbourMac(r: Rng, mac: string): string {
  const bytes = macBytes(mac);
  const at = r.below(6);
  bytes[at]! ^= 1 << (at === 0 ? r.between(1, 7) : r.below(8));
  return bytes.every(byte => byte === 0) ? mac : macText(bytes);
}

/** Routes without host bits and without duplicates, of all lengths, many nested around the VMs' addresses. */
function randomRoutes(r: Rng, addresses: readonly string[]): ModelRoute[] {
  const count = r.chance(8) ? 0 : r.between(1, 40);
  const routes = new Map<string, ModelRoute>();
  const centre = r.u32();
  for (let i = 0; i < count; i++) {
    const base = r.weighted<number>([
      [4, () => (addresses.length === 0 ? r.u32() : ipNumber(r.pick(addresses)))],
      [
        3,
        () => (addresses.length === 0 ? r.u32() : (ipNumber(r.pick(addresses)) ^ (1 << r.below(32))) >>> 0),
      ],
      [3, () => centre],
      [1, () => r.u32()],
      [1, () => r.pick([0, 0x00010203, 0x7f000001, 0xe0000001, 0xf0000000, 0xffffffff])],
    ]);
    const length = r.weighted([
      [6, () => r.between(0, 32)],
      [2, () => 32],
      [1, () => 31],
      [1, () => r.pick([0, 8, 16, 24])],
    ]);
    const prefix = `${ipText((base & maskOf(length)) >>> 0)}/${length}`;
    const labels = Array.from({ length: r.below(4) }, () => randomLabel(r));
    routes.set(prefix, { prefix, labels, via: r.pick(VIA_MACS) });
  }
  return [...routes.values()];
}

function randomLabel(r: Rng): number {
  return r.chance(70) ? r.pick(LABELS) : r.between(16, 1048575);
}

// ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────

type Bytes = number[];

const be16 = (value: number): Bytes => [(value >>> 8) & 255, value & 255];
const be32 = (value: number): Bytes => [...be16(value >>> 16), ...be16(value & 0xffff)];

function randomBytes(r: Rng, length: number): Bytes {
  const bytes: Bytes = [];
  for (let at = 0; at < length; at++) bytes.push(r.below(256));
  return bytes;
}

const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** What a builder needs to know: who sends, and what there is to collide with. */
interface Scene {
  r: Rng;
  intent: ModelIntent;
  /** The sending VM; undefined for the uplink and for unknown ports. */
  vm: ModelVm | undefined;
  addresses: number[];
}

/** What every frame of an intent asks for, worked out once: ports that exist, addresses of VMs as numbers. */
const KNOWN = new WeakMap<
  ModelIntent,
  { readonly ports: ReadonlySet<number>; readonly addresses: number[] }
>();

function knownOf(intent: ModelIntent) {
  const known = KNOWN.get(intent) ?? {
    ports: new Set([intent.uplink.ofport, ...intent.vms.map(({ ofport }) => ofport)]),
    addresses: intent.vms.flatMap(({ addresses }) => addresses).map(ipNumber),
  };
  KNOWN.set(intent, known);
  return known;
}

/** One frame, built for the intent, and the port it comes in by. */
export function randomFrame(r: Rng, intent: ModelIntent): { inPort: number; frame: Uint8Array } {
  const vm = intent.vms.length > 0 && r.chance(60) ? r.pick(intent.vms) : undefined;
  const { ports, addresses } = knownOf(intent);
  const unknown = r.chance(2);
  const inPort = unknown ? unique(new Set(ports), () => r.between(1, 65279)) : (vm ?? intent.uplink).ofport;
  const frame = randomBytesOfFrame({ r, intent, vm, addresses });
  return { inPort, frame: Uint8Array.from(frame) };
}

function randomBytesOfFrame(scene: Scene): Bytes {
  const { r } = scene;
  const frame = r.weighted<Bytes>([
    [400, () => wrapped(scene, 0x0800, randomIpv4(scene))],
    [260, () => wrapped(scene, 0x0806, randomArp(scene))],
    [scene.vm === undefined ? 350 : 30, () => wrapped(scene, 0x8847, randomMpls(scene))],
    [15, () => wrapped(scene, 0x8848, randomMpls(scene))],
    [scene.vm === undefined ? 25 : 1, () => snapThatPopsToIpv4(scene)],
    [40, () => otherFrame(scene)],
    [40, () => taggedFrame(scene)],
    [30, () => randomBytes(r, r.below(23))],
    [1, () => giantFrame(scene)],
  ]);
  if (r.chance(4)) return frame.slice(0, r.below(frame.length + 1));
  if (r.chance(2)) return frame.slice(0, r.between(12, 48));
  if (r.chance(4) && frame.length > 0) {
    for (let flips = r.between(1, 3); flips > 0; flips--) {
      frame[r.below(Math.min(frame.length, 60))]! ^= 1 << r.below(8);
    }
  }
  return frame;
}

/** Puts the two MACs, and a type in Ethernet II or LLC/SNAP form, in front of a payload. */
function wrapped(scene: Scene, type: number, payload: Bytes): Bytes {
  const { r } = scene;
  const macs = randomMacs(scene, type);
  if (!r.chance(15)) return [...macs, ...be16(type), ...payload];
  const length = r.weighted([
    [7, () => Math.min(payload.length + 8, 1500)],
    [2, () => r.below(0x0600)],
    [1, () => r.pick([0, 0x05ff, 0x05dc])],
  ]);
  const llc = r.chance(93) ? [0xaa, 0xaa, 0x03, 0, 0, 0] : nearlySnap(r);
  const snapped = r.chance(90) ? type : r.pick([0x8100, 0x88a8, 0x05ff, 0x0600, 0, 0x0800]);
  return [...macs, ...be16(length), ...llc, ...be16(snapped), ...payload];
}

/** An LLC/SNAP header that is wrong in one byte. */
function nearlySnap(r: Rng): Bytes {
  const llc = [0xaa, 0xaa, 0x03, 0, 0, 0];
  llc[r.below(6)]! ^= 1 << r.below(8);
  return llc;
}

/** The two MACs; type 0 stands for frames that only the bridge would take. */
function randomMacs({ r, intent, vm }: Scene, type: number): Bytes {
  const all = [intent.uplink.mac, intent.virtualMac, ...intent.vms.map(({ mac }) => mac)];
  const anyVm = (): string => (intent.vms.length > 0 ? r.pick(intent.vms).mac : intent.virtualMac);
  const groups = [
    BROADCAST,
    "01:00:5e:00:00:01",
    "01:00:00:00:00:00",
    "33:33:00:00:00:01",
    "01:80:c2:00:00:00",
  ];
  const fromUplink = type === 0 && r.chance(50) ? anyVm() : intent.uplink.mac;
  const fromVm = type === 0x0806 && r.chance(70) ? BROADCAST : intent.virtualMac;
  const dst = r.weighted<string>([
    [65, () => (vm === undefined ? fromUplink : fromVm)],
    [15, anyVm],
    [10, () => r.pick(all)],
    [10, () => r.pick([intent.virtualMac, BROADCAST])],
    [6, () => r.pick(groups)],
    [5, () => neighbourMac(r, r.pick(all))],
    [4, () => macText(randomBytes(r, 6))],
  ]);
  const src = r.weighted<string>([
    [85, () => vm?.mac ?? r.pick(VIA_MACS)],
    [8, () => r.pick([...all, BROADCAST])],
    [4, () => neighbourMac(r, vm?.mac ?? intent.uplink.mac)],
    [3, () => macText(randomBytes(r, 6))],
  ]);
  return [...macBytes(dst), ...macBytes(src)];
}

/** An address to send to: a VM's, one a route covers, a martian, or any. */
function destination({ r, intent, addresses }: Scene): number {
  return r.weighted<number>([
    [addresses.length > 0 ? 35 : 0, () => r.pick(addresses)],
    [
      intent.routes.length > 0 ? 40 : 0,
      () => {
        const [base, length] = r.pick(intent.routes).prefix.split("/");
        const host = ~maskOf(Number(length)) & r.u32();
        return (ipNumber(base!) | host) >>> 0;
      },
    ],
    [addresses.length > 0 ? 5 : 0, () => (r.pick(addresses) ^ (1 << r.below(32))) >>> 0],
    [
      4,
      () => r.pick([0, 0x00ffffff, 0x01000000, 0x7f000001, 0x80000000, 0xdfffffff, 0xe0000000, 0xffffffff]),
    ],
    [4, () => r.u32()],
  ]);
}

/** The sender's address, as a VM should (or should not) give it. */
function source({ r, vm, addresses }: Scene): number {
  return r.weighted<number>([
    [85, () => (vm === undefined ? r.u32() : ipNumber(r.pick(vm.addresses)))],
    [5, () => (addresses.length > 0 ? r.pick(addresses) : r.u32())],
    [3, () => 0],
    [4, () => (addresses.length > 0 ? (r.pick(addresses) ^ (1 << r.below(32))) >>> 0 : r.u32())],
    [3, () => r.u32()],
  ]);
}

function randomTtl(r: Rng): number {
  return r.chance(80) ? r.pick([64, 64, 63, 255, 128, 2, 3]) : r.pick([0, 1, 1, 2, 255]);
}

/** The header checksum of RFC 791 over bytes whose checksum field is zero. */
export function internetChecksum(header: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += (header[i]! << 8) | (header[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function randomIpv4(scene: Scene): Bytes {
  const { r } = scene;
  const words = r.chance(80) ? 5 : r.between(6, 15);
  const payload = randomBytes(r, r.chance(70) ? r.below(30) : r.below(300));
  const version = r.chance(96) ? 4 : r.below(16);
  const ihl = r.chance(94) ? words : r.below(16);
  const fragment = r.chance(90)
    ? r.pick([0, 0x4000])
    : r.pick([0x2000, 0x00b9, 0x20b9, 0x1fff, 0x8000, 0x8847]);
  const proto = r.chance(88) ? r.pick([1, 6, 17, 17, 50, 255]) : 0;
  const length = words * 4 + payload.length;
  const total = r.weighted<number>([
    [90, () => length],
    [3, () => r.between(words * 4, length)],
    [2, () => length + r.between(1, 4)],
    [2, () => r.pick([0, 19, 20, words * 4 - 1, 65535])],
    [3, () => r.below(length + 2)],
  ]);
  const tos = r.pick([0, 0, 0xb8, 0x20, 0xff, 0x08, 3]);
  const header = [(version << 4) | ihl, tos, ...be16(total), ...be16(r.below(65536)), ...be16(fragment)];
  header.push(randomTtl(r), proto, 0, 0, ...be32(source(scene)), ...be32(destination(scene)));
  header.push(...randomBytes(r, (words - 5) * 4));
  const checksum = r.weighted<number>([
    [75, () => internetChecksum(header)],
    [10, () => r.pick([0x0000, 0xffff, 0xfeff, 0xfefe, 0xff00, 0x0100, 0xdead])],
    [5, () => (internetChecksum(header) ^ (1 << r.below(16))) & 0xffff],
    [5, () => r.below(65536)],
  ]);
  header.splice(10, 2, ...be16(checksum));
  return [...header, ...payload, ...padding(r)];
}

function padding(r: Rng): Bytes {
  return r.chance(75) ? [] : randomBytes(r, r.chance(70) ? r.below(30) : r.below(301));
}

function randomArp(scene: Scene): Bytes {
  const { r, intent, vm, addresses } = scene;
  const wrong = (percent: number, right: number, other: readonly number[]): number => {
    return r.chance(percent) ? r.pick(other) : right;
  };
  const sha =
    vm !== undefined && r.chance(92) ? vm.mac : r.pick([...intent.vms.map(m => m.mac), VIA_MACS[0]!]);
  const spa = r.chance(12) ? 0 : source(scene);
  const tpa = r.weighted<number>([
    [25, () => destination(scene)],
    [vm === undefined ? 0 : 12, () => ipNumber(r.pick(vm!.addresses))],
    [addresses.length > 0 ? 30 : 0, () => r.pick(addresses)],
    [10, () => r.u32()],
    [4, () => spa],
    [3, () => 0],
  ]);
  const op = r.chance(55) ? 1 : r.chance(60) ? 2 : r.pick([0, 3, 8, 255, 256, 257, 0x0101, 0x0102, 0x0201]);
  return [
    ...be16(wrong(2, 1, [0, 6, 256])),
    ...be16(wrong(2, 0x0800, [0x0806, 0, 0x86dd, 0x0801])),
    wrong(2, 6, [0, 4, 7, 8]),
    wrong(2, 4, [0, 6, 16]),
    ...be16(op),
    ...macBytes(sha),
    ...be32(spa),
    ...(r.chance(70) ? [0, 0, 0, 0, 0, 0] : randomBytes(r, 6)),
    ...be32(tpa),
    ...(r.chance(50) ? Array<number>(18).fill(0) : padding(r)),
  ];
}

/**
 * A stack of 0 to 5 label entries, most often one of ours at the bottom,
 * over an IPv4 packet or something else.
 */
function randomMpls(scene: Scene): Bytes {
  const { r, intent } = scene;
  const depth = r.weighted([
    [75, () => 1],
    [10, () => 2],
    [10, () => r.between(3, 5)],
    [3, () => 0],
  ]);
  const stack: Bytes = [];
  for (let i = 0; i < depth; i++) {
    const label = r.weighted<number>([
      [70, () => intent.label],
      [15, () => 0],
      [5, () => r.pick([1, 2, 3, 15, 16])],
      [5, () => (intent.label ^ (1 << r.below(20))) >>> 0],
      [5, () => randomLabel(r)],
    ]);
    const isLast = i === depth - 1 ? 1 : 0;
    const bottom = r.chance(95) ? isLast : 1 - isLast;
    const entry = label * 4096 + r.below(8) * 512 + bottom * 256 + r.pick([0, 1, 2, 64, 255]);
    stack.push(...be32(entry));
  }
  const inner = r.weighted<Bytes>([
    [90, () => randomIpv4(scene)],
    [3, () => [0x60, ...randomBytes(r, 59)]],
    [3, () => randomArp(scene)],
    [4, () => randomBytes(r, r.below(24))],
  ]);
  const whole = [...stack, ...inner];
  return r.chance(3) ? whole.slice(0, r.below(stack.length + 1)) : whole;
}

/**
 * An LLC/SNAP frame with one label of ours. When it is popped, OVS reads it again from byte 14, where the LLC
 * header is: IHL 10, total length 768, the TTL and the addresses out of the bytes behind the label.
 */
function snapThatPopsToIpv4(scene: Scene): Bytes {
  const { r, intent, addresses } = scene;
  const macs = [...macBytes(intent.uplink.mac), ...macBytes(r.pick(VIA_MACS))];
  const label = r.chance(70) ? intent.label : 0;
  const body = randomBytes(
    r,
    r.weighted([
      [8, () => r.between(764, 800)],
      [1, () => r.between(755, 763)],
      [1, () => r.between(801, 1300)],
    ]),
  );
  body[0] = randomTtl(r);
  if (r.chance(10)) body[1] = 0;
  if (r.chance(20)) body.splice(2, 2, ...be16(r.pick([0x0000, 0xffff, 0xfeff, 0xfefe, 0xdead])));
  if (addresses.length > 0) body.splice(8, 4, ...be32(r.pick(addresses)));
  const type = be16(0x8847);
  const entry = be32(label * 4096 + 256 + 64);
  return [...macs, ...be16(r.below(0x0600)), 0xaa, 0xaa, 3, 0, 0, 0, ...type, ...entry, ...body];
}

/** IPv6, LLDP, unknown types, and 802.3 frames that are not SNAP. */
function otherFrame(scene: Scene): Bytes {
  const { r } = scene;
  return r.weighted<Bytes>([
    [3, () => wrapped(scene, 0x86dd, [0x60, ...randomBytes(r, 59)])],
    [
      2,
      () =>
        wrapped(scene, r.pick([0x88cc, 0x0600, 0x0801, 0x0805, 0xffff, 0x9000]), randomBytes(r, r.below(60))),
    ],
    [1, () => wrapped(scene, r.below(65536), randomBytes(r, r.below(60)))],
    [
      3,
      () => [
        ...randomMacs(scene, 0),
        ...be16(r.below(0x0600)),
        0x42,
        0x42,
        3,
        ...randomBytes(r, r.below(60)),
      ],
    ],
    [1, () => [...randomMacs(scene, 0), ...be16(r.below(0x0600)), ...randomBytes(r, r.below(12))]],
  ]);
}

/** 802.1Q and 802.1ad, whole and cut around the 18 bytes that make a tag, also tag in tag. */
function taggedFrame(scene: Scene): Bytes {
  const { r } = scene;
  const tag = (): Bytes => [
    ...be16(r.pick([0x8100, 0x8100, 0x88a8])),
    ...be16(r.pick([0, 0x1000, 5, 0xffff])),
  ];
  const inner = r.chance(60)
    ? [...be16(0x0800), ...randomIpv4(scene)]
    : r.chance(50)
      ? [...be16(0x0806), ...randomArp(scene)]
      : [...be16(0x8847), ...randomMpls(scene)];
  const frame = [...randomMacs(scene, 0), ...tag(), ...(r.chance(20) ? tag() : []), ...inner];
  return r.chance(40) ? frame.slice(0, r.between(14, 19)) : frame;
}

/** Around the longest frame there is: 9,216 bytes. */
function giantFrame(scene: Scene): Bytes {
  const { r } = scene;
  const length = r.pick([9214, 9215, 9216, 9216, 9217, 9218, 10000]);
  const frame = wrapped(scene, 0x0800, randomIpv4(scene));
  return [...frame, ...Array<number>(Math.max(0, length - frame.length)).fill(r.below(256))];
}
