/**
 * A VM sends with a foreign IPv4 source, MAC or ARP sender. None of these frames leaves the hypervisor.
 */
import { captured, seen } from "../captures.ts";
import type { Lab } from "../lab.ts";
import { GATEWAY, hypervisorNamed, VIRTUAL_MAC } from "../plan.ts";
import { check, type Scenario } from "./scenario.ts";

const STRANGER = "203.0.113.99";
const STRANGE_MAC = "52:54:00:00:00:99";
const PINGS = 5;
const HURRY = ["-W", "0.3"];

async function spoof(lab: Lab, name: string): Promise<string> {
  const host = lab.host(name);
  const { mac, hypervisor } = lab.vm(name);
  const engine = lab.engine(hypervisor);
  const edge = lab.host("edge");
  const dropped = async (): Promise<number> => (await engine.drops()).get("spoofed-source") ?? 0;
  const before = await dropped();
  await host.ping(edge, 1);
  await lab.machine.ip(name, [`addr add ${STRANGER}/32 dev eth0`]);
  const byAddress = await host.ping(edge, PINGS, 20, [...HURRY, "-I", STRANGER]);
  const byArp = await host.arping(["-c", "2", "-w", "1", "-s", STRANGER, "-I", "eth0", "203.0.113.12"]);
  // A new MAC empties the cache; the gateway is entered by hand, so that it is the pings that are sent.
  const gateway = `neigh replace ${GATEWAY} lladdr ${VIRTUAL_MAC} nud permanent dev eth0`;
  await lab.machine.ip(name, [
    `addr del ${STRANGER}/32 dev eth0`,
    `link set eth0 address ${STRANGE_MAC}`,
    gateway,
  ]);
  const byMac = await host.ping(edge, PINGS, 20, HURRY);
  await lab.machine.ip(name, [`neigh del ${GATEWAY} dev eth0`, `link set eth0 address ${mac}`]);
  check(byAddress.received === 0, `${name}: a ping from ${STRANGER} was answered`);
  check(byMac.received === 0, `${name}: a ping from ${STRANGE_MAC} was answered`);
  check(!byArp.isAnswered, `${name}: ARP from ${STRANGER} was answered: ${byArp.text}`);
  const count = (await dropped()) - before;
  check(
    count >= 2 * PINGS,
    `${name}: ${count} frames counted as spoofed-source, ${2 * PINGS} pings were sent`,
  );
  const after = await host.ping(edge, 3, 20);
  check(after.lost === 0, `${name}: ${after.lost} pings lost when it was itself again`);
  return `${name} (${hypervisor} ${engine.name}): ${count} frames dropped as spoofed-source, none answered`;
}

export const spoofing: Scenario = {
  name: "spoofing",
  title: "spoofed addresses go nowhere",
  async run(lab) {
    const names = ["vm11", "vm21", "vm31"];
    const lines = await Promise.all(names.map(name => spoof(lab, name)));
    // The canary: the last pings of vm31 on its uplink.
    const { leaf } = hypervisorNamed("hv3");
    await seen(lab, leaf, "mpls and ip host 203.0.113.31");
    for (const node of ["leaf1", "leaf2"]) {
      const strange = `ether src ${STRANGE_MAC} or host ${STRANGER} or (mpls and host ${STRANGER})`;
      const frames = await captured(lab, node, strange);
      check(frames.length === 0, `${node}: a spoofed frame on the fabric: ${frames[0]}`);
    }
    return [...lines, "none of it was seen on the fabric"];
  },
};
