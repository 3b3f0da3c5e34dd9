/**
 * The model against a real Open vSwitch that runs the model's own rows: same outputs, same bytes, on random frames.
 * OVS_FRAMES=N asks for N frames instead of a few thousand. What the host checks and not the switch (frame lengths,
 * port MTUs) is left to the model's own tests.
 */
import { assert, peer, seed, suite } from "../harness.ts";
import { flowsOf } from "./flows.ts";
import type { ModelIntent } from "./model.ts";
import { runModel } from "./model.ts";
import { PrivateSwitch, type Sent } from "./ovs.ts";
import { randomFrame, randomIntent, rng } from "./random.ts";

const test = suite("model against Open vSwitch");
const FRAMES_PER_INTENT = 500;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function withoutMtus(intent: ModelIntent): ModelIntent {
  const { mtu: _, ...uplink } = intent.uplink;
  return { ...intent, uplink, vms: intent.vms.map(({ mtu: _, ...vm }) => vm) };
}

/** The ports of an intent, and one that it does not know. */
function portsOf(intent: ModelIntent): { name: string; ofport: number }[] {
  const known = [intent.uplink, ...intent.vms].map(({ port, ofport }) => ({ name: port, ofport }));
  const taken = new Set(known.map(({ ofport }) => ofport));
  let stranger = 1;
  while (taken.has(stranger)) stranger++;
  return [...known, { name: "stranger", ofport: stranger }];
}

/** Random frames the switch can take, by the port they come in by (strange ports become the one there is). */
function framesFor(seedOfIntent: number, intent: ModelIntent, count: number): Map<number, Uint8Array[]> {
  const r = rng(seedOfIntent ^ 0x5bd1e995);
  const ports = portsOf(intent);
  const byPort = new Map<number, Uint8Array[]>(ports.map(({ ofport }) => [ofport, []]));
  for (let left = count; left > 0; ) {
    const { inPort, frame } = randomFrame(r, intent);
    if (frame.length < 14 || frame.length > 9216) continue;
    (byPort.get(inPort) ?? byPort.get(ports.at(-1)!.ofport)!).push(frame);
    left--;
  }
  return byPort;
}

function difference(intent: ModelIntent, inPort: number, frame: Uint8Array, sent: Sent[]): string | null {
  const want = runModel(intent, inPort, frame);
  const wanted = want.frame === null ? [] : [`${want.port}: ${hex(want.frame)}`];
  const got = sent.map(({ port, frame }) => `${port}: ${hex(frame)}`);
  if (wanted.join("\n") === got.join("\n")) return null;
  const model = `${want.verdict} ${want.reason ?? ""} tables ${want.tables}`;
  return `in_port ${inPort}: ${hex(frame)}\n  model ${model}\n    ${wanted}\n  switch\n    ${got.join("\n    ")}`;
}

/** Sends frames of one intent through the switch; describes every frame on which the model differs. */
async function differences(sw: PrivateSwitch, intent: ModelIntent, seedOfIntent: number, count: number) {
  const found: string[] = [];
  for (const [inPort, frames] of framesFor(seedOfIntent, intent, count)) {
    const answers = await sw.send(inPort, frames);
    for (const [i, frame] of frames.entries()) {
      const text = difference(intent, inPort, frame, answers[i]!);
      if (text !== null) found.push(text);
    }
  }
  sw.checkCounters();
  return found;
}

async function withSwitch(body: (sw: PrivateSwitch) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = new PrivateSwitch();
  try {
    await body(sw);
  } finally {
    sw.stop();
  }
}

test("random frames: same outputs, same bytes", async () => {
  await withSwitch(async sw => {
    const first = seed();
    const count = Number(process.env.OVS_FRAMES ?? 8 * FRAMES_PER_INTENT);
    const intents = Math.ceil(count / FRAMES_PER_INTENT);
    process.stdout.write(`\n  seed ${first}: ${intents} intents, ${intents * FRAMES_PER_INTENT} frames\n`);
    for (let i = 0; i < intents; i++) {
      const seedOfIntent = (first + i) >>> 0;
      const intent = withoutMtus(randomIntent(rng(seedOfIntent)));
      await sw.configure(portsOf(intent), flowsOf(intent));
      const found = await differences(sw, intent, seedOfIntent, FRAMES_PER_INTENT);
      const report = `SEED=${seedOfIntent}: ${found.length} differ\n${found.slice(0, 5).join("\n")}`;
      assert.is(found.length, 0, `${report}\n${JSON.stringify(intent)}`);
    }
  });
});

test("canary: one wrong row is found", async () => {
  await withSwitch(async sw => {
    let found = 0;
    for (let i = 0; i < 3; i++) {
      const intent = withoutMtus(randomIntent(rng(i)));
      await sw.configure(portsOf(intent), flowsOf(intent));
      sw.loadFlows(["table=10,priority=0 actions=in_port"]);
      found += (await differences(sw, intent, i, FRAMES_PER_INTENT)).length;
    }
    assert.ok(found > 0);
  });
});

test.run();
