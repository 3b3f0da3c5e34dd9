/**
 * The lab's scenarios, asserted: real Linux stacks, real Open vSwitch, `slash32 live`, in network namespaces that the test makes
 * and removes. A short form by default; `LAB=all` acts out everything in full. Needs root and the programs of whyNot().
 */
import { rmSync } from "node:fs";
import { Lab, type LabOptions } from "../../lab/lab.ts";
import { sleep, whyNot } from "../../lab/machine.ts";
import { SCENARIOS } from "../../lab/scenarios/index.ts";
import { proveChanges } from "../../lab/scenarios/scenario.ts";
import { assert, skip, suite } from "../harness.ts";

const test = suite("lab");
const isAll = process.env.LAB === "all";
/** Short, together under 25 seconds on two busy cores. */
const USUAL = ["transfers", "spoofing", "migration"];

/** One lab for all tests of this file; it goes with the last, and with the process. */
let lab: Promise<Lab> | undefined;
let proofs = { count: 0 };

async function theLab(): Promise<Lab> {
  const why = await whyNot();
  if (why !== null) skip(why);
  const options: LabOptions = {};
  lab ??= Lab.start(options).then(started => {
    proofs = proveChanges(started);
    return started;
  });
  return lab;
}

for (const { name, title, run } of SCENARIOS) {
  if (!isAll && !USUAL.includes(name)) continue;
  test(`${name}: ${title}`, async () => {
    const lines = await run(await theLab(), { isShort: !isAll });
    assert.ok(lines.length > 0, "something was measured");
    process.stdout.write(`${lines.map(line => `    ${line}\n`).join("")}`);
  });
}

test("canaries: a loss in between, and silence at the end, are noticed", async () => {
  const running = await theLab();
  const vm = running.vm("vm31");
  const edge = running.host("edge");
  const cut = (): Promise<void> => running.announceToRouter({ ...vm, isAnnounced: false });
  await edge.ping(running.host("vm31"), 2);
  const lossy = edge.startPing(running.host("vm31"), 5);
  await sleep(100);
  await cut();
  await sleep(100);
  await running.announceToRouter(vm);
  await sleep(100);
  const { lost } = await lossy.stop();
  assert.ok(lost > 0, "the ping lost something");
  const silent = edge.startPing(running.host("vm31"), 5);
  await sleep(100);
  await cut();
  await sleep(700);
  const said = await silent.stop().then(
    () => "nothing",
    (error: Error) => error.message,
  );
  await running.announceToRouter(vm);
  assert.match(said, /gave no answer/);
});

test("the flows in Open vSwitch were proved after every change", async () => {
  await theLab();
  assert.ok(proofs.count >= 2, `${proofs.count} proofs`);
});

test("ends with nothing left behind", async () => {
  const { machine, captures } = await theLab();
  const names = await machine.namespaces();
  assert.ok(names.length > 10, "there were namespaces");
  await (await lab!).close();
  assert.equal(await machine.namespaces(), []);
  rmSync(captures!, { recursive: true, force: true });
});

test.run();
