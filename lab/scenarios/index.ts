/** All scenarios of the lab, in the order in which they are acted out. */
import { arp } from "./arp.ts";
import { crash } from "./crash.ts";
import { labelsOnly } from "./labels-only.ts";
import { migration } from "./migration.ts";
import { move } from "./move.ts";
import { reasons } from "./reasons.ts";
import type { Scenario } from "./scenario.ts";
import { spoofing } from "./spoofing.ts";
import { transfers } from "./transfers.ts";

export const SCENARIOS: readonly Scenario[] = [
  transfers,
  arp,
  spoofing,
  reasons,
  labelsOnly,
  migration,
  move,
  crash,
];
