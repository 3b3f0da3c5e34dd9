/**
 * The rig of the benchmark's rows on the agent: `slash32 agent` as a user starts it, on a private Open
 * vSwitch or on `slash32 live`, beside a gobgpd that has a session with a route reflector. All daemons run in
 * a namespace of the machine, which removes them. docs/agent.md.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { joinBgp, startAgent } from "../src/agent/index.ts";
import { BgpAnnouncer, type FabricRoute, Gobgp3 } from "../src/bgp/index.ts";
import { ask } from "../src/host/index.ts";
import { parseIntent } from "../src/intent/index.ts";
import { PrivateSwitch } from "../test/ovs/private-switch.ts";
import { addRoutingNode, Speaker } from "./daemons.ts";
import { execute, type Machine, type Running, sleep, until } from "./machine.ts";
import { PROGRAM } from "./programs.ts";

const [REFLECTOR, HERE] = ["10.77.0.254", "10.77.0.1"];
const GATEWAY = "02:00:00:00:00:fe";
const NODE = "hosts";
/** Cookie of the private switch's own flow. */
const MARKER = 0x736c617368333200n;
export const SESSION_MS = 60_000;
export const TABLE_MS = 120_000;
/** Long enough that polling is not a part of what is measured. */
const POLL_MS = 50;

/** The labelled /32 number `index`. */
export const routeOf = (index: number, label = 100, nextHop = "10.77.0.9"): FabricRoute => ({
  prefix: `100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}/32`,
  labels: [label],
  nextHop,
  originator: null,
});

/** Address of VM `n`. */
export const addressOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
/** The file of VM `n`. */
export const vmText = (n: number): string => {
  const host = [16, 8, 0].map(shift => ((n >> shift) & 255).toString(16).padStart(2, "0"));
  return [
    `id: ${n}`,
    `name: vm-${n}`,
    `port: t${n}`,
    `ofport: ${100 + n}`,
    `mac: 52:54:00:${host.join(":")}`,
    `addresses: [${addressOf(n)}]`,
    "path: l3\n",
  ].join("\n");
};

/** Where the agent keeps its table. */
export type Sink = "switch" | "core";

/** The part of an agent's status that is used. */
export interface AgentState {
  readonly inStep: boolean;
  readonly vms: number;
  readonly announced: number | null;
  readonly routes: { readonly count: number; readonly complete: boolean };
}

/** A reflector, a gobgpd and a switch of one hypervisor, and the folders of its agent. */
export class AgentRig {
  readonly announcer: BgpAnnouncer;
  /** When the reflector announced each prefix, and the number of paths that it announced or withdrew. */
  readonly announcedAt = new Map<string, number>();
  pathCount = 0;
  readonly sw: PrivateSwitch;
  readonly #machine: Machine;
  readonly #reflector: Gobgp3;
  readonly #speaker: Speaker;
  readonly #folder: string;
  #stopWatch: () => void = () => undefined;
  #count = 0;

  private constructor(machine: Machine, reflector: Speaker, speaker: Speaker, sw: PrivateSwitch) {
    this.#machine = machine;
    this.#reflector = new Gobgp3(reflector.api);
    this.announcer = new BgpAnnouncer(this.#reflector);
    this.#speaker = speaker;
    this.sw = sw;
    this.#folder = join(machine.folder, "agent");
    for (const folder of [this.#folder, this.vms]) mkdirSync(folder);
    writeFileSync(this.#base, this.#baseText());
  }

  static async start(machine: Machine): Promise<AgentRig> {
    await addRoutingNode(machine, [REFLECTOR!, HERE!]);
    await machine.addNodes([NODE]);
    const options = { name: "reflector", address: REFLECTOR!, peers: [HERE!], isReflector: true };
    const reflector = new Speaker(machine, options);
    const speaker = new Speaker(machine, { name: "here", address: HERE!, peers: [REFLECTOR!] });
    await Promise.all([reflector.start(), speaker.start()]);
    const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "up" }] });
    const rig = new AgentRig(machine, reflector, speaker, sw);
    const isUp = async (): Promise<boolean> =>
      (await rig.#reflector.peers()).some(peer => peer.isUp && peer.hasEnded);
    await until("the session", isUp, SESSION_MS);
    rig.#stopWatch = rig.#reflector.watch(
      paths => {
        const now = performance.now();
        for (const { route } of paths) rig.announcedAt.set(route.prefix, now);
        rig.pathCount += paths.length;
      },
      () => undefined,
    );
    return rig;
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

  /** Starts live ports with an uplink that has no peer. */
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
    return this.#machine.start(NODE, name, [process.execPath, PROGRAM, ...words]);
  }

  stop(running: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<unknown> {
    return this.#machine.stop(running, signal);
  }

  /** An agent in this process; `onWritten` is called as soon as a change is written. */
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

  async status(): Promise<AgentState | null> {
    try {
      return JSON.parse((await ask(this.#socket, "GET", "/v1/status")).text) as AgentState;
    } catch {
      return null;
    }
  }

  async untilStatus(what: string, isSo: (status: AgentState) => boolean): Promise<void> {
    for (const end = performance.now() + TABLE_MS; ; await sleep(POLL_MS)) {
      const status = await this.status();
      if (status !== null && isSo(status)) return;
      if (performance.now() > end) throw new Error(`${what}: not within ${TABLE_MS / 1000} s`);
    }
  }

  /** Number of routes in the sink. */
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

  /** Creates the file of a VM, as a user would. */
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
