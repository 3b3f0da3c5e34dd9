/**
 * `npm run lab -- --arp`: the number of broadcast frames that each host receives for the same traffic of the
 * same 200 VMs on a learning bridge, on the pipeline's layer-2 path, and on its layer-3 path. All hypervisors
 * run Open vSwitch, because only Open vSwitch can also be the learning bridge. Each VM is a namespace with an
 * empty neighbor cache. RFC 826.
 */

import { OvsEngine } from "./engines.ts";
import type { Host } from "./host.ts";
import { Lab } from "./lab.ts";
import { LabError, sleep } from "./machine.ts";
import { GATEWAY, HYPERVISORS, type Path, type Vm, vmOf } from "./plan.ts";

const VMS = 200;
/**
 * Number of other VMs that each VM pings, besides the gateway. All namespaces of a machine share one neighbor
 * table of 1,024 entries (gc_thresh3), and both peers of a conversation hold one.
 */
const PEERS = 1;
const AT_ONCE = 8;
const SETTLE_MS = 1500;

interface Way {
  readonly name: string;
  readonly path: Path;
  readonly isBridge: boolean;
}

const WAYS: readonly Way[] = [
  { name: "learning bridge", path: "l2", isBridge: true },
  { name: "layer-2 path", path: "l2", isBridge: false },
  { name: "layer-3 path", path: "l3", isBridge: false },
];

/** VMs in turn on the three hypervisors. */
function manyVms(): Vm[] {
  return Array.from({ length: VMS }, (_, index) => {
    const hv = HYPERVISORS[index % HYPERVISORS.length]!;
    const number = index + 2;
    const ofport = 100 + index;
    const mac = `52:54:00:00:02:${number.toString(16).padStart(2, "0")}`;
    const names = { id: 1000 + number, name: `v${number}`, port: `v${number}`, ofport, homeOfport: ofport };
    return { ...vmOf(hv.number, 1, "l2"), ...names, mac, address: `203.0.113.${number}` };
  });
}

/** Whom VM `index` speaks with: always the same, spread over all hypervisors. */
const peersOf = (vms: readonly Vm[], index: number): Vm[] =>
  Array.from({ length: PEERS }, (_, nth) => vms[(index + 1 + nth * 37) % vms.length]!);

/** Counts broadcast frames that come to an interface, until it is stopped. */
function counting(lab: Lab, node: string, nic: string): { stop(): Promise<number> } {
  const words = ["tcpdump", "-l", "-nn", "-Q", "in", "-i", nic, "ether", "broadcast"];
  const running = lab.machine.start(node, `${node}-count`, words, process.env, true);
  let text = "";
  running.child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  const closed = new Promise<void>(resolve => running.child.once("close", () => resolve()));
  return {
    stop: async () => {
      await lab.machine.stop(running, "SIGINT");
      await closed;
      return text.split("\n").filter(line => line !== "").length;
    },
  };
}

/** All VMs ping the gateway and their peers, a few at a time. Throws a LabError if a ping gets no reply. */
async function talk(lab: Lab): Promise<void> {
  const left = lab.vms.entries();
  const lane = async (): Promise<void> => {
    for (const [index, vm] of left) {
      const host: Host = lab.host(vm.name);
      for (const to of [GATEWAY, ...peersOf(lab.vms, index).map(({ address }) => address)]) {
        const { lost } = await host.ping(to, 1);
        if (lost > 0) throw new LabError(`${vm.name}: ${to} did not answer`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function forget(lab: Lab): Promise<void> {
  const nodes = [...lab.vms.map(({ name }) => name), "router"];
  await Promise.all(
    nodes.map(node =>
      lab.machine.shell(node, "ip neigh flush nud reachable nud stale nud delay nud probe nud failed"),
    ),
  );
  for (const bridge of lab.fabric.values()) await bridge.appctl(["fdb/flush", "br0"]);
}

async function measure(lab: Lab, { path, isBridge }: Way): Promise<{ hypervisors: number[]; vms: number[] }> {
  for (const vm of lab.vms) Object.assign(vm, { path, isAnnounced: path !== "l2" });
  await lab.apply(HYPERVISORS.map(({ name }) => name));
  for (const vm of lab.vms) await lab.announceToRouter(vm);
  if (isBridge) {
    for (const engine of lab.engines.values())
      if (engine instanceof OvsEngine) await engine.bridge.replaceFlows("priority=0 actions=NORMAL\n");
    for (const engine of lab.engines.values()) await engine.settle();
  }
  await forget(lab);
  const uplinks = HYPERVISORS.map(({ name }) => counting(lab, name, "uplink0"));
  // A VM of each hypervisor stands for its neighbours there.
  const sample = HYPERVISORS.map(({ name }) => lab.vms.find(({ hypervisor }) => hypervisor === name)!);
  const ears = sample.map(({ name, nic }) => counting(lab, name, nic));
  await sleep(SETTLE_MS);
  await talk(lab);
  await sleep(SETTLE_MS);
  return {
    hypervisors: await Promise.all(uplinks.map(each => each.stop())),
    vms: await Promise.all(ears.map(each => each.stop())),
  };
}

/** Builds the scene, measures the three ways, prints a Markdown table. */
export async function arpNumbers(say: (line: string) => void): Promise<void> {
  const engines = { hv1: "ovs", hv2: "ovs", hv3: "ovs" } as const;
  const lab = await Lab.start({ engines, vms: manyVms(), captures: null });
  try {
    say(
      `${VMS} VMs on ${HYPERVISORS.length} hypervisors; each pings the gateway and ${PEERS} other VM once, ` +
        "with empty neighbor caches",
    );
    say(`\n| | ${HYPERVISORS.map(({ name }) => `${name}, from the fabric`).join(" | ")} | a VM of each |`);
    say("|---|--:|--:|--:|--:|");
    for (const way of WAYS) {
      const { hypervisors, vms } = await measure(lab, way);
      say(`| ${way.name} | ${hypervisors.join(" | ")} | ${vms.join(", ")} |`);
    }
  } finally {
    await lab.close();
  }
}
