/**
 * The plan of the lab: switches, hypervisors, virtual machines, addresses, labels, and the flows of the
 * switches that only switch labels. Data and pure functions. Addresses are from the blocks for documentation
 * (RFC 5737).
 */

/** Of a link of the fabric: a 1,500-byte packet and three labels fit. */
export const FABRIC_MTU = 1600;
export const VM_MTU = 1500;
/** What every VM sees as its gateway, on the layer-3 path and, in the lab, on the layer-2 path too. */
export const VIRTUAL_MAC = "fe:00:00:00:01:01";
export const GATEWAY = "203.0.113.1";
export const SUBNET_BITS = 24;
/** The label of the path that ends at the core. */
export const CORE_LABEL = 3001;
export const EDGE_ADDRESS = "198.51.100.10";
export const EDGE_GATEWAY = "198.51.100.1";
/** The router's leg to the label edge. */
export const LABEL_LEG_MAC = "02:00:00:00:0c:01";
/** Who speaks BGP on the management network besides the hypervisors, when the lab has agents. */
export const SPEAKERS = {
  reflector: "10.0.0.254",
  bird: "10.0.0.253",
  frr: "10.0.0.252",
  router: "10.0.0.251",
  border: "10.0.0.250",
} as const;
export const MANAGEMENT_BITS = 24;
const CORE_MAC = "02:00:00:00:0c:02";

export type Path = "l2" | "dual-l2" | "dual-l3" | "l3";
export const PATHS: readonly Path[] = ["l2", "dual-l2", "dual-l3", "l3"];
export type EngineName = "ovs" | "slash32";

export interface HypervisorPlan {
  readonly name: string;
  readonly number: number;
  readonly leaf: string;
  readonly label: number;
  readonly mac: string;
  /** Standing on the router for "the hypervisor at the far end of this label". */
  readonly nextHop: string;
  readonly nextHopMac: string;
  /** On the management network: where its gobgpd speaks, and the next hop of what it announces. */
  readonly address: string;
}

const hypervisor = (number: number, leaf: string): HypervisorPlan => ({
  name: `hv${number}`,
  number,
  leaf,
  label: 1000 + number,
  mac: `02:00:00:00:00:0${number}`,
  nextHop: `169.254.0.${number}`,
  nextHopMac: `02:00:00:00:0d:0${number}`,
  address: `10.0.0.${number}`,
});

export const HYPERVISORS: readonly HypervisorPlan[] = [
  hypervisor(1, "leaf1"),
  hypervisor(2, "leaf1"),
  hypervisor(3, "leaf2"),
];

/** A virtual machine and where it is attached. */
export interface Vm {
  readonly id: number;
  readonly name: string;
  readonly mac: string;
  readonly address: string;
  /** Where it was born, and the number of its port there. */
  readonly home: string;
  readonly homeOfport: number;
  hypervisor: string;
  /** The port's name at the hypervisor, its number there, and the interface's name in the VM. */
  port: string;
  ofport: number;
  nic: string;
  path: Path;
  /** Whether the others have its /32. */
  isAnnounced: boolean;
}

/** VM `number` of a hypervisor: `vm21` is the first of hv2. */
export function vmOf(hypervisorNumber: number, number: number, path: Path): Vm {
  const id = hypervisorNumber * 10 + number;
  return {
    id,
    name: `vm${id}`,
    mac: `52:54:00:00:00:${id}`,
    address: `203.0.113.${id}`,
    home: `hv${hypervisorNumber}`,
    homeOfport: 10 + number,
    hypervisor: `hv${hypervisorNumber}`,
    port: `vm${id}`,
    ofport: 10 + number,
    nic: "eth0",
    path,
    isAnnounced: path !== "l2",
  };
}

/** The VMs of the lab; vm13 and vm32 are still on the layer-2 path. */
export const usualVms = (): Vm[] => [
  vmOf(1, 1, "l3"),
  vmOf(1, 2, "l3"),
  vmOf(1, 3, "l2"),
  vmOf(2, 1, "l3"),
  vmOf(2, 2, "l3"),
  vmOf(3, 1, "l3"),
  vmOf(3, 2, "l2"),
];

/** The port that waits at every hypervisor for a VM that moves in. */
export const SPARE_PORT = "spare";
export const SPARE_OFPORT = 20;

/** A switch of the fabric: its ports are its neighbours, numbered from 1. */
export interface SwitchPlan {
  readonly name: string;
  readonly number: number;
  readonly mac: string;
  readonly neighbours: readonly string[];
}

export const LEAVES: readonly SwitchPlan[] = [
  { name: "leaf1", number: 1, mac: "02:00:00:00:0a:01", neighbours: ["spine1", "spine2", "hv1", "hv2"] },
  { name: "leaf2", number: 2, mac: "02:00:00:00:0a:02", neighbours: ["spine1", "spine2", "hv3"] },
];
export const SPINES: readonly SwitchPlan[] = [
  { name: "spine1", number: 1, mac: "02:00:00:00:0b:01", neighbours: ["leaf1", "leaf2", "core"] },
  { name: "spine2", number: 2, mac: "02:00:00:00:0b:02", neighbours: ["leaf1", "leaf2", "core"] },
];
/**
 * The core's bridge; its last two ports lead to the router: the layer-2 gateway, and IP packets with or for a
 * label.
 */
export const CORE: SwitchPlan = {
  name: "core",
  number: 1,
  mac: CORE_MAC,
  neighbours: ["spine1", "spine2", "l2gw", "mpls0"],
};

/** The leaf's MAC is what a hypervisor sends labelled packets to. */
export const leafOf = ({ leaf }: HypervisorPlan): SwitchPlan => LEAVES.find(({ name }) => name === leaf)!;
/** A label always takes the same spine. */
const spineOf = (label: number): SwitchPlan => SPINES[label % SPINES.length]!;

const portTo = (plan: SwitchPlan, neighbour: string): number => plan.neighbours.indexOf(neighbour) + 1;

/** One row for a label: one hop less to live, the next hop's MAC, out. */
function switched(plan: SwitchPlan, label: number, neighbour: string, macOfNext: string): string {
  const rewrite = `dec_mpls_ttl,set_field:${plan.mac}->eth_src,set_field:${macOfNext}->eth_dst`;
  return `priority=100,mpls,mpls_label=${label} actions=${rewrite},output:${portTo(plan, neighbour)}`;
}

/**
 * The layer-2 path that VMs migrate from: a learning switch for all frames without a label, on the tree
 * through spine1. Its number of flows does not depend on the number of VMs.
 */
const bridged = ["priority=90,mpls actions=drop", "priority=0 actions=NORMAL"];

/** Flows of a leaf: a row for each label-switched path. */
export function leafFlows(leaf: SwitchPlan): string {
  const rows = HYPERVISORS.map(hv => {
    if (hv.leaf === leaf.name) return switched(leaf, hv.label, hv.name, hv.mac);
    const spine = spineOf(hv.label);
    return switched(leaf, hv.label, spine.name, spine.mac);
  });
  const spine = spineOf(CORE_LABEL);
  rows.push(switched(leaf, CORE_LABEL, spine.name, spine.mac));
  rows.push(`priority=50,in_port=${portTo(leaf, "spine2")} actions=drop`);
  return [...rows, ...bridged, ""].join("\n");
}

/** Flows of a spine: a row for each label-switched path; all that has no label passes spine1 only. */
export function spineFlows(spine: SwitchPlan): string {
  const rows = HYPERVISORS.map(hv => {
    const leaf = leafOf(hv);
    return switched(spine, hv.label, leaf.name, leaf.mac);
  });
  rows.push(switched(spine, CORE_LABEL, "core", CORE_MAC));
  return [...rows, ...(spine.name === "spine1" ? bridged : []), ""].join("\n");
}

/**
 * Flows of the core's bridge, the edge of the label-switched paths: it pops the label of packets to the
 * router, and pushes one for each hypervisor that the router addresses by its next-hop MAC. Frames from
 * spine1 without a label are on the layer-2 path.
 */
export function coreFlows(): string {
  const [gateway, labelled] = [portTo(CORE, "l2gw"), portTo(CORE, "mpls0")];
  const pushed = HYPERVISORS.map(({ label, nextHopMac }) => {
    const spine = spineOf(label);
    const macs = `set_field:${CORE_MAC}->eth_src,set_field:${spine.mac}->eth_dst`;
    const push = `push_mpls:0x8847,set_field:${label}->mpls_label,set_field:0->mpls_tc`;
    const out = portTo(CORE, spine.name);
    return `priority=80,in_port=${labelled},ip,dl_dst=${nextHopMac} actions=${macs},${push},output:${out}`;
  });
  const popped = `pop_mpls:0x0800,set_field:${LABEL_LEG_MAC}->eth_dst,output:${labelled}`;
  return [
    `priority=100,mpls,mpls_label=${CORE_LABEL},mpls_bos=1 actions=${popped}`,
    ...pushed,
    "priority=90,mpls actions=drop",
    `priority=10,in_port=${portTo(CORE, "spine1")} actions=output:${gateway}`,
    `priority=10,in_port=${gateway} actions=output:${portTo(CORE, "spine1")}`,
    "",
  ].join("\n");
}

const defaultRoute = (hv: HypervisorPlan): string =>
  `  - { prefix: 0.0.0.0/0, labels: [${CORE_LABEL}], via: "${leafOf(hv).mac}" }`;

const headOf = (hv: HypervisorPlan): string[] => [
  `name: ${hv.name}`,
  "bridge: br0",
  `label: ${hv.label}`,
  `virtualMac: ${VIRTUAL_MAC}`,
  `uplink: { port: uplink0, ofport: 1, mac: "${hv.mac}", mtu: ${FABRIC_MTU} }`,
];

/** What an agent begins with: the hypervisor itself, and the core for whatever has no other route. */
export const baseOf = (hv: HypervisorPlan): string =>
  [...headOf(hv), "routes:", defaultRoute(hv), ""].join("\n");

/** A VM as its hypervisor's agent reads it. */
export const vmFileOf = ({ id, name, port, ofport, mac, address, path }: Vm): string =>
  `${JSON.stringify({ id, name, port, ofport, mac, addresses: [address], path })}\n`;

/**
 * The intent of a hypervisor: its own VMs, a /32 for each announced VM elsewhere, and a default route to the
 * core.
 */
export function intentOf(hv: HypervisorPlan, vms: readonly Vm[]): string {
  const via = leafOf(hv).mac;
  const lines = [...headOf(hv), "vms:"];
  for (const { id, name, port, ofport, mac, address, path } of vms.filter(vm => vm.hypervisor === hv.name)) {
    const ports = `port: ${port}, ofport: ${ofport}, mac: "${mac}"`;
    lines.push(`  - { id: ${id}, name: ${name}, ${ports}, addresses: [${address}], path: ${path} }`);
  }
  lines.push("routes:");
  for (const { address, hypervisor: where } of vms.filter(
    vm => vm.hypervisor !== hv.name && vm.isAnnounced,
  )) {
    const { label } = hypervisorNamed(where);
    lines.push(`  - { prefix: ${address}/32, labels: [${label}], via: "${via}" }`);
  }
  lines.push(defaultRoute(hv), "");
  return lines.join("\n");
}

export function hypervisorNamed(name: string): HypervisorPlan {
  const found = HYPERVISORS.find(hv => hv.name === name);
  if (found === undefined) throw new Error(`no hypervisor ${name}`);
  return found;
}
