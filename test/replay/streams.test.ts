/**
 * How the bytes of a capture arrive: compressed by gzip and zstd in all the ways these allow, by standard
 * input and other pipes, in pieces of any size, and with records and blocks that lie across the ends of the
 * window in which the core looks at them. What is compressed by zstd is made by its own program.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { gzipSync } from "node:zlib";
import { Core } from "../../src/core/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { replay } from "../../src/replay/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import {
  type Arrival,
  check,
  expectedOf,
  linesOf,
  mixed,
  PcapNg,
  pcap,
  routed,
  Sandbox,
  sameLines,
  TAP11,
} from "./base.ts";

const test = suite("replay/streams");
const box = new Sandbox();
const START = 1_709_251_200_123_456_789n;
/** What the core can see of a capture at a time. */
const WINDOW_BYTES = 524_288;

function arrivalsOf(count: number, sizeOf: (at: number) => number): Arrival[] {
  return Array.from({ length: count }, (_, at) => ({
    port: TAP11,
    time: START + BigInt(at) * 1_234_567n,
    frame: mixed(at, sizeOf(at)),
  }));
}

const small = arrivalsOf(40, () => 20);
const smallFile = pcap(small, { isNano: true });
/** More than two windows, records of many sizes. */
const large = arrivalsOf(1500, at => (at * 37) % 2000);
const largeFile = pcap(large, { isNano: true });

test("gzip: one member, and many that end anywhere", () => {
  assert.ok(largeFile.length > 2 * WINDOW_BYTES);
  box.put("one.gz", gzipSync(largeFile));
  check(box, { args: ["-r", "tap11=one.gz"], arrivals: large });
  const members: Buffer[] = [];
  for (let at = 0; at < largeFile.length; at += 9973)
    members.push(gzipSync(largeFile.subarray(at, at + 9973)));
  members.splice(3, 0, gzipSync(Buffer.alloc(0)));
  box.put("many.bin", Buffer.concat(members));
  check(box, { args: ["-r", "tap11=many.bin"], arrivals: large });
});

test("gzip: members of one byte, the first of them empty", () => {
  const members = [Buffer.alloc(0), ...Array.from(smallFile, byte => Buffer.from([byte]))].map(part =>
    gzipSync(part),
  );
  box.put("in.pcap.gz", Buffer.concat(members));
  check(box, { args: ["-r", "tap11=in.pcap.gz"], arrivals: small });
});

/** What zstd makes of bytes. */
function zstd(bytes: Uint8Array, ...options: string[]): Buffer {
  const { code, stdout, stderr } = box.spawn("zstd", ["-q", "-c", ...options], bytes);
  assert.is(code, 0, stderr);
  return stdout;
}

/** A zstd frame that every reader skips; its number is 0 to 15. */
function skippable(number: number, bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 0x28);
  frame.writeUInt32LE(0x184d2a50 + number);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

for (const options of [[], ["--fast=5"], ["--long=27"]]) {
  test(`zstd ${options.join(" ")}`, () => {
    peer("zstd");
    box.put("in.zst", zstd(largeFile, ...options));
    check(box, { args: ["-r", "tap11=in.zst"], arrivals: large });
  });
}

test("zstd: many frames, frames to be skipped before, between and behind them, empty frames", () => {
  peer("zstd");
  const third = Math.ceil(largeFile.length / 3);
  const parts = [0, 1, 2].map(at =>
    zstd(largeFile.subarray(at * third, (at + 1) * third), at === 1 ? "-3" : "--no-check"),
  );
  const empty = zstd(Buffer.alloc(0));
  const pieces = [
    skippable(0, 5),
    parts[0]!,
    skippable(15, 300_000),
    empty,
    parts[1]!,
    skippable(3, 0),
    parts[2]!,
    empty,
  ];
  box.put("in.zst", Buffer.concat([...pieces, skippable(7, 1)]));
  check(box, { args: ["-r", "tap11=in.zst"], arrivals: large });
});

test("zstd: a match that reaches back further than a window of the reader", () => {
  peer("zstd");
  // The same incompressible frames twice, 3 MB apart.
  const random = rng(1);
  const noise = Array.from({ length: 2200 }, (_, at): Arrival => {
    const frame = routed(at, 1400);
    for (let byte = 60; byte < frame.length; byte += 4)
      frame.writeUInt32LE(random.u32(), Math.min(byte, frame.length - 4));
    return { port: TAP11, time: START + BigInt(at), frame };
  });
  const again = noise.map(({ frame }, at) => ({ port: TAP11, time: START + BigInt(10_000 + at), frame }));
  const bytes = pcap([...noise, ...again], { isNano: true });
  const packed = zstd(bytes, "-3", "--long=24");
  assert.ok(packed.length < bytes.length * 0.6, "zstd found the repetition");
  box.put("in.zst", packed);
  const { code, stdout, stderr } = box.replay(["-r", "tap11=in.zst", "--format", "json"]);
  assert.is(code, 0, stderr);
  assert.equal(JSON.parse(stdout.toString()).outputs, { 5: 4400 });
});

test("standard input: plain, gzip and zstd; a file and a pipe", () => {
  check(box, { args: ["-r", "tap11=-"], arrivals: large, input: largeFile });
  check(box, { args: ["-i", "tap11", "-r", "-"], arrivals: large, input: gzipSync(largeFile) });
  box.put("in.pcap", smallFile);
  const fromFile = box.shell("slash32 replay -n hv.json -r tap11=- -w out.pcapng < in.pcap");
  assert.is(fromFile.code, 0, fromFile.stderr);
  const { outputs } = expectedOf(box.intent, small);
  sameLines(linesOf(box.capture("out.pcapng")), outputs, "from a file");
});

test("pipes: one byte at a time, a writer that pauses, a named pipe", () => {
  box.put("in.pcap", smallFile);
  const lines = [
    "dd if=in.pcap bs=1 2>/dev/null | slash32 replay -n hv.json -r tap11=- -w out.pcapng",
    "(head -c 3 in.pcap; sleep 0.3; tail -c +4 in.pcap) | slash32 replay -n hv.json -r tap11=- -w out.pcapng",
    "mkfifo pipe; (cat in.pcap > pipe &) ; slash32 replay -n hv.json -r tap11=pipe -w out.pcapng; s=$?; rm pipe; exit $s",
  ];
  const { outputs } = expectedOf(box.intent, small);
  for (const line of lines) {
    const { code, stderr } = box.shell(line);
    assert.is(code, 0, stderr);
    sameLines(linesOf(box.capture("out.pcapng")), outputs, line);
  }
});

// ── In this process: reads cut to any size ─────────────────────────────────────────────────────────────────

const core = Core.load();
const { intent } = parseIntent(JSON.stringify(box.intent), "hv.json", ".");
core.install(intent!);

/** Runs a replay while every read gives at most as many bytes as `most` says. */
async function replayInPieces(capture: string, most: () => number): Promise<string[]> {
  const { readSync } = fs;
  type Read = (fd: number, buffer: Uint8Array, offset: number, length: number, position: null) => number;
  let reads = 0;
  const piecewise: Read = (fd, buffer, offset, length, position) => {
    reads++;
    return readSync(fd, buffer, offset, Math.min(length, most()), position);
  };
  Object.assign(fs, { readSync: piecewise });
  syncBuiltinESMExports();
  try {
    const output = box.path("pieces.pcapng");
    const { damages } = await replay({ core, intent: intent!, captures: [capture], output });
    assert.equal(damages, []);
    assert.ok(reads > 2, "the reads were cut");
  } finally {
    Object.assign(fs, { readSync });
    syncBuiltinESMExports();
  }
  return linesOf(box.capture("pieces.pcapng"));
}

/** A pcapng of everything that there is to be cut: sections, options, unknown blocks, simple packets. */
function everyBlock(): { bytes: Buffer; arrivals: Arrival[] } {
  const file = new PcapNg();
  const arrivals: Arrival[] = [];
  for (const isBig of [false, true, false]) {
    file.section(isBig, [new Uint8Array(0)]).interface({ name: "tap11", resolution: 9 });
    const comment = file.option(1, Buffer.from("cut me"));
    for (let at = 0; at < 8; at++) {
      const time = START + BigInt(arrivals.length);
      file.block(0xbad, Buffer.alloc(at * 4)).packet(time, mixed(at, at), { options: [comment] });
      file.simplePacket(mixed(at + 1, at));
      arrivals.push({ port: TAP11, time, frame: mixed(at, at), comments: ["cut me"] });
      arrivals.push({ port: TAP11, time, frame: mixed(at + 1, at) });
    }
  }
  return { bytes: file.bytes(), arrivals };
}

test("reads of 1, 2, 3 … bytes make no difference", async () => {
  const { bytes, arrivals } = everyBlock();
  box.put("blocks", bytes);
  box.put("blocks.gz", gzipSync(bytes));
  box.put("plain", smallFile);
  for (const size of [1, 2, 3, 5, 11, 13, 4096]) {
    for (const name of ["blocks", "blocks.gz"]) {
      const lines = await replayInPieces(box.path(name), () => size);
      sameLines(lines, expectedOf(box.intent, arrivals).outputs, `${name} by ${size}`);
    }
    const lines = await replayInPieces(`tap11=${box.path("plain")}`, () => size);
    sameLines(lines, expectedOf(box.intent, small).outputs, `plain by ${size}`);
  }
});

test("zstd in reads of 1, 2, 3 … bytes", async () => {
  peer("zstd");
  const { bytes, arrivals } = everyBlock();
  const half = bytes.length >> 1;
  const parts = [zstd(bytes.subarray(0, half)), skippable(1, 40), zstd(bytes.subarray(half))];
  box.put("blocks.zst", Buffer.concat(parts));
  for (const size of [1, 2, 3, 5, 17, 18, 19, 1000]) {
    const lines = await replayInPieces(box.path("blocks.zst"), () => size);
    sameLines(lines, expectedOf(box.intent, arrivals).outputs, `by ${size}`);
  }
});

const first = seed();
test(`SEED=${first}: captures of several windows, in pieces of random sizes`, async () => {
  const random = rng(first);
  const bytes = 400;
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 });
  const arrivals: Arrival[] = [];
  while (file.size < 3 * WINDOW_BYTES) {
    const at = arrivals.length;
    const arrival = { port: TAP11, time: START + BigInt(at), frame: mixed(at, random.below(bytes)) };
    if (random.chance(3)) file.block(0xbad, Buffer.alloc(random.below(40_000) * 4));
    file.packet(arrival.time, arrival.frame);
    arrivals.push(arrival);
  }
  box.put("several", file.bytes());
  const { outputs } = expectedOf(box.intent, arrivals);
  for (let round = 0; round < 3; round++) {
    const lines = await replayInPieces(box.path("several"), () => 1 + random.below(300_000));
    sameLines(lines, outputs, `round ${round}`);
  }
});

test("unknown blocks as large as the window and larger, at every place", () => {
  const file = new PcapNg().section();
  const arrivals: Arrival[] = [];
  for (const body of [WINDOW_BYTES - 16, WINDOW_BYTES - 12, WINDOW_BYTES - 8, WINDOW_BYTES, 3_000_000, 4]) {
    file.block(0x0bad, Buffer.alloc(body, 6));
    if (arrivals.length === 0) file.interface({ name: "tap11", resolution: 9 });
    const at = arrivals.length;
    arrivals.push({ port: TAP11, time: START + BigInt(at), frame: routed(at) });
    file.packet(START + BigInt(at), routed(at));
  }
  file.block(0x0bad, Buffer.alloc(1_000_000));
  box.put("in.pcapng", file.bytes());
  check(box, { args: ["-r", "in.pcapng"], arrivals });
  check(box, { args: ["-r", "-"], arrivals, input: file.bytes() });
});

test("records that end where a read ends, and a few bytes before and behind", async () => {
  for (const less of [-21, -20, -19, -5, -4, -3, -1, 0, 1, 12]) {
    const arrivals: Arrival[] = [];
    let left = WINDOW_BYTES / 2 - 24 - less;
    while (left > 0) {
      const at = arrivals.length;
      const bytes = left > 4000 ? 1500 : left - 16 - 42 > 1500 ? 700 : left - 16 - 34;
      const frame = routed(at, bytes);
      arrivals.push({ port: TAP11, time: START + BigInt(at), frame });
      left -= 16 + frame.length;
    }
    arrivals.push({ port: TAP11, time: START + 999n, frame: routed(999) });
    box.put("in.pcap", pcap(arrivals, { isNano: true }));
    const lines = await replayInPieces(`tap11=${box.path("in.pcap")}`, () => WINDOW_BYTES);
    sameLines(lines, expectedOf(box.intent, arrivals).outputs, `${less} bytes less`);
  }
});

test("frames as large as a record may be are read, and too long", () => {
  const arrivals = [9216, 9217, 65_535, 262_144].map((bytes, at) => ({
    port: TAP11,
    time: START + BigInt(at),
    frame: Buffer.concat([routed(at), Buffer.alloc(bytes - 54)]),
  }));
  box.put("in.pcap", pcap(arrivals, { isNano: true }));
  const note = /^3 frames are too long \(too-long\): .*\bGSO\b.*ethtool -K DEVICE tso off gso off gro off\n$/;
  check(box, { args: ["-r", "tap11=in.pcap"], arrivals, notes: note });
});

test.run();
