/**
 * The wiring of the lab: links between its nodes, and the Linux router that ends the layer-2 path and the
 * label-switched paths. Which nodes and addresses there are is in plan.ts; docs/lab.md draws it. ip-link(8),
 * ip-sysctl.
 */
import type { End, Machine } from "./machine.ts";
import * as plan from "./plan.ts";

/** The far end of a hypervisor's spare port, as long as no VM has it. */
export const PARKED = "parked";

export interface Link {
  readonly a: End;
  readonly b: End;
  readonly mtu: number;
}

/** All links of a lab with these VMs. */
export function linksOf(vms: readonly plan.Vm[]): Link[] {
  const mtu = plan.FABRIC_MTU;
  const links: Link[] = plan.SPINES.flatMap(spine =>
    spine.neighbours.map(name => ({
      a: { node: spine.name, name },
      b: { node: name, name: spine.name },
      mtu,
    })),
  );
  for (const { name, leaf, mac } of plan.HYPERVISORS) {
    links.push({ a: { node: leaf, name }, b: { node: name, name: "uplink0", mac }, mtu });
    links.push({
      a: { node: name, name: plan.SPARE_PORT },
      b: { node: name, name: PARKED },
      mtu: plan.VM_MTU,
    });
  }
  for (const { name, mac, hypervisor, port, nic } of vms)
    links.push({
      a: { node: hypervisor, name: port },
      b: { node: name, name: nic, mac },
      mtu: plan.VM_MTU,
    });
  const router = (name: string, mac: string, size: number) =>
    links.push({ a: { node: "core", name }, b: { node: "router", name, mac }, mtu: size });
  router("l2gw", plan.VIRTUAL_MAC, plan.VM_MTU);
  router("mpls0", plan.LABEL_LEG_MAC, plan.VM_MTU);
  links.push({ a: { node: "router", name: "edge" }, b: { node: "edge", name: "eth0" }, mtu: plan.VM_MTU });
  return links;
}

/**
 * Configures the router: gateway of the layer-2 path, a next hop per label-switched path, the edge network.
 */
export async function configureRouter(machine: Machine): Promise<void> {
  await machine.ip("router", [
    `addr add ${plan.GATEWAY}/${plan.SUBNET_BITS} dev l2gw`,
    "addr add 169.254.0.254/24 dev mpls0",
    `addr add ${plan.EDGE_GATEWAY}/24 dev edge`,
    ...plan.HYPERVISORS.map(
      ({ nextHop, nextHopMac }) => `neigh replace ${nextHop} lladdr ${nextHopMac} nud permanent dev mpls0`,
    ),
  ]);
  const settings = [
    ["ip_forward", 1],
    ["conf/l2gw/proxy_arp", 1],
    ["neigh/l2gw/proxy_delay", 0],
    ["conf/all/send_redirects", 0],
    ["conf/l2gw/send_redirects", 0],
    ["conf/all/rp_filter", 0],
    ["conf/l2gw/rp_filter", 0],
    ["conf/mpls0/rp_filter", 0],
  ] as const;
  const lines = settings.map(([name, value]) => `echo ${value} > /proc/sys/net/ipv4/${name}`);
  const quiet = ["l2gw", "mpls0", "edge"].map(name => `ethtool -K ${name} tx off >/dev/null`);
  await machine.shell("router", [...lines, ...quiet].join("; "));
}
