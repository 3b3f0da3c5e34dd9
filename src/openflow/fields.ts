/**
 * The registry of fields: every name by which Open vSwitch knows a part of the flow key, with its width, its
 * format and what a packet must be for it to exist. Facts from include/openvswitch/meta-flow.h and
 * ovs-fields(7), 3.1 to 3.7; one table, from which the lookups are made. It does not say how a value is read
 * or written as text (values.ts).
 */
import { KEY, type Place, REGISTER_COUNT } from "./flow-key.ts";

/** How values are written. */
export type Format =
  | "decimal"
  | "hexadecimal"
  | "ethernet"
  | "ipv4"
  | "ipv6"
  | "port"
  | "frag"
  | "tunnel flags"
  | "tcp flags"
  | "ct state"
  | "packet type";

/** What must be matched before a field may be (ovs-fields(7), "Prerequisites"). */
export type Prerequisite =
  | "none"
  | "Ethernet"
  | "ARP"
  | "VLAN VID"
  | "IPv4"
  | "IPv6"
  | "IPv4/IPv6"
  | "CT"
  | "MPLS"
  | "NSH"
  | "TCP"
  | "UDP"
  | "SCTP"
  | "ICMPv4"
  | "ICMPv6"
  | "ND"
  | "ND solicit"
  | "ND advert";

/**
 * What an action asks of the packet; `ports`: IP of whatever protocol, and no later fragment, as mod_tp_src
 * does.
 */
export type Demanded = Prerequisite | "ports";

export interface Field {
  /** Index in FIELDS. */
  readonly id: number;
  /** As Open vSwitch prints it in set_field: eth_dst, ip_dst. In a match it may print another (print.ts). */
  readonly name: string;
  /** Other plain names, accepted wherever `name` is: dl_dst, nw_dst. */
  readonly aliases: readonly string[];
  /** NXM and OXM names, accepted where a subfield may stand: NXM_OF_ETH_DST, OXM_OF_ETH_DST. */
  readonly headers: readonly string[];
  /**
   * The name in `load:`, `move:`, `push:` as Open vSwitch prints it: NXM_OF_ETH_DST; null when it has none.
   */
  readonly nxm: string | null;
  /** Width of a subfield that is the whole field: `NXM_OF_ETH_DST[]`. */
  readonly bits: number;
  /**
   * Bits that a value may have set: all `bits`, but 0xfc for nw_tos and 0x1fff (the presence bit) for
   * vlan_vid.
   */
  readonly valid: bigint;
  readonly isMaskable: boolean;
  readonly format: Format;
  readonly prerequisite: Prerequisite;
  readonly isWritable: boolean;
  /**
   * Where it lies in the key; null for what is read and printed but not modelled (tun_metadata). `valid` says
   * which of its bits are the field's: nw_tos reads as zero in its two lowest bits, and writing it leaves
   * them alone.
   */
  readonly place: Place | null;
}

/**
 * A row of the table: names (plain ones, then NXM, OXM names), bits, "maskable" as M or -, format,
 * prerequisite, access, and word and shift of its place. `valid` and `placeBits` only where they are not what
 * `bits` says.
 */
interface Row {
  readonly names: string;
  readonly bits: number;
  readonly isMaskable: boolean;
  readonly format: Format;
  readonly prerequisite: Prerequisite;
  readonly isWritable: boolean;
  readonly word: number | null;
  readonly shift: number;
  readonly valid: bigint | null;
  readonly placeBits: number;
}

/** Options of a row: `M` maskable, `W` writable, together `MW`. */
type Access = "" | "M" | "W" | "MW";

function row(
  names: string,
  bits: number,
  access: Access,
  format: Format,
  prerequisite: Prerequisite,
  word: number | null,
  shift = 0,
  odd: { valid?: bigint; placeBits?: number } = {},
): Row {
  return {
    names,
    bits,
    isMaskable: access.includes("M"),
    format,
    prerequisite,
    isWritable: access.includes("W"),
    word,
    shift,
    valid: odd.valid ?? null,
    placeBits: odd.placeBits ?? bits,
  };
}

/** `count` rows that differ by a number: reg0 … reg31. */
function numbered(count: number, make: (index: number) => Row): Row[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const METADATA_ROWS: readonly Row[] = [
  row("dp_hash NXM_NX_DP_HASH NXOXM_ET_DP_HASH", 32, "M", "hexadecimal", "none", KEY.dpHash),
  row("recirc_id NXM_NX_RECIRC_ID", 32, "", "decimal", "none", KEY.recircId),
  row("packet_type OXM_OF_PACKET_TYPE", 32, "", "packet type", "none", KEY.packetType),
  row("conj_id NXM_NX_CONJ_ID", 32, "", "decimal", "none", KEY.conjId),
  row("tun_id tunnel_id NXM_NX_TUN_ID OXM_OF_TUNNEL_ID", 64, "MW", "hexadecimal", "none", KEY.tunnelId),
  row("tun_src NXM_NX_TUN_IPV4_SRC", 32, "MW", "ipv4", "none", KEY.tunnelSrc),
  row("tun_dst NXM_NX_TUN_IPV4_DST", 32, "MW", "ipv4", "none", KEY.tunnelDst),
  row("tun_ipv6_src NXM_NX_TUN_IPV6_SRC", 128, "MW", "ipv6", "none", KEY.tunnelIpv6Src),
  row("tun_ipv6_dst NXM_NX_TUN_IPV6_DST", 128, "MW", "ipv6", "none", KEY.tunnelIpv6Dst),
  row("tun_flags NXM_NX_TUN_FLAGS", 1, "MW", "tunnel flags", "none", KEY.tunnelFlags),
  row("tun_ttl", 8, "", "decimal", "none", KEY.tunnelFlags, 16),
  row("tun_tos", 8, "", "decimal", "none", KEY.tunnelFlags, 24),
  row("tun_gbp_id NXM_NX_TUN_GBP_ID", 16, "MW", "decimal", "none", KEY.tunnelGbp),
  row("tun_gbp_flags NXM_NX_TUN_GBP_FLAGS", 8, "MW", "hexadecimal", "none", KEY.tunnelGbp, 16),
  row("tun_erspan_idx NXOXM_ET_ERSPAN_IDX", 20, "MW", "hexadecimal", "none", KEY.tunnelErspan),
  row("tun_erspan_ver NXOXM_ET_ERSPAN_VER", 4, "MW", "decimal", "none", KEY.tunnelErspan, 27),
  row("tun_erspan_dir NXOXM_ET_ERSPAN_DIR", 1, "MW", "decimal", "none", KEY.tunnelErspan, 20),
  row("tun_erspan_hwid NXOXM_ET_ERSPAN_HWID", 6, "MW", "hexadecimal", "none", KEY.tunnelErspan, 21),
  row("tun_gtpu_flags NXOXM_ET_GTPU_FLAGS", 8, "M", "hexadecimal", "none", KEY.tunnelGtpu),
  row("tun_gtpu_msgtype NXOXM_ET_GTPU_MSGTYPE", 8, "M", "decimal", "none", KEY.tunnelGtpu, 8),
  ...numbered(64, n =>
    row(`tun_metadata${n} NXM_NX_TUN_METADATA${n}`, 992, "MW", "hexadecimal", "none", null),
  ),
  row("metadata OXM_OF_METADATA", 64, "MW", "hexadecimal", "none", KEY.metadata),
  // The 16 bits of OpenFlow 1.0 and the 32 of 1.1 are one port; ports above 0xfeff are the reserved ones in
  // both.
  row("in_port NXM_OF_IN_PORT", 16, "W", "port", "none", KEY.inPort, 0, {
    placeBits: 32,
    valid: 0xffffffffn,
  }),
  row("in_port_oxm OXM_OF_IN_PORT", 32, "W", "port", "none", KEY.inPort),
  row("actset_output ONFOXM_ET_ACTSET_OUTPUT OXM_OF_ACTSET_OUTPUT", 32, "", "port", "none", KEY.actsetOutput),
  row("skb_priority", 32, "", "hexadecimal", "none", KEY.skbPriority),
  row("pkt_mark NXM_NX_PKT_MARK", 32, "MW", "hexadecimal", "none", KEY.pktMark),
  row("ct_state NXM_NX_CT_STATE", 32, "M", "ct state", "none", KEY.ctState),
  row("ct_zone NXM_NX_CT_ZONE", 16, "", "hexadecimal", "none", KEY.ctZone),
  row("ct_mark NXM_NX_CT_MARK", 32, "MW", "hexadecimal", "none", KEY.ctMark),
  row("ct_label NXM_NX_CT_LABEL", 128, "MW", "hexadecimal", "none", KEY.ctLabel),
  row("ct_nw_proto NXM_NX_CT_NW_PROTO", 8, "", "decimal", "CT", KEY.ctProto),
  row("ct_nw_src NXM_NX_CT_NW_SRC", 32, "M", "ipv4", "CT", KEY.ctNwSrc),
  row("ct_nw_dst NXM_NX_CT_NW_DST", 32, "M", "ipv4", "CT", KEY.ctNwDst),
  row("ct_ipv6_src NXM_NX_CT_IPV6_SRC", 128, "M", "ipv6", "CT", KEY.ctIpv6Src),
  row("ct_ipv6_dst NXM_NX_CT_IPV6_DST", 128, "M", "ipv6", "CT", KEY.ctIpv6Dst),
  row("ct_tp_src NXM_NX_CT_TP_SRC", 16, "M", "decimal", "CT", KEY.ctPorts),
  row("ct_tp_dst NXM_NX_CT_TP_DST", 16, "M", "decimal", "CT", KEY.ctPorts, 16),
  ...numbered(REGISTER_COUNT, n =>
    row(`reg${n} NXM_NX_REG${n}`, 32, "MW", "hexadecimal", "none", KEY.registers + n),
  ),
  ...numbered(REGISTER_COUNT / 2, n =>
    row(`xreg${n} OXM_OF_PKT_REG${n}`, 64, "MW", "hexadecimal", "none", KEY.registers + 2 * n),
  ),
  ...numbered(REGISTER_COUNT / 4, n =>
    row(`xxreg${n} NXM_NX_XXREG${n}`, 128, "MW", "hexadecimal", "none", KEY.registers + 4 * n),
  ),
];

const LAYER_2_ROWS: readonly Row[] = [
  row("eth_src dl_src NXM_OF_ETH_SRC OXM_OF_ETH_SRC", 48, "MW", "ethernet", "Ethernet", KEY.dlSrc),
  row("eth_dst dl_dst NXM_OF_ETH_DST OXM_OF_ETH_DST", 48, "MW", "ethernet", "Ethernet", KEY.dlDst),
  row("eth_type dl_type NXM_OF_ETH_TYPE OXM_OF_ETH_TYPE", 16, "", "hexadecimal", "Ethernet", KEY.dlType),
  row("vlan_tci NXM_OF_VLAN_TCI", 16, "MW", "hexadecimal", "Ethernet", KEY.vlanTci),
  row("dl_vlan", 12, "W", "decimal", "Ethernet", KEY.vlanTci),
  row("vlan_vid OXM_OF_VLAN_VID", 12, "MW", "decimal", "Ethernet", KEY.vlanTci, 0, {
    placeBits: 13,
    valid: 0x1fffn,
  }),
  row("dl_vlan_pcp", 3, "W", "decimal", "Ethernet", KEY.vlanTci, 13),
  row("vlan_pcp OXM_OF_VLAN_PCP", 3, "W", "decimal", "VLAN VID", KEY.vlanTci, 13),
  row("mpls_label OXM_OF_MPLS_LABEL", 20, "W", "decimal", "MPLS", KEY.mplsLse, 12),
  row("mpls_tc OXM_OF_MPLS_TC", 3, "W", "decimal", "MPLS", KEY.mplsLse, 9),
  row("mpls_bos OXM_OF_MPLS_BOS", 1, "", "decimal", "MPLS", KEY.mplsLse, 8),
  row("mpls_ttl NXM_NX_MPLS_TTL", 8, "W", "decimal", "MPLS", KEY.mplsLse),
];

const LAYER_3_ROWS: readonly Row[] = [
  row("ip_src nw_src NXM_OF_IP_SRC OXM_OF_IPV4_SRC", 32, "MW", "ipv4", "IPv4", KEY.nwSrc),
  row("ip_dst nw_dst NXM_OF_IP_DST OXM_OF_IPV4_DST", 32, "MW", "ipv4", "IPv4", KEY.nwDst),
  row("ipv6_src NXM_NX_IPV6_SRC OXM_OF_IPV6_SRC", 128, "MW", "ipv6", "IPv6", KEY.ipv6Src),
  row("ipv6_dst NXM_NX_IPV6_DST OXM_OF_IPV6_DST", 128, "MW", "ipv6", "IPv6", KEY.ipv6Dst),
  row("ipv6_label NXM_NX_IPV6_LABEL OXM_OF_IPV6_FLABEL", 20, "MW", "hexadecimal", "IPv6", KEY.ipv6Label),
  row("nw_proto ip_proto NXM_OF_IP_PROTO OXM_OF_IP_PROTO", 8, "", "decimal", "IPv4/IPv6", KEY.nwProto),
  row("nw_tos NXM_OF_IP_TOS", 8, "W", "decimal", "IPv4/IPv6", KEY.nwTos, 0, { valid: 0xfcn }),
  row("ip_dscp OXM_OF_IP_DSCP", 6, "W", "decimal", "IPv4/IPv6", KEY.nwTos, 2),
  row("nw_ecn ip_ecn NXM_NX_IP_ECN OXM_OF_IP_ECN", 2, "W", "decimal", "IPv4/IPv6", KEY.nwTos),
  row("nw_ttl NXM_NX_IP_TTL", 8, "W", "decimal", "IPv4/IPv6", KEY.nwTtl),
  row("ip_frag nw_frag NXM_NX_IP_FRAG", 2, "M", "frag", "IPv4/IPv6", KEY.nwFrag),
  // ARP shares words with IPv4. Only eight bits of the operation are kept; a frame with a larger one reads as
  // 0.
  row("arp_op NXM_OF_ARP_OP OXM_OF_ARP_OP", 16, "W", "decimal", "ARP", KEY.nwProto),
  row("arp_spa NXM_OF_ARP_SPA OXM_OF_ARP_SPA", 32, "MW", "ipv4", "ARP", KEY.nwSrc),
  row("arp_tpa NXM_OF_ARP_TPA OXM_OF_ARP_TPA", 32, "MW", "ipv4", "ARP", KEY.nwDst),
  row("arp_sha NXM_NX_ARP_SHA OXM_OF_ARP_SHA", 48, "MW", "ethernet", "ARP", KEY.arpSha),
  row("arp_tha NXM_NX_ARP_THA OXM_OF_ARP_THA", 48, "MW", "ethernet", "ARP", KEY.arpTha),
  row("nsh_flags NXOXM_NSH_FLAGS", 8, "MW", "decimal", "NSH", KEY.nshBase),
  row("nsh_ttl NXOXM_NSH_TTL", 8, "W", "decimal", "NSH", KEY.nshBase, 8),
  row("nsh_mdtype NXOXM_NSH_MDTYPE", 8, "", "decimal", "NSH", KEY.nshBase, 16),
  row("nsh_np NXOXM_NSH_NP", 8, "", "decimal", "NSH", KEY.nshBase, 24),
  row("nsh_spi nsp NXOXM_NSH_SPI", 24, "W", "hexadecimal", "NSH", KEY.nshSpi),
  row("nsh_si nsi NXOXM_NSH_SI", 8, "W", "decimal", "NSH", KEY.nshSi),
  ...numbered(4, n =>
    row(`nsh_c${n + 1} nshc${n + 1} NXOXM_NSH_C${n + 1}`, 32, "MW", "hexadecimal", "NSH", KEY.nshContext + n),
  ),
];

/** ICMP types and codes are eight bits in the sixteen of a port, which are matched as a whole. */
const ICMP = { placeBits: 16, valid: 0xffn };

/** TCP, UDP and SCTP ports share two words, and ICMP type and code lie there too. */
const LAYER_4_ROWS: readonly Row[] = [
  row("tcp_src tp_src NXM_OF_TCP_SRC OXM_OF_TCP_SRC", 16, "MW", "decimal", "TCP", KEY.tpSrc),
  row("tcp_dst tp_dst NXM_OF_TCP_DST OXM_OF_TCP_DST", 16, "MW", "decimal", "TCP", KEY.tpDst),
  row(
    "tcp_flags NXM_NX_TCP_FLAGS ONFOXM_ET_TCP_FLAGS OXM_OF_TCP_FLAGS",
    12,
    "M",
    "tcp flags",
    "TCP",
    KEY.tcpFlags,
  ),
  row("udp_src NXM_OF_UDP_SRC OXM_OF_UDP_SRC", 16, "MW", "decimal", "UDP", KEY.tpSrc),
  row("udp_dst NXM_OF_UDP_DST OXM_OF_UDP_DST", 16, "MW", "decimal", "UDP", KEY.tpDst),
  row("sctp_src OXM_OF_SCTP_SRC", 16, "MW", "decimal", "SCTP", KEY.tpSrc),
  row("sctp_dst OXM_OF_SCTP_DST", 16, "MW", "decimal", "SCTP", KEY.tpDst),
  row("icmp_type NXM_OF_ICMP_TYPE OXM_OF_ICMPV4_TYPE", 8, "W", "decimal", "ICMPv4", KEY.tpSrc, 0, ICMP),
  row("icmp_code NXM_OF_ICMP_CODE OXM_OF_ICMPV4_CODE", 8, "W", "decimal", "ICMPv4", KEY.tpDst, 0, ICMP),
  row("icmpv6_type NXM_NX_ICMPV6_TYPE OXM_OF_ICMPV6_TYPE", 8, "W", "decimal", "ICMPv6", KEY.tpSrc, 0, ICMP),
  row("icmpv6_code NXM_NX_ICMPV6_CODE OXM_OF_ICMPV6_CODE", 8, "W", "decimal", "ICMPv6", KEY.tpDst, 0, ICMP),
  row("nd_target NXM_NX_ND_TARGET OXM_OF_IPV6_ND_TARGET", 128, "MW", "ipv6", "ND", KEY.ndTarget),
  row("nd_sll NXM_NX_ND_SLL OXM_OF_IPV6_ND_SLL", 48, "MW", "ethernet", "ND solicit", KEY.arpSha),
  row("nd_tll NXM_NX_ND_TLL OXM_OF_IPV6_ND_TLL", 48, "MW", "ethernet", "ND advert", KEY.arpTha),
  row("nd_reserved ERICOXM_OF_ICMPV6_ND_RESERVED", 32, "W", "decimal", "ND", KEY.ndReserved),
  row("nd_options_type ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", 8, "W", "decimal", "ND", KEY.ndOptionsType),
];

const isHeader = (name: string): boolean => /^[A-Z]/.test(name);

function fieldOf(one: Row, id: number): Field {
  const names = one.names.split(" ");
  const [name, ...aliases] = names.filter(name => !isHeader(name));
  const headers = names.filter(isHeader);
  return {
    id,
    name: name!,
    aliases,
    headers,
    nxm: headers[0] ?? null,
    bits: one.bits,
    valid: one.valid ?? (1n << BigInt(one.bits)) - 1n,
    isMaskable: one.isMaskable,
    format: one.format,
    prerequisite: one.prerequisite,
    isWritable: one.isWritable,
    place: one.word === null ? null : { word: one.word, shift: one.shift, bits: one.placeBits },
  };
}

/** All fields. The order is ours and of no meaning. */
export const FIELDS: readonly Field[] = [
  ...METADATA_ROWS,
  ...LAYER_2_ROWS,
  ...LAYER_3_ROWS,
  ...LAYER_4_ROWS,
].map(fieldOf);

const BY_PLAIN_NAME = new Map(FIELDS.flatMap(field => [field.name, ...field.aliases].map(n => [n, field])));
const BY_HEADER = new Map(FIELDS.flatMap(field => field.headers.map(n => [n, field])));

/** The words of the flow key that hold a field; none if it has no place there. */
export const wordsIn = ({ place }: Field): number[] =>
  place === null
    ? []
    : Array.from({ length: Math.ceil((place.shift + place.bits) / 32) }, (_, index) => place.word + index);

/**
 * The field of a plain name or alias (`dl_dst`), as it may stand before `=` in a match. Case matters, as in
 * OVS.
 */
export function plainField(name: string): Field | undefined {
  return BY_PLAIN_NAME.get(name);
}

/** The field of any name: plain, NXM or OXM. Case matters, as in OVS. */
export function findField(name: string): Field | undefined {
  return BY_PLAIN_NAME.get(name) ?? BY_HEADER.get(name);
}

/** The field of a name that is known to exist; an assertion otherwise. */
export function fieldNamed(name: string): Field {
  const field = findField(name);
  if (field === undefined) throw new Error(`assertion: no field ${name}`);
  return field;
}

/** Every name of every field, for "did you mean". */
export const FIELD_NAMES: readonly string[] = [...BY_PLAIN_NAME.keys(), ...BY_HEADER.keys()];
