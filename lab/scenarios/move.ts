/**
 * An l3 VM moves to another hypervisor and back, the new port first, while it is pinged and receives a TCP
 * stream.
 */
import type { Lab } from "../lab.ts";
import { sleep } from "../machine.ts";
import { check, checkTimed, rounded, type Scenario } from "./scenario.ts";

const GAP_MS = 100;

async function moveOnce(lab: Lab, name: string, to: string): Promise<string> {
  const vm = lab.vm(name);
  const host = lab.host(name);
  const from = vm.hypervisor;
  const server = lab.vms.find(other => other.path === "l3" && other.hypervisor === "hv3" && other !== vm)!;
  await lab.host(server.name).serve();
  await lab.host("edge").ping(host, 2);
  const pinging = lab.host("edge").startPing(host, 1);
  const stream = host.startStream(lab.host(server.name));
  await sleep(300);
  const ms = await lab.move(vm, to);
  await sleep(500);
  const [ping, tcp] = [await pinging.stop(), await stream.stop()];
  const what = `${name} ${from} (${lab.engine(from).name}) → ${to} (${lab.engine(to).name})`;
  checkTimed(ping.gapMs <= GAP_MS, `${what}: no answer for ${rounded(ping.gapMs)} ms`);
  check(
    tcp.error === null && tcp.wrongAt < 0,
    `${what}: the TCP stream broke: ${tcp.error ?? `byte ${tcp.wrongAt}`}`,
  );
  const tcpLine = `TCP went on after ${rounded(tcp.stallMs, 0)} ms`;
  const gap = `gap ${rounded(ping.gapMs)} ms (${ping.lost} of ${ping.sent} pings)`;
  return `${what}: ${rounded(ms, 0)} ms of work, ${gap}, ${tcpLine}`;
}

export const move: Scenario = {
  name: "move",
  title: "a VM moves to another hypervisor",
  async run(lab, { isShort }) {
    const lines = [await moveOnce(lab, "vm12", "hv2"), await moveOnce(lab, "vm12", "hv1")];
    if (!isShort) lines.push(await moveOnce(lab, "vm22", "hv3"), await moveOnce(lab, "vm22", "hv2"));
    return lines;
  },
};
