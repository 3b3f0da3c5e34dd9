/**
 * An agent is killed with -9 at a random moment and started again, idle or during the creation of a VM, and
 * is taken over by another agent: no ping is lost, no correct flow is written again, and no UPDATE is sent
 * for an unchanged prefix.
 */
import { controlOf } from "../../control.ts";
import type { Lab } from "../../lab.ts";
import { sleep, until } from "../../machine.ts";
import { hypervisorNamed, type Vm, vmOf } from "../../plan.ts";
import { check, type Scenario } from "../scenario.ts";
import { flowsStay, pingThrough, updatesSince } from "./watching.ts";

/** From the drop of a file until all is done takes some 30 ms, most of it. */
const MOMENT_MS = 50;
const AWAY_MS = 300;

/** A hypervisor, and a VM that comes and goes there, with no host behind its port. */
interface Victim {
  readonly name: string;
  readonly passing: Vm;
}
const VICTIMS: readonly Victim[] = [
  { name: "hv1", passing: vmOf(1, 9, "l3") },
  { name: "hv2", passing: vmOf(2, 9, "l3") },
];

type Way = "quiet" | "amid a creation" | "amid a removal" | "taken over";

/** Whether the bridge and the reflector have, or no longer have, the VM that comes and goes. */
async function settled(lab: Lab, { name, passing }: Victim, isThere: boolean): Promise<void> {
  const control = controlOf(lab);
  const prefix = `${passing.address}/32`;
  const label = isThere ? String(hypervisorNamed(name).label) : null;
  await control.agent(name).inStep();
  const isSo = async (): Promise<boolean> =>
    (await control.bird.labels(prefix)) === label && (await control.frr.labels(prefix)) === label;
  await until(`${passing.name} is ${isThere ? "" : "not "}announced`, isSo);
}

async function once(
  lab: Lab,
  victim: Victim,
  way: Way,
): Promise<{ sent: number; flows: number; atMs: number }> {
  const control = controlOf(lab);
  const { name, passing } = victim;
  const agent = control.agent(name);
  const since = Date.now();
  const atMs = way === "quiet" ? 0 : Math.random() * MOMENT_MS;
  let flows = 0;
  const isPassing = (text: string): boolean =>
    text.includes(passing.address) || text.includes(`cookie=0x${passing.id.toString(16)}000`);
  const sent = await pingThrough(lab, way, async () => {
    const body = async (): Promise<void> => {
      if (way === "amid a creation") agent.drop(passing);
      if (way === "amid a removal") agent.take(passing);
      await sleep(atMs);
      if (way === "taken over") await agent.start(true);
      else {
        await agent.kill();
        await sleep(AWAY_MS);
        await agent.start();
      }
      if (way === "amid a creation" || way === "amid a removal")
        await settled(lab, victim, way === "amid a creation");
      await control.inStep();
    };
    flows = await flowsStay(lab, ["hv1", "hv2", "hv3"], body, isPassing);
  });
  for (const { from, to, announced, withdrawn } of await updatesSince(control, since)) {
    const other = [...announced, ...withdrawn].filter(address => address !== passing.address);
    check(other.length === 0, `${way}: an UPDATE from ${from} to ${to} for ${other.join(", ")}`);
  }
  return { sent, flows, atMs };
}

export const kills: Scenario = {
  name: "agent-kills",
  title:
    "an agent killed with -9 and started again, or taken over: no ping lost, no flow rewritten, no UPDATE",
  async run(lab, { isShort }) {
    const usual: readonly Way[] = ["quiet", "amid a creation", "amid a removal", "taken over"];
    const ways = isShort ? usual : [...usual, ...usual.slice(1, 3), ...usual.slice(1)];
    const lines: string[] = [];
    for (const victim of isShort ? VICTIMS.slice(0, 1) : VICTIMS) {
      const where = `${victim.name} (${lab.engine(victim.name).name})`;
      for (const way of ways) {
        const { sent, flows, atMs } = await once(lab, victim, way);
        const moment = way.startsWith("amid") ? `, ${Math.round(atMs)} ms after the event` : "";
        lines.push(
          `${where}, ${way}${moment}: none of ${sent} pings lost, ${flows} flows as they were, no UPDATE`,
        );
      }
    }
    return lines;
  },
};
