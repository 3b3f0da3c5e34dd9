/**
 * The pipeline's flows in the interpreter against the core: same verdict, port and bytes on random frames.
 */
import { Core } from "../../../src/core/index.ts";
import { CachingInterpreter, Interpreter } from "../../../src/openflow/index.ts";
import { install, makeWorld } from "../../core/compare.ts";
import { assert, draws, seed, suite } from "../../harness.ts";
import { flowsOf as pipelineOf } from "../../model/flows.ts";
import { flowsOf, hexOf } from "./compare.ts";

const test = suite("interpreter against core");
const intents = Number(process.env.INTENTS ?? draws(60));
const framesEach = Number(process.env.FRAMES ?? 300);

/** Verdict, port and bytes as text. Frame lengths and MTUs are the host's to check, and no flow's. */
const isHosts = (reason: string | null): boolean => reason === "too-long";

function firstDifference(seedOfWorld: number, addition: readonly string[] = []): string | null {
  const world = makeWorld(seedOfWorld, framesEach);
  const core = Core.load("release");
  install(core, world.intent);
  const flows = flowsOf([...pipelineOf(world.intent), ...addition]);
  const engines = [new Interpreter(flows), new CachingInterpreter(flows)];
  for (const [index, result] of core.runFrames(world.frames).entries()) {
    if (isHosts(result.reason)) continue;
    const { inPort, frame } = world.frames[index]!;
    const wanted =
      result.frame === null ? result.verdict : `${result.verdict} ${result.port} ${hexOf(result.frame)}`;
    for (const engine of engines) {
      const { verdict, outputs } = engine.run(inPort, frame);
      const got = [verdict, ...outputs.map(({ port, frame }) => `${port} ${hexOf(frame)}`)].join(" ");
      if (got !== wanted)
        return `SEED=${seedOfWorld} frame ${index}: in_port ${inPort} ${hexOf(frame)}\n  core ${wanted}\n  interpreter ${got}`;
    }
  }
  return null;
}

test(`${intents} random intents, ${framesEach} random frames each`, () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  for (let index = 0; index < intents; index++) assert.is(firstDifference((first + index) >>> 0), null);
});

test("canary: one wrong flow is found", () => {
  const found = [1, 2, 3, 4].map(n => firstDifference(n, ["table=10,priority=0 actions=in_port"]));
  assert.ok(found.some(text => text !== null));
});

test.run();
