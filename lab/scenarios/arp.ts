/**
 * ARP on the layer-3 path: every address has the virtual MAC, no ARP is seen on the fabric, duplicate-address
 * detection finds no duplicate, and unicast probes keep the neighbor cache alive. RFC 826, RFC 5227, RFC 1122
 * 2.3.2.1.
 */
import { captured, seen } from "../captures.ts";
import type { Lab } from "../lab.ts";
import { sleep } from "../machine.ts";
import { GATEWAY, HYPERVISORS, VIRTUAL_MAC } from "../plan.ts";
import { check, type Scenario } from "./scenario.ts";

/** An l3 VM on each hypervisor, and a neighbour of each. */
const ASKING = [
  ["vm11", "vm21"],
  ["vm21", "vm31"],
  ["vm31", "vm12"],
] as const;
const REACHABLE_MS = 300;
const PROBING_MS = 3500;

/** Gateway and neighbours resolve to the virtual MAC. */
async function resolves(lab: Lab, name: string, neighbour: string): Promise<void> {
  const host = lab.host(name);
  await lab.machine.shell(name, "ip neigh flush all");
  await host.ping(GATEWAY, 1);
  const { lost } = await host.ping(lab.host(neighbour), 1);
  check(lost === 0, `${name}: ${neighbour} did not answer`);
  const cache = await host.neighbours();
  for (const address of [GATEWAY, lab.host(neighbour).address]) {
    const mac = cache.find(entry => entry.address === address)?.mac;
    check(mac === VIRTUAL_MAC, `${name}: ${address} is at ${mac}, not at the virtual MAC`);
  }
}

/** No ARP of an l3 VM on any uplink, while that of the l2 VMs, the canary, is there. */
async function staysHome(lab: Lab): Promise<string> {
  const canary = lab.vms.find(({ path }) => path === "l2")!;
  const leaf = HYPERVISORS.find(({ name }) => name === canary.hypervisor)!.leaf;
  const filter = `arp and ether src ${canary.mac} and ether broadcast`;
  const before = (await captured(lab, leaf, filter)).length;
  await lab.machine.shell(canary.name, "ip neigh flush all");
  await lab.host(canary.name).ping(lab.host("edge"), 1);
  await seen(lab, leaf, filter, before + 1);
  for (const { mac, name } of lab.vms.filter(({ path }) => path === "l3")) {
    for (const node of ["leaf1", "leaf2", "spine1", "spine2", "core"]) {
      const frames = await captured(lab, node, `arp and ether src ${mac}`);
      check(frames.length === 0, `${node}: ARP of ${name} on the fabric: ${frames[0]}`);
    }
  }
  return `no ARP of an l3 VM on the fabric, ${before + 1} broadcast requests of ${canary.name} (l2)`;
}

/** A short life in the cache: probes are unicast and answered, and the entry comes back to REACHABLE. */
async function staysReachable(lab: Lab, name: string, neighbour: string): Promise<string> {
  const host = lab.host(name);
  const { address } = lab.host(neighbour);
  const { mac, hypervisor } = lab.vm(name);
  const settings = "/proc/sys/net/ipv4/neigh/eth0";
  const live = (ms: number, delay: number): Promise<string> =>
    lab.machine.shell(
      name,
      `cd ${settings}; echo ${ms} > base_reachable_time_ms; echo ${delay} > delay_first_probe_time`,
    );
  await live(REACHABLE_MS, 1);
  await lab.machine.shell(name, `ip neigh flush all; ip neigh del ${address} dev eth0 2>/dev/null || true`);
  const requests = `arp and ether src ${mac} and arp[6:2] = 1 and arp[24:4] = ${asNumber(address)}`;
  const before = (await captured(lab, hypervisor, `${requests} and ether broadcast`)).length;
  const unicast = `${requests} and ether dst ${VIRTUAL_MAC}`;
  const probesBefore = (await captured(lab, hypervisor, unicast)).length;
  const pinging = host.startPing(address, 20);
  const states: string[] = [];
  for (const end = performance.now() + PROBING_MS; performance.now() < end; await sleep(50)) {
    const entry = (await host.neighbours()).find(each => each.address === address);
    if (entry !== undefined) states.push(entry.state);
  }
  const { lost } = await pinging.stop();
  await live(30_000, 5);
  await seen(lab, hypervisor, unicast, probesBefore + 1);
  const probes = (await captured(lab, hypervisor, unicast)).length - probesBefore;
  const broadcasts = (await captured(lab, hypervisor, `${requests} and ether broadcast`)).length - before;
  // INCOMPLETE until the first answer (RFC 4861, section 7.3.2); not again afterwards.
  const resolved = states.slice(states.findIndex(state => state !== "INCOMPLETE"));
  const bad = resolved.find(state => /FAILED|INCOMPLETE/.test(state));
  const first = states.indexOf("PROBE");
  const again = states
    .slice(Math.max(first, states.indexOf("STALE"), states.indexOf("DELAY")))
    .includes("REACHABLE");
  check(bad === undefined, `${name}: ${address} was ${bad}`);
  check(again, `${name}: ${address} did not come back to REACHABLE: ${[...new Set(states)].join(", ")}`);
  check(broadcasts <= 1, `${name}: ${broadcasts} broadcast requests for ${address}; expected at most 1`);
  check(lost === 0, `${name}: ${lost} pings lost while probing`);
  const kept = `${probes} unicast probes kept ${address} alive`;
  return `${name}: ${broadcasts} broadcast, then ${kept}, no ping lost`;
}

const asNumber = (address: string): number =>
  address.split(".").reduce((value, octet) => value * 256 + Number(octet), 0);

export const arp: Scenario = {
  name: "arp",
  title: "ARP is answered on the hypervisor and stays there",
  async run(lab, { isShort }) {
    for (const [name, neighbour] of ASKING) await resolves(lab, name, neighbour);
    const lines = ["gateway and neighbours are at the virtual MAC, for an l3 VM on each hypervisor"];
    const detecting = isShort ? ASKING.slice(0, 1) : ASKING;
    for (const [name] of detecting) {
      const { text, isAnswered } = await lab
        .host(name)
        .arping(["-D", "-c", "2", "-w", "2", "-I", "eth0", lab.vm(name).address]);
      check(!isAnswered, `${name}: duplicate-address detection was answered: ${text}`);
    }
    lines.push(`duplicate-address detection finds none (arping -D, ${detecting.length} VMs)`);
    const probing = isShort ? [] : ASKING;
    lines.push(
      ...(await Promise.all(probing.map(([name, neighbour]) => staysReachable(lab, name, neighbour)))),
    );
    lines.push(await staysHome(lab));
    return lines;
  },
};
