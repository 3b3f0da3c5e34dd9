/**
 * A small fabric for tests of agents: hypervisors, each with a private Open vSwitch and a gobgpd, on one route reflector. The
 * daemons run in a namespace of the test's own; whoever starts an agent decides whether it is in this process or a program.
 */

import { join } from "node:path";
import { addRoutingNode, missingDaemons, Speaker } from "../../lab/daemons.ts";
import { Machine, until, whyNot } from "../../lab/machine.ts";
import { type AgentSettings, joinBgp, type Running, startAgent } from "../../src/agent/index.ts";
import { Gobgp3 } from "../../src/bgp/index.ts";
import { type Intent, parseIntent } from "../../src/intent/index.ts";
import { peer, skip } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { settingsAt, Workplace } from "./base.ts";

export const REFLECTOR = "10.77.0.254";
/** The private switch's own flow, which leads every frame of its markers to every port. */
export const MARKER = 0x736c617368333200n;
export const GATEWAY = "02:00:00:00:00:fe";
const SESSION_MS = 60_000;

/** The base intent of hypervisor `number`: label 1000 + number, no VM, no route. */
function baseOf(number: number, bridge: string): Intent {
  const text = `name: hv${number}
bridge: ${bridge}
label: ${1000 + number}
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:0${number} }
`;
  return parseIntent(text, "base.yaml", ".").intent!;
}

/** A hypervisor: what an agent on it needs. */
export class Hypervisor {
  readonly nextHop: string;
  readonly speaker: Speaker;
  readonly place = new Workplace();
  readonly said: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  readonly sw: PrivateSwitch;
  readonly number: number;
  readonly #running: Running[] = [];

  constructor(number: number, machine: Machine, sw: PrivateSwitch) {
    this.number = number;
    this.sw = sw;
    this.nextHop = `10.77.0.${number}`;
    this.speaker = new Speaker(machine, {
      name: `hv${number}`,
      address: this.nextHop,
      peers: [REFLECTOR],
      unicastPeers: [REFLECTOR],
    });
  }

  get socket(): string {
    return join(this.place.path, "agent.sock");
  }

  /** The socket by which ovs-ofctl reaches the switch. */
  get bridge(): string {
    return join(this.sw.whereabouts.folder, "br0.mgmt");
  }

  get state(): string {
    return join(this.place.path, "state");
  }

  /** The flows that are not the private switch's own, sorted. */
  async flows(): Promise<string[]> {
    const dump = await this.sw.dumpFlows();
    return dump.split("\n").filter(line => line.includes("actions=") && !line.includes("0x736c617368333200"));
  }

  get base(): Intent {
    return baseOf(this.number, this.bridge);
  }

  /** Starts an agent in this process. */
  async start(more: Partial<AgentSettings> = {}, isUnicast = false): Promise<Running> {
    const bgp = { gobgp: this.speaker.api, nextHop: this.nextHop, isUnicast, gateway: GATEWAY, macs: [] };
    const running = await startAgent({
      ...settingsAt(this.place, this.base),
      peers: joinBgp(bgp),
      ignoredCookies: [MARKER],
      log: (_, message, fields = {}) => void this.said.push({ message, fields }),
      ...more,
    });
    this.#running.push(running);
    return running;
  }

  /** The words that start the program in place of `start`. */
  get words(): string[] {
    const places = [
      "--create-folders",
      "--vms",
      this.place.vms,
      "--state",
      this.state,
      "--socket",
      this.socket,
    ];
    const fabric = ["--gobgp", this.speaker.api, "--next-hop", this.nextHop, "--gateway", GATEWAY];
    const cookie = ["--ignore-cookie", `0x${MARKER.toString(16)}`];
    return ["-n", join(this.place.path, "base.yaml"), ...places, ...fabric, ...cookie];
  }

  async stop(): Promise<void> {
    for (const running of this.#running.splice(0)) await running.stop().catch(() => undefined);
  }
}

export class Hypervisors {
  readonly machine: Machine;
  readonly reflector: Speaker;
  readonly all: readonly Hypervisor[];
  /** The reflector as whoever asks it. */
  readonly daemon: Gobgp3;

  private constructor(machine: Machine, reflector: Speaker, all: readonly Hypervisor[]) {
    this.machine = machine;
    this.reflector = reflector;
    this.all = all;
    this.daemon = new Gobgp3(reflector.api);
  }

  /** Starts `count` of them, up to 9, and waits for their sessions. Skips the test when a peer is missing. */
  static async start(count: number): Promise<Hypervisors> {
    peer("ovs-vswitchd");
    const why = (await whyNot()) ?? ((await missingDaemons()) || null);
    if (why !== null) skip(why);
    const machine = new Machine();
    const switches: PrivateSwitch[] = [];
    try {
      const numbers = Array.from({ length: count }, (_, index) => index + 1);
      const addresses = numbers.map(number => `10.77.0.${number}`);
      await addRoutingNode(machine, [...addresses, REFLECTOR]);
      const reflector = new Speaker(machine, {
        name: "reflector",
        address: REFLECTOR,
        peers: addresses,
        unicastPeers: addresses,
        isReflector: true,
      });
      const all: Hypervisor[] = [];
      for (const number of numbers) {
        switches.push(await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] }));
        all.push(new Hypervisor(number, machine, switches.at(-1)!));
      }
      await Promise.all([reflector, ...all.map(({ speaker }) => speaker)].map(speaker => speaker.start()));
      const here = new Hypervisors(machine, reflector, all);
      await here.sessions();
      return here;
    } catch (error) {
      for (const sw of switches) await sw.close();
      await machine.close();
      throw error;
    }
  }

  /** Waits until the reflector has all its sessions, and all it is owed by them. */
  sessions(): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const peers = await this.daemon.peers().catch(() => []);
      return peers.length === this.all.length && peers.every(({ isUp, hasEnded }) => isUp && hasEnded);
    };
    return until("all sessions", isUp, SESSION_MS);
  }

  /** What the reflector has, as `PREFIX LABELS via NEXT-HOP`, sorted. */
  async announced(): Promise<string[]> {
    const paths = await this.daemon.list();
    return paths.map(({ route }) => `${route.prefix} ${route.labels.join("/")} via ${route.nextHop}`).sort();
  }

  async close(): Promise<void> {
    for (const hypervisor of this.all) await hypervisor.stop();
    this.daemon.close();
    for (const { sw, place } of this.all) {
      await sw.close();
      place.remove();
    }
    await this.machine.close();
  }
}
