/**
 * The agent at size: many VMs and many routes on a private Open vSwitch. What is counted holds at any size; what is timed is
 * printed, and asserted with AGENT_SIZE=full alone (3,800 VMs and 200 more, of the 4,095 that an intent may have, and
 * 100,000 routes), because a machine that runs other tests beside it tells nothing of time.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AgentSettings,
  formatVm,
  type RouteChange,
  type Running,
  startAgent,
} from "../../src/agent/index.ts";
import type { Vm } from "../../src/intent/index.ts";
import { Flows } from "../../src/pipeline/index.ts";
import { formatIpv4, ipv4FromBits } from "../../src/wire/index.ts";
import { assert, peer, suite, WAIT_MS } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { BASE, best, FakeAnnouncer, FakeRoutes, peersOf, settingsAt, vmOf, Workplace } from "./base.ts";

const test = suite("the agent at size");
const isFull = process.env.AGENT_SIZE === "full";
const [VMS, ROUTES, CREATES] = isFull ? [3800, 100_000, 200] : [200, 2000, 20];
const BATCH = 1000;

const vm = (n: number): Vm => ({ ...vmOf(n), addresses: [ipv4FromBits(0x0a00_0000 + n)] });
const route = (n: number, label: number): RouteChange =>
  best(`${formatIpv4(0x6440_0000 + n)}/32`, label, `10.0.0.${2 + (n % 200)}`);

function say(what: string, ms: number): void {
  process.stdout.write(`  ${what}: ${ms.toFixed(ms < 100 ? 1 : 0)} ms\n`);
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS / 1000} s for: ${what}`);
    await sleep(2);
  }
}

interface Scene {
  readonly sw: PrivateSwitch;
  readonly place: Workplace;
  readonly announcer: FakeAnnouncer;
  routes: FakeRoutes;
  readonly said: string[];
  start(): Promise<Running>;
}

/** A switch, the files of all VMs, and agents to start over them. */
async function onStage(body: (scene: Scene) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] });
  const place = new Workplace();
  const running: Running[] = [];
  const settings: Omit<AgentSettings, "peers"> = {
    ...settingsAt(place, { ...BASE, bridge: join(sw.whereabouts.folder, "br0.mgmt") }),
    log: (_, message, fields = {}) => {
      if (process.env.AGENT_LOG === "1") process.stdout.write(`${message} ${JSON.stringify(fields)}\n`);
      scene.said.push(message);
    },
  };
  const scene: Scene = {
    sw,
    place,
    announcer: new FakeAnnouncer(),
    routes: new FakeRoutes(),
    said: [],
    async start() {
      scene.routes = new FakeRoutes();
      const one = await startAgent({ ...settings, peers: peersOf(scene.announcer, scene.routes) });
      running.push(one);
      return one;
    },
  };
  try {
    await body(scene);
  } finally {
    for (const one of running) await one.stop().catch(() => undefined);
    place.remove();
    await sw.close();
  }
}

function writeVms({ place }: Scene): void {
  for (let n = 1; n <= VMS; n++) writeFileSync(join(place.vms, `vm-${100 + n}.yaml`), formatVm(vm(n)));
}

/** Tells all routes in batches, as fast as `perSecond` allows (0: at once). */
async function tellAll(routes: FakeRoutes, label: number, perSecond = 0): Promise<void> {
  const startedAt = performance.now();
  for (let first = 0; first < ROUTES; first += BATCH) {
    const changes = Array.from({ length: Math.min(BATCH, ROUTES - first) }, (_, i) =>
      route(first + i, label),
    );
    routes.tell(changes, first + BATCH >= ROUTES);
    const due = perSecond === 0 ? 0 : ((first + BATCH) / perSecond) * 1000;
    await sleep(Math.max(startedAt + due - performance.now(), 0));
  }
}

const flowCount = async (sw: PrivateSwitch): Promise<number> =>
  (await sw.dumpFlows()).trim().split("\n").length;
const isInStep = ({ agent }: Running): boolean => {
  const { inStep, routes } = agent.status() as { inStep: boolean; routes: { complete: boolean } };
  return inStep && routes.complete;
};

test(`a restart with ${VMS} VMs and ${ROUTES} routes: nothing is written, nothing withdrawn`, () =>
  onStage(async scene => {
    writeVms(scene);
    let startedAt = performance.now();
    const first = await scene.start();
    say("filled, VMs", performance.now() - startedAt);
    startedAt = performance.now();
    const told = tellAll(scene.routes, 2001, 15_000);
    await told;
    const toldMs = performance.now() - startedAt;
    await first.agent.request("routes");
    say(`routes told in ${toldMs.toFixed(0)} ms; all flows in`, performance.now() - startedAt);
    startedAt = performance.now();
    const flows = await flowCount(scene.sw);
    say("yardstick: ovs-ofctl dump-flows alone", performance.now() - startedAt);
    assert.is(
      flows,
      new Flows({ ...BASE, vms: Array.from({ length: VMS }, (_, i) => vm(i + 1)) }).count + ROUTES,
    );
    await first.stop();
    scene.announcer.history.length = 0;
    scene.said.length = 0;
    startedAt = performance.now();
    const second = await scene.start();
    say("restart: first look", performance.now() - startedAt);
    await tellAll(scene.routes, 2001);
    say("restart: told", performance.now() - startedAt);
    await second.agent.request("routes");
    await until("in step", () => isInStep(second));
    const ms = performance.now() - startedAt;
    say("restart: in step", ms);
    assert.equal(scene.announcer.history, []);
    assert.not.ok(scene.said.includes("written"));
    assert.is(await flowCount(scene.sw), flows);
    if (isFull) assert.ok(ms <= 10_000, `${ms} ms`);
    if (process.env.AGENT_LOG !== "2") await creates(scene, second, false);
    await creates(scene, second, true);
  }));

/** Single VMs created beside looks at everything; each must have its flows. */
async function creates({ place }: Scene, { agent }: Running, hasLooks: boolean): Promise<void> {
  let isOver = false;
  let looks = 0;
  const looking = async (): Promise<void> => {
    while (!isOver && hasLooks) {
      const { problems, drifted, milliseconds } = await agent.request("all");
      if (process.env.AGENT_LOG === "2") say("the round of a look", milliseconds);
      assert.equal([problems, drifted], [[], []]);
      looks++;
    }
  };
  const ended = looking();
  const times: number[] = [];
  for (let i = 0; i < CREATES; i++) {
    const id = 100 + VMS + 1 + i;
    const startedAt = performance.now();
    place.drop(vm(VMS + 1 + i), `vm-${id}.yaml`);
    await until("its flows", () => agent.vms.view(id)?.state === "in-step");
    times.push(performance.now() - startedAt);
    await sleep(20);
  }
  isOver = true;
  await ended;
  if (process.env.AGENT_LOG === "2") process.stdout.write(`${times.map(ms => ms.toFixed(0)).join(" ")}\n`);
  times.sort((a, b) => a - b);
  say(`create, ${looks} looks: p50`, times[CREATES >> 1]!);
  say(`create, ${looks} looks: p99`, times[Math.ceil(CREATES * 0.99) - 1]!);
  for (let i = 0; i < CREATES; i++) place.take(`vm-${100 + VMS + 1 + i}.yaml`);
  await sleep(100);
  await agent.request("vms");
}

test.run();
