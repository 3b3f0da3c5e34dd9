/**
 * Batches of captures against single frames: the flat loops of batch.ts must give every frame the answer of
 * the whole pipeline, the same bytes and the same counters. Random intents and frames, most frames of the
 * usual kinds with one byte changed here and there, since that is where a flat loop would take too much
 * upon itself.
 */
import type { Core, Counters } from "../../src/core/index.ts";
import { eth, formatIpv4, formatMac, parseIpv4 } from "../../src/wire/index.ts";
import { assert, draws, seed, suite } from "../harness.ts";
import type { ModelIntent } from "../model/model.ts";
import { type Rng, rng } from "../model/random.ts";
import { allCores, captured, install, makeWorld } from "./compare.ts";

const test = suite("batches");
const WORLDS = draws(60);
const FRAMES = 400;

function run(core: Core, inPort: number, frames: readonly Uint8Array[]): { out: Buffer; counters: Counters } {
  core.resetCounters();
  const out = captured(core, inPort, frames);
  return { out, counters: core.counters() };
}

function runOneByOne(core: Core, inPort: number, frames: readonly Uint8Array[]) {
  core.resetCounters();
  const pieces: Uint8Array[] = [];
  for (const { frame } of core.runFrames(frames.map(each => ({ inPort, frame: each })))) {
    if (frame === null) continue;
    const header = Buffer.alloc(16);
    header.writeUInt32LE(frame.length, 8);
    header.writeUInt32LE(frame.length, 12);
    pieces.push(header, frame);
  }
  return { out: Buffer.concat(pieces), counters: core.counters() };
}

/** A frame of a usual kind for this port, and in one of three cases with one byte changed in its first 40. */
function nearlyUsual(random: Rng, intent: ModelIntent, inPort: number): Uint8Array {
  const vm = intent.vms.find(({ ofport }) => ofport === inPort);
  const addresses = intent.vms.flatMap(each => each.addresses);
  const local = addresses.length > 0 ? random.pick(addresses) : "203.0.113.7";
  const ttl = random.pick([0, 1, 2, 64, 255]);
  const size = random.below(80);
  const dst = random.chance(60) ? local : formatIpv4(random.u32());
  const route =
    intent.routes.length > 0 && random.chance(70) ? random.pick(intent.routes).prefix : "9.9.9.9/32";
  const frame =
    vm === undefined
      ? eth({ dst: intent.uplink.mac, src: "02:00:00:00:00:99" })
          .mpls({
            label: random.chance(85) ? intent.label : random.below(20),
            ttl: 9,
            bos: random.chance(95),
          })
          .ipv4({ src: "198.51.100.1", dst, ttl })
          .payload(new Uint8Array(size))
          .bytes()
      : eth({ dst: random.chance(90) ? "fe:00:00:00:01:01" : formatMac(random.u32()), src: vm.mac })
          .ipv4({
            src: random.pick(vm.addresses),
            dst: random.chance(80) ? formatIpv4(parseIpv4(route.split("/")[0]!) ?? 0) : dst,
            ttl,
          })
          .payload(new Uint8Array(size))
          .bytes();
  if (random.chance(33)) frame[random.below(Math.min(40, frame.length))] = random.below(256);
  return random.chance(10) ? frame.subarray(0, random.below(frame.length + 1)) : frame;
}

const first = seed();
test(`SEED=${first}: ${WORLDS} random intents, every port, ${FRAMES} frames each`, () => {
  const cores = allCores();
  const verdicts = { left: 0, dropped: 0 };
  for (let index = 0; index < WORLDS; index++) {
    const world = makeWorld(first + index, FRAMES);
    const random = rng(first + index);
    for (const [, core] of cores) install(core, world.intent);
    for (const { ofport } of [world.intent.uplink, ...world.intent.vms]) {
      const frames = Array.from({ length: FRAMES }, () => nearlyUsual(random, world.intent, ofport));
      for (const { inPort, frame } of world.frames)
        if (inPort === ofport && frame.length <= 2000) frames.splice(random.below(frames.length), 0, frame);
      const usual = frames.filter(({ length }) => length > 0);
      const wanted = runOneByOne(cores[0]![1], ofport, usual);
      for (const [build, core] of cores) {
        const got = run(core, ofport, usual);
        const where = `${build}, world ${first + index}, in_port ${ofport}`;
        if (!got.out.equals(wanted.out))
          assert.is(got.out.toString("hex"), wanted.out.toString("hex"), where);
        assert.equal(got.counters, wanted.counters, where);
      }
      const drops = [...wanted.counters.drops.values()].reduce((sum, count) => sum + count, 0);
      verdicts.dropped += drops;
      verdicts.left += wanted.counters.frames - drops;
    }
  }
  assert.ok(
    Math.min(verdicts.left, verdicts.dropped) > 1000,
    `both verdicts were met: ${JSON.stringify(verdicts)}`,
  );
});

test.run();
