/**
 * Agents on real peers: two hypervisors, each with an Open vSwitch and a gobgpd, on a GoBGP route reflector. A VM file here
 * is a flow there; what stays right is not touched when a daemon or an agent ends.
 */

import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../lab/machine.ts";
import type { Running } from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, isTimed, suite, WAIT_MS } from "../harness.ts";
import { vmOf } from "./base.ts";
import { type Hypervisor, Hypervisors } from "./hypervisors.ts";

const test = suite("agents on BGP");

let here: Hypervisors | null = null;
const agents: Running[] = [];

/** The two hypervisors, made when they are first needed, so that a missing peer skips each test by name. */
async function stage(): Promise<readonly [Hypervisor, Hypervisor]> {
  here ??= await Hypervisors.start(2);
  const [one, two] = here.all as unknown as readonly [Hypervisor, Hypervisor];
  if (agents.length === 0) agents.push(await one.start({ everySeconds: 1 }), await two.start());
  return [one, two];
}

const has = (hypervisor: Hypervisor, text: string) => async (): Promise<boolean> =>
  (await hypervisor.flows()).some(line => line.includes(text));
const hasNot = (hypervisor: Hypervisor, text: string) => async (): Promise<boolean> =>
  !(await has(hypervisor, text)());
const durationOf = (line: string): number => Number(/duration=([\d.]+)s/.exec(line)![1]);

test("a VM file here is a label there, and gone as fast", async () => {
  const [one, two] = await stage();
  one.place.drop(vmOf(1));
  await until("a route at the other", has(two, "nw_dst=203.0.113.1 "), WAIT_MS);
  const [row] = (await two.flows()).filter(line => line.includes("nw_dst=203.0.113.1 "));
  assert.match(
    row!,
    /table=40,.*set_field:02:00:00:00:00:fe->eth_dst,push_mpls:0x8847,.*set_field:1001->mpls_label/,
  );
  assert.equal(await here!.announced(), ["203.0.113.1/32 1001 via 10.77.0.1"]);
  assert.ok(await has(one, "table=30,")(), "delivered here");
  one.place.take(101);
  await until("the route is gone", hasNot(two, "nw_dst=203.0.113.1 "), WAIT_MS);
  await until("the VM is gone", hasNot(one, "nw_dst=203.0.113.1 "), WAIT_MS);
  assert.equal(await here!.announced(), []);
});

test("an address that both announce is reported; a VM that moves is delivered at the new place", async () => {
  const [one, two] = await stage();
  const vm = vmOf(2);
  one.place.drop(vm);
  await until("announced", async () => (await here!.announced()).length === 1, WAIT_MS);
  two.place.drop(vm);
  const doubles = (): unknown =>
    [one, two]
      .flatMap(({ said }) => said)
      .find(({ message }) => message.includes("another router announces addresses of local VMs"));
  await until("reported", () => doubles() !== undefined, WAIT_MS);
  one.place.take(102);
  await until(
    "only the new place",
    async () => {
      const [announced, ...more] = await here!.announced();
      return more.length === 0 && announced === "203.0.113.2/32 1002 via 10.77.0.2";
    },
    WAIT_MS,
  );
  await until("a route at the old place", has(one, "set_field:1002->mpls_label"), WAIT_MS);
  two.place.take(102);
  await until("gone", hasNot(one, "set_field:1002->mpls_label"), WAIT_MS);
});

test("a gobgpd killed and started again, a reflector too: no flow is touched, and all is announced as before", async () => {
  const [one, two] = await stage();
  for (const number of [3, 4, 5]) one.place.drop(vmOf(number));
  two.place.drop(vmOf(6));
  await until("routes", async () => (await here!.announced()).length === 4, WAIT_MS);
  await until("flows", has(one, "nw_dst=203.0.113.6 "), WAIT_MS);
  await until("flows", has(two, "nw_dst=203.0.113.5 "), WAIT_MS);
  const before = [await one.flows(), await two.flows()];
  const startedAt = performance.now();
  for (const speaker of [one.speaker, here!.reflector]) {
    await speaker.stop("SIGKILL");
    await speaker.start(true);
    await here!.sessions();
  }
  await until("announced again", async () => (await here!.announced()).length === 4, WAIT_MS);
  await until("in step", async () => (await isInStep(one)) && (await isInStep(two)), WAIT_MS);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const [index, hypervisor] of [one, two].entries()) {
    const after = await hypervisor.flows();
    assert.is(after.length, before[index]!.length);
    for (const line of after) assert.ok(durationOf(line) >= seconds, `written anew: ${line}`);
  }
  for (const number of [3, 4, 5]) one.place.take(100 + number);
  two.place.take(106);
  await until("gone", async () => (await here!.announced()).length === 0, WAIT_MS);
});

async function isInStep({ socket }: Hypervisor): Promise<boolean> {
  const { inStep, routes } = JSON.parse((await ask(socket, "GET", "/v1/status")).text) as {
    inStep: boolean;
    routes: { complete: boolean };
  };
  return inStep && routes.complete;
}

test("a gobgpd that hangs holds no flow up; what it missed is announced when it goes on", async () => {
  const [one, two] = await stage();
  process.kill(one.speaker.pid, "SIGSTOP");
  try {
    for (const number of [8, 9]) {
      const startedAt = performance.now();
      one.place.drop(vmOf(number));
      await until("flows", has(one, `nw_dst=203.0.113.${number} `), WAIT_MS);
      if (isTimed) assert.ok(performance.now() - startedAt < 4000, "flows do not wait for the daemon");
    }
    assert.not.ok(await isInStep(one));
  } finally {
    process.kill(one.speaker.pid, "SIGCONT");
  }
  await until("a route at the other", has(two, "nw_dst=203.0.113.8 "), WAIT_MS);
  await until("a route at the other", has(two, "nw_dst=203.0.113.9 "), WAIT_MS);
  await until("in step", () => isInStep(one), WAIT_MS);
  for (const number of [8, 9]) one.place.take(100 + number);
  await until("gone", async () => (await here!.announced()).length === 0, WAIT_MS);
});

test("the program, on plain unicast: announced without a label; doctor says which sessions are up", async () => {
  const [one, two] = await stage();
  await one.stop();
  await two.stop();
  agents.length = 0;
  writeFileSync(
    join(one.place.path, "base.yaml"),
    `name: hv1\nbridge: ${one.bridge}\nlabel: 1001\nuplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }\n`,
  );
  await two.start({}, true);
  const child = spawn(process.execPath, [PROGRAM, "agent", ...one.words, "--unicast"], {
    stdio: "ignore",
  });
  try {
    one.place.drop(vmOf(7));
    await until("a route at the other", has(two, "nw_dst=203.0.113.7 "), WAIT_MS);
    const [row] = (await two.flows()).filter(line => line.includes("nw_dst=203.0.113.7 "));
    assert.not.match(row!, "push_mpls");
    const doctor = spawnSync(process.execPath, [PROGRAM, "agent", "doctor", ...one.words], {
      encoding: "utf8",
    });
    assert.match(doctor.stdout, /ok {5}gobgpd unix:.*: 1 of 1 sessions up, answered in/);
    assert.is(doctor.status, 0, doctor.stdout);
  } finally {
    const ended = new Promise(resolve => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
});

test("everything is taken down", async () => {
  await here?.close();
});

test.run();
