/**
 * Frames that a hypervisor must drop, sent to its uplink by the leaf, and the drop reason of each: a label of
 * another hypervisor, a /32 that is not or no longer there, an expired TTL.
 */
import { eth } from "../../src/wire/index.ts";
import type { Lab } from "../lab.ts";
import { sleep } from "../machine.ts";
import { HYPERVISORS, type HypervisorPlan, LEAVES, leafOf } from "../plan.ts";
import { check, type Scenario } from "./scenario.ts";

const COUNT = 5;
const STALE = "203.0.113.77";

interface Case {
  readonly reason: string;
  readonly label: (hv: HypervisorPlan) => number;
  readonly to: (lab: Lab, hv: HypervisorPlan) => string;
  readonly ttl: number;
}

const localVm = (lab: Lab, { name }: HypervisorPlan) =>
  lab.vms.find(vm => vm.hypervisor === name && vm.path === "l3")!;

const CASES: readonly Case[] = [
  { reason: "unknown-label", label: () => 4000, to: (lab, hv) => localVm(lab, hv).address, ttl: 64 },
  { reason: "no-local-vm", label: hv => hv.label, to: () => STALE, ttl: 64 },
  { reason: "ttl-expired", label: hv => hv.label, to: (lab, hv) => localVm(lab, hv).address, ttl: 1 },
];

/** Frames that came to a VM so far. */
async function received(lab: Lab, name: string): Promise<number> {
  return Number(
    await lab.machine.run(name, ["cat", "/proc/net/dev"]).then(text => /eth0:\s*\d+\s+(\d+)/.exec(text)?.[1]),
  );
}

async function drop(lab: Lab, hv: HypervisorPlan, { reason, label, to, ttl }: Case): Promise<string> {
  const engine = lab.engine(hv.name);
  const leaf = LEAVES.find(({ name }) => name === hv.leaf)!;
  const port = leaf.neighbours.indexOf(hv.name) + 1;
  const frame = eth({ src: leafOf(hv).mac, dst: hv.mac })
    .mpls({ label: label(hv), ttl: 62 })
    .ipv4({ src: lab.host("edge").address, dst: to(lab, hv), ttl })
    .udp({ src: 1000, dst: 2000 })
    .payload(new Uint8Array(32))
    .bytes();
  const vm = localVm(lab, hv).name;
  const drops = async (): Promise<number> => (await engine.drops()).get(reason) ?? 0;
  const [countBefore, framesBefore] = [await drops(), await received(lab, vm)];
  for (let sent = 0; sent < COUNT; sent++)
    await lab.fabric.get(hv.leaf)!.packetOut("NONE", frame, `output:${port}`);
  await sleep(100);
  const [count, frames] = [(await drops()) - countBefore, (await received(lab, vm)) - framesBefore];
  check(frames === 0, `${hv.name}: ${frames} frames of ${reason} came to ${vm}`);
  // Open vSwitch has no row that only packets at their end meet.
  const isCounted = engine.name === "slash32" || reason !== "ttl-expired";
  check(!isCounted || count === COUNT, `${hv.name}: ${count} counted as ${reason}, ${COUNT} were sent`);
  const outcome = isCounted ? `${count} counted as ${reason}` : `none delivered (${reason})`;
  return `${hv.name} (${engine.name}): ${COUNT} sent, ${outcome}`;
}

export const reasons: Scenario = {
  name: "reasons",
  title: "an unknown label, a stale /32 and TTL 1 are dropped, by reason",
  async run(lab) {
    const lines: string[] = [];
    for (const hv of HYPERVISORS) for (const each of CASES) lines.push(await drop(lab, hv, each));
    return lines;
  },
};
