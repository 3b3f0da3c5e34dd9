/**
 * How far the fields of a match are executed; what is *unknown* depends on something that a flow table and
 * one frame do not contain. docs/language.md is made from this table, and from the entries of actions/. An
 * unknown field makes an outcome unknown only if a packet meets it.
 */
import type { Feature, Support } from "../actions/index.ts";

const feature = (name: string, support: Support, note: string): Feature => ({ name, support, note });

/** Matches, by the name of the field; `*` stands for a number. */
export const MATCH_FEATURES: readonly Feature[] = [
  feature(
    "in_port, in_port_oxm, metadata, reg*, xreg*, xxreg*",
    "executed",
    "Open vSwitch has registers beyond 15 since version 3.7.",
  ),
  feature(
    "dl_src, dl_dst, dl_type",
    "executed",
    "The type of an LLC/SNAP frame is that of its SNAP header; of another 802.3 frame, 0x05ff.",
  ),
  feature(
    "vlan_tci, vlan_vid, vlan_pcp, dl_vlan, dl_vlan_pcp",
    "executed",
    "The outermost tag. Tags beyond other_config:vlan-limit (default: 1) are payload.",
  ),
  feature(
    "mpls_label, mpls_tc, mpls_bos, mpls_ttl",
    "executed",
    "The outermost of at most three label stack entries.",
  ),
  feature(
    "nw_src, nw_dst, nw_proto, nw_tos, nw_ecn, ip_dscp, nw_ttl, nw_frag",
    "executed",
    "Zero if the IP header cannot be parsed. Checksums and version are not checked.",
  ),
  feature("ipv6_src, ipv6_dst, ipv6_label", "executed", "Extension headers are skipped."),
  feature(
    "arp_op, arp_spa, arp_tpa, arp_sha, arp_tha",
    "executed",
    "Of ARP and RARP. An operation above 255 becomes 0.",
  ),
  feature(
    "tp_src, tp_dst, udp_*, sctp_*, tcp_flags, icmp_type, icmp_code, icmpv6_*",
    "executed",
    "The ports of fragments are 0 (fragment mode normal).",
  ),
  feature(
    "nd_target, nd_sll, nd_tll, nd_reserved, nd_options_type",
    "executed",
    "Of neighbor solicitations and advertisements.",
  ),
  feature(
    "tun_*, pkt_mark, skb_priority",
    "executed",
    [
      "State that accompanies a frame. In a proof, tun_* has any value on ports that may be tunnels,",
      "and the other two on all ports. In trace they are zero unless the flow syntax sets them.",
    ].join(" "),
  ),
  feature("ct_*", "executed", "All zero until ct with a table: a frame from a port is untracked."),
  feature("packet_type", "executed", "Zero: a frame from a port is Ethernet."),
  feature("nsh_*", "unknown", "Network service headers are not parsed."),
  feature(
    "tun_metadata*",
    "unknown",
    "The position in Geneve options depends on the TLV table of the switch.",
  ),
  feature("conj_id", "executed", "Zero, except in the lookup for the flow of a conjunctive match."),
  feature("dp_hash", "executed", "Zero: the actions that set it are unknown."),
  feature("recirc_id", "unknown", "The datapath allocates these numbers."),
  feature("actset_output", "executed", "The output port of the action set; unset if the set has no output."),
];
