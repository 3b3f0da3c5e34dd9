/**
 * A compiled flow table: bands of one priority, each with single flows and subtables.
 */
import type { Conjunction } from "./conjunctions.ts";
import type { WordTest } from "./match-tests.ts";
import type { Subtable } from "./sorted-subtable.ts";
import type { Template } from "./templates.ts";

/** A single flow with its match. */
export interface Rule {
  readonly tests: readonly WordTest[];
  readonly template: Template;
  readonly flow: number;
}

export type Node = Rule | Subtable;

/** Flows of one priority. */
export interface Band {
  readonly priority: number;
  readonly nodes: readonly Node[];
  /** For each node those behind it that can match the same packet and do something else. */
  readonly overlapping: readonly (readonly number[])[];
  /** The conjunctive matches whose clauses have this priority. */
  readonly conjunctions: readonly Conjunction[];
  /** Nodes that are not found with a conj_id (conjunctions.ts). */
  readonly hidden: ReadonlySet<Node>;
}
