/**
 * The prover's answers on a real Open vSwitch: the frame of a difference makes two switches' worth of flows
 * differ, and a pair that was called equal does the same with every frame of its tiny world. Only pairs
 * without groups, as the private switch takes flows alone.
 */

import type { OvsVersion } from "../../src/openflow/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { type Answer, PrivateSwitch } from "../ovs/private-switch.ts";
import { programsOf } from "../ovs/versions.ts";
import type { Case, Judgement } from "./tiny/judge.ts";
import { flowText } from "./tiny/language.ts";
import { run } from "./tiny/run.ts";
import { frameOf, packetsOf } from "./tiny/world.ts";

const test = suite("verify › tiny worlds on Open vSwitch");
const PAIRS = Number(process.env.TINY_SWITCH_PAIRS ?? 5);
/** Of an equal pair that many frames are sent, at regular distances. */
const FRAMES = 60;

/** Outputs and packet-ins of reason action, as a text. */
function seenOf({ outputs, packetIns }: Answer): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const told = packetIns.filter(({ reason }) => reason !== "invalid_ttl");
  return [
    ...outputs.map(({ port, frame }) => `${port}:${hex(frame)}`),
    ...told.map(({ frame }) => `0:${hex(frame)}`),
  ].join(" ");
}

interface Found {
  readonly one: Case;
  readonly judgement: Judgement;
}

/** Pairs that are fit for the switch: `wanted` of each verdict. */
function pairs(from: number, wanted: number): Found[] {
  const found = { equal: [] as Found[], different: [] as Found[] };
  let at = from;
  while (found.equal.length < wanted || found.different.length < wanted) {
    const onJudged = (one: Case, judgement: Judgement, isNeutral: boolean): void => {
      const { verdict } = judgement;
      if (one.a.groups.length > 0 || one.b.groups.length > 0) return;
      // Equal pairs are taken from edits that change something.
      if (verdict !== "different" && (verdict !== "equal" || isNeutral)) return;
      if (found[verdict].length < wanted) found[verdict].push({ one, judgement });
    };
    run({ seed: at, pairs: 20, onJudged });
    at = (at + 1000) >>> 0;
  }
  return [...found.equal, ...found.different];
}

async function answers(
  sw: PrivateSwitch,
  text: string,
  frames: readonly { inPort: number; frame: Uint8Array }[],
): Promise<string[]> {
  await sw.replaceFlows(text);
  const seen: string[] = [];
  for (const { inPort, frame } of frames) seen.push(seenOf(await sw.send(inPort, frame)));
  return seen;
}

/** Whether a pair means the same to both versions: 3.5 executes no action set of outside in a clone. */
const isOf35 = ({ a, b }: Case): boolean => !/clone/.test(flowText(a) + flowText(b));

/** Pairs on a switch: different ones differ there, by the counterexample; equal ones do not, by any frame tried. */
async function tryPairs(ovs: OvsVersion, wanted: number): Promise<void> {
  const from = seed();
  const sw = await PrivateSwitch.start({
    ports: [{ number: 1 }, { number: 2 }, { number: 3 }],
    ...programsOf(ovs),
  });
  const counts = { equal: 0, different: 0, frames: 0, refused: 0 };
  try {
    for (const { one, judgement } of pairs(from, wanted)) {
      if (ovs !== "3.1" && !isOf35(one)) continue;
      const { verdict, proof } = judgement;
      const all = [...packetsOf(one.world)].map(packet => ({
        inPort: packet.inPort,
        frame: frameOf(packet),
      }));
      const every = Math.max(1, Math.floor(all.length / FRAMES));
      const frames = verdict === "equal" ? all.filter((_, i) => i % every === 0) : proof.differences;
      let both: [string[], string[]];
      try {
        both = [await answers(sw, flowText(one.a), frames), await answers(sw, flowText(one.b), frames)];
      } catch {
        // Text that the parser takes and ovs-ofctl does not is another test's business.
        counts.refused++;
        continue;
      }
      counts[verdict as "equal" | "different"]++;
      counts.frames += frames.length;
      for (const [i, seen] of both[0].entries()) {
        const told = `seed ${from}, ${verdict}, frame ${Buffer.from(frames[i]!.frame).toString("hex")} from ${frames[i]!.inPort}\n${flowText(one.a)}---\n${flowText(one.b)}`;
        if (verdict === "equal") assert.is(seen, both[1][i], told);
        else assert.is.not(seen, both[1][i], told);
      }
    }
  } finally {
    await sw.close();
  }
  process.stdout.write(
    `Open vSwitch ${sw.version}, seed ${from}: ${counts.equal} equal and ${counts.different} different pairs, ${counts.frames} frames, ${counts.refused} pairs refused\n`,
  );
  const least = ovs === "3.1" ? wanted / 2 : 0;
  assert.ok(counts.different > least && counts.equal > least, "too many pairs were refused");
}

test("different pairs differ there, by the counterexample; equal pairs do not, by any frame tried", () =>
  tryPairs("3.1", PAIRS));

test("the same on Open vSwitch 3.5, for pairs without clones", () => tryPairs("3.5", Math.ceil(PAIRS / 2)));

test.run();
