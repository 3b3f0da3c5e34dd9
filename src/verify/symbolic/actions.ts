/**
 * Symbolic execution of the steps that change only the flow key, the stack or the action set: set_field,
 * move, push, pop and the like. The meaning is that of interpret/translate.ts, with words that are
 * expressions.
 */
import { KEY, PORT, type Step } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import { type Decider, Unmodelled } from "./decider.ts";
import { HOLDS, isIcmp, readField, VLAN_PRESENT, writeField, writeMasked } from "./fields.ts";
import { bind } from "./slot-values.ts";
import { type Bound, replaceTop, type SlotValues, type State, topOf } from "./state.ts";
import { constantSegments, type Segment, type Word } from "./terms.ts";

type Doing<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** Steps that change the key, the stack or the action set, and nothing else. */
export type KeyStep = Doing<
  | "set"
  | "move"
  | "push"
  | "pop"
  | "push_vlan"
  | "pop_vlan"
  | "set_queue"
  | "pop_queue"
  | "write_actions"
  | "clear_actions"
  | "unroll"
>;

/** The state after a step that changes the key. */
export function change(by: Decider, state: State, step: KeyStep, slotValues: SlotValues): State {
  const { flow } = state;
  const { terms } = by;
  switch (step.do) {
    case "set":
      if (!HOLDS[step.prerequisite](by, flow)) return state;
      if (step.prerequisite === "ports" && isIcmp(by, flow))
        throw new Unmodelled("a port field written over the ICMP type or code", step.line);
      return {
        ...state,
        flow: writeMasked(by, flow, step.field, newValue(step, slotValues), step.mask),
      };
    case "move":
      if (!HOLDS[step.to.field.prerequisite](by, flow) || !HOLDS[step.from.field.prerequisite](by, flow))
        return state;
      return { ...state, flow: writeField(by, flow, step.to, readField(by, flow, step.from)) };
    case "push": {
      const bytes = Math.ceil(step.from.bits / 8) + 1;
      const segments = readField(by, flow, step.from);
      return {
        ...state,
        stack: [...state.stack, { segments, bytes }],
        stackBytes: state.stackBytes + bytes,
      };
    }
    case "pop": {
      const item = state.stack.at(-1);
      if (item === undefined) return state;
      return {
        ...state,
        stack: state.stack.slice(0, -1),
        stackBytes: state.stackBytes - item.bytes,
        flow: writeField(by, flow, step.to, item.segments),
      };
    }
    case "push_vlan": {
      const tag = terms.constant((step.type << 16) | 0x1000);
      return { ...state, flow: flow.with(KEY.innerVlanTci, flow[KEY.vlanTci]!).with(KEY.vlanTci, tag) };
    }
    case "pop_vlan": {
      // Open vSwitch counts tags from the outside while the presence bit is set; a load action may clear that
      // bit.
      if (by.is(flow[KEY.vlanTci]!, VLAN_PRESENT, 0)) return state;
      const inner = flow[KEY.innerVlanTci]!;
      const none = terms.constant(0);
      if (by.is(inner, VLAN_PRESENT, 0)) return { ...state, flow: flow.with(KEY.vlanTci, none) };
      return { ...state, flow: flow.with(KEY.vlanTci, inner).with(KEY.innerVlanTci, none) };
    }
    case "set_queue":
      return { ...state, flow: flow.with(KEY.skbPriority, terms.constant(step.queue)) };
    case "pop_queue":
      return { ...state, flow: flow.with(KEY.skbPriority, state.priority) };
    case "write_actions":
      return writeActions(by, state, bind(step.steps, slotValues));
    case "clear_actions":
      return {
        ...state,
        actionSet: [],
        actionSetHasGroup: false,
        flow: flow.with(KEY.actsetOutput, terms.constant(PORT.unset)),
      };
    case "unroll": {
      const top = topOf(state);
      if (top?.is !== "steps") throw new Error("internal error: a step runs outside a list");
      return replaceTop(state, { ...top, table: step.table });
    }
    default:
      return unreachable(step);
  }
}

function newValue(step: Doing<"set">, slotValues: SlotValues): readonly Segment[] {
  const place = slotValues.template?.slots.get(step);
  return place === undefined ? constantSegments(step.value, 128) : slotValues.read(place, step.field.bits);
}

/** The port of an output action; it may be a slot of the action template. */
export function portOf({ terms }: Decider, step: Doing<"output">, slotValues: SlotValues): Word {
  const place = slotValues.template?.slots.get(step);
  return place === undefined ? terms.constant(step.port) : terms.word(slotValues.read(place, 32));
}

/** The state with `list` appended to the action set. */
export function writeActions(by: Decider, state: State, list: readonly Bound[]): State {
  let { flow, actionSetHasGroup } = state;
  for (const { step, slotValues } of list) {
    if (actionSetHasGroup) break;
    if (step.do === "output") flow = flow.with(KEY.actsetOutput, portOf(by, step, slotValues));
    if (step.do === "controller") flow = flow.with(KEY.actsetOutput, by.terms.constant(PORT.controller));
    if (step.do !== "group") continue;
    flow = flow.with(KEY.actsetOutput, by.terms.constant(PORT.unset));
    actionSetHasGroup = true;
  }
  return { ...state, flow, actionSetHasGroup, actionSet: [...state.actionSet, ...list] };
}

/** A word with the eight bits from `at` on decremented; null if they are 0 or 1. */
export function decremented(by: Decider, word: Word, at: number, line: number): Word | null {
  const { terms } = by;
  const [ttl] = terms.slice(word, at, 8);
  if (ttl!.bits !== 8) throw new Unmodelled("a TTL composed of several parts", line);
  for (const used of [0, 1]) if (by.is(word, (0xff << at) >>> 0, (used << at) >>> 0)) return null;
  switch (ttl!.is) {
    case "const":
      return terms.replace(word, at, [{ is: "const", bits: 8, value: ttl!.value - 1 }]);
    case "atom": {
      const { atom, from } = ttl!;
      return terms.replace(word, at, [{ is: "less", bits: 8, from: 0, atom, at: from, by: 1 }]);
    }
    case "less":
      return terms.replace(word, at, [{ ...ttl!, by: ttl!.by + 1 }]);
    case "column": {
      const { column, from } = ttl!;
      const less = terms.column(`${column.id}.${from}-1`, column.rowSet, () =>
        column.values.map(value => ((value >>> from) - 1) & 0xff),
      );
      return terms.replace(word, at, [{ is: "column", bits: 8, from: 0, column: less }]);
    }
    default:
      return unreachable(ttl!);
  }
}
