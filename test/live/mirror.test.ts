/**
 * The ring that carries copies of frames between threads, and tables that are taken over while frames run.
 */
import { Core, imageOf, stepsToAdopt } from "../../src/core/index.ts";
import { type Mirrored, MirrorReader, MirrorWriter, mirrorBuffer } from "../../src/live/mirror.ts";
import { install, makeWorld } from "../core/compare.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";

const test = suite("mirror and tables");

const piece = (bytes: Uint8Array) => ({ bytes, at: 0, length: bytes.length });

test("records come out as they went in, in order, round and round", () => {
  const random = rng(seed());
  const buffer = mirrorBuffer(4096);
  const writer = new MirrorWriter(buffer);
  const reader = new MirrorReader(buffer);
  let written = 0;
  let read = 0;
  const bytesOf = (number: number, length: number): Uint8Array => new Uint8Array(length).fill(number);
  const take = ({ inPort, outPort, verdict, reason, time, frame, out }: Mirrored): void => {
    assert.equal([inPort, outPort, verdict, reason, time], [read, read + 1, 1, 7, read / 4]);
    assert.equal([...frame], [...bytesOf(read, frame.length)]);
    assert.equal([...out], [...bytesOf(read + 1, out.length)]);
    read++;
  };
  for (let round = 0; round < 2000; round++) {
    for (let burst = random.below(4); burst > 0; burst--) {
      const [frame, out] = [bytesOf(written, random.below(200)), bytesOf(written + 1, random.below(200))];
      writer.put(written, written + 1, 0x701, written / 4, piece(frame), piece(out));
      written++;
    }
    reader.drain(take);
    assert.is(read, written);
  }
  assert.is(reader.missed, 0);
  assert.ok(written > 1000);
});

test("a full ring takes no more, says how many it missed, and goes on when there is room", () => {
  const buffer = mirrorBuffer(1024);
  const writer = new MirrorWriter(buffer);
  const reader = new MirrorReader(buffer);
  const frame = piece(new Uint8Array(100));
  for (let index = 0; index < 20; index++) writer.put(index, 0, 0, 0, frame, piece(new Uint8Array(0)));
  const seen: number[] = [];
  reader.drain(({ inPort }) => seen.push(inPort));
  assert.equal(seen, [0, 1, 2, 3, 4, 5, 6]);
  assert.is(reader.missed, 13);
  writer.put(99, 0, 0, 0, frame, frame);
  reader.drain(({ inPort }) => seen.push(inPort));
  assert.is(seen.at(-1), 99);
});

test("a change of tables is told between the frames before and after it", () => {
  const buffer = mirrorBuffer(1024);
  const writer = new MirrorWriter(buffer);
  const reader = new MirrorReader(buffer);
  const seen: (number | "change")[] = [];
  const put = (number: number): void =>
    writer.put(number, 0, 0, 0, piece(new Uint8Array(60)), piece(new Uint8Array(0)));
  const drain = (): void =>
    reader.drain(
      ({ inPort }) => seen.push(inPort),
      () => seen.push("change"),
    );
  put(1);
  put(2);
  writer.change();
  put(3);
  drain();
  writer.change();
  drain();
  put(4);
  drain();
  assert.equal(seen, [1, 2, "change", 3, "change", 4]);
});

test("frames see the old tables until the last step, and then all of the new ones", () => {
  const first = seed();
  const carrier = Core.load();
  const maker = Core.load();
  install(carrier, makeWorld(first, 0).intent);
  for (let round = 0; round < 25; round++) {
    const before = makeWorld(first + round, 60);
    const after = makeWorld(first + round + 1, 60);
    install(maker, after.intent);
    const verdicts = ({ frames }: typeof before) =>
      JSON.stringify(
        carrier
          .runFrames(frames)
          .map(({ verdict, port, reason, frame }) => [verdict, port, reason, [...(frame ?? [])]]),
      );
    const expected = ({ expected: results }: typeof before) =>
      JSON.stringify(
        results.map(({ verdict, port, reason, frame }) => [verdict, port, reason, [...(frame ?? [])]]),
      );
    const steps = stepsToAdopt(carrier, imageOf(maker));
    let count = 0;
    while (steps.next().done !== true) if (count++ % 7 === 0) assert.is(verdicts(before), expected(before));
    assert.ok(count > 5, "it was done in steps");
    assert.is(verdicts(after), expected(after), `seed ${first + round + 1}`);
  }
});

test.run();
