/**
 * Random flows for a switch to be asked for again: every field that Open vSwitch 3.1 has, every action in all
 * of its argument forms and in every place where it may stand. Most are right; those that the switch refuses
 * are left out by whoever installs them. Unlike generate.ts it leaves nothing out that a message garbles:
 * what a dump shows is wanted.
 */
import { FIELDS, type Field } from "../../src/openflow/index.ts";
import { type Dice, matchOf as plainMatchOf, textOf } from "./generate.ts";

/** Fields that this version has no number for. */
const LATER = /^(reg(1[6-9]|[23]\d)|xreg([89]|1\d)|xxreg[4-7])$/;
const HAD: readonly Field[] = FIELDS.filter(({ name }) => !LATER.test(name));

/** Fields that another field or protocol must stand beside, and what makes them right. */
const BESIDE: readonly (readonly [text: string, fields: RegExp])[] = [
  ["dl_type=0x894f", /^nsh_(flags|ttl|np|spi|si)$/],
  ["dl_type=0x894f,nsh_mdtype=1", /^nsh_(c\d|flags)$/],
  ["tun_erspan_ver=1", /^tun_erspan_idx$/],
  ["tun_erspan_ver=2", /^tun_erspan_(dir|hwid)$/],
  ["packet_type=(1,0x800)", /^(ip_src|nw_ttl|reg0)$/],
  ["icmp6,icmpv6_type=135", /^(nd_.*)$/],
  ["icmp6,icmpv6_type=136", /^(nd_.*)$/],
  ["tcp", /^(tcp_.*|ip_frag)$/],
  ["tcp6", /^(tcp_.*|ip_frag)$/],
  ["ct_state=+est+trk,ct_nw_proto=6,ip", /^ct_/],
  ["ct_state=+trk-inv,ct_nw_proto=17,ipv6", /^ct_/],
  ["", /^(tun_.*|pkt_mark|skb_priority|dp_hash|conj_id|actset_output|in_port.*|metadata|x*reg\d+)$/],
  ["", /^(vlan_.*|dl_vlan.*)$/],
];

function matchOf(dice: Dice): { text: string; fits: readonly Field[] } {
  if (dice.chance(0.5)) return plainMatchOf(dice);
  const [base, names] = dice.pick(BESIDE);
  const fits = HAD.filter(({ name }) => names.test(name));
  const parts = base === "" ? [] : [base];
  for (let count = 1 + dice.below(3); count > 0; count--) {
    const field = dice.pick(fits);
    if (/^tun_metadata/.test(field.name)) parts.push(metadataOf(dice));
    else parts.push(`${field.name}=${textOf(dice, field, field.isMaskable && dice.chance(0.5))}`);
  }
  return {
    text: parts.join(","),
    fits: [...fits, ...HAD.filter(({ prerequisite }) => prerequisite === "none")],
  };
}

/** Tunnel options that the switch under test has: tun_metadata0 of 4 bytes, 1 of 8, 2 of 124. */
const OPTION_BYTES = [4, 8, 124];

function metadataOf(dice: Dice): string {
  const index = dice.below(OPTION_BYTES.length);
  const bits = 8 * OPTION_BYTES[index]!;
  const hex = (value: bigint): string => `0x${value.toString(16)}`;
  if (dice.chance(0.3)) return `tun_metadata${index}`;
  if (dice.chance(0.5)) return `tun_metadata${index}=${hex(dice.bits(bits))}`;
  return `tun_metadata${index}=${hex(dice.bits(bits))}/${hex(dice.bits(bits))}`;
}

const PORTS = ["1", "2", "3", "4", "11", "77", "65279"];
const PLACES = ["LOCAL", "IN_PORT", "NORMAL", "FLOOD", "ALL", "CONTROLLER", "TABLE"];
const SUBFIELDS = ["NXM_NX_REG0[]", "NXM_NX_REG1[0..15]", "NXM_NX_XXREG0[0..31]", "OXM_OF_PKT_REG1[3..18]"];
const REASONS = ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];

type Maker = (dice: Dice, fits: readonly Field[]) => string;

const settable = (fits: readonly Field[]): Field[] =>
  fits.filter(({ name, isWritable, nxm }) => isWritable && nxm !== null && !/^ct_/.test(name));

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const some = (dice: Dice, ...parts: string[]): string[] => parts.filter(() => dice.chance(0.5));

function address4(dice: Dice): string {
  return `10.0.0.${dice.below(100)}`;
}

function natOf(dice: Dice, isV6: boolean): string {
  if (dice.chance(0.25)) return dice.pick(["nat", "nat(src)", "nat(dst)"]);
  const ports = dice.pick(["", ":80", ":1000-2000"]);
  const low = isV6 ? "fc00::240" : address4(dice);
  const high = isV6 ? "fc00::2f1" : "10.0.0.200";
  const bracketed = isV6
    ? `[${low}]${dice.chance(0.5) ? `-[${high}]` : ""}`
    : `${low}${dice.chance(0.5) ? `-${high}` : ""}`;
  const flags = some(dice, "persistent").concat(dice.pick([[], ["hash"], ["random"]]));
  return `nat(${[`${dice.pick(["src", "dst"])}=${bracketed}${ports}`, ...flags].join(",")})`;
}

function ctOf(dice: Dice, isV6: boolean): string {
  const isCommit = dice.chance(0.7);
  const parts = isCommit ? ["commit", ...some(dice, "force")] : [];
  if (dice.chance(0.5)) parts.push(`table=${dice.below(200)}`);
  if (dice.chance(0.5))
    parts.push(`zone=${dice.pick(["5", "65535", "NXM_NX_REG1[0..15]", "NXM_NX_CT_ZONE[]"])}`);
  if (dice.chance(0.5)) parts.push(isCommit ? natOf(dice, isV6) : "nat");
  if (isCommit && dice.chance(0.5)) {
    const marks = [
      `set_field:${hex(dice.bits(32))}/${hex(dice.bits(32))}->ct_mark`,
      `set_field:${hex(dice.bits(32))}->ct_mark`,
      `set_field:${hex(dice.bits(128))}->ct_label`,
      `set_field:${hex(dice.bits(128))}/${hex(dice.bits(128))}->ct_label`,
      `load:${hex(dice.bits(8))}->NXM_NX_CT_LABEL[8..15]`,
      "move:NXM_NX_REG0[0..15]->NXM_NX_CT_MARK[16..31]",
    ];
    parts.push(`exec(${[dice.pick(marks), ...(dice.chance(0.3) ? [dice.pick(marks)] : [])].join(",")})`);
  }
  return `ct(${parts.join(",")})`;
}

function learnOf(dice: Dice): string {
  const numbers = some(
    dice,
    `idle_timeout=${dice.below(100)}`,
    `hard_timeout=${dice.below(100)}`,
    "fin_idle_timeout=3",
    "fin_hard_timeout=4",
    `priority=${dice.below(65535)}`,
    "send_flow_rem",
    "delete_learned",
    `cookie=${hex(dice.bits(64))}`,
    "limit=5",
  );
  if (numbers.includes("limit=5") && dice.chance(0.5)) numbers.push("result_dst=NXM_NX_REG2[3]");
  const specs = [
    "NXM_OF_VLAN_TCI[0..11]",
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]",
    "NXM_OF_ETH_SRC[]",
    `eth_type=0x800,ip_dst=${address4(dice)}`,
    `eth_type=0x800,nw_proto=6,tcp_dst=${dice.below(65536)}`,
    `eth_type=0x86dd,load:${hex(dice.bits(128))}->NXM_NX_IPV6_DST[]`,
    `in_port=${dice.pick(PORTS)}`,
    "NXM_OF_IN_PORT[]",
    `load:${hex(dice.bits(16))}->NXM_NX_REG0[0..15]`,
    `load:${hex(dice.bits(48))}->NXM_OF_ETH_DST[]`,
    "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]",
    "load:0->NXM_OF_VLAN_TCI[]",
    "load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[]",
    "output:NXM_OF_IN_PORT[]",
    "output:NXM_NX_REG3[0..15]",
    `NXM_NX_REG1[]=${hex(dice.bits(32))}`,
    `NXM_NX_REG1[4..11]=${hex(dice.bits(8))}`,
    `eth_src=02:00:00:00:00:0${dice.below(10)}`,
    `metadata=${hex(dice.bits(64))}`,
    `vlan_tci=${hex(dice.bits(16))}`,
  ];
  const count = dice.below(4);
  const chosen = Array.from({ length: count }, () => dice.pick(specs));
  return `learn(${[`table=${dice.below(200)}`, ...numbers, ...chosen].join(",")})`;
}

function controllerOf(dice: Dice): string {
  if (dice.chance(0.3))
    return dice.pick(["controller", "CONTROLLER:100", "controller:65535", "controller()"]);
  const parts = some(
    dice,
    `max_len=${dice.below(65536)}`,
    `id=${dice.below(65536)}`,
    `userdata=${dice.pick(["01", "00.01.02.ff", "aa.bb.cc.dd.ee.ff.00.11.22.33"])}`,
    "pause",
    "meter_id=3",
  );
  if (dice.chance(0.5)) parts.push(`reason=${dice.pick(REASONS)}`);
  return `controller(${parts.join(",")})`;
}

const HASHES = [
  "eth_src",
  "symmetric_l4",
  "symmetric_l3l4",
  "symmetric_l3l4+udp",
  "nw_src",
  "nw_dst",
  "symmetric_l3",
];

function bundleOf(dice: Dice): string {
  const hash = dice.pick(HASHES);
  const members = Array.from({ length: dice.below(5) }, () => dice.pick([...PORTS, "LOCAL"])).join(",");
  const list = dice.chance(0.5) ? `[${members}]` : members;
  const how = dice.pick(["hrw", "active_backup"]);
  return dice.chance(0.5)
    ? `bundle(${hash},${dice.below(65536)},${how},ofport,members:${list})`
    : `bundle_load(${hash},${dice.below(65536)},${how},ofport,${dice.pick(SUBFIELDS)},members:${list})`;
}

function setFieldOf(dice: Dice, fits: readonly Field[]): string {
  const field = dice.pick(
    settable(dice.chance(0.3) ? HAD.filter(({ prerequisite }) => prerequisite === "none") : fits),
  );
  if (/^tun_metadata/.test(field.name)) {
    const [name, value] = metadataOf(dice).split("=") as [string, string | undefined];
    return value === undefined ? `delete_field:${name}` : `set_field:${value}->${name}`;
  }
  const isMasked = field.isMaskable && dice.chance(0.5);
  const value = field.name === "vlan_vid" ? String(4096 + dice.below(4096)) : textOf(dice, field, isMasked);
  return `set_field:${value}->${field.name}`;
}

function rangeOf(dice: Dice, bits: number): [text: string, bits: number] {
  if (dice.chance(0.5)) return ["[]", bits];
  const end = dice.below(bits);
  const start = dice.below(end + 1);
  return [start === end ? `[${start}]` : `[${start}..${end}]`, end - start + 1];
}

const isMetadata = ({ name }: Field): boolean => /^tun_metadata/.test(name);

function loadOf(dice: Dice, fits: readonly Field[]): string {
  const all = settable(fits).filter(field => !isMetadata(field));
  const field =
    all.length === 0 || dice.chance(0.3)
      ? dice.pick(
          settable(HAD).filter(
            ({ prerequisite, name }) => prerequisite === "none" && !/^tun_metadata/.test(name),
          ),
        )
      : dice.pick(all);
  const [range, bits] = rangeOf(dice, field.bits);
  return `load:${hex(dice.bits(Math.min(bits, 64)))}->${field.nxm}${bits > 64 ? "[0..63]" : range}`;
}

function moveOf(dice: Dice, fits: readonly Field[]): string {
  const from = dice.pick(
    HAD.filter(
      field =>
        field.nxm !== null && !isMetadata(field) && (fits.includes(field) || field.prerequisite === "none"),
    ),
  );
  const to = dice.pick(
    settable(HAD).filter(
      field => !isMetadata(field) && (fits.includes(field) || field.prerequisite === "none"),
    ),
  );
  const bits = 1 + dice.below(Math.min(from.bits, to.bits));
  const [a, b] = [dice.below(from.bits - bits + 1), dice.below(to.bits - bits + 1)];
  return `move:${from.nxm}[${a}..${a + bits - 1}]->${to.nxm}[${b}..${b + bits - 1}]`;
}

const MAKERS: readonly Maker[] = [
  dice => dice.pick([...PORTS.map(port => `output:${port}`), ...PLACES]),
  dice => `output(port=${dice.pick([...PORTS, "LOCAL", "IN_PORT"])},max_len=${14 + dice.below(9000)})`,
  dice => `output:${dice.pick(SUBFIELDS)}`,
  controllerOf,
  dice => `enqueue:${dice.pick([...PORTS, "LOCAL", "IN_PORT"])}:${dice.below(100)}`,
  dice => dice.pick([`group:${dice.below(9)}`, `set_queue:${dice.bits(32)}`, "pop_queue", "exit"]),
  dice =>
    `note:${Array.from({ length: 1 + dice.below(20) }, () => dice.below(256).toString(16).padStart(2, "0")).join(".")}`,
  dice => {
    const port = dice.pick(["", ...PORTS, "LOCAL", "IN_PORT"]);
    return dice.pick([
      `resubmit:${port || "1"}`,
      `resubmit(${port},${dice.below(200)})`,
      `resubmit(${port},${dice.below(200)},ct)`,
    ]);
  },
  dice => dice.pick(["push_vlan:0x8100", "push_vlan:0x88a8", "strip_vlan", "pop_vlan"]),
  dice =>
    dice.pick([
      "push_mpls:0x8847",
      "push_mpls:0x8848",
      "pop_mpls:0x0800",
      "pop_mpls:0x8847",
      "pop_mpls:0x86dd",
    ]),
  dice =>
    dice.pick([
      "dec_ttl",
      "dec_ttl(1,2)",
      "dec_mpls_ttl",
      "dec_nsh_ttl",
      "set_mpls_ttl(9)",
      "set_mpls_label:77",
      "set_mpls_tc:3",
    ]),
  dice => dice.pick([`set_tunnel:${hex(dice.bits(32))}`, `set_tunnel64:${hex(dice.bits(64))}`]),
  dice =>
    dice.pick([
      "mod_dl_src:02:00:00:00:00:01",
      "mod_dl_dst:02:00:00:00:00:02",
      `mod_nw_src:${address4(dice)}`,
      `mod_nw_dst:${address4(dice)}`,
    ]),
  dice =>
    dice.pick([
      `mod_nw_tos:${4 * dice.below(64)}`,
      `mod_nw_ecn:${dice.below(4)}`,
      `mod_nw_ttl:${dice.below(256)}`,
    ]),
  dice => dice.pick([`mod_tp_src:${dice.below(65536)}`, `mod_tp_dst:${dice.below(65536)}`]),
  dice =>
    dice.pick([
      `mod_vlan_vid:${dice.below(4096)}`,
      `mod_vlan_pcp:${dice.below(8)}`,
      `set_vlan_vid:${dice.below(4096)}`,
      `set_vlan_pcp:${dice.below(8)}`,
    ]),
  setFieldOf,
  setFieldOf,
  setFieldOf,
  loadOf,
  loadOf,
  moveOf,
  (dice, fits) => {
    const field = dice.pick(
      settable(HAD).filter(one => !isMetadata(one) && (fits.includes(one) || one.prerequisite === "none")),
    );
    return `${dice.pick(["push", "pop"])}:${field.nxm}${rangeOf(dice, field.bits)[0]}`;
  },
  learnOf,
  learnOf,
  dice => ctOf(dice, false),
  dice => ctOf(dice, true),
  constantOf("ct_clear"),
  bundleOf,
  dice =>
    `multipath(${dice.pick(HASHES)},${dice.below(65536)},${dice.pick(["modulo_n", "hash_threshold", "hrw", "iter_hash"])},${1 + dice.below(16)},${dice.below(999)},${dice.pick(SUBFIELDS)})`,
  dice => {
    const parts = [
      `probability=${1 + dice.below(65535)}`,
      ...some(dice, "collector_set_id=1", "obs_domain_id=2", "obs_point_id=3", "sampling_port=4"),
    ];
    return `sample(${[...parts, ...dice.pick([[], ["egress"], ["ingress"]])].join(",")})`;
  },
  dice =>
    dice.pick([
      "fin_timeout(idle_timeout=5)",
      "fin_timeout(idle_timeout=5,hard_timeout=10)",
      "fin_timeout(hard_timeout=0)",
      "fin_timeout()",
    ]),
  dice => dice.pick(["check_pkt_larger(1500)->NXM_NX_REG0[3]", "check_pkt_larger(0)->OXM_OF_PKT_REG1[63]"]),
  dice =>
    dice.pick([
      "encap(nsh)",
      "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678),tlv(0x2000,20,0xfedcba9876543210)))",
      "encap(nsh(md_type=1))",
      "encap(ethernet)",
      "encap(mpls)",
      "encap(mpls_mc)",
      "decap()",
      "decap(packet_type(ns=0,type=0))",
      "decap(packet_type(ns=1,type=0x894f))",
      "decap",
    ]),
  (dice, fits) => `clone(${listOf(dice, fits)})`,
];

function constantOf(text: string): Maker {
  return () => text;
}

function listOf(dice: Dice, fits: readonly Field[]): string {
  return Array.from({ length: 1 + dice.below(2) }, () => dice.pick(MAKERS)(dice, fits)).join(",");
}

function actionsOf(dice: Dice, fits: readonly Field[]): string {
  if (dice.chance(0.05)) return "drop";
  if (dice.chance(0.04)) return `conjunction(${dice.bits(32)},${1 + dice.below(3)}/${3 + dice.below(61)})`;
  const parts = dice.chance(0.04) ? [`meter:${1 + dice.below(5)}`] : [];
  if (dice.chance(0.9)) parts.push(listOf(dice, fits));
  const tail = [
    "clear_actions",
    `write_actions(${listOf(dice, fits)})`,
    `write_metadata:${hex(dice.bits(64))}${dice.chance(0.5) ? `/${hex(dice.bits(64))}` : ""}`,
    `goto_table:${200 + dice.below(50)}`,
  ];
  for (const one of tail) if (dice.chance(0.1)) parts.push(one);
  return parts.join(",");
}

const FLAGS = ["send_flow_rem", "reset_counts", "no_packet_counts", "no_byte_counts"];

/** One flow for a switch, in a place of its own: flow `index` of a table. */
export function installableOf(dice: Dice, index: number): string {
  const { text, fits } = matchOf(dice);
  const parts = [`table=${dice.below(8)}`, `priority=${index}`, `cookie=${hex(BigInt(index + 1))}`];
  if (dice.chance(0.1)) parts.push(`idle_timeout=${1000 + dice.below(60000)}`);
  if (dice.chance(0.1)) parts.push(`hard_timeout=${1000 + dice.below(60000)}`);
  if (dice.chance(0.1)) parts.push(dice.pick(FLAGS));
  if (dice.chance(0.1)) parts.push(`importance=${dice.below(65536)}`);
  if (text !== "") parts.push(text);
  return `${parts.join(",")} actions=${actionsOf(dice, fits)}`;
}
