/**
 * Frames that reach an action: of the kind it wants, ordinary and at the edges (a TTL that runs out, a stack
 * of several labels, a fragment, a header that cannot be read), and below labels where a pop brings it there.
 */

export type Need = "any" | "tag" | "mpls" | "ip" | "ipv6" | "tcp" | "udp" | "icmp" | "arp" | "nd";

type Bytes = readonly number[];

const be16 = (value: number): Bytes => [(value >>> 8) & 255, value & 255];
const be32 = (value: number): Bytes => [...be16(value >>> 16), ...be16(value & 0xffff)];

function checksum(bytes: Bytes): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff - sum;
}

interface Ip {
  readonly ttl?: number;
  readonly tos?: number;
  readonly protocol?: number;
  readonly fragment?: number;
  readonly body?: Bytes;
}

const ADDRESSES: Bytes = [10, 0, 0, 1, 10, 0, 0, 2];
const TCP: Bytes = [4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x11, 2, 0, 0, 0, 0, 0];
const UDP: Bytes = [0, 53, 4, 0, 0, 12, 0, 0, 1, 2, 3, 4];
const ICMP: Bytes = [8, 0, 0xf7, 0xfc, 0, 1, 0, 2];

export function ipv4({ ttl = 64, tos = 0xb9, protocol = 6, fragment = 0, body = TCP }: Ip = {}): Bytes {
  const head = (sum: number): Bytes => [
    0x45,
    tos,
    ...be16(20 + body.length),
    0,
    1,
    ...be16(fragment),
    ttl,
    protocol,
    ...be16(sum),
    ...ADDRESSES,
  ];
  return [...head(checksum(head(0))), ...body];
}

const V6 = (last: number): Bytes => [0xfc, ...new Array(14).fill(0), last];
const SOLICIT: Bytes = [135, 0, 0, 0, 0, 0, 0, 0, ...V6(3), 1, 1, 2, 0, 0, 0, 0, 9];

export function ipv6(next = 6, body: Bytes = TCP, ttl = 64): Bytes {
  return [0x6b, 0x81, 0x23, 0x45, ...be16(body.length), next, ttl, ...V6(1), ...V6(2), ...body];
}

export const arp = (op = 1): Bytes => [
  ...[0, 1, 8, 0, 6, 4, 0, op],
  ...[2, 0, 0, 0, 0, 1, 10, 0, 0, 1],
  ...[0, 0, 0, 0, 0, 0, 10, 0, 0, 2],
];

/** A stack of labels, the outermost first, in front of a packet. */
export const stack = (ttls: readonly number[], packet: Bytes): Bytes => [
  ...ttls.flatMap((ttl, i) => be32(((1001 + i) << 12) | (3 << 9) | (i === ttls.length - 1 ? 256 : 0) | ttl)),
  ...packet,
];

export function ethernet(type: number, body: Bytes, tags: readonly number[] = []): Uint8Array {
  const macs = [2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xbb];
  return Uint8Array.from([
    ...macs,
    ...tags.flatMap(tci => [...be16(0x8100), ...be16(tci)]),
    ...be16(type),
    ...body,
  ]);
}

const packets: Readonly<
  Record<Exclude<Need, "any" | "tag" | "mpls">, readonly (readonly [number, Bytes])[]>
> = {
  ip: [
    [0x0800, ipv4()],
    [0x0800, ipv4({ ttl: 1 })],
    [0x0800, ipv4({ ttl: 2, protocol: 0, body: [1, 2, 3, 4] })],
    [0x0800, [0x43, ...ipv4().slice(1)]],
  ],
  ipv6: [
    [0x86dd, ipv6()],
    [0x86dd, ipv6(58, SOLICIT, 1)],
  ],
  tcp: [
    [0x0800, ipv4()],
    [0x0800, ipv4({ fragment: 0x2000 })],
  ],
  udp: [[0x0800, ipv4({ protocol: 17, body: UDP })]],
  icmp: [[0x0800, ipv4({ protocol: 1, body: ICMP })]],
  arp: [
    [0x0806, arp()],
    [0x0806, [0, 2, ...arp().slice(2)]],
  ],
  nd: [
    [0x86dd, ipv6(58, SOLICIT, 255)],
    [0x86dd, ipv6(58, SOLICIT.slice(0, 24), 255)],
  ],
};

/** Frames for an action that wants this, behind labels if they are to be popped first. */
export function FRAMES(need: Need, isPopped: boolean): Uint8Array[] {
  const inner = need === "any" || need === "tag" || need === "mpls" ? packets.ip.slice(0, 2) : packets[need];
  if (isPopped && need === "mpls")
    return [
      [64, 63],
      [1, 2],
      [64, 63, 62],
    ].map(ttls => ethernet(0x8847, stack(ttls, ipv4())));
  if (isPopped)
    return [
      ...inner.map(([, body]) => ethernet(0x8847, stack([64], body))),
      ethernet(0x8847, stack([1], inner[0]![1]), [0x6005]),
    ];
  if (need === "mpls")
    return [[64], [1], [64, 63], [64, 63, 62]].map(ttls => ethernet(0x8847, stack(ttls, ipv4())));
  if (need === "tag")
    return inner.flatMap(([type, body]) =>
      [[0x6005], [0x6005, 0x0006]].map(tags => ethernet(type, body, tags)),
    );
  if (need === "any")
    return [
      ...inner.map(([type, body]) => ethernet(type, body)),
      ethernet(0x0806, arp()),
      ethernet(0x0800, ipv4({ tos: 0 }), [0x6005]),
      ethernet(0x8847, stack([64, 63], ipv4())),
    ];
  return inner.flatMap(([type, body]) => [
    ethernet(type, body),
    ...(need === "ip" ? [] : [ethernet(type, body, [5])]),
  ]);
}
