/**
 * Every action in every place: each action with its forms of arguments (ovs-actions(7)), in an apply list, an
 * action set, each kind of group bucket, a clone, behind a recirculation, in a table that is called, and some
 * of these in each other. One cell of the product is a few flows and groups of its own; frames find their
 * cell by their source address. Nothing here knows what a cell does: what Open vSwitch refuses is dropped by
 * whoever installs it.
 */
import { macBytes } from "../openflow/interpret/frames.ts";
import { FRAMES, type Need } from "./place-frames.ts";

/** An action, and what must be known of a packet before Open vSwitch takes it. */
export interface Form {
  readonly text: string;
  readonly need: Need;
  /** Open vSwitch asks nothing of the match in an action set or a bucket, and takes it only there. */
  readonly isInSets?: boolean;
}

const forms = (need: Need, ...texts: string[]): Form[] => texts.map(text => ({ text, need }));
const inSets = (need: Need, ...texts: string[]): Form[] =>
  texts.map(text => ({ text, need, isInSets: true }));

/** Groups and tables that the actions name, the same for all cells. Ports 1…6 exist, 9 does not. */
export const SHARED_GROUPS = [
  "group_id=1,type=all,bucket=actions=set_field:02:00:00:00:00:91->eth_dst,output:5",
  "group_id=2,type=indirect,bucket=actions=output:6",
  "group_id=3,type=all",
];
/** A table to call that changes something, one that puts out, and one that ends everything. */
export const SHARED_FLOWS = [
  "table=20 actions=set_field:0x77->reg1,set_field:02:00:00:00:00:92->eth_dst",
  "table=21 actions=output:5",
  "table=22 actions=output:5,exit",
  "table=23,in_port=3 actions=output:6",
  "table=24 actions=write_actions(output:6)",
];

export const FORMS: readonly Form[] = [
  ...forms("any", "output:2", "output:1", "in_port", "output:9", "LOCAL", "ALL", "NORMAL", "FLOOD"),
  ...forms(
    "any",
    "output(port=2,max_len=20)",
    "output(port=1,max_len=20)",
    "output(port=in_port,max_len=20)",
  ),
  ...forms("any", "output:NXM_NX_REG0[]", "output:NXM_NX_REG0[0..15]", "output:NXM_NX_REG2[]"),
  ...forms("any", "controller", "controller:20", "controller(max_len=20)", "controller(max_len=65535)"),
  ...forms(
    "any",
    "controller(reason=action)",
    "controller(reason=no_match)",
    "controller(reason=invalid_ttl)",
  ),
  ...forms(
    "any",
    "controller(reason=group)",
    "controller(reason=action_set)",
    "controller(reason=packet_out)",
  ),
  ...forms("any", "controller(id=5)", "controller(id=0)", "controller(id=6)", "controller(userdata=01.02)"),
  ...forms("any", "controller(userdata=)", "controller(reason=no_match,max_len=20,id=5,userdata=ff)"),
  ...forms("any", "controller(pause)", "controller(meter_id=1)", "controller(pause,id=5)"),
  ...forms(
    "any",
    "enqueue:2:1",
    "enqueue:1:1",
    "enqueue:in_port:1",
    "set_queue:1",
    "set_queue:0",
    "pop_queue",
  ),
  ...forms("any", "set_queue:1,pop_queue", "group:1", "group:2", "group:3", "group:99"),
  ...forms("any", "resubmit:3", "resubmit(,20)", "resubmit(,21)", "resubmit(,22)", "resubmit(3,23)"),
  ...forms("any", "resubmit(1,23)", "resubmit(,24)", "resubmit(,99)", "resubmit(in_port,21)"),
  ...forms(
    "any",
    "clone(output:2)",
    "clone(set_field:1->reg0,output:2)",
    "clone(exit)",
    "clone(resubmit(,21))",
  ),
  ...forms("any", "clone(output(port=2,max_len=20),set_field:2->reg0)", "clone(group:1)", "clone()"),
  ...forms("any", "exit", "note:01.02", "conjunction(1,1/2)", "meter:1"),
  ...forms("any", "fin_timeout(idle_timeout=1,hard_timeout=2)", "debug_slow", "debug_recirc"),
  ...forms("any", "set_field:5->reg0", "set_field:0x5/0xf->reg0", "load:3->NXM_NX_REG0[4..7]"),
  ...forms("any", "set_field:0x100000002->xreg0", "set_field:0x10000000000000002->xxreg0"),
  ...forms("any", "set_field:0x64->metadata", "set_field:0x4/0xf->metadata", "set_field:3->pkt_mark"),
  ...forms(
    "any",
    "set_field:0x64->tun_id",
    "set_tunnel:100",
    "set_tunnel64:100",
    "set_field:10.9.9.9->tun_dst",
  ),
  ...forms("any", "set_field:1.2.3.4->tun_src", "set_field:0x1->tun_gbp_id", "set_field:0x12->tun_metadata0"),
  ...forms(
    "any",
    "delete_field:tun_metadata0",
    "set_field:fc00::9->tun_ipv6_dst",
    "set_field:oam->tun_flags",
  ),
  ...forms("any", "load:3->NXM_OF_IN_PORT[]", "load:0->NXM_OF_IN_PORT[]", "set_field:2->in_port_oxm"),
  ...forms("any", "set_field:02:00:00:00:00:05->eth_dst", "mod_dl_dst:02:00:00:00:00:05"),
  ...forms("any", "set_field:00:00:00:00:00:05/00:00:00:00:00:0f->eth_dst", "mod_dl_src:02:00:00:00:00:05"),
  ...forms("any", "load:5->NXM_OF_ETH_DST[3..7]", "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]"),
  ...forms("any", "move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]", "move:NXM_NX_REG2[0..15]->NXM_OF_IN_PORT[]"),
  ...forms("any", "move:NXM_OF_ETH_TYPE[]->NXM_NX_REG0[0..15]", "move:OXM_OF_METADATA[0..31]->NXM_NX_REG0[]"),
  ...forms("any", "move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[]", "move:NXM_NX_PKT_MARK[]->NXM_NX_REG0[]"),
  ...forms("any", "move:OXM_OF_ACTSET_OUTPUT[0..15]->NXM_NX_REG0[0..15]", "push:NXM_NX_REG2[]"),
  ...forms("any", "pop:NXM_NX_REG0[]", "push:NXM_NX_REG2[],pop:NXM_NX_REG0[]", "push:NXM_OF_ETH_SRC[0..15]"),
  ...forms("any", "push_vlan:0x8100", "push_vlan:0x88a8", "push_vlan:0x8100,set_field:4101->vlan_vid"),
  ...forms("any", "load:0x1005->NXM_OF_VLAN_TCI[]", "push_mpls:0x8847"),
  ...forms("any", "push_mpls:0x8848", "push_mpls:0x8847,set_field:77->mpls_label,push_mpls:0x8847"),
  ...forms(
    "any",
    "ct_clear",
    "ct(commit)",
    "ct(table=21)",
    "ct(commit,zone=5,exec(set_field:1->ct_mark))",
    "ct(nat)",
  ),
  ...forms("any", "learn(table=200,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"),
  ...forms(
    "any",
    "learn(table=200,load:5->NXM_NX_REG0[])",
    "learn(table=200,limit=1,result_dst=NXM_NX_REG0[0])",
  ),
  ...forms(
    "any",
    "multipath(eth_src,0,modulo_n,1,0,NXM_NX_REG0[])",
    "bundle(eth_src,0,active_backup,ofport,members:2)",
  ),
  ...forms("any", "bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG0[0..15],members:2)"),
  ...forms("any", "sample(probability=65535,collector_set_id=1,obs_domain_id=1,obs_point_id=1)"),
  ...forms(
    "any",
    "sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1,sampling_port=2,egress)",
  ),
  ...forms("any", "check_pkt_larger(60)->NXM_NX_REG0[0]", "encap(nsh)", "encap(ethernet)", "decap"),
  ...forms(
    "tag",
    "pop_vlan",
    "strip_vlan",
    "set_field:4102->vlan_vid",
    "set_field:5->vlan_pcp",
    "set_vlan_vid:7",
  ),
  ...forms(
    "tag",
    "set_vlan_pcp:1",
    "move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG0[0..11]",
    "load:0->NXM_OF_VLAN_TCI[]",
  ),
  ...forms(
    "mpls",
    "pop_mpls:0x0800",
    "pop_mpls:0x8847",
    "pop_mpls:0x86dd",
    "dec_mpls_ttl",
    "set_mpls_ttl(1)",
  ),
  ...forms(
    "mpls",
    "set_mpls_label(99)",
    "set_mpls_tc(3)",
    "set_field:99->mpls_label",
    "set_field:3->mpls_tc",
  ),
  ...forms("mpls", "set_field:1->mpls_ttl", "load:5->OXM_OF_MPLS_LABEL[4..9]", "push_mpls:0x8847"),
  ...forms(
    "mpls",
    "move:OXM_OF_MPLS_LABEL[]->NXM_NX_REG0[0..19]",
    "move:NXM_NX_REG2[0..7]->NXM_NX_MPLS_TTL[]",
  ),
  ...forms(
    "ip",
    "dec_ttl",
    "dec_ttl(0)",
    "dec_ttl(5)",
    "dec_ttl(0,5)",
    "dec_ttl(6)",
    "mod_nw_ttl:1",
    "mod_nw_ttl:9",
  ),
  ...forms(
    "ip",
    "mod_nw_tos:8",
    "mod_nw_ecn:2",
    "set_field:9->ip_dscp",
    "set_field:1->nw_ecn",
    "set_field:7->nw_ttl",
  ),
  ...forms("ip", "mod_nw_src:10.7.7.7", "mod_nw_dst:10.7.7.7", "set_field:10.7.7.7->ip_src"),
  ...forms("ip", "set_field:0.0.0.7/0.0.0.15->ip_dst", "load:3->NXM_OF_IP_TOS[2..5]"),
  ...forms("ip", "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]", "move:NXM_NX_IP_TTL[]->NXM_NX_REG0[0..7]"),
  ...forms("ip", "push:NXM_OF_IP_SRC[]", "push:NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[]"),
  ...forms(
    "ipv6",
    "set_field:fc00::9->ipv6_src",
    "set_field:fc00::9->ipv6_dst",
    "set_field:0x123->ipv6_label",
  ),
  ...forms("ipv6", "dec_ttl", "mod_nw_tos:8", "load:7->NXM_NX_IPV6_DST[60..70]", "set_field:9->nw_ttl"),
  ...forms("tcp", "mod_tp_src:9", "mod_tp_dst:9", "set_field:9->tcp_src", "set_field:9->tcp_dst"),
  ...forms("tcp", "set_field:0x5/0xf->tcp_dst", "move:NXM_OF_TCP_SRC[]->NXM_OF_TCP_DST[]"),
  ...forms("tcp", "fin_timeout(idle_timeout=1)", "move:NXM_OF_TCP_DST[]->NXM_NX_REG0[0..15]"),
  ...forms("udp", "mod_tp_src:9", "set_field:9->udp_dst", "move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]"),
  ...forms("arp", "set_field:2->arp_op", "set_field:10.7.7.7->arp_spa", "set_field:10.7.7.7->arp_tpa"),
  ...forms("arp", "set_field:02:00:00:00:00:07->arp_sha", "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]"),
  ...forms("arp", "load:2->NXM_OF_ARP_OP[]", "push:NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[]", "dec_ttl"),
  ...inSets("ip", "mod_tp_src:9", "mod_tp_dst:9"),
  ...inSets("ipv6", "mod_tp_src:9", "mod_tp_dst:9"),
  ...inSets("icmp", "mod_tp_src:9", "mod_tp_dst:9", "mod_tp_src:300", "mod_tp_dst:300"),
  ...inSets("nd", "mod_tp_src:136", "mod_tp_dst:1", "mod_tp_src:392"),
  ...forms("icmp", "set_field:3->icmp_type", "set_field:1->icmp_code"),
  ...forms("nd", "set_field:fc00::9->nd_target", "set_field:02:00:00:00:00:07->nd_sll"),
  ...forms("nd", "set_field:136->icmpv6_type", "set_field:1->icmpv6_code", "set_field:2->nd_options_type"),
  ...forms("nd", "load:0x20000000->ERICOXM_OF_ICMPV6_ND_RESERVED[]"),
];

/** What shows: the bytes, then registers, metadata, mark, tunnel and in_port in the addresses. */
const STATE = [
  "move:NXM_NX_REG0[0..15]->NXM_OF_ETH_DST[0..15]",
  "move:NXM_NX_REG1[0..15]->NXM_OF_ETH_DST[16..31]",
  "move:NXM_NX_PKT_MARK[0..7]->NXM_OF_ETH_DST[32..39]",
  "move:NXM_NX_TUN_ID[0..7]->NXM_OF_ETH_SRC[0..7]",
  "move:OXM_OF_METADATA[0..7]->NXM_OF_ETH_SRC[8..15]",
  "move:NXM_OF_IN_PORT[]->NXM_OF_ETH_SRC[16..31]",
  "output:3",
];
const TAIL = ["output:2", ...STATE];

/** Rules of one cell; the numbers of its groups are its own. */
export interface Cell {
  readonly name: string;
  readonly form: Form;
  readonly place: string;
  readonly id: number;
  readonly groups: readonly string[];
  readonly flows: readonly string[];
  readonly frames: readonly { readonly inPort: number; readonly frame: Uint8Array }[];
}

/**
 * What a place makes of an action: actions in its table and in the next ones, and buckets of groups by their
 * number.
 */
interface Laid {
  readonly actions: readonly string[];
  readonly next?: readonly string[];
  readonly third?: readonly string[];
  /** Actions of the one flow of a table, which matches everything at priority 0. */
  readonly miss?: readonly string[];
  readonly groups?: readonly (readonly [type: string, ...buckets: string[]])[];
  /** A packet of another kind than the action wants comes, which a pop makes that kind. */
  readonly isPopped?: boolean;
  readonly head?: string;
}

type Place = (action: string, group: (n: number) => string) => Laid;

const bucketOf =
  (type: "all" | "indirect" | "select" | "ff", isAlone: boolean): Place =>
  (action, group) => ({
    actions: [group(0), ...TAIL],
    groups: [[type, isAlone ? action : `${action},output:4`]],
  });

/** The places, by their names. */
export const PLACES: Readonly<Record<string, Place>> = {
  apply: action => ({ actions: [action, ...TAIL] }),
  "apply, last of all": action => ({ actions: ["output:4", action] }),
  "apply, alone": action => ({ actions: [action] }),
  "apply, before exit": action => ({ actions: [action, "output:4", "exit", "output:5"] }),
  "apply, before an output that is cut": action => ({
    actions: [action, "output(port=4,max_len=18)", ...TAIL],
  }),
  "action set": action => ({ actions: ["output:5", `write_actions(${action},output:4)`] }),
  "action set, behind its output": action => ({ actions: [`write_actions(output:4,${action})`] }),
  "action set, alone": action => ({ actions: [`write_actions(${action})`] }),
  "action set, with a group": (action, group) => ({
    actions: [`write_actions(${group(0)},${action},output:4)`],
    groups: [["all", "output:5"]],
  }),
  "action set, written twice": action => ({
    actions: ["write_actions(set_field:1->reg0,output:4)", "goto_table:2"],
    next: [`write_actions(${action})`],
  }),
  "action set, cleared": action => ({
    actions: [`write_actions(${action},output:4)`, "goto_table:2"],
    next: ["clear_actions", "write_actions(output:5)"],
  }),
  "apply, beside an action set": action => ({
    actions: [action, "output:5", "write_actions(output:4)"],
  }),
  "apply, behind an action set": action => ({
    actions: ["write_actions(output:4)", "goto_table:2"],
    next: [action, ...TAIL],
  }),
  "bucket of all": bucketOf("all", false),
  "bucket of all, alone": bucketOf("all", true),
  "bucket of all, one of three": (action, group) => ({
    actions: [group(0), ...TAIL],
    groups: [["all", "output:5", `output:4,${action}`, "set_field:9->reg0,output:6"]],
  }),
  "bucket of indirect": bucketOf("indirect", false),
  "bucket of indirect, alone": bucketOf("indirect", true),
  "bucket of select": bucketOf("select", false),
  "bucket of ff": (action, group) => ({
    actions: [group(0), ...TAIL],
    groups: [["ff", `watch_port:2,actions=${action},output:4`, "watch_port:1,actions=output:5"]],
  }),
  "bucket of a group in a bucket": (action, group) => ({
    actions: [group(0), ...TAIL],
    groups: [
      ["all", `set_field:8->reg1,${group(1)}`, "output:5"],
      ["indirect", `${action},output:4`],
    ],
  }),
  "bucket of a group in an action set": (action, group) => ({
    actions: [`write_actions(set_field:8->reg1,${group(0)})`],
    groups: [["all", `${action},output:4`, `${action}`]],
  }),
  "bucket of a group in a clone": (action, group) => ({
    actions: [`clone(${group(0)},output:5)`, ...TAIL],
    groups: [["all", `${action},output:4`]],
  }),
  "group as last action": (action, group) => ({
    actions: [group(0)],
    groups: [["all", `${action},output:4`, `${action},output:5`]],
  }),
  clone: action => ({ actions: [`clone(${action},output:4)`, ...TAIL] }),
  "clone, behind its output": action => ({ actions: [`clone(output:4,${action})`, ...TAIL] }),
  "clone, last of all": action => ({ actions: ["output:5", `clone(${action},output:4)`] }),
  "clone in a clone": action => ({ actions: [`clone(clone(${action},output:4),output:5)`, ...TAIL] }),
  "clone that is a copy": action => ({
    actions: [`clone(output(port=6,max_len=20),${action},output:4)`, ...TAIL],
  }),
  "clone beside an action set": action => ({
    actions: [`clone(${action})`, "output:5", "write_actions(output:4)"],
  }),
  "clone behind an action set": action => ({
    actions: ["write_actions(output:4)", "goto_table:2"],
    next: [`clone(${action})`, ...TAIL],
  }),
  "called table": action => ({ actions: ["resubmit(,2)", ...TAIL], next: [action, "output:4"] }),
  "called table, next table": action => ({ actions: ["output:5", "goto_table:2"], next: [action, ...TAIL] }),
  "called table, as another port": action => ({
    actions: ["resubmit(3,2)", ...TAIL],
    next: [action, "output:4"],
  }),
  "called table of a called table": action => ({
    actions: ["resubmit(,2)", ...TAIL],
    next: ["set_field:4->reg1", "resubmit(,3)", "output:5"],
    third: [action, "output:4"],
  }),
  "called from a bucket": (action, group) => ({
    actions: [group(0), ...TAIL],
    groups: [["all", "set_field:4->reg1,resubmit(,2)", "output:5"]],
    next: [action, "output:4"],
  }),
  "called from a clone": action => ({
    actions: ["clone(resubmit(,2),output:5)", ...TAIL],
    next: [action, "output:4"],
  }),
  "called from an action set": action => ({
    actions: ["write_actions(set_field:4->reg1,resubmit(,2))"],
    next: [action, "output:4"],
  }),
  "behind a pop": action => ({ isPopped: true, actions: ["pop_mpls:TYPE", action, ...TAIL] }),
  "behind a pop and a change": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", "set_field:02:00:00:00:00:33->eth_dst", action, ...TAIL],
  }),
  "behind a pop and a new look": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", "resubmit(,2)", ...TAIL],
    next: [action, "output:4"],
  }),
  "behind a pop, in a clone": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", `clone(${action},output:4)`, ...TAIL],
  }),
  "behind a pop, in a bucket": (action, group) => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", group(0), ...TAIL],
    groups: [["all", `${action},output:4`, "output:5"]],
  }),
  "behind a pop, in a called table's action set": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", "resubmit(,2)", "output:5"],
    next: [`write_actions(${action},output:4)`],
  }),
  "behind a pop that a clone made": action => ({
    isPopped: true,
    actions: ["clone(pop_mpls:TYPE,resubmit(,2))", "output:5"],
    next: [action, ...TAIL],
  }),
  "behind a pop that a bucket made": (action, group) => ({
    isPopped: true,
    actions: [group(0), "output:5"],
    groups: [["all", "pop_mpls:TYPE,resubmit(,2)", "output:6"]],
    next: [action, ...TAIL],
  }),
  "behind two looks": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", "resubmit(,2)", "output:5"],
    next: ["push_mpls:0x8847", "pop_mpls:TYPE", "resubmit(,3)"],
    third: [action, ...TAIL],
  }),
  "behind a label pushed and popped": action => ({
    actions: ["push_mpls:0x8847", "pop_mpls:TYPE", "resubmit(,2)"],
    next: [action, ...TAIL],
  }),
  "behind a tag": action => ({ actions: ["push_vlan:0x8100", action, ...TAIL] }),
  "behind a stack and registers": action => ({
    actions: [
      "set_field:4->reg0",
      "set_field:0x55->tun_id",
      "push:NXM_NX_REG0[]",
      action,
      "pop:NXM_NX_REG1[]",
      ...TAIL,
    ],
  }),
  "a miss": action => ({ actions: ["resubmit(,MISS)", "output:5"], miss: [action, "output:4"] }),
  "a miss in a clone and in a bucket": (action, group) => ({
    actions: ["clone(resubmit(,MISS),output:5)", group(0)],
    groups: [["all", "set_field:4->reg1,resubmit(,MISS)"]],
    miss: [action, `clone(${action})`, "output:4"],
  }),
  "a miss called from an action set": action => ({
    actions: ["write_actions(resubmit(,MISS))"],
    miss: [action, "output:4"],
  }),
  "behind an expired TTL": action => ({
    isPopped: true,
    actions: ["pop_mpls:TYPE", "dec_ttl", action, ...TAIL],
  }),
};

/** How the match says what an action wants, and the type that a pop must give. */
export const NEEDS: Readonly<Record<Need, { readonly match: string; readonly type: string | null }>> = {
  any: { match: "", type: "0x0800" },
  tag: { match: "vlan_tci=0x1000/0x1000", type: null },
  mpls: { match: "mpls", type: "0x8847" },
  ip: { match: "ip", type: "0x0800" },
  ipv6: { match: "ipv6", type: "0x86dd" },
  tcp: { match: "tcp", type: "0x0800" },
  udp: { match: "udp", type: "0x0800" },
  icmp: { match: "icmp", type: "0x0800" },
  arp: { match: "arp", type: "0x0806" },
  nd: { match: "icmp6,icmp_type=135,icmp_code=0", type: "0x86dd" },
};

/** Actions of which a controller is told the reason. */
const TOLD = /^(controller|dec_ttl)/;

/** A source address of its own for each cell. */
export const macOf = (id: number): string =>
  `0a:00:00:00:${(id >> 8).toString(16).padStart(2, "0")}:${(id & 255).toString(16).padStart(2, "0")}`;

/** The cell of an action in a place; null where the place cannot have a packet of its kind. */
export function cellOf(form: Form, placeName: string, id: number): Cell | null {
  const { match, type } = NEEDS[form.need];
  const group = (n: number): string => `group:${10 + 4 * id + n}`;
  const laid = PLACES[placeName]!(form.text, group);
  const asks =
    laid.isPopped === true || [...laid.actions, ...(laid.next ?? [])].join().includes("pop_mpls:TYPE");
  if (asks && type === null) return null;
  if (laid.miss !== undefined && !TOLD.test(form.text)) return null;
  const missTable = 30 + (id % 200);
  const typed = (text: string): string =>
    text
      .replaceAll("pop_mpls:TYPE", `pop_mpls:${type}`)
      .replaceAll("resubmit(,MISS)", `resubmit(,${missTable})`);
  const flow = (table: number, head: string, actions: readonly string[]): string =>
    typed(
      `cookie=0x${id.toString(16)},table=${table},priority=10,reg15=${id}${head === "" ? "" : `,${head}`} actions=${actions.join(",")}`,
    );
  const first = laid.isPopped === true ? (type === "0x8847" ? "mpls" : "mpls,mpls_bos=1") : match;
  const flows = [
    `cookie=0x${id.toString(16)},table=0,priority=10,dl_src=${macOf(id)} actions=set_field:${id}->reg15,set_field:2->reg2,resubmit(,1)`,
    flow(1, first, laid.actions),
  ];
  if (laid.next !== undefined) flows.push(flow(2, match, laid.next));
  if (laid.third !== undefined) flows.push(flow(3, match, laid.third));
  if (laid.miss !== undefined) flows.push(`table=${missTable},priority=0 actions=${laid.miss.join(",")}`);
  const groups = (laid.groups ?? []).map(([kind, ...buckets], n) => {
    const texts = buckets.map(
      bucket => `bucket=${bucket.includes("actions=") ? bucket : `actions=${bucket}`}`,
    );
    return typed(`group_id=${10 + 4 * id + n},type=${kind},${texts.join(",")}`);
  });
  const frames = FRAMES(form.need, laid.isPopped === true).map(frame => {
    const own = Uint8Array.from(frame);
    own.set(macBytes(macOf(id)), 6);
    return { inPort: 1, frame: own };
  });
  return { name: `${form.text} ‹${placeName}›`, form, place: placeName, id, groups, flows, frames };
}

/** All cells, of every form in every place, or of those that `isWanted`. */
export function cells(isWanted: (form: number, place: number) => boolean = () => true): Cell[] {
  const all: Cell[] = [];
  for (const [f, form] of FORMS.entries())
    for (const [p, place] of Object.keys(PLACES).entries()) {
      if (form.isInSets === true && !/action set|bucket|group/.test(place)) continue;
      const cell = isWanted(f, p) ? cellOf(form, place, all.length + 1) : null;
      if (cell !== null) all.push(cell);
    }
  return all;
}
