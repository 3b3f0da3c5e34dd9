/**
 * The scenarios of a lab with agents. After each, the flows of all hypervisors are proved against the intents
 * that the lab would write.
 */
import { controlOf } from "../../control.ts";
import type { Scenario } from "../scenario.ts";
import { transfers } from "../transfers.ts";
import { addresses } from "./addresses.ts";
import { creation } from "./creation.ts";
import { kills } from "./kills.ts";
import { labels } from "./labels.ts";
import { paths } from "./paths.ts";
import { restarts } from "./restarts.ts";

const scenarios: readonly Scenario[] = [
  { ...transfers, name: "agent-transfers" },
  creation,
  paths,
  labels,
  addresses,
  kills,
  restarts,
];

const proved = ({ name, title, run }: Scenario): Scenario => ({
  name,
  title,
  async run(lab, settings) {
    const lines = await run(lab, settings);
    const count = await controlOf(lab).prove();
    return [
      ...lines,
      `the flows of ${count} hypervisors proved equal to the intents that would be written by hand`,
    ];
  },
});

export const AGENT_SCENARIOS: readonly Scenario[] = scenarios.map(proved);
