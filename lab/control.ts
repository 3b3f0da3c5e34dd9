/**
 * The control plane of a lab with agents: a management network, and on it a gobgpd and a `slash32 agent` for
 * each hypervisor, a route reflector, BIRD and FRR as routers of the fabric, a gobgpd for the lab's router,
 * and one at the border. Hypervisors and router have their daemon in their own namespace; the other daemons
 * share the namespace of the bridge that connects them. docs/lab.md draws it.
 */
import { Gobgp3 } from "../src/bgp/index.ts";
import { AgentProcess, type AgentStatus } from "./agent-process.ts";
import { Bird, Frr, missingDaemons, NODE, Speaker } from "./daemons.ts";
import type { Engine } from "./engines.ts";
import { LabError, type Machine, until } from "./machine.ts";
import * as plan from "./plan.ts";
import { RouterRoutes } from "./router-routes.ts";

/** Names of the bridge of the management network, and of its device on each member. */
const BRIDGE = "mgmt";
const DEVICE = "mgmt0";
/** Longest time until sessions are up; gobgpd waits before it connects again. */
const SESSION_MS = 60_000;
/** Longest time until a change has reached all speakers. */
const SPREAD_MS = 15_000;

/** Clients of the reflector. */
const CLIENTS: readonly string[] = [
  ...plan.HYPERVISORS.map(({ address }) => address),
  ...Object.values(plan.SPEAKERS).filter(address => address !== plan.SPEAKERS.reflector),
];

/** Why there can be no agents here, or null. */
export async function whyNoAgents(): Promise<string | null> {
  const missing = await missingDaemons();
  return missing === "" ? null : `not installed: ${missing}`;
}

/** What the control plane uses of its lab. */
export interface ControlledLab {
  readonly machine: Machine;
  readonly vms: readonly plan.Vm[];
  readonly control: ControlPlane | null;
  /** Folder of the captures; null: none. */
  readonly captures: string | null;
  engine(name: string): Engine;
  intentOf(name: string): string;
}

/** Daemons and agents of one lab. */
export class ControlPlane {
  readonly lab: ControlledLab;
  /** All traffic between the reflector, the hypervisors and the router passes here. */
  readonly capturePoint = { node: NODE, name: BRIDGE };
  readonly reflector: Speaker;
  /** Announces prefixes for scenarios, and no VM. */
  readonly border: Speaker;
  readonly router: Speaker;
  readonly speakers: ReadonlyMap<string, Speaker>;
  readonly agents = new Map<string, AgentProcess>();
  bird!: Bird;
  frr!: Frr;
  #routes: RouterRoutes | null = null;

  private constructor(lab: ControlledLab) {
    this.lab = lab;
    const { machine } = lab;
    const { reflector, router, border } = plan.SPEAKERS;
    const isReflector = true;
    this.reflector = new Speaker(machine, {
      name: "reflector",
      address: reflector,
      peers: CLIENTS,
      isReflector,
    });
    const client = (name: string, address: string, node = name): Speaker =>
      new Speaker(machine, { name, address, node, peers: [reflector] });
    this.border = client("border", border, NODE);
    this.router = client("router", router);
    this.speakers = new Map(plan.HYPERVISORS.map(({ name, address }) => [name, client(name, address)]));
  }

  /** Starts all daemons and agents, and waits until all have every VM on a layer-3 path. */
  static async start(lab: ControlledLab): Promise<ControlPlane> {
    await addManagementNetwork(lab.machine);
    const control = new ControlPlane(lab);
    try {
      await control.#start();
    } catch (error) {
      await control.close();
      throw error;
    }
    return control;
  }

  agent(hypervisor: string): AgentProcess {
    const found = this.agents.get(hypervisor);
    if (found === undefined) throw new Error(`no hypervisor ${hypervisor}`);
    return found;
  }

  speaker(hypervisor: string): Speaker {
    const found = this.speakers.get(hypervisor);
    if (found === undefined) throw new Error(`no hypervisor ${hypervisor}`);
    return found;
  }

  /**
   * Requests one step of a VM's path from the agent of its hypervisor. Throws a LabError if the agent rejects
   * it.
   */
  async setPath(vm: plan.Vm, path: plan.Path): Promise<void> {
    const { status, text } = await this.agent(vm.hypervisor).setPath(vm, path);
    if (status !== 200) throw new LabError(`${vm.name} → ${path}: the agent answered ${status}: ${text}`);
  }

  /**
   * Waits until all agents are in sync and all speakers have the /32 of each announced VM; returns the
   * agents' status.
   */
  async inStep(): Promise<AgentStatus[]> {
    const announced = this.lab.vms.filter(({ path }) => path !== "l2");
    const prefixes = announced.map(({ address }) => `${address}/32`);
    const statuses: AgentStatus[] = [];
    for (const agent of this.agents.values()) statuses.push(await agent.inStep());
    const counts = (): Promise<number[]> =>
      Promise.all(
        [...this.agents].map(async ([name, agent]) => {
          const here = announced.filter(vm => vm.hypervisor === name).length;
          return (await agent.status()).routes.count + here;
        }),
      );
    await until(
      `every agent has ${prefixes.length} VMs' /32s`,
      async () => (await counts()).every(count => count >= prefixes.length),
      SPREAD_MS,
    );
    for (const prefix of prefixes) await this.isEverywhere(prefix);
    return statuses;
  }

  /** Waits until the router, BIRD and FRR have a prefix. */
  async isEverywhere(prefix: string): Promise<void> {
    await until(`BIRD shows ${prefix}`, async () => (await this.bird.labels(prefix)) !== null, SPREAD_MS);
    await until(`FRR shows ${prefix}`, async () => (await this.frr.labels(prefix)) !== null, SPREAD_MS);
    await until(`the router has ${prefix}`, async () => (await this.routerHas(prefix)) !== null, SPREAD_MS);
  }

  /** Name of the hypervisor to which the router sends a /32, null for none. */
  async routerHas(prefix: string): Promise<string | null> {
    const text = await this.lab.machine.run("router", ["ip", "route", "show", prefix, "dev", "mpls0"]);
    const [, via] = /via ([\d.]+)/.exec(text) ?? [];
    return plan.HYPERVISORS.find(({ nextHop }) => nextHop === via)?.name ?? null;
  }

  /**
   * Proves the flows of each hypervisor against the intent that the lab would write; returns the number of
   * proofs.
   */
  async prove(): Promise<number> {
    const { lab } = this;
    await this.inStep();
    for (const hv of plan.HYPERVISORS) {
      const verdict = await lab.engine(hv.name).prove(lab.intentOf(hv.name));
      if (verdict !== "equal") throw new LabError(`${hv.name}: slash32 says of what is in force: ${verdict}`);
    }
    return plan.HYPERVISORS.length;
  }

  /** Resolves when the reflector has a session with each of its clients, and their End-of-RIB. */
  async sessions(): Promise<void> {
    const daemon = new Gobgp3(this.reflector.api);
    try {
      const isUp = async (): Promise<boolean> => {
        const peers = await daemon.peers().catch(() => []);
        return peers.length === CLIENTS.length && peers.every(peer => peer.isUp && peer.hasEnded);
      };
      await until("the reflector has all its sessions", isUp, SESSION_MS);
    } finally {
      daemon.close();
    }
  }

  /** Closes the connections of this process; the machine ends the processes. */
  async close(): Promise<void> {
    await this.#routes?.close();
  }

  async #start(): Promise<void> {
    const { machine } = this.lab;
    const { reflector, bird, frr } = plan.SPEAKERS;
    const speakers = [this.reflector, this.border, this.router, ...this.speakers.values()];
    await Promise.all(speakers.map(speaker => speaker.start()));
    [this.bird, this.frr] = await Promise.all([
      Bird.start(machine, bird, reflector),
      Frr.start(machine, frr, reflector),
    ]);
    this.#routes = new RouterRoutes(machine, this.router.api);
    for (const hv of plan.HYPERVISORS) {
      const engine = this.lab.engine(hv.name);
      // Live ports begin with what the agent does; a bridge begins empty.
      if (engine.name === "slash32") await engine.prepare(plan.baseOf(hv)).then(commit => commit());
      const ties = { sink: engine.sink, gobgp: this.speaker(hv.name).api };
      const agent = new AgentProcess(machine, hv, ties);
      this.agents.set(hv.name, agent);
      for (const vm of this.lab.vms.filter(({ hypervisor }) => hypervisor === hv.name)) agent.drop(vm);
    }
    await Promise.all([...this.agents.values()].map(agent => agent.start()));
    await until(
      "every agent has the whole table of routes",
      async () => {
        const all = await Promise.all([...this.agents.values()].map(agent => agent.status()));
        return all.every(({ routes }) => routes.complete);
      },
      SESSION_MS,
    );
    await this.inStep();
  }
}

/** The control plane of a lab that has one. */
export function controlOf(lab: ControlledLab): ControlPlane {
  if (lab.control === null) throw new LabError("this lab has no agents");
  return lab.control;
}

/**
 * Makes a Linux bridge, a link from it to each hypervisor and to the router, and the addresses of all
 * speakers.
 */
async function addManagementNetwork(machine: Machine): Promise<void> {
  const members = [
    ...plan.HYPERVISORS.map(({ name, address }) => ({ name, address })),
    { name: "router", address: plan.SPEAKERS.router },
  ];
  await machine.addNodes([NODE]);
  await machine.addLinks(
    members.map(({ name }) => ({ a: { node: NODE, name }, b: { node: name, name: DEVICE }, mtu: 1500 })),
  );
  const { reflector, bird, frr, border } = plan.SPEAKERS;
  await machine.ip(NODE, [
    `link add ${BRIDGE} type bridge`,
    ...members.map(({ name }) => `link set ${name} master ${BRIDGE}`),
    `link set ${BRIDGE} up`,
    ...[reflector, bird, frr, border].map(
      address => `addr add ${address}/${plan.MANAGEMENT_BITS} dev ${BRIDGE}`,
    ),
  ]);
  await Promise.all(
    members.map(({ name, address }) =>
      machine.ip(name, [`addr add ${address}/${plan.MANAGEMENT_BITS} dev ${DEVICE}`]),
    ),
  );
}
