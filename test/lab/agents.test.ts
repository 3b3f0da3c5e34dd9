/**
 * The lab with agents, asserted: no intent is written by hand, VM files and BGP are all there is. Real gobgpd, BIRD, FRR, Open
 * vSwitch and `slash32 agent` in network namespaces that the test makes and removes. A short form by default; `LAB=all` acts
 * out everything in full. Needs root and the programs of whyNot() and whyNoAgents().
 */
import { rmSync } from "node:fs";
import { controlOf, whyNoAgents } from "../../lab/control.ts";
import type { OvsEngine } from "../../lab/engines.ts";
import { Lab } from "../../lab/lab.ts";
import { sleep, whyNot } from "../../lab/machine.ts";
import { AGENT_SCENARIOS } from "../../lab/scenarios/agents/index.ts";
import { flowsStay, pingThrough, updatesSince } from "../../lab/scenarios/agents/watching.ts";
import { assert, skip, suite } from "../harness.ts";

const test = suite("lab with agents");
const isAll = process.env.LAB === "all";
/** Short, together under 30 seconds on two busy cores; kills are test/agent/kills.test.ts' as well. */
const USUAL = ["agent-create", "agent-migration", "agent-labels", "agent-addresses"];

/** One lab for all tests of this file; it goes with the last, and with the process. */
let lab: Promise<Lab> | undefined;

async function theLab(): Promise<Lab> {
  const why = (await whyNot()) ?? (await whyNoAgents());
  if (why !== null) skip(why);
  lab ??= Lab.start({ hasAgents: true });
  return lab;
}

const messageOf = (running: Promise<unknown>): Promise<string> =>
  running.then(
    () => "nothing",
    (error: Error) => error.message,
  );

for (const { name, title, run } of AGENT_SCENARIOS) {
  if (!isAll && !USUAL.includes(name)) continue;
  test(`${name}: ${title}`, async () => {
    const lines = await run(await theLab(), { isShort: !isAll });
    assert.ok(lines.length > 0, "something was measured");
    process.stdout.write(`${lines.map(line => `    ${line}\n`).join("")}`);
  });
}

test("canaries: a lost ping, a flow written again, an UPDATE and a flow too many are noticed", async () => {
  const running = await theLab();
  const control = controlOf(running);
  const { bridge } = running.engine("hv1") as OvsEngine;
  const cut = (): Promise<void> =>
    running.machine.ip("hv2", ["link set uplink0 down"]).then(async () => {
      await sleep(100);
      await running.machine.ip("hv2", ["link set uplink0 up"]);
    });
  assert.match(await messageOf(pingThrough(running, "cut", cut)), /lost/);
  const again = async (): Promise<void> => {
    const [text] = [...(await bridge.durations()).keys()];
    await bridge.ofctl(["add-flow", "br0", text!.replace("reset_counts ", "")]);
  };
  assert.match(await messageOf(flowsStay(running, ["hv1"], again)), /s old/);
  const since = Date.now();
  const vm = running.vm("vm12");
  control.agent("hv1").take(vm);
  await sleep(500);
  control.agent("hv1").drop(vm);
  await control.inStep();
  const updates = await updatesSince(control, since);
  assert.ok(updates.some(({ withdrawn }) => withdrawn.includes(vm.address)));
  assert.ok(updates.some(({ announced }) => announced.includes(vm.address)));
  await bridge.ofctl(["add-flow", "br0", "table=0,priority=999,icmp actions=drop"]);
  assert.match(await messageOf(control.prove()), /different/);
  await bridge.ofctl(["--strict", "del-flows", "br0", "table=0,priority=999,icmp"]);
});

test("ends with nothing left behind", async () => {
  const { machine, captures } = await theLab();
  await (await lab!).close();
  assert.equal(await machine.namespaces(), []);
  rmSync(captures!, { recursive: true, force: true });
});

test.run();
