/**
 * Intents as flows: the same lines in the same order as the model's own generator (test/model/flows.ts, which shares
 * nothing with the product), as many as the table of rows says, and each frame's matched flow is the model's.
 * UPDATE=1 writes hv1.flows, what examples/hv1.yaml compiles to, anew.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadIntent, parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText, matchedFlows, printFlow } from "../../src/pipeline/index.ts";
import { macFromBits } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { flowOf, flowsOf } from "../model/flows.ts";
import { ipNumber, type ModelIntent, maskOf, traceModel } from "../model/model.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";

const test = suite("compile");
const root = join(import.meta.dirname, "../..");

function flowsFrom(intent: ModelIntent): Flows {
  const { intent: loaded, errors } = parseIntent(JSON.stringify(intent), "random.yaml", ".");
  if (loaded === null) throw new Error(errors[0]!.message);
  return new Flows(loaded);
}

/** A model's line with prefixes as the product spells them: /24 and not /255.255.255.0, a host without a length. */
function respelt(line: string): string {
  return line.replace(/(nw_dst=[\d.]+)\/(\d+\.\d+\.\d+\.\d+)/, (_, start: string, mask: string) => {
    const length = Math.clz32(~ipNumber(mask));
    return length === 32 ? start : `${start}/${length}`;
  });
}

/** Intents from a seed, with the seed on the output. */
function* worlds(
  count: number,
): Generator<{ intent: ModelIntent; random: ReturnType<typeof rng>; shown: string }> {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}: ${count} intents\n`);
  for (let world = 0; world < count; world++) {
    const random = rng((first + world) >>> 0);
    yield { intent: randomIntent(random), random, shown: `SEED=${first + world}` };
  }
}

test("random intents: the lines of the independent generator, in its order", () => {
  for (const { intent, shown } of worlds(Number(process.env.INTENTS ?? 300))) {
    const flows = flowsFrom(intent);
    const lines = [...flows].map(flowText);
    const wanted = flowsOf(intent).map(respelt);
    assert.equal(lines.toSorted(), wanted.toSorted(), shown);
    assert.equal(lines, wanted, shown);
    assert.is(flows.count, lines.length, shown);
  }
});

test("as many lines as the table of rows says", () => {
  const perVm = { l2: [4, 4], "dual-l2": [4, 5], "dual-l3": [7, 5], l3: [5, 4] } as const;
  for (const { intent, shown } of worlds(50)) {
    let wanted = 19 + intent.routes.length;
    for (const { path, addresses } of intent.vms) {
      wanted += perVm[path][0] + perVm[path][1] * addresses.length;
    }
    assert.is(flowsFrom(intent).count, wanted, shown);
  }
});

test("random frames: the flow they match in each table is the model's, by line", () => {
  let steps = 0;
  for (const { intent, random, shown } of worlds(40)) {
    const flows = flowsFrom(intent);
    const lines = flowsOf(intent);
    for (let i = 0; i < 200; i++) {
      const { inPort, frame } = randomFrame(random, intent);
      const rows = traceModel(intent, inPort, frame).steps.map(({ row }) => row);
      const tables = rows.map(({ table }) => table);
      const found = matchedFlows(flows, tables, inPort, frame);
      const said = `${shown}: ${inPort} ${Buffer.from(frame).toString("hex")}`;
      assert.equal(
        found.map(index => flowText(flows.at(index))),
        rows.map(row => respelt(flowOf(row))),
        said,
      );
      assert.equal(
        found,
        rows.map(row => lines.indexOf(flowOf(row))),
        said,
      );
      steps += found.length;
    }
  }
  assert.ok(steps > 5000, `${steps} tables were compared`);
});

test("the longest prefix is found, and none where there is none", () => {
  for (const { intent, random, shown } of worlds(100)) {
    const flows = flowsFrom(intent);
    const routes = intent.routes.map(({ prefix }) => {
      const [address, length] = prefix.split("/");
      return { prefix, address: ipNumber(address!), length: Number(length) };
    });
    for (let i = 0; i < 100; i++) {
      const near = random.chance(70) && routes.length > 0;
      const address = near ? (random.pick(routes).address ^ (1 << random.below(32))) >>> 0 : random.u32();
      const best = routes
        .filter(route => (address & maskOf(route.length)) >>> 0 === route.address)
        .sort((a, b) => b.length - a.length)[0];
      const index = flows.route(address);
      if (best === undefined) {
        assert.is(index, -1, shown);
        continue;
      }
      const found = flows.at(index);
      assert.is(found.priority, 100 + best.length, shown);
      const text = best.length === 32 ? best.prefix.slice(0, -3) : best.prefix;
      assert.is(printFlow(found).match, best.length === 0 ? "ip" : `ip,nw_dst=${text}`, shown);
    }
  }
});

test("a hundred thousand routes of every length are in order of text", () => {
  const random = rng(seed());
  const count = 100_000;
  const lengths = Uint8Array.from({ length: count }, () => random.between(0, 32));
  // A prefix may come twice here, which no intent has; their lines are then the same.
  const prefixes = Uint32Array.from(lengths, length => random.u32() & maskOf(length));
  const nextHops = [{ labels: [], via: macFromBits(0x0200000000fe) }];
  const routes = { count, prefixes, lengths, nextHops, nextHopOf: new Uint32Array(count) };
  const { intent } = parseIntent(JSON.stringify(randomIntent(rng(1))), "random.yaml", ".");
  const flows = new Flows({ ...intent!, routes });
  const lines = [...flows].filter(({ kind }) => kind === "route");
  assert.is(lines.length, count);
  for (let i = 1; i < lines.length; i++) {
    const [a, b] = [lines[i - 1]!, lines[i]!];
    const isSorted = a.priority > b.priority || (a.priority === b.priority && flowText(a) <= flowText(b));
    assert.ok(isSorted, `${flowText(a)}\n${flowText(b)}`);
  }
});

test("the example's flows, line by line", () => {
  const file = join(root, "test/pipeline/hv1.flows");
  const text = [...new Flows(loadIntent(join(root, "examples/hv1.yaml")).intent!)]
    .map(flow => `${flowText(flow)}\n`)
    .join("");
  if (process.env.UPDATE === "1") writeFileSync(file, text);
  assert.fixture(text, readFileSync(file, "utf8"));
});

test.run();
