/**
 * The core against the independent model: every verdict, reason, port, table and byte, on random frames
 * over random intents, in all three builds. INTENTS and FRAMES make it longer; SEED repeats a run.
 */
import { assert, draws, seed, suite } from "../harness.ts";
import { allCores, firstDifference, makeWorld } from "./compare.ts";

const test = suite("core against model");
const intents = Number(process.env.INTENTS ?? draws(300));
const framesEach = Number(process.env.FRAMES ?? 1000);

test(`${intents} random intents, ${framesEach} random frames each`, () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  const cores = allCores();
  for (let index = 0; index < intents; index++) {
    const world = makeWorld((first + index) >>> 0, framesEach);
    for (const [build, core] of cores) assert.is(firstDifference(core, world), null, build);
  }
});

test.run();
