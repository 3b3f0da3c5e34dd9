/**
 * Killed for real: two hypervisors, each with the agent as the program that one starts, an Open vSwitch and a gobgpd, on a
 * route reflector. Under random VM events one of them, or two, is killed or ended and started again. A model that knows VM
 * files and nothing of rounds says what must be at both switches and in the reflector's table afterwards; what was right
 * before and is right after must not have been touched on the way. `AGENT_KILLS` says how many, `SEED` which.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Running, sleep, until } from "../../lab/machine.ts";
import { OfctlBridge } from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { type Path, parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, seed, suite, WAIT_MS } from "../harness.ts";
import { all, randomOf, rowNames, textOf, vmOf } from "./base.ts";
import { GATEWAY, type Hypervisor, Hypervisors, MARKER } from "./hypervisors.ts";

const test = suite("processes killed at random");
const KILLS = Number(process.env.AGENT_KILLS ?? 3);
const PATHS: readonly Path[] = ["l2", "dual-l2", "dual-l3", "l3"];
const VMS = 8;
const SETTLE_MS = WAIT_MS;
const END_MS = WAIT_MS;
const NODE = "hosts";

/** Where a VM stands at a hypervisor: its path, and the file that says so. */
interface Standing {
  readonly path: Path;
  readonly file: string;
}

/** A hypervisor as the test sees it: what runs there, and what its files say. */
class Station {
  readonly hypervisor: Hypervisor;
  readonly here: Hypervisors;
  readonly vms = new Map<number, Standing>();
  readonly #bridge: OfctlBridge;
  agent!: Running;
  /** Null: the one that the private switch came with. */
  vswitchd: Running | null = null;

  constructor(here: Hypervisors, hypervisor: Hypervisor) {
    this.here = here;
    this.hypervisor = hypervisor;
    this.#bridge = new OfctlBridge(hypervisor.bridge);
    writeFileSync(join(hypervisor.place.path, "base.yaml"), this.text([]));
  }

  get number(): number {
    return this.hypervisor.number;
  }

  get name(): string {
    return `hv${this.number}`;
  }

  startAgent(more: readonly string[] = []): void {
    const words = [process.execPath, PROGRAM, "agent", ...this.hypervisor.words, ...more];
    this.agent = this.here.machine.start(NODE, `agent${this.number}`, words);
  }

  /** Starts an ovs-vswitchd over database and sockets of the one that was killed. */
  startVswitchd(): void {
    const { folder } = this.hypervisor.sw.whereabouts;
    const env = { ...process.env, OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder };
    const quiet = ["-vconsole:off", "-vsyslog:off", `--log-file=${folder}/vswitchd.log`];
    const places = [`unix:${folder}/db.sock`, `--unixctl=${folder}/vswitchd.ctl`];
    const words = ["ovs-vswitchd", ...quiet, ...places, "--disable-system", "--enable-dummy=override"];
    this.vswitchd = this.here.machine.start(NODE, `vswitchd${this.number}`, words, env);
  }

  async killVswitchd(): Promise<void> {
    if (this.vswitchd !== null) await this.here.machine.stop(this.vswitchd, "SIGKILL");
    else process.kill(this.hypervisor.sw.whereabouts.pids[1], "SIGKILL");
  }

  /** The flows but the private switch's own. Rejects while the switch is away. */
  async flows(): Promise<string[]> {
    const lines = await all(this.#bridge.lines());
    const isOurs = (line: string): boolean =>
      line.includes("actions=") && !line.includes(`cookie=0x${MARKER.toString(16)}`);
    return lines.filter(isOurs);
  }

  /** Asks the agent over its socket, which may be away. */
  async ask(method: string, target: string, body = ""): Promise<{ status: number; text: string }> {
    return ask(this.hypervisor.socket, method, target, body);
  }

  /** An intent as text: the base, the VMs that stand here, and routes to what stands elsewhere. */
  text(routes: readonly string[]): string {
    const vms = [...this.vms].map(
      ([n, { path }]) => `  - { ${textOf(vmOf(n, path)).trim().replaceAll("\n", ", ")} }\n`,
    );
    return `name: ${this.name}
bridge: ${this.hypervisor.bridge}
label: ${1000 + this.number}
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:0${this.number} }
${vms.length === 0 ? "" : `vms:\n${vms.join("")}`}${routes.length === 0 ? "" : `routes:\n${routes.join("")}`}`;
  }

  /** The addresses that are announced from here. */
  get announced(): ReadonlySet<number> {
    return new Set([...this.vms].filter(([, { path }]) => path !== "l2").map(([n]) => n));
  }

  /** The rows that must be here, when what `other` announces is known. */
  wanted(other: Station): Set<string> {
    const own = this.announced;
    const routes = [...other.announced]
      .filter(n => !own.has(n))
      .map(n => `  - { prefix: 203.0.113.${n}/32, labels: [${1000 + other.number}], via: ${GATEWAY} }\n`);
    const { intent, errors } = parseIntent(this.text(routes), "model.yaml", ".");
    assert.equal(errors, []);
    return new Set(rowNames([...new Flows(intent!)].map(flowText)));
  }
}

/** What the reflector tells whoever watches: changes by prefix, since they were last taken. */
class Watch {
  readonly #here: Hypervisors;
  readonly #known = new Map<string, string>();
  readonly #changed = new Set<string>();
  #isFirst = true;
  #isOver = true;
  #stop: () => void = () => undefined;

  constructor(here: Hypervisors) {
    this.#here = here;
  }

  /** Begins, or begins again after the reflector went away. */
  begin(): void {
    if (!this.#isOver) return;
    this.#isOver = false;
    this.#isFirst = true;
    this.#known.clear();
    this.#stop = this.#here.daemon.watch(
      paths => {
        for (const { route, isWithdrawn } of paths) {
          const now = isWithdrawn ? "" : `${route.labels.join("/")} ${route.nextHop}`;
          if (!this.#isFirst && (this.#known.get(route.prefix) ?? "") !== now)
            this.#changed.add(route.prefix);
          this.#known.set(route.prefix, now);
        }
        this.#isFirst = false;
      },
      () => {
        this.#isOver = true;
      },
    );
  }

  /** Null: it was away, and cannot tell. */
  take(): ReadonlySet<string> | null {
    const changed = new Set(this.#changed);
    this.#changed.clear();
    return this.#isOver ? null : changed;
  }

  end(): void {
    this.#stop();
  }
}

/** What is done to a process, and how it comes back. `station` is where; a reflector has none. */
interface Blow {
  readonly name: string;
  readonly share: number;
  /** Which flows it takes with it. */
  readonly isSwitch?: boolean;
  strike(station: Station, downMs: number): Promise<void>;
}

const agentBlow =
  (signal: NodeJS.Signals): Blow["strike"] =>
  async (station, downMs) => {
    let hasEnded = false;
    void station.here.machine.stop(station.agent, signal).then(() => {
      hasEnded = true;
    });
    await until(`the end of the agent at ${station.name}`, () => hasEnded, END_MS);
    await sleep(downMs);
    station.startAgent(["--take-over"]);
  };

const gobgpdBlow =
  (signal: NodeJS.Signals): Blow["strike"] =>
  async ({ hypervisor: { speaker } }, downMs) => {
    await speaker.stop(signal);
    await sleep(downMs);
    await speaker.start(true);
  };

const BLOWS: readonly Blow[] = [
  { name: "agent SIGKILL", share: 4, strike: agentBlow("SIGKILL") },
  { name: "agent SIGTERM", share: 1, strike: agentBlow("SIGTERM") },
  {
    name: "agent --take-over",
    share: 2,
    async strike(station) {
      const before = station.agent;
      station.startAgent(["--take-over"]);
      assert.is(await before.ended, 0, "the agent before ended well");
    },
  },
  {
    name: "vswitchd SIGKILL",
    share: 3,
    isSwitch: true,
    async strike(station, downMs) {
      await station.killVswitchd();
      await sleep(downMs);
      station.startVswitchd();
    },
  },
  { name: "gobgpd SIGKILL", share: 1, strike: gobgpdBlow("SIGKILL") },
  { name: "gobgpd SIGTERM", share: 1, strike: gobgpdBlow("SIGTERM") },
  {
    name: "reflector SIGKILL",
    share: 1,
    async strike({ here: { reflector } }, downMs) {
      await reflector.stop("SIGKILL");
      await sleep(downMs);
      await reflector.start(true);
    },
  },
];

/**
 * Whether two blows may fall at once. Not a gobgpd and the only reflector: then neither has the routes of the others, and the
 * reflector, which does not wait for a peer that restarts too, ends its table before they are back (docs/bgp.md).
 */
function isPair(one: Blow, other: Blow): boolean {
  const [first, second] = [one, other].map(({ name }) => name.split(" ")[0]);
  return first !== second && !([first, second].includes("gobgpd") && [first, second].includes("reflector"));
}

type Random = (below: number) => number;

/** A deck in which each blow lies as often as its share says, shuffled. */
function deckOf(random: Random): Blow[] {
  const deck = BLOWS.flatMap(blow => Array.from({ length: blow.share }, () => blow));
  for (let at = deck.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [deck[at], deck[other]] = [deck[other]!, deck[at]!];
  }
  // The first cards are one of each, so that a short run has met them all.
  return [...new Set(deck), ...deck.filter((blow, at) => deck.indexOf(blow) !== at)];
}

/** What happened to VMs since everything was last in step. */
class Events {
  readonly touched = new Set<number>();
  readonly #asked: Promise<void>[] = [];
  readonly #random: Random;
  readonly #stations: readonly [Station, Station];

  constructor(random: Random, stations: readonly [Station, Station]) {
    this.#random = random;
    this.#stations = stations;
  }

  /** One event. A VM has at most one between two moments in step: what an agent makes of two depends on what it saw. */
  async one(): Promise<void> {
    const random = this.#random;
    const n = 1 + random(VMS);
    if (this.touched.has(n)) return;
    this.touched.add(n);
    const [first, second] = random(2) === 0 ? this.#stations : [this.#stations[1], this.#stations[0]];
    const holders = [first, second].filter(({ vms }) => vms.has(n));
    const [holder] = holders;
    if (holder === undefined) this.#create(first, n);
    else if (holders.length === 2 || random(4) === 0) this.#destroy(holder, n);
    else if (random(2) === 0) this.#step(holder, n);
    else {
      this.#create(holder === first ? second : first, n);
      await sleep(random(40));
      if (random(3) > 0) this.#destroy(holder, n);
    }
  }

  /** Resolves when everything that was asked over a socket was granted. */
  async granted(): Promise<void> {
    await Promise.all(this.#asked);
  }

  #create(station: Station, n: number): void {
    const path = PATHS[this.#random(4)]!;
    const vm = vmOf(n, path);
    const isAsked = this.#random(3) === 0;
    station.vms.set(n, { path, file: isAsked ? `vm-${vm.id}.yaml` : `${vm.id}.yaml` });
    if (isAsked) this.#ask(station, "PUT", `/v1/vms/${vm.id}`, textOf(vm));
    else station.hypervisor.place.drop(vm);
  }

  #destroy(station: Station, n: number): void {
    const { file } = station.vms.get(n)!;
    station.vms.delete(n);
    if (this.#random(3) === 0) this.#ask(station, "DELETE", `/v1/vms/${vmOf(n).id}`);
    else station.hypervisor.place.take(file);
  }

  #step(station: Station, n: number): void {
    const { path: from, file } = station.vms.get(n)!;
    const at = PATHS.indexOf(from);
    const path = PATHS[at === 0 ? 1 : at === 3 ? 2 : at + (this.#random(2) === 0 ? 1 : -1)]!;
    station.vms.set(n, { path, file });
    const vm = vmOf(n, path);
    if (this.#random(3) === 0) this.#ask(station, "PUT", `/v1/vms/${vm.id}/path`, JSON.stringify({ path }));
    else station.hypervisor.place.drop(vm, file);
  }

  /** As a caller does that wants it done: again and again until somebody is there who does it. */
  #ask(station: Station, method: string, target: string, body = ""): void {
    const untilDone = async (): Promise<void> => {
      const end = performance.now() + SETTLE_MS;
      for (let last = ""; performance.now() < end; await sleep(50)) {
        const { status, text } = await station.ask(method, target, body).catch(error => ({
          status: 503,
          text: String(error),
        }));
        if (status === 200 || status === 202) return;
        last = `${method} ${target}: ${status} ${text}`;
        assert.is(status, 503, last);
      }
      throw new Error(`${method} ${target} was not done within ${SETTLE_MS / 1000} s`);
    };
    const asked = untilDone();
    asked.catch(() => undefined);
    this.#asked.push(asked);
  }
}

const durationOf = (line: string): number => Number(/duration=([\d.]+)s/.exec(line)![1]);
const sorted = (words: Iterable<string>): string[] => [...words].sort();

/** What of an agent's status is looked at. */
interface Status {
  readonly inStep: boolean;
  readonly routes: { readonly complete: boolean };
  readonly refused: readonly unknown[];
}

/** What is and what should be, for a person; empty when they are the same. */
function differences(what: string, is: readonly string[], wanted: readonly string[]): string[] {
  const [there, right] = [new Set(is), new Set(wanted)];
  return [
    ...is.filter(one => !right.has(one)).map(one => `${what}: should not be there: ${one}`),
    ...wanted.filter(one => !there.has(one)).map(one => `${what}: is missing: ${one}`),
    ...(is.length === there.size ? [] : [`${what}: something is there twice`]),
  ];
}

class Scene {
  readonly here: Hypervisors;
  readonly stations: readonly [Station, Station];
  readonly watch: Watch;

  constructor(here: Hypervisors) {
    this.here = here;
    const [one, two] = here.all.map(hypervisor => new Station(here, hypervisor));
    this.stations = [one!, two!];
    this.watch = new Watch(here);
  }

  otherOf(station: Station): Station {
    return this.stations[0] === station ? this.stations[1] : this.stations[0];
  }

  /** What keeps the state from being the model's; empty: nothing does. */
  async wrong(): Promise<string[]> {
    try {
      const peers = await this.here.daemon.peers();
      const down = peers.filter(({ isUp, hasEnded }) => !isUp || !hasEnded);
      if (peers.length < 2 || down.length > 0) return ["the reflector lacks a session"];
      const announced = this.stations.flatMap(({ number, announced }) =>
        [...announced].map(n => `203.0.113.${n}/32 ${1000 + number} via 10.77.0.${number}`),
      );
      const found = differences("reflector", await this.here.announced(), announced);
      for (const station of this.stations) {
        const { status, text } = await station.ask("GET", "/v1/status");
        const { inStep, routes, refused } = JSON.parse(text) as Status;
        if (status !== 200 || !inStep || !routes.complete || refused.length > 0)
          found.push(`${station.name}: ${text.trim()}`);
      }
      if (found.length > 0) return found;
      for (const station of this.stations) {
        const rows = rowNames(await station.flows());
        found.push(...differences(station.name, rows, [...station.wanted(this.otherOf(station))]));
      }
      return found;
    } catch (error) {
      return [String(error)];
    }
  }

  /** Waits until the state is the model's. Gives how long that took. */
  async settle(what: string): Promise<number> {
    const startedAt = performance.now();
    for (;;) {
      const wrong = await this.wrong();
      const ms = performance.now() - startedAt;
      if (wrong.length === 0) return ms;
      if (ms > SETTLE_MS)
        throw new Error(
          `${what}, ${SETTLE_MS / 1000} s later:\n${wrong.slice(0, 12).join("\n")}\n${this.logs()}`,
        );
      await sleep(20);
    }
  }

  /** The last words of both agents. */
  logs(): string {
    const last = (name: string): string =>
      readFileSync(join(this.here.machine.folder, `${name}.err`), "utf8")
        .trim()
        .split("\n")
        .slice(-8)
        .join("\n");
    return this.stations.map(({ number }) => `agent${number}:\n${last(`agent${number}`)}`).join("\n");
  }

  /** Rows that were right at the one moment and are right at the other, held against how long they have been there. */
  async assertUntouched(
    station: Station,
    before: ReadonlySet<string>,
    seconds: number,
    what: string,
  ): Promise<void> {
    const wanted = station.wanted(this.otherOf(station));
    const lines = await station.flows();
    const names = rowNames(lines);
    const anew = lines.filter(
      (line, at) => before.has(names[at]!) && wanted.has(names[at]!) && durationOf(line) < seconds,
    );
    assert.equal(anew, [], `${what}: ${station.name}: a right flow was written anew`);
  }
}

interface Stroke {
  readonly blow: Blow;
  readonly station: Station;
}

/** One or two blows, struck in the midst of some events; then everything must come right, and nothing else be touched. */
async function round(scene: Scene, random: Random, strokes: readonly Stroke[]): Promise<number> {
  const what = strokes.map(({ blow, station }) => `${blow.name} at ${station.name}`).join(" and ");
  const startedAt = performance.now();
  const before = scene.stations.map(station => station.wanted(scene.otherOf(station)));
  const doubles = [...scene.stations[0].announced].filter(n => scene.stations[1].announced.has(n));
  scene.watch.take();
  const events = new Events(random, scene.stations);
  const count = 1 + random(5);
  const strikeAt = random(count + 1);
  const struck: Promise<void>[] = [];
  for (let at = 0; at <= count; at++) {
    if (at === strikeAt)
      for (const { blow, station } of strokes)
        struck.push(blow.strike(station, random(3) === 0 ? random(1500) : 0));
    if (at < count) await events.one();
    await sleep(random(60));
  }
  await Promise.all(struck);
  const settled = scene.settle(what);
  await Promise.all([events.granted(), settled]);
  for (const [at, station] of scene.stations.entries()) {
    if (strokes.some(stroke => stroke.blow.isSwitch === true && stroke.station === station)) continue;
    await scene.assertUntouched(station, before[at]!, (performance.now() - startedAt) / 1000, what);
  }
  // Which of two that announce the same is best may change with either of them.
  const mayChange = new Set([...events.touched, ...doubles].map(n => `203.0.113.${n}/32`));
  const changed = scene.watch.take();
  if (changed !== null)
    assert.equal(
      sorted(changed).filter(prefix => !mayChange.has(prefix)),
      [],
      `${what}: the reflector told a change`,
    );
  scene.watch.begin();
  return settled;
}

test(`${KILLS} kills under random events: flows, announcements and routes are the model's every time`, async () => {
  const here = await Hypervisors.start(2);
  const first = seed();
  process.stdout.write(`  seed ${first}\n`);
  const random = randomOf(first);
  const times = new Map<string, number[]>();
  const scene = new Scene(here);
  try {
    await here.machine.addNodes([NODE]);
    for (const station of scene.stations) station.startAgent();
    await scene.settle("the start");
    scene.watch.begin();
    let deck: Blow[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      if (deck.length === 0) deck = deckOf(random);
      const blow = deck.shift()!;
      const station = scene.stations[random(2)]!;
      const strokes = [{ blow, station }];
      const more = BLOWS[random(BLOWS.length)]!;
      if (random(4) === 0 && isPair(blow, more))
        strokes.push({ blow: more, station: scene.stations[random(2)]! });
      const ms = await round(scene, random, strokes);
      const name = strokes.map(stroke => stroke.blow.name).join(" + ");
      times.set(name, [...(times.get(name) ?? []), ms]);
      if (process.env.AGENT_LOG === "1")
        process.stdout.write(`  ${kill}: ${name}: ${(ms / 1000).toFixed(2)} s\n`);
    }
    for (const [name, all] of times)
      process.stdout.write(
        `  ${name}, ${all.length} times: in step after at most ${(Math.max(...all) / 1000).toFixed(1)} s\n`,
      );
  } finally {
    scene.watch.end();
    for (const { vswitchd } of scene.stations)
      if (vswitchd !== null) await here.machine.stop(vswitchd, "SIGKILL");
    await here.close();
  }
});

test.run();
