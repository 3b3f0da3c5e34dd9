/**
 * Action templates: the actions of all flows of one line template, compiled once, with slots for the values
 * that differ from flow to flow. A million flows need a handful of templates.
 */
import type { FlowColumns, Step } from "../../openflow/index.ts";

/** The position of a slot's words among the numbers of a flow. */
export interface SlotPlace {
  readonly at: number;
  readonly words: 1 | 2;
}

/** The actions of the flows of one line template. */
export interface Template {
  readonly id: number;
  readonly flows: FlowColumns;
  /** Index of the first of these flows. */
  readonly first: number;
  readonly steps: readonly Step[];
  /** Steps whose value or port is in the numbers of the flow. */
  readonly slots: ReadonlyMap<Step, SlotPlace>;
  /** Why the flows cannot be modelled; null for most. */
  readonly unknown: string | null;
  /** Whether a packet that matches these flows counts as a table miss. */
  readonly isMiss: boolean;
}
