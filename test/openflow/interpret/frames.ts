/**
 * Random frames of everything the interpreter reads: tags, LLC/SNAP, up to five labels, ARP, IPv4 and IPv6
 * with options, fragments and extension headers, and all kinds of layer 4; then now and then cut short,
 * padded, or with bits flipped. Addresses and ports come from a small world, so that flows written for it
 * match.
 */
import type { Rng } from "../../model/random.ts";

type Bytes = number[];

const be16 = (value: number): Bytes => [(value >>> 8) & 255, value & 255];
const be32 = (value: number): Bytes => [...be16(value >>> 16), ...be16(value & 0xffff)];

/** The small world. */
export const WORLD = {
  ports: [1, 2, 3, 4],
  macs: ["02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"],
  ipv4: ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.7"],
  ipv6: ["fc00::1", "fc00::2", "2001:db8::7", "ff02::1"],
  labels: [0, 3, 16, 1001],
  vlans: [5, 6],
  transport: [53, 80, 1024],
} as const;

export const macBytes = (mac: string): Bytes => mac.split(":").map(byte => Number.parseInt(byte, 16));
const ipv4Bytes = (address: string): Bytes => address.split(".").map(Number);

function ipv6Bytes(address: string): Bytes {
  const [head, tail] = address.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map(group => Number.parseInt(group, 16));
  const [front, back] = [groups(head!), groups(tail ?? "")];
  const middle = new Array<number>(8 - front.length - back.length).fill(0);
  return [...front, ...middle, ...back].flatMap(be16);
}

function bytes(r: Rng, count: number): Bytes {
  return Array.from({ length: count }, () => r.below(256));
}

/** The Internet checksum, in this file's own words. */
function sumOf(parts: Bytes): number {
  let sum = 0;
  for (let i = 0; i < parts.length; i += 2) sum += (parts[i]! << 8) + (parts[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

/** A checksum: mostly right, sometimes one of the values at which arithmetic turns. */
function checksum(r: Rng, right: number): number {
  return r.chance(80) ? right : r.pick([0, 0xffff, 0xfeff, 0x00ff, 1, r.below(0x10000)]);
}

function layer4(r: Rng, protocol: number, pseudo: Bytes): Bytes {
  const ports = [...be16(r.pick(WORLD.transport)), ...be16(r.pick(WORLD.transport))];
  const payload = bytes(r, r.below(12));
  const with4 = (make: (sum: number) => Bytes, covered: Bytes): Bytes => {
    const length = make(0).length;
    const right = sumOf([...covered, ...(covered.length > 0 ? be16(length) : []), ...make(0)]);
    return make(checksum(r, right));
  };
  switch (protocol) {
    case 6: {
      const offset = r.chance(90) ? 0x50 : r.below(16) << 4;
      const middle = [...be32(r.u32()), ...be32(r.u32()), offset | r.below(2), r.below(256), ...be16(512)];
      return with4(sum => [...ports, ...middle, ...be16(sum), 0, 0, ...payload], pseudo);
    }
    case 17:
      return with4(sum => [...ports, ...be16(8 + payload.length), ...be16(sum), ...payload], pseudo);
    case 132:
      return [...ports, ...bytes(r, 8), ...payload];
    case 1:
      return with4(sum => [r.pick([0, 3, 8]), 0, ...be16(sum), 0, 1, 0, 2, ...payload], []);
    case 2:
      return [0x16, 0, ...bytes(r, 2), ...ipv4Bytes(r.pick(WORLD.ipv4)), ...payload];
    case 58:
      return icmpv6(r, pseudo, with4);
    default:
      return payload;
  }
}

function icmpv6(
  r: Rng,
  pseudo: Bytes,
  sealed: (make: (sum: number) => Bytes, covered: Bytes) => Bytes,
): Bytes {
  if (r.chance(30))
    return sealed(sum => [r.pick([1, 128, 129]), r.below(2), ...be16(sum), 0, 1, 0, 2], pseudo);
  const option = (): Bytes => {
    const kind = r.pick([1, 1, 2, 2, 5]);
    return r.chance(90)
      ? [kind, 1, ...macBytes(r.pick(WORLD.macs))]
      : [kind, r.below(3), ...bytes(r, r.pick([6, 14]))];
  };
  const options = Array.from({ length: r.below(4) }, option).flat();
  const target = r.chance(95) ? ipv6Bytes(r.pick(WORLD.ipv6)) : bytes(r, r.below(16));
  const type = r.pick([135, 136]);
  const code = r.chance(95) ? 0 : 1;
  const reserved = be32(r.pick([0, 0x60000000]));
  return sealed(sum => [type, code, ...be16(sum), ...reserved, ...target, ...options], pseudo);
}

export function ipv4(r: Rng): Bytes {
  const protocol = r.pick([6, 6, 17, 17, 1, 2, 132, 0, 47]);
  const addresses = [...ipv4Bytes(r.pick(WORLD.ipv4)), ...ipv4Bytes(r.pick(WORLD.ipv4))];
  const options = r.chance(90) ? [] : bytes(r, 4 * r.between(1, 10));
  const body = layer4(r, protocol, [...addresses, 0, protocol]);
  const ihl = r.chance(97) ? 5 + options.length / 4 : r.below(16);
  const total = 20 + options.length + body.length;
  const length = r.chance(95) ? total : r.pick([0, 19, 20, total - 1, total + 1, r.below(2 * total)]);
  const fragment = r.chance(85) ? 0 : r.pick([0x2000, 0x2001, 0x0001, 0x4000, 0x8000]);
  const ttl = r.pick([64, 64, 255, 2, 1, 0]);
  const tos = r.pick([0, 0, 0xb8, 0xff, 8, 1]);
  const version = r.chance(98) ? 4 : r.below(16);
  const header = (sum: number): Bytes => [
    (version << 4) | ihl,
    tos,
    ...be16(length),
    ...be16(r.below(4)),
    ...be16(fragment),
    ttl,
    protocol,
    ...be16(sum),
    ...addresses,
    ...options,
  ];
  return [...header(checksum(r, 0x1234)), ...body, ...bytes(r, r.chance(80) ? 0 : r.pick([1, 6, 46, 300]))];
}

export function ipv6(r: Rng): Bytes {
  const protocol = r.pick([6, 17, 58, 58, 58, 132, 59, 0]);
  const addresses = [...ipv6Bytes(r.pick(WORLD.ipv6)), ...ipv6Bytes(r.pick(WORLD.ipv6))];
  const body = layer4(r, protocol, [...addresses, 0, 0, 0, protocol]);
  let next = protocol;
  let extensions: Bytes = [];
  for (let count = r.chance(75) ? 0 : r.between(1, 3); count > 0; count--) {
    const kind = r.pick([0, 43, 44, 51, 60]);
    const rest = kind === 44 ? be16(r.pick([0, 1, 8, 0xfff8])) : [r.pick([0, 2]), r.pick([0, 1])];
    const length = kind === 51 ? r.pick([0, 1, 2]) : kind === 44 ? 0 : r.pick([0, 0, 1]);
    const size = kind === 51 ? 4 * (length + 2) : kind === 44 ? 8 : 8 * (length + 1);
    extensions = [next, length, ...rest, ...bytes(r, size - 4), ...extensions];
    next = kind;
  }
  const plen = extensions.length + body.length;
  const length = r.chance(95) ? plen : r.pick([0, plen - 1, plen + 1, r.below(2 * plen + 1)]);
  const first = r.pick([0x60000000, 0x6b800000, 0x60012345]);
  const header = [...be32(first), ...be16(length & 0xffff), next, r.pick([64, 255, 2, 1, 0]), ...addresses];
  return [...header, ...extensions, ...body, ...bytes(r, r.chance(85) ? 0 : r.between(1, 20))];
}

export function arp(r: Rng): Bytes {
  const op = r.chance(92) ? r.pick([1, 2]) : r.pick([0, 3, 255, 256, 0x101]);
  const head = [0, 1, 8, 0, 6, 4, ...be16(op)];
  if (r.chance(6)) head[r.below(6)]! ^= 1;
  const sender = [...macBytes(r.pick(WORLD.macs)), ...ipv4Bytes(r.pick(WORLD.ipv4))];
  const target = [...macBytes(r.pick(WORLD.macs)), ...ipv4Bytes(r.pick(WORLD.ipv4))];
  return [...head, ...sender, ...target, ...bytes(r, r.pick([0, 0, 18]))];
}

export function mpls(r: Rng): Bytes {
  const count = r.pick([1, 1, 1, 2, 2, 3, 3, 4, 5]);
  const stack = Array.from({ length: count }, (_, i) => {
    if (r.chance(2)) return be32(0);
    const bottom = i === count - 1 ? !r.chance(5) : r.chance(3);
    const entry =
      r.pick(WORLD.labels) * 4096 + r.below(8) * 512 + (bottom ? 256 : 0) + r.pick([0, 1, 2, 64, 255]);
    return be32(entry);
  });
  const inner = r.pick([ipv4, ipv4, ipv4, ipv6, arp]);
  return [...stack.flat(), ...inner(r)];
}

const KINDS: readonly [type: number, payload: (r: Rng) => Bytes][] = [
  [0x0800, ipv4],
  [0x0800, ipv4],
  [0x86dd, ipv6],
  [0x0806, arp],
  [0x8847, mpls],
  [0x8847, mpls],
  [0x8848, mpls],
  [0x8035, arp],
  [0x88b6, r => bytes(r, r.below(60))],
];

/** Of at least 14 bytes: dummy ports take no shorter ones. */
export function randomFrame(r: Rng): Uint8Array {
  const [type, payload] = r.pick(KINDS);
  const tags = Array.from({ length: r.chance(75) ? 0 : r.pick([1, 1, 1, 2, 3]) }, () => [
    ...be16(r.pick([0x8100, 0x8100, 0x88a8])),
    ...be16(r.pick(WORLD.vlans) | (r.below(8) << 13) | (r.chance(10) ? 0x1000 : 0)),
  ]).flat();
  const isSnap = r.chance(7);
  const snap = [0xaa, 0xaa, 3, 0, 0, r.chance(95) ? 0 : 1, ...be16(type)];
  const head = isSnap ? [...be16(r.pick([40, 100, 1500, 0])), ...snap] : be16(type);
  const body = payload(r);
  const macs = [...macBytes(r.pick(WORLD.macs)), ...macBytes(r.pick(WORLD.macs))];
  let frame = [...macs, ...tags, ...head, ...body];
  if (r.chance(5)) frame = frame.slice(0, Math.max(14, r.below(frame.length + 1)));
  if (r.chance(4)) for (let n = r.between(1, 3); n > 0; n--) frame[r.below(frame.length)]! ^= 1 << r.below(8);
  return Uint8Array.from(frame);
}
