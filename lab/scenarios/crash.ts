/**
 * kill -9 of a hypervisor's switch: the other hypervisors lose nothing, and it forwards again soon after its
 * start.
 */
import type { Lab } from "../lab.ts";
import { sleep, until } from "../machine.ts";
import { check, inTime, rounded, type Scenario } from "./scenario.ts";

const BACK_MS = 1000;

async function crashOnce(lab: Lab, hypervisor: string): Promise<{ sent: number; ms: number }> {
  const engine = lab.engine(hypervisor);
  const l3 = lab.vms.filter(({ path }) => path === "l3");
  const victim = l3.find(vm => vm.hypervisor === hypervisor)!;
  const [one, other] = l3
    .filter(vm => vm.hypervisor !== hypervisor && vm.hypervisor !== victim.hypervisor)
    .reverse();
  const edge = lab.host("edge");
  await lab.host(one!.name).ping(lab.host(other!.name), 2);
  const others = [
    lab.host(one!.name).startPing(lab.host(other!.name), 2),
    edge.startPing(lab.host(one!.name), 2),
    edge.startPing(lab.host(other!.name), 2),
  ];
  await sleep(200);
  await engine.kill();
  const dead = await edge.ping(lab.host(victim.name), 3, 20, ["-W", "0.2"]);
  check(dead.received === 0, `${hypervisor}: was killed, and ${victim.name} still answers`);
  const started = performance.now();
  const restarting = engine.restart();
  await until(`${victim.name} answers again`, async () => {
    const ping = await edge.ping(lab.host(victim.name), 1, 10, ["-W", "0.05"]);
    return ping.received === 1;
  });
  const ms = performance.now() - started;
  await restarting;
  await sleep(200);
  let sent = 0;
  for (const pinging of others) {
    const ping = await pinging.stop();
    sent += ping.sent;
    check(ping.lost === 0, `${hypervisor} was killed, and others lost ${ping.lost} of ${ping.sent} pings`);
  }
  return { sent, ms };
}

async function crashes(lab: Lab, hypervisor: string): Promise<string> {
  const tries = await inTime(BACK_MS, `${hypervisor} served again after`, () => crashOnce(lab, hypervisor));
  const shown = tries.map(({ ms }) => rounded(ms, 0)).join(", ");
  const pings = tries.reduce((sum, { sent }) => sum + sent, 0);
  const { name } = lab.engine(hypervisor);
  const others = `the others lost none of ${pings} pings`;
  return `${hypervisor} (${name}): ${others}; forwards again ${shown} ms after its start`;
}

export const crash: Scenario = {
  name: "crash",
  title: "kill -9 of one switch leaves the others alone",
  async run(lab, { isShort }) {
    const lines: string[] = [];
    for (const hypervisor of isShort ? ["hv2"] : ["hv2", "hv3"]) lines.push(await crashes(lab, hypervisor));
    return lines;
  },
};
