/**
 * The results of a proof: differences and ambiguities, each with a frame, and the reasons for `unknown`.
 * Plain data; counterexample/search.ts fills it.
 */
import type { Effects, EnteringState } from "../openflow/index.ts";

/** Index of a flow in its columns; NO_FLOW if none matched. */
export const NO_FLOW = -1;

/** The flows at which a and b diverge, as pairs of indices. */
export interface FlowPairs {
  readonly count: number;
  /** Pairs for which neither a frame nor a proof that there is none was found. */
  readonly openCount: number;
  at(index: number): FlowPair;
  /** Equal for the same pair in several differences of a proof. */
  nameAt(index: number): number;
}

export interface FlowPair {
  readonly a: number;
  readonly b: number;
  /** The side that lacks a flow with the other's table, priority and match; null if both have one. */
  readonly missing: "a" | "b" | null;
}

export interface FlowLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** The flows whose conjunction actions led to this one; absent if it matched by itself. */
  readonly clauses?: readonly FlowLine[];
}

/** The outcome of one side for the frame of a difference. */
export interface Behaviour extends Effects {
  /** Limits of the switch that undid the pass. */
  readonly errors: readonly string[];
  readonly flows: readonly FlowLine[];
}

/** One answer of the connection tracker. */
export interface TrackerState {
  /** Who asked: one side, or both the same. */
  readonly side: "a" | "b" | "both";
  /** The line of ct. */
  readonly line: number;
  /** Values by word of the key: what the tracker set, and what it translated in the packet. */
  readonly words: ReadonlyMap<number, number>;
}

export interface Difference {
  readonly inPort: number;
  readonly frame: Uint8Array;
  /** Accompanying state of the frame. */
  readonly state: EnteringState;
  /** What the connection tracker must say of the frame, in the order of its questions. */
  readonly tracker: readonly TrackerState[];
  /** Ports that must be tunnels for the difference, if it is not known whether they are. */
  readonly tunnels: readonly number[];
  readonly a: Behaviour;
  readonly b: Behaviour;
  /** The first difference, for people: port, checksum, or comma-separated field names. */
  readonly what: string;
  /** Number of differing rows of the table, and of all rows that matched together. */
  readonly affected: string;
  /** Every pair of flows at which a and b diverge and for which a frame confirms it. */
  readonly rows: FlowPairs;
  /** Rows of the table that matched together, with or without a difference; 0 for single flows. */
  readonly alike: number;
}

export interface Ambiguous {
  readonly side: "a" | "b";
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly state: EnteringState;
  readonly tracker: readonly TrackerState[];
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

  /** The search stops at `max` differences, and at `max` ambiguities. */
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
