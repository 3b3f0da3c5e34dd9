/**
 * What the parts of one symbolic machine share while it runs.
 */
import type { Program } from "./compiled-tables.ts";
import type { Decider } from "./decider.ts";
import type { Readings } from "./extractions.ts";

export interface MachineContext {
  readonly by: Decider;
  readonly readings: Readings;
  readonly program: Program;
  /** Line of the step that runs; 0 before the first one. */
  line: number;
}
