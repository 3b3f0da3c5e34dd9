/**
 * Mutation tests: with a bug in a copy of the prover, the tiny worlds must fail: a kept pair, or one of
 * the first random ones.
 */
import { assert, suite } from "../harness.ts";
import { FIRST_SEED, PLANTS, withPlant } from "./tiny/canary.ts";
import { judge, type Prover } from "./tiny/judge.ts";
import { KEPT } from "./tiny/kept.ts";
import { run } from "./tiny/run.ts";

const test = suite("verify › mutants");

/** Names of the kept pairs that are answered wrongly. */
const wrongOf = (prover?: Prover): string[] =>
  KEPT.filter(({ one }) => judge(one, prover)!.wrong !== null).map(({ name }) => name);

for (const plant of PLANTS)
  test(`noticed: ${plant.name}`, async () => {
    let kept: string[] = [];
    let noticed = 0;
    const { isPlanted } = await withPlant(plant, prover => {
      kept = wrongOf(prover);
      if (plant.within > 0)
        noticed = run({ seed: FIRST_SEED, pairs: plant.within, prover, isBrief: true }).firstFailure;
    });
    assert.ok(isPlanted, `${plant.file} has no such text any more: ${plant.find}`);
    if (plant.within === 0) assert.ok(kept.length > 0, "no kept pair noticed");
    else assert.ok(noticed > 0, `nobody noticed in ${plant.within} pairs`);
    // The prover itself is right there, or it was noticed for nothing.
    if (noticed > 0) {
      const real = run({ seed: FIRST_SEED, pairs: noticed, isBrief: true });
      assert.is(real.failures.length, 0, real.failures.join("\n"));
    }
    const told = [...kept, ...(noticed > 0 ? [`random pair ${noticed}`] : [])];
    process.stdout.write(`  ${plant.name}: ${told.join("; ")}\n`);
  });

test("without a mutation no kept pair is answered wrongly", () => {
  assert.equal(wrongOf(), []);
});

test.run();
