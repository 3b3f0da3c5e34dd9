/**
 * The form of a compiled flow table: bands, one for each priority, that consist of single flows (rules) and
 * subtables. table-compiler.ts builds them.
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

/** The flows of one priority. */
export interface Band {
  readonly priority: number;
  readonly nodes: readonly Node[];
  /** For each node, the indices of later nodes that can match the same packet and have different actions. */
  readonly overlapping: readonly (readonly number[])[];
  /** The conjunctive matches whose clauses have this priority. */
  readonly conjunctions: readonly Conjunction[];
  /** Nodes that a lookup with a conj_id does not find (conjunctions.ts). */
  readonly hidden: ReadonlySet<Node>;
}
