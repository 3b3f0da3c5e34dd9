/**
 * Every corner of Open vSwitch that is known, against the answers of a real switch: recorded ones
 * (corners.json), so that no switch is needed, and fresh ones where there is one. `UPDATE=1` records anew.
 * Each frame meets a switch that has forgotten all others.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Interpreter, type OvsVersion, parseGroups, USUAL_OVS } from "../../../src/openflow/index.ts";
import { assert, suite } from "../../harness.ts";
import { PrivateSwitch } from "../../ovs/private-switch.ts";
import { programsOf } from "../../ovs/versions.ts";
import { flowsOf, linesOf } from "./compare.ts";
import { CORNERS, type Corner } from "./corners.ts";
import { WORLD } from "./frames.ts";

const test = suite("corners of Open vSwitch");
const FILE = join(import.meta.dirname, "corners.json");

/** Per name of a corner, per frame: the lines of its answer. */
type Answers = Record<string, string[][]>;

function interpreted({ flows, groups = [], frames }: Corner, ovs: OvsVersion = USUAL_OVS): string[][] {
  const parsed = parseGroups(groups.join("\n"), "groups");
  assert.equal(parsed.problems, []);
  const options = { ports: WORLD.ports, groups: parsed.groups, isPortLive: () => true, ovs };
  const interpreter = new Interpreter(flowsOf(flows), options);
  return frames.map(frame => linesOf(interpreter.run(1, frame)));
}

async function asked(ovs: OvsVersion): Promise<Answers> {
  const sw = await PrivateSwitch.start({
    ports: WORLD.ports.map(number => ({ number })),
    ...programsOf(ovs),
  });
  const answers: Answers = {};
  try {
    for (const { name, flows, groups = [], frames, protocol } of CORNERS) {
      await sw.replaceFlows("");
      await sw.replaceGroups(groups.join("\n"));
      answers[name] = [];
      for (const frame of frames) {
        await sw.replaceFlows(flows.join("\n"), { protocol: protocol ?? "OpenFlow13" });
        answers[name].push(linesOf(await sw.send(1, frame)));
      }
    }
  } finally {
    await sw.close();
  }
  return answers;
}

test("names are unique", () => {
  assert.is(new Set(CORNERS.map(({ name }) => name)).size, CORNERS.length);
});

test("a real switch still answers as recorded", async () => {
  const answers = await asked("3.1");
  if (process.env.UPDATE === "1") writeFileSync(FILE, `${JSON.stringify(answers, null, 1)}\n`);
  const recorded = JSON.parse(readFileSync(FILE, "utf8")) as Answers;
  for (const { name } of CORNERS) assert.equal(answers[name], recorded[name], name);
});

test("Open vSwitch 3.5 answers as the interpreter does with its behaviour", async () => {
  const answers = await asked("3.5");
  for (const corner of CORNERS) assert.equal(answers[corner.name], interpreted(corner, "3.5"), corner.name);
});

test("the interpreter answers as the switch did", () => {
  const recorded = JSON.parse(readFileSync(FILE, "utf8")) as Answers;
  const wrong = CORNERS.flatMap(corner => {
    const [ours, theirs] = [interpreted(corner), recorded[corner.name]];
    return JSON.stringify(ours) === JSON.stringify(theirs)
      ? []
      : [`${corner.name}\n  interpreter ${JSON.stringify(ours)}\n  switch      ${JSON.stringify(theirs)}`];
  });
  assert.is(wrong.length, 0, wrong.join("\n"));
});

test("what learn and NORMAL note down outlives an error; the interpreter leaves it open", async () => {
  const addresses = (dst: string, src: string): Uint8Array =>
    Buffer.from(`${dst}${src}88b5${"00".repeat(46)}`, "hex");
  const [one, two] = ["020000000001", "020000000002"];
  const flows = [
    "in_port=1 actions=learn(table=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),NORMAL,resubmit(,1)",
    "in_port=2 actions=resubmit(,5),NORMAL",
    "table=1 actions=resubmit(,1)",
  ];
  const interpreter = new Interpreter(flowsOf(flows), { ports: WORLD.ports });
  const { verdict, unknown } = interpreter.run(1, addresses(two, one));
  assert.equal([verdict, unknown[0]!.feature], ["unknown", "learn in front of an error"]);
  const sw = await PrivateSwitch.start({
    ports: WORLD.ports.map(number => ({ number })),
    ...programsOf("3.1"),
  });
  try {
    await sw.replaceFlows(flows.join("\n"), { protocol: "OpenFlow13" });
    const outputsOf = async (port: number, frame: Uint8Array): Promise<number[]> =>
      (await sw.send(port, frame)).outputs.map(output => output.port);
    assert.equal(await outputsOf(1, addresses(two, one)), [], "the error undoes the output");
    assert.equal(
      await outputsOf(2, addresses(one, two)),
      [1, 1],
      "by the learned flow, and by the learned address",
    );
  } finally {
    await sw.close();
  }
});

test.run();
