/**
 * Parts of the control plane fail, and frames do not notice: the reflector is killed and started again, a
 * hypervisor's gobgpd is, and a session is cut, while VMs of different hypervisors ping each other. No flow
 * is written again.
 */
import { type ControlPlane, controlOf } from "../../control.ts";
import type { Speaker } from "../../daemons.ts";
import type { Lab } from "../../lab.ts";
import { sleep } from "../../machine.ts";
import { HYPERVISORS, SPEAKERS } from "../../plan.ts";
import { rounded, type Scenario } from "../scenario.ts";
import { flowsStay, pingThrough } from "./watching.ts";

/** How long it is away: longer than all that goes by within the second. */
const AWAY_MS = 1500;

async function restart(speaker: Speaker): Promise<void> {
  await speaker.stop("SIGKILL");
  await sleep(AWAY_MS);
  await speaker.start(true);
}

const CASES: readonly (readonly [what: string, act: (control: ControlPlane) => Promise<void>])[] = [
  ["hv2's session with the reflector cut", ({ speakers }) => speakers.get("hv2")!.cut(SPEAKERS.reflector)],
  ["the reflector killed, and started with -r", ({ reflector }) => restart(reflector)],
  ["hv1's gobgpd killed, and started with -r", ({ speakers }) => restart(speakers.get("hv1")!)],
];

async function survives(
  lab: Lab,
  what: string,
  act: (control: ControlPlane) => Promise<void>,
): Promise<string> {
  const control = controlOf(lab);
  const names = HYPERVISORS.map(({ name }) => name);
  let flows = 0;
  const started = performance.now();
  const sent = await pingThrough(lab, what, async () => {
    flows = await flowsStay(lab, names, async () => {
      await act(control);
      // A cut takes a moment to be noticed.
      await sleep(AWAY_MS);
      await control.sessions();
      await control.inStep();
    });
  });
  const seconds = rounded((performance.now() - started) / 1000);
  const unchanged = `none of ${sent} pings lost, ${flows} flows unchanged`;
  return `${what}: ${unchanged}; all sessions back after ${seconds} s`;
}

export const restarts: Scenario = {
  name: "agent-restarts",
  title: "reflector and gobgpd killed and started again, a session cut: no ping lost",
  async run(lab, { isShort }) {
    const lines: string[] = [];
    for (const [what, act] of isShort ? CASES.slice(0, 2) : CASES) lines.push(await survives(lab, what, act));
    return lines;
  },
};
