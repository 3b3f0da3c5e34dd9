/**
 * Ten thousand captures, cut anywhere and with bits flipped, through the reader in this process, one core for
 * all. An independent walk over the same bytes (walk.ts) says what is to be counted and where the damage
 * stands; the reader has to agree on every one of them. Whatever the bytes are: nothing but a ReplayError is
 * ever thrown, no truncated file passes silently. RUNS makes it longer; SEED repeats a run.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { Core } from "../../src/core/index.ts";
import { type Intent, parseIntent } from "../../src/intent/index.ts";
import { ReplayError, type ReplayResult, replay } from "../../src/replay/index.ts";
import {
  block,
  concat,
  fabricFrame,
  goodPcap,
  goodPcapng,
  guestFrame,
  INTENT,
  interfaceBlock,
  numbers,
  option,
  packet,
  pcapHead,
  pcapRecord,
  section,
} from "../cli/base.ts";
import { assert, draws, seed, skip, suite } from "../harness.ts";
import { type Rng, rng } from "../model/random.ts";
import { type Walk, walk } from "./walk.ts";

const test = suite("damaged captures");
const runs = Number(process.env.RUNS ?? draws(10_000));
const PORTS: ReadonlySet<string> = new Set(["uplink0", "tap101", "tap102"]);
const PCAPS = join(import.meta.dirname, "..", "..", "pcaps");
/** Starting points are cut to about this many bytes: damage near the start is where readers go wrong. */
const SAMPLE_BYTES = 12_000;

const folder = mkdtempSync(join(tmpdir(), "slash32-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/**
 * A pcapng in one byte order that has everything: sections, interfaces, options, every kind of packet block.
 */
function richPcapng(isBig: boolean): Buffer {
  const comment = [option(1, Buffer.from("a comment"), isBig), option(0, new Uint8Array(0), isBig)];
  const clock = (resolution: number): Buffer => option(9, Uint8Array.of(resolution), isBig);
  const offset = option(14, Buffer.alloc(8), isBig);
  const frame = guestFrame(7);
  const obsolete = numbers(!isBig, [2, 2], [2, 0], [4, 0], [4, 9], [4, frame.length], [4, frame.length]);
  const one = concat(
    section(isBig),
    interfaceBlock("tap101", { isBig, options: [clock(9), option(3, Buffer.from("a port"), isBig)] }),
    interfaceBlock("uplink0", { isBig, snapBytes: 96, options: [clock(0x94), offset] }),
    packet(guestFrame(1), { isBig, time: 1 }),
    block(0x0bad, Buffer.from("a block that nobody knows"), { isBig }),
    packet(fabricFrame(2), { isBig, number: 1, time: 2, options: comment }),
    interfaceBlock("tap102", { isBig }),
    block(4, numbers(!isBig, [2, 0], [2, 0]), { isBig }),
    block(3, concat(numbers(!isBig, [4, 60]), guestFrame(3)), { isBig }),
    block(2, concat(obsolete, frame), { isBig }),
    packet(guestFrame(4).subarray(0, 33), { isBig, number: 2, length: 60, time: 4, options: comment }),
    block(5, concat(numbers(!isBig, [4, 0], [4, 0], [4, 0]), ...comment), { isBig }),
    packet(guestFrame(5).subarray(0, 13), { isBig, number: 2, time: 5 }),
  );
  const two = concat(section(!isBig), interfaceBlock("uplink0", { isBig: !isBig }));
  const rest = [6, 7, 8].map(i => packet(fabricFrame(i), { isBig: !isBig, time: i }));
  return concat(one, two, ...rest);
}

/** Whole captures to start from: made ones, and the beginnings of those in pcaps/. */
function startingPoints(): Buffer[] {
  const made = [
    goodPcap(5),
    goodPcap(9, { isBig: true }),
    goodPcap(9, { isNano: true }),
    goodPcap(5, { isBig: true, isNano: true }),
    goodPcapng(6),
    richPcapng(false),
    richPcapng(true),
    richPcapng(false),
    richPcapng(true),
  ];
  const bundled = readdirSync(PCAPS)
    .filter(name => /\.pcap(ng)?(\.gz)?$/.test(name))
    .map(name => {
      const bytes = readFileSync(join(PCAPS, name));
      const file = name.endsWith(".gz") ? gunzipSync(bytes) : bytes;
      const { borders } = walk(file);
      return Buffer.from(
        file.subarray(
          0,
          borders.findLast(border => border <= SAMPLE_BYTES),
        ),
      );
    });
  assert.ok(bundled.length >= 8, "the bundled captures were found");
  return [...made, ...bundled];
}

/** A place to hurt: half of the time in a record's or block's header, trailer or lengths. */
function placeIn(r: Rng, file: Uint8Array, borders: readonly number[]): number {
  if (borders.length === 0 || r.chance(50)) return r.below(file.length);
  const at = r.pick(borders) + r.between(-4, 31);
  return Math.max(0, Math.min(file.length - 1, at));
}

const INTERESTING = [
  0, 1, 4, 8, 11, 12, 13, 16, 28, 32, 60, 0xffff, 0x40000, 0x40001, 0x7fffffff, 0x80000000, 0xfffffffc,
  0xffffffff,
];

/** One thing that goes wrong with a file. */
function hurt(r: Rng, file: Buffer, borders: readonly number[]): Buffer {
  if (file.length === 0) return file;
  const at = placeIn(r, file, borders);
  const copy = Buffer.from(file);
  return r.weighted<() => Buffer>([
    [40, () => () => copy.subarray(0, r.chance(15) && borders.length > 0 ? r.pick(borders) : at)],
    [
      35,
      () => () => {
        for (let left = r.between(1, 3); left > 0; left--)
          copy[placeIn(r, file, borders)]! ^= 1 << r.below(8);
        return copy;
      },
    ],
    [
      12,
      () => () => {
        if (at + 4 > copy.length) return copy;
        const old = copy.readUInt32LE(at);
        const value = r.chance(50) ? r.pick(INTERESTING) : (old + r.pick([-4, -1, 1, 4, 12, 96])) >>> 0;
        if (r.chance(50)) copy.writeUInt32LE(value, at);
        else copy.writeUInt32BE(value, at);
        return copy;
      },
    ],
    [
      5,
      () => () => concat(copy.subarray(0, at), copy.subarray(Math.min(copy.length, at + r.between(1, 64)))),
    ],
    [5, () => () => concat(copy.subarray(0, at), copy.subarray(at - Math.min(at, r.between(1, 64))))],
    [3, () => () => concat(copy, Buffer.from(Array.from({ length: r.between(1, 40) }, () => r.below(256))))],
  ])();
}

interface Outcome {
  readonly result: ReplayResult | null;
  readonly refusal: string | null;
}

async function outcomeOf(options: Parameters<typeof replay>[0]): Promise<Outcome> {
  try {
    return { result: await replay(options), refusal: null };
  } catch (error) {
    // Anything else is a crash: it is thrown on, with its stack.
    if (!(error instanceof ReplayError)) throw error;
    return { result: null, refusal: error.message };
  }
}

function offsetIn(message: string): number | null {
  const digits = /: byte (\d+): /.exec(message)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** What the reader should have said, and what it said; equal when all is well. */
function compare({ frames, ending }: Walk, { result, refusal }: Outcome): [string, string] {
  if (ending.kind === "refused") {
    const at = refusal === null ? null : offsetIn(refusal);
    const wanted = `refused at ${ending.at === 0 ? null : ending.at}`;
    return [wanted, refusal === null ? `not refused (${ending.why})` : `refused at ${at}`];
  }
  if (result === null) return [ending.kind, `refused: ${refusal}`];
  const empty = frames.find(({ length }) => length === 0);
  // Odd timestamps are tested by themselves: which ones are depends on the clocks of all interfaces.
  const damage = result.damages.find(({ message }) => !/timestamps? outside/.test(message));
  const isSnapped = (frame: Walk["frames"][number]): boolean => frame.captured.length < frame.length;
  const wanted = {
    frames: frames.length,
    snapped: frames.filter(isSnapped).length,
    bytes: frames.reduce((sum, { captured }) => sum + captured.length, 0),
    kind: ending.kind === "whole" && empty !== undefined ? "damaged" : ending.kind,
    at: ending.kind === "whole" ? (empty?.at ?? null) : ending.at,
  };
  const kind = damage === undefined ? "whole" : damage.isTruncation ? "cut" : "damaged";
  const { counters } = result;
  const at = damage === undefined ? null : offsetIn(damage.message);
  const got = { frames: counters.frames, snapped: counters.snapped, bytes: counters.bytes, kind, at };
  return [JSON.stringify(wanted), JSON.stringify(got)];
}

/** Frames that left, by the counters, and by an output file that must itself be whole. */
function checkOutput(result: ReplayResult, file: string): void {
  const { ports } = result.counters;
  const left = ports.reduce((sum, { txFrames, replyFrames }) => sum + txFrames + replyFrames, 0);
  const output = walk(readFileSync(file));
  assert.equal(output.ending, { kind: "whole" });
  assert.is(output.frames.length, left);
  rmSync(file);
}

/** A core with the small intent in it. */
function makeCore(): { core: Core; intent: Intent } {
  const { intent } = parseIntent(INTENT, "hv.yaml", ".");
  const core = Core.load();
  core.install(intent!);
  return { core, intent: intent! };
}

/** One run: the file is read, and what was read is what the walk found. Gives how the file ends. */
async function checkRun(
  world: ReturnType<typeof makeCore>,
  r: Rng,
  file: Buffer,
  name: string,
): Promise<string> {
  const isByName = r.chance(50) && file[0] === 0x0a;
  const { ending, ...found } = walk(file, isByName ? PORTS : null);
  const input = join(folder, "damaged");
  const output = r.chance(5) ? join(folder, "out.pcapng") : undefined;
  writeFileSync(input, r.chance(2) ? gzipSync(file, { level: 1 }) : file);
  const outcome = await outcomeOf({ ...world, captures: [isByName ? input : `11=${input}`], output });
  const [wanted, got] = compare({ ending, ...found }, outcome);
  const why = ending.kind === "whole" ? "whole" : ending.why;
  const said = outcome.refusal ?? outcome.result!.damages[0]?.message ?? "nothing";
  const bytes = file.length < 2000 ? file.toString("base64") : `${file.length} bytes`;
  const shown = `${name}: ${why}; the reader said: ${said}\n${bytes}`;
  assert.is(got, wanted, shown);
  if (output !== undefined && outcome.result !== null) checkOutput(outcome.result, output);
  assert.is(readdirSync(folder).join(), "damaged", `nothing else is left\n${shown}`);
  return ending.kind;
}

test(`${runs} damaged captures are read as an independent walk reads them`, async () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  const r = rng(first);
  const world = makeCore();
  const points = startingPoints().map(file => ({ file, borders: walk(file).borders }));
  const kinds = new Map<string, number>();
  for (let run = 0; run < runs; run++) {
    const { file, borders } = r.pick(points);
    let damaged = hurt(r, file, borders);
    while (r.chance(20)) damaged = hurt(r, damaged, borders);
    const kind = await checkRun(world, r, damaged, `SEED=${first}, run ${run}`);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  process.stdout.write(`  ${[...kinds].map(([kind, times]) => `${times} ${kind}`).join(", ")}\n`);
  for (const kind of ["whole", "cut", "damaged", "refused"]) {
    assert.ok((kinds.get(kind) ?? 0) >= runs / 50, `${kind} was met often enough`);
  }
});

/** Captures of more than one window, with blocks and records that lie across its borders. */
function longCaptures(): Buffer[] {
  const pad = (frame: Uint8Array, bytes: number): Buffer => concat(frame, Buffer.alloc(bytes - frame.length));
  const sizes = Array.from({ length: 800 }, (_, i) => 60 + ((i * 7919) % 1400));
  const frames = sizes.map((bytes, i) => pad(guestFrame(i), bytes));
  const large = packet(pad(guestFrame(), 200_001), { options: [option(1, Buffer.alloc(40_000))] });
  const unknown = [300_000, 600_004, 12_345].map(bytes => block(0x0bad, Buffer.alloc(bytes)));
  const blocks = frames.map((frame, i) =>
    i % 200 === 199 ? concat(packet(frame), unknown[(i - 199) / 200] ?? large) : packet(frame),
  );
  return [
    concat(pcapHead(), ...frames.map(frame => pcapRecord(frame))),
    concat(section(), interfaceBlock("tap101"), ...blocks),
  ];
}

test("damage anywhere in captures longer than the reader's window", async () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  const r = rng(first);
  const world = makeCore();
  const points = longCaptures().map(file => ({ file, borders: walk(file).borders }));
  for (let run = 0; run < Math.ceil(runs / 40); run++) {
    const { file, borders } = points[run % points.length]!;
    assert.ok(file.length > 500_000);
    await checkRun(
      world,
      r,
      run < points.length ? file : hurt(r, file, borders),
      `SEED=${first}, run ${run}`,
    );
  }
});

test("a run that could not write leaves nothing in the core for the next one", async () => {
  const world = makeCore();
  const many = join(folder, "many");
  const fifo = join(folder, "fifo");
  if (spawnSync("mkfifo", [fifo]).status !== 0) skip("mkfifo is not there");
  writeFileSync(many, goodPcap(200_000));
  const reader = spawn("head", ["-c", "1000", fifo], { stdio: "ignore" });
  try {
    await replay({ ...world, captures: [`11=${many}`], output: fifo });
    assert.unreachable("nobody reads the pipe");
  } catch (error) {
    assert.match((error as Error).message, /fifo: the reader closed the pipe$/);
  }
  reader.kill();
  writeFileSync(many, goodPcap(3));
  const output = join(folder, "out.pcapng");
  const { counters } = await replay({ ...world, captures: [`11=${many}`], output });
  assert.is(counters.frames, 3);
  assert.equal(
    counters.ports.map(({ port, rxFrames, txFrames }) => [port, rxFrames, txFrames]),
    [
      [1, 0, 3],
      [11, 3, 0],
    ],
  );
  assert.is(walk(readFileSync(output)).frames.length, 3);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
});

test.run();
