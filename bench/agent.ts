/**
 * Rows on the agent: tables of routes, single changes, a restart. Tables stand beside a client of the same
 * gobgpd that only watches and counts. The rig is in lab/agent-rig.ts; the rows need a checkout, root, and
 * the routing daemons.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AgentRig,
  type AgentState,
  addressOf,
  routeOf,
  SESSION_MS,
  type Sink,
  TABLE_MS,
  vmText,
} from "../lab/agent-rig.ts";
import { sleep, until } from "../lab/machine.ts";
import { type FabricRoute, Gobgp3 } from "../src/bgp/index.ts";
import type { Case, Effort, Section } from "./cases.ts";
import { routingCase, routingSection } from "./routing.ts";
import { watchBare } from "./yardstick-watch.ts";

interface Sizes {
  readonly routes: number;
  readonly rounds: number;
  readonly changes: number;
  readonly vms: number;
  readonly restarts: number;
}

const SIZES: Readonly<Record<Effort["name"], Sizes>> = {
  smoke: { routes: 2000, rounds: 1, changes: 10, vms: 100, restarts: 1 },
  short: { routes: 100_000, rounds: 1, changes: 200, vms: 10_000, restarts: 1 },
  long: { routes: 100_000, rounds: 3, changes: 1000, vms: 10_000, restarts: 3 },
};

const hundredth = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[Math.ceil(samples.length * 0.99) - 1]!;

// ── Tables ─────────────────────────────────────────────────────────────────────────────────────────────────

async function bareSeconds(rig: AgentRig, routes: readonly FabricRoute[]): Promise<number> {
  const { seen, stop } = watchBare(rig.api, routes.length);
  try {
    // Its stream is open once the daemon has answered something after it.
    await sleep(100);
    const start = performance.now();
    await rig.announcer.announce(routes);
    await seen;
    return (performance.now() - start) / 1000;
  } finally {
    stop();
  }
}

async function agentSeconds(rig: AgentRig, routes: readonly FabricRoute[], sink: Sink): Promise<number> {
  const live = sink === "core" ? await rig.startLive() : null;
  const agent = rig.startAgent(sink);
  try {
    await rig.untilStatus("the agent", status => status.inStep && status.routes.complete);
    const start = performance.now();
    await rig.announcer.announce(routes);
    await rig.untilStatus("routes", status => status.routes.count === routes.length);
    await until("rows", async () => (await rig.routeRows(sink)) >= routes.length, TABLE_MS);
    const seconds = (performance.now() - start) / 1000;
    await rig.announcer.withdraw(routes.map(({ prefix }) => prefix));
    await rig.untilStatus("withdrawn", status => status.routes.count === 0);
    return seconds;
  } finally {
    await rig.stop(agent);
    if (live !== null) await rig.stop(live);
  }
}

async function tables(rig: AgentRig, sizes: Sizes): Promise<Case[]> {
  const routes = Array.from({ length: sizes.routes }, (_, index) => routeOf(index));
  const [bare, core, flows]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < sizes.rounds; round++) {
    bare.push(await bareSeconds(rig, routes));
    await rig.announcer.withdraw(routes.map(({ prefix }) => prefix));
    const far = new Gobgp3(rig.api);
    await until("withdrawn", async () => (await far.peers())[0]!.receivedCount === 0, TABLE_MS);
    far.close();
    core.push(await agentSeconds(rig, routes, "core"));
    flows.push(await agentSeconds(rig, routes, "switch"));
  }
  const what = `${sizes.routes.toLocaleString("en")} labelled /32s from the reflector`;
  const remark = "from the first announced until the last is in";
  const target = (most: number) => ({ kind: "times slower at most", target: most }) as const;
  return [
    routingCase({
      name: `${what}, into the core`,
      remark,
      unit: "s",
      samples: core,
      bare,
      target: target(1.2),
    }),
    routingCase({
      name: `${what}, into Open vSwitch`,
      remark,
      unit: "s",
      samples: flows,
      bare,
      target: target(1.6),
    }),
  ];
}

// ── One at a time ──────────────────────────────────────────────────────────────────────────────────────────

/**
 * Pause between changes: longer than the agent collects changes, and than a process takes to be prestarted.
 */
const ALONE_MS = 60;

/** Milliseconds from the rename of a file until the reflector announces its address. */
async function creates(rig: AgentRig, count: number): Promise<number[]> {
  const agent = rig.startAgent();
  const times: number[] = [];
  try {
    await rig.untilStatus("the agent", status => status.inStep && status.routes.complete);
    for (let n = 1; n <= count; n++) {
      const prefix = `${addressOf(n)}/32`;
      const start = performance.now();
      rig.drop(n);
      await until(prefix, () => rig.announcedAt.has(prefix), SESSION_MS);
      times.push(rig.announcedAt.get(prefix)! - start);
      await sleep(ALONE_MS);
    }
  } finally {
    await rig.stop(agent);
  }
  return times;
}

/**
 * Milliseconds from gobgpd's event, as a second client in the same process receives it, until the change is
 * in the sink.
 */
async function changes(rig: AgentRig, count: number, sink: Sink): Promise<number[]> {
  const live = sink === "core" ? await rig.startLive() : null;
  let writtenAt = 0;
  let announcedAt = 0;
  const { agent, stop } = await rig.inProcess(sink, () => {
    writtenAt = performance.now();
  });
  const watched = new Gobgp3(rig.api);
  const { prefix } = routeOf(0);
  const endWatch = watched.watch(
    paths => {
      if (paths.some(({ route }) => route.prefix === prefix)) announcedAt = performance.now();
    },
    () => undefined,
  );
  const times: number[] = [];
  try {
    const isComplete = (): boolean => (agent.status() as unknown as AgentState).routes.complete;
    await until("routes", isComplete, SESSION_MS);
    for (let index = 0; index < count; index++) {
      [writtenAt, announcedAt] = [0, 0];
      await rig.announcer.announce([routeOf(0, 100 + (index % 1000))]);
      await until("the change", () => writtenAt > 0 && announcedAt > 0, SESSION_MS);
      times.push(writtenAt - announcedAt);
      await sleep(ALONE_MS);
    }
  } finally {
    endWatch();
    watched.close();
    await stop();
    if (live !== null) await rig.stop(live);
  }
  return times;
}

async function singles(rig: AgentRig, sizes: Sizes): Promise<Case[]> {
  const core = await changes(rig, sizes.changes, "core");
  const flow = await changes(rig, sizes.changes, "switch");
  const vm = await creates(rig, Math.min(sizes.changes, 200));
  const most = (target: number) => ({ kind: "at most", target }) as const;
  const event = "from gobgpd's event, median";
  return [
    routingCase({
      name: "one route changed, in the core",
      remark: event,
      unit: "ms",
      samples: core,
      target: most(2),
    }),
    routingCase({
      name: "one route changed, in Open vSwitch",
      remark: event,
      unit: "ms",
      samples: flow,
      target: null,
    }),
    routingCase({
      name: "one VM created, announced at the reflector",
      remark: "from the file's rename, median",
      unit: "ms",
      samples: vm,
      target: most(20),
    }),
    routingCase({
      name: "one VM created, 99 of 100",
      remark: "of the same",
      unit: "ms",
      samples: [hundredth(vm)],
      target: most(100),
    }),
  ];
}

const QUIET_MS = 3000;

// ── Restart ────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Waits until the reflector has sent so many paths and then none for QUIET_MS: nothing earlier is in flight.
 */
async function quiet(rig: AgentRig, least: number): Promise<void> {
  let count = -1;
  let since = 0;
  const isQuiet = (): boolean => {
    const now = performance.now();
    if (count !== rig.pathCount) [count, since] = [rig.pathCount, now];
    return count >= least && now - since >= QUIET_MS;
  };
  await until("quiet", isQuiet, TABLE_MS);
}

async function restarts(rig: AgentRig, sizes: Sizes): Promise<Case[]> {
  for (let n = 1; n <= sizes.vms; n++) writeFileSync(join(rig.vms, `vm-${n}.yaml`), vmText(n));
  await rig.announcer.announce(Array.from({ length: sizes.routes }, (_, index) => routeOf(index)));
  const isIn = ({ inStep, vms, announced, routes }: AgentState): boolean =>
    inStep &&
    vms === sizes.vms &&
    announced === sizes.vms &&
    routes.complete &&
    routes.count === sizes.routes;
  let agent = rig.startAgent();
  const seconds: number[] = [];
  const rewritten: number[] = [];
  const told: number[] = [];
  try {
    await rig.untilStatus("filled", isIn);
    await until("rows", async () => (await rig.routeRows("switch")) >= sizes.routes, TABLE_MS);
    for (let round = 0; round < sizes.restarts; round++) {
      await quiet(rig, sizes.vms + sizes.routes);
      await rig.stop(agent, "SIGKILL");
      const toldBefore = rig.pathCount;
      const start = performance.now();
      agent = rig.startAgent();
      await rig.untilStatus("in step", isIn);
      seconds.push((performance.now() - start) / 1000);
      await sleep(1000);
      const age = (performance.now() - start) / 1000;
      const lines = (await rig.sw.dumpFlows()).split("\n");
      rewritten.push(lines.filter(line => Number(/duration=([\d.]+)s/.exec(line)?.[1] ?? age) < age).length);
      told.push(rig.pathCount - toldBefore);
    }
  } finally {
    await rig.stop(agent);
  }
  const size = `${sizes.vms.toLocaleString("en")} VMs and ${sizes.routes.toLocaleString("en")} routes`;
  const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
  const remark = `flows rewritten: ${total(rewritten)}; paths told or withdrawn: ${total(told)}`;
  const target = { kind: "at most", target: 10 } as const;
  return [
    routingCase({
      name: `a restart with ${size}, until in step`,
      remark,
      unit: "s",
      samples: seconds,
      target,
    }),
  ];
}

// ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────

function row(
  title: string,
  notes: readonly string[],
  effort: Effort,
  measure: (rig: AgentRig, sizes: Sizes) => Promise<Case[]>,
): Promise<Section> {
  return routingSection(title, notes, async machine => {
    const rig = await AgentRig.start(machine);
    try {
      return await measure(rig, SIZES[effort.name]);
    } finally {
      await rig.close();
    }
  });
}

export const agentTableRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: tables of routes",
    [
      "Announced at a route reflector, received by the agent's gobgpd over a session. Agent, live ports and",
      "Open vSwitch are processes on one machine with both gobgpd, which take most of the time.",
    ],
    effort,
    tables,
  );

export const agentSingleRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: one at a time",
    ["Route changes: the agent runs in this process; VMs: it runs as a program."],
    effort,
    singles,
  );

export const agentRestartRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: a restart",
    ["Killed with SIGKILL and started again over its flows; a rewritten flow shows by its duration."],
    effort,
    restarts,
  );
