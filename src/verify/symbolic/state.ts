/**
 * What a symbolic machine is between two steps: the key as actions have made it (`flow`), what the datapath has made of
 * the packet so far (`base`), what is still to be run, and what has been put out. All of it is immutable; a step copies
 * the object and replaces fields. The names are those of the interpreter (interpret/translate.ts), which says what they mean.
 */
import { type Effect, KEY, ORIGIN, type PacketInArguments, type Step } from "../../openflow/index.ts";
import type { SlotPlace, Template } from "./templates.ts";
import type { Segment, Word } from "./terms.ts";

/** Where the values of a template's slots come from: one row, or the rows of a rowSet. */
export interface SlotValues {
  readonly id: number;
  readonly template: Template | null;
  /** The value of a slot: bits of it, the least significant first. */
  readonly read: (place: SlotPlace, bits: number) => readonly Segment[];
}

/** A step, and where its values are. */
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
      /** Nothing is to come behind it. */
      readonly isLast: boolean;
      /** Bits of ORIGIN, for the reasons of packet-ins. */
      readonly origin: number;
    }
  | {
      readonly is: "buckets";
      readonly lists: readonly (readonly Bound[])[];
      readonly index: number;
      readonly isLast: boolean;
    }
  | { readonly is: "bucket end"; readonly flow: readonly Word[]; readonly wasMpls: boolean }
  /** The end of a pass, or of a clone, which then has its `saved` state; `isLast`: its action set has been run. */
  | { readonly is: "finish"; readonly isLast: boolean; readonly saved: Saved | null };

/** What a clone gives back. */
export interface Saved {
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Bound[];
  readonly flow: readonly Word[];
  /** Of a clone that works on a copy in the datapath too. */
  readonly copied: { readonly packet: Packet; readonly wasMpls: boolean } | null;
}

export interface StackItem {
  readonly segments: readonly Segment[];
  readonly bytes: number;
}

/** The packet's bytes, as far as they are known to differ from what came in. */
export interface Packet {
  readonly base: readonly Word[];
  /** The words from nw_src on as they were read. */
  readonly read: readonly Word[];
  /** The type under which they were read. */
  readonly readAs: Word;
  /** Which extraction they are of. */
  readonly extraction: number;
  /** Labels taken off the original stack, labels put on it. */
  readonly popped: number;
  readonly pushed: number;
  /** Type bytes that were written, the last one behind each tag: they lie elsewhere in LLC/SNAP frames without a tag. */
  readonly types: readonly TypeWritten[];
  /** Labels came or went since the bytes were read last. */
  readonly isRelabelled: boolean;
  /** The bytes were read on their way to the controller, and what lies behind the type was found elsewhere. */
  readonly isMoved: boolean;
  /** Words that were written, and values of those that were written again. */
  readonly written: ReadonlySet<number>;
  readonly history: string;
}

/** A type, and the tag that the packet had when it was written. */
export interface TypeWritten {
  readonly tag: Word;
  readonly type: Word;
}

/** What the bytes of an output are made of. */
export interface Wire {
  readonly packet: Packet;
  readonly id: string;
}

export type Event =
  | {
      readonly is: "output";
      readonly port: Word;
      /** The port by which it does not leave; null when that does not matter. */
      readonly notTo: Word | null;
      /** It is cut to so many bytes; null for all. */
      readonly maxBytes: number | null;
      readonly wire: Wire;
      /** ACCOMPANYING_WORDS, as far as they go along by this port. */
      readonly state: readonly Word[];
    }
  | {
      readonly is: "packet_in";
      readonly to: PacketInArguments;
      readonly wire: Wire;
      /** PACKET_IN_WORDS. */
      readonly state: readonly Word[];
    }
  /** An effect beside the packet (interpret/compile-actions.ts): the same text with the same words is the same effect. */
  | {
      readonly is: "effect";
      readonly effect: Effect;
      readonly name: string;
      readonly text: string;
      readonly line: number;
      readonly words: readonly Word[];
      /** Of the packet, where the effect depends on its bytes; null otherwise. */
      readonly wire: Wire | null;
    };

export interface Frozen {
  readonly list: readonly Bound[];
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Bound[];
  readonly key: readonly Word[];
  readonly packet: Packet;
  /** Of the pass that left it: how often the packet was read anew until then. */
  readonly recirculations: number;
}

/** What a pass leaves behind, in order: events, and packets to be read anew. */
export type Left = Event | { readonly is: "recirculate"; readonly frozen: Frozen };

export interface Lookup {
  readonly table: number;
  readonly inPort: Word;
  readonly deepens: number;
  /** Nothing is to come behind what it finds. */
  readonly isLast: boolean;
}

/** A flow that was hit, for people. */
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
  /** At most so many bytes Open vSwitch takes for what this pass has put out. */
  readonly actionBytes: number;
  readonly actionSet: readonly Bound[];
  readonly actionSetHasGroup: boolean;
  readonly isOver: boolean;
  readonly isFreezing: boolean;
  readonly wasMpls: boolean;
  /** The datapath tracks the packet's connection by now. */
  readonly isTracked: boolean;
  readonly frozen: readonly Bound[];
  readonly frozenTable: number;
  readonly priority: Word;
  readonly error: string | null;
  /** Of this pass. */
  readonly left: readonly Left[];
  /** Of earlier passes, to be done when this one is. */
  readonly after: readonly Left[];
  readonly recirculations: number;
  /** Ready to be compared. */
  readonly out: readonly Event[];
  readonly isDone: boolean;
  readonly hits: readonly Hit[];
}

/** What a state is where a pass begins, apart from the packet and what came before it. */
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
  frozen: [],
  frozenTable: -1,
  error: null,
  left: [],
} as const;

/** The top frame. */
export const topOf = (state: State): StackFrame | undefined => state.frames.at(-1);

/** Replaces the top frame; null takes it off. */
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

/** The bits of the list that runs. */
export const originOf = (state: State): number => {
  for (let i = state.frames.length - 1; i >= 0; i--) {
    const frame = state.frames[i]!;
    if (frame.is === "steps") return frame.origin;
  }
  return 0;
};

export const LAYER_3 = { from: KEY.nwSrc as number, to: KEY.nshBase as number } as const;

/** The state once a lookup is answered: by a flow's steps, or by nothing. */
export function enter(state: State, list: readonly Bound[] | null, hit: Hit | null): State {
  const { lookup } = state;
  if (lookup === null) throw new Error("assertion: a lookup is answered");
  const answered = { ...state, lookup: null, lookups: state.lookups + 1 };
  if (list === null || hit === null) return answered;
  const depth = depthOf(state) + lookup.deepens;
  const { table, isLast } = lookup;
  const isMiss = hit.slotValues.template?.isMiss === true;
  const origin = (originOf(state) & ORIGIN.set) | (isMiss ? ORIGIN.miss : 0);
  let { frames } = answered;
  // Lists that have nothing left need not be returned to.
  for (let top = frames.at(-1); top?.is === "steps" && top.index === top.list.length; top = frames.at(-1))
    frames = frames.slice(0, -1);
  const steps: StackFrame = { is: "steps", list, index: 0, table, depth, isLast, origin };
  return { ...answered, frames: [...frames, steps], hits: [...state.hits, hit] };
}

/** The state with what a clone gives back. */
export function restored(state: State, saved: Saved | null): State {
  if (saved === null) return state;
  const { stack, actionSet, flow, copied } = saved;
  const stackBytes = stack.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...state, stack, stackBytes, actionSet, flow, ...copied };
}
