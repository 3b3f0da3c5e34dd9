/**
 * What the parts of one symbolic machine (machine.ts, outputs.ts, passes.ts, label-steps.ts) share while it
 * runs.
 */
import type { Program } from "./compiled-tables.ts";
import type { Decider } from "./decider.ts";
import type { Extractions } from "./extractions.ts";

export interface MachineContext {
  readonly by: Decider;
  readonly extractions: Extractions;
  readonly program: Program;
  /** Line of the current step; 0 before the first one. */
  line: number;
}
