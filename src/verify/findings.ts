/**
 * What a proof has found: differences and overlaps, each with a frame, and what is left open. Plain data; how it is found is
 * in counterexamples.ts.
 */
import type { Effects, EnteringState } from "../openflow/index.ts";

/** Index of a flow in its table's columns; NO_FLOW where none matched. */
export const NO_FLOW = -1;

/** The flows that a and b take where they first differ, as pairs of indices. */
export interface FlowPairs {
  readonly count: number;
  /** Rows for which neither a frame nor a proof that there is none was found. */
  readonly openCount: number;
  at(index: number): FlowPair;
  /** Equal for what is one row in several differences of a proof. */
  nameAt(index: number): number;
}

export interface FlowPair {
  readonly a: number;
  readonly b: number;
  /** The side that has no flow with the other's table, priority and match; null when both have one. */
  readonly missing: "a" | "b" | null;
}

export interface FlowLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** The flows whose conjunction actions led to it; absent where it matched by itself. */
  readonly clauses?: readonly FlowLine[];
}

/** What one side does with the frame of a difference. */
export interface Behaviour extends Effects {
  /** Limits of the switch that undid everything. */
  readonly errors: readonly string[];
  readonly flows: readonly FlowLine[];
}

export interface Difference {
  readonly inPort: number;
  readonly frame: Uint8Array;
  /** What the frame brings with it beside its bytes. */
  readonly state: EnteringState;
  /** Ports that must be tunnels for this, of which it is not known whether they are. */
  readonly tunnels: readonly number[];
  readonly a: Behaviour;
  readonly b: Behaviour;
  /** What differs first, for people: port, checksum, or names of fields with commas between them. */
  readonly what: string;
  /** Rows of the table that differ in the same way, of how many that were hit alike. */
  readonly affected: string;
  /** Where the two part: every pair of flows for which a frame shows that they do. */
  readonly rows: FlowPairs;
  /** Rows of the table that are hit alike, those that differ among them; 0: flows by themselves. */
  readonly alike: number;
}

export interface Ambiguous {
  readonly side: "a" | "b";
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly state: EnteringState;
  readonly flows: readonly [FlowLine, FlowLine];
}

export interface Unknown {
  readonly feature: string;
  readonly line: number;
  readonly side: "a" | "b" | null;
}

export class Findings {
  readonly differences: Difference[] = [];
  readonly ambiguities: Ambiguous[] = [];
  readonly unknowns = new Map<string, Unknown>();
  readonly max: number;

  /** Differences, and ambiguities, are enough at `max` of them. */
  constructor(max: number) {
    this.max = max;
  }

  get verdict(): "equal" | "different" | "ambiguous" | "unknown" {
    if (this.differences.length > 0) return "different";
    if (this.ambiguities.length > 0) return "ambiguous";
    return this.unknowns.size > 0 ? "unknown" : "equal";
  }

  unknownAt(side: Unknown["side"], feature: string, line: number): void {
    this.unknowns.set(`${side} ${feature} ${line}`, { feature, line, side });
  }
}
