/**
 * A VM migrates from the layer-2 path to the layer-3 path and back by requests to its agent, under load; a
 * skipped step is rejected.
 */
import { controlOf } from "../../control.ts";
import { migrate } from "../migration.ts";
import { check, type Scenario } from "../scenario.ts";

export const paths: Scenario = {
  name: "agent-migration",
  title:
    "l2 → dual-l2 → dual-l3 → l3 and back by PUT /v1/vms/N/path under load, nothing lost; a jump is refused",
  async run(lab, { isShort }) {
    const control = controlOf(lab);
    const names = lab.vms.filter(({ path }) => path === "l2").map(({ name }) => name);
    const lines: string[] = [];
    for (const name of isShort ? names.slice(-1) : names) {
      const vm = lab.vm(name);
      const { status, text } = await control.agent(vm.hypervisor).setPath(vm, "l3");
      check(status === 409 && /dual-l2/.test(text), `${name}: l2 → l3 was answered by ${status}: ${text}`);
      const [pauseMs, intervalMs] = isShort ? [150, 5] : [600, 1];
      lines.push(...(await migrate(lab, name, pauseMs, intervalMs)), `  l2 → l3 in one step: ${status}`);
    }
    return lines;
  },
};
