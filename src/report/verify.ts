/**
 * The result of verify and diff as plain data: the two inputs, the parts of an outcome that were compared,
 * and each difference with its frame and the flows that cause it. JSON, text and findings are made from it
 * in files of their own.
 */
import type { ShownOutput, ShownPacketIn } from "./ends.ts";
import type { Location, Step } from "./finding.ts";

/** Flows that an option left out before anything was compared. */
export interface LeftOut {
  /** `--ignore-cookie`. */
  readonly by: string;
  readonly flows: number;
}

export interface VerifySide {
  readonly name: string;
  readonly kind: "intent" | "dump" | "bridge";
  readonly flows: number;
  readonly leftOut: readonly LeftOut[];
  /** Flows that cannot be parsed. */
  readonly unread: number;
  /** False for a bridge that changed while slash32 read it. */
  readonly isSteady: boolean;
}

/**
 * Where a flow is. A flow of an intent has the line of the part that it is for, 0 where it is for no part
 * alone, and `compiledLine`, its line in what `slash32 compile` prints, which is null for all others.
 */
export interface VerifyPlace extends Step {
  readonly compiledLine: number | null;
  /** The part of the intent that the flow is for; null where there is none. */
  readonly origin: Location | null;
}

/** `hv1.yaml:51, compiled line 63`. */
export function placeText({ file, line, compiledLine }: VerifyPlace): string {
  const place = line === 0 ? file : `${file}:${line}`;
  return compiledLine === null ? place : `${place}, compiled line ${compiledLine}`;
}

/** A flow that a frame met. */
export interface VerifyStep extends VerifyPlace {
  /** Table, priority and match, and actions, in normal form: equal texts have equal effects. */
  readonly match: string;
  readonly actions: string;
  readonly priority: number;
  /** The flows whose conjunction actions led to it; absent where it matched by itself. */
  readonly clauses?: readonly VerifyPlace[];
}

export interface VerifyBehaviour {
  readonly outputs: readonly ShownOutput[];
  readonly packetIns: readonly ShownPacketIn[];
  /** Effects beside the packet, as the actions stand in the flows: learn(…), NORMAL. */
  readonly others: readonly string[];
  /** Limits of the switch that undid everything: resubmit too deep, too many lookups, too many labels. */
  readonly errors: readonly string[];
  readonly flows: readonly VerifyStep[];
}

/** One answer of the connection tracker. */
export interface VerifyTracker {
  /** Who asks: one side, or both the same. */
  readonly side: "a" | "b" | "both";
  /** The flow with the ct, as `file:line`. */
  readonly place: string;
  readonly zone: number;
  /** As --ct-next takes it: `est,trk,ct_mark=0x1`. */
  readonly says: string;
}

/** `the tracker says est,trk (ct of a.flows:12, zone 5)`. */
export const trackerText = ({ place, zone, says }: VerifyTracker): string =>
  `the tracker says ${says} (ct of ${place}, zone ${zone})`;

interface Shown {
  readonly inPort: number;
  readonly inPortName: string | null;
  /** State beside the bytes of the frame, as a match: `tun_id=0x64`; empty if there is none. */
  readonly state: string;
  /** What the connection tracker must say, in the order of its questions. */
  readonly tracker: readonly VerifyTracker[];
  readonly hex: string;
  readonly summary: string;
  /** A shell line that traces the frame. */
  readonly replay: string;
}

/** The flows that a and b take where they first differ; null where none matches. */
export interface VerifyRow {
  readonly a: VerifyPlace | null;
  readonly b: VerifyPlace | null;
  /** The side that has no flow with the other's table, priority and match. */
  readonly missing: "a" | "b" | null;
}

/** The flow pairs of a difference. There may be a million, so they are made one by one. */
export interface VerifyRows {
  readonly count: number;
  /** Flow pairs that may or may not differ. */
  readonly openCount: number;
  at(index: number): VerifyRow;
  /** Equal for one row of two differences. */
  nameAt(index: number): number;
}

export interface VerifyDifference extends Shown {
  readonly what: string;
  readonly affected: string;
  readonly a: VerifyBehaviour;
  readonly b: VerifyBehaviour;
  readonly rows: VerifyRows;
  /** Flows of the table with this match form, the different ones included; 0: a single flow. */
  readonly alike: number;
}

export interface VerifyAmbiguity extends Shown {
  readonly side: "a" | "b";
  readonly flows: readonly [VerifyStep, VerifyStep];
}

export interface VerifyUnknown {
  readonly feature: string;
  /** 0 where no line is to blame. */
  readonly line: number;
  readonly side: "a" | "b" | null;
  /** Further information, and what to do. */
  readonly note?: string;
}

/** Two flows that differ only in their cookies. */
export interface CookiePair {
  readonly a: VerifyPlace;
  readonly b: VerifyPlace;
}

/**
 * Parts of an outcome that were compared, and flows left out, in words that can follow "equal, apart from".
 */
export interface Compared {
  readonly included: readonly string[];
  readonly leftOut: readonly string[];
  /** How a text without version was parsed: `read as OpenFlow 1.3+`. */
  readonly readAs: readonly string[];
  /** The scope of "equal", if it is less than the tables: `as far as OpenFlow 1.0 shows`. */
  readonly extent: string | null;
  /** Names of ports and tables that nothing defines, and the numbers that stand for them here. */
  readonly symbols: {
    readonly ports: Readonly<Record<string, number>>;
    readonly tables: Readonly<Record<string, number>>;
  } | null;
}

export interface VerifyReport {
  readonly type: "verify" | "diff" | "watch";
  /** When a watch read the bridge (RFC 3339). */
  readonly at?: string;
  readonly verdict: "equal" | "different" | "ambiguous" | "unknown";
  readonly classes: number;
  readonly packets: string;
  readonly seconds: number;
  readonly a: VerifySide;
  readonly b: VerifySide;
  readonly compared: Compared;
  readonly differences: readonly VerifyDifference[];
  /** False if the search ended early: there may be more differences, and more flow pairs of these. */
  readonly isComplete: boolean;
  readonly ambiguous: readonly VerifyAmbiguity[];
  readonly unknown: readonly VerifyUnknown[];
  /** Null if cookies were not compared. */
  readonly cookies: { readonly count: number; at(index: number): CookiePair } | null;
}

/** The rows one by one. */
export function* rowsOf(rows: VerifyRows): Generator<VerifyRow> {
  for (let index = 0; index < rows.count; index++) yield rows.at(index);
}
