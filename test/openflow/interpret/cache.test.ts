/**
 * The interpreter's memory: with it and without it every frame comes to the same end. Frames come in families
 * whose members differ in a few bits, so that most of them are answered from memory; a memory that masks too
 * much is caught.
 */
import {
  CachingInterpreter,
  Interpreter,
  type Outcome,
  parseFlow,
  parseFlows,
  parseGroups,
} from "../../../src/openflow/index.ts";
import { eth } from "../../../src/wire/index.ts";
import { assert, seed, suite } from "../../harness.ts";
import { flowsOf as pipelineOf } from "../../model/flows.ts";
import { type Rng, randomIntent, randomFrame as randomPipelineFrame, rng } from "../../model/random.ts";
import { linesOf } from "./compare.ts";
import { randomFrame, WORLD } from "./frames.ts";
import { GROUPS, randomFlows, WRITTEN } from "./tables.ts";

const test = suite("interpreter with a memory");
const tables = Number(process.env.TABLES ?? 60);
const FAMILIES = 40;
const MEMBERS = 12;

/** Everything that an outcome says, as text. Numbers of flows stand for the flows. */
function told(outcome: Outcome): string {
  const { verdict, unknown, ambiguous, outlives, errors, tables } = outcome;
  const visited = tables.map(({ table, flow }) => `${table}:${flow?.source.line ?? "-"}`);
  const rest = JSON.stringify({ unknown, outlives, errors, ambiguous: ambiguous.map(({ table }) => table) });
  return [verdict, ...linesOf(outcome), visited.join(" "), rest].join("\n");
}

/** The same frame with a few bits turned over, or a byte that matters to somebody. */
function relative(r: Rng, frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  for (let changes = r.below(3); changes >= 0; changes--) {
    const at = r.below(Math.min(copy.length, 64));
    if (r.chance(50)) copy[at] = copy[at]! ^ (1 << r.below(8));
    else copy[at] = r.pick([0, 1, 2, 6, 17, 64, 255]);
  }
  return r.chance(5) ? copy.slice(0, r.below(copy.length)) : copy;
}

interface Case {
  readonly inPort: number;
  readonly frame: Uint8Array;
}

/** Runs all frames both ways; gives how many passes came from memory. */
function checkAll(what: string, plain: Interpreter, caching: CachingInterpreter, cases: Case[]): number {
  for (const { inPort, frame } of cases) {
    const [without, withMemory] = [told(plain.run(inPort, frame)), told(caching.run(inPort, frame))];
    assert.is(withMemory, without, `${what}\nin_port ${inPort}: ${Buffer.from(frame).toString("hex")}`);
  }
  return caching.hits;
}

function families(r: Rng, first: () => Case): Case[] {
  return Array.from({ length: FAMILIES }, first).flatMap(head => [
    head,
    ...Array.from({ length: MEMBERS }, () => ({ ...head, frame: relative(r, head.frame) })),
  ]);
}

test("random tables, frames in families", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}: ${tables} tables\n`);
  const { groups } = parseGroups(GROUPS.join("\n"), "groups");
  let [hits, frames] = [0, 0];
  for (let round = 0; round < tables; round++) {
    const r = rng((start + round) >>> 0);
    const lines = round < WRITTEN.length ? WRITTEN[round]! : randomFlows(r);
    const flows = lines.map(line => parseFlow(line).flow).filter(flow => flow !== null);
    const options = { ports: WORLD.ports, groups, isPortLive: () => true };
    const cases = families(r, () => ({ inPort: r.pick(WORLD.ports), frame: randomFrame(r) }));
    frames += cases.length;
    hits += checkAll(
      `SEED=${start + round}\n${lines.join("\n")}`,
      new Interpreter(flows, options),
      new CachingInterpreter(flows, { ...options, isFleeting: true }),
      cases,
    );
  }
  assert.ok(hits > frames / 2, `${hits} passes of ${frames} frames came from memory`);
});

test("frames of an outcome last, unless they are said to be fleeting: then until the next run", () => {
  const r = rng(seed());
  const flows = WRITTEN.flat()
    .map(line => parseFlow(line).flow)
    .filter(flow => flow !== null);
  const { groups } = parseGroups(GROUPS.join("\n"), "groups");
  const options = { ports: WORLD.ports, groups, isPortLive: () => true };
  const cases = Array.from({ length: 2000 }, () => ({ inPort: r.pick(WORLD.ports), frame: randomFrame(r) }));
  const changed = (interpreter: Interpreter): number => {
    const kept = cases.map(({ inPort, frame }) => {
      const outcome = interpreter.run(inPort, frame);
      return { outcome, told: told(outcome) };
    });
    return kept.filter(one => told(one.outcome) !== one.told).length;
  };
  for (const Kind of [Interpreter, CachingInterpreter]) {
    assert.is(changed(new Kind(flows, options)), 0);
    assert.ok(changed(new Kind(flows, { ...options, isFleeting: true })) > 0);
  }
});

test("the pipeline: popped, spoofed, TTL 1, protocol 0", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}\n`);
  for (let round = 0; round < 10; round++) {
    const r = rng((start + round) >>> 0);
    const intent = randomIntent(r);
    const { flows } = parseFlows(pipelineOf(intent).join("\n"), "flows");
    const cases = families(r, () => randomPipelineFrame(r, intent));
    const hits = checkAll(
      `SEED=${start + round}`,
      new Interpreter(flows),
      new CachingInterpreter(flows),
      cases,
    );
    assert.ok(hits > cases.length / 4, `${hits} of ${cases.length}`);
  }
});

test("what a pass did not read makes no difference to its memory", () => {
  const { flows } = parseFlows("table=0,in_port=1,ip,nw_dst=10.0.0.0/24 actions=dec_ttl,output:2\n", "flows");
  const caching = new CachingInterpreter(flows);
  for (let n = 0; n < 100; n++) {
    const frame = eth({ dst: "02:00:00:00:00:01", src: `02:00:00:00:00:${(n + 16).toString(16)}` })
      .ipv4({ src: `192.0.2.${n}`, dst: `10.0.0.${n}` })
      .udp({ src: n, dst: 53 })
      .bytes();
    assert.is(caching.run(1, frame).verdict, "output");
  }
  assert.is(caching.misses, 1);
  assert.is(caching.hits, 99);
});

test("a pass that read a value is not taken for another value", () => {
  const { flows } = parseFlows("ip actions=dec_ttl,output:2\n", "flows");
  const caching = new CachingInterpreter(flows);
  for (const [ttl, verdict] of [
    [64, "output"],
    [1, "drop"],
    [0, "drop"],
    [2, "output"],
  ] as const) {
    const frame = eth({ dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" })
      .ipv4({ src: "192.0.2.1", dst: "10.0.0.1", ttl })
      .udp({ src: 1, dst: 53 })
      .bytes();
    const outcome = caching.run(1, frame);
    assert.is(outcome.verdict, verdict);
    if (verdict === "output") assert.is(outcome.outputs[0]!.frame[22], ttl - 1);
  }
});

test.run();
