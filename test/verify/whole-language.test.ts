/**
 * The prover over the whole language: random tables of the fuzzer's generator, edited, proven, and tried
 * with random frames. WHOLE_PAIRS says how many pairs, WHOLE_FRAMES how many frames each that was proven
 * (200), SEED which.
 */
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { KEPT } from "./whole/kept.ts";
import { judge, pairText, run } from "./whole/run.ts";

const test = suite("verify › whole language");
const PAIRS = Number(process.env.WHOLE_PAIRS ?? 20);
const FRAMES = Number(process.env.WHOLE_FRAMES ?? 200);

test("what is proven equal is equal for frames of every kind, and what differs can be shown", () => {
  const from = seed();
  const { pairs, frames, verdicts, open, failures } = run(from, PAIRS, FRAMES);
  const left = [...open].sort(([, a], [, b]) => b - a).map(([feature, count]) => `${feature} ${count}`);
  process.stdout.write(
    `  seed ${from}: ${pairs} pairs, ${frames} frames, ${JSON.stringify(verdicts)}\n  left open: ${left.join(", ")}\n`,
  );
  const told = failures
    .slice(0, 20)
    .map(({ seed, wrong, pair }) => `seed ${seed}: ${wrong}\n${pairText(pair)}`);
  assert.is(failures.length, 0, told.join("\n\n"));
  assert.ok(verdicts.equal > pairs / 5 && verdicts.different > pairs / 25, "both answers occur");
});

for (const { name, a, b, groups = "", protocol = "OpenFlow13", verdict, open = [] } of KEPT)
  test(`kept: ${name}`, () => {
    const pair = { groups: groups === "" ? [] : [groups], a: [a], b: [b], protocol };
    const judgement = judge(pair, rng(1), FRAMES);
    assert.ok(judgement !== null, "a line cannot be read");
    const { proof, wrong } = judgement!;
    assert.is(wrong, null);
    assert.is(proof.verdict, verdict);
    const others = proof.unknown.filter(({ feature }) => !open.includes(feature));
    assert.equal(others, []);
  });

test.run();
