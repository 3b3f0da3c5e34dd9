/**
 * The prover against the enumeration of tiny worlds: random pairs of flow tables, every packet run on two engines that
 * share no code with it. TINY_PAIRS says how many pairs (100000 takes about an hour), SEED which. What was wrong once is kept
 * below, in the smallest form.
 */
import { assert, seed, suite } from "../harness.ts";
import { type Case, judge } from "./tiny/judge.ts";
import { type Action, type Rule, ruleText, type Test } from "./tiny/language.ts";
import { run, summaryText } from "./tiny/run.ts";
import type { World } from "./tiny/world.ts";

const test = suite("verify › tiny worlds");
const PAIRS = Number(process.env.TINY_PAIRS ?? 400);

test("the verdict is what the enumeration of every packet says", () => {
  const from = seed();
  const summary = run({ seed: from, pairs: PAIRS });
  process.stdout.write(summaryText(summary, from));
  assert.is(summary.failures.length, 0, summary.failures.join("\n"));
  for (const [name, { seen, killed }] of summary.mutants)
    assert.is(killed, seen, `mutants that lived: ${name}`);
  // A generator of empty tables would agree, too.
  assert.ok((summary.truths.get("different, called different") ?? 0) > PAIRS / 50, "too few pairs differ");
  assert.ok(summary.agreed > summary.packets, "the evaluator has too few opinions");
});

const WORLD: World = {
  ports: [1, 2],
  dstBits: 0,
  srcBits: 0,
  ip: { srcBits: 0, dstBits: 1, tos: [0], ttl: [64] },
  arp: null,
  depth: 0,
  labelBits: 1,
  labelTtl: [64],
  hasOther: false,
};

const rule = (kind: Rule["kind"], actions: readonly Action[], rest: Partial<Rule> = {}): Rule => ({
  table: 0,
  priority: 10,
  kind,
  tests: [] as Test[],
  actions,
  cookie: 0,
  ...rest,
});
const output: Action = { do: "output", port: 3 };

/** Eight rules of one priority, of which the last does something. */
const routes = (actions: readonly Action[]): Rule[] =>
  Array.from({ length: 8 }, (_, value) =>
    rule("ip", value === 7 ? actions : [], { tests: [{ field: "nw_src", value, mask: 7 }] }),
  );

interface Kept {
  readonly name: string;
  readonly one: Case;
  readonly truth: "equal" | "different" | "ambiguous";
}

/** Each was answered wrongly once. */
const KEPT: readonly Kept[] = [
  {
    name: "a move between words of which the world says that they are the same",
    truth: "equal",
    one: {
      world: { ...WORLD, ports: [1], depth: 1, labelTtl: [0] },
      a: {
        rules: [rule("mpls", [{ do: "move", from: "dl_src", to: "dl_dst", bits: 2 }, output])],
        groups: [],
      },
      b: { rules: [rule("mpls", [output])], groups: [] },
    },
  },
  {
    name: "a TTL that is lowered in front of a pushed label differs, and nothing is left open",
    truth: "different",
    one: {
      world: { ...WORLD, ports: [2] },
      a: { rules: [rule("ip", [{ do: "dec_ttl" }, { do: "push_mpls" }, output])], groups: [] },
      b: { rules: [rule("ip", [{ do: "push_mpls" }, output])], groups: [] },
    },
  },
  {
    name: "rows of a map that no frame of the world hits",
    truth: "equal",
    one: {
      world: { ...WORLD, ports: [1], ip: { srcBits: 0, dstBits: 1, tos: [0], ttl: [2] } },
      a: { rules: routes([{ do: "push_mpls" }, output]), groups: [] },
      b: { rules: routes([{ do: "dec_ttl" }, { do: "push_mpls" }, output]), groups: [] },
    },
  },
];

for (const { name, one, truth } of KEPT)
  test(`kept: ${name}`, () => {
    const judgement = judge(one);
    assert.ok(judgement !== null, one.a.rules.map(ruleText).join("\n"));
    assert.is(judgement!.truth, truth);
    assert.is(judgement!.verdict, truth);
    assert.is(judgement!.wrong, null);
  });

test.run();
