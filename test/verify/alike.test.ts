/**
 * Tables that are certainly the same end a comparison at once: what may be cut short, what may not, and that
 * no verdict but "unknown" ever changes by it. ALIKE_PAIRS says how many random tables, SEED which.
 */
import { FlowColumns, type Group, Interpreter, parseGroups } from "../../src/openflow/index.ts";
import { Budget } from "../../src/verify/budget.ts";
import { sameOutcome } from "../../src/verify/counterexample/confirm.ts";
import { type Proof, prove } from "../../src/verify/index.ts";
import { ambiguousTables } from "../../src/verify/product/ambiguity.ts";
import { Program } from "../../src/verify/symbolic/compiled-tables.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { changed, flowsOf, GROUPS, randomRules, textOf, tryAll } from "./odd.ts";
import { withPlant } from "./tiny/canary.ts";
import { Random } from "./tiny/random.ts";
import { randomPair } from "./whole/run.ts";

const test = suite("verify › alike tables");
/** The clock decides nothing. */
const WITHIN = { maxSteps: 200_000, maxSeconds: Number.POSITIVE_INFINITY };
const PAIRS = Number(process.env.ALIKE_PAIRS ?? 20);

/** An action of which nobody knows what it does. */
const asks = (bytes: number): string => `check_pkt_larger(${bytes})->NXM_NX_REG9[0]`;

const read = (text: string, name = "flows"): FlowColumns =>
  new FlowColumns(Buffer.from(text.endsWith("\n") ? text : `${text}\n`), name);
const groupsOf = (text: string): readonly Group[] => parseGroups(text, "groups").groups;

interface Options {
  readonly groups?: readonly [string, string];
  readonly isThorough?: boolean;
}

function compare(a: string, b: string, { groups = ["", ""], isThorough = false }: Options = {}): Proof {
  const [left, right] = groups.map(groupsOf) as [readonly Group[], readonly Group[]];
  return prove(
    { flows: read(a, "a"), groups: left },
    { flows: read(b, "b"), groups: right },
    { isThorough, ...WITHIN },
  );
}

const said = ({ verdict, unknown }: Proof): string =>
  [verdict, ...unknown.map(({ feature, line }) => `${feature}:${line}`)].join(" ");

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** What is not executed, or not at all known, and is the same on both sides all the same. */
const FIREWALL = `table=0,priority=9,ip actions=ct(table=1,zone=5)
table=0,priority=1 actions=NORMAL
table=1,priority=9,ct_state=+new+trk,tcp,tp_dst=22 actions=ct(commit,zone=5),output:2
table=1,priority=8,ct_state=+est+trk actions=output:2
table=1,priority=7,ct_state=+inv+trk actions=drop
table=1,priority=6,udp actions=meter:3,learn(table=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,9)
table=1,priority=5,tun_metadata0=0x7,icmp actions=check_pkt_larger(1500)->NXM_NX_REG0[0],resubmit(,2)
table=2,priority=5,reg0=0x1/0x1 actions=controller(pause)
table=2,priority=4 actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[]),output:3
table=9,priority=1 actions=flood`;

test("a firewall with ct, meters, learn and unknown matches is equal to itself in any order", () => {
  const lines = FIREWALL.split("\n");
  for (let i = 1; i < 10; i++) {
    const proof = compare(FIREWALL, shuffled(lines, new Random(i)).join("\n"));
    assert.is(said(proof), "equal");
    assert.is(proof.classes, 1);
  }
  assert.is(compare(FIREWALL, FIREWALL, { isThorough: true }).verdict, "unknown");
});

test("every change of one flow of it is noticed", () => {
  const changes: readonly (readonly [string, string])[] = [
    ["zone=5)\n", "zone=6)\n"],
    ["ct(table=1,", "ct(table=2,"],
    ["NORMAL", "drop"],
    ["+new+trk,tcp", "+new-rel+trk,tcp"],
    ["ct(commit,zone=5)", "ct(commit,zone=5,nat)"],
    ["zone=5),output:2", "zone=5),output:3"],
    ["meter:3", "meter:4"],
    ["ETH_DST[]=", "ETH_SRC[]="],
    ["learn(table=9", "learn(idle_timeout=9,table=9"],
    ["tun_metadata0=0x7", "tun_metadata0=0x8"],
    ["check_pkt_larger(1500)", "check_pkt_larger(1400)"],
    ["controller(pause)", "controller(pause,id=3)"],
    ["modulo_n,1", "modulo_n,2"],
    ["actions=flood", "actions=all"],
    ["priority=4 actions=multipath", "priority=3,reg0=0 actions=multipath"],
  ];
  for (const [find, put] of changes) {
    const mutant = FIREWALL.replace(find, put);
    assert.is.not(mutant, FIREWALL, find);
    assert.is.not(compare(FIREWALL, mutant).verdict, "equal", put);
  }
});

test("spelling does not count, nor the numbers of tables and groups", () => {
  const a = `actions=mod_dl_dst:02:00:00:00:00:09,resubmit(,5)
table=5,ip actions=load:7->NXM_NX_REG0[],group:1
table=5,priority=1,tcp actions=ct(table=6)
table=6 actions=resubmit(,5)`;
  const b = `actions=set_field:02:00:00:00:00:09->eth_dst,goto_table:7
table=7,priority=1,ip,nw_proto=6 actions=ct(table=6)
table=7,dl_type=0x800 actions=set_field:7->reg0,group:30
table=6 actions=resubmit(,7)`;
  const groups = (id: number): string => `group_id=${id},type=select,bucket=weight:3,actions=output:1`;
  assert.is(said(compare(a, b, { groups: [groups(1), groups(30)] })), "equal");
  const other = groups(30).replace("weight:3", "weight:4");
  assert.is.not(compare(a, b, { groups: [groups(1), other] }).verdict, "equal");
});

test("cycles of tables are alike when everything on them is", () => {
  const cycle = (last: string): string => `actions=${asks(1)},resubmit(,1)
table=1,ip actions=${asks(2)},resubmit(,2)
table=2,ip actions=${asks(3)},resubmit(,3)
table=3,ip,reg0=0 actions=${last},resubmit(,1)`;
  assert.is(said(compare(cycle("output:1"), cycle("output:1"))), "equal");
  assert.is.not(compare(cycle("output:1"), cycle("output:2")).verdict, "equal");
  // One goes back to a table with a smaller number, the other forward: levels of resubmit are counted
  // otherwise.
  const back = `actions=${asks(1)},resubmit(,9)\ntable=9,ip actions=${asks(1)},resubmit(,4)\ntable=4,ip actions=output:1`;
  const forward = back.replaceAll("9", "3");
  assert.is.not(compare(back, forward).verdict, "equal");
});

test("of flows with one match the last one stands", () => {
  const flow = (port: number): string => `tun_metadata0=5,ip actions=${asks(1)},output:${port}`;
  const [a, b] = [`${flow(1)}\n${flow(2)}`, `${flow(2)}\n${flow(1)}`];
  assert.is.not(compare(a, b).verdict, "equal");
  assert.is(said(compare(a, flow(2))), "equal");
});

test("what is left to do behind a lookup counts, and what was done before", () => {
  const table = `table=1,ip actions=${asks(1)},output:1\n`;
  for (const [a, b] of [
    ["actions=resubmit(,1),output:2", "actions=resubmit(,1),output:3"],
    ["actions=output:2,resubmit(,1)", "actions=output:3,resubmit(,1)"],
    ["actions=load:1->NXM_NX_REG0[],resubmit(,1)", "actions=load:2->NXM_NX_REG0[],resubmit(,1)"],
    ["actions=clone(resubmit(,1)),output:2", "actions=clone(resubmit(,1)),output:3"],
    ["actions=write_actions(output:2),resubmit(,1)", "actions=write_actions(output:3),resubmit(,1)"],
    ["actions=push:NXM_OF_IN_PORT[],resubmit(,1)", "actions=resubmit(,1)"],
    ["actions=resubmit(7,1)", "actions=resubmit(8,1)"],
  ] as const)
    assert.is.not(compare(`${a}\n${table}`, `${b}\n${table}`).verdict, "equal", a);
});

test("a group that no list has may be another one on each side", () => {
  const proof = compare("actions=group:99", "actions=group:99");
  assert.is(said(proof), "unknown group 99, which is missing in the group dump:1");
});

test("two flows of one priority: told where a frame meets both, equal where none does", () => {
  const met = `actions=resubmit(,1)\ntable=1,priority=5,ip actions=output:1\ntable=1,priority=5,in_port=1 actions=output:2`;
  assert.is(compare(met, met).verdict, "ambiguous");
  const registers = `priority=9,in_port=1 actions=load:1->NXM_NX_REG0[],resubmit(,1)
priority=1 actions=load:2->NXM_NX_REG0[],load:1->NXM_NX_REG1[],resubmit(,1)
table=1,priority=5,reg0=1 actions=meter:1,output:1
table=1,priority=5,reg1=1 actions=meter:1,output:2`;
  assert.is(said(compare(registers, registers)), "equal");
  const both = registers.replace("load:2->", "load:1->");
  assert.is.not(compare(both, both).verdict, "equal");
});

test("two flows of one priority behind connection tracking: what the tracker never says is never met", () => {
  const behind = (a: string, b: string): string => `ip actions=ct(table=1)
table=1,priority=5,${a} actions=output:1
table=1,priority=5,${b} actions=output:2`;
  const same = (text: string): string => compare(text, text).verdict;
  assert.is(same(behind("ct_state=+inv+trk", "ct_state=+est+trk")), "equal");
  assert.is(same(behind("ct_state=+new+trk", "ct_state=+rpl+trk,tcp")), "equal");
  // What it may say is met, with a tracker that says it.
  assert.is(same(behind("ct_state=+inv+trk", "tcp")), "ambiguous");
  assert.is(same(behind("ct_state=+new+trk", "ct_mark=1")), "ambiguous");
  // Untracked frames that never go through ct.
  const apart = `priority=9,icmp6,icmp_type=135 actions=resubmit(,1)
priority=1,ipv6 actions=ct(table=1,nat)
table=1,priority=5,ct_state=+inv+trk,ipv6 actions=drop
table=1,priority=5,icmp6,icmp_type=135 actions=output:2`;
  assert.is(same(apart), "equal");
  assert.is(
    same(apart.replace("priority=9,icmp6,icmp_type=135", "priority=9,icmp6,icmp_type=136")),
    "ambiguous",
  );
});

test("conjunctive matches of one priority that may hold at once are not the same function", () => {
  const conjunctions = (second: string): string => `priority=9,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
priority=9,tcp,tp_dst=80 actions=conjunction(1,2/2)
priority=9,ip,nw_src=${second} actions=conjunction(2,1/2)
priority=9,tcp,tp_src=80 actions=conjunction(2,2/2)
priority=9,conj_id=1,ip actions=meter:1,output:1
priority=9,conj_id=2,ip actions=meter:1,output:2`;
  const meets = (text: string): boolean =>
    ambiguousTables(new Program({ flows: read(text) }, new Budget(1e6, 60))).size > 0;
  assert.not.ok(meets(conjunctions("10.0.0.2")));
  assert.ok(meets(conjunctions("10.0.0.0/24")));
});

test("flows that were learned: the same table only, and elsewhere nobody knows", () => {
  const learn = (
    table: number,
    behind: string,
  ): string => `ip actions=learn(table=${table},NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,8)
priority=1,arp actions=resubmit(,${table})
priority=1,mpls actions=${behind}
table=${table},priority=0 actions=output:5`;
  assert.is(said(compare(learn(20, "output:1"), learn(20, "output:1"))), "equal");
  // The frames that are looked up there are equal, and so they stay when something else is another flow.
  const more = `${learn(20, "drop")}\npriority=7,mpls,mpls_label=3 actions=drop`;
  assert.is(said(compare(learn(20, "drop"), more)), "equal");
  // Another table is another table, though neither shows a learned flow.
  const other = compare(learn(20, "drop"), learn(21, "drop"));
  assert.is.not(other.verdict, "equal");
  const rows = (port: number): string => `arp actions=resubmit(,20)
priority=1,mpls actions=learn(table=20,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])
table=20,priority=9,in_port=9 actions=output:${port}
table=20,priority=0 actions=output:5`;
  const differing = compare(rows(1), rows(2));
  assert.is(differing.verdict, "different");
  assert.ok(differing.unknown.some(({ feature }) => feature === "learn: table 20 holds learned flows"));
});

test("a learned flow beside another one of its priority depends on what was there first, but not with the same mask", () => {
  const learn = (priority: number, flow: string): string =>
    `ip actions=learn(table=20,priority=${priority},NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:1->NXM_NX_REG0[]),resubmit(,20)
table=20,priority=7,${flow} actions=output:5`;
  const same = (text: string): string => compare(text, text).verdict;
  assert.is(same(learn(6, "ip")), "equal");
  const tied = learn(7, "ip");
  assert.is(said(compare(tied, tied)), "unknown two flows of equal priority may match the same packet:1");
  // As it stands in a dump once it was learned.
  assert.is(same(learn(7, "vlan_tci=3/0xfff,dl_dst=02:00:00:00:00:01")), "equal");
  const other = "priority=9,arp actions=learn(table=20,priority=6,NXM_OF_IN_PORT[]),resubmit(,20)";
  assert.is(same(`${learn(6, "ip")}\n${other}`), "unknown");
});

test("what a learned flow writes counts though a flow of the dump matches everything", () => {
  const text = (value: number): string => `actions=resubmit(,20),resubmit(,21)
priority=9,arp actions=learn(table=20,priority=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:1->NXM_NX_REG0[])
table=20,priority=0 actions=output:9
table=21,priority=5,reg0=${value},ip actions=output:1
table=21,priority=5,reg0=${value},in_port=1 actions=output:2`;
  assert.is(compare(text(1), text(1)).verdict, "unknown");
});

test("a conj_id that a table was asked with says nothing of the next table", () => {
  const clauses = (table: number, id: number): string =>
    [1, 2]
      .map(
        k =>
          `table=${table},priority=9,ip,nw_${k === 1 ? "src" : "dst"}=10.0.0.${table} actions=conjunction(${id},${k}/2)`,
      )
      .join("\n");
  const text = `actions=resubmit(,1)
${clauses(1, 8)}
table=1,priority=9,conj_id=8,ip actions=check_pkt_larger(1)->NXM_NX_REG9[0],resubmit(,2)
table=2,priority=9,ip,nw_src=10.0.0.0/24 actions=conjunction(7,1/2)
table=2,priority=9,ip,nw_dst=10.0.0.0/24 actions=conjunction(7,2/2)
table=2,priority=9,conj_id=7,ip actions=output:1
table=2,priority=9,conj_id=7,in_port=1 actions=output:2`;
  assert.is.not(compare(text, text).verdict, "equal");
});

test("an action set runs at the end, its parts in their own order", () => {
  // The last write to reg0 counts, though the resubmit was written with another one.
  const text = `actions=write_actions(set_field:1->reg0,resubmit(,5)),goto_table:1
table=1 actions=write_actions(set_field:2->reg0)
table=5,priority=9,reg0=2,ip actions=check_pkt_larger(1)->NXM_NX_REG9[0],output:1
table=5,priority=9,reg0=2,in_port=1 actions=check_pkt_larger(1)->NXM_NX_REG9[0],output:2`;
  assert.is.not(compare(text, text).verdict, "equal");
  const bucket = `group_id=1,type=all,bucket=actions=resubmit(,5),set_field:2->reg0`;
  const behind = text.replace(/^.*\n.*\n/, "actions=group:1\n");
  assert.is.not(compare(behind, behind, { groups: [bucket, bucket] }).verdict, "equal");
});

test("a tunnel and a mark come in with a frame: flows that ask for them may be met", () => {
  for (const field of ["tun_id=7", "pkt_mark=7", "tun_src=10.0.0.1"]) {
    const text = `table=0,priority=9,${field} actions=check_pkt_larger(1)->NXM_NX_REG9[0],output:1
table=0,priority=9,in_port=1 actions=check_pkt_larger(1)->NXM_NX_REG9[0],output:2`;
    assert.is.not(compare(text, text).verdict, "equal", field);
  }
});

test("a flow that cannot be read leaves nothing alike", () => {
  const flows = (): FlowColumns =>
    new FlowColumns(Buffer.from("ip actions=meter:1\nnonsense\n"), "flows", { lenient: true });
  assert.is(prove({ flows: flows() }, { flows: flows() }).verdict, "unknown");
});

/** A table of so many rows that it is looked at by columns. */
const routes = (change: (line: string, i: number) => string = line => line): string =>
  [
    `ip actions=${asks(1)},resubmit(,40)`,
    ...Array.from({ length: 3000 }, (_, i) =>
      change(
        `table=40,priority=132,ip,nw_dst=10.${i >> 8}.${i & 255}.1 actions=set_field:${i + 16}->mpls_label,set_field:02:00:00:00:${i % 7}0:01->eth_dst,output:${(i % 5) + 1}`,
        i,
      ),
    ),
    "table=40,priority=3,ip actions=resubmit(,41)",
    "table=41 actions=output:9",
  ]
    .map(line => line.replace("set_field:", "push_mpls:0x8847,set_field:"))
    .join("\n");

test("large tables are alike by their columns", () => {
  const own = routes();
  const other = shuffled(own.split("\n"), new Random(1)).join("\n");
  assert.is(said(compare(own, other)), "equal");
  assert.is(compare(own, other).classes, 1);
  const changes: readonly ((line: string, i: number) => string)[] = [
    (line, i) => (i === 1234 ? line.replace(/set_field:\d+->/, "set_field:9->") : line),
    (line, i) => (i === 1234 ? line.replace(/output:\d/, "output:7") : line),
    (line, i) => (i === 1234 ? line.replace("nw_dst=10.4.210.1", "nw_dst=10.4.210.2") : line),
    (line, i) => (i === 1234 ? line.replace("priority=132", "priority=131") : line),
    (line, i) => (i === 1234 ? `${line},output:1` : line),
  ];
  for (const change of changes) {
    const mutant = routes(change);
    assert.is.not(mutant, own);
    assert.is.not(compare(own, mutant).verdict, "equal");
  }
  assert.is.not(compare(own, own.replace("actions=output:9", "actions=output:8")).verdict, "equal");
});

test("one change: only the way to it is executed, whatever stands elsewhere", () => {
  const a = `${FIREWALL}
table=0,priority=7,arp actions=load:1->NXM_NX_REG1[],resubmit(,5)
table=5,priority=9,reg1=1,arp_op=1 actions=output:7
table=5,priority=8 actions=output:8`;
  const lines = shuffled(a.split("\n"), new Random(1)).join("\n");
  const proof = compare(a, lines.replace("output:7", "output:6"));
  assert.is(said(proof), "different");
  // Nothing of the packet reaches a flow that asks for another register.
  const unreached = `${a}\ntable=5,priority=10,reg1=2 actions=output:1`;
  assert.is(said(compare(unreached, unreached.replace("output:1\n", "output:2\n"))), "equal");
  const changedThere = unreached.replace(/output:1$/, "output:2");
  assert.is.not(changedThere, unreached);
  assert.is(said(compare(unreached, changedThere)), "equal");
  assert.is.not(
    compare(unreached, changedThere.replace("load:1->NXM_NX_REG1", "load:2->NXM_NX_REG1")).verdict,
    "equal",
  );
});

test("one change in a table of rows, and one ambiguity elsewhere", () => {
  const own = routes();
  const other = routes((line, i) => (i === 1234 ? line.replace(/output:\d/, "output:7") : line));
  // The asking flow stands on the way.
  assert.is(said(compare(own, other)).split(" ")[0], "unknown");
  const plain = (text: string): string => text.replaceAll(`${asks(1)},`, "");
  assert.is(said(compare(plain(own), plain(other))), "different");
  const met = "\ntable=0,priority=5,mpls actions=output:1\ntable=0,priority=5,in_port=1 actions=output:2";
  const twice = compare(
    plain(own) + met,
    plain(own).replace("actions=output:9", "actions=resubmit(,43)") + met,
  );
  assert.is(twice.verdict, "different");
  const same = (text: string): string => `${plain(text)}${met}\ntable=43 actions=output:9`;
  const respelt = same(own.replace("table=41 actions=output:9", "table=41 actions=resubmit(,43)"));
  assert.is(compare(same(own), respelt).verdict, "ambiguous");
});

/** So many flows, each of its own priority, that an index finds them. */
const list = (last: string): string =>
  [
    ...Array.from(
      { length: 24 },
      (_, i) => `priority=${100 - i},ip,nw_src=${10 + i}.0.0.0/8 actions=output:${i % 3}`,
    ),
    "priority=9,tcp,tp_dst=22 actions=output:2",
    "priority=8,udp,tp_dst=53 actions=output:2",
    `priority=7,ip,nw_dst=10.9.0.0/16 actions=${last}`,
  ].join("\n");

/** Bugs in what cuts a proof short, and a pair of tables that is called equal then. */
const PLANTS: readonly { file: string; find: string; put: string; a: string; b: string; group?: string }[] = [
  {
    file: "product/ways.ts",
    find: "before.push(this.#everyWrite);",
    put: "",
    a: "actions=resubmit(,1),resubmit(,2)\ntable=1 actions=load:1->NXM_NX_REG0[]\ntable=2,reg0=1 actions=output:1",
    b: "actions=resubmit(,1),resubmit(,2)\ntable=1 actions=load:1->NXM_NX_REG0[]\ntable=2,reg0=1 actions=output:2",
  },
  {
    file: "product/ways.ts",
    find: "group === undefined ? [] : bindGroup(group)",
    put: "group === undefined ? [] : []",
    a: "actions=group:1\ntable=2 actions=output:1",
    b: "actions=group:1\ntable=2 actions=output:2",
    group: "group_id=1,type=all,bucket=actions=resubmit(,2)",
  },
  {
    file: "product/ways.ts",
    find: 'this.#addCalls(step.steps, table, ["anything"], into, depth + 1);',
    put: "this.#addCalls(step.steps, table, before, into, depth + 1);",
    a: "actions=write_actions(resubmit(,5)),goto_table:1\ntable=1 actions=load:1->NXM_NX_REG0[]\ntable=5,reg0=1 actions=output:1",
    b: "actions=write_actions(resubmit(,5)),goto_table:1\ntable=1 actions=load:1->NXM_NX_REG0[]\ntable=5,reg0=1 actions=output:2",
  },
  {
    file: "product/ways.ts",
    find: "if (!isOther) was.forget(word, mask);",
    put: "",
    a: "actions=load:1->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:1",
    b: "actions=load:1->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:2",
  },
  {
    file: "product/ways.ts",
    find: "was.forget(KEY.inPort, 0xffffffff);",
    put: "",
    a: "in_port=1 actions=resubmit(2,1)\ntable=1,in_port=2 actions=output:7",
    b: "in_port=1 actions=resubmit(2,1)\ntable=1,in_port=2 actions=output:8",
  },
  {
    file: "product/differing-flows.ts",
    find: "for (const [name, other] of b) if (!a.has(name)) add(other);",
    put: "",
    a: "priority=1 actions=resubmit(,1)\ntable=1,priority=1 actions=output:1",
    b: "priority=1 actions=resubmit(,1)\ntable=1,priority=1 actions=output:1\ntable=1,priority=2,ip actions=output:2",
  },
  {
    file: "product/differing-flows.ts",
    find: "if (order === 0 && same(own, other)) continue;",
    put: "if (order === 0) continue;",
    a: routes(),
    b: routes((line, i) => (i === 7 ? line.replace(/output:\d/, "output:6") : line)),
  },
  {
    file: "product/alike.ts",
    find: "table === b[index] || this.#areSameLookup(table, b[index]!)",
    put: "table === a[index]",
    a: "actions=resubmit(,1)\ntable=1 actions=output:1\ntable=2 actions=output:2",
    b: "actions=resubmit(,2)\ntable=1 actions=output:1\ntable=2 actions=output:2",
  },
  {
    file: "product/alike.ts",
    find: "a.lookup.table !== b.lookup?.table || !this.#areSame(a, b)",
    put: "a.lookup.table !== b.lookup?.table",
    a: "actions=load:1->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:1",
    b: "actions=load:2->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:1",
  },
  {
    file: "product/alike.ts",
    find: "isAmbiguous ? EVERYTHING :",
    put: "isAmbiguous ? differingRegion(sides, table) :",
    a: "priority=5,ip actions=output:1\npriority=5,in_port=1 actions=output:2\npriority=9,arp actions=output:3\ntable=9 actions=output:3",
    b: "priority=5,ip actions=output:1\npriority=5,in_port=1 actions=output:2\npriority=9,arp actions=resubmit(,9)\ntable=9 actions=output:3",
  },
  {
    file: "product/lockstep.ts",
    find: "for (const cube of region) {",
    put: "for (const cube of region.slice(0, 1)) {",
    a: "priority=5,arp actions=output:1\npriority=5,ip actions=output:1\ntable=9 actions=output:1",
    b: "priority=5,arp actions=resubmit(,9)\npriority=5,ip actions=output:2\ntable=9 actions=output:1",
  },
  {
    file: "paths/rule-run.ts",
    find: "denied.isTimeToAsk() && denied.missed(rest).length === 0",
    put: "denied.isTimeToAsk()",
    a: list("output:1"),
    b: list("output:9"),
  },
  {
    file: "paths/cube-index.ts",
    find: "visit(tree.open);",
    put: "",
    a: list("output:1"),
    b: list("output:9"),
  },
  {
    file: "product/alike.ts",
    find: "classes.get(next) ?? 0",
    put: "0",
    a: "actions=resubmit(,1)\ntable=1 actions=output:1",
    b: "actions=resubmit(,1)\ntable=1 actions=output:2",
  },
  {
    file: "product/alike.ts",
    find: "this.#sameFrames(a.frames, b.frames)",
    put: "true",
    a: "actions=resubmit(,1),output:2\ntable=1,ip actions=output:1",
    b: "actions=resubmit(,1),output:3\ntable=1,ip actions=output:1",
  },
  {
    file: "product/alike.ts",
    find: "sameWords(a.flow, b.flow) &&",
    put: "",
    a: "actions=load:1->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:1",
    b: "actions=load:2->NXM_NX_REG0[],resubmit(,1)\ntable=1,reg0=1 actions=output:1",
  },
  {
    file: "product/alike.ts",
    find: "this.#sameLists(a.actionSet, b.actionSet) &&",
    put: "",
    a: "ip actions=write_actions(dec_ttl,output:1),goto_table:1\ntable=1,ip actions=set_field:1->reg0",
    b: "ip actions=write_actions(output:1),goto_table:1\ntable=1,ip actions=set_field:1->reg0",
  },
  {
    file: "product/alike.ts",
    find: "this.#sameLeft(a.left, b.left) &&",
    put: "",
    a: "actions=output:1,resubmit(,1)\ntable=1,ip actions=output:3",
    b: "actions=output:2,resubmit(,1)\ntable=1,ip actions=output:3",
  },
  {
    file: "product/reachability.ts",
    find: "isMet(goal, key, above)",
    put: "false",
    a: "priority=5,ip actions=output:1\npriority=5,in_port=1 actions=output:2",
    b: "priority=5,ip actions=output:1\npriority=5,in_port=1 actions=output:2",
  },
  {
    file: "product/twins.ts",
    find: "if (own[k]![row] !== others[k]![row]) return false;",
    put: "continue;",
    a: routes(),
    b: routes((line, i) => (i === 7 ? line.replace(/output:\d/, "output:6") : line)),
  },
  {
    file: "symbolic/forms.ts",
    find: "if (group === undefined) return uniqueForm();",
    put: 'if (group === undefined) return { text: "none", tables: [] };',
    a: "actions=group:1",
    b: "actions=group:1",
  },
];

for (const { file, find, put, a, b, group } of PLANTS)
  test(`the mutant is detected: ${file}, ${find}`, async () => {
    const plant = { name: find, file, find, put, within: 0, isInShortcut: true };
    let verdict = "";
    const { isPlanted } = await withPlant(plant, prover => {
      const groups = groupsOf(group ?? "");
      verdict = prover({ flows: read(a, "a"), groups }, { flows: read(b, "b"), groups }, {}).verdict;
    });
    assert.ok(isPlanted, `${file} has no such text any more: ${find}`);
    assert.is(verdict, "equal", "the bug shows");
    assert.is.not(compare(a, b, { groups: [group ?? "", group ?? ""] }).verdict, "equal");
  });

/** The verdict with and without the shortcut: only what was unknown may become equal. */
function agree(a: string, b: string, groups: readonly Group[], told: string): [string, string] {
  const table = (text: string, name: string) => ({ flows: read(text, name), groups });
  const options = { ...WITHIN, maxClasses: 3000, maxDifferences: 3 };
  const [short, long] = [false, true].map(isThorough =>
    prove(table(a, "a"), table(b, "b"), { ...options, isThorough }),
  ) as [Proof, Proof];
  const isFine =
    short.verdict === long.verdict ||
    (long.verdict === "unknown" && short.verdict === "equal") ||
    // The one that goes through more finds less within its budget.
    [short, long].some(({ unknown }) => unknown.some(({ feature }) => feature === "budget"));
  assert.ok(isFine, `${told}: ${said(short)}, without the shortcut ${said(long)}\n${a}\n--\n${b}`);
  return [short.verdict, long.verdict];
}

test("random tables: as without the shortcut, shuffled and changed, but where that knows no answer", () => {
  const from = seed();
  const seen = new Map<string, number>();
  for (let i = 0; i < PAIRS; i++) {
    const random = new Random(from + i);
    const rules = randomRules(random);
    const own = textOf(rules);
    const other = shuffled(own.trimEnd().split("\n"), random).join("\n");
    const mutant = textOf(changed(random, rules));
    for (const [name, text] of [
      ["shuffled", other],
      ["changed", mutant],
    ] as const) {
      const verdicts = agree(own, text, GROUPS, `seed ${from + i}, ${name}`).join(" / ");
      seen.set(`${name} ${verdicts}`, (seen.get(`${name} ${verdicts}`) ?? 0) + 1);
    }
    if (!compareQuick(own, mutant)) continue;
    const [a, b] = [own, mutant].map(text => new Interpreter(flowsOf(text), { groups: GROUPS }));
    const found = tryAll(a!, b!, sameOutcome);
    assert.ok(found === null || found === "undecided", `seed ${from + i}\n${own}--\n${mutant}`);
  }
  process.stdout.write(`  seed ${from}: ${JSON.stringify(Object.fromEntries(seen))}\n`);
  assert.ok((seen.get("changed different / different") ?? 0) > 0, "no pair differs");
});

const compareQuick = (a: string, b: string): boolean =>
  prove({ flows: read(a), groups: GROUPS }, { flows: read(b), groups: GROUPS }, { maxClasses: 3000 })
    .verdict === "equal";

test("the whole language: as without the shortcut, but where that knows no answer", () => {
  const from = seed();
  const seen = new Map<string, number>();
  for (let i = 0; i < Math.ceil(PAIRS / 6); i++) {
    const { pair } = randomPair(rng(from + i));
    const groups = groupsOf(pair.groups.join("\n"));
    const [a, b] = [pair.a.join("\n"), pair.b.join("\n")];
    const other = shuffled(pair.a, new Random(from + i)).join("\n");
    for (const [name, text] of [
      ["changed", b],
      ["shuffled", other],
    ] as const) {
      const verdicts = agree(a, text, groups, `seed ${from + i}, ${name}`).join(" / ");
      seen.set(`${name} ${verdicts}`, (seen.get(`${name} ${verdicts}`) ?? 0) + 1);
    }
  }
  process.stdout.write(`  seed ${from}: ${JSON.stringify(Object.fromEntries(seen))}\n`);
});

test.run();
