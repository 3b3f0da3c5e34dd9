/**
 * Random intents, compiled: the core, the interpreter on the parsed text of the flows, and Open vSwitch
 * running that text must put out the same bytes by the same ports.
 */

import { Core } from "../../src/core/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { Interpreter, type OvsVersion, parseFlows } from "../../src/openflow/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import type { ModelIntent } from "../model/model.ts";
import { type Rng, randomFrame, randomIntent, rng } from "../model/random.ts";
import { hexOf, linesOf, linesOfAnswer } from "../openflow/interpret/compare.ts";
import { type Input, PrivateSwitch } from "../ovs/private-switch.ts";
import { programsOf } from "../ovs/versions.ts";

const FRAME_BYTES = { least: 14, most: 9216 };

/** One switch serves all intents: an uplink, twelve VMs, and a port that no intent knows. */
const PORTS = Array.from({ length: 14 }, (_, i) => i + 1);

/** Ports by the switch's numbers, in an order of the seed's; their MTUs are the core's business alone. */
function onPorts(r: Rng, { uplink: { mtu: _, ...uplink }, vms, ...rest }: ModelIntent): ModelIntent {
  const left = [...PORTS];
  const ofport = (): number => left.splice(r.below(left.length), 1)[0]!;
  const attached = vms.map(({ mtu: _, ...vm }) => ({ ...vm, ofport: ofport() }));
  return { ...rest, uplink: { ...uplink, ofport: ofport() }, vms: attached };
}

function inputsFor(r: Rng, intent: ModelIntent, count: number): Input[] {
  const known = [intent.uplink, ...intent.vms].map(({ ofport }) => ofport);
  const strange = PORTS.find(port => !known.includes(port))!;
  const inputs: Input[] = [];
  while (inputs.length < count) {
    const { inPort, frame } = randomFrame(r, intent);
    if (frame.length < FRAME_BYTES.least || frame.length > FRAME_BYTES.most) continue;
    inputs.push({ inPort: known.includes(inPort) ? inPort : strange, frame });
  }
  return inputs;
}

/** What the core says of frames, as lines; an intent that does not load is a mistake of the generator. */
function coreSays(core: Core, text: string, inputs: readonly Input[]): { flows: string; said: string[] } {
  const { intent, errors } = parseIntent(text, "random.yaml", ".");
  if (intent === null) throw new Error(errors[0]!.message);
  core.install(intent);
  const said = core
    .runFrames(inputs)
    .map(({ port, frame }) => (frame === null || port === null ? "" : `${port} ${hexOf(frame)}`));
  return { flows: [...new Flows(intent)].map(flowText).join("\n"), said };
}

/**
 * Runs `count` intents from a seed, with `each` frames, on a version of Open vSwitch; every difference in
 * words.
 */
export async function runIntents(
  seed: number,
  count: number,
  each: number,
  ovs: OvsVersion,
): Promise<{ frames: number; differences: string[] }> {
  const core = Core.load("release");
  const differences: string[] = [];
  let frames = 0;
  const sw = await PrivateSwitch.start({ ports: PORTS.map(number => ({ number })), ...programsOf(ovs) });
  try {
    for (let index = 0; index < count; index++) {
      const seedOfIntent = (seed + index) >>> 0;
      const r = rng(seedOfIntent);
      const intent = onPorts(r, randomIntent(r));
      const inputs = inputsFor(r, intent, each);
      const { flows, said } = coreSays(core, JSON.stringify(intent), inputs);
      const parsed = parseFlows(flows, "compiled");
      if (parsed.problems.length > 0) throw new Error(`SEED=${seedOfIntent}: ${parsed.problems[0]!.message}`);
      const interpreter = new Interpreter(parsed.flows, { ports: PORTS, ovs });
      await sw.replaceFlows(flows);
      const answers = await sw.sendMany(inputs);
      for (const [i, { inPort, frame }] of inputs.entries()) {
        const ours = linesOf(interpreter.run(inPort, frame)).join();
        const theirs = linesOfAnswer(answers[i]!);
        // The core sends no packet-ins.
        const output = theirs.filter(line => !line.startsWith("invalid_ttl")).join();
        if (ours === theirs.join() && said[i] === output) continue;
        const texts = `core ${said[i]}, interpreter ${ours}, switch ${theirs}`;
        differences.push(`SEED=${seedOfIntent}, in_port ${inPort} ${hexOf(frame)}: ${texts}`);
      }
      frames += inputs.length;
    }
  } finally {
    await sw.close();
  }
  return { frames, differences };
}
