/**
 * What enters and leaves beside a frame's bytes: tunnel fields, queue, mark, packet-ins with all they carry,
 * learned flows, samples, and effects that only the switch's own state decides.
 */
import { FlowColumns, Interpreter, KEY } from "../../src/openflow/index.ts";
import { surelyDiffer } from "../../src/verify/counterexample/confirm.ts";
import { type Proof, type ProofOptions, prove } from "../../src/verify/index.ts";
import { assert, suite } from "../harness.ts";
import { flowsOf, GROUPS } from "./odd.ts";

const test = suite("prove beside the frame");
function columnsOf(text: string): FlowColumns {
  const flows = new FlowColumns(new TextEncoder().encode(text), "flows");
  assert.is(flows.errorCount, 0, flows.problems[0]?.message);
  return flows;
}

const compare = (a: string, b: string, options: ProofOptions = {}): Proof =>
  prove({ flows: columnsOf(a), groups: GROUPS }, { flows: columnsOf(b), groups: GROUPS }, options);

const ports = (tunnels: readonly number[], others: readonly number[], isComplete = false): ProofOptions => ({
  ports: { tunnels: new Set(tunnels), others: new Set(others), isComplete },
});

/** Pairs that differ, with the name of what does, and the tables under the other half of the pair. */
const DIFFERENT: Record<string, readonly [a: string, b: string, what: string]> = {
  "tunnel ids that enter": ["tun_id=7 actions=output:1", "tun_id=8 actions=output:1", "an output too few"],
  "where a tunnel id leads": ["tun_id=7 actions=output:1", "tun_id=7 actions=output:3", "port"],
  "a tunnel's source that enters": [
    "tun_src=192.0.2.7 actions=output:1",
    "tun_src=192.0.2.8 actions=output:1",
    "an output too few",
  ],
  "an IPv6 endpoint": [
    "tun_ipv6_dst=2001:db8::7 actions=output:1",
    "tun_ipv6_dst=2001:db8::8 actions=output:1",
    "an output too few",
  ],
  "marks that enter": ["pkt_mark=1/1 actions=output:1", "pkt_mark=2/2 actions=output:1", "an output too few"],
  "priorities that enter": [
    "skb_priority=5 actions=output:1",
    "skb_priority=6 actions=output:1",
    "an output too few",
  ],
  "a tunnel id in a register": [
    "actions=move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=5 actions=output:2",
    "actions=move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=6 actions=output:2",
    "an output too few",
  ],
  set_tunnel: ["actions=set_tunnel:7,output:2", "actions=set_tunnel:8,output:2", "tun_id"],
  set_tunnel64: [
    "actions=set_tunnel64:0x100000000,output:2",
    "actions=set_tunnel64:0x200000000,output:2",
    "tun_id",
  ],
  gbp_id: [
    "actions=set_field:1->tun_gbp_id,output:2",
    "actions=set_field:2->tun_gbp_id,output:2",
    "tun_gbp_id",
  ],
  "an entering mark that is cleared": [
    "actions=output:2",
    "actions=set_field:0->pkt_mark,output:2",
    "pkt_mark",
  ],
  set_queue: ["actions=set_queue:1,output:2", "actions=set_queue:2,output:2", "queue"],
  "a queue or none": ["actions=set_queue:1,output:2", "actions=output:2", "queue"],
  "pop_queue that is missing": [
    "actions=set_queue:1,output:2,pop_queue,output:3",
    "actions=set_queue:1,output:2,output:3",
    "queue",
  ],
  enqueue: ["actions=enqueue:2:1,output:3", "actions=enqueue:2:9,output:3", "queue"],
  "a queue behind pop_mpls": [
    "mpls,mpls_bos=1 actions=pop_mpls:0x0800,set_queue:1,resubmit(,1)\ntable=1,ip actions=output:2",
    "mpls,mpls_bos=1 actions=pop_mpls:0x0800,set_queue:2,resubmit(,1)\ntable=1,ip actions=output:2",
    "queue",
  ],
  userdata: [
    "actions=controller(userdata=01.02)",
    "actions=controller(userdata=01.03)",
    "userdata of the packet-in",
  ],
  max_len: ["actions=controller:100", "actions=controller:64", "max_len of the packet-in"],
  "a controller's id": [
    "actions=controller(id=5)",
    "actions=controller(id=6)",
    "controller id of the packet-in",
  ],
  reason: [
    "actions=controller(reason=no_match)",
    "actions=controller(reason=action)",
    "reason of the packet-in",
  ],
  "a reason that expired TTLs have too": [
    "actions=controller(reason=invalid_ttl)",
    "",
    "a packet-in too few",
  ],
  "a register in a packet-in": ["actions=set_field:1->reg0,controller", "actions=controller", "reg0"],
  "metadata in a packet-in": [
    "actions=write_metadata:0x1,goto_table:1\ntable=1 actions=controller",
    "actions=write_metadata:0x2,goto_table:1\ntable=1 actions=controller",
    "metadata",
  ],
  "a sample": [
    "actions=sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1),output:2",
    "actions=output:2",
    "sample in a only",
  ],
  "a sample's arguments": [
    "actions=sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1),output:2",
    "actions=sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=2),output:2",
    "sample",
  ],
  "what is learned": [
    "tun_id=7 actions=learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:1",
    "tun_id=7 actions=learn(table=22,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:1",
    "learn",
  ],
  "the values that are learned": [
    "actions=set_field:1->reg0,learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_NX_REG0[]->NXM_NX_REG1[])",
    "actions=set_field:2->reg0,learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_NX_REG0[]->NXM_NX_REG1[])",
    "learn",
  ],
  "drop and ct(commit) before an output": [
    "ip actions=drop",
    "ip actions=ct(commit),output:3",
    "an output too many",
  ],
  "ct(commit) before different outputs": [
    "ip actions=ct(commit),output:2",
    "ip actions=ct(commit),output:3",
    "port",
  ],
  "drop and NORMAL": ["actions=NORMAL", "actions=drop", "NORMAL in a only"],
  "NORMAL beside other outputs": ["actions=NORMAL,output:2", "actions=NORMAL,output:3", "port"],
  "a meter before different outputs": ["actions=meter:1,output:2", "actions=meter:1,output:3", "port"],
};

for (const [name, [a, b, what]] of Object.entries(DIFFERENT))
  test(`different: ${name}`, () => {
    const proof = compare(`${a}\n`, `${b}\n`);
    assert.is(proof.verdict, "different", JSON.stringify(proof.unknown));
    assert.ok(
      proof.differences.some(one => one.what === what),
      proof.differences.map(one => one.what).join(),
    );
    const { inPort, frame, state } = proof.differences[0]!;
    const [left, right] = [a, b].map(text => new Interpreter(flowsOf(text)).run(inPort, frame, null, state));
    assert.ok(surelyDiffer(left!, right!), "the frame and its state show it");
    assert.is(compare(`${a}\n`, `${a}\n`).verdict, "equal", "a is equal to itself");
  });

/** Pairs that do the same for all that anybody can see. */
const EQUAL: Record<string, readonly [a: string, b: string]> = {
  "a dead store to a tunnel field": ["actions=set_tunnel:7", "actions=drop"],
  "a tunnel field behind the last output": ["actions=output:2,set_tunnel:7", "actions=output:2"],
  "a queue that is forgotten before the output": [
    "actions=set_queue:1,pop_queue,output:2",
    "actions=output:2",
  ],
  "NORMAL reads no registers": ["actions=set_field:5->reg0,NORMAL", "actions=NORMAL"],
  "two spellings of a tag in front of NORMAL": [
    "vlan_tci=0/0x1fff actions=mod_vlan_vid:3,NORMAL",
    "vlan_tci=0/0x1fff actions=push_vlan:0x8100,set_field:4099->vlan_vid,NORMAL",
  ],
  "two spellings of what is learned": [
    "actions=learn(table=20,priority=32768,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
    "actions=learn(table=20,eth_dst=eth_src,output:in_port)",
  ],
  "queue and output, and enqueue": ["actions=set_queue:3,output:2,pop_queue", "actions=enqueue:2:3"],
  "packet-ins and outputs in another order": ["actions=controller,output:2", "actions=output:2,controller"],
};

for (const [name, [a, b]] of Object.entries(EQUAL))
  test(`equal: ${name}`, () => {
    const proof = compare(`${a}\n`, `${b}\n`);
    assert.is(proof.verdict, "equal", JSON.stringify(proof.unknown));
  });

const UNKNOWN: Record<string, readonly [a: string, b: string, feature: string]> = {
  "NORMAL and an output": ["actions=NORMAL", "actions=output:2", "NORMAL"],
  "NORMAL with another tag": ["actions=mod_vlan_vid:3,NORMAL", "actions=mod_vlan_vid:4,NORMAL", "NORMAL"],
  "NORMAL on both sides, and an output on one that the other may make": [
    "actions=mod_vlan_vid:3,NORMAL,output:2",
    "actions=mod_vlan_vid:4,NORMAL",
    "NORMAL",
  ],
  "ct(commit) in front of the same output": ["ip actions=ct(commit),output:3", "ip actions=output:3", "ct"],
  "commits into other zones": [
    "ip actions=ct(commit,zone=1),output:3",
    "ip actions=ct(commit,zone=2),output:3",
    "ct",
  ],
  "a meter on one side": ["actions=meter:1,output:2", "actions=output:2", "meter"],
  "a packet that is read again behind ct": [
    "mpls,mpls_bos=1 actions=pop_mpls:0x0800,resubmit(,1)\ntable=1,ip actions=ct(commit),pop_mpls:0x0800,output:2",
    "mpls,mpls_bos=1 actions=pop_mpls:0x0800,resubmit(,1)\ntable=1,ip actions=ct(commit,zone=4),output:2",
    "ct",
  ],
};

for (const [name, [a, b, feature]] of Object.entries(UNKNOWN))
  test(`unknown: ${name}`, () => {
    const proof = compare(`${a}\n`, `${b}\n`);
    assert.is(proof.verdict, "unknown", proof.differences.map(one => one.what).join());
    assert.ok(
      proof.unknown.some(one => one.feature === feature),
      JSON.stringify(proof.unknown),
    );
  });

test("a port that is no tunnel brings no tunnel fields", () => {
  const [a, b] = ["in_port=2,tun_id=7 actions=output:1\n", "in_port=2,tun_id=8 actions=output:1\n"];
  assert.is(compare(a, b, ports([], [1, 2])).verdict, "equal");
  assert.is(compare(a, b, ports([2], [1])).verdict, "different");
  assert.is(compare(a, b, ports([], [1])).verdict, "different");
  assert.is(compare(a, b, ports([], [], true)).verdict, "equal");
  assert.is(compare(a, b, ports([2], [], true)).verdict, "different");
  assert.is(compare(a, b, ports([1, 3], [], true)).verdict, "equal");
  const any = ["tun_id=7 actions=output:1\n", "tun_id=8 actions=output:1\n"] as const;
  const { differences, verdict } = compare(...any, ports([3], [1, 2, 4, 5, 6, 7]));
  assert.is(verdict, "different");
  assert.ok(![1, 2, 4, 5, 6, 7].includes(differences[0]!.inPort), "not a port that is no tunnel");
});

test("what is not known of a port is said", () => {
  const into = compare("in_port=2,tun_id=7 actions=output:1\n", "in_port=2,tun_id=8 actions=output:1\n");
  assert.equal(into.differences[0]!.tunnels, [2]);
  const out = compare(
    "in_port=1 actions=set_tunnel:7,output:2\n",
    "in_port=1 actions=set_tunnel:8,output:2\n",
  );
  assert.equal(out.differences[0]!.tunnels, [2]);
  const known = compare(
    "in_port=1 actions=set_tunnel:7,output:2\n",
    "in_port=1 actions=set_tunnel:8,output:2\n",
    ports([2], [1]),
  );
  assert.equal(known.differences[0]!.tunnels, []);
  const neither = compare("actions=set_tunnel:7,output:2\n", "actions=set_tunnel:7,output:3\n");
  assert.equal(neither.differences[0]!.tunnels, [], "the ports differ whatever they are");
});

test("a tunnel field in front of an ordinary port changes nothing", () => {
  const [a, b] = ["in_port=1 actions=set_tunnel:7,output:2\n", "in_port=1 actions=output:2\n"];
  assert.is(compare(a, b, ports([], [2])).verdict, "equal");
  assert.is(compare(a, b, ports([3], [2])).verdict, "equal");
  assert.is(compare(a, b, ports([3], [], true)).verdict, "equal");
  assert.is(compare(a, b, ports([2], [], true)).verdict, "different");
  assert.is(compare(a, b).verdict, "different");
});

test("ports of rows: a tunnel field counts for the rows whose port may be a tunnel", () => {
  const rows = (id: number, changed = -1): string =>
    Array.from(
      { length: 40 },
      (_, i) => `ip,nw_dst=10.0.0.${i} actions=set_tunnel:${i === changed ? 99 : id},output:${10 + i}\n`,
    ).join("");
  const plain = Array.from({ length: 40 }, (_, i) => 10 + i);
  assert.is(compare(rows(1), rows(2), ports([], plain)).verdict, "equal");
  const { verdict, differences } = compare(
    rows(1),
    rows(2),
    ports(
      [17],
      plain.filter(port => port !== 17),
    ),
  );
  assert.is(verdict, "different");
  assert.is(differences[0]!.a.outputs[0]!.port, 17);
});

test("parts that are ignored are not compared, and nothing else is", () => {
  const ignoring = (...parts: string[]): ProofOptions => ({
    ignored: new Set(parts) as ProofOptions["ignored"],
  });
  const pairs: readonly (readonly [string, string, string])[] = [
    ["queue", "actions=set_queue:1,output:2\n", "actions=output:2\n"],
    ["mark", "actions=set_field:1->pkt_mark,output:2\n", "actions=output:2\n"],
    ["packet-in", "actions=controller(id=4),output:2\n", "actions=output:2\n"],
    [
      "sample",
      "actions=sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1),output:2\n",
      "actions=output:2\n",
    ],
    ["order", "actions=output:2,output:3\n", "actions=output:3,output:2\n"],
  ];
  for (const [part, a, b] of pairs) {
    assert.is(compare(a, b).verdict, "different", part);
    assert.is(compare(a, b, ignoring(part)).verdict, "equal", part);
    for (const [other] of pairs)
      if (other !== part) assert.is(compare(a, b, ignoring(other)).verdict, "different", `${part}, ${other}`);
  }
  // The same port gets both frames: their order is seen there.
  const tags = [
    "actions=output:2,mod_vlan_vid:3,output:2\n",
    "actions=mod_vlan_vid:3,output:2,strip_vlan,output:2\n",
  ];
  assert.is(compare(tags[0]!, tags[1]!, ignoring("order")).verdict, "different");
});

test("a frame comes with the state that a difference needs, and with no other", () => {
  const { differences } = compare("tun_id=7,pkt_mark=9 actions=output:1\n", "actions=drop\n");
  const { state } = differences[0]!;
  assert.equal(
    [...state],
    [
      [KEY.pktMark, 9],
      [KEY.tunnelId + 1, 7],
    ],
  );
});

test.run();
