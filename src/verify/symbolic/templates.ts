/**
 * Action templates: the actions of flows of one line template, compiled once, with slots for the values that differ from
 * flow to flow. So a million flows need a handful of templates.
 */
import type { FlowColumns, Step } from "../../openflow/index.ts";

/** Where the words of a slot stand in a flow's row of values. */
export interface SlotPlace {
  readonly at: number;
  readonly words: 1 | 2;
}

/** What flows of one shape do. */
export interface Template {
  readonly id: number;
  readonly flows: FlowColumns;
  /** Index of the first of them. */
  readonly first: number;
  readonly steps: readonly Step[];
  /** Values and ports that are in the rows and not in the steps. */
  readonly slots: ReadonlyMap<Step, SlotPlace>;
  /** Why nobody can tell what such a flow does; null for most. */
  readonly unknown: string | null;
  /** Whether a packet that meets them counts as a miss. */
  readonly isMiss: boolean;
}
