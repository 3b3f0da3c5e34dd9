/**
 * Every action in every place, interpreter against a real switch. An everyday run takes every PLACES_STEP-th
 * cell of the product (40), beginning where the seed says; CI takes them all (1).
 */
import { assert, peer, seed, suite } from "../harness.ts";
import { cells, FORMS, PLACES } from "./places.ts";
import { type Difference, newTally, runCells } from "./places-run.ts";

const test = suite("every action in every place");
const STEP = Number(process.env.PLACES_STEP ?? 40);

function described({ cell, input, theirs, ours }: Difference): string {
  const rules = [...cell.groups, ...cell.flows].join("\n  ");
  return `${cell.name}\n  ${rules}\n  frame ${Buffer.from(input.frame).toString("hex")}\n  switch ${theirs}\n  ours   ${ours}`;
}

test("what the switch takes, the interpreter does as the switch does, or calls unknown", async () => {
  peer("ovs-vswitchd");
  const all = cells();
  const first = seed();
  const wanted = all.filter((_, index) => (index + first) % STEP === 0);
  const tally = newTally();
  await runCells(wanted, tally);
  const refused = [...tally.refused.values()].reduce((sum, one) => sum + one, 0);
  const open = [...tally.open].map(([feature, frames]) => `${feature} ${frames}`);
  process.stdout.write(
    `\n  SEED=${first}: ${tally.cells} of ${wanted.length} cells (${FORMS.length} actions, ${Object.keys(PLACES).length} places), ` +
      `${tally.frames} frames, ${refused} cells refused by the switch, ${tally.stale} answers from a cache\n  left open: ${open.join(", ")}\n` +
      `  not read here: ${tally.misread.length} cells\n`,
  );
  assert.equal(tally.deaths, [], "cells that end the switch");
  assert.is(tally.differences.length, 0, tally.differences.slice(0, 5).map(described).join("\n"));
  assert.ok(tally.cells > wanted.length / 2, "most cells are taken");
});

test.run();
