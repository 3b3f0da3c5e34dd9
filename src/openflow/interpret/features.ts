/**
 * What of the flow language is executed, and what is *unknown*: its outcome depends on something that a flow table and
 * one frame do not say. The interpreter reads this table, and docs/language.md is made from it, so that the two cannot
 * differ. An unknown feature makes an outcome unknown only when a packet meets it.
 */

export type Support = "executed" | "no effect" | "unknown";

export interface Feature {
  readonly name: string;
  readonly support: Support;
  /** What is worth knowing, or why it is unknown; whole sentences. */
  readonly note: string;
}

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
    "What a frame brings along: in a proof tun_* is free for frames from ports that may be tunnels, the others for all frames. In trace they are zero unless the flow syntax gives them.",
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

/** Actions, by the name that Open vSwitch prints. */
export const ACTION_FEATURES: readonly Feature[] = [
  feature("output", "executed", "To in_port: nothing. To a port that is not there: nothing."),
  feature("IN_PORT, LOCAL, ANY", "executed", ""),
  feature("ALL", "executed", "Unknown when the ports of the bridge are not given."),
  feature("TABLE", "executed", "As resubmit to table 0."),
  feature(
    "NORMAL",
    "unknown",
    "Depends on learned addresses, VLANs, bonds and spanning tree. Other actions beside it are executed.",
  ),
  feature("FLOOD", "unknown", "Depends on the no-flood setting of each port and on spanning tree."),
  feature(
    "output(port,max_len)",
    "executed",
    "Truncates before other changes: what is pushed afterwards comes on top.",
  ),
  feature(
    "controller, CONTROLLER",
    "executed",
    "As a packet-in with the whole frame, whatever max_len says. Without other arguments its reason is group in a bucket and action_set in an action set; the reason action is no_match in a flow of priority 0 that matches everything. With pause or a meter it is unknown, and so are changes after it behind more tags than vlan-limit, where Open vSwitch writes to the wrong bytes.",
  ),
  feature(
    "enqueue, set_queue, pop_queue",
    "executed",
    "The queue is part of what leaves. Its number stands for skb_priority.",
  ),
  feature(
    "group: all, indirect, ff",
    "executed",
    "ff needs to be told which ports are live, unless its first bucket watches nothing.",
  ),
  feature(
    "group: select",
    "unknown",
    "The bucket depends on a hash. In a proof the same group at the end of both sides is the same; with actions behind it, or after a recirculation, it is unknown.",
  ),
  feature(
    "resubmit, goto_table",
    "executed",
    "64 levels, 4096 lookups, 64 kB of stack; beyond that the frame is dropped, whatever was put out before; unknown after two recirculations.",
  ),
  feature("resubmit(…,ct)", "unknown", "Depends on connection tracking."),
  feature("push_vlan, pop_vlan, mod_vlan_vid, mod_vlan_pcp", "executed", ""),
  feature(
    "push_mpls, pop_mpls, set_mpls_label, set_mpls_tc, set_mpls_ttl, dec_mpls_ttl",
    "executed",
    "Three labels at most, beyond that the frame is dropped; some stacks without a bottom make Open vSwitch end itself, which is unknown. A pop is followed by a new look at the packet when an action needs one.",
  ),
  feature(
    "set_field, load, mod_*, move, push, pop",
    "executed",
    "Ignored when the packet does not have the field. tun_metadata and NSH are unknown, and so is what becomes of ARP and labels that are cut short, where Open vSwitch writes beyond the end of the packet, and of IP headers that it looks for in the wrong place (pushed labels behind LLC/SNAP, label stacks of zeros).",
  ),
  feature("dec_ttl", "executed", "A TTL of 0 or 1 ends the list of actions it stands in."),
  feature(
    "write_metadata, write_actions, clear_actions",
    "executed",
    "In the fixed order of Open vSwitch. Unknown when the action set is longer than what is left to do when a packet is looked at anew after a pop_mpls: Open vSwitch ends itself then.",
  ),
  feature("clone, exit", "executed", ""),
  feature("note", "no effect", ""),
  feature(
    "conjunction",
    "executed",
    "Flows of one priority are weighed together, below ordinary flows of that priority. When all clauses of an id match, the table is asked again with that conj_id: the highest ordinary flow stands, of whatever priority. Ambiguous where the order of installation decides which of two ids is found first and their flows differ. In a proof unknown where one flow is two clauses of an id, one id has two numbers of clauses, or an id has 64.",
  ),
  feature("meter", "unknown", "Drops by rate. What follows is executed for a packet that passes."),
  feature(
    "learn",
    "executed",
    "The flow that it adds is part of the outcome. Later packets are not traced through it. With result_dst it is unknown.",
  ),
  feature("fin_timeout", "no effect", "Changes how long the flow lives."),
  feature("sample", "executed", "The report to a collector is part of the outcome, with its arguments."),
  feature("ct_clear", "no effect", "No packet is tracked, as ct is unknown."),
  feature("delete_field", "unknown", "Only tun_metadata can be deleted, which is not modelled."),
  feature("debug_slow", "no effect", ""),
  feature(
    "ct",
    "unknown",
    "Depends on the connection. Without table and nat, what follows is executed for a packet that passes.",
  ),
  feature("nat", "unknown", "Depends on the connection."),
  feature("multipath", "unknown", "Depends on a hash."),
  feature("bundle", "unknown", "Depends on a hash and on live ports."),
  feature("bundle_load", "unknown", "Depends on a hash and on live ports."),
  feature("check_pkt_larger", "unknown", "The lengths of packets are not modelled."),
  feature("encap", "unknown", "Packets that are not Ethernet are not modelled."),
  feature("decap", "unknown", "Packets that are not Ethernet are not modelled."),
  feature("dec_nsh_ttl", "unknown", "Network service headers are not read."),
  feature("debug_recirc", "unknown", "For the test suite of Open vSwitch only."),
];

const ACTIONS = new Map(ACTION_FEATURES.map(row => [row.name, row]));

/** How far an action that the parser keeps as text is executed; what is not in the table is unknown. */
export function supportOf(action: string): Support {
  return ACTIONS.get(action)?.support ?? "unknown";
}
