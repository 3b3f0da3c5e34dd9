/**
 * The model against a real Open vSwitch that runs the model's own rows: same outputs, same bytes, on random
 * frames. OVS_FRAMES=N asks for N frames instead of a few thousand. What the host checks and not the switch
 * (frame lengths, port MTUs) is left to the model's own tests.
 */

import type { OvsVersion } from "../../src/openflow/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { FRAME_BYTES_MIN, type Input, type Output, PrivateSwitch } from "../ovs/private-switch.ts";
import { programsOf } from "../ovs/versions.ts";
import { flowsOf } from "./flows.ts";
import type { ModelIntent } from "./model.ts";
import { runModel } from "./model.ts";
import { randomFrame, randomIntent, rng } from "./random.ts";

const test = suite("model against Open vSwitch");
const FRAMES_PER_INTENT = 500;
/** The switch's ports have no smaller one. */
const MTU = 9216;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function withoutMtus(intent: ModelIntent): ModelIntent {
  const { mtu: _, ...uplink } = intent.uplink;
  return { ...intent, uplink, vms: intent.vms.map(({ mtu: _, ...vm }) => vm) };
}

/** The ports of an intent, and one that it does not know. */
function portsOf(intent: ModelIntent): { name: string; number: number }[] {
  const known = [intent.uplink, ...intent.vms].map(({ port, ofport }) => ({ name: port, number: ofport }));
  const taken = new Set(known.map(({ number }) => number));
  let stranger = 1;
  while (taken.has(stranger)) stranger++;
  return [...known, { name: "stranger", number: stranger }];
}

/**
 * Random frames the switch can take, with the port they come in by (strange ports become the one there is).
 */
function inputsFor(seedOfIntent: number, intent: ModelIntent, count: number): Input[] {
  const r = rng(seedOfIntent ^ 0x5bd1e995);
  const numbers = portsOf(intent).map(({ number }) => number);
  const inputs: Input[] = [];
  while (inputs.length < count) {
    const { inPort, frame } = randomFrame(r, intent);
    if (frame.length < FRAME_BYTES_MIN || frame.length > MTU) continue;
    inputs.push({ inPort: numbers.includes(inPort) ? inPort : numbers.at(-1)!, frame });
  }
  return inputs;
}

function difference(intent: ModelIntent, inPort: number, frame: Uint8Array, sent: Output[]): string | null {
  const want = runModel(intent, inPort, frame);
  const wanted = want.frame === null ? [] : [`${want.port}: ${hex(want.frame)}`];
  const got = sent.map(({ port, frame }) => `${port}: ${hex(frame)}`);
  if (wanted.join("\n") === got.join("\n")) return null;
  const model = `${want.verdict} ${want.reason ?? ""} tables ${want.tables}`;
  return `in_port ${inPort}: ${hex(frame)}\n  model ${model}\n    ${wanted}\n  switch\n    ${got.join("\n    ")}`;
}

/**
 * Sends frames of one intent through a switch that runs its rows; describes
 * every frame on which the model differs.
 */
async function differences(
  intent: ModelIntent,
  seedOfIntent: number,
  addition = "",
  ovs: OvsVersion = "3.1",
): Promise<string[]> {
  const sw = await PrivateSwitch.start({ ports: portsOf(intent), ...programsOf(ovs) });
  try {
    await sw.replaceFlows(flowsOf(intent).join("\n"));
    await sw.addFlows(addition);
    const inputs = inputsFor(seedOfIntent, intent, FRAMES_PER_INTENT);
    const answers = await sw.sendMany(inputs);
    const texts = inputs.map(({ inPort, frame }, i) =>
      difference(intent, inPort, frame, answers[i]!.outputs),
    );
    return texts.filter(text => text !== null);
  } finally {
    await sw.close();
  }
}

/** Random frames through random intents, on the model and on a switch. */
async function compareAll(ovs: OvsVersion, count: number): Promise<void> {
  const first = seed();
  const intents = Math.ceil(count / FRAMES_PER_INTENT);
  process.stdout.write(`\n  seed ${first}: ${intents} intents, ${intents * FRAMES_PER_INTENT} frames\n`);
  for (let i = 0; i < intents; i++) {
    const seedOfIntent = (first + i) >>> 0;
    const intent = withoutMtus(randomIntent(rng(seedOfIntent)));
    const found = await differences(intent, seedOfIntent, "", ovs);
    const report = `SEED=${seedOfIntent}: ${found.length} differ\n${found.slice(0, 5).join("\n")}`;
    assert.is(found.length, 0, `${report}\n${JSON.stringify(intent)}`);
  }
}

const frames = Number(process.env.OVS_FRAMES ?? 8 * FRAMES_PER_INTENT);
test("random frames: same outputs, same bytes", () => compareAll("3.1", frames));
test("the same on Open vSwitch 3.5", () => compareAll("3.5", Math.ceil(frames / 4)));

test("canary: one wrong row is found", async () => {
  peer("ovs-vswitchd");
  let found = 0;
  for (let i = 0; i < 3; i++) {
    const intent = withoutMtus(randomIntent(rng(i)));
    found += (await differences(intent, i, "table=10,priority=0 actions=in_port")).length;
  }
  assert.ok(found > 0);
});

test.run();
