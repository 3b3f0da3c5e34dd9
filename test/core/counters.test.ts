/**
 * Counters of the core: what each frame adds, to which port, and that nothing is forgotten or carried over.
 */
import { Core } from "../../src/core/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { install, makeWorld } from "./compare.ts";

const test = suite("counters");

test("sums by verdict, reason, table and port are the model's", () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  const core = Core.load();
  for (let index = 0; index < 10; index++) {
    const world = makeWorld(first + index, 1000);
    install(core, world.intent);
    core.resetCounters();
    core.runFrames(world.frames);
    const { frames, bytes, drops, tables, ports } = core.counters();
    assert.is(frames, 1000);
    const lengths = world.frames.map(({ frame }) => Math.min(frame.length, 9217));
    assert.is(
      bytes,
      lengths.reduce((sum, length) => sum + length, 0),
    );
    for (const [reason, count] of drops) {
      assert.is(count, world.expected.filter(expected => expected.reason === reason).length, reason);
    }
    for (const [table, count] of tables) {
      assert.is(count, world.expected.filter(expected => expected.tables.includes(table)).length);
    }
    for (const { port, rxFrames, txFrames, replyFrames, dropFrames } of ports) {
      const came = world.expected.filter((_, at) => world.frames[at]!.inPort === port);
      assert.is(rxFrames, came.length, `port ${port}`);
      assert.is(dropFrames, came.filter(({ verdict }) => verdict === "drop").length);
      const left = world.expected.filter(expected => expected.port === port);
      assert.is(txFrames, left.filter(({ verdict }) => verdict === "output").length);
      assert.is(replyFrames, left.filter(({ verdict }) => verdict === "reply").length);
    }
  }
});

test("a port that is none is listed, whatever became of its frames", () => {
  const core = Core.load();
  install(core, makeWorld(1, 0).intent);
  core.runFrames([{ inPort: 60_000, frame: new Uint8Array(5) }]);
  assert.equal(
    core.counters().ports.map(({ port, rxFrames, dropFrames }) => [port, rxFrames, dropFrames]),
    [[60_000, 1, 1]],
  );
});

test.run();
