/**
 * The connection tracker as an uninterpreted function: verdicts on random tables with ct, against the
 * interpreter with many trackers, each a function of what a frame asked so far. An `equal` that one frame and
 * one tracker contradict is a bug. TRACKER_PAIRS says how many pairs, SEED which.
 */
import {
  FlowColumns,
  formatTrackerAnswer,
  Interpreter,
  parseTrackerAnswer,
} from "../../src/openflow/index.ts";
import { sameOutcome } from "../../src/verify/counterexample/confirm.ts";
import { type Proof, prove } from "../../src/verify/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { withPlant } from "./tiny/canary.ts";
import type { Prover } from "./tiny/judge.ts";
import { Random } from "./tiny/random.ts";
import { edited, FRAMES, randomLines, randomTracker, textOf } from "./tracker/world.ts";

const test = suite("connection tracking in proofs");

const read = (text: string, name: string): FlowColumns => new FlowColumns(Buffer.from(`${text}\n`), name);

function compare(a: string, b: string, isThorough = false, prover: Prover = prove): Proof {
  return prover(
    { flows: read(a, "a") },
    { flows: read(b, "b") },
    { isThorough, maxClasses: 20_000, maxSeconds: 60 },
  );
}

/** A frame and a tracker that tell two tables apart; null if none was found. */
function contradiction(a: string, b: string, salts: number): string | null {
  const [left, right] = [new Interpreter(read(a, "a")), new Interpreter(read(b, "b"))];
  for (const [index, frame] of FRAMES.entries())
    for (let salt = 1; salt <= salts; salt++) {
      const port = 1 + ((index + salt) % 3);
      const [one, other] = [left, right].map(side =>
        side.run(port, frame, null, undefined, randomTracker(salt)),
      );
      if (one!.effects === null || other!.effects === null) continue;
      if (!sameOutcome(one!, other!)) return `frame ${index}, tracker ${salt}, port ${port}`;
    }
  return null;
}

const PAIRS = Number(process.env.TRACKER_PAIRS ?? 40);

test("no table with ct is called equal to one that a tracker tells apart", () => {
  const from = seed();
  const seen: Record<string, number> = {};
  for (let index = 0; index < PAIRS; index++) {
    const r = new Random(from + index);
    const lines = randomLines(r);
    const a = textOf(lines);
    const { text: b, kept } = edited(r, lines);
    if (read(a, "a").errorCount + read(b, "b").errorCount > 0) {
      seen.refused = (seen.refused ?? 0) + 1;
      continue;
    }
    for (const isThorough of [false, true]) {
      const { verdict, unknown } = compare(a, b, isThorough);
      const name = `${kept ? "kept" : "changed"}, ${verdict}`;
      seen[name] = (seen[name] ?? 0) + 1;
      const found = verdict === "equal" ? contradiction(a, b, 12) : null;
      assert.is(found, null, `seed ${from + index}, ${verdict}: ${found}\n${a}\n--\n${b}`);
      if (kept) {
        assert.is.not(verdict, "different", `seed ${from + index}\n${a}\n--\n${b}`);
        const names = unknown.map(({ feature }) => feature).join();
        if (names !== "") seen[names] = (seen[names] ?? 0) + 1;
      }
    }
  }
  process.stdout.write(`  seed ${from}: ${JSON.stringify(seen)}\n`);
  assert.ok((seen["kept, equal"] ?? 0) > PAIRS / 4, "kept tables are proved equal");
  assert.ok((seen["changed, different"] ?? 0) > PAIRS / 40, "changed tables are told apart");
});

const FIREWALL = `ip actions=ct(table=1,zone=5)
table=1,priority=9,ct_state=+new+trk,tcp,tp_dst=22 actions=ct(commit,zone=5),output:2
table=1,priority=8,ct_state=+est+trk,ip actions=output:2
table=1,priority=7,ct_state=+inv+trk,ip actions=drop`;

test("a firewall with another number for its table, and without a rule that changes nothing, is equal", () => {
  const other = FIREWALL.replaceAll("table=1", "table=9").split("\n").slice(0, -1).join("\n");
  assert.is(compare(FIREWALL, other, true).verdict, "equal");
  assert.is(compare(FIREWALL, other).verdict, "equal");
});

test("each part of ct and of what it leads to counts, and the tracker state is named", () => {
  const edits: readonly (readonly [string, string, string])[] = [
    ["tp_dst=22", "tp_dst=23", "new,trk"],
    ["+est+trk", "+est+rpl+trk", "est,trk"],
    ["ct_state=+est+trk,ip actions=output:2", "ct_state=+est+trk,ip actions=output:3", "est,trk"],
  ];
  for (const [find, put, state] of edits) {
    const proof = compare(FIREWALL, FIREWALL.replace(find, put), true);
    assert.is(proof.verdict, "different", find);
    const states = proof.differences.map(({ tracker }) =>
      tracker.map(({ words }) => formatTrackerAnswer(words)),
    );
    assert.ok(
      states.every(([one]) => one === state),
      `${find}: ${JSON.stringify(states)}`,
    );
  }
});

test("ct against nothing, and two unlike questions", () => {
  assert.is(compare("ip actions=drop", "ip actions=ct(commit),output:3").verdict, "different");
  assert.is(compare(FIREWALL, FIREWALL.replaceAll("zone=5", "zone=6")).verdict, "unknown");
  const unlike = FIREWALL.replace("ct(commit,zone=5)", "ct(commit,zone=5,exec(set_field:1->ct_mark))");
  assert.is(compare(FIREWALL, unlike).verdict, "unknown");
});

test("what the tracker cannot say is not asked: combinations of flags, the tuple, the mark that was set", () => {
  const behind = (match: string): string => `ip actions=ct(table=1,commit,exec(set_field:5->ct_mark))
table=1,priority=2,${match},ip actions=output:2
table=1,priority=1,ip actions=output:3`;
  const never = "ip actions=ct(table=1,commit,exec(set_field:5->ct_mark))\ntable=1,ip actions=output:3";
  for (const match of [
    "ct_state=+new+est+trk",
    "ct_state=+new+rpl+trk",
    "ct_state=+inv+est+trk",
    "ct_state=+est-trk",
    "ct_state=-inv+trk,ct_mark=4",
    "ct_state=+inv+trk,ct_mark=5",
    "ct_state=-trk",
  ])
    assert.is(compare(behind(match), never, true).verdict, "equal", match);
  for (const match of ["ct_state=+rel+est+trk", "ct_state=+rpl+trk", "ct_mark=5", "ct_zone=0", "ct_label=7"])
    assert.is(compare(behind(match), never, true).verdict, "different", match);
  const tuple = (match: string): string => `tcp,nw_src=10.0.0.1 actions=ct(table=1)
table=1,priority=2,${match},ip actions=output:2
table=1,priority=1,ip actions=output:3`;
  const plain = "tcp,nw_src=10.0.0.1 actions=ct(table=1)\ntable=1,priority=1,ip actions=output:3";
  assert.is(compare(tuple("ct_state=+new-rel+trk,ct_nw_src=10.0.0.2"), plain, true).verdict, "equal");
  assert.is(compare(tuple("ct_state=+est+rpl+trk,ct_nw_src=10.0.0.2"), plain, true).verdict, "different");
});

test("nat: a fixed address for a new connection, any for others, and none without nat", () => {
  const table = (
    ct: string,
    match: string,
    port: number,
  ): string => `tcp,nw_src=10.0.0.1 actions=ct(table=1${ct})
table=1,priority=2,${match} actions=output:${port}`;
  const same = (ct: string, match: string): string =>
    compare(table(ct, match, 2), table(ct, match, 3), true).verdict;
  const source = ",commit,nat(src=10.9.0.1)";
  assert.is(same(source, "ct_state=+new+snat+trk,ip,nw_src=10.9.0.1"), "different");
  assert.is(same(source, "ct_state=+new+snat+trk,ip,nw_src=10.9.0.2"), "equal");
  assert.is(same(source, "ct_state=+est+snat+trk,ip,nw_src=10.9.0.2"), "different");
  assert.is(same(source, "ct_state=-snat+trk,ip,nw_src=10.9.0.1"), "equal");
  assert.is(same("", "ct_state=+trk,ip,nw_src=10.9.0.1"), "equal");
  assert.is(
    same(",commit,nat(dst=10.9.0.1-10.9.0.9)", "ct_state=+new+dnat+trk,ip,nw_dst=10.9.0.4"),
    "different",
  );
  assert.is.not(
    same(",commit,nat(dst=10.9.0.1-10.9.0.9)", "ct_state=+new+dnat+trk,ip,nw_dst=10.9.1.4"),
    "different",
  );
  const ports = ",commit,nat(src=10.9.0.1:4000-4009)";
  assert.is(same(ports, "ct_state=+new+snat+trk,tcp,tp_src=4004"), "different");
  assert.is.not(same(ports, "ct_state=+new+snat+trk,tcp,tp_src=5000"), "different");
  assert.is(same(ports, "ct_state=+est+snat+trk,tcp,tp_src=5000"), "different");
});

test("answers as text and back, and bad ones", () => {
  for (const text of [
    "new,trk",
    "est,trk,ct_mark=0x5",
    "est,rpl,trk,ct_nw_src=10.0.0.1,nw_dst=192.0.2.1",
    "inv,trk",
  ]) {
    const answer = parseTrackerAnswer(text);
    assert.ok(typeof answer !== "string", String(answer));
    assert.is(formatTrackerAnswer(answer), text);
  }
  assert.is(formatTrackerAnswer(parseTrackerAnswer("est|rpl") as Map<number, number>), "est,rpl,trk");
  for (const [text, why] of [
    ["", "is unknown; expected flags"],
    ["esd", '"esd" is unknown'],
    ["new,est", "new excludes"],
    ["inv,new", "inv excludes"],
    ["est,ct_mark=x", 'ct_mark: "x"'],
    ["est,ct_mark=1/1", "has a mask"],
    ["est,reg0=1", '"reg0=1" is unknown'],
  ] as const)
    assert.match(String(parseTrackerAnswer(text)), why);
});

const TUPLE = "tcp,nw_src=10.0.0.1 actions=ct(table=1)\ntable=1,priority=1,ip actions=output:3";
const NAT = "tcp,nw_src=10.0.0.1 actions=ct(table=1,commit,nat(src=10.9.0.1))";

/** Bugs of the tracker in the prover, each with tables that are called equal then. */
const PLANTS: readonly { file: string; find: string; put: string; a: string; b: string }[] = [
  {
    file: "symbolic/passes.ts",
    find: '"effect" && left.name === "ct")',
    put: '"effect" && left.name === "nothing")',
    a: `ip actions=ct(table=1,zone=5)
table=1,priority=2,ct_state=+est+trk,ip actions=set_field:1->reg0,ct(table=2,zone=6)
table=1,priority=1,ip actions=ct(table=2,zone=6)
table=2,reg0=1 actions=output:2`,
    b: `ip actions=ct(table=1,zone=5)
table=1,ip actions=ct(table=2,zone=6)
table=2,ct_state=+est+trk,ip actions=output:2`,
  },
  {
    file: "symbolic/tracker.ts",
    find: "const isNew = this.#by.is(raw, CT.new, CT.new);",
    put: "const isNew = false;",
    a: "ip actions=ct(table=1)\ntable=1,ct_state=+new+trk,ip actions=output:2",
    b: "ip actions=ct(table=1)",
  },
  {
    file: "symbolic/tracker.ts",
    find: "(isNew || !by.is(raw, CT.rpl, CT.rpl))",
    put: "true",
    a: `${TUPLE}\ntable=1,priority=2,ct_state=+est-rel+rpl+trk,ct_nw_src=10.0.0.2,ip actions=output:2`,
    b: TUPLE,
  },
  {
    file: "symbolic/tracker.ts",
    find: "if (step.nat === null)",
    put: "if (step.nat !== undefined)",
    a: `${NAT}\ntable=1,ct_state=+est+trk,ip,nw_src=10.9.0.2 actions=output:2`,
    b: NAT,
  },
];

for (const { file, find, put, a, b } of PLANTS)
  test(`the mutant is detected: ${file}, ${find}`, async () => {
    const plant = { name: find, file, find, put, within: 0, isInShortcut: true };
    let verdict = "";
    const { isPlanted } = await withPlant(plant, prover => {
      verdict = compare(a, b, true, prover).verdict;
    });
    assert.ok(isPlanted, `${file} has no such text any more: ${find}`);
    assert.is(verdict, "equal", "the bug shows");
    assert.is(compare(a, b, true).verdict, "different");
  });

test.run();
