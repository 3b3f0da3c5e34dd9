/**
 * Frames from the rules' own fields: one for the match of each rule, and neighbours of it: another value of
 * the same field, one more or less, the edge of a prefix; and each of these as other kinds of frames
 * (tagged, below labels, a fragment, with a header that cannot be read, cut short). State beside the bytes
 * comes from the rules as well.
 */
import { type Flow, fieldNamed, parseFlow } from "../../../src/openflow/index.ts";
import type { Rng } from "../../model/random.ts";
import { PORTS, TUNNELS } from "./families.ts";

/** A frame, its port, and what it brings along, in the words of ofproto/trace. */
export interface Question {
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly state: readonly string[];
}

/** The words of `state` as the interpreter takes them. */
export function enteringOf(state: readonly string[]): Map<number, number> {
  const words = new Map<number, number>();
  for (const one of state) {
    const [name, text] = one.split("=") as [string, string];
    const { place } = fieldNamed(name);
    const dotted = text.split(".");
    const value =
      dotted.length === 4 ? dotted.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n) : BigInt(text);
    if (place!.bits > 32) words.set(place!.word, Number(value >> 32n));
    words.set(place!.word + (place!.bits > 32 ? 1 : 0), Number(value & 0xffffffffn));
  }
  return words;
}

/** State in the words of ofproto/trace; null where it says something that trace cannot be told. */
export function stateOf(entering: ReadonlyMap<number, number>): string[] | null {
  const left = new Map([...entering].filter(([, value]) => value !== 0));
  const state: string[] = [];
  for (const name of STATE) {
    const { word, bits } = fieldNamed(name).place!;
    const words = bits > 32 ? [word, word + 1] : [word];
    const value = words.reduce((sum, one) => (sum << 32n) | BigInt(left.get(one) ?? 0), 0n);
    for (const one of words) left.delete(one);
    if (value !== 0n) state.push(`${name}=${/src|dst/.test(name) ? be(value, 4).join(".") : value}`);
  }
  return left.size === 0 ? state : null;
}

type Bytes = number[];

const be = (value: bigint, bytes: number): Bytes =>
  Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * (bytes - 1 - i))) & 255n));
const be16 = (value: number): Bytes => be(BigInt(value), 2);

/** Values of fields, by the names of the registry; what is not there is drawn. */
type Spec = Map<string, bigint>;

/** Names of which one place in a packet is known. */
const SAME: Readonly<Record<string, string>> = {
  dl_vlan: "vlan_vid",
  dl_vlan_pcp: "vlan_pcp",
  ip_dscp: "nw_tos",
  udp_src: "tcp_src",
  udp_dst: "tcp_dst",
  sctp_src: "tcp_src",
  sctp_dst: "tcp_dst",
  icmpv6_type: "icmp_type",
  icmpv6_code: "icmp_code",
  in_port_oxm: "in_port",
};

const STATE = ["tun_id", "tun_src", "tun_dst", "pkt_mark", "skb_priority"];

/** What a match asks for, its free bits drawn at times. */
function specOf(r: Rng, { match }: Flow): Spec {
  const spec: Spec = new Map();
  for (const { field, value, mask } of match) {
    const name = SAME[field.name] ?? field.name;
    const free = r.chance(50) ? BigInt(r.u32()) * BigInt(r.u32()) : 0n;
    const bits = (1n << BigInt(field.bits)) - 1n;
    spec.set(name, (value & mask) | (free & ~mask & bits));
    if (field.name.includes("vlan") && (value & mask) !== 0n) spec.set("tagged", 1n);
    if (field.name === "vlan_tci" && (mask & 0x1000n) !== 0n) spec.set("tagged", (value >> 12n) & 1n);
  }
  return spec;
}

/** Addresses that stand for each other in mutations. */
const kindOf = (name: string): string => {
  if (/^(ip|arp_[st]pa)/.test(name) && !name.startsWith("ipv6") && name !== "ip_proto") return "ip";
  if (/^(eth_(src|dst)|arp_[st]ha)$/.test(name)) return "mac";
  if (/^ipv6_(src|dst)|nd_target/.test(name)) return "ipv6";
  return name;
};

/** Every value that a table names, by the kind of field. */
function poolOf(flows: readonly Flow[]): Map<string, bigint[]> {
  const pool = new Map<string, bigint[]>();
  const add = (name: string, value: bigint): void => {
    const kind = kindOf(SAME[name] ?? name);
    pool.set(kind, [...(pool.get(kind) ?? []), value]);
  };
  for (const { match, actions } of flows) {
    for (const { field, value, mask } of match) {
      const edge = mask & -mask;
      for (const one of [
        value,
        value ^ edge,
        value | (~mask & ((1n << BigInt(field.bits)) - 1n)),
        value + 1n,
        value - 1n,
      ])
        if (one >= 0n) add(field.name, one);
    }
    for (const action of actions) if (action.type === "set") add(action.field.name, action.value);
  }
  return pool;
}

function mutated(r: Rng, spec: Spec, pool: ReadonlyMap<string, readonly bigint[]>): Spec {
  const next = new Map(spec);
  const names = [...spec.keys()].filter(name => !["eth_type", "tagged", "nw_proto"].includes(name));
  const name = names.length === 0 ? "in_port" : r.pick(names);
  const value = spec.get(name) ?? 0n;
  const near = pool.get(kindOf(name)) ?? [];
  next.set(name, r.pick([value + 1n, value ^ 1n, ...near, ...near]));
  if (next.get(name)! < 0n) next.set(name, 0n);
  return next;
}

function checksum(bytes: Bytes): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff - sum;
}

/** Draws what a spec does not say. */
class Filler {
  readonly r: Rng;
  readonly spec: Spec;
  readonly pool: ReadonlyMap<string, readonly bigint[]>;

  constructor(r: Rng, spec: Spec, pool: ReadonlyMap<string, readonly bigint[]>) {
    this.r = r;
    this.spec = spec;
    this.pool = pool;
  }

  of(name: string, ...usual: readonly bigint[]): bigint {
    const said = this.spec.get(name);
    if (said !== undefined) return said;
    const near = this.pool.get(kindOf(name)) ?? [];
    return this.r.pick(near.length > 0 && this.r.chance(60) ? near : usual);
  }

  number(name: string, ...usual: readonly number[]): number {
    return Number(this.of(name, ...usual.map(BigInt)) & 0xffffffffn);
  }
}

function transport(filler: Filler, protocol: number): Bytes {
  const { r } = filler;
  const ports = [
    ...be16(filler.number("tcp_src", 1024, 53) & 0xffff),
    ...be16(filler.number("tcp_dst", 80, 443) & 0xffff),
  ];
  switch (protocol) {
    case 6:
      return [
        ...ports,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2,
        0x50,
        filler.number("tcp_flags", 2, 16, 18) & 0xff,
        2,
        0,
        0,
        0,
        0,
        0,
      ];
    case 17:
      return [...ports, 0, 12, 0, 0, 1, 2, 3, 4];
    case 1:
      return [
        filler.number("icmp_type", 8, 0) & 0xff,
        filler.number("icmp_code", 0) & 0xff,
        0,
        0,
        0,
        1,
        0,
        2,
      ];
    case 58: {
      const type = filler.number("icmp_type", 135, 128) & 0xff;
      const head = [type, filler.number("icmp_code", 0) & 0xff, 0, 0, 0, 0, 0, 0];
      if (type !== 135 && type !== 136) return head;
      const option = r.chance(80)
        ? [type === 135 ? 1 : 2, 1, ...be(filler.of(type === 135 ? "nd_sll" : "nd_tll", 0x020000000009n), 6)]
        : [];
      return [...head, ...be(filler.of("nd_target", 0xfc000000000000000000000000000001n), 16), ...option];
    }
    default:
      return [1, 2, 3, 4, 5, 6, 7, 8];
  }
}

function ipv4(filler: Filler): Bytes {
  const { r, spec } = filler;
  const protocol = filler.number("nw_proto", 6, 17, 1, 253) & 0xff;
  const body = transport(filler, protocol);
  const frag = Number(spec.get("nw_frag") ?? (r.chance(12) ? BigInt(r.pick([1, 3])) : 0n)) & 3;
  const offset = frag === 0 ? 0x4000 : frag === 1 ? 0x2000 : 0x0010;
  const ihl = r.chance(95) ? 5 : r.pick([4, 6, 15]);
  const length = r.chance(96) ? 20 + body.length : r.pick([0, 19, 60, 2000]);
  const tos = filler.number("nw_tos", 0, 4, 0xb8) & 0xff;
  const ttl = filler.number("nw_ttl", 64, 64, 64, 2, 1, 0) & 0xff;
  const addresses = [...be(filler.of("ip_src", 0x0a000001n), 4), ...be(filler.of("ip_dst", 0x0a000002n), 4)];
  const head = (sum: number): Bytes => [
    0x40 | ihl,
    tos,
    ...be16(length),
    0,
    1,
    ...be16(offset),
    ttl,
    protocol,
    ...be16(sum),
    ...addresses,
  ];
  return [...head(checksum(head(0))), ...body];
}

function ipv6(filler: Filler): Bytes {
  const protocol = filler.number("nw_proto", 58, 6, 17) & 0xff;
  const body = transport(filler, protocol);
  const first = [0x60, 0, ...be16(filler.number("ipv6_label", 0) & 0xffff)];
  const ttl = filler.number("nw_ttl", 64, 255, 1) & 0xff;
  const address = (name: string, usual: bigint): Bytes => be(filler.of(name, usual), 16);
  return [
    ...first,
    ...be16(body.length),
    protocol,
    ttl,
    ...address("ipv6_src", (0xfcn << 120n) | 1n),
    ...address("ipv6_dst", (0xfcn << 120n) | 2n),
    ...body,
  ];
}

function arp(filler: Filler): Bytes {
  const { r } = filler;
  const hrd = r.chance(95) ? 1 : 2;
  return [
    ...[0, hrd, 8, 0, 6, 4, 0, filler.number("arp_op", 1, 2) & 0xff],
    ...be(filler.of("arp_sha", 0x020000000001n), 6),
    ...be(filler.of("arp_spa", 0x0a000001n), 4),
    ...be(filler.of("arp_tha", 0n), 6),
    ...be(filler.of("arp_tpa", 0x0a000002n), 4),
    ...(r.chance(30) ? new Array<number>(18).fill(0) : []),
  ];
}

function labels(filler: Filler, count: number): Bytes {
  const entries: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const isOuter = i === 0;
    const pick = (name: string, ...usual: number[]): number =>
      isOuter ? filler.number(name, ...usual) : filler.r.pick(usual);
    const bottom =
      isOuter && filler.spec.has("mpls_bos") ? filler.number("mpls_bos", 0) & 1 : Number(i === count - 1);
    const entry =
      (pick("mpls_label", 16, 17) & 0xfffff) * 4096 +
      (pick("mpls_tc", 0, 3) & 7) * 512 +
      bottom * 256 +
      (pick("mpls_ttl", 64, 64, 1, 0) & 255);
    entries.push(be(BigInt(entry), 4));
  }
  return entries.flat();
}

function bodyOf(filler: Filler, type: number): Bytes {
  switch (type) {
    case 0x0800:
      return ipv4(filler);
    case 0x86dd:
      return ipv6(filler);
    case 0x0806:
      return arp(filler);
    case 0x8847:
    case 0x8848:
      return [
        ...labels(filler, filler.r.pick([1, 1, 1, 2, 2, 3])),
        ...filler.r.pick([ipv4, ipv4, ipv4, ipv6])(filler),
      ];
    default:
      return [1, 2, 3, 4];
  }
}

function tagsOf(filler: Filler): number[] {
  const { r, spec } = filler;
  const isTagged = spec.get("tagged") ?? (r.chance(10) ? 1n : 0n);
  if (isTagged === 0n) return [];
  const whole = spec.get("vlan_tci");
  const tci =
    whole === undefined
      ? (filler.number("vlan_vid", 5, 6) & 0xfff) | ((filler.number("vlan_pcp", 0, 3) & 7) << 13)
      : Number(whole) & 0xefff;
  return r.chance(15) ? [tci, 6] : [tci];
}

/** The frame of a spec. */
function questionOf(
  r: Rng,
  spec: Spec,
  pool: ReadonlyMap<string, readonly bigint[]>,
  isBeside: boolean,
): Question {
  const filler = new Filler(r, spec, pool);
  const usual = isBeside ? [1, 2, ...TUNNELS] : [1, 2, 3, 4];
  const asked = filler.number("in_port", ...usual);
  const all = isBeside ? [...PORTS, ...TUNNELS] : PORTS;
  const inPort = all.includes(asked) ? asked : r.pick(usual);
  const type = filler.number("eth_type", 0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x8847, 0x88b6) & 0xffff;
  const tags = tagsOf(filler);
  const macs = [
    ...be(filler.of("eth_dst", 0x020000000002n), 6),
    ...be(filler.of("eth_src", 0x020000000001n), 6),
  ];
  let bytes = [
    ...macs,
    ...tags.flatMap(tci => [0x81, 0, ...be16(tci)]),
    ...be16(type),
    ...bodyOf(filler, type),
  ];
  if (r.chance(4)) bytes = bytes.slice(0, Math.max(14, r.below(bytes.length)));
  const isTunnel = TUNNELS.includes(inPort);
  const state = isBeside
    ? STATE.flatMap(name => {
        if (name.startsWith("tun") && !isTunnel) return [];
        // Whatever comes out of a tunnel has an endpoint.
        const value = filler.of(name, 0n, 1n) || (name === "tun_dst" ? 0xc0000201n : 0n);
        const address = be(value, 4).join(".");
        return value === 0n ? [] : [`${name}=${name === "tun_src" || name === "tun_dst" ? address : value}`];
      })
    : [];
  return { inPort, frame: Uint8Array.from(bytes), state };
}

/** Frames for two tables together: each rule's own, and its neighbours; alike ones once. */
export function questionsFor(r: Rng, lines: readonly string[], each: number, isBeside: boolean): Question[] {
  const flows = lines
    .map(line => parseFlow(line, undefined, { protocol: "OpenFlow13" }).flow)
    .filter(flow => flow !== null);
  const pool = poolOf(flows);
  const specs = flows.flatMap(flow => {
    const own = specOf(r, flow);
    return [own, ...Array.from({ length: each }, () => mutated(r, specOf(r, flow), pool))];
  });
  const questions = [...specs, new Map(), new Map()].map(spec => questionOf(r, spec, pool, isBeside));
  const name = ({ inPort, frame, state }: Question): string =>
    `${inPort} ${state} ${Buffer.from(frame).toString("hex")}`;
  return [...new Map(questions.map(question => [name(question), question])).values()];
}
