/**
 * Rows on the agent: `slash32 agent` as one starts it, on an Open vSwitch or `slash32 live` of the benchmark's own, beside a gobgpd
 * that has a session with a route reflector. Tables of routes stand beside a client of the same gobgpd that only watches and
 * counts. All daemons are in a namespace that goes with the benchmark.
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addRoutingNode, missingDaemons, Speaker } from "../lab/daemons.ts";
import { execute, Machine, type Running, sleep, until, whyNot } from "../lab/machine.ts";
import { joinBgp, startAgent } from "../src/agent/index.ts";
import { BgpAnnouncer, Gobgp3 } from "../src/bgp/index.ts";
import type { FabricRoute } from "../src/bgp/types.ts";
import { ask } from "../src/host/index.ts";
import { parseIntent } from "../src/intent/index.ts";
import { Switch } from "../test/ovs/private-switch.ts";
import type { Case, Effort, Section, Target, Unit, Yardstick } from "./cases.ts";
import { ratioOf, spreadOf } from "./harness.ts";
import { isCheckout, ROOT } from "./paths.ts";

const [REFLECTOR, HERE] = ["10.77.0.254", "10.77.0.1"];
const GATEWAY = "02:00:00:00:00:fe";
const NODE = "hosts";
/** The private switch's own flow. */
const MARKER = 0x736c617368333200n;
const SESSION_MS = 60_000;
const TABLE_MS = 120_000;
/** Not so often that the asking is a part of what is measured. */
const POLL_MS = 50;

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

const routeOf = (index: number, label = 100): FabricRoute => ({
  prefix: `100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}/32`,
  labels: [label],
  nextHop: "10.77.0.9",
  originator: null,
});

const addressOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
const vmText = (n: number): string => {
  const mac = `52:54:00:${[16, 8, 0].map(shift => ((n >> shift) & 255).toString(16).padStart(2, "0")).join(":")}`;
  return `id: ${n}\nname: vm-${n}\nport: t${n}\nofport: ${100 + n}\nmac: ${mac}\naddresses: [${addressOf(n)}]\npath: l3\n`;
};

/** Where the agent keeps its table. */
type Sink = "switch" | "core";

/** What of an agent's status is looked at. */
interface Status {
  readonly inStep: boolean;
  readonly vms: number;
  readonly announced: number | null;
  readonly routes: { readonly count: number; readonly complete: boolean };
}

/** A reflector, a hypervisor's gobgpd and switch, and the places of its agent. */
class Stage {
  readonly announcer: BgpAnnouncer;
  /** When the reflector told each prefix, and how often since. */
  readonly toldAt = new Map<string, number>();
  toldCount = 0;
  readonly sw: Switch;
  readonly #machine: Machine;
  readonly #reflector: Gobgp3;
  readonly #speaker: Speaker;
  readonly #folder: string;
  #stopWatch: () => void = () => undefined;
  #count = 0;

  private constructor(machine: Machine, reflector: Speaker, speaker: Speaker, sw: Switch) {
    this.#machine = machine;
    this.#reflector = new Gobgp3(reflector.api);
    this.announcer = new BgpAnnouncer(this.#reflector);
    this.#speaker = speaker;
    this.sw = sw;
    this.#folder = join(machine.folder, "agent");
    for (const folder of [this.#folder, this.vms]) mkdirSync(folder);
    writeFileSync(this.#base, this.#baseText());
  }

  static async start(machine: Machine): Promise<Stage> {
    await addRoutingNode(machine, [REFLECTOR!, HERE!]);
    await machine.addNodes([NODE]);
    const options = { name: "reflector", address: REFLECTOR!, peers: [HERE!], isReflector: true };
    const reflector = new Speaker(machine, options);
    const speaker = new Speaker(machine, { name: "here", address: HERE!, peers: [REFLECTOR!] });
    await Promise.all([reflector.start(), speaker.start()]);
    const sw = await Switch.start({ ports: [{ number: 1, name: "up" }] });
    const stage = new Stage(machine, reflector, speaker, sw);
    const isUp = async (): Promise<boolean> =>
      (await stage.#reflector.peers()).some(peer => peer.isUp && peer.hasEnded);
    await until("the session", isUp, SESSION_MS);
    stage.#stopWatch = stage.#reflector.watch(
      paths => {
        const now = performance.now();
        for (const { route } of paths) stage.toldAt.set(route.prefix, now);
        stage.toldCount += paths.length;
      },
      () => undefined,
    );
    return stage;
  }

  get vms(): string {
    return join(this.#folder, "vms");
  }

  get api(): string {
    return this.#speaker.api;
  }

  get #base(): string {
    return join(this.#folder, "base.yaml");
  }

  get #socket(): string {
    return join(this.#folder, "agent.sock");
  }

  get #bridge(): string {
    return join(this.sw.whereabouts.folder, "br0.mgmt");
  }

  get #live(): string {
    return join(this.#folder, "live.sock");
  }

  #baseText(): string {
    const uplink = "{ port: up, ofport: 1, mac: 02:00:00:00:00:01 }";
    return `name: hv1\nbridge: ${this.#bridge}\nlabel: 1001\nuplink: ${uplink}\n`;
  }

  /** Starts live ports with an uplink that nobody is at. */
  async startLive(): Promise<Running> {
    const words = ["live", "-n", this.#base, "--control", this.#live, "-q"];
    const port = `up=punix:${join(this.#folder, "up.sock")}`;
    const running = this.#program("live", [...words, "--port", port]);
    const isUp = (): Promise<boolean> => ask(this.#live, "GET", "/v1/intent").then(Boolean, () => false);
    await until("live ports", isUp, SESSION_MS);
    return running;
  }

  /** Starts the agent; resolves at once. */
  startAgent(sink: Sink = "switch"): Running {
    const places = [
      "--create-folders",
      "--vms",
      this.vms,
      "--state",
      join(this.#folder, "state"),
      "--socket",
      this.#socket,
    ];
    const fabric = ["--gobgp", this.api, "--next-hop", HERE!, "--gateway", GATEWAY];
    const to = sink === "core" ? ["--live", this.#live] : ["--ignore-cookie", `0x${MARKER.toString(16)}`];
    return this.#program("agent", ["agent", "-n", this.#base, ...places, ...fabric, ...to, "-q"]);
  }

  #program(name: string, words: readonly string[]): Running {
    return this.#machine.start(NODE, name, [process.execPath, join(ROOT, "bin", "slash32"), ...words]);
  }

  stop(running: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<unknown> {
    return this.#machine.stop(running, signal);
  }

  /** An agent in this process, whose writes are heard of at the moment they are done. */
  inProcess(sink: Sink, onWritten: () => void) {
    const bgp = { gobgp: this.api, nextHop: HERE!, isUnicast: false, gateway: GATEWAY, macs: [] };
    return startAgent({
      base: parseIntent(this.#baseText(), "base.yaml", ".").intent!,
      ...(sink === "core" ? { live: this.#live } : {}),
      vms: this.vms,
      state: join(this.#folder, "state"),
      mayCreateFolders: true,
      socket: this.#socket,
      peers: joinBgp(bgp),
      everySeconds: 3600,
      quarantineSeconds: 0,
      drift: "repair",
      isForced: false,
      isProved: false,
      ignoredCookies: [MARKER],
      isTakingOver: false,
      log: (_, message) => message === "written" && onWritten(),
    });
  }

  async status(): Promise<Status | null> {
    try {
      return JSON.parse((await ask(this.#socket, "GET", "/v1/status")).text) as Status;
    } catch {
      return null;
    }
  }

  async untilStatus(what: string, isSo: (status: Status) => boolean): Promise<void> {
    for (const end = performance.now() + TABLE_MS; ; await sleep(POLL_MS)) {
      const status = await this.status();
      if (status !== null && isSo(status)) return;
      if (performance.now() > end) throw new Error(`${what}: not within ${TABLE_MS / 1000} s`);
    }
  }

  /** Rows in the table of routes of the sink. */
  async routeRows(sink: Sink): Promise<number> {
    if (sink === "core") {
      const { text } = await ask(this.#socket, "GET", "/metrics");
      const edits = (op: string): number =>
        Number(
          new RegExp(`^slash32_agent_flow_edits_total\\{op="${op}"\\} (\\d+)$`, "m").exec(text)?.[1] ?? 0,
        );
      return edits("added") - edits("removed");
    }
    const words = ["-O", "OpenFlow13", "dump-aggregate", this.#bridge, "table=40"];
    return Number(/flow_count=(\d+)/.exec(await execute("ovs-ofctl", words))?.[1] ?? 0);
  }

  /** Drops a VM's file in, as a caller would. */
  drop(n: number): void {
    const beside = join(this.#folder, `new-${this.#count++}`);
    writeFileSync(beside, vmText(n));
    renameSync(beside, join(this.vms, `vm-${n}.yaml`));
  }

  async close(): Promise<void> {
    this.#stopWatch();
    this.#reflector.close();
    await this.sw.close();
  }
}

interface Figure {
  readonly name: string;
  readonly remark: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  readonly bare?: readonly number[];
  readonly target: Omit<Target, "what" | "stretch"> | null;
}

function caseOf({ name, remark, unit, samples, bare, target }: Figure): Case {
  const yardsticks: Yardstick[] =
    bare === undefined
      ? []
      : [
          {
            name: "bare WatchEvent client",
            value: spreadOf(bare),
            timesFaster: ratioOf(samples, bare),
            objection: null,
          },
        ];
  return {
    name,
    remark,
    entries: null,
    distribution: null,
    frames: null,
    unit,
    value: spreadOf(samples),
    yardsticks,
    target: target === null ? null : { what: name, stretch: null, ...target },
  };
}

const hundredth = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[Math.ceil(samples.length * 0.99) - 1]!;

// ── Tables ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function bareSeconds(stage: Stage, routes: readonly FabricRoute[]): Promise<number> {
  // Its package is there in a checkout only.
  const { watchBare } = await import("./yardstick-watch.ts");
  const { seen, stop } = watchBare(stage.api, routes.length);
  try {
    // Its stream is open once the daemon has answered something after it.
    await sleep(100);
    const start = performance.now();
    await stage.announcer.announce(routes);
    await seen;
    return (performance.now() - start) / 1000;
  } finally {
    stop();
  }
}

async function agentSeconds(stage: Stage, routes: readonly FabricRoute[], sink: Sink): Promise<number> {
  const live = sink === "core" ? await stage.startLive() : null;
  const agent = stage.startAgent(sink);
  try {
    await stage.untilStatus("the agent", status => status.inStep && status.routes.complete);
    const start = performance.now();
    await stage.announcer.announce(routes);
    await stage.untilStatus("routes", status => status.routes.count === routes.length);
    await until("rows", async () => (await stage.routeRows(sink)) >= routes.length, TABLE_MS);
    const seconds = (performance.now() - start) / 1000;
    await stage.announcer.withdraw(routes.map(({ prefix }) => prefix));
    await stage.untilStatus("withdrawn", status => status.routes.count === 0);
    return seconds;
  } finally {
    await stage.stop(agent);
    if (live !== null) await stage.stop(live);
  }
}

async function tables(stage: Stage, sizes: Sizes): Promise<Case[]> {
  const routes = Array.from({ length: sizes.routes }, (_, index) => routeOf(index));
  const [bare, core, flows]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < sizes.rounds; round++) {
    bare.push(await bareSeconds(stage, routes));
    await stage.announcer.withdraw(routes.map(({ prefix }) => prefix));
    const far = new Gobgp3(stage.api);
    await until("withdrawn", async () => (await far.peers())[0]!.receivedCount === 0, TABLE_MS);
    far.close();
    core.push(await agentSeconds(stage, routes, "core"));
    flows.push(await agentSeconds(stage, routes, "switch"));
  }
  const what = `${sizes.routes.toLocaleString("en")} labelled /32s from the reflector`;
  const remark = "from the first announced until the last is in";
  const target = (most: number) => ({ kind: "times slower at most", target: most }) as const;
  return [
    caseOf({ name: `${what}, into the core`, remark, unit: "s", samples: core, bare, target: target(1.2) }),
    caseOf({
      name: `${what}, into Open vSwitch`,
      remark,
      unit: "s",
      samples: flows,
      bare,
      target: target(1.6),
    }),
  ];
}

// ── One at a time ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Between one and the next: longer than what follows another is gathered, and than a writer takes to be ready again. */
const ALONE_MS = 60;

/** Milliseconds from a file's rename until the reflector tells its address. */
async function creates(stage: Stage, count: number): Promise<number[]> {
  const agent = stage.startAgent();
  const times: number[] = [];
  try {
    await stage.untilStatus("the agent", status => status.inStep && status.routes.complete);
    for (let n = 1; n <= count; n++) {
      const prefix = `${addressOf(n)}/32`;
      const start = performance.now();
      stage.drop(n);
      await until(prefix, () => stage.toldAt.has(prefix), SESSION_MS);
      times.push(stage.toldAt.get(prefix)! - start);
      await sleep(ALONE_MS);
    }
  } finally {
    await stage.stop(agent);
  }
  return times;
}

/** Milliseconds from gobgpd's event, as a second client in the same process gets it, until the change is in the sink. */
async function changes(stage: Stage, count: number, sink: Sink): Promise<number[]> {
  const live = sink === "core" ? await stage.startLive() : null;
  let writtenAt = 0;
  let toldAt = 0;
  const { agent, stop } = await stage.inProcess(sink, () => {
    writtenAt = performance.now();
  });
  const watched = new Gobgp3(stage.api);
  const { prefix } = routeOf(0);
  const endWatch = watched.watch(
    paths => {
      if (paths.some(({ route }) => route.prefix === prefix)) toldAt = performance.now();
    },
    () => undefined,
  );
  const times: number[] = [];
  try {
    const isComplete = (): boolean => (agent.status() as unknown as Status).routes.complete;
    await until("routes", isComplete, SESSION_MS);
    for (let index = 0; index < count; index++) {
      [writtenAt, toldAt] = [0, 0];
      await stage.announcer.announce([routeOf(0, 100 + (index % 1000))]);
      await until("the change", () => writtenAt > 0 && toldAt > 0, SESSION_MS);
      times.push(writtenAt - toldAt);
      await sleep(ALONE_MS);
    }
  } finally {
    endWatch();
    watched.close();
    await stop();
    if (live !== null) await stage.stop(live);
  }
  return times;
}

async function singles(stage: Stage, sizes: Sizes): Promise<Case[]> {
  const core = await changes(stage, sizes.changes, "core");
  const flow = await changes(stage, sizes.changes, "switch");
  const vm = await creates(stage, Math.min(sizes.changes, 200));
  const most = (target: number) => ({ kind: "at most", target }) as const;
  const event = "from gobgpd's event, median";
  return [
    caseOf({
      name: "one route changed, in the core",
      remark: event,
      unit: "ms",
      samples: core,
      target: most(2),
    }),
    caseOf({
      name: "one route changed, in Open vSwitch",
      remark: event,
      unit: "ms",
      samples: flow,
      target: null,
    }),
    caseOf({
      name: "one VM created, announced at the reflector",
      remark: "from the file's rename, median",
      unit: "ms",
      samples: vm,
      target: most(20),
    }),
    caseOf({
      name: "one VM created, 99 of 100",
      remark: "of the same",
      unit: "ms",
      samples: [hundredth(vm)],
      target: most(100),
    }),
  ];
}

const QUIET_MS = 3000;

// ── Restart ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Waits until the reflector has told so many paths, and has told nothing for a while: nothing of before is under way. */
async function quiet(stage: Stage, least: number): Promise<void> {
  let count = -1;
  let since = 0;
  const isQuiet = (): boolean => {
    const now = performance.now();
    if (count !== stage.toldCount) [count, since] = [stage.toldCount, now];
    return count >= least && now - since >= QUIET_MS;
  };
  await until("quiet", isQuiet, TABLE_MS);
}

async function restarts(stage: Stage, sizes: Sizes): Promise<Case[]> {
  for (let n = 1; n <= sizes.vms; n++) writeFileSync(join(stage.vms, `vm-${n}.yaml`), vmText(n));
  await stage.announcer.announce(Array.from({ length: sizes.routes }, (_, index) => routeOf(index)));
  const isIn = ({ inStep, vms, announced, routes }: Status): boolean =>
    inStep &&
    vms === sizes.vms &&
    announced === sizes.vms &&
    routes.complete &&
    routes.count === sizes.routes;
  let agent = stage.startAgent();
  const seconds: number[] = [];
  const rewritten: number[] = [];
  const told: number[] = [];
  try {
    await stage.untilStatus("filled", isIn);
    await until("rows", async () => (await stage.routeRows("switch")) >= sizes.routes, TABLE_MS);
    for (let round = 0; round < sizes.restarts; round++) {
      await quiet(stage, sizes.vms + sizes.routes);
      await stage.stop(agent, "SIGKILL");
      const toldBefore = stage.toldCount;
      const start = performance.now();
      agent = stage.startAgent();
      await stage.untilStatus("in step", isIn);
      seconds.push((performance.now() - start) / 1000);
      await sleep(1000);
      const age = (performance.now() - start) / 1000;
      const lines = (await stage.sw.dumpFlows()).split("\n");
      rewritten.push(lines.filter(line => Number(/duration=([\d.]+)s/.exec(line)?.[1] ?? age) < age).length);
      told.push(stage.toldCount - toldBefore);
    }
  } finally {
    await stage.stop(agent);
  }
  const size = `${sizes.vms.toLocaleString("en")} VMs and ${sizes.routes.toLocaleString("en")} routes`;
  const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
  const remark = `flows rewritten: ${total(rewritten)}; paths told or withdrawn: ${total(told)}`;
  const target = { kind: "at most", target: 10 } as const;
  return [
    caseOf({ name: `a restart with ${size}, until in step`, remark, unit: "s", samples: seconds, target }),
  ];
}

// ── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async function row(
  title: string,
  notes: readonly string[],
  effort: Effort,
  measure: (stage: Stage, sizes: Sizes) => Promise<Case[]>,
): Promise<Section> {
  const missing = await missingDaemons();
  const reason = isCheckout
    ? ((await whyNot()) ?? (missing === "" ? null : `not installed: ${missing}`))
    : "its yardstick needs a checkout";
  if (reason !== null) return { title, notes: [`Not measured: ${reason}.`], cases: [] };
  const machine = new Machine();
  let stage: Stage | null = null;
  try {
    stage = await Stage.start(machine);
    return { title, notes, cases: await measure(stage, SIZES[effort.name]) };
  } finally {
    await stage?.close();
    await machine.close();
  }
}

export const agentTableRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: tables of routes",
    [
      "Announced at a route reflector, learnt by the agent's gobgpd over a session; agent, live ports and Open vSwitch are processes",
      "of their own on one machine with both gobgpd, to which most of the time belongs.",
    ],
    effort,
    tables,
  );

export const agentSingleRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: one at a time",
    ["Changes of routes with the agent in this process, VMs with the agent as a program."],
    effort,
    singles,
  );

export const agentRestartRow = (effort: Effort): Promise<Section> =>
  row(
    "The agent: a restart",
    ["Killed with SIGKILL and started again over its flows; flows are known as rewritten by their duration."],
    effort,
    restarts,
  );
