/**
 * The outcome of one pass over the tables (translate.ts): datapath actions, what the pass leaves for the next
 * one, and what it could not decide. The names are those of ofproto/ofproto-dpif-xlate.c of Open vSwitch.
 */
import type { Flow } from "../ast.ts";
import { KEY_WORDS } from "../flow-key.ts";
import type { Effect, FeatureAt, PacketInArguments, Step } from "./compile-actions.ts";
import type { HeaderAction } from "./datapath.ts";
import type { Words } from "./field-access.ts";

/** An item of the stack of push and pop. */
export interface StackItem {
  readonly value: Words;
  readonly bytes: number;
}

/** The step that hands a packet to the connection tracker. */
export type TrackStep = Extract<Step, { do: "track" }>;

/** What a pass leaves for the pass after a recirculation. */
export interface Frozen {
  /** Number of its own, for caches. */
  readonly id: number;
  readonly steps: readonly Step[];
  /** Without steps, the next pass begins with a lookup in this table. */
  readonly table: number;
  /** The tracker was asked: its answer comes before the next pass. */
  readonly asked: { readonly step: TrackStep; readonly zone: number } | null;
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Step[];
  /** The metadata words of the key, up to those of the tracker. */
  readonly key: Uint32Array;
}

export type DatapathAction =
  | HeaderAction
  /** `state`: queue, mark and tunnel (ACCOMPANYING_WORDS); null if all are zero. */
  | { readonly do: "output"; readonly port: number; readonly state: Uint32Array | null }
  /**
   * The whole packet: Open vSwitch has no buffers and so ignores max_len. `state`: the metadata
   * (PACKET_IN_WORDS). `isExpired`: caused by a TTL that is used up, and not by an action that sends packets
   * to the controller.
   */
  | {
      readonly do: "packet_in";
      readonly to: PacketInArguments;
      readonly isExpired: boolean;
      readonly state: Uint32Array;
      readonly line: number;
    }
  | ({ readonly do: "effect" } & EffectAt)
  | { readonly do: "recirculate"; readonly frozen: Frozen }
  | { readonly do: "clone"; readonly actions: readonly DatapathAction[] };

/** An effect beside the packet. Two with the same `key` are the same. */
export interface EffectAt {
  readonly effect: Effect;
  readonly name: string;
  /** The action with its arguments. */
  readonly text: string;
  readonly key: string;
  readonly line: number;
}

/** A lookup: the table and the flow that was found, null if none. */
export interface TableHit {
  readonly table: number;
  readonly flow: Flow | null;
  /** The flows whose conjunction actions led to it; absent if it matched by itself. */
  readonly clauses?: readonly Flow[];
}

/** Two flows that match the same packet and differ: of one priority, or by conjunctive matches of one. */
export interface Ambiguity {
  readonly table: number;
  readonly flows: readonly [Flow, Flow];
  /** The flows with conjunction actions whose order decides; absent if both match by themselves. */
  readonly clauses?: readonly Flow[];
}

/** The outcome of a pass. If `unknown` or `ambiguous` is not empty, the actions are meaningless. */
export interface Translation {
  readonly actions: readonly DatapathAction[];
  /** Why the frame is dropped although there were actions; null if it is not. */
  readonly error: string | null;
  readonly unknown: readonly FeatureAt[];
  readonly ambiguous: readonly Ambiguity[];
  readonly tables: readonly TableHit[];
}

/** Arrays of KEY_WORDS words for a pass to use; their content before does not matter. */
export interface Scratch {
  readonly base: Uint32Array;
  /**
   * Afterwards: the bits of the key as it was given that the outcome may depend on. All others may be
   * anything.
   */
  readonly reads: Uint32Array;
}

export const newScratch = (): Scratch => ({
  base: new Uint32Array(KEY_WORDS),
  reads: new Uint32Array(KEY_WORDS),
});

/** Observes a packet while it crosses the tables. Keys are the pass's own and change later. */
export interface Watcher {
  /** A lookup, and the key as it was then. */
  lookedUp(hit: TableHit, key: Uint32Array): void;
  /** The packet leaves by a port, as it is now. */
  putOut(port: number, key: Uint32Array): void;
  /** The packet was recirculated: its labels had been popped. */
  recirculated(frame: Uint8Array, key: Uint32Array): void;
}

/** What a pass could not decide, the error that ends it, and the lookups it made. */
export class PassOutcome {
  readonly unknown: FeatureAt[] = [];
  readonly ambiguous: Ambiguity[] = [];
  readonly tables: TableHit[] = [];
  error: string | null = null;
  /** The line of the step that runs. */
  line = 0;

  isUndecided(): boolean {
    return this.unknown.length > 0 || this.ambiguous.length > 0;
  }

  /** Whether nothing more runs. */
  isStopped(): boolean {
    return this.error !== null || this.isUndecided();
  }

  /** Ends the pass: its outcome depends on `feature`. */
  giveUp(feature: string, line = this.line): void {
    this.unknown.push({ feature, line });
  }
}
