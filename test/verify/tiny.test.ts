/**
 * The prover against the enumeration of tiny worlds: random pairs of flow tables, every packet run on two
 * engines that share no code with it. TINY_PAIRS says how many pairs (100000 takes about an hour), SEED
 * which. What was wrong once, or would be by a mutant, is kept in tiny/kept.ts.
 */
import { assert, seed, suite } from "../harness.ts";
import { judge } from "./tiny/judge.ts";
import { KEPT } from "./tiny/kept.ts";
import { ruleText } from "./tiny/language.ts";
import { run, summaryText } from "./tiny/run.ts";

const test = suite("verify › tiny worlds");
const PAIRS = Number(process.env.TINY_PAIRS ?? 100);

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

for (const { name, one, truth } of KEPT)
  test(`kept: ${name}`, () => {
    const judgement = judge(one);
    assert.ok(judgement !== null, one.a.rules.map(ruleText).join("\n"));
    assert.is(judgement!.truth, truth);
    assert.is(judgement!.verdict, truth);
    assert.is(judgement!.wrong, null);
  });

test.run();
