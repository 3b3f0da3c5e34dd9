/**
 * The prover's verdicts before a real switch: pairs of small tables of seventeen families, judged by frames
 * made from the rules' own fields. SWITCH_PAIRS says how many pairs with a verdict (12), SEED which.
 */
import { assert, peer, seed, suite } from "../harness.ts";
import { Judge } from "./pairs/judge.ts";
import { KEPT } from "./pairs/kept.ts";
import { judged, type Pair, pairText, runPairs, summaryText } from "./pairs/run.ts";
import { PLANTS, withPlant } from "./tiny/canary.ts";
import type { Prover } from "./tiny/judge.ts";

const test = suite("verify › verdicts before a switch");
const PAIRS = Number(process.env.SWITCH_PAIRS ?? 12);

async function withJudge(body: (judge: Judge) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const judge = new Judge();
  try {
    await body(judge);
  } finally {
    await judge.close();
  }
}

test("equal is equal there, and what is shown differs there", () =>
  withJudge(async judge => {
    const from = seed();
    const summary = await runPairs(judge, from, PAIRS);
    process.stdout.write(`\n${summaryText(summary, from)}`);
    const told = summary.failures
      .slice(0, 5)
      .map(({ seed, wrong, pair }) => `seed ${seed}: ${wrong}\n${pairText(pair)}`);
    assert.is(summary.failures.length, 0, told.join("\n\n"));
  }));

test("kept pairs", () =>
  withJudge(async judge => {
    for (const { name, verdict, groups = [], a, b } of KEPT) {
      const pair: Pair = { family: "kept", a: { groups, flows: a }, b: { groups, flows: b } };
      const judgement = await judged(judge, pair, 1);
      assert.is(judgement.wrong, null, `${name}: ${judgement.wrong}`);
      assert.is(judgement.verdict, verdict, name);
    }
  }));

/** Bugs that the switch must notice, and the family that it needs for it. */
const NOTICED: readonly (readonly [plant: string, family: string])[] = [
  ["a bucket's changes stay", "groups"],
];
const CANARY_PAIRS = 60;

for (const [name, family] of NOTICED)
  test(`noticed: ${name}`, () =>
    withJudge(async judge => {
      const plant = PLANTS.find(one => one.name === name);
      assert.ok(plant !== undefined, "there is such a bug");
      let prover: Prover | null = null;
      const { isPlanted } = await withPlant(plant!, one => {
        prover = one;
      });
      assert.ok(isPlanted, `${plant!.file} has no such text any more: ${plant!.find}`);
      const isEnough = ({ failures }: { failures: readonly unknown[] }): boolean => failures.length > 0;
      const summary = await runPairs(judge, 9000, CANARY_PAIRS, {
        prover: prover!,
        isEnough,
        families: [family],
      });
      assert.ok(summary.failures.length > 0, `nobody noticed in ${summary.pairs} pairs`);
      const { seed: where, pair } = summary.failures[0]!;
      const { wrong } = await judged(judge, pair, where);
      assert.is(wrong, null, "the prover itself is right there");
      process.stdout.write(`  ${name}: noticed by pair ${summary.pairs}\n`);
    }));

test.run();
