/**
 * The prover: pairs of tables that are known to be equal or different, random tiny worlds against every
 * frame they can tell apart. ODD_PAIRS=N makes the worlds as many as one has patience for.
 */
import { type FlowColumns, FlowColumns as Flows, Interpreter } from "../../src/openflow/index.ts";
import { sameOutcome } from "../../src/verify/counterexample/confirm.ts";
import { type Difference, type Proof, prove } from "../../src/verify/index.ts";
import { assert, isTimed, seed, suite } from "../harness.ts";
import { changed, flowsOf, GROUPS, randomRules, textOf, tryAll } from "./odd.ts";
import { Random } from "./tiny/random.ts";

const test = suite("prove");
const encoder = new TextEncoder();
const read = (text: string): FlowColumns => new Flows(encoder.encode(text), "flows");
const compare = (a: string, b: string): Proof =>
  prove({ flows: read(a), groups: GROUPS }, { flows: read(b), groups: GROUPS });

/** Edits that leave everything as it is, and that a comparison of texts would report. */
const NEUTRAL: Record<string, readonly [string, string]> = {
  "mod_dl_dst and set_field": [
    "ip actions=mod_dl_dst:02:00:00:00:00:09,output:2",
    "ip actions=set_field:02:00:00:00:00:09->eth_dst,output:2",
  ],
  "load and set_field": ["actions=load:0x7->NXM_NX_REG0[],output:2", "actions=set_field:7->reg0,output:2"],
  "tail resubmit and goto": [
    "actions=resubmit(,1)\ntable=1,ip actions=output:2",
    "actions=goto_table:1\ntable=1,ip actions=output:2",
  ],
  "a /31 and two /32": [
    "ip,nw_dst=10.0.0.0/31 actions=output:2",
    "ip,nw_dst=10.0.0.0 actions=output:2\nip,nw_dst=10.0.0.1 actions=output:2",
  ],
  "a shadowed flow": [
    "priority=9,ip actions=output:2",
    "priority=9,ip actions=output:2\npriority=8,ip,nw_dst=10.0.0.1 actions=output:3",
  ],
  "priorities moved": [
    "priority=9,ip actions=output:2\npriority=8 actions=output:3",
    "priority=900,ip actions=output:2\npriority=1 actions=output:3",
  ],
  cookies: ["cookie=0x1,ip actions=output:2", "cookie=0x2,ip actions=output:2"],
  "set_mpls_ttl and set_field": [
    "mpls actions=set_mpls_ttl(9),output:2",
    "mpls actions=load:9->NXM_NX_MPLS_TTL[],output:2",
  ],
  "drop and no flow": [
    "priority=9,ip actions=output:2\npriority=0 actions=drop",
    "priority=9,ip actions=output:2",
  ],
  "a dead store": ["actions=set_field:1->reg3,output:2", "actions=output:2"],
  "output to in_port": [
    "priority=9,in_port=1 actions=output:1,output:2\npriority=8 actions=output:2",
    "priority=9,in_port=1 actions=output:2\npriority=8 actions=output:2",
  ],
};

for (const [name, [a, b]] of Object.entries(NEUTRAL)) {
  test(`equal: ${name}`, () => {
    const proof = compare(a, b);
    assert.is(proof.verdict, "equal", JSON.stringify(proof.unknown));
  });
}

const PIPELINE = `table=0,priority=400,in_port=1,dl_dst=02:00:00:00:00:01,mpls actions=goto_table:10
table=0,priority=390,in_port=1,dl_dst=02:00:00:00:00:01,ip actions=goto_table:30
table=0,priority=300,in_port=11,dl_src=52:54:00:00:00:0b,ip,nw_src=203.0.113.7 actions=goto_table:30
table=0,priority=0 actions=drop
table=10,priority=100,mpls,mpls_label=1001,mpls_bos=1 actions=pop_mpls:0x0800,goto_table:30
table=10,priority=0 actions=drop
table=30,priority=200,ip,nw_dst=203.0.113.7 actions=dec_ttl,set_field:fe:00:00:00:01:01->eth_src,set_field:52:54:00:00:00:0b->eth_dst,output:11
table=30,priority=100,in_port=1 actions=drop
table=30,priority=0 actions=goto_table:40
table=40,priority=300,ip,nw_dst=127.0.0.0/8 actions=drop
table=40,priority=124,ip,nw_dst=198.51.100.0/24 actions=dec_ttl,set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:fe->eth_dst,push_mpls:0x8847,set_field:2002->mpls_label,set_field:0->mpls_tc,output:1
${Array.from({ length: 20 }, (_, i) => `table=40,priority=132,ip,nw_dst=198.51.100.${i} actions=dec_ttl,set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:${(16 + i).toString(16)}->eth_dst,push_mpls:0x8847,set_field:${3000 + i}->mpls_label,set_field:0->mpls_tc,output:1`).join("\n")}
table=40,priority=0 actions=drop
`;

/** Mutations of the pipeline that a frame can tell. */
const MUTANTS: Record<string, (text: string) => string> = {
  "a route is gone": text => text.replace(/.*nw_dst=198\.51\.100\.7 .*\n/, ""),
  "another port": text => text.replace("output:11", "output:12"),
  "a lower priority": text =>
    text.replace("priority=132,ip,nw_dst=198.51.100.9 ", "priority=99,ip,nw_dst=198.51.100.9 "),
  "a wider match": text => text.replace("nw_src=203.0.113.7 ", "nw_src=203.0.113.0/24 "),
  "two labels swapped": text =>
    text.replace("3003->", "x->").replace("3004->", "3003->").replace("x->", "3004->"),
  "another label": text => text.replace("3005->", "3105->"),
  "another MAC": text => text.replace("02:00:00:00:00:12->", "02:00:00:00:01:12->"),
  "another class": text => text.replace(/(3006->mpls_label,set_field:)0/, "$11"),
  "no dec_ttl": text => text.replace("nw_dst=203.0.113.7 actions=dec_ttl,", "nw_dst=203.0.113.7 actions="),
  "no mpls_bos": text => text.replace(",mpls_bos=1", ""),
  "a label accepted": text => text.replace("mpls_label=1001", "mpls_label=1002"),
  "martians pass": text => text.replace(/.*127\.0\.0\.0.*\n/, "").replace("198.51.100.0/24", "126.0.0.0/7"),
  "no spoofing check": text => text.replace(",dl_src=52:54:00:00:00:0b", ""),
  "a route too many": text =>
    `${text}${text
      .split("\n")
      .find(line => line.includes("198.51.100.3 "))!
      .replace("198.51.100.3 ", "198.51.101.3 ")}\n`,
};

for (const [name, mutate] of Object.entries(MUTANTS)) {
  test(`different: ${name}`, () => {
    const mutant = mutate(PIPELINE);
    assert.is.not(mutant, PIPELINE);
    const proof = compare(PIPELINE, mutant);
    assert.is(proof.verdict, "different", JSON.stringify(proof.unknown));
    const [found] = proof.differences;
    const outcomes = [PIPELINE, mutant].map(text =>
      new Interpreter(flowsOf(text)).run(found!.inPort, found!.frame),
    );
    assert.not.ok(sameOutcome(outcomes[0]!, outcomes[1]!), "the frame shows it");
  });
}

test("the order of lines does not matter", () => {
  assert.is(compare(PIPELINE, PIPELINE.trim().split("\n").toReversed().join("\n")).verdict, "equal");
});

test("pop_mpls is followed by a look at what was inside", () => {
  const a =
    "table=0,mpls,mpls_label=5 actions=pop_mpls:0x0800,goto_table:1\ntable=1,priority=2,ip,nw_dst=10.0.0.1 actions=output:2\ntable=1,priority=1 actions=output:3\n";
  const b = "table=0,mpls,mpls_label=5 actions=pop_mpls:0x0800,output:3\n";
  assert.is(compare(a, b).verdict, "different");
});

test("a table that is asked twice, by different addresses, is hit by two rows", () => {
  const routes = Array.from(
    { length: 20 },
    (_, i) => `table=1,ip,nw_dst=10.0.0.${i} actions=set_field:${i + 100}->reg0`,
  );
  const copies = "move:NXM_NX_REG0[]->NXM_NX_REG1[],move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]";
  const flows = (register: number): string =>
    [
      `ip actions=resubmit(,1),${copies},resubmit(,1),resubmit(,2)`,
      ...routes,
      "table=2,priority=9,reg0=0 actions=drop",
      "table=2,priority=9,reg1=0 actions=drop",
      `table=2,priority=1 actions=move:NXM_NX_REG${register}[0..15]->NXM_OF_ETH_DST[0..15],output:1`,
    ].join("\n");
  assert.is(compare(flows(0), flows(1)).verdict, "different");
  assert.is(compare(flows(0), flows(0)).verdict, "equal");
});

test("two flows of one priority that differ are ambiguous, and told with a frame", () => {
  const text = "priority=5,ip actions=output:2\npriority=5,in_port=1 actions=output:3\n";
  const proof = compare(text, text);
  assert.is(proof.verdict, "ambiguous");
  assert.is(proof.ambiguous[0]!.inPort, 1);
});

test("what is not modelled is unknown by name and line", () => {
  const proof = compare("ip actions=meter:1,output:2\n", "ip actions=output:2\n");
  assert.is(proof.verdict, "unknown");
  assert.equal(proof.unknown[0], { feature: "meter", line: 1, side: "a" });
});

test("NORMAL is equal to itself on the same packet, and to nothing else", () => {
  assert.is(compare("actions=NORMAL\n", "priority=3 actions=NORMAL\n").verdict, "equal");
  assert.is(compare("actions=NORMAL\n", "actions=output:2\n").verdict, "unknown");
});

/** Pairs of which nobody may say that they are equal, and what is said. */
const NEVER_EQUAL: Record<string, readonly [a: string, b: string, feature: string]> = {
  "bundles of other ports": [
    "actions=bundle(eth_src,0,hrw,ofport,members:4,8)",
    "actions=bundle(eth_src,0,hrw,ofport,members:5,9)",
    "bundle",
  ],
  "a select group that goes on to tables": [
    "actions=group:3\ntable=1 actions=output:1",
    "actions=group:3\ntable=1 actions=output:2",
    "a select group with buckets that look up tables or groups",
  ],
  // The group recirculates the packet: on the left output:2 is made before the error, on the right nothing
  // is.
  "an error behind a select group": [
    "actions=output:2,group:4,resubmit(,1)\ntable=1 actions=resubmit(,1)",
    "actions=resubmit(,1)\ntable=1 actions=resubmit(,1)",
    "a select group followed by other actions",
  ],
  // The error drops the frame on both sides; on the left its address was learned by then.
  "NORMAL in front of an error": [
    "in_port=1 actions=NORMAL,resubmit(,1)\nin_port=2 actions=NORMAL\ntable=1 actions=resubmit(,1)",
    "in_port=1 actions=resubmit(,1)\nin_port=2 actions=NORMAL\ntable=1 actions=resubmit(,1)",
    "NORMAL in front of an error",
  ],
  "learn in front of an error": [
    "in_port=1 actions=learn(table=5,NXM_OF_VLAN_TCI[0..11]),resubmit(,1)\ntable=1 actions=resubmit(,1)",
    "in_port=1 actions=resubmit(,1)\ntable=1 actions=resubmit(,1)",
    "learn in front of an error",
  ],
  "a select group after a recirculation": [
    "mpls actions=pop_mpls:0x0800,dec_ttl,group:4",
    "mpls actions=load:1->NXM_NX_REG1[],pop_mpls:0x0800,dec_ttl,group:4",
    "a select group after a recirculation",
  ],
  "thousands of outputs": [
    `actions=${Array.from({ length: 4000 }, () => "output:2").join()}`,
    "actions=output:2",
    "more than 500 outputs after the first difference",
  ],
  // Open vSwitch has no such flow: the list of groups was forgotten.
  "a group that no list has": [
    "actions=group:99",
    "actions=group:99",
    "group 99, which is missing in the group dump",
  ],
  // Were it equal, a flow that is learned could still make the two differ: only one of them asks table 1.
  "flows that learn": [
    "actions=learn(table=1,NXM_OF_VLAN_TCI[0..11]),resubmit(,1)",
    "actions=learn(table=1,NXM_OF_VLAN_TCI[0..11])",
    "learn: table 1 holds learned flows",
  ],
};

for (const [name, [a, b, feature]] of Object.entries(NEVER_EQUAL))
  test(`unknown: ${name}`, () => {
    const proof = compare(`${a}\n`, `${b}\n`);
    assert.is(proof.verdict, "unknown");
    assert.is(proof.unknown[0]!.feature, feature);
  });

test("a bundle, and a select group, are equal to themselves", () => {
  const bundle = "actions=bundle(eth_src,0,hrw,ofport,members:4,8)\n";
  assert.is(compare(bundle, `priority=7 ${bundle}`).verdict, "equal");
  assert.is(compare("actions=group:4\n", "priority=7 actions=group:4\n").verdict, "equal");
});

test("outputs that are cut to different lengths differ, by a frame that is long enough", () => {
  const proof = compare("actions=output(port=1,max_len=100)\n", "actions=output(port=1,max_len=200)\n");
  assert.is(proof.verdict, "different");
  const [{ a, b }] = proof.differences as [Difference];
  assert.is(a.outputs[0]!.frame.length, 100);
  assert.ok(b.outputs[0]!.frame.length > 100);
});

test("out of budget is unknown", () => {
  const proof = prove(
    { flows: read(PIPELINE) },
    { flows: read(PIPELINE) },
    { maxClasses: 1, isThorough: true },
  );
  assert.is(proof.verdict, "unknown");
  assert.is(proof.unknown[0]!.feature, "budget");
});

/**
 * Flows that match three bits each of addresses, in front of one that puts out: whether it is ever hit is
 * 3-SAT.
 */
function hardFlows(count: number, port: number): string {
  const random = new Random(3);
  const addresses = (): string => {
    const bits = new Map<number, number>();
    while (bits.size < 3) bits.set(random.below(160), random.below(2));
    const of = (from: number, width: number): { value: bigint; mask: bigint } => {
      let [value, mask] = [0n, 0n];
      for (const [bit, isSet] of bits) {
        if (bit < from || bit >= from + width) continue;
        mask |= 1n << BigInt(bit - from);
        value |= BigInt(isSet) << BigInt(bit - from);
      }
      return { value, mask };
    };
    const test = (name: string, from: number, width: number): string => {
      const { value, mask } = of(from, width);
      return mask === 0n ? "" : `,${name}=0x${value.toString(16)}/0x${mask.toString(16)}`;
    };
    return test("xxreg0", 0, 128) + test("reg4", 128, 32);
  };
  const copies =
    "move:NXM_OF_ETH_DST[]->NXM_NX_XXREG0[0..47],move:NXM_OF_ETH_SRC[]->NXM_NX_XXREG0[48..95]," +
    "move:NXM_OF_IP_SRC[]->NXM_NX_XXREG0[96..127],move:NXM_OF_IP_DST[]->NXM_NX_REG4[]";
  const drops = Array.from(
    { length: count },
    (_, i) => `table=1,priority=${count + 1 - i}${addresses()} actions=drop`,
  );
  return `ip actions=${copies},goto_table:1\n${drops.join("\n")}\ntable=1,priority=0 actions=output:${port}\n`;
}

test("the budget in seconds is kept, also within the search for a frame", () => {
  const [a, b] = [hardFlows(640, 1), hardFlows(640, 2)].map(read) as [FlowColumns, FlowColumns];
  const started = performance.now();
  const proof = prove({ flows: a }, { flows: b }, { maxSeconds: 0.5 });
  const seconds = (performance.now() - started) / 1000;
  assert.is(proof.verdict, "unknown");
  assert.is(proof.unknown[0]!.feature, "budget");
  assert.ok(seconds < (isTimed ? 5 : 60), `took ${seconds.toFixed(1)} s, of half a second`);
});

test("odd frames: what is proven equal is equal for every frame, and what is different is shown", () => {
  const from = seed();
  const count = Number(process.env.ODD_PAIRS ?? 40);
  process.stdout.write(`  seed ${from}, ${count} pairs\n`);
  const counts = { equal: 0, different: 0, ambiguous: 0, unknown: 0 };
  for (let i = 0; i < count; i++) {
    const random = new Random(from + i);
    const rules = randomRules(random);
    const [a, b] = [textOf(rules), textOf(changed(random, rules))];
    const proof = compare(a, b);
    counts[proof.verdict]++;
    if (proof.verdict !== "equal") continue;
    const found = tryAll(
      new Interpreter(flowsOf(a), { groups: GROUPS }),
      new Interpreter(flowsOf(b), { groups: GROUPS }),
      sameOutcome,
    );
    assert.is(found, null, `seed ${from + i}\n${a}--\n${b}`);
  }
  process.stdout.write(`  ${JSON.stringify(counts)}\n`);
  assert.ok(counts.equal > count / 4 && counts.different > 0, "both answers occur");
});

test.run();
