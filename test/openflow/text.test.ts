/**
 * Flow text by example: what is read, how it is printed back in three OpenFlow versions, what is warned of
 * and what is refused, with columns. Every expectation about Open vSwitch was seen on 3.1.0.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  canonicalText,
  FIELDS,
  fieldNamed,
  formatActions,
  formatFlow,
  formatGroup,
  formatMatch,
  matchWords,
  parseActions,
  parseFlow,
  parseFlows,
  parseGroups,
  parseMatch,
  parsePorts,
} from "../../src/openflow/index.ts";
import { assert, isTimed, suite } from "../harness.ts";

const test = suite("openflow: text");

/** `column level fragment` of everything said about a line. */
function said(line: string): string[] {
  return parseFlow(line).problems.map(({ column, level, message }) => `${column} ${level} ${message}`);
}

function printed(line: string, version?: "OpenFlow10" | "OpenFlow13" | "OpenFlow15"): string {
  const { flow, problems } = parseFlow(line);
  if (flow === null) return problems.map(({ message }) => message).join("; ");
  const match = formatMatch(flow.match, flow.priority);
  const actions = formatActions(flow.actions, version === undefined ? {} : { version }, flow.match);
  return `${match}${match === "" ? "" : " "}actions=${actions}`;
}

test("names of fields are unique, and a place holds what its field may have", () => {
  const names = FIELDS.flatMap(({ name, aliases, headers }) => [name, ...aliases, ...headers]);
  assert.is(new Set(names).size, names.length);
  for (const { name, place, valid } of FIELDS) {
    if (place !== null) assert.ok(valid < 1n << BigInt(place.bits), name);
  }
  assert.is(fieldNamed("OXM_OF_ETH_DST"), fieldNamed("dl_dst"));
});

test("matches: masks, aliases, subfields, the last word wins", () => {
  const cases: [string, string][] = [
    ["table=1 priority=5 ip nw_dst=1.2.3.4 actions=drop", "priority=5,ip,nw_dst=1.2.3.4 actions=drop"],
    ["ip4,ip_dst=10.0.0.1/255.0.255.0,action=", "ip,nw_dst=10.0.0.0/255.0.255.0 actions=drop"],
    ["udp,tcp_src=0x50/0xfff0,actions=drop", "udp,tp_src=0x50/0xfff0 actions=drop"],
    ["arp,nw_src=1.2.3.4,nw_proto=2,actions=drop", "arp,arp_spa=1.2.3.4,arp_op=2 actions=drop"],
    ["reg0[0..7]=5,reg0[8..15]=6,actions=drop", "reg0=0x605/0xffff actions=drop"],
    ["xreg0=0x500000006,reg1=7,actions=drop", "reg0=0x5,reg1=0x7 actions=drop"],
    ["dl_vlan=5,vlan_pcp=3,actions=drop", "dl_vlan=5,dl_vlan_pcp=3 actions=drop"],
    ["dl_vlan=65535,actions=drop", "vlan_tci=0x0000 actions=drop"],
    ["vlan_tci=0x1000/0x1000,actions=drop", "vlan_tci=0x1000/0x1000 actions=drop"],
    [
      "tcp6,tcp_flags=+syn-ack,ct_state=+trk+est,actions=drop",
      "ct_state=+est+trk,tcp6,tcp_flags=+syn-ack actions=drop",
    ],
    ["in_port=65534,metadata=0x5/0x7,nw_proto=*,actions=drop", "metadata=0x5/0x7,in_port=LOCAL actions=drop"],
    ["icmp6,icmp_type=135,nd_target=::1,actions=drop", "icmp6,icmp_type=135,nd_target=::1 actions=drop"],
    ["mpls,mpls_label=0x64,mpls_bos=1,actions=drop", "mpls,mpls_label=100,mpls_bos=1 actions=drop"],
    // TCP flags and the type of an ND option are one place; a code other than 0 is no ND message.
    [
      "icmp6,icmp_type=136,tcp_flags=cwr,nd_target=::f,actions=drop",
      "icmp6,icmp_type=136,nd_target=::f,nd_options_type=128 actions=drop",
    ],
    [
      "icmp6,icmp_type=135,icmp_code=241,nd_target=::10,actions=drop",
      "icmp6,icmp_type=135,icmp_code=241 actions=drop",
    ],
    // An empty mask forgets the tag, or only its own part of it when the other is matched.
    ["vlan_tci=0x1000/0x1000,vlan_pcp=0x7/0x0,actions=drop", "actions=drop"],
    ["dl_vlan=7,vlan_pcp=4,vlan_vid=0x12/0x0,actions=drop", "dl_vlan_pcp=4 actions=drop"],
    // An ICMP type or code has eight bits on the wire and no mask.
    ["ip,nw_proto=1,tcp_dst[10..13]=6,actions=drop", "icmp,icmp_code=0 actions=drop"],
    ["icmp6,tp_src=0x187/0xff0f,actions=drop", "icmp6,icmp_type=7 actions=drop"],
    ["actions=drop", "actions=drop"],
  ];
  for (const [line, expected] of cases) assert.is(printed(line), expected, line);
});

test("actions: the same line in three versions of OpenFlow", () => {
  const line =
    "dl_vlan=1,tcp,actions=mod_vlan_vid:5,mod_nw_tos:8,load:0x5->NXM_NX_REG0[4..7],set_field:0x500/0xff00->reg1,strip_vlan,enqueue:1:2";
  const rest = "dl_vlan=1";
  assert.is(
    printed(line, "OpenFlow10"),
    `tcp,${rest} actions=mod_vlan_vid:5,mod_nw_tos:8,load:0x5->NXM_NX_REG0[4..7],load:0x5->NXM_NX_REG1[8..15],strip_vlan,enqueue:1:2`,
  );
  assert.is(
    printed(line, "OpenFlow13"),
    `tcp,${rest} actions=set_field:4101->vlan_vid,set_field:2->ip_dscp,load:0x5->NXM_NX_REG0[4..7],load:0x5->NXM_NX_REG1[8..15],pop_vlan,set_queue:2,output:1,pop_queue`,
  );
  assert.is(
    printed(line, "OpenFlow15"),
    `tcp,${rest} actions=set_field:4101->vlan_vid,set_field:2->ip_dscp,set_field:0x50/0xf0->reg0,set_field:0x500/0xff00->reg1,pop_vlan,set_queue:2,output:1,pop_queue`,
  );
});

test("what is not modelled is read by its own grammar and printed in one spelling", () => {
  const cases: [string, string][] = [
    ["bundle(eth_src,0,hrw,ofport,slaves:4,8)", "bundle(eth_src,0,hrw,ofport,members:4,8)"],
    ["multipath(eth_src,50,modulo_n,1,0,reg0)", "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])"],
    [
      "ct(zone=5,table=3,force,commit,nat(src=1.2.3.4-1.2.3.9:1-5,random))",
      "ct(commit,force,table=3,zone=5,nat(src=1.2.3.4-1.2.3.9:1-5,random))",
    ],
    [
      "learn(cookie=8,table=2,NXM_OF_ETH_DST[]=eth_src,load:in_port->reg0[0..15])",
      "learn(table=2,cookie=0x8,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15])",
    ],
    ["check_pkt_larger(100)->reg0[0]", "check_pkt_larger(100)->NXM_NX_REG0[0]"],
    ["encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))", "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))"],
  ];
  for (const [text, expected] of cases) {
    const { actions, problems } = parseActions(text);
    assert.equal(problems, [], text);
    assert.is(formatActions(actions!), expected);
  }
  for (const text of [
    "ct(comit)",
    "learn(table=1,foo=3)",
    "sample(probability=1,foo=2)",
    "bundle(eth_src,0,hrw,bar,members:1)",
    "nat",
  ]) {
    assert.is(parseActions(text).actions, null, text);
  }
});

test("what Open vSwitch drops or bends in silence is a warning with its column", () => {
  assert.match(
    said("mpls_label=100,actions=drop")[0]!,
    /^1 warning mpls_label is not matched: it needs mpls/,
  );
  assert.is(printed("mpls_label=100,actions=drop"), "actions=drop");
  assert.match(said("mpls,mpls_label=1048577,actions=drop")[0]!, /^17 warning .*mpls_label=1$/);
  assert.match(said("actions=dec_ttl")[0]!, /^9 warning dec_ttl needs ip or ipv6/);
  assert.is(parseFlow("actions=dec_ttl", undefined, { protocol: "OpenFlow13" }).flow, null);
  assert.equal(said("ip,actions=dec_ttl"), []);
});

test("errors point at their word and name the nearest", () => {
  const cases: [string, string][] = [
    ["ip,nw_dts=1.2.3.4,actions=drop", "4 error there is no field nw_dts; did you mean nw_dst?"],
    ["ip,actions=dec_tll", "12 error there is no action dec_tll; did you mean dec_ttl?"],
    [
      "ip,nw_dst=1.2.3,actions=drop",
      "11 error ip_dst: 1.2.3 is not an IPv4 address; expected 203.0.113.7, 10.0.0.0/8 or 10.0.0.0/255.0.255.0",
    ],
    ["ip", "3 error this flow has no actions: actions=drop is the least"],
    [
      "delete ip,actions=drop",
      "1 error delete changes installed flows and is not a flow; expected a dump, or lines that add flows",
    ],
    [
      "table=1,actions=goto_table:1",
      "17 error goto_table:1 from table 1: it goes forward only (OFPBIC_BAD_TABLE_ID)",
    ],
    [
      "actions=set_field:1.2.3.4->ip_dst",
      "9 error set_field of ip_dst needs ip in the match (OFPBAC_MATCH_INCONSISTENT)",
    ],
    ["actions=clone(1,clone(2", "22 error this parenthesis is never closed"],
    [
      "actions=write_actions(1),2",
      "26 error apply_actions must stand before write_actions: OpenFlow 1.1 and later have one order of instructions",
    ],
    ["actions=drop,1", "9 error drop stands alone: it is a list of no actions"],
    ["priority=65536,actions=drop", "10 error priority=65536 does not fit into 2 bytes"],
    ["reg0[0..7]=300,actions=drop", "12 error 300 does not fit into 8 bits"],
  ];
  for (const [line, expected] of cases) assert.equal(said(line), [expected], line);
});

test("files: headers that repeat, comments, colours, flags, prefixes, two ways of dumping", () => {
  const text = [
    "OFPST_FLOW reply (OF1.3) (xid=0x2):",
    " cookie=0x5, duration=1.250s, table=10, n_packets=3, n_bytes=180, idle_timeout=9, send_flow_rem importance=4, idle_age=7, priority=300,ip actions=output:1",
    "NXST_FLOW reply (xid=0x4):\r",
    " cookie=0x0, duration=2.000s, table=0, n_packets=0, n_bytes=0, actions=drop\r",
    "# a comment",
    "add table=3,ip,actions=1 # behind",
    "flow actions=2",
    "table_id=254, duration=734s, n_packets=0, n_bytes=0, priority=0,reg0=0x1,actions=controller(reason=)",
    "\u001b[33mpriority=\u001b[m7 actions=\u001b[1mdrop\u001b[0m",
    "",
  ].join("\n");
  const { flows, problems, headers, skipped } = parseFlows(text, "x.txt");
  assert.equal(problems, []);
  assert.is(headers, 2);
  assert.is(skipped, 0);
  assert.equal(
    flows.map(({ table, source }) => [table, source.line]),
    [
      [10, 2],
      [0, 4],
      [3, 6],
      [0, 7],
      [254, 8],
      [0, 9],
    ],
  );
  assert.is(formatFlow(flows[0]!), flows[0]!.text);
  assert.is(formatFlow(flows[1]!), flows[1]!.text);
  assert.equal(flows[0]!.flags, ["send_flow_rem"]);
  assert.is(flows[0]!.stats!.packets, 3n);
});

test("lenient: a line that cannot be read is left out, counted and named", () => {
  const text = "actions=drop\nfoo=1,actions=drop\n";
  const { flows, skipped, problems } = parseFlows(text, "x.txt", { lenient: true });
  assert.is(flows.length, 1);
  assert.is(skipped, 1);
  assert.equal(
    problems.map(({ line, column, level }) => [line, column, level]),
    [[2, 1, "warning"]],
  );
  const strict = parseFlows(text, "x.txt");
  assert.is(strict.skipped, 0);
  assert.is(strict.problems[0]!.level, "error");
});

test("names of ports and tables, quoted where they must be", () => {
  const { ports, problems } = parsePorts(
    ' 1(up): addr:aa\n 2("p 2"): addr:bb\n LOCAL(br0): addr:cc\n     config: 0\n',
  );
  assert.equal(problems, []);
  assert.equal(
    [...ports],
    [
      ["up", 1],
      ["p 2", 2],
      ["br0", 0xfffffffe],
    ],
  );
  assert.equal(
    [...parsePorts("a=1,b=2").ports],
    [
      ["a", 1],
      ["b", 2],
    ],
  );
  assert.is(parsePorts("a=x").problems.length, 1);
  const { flow } = parseFlow('in_port=up,actions=output:"p 2",br0,goto_table:acl', undefined, {
    ports,
    tables: new Map([["acl", 9]]),
  });
  const names = new Map([...ports].map(([name, number]) => [number, name]));
  assert.is(formatMatch(flow!.match, flow!.priority, { ports: names }), "in_port=up");
  assert.is(formatActions(flow!.actions, { ports: names }), 'output:"p 2",output:br0,goto_table:9');
});

test("what only a first fragment has, what is tracked, and a place that two fields share", () => {
  for (const [text, message] of [
    ["tcp,nw_frag=later,tcp_flags=+syn actions=drop", /tcp_flags may not be matched with nw_frag=later/],
    ["udp,nw_frag=later,udp_src=5 actions=drop", /may not be matched with nw_frag=later/],
    ["ip,ct_state=+inv+trk actions=ct(commit)", /ct\(commit\) needs a packet that is not ct_state=\+inv/],
    ["tcp,nd_options_type=1 actions=drop", /nd_options_type beside tcp would match TCP flags/],
  ] as const) {
    const { flow, problems } = parseFlow(text);
    assert.is(flow, null, text);
    assert.match(problems[0]!.message, message);
    assert.ok(problems[0]!.column > 4, text);
  }
  assert.ok(parseFlow("tcp,nw_frag=first,tcp_flags=+syn actions=drop").flow !== null);
});

test("groups", () => {
  const line =
    " group_id=5,type=select,selection_method=hash,fields(ip_src),bucket=bucket_id:0,weight:10,watch_port:2,actions=dec_ttl,output:2,bucket=bucket_id:1,weight:20,actions=drop";
  const { groups, problems } = parseGroups(`OFPST_GROUP_DESC reply (OF1.5) (xid=0x2):\n${line}\n`, "g.txt");
  assert.equal(problems, []);
  assert.is(formatGroup(groups[0]!), line);
  assert.is(groups[0]!.buckets.length, 2);
  assert.is(parseGroups("group_id=1,type=foo", "g").problems.length, 1);
  assert.is(parseGroups("group_id=1,type=all\ngroup_id=1,type=all", "g").problems[0]!.line, 2);
});

test("one form for what is the same, and not for what is not", () => {
  const same = (match: string, ...spellings: string[]): void => {
    const texts = spellings.map(text => canonicalText(parseFlow(`${match}actions=${text}`).flow!.actions));
    assert.is(new Set(texts).size, 1, texts.join(" | "));
  };
  same(
    "",
    "mod_dl_dst:00:00:00:00:00:05",
    "load:0x5->NXM_OF_ETH_DST[]",
    "set_field:00:00:00:00:00:05->eth_dst",
  );
  same("ip,", "mod_nw_tos:8", "set_field:8->nw_tos", "set_field:2->ip_dscp");
  same("dl_vlan=1,", "mod_vlan_vid:5", "set_field:4101->vlan_vid", "load:5->OXM_OF_VLAN_VID[]");
  same("dl_vlan=1,", "strip_vlan", "pop_vlan");
  same("ip,", "dec_ttl", "dec_ttl(0)");
  same("", "output:3", "3");
  same("", "set_tunnel:5", "set_tunnel64:5", "load:5->tun_id[]", "set_field:5->tun_id");
  same("", "load:5->xreg1[0..7]", "load:5->reg3[0..7]", "set_field:5/0xff->reg3");
  same("udp,", "mod_tp_src:5", "set_field:5->udp_src");
  assert.not.equal(
    canonicalText(parseActions("resubmit(,3)").actions!),
    canonicalText(parseActions("goto_table:3").actions!),
  );
  const words = (text: string): unknown => matchWords({ match: parseMatch(text).match! }).words;
  assert.equal(words("dl_vlan=5"), words("vlan_tci=0x1005/0x1fff"));
  assert.equal(words("xreg0=0x500000006"), words("reg0=5,reg1=6"));
  assert.equal(words("arp,arp_spa=1.2.3.4"), words("arp,nw_src=1.2.3.4"));
  assert.not.equal(words("ip,nw_tos=8"), words("ip,nw_ecn=0,nw_tos=8"));
});

test("columns of values", () => {
  const line = "priority=7,ip,nw_dst=10.0.0.1,actions=set_field:00:00:00:00:00:05->eth_dst,output:12";
  const { values } = parseFlow(line);
  assert.equal(
    values.map(({ span, role }) => `${role} ${line.slice(span.start, span.end)}`),
    ["info 7", "match 10.0.0.1", "action 00:00:00:00:00:05", "action 12"],
  );
});

test("dumps of a switch in every version come back letter by letter", () => {
  const read = (name: string): string => readFileSync(join(import.meta.dirname, "dumps", name), "utf8");
  const { ports } = parsePorts(read("ports.txt"));
  const names = new Map([...ports].map(([name, number]) => [number, name]));
  const counts: number[] = [];
  for (const name of [
    "of10",
    "of13",
    "of15",
    "of10-no-stats",
    "of13-no-stats",
    "of15-no-stats",
    "of15-names",
    "of13-color",
  ]) {
    const { flows, problems } = parseFlows(read(`${name}.txt`), name, { ports });
    assert.equal(problems, [], name);
    counts.push(flows.length);
    const options = name.endsWith("names") ? { ports: names } : { stats: !name.endsWith("no-stats") };
    // In colours ct(…) ends with a comma too many. What is inside of it has one spelling here.
    const usual = (text: string): string =>
      text.trim().replace(",)", ")").replace("load:0x7->NXM_NX_CT_MARK[]", "set_field:0x7->ct_mark");
    for (const flow of flows) assert.is(formatFlow(flow, options).trim(), usual(flow.text), name);
  }
  assert.equal(new Set(counts), new Set([13]));
  const bridge = parseFlows(read("bridge.txt"), "bridge");
  assert.equal(bridge.problems, []);
  assert.is(bridge.flows.filter(({ table }) => table !== 254).length, 13);
  for (const name of ["groups13", "groups15"]) {
    const { groups, problems } = parseGroups(read(`${name}.txt`), name);
    assert.equal(problems, [], name);
    assert.equal(
      groups.map(group => formatGroup(group)),
      read(`${name}.txt`).trimEnd().split("\n").slice(1),
    );
  }
});

/** A line as a dump has it, and as a file for add-flows has it: null where it is refused. */
const asPrinted = (line: string): string | null => {
  const { flow, problems } = parseFlow(line, undefined, { isPrinted: true });
  assert.equal(
    problems.map(({ message }) => message),
    [],
    line,
  );
  return flow === null ? null : formatMatch(flow.match, flow.priority);
};

test("what a switch prints is read, though ovs-ofctl does not take it", () => {
  for (const [line, message] of [
    ["gtpu_flags=0x30,gtpu_msgtype=7 actions=drop", /is how a dump prints tun_gtpu_flags/],
    ["ip,nw_frag=<error> actions=drop", /is not a fragment value/],
    ["actions=set_field:9/0xf->in_port", /is not a port/],
    ["ip actions=set_field:1/0x1->nw_ttl", /takes no mask/],
    ["actions=set_field:ANY->tun_id", /is not a number/],
    ["ipv6,ipv6_src=2001:db8::/7fff:ffff:: actions=drop", /lacks a mask after its slash/],
    ["actions=set_field:1.2.3.4->ip_dst,output:1", /needs ip in the match/],
    ["actions=ct(commit,table=4)", /ct needs ip or ipv6/],
    ["ip actions=write_actions(note:01,output:1)", /note cannot stand inside of write_actions/],
  ] as const) {
    assert.is.not(asPrinted(line), null, line);
    const { flow, problems } = parseFlow(line);
    assert.is(flow, null, line);
    assert.match(problems.at(-1)!.message, message);
  }
  assert.is(asPrinted("tun_tos=10 actions=drop"), "tun_tos=16");
});

test("what both take, and what both refuse", () => {
  for (const line of [
    "tcp,tcp_flags=-[400] actions=drop",
    "tcp,tcp_flags=fin|[800] actions=drop",
    "ipv6 actions=ct(commit,nat(src=fc00::1-fc00::9))",
    "ipv6 actions=ct(commit,nat(dst=[fc00::1]-[fc00::9]:80-90))",
    "ipv6 actions=ct(commit,zone=reg0[0..15],nat(src=10.0.0.1))",
    "actions=bundle(eth_src,0,hrw,ofport,members:[4,8])",
    "actions=bundle(eth_src,0,hrw,ofport,members:[])",
    "ip actions=write_actions(pop_vlan,output:2)",
    "ip actions=write_actions(controller(max_len=9))",
    "actions=debug_slow,debug_recirc",
    "arp,arp_op=6 actions=fin_timeout(idle_timeout=5)",
    "ip actions=learn(eth_type=0x800,load:5->NXM_OF_IP_DST[],output:NXM_OF_IP_SRC[0..15])",
    `actions=${"clone(".repeat(90)}output:1${")".repeat(90)}`,
  ])
    assert.is.not(parseFlow(line).flow, null, line);
  for (const [line, column, message] of [
    ["ipv6 actions=ct(commit,zone=5,nat(src=10.0.0.1))", 39, "needs ip in the match"],
    ["actions=learn(load:5->NXM_OF_IP_DST[])", 23, "load of ip_dst needs ip in the match that learn makes"],
    ["actions=learn(udp_src=9)", 15, "a match of udp_src needs udp"],
    ["actions=learn(output:NXM_OF_IP_DST[])", 22, "learn of ip_dst needs ip in the match"],
    ["actions=learn(load:0x1ffff->NXM_NX_REG0[0..15])", 20, "0x1ffff does not fit into 16 bits"],
    [`actions=learn(load:0x1${"0".repeat(32)}->NXM_NX_XXREG0[])`, 20, "does not fit into 128 bits"],
    ["ip actions=write_actions(exit)", 26, "exit cannot stand inside of write_actions (OFPBAC_BAD_TYPE)"],
    ["ip actions=write_actions(controller(id=7))", 26, "controller with arguments other than max_len"],
    [`actions=${"clone(".repeat(101)}1${")".repeat(101)}`, 609, "nested more than 99 deep"],
    ["ip actions=dec_ttl(70000)", 20, "a wider one is refused here, where ovs-ofctl may cut it"],
    ["packet_type=(1,0x800) actions=learn(NXM_OF_ETH_SRC[])", 37, "learn of eth_src needs an Ethernet frame"],
    ["tun_metadata1=5,tun_metadata1=6 actions=drop", 17, "is matched twice"],
  ] as const) {
    const { flow, problems } = parseFlow(line);
    assert.is(flow, null, line);
    assert.is(problems.at(-1)!.column, column, `${line}: ${problems.at(-1)!.message}`);
    assert.ok(problems.at(-1)!.message.includes(message), problems.at(-1)!.message);
  }
});

test("the version decides what a word of a file means", () => {
  const meant = (line: string, protocol?: "OpenFlow10" | "OpenFlow13"): string =>
    canonicalText(parseFlow(line, undefined, protocol === undefined ? {} : { protocol }).flow!.actions);
  assert.is(
    meant("actions=mod_vlan_vid:5", "OpenFlow13"),
    meant("actions=push_vlan:0x8100,set_field:4101->vlan_vid"),
  );
  assert.is.not(meant("actions=mod_vlan_vid:5", "OpenFlow10"), meant("actions=mod_vlan_vid:5", "OpenFlow13"));
  // A tag that is there, or was just pushed, is set.
  assert.is(
    meant("dl_vlan=1 actions=mod_vlan_vid:5", "OpenFlow13"),
    meant("dl_vlan=1 actions=set_field:4101->vlan_vid"),
  );
  assert.is(
    meant("actions=mod_vlan_vid:5,mod_vlan_pcp:3", "OpenFlow13"),
    meant("actions=push_vlan:0x8100,set_field:4101->vlan_vid,set_field:3->vlan_pcp"),
  );
  assert.is(meant("actions=enqueue:1:2", "OpenFlow13"), meant("actions=set_queue:2,output:1,pop_queue"));
  // One setting with a mask is several loads in OpenFlow 1.3.
  assert.is(
    meant("actions=set_field:0x8/0x9->reg1"),
    meant("actions=load:0->NXM_NX_REG1[0],load:1->NXM_NX_REG1[3]"),
  );
});

test("a # in a quoted name begins no comment", () => {
  const { flows } = parseFlows('in_port="a#b" actions=drop # remark\n', "x", {
    ports: new Map([["a#b", 3]]),
  });
  assert.is(flows[0]!.match[0]!.value, 3n);
});

test("hostile lines end in problems, soon", () => {
  const deep = "clone(".repeat(5000);
  const lines = [
    "(".repeat(100_000),
    `actions=${deep}`,
    `actions=${deep}${")".repeat(5000)}`,
    `actions=${"clone(".repeat(100)}1${")".repeat(100)}`,
    "\u0000\u0000actions=\u0000",
    `reg0=${"9".repeat(100_000)},actions=drop`,
    `reg0=0x${"f".repeat(100_000)},actions=drop`,
    `ipv6,ipv6_src=${":".repeat(50_000)},actions=drop`,
    `in_port="${"\\".repeat(9999)},actions=drop`,
    `${"a".repeat(10_000_000)},actions=drop`,
    `actions=${"ct(".repeat(20_000)}`,
    "reg0[999999999999999999999..5]=1,actions=drop",
  ];
  for (const line of lines) {
    const began = performance.now();
    const { flow, problems } = parseFlow(line);
    assert.is(flow, null, line.slice(0, 40));
    assert.is(problems.filter(({ level }) => level === "error").length, 1);
    assert.ok(problems.at(-1)!.message.length < 400);
    if (isTimed) assert.ok(performance.now() - began < 5000, line.slice(0, 40));
  }
});

test("replies of several parts have a header each, whatever the version", () => {
  const group = (id: number): string => ` group_id=${id},type=all,bucket=actions=output:2`;
  const parts = [
    "OFPST_GROUP_DESC reply (OF1.3) (xid=0x2): flags=[more]",
    group(1),
    "NXST_GROUP_DESC reply (xid=0x2):",
    group(2),
  ];
  const { groups, problems } = parseGroups(parts.join("\n"), "g.txt");
  assert.equal(problems, []);
  assert.equal(
    groups.map(({ id }) => id),
    [1, 2],
  );
  const flows = parseFlows("NXST_FLOW reply (xid=0x4): flags=[more]\n actions=drop\n", "f");
  assert.equal(flows.problems, []);
});

test.run();
