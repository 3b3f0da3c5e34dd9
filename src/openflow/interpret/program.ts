/**
 * Actions made ready to run: what a packet needs of each action of the syntax tree, worked out once per flow. Spelling
 * goes (mod_dl_dst, load and set_field become `set`), bigints become words, and what cannot be executed becomes a step
 * that says so. Nothing is executed here.
 */
import type { Action, SetSpelling, Subfield } from "../ast.ts";
import { type Field, fieldNamed, type Prerequisite } from "../fields.ts";
import { KEY } from "../key.ts";
import { type Words, wordsOf } from "./access.ts";
import { supportOf } from "./features.ts";

/** A feature that the outcome depends on and that is not executed, and the line where it stands. */
export interface FeatureAt {
  readonly feature: string;
  readonly line: number;
}

/** What is true of every step. */
interface StepBase {
  /** Line of the flow or group it comes from. */
  readonly line: number;
  /** Whether a packet whose labels were popped must be read anew first (recirc_for_mpls of Open vSwitch). */
  readonly needsReparse: boolean;
}

export type Step = StepBase &
  (
    | { readonly do: "output"; readonly port: number }
    | { readonly do: "output_field"; readonly from: Subfield }
    | { readonly do: "output_truncated"; readonly port: number; readonly maxBytes: number }
    | { readonly do: "controller"; readonly reason: string }
    | { readonly do: "enqueue"; readonly port: number }
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
        readonly prerequisite: Prerequisite;
      }
    | { readonly do: "move"; readonly from: Subfield; readonly to: Subfield }
    | { readonly do: "push"; readonly from: Subfield }
    | { readonly do: "pop"; readonly to: Subfield }
    | { readonly do: "dec_ttl"; readonly controllerCount: number }
    | { readonly do: "dec_mpls_ttl" }
    | { readonly do: "set_queue"; readonly queue: number }
    | { readonly do: "pop_queue" }
    | { readonly do: "write_actions"; readonly steps: readonly Step[] }
    | { readonly do: "clear_actions" }
    /** `isUndone`: the datapath works on a copy; otherwise changes are taken back afterwards. */
    | { readonly do: "clone"; readonly steps: readonly Step[]; readonly isCopied: boolean }
    | { readonly do: "exit" }
    /** Changes nothing of this packet. `outlives`: it changes what later packets meet. */
    | { readonly do: "nothing"; readonly isFrozen: boolean; readonly outlives: string | null }
    /** `text`: the action with its arguments, where it is known as text only. */
    | { readonly do: "unknown"; readonly feature: string; readonly text?: string }
    /** Only among frozen steps: the table in which the next ones stood. */
    | { readonly do: "unroll"; readonly table: number }
  );

/** What a spelling demands of the packet, where that is not the field's own prerequisite. */
const SPELLING_DEMANDS: Partial<Record<SetSpelling, Prerequisite>> = {
  mod_dl_src: "none",
  mod_dl_dst: "none",
  mod_vlan_vid: "none",
  mod_vlan_pcp: "none",
  set_vlan_vid: "VLAN VID",
  set_vlan_pcp: "VLAN VID",
  mod_nw_src: "IPv4",
  mod_nw_dst: "IPv4",
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

/** Whether a field is in the key of every frame that has it: NSH is not read, tun_metadata has no place. */
export const isModelled = ({ place }: Field): boolean =>
  place !== null && (place.word < KEY.nshBase || place.word > KEY.nshContext + 3);

type Given<Type extends Action["type"]> = Extract<Action, { type: Type }>;
type Body<S = Step> = S extends unknown ? Omit<S, "line" | "needsReparse"> : never;
type Compiled = Body & { needsReparse?: boolean };

function setStep({ spelling, field, value, mask }: Given<"set">): Compiled {
  if (!isModelled(field)) return { do: "unknown", feature: `set_field of ${field.name}` };
  const name = SPELLING_FIELDS[spelling];
  const target = name === undefined ? field : fieldNamed(name);
  const isLayer3 = target.place!.word >= KEY.nwSrc;
  return {
    do: "set",
    field: target,
    value: wordsOf(value),
    mask: wordsOf(name === undefined ? mask : mask & target.valid),
    prerequisite: SPELLING_DEMANDS[spelling] ?? field.prerequisite,
    needsReparse: isLayer3 || spelling.startsWith("set_mpls_"),
  };
}

/** With nothing but a length it is an output by CONTROLLER to Open vSwitch, which needs no new look at the packet. */
function controllerStep({ reason, id, userdata, pause, meter }: Given<"controller">): Compiled {
  if (pause) return { do: "unknown", feature: "controller(pause)" };
  if (meter !== null) return { do: "unknown", feature: "controller(meter_id)" };
  return { do: "controller", reason, needsReparse: reason !== "action" || id !== 0 || userdata !== null };
}

function resubmitStep({ port, table, ct }: Given<"resubmit">): Compiled {
  return ct ? { do: "unknown", feature: "resubmit(ct)" } : { do: "resubmit", port, table };
}

function otherStep({ name, text }: Given<"other">): Compiled {
  const isLearned = name === "learn";
  if (supportOf(name) === "unknown") return { do: "unknown", feature: name, text };
  if (isLearned && text.includes("result_dst")) return { do: "unknown", feature: "learn(result_dst)" };
  return { do: "nothing", isFrozen: true, outlives: isLearned ? "learn" : null };
}

function subfieldStep<S extends Compiled>(step: S, name: string, ...subfields: Subfield[]): Compiled {
  const missing = subfields.find(({ field }) => !isModelled(field));
  return missing === undefined ? step : { do: "unknown", feature: `${name} of ${missing.field.name}` };
}

/** One row per action: what becomes of it. */
const COMPILE: { [Type in Action["type"]]: (action: Given<Type>, line: number) => Compiled } = {
  output: ({ port }) => ({ do: "output", port, needsReparse: false }),
  output_field: ({ from }) => subfieldStep({ do: "output_field", from, needsReparse: false }, "output", from),
  output_truncated: ({ port, maxBytes }) => ({ do: "output_truncated", port, maxBytes, needsReparse: false }),
  controller: controllerStep,
  enqueue: ({ port }) => ({ do: "enqueue", port, needsReparse: false }),
  group: ({ group }) => ({ do: "group", group, needsReparse: false }),
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
  dec_ttl: ({ controllers }) => ({ do: "dec_ttl", controllerCount: Math.max(1, controllers.length) }),
  dec_mpls_ttl: () => ({ do: "dec_mpls_ttl" }),
  dec_nsh_ttl: () => ({ do: "unknown", feature: "dec_nsh_ttl" }),
  set_queue: ({ queue }) => ({ do: "set_queue", queue, needsReparse: false }),
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
    isCopied: actions.some(({ type }) => type === "output_truncated"),
  }),
  meter: () => ({ do: "unknown", feature: "meter" }),
  // A flow of these is looked up as a part of a match and never executed; elsewhere Open vSwitch does nothing.
  conjunction: () => ({ do: "nothing", isFrozen: false, outlives: null }),
  note: () => ({ do: "nothing", isFrozen: false, outlives: null }),
  exit: () => ({ do: "exit" }),
  other: otherStep,
};

/** An enqueue as the switch has it: one action, or the three that later versions of OpenFlow say it with. */
function splitEnqueue(action: Action): Action[] {
  if (action.type !== "enqueue" || !action.isSplit) return [action];
  const { span, port, queue } = action;
  return [
    { type: "set_queue", span, queue },
    { type: "output", span, port },
    { type: "pop_queue", span },
  ];
}

/** The steps of a list of actions that stands in `line`. */
export function compileActions(actions: readonly Action[], line: number): Step[] {
  return actions.flatMap(splitEnqueue).map(action => {
    const compile = COMPILE[action.type] as (action: Action, line: number) => Compiled;
    return { needsReparse: true, line, ...compile(action, line) } as Step;
  });
}
