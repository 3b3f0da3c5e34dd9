/**
 * What the table of actions holds of each action: how it is written and printed, where it is allowed, what it
 * needs of the packet, how large it is, and how far it is executed. Parser, printer, normal form, action
 * sets, size accounting and docs/language.md read these entries; the interpreter and the prover add what an
 * action does. The model is lib/ofp-actions.c of Open vSwitch, with its one list of actions; versions and
 * action sets are those of ovs-actions(7).
 */
import type { Consistency, Demand } from "../action-checks.ts";
import type { ActionParser } from "../arguments.ts";
import type { Action, OpaqueName } from "../ast.ts";
import type { Field } from "../fields.ts";
import type { Protocol } from "../parse-context.ts";
import type { Printing } from "../print-options.ts";

/** The key of an entry: the type of an action, or the name of one that is kept as text. */
export type ActionKind = Exclude<Action["type"], "opaque"> | OpaqueName;

/** The action of an entry. */
export type ActionOf<Kind extends ActionKind> = Kind extends OpaqueName
  ? Extract<Action, { type: "opaque" }>
  : Extract<Action, { type: Kind }>;

/** How far an action, or a field of a match, is executed. */
export type Support = "executed" | "no effect" | "uninterpreted" | "unknown";

/** A row of docs/language.md. */
export interface Feature {
  readonly name: string;
  readonly support: Support;
  /** What is worth knowing, or why the outcome is unknown; whole sentences, or empty. */
  readonly note: string;
}

/**
 * Instructions in the order in which a flow must have them; an action that is none of them is in
 * apply_actions.
 */
export const INSTRUCTIONS = [
  "meter",
  "apply_actions",
  "clear_actions",
  "write_actions",
  "write_metadata",
  "goto_table",
] as const;
export type Instruction = (typeof INSTRUCTIONS)[number];

/** The parts of an action set that run at most once, in this order (OpenFlow 1.3, section 5.10). */
export const SET_FIRST = [
  "pop_vlan",
  "pop_mpls",
  "decap",
  "encap",
  "push_mpls",
  "push_vlan",
  "dec_ttl",
  "dec_mpls_ttl",
  "dec_nsh_ttl",
] as const;
/** The parts that end an action set. Only the last one of this list that is present runs. */
export const SET_END = ["ct", "ct_clear", "resubmit", "output", "group"] as const;

/** The part of an action set that an action is in; all actions of the part `change` run, in their order. */
export type SetPart = (typeof SET_FIRST)[number] | "change" | (typeof SET_END)[number];

/**
 * How Open vSwitch keeps an action for the pass after a recirculation (freeze_unroll_actions() of
 * ofproto-dpif-xlate.c): together with the number of its table, alone, or not at all.
 */
export type Freezing = "with its table" | "alone" | "left out";

/**
 * Bytes that Open vSwitch takes to store an action (struct ofpact_… of include/openvswitch/ofp-actions.h, 64
 * bits). Some spellings of one action differ in size, so these are bounds.
 */
export type ByteBounds = readonly [least: number, most: number];

/** Bounds of an action of unknown size. */
export const ANY_BYTES: ByteBounds = [0, 1024];

/** Rounds up to a multiple of 8, as all actions are stored. */
export const align8 = (bytes: number): number => (bytes + 7) & ~7;

/** One way to write an action. */
export interface Spelling<A extends Action = Action> {
  readonly parse: ActionParser;
  /** A flow, from its match on, that has the action in this spelling and is free of warnings. */
  readonly example: string;
  /**
   * What the packet must be; OpenFlow 1.0 takes a flow that does not ensure it, and the action does nothing.
   */
  readonly needs?: readonly Demand[];
  /** Notes what the packet is behind the action. */
  readonly becomes?: (consistency: Consistency, action: A) => void;
}

/** A setting of the bits of `mask` of a field, in normal form. */
export interface CanonicalSet {
  readonly type: "set";
  readonly field: Field;
  readonly value: bigint;
  readonly mask: bigint;
}

type Printer<A> = (action: A, printing: Printing) => string | readonly string[];

/** All that is known of one action except for its effect on a packet. */
export interface ActionEntry<A extends Action = Action> {
  /** Its name in docs/language.md, where another entry has the same spelling. */
  readonly title?: string;
  /** The spellings by their names in lower case. */
  readonly spellings: Readonly<Record<string, Spelling<A>>>;
  /** Prints it as written; a list if it is several actions there. */
  readonly print: Printer<A>;
  /** How a switch prints it in an OpenFlow version, where that differs. */
  readonly printIn?: Partial<Readonly<Record<Protocol, Printer<A>>>>;
  /** OpenFlow versions that can carry it, with the extensions of Open vSwitch. */
  readonly versions: readonly Protocol[];
  /** The instruction that it is; absent: it is an action. */
  readonly instruction?: Instruction;
  /**
   * Whether it may be written into an action set; a string names what may not. Buckets may hold any action.
   */
  readonly inWriteActions: boolean | ((action: A) => true | string);
  /** Its part in an action set; null: an action set ignores it. */
  readonly setPart: SetPart | null | ((action: A) => SetPart | null);
  /** Whether it may stand beside conjunction. */
  readonly isBesideConjunction?: true;
  readonly bytes:
    | ByteBounds
    | ((action: A, ofList: (actions: readonly Action[]) => ByteBounds) => ByteBounds);
  /**
   * Whether a packet whose MPLS labels were popped must recirculate first (recirc_for_mpls() of Open
   * vSwitch).
   */
  readonly recirculates: boolean | ((action: A) => boolean);
  readonly freezing: Freezing | ((action: A) => Freezing);
  readonly support: Support;
  /** Rows of docs/language.md: the first is about the action, others about arguments of it. */
  readonly docs: readonly [note: string, ...others: readonly Feature[]];
  /** The actions inside it, which run as a list of their own. */
  readonly list?: (action: A) => readonly Action[];
  /** Normal form: the actions that a switch is sent in its place. */
  readonly sentAs?: (action: A) => readonly Action[];
  /** Normal form: the settings that it is; null if it has a form of its own. */
  readonly settings?: (action: A) => readonly CanonicalSet[] | null;
  /** The ports that it names by number. */
  readonly ports?: (action: A) => readonly number[];
  /** Whether it takes a port number out of a field or puts one there. */
  readonly movesPorts?: (action: A) => boolean;
}

/** OpenFlow versions that carry an action: all of them, or those from 1.1 on. */
export const ALL_VERSIONS: readonly Protocol[] = ["OpenFlow10", "OpenFlow13", "OpenFlow15"];
export const FROM_11: readonly Protocol[] = ["OpenFlow13", "OpenFlow15"];
