/**
 * Compiles actions into steps, once per flow: `mod_dl_dst`, `load` and `set_field` become `set`, bigints
 * become words, and an action that cannot be executed becomes a step `unknown`. What is not particular to the
 * execution, such as sizes and parts of action sets, comes from the entries of actions/. Nothing is executed
 * here.
 */
import { unreachable } from "../../wire/index.ts";
import {
  type ActionKind,
  type ActionOf,
  type ByteBounds,
  bytesOfAction,
  type Freezing,
  freezingOf,
  kindOf,
  recirculatesBefore,
  type SetPart,
  sentAs,
  setPartOf,
} from "../actions/index.ts";
import type { Action, Nat, OpaqueName, SetSpelling, Subfield } from "../ast.ts";
import { type Demanded, type Field, fieldNamed } from "../fields.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { formatActions } from "../print.ts";
import { type Words, wordsOf } from "./field-access.ts";

/** A feature that the outcome depends on and that is not executed, and the line where it stands. */
export interface FeatureAt {
  readonly feature: string;
  readonly line: number;
}

/** Arguments of a packet-in that the controller sees, beside the packet and its metadata. */
export interface PacketInArguments {
  readonly reason: string;
  readonly id: number;
  readonly maxBytes: number;
  /** As hexadecimal digits; null without. */
  readonly userdata: string | null;
}

/**
 * Effects of actions that leave the packet alone. `puts out`: it may leave by ports that the flow does not
 * name; `learns`: a flow is added for later packets; `samples`: a collector gets a report; `tracks`: a
 * connection, a meter or another state of the switch changes, which may also hold the packet back.
 */
export type Effect = "puts out" | "learns" | "samples" | "tracks";

/**
 * Whether Open vSwitch notes it down on the way through the tables, so that an error behind it does not undo
 * it.
 */
export const isNoted = ({ effect, name }: { readonly effect: Effect; readonly name: string }): boolean =>
  effect === "learns" || name === "NORMAL";

const wordsFrom = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, index) => first + index);

/**
 * Words of the key that come in with a packet beside its bytes, and leave with it: queue, mark and tunnel.
 */
export const ACCOMPANYING_WORDS: readonly number[] = [
  KEY.skbPriority,
  KEY.pktMark,
  ...wordsFrom(KEY.tunnelId, KEY.ctState),
];

/** Words of the key that a packet-in carries beside the packet (flow_get_metadata of lib/flow.c). */
export const PACKET_IN_WORDS: readonly number[] = [
  KEY.pktMark,
  KEY.inPort,
  ...wordsFrom(KEY.metadata, KEY.dlDst),
];

/** Words of the key that the connection tracker sets; all are zero while a packet is untracked. */
export const TRACKER_WORDS: readonly number[] = wordsFrom(KEY.ctState, KEY.dlDst);

/**
 * Words of the packet that the connection tracker looks at (conn_key_extract() of lib/conntrack.c, and the
 * checks of each protocol): not the Ethernet header, TOS, TTL and flow label.
 */
const TRACKED_WORDS: readonly number[] = [
  KEY.dlType,
  ...wordsFrom(KEY.nwSrc, KEY.ipv6Label),
  KEY.nwProto,
  KEY.nwFrag,
  ...wordsFrom(KEY.arpSha, KEY.nshBase),
];

const PACKET_WORDS: readonly number[] = wordsFrom(KEY.dlDst, KEY_WORDS);

/** Words of the key that decide what an effect is, beside the fields that the action reads. */
export function wordsOfEffect(effect: Effect, name: string): readonly number[] {
  switch (effect) {
    case "puts out":
      return [KEY.inPort, ...ACCOMPANYING_WORDS, ...PACKET_WORDS];
    case "samples":
      return [KEY.inPort, ...PACKET_WORDS];
    case "tracks":
      return name === "meter" ? [] : name === "ct" ? TRACKED_WORDS : PACKET_WORDS;
    case "learns":
      return [];
    default:
      return unreachable(effect);
  }
}

/** What is true of every step. */
interface StepBase {
  /** Line of the flow or group it comes from. */
  readonly line: number;
  /** Whether a packet whose labels were popped must recirculate first (recirc_for_mpls of Open vSwitch). */
  readonly needsReparse: boolean;
  /** The part of an action set that it belongs to; null: an action set ignores it. */
  readonly inSet: SetPart | null;
  /** How it is kept for the pass after a recirculation. */
  readonly freezing: Freezing;
  /** Bytes that Open vSwitch takes to store its action. */
  readonly bytes: ByteBounds;
}

export type Step = StepBase &
  (
    | { readonly do: "output"; readonly port: number }
    | { readonly do: "output_field"; readonly from: Subfield }
    | { readonly do: "output_truncated"; readonly port: number; readonly maxBytes: number }
    | { readonly do: "controller"; readonly to: PacketInArguments }
    | { readonly do: "enqueue"; readonly port: number; readonly queue: number }
    | { readonly do: "group"; readonly group: number }
    | { readonly do: "resubmit"; readonly port: number | null; readonly table: number | null }
    | { readonly do: "push_vlan"; readonly type: number }
    | { readonly do: "pop_vlan" }
    | { readonly do: "push_mpls"; readonly type: number }
    | { readonly do: "pop_mpls"; readonly type: number }
    | {
        readonly do: "set";
        readonly field: Field;
        readonly value: Words;
        readonly mask: Words;
        readonly prerequisite: Demanded;
      }
    | { readonly do: "move"; readonly from: Subfield; readonly to: Subfield }
    | { readonly do: "push"; readonly from: Subfield }
    | { readonly do: "pop"; readonly to: Subfield }
    | { readonly do: "dec_ttl"; readonly controllers: readonly number[] }
    | { readonly do: "dec_mpls_ttl" }
    | { readonly do: "set_queue"; readonly queue: number }
    | { readonly do: "pop_queue" }
    | { readonly do: "write_actions"; readonly steps: readonly Step[] }
    | { readonly do: "clear_actions" }
    /** `isCopied`: the datapath works on a copy; otherwise changes are taken back afterwards. */
    | { readonly do: "clone"; readonly steps: readonly Step[]; readonly isCopied: boolean }
    | { readonly do: "exit" }
    /** Changes nothing of this packet or of any other. */
    | { readonly do: "nothing"; readonly text: string }
    /**
     * Leaves the packet alone and has an effect of its own, which depends on its text, the packet, and the
     * fields that it reads.
     */
    | {
        readonly do: "effect";
        readonly effect: Effect;
        readonly name: string;
        readonly text: string;
        readonly reads: readonly Subfield[];
      }
    /**
     * The connection tracker sees the packet: an effect named ct. With a table, a copy of the packet goes on
     * there, with what the tracker says; the packet itself goes on untracked. `text`: the action without its
     * table.
     */
    | {
        readonly do: "track";
        readonly text: string;
        readonly reads: readonly Subfield[];
        readonly table: number | null;
        readonly zone: number | Subfield;
        readonly nat: Nat | null;
        /** What a commit writes to ct_mark and ct_label; empty without commit. */
        readonly marks: readonly Step[];
      }
    /** The packet becomes untracked. */
    | { readonly do: "untrack" }
    /** `text`, here and of nothing: the action with its arguments, in the spelling of Open vSwitch. */
    | { readonly do: "unknown"; readonly feature: string; readonly text: string }
    /** Only among frozen steps: the table in which the next ones stood. */
    | { readonly do: "unroll"; readonly table: number }
  );

/** What a spelling demands of the packet, where that is not the field's own prerequisite. */
const SPELLING_DEMANDS: Partial<Record<SetSpelling, Demanded>> = {
  mod_dl_src: "none",
  mod_dl_dst: "none",
  mod_vlan_vid: "none",
  mod_vlan_pcp: "none",
  set_vlan_vid: "VLAN VID",
  set_vlan_pcp: "VLAN VID",
  mod_nw_src: "IPv4",
  mod_nw_dst: "IPv4",
  mod_tp_src: "ports",
  mod_tp_dst: "ports",
  set_tunnel: "none",
  set_tunnel64: "none",
};

/** Spellings that write a field in another way than set_field would. */
const SPELLING_FIELDS: Partial<Record<SetSpelling, string>> = {
  mod_vlan_vid: "dl_vlan",
  mod_vlan_pcp: "dl_vlan_pcp",
  set_vlan_vid: "dl_vlan",
  set_vlan_pcp: "dl_vlan_pcp",
};

/**
 * Whether a field is in the key of every frame that has it, with its value in Open vSwitch: NSH is not read,
 * tun_metadata has no place, and the datapath allocates the numbers of recirc_id.
 */
export const isModelled = ({ place }: Field): boolean =>
  place !== null &&
  place.word !== KEY.recircId &&
  (place.word < KEY.nshBase || place.word > KEY.nshContext + 3);

type Given<Kind extends ActionKind> = ActionOf<Kind>;
type Body<S = Step> = S extends unknown ? Omit<S, keyof StepBase> : never;
/** The text of these is added in one place. */
type Textless<S> = S extends { do: "nothing" | "unknown" } ? Omit<S, "text"> : S;
type Compiled = Textless<Body>;
type Opaque = ActionOf<OpaqueName>;

function setStep({ spelling, field, value, mask }: Given<"set">): Compiled {
  if (!isModelled(field)) return { do: "unknown", feature: `set_field of ${field.name}` };
  const name = SPELLING_FIELDS[spelling];
  const target = name === undefined ? field : fieldNamed(name);
  return {
    do: "set",
    field: target,
    value: wordsOf(value),
    mask: wordsOf(name === undefined ? mask : mask & target.valid),
    prerequisite: SPELLING_DEMANDS[spelling] ?? field.prerequisite,
  };
}

function controllerStep(action: Given<"controller">): Compiled {
  if (action.pause) return { do: "unknown", feature: "controller(pause)" };
  if (action.meter !== null) return { do: "unknown", feature: "controller(meter_id)" };
  const { reason, id, maxBytes, userdata } = action;
  return {
    do: "controller",
    to: { reason, id, maxBytes, userdata: userdata === null ? null : hexOf(userdata) },
  };
}

const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");

function resubmitStep({ port, table, ct }: Given<"resubmit">): Compiled {
  return ct ? { do: "unknown", feature: "resubmit(ct)" } : { do: "resubmit", port, table };
}

const subfieldStep = (step: Compiled, name: string, ...subfields: readonly Subfield[]): Compiled => {
  const missing = subfields.find(({ field }) => !isModelled(field));
  return missing === undefined ? step : { do: "unknown", feature: `${name} of ${missing.field.name}` };
};

/** Of an opaque action that reads fields which are not modeled, nothing is known. */
const opaqueStep =
  (step: (action: Opaque) => Compiled) =>
  (action: Opaque): Compiled =>
    subfieldStep(step(action), action.name, ...action.reads);

const unknownStep = opaqueStep(({ name }) => ({ do: "unknown", feature: name }));

const nothingStep = opaqueStep(() => ({ do: "nothing" }));

const effectStep = (effect: Effect) =>
  opaqueStep(({ name, text, reads }) => ({ do: "effect", effect, name, text, reads }));

const learnStep = effectStep("learns");

function trackStep({ tracking, reads, nested }: Opaque, line: number): Compiled {
  const { table, zone, nat, call } = tracking!;
  const step: Compiled = {
    do: "track",
    text: call,
    reads,
    table,
    zone,
    nat,
    marks: compileActions(nested, line),
  };
  return subfieldStep(step, "ct", ...reads);
}

const NOTHING = (): Compiled => ({ do: "nothing" });

/** Actions that a clone cannot take back (reversible_actions() of ofproto-dpif-xlate.c). */
const IS_COPIED: ReadonlySet<ActionKind> = new Set(["output_truncated", "ct"]);

/** The meaning of each action: the step that executes it. */
const COMPILE: { readonly [Kind in ActionKind]: (action: Given<Kind>, line: number) => Compiled } = {
  output: ({ port }) => ({ do: "output", port }),
  output_field: ({ from }) => subfieldStep({ do: "output_field", from }, "output", from),
  output_truncated: ({ port, maxBytes }) => ({ do: "output_truncated", port, maxBytes }),
  controller: controllerStep,
  enqueue: ({ port, queue }) => ({ do: "enqueue", port, queue }),
  group: ({ group }) => ({ do: "group", group }),
  resubmit: resubmitStep,
  goto_table: ({ table }) => ({ do: "resubmit", port: null, table }),
  push_vlan: ({ ethertype }) => ({ do: "push_vlan", type: ethertype }),
  pop_vlan: () => ({ do: "pop_vlan" }),
  push_mpls: ({ ethertype }) => ({ do: "push_mpls", type: ethertype }),
  pop_mpls: ({ ethertype }) => ({ do: "pop_mpls", type: ethertype }),
  set: setStep,
  move: ({ from, to }) => subfieldStep({ do: "move", from, to }, "move", from, to),
  push: ({ from }) => subfieldStep({ do: "push", from }, "push", from),
  pop: ({ to }) => subfieldStep({ do: "pop", to }, "pop", to),
  dec_ttl: ({ controllers }) => ({ do: "dec_ttl", controllers }),
  dec_mpls_ttl: () => ({ do: "dec_mpls_ttl" }),
  dec_nsh_ttl: () => ({ do: "unknown", feature: "dec_nsh_ttl" }),
  set_queue: ({ queue }) => ({ do: "set_queue", queue }),
  pop_queue: () => ({ do: "pop_queue" }),
  write_metadata: ({ value, mask }) => ({
    do: "set",
    field: fieldNamed("metadata"),
    value: wordsOf(value),
    mask: wordsOf(mask),
    prerequisite: "none",
  }),
  write_actions: ({ actions }, line) => ({ do: "write_actions", steps: compileActions(actions, line) }),
  clear_actions: () => ({ do: "clear_actions" }),
  clone: ({ actions }, line) => ({
    do: "clone",
    steps: compileActions(actions, line),
    isCopied: actions.some(action => IS_COPIED.has(kindOf(action))),
  }),
  meter: ({ meter }) => ({
    do: "effect",
    effect: "tracks",
    name: "meter",
    text: `meter:${meter}`,
    reads: [],
  }),
  // A flow of these is looked up as a part of a match and never executed; elsewhere Open vSwitch does
  // nothing.
  conjunction: NOTHING,
  note: NOTHING,
  exit: () => ({ do: "exit" }),
  learn: action =>
    action.text.includes("result_dst") ? { do: "unknown", feature: "learn(result_dst)" } : learnStep(action),
  ct: trackStep,
  ct_clear: () => ({ do: "untrack" }),
  multipath: unknownStep,
  bundle: effectStep("puts out"),
  bundle_load: unknownStep,
  sample: effectStep("samples"),
  fin_timeout: nothingStep,
  encap: unknownStep,
  decap: unknownStep,
  check_pkt_larger: unknownStep,
  delete_field: unknownStep,
  debug_recirc: unknownStep,
  debug_slow: nothingStep,
};

/**
 * The step that tells the pass after a recirculation in which table the next steps stood
 * (OFPACT_UNROLL_XLATE).
 */
export const unrollStep = (table: number, line: number): Step => ({
  do: "unroll",
  table,
  line,
  needsReparse: true,
  inSet: null,
  freezing: "alone",
  bytes: [16, 16],
});

function stepOf(action: Action, line: number): Step {
  const compile = COMPILE[kindOf(action)] as (action: Action, line: number) => Compiled;
  const compiled = compile(action, line);
  const isTextual = compiled.do === "unknown" || compiled.do === "nothing";
  return {
    ...compiled,
    ...(isTextual ? { text: formatActions([action]) } : {}),
    line,
    needsReparse: recirculatesBefore(action),
    inSet: setPartOf(action),
    freezing: freezingOf(action),
    bytes: bytesOfAction(action),
  } as Step;
}

/** The steps of a list of actions that stands in `line`. */
export const compileActions = (actions: readonly Action[], line: number): Step[] =>
  actions.flatMap(sentAs).map(action => stepOf(action, line));
