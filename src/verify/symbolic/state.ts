/**
 * The state of a symbolic machine between two steps: the flow key as actions changed it (`flow`), the
 * packet's bytes as the datapath changed them (`packet`), the steps still to run, and the events so far.
 * States are immutable: a step returns a copy with changed fields. The names follow interpret/translate.ts.
 */
import {
  type Effect,
  KEY,
  ORIGIN,
  type PacketInArguments,
  type Step,
  type TrackStep,
} from "../../openflow/index.ts";
import type { SlotPlace, Template } from "./templates.ts";
import type { Segment, Word } from "./terms.ts";

/** The values of a template's slots: of one flow, or of the flows of a row set. */
export interface SlotValues {
  readonly id: number;
  readonly template: Template | null;
  /** `bits` bits of a slot's value, the least significant first. */
  readonly read: (place: SlotPlace, bits: number) => readonly Segment[];
}

/** A step with its slot values. */
export interface Bound {
  readonly step: Step;
  readonly slotValues: SlotValues;
}

export type StackFrame =
  | {
      readonly is: "steps";
      readonly list: readonly Bound[];
      readonly index: number;
      readonly table: number;
      readonly depth: number;
      /** No step follows. */
      readonly isLast: boolean;
      /** Bits of ORIGIN, which determine the reason of packet-ins. */
      readonly origin: number;
    }
  | {
      readonly is: "buckets";
      readonly lists: readonly (readonly Bound[])[];
      readonly index: number;
      readonly isLast: boolean;
    }
  | { readonly is: "bucket end"; readonly flow: readonly Word[]; readonly wasMpls: boolean }
  /** The end of a pass or of a clone; a clone has `saved`. `isLast`: its action set has run. */
  | { readonly is: "finish"; readonly isLast: boolean; readonly saved: Saved | null };

/** The state that a clone restores. */
export interface Saved {
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Bound[];
  readonly flow: readonly Word[];
  /** Set if the clone also copies the packet in the datapath. */
  readonly copied: { readonly packet: Packet; readonly wasMpls: boolean } | null;
}

export interface StackItem {
  readonly segments: readonly Segment[];
  readonly bytes: number;
}

/** The packet's bytes, as differences from the incoming frame. */
export interface Packet {
  readonly base: readonly Word[];
  /** The words from nw_src on as extracted. */
  readonly read: readonly Word[];
  /** The type under which they were extracted. */
  readonly readAs: Word;
  /** Number of the extraction. */
  readonly extraction: number;
  /** Labels popped off the original stack, labels pushed onto it. */
  readonly popped: number;
  readonly pushed: number;
  /**
   * Type bytes that were written, the last one behind each tag: LLC/SNAP frames without a tag have them
   * elsewhere.
   */
  readonly types: readonly TypeWritten[];
  /** Labels were popped or pushed since the last extraction. */
  readonly isRelabelled: boolean;
  /** The packet was extracted on its way to the controller, and the header behind the type moved. */
  readonly isMoved: boolean;
  /** Words that were written, and the values of words that were written again. */
  readonly written: ReadonlySet<number>;
  readonly history: string;
}

/** A type, and the tag of the packet when it was written. */
export interface TypeWritten {
  readonly tag: Word;
  readonly type: Word;
}

/** Determines the bytes of an output. */
export interface Wire {
  readonly packet: Packet;
  readonly id: string;
}

export type Event =
  | {
      readonly is: "output";
      readonly port: Word;
      /** The port on which the packet is suppressed; null if none. */
      readonly notTo: Word | null;
      /** Truncated to so many bytes; null if not truncated. */
      readonly maxBytes: number | null;
      readonly wire: Wire;
      /** ACCOMPANYING_WORDS, as far as this port sends them. */
      readonly state: readonly Word[];
    }
  | {
      readonly is: "packet_in";
      readonly to: PacketInArguments;
      readonly wire: Wire;
      /** PACKET_IN_WORDS. */
      readonly state: readonly Word[];
    }
  /**
   * An effect beside the packet (interpret/compile-actions.ts): equal texts with equal words are equal
   * effects.
   */
  | {
      readonly is: "effect";
      readonly effect: Effect;
      readonly name: string;
      readonly text: string;
      readonly line: number;
      readonly words: readonly Word[];
      /** The packet if the effect depends on its bytes, else null. */
      readonly wire: Wire | null;
    };

/** A packet on its way to the connection tracker: the step that sends it, and its zone. */
export interface Asked {
  readonly step: TrackStep;
  readonly zone: Word;
}

/** What the tracker said: the words of the key that it set, the packet's translated ones among them. */
export interface Answer {
  readonly line: number;
  readonly words: ReadonlyMap<number, Word>;
}

export interface Frozen {
  readonly list: readonly Bound[];
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Bound[];
  readonly key: readonly Word[];
  readonly packet: Packet;
  /** Recirculations before the pass that froze it. */
  readonly recirculations: number;
  /** Without a list, the next pass begins with a lookup in this table. */
  readonly table: number;
  /** The question whose answer comes before the next pass; null: there is none. */
  readonly asked: Asked | null;
}

/** What a pass leaves, in order: events, and frozen packets to recirculate. */
export type Left = Event | { readonly is: "recirculate"; readonly frozen: Frozen };

export interface Lookup {
  readonly table: number;
  readonly inPort: Word;
  readonly deepens: number;
  /** No step follows the matched flow's. */
  readonly isLast: boolean;
}

/** A matched flow, for reports. */
export interface Hit {
  readonly slotValues: SlotValues;
  readonly table: number;
}

export interface State {
  readonly side: 0 | 1;
  readonly flow: readonly Word[];
  readonly packet: Packet;
  readonly frames: readonly StackFrame[];
  readonly lookup: Lookup | null;
  readonly lookups: number;
  readonly stack: readonly StackItem[];
  readonly stackBytes: number;
  /** An upper bound of the datapath actions of this pass, in bytes. */
  readonly actionBytes: number;
  readonly actionSet: readonly Bound[];
  readonly actionSetHasGroup: boolean;
  readonly isOver: boolean;
  readonly isFreezing: boolean;
  readonly wasMpls: boolean;
  /** The datapath tracks the packet's connection. */
  readonly isTracked: boolean;
  /** The tracker may have translated the packet's addresses, which the key does not show. */
  readonly isTranslated: boolean;
  readonly frozen: readonly Bound[];
  readonly frozenTable: number;
  readonly priority: Word;
  readonly error: string | null;
  /** Of this pass. */
  readonly left: readonly Left[];
  /** Of earlier passes, processed after this pass. */
  readonly after: readonly Left[];
  readonly recirculations: number;
  /** All questions to the connection tracker so far, in order (tracker.ts). */
  readonly tracked: string;
  /** Its answers to those that have one. */
  readonly answers: readonly Answer[];
  /** Events that are ready for comparison. */
  readonly out: readonly Event[];
  readonly isDone: boolean;
  readonly hits: readonly Hit[];
}

/** The fields of a state at the start of a pass, except the packet and earlier passes. */
export const NEW_PASS = {
  frames: [{ is: "finish", isLast: false, saved: null }],
  lookup: null,
  lookups: 0,
  actionBytes: 0,
  actionSet: [],
  actionSetHasGroup: false,
  isOver: false,
  isFreezing: false,
  wasMpls: false,
  isTracked: false,
  isTranslated: false,
  frozen: [],
  frozenTable: -1,
  error: null,
  left: [],
} as const;

/** The top stack frame. */
export const topOf = (state: State): StackFrame | undefined => state.frames.at(-1);

/** Replaces the top stack frame; null removes it. */
export function replaceTop(state: State, frame: StackFrame | null): State {
  const frames = state.frames.slice(0, -1);
  return { ...state, frames: frame === null ? frames : [...frames, frame] };
}

export const pushFrame = (state: State, frame: StackFrame): State => ({
  ...state,
  frames: [...state.frames, frame],
});

export const tableOf = (state: State): number => {
  for (let i = state.frames.length - 1; i >= 0; i--) {
    const frame = state.frames[i]!;
    if (frame.is === "steps") return frame.table;
  }
  return 0;
};

export const depthOf = (state: State): number => {
  for (let i = state.frames.length - 1; i >= 0; i--) {
    const frame = state.frames[i]!;
    if (frame.is === "steps") return frame.depth;
  }
  return 0;
};

/** ORIGIN bits of the current list. */
export const originOf = (state: State): number => {
  for (let i = state.frames.length - 1; i >= 0; i--) {
    const frame = state.frames[i]!;
    if (frame.is === "steps") return frame.origin;
  }
  return 0;
};

export const LAYER_3 = { from: KEY.nwSrc as number, to: KEY.nshBase as number } as const;

/** The state after a lookup: `list` are the steps of the matched flow; null for a miss. */
export function enter(state: State, list: readonly Bound[] | null, hit: Hit | null): State {
  const { lookup } = state;
  if (lookup === null) throw new Error("internal error: there is no pending lookup");
  const answered = { ...state, lookup: null, lookups: state.lookups + 1 };
  if (list === null || hit === null) return answered;
  const depth = depthOf(state) + lookup.deepens;
  const { table, isLast } = lookup;
  const isMiss = hit.slotValues.template?.isMiss === true;
  const origin = (originOf(state) & ORIGIN.set) | (isMiss ? ORIGIN.miss : 0);
  let { frames } = answered;
  // Finished lists need no return.
  for (let top = frames.at(-1); top?.is === "steps" && top.index === top.list.length; top = frames.at(-1))
    frames = frames.slice(0, -1);
  const steps: StackFrame = { is: "steps", list, index: 0, table, depth, isLast, origin };
  return { ...answered, frames: [...frames, steps], hits: [...state.hits, hit] };
}

/** The state with what the clone saved restored. */
export function restored(state: State, saved: Saved | null): State {
  if (saved === null) return state;
  const { stack, actionSet, flow, copied } = saved;
  const stackBytes = stack.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...state, stack, stackBytes, actionSet, flow, ...copied };
}
