/**
 * The corners of Open vSwitch as named cases: flows, groups and frames. What the switch answered lies in
 * corners.json (corners.test.ts records it); nothing here says what is right. Ports 1 to 4 exist.
 */
export interface Corner {
  readonly name: string;
  readonly flows: readonly string[];
  readonly groups?: readonly string[];
  readonly protocol?: "OpenFlow10" | "OpenFlow13" | "OpenFlow15";
  /** By port 1. */
  readonly frames: readonly Uint8Array[];
}

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const MACS = "020000000002 020000000001";

/** An IPv4 packet of UDP as hex; `odd` overwrites bytes by their offset. */
function ip(odd: Record<number, number> = {}): string {
  const bytes = bytesOf("4500001c 00000000 40111234 0a000001 0a000002 00350050 00081111");
  for (const [at, value] of Object.entries(odd)) bytes[Number(at)] = value;
  return Buffer.from(bytes).toString("hex");
}

const TTL = 8;
const TOS = 1;
const PROTOCOL = 9;

const ipv4 = (odd?: Record<number, number>, tail = ""): Uint8Array =>
  bytesOf(`${MACS} 0800 ${ip(odd)} ${tail}`);

/** Entries `label:tc:bos:ttl` in front of an IPv4 packet. */
function labelled(...entries: string[]): Uint8Array {
  const stack = entries.map(entry => {
    const [label, tc, bos, ttl] = entry.split(":").map(Number) as [number, number, number, number];
    return (label * 4096 + tc * 512 + bos * 256 + ttl).toString(16).padStart(8, "0");
  });
  return bytesOf(`${MACS} 8847 ${stack.join(" ")} ${ip()}`);
}

const ONE = labelled("100:3:1:64");
const TWO = labelled("100:3:0:64", "200:1:1:9");
const THREE = labelled("100:3:0:64", "200:1:0:9", "300:1:1:9");
const FOUR = labelled("100:3:0:64", "200:1:0:9", "300:1:0:9", "400:0:1:5");

const V6 = "fc000000000000000000000000000001 fc000000000000000000000000000002";
/** An IPv6 packet: next header, and what follows as hex. */
const ipv6 = (next: string, rest: string): Uint8Array => {
  const length = (rest.replaceAll(" ", "").length / 2).toString(16).padStart(4, "0");
  return bytesOf(`${MACS} 86dd 60000000 ${length} ${next} 40 ${V6} ${rest}`);
};
const UDP = "00350050 00081111";
const arp = (op: string, odd = "0001 0800 06 04"): Uint8Array =>
  bytesOf(`${MACS} 0806 ${odd} ${op} 020000000001 0a000001 000000000000 0a000002 00000000`);
const solicitation = (options: string): Uint8Array =>
  ipv6("3a", `8700 1111 00000000 fc000000000000000000000000000002 ${options}`);

const GROUP_ALL = "group_id=1,type=all";
const RESPONDER =
  "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:00:00:00:09->eth_src,set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],set_field:02:00:00:00:00:09->arp_sha,push:NXM_OF_ARP_SPA[],move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[],in_port";

const corner = (name: string, flows: string[], frames: Uint8Array[], more: Partial<Corner> = {}): Corner => ({
  name,
  flows,
  frames,
  ...more,
});

const MPLS: readonly Corner[] = [
  corner("a fourth label is put out unread", ["actions=2"], [FOUR]),
  corner("a pop of one label in four drops everything", ["mpls actions=2,pop_mpls:0x8847,3"], [FOUR]),
  corner("a fourth label pushed drops everything", ["mpls actions=2,push_mpls:0x8847,3"], [THREE]),
  corner(
    "push on no label: TTL and low DSCP bits copied",
    ["ip actions=push_mpls:0x8847,2"],
    [ipv4(), ipv4({ [TOS]: 0xb8 }), ipv4({ [TOS]: 0x20 }), ipv4({ [TTL]: 0 })],
  ),
  corner("push on what is not IP: TTL 64, label 0", ["arp actions=push_mpls:0x8847,2"], [arp("0001")]),
  corner("push on IPv6: label 2", ["ipv6 actions=push_mpls:0x8847,2"], [ipv6("11", UDP)]),
  corner("push on a label copies it", ["mpls actions=push_mpls:0x8847,2"], [ONE, TWO]),
  corner(
    "push clears what is behind",
    [
      "table=0,ip actions=push_mpls:0x8847,goto_table:1",
      "table=1,priority=2,mpls actions=2",
      "table=1,priority=1 actions=3",
    ],
    [ipv4()],
  ),
  corner("a pop to IP takes all labels", ["mpls actions=pop_mpls:0x0800,2"], [ONE, TWO, THREE]),
  corner(
    "a pop of the last label to MPLS is not recirculated",
    [
      "table=0,mpls actions=pop_mpls:0x8847,goto_table:1",
      "table=1,mpls,mpls_label=0 actions=2",
      "table=1,priority=1 actions=3",
    ],
    [ONE],
  ),
  corner("a pop to MPLS, then a push", ["mpls actions=pop_mpls:0x8847,push_mpls:0x8847,2"], [ONE, TWO]),
  corner("a push and a pop cancel", ["ip actions=push_mpls:0x8847,pop_mpls:0x0800,2"], [ipv4()]),
  corner(
    "a popped packet is recirculated",
    [
      "table=0,mpls actions=pop_mpls:0x0800,set_field:5->reg0,move:NXM_NX_REG0[]->NXM_NX_REG1[],goto_table:1",
      "table=1,ip,reg1=5,nw_dst=10.0.0.2 actions=dec_ttl,2",
    ],
    [ONE],
  ),
  corner(
    "what follows the lookup runs on the recirculated packet",
    [
      "table=0,mpls actions=pop_mpls:0x0800,resubmit(,1),dec_ttl,3",
      "table=1,ip,nw_dst=10.0.0.2 actions=dec_ttl,2",
    ],
    [ONE],
  ),
  corner(
    "inner bytes that are no IPv4 match ip without addresses",
    [
      "table=0,mpls actions=pop_mpls:0x0800,goto_table:1",
      "table=1,priority=2,ip,nw_dst=0.0.0.0 actions=2",
      "table=1,priority=1 actions=3",
    ],
    [bytesOf(`${MACS} 8847 00064140 600000`), bytesOf(`${MACS} 8847 00064140`)],
  ),
  corner(
    "a pop with nothing but a note behind it starts over",
    ["table=0,priority=2,mpls actions=pop_mpls:0x0800,note:01", "table=0,priority=1,ip actions=3"],
    [ONE],
  ),
  corner(
    "set_field behind a pop: Ethernet does not recirculate",
    ["mpls actions=pop_mpls:0x0800,set_field:02:00:00:00:00:07->eth_dst,2"],
    [ONE],
  ),
  corner(
    "dec_mpls_ttl at 1 and 0 ends the list",
    ["table=0,mpls actions=resubmit(,1),3", "table=1,mpls actions=2,dec_mpls_ttl,4"],
    [labelled("5:0:1:1"), labelled("5:0:1:0"), labelled("5:0:1:2")],
  ),
  corner(
    "labels 0 and 3 are like any other",
    [
      "mpls,mpls_label=3 actions=pop_mpls:0x0800,2",
      "mpls,mpls_label=0 actions=set_field:1048575->mpls_label,3",
    ],
    [labelled("3:0:1:9"), labelled("0:0:1:9")],
  ),
  corner(
    "set_mpls_label, tc and ttl write the outer entry",
    ["mpls actions=set_mpls_label(7),set_mpls_tc(5),set_mpls_ttl(9),2"],
    [TWO],
  ),
  corner(
    "0x8848 is not mpls",
    ["priority=2,mpls actions=2", "priority=1,dl_type=0x8848 actions=3"],
    [bytesOf(`${MACS} 8848 00064140 ${ip()}`)],
  ),
  corner(
    "an entry of zeros is no label",
    ["mpls actions=pop_mpls:0x0800,2"],
    [bytesOf(`${MACS} 8847 00000000 ${ip()}`), bytesOf(`${MACS} 8847 00000000 00005106 ${ip()}`)],
  ),
  corner(
    "entries cut short",
    ["mpls,mpls_bos=0 actions=pop_mpls:0x0800,2"],
    [bytesOf(`${MACS} 8847`), bytesOf(`${MACS} 8847 000641`)],
  ),
  corner(
    "labels go behind a tag",
    ["dl_vlan=5,ip actions=push_mpls:0x8847,2", "dl_vlan=6,mpls actions=pop_mpls:0x0800,3"],
    [bytesOf(`${MACS} 8100a005 0800 ${ip()}`), bytesOf(`${MACS} 8100a006 8847 00064140 ${ip()}`)],
  ),
  corner(
    "LLC/SNAP: types at byte 12, labels at byte 22",
    [
      "priority=1,ip actions=push_mpls:0x8847,2",
      "priority=2,mpls actions=pop_mpls:0x0800,goto_table:1",
      "table=1 actions=3",
    ],
    [
      bytesOf(`${MACS} 0030 aaaa03000000 0800 ${ip()}`),
      bytesOf(`${MACS} 0030 aaaa03000000 8847 00064140 ${ip()}`),
    ],
  ),
  corner(
    "LLC/SNAP: behind a packet-in the labels lie at byte 14",
    ["ip actions=push_mpls:0x8847,2,controller,set_mpls_label(7),2"],
    [bytesOf(`${MACS} 0030 aaaa03000000 0800 ${ip()}`)],
  ),
  corner(
    "a packet is recirculated six times at most",
    ["table=0,ip actions=2,push_mpls:0x8847,pop_mpls:0x0800,resubmit(,0)"],
    [ipv4()],
  ),
];

const CONTROL: readonly Corner[] = [
  corner(
    "changes of a called table stay",
    ["table=0,ip actions=resubmit(,1),2", "table=1,ip actions=dec_ttl"],
    [ipv4()],
  ),
  corner(
    "resubmit looks up with another in_port and keeps its own",
    ["table=0 actions=resubmit(2,1)", "table=1,in_port=2 actions=1,2,3"],
    [ipv4()],
  ),
  corner(
    "resubmit to a port alone looks in the same table",
    ["in_port=1 actions=resubmit:9,3", "in_port=9 actions=2"],
    [ipv4()],
  ),
  corner("a loop drops everything", ["table=0 actions=2,resubmit(,0)"], [ipv4()]),
  corner(
    "a loop in a called table drops everything",
    ["table=0 actions=2,resubmit(,1),3", "table=1 actions=resubmit(,1)"],
    [ipv4()],
  ),
  corner("no flow found: the rest goes on", ["table=0 actions=resubmit(,9),2"], [ipv4()]),
  corner("the same match twice: the last one stands", ["ip actions=2", "ip actions=3"], [ipv4()]),
  corner("exit ends callers too", ["table=0 actions=resubmit(,1),2", "table=1 actions=3,exit"], [ipv4()]),
  corner(
    "exit ends the action set",
    ["table=0 actions=write_actions(output:3),goto_table:1", "table=1 actions=2,exit"],
    [ipv4()],
  ),
  corner(
    "exit in a bucket ends the bucket",
    ["table=0 actions=group:1,4", "table=1 actions=2,exit"],
    [ipv4()],
    { groups: [`${GROUP_ALL},bucket=actions=resubmit(,1),bucket=actions=output:3`] },
  ),
  corner("exit in a clone ends everything", ["actions=clone(exit),2"], [ipv4()]),
  corner("a clone is undone", ["ip actions=clone(set_field:1.1.1.1->ip_src,output:2),3"], [ipv4()]),
  corner(
    "a clone runs the action set",
    ["table=0 actions=write_actions(output:3),goto_table:1", "table=1 actions=clone(output:2),4"],
    [ipv4()],
  ),
  corner("a pop in a clone", ["mpls actions=clone(pop_mpls:0x0800,output:2),dec_mpls_ttl,3"], [ONE, TWO]),
  corner(
    "a clone that is recirculated ends everything behind it",
    ["mpls actions=clone(pop_mpls:0x0800,set_field:9->nw_ttl,output:2),3"],
    [ONE],
  ),
  corner(
    "a truncated output in a clone",
    ["ip actions=clone(set_field:1.1.1.1->ip_src,output(port=2,max_len=20)),3"],
    [ipv4()],
  ),
  corner(
    "the action set has its order",
    ["ip actions=write_actions(output:2,push_mpls:0x8847,dec_ttl,set_field:02:00:00:00:00:09->eth_src)"],
    [ipv4()],
  ),
  corner("of two outputs the last one counts", ["actions=write_actions(output:2,output:3)"], [ipv4()]),
  corner("a group comes before an output", ["actions=write_actions(group:1,output:2)"], [ipv4()], {
    groups: [`${GROUP_ALL},bucket=actions=output:3`],
  }),
  corner(
    "clear_actions",
    [
      "table=0 actions=write_actions(output:2),goto_table:1",
      "table=1 actions=clear_actions,write_actions(set_field:02:00:00:00:00:09->eth_src)",
    ],
    [ipv4()],
  ),
  corner(
    "actset_output",
    [
      "table=0 actions=write_actions(output:2),goto_table:1",
      "table=1,actset_output=2 actions=resubmit(,2),3",
      "table=2 actions=clear_actions",
    ],
    [ipv4()],
    { protocol: "OpenFlow15" },
  ),
  corner(
    "write_metadata under a mask",
    ["table=0 actions=write_metadata:0x5/0xff,goto_table:1", "table=1,metadata=5 actions=2"],
    [ipv4()],
  ),
  corner("a bucket is an action set", ["actions=group:1"], [ipv4()], {
    groups: [`${GROUP_ALL},bucket=actions=output:2,output:3`],
  }),
  corner("a bucket is undone", ["ip actions=group:1,output:4"], [ipv4(), ipv4({ 10: 0xfe, 11: 0xff })], {
    groups: [`${GROUP_ALL},bucket=actions=dec_ttl,output:2,bucket=actions=push_mpls:0x8847,output:3`],
  }),
  corner(
    "a fourth label in a bucket ends the bucket",
    ["mpls actions=set_field:02:00:00:00:00:09->eth_src,2,group:1,3"],
    [FOUR, THREE],
    { groups: [`${GROUP_ALL},bucket=actions=push_mpls:0x8847,output:2,bucket=actions=output:4`] },
  ),
  corner(
    "a failed pop in a bucket undoes what was before",
    ["mpls actions=set_field:02:00:00:00:00:09->eth_src,2,group:1,3"],
    [FOUR],
    { groups: [`${GROUP_ALL},bucket=actions=pop_mpls:0x8847,output:2,bucket=actions=output:4`] },
  ),
  corner(
    "a bucket that is recirculated",
    ["table=0,mpls actions=group:1,4", "table=1,ip,nw_dst=10.0.0.2 actions=dec_ttl,2"],
    [ONE],
    { groups: [`${GROUP_ALL},bucket=actions=pop_mpls:0x0800,resubmit(,1),bucket=actions=output:3`] },
  ),
  corner("fast failover: the first live bucket", ["actions=group:1,4"], [ipv4()], {
    groups: ["group_id=1,type=ff,bucket=watch_port:2,actions=output:2,bucket=watch_port:3,actions=output:3"],
  }),
  corner("indirect", ["actions=group:1,4"], [ipv4()], {
    groups: ["group_id=1,type=indirect,bucket=actions=output:2"],
  }),
];

const OUTPUT: readonly Corner[] = [
  corner("in_port is left out, IN_PORT is not", ["actions=1,in_port,2"], [ipv4()]),
  corner("in_port rewritten", ["actions=load:0->NXM_OF_IN_PORT[],1"], [ipv4()]),
  corner(
    "in_port moved",
    ["actions=load:3->NXM_NX_REG0[],move:NXM_NX_REG0[0..15]->NXM_OF_IN_PORT[],in_port,1,3"],
    [ipv4()],
  ),
  corner("ALL leaves in_port out", ["actions=all"], [ipv4()]),
  corner("a port that is not there", ["actions=99,2"], [ipv4()]),
  corner("the same port twice", ["actions=2,2"], [ipv4()]),
  corner(
    "output to a register",
    ["actions=load:2->NXM_NX_REG0[],output:NXM_NX_REG0[],load:0x10002->NXM_NX_REG0[],output:NXM_NX_REG0[],3"],
    [ipv4()],
  ),
  corner(
    "output to a register that says IN_PORT",
    ["actions=load:0xfff8->NXM_NX_REG0[],output:NXM_NX_REG0[],3"],
    [ipv4()],
  ),
  corner("truncated", ["actions=output(port=2,max_len=20),3"], [ipv4()]),
  corner(
    "truncated before the tag comes",
    ["actions=push_vlan:0x8100,output(port=2,max_len=20),3"],
    [ipv4()],
  ),
  corner("truncated to IN_PORT is nothing", ["actions=output(port=in_port,max_len=20),3"], [ipv4()]),
  corner("enqueue", ["actions=enqueue:2:1,enqueue:1:1,3"], [ipv4()]),
  corner(
    "packet-ins are whole, whatever max_len says",
    ["actions=controller(max_len=20),CONTROLLER:0,3"],
    [ipv4()],
  ),
  corner(
    "a packet-in carries what was changed before it",
    ["ip actions=dec_ttl,controller,set_field:1.1.1.1->ip_src,2"],
    [ipv4()],
  ),
];

const PARSING: readonly Corner[] = [
  corner("a pop of an empty stack", ["ip actions=pop:NXM_OF_IP_SRC[],2"], [ipv4()]),
  corner(
    "stack values of other widths",
    ["ip actions=push:NXM_OF_IP_DST[0..15],pop:NXM_OF_IP_SRC[],2"],
    [ipv4()],
  ),
  corner(
    "dec_ttl ends its list, the caller goes on",
    ["table=0,ip actions=resubmit(,1),3", "table=1,ip actions=2,dec_ttl,4"],
    [ipv4({ [TTL]: 1 }), ipv4({ [TTL]: 0 }), ipv4({ [TTL]: 2 })],
  ),
  corner("dec_ttl for two controllers", ["ip actions=dec_ttl(0,0),2"], [ipv4({ [TTL]: 1 })]),
  corner(
    "protocol 0 is never written",
    ["ip actions=dec_ttl,set_field:1.2.3.4->ip_dst,2"],
    [ipv4({ [PROTOCOL]: 0 })],
  ),
  corner(
    "protocol 0, and the label has the new TTL",
    ["ip actions=dec_ttl,push_mpls:0x8847,2"],
    [ipv4({ [PROTOCOL]: 0 })],
  ),
  corner(
    "checksums: wrong ones stay wrong",
    ["ip actions=dec_ttl,2"],
    ["dead", "0000", "ffff", "feff", "fefe"].map(sum =>
      ipv4({ 10: Number.parseInt(sum.slice(0, 2), 16), 11: Number.parseInt(sum.slice(2), 16) }),
    ),
  ),
  corner(
    "IPv4 that cannot be read is ip without addresses",
    ["priority=2,ip,nw_dst=10.0.0.2 actions=2", "priority=1,ip,nw_dst=0.0.0.0 actions=3"],
    [
      ipv4({ 0: 0x44 }),
      ipv4({ 0: 0x4f }),
      ipv4({ 3: 0x1d }),
      ipv4({ 2: 0, 3: 19 }),
      ipv4({ 0: 0x65 }),
      ipv4({}, "00".repeat(300)),
      ipv4().slice(0, 33),
    ],
  ),
  corner(
    "ports of fragments are zero in a lookup, and written all the same",
    ["priority=2,udp,tp_dst=80 actions=2", "priority=1,udp,tp_dst=0 actions=mod_tp_dst:7,3"],
    [ipv4(), ipv4({ 6: 0x20 }), ipv4({ 7: 1 })],
  ),
  corner(
    "a later fragment is taken for a header",
    ["ip actions=set_field:1.2.3.4->ip_src,2"],
    [ipv4({ 7: 1 })],
  ),
  corner(
    "UDP without a checksum keeps none",
    ["udp actions=set_field:1.2.3.4->ip_src,mod_tp_src:9,2"],
    [ipv4({ 26: 0, 27: 0 }), ipv4()],
  ),
  corner(
    "IPv6 addresses and the checksum behind extension headers",
    ["ipv6 actions=set_field:fc00::99->ipv6_src,set_field:fc00::98->ipv6_dst,2"],
    [
      ipv6("11", UDP),
      ipv6("3c", `1100000000000000 ${UDP}`),
      ipv6("33", `1102000000000001 0000000200000003 ${UDP}`),
      ipv6("2b", `1100000000000000 ${UDP}`),
      ipv6("2b", `1100000100000000 ${UDP}`),
      ipv6("3a", "8000 1111 00000000"),
    ],
  ),
  corner(
    "IPv6 fragments: only of first ones is the checksum corrected",
    ["ipv6 actions=set_field:fc00::99->ipv6_src,2"],
    [
      ipv6("2c", `1100000000000007 ${UDP}`),
      ipv6("2c", `1100000100000007 ${UDP}`),
      ipv6("2c", `1100000900000007 ${UDP}`),
    ],
  ),
  corner(
    "IPv6 flow label, class and hop limit",
    ["ipv6 actions=set_field:0x12345->ipv6_label,mod_nw_tos:184,mod_nw_ecn:1,dec_ttl,2"],
    [ipv6("11", UDP)],
  ),
  corner(
    "ARP operations above 255 read as 0 and are written whole",
    ["priority=2,arp,arp_op=1 actions=2", "priority=1,arp,arp_op=0 actions=set_field:2->arp_op,3"],
    [arp("0001"), arp("0101")],
  ),
  corner(
    "ARP of something else is arp without fields",
    ["priority=2,arp,arp_spa=10.0.0.1 actions=2", "priority=1,arp,arp_spa=0.0.0.0 actions=3"],
    [arp("0001", "0002 0800 06 04"), arp("0001", "0001 0800 08 04"), arp("0001").slice(0, 41)],
  ),
  corner("an ARP responder", [`arp,arp_op=1 actions=${RESPONDER}`], [arp("0001")]),
  corner(
    "neighbour discovery: the first option is written",
    [
      "icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::9->nd_target,set_field:02:00:00:00:00:07->nd_sll,2",
    ],
    [
      solicitation("0101 020000000001"),
      solicitation("0e01 000000000000 0101 020000000001"),
      solicitation("0101 020000000001 0101 020000000005"),
      solicitation(""),
    ],
  ),
  corner("icmp", ["icmp actions=set_field:0->icmp_type,2"], [ipv4({ [PROTOCOL]: 1, 20: 8, 21: 0 })]),
  corner(
    "tags beyond the first are payload",
    ["priority=2,ip actions=2", "priority=1 actions=3"],
    [bytesOf(`${MACS} 88a80005 81000006 0800 ${ip()}`), bytesOf(`${MACS} 81000005 0800 ${ip()}`)],
  ),
  corner(
    "a tag on a tag",
    ["dl_vlan=5 actions=push_vlan:0x88a8,set_field:4105->vlan_vid,2"],
    [bytesOf(`${MACS} 8100b005 0800 ${ip()}`), bytesOf(`${MACS} 8100a005 81000006 0800 ${ip()}`)],
  ),
  corner(
    "a rewritten tag loses its drop bit",
    ["dl_vlan=5 actions=2,set_field:3->vlan_pcp,3"],
    [bytesOf(`${MACS} 8100b005 0800 ${ip()}`)],
  ),
  corner(
    "mod_vlan_vid makes a tag",
    ["actions=mod_vlan_vid:9,2"],
    [ipv4(), bytesOf(`${MACS} 8100a005 0800 ${ip()}`)],
    { protocol: "OpenFlow10" },
  ),
  corner(
    "802.3 without a type",
    ["priority=2,dl_type=0x05ff actions=2", "priority=1 actions=3"],
    [
      bytesOf(`${MACS} 0030 aaaa03000001 0800 ${ip()}`),
      bytesOf(`${MACS} 0030 0800`),
      bytesOf(`${MACS} 0030 aaaa03000000 0100`),
    ],
  ),
  corner(
    "frames of nothing but a header",
    ["priority=2,ip,nw_src=0.0.0.0 actions=2", "priority=1,dl_type=0x8100 actions=3"],
    [bytesOf(`${MACS} 0800`), bytesOf(`${MACS} 8100 0005`)],
  ),
];

export const CORNERS: readonly Corner[] = [...MPLS, ...CONTROL, ...OUTPUT, ...PARSING];
