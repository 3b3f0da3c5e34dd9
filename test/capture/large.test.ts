/**
 * Captures large enough for two cores: what is written must be what one core writes, byte by byte, and what
 * the model says, frame by frame, whatever stands in the capture: foreign blocks larger than a piece, Simple
 * Packet Blocks, interfaces and sections in the middle, damage. How fast it is, is the benchmark's business.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ReplayResult, replay } from "../../src/replay/index.ts";
import { assert, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { makeFolder, PcapNg, pcapFile, put, readCapture } from "./base.ts";
import {
  type Arrival,
  arrivals,
  assertCounts,
  assertPackets,
  expected,
  loaded,
  nameOfPort,
  portNames,
  SMALL,
  sharedCore,
} from "./expect.ts";

const test = suite("capture/large");
const intent = loaded(SMALL);
const LARGE_BYTES = 66 * 1024 * 1024;

/** Frames of all ports, small and large, more than two cores begin at. */
function many(ports?: readonly number[]): Arrival[] {
  const few = arrivals(rng(91), SMALL, 300, 1000n, ports);
  const list: Arrival[] = [];
  for (let bytes = 0, index = 0; bytes < LARGE_BYTES; index++) {
    const { inPort, frame, time } = few[index % few.length]!;
    const longer = index % 3 === 0 ? frame : Buffer.concat([frame, Buffer.alloc((index * 41) % 9100, index)]);
    list.push({ inPort, frame: longer, time: time + BigInt(index) * 10_000_000n });
    bytes += longer.length + 16;
  }
  return list;
}

/** Replays with one core and with two, compares, and holds the result against the model. */
async function assertBoth(name: string, bytes: Uint8Array, list: readonly Arrival[], damage?: RegExp) {
  const folder = makeFolder();
  const path = put(folder, name, bytes);
  const wanted = expected(SMALL, list);
  const captures = [name.endsWith(".pcap") ? `9=${path}` : path];
  sharedCore().install(intent);
  const run = (threads: number): Promise<ReplayResult> => {
    const output = join(folder, `o${threads}.pcapng`);
    const drops = join(folder, `d${threads}.pcapng`);
    let before = 0;
    return replay({
      core: sharedCore(),
      intent,
      captures,
      output,
      drops,
      threads,
      onProgress: ({ frames, readBytes, totalBytes }) => {
        assert.ok(readBytes <= totalBytes! && readBytes >= before, "progress grows, to 100 % at most");
        assert.ok(frames <= list.length, "each frame is counted once");
        before = readBytes;
      },
    });
  };
  for (const threads of [1, 2]) {
    const result = await run(threads);
    assertCounts(result, wanted, `${threads} cores`);
    assert.is(result.damages.length, damage === undefined ? 0 : 1);
    if (damage !== undefined) assert.match(result.damages[0]!.message, damage);
  }
  for (const [kind, rows] of [
    ["o", wanted.outputs],
    ["d", wanted.drops],
  ] as const) {
    const [one, two] = [1, 2].map(threads => readFileSync(join(folder, `${kind}${threads}.pcapng`)));
    assert.ok(one!.equals(two!), `${kind}: two cores write what one writes`);
    assertPackets(readCapture(two!), rows, kind);
  }
}

test("pcap, big-endian, its last record cut", async () => {
  const list = many([9]);
  const bytes = pcapFile(list, { bigEndian: true });
  const cut = bytes.subarray(0, bytes.length - 5);
  await assertBoth("large.pcap", cut, list.slice(0, -1), /byte \d+: the file ends inside a record/);
});

test("pcapng: odd blocks all over, finer interfaces and a second section behind", async () => {
  const list = many();
  const names = portNames(SMALL);
  const writer = new PcapNg().section();
  for (const name of names) writer.interface({ name });
  const late = Math.floor(list.length * 0.9);
  for (const [index, arrival] of list.entries()) {
    if (index === late) for (const name of names) writer.interface({ name, tsresol: 9 });
    if (index === late + 500) {
      writer.section(true);
      for (const name of [...names, ...names]) writer.interface({ name, tsresol: 6 });
    }
    const link = names.indexOf(nameOfPort(SMALL, arrival.inPort)) + (index < late ? 0 : names.length);
    const isSimple = index % 50 === 49 && link === 0;
    if (isSimple) list[index] = { ...arrival, time: list[index - 1]!.time };
    if (isSimple) writer.simple(arrival.frame);
    else
      writer.packet(link, arrival, ...(index % 11 === 0 ? [writer.option(1, "c".repeat(index % 90))] : []));
    if (!isSimple && index % 11 === 0) list[index] = { ...list[index]!, comment: "c".repeat(index % 90) };
    if (index % 1000 === 3) writer.block(0x0bad, Buffer.alloc(100_000 + index * 30));
  }
  await assertBoth("large.pcapng", writer.bytes(), list);
});

test("a frame of zero bytes and a bad block in the middle", async () => {
  const list = many([11]);
  const middle = Math.floor(list.length / 2);
  const writer = new PcapNg().section().interface({ name: "tap11" });
  for (const [index, arrival] of list.entries()) {
    if (index === middle) writer.block(6, Buffer.alloc(20, 0xff));
    writer.packet(0, arrival);
  }
  await assertBoth(
    "bad.pcapng",
    writer.bytes(),
    list.slice(0, middle),
    /byte \d+: the packet is of interface/,
  );
  const empty = { inPort: 9, frame: new Uint8Array(0), time: list[middle]!.time };
  const uplink = many([9]);
  uplink[middle] = { ...empty, time: uplink[middle]!.time };
  await assertBoth("zero.pcap", pcapFile(uplink), uplink, /byte \d+: a frame of zero bytes/);
});

test.run();
