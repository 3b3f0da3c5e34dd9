/**
 * Canaries: with a bug planted in a copy of the prover, the tiny worlds must fail. Those that are noticed soon are tried
 * always; CANARY_PAIRS says how long the others may take.
 */
import { assert, suite } from "../harness.ts";
import { FIRST_SEED, PLANTS, withPlant } from "./tiny/canary.ts";
import { run } from "./tiny/run.ts";

const test = suite("verify › planted bugs");
const PAIRS = Number(process.env.CANARY_PAIRS ?? 100);

for (const plant of PLANTS.filter(({ within }) => within <= PAIRS))
  test(`noticed within ${plant.within} pairs: ${plant.name}`, async () => {
    let noticed = 0;
    const { isPlanted } = await withPlant(plant, prover => {
      noticed = run({ seed: FIRST_SEED, pairs: plant.within, prover, isBrief: true }).firstFailure;
    });
    assert.ok(isPlanted, `${plant.file} has no such text any more: ${plant.find}`);
    assert.ok(noticed > 0, `nobody noticed in ${plant.within} pairs`);
    // The prover itself is right there, or it was noticed for nothing.
    const real = run({ seed: FIRST_SEED, pairs: noticed, isBrief: true });
    assert.is(real.failures.length, 0, real.failures.join("\n"));
    process.stdout.write(`  ${plant.name}: pair ${noticed}\n`);
  });

test("every planted bug has soil: the text that it replaces", async () => {
  for (const plant of PLANTS) {
    const { isPlanted } = await withPlant(plant, () => {});
    assert.ok(isPlanted, `${plant.name}: ${plant.file} has no such text any more: ${plant.find}`);
  }
});

test.run();
