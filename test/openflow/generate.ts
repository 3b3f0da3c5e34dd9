/**
 * Random lines of flow text over the whole registry of fields and the grammar of actions: most of them right,
 * some wrong on purpose. Left out is what Open vSwitch 3.1 itself garbles on its way through a message
 * (GARBLED).
 */
import { FIELDS, type Field } from "../../src/openflow/index.ts";

/** A repeatable source of randomness (mulberry32). */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  bits(count: number): bigint {
    // Small and extreme values are as interesting as large ones.
    if (this.chance(0.4)) return BigInt(this.below(Math.min(2 ** Math.min(count, 16), 20)));
    if (this.chance(0.1)) return (1n << BigInt(count)) - 1n;
    let value = 0n;
    for (let at = 0; at < count; at += 16) value = (value << 16n) | BigInt(this.below(65536));
    return BigInt.asUintN(count, value);
  }
}

/** Reserved in 3.1: registers from 16 on. Garbled there: see the notes in the name. */
const GARBLED =
  /^(reg(1[6-9]|[23]\d)|xreg([89]|1\d)|xxreg[4-7]|tun_gtpu_.*|tun_gbp_flags|vlan_tci|nsh_.*|recirc_id|dp_hash|tun_erspan_.*|tun_ttl|tun_tos|skb_priority|tun_metadata\d+|packet_type|in_port_oxm|nd_options_type)$/;

export const GENERATED: readonly Field[] = FIELDS.filter(({ name }) => !GARBLED.test(name));

const hexOf = (value: bigint): string => `0x${value.toString(16)}`;
const mac = (value: bigint): string =>
  value
    .toString(16)
    .padStart(12, "0")
    .replace(/..(?!$)/g, "$&:");
const dotted = (value: bigint): string => [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 255n).join(".");
const groups = (value: bigint): string =>
  Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16)).join(":");

function integer(dice: Dice, value: bigint): string {
  return dice.pick([value.toString(), hexOf(value), value === 0n ? "0" : `0${value.toString(8)}`]);
}

function flags(dice: Dice, names: readonly string[]): string {
  const some = names.filter(() => dice.chance(0.3));
  if (some.length === 0) return dice.pick(["0", `+${names[0]}`]);
  return dice.chance(0.5) ? some.join("|") : some.map(name => dice.pick("+-".split("")) + name).join("");
}

const CT = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
const TCP = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];

/** A value of a field; `isMasked` asks for a mask where the format has one. */
export function textOf(dice: Dice, field: Field, isMasked: boolean): string {
  const value = dice.bits(field.bits);
  const mask = dice.bits(field.bits);
  const prefix = (bits: number): string => String(dice.below(bits + 1));
  switch (field.format) {
    case "ethernet":
      return isMasked ? `${mac(value)}/${mac(mask)}` : mac(value);
    case "ipv4":
      return isMasked ? `${dotted(value)}/${dice.chance(0.7) ? prefix(32) : dotted(mask)}` : dotted(value);
    case "ipv6":
      return isMasked
        ? `${groups(value)}/${dice.chance(0.7) ? prefix(128) : `f${groups(mask)}`.replace(/^f[0-9a-f]{4}:/, "ff00:").replace(/^f([0-9a-f]{1,3}:)/, "f$1")}`
        : groups(value);
    case "port":
      return dice.pick(["1", "11", "65279", "LOCAL", "local", "IN_PORT", "CONTROLLER", "65534"]);
    case "frag":
      return dice.pick(["no", "yes", "first", "later", "not_later"]);
    case "ct state":
      return flags(dice, CT);
    case "tcp flags":
      return flags(dice, TCP);
    case "tunnel flags":
      return dice.pick(["oam", "+oam", "-oam", "0", "1/1"]);
    default:
      return isMasked ? `${integer(dice, value)}/${hexOf(mask)}` : integer(dice, value);
  }
}

/** Shorthands and what they stand for, with fields that fit them. */
const BASES: readonly (readonly [text: string, prerequisites: readonly Field["prerequisite"][]])[] = [
  ["", []],
  ["ip", ["IPv4", "IPv4/IPv6"]],
  ["dl_type=0x0800", ["IPv4", "IPv4/IPv6"]],
  ["arp", ["ARP"]],
  ["rarp", ["ARP"]],
  ["ipv6", ["IPv6", "IPv4/IPv6"]],
  ["tcp", ["IPv4", "IPv4/IPv6", "TCP"]],
  ["tcp6", ["IPv6", "IPv4/IPv6", "TCP"]],
  ["udp", ["IPv4", "IPv4/IPv6", "UDP"]],
  ["ip6,nw_proto=17", ["IPv6", "UDP"]],
  ["sctp", ["IPv4", "SCTP"]],
  ["icmp", ["IPv4", "ICMPv4"]],
  ["icmp6", ["IPv6", "ICMPv6"]],
  ["icmp6,icmp_type=135", ["IPv6", "ND", "ND solicit"]],
  ["icmp6,icmpv6_type=136", ["IPv6", "ND", "ND advert"]],
  ["mpls", ["MPLS"]],
  ["mplsm", ["MPLS"]],
  ["ct_state=+est", ["CT"]],
  ["dl_vlan=7", ["VLAN VID"]],
  ["vlan_tci=0x1000/0x1000", ["VLAN VID"]],
  ["dl_type=0x894f,nsh_mdtype=1,nsh_c1=5/0xf", []],
  ["dl_type=0x88b5", []],
];

const nameOf = (dice: Dice, field: Field): string => dice.pick([field.name, ...field.aliases]);

/** Some fields of a match, with the protocols they need most of the time. */
export function matchOf(dice: Dice): { text: string; fits: readonly Field[] } {
  const [base, prerequisites] = dice.pick(BASES);
  const known = new Set<Field["prerequisite"]>(["none", "Ethernet", ...prerequisites]);
  const fits = GENERATED.filter(({ prerequisite }) => known.has(prerequisite));
  const specific = fits.filter(({ prerequisite }) => prerequisites.includes(prerequisite));
  const parts = base === "" ? [] : [base];
  for (let count = dice.below(5); count > 0; count--) {
    const from = dice.chance(0.06) ? GENERATED : specific.length > 0 && dice.chance(0.6) ? specific : fits;
    const field = dice.pick(from);
    const isNumeric = field.format === "decimal" || field.format === "hexadecimal";
    if (field.name === "eth_type" && base !== "") continue;
    if (isNumeric && field.isMaskable && dice.chance(0.1)) {
      const end = dice.below(field.bits);
      const start = dice.below(end + 1);
      parts.push(`${field.name}[${start}..${end}]=${integer(dice, dice.bits(end - start + 1))}`);
      continue;
    }
    const isMasked = field.isMaskable ? dice.chance(0.4) : dice.chance(0.02);
    parts.push(`${nameOf(dice, field)}=${textOf(dice, field, isMasked)}`);
  }
  return { text: parts.join(dice.pick([",", ",", ", ", " "])), fits };
}

type ActionMaker = (dice: Dice, fits: readonly Field[]) => string;

const settable = (fits: readonly Field[]): Field[] =>
  fits.filter(
    ({ name, isWritable, nxm }) => isWritable && nxm !== null && !/^(ct_|in_port|tun_flags)/.test(name),
  );

function subfield(dice: Dice, field: Field): [text: string, bits: number] {
  const name = dice.pick([field.name, ...field.headers]);
  if (dice.chance(0.5)) return [`${name}[]`, field.bits];
  const end = dice.below(field.bits);
  const start = dice.below(end + 1);
  return [`${name}[${start}..${end}]`, end - start + 1];
}

const constant =
  (...texts: string[]): ActionMaker =>
  dice =>
    dice.pick(texts);

/** Actions of every kind; a list is made of several. */
const MAKERS: readonly ActionMaker[] = [
  constant(
    "output:1",
    "2",
    "LOCAL",
    "in_port",
    "NORMAL",
    "all",
    "output(port=3,max_len=100)",
    "output:NXM_NX_REG0[0..15]",
    "output:reg3",
  ),
  constant(
    "controller",
    "controller:100",
    "CONTROLLER:65535",
    "controller(max_len=5,id=3,reason=no_match)",
    "controller(pause,userdata=01.02)",
  ),
  constant(
    "enqueue:1:2",
    "group:7",
    "set_queue:3",
    "pop_queue",
    "exit",
    "note:01.02.ff",
    "clone(output:1,dec_foo)",
    "clone(set_field:5->reg1,2)",
  ),
  constant(
    "resubmit:1",
    "resubmit(,5)",
    "resubmit(3,4)",
    "resubmit(LOCAL,9)",
    "resubmit(1)",
    "resubmit(,256)",
  ),
  constant(
    "push_vlan:0x8100",
    "push_vlan:0x88a8",
    "strip_vlan",
    "pop_vlan",
    "push_mpls:0x8847",
    "push_mpls:0x8848",
    "pop_mpls:0x0800",
    "pop_mpls:0x8847",
  ),
  constant("dec_ttl", "dec_ttl(1,2)", "dec_mpls_ttl", "set_tunnel:0x5", "set_tunnel64:0x123456789a"),
  dice => `mod_dl_${dice.pick(["src", "dst"])}:${mac(dice.bits(48))}`,
  dice => `mod_nw_${dice.pick(["src", "dst"])}:${dotted(dice.bits(32))}`,
  dice => `mod_nw_tos:${dice.below(70) * 4}`,
  dice => `mod_nw_${dice.pick(["ecn:1", "ecn:4", "ttl:9", "ttl:300"])}`,
  dice => `mod_tp_${dice.pick(["src", "dst"])}:${dice.below(66000)}`,
  dice => `mod_vlan_${dice.pick([`vid:${dice.below(4200)}`, `pcp:${dice.below(9)}`])}`,
  dice =>
    `set_mpls_${dice.pick([`label:${dice.bits(20)}`, `tc(${dice.below(9)})`, `ttl:${dice.below(258)}`])}`,
  (dice, fits) => {
    const field = dice.pick(settable(dice.chance(0.05) ? GENERATED : fits));
    const isMasked = field.isMaskable && field.format === "hexadecimal" && dice.chance(0.3);
    const value = field.name === "vlan_vid" ? String(4096 + dice.below(4096)) : textOf(dice, field, isMasked);
    return `set_field:${value}->${nameOf(dice, field)}`;
  },
  (dice, fits) => {
    const [text, bits] = subfield(
      dice,
      dice.pick(settable(fits).filter(({ valid, bits: all }) => valid === (1n << BigInt(all)) - 1n)),
    );
    return `load:${hexOf(dice.bits(dice.chance(0.05) ? bits + 1 : bits))}->${text}`;
  },
  (dice, fits) => {
    const all = settable(fits).filter(({ bits }) => bits > 1);
    const [from, to] = [dice.pick(all), dice.pick(all)];
    const bits = 1 + dice.below(Math.min(from.bits, to.bits));
    return `move:${from.name}[0..${bits - 1}]->${to.nxm}[0..${dice.chance(0.05) ? bits : bits - 1}]`;
  },
  (dice, fits) => `${dice.pick(["push", "pop"])}:${subfield(dice, dice.pick(settable(fits)))[0]}`,
  constant(
    "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])",
    "bundle(eth_src,0,hrw,ofport,slaves:4,8)",
    "bundle_load(nw_dst,3,active_backup,ofport,reg0[],members:1)",
  ),
  constant(
    "learn(table=2,priority=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:in_port->reg0[0..15],output:reg1[])",
    "learn(hard_timeout=3,vlan_tci[0..11],reg2=5,bogus=1)",
    "learn(table=0,cookie=0x5,delete_learned,eth_type=0x800,ip_dst=reg3)",
  ),
  constant(
    "ct",
    "ct(commit,zone=5,nat(src=1.2.3.4-1.2.3.9:1-5,random))",
    "ct(table=3,zone=reg0[0..15])",
    "ct(commit,exec(set_field:5->ct_mark),force)",
    "ct_clear",
    "ct(zone=3,nat,table=4)",
    "ct(comit)",
  ),
  constant(
    "sample(probability=3,collector_set_id=1,obs_point_id=4)",
    "fin_timeout(idle_timeout=5)",
    "check_pkt_larger(1500)->reg0[3]",
    "delete_field:tun_metadata3",
    "encap(nsh(md_type=1))",
    "encap(mpls)",
    "decap(packet_type(ns=0,type=0))",
  ),
  constant("ouput:1", "set_field:5->reg99", "mod_dl_src:5", "group:", "load:5", "move:reg0->", "unknown"),
];

export function actionsOf(dice: Dice, fits: readonly Field[]): string {
  if (dice.chance(0.03))
    return dice.pick([
      "drop",
      "",
      "drop,1",
      "conjunction(5,1/3),note:05",
      "conjunction(5,1/3),1",
      "conjunction(1,4/3)",
    ]);
  const parts = dice.chance(0.03) ? ["meter:3"] : [];
  for (let count = 1 + dice.below(3); count > 0; count--) {
    // The last ones are wrong and must not drown the others.
    const maker = dice.chance(0.03) ? MAKERS.at(-1)! : dice.pick(MAKERS.slice(0, -1));
    parts.push(maker(dice, fits));
  }
  const tail = [
    "clear_actions",
    "write_actions(set_field:5->reg0,output:3)",
    "write_metadata:0x5/0xff",
    "goto_table:20",
  ];
  for (const one of tail) if (dice.chance(0.06)) parts.push(one);
  if (dice.chance(0.01)) parts.reverse();
  return parts.join(",");
}

const INFOS = [
  "priority=7",
  "priority=0x10",
  "table=3",
  "cookie=0x1234",
  "idle_timeout=60",
  "hard_timeout=010",
  "send_flow_rem",
  "check_overlap",
  "n_packets=5",
  "duration=1.5s",
  "priority=65536",
  "table=256",
  "cookie=-",
];

/** One line: information, a match, actions. */
export function lineOf(dice: Dice): string {
  const infos = INFOS.slice(0, dice.chance(0.05) ? INFOS.length : -3).filter(() => dice.chance(0.1));
  const { text, fits } = matchOf(dice);
  const parts = [...infos, ...(text === "" ? [] : [text])];
  if (parts.length === 0) return `actions=${actionsOf(dice, fits)}`;
  return `${parts.join(",")}${dice.pick([",", " "])}actions=${actionsOf(dice, fits)}`;
}
