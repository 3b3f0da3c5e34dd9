/**
 * The lab: a small Clos of label-switching Open vSwitches, a core with a Linux router, three hypervisors, and
 * VMs with real Linux stacks. It keeps the state of a control plane (location, path and announcement of each
 * VM) and performs migrations in the order of the pipeline. docs/lab.md draws it.
 */
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eth } from "../src/wire/index.ts";
import { Bridge } from "./bridge.ts";
import { ControlPlane } from "./control.ts";
import { type Engine, OvsEngine, Slash32Engine } from "./engines.ts";
import { Host } from "./host.ts";
import { Machine, type Running, sleep } from "./machine.ts";
import type { EngineName, HypervisorPlan, Path, Vm } from "./plan.ts";
import * as plan from "./plan.ts";
import { configureRouter, linksOf, PARKED } from "./topology.ts";

export interface LabOptions {
  /** Engine of each hypervisor (default: hv1 Open vSwitch, the others slash32). */
  readonly engines?: Readonly<Record<string, EngineName>>;
  readonly vms?: Vm[];
  /** An agent runs on each hypervisor; the lab writes no intent. */
  readonly hasAgents?: boolean;
  /** Folder of the captures; null: none. */
  readonly captures?: string | null;
  readonly say?: (line: string) => void;
}

/** Bytes kept of each packet on fabric links. */
const SNAP_BYTES = 192;
/** Bytes kept of each packet on the management network: all. */
const WHOLE = 65_535;
/** Longest time that a packet is in flight on a path. */
const FLIGHT_MS = 60;

/** Engines by default. */
export const USUAL_ENGINES: Readonly<Record<string, EngineName>> = {
  hv1: "ovs",
  hv2: "slash32",
  hv3: "slash32",
};

/** A running lab. */
export class Lab {
  readonly machine = new Machine();
  readonly vms: Vm[];
  readonly engines = new Map<string, Engine>();
  readonly fabric = new Map<string, Bridge>();
  readonly captures: string | null;
  readonly say: (line: string) => void;
  readonly #hosts = new Map<string, Host>();
  readonly #engineNames: Readonly<Record<string, EngineName>>;
  readonly #captured: Running[] = [];
  readonly #hasAgents: boolean;
  /** Daemons and agents; null if the lab writes the intents. */
  control: ControlPlane | null = null;
  /** Called after every change of an intent, with the hypervisors that changed. */
  onChange: (names: readonly string[]) => Promise<void> = async () => undefined;

  private constructor(options: LabOptions) {
    this.vms = options.vms ?? plan.usualVms();
    this.#hasAgents = options.hasAgents ?? false;
    this.#engineNames = { ...USUAL_ENGINES, ...options.engines };
    this.say = options.say ?? (() => undefined);
    this.captures =
      options.captures === undefined ? join(tmpdir(), `lab-${this.machine.tag}`) : options.captures;
  }

  /** Builds a lab. It ends with `close()`, or when this process ends for any reason. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options);
    try {
      await lab.#build();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  host(name: string): Host {
    const found = this.#hosts.get(name);
    if (found === undefined) throw new Error(`no host ${name}`);
    return found;
  }

  vm(name: string): Vm {
    const found = this.vms.find(vm => vm.name === name);
    if (found === undefined) throw new Error(`no VM ${name}`);
    return found;
  }

  engine(name: string): Engine {
    const found = this.engines.get(name);
    if (found === undefined) throw new Error(`no hypervisor ${name}`);
    return found;
  }

  /**
   * Moves a VM one path up or down, in the order of the pipeline: the receiver is ready before anything is
   * sent to it.
   */
  async step(vm: Vm, path: Path): Promise<void> {
    const [from, to] = [plan.PATHS.indexOf(vm.path), plan.PATHS.indexOf(path)];
    if (Math.abs(from - to) !== 1) throw new Error(`${vm.name}: ${vm.path} → ${path} is no single step`);
    if (path === "l3") await this.#tellNeighbours(vm);
    if (this.control !== null) await this.control.setPath(vm, path);
    else await this.#stepByHand(vm, path);
    vm.path = path;
    vm.isAnnounced = path !== "l2";
    await sleep(FLIGHT_MS);
  }

  async #stepByHand(vm: Vm, path: Path): Promise<void> {
    const isFirst = vm.path === "l2";
    if (path === "l2") await this.announce(vm, false);
    vm.path = path;
    await this.apply([vm.hypervisor]);
    if (isFirst) await this.announce(vm, true);
  }

  /**
   * Announces or withdraws the /32 of a VM everywhere else, and waits until nothing is in flight on the old
   * path.
   */
  async announce(vm: Vm, isAnnounced: boolean): Promise<void> {
    vm.isAnnounced = isAnnounced;
    const others = plan.HYPERVISORS.filter(({ name }) => name !== vm.hypervisor);
    await Promise.all([this.apply(others.map(({ name }) => name)), this.announceToRouter(vm)]);
    await sleep(FLIGHT_MS);
  }

  /** Installs the intents that the state requires on these hypervisors. */
  async apply(names: readonly string[]): Promise<void> {
    const commits = await this.prepare(names);
    await Promise.all(commits.map(commit => commit()));
    await this.#settle(names);
  }

  async #settle(names: readonly string[]): Promise<void> {
    await Promise.all(names.map(name => this.engine(name).settle()));
    await this.onChange(names);
  }

  /** The first half of `apply`. */
  prepare(names: readonly string[]): Promise<(() => Promise<void>)[]> {
    return Promise.all(names.map(name => this.engine(name).prepare(this.intentOf(name))));
  }

  intentOf(name: string): string {
    return plan.intentOf(plan.hypervisorNamed(name), this.vms);
  }

  /**
   * Moves an l3 VM to another hypervisor: first the new port and its flows, then the VM, then the /32
   * everywhere. Returns the milliseconds from the stop of the VM until all have the new route.
   */
  async move(vm: Vm, to: string): Promise<number> {
    const oldNic = vm.nic;
    const isHome = to === vm.home;
    const newNic = isHome ? "eth0" : "eth1";
    if (!isHome) await this.#plugSpare(vm, to, newNic);
    const ports = isHome
      ? { port: vm.name, ofport: vm.homeOfport }
      : { port: plan.SPARE_PORT, ofport: plan.SPARE_OFPORT };
    const from = vm.hypervisor;
    Object.assign(vm, ports, { hypervisor: to, nic: newNic });
    const rest = plan.HYPERVISORS.map(({ name }) => name).filter(name => name !== to);
    const [[arrival], others] = await Promise.all([this.prepare([to]), this.prepare(rest)]);
    // From here on neighbours at the new place send to the new port: no time to lose.
    await arrival!();
    const stopped = performance.now();
    const unplugged = this.machine.ip(vm.name, [
      `link set ${oldNic} down`,
      `link set ${newNic} up`,
      `addr replace ${vm.address}/${plan.SUBNET_BITS} dev ${newNic}`,
      `route replace default via ${plan.GATEWAY} dev ${newNic}`,
    ]);
    await Promise.all([unplugged, ...others.map(commit => commit()), this.announceToRouter(vm)]);
    const movedMs = performance.now() - stopped;
    await this.machine.ip(vm.name, [`addr flush dev ${oldNic}`]);
    if (isHome)
      await this.machine.ip(vm.name, [
        `link set ${oldNic} netns ${this.machine.namespaceOf(from)} name ${PARKED}`,
      ]);
    await this.#settle([to, ...rest]);
    return movedMs;
  }

  /** Moves the far end of a hypervisor's spare port into a VM, as a second network card, still down. */
  async #plugSpare(vm: Vm, to: string, nic: string): Promise<void> {
    const { machine } = this;
    await machine.ip(to, [
      `link set ${PARKED} address ${vm.mac}`,
      `link set ${PARKED} netns ${machine.namespaceOf(vm.name)} name ${nic}`,
    ]);
    await machine.run(vm.name, ["ethtool", "-K", nic, "tx", "off"]);
  }

  /** Ends the captures, so that they are complete on disk. */
  async stopCaptures(): Promise<void> {
    await Promise.all(this.#captured.splice(0).map(running => this.machine.stop(running, "SIGINT")));
  }

  /** Ends and removes everything except the captures. Idempotent. */
  async close(): Promise<void> {
    await this.stopCaptures();
    await this.control?.close();
    await this.machine.close();
  }

  async #build(): Promise<void> {
    const { machine } = this;
    const switches = [...plan.SPINES, ...plan.LEAVES, plan.CORE];
    const vmNames = this.vms.map(({ name }) => name);
    const hypervisors = plan.HYPERVISORS.map(({ name }) => name);
    await machine.addNodes([
      ...switches.map(({ name }) => name),
      "router",
      "edge",
      ...hypervisors,
      ...vmNames,
    ]);
    await machine.addLinks(linksOf(this.vms));
    await Promise.all([
      ...switches.map(async ({ name, neighbours }) => {
        const ports = new Map(neighbours.map((neighbour, index) => [neighbour, index + 1]));
        this.fabric.set(name, await Bridge.start(machine, name, ports));
      }),
      ...plan.HYPERVISORS.map(hv => this.#startEngine(hv)),
      configureRouter(machine),
      this.#configureHosts(),
    ]);
    await this.#fillFabric();
    if (this.#hasAgents) this.control = await ControlPlane.start(this);
    else await Promise.all([this.apply(hypervisors), ...this.vms.map(vm => this.announceToRouter(vm))]);
    await this.#startCaptures();
  }

  async #configureHosts(): Promise<void> {
    const { machine } = this;
    const edge = new Host(machine, "edge", plan.EDGE_ADDRESS);
    this.#hosts.set("edge", edge);
    const vms = this.vms.map(async ({ name, address, nic }) => {
      const host = new Host(machine, name, address);
      this.#hosts.set(name, host);
      await host.configure(nic, plan.SUBNET_BITS, plan.GATEWAY);
    });
    await Promise.all([edge.configure("eth0", 24, plan.EDGE_GATEWAY), ...vms]);
  }

  async #startEngine({ name }: HypervisorPlan): Promise<void> {
    const ports = new Map([["uplink0", 1]]);
    for (const { port, ofport } of this.vms.filter(({ hypervisor }) => hypervisor === name))
      ports.set(port, ofport);
    ports.set(plan.SPARE_PORT, plan.SPARE_OFPORT);
    const isOvs = this.#engineNames[name] === "ovs";
    const engine = isOvs
      ? await OvsEngine.start(this.machine, name, ports)
      : new Slash32Engine(this.machine, name, [...ports.keys()]);
    this.engines.set(name, engine);
  }

  async #fillFabric(): Promise<void> {
    const flows = new Map([
      ...plan.LEAVES.map(leaf => [leaf.name, plan.leafFlows(leaf)] as const),
      ...plan.SPINES.map(spine => [spine.name, plan.spineFlows(spine)] as const),
      [plan.CORE.name, plan.coreFlows()] as const,
    ]);
    await Promise.all([...flows].map(([name, text]) => this.fabric.get(name)!.replaceFlows(text)));
  }

  /** Installs or removes the /32 of a VM on the router, by the label of its hypervisor. */
  async announceToRouter(vm: Vm): Promise<void> {
    const { nextHop } = plan.hypervisorNamed(vm.hypervisor);
    const line = vm.isAnnounced
      ? `ip route replace ${vm.address}/32 via ${nextHop} dev mpls0`
      : `ip route del ${vm.address}/32 2>/dev/null || true`;
    await this.machine.shell("router", line);
  }

  /**
   * Updates the neighbors of a VM on the layer-2 path before its layer-2 flows are removed: they may have
   * cached the VM's own MAC, which nothing would answer any more. One unicast frame each, because hypervisors
   * suppress broadcasts; a gratuitous reply, because Linux accepts nothing else for an entry younger than a
   * second (arp(7), locktime).
   */
  async #tellNeighbours(vm: Vm): Promise<void> {
    const core = this.fabric.get("core")!;
    const told = this.vms.filter(other => other !== vm && (other.path === "l2" || other.path === "dual-l2"));
    for (const other of told) {
      const frame = eth({ src: plan.VIRTUAL_MAC, dst: other.mac })
        .arp({ op: 2, sha: plan.VIRTUAL_MAC, spa: vm.address, tha: plan.VIRTUAL_MAC, tpa: vm.address })
        .bytes();
      await core.packetOut("NONE", frame, "output:1");
    }
  }

  /** One capture per node; each link is an interface in exactly one of them. */
  async #startCaptures(): Promise<void> {
    if (this.captures === null) return;
    mkdirSync(this.captures, { recursive: true });
    const ends = new Map<string, string[]>();
    for (const { a } of linksOf(this.vms)) ends.set(a.node, [...(ends.get(a.node) ?? []), a.name]);
    if (this.control !== null) ends.set(this.control.capturePoint.node, [this.control.capturePoint.name]);
    for (const [node, names] of ends) {
      const file = join(this.captures, `${node}.pcapng`);
      const words = [
        "dumpcap",
        "-q",
        "-s",
        String(node === this.control?.capturePoint.node ? WHOLE : SNAP_BYTES),
        ...names.flatMap(name => ["-i", name]),
        "-w",
        file,
      ];
      this.#captured.push(this.machine.start(node, `${node}-dumpcap`, words));
    }
    await sleep(300);
  }
}
