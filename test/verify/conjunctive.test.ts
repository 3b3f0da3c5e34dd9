/**
 * The proof with conjunctive matches: what is the same and what is not, random pairs whose verdict every
 * frame of a small world confirms, mutants of the prover, and tables of a size that policies have.
 * CONJUNCTIVE_PAIRS says how many random pairs, SEED which.
 */

import { pathToFileURL } from "node:url";
import { FlowColumns } from "../../src/openflow/index.ts";
import { type Proof, prove } from "../../src/verify/index.ts";
import { bundleModule } from "../bundle.ts";
import { assert, draws, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { judge, randomPair } from "./conjunctive/pairs.ts";
import { textOf } from "./conjunctive/tables.ts";
import type { Prover } from "./tiny/judge.ts";

const test = suite("verify › conjunctive matches");
const PAIRS = Number(process.env.CONJUNCTIVE_PAIRS ?? draws(300));

const read = (lines: readonly string[], name = "flows"): FlowColumns =>
  new FlowColumns(Buffer.from(lines.join("\n")), name);

const compare = (a: readonly string[], b: readonly string[], maxClasses?: number): Proof =>
  prove({ flows: read(a, "a") }, { flows: read(b, "b") }, maxClasses === undefined ? {} : { maxClasses });

const SRC = "priority=10,ip,nw_src=10.0.0.0/31 actions=conjunction(7,1/2)";
const HALVES = [
  "priority=10,ip,nw_src=10.0.0.0 actions=conjunction(7,1/2)",
  "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2)",
];
const PORT = "priority=10,tcp,tp_dst=80 actions=conjunction(7,2/2)";
const ID = "priority=10,conj_id=7,ip actions=output:2";
const REST = "priority=0 actions=output:3";

const SAME: Record<string, readonly [readonly string[], readonly string[]]> = {
  itself: [
    [SRC, PORT, ID],
    [SRC, PORT, ID],
  ],
  "another order": [
    [SRC, PORT, ID, REST],
    [REST, ID, PORT, SRC],
  ],
  "a clause of other flows": [
    [SRC, PORT, ID, REST],
    [...HALVES, PORT, ID, REST],
  ],
  "another id": [
    [SRC, PORT, ID, REST],
    [SRC, PORT, ID, REST].map(line => line.replace("(7,", "(9,").replace("conj_id=7", "conj_id=9")),
  ],
  "flows for each pair": [
    [SRC, PORT, ID, REST],
    ["priority=10,tcp,nw_src=10.0.0.0/31,tp_dst=80 actions=output:2", REST],
  ],
  "an ordinary flow that wins, in either order": [
    [SRC, PORT, ID, "priority=10,tcp,nw_src=10.0.0.0/31,tp_dst=80 actions=output:4"],
    ["priority=10,tcp,nw_src=10.0.0.0/31,tp_dst=80 actions=output:4", ID, PORT, SRC],
  ],
  "a clause that nobody has": [[SRC, "priority=10,conj_id=7 actions=output:2", REST], [REST]],
  "an id of no flow": [[SRC, PORT, REST], [REST]],
  "two ids in one order in all their flows": [
    [
      "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
      "priority=10,tcp,tp_dst=80 actions=conjunction(7,2/2),conjunction(8,2/2)",
      "priority=10,tcp,tp_dst=81 actions=conjunction(8,2/2)",
      ID,
      "priority=10,conj_id=8 actions=output:5",
    ],
    [
      "priority=10,tcp,nw_src=10.0.0.1,tp_dst=80 actions=output:2",
      "priority=10,tcp,nw_src=10.0.0.1,tp_dst=81 actions=output:5",
    ],
  ],
};

for (const [name, [a, b]] of Object.entries(SAME))
  test(`equal: ${name}`, () => {
    for (const proof of [compare(a, b), compare(b, a)])
      assert.is(proof.verdict, "equal", JSON.stringify(proof.unknown));
  });

const OTHER: Record<string, readonly [readonly string[], readonly string[]]> = {
  "a port of a clause": [
    [SRC, PORT, ID],
    [SRC, PORT.replace("80", "81"), ID],
  ],
  "a flow of a clause that is missing": [
    [...HALVES, PORT, ID],
    [HALVES[0]!, PORT, ID],
  ],
  "the flow of the id": [
    [SRC, PORT, ID],
    [SRC, PORT, ID.replace("output:2", "output:4")],
  ],
  "the number of clauses": [[SRC, PORT, ID], [SRC, PORT, ID].map(line => line.replace("/2)", "/3)"))],
  "a priority of a clause": [
    [SRC, PORT, ID],
    [SRC, PORT.replace("10", "11"), ID],
  ],
  "a flow that wins over it": [
    [SRC, PORT, ID, "priority=9,ip,nw_src=10.0.0.1 actions=output:4"],
    [SRC, PORT, ID, "priority=10,ip,nw_src=10.0.0.1 actions=output:4"],
  ],
  "a fragment, whose ports are not looked at": [
    [SRC, "priority=10,tcp,tp_dst=0 actions=conjunction(7,2/2)", ID],
    [SRC, "priority=10,tcp,tp_dst=0,ip_frag=no actions=conjunction(7,2/2)", ID],
  ],
};

for (const [name, [a, b]] of Object.entries(OTHER))
  test(`different: ${name}`, () => {
    const proof = compare(a, b);
    assert.is(proof.verdict, "different", JSON.stringify(proof.unknown));
  });

test("a difference names the flows whose clauses were met", () => {
  const [difference] = compare([SRC, PORT, ID], [SRC, PORT.replace("80", "81"), ID]).differences;
  const flows = [...difference!.a.flows, ...difference!.b.flows];
  assert.is(flows.length, 1);
  assert.is(flows[0]!.text, ID);
  assert.is(flows[0]!.clauses?.length, 2);
});

test("two ids of which the order decides are ambiguous, and what is odd is unknown by name", () => {
  const two = [
    "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
    "priority=10,tcp,tp_dst=80 actions=conjunction(8,2/2),conjunction(7,2/2)",
    ID,
    "priority=10,conj_id=8 actions=output:5",
  ];
  const ambiguous = compare(two, two);
  assert.is(ambiguous.verdict, "ambiguous");
  assert.is(ambiguous.ambiguous[0]!.flows[0].clauses?.length, 2);
  const odd: Record<string, readonly string[]> = {
    "two clauses of one id": ["priority=10,ip actions=conjunction(7,1/2),conjunction(7,2/2)", SRC, ID],
    "two numbers of clauses": [SRC, PORT, "priority=10,udp actions=conjunction(7,1/3)", ID],
    "64 clauses": ["priority=10,ip actions=conjunction(7,1/64)", ID],
  };
  for (const [feature, lines] of Object.entries(odd)) {
    const { verdict, unknown } = compare(lines, lines);
    assert.is(verdict, "unknown", feature);
    assert.ok(
      unknown.every(one => one.feature.includes(feature) && one.line > 0),
      JSON.stringify(unknown),
    );
  }
});

interface Counted {
  readonly verdicts: Map<string, number>;
  readonly wrong: string[];
  pairs: number;
}

/** Random pairs from a seed on, until one is answered wrongly. */
function count(from: number, pairs: number, prover: Prover = prove): Counted {
  const counted: Counted = { verdicts: new Map(), wrong: [], pairs: 0 };
  for (let at = from; counted.pairs < pairs && counted.wrong.length === 0; at++) {
    const pair = randomPair(rng(at), { isOdd: at % 6 === 0, hasRegister: at % 2 === 1 });
    if (pair === null) continue;
    counted.pairs++;
    const { truth, proof, wrong } = judge(pair.a, pair.b, prover);
    const name = `${truth}, called ${proof.verdict}`;
    counted.verdicts.set(name, (counted.verdicts.get(name) ?? 0) + 1);
    const told = `SEED=${at}: ${wrong}\n${textOf(pair.a)}\n---\n${textOf(pair.b)}`;
    if (wrong !== null) counted.wrong.push(told);
    if (proof.unknown.some(({ feature }) => !feature.startsWith("conjunction")))
      counted.wrong.push(`${JSON.stringify(proof.unknown)} ${told}`);
  }
  return counted;
}

test("random pairs: the verdict is what every frame says", () => {
  const from = seed();
  const { verdicts, wrong } = count(from, PAIRS);
  process.stdout.write(
    `seed ${from}: ${[...verdicts].map(([name, times]) => `${times} ${name}`).join("; ")}\n`,
  );
  assert.is(wrong.length, 0, wrong.join("\n"));
  const times = (name: string): number => verdicts.get(name) ?? 0;
  assert.ok(times("equal, called equal") > PAIRS / 3, "too few pairs are equal");
  assert.ok(times("different, called different") > PAIRS / 40, "too few pairs differ");
  assert.ok(times("ambiguous, called ambiguous") > PAIRS / 40, "too few pairs are ambiguous");
});

/**
 * A mistake in one file, the piece of its text that it replaces, and a seed that soon leads to a pair that
 * tells.
 */
const PLANTS: readonly { name: string; file: string; find: string; put: string; from: number }[] = [
  {
    name: "an ordinary flow of the same priority does not win",
    file: "paths/lookup.ts",
    find: "node => matchesId(node, id) !== false",
    put: "node => matchesId(node, id) !== false && band.conjunctions.length === 0",
    from: 20,
  },
  {
    name: "one clause is enough",
    file: "paths/conditions.ts",
    find: "if (atoms.length <= 1) return atoms[0] ?? true;",
    put: "if (atoms.length >= 0) return atoms[0] ?? true;",
    from: 1,
  },
  {
    name: "the first of two ids is taken",
    file: "paths/conjunctive.ts",
    find: "if (outdoes(own, other)) continue;",
    put: "if (own !== other) continue;",
    from: 205,
  },
  {
    name: "a clause hides nothing",
    file: "paths/lookup.ts",
    find: "isCandidate(node) && !band.hidden.has(node)",
    put: "isCandidate(node)",
    from: 25,
  },
  {
    name: "with an id only its own flows are found",
    file: "paths/lookup.ts",
    find: "matches === true || (matches === null && band.priority < priority)",
    put: "matches === true",
    from: 470,
  },
];

for (const { name, file, find, put, from } of PLANTS)
  test(`noticed: ${name}`, async () => {
    let isPlanted = false;
    const bundle = await bundleModule("src/verify/prove.ts", (path, text) => {
      if (path !== `src/verify/${file}` || !text.includes(find)) return text;
      isPlanted = true;
      return text.replaceAll(find, () => put);
    });
    assert.ok(isPlanted, `${file} has no such text any more: ${find}`);
    const { prove: planted } = (await import(pathToFileURL(bundle).href)) as { prove: Prover };
    const { wrong, pairs } = count(from, 60, planted);
    assert.ok(wrong.length > 0, "nobody noticed");
    process.stdout.write(`  ${name}: pair ${pairs}\n`);
    // The prover itself is right there, or it was noticed for nothing.
    assert.is(count(from, pairs).wrong.length, 0);
  });

const POLICIES = 200;

/** Policies as a cluster has them: clauses of addresses, of pods by a register, and of ports. */
function policies(priorityOf: (id: number) => number): string[] {
  const flows = new Map<string, string[]>();
  const add = (match: string, id: number, clause: number): void =>
    void flows.set(match, [...(flows.get(match) ?? []), `conjunction(${id},${clause}/3)`]);
  const rest: string[] = ["table=0,priority=1 actions=drop"];
  for (let port = 1; port <= 40; port++)
    rest.push(`table=0,priority=2,ip,nw_dst=10.9.0.${port} actions=set_field:${port}->reg1,resubmit(,1)`);
  for (let id = 1; id <= POLICIES; id++) {
    const priority = priorityOf(id);
    // Where one priority is all there is, policies that overlap would be ambiguous.
    const net = priority === priorityOf(0) ? id : id % 60;
    for (let i = 0; i < 6; i++) add(`table=1,priority=${priority},ip,nw_src=10.${i}.${net}.0/24`, id, 1);
    for (let i = 0; i < 4; i++)
      add(`table=1,priority=${priority},ip,reg1=${1 + ((id * 7 + i * 11) % 40)}`, id, 2);
    for (let i = 0; i < 2; i++) add(`table=1,priority=${priority},tcp,tp_dst=${1000 + id * 3 + i}`, id, 3);
    rest.push(`table=1,priority=${priority},conj_id=${id},ip actions=set_field:${id}->reg5,resubmit(,2)`);
  }
  rest.push("table=1,priority=1 actions=drop", "table=2,priority=2,reg5=3 actions=output:3");
  return [
    ...rest,
    ...[...flows].map(([match, actions]) => `${match} actions=${actions}`),
    "table=2 actions=output:2",
  ];
}

function shuffled(lines: readonly string[]): string[] {
  const r = rng(5);
  const left = [...lines];
  const out: string[] = [];
  while (left.length > 0) out.push(...left.splice(r.below(left.length), 1));
  return out;
}

for (const [name, priorityOf] of [
  ["one priority", () => 200],
  ["a priority each", (id: number) => 60_000 - id],
] as const)
  test(`2,000 flows of policies with ${name} take classes by ids, not by flows`, () => {
    const lines = policies(priorityOf);
    assert.ok(lines.length > 1800, `${lines.length}`);
    const same = compare(lines, shuffled(lines), 4000);
    assert.is(same.verdict, "equal", JSON.stringify(same.unknown));
    const at = lines.findIndex(line => line.includes("tp_dst=1300"));
    const changed = lines.with(at, lines[at]!.replace("1300", "999"));
    const other = compare(lines, shuffled(changed), 8000);
    assert.is(other.verdict, "different", JSON.stringify(other.unknown));
    process.stdout.write(`  ${same.classes} classes; with one port changed ${other.classes}\n`);
  });

test("clauses of 200 and 100 flows are not multiplied", () => {
  const lines = [
    ...Array.from(
      { length: 200 },
      (_, i) => `priority=9,ip,nw_src=10.0.${i}.0/24 actions=conjunction(1,1/2)`,
    ),
    ...Array.from({ length: 100 }, (_, i) => `priority=9,tcp,tp_dst=${i + 1} actions=conjunction(1,2/2)`),
    "priority=9,conj_id=1 actions=output:2",
  ];
  const { verdict, classes } = compare(lines, shuffled(lines), 100);
  assert.is(verdict, "equal");
  assert.ok(classes < 20, `${classes} classes`);
});

test.run();
