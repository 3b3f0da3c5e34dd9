/**
 * Random matches over every field that the interpreter executes, as text that ovs-ofctl takes, together with
 * what they promise about a packet (ovs-fields(7), "Prerequisites"): actions may only be written where the
 * match, or an earlier action, says that their field is there. Values come from the small world of the frames
 * (openflow/interpret/frames.ts).
 */
import type { Rng } from "../model/random.ts";
import { WORLD } from "../openflow/interpret/frames.ts";

/** What is known of a packet when an action runs, as Open vSwitch checks it at installation. */
export interface Known {
  /** dl_type; 0 for anything. */
  type: number;
  /** nw_proto; 0 for anything. */
  protocol: number;
  /** icmp_type of neighbour discovery, with icmp_code=0; 0 for anything. */
  discovery: number;
  tags: number;
}

export interface Match {
  readonly parts: readonly string[];
  readonly known: Known;
}

const IPV4_MASKS = ["/24", "/31", "/8", "/255.0.0.255", ""];
const MAC_MASKS = ["", "", "/01:00:00:00:00:00", "/ff:ff:ff:00:00:00", "/00:00:00:00:00:ff"];
const IPV6_MASKS = ["", "", "/64", "/7", "/ffff::ff"];

/** Of mostly one value the number of times that its weight says. */
type Makers = readonly (readonly [number, () => string])[];

export const ipv4Text = (r: Rng): string => `${r.pick(WORLD.ipv4)}${r.pick(IPV4_MASKS)}`;
const macText = (r: Rng): string => `${r.pick(WORLD.macs)}${r.pick(MAC_MASKS)}`;
const ipv6Text = (r: Rng): string => `${r.pick(WORLD.ipv6)}${r.pick(IPV6_MASKS)}`;

/** Matches that any packet may meet. */
function commonParts(r: Rng): string[] {
  const register = (): string =>
    `reg${r.below(4)}=${r.pick(["0", "1", "2", "0", "0/1", "1/1", "2/3", "0/0xff00"])}`;
  const makers: Makers = [
    [24, () => `in_port=${r.pick(WORLD.ports)}`],
    [14, () => `dl_dst=${macText(r)}`],
    [8, () => `dl_src=${macText(r)}`],
    [14, register],
    [4, () => `metadata=${r.pick(["0", "1", "2", "0/1", "1/1", "1/3"])}`],
    [2, () => `xreg0=0x${r.pick(["0", "100000001", "2"])}`],
    [1, () => `xxreg0=0/0x${r.pick(["3", "f00000000"])}`],
    [1, () => `pkt_mark=${r.below(2)}`],
    [1, () => `tun_id=${r.below(2)}`],
    [1, () => `actset_output=${r.pick(WORLD.ports)}`],
    [
      1,
      () =>
        r.pick(["ct_state=-trk", "ct_state=+trk", "ct_mark=0", "conj_id=0", "dp_hash=0", "tun_src=0.0.0.0"]),
    ],
  ];
  const parts = Array.from({ length: r.pick([0, 0, 0, 0, 1, 1, 2]) }, () => r.weighted(makers));
  return withoutTwice(parts);
}

/** Of parts that speak of the same field, or of parts of one (registers), the first. */
function withoutTwice(parts: readonly string[]): string[] {
  const nameOf = (part: string): string => part.split("=")[0]!.replace(/^x*reg\d+$/, "reg");
  return parts.filter((part, i) => parts.findIndex(other => nameOf(other) === nameOf(part)) === i);
}

function tagParts(r: Rng, known: Known): string[] {
  if (!r.chance(22)) return [];
  const tagged = (...parts: string[]): string[] => {
    known.tags = 1;
    return parts;
  };
  return r.weighted<string[]>([
    [4, () => tagged(`dl_vlan=${r.pick(WORLD.vlans)}`)],
    [2, () => tagged(`dl_vlan=${r.pick(WORLD.vlans)}`, `dl_vlan_pcp=${r.below(8)}`)],
    [3, () => tagged("vlan_tci=0x1000/0x1000")],
    [2, () => tagged(`vlan_vid=0x${(0x1000 + r.pick(WORLD.vlans)).toString(16)}/0x1001`)],
    [3, () => [r.pick(["vlan_tci=0x0000", "vlan_tci=0/0x1000", "vlan_tci=0/0x1fff"])]],
  ]);
}

function someOf(r: Rng, makers: readonly (() => string)[]): string[] {
  const count = makers.length === 0 ? 0 : r.pick([0, 1, 1, 1, 2]);
  return withoutTwice(Array.from({ length: count }, () => r.pick(makers)()));
}

/** Layer 4 behind IPv4 or IPv6. */
function transportParts(r: Rng, known: Known, six: string): string[] {
  const port = (): string =>
    `${r.pick(["tp_src", "tp_dst"])}=${r.pick([...WORLD.transport, "0x40/0xffc0", 0, "0/1"])}`;
  const flags = (): string => `tcp_flags=${r.pick(["+syn", "+ack", "-syn-ack", "0x10/0x10", "0"])}`;
  const of = (protocol: number, name: string, makers: (() => string)[]): string[] => {
    known.protocol = protocol;
    return [name, ...someOf(r, makers)];
  };
  return r.weighted<string[]>([
    [4, () => [six === "" ? "ip" : "ipv6"]],
    [3, () => of(6, `tcp${six}`, [port, port, flags])],
    [3, () => of(17, `udp${six}`, [port])],
    [1, () => of(132, `sctp${six}`, [port])],
    [2, () => (six === "" ? icmpParts(r, known) : discoveryParts(r, known))],
    [1, () => of(six === "" ? 2 : 59, `${six === "" ? "ip" : "ipv6"},nw_proto=${six === "" ? 2 : 59}`, [])],
  ]);
}

function icmpParts(r: Rng, known: Known): string[] {
  known.protocol = 1;
  return ["icmp", ...someOf(r, [() => `icmp_type=${r.pick([0, 3, 8])}`, () => "icmp_code=0"])];
}

function discoveryParts(r: Rng, known: Known): string[] {
  known.protocol = 58;
  if (r.chance(35)) return ["icmp6", ...someOf(r, [() => `icmp_type=${r.pick([1, 128, 135])}`])];
  known.discovery = r.pick([135, 136]);
  const address = `${known.discovery === 135 ? "nd_sll" : "nd_tll"}=${macText(r)}`;
  const more = someOf(r, [
    () => `nd_target=${ipv6Text(r)}`,
    () => address,
    () => `nd_reserved=${r.pick(["0", "0x20000000", "0x60000000"])}`,
    () => `nd_options_type=${r.pick(["0", "1", "2"])}`,
  ]);
  return ["icmp6", `icmp_type=${known.discovery}`, "icmp_code=0", ...more];
}

const FRAGMENTS = ["yes", "no", "first", "later", "not_later"];

function ipParts(r: Rng, known: Known, makers: readonly (() => string)[]): string[] {
  return someOf(r, [
    ...makers,
    ...makers,
    () => `nw_tos=${r.pick([0, 184, 8, 252])}`,
    () => `nw_ecn=${r.below(4)}`,
    () => `nw_ttl=${r.pick([64, 1, 2, 63])}`,
    () => `nw_frag=${known.protocol === 0 ? r.pick(FRAGMENTS) : r.pick(["no", "first", "not_later"])}`,
  ]);
}

function ipv4Parts(r: Rng, known: Known): string[] {
  known.type = 0x0800;
  const head = transportParts(r, known, "");
  return [...head, ...ipParts(r, known, [() => `nw_src=${ipv4Text(r)}`, () => `nw_dst=${ipv4Text(r)}`])];
}

function ipv6Parts(r: Rng, known: Known): string[] {
  known.type = 0x86dd;
  const head = transportParts(r, known, "6");
  const addresses = [() => `ipv6_src=${ipv6Text(r)}`, () => `ipv6_dst=${ipv6Text(r)}`];
  return [...head, ...ipParts(r, known, [...addresses, () => `ipv6_label=0x${r.pick(["0", "12345"])}`])];
}

function arpParts(r: Rng, known: Known): string[] {
  const name = r.pick(["arp", "arp", "arp", "rarp"]);
  known.type = name === "arp" ? 0x0806 : 0x8035;
  const makers = [
    () => `arp_op=${r.below(3)}`,
    () => `arp_spa=${ipv4Text(r)}`,
    () => `arp_tpa=${ipv4Text(r)}`,
    () => `arp_sha=${macText(r)}`,
    () => `arp_tha=${macText(r)}`,
  ];
  return [name, ...someOf(r, makers)];
}

function mplsParts(r: Rng, known: Known): string[] {
  known.type = r.pick([0x8847, 0x8847, 0x8847, 0x8848]);
  const makers = [
    () => `mpls_label=${r.pick(WORLD.labels)}`,
    () => `mpls_bos=${r.pick([0, 1, 1])}`,
    () => `mpls_tc=${r.below(8)}`,
    () => `mpls_ttl=${r.pick([0, 1, 2, 64])}`,
  ];
  return [known.type === 0x8847 ? "mpls" : "dl_type=0x8848", ...someOf(r, makers)];
}

/** A random match. */
export function randomMatch(r: Rng): Match {
  const known: Known = { type: 0, protocol: 0, discovery: 0, tags: 0 };
  const common = [...commonParts(r), ...tagParts(r, known)];
  const rest = r.weighted<string[]>([
    [16, () => []],
    [30, () => ipv4Parts(r, known)],
    [16, () => ipv6Parts(r, known)],
    [10, () => arpParts(r, known)],
    [28, () => mplsParts(r, known)],
    [2, () => [r.pick(["dl_type=0x05ff", "dl_type=0x88b6", "dl_type=0x8100", "dl_type=0x88a8"])]],
  ]);
  return { parts: [...common, ...rest], known };
}
