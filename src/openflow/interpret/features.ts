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
    "Registers beyond 15 exist from Open vSwitch 3.7 on.",
  ),
  feature(
    "dl_src, dl_dst, dl_type",
    "executed",
    "LLC/SNAP frames have the type of their SNAP header, other 802.3 frames 0x05ff.",
  ),
  feature(
    "vlan_tci, vlan_vid, vlan_pcp, dl_vlan, dl_vlan_pcp",
    "executed",
    "The outermost tag. Tags beyond other_config:vlan-limit (1 unless set) are payload.",
  ),
  feature("mpls_label, mpls_tc, mpls_bos, mpls_ttl", "executed", "The outermost entry; three are kept."),
  feature(
    "nw_src, nw_dst, nw_proto, nw_tos, nw_ecn, ip_dscp, nw_ttl, nw_frag",
    "executed",
    "Zero when the IP header cannot be read; checksums and version are not checked.",
  ),
  feature("ipv6_src, ipv6_dst, ipv6_label", "executed", "Extension headers are stepped over."),
  feature(
    "arp_op, arp_spa, arp_tpa, arp_sha, arp_tha",
    "executed",
    "RARP too. An operation above 255 reads as 0.",
  ),
  feature(
    "tp_src, tp_dst, udp_*, sctp_*, tcp_flags, icmp_type, icmp_code, icmpv6_*",
    "executed",
    "Ports of fragments are looked up as 0 (fragment mode normal).",
  ),
  feature(
    "nd_target, nd_sll, nd_tll, nd_reserved, nd_options_type",
    "executed",
    "Of neighbour solicitations and advertisements.",
  ),
  feature(
    "tun_*, pkt_mark, skb_priority",
    "executed",
    [
      "State that comes with a frame. In a proof tun_* is free for frames from ports that may be tunnels,",
      "and the others for all frames. In trace they are zero unless the flow syntax gives them.",
    ].join(" "),
  ),
  feature(
    "ct_*, packet_type",
    "executed",
    "A frame from a port is untracked and is Ethernet: all of them are zero.",
  ),
  feature("nsh_*", "unknown", "Network service headers are not read."),
  feature("tun_metadata*", "unknown", "Its place in Geneve options depends on the switch's TLV table."),
  feature("conj_id", "executed", "Zero, except while a table is asked for the flow of a conjunctive match."),
  feature("dp_hash", "executed", "Zero: what sets it is unknown."),
  feature("recirc_id", "unknown", "The datapath gives these numbers."),
  feature("actset_output", "executed", "The port of the action set's output, unset without one."),
];
