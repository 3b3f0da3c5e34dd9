/**
 * For each field of the registry a match that compares it, with the prerequisites that Open vSwitch demands: for tests that
 * must not forget a field.
 */
import type { Field } from "../../src/openflow/index.ts";

/** What a match must say for a field to be kept (ovs-fields(7), "Prerequisites"). */
const WITH: Readonly<Record<Field["prerequisite"], string>> = {
  none: "",
  Ethernet: "",
  ARP: "arp",
  "VLAN VID": "dl_vlan=5",
  IPv4: "ip",
  IPv6: "ipv6",
  "IPv4/IPv6": "ip",
  CT: "ip,ct_state=+trk+est",
  MPLS: "mpls",
  NSH: "dl_type=0x894f",
  TCP: "tcp",
  UDP: "udp",
  SCTP: "sctp",
  ICMPv4: "icmp",
  ICMPv6: "icmp6",
  ND: "icmp6,icmpv6_type=135,icmpv6_code=0",
  "ND solicit": "icmp6,icmpv6_type=135,icmpv6_code=0",
  "ND advert": "icmp6,icmpv6_type=136,icmpv6_code=0",
};

/** Fields that need more, or whose value is not the number 1. */
const INSTEAD: Readonly<Record<string, string>> = {
  nw_tos: "ip,nw_tos=4",
  ct_state: "ct_state=+trk",
  ct_nw_proto: "ip,ct_state=+trk+est,ct_nw_proto=6",
  ct_tp_src: "ip,ct_state=+trk+est,ct_nw_proto=6,ct_tp_src=1",
  ct_tp_dst: "ip,ct_state=+trk+est,ct_nw_proto=6,ct_tp_dst=1",
  ct_ipv6_src: "ipv6,ct_state=+trk+est,ct_ipv6_src=::1",
  ct_ipv6_dst: "ipv6,ct_state=+trk+est,ct_ipv6_dst=::1",
  nw_proto: "ip,nw_proto=1",
  eth_type: "eth_type=0x88b5",
  vlan_vid: "vlan_vid=4097",
  vlan_tci: "vlan_tci=0x1001",
  nsh_c1: "dl_type=0x894f,nsh_mdtype=1,nsh_c1=1",
  nsh_c2: "dl_type=0x894f,nsh_mdtype=1,nsh_c2=1",
  nsh_c3: "dl_type=0x894f,nsh_mdtype=1,nsh_c3=1",
  nsh_c4: "dl_type=0x894f,nsh_mdtype=1,nsh_c4=1",
};

const VALUES: Readonly<Partial<Record<Field["format"], string>>> = {
  ethernet: "00:00:00:00:00:01",
  ipv4: "0.0.0.1",
  ipv6: "::1",
  frag: "later",
  "tunnel flags": "+oam",
  "tcp flags": "+fin",
  "packet type": "(1,0x800)",
};

/** What a match must say for a field to be there; empty: nothing. */
export const prerequisiteOf = (field: Field): string => WITH[field.prerequisite];

/** A value of a field other than zero. */
export const sampleValueOf = ({ name, format }: Field): string =>
  name === "nw_tos" ? "4" : (VALUES[format] ?? "1");

/** A match on a field, as a line for add-flows has it. */
export function matchOf(field: Field): string {
  const before = WITH[field.prerequisite];
  const own = `${field.name}=${sampleValueOf(field)}`;
  return INSTEAD[field.name] ?? (before === "" ? own : `${before},${own}`);
}
