/**
 * Replay against the model: random frames over random intents, laid into captures of either format, and every
 * frame of the outputs and of the drops compared with what the model says, in order, with its port, time,
 * bytes and reason. Runs in this process, with the optimised builds of the core. INTENTS makes it longer;
 * SEED repeats a run.
 */
import { Core } from "../../src/core/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { replay } from "../../src/replay/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { type ModelIntent, runModel } from "../model/model.ts";
import { type Rng, randomFrame, randomIntent, rng } from "../model/random.ts";
import { type Arrival, expectedOf, linesOf, merged, PcapNg, pcap, Sandbox, sameLines } from "./base.ts";

const test = suite("replay against model");
const intents = Number(process.env.INTENTS ?? 40);
const framesEach = 600;
const START = 1_709_251_200_000_000_000n;
const box = new Sandbox();

/** Random frames, a little apart; frames of no bytes are damage, and another test's matter. */
function randomArrivals(r: Rng, intent: ModelIntent): Arrival[] {
  let time = START;
  const arrivals: Arrival[] = [];
  while (arrivals.length < framesEach) {
    const { inPort, frame } = randomFrame(r, intent);
    time += BigInt(r.pick([0, 1, 1, 999, 1_000_000]));
    if (frame.length > 0) arrivals.push({ port: inPort, time, frame });
  }
  return arrivals;
}

/** One pcapng of all frames; those of unknown ports left out, as no interface can have their name. */
function asPcapNg(
  r: Rng,
  intent: ModelIntent,
  all: readonly Arrival[],
): { args: string[]; arrivals: Arrival[] } {
  const ports = [...intent.vms, intent.uplink];
  const file = new PcapNg().section(r.chance(50));
  for (const { port } of ports) file.interface({ name: port, resolution: 9 });
  const arrivals = all.filter(({ port }) => ports.some(({ ofport }) => ofport === port));
  for (const { port, time, frame } of arrivals) {
    const link = ports.findIndex(({ ofport }) => ofport === port);
    if (r.chance(1)) file.block(0x0bad, Buffer.alloc(r.below(50_000) * 4));
    if (r.chance(10)) file.oldPacket(time, frame, { link });
    else file.packet(time, frame, { link });
  }
  box.put("all.pcapng", file.bytes());
  return { args: [box.path("all.pcapng")], arrivals };
}

/** A pcap for each port, in random order, unknown ports among them. */
function asPcaps(r: Rng, all: readonly Arrival[]): { args: string[]; arrivals: Arrival[] } {
  const ports = [...new Set(all.map(({ port }) => port))].sort(() => r.below(3) - 1).slice(0, 64);
  const lists = ports.map(port => all.filter(arrival => arrival.port === port));
  const args = ports.map((port, index) => {
    box.put(`${port}.pcap`, pcap(lists[index]!, { isNano: true, isBig: r.chance(50) }));
    return `${port}=${box.path(`${port}.pcap`)}`;
  });
  return { args, arrivals: merged(lists) };
}

/** Runs a replay and compares all it wrote and counted. */
async function compare(
  core: Core,
  intent: ModelIntent,
  args: string[],
  arrivals: Arrival[],
  what: string,
): Promise<void> {
  const loaded = parseIntent(JSON.stringify(intent), "random.yaml", ".").intent!;
  core.install(loaded);
  const [output, drops] = [box.path("out.pcapng"), box.path("drops.pcapng")];
  const { counters, damages } = await replay({ core, intent: loaded, captures: args, output, drops });
  assert.equal(damages, [], what);
  const expected = expectedOf(intent, arrivals);
  sameLines(linesOf(box.capture("out.pcapng")), expected.outputs, `${what}, outputs`);
  sameLines(linesOf(box.capture("drops.pcapng")), expected.drops, `${what}, drops`);
  const { report } = expected;
  assert.is(counters.frames, report.frames, what);
  assert.is(counters.bytes, report.bytes, what);
  assert.equal(Object.fromEntries(counters.drops), report.drops, what);
  const sent = counters.ports.filter(({ txFrames }) => txFrames > 0).map(port => [port.port, port.txFrames]);
  assert.equal(Object.fromEntries(sent), report.outputs, what);
}

const first = seed();
for (const build of ["release", "scalar"] as const) {
  test(`SEED=${first}: ${intents} random intents, ${framesEach} frames each, ${build}`, async () => {
    const core = Core.load(build);
    for (let index = 0; index < intents; index++) {
      const r = rng(first + index);
      const intent = randomIntent(r);
      const all = randomArrivals(r, intent);
      const isNg = index % 2 === (build === "release" ? 0 : 1);
      const { args, arrivals } = isNg ? asPcapNg(r, intent, all) : asPcaps(r, all);
      await compare(core, intent, args, arrivals, `SEED=${first + index}, ${build}`);
    }
  });
}

test("the comparison notices: a frame with one bit changed is not what the model expects", () => {
  const r = rng(7);
  const intent = randomIntent(r);
  const arrivals = randomArrivals(r, intent);
  const { outputs } = expectedOf(intent, arrivals);
  const changed = arrivals.map(arrival => {
    const isFirst = runModel(intent, arrival.port, arrival.frame).verdict === "output";
    const frame = Uint8Array.from(arrival.frame);
    if (isFirst) frame[frame.length - 1]! ^= 1;
    return { ...arrival, frame };
  });
  let isNoticed = false;
  try {
    sameLines(expectedOf(intent, changed).outputs, outputs, "changed");
  } catch {
    isNoticed = true;
  }
  assert.ok(isNoticed);
});

test.run();
