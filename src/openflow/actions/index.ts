/**
 * The table of actions: one entry for each. A new member of `Action` or `OpaqueName` (ast.ts) without an
 * entry does not compile. Everything that is made of the table is derived here: the names that the parser
 * knows, and rows for docs/language.md.
 */
import type { Action } from "../ast.ts";
import { clone, conjunction, exit, meter, note, popQueue, setQueue } from "./control.ts";
import { move, pop, push } from "./copy.ts";
import { ct, ctClear } from "./ct.ts";
import type {
  ActionEntry,
  ActionKind,
  ActionOf,
  ByteBounds,
  Feature,
  Freezing,
  SetPart,
  Spelling,
} from "./entry.ts";
import { learn } from "./learn.ts";
import {
  bundle,
  bundleLoad,
  checkPacketLarger,
  debugRecirc,
  debugSlow,
  decap,
  deleteField,
  encap,
  finTimeout,
  multipath,
  sample,
} from "./opaque.ts";
import { controllerEntry, enqueue, output, outputField, outputTruncated } from "./output.ts";
import { set } from "./set.ts";
import { decMplsTtl, decNshTtl, decTtl, popMpls, popVlan, pushMpls, pushVlan } from "./stack.ts";
import { clearActions, gotoTable, group, resubmit, writeActions, writeMetadata } from "./tables.ts";

export * from "./entry.ts";
export { outputTo } from "./output.ts";

export const ACTIONS: { readonly [Kind in ActionKind]: ActionEntry<ActionOf<Kind>> } = {
  output,
  output_field: outputField,
  output_truncated: outputTruncated,
  controller: controllerEntry,
  enqueue,
  group,
  resubmit,
  goto_table: gotoTable,
  push_vlan: pushVlan,
  pop_vlan: popVlan,
  push_mpls: pushMpls,
  pop_mpls: popMpls,
  set,
  move,
  push,
  pop,
  dec_ttl: decTtl,
  dec_mpls_ttl: decMplsTtl,
  dec_nsh_ttl: decNshTtl,
  set_queue: setQueue,
  pop_queue: popQueue,
  write_metadata: writeMetadata,
  write_actions: writeActions,
  clear_actions: clearActions,
  clone,
  meter,
  conjunction,
  note,
  exit,
  learn,
  ct,
  ct_clear: ctClear,
  multipath,
  bundle,
  bundle_load: bundleLoad,
  sample,
  fin_timeout: finTimeout,
  encap,
  decap,
  check_pkt_larger: checkPacketLarger,
  delete_field: deleteField,
  debug_recirc: debugRecirc,
  debug_slow: debugSlow,
};

export const kindOf = (action: Action): ActionKind => (action.type === "opaque" ? action.name : action.type);

/** The entry of an action, for this action. */
export const entryOf = (action: Action): ActionEntry => ACTIONS[kindOf(action)] as unknown as ActionEntry;

const KINDS = Object.keys(ACTIONS) as ActionKind[];

/** The spellings of all actions by name, in lower case. Several kinds of output share one. */
export const SPELLINGS: ReadonlyMap<string, Spelling> = new Map(
  KINDS.flatMap(kind => Object.entries(ACTIONS[kind].spellings) as [string, Spelling][]),
);

/** The part of an action set that an action is in; null: an action set ignores it. */
export function setPartOf(action: Action): SetPart | null {
  const { setPart } = entryOf(action);
  return typeof setPart === "function" ? setPart(action) : setPart;
}

export function freezingOf(action: Action): Freezing {
  const { freezing } = entryOf(action);
  return typeof freezing === "function" ? freezing(action) : freezing;
}

/** Whether a packet whose labels were popped must recirculate before this action. */
export function recirculatesBefore(action: Action): boolean {
  const { recirculates } = entryOf(action);
  return typeof recirculates === "function" ? recirculates(action) : recirculates;
}

/** Bytes that Open vSwitch takes to store an action with the actions inside it. */
export function bytesOfAction(action: Action): ByteBounds {
  const { bytes } = entryOf(action);
  return typeof bytes === "function" ? bytes(action, bytesOfList) : bytes;
}

function bytesOfList(actions: readonly Action[]): ByteBounds {
  let [least, most] = [0, 0];
  for (const action of actions.flatMap(sentAs)) {
    const bounds = bytesOfAction(action);
    least += bounds[0];
    most += bounds[1];
  }
  return [least, most];
}

/** The actions that a switch is sent for an action. */
export function sentAs(action: Action): readonly Action[] {
  return entryOf(action).sentAs?.(action) ?? [action];
}

/** The actions inside an action that run as a list of their own. */
export const listIn = (action: Action): readonly Action[] => entryOf(action).list?.(action) ?? [];

/** A row of the table of actions in docs/language.md. */
export interface ActionFeature extends Feature {
  /** OpenFlow versions that carry it; null for an argument of the action above. */
  readonly versions: ActionEntry["versions"] | null;
}

/** Rows for docs/language.md, the actions in the order of the table, each followed by its arguments. */
export const ACTION_FEATURES: readonly ActionFeature[] = KINDS.flatMap(kind => {
  const { title, spellings, versions, support, docs } = ACTIONS[kind];
  const [note, ...others] = docs;
  const name = title ?? Object.keys(spellings).join(", ");
  return [{ name, support, note, versions }, ...others.map(row => ({ ...row, versions: null }))];
});
