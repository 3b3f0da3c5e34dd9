/**
 * The symbolic machine: executes one program on one symbolic packet, step by step, as interpret/translate.ts
 * does with numbers. A step whose effect depends on the input is not executed: the Decider throws a Fork,
 * and the caller runs the step again on each part of the path. The machine stops at each lookup; the caller
 * (product/lockstep.ts) supplies the matched flow.
 */
import { endsHere, KEY, ORIGIN, PLAIN_PACKET_IN, PORT, type Step } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import { change, portOf } from "./actions.ts";
import type { Program } from "./compiled-tables.ts";
import { type Decider, Undecidable, Unmodelled } from "./decider.ts";
import type { Extractions } from "./extractions.ts";
import { readField } from "./fields.ts";
import { keepForLater } from "./freezing.ts";
import { LabelSteps } from "./label-steps.ts";
import type { MachineContext } from "./machine-context.ts";
import { Outputs } from "./outputs.ts";
import { EndsSwitch } from "./packet.ts";
import { Passes } from "./passes.ts";
import { bind, bindGroup, NO_VALUES, orderBound } from "./slot-values.ts";
import {
  type Bound,
  depthOf,
  type Event,
  originOf,
  pushFrame,
  replaceTop,
  restored,
  type Saved,
  type SlotValues,
  type StackFrame,
  type State,
  tableOf,
  topOf,
} from "./state.ts";
import type { Word } from "./terms.ts";

/** Limits of Open vSwitch: MAX_DEPTH and MAX_RESUBMITS of ofproto/ofproto-dpif-xlate.c, for one pass. */
export const MAX_DEPTH = 64;
export const MAX_LOOKUPS = 4096;
const MAX_STACK_BYTES = 65536;
/** The limit of Open vSwitch on the datapath actions of one pass (64 kB). */
export const MAX_ACTION_BYTES = 65535;

type Doing<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** Executes one state along one path. */
export class Machine {
  readonly #context: MachineContext;
  readonly #by: Decider;
  readonly #outputs: Outputs;
  readonly #passes: Passes;
  readonly #labels: LabelSteps;
  #state: State;

  constructor(extractions: Extractions, program: Program, state: State, by: Decider) {
    this.#context = { by, extractions, program, line: 0 };
    this.#by = by;
    this.#outputs = new Outputs(this.#context);
    this.#passes = new Passes(this.#context, this.#outputs);
    this.#labels = new LabelSteps(by, this.#outputs);
    this.#state = state;
  }

  /** Runs to the next lookup or to the end. Throws a Fork, or Unmodelled. */
  run(): State {
    try {
      while (this.#state.lookup === null && !this.#state.isDone) this.#advance();
    } catch (error) {
      if (error instanceof Undecidable) throw new Unmodelled(error.message, this.#context.line);
      if (!(error instanceof EndsSwitch)) throw error;
      this.#endSwitch(error.message);
    }
    return this.#state;
  }

  /** Open vSwitch aborts: this pass has no outputs, and nothing follows it. */
  #endSwitch(feature: string): void {
    const state = this.#state;
    const over = { left: [], after: [], frames: [], lookup: null, isDone: true };
    this.#state = { ...state, ...over, out: [...state.out, endOfSwitch(feature, this.#context.line)] };
  }

  /** After a Fork: the state before the step that forked. */
  get state(): State {
    return this.#state;
  }

  #advance(): void {
    const state = this.#state;
    const top = topOf(state);
    if (state.error !== null || top === undefined) {
      this.#state = this.#passes.end(state);
      return;
    }
    switch (top.is) {
      case "steps":
        this.#advanceSteps(state, top);
        return;
      case "buckets":
        this.#nextBucket(state, top);
        return;
      case "bucket end":
        this.#endBucket(state, top);
        return;
      case "finish":
        this.#finish(state, top);
        return;
      default:
        unreachable(top);
    }
  }

  #advanceSteps(state: State, top: Extract<StackFrame, { is: "steps" }>): void {
    const { list, index } = top;
    if (index === list.length) {
      this.#state = replaceTop(state, null);
      return;
    }
    const { step } = list[index]!;
    const mustFreeze = !state.isOver && state.wasMpls && (step.needsReparse || isTable(step));
    const now = mustFreeze ? { ...state, isOver: true, isFreezing: true } : state;
    if (now.isOver) {
      const kept = now.isFreezing ? keepForLater(now, list, index) : now;
      this.#state = replaceTop(kept, null);
      return;
    }
    this.#context.line = step.line;
    const rest = replaceTop(now, { ...top, index: index + 1 });
    const isLast = top.isLast && index === list.length - 1 && now.actionSet.length === 0;
    this.#state = this.#runStep(rest, list[index]!, isLast);
  }

  #runStep(state: State, bound: Bound, isLast: boolean): State {
    const { step, slotValues } = bound;
    switch (step.do) {
      case "output":
        return this.#output(state, portOf(this.#by, step, slotValues), step.line);
      case "output_field":
        return this.#outputField(state, step);
      case "output_truncated":
        return this.#outputs.emit(
          state,
          this.#by.terms.constant(step.port),
          state.flow[KEY.inPort]!,
          step.maxBytes,
        );
      case "controller":
        return this.#outputs.packetIn(state, step.to, step.inSet === "output");
      case "enqueue":
        return this.#outputs.enqueue(state, step);
      case "group":
        return this.#group(state, step, slotValues, isLast);
      case "resubmit":
        return this.#resubmit(state, step.port, step.table, isLast);
      case "clone":
        return this.#clone(state, step, slotValues, isLast);
      case "dec_ttl":
        return this.#labels.decrementTtl(state, step.controllers.length, step.line);
      case "dec_mpls_ttl":
        return this.#labels.decrementMplsTtl(state, step.line);
      case "push_mpls":
        return this.#labels.pushMpls(state, step.type);
      case "pop_mpls":
        return this.#labels.popMpls(state, step.type);
      case "unknown":
        throw new Unmodelled(step.feature, step.line);
      case "nothing":
        return state;
      case "effect":
        return this.#outputs.effect(state, step);
      case "exit":
        return { ...state, isOver: true };
      case "track":
      case "untrack":
        return this.#passes.track(state, step);
      case "set":
      case "move":
      case "push":
      case "pop":
      case "push_vlan":
      case "pop_vlan":
      case "set_queue":
      case "pop_queue":
      case "write_actions":
      case "clear_actions":
      case "unroll":
        return change(this.#by, state, step, slotValues);
      default:
        return unreachable(step);
    }
  }

  // --- Tables ----------------------------------------------------------------------------------------------

  #mayLookUp(state: State): string | null {
    if (depthOf(state) >= MAX_DEPTH) return "depth";
    if (state.lookups >= MAX_LOOKUPS) return "lookups";
    if (state.actionBytes > MAX_ACTION_BYTES)
      throw new Unmodelled("about 64 kB of datapath actions", this.#context.line);
    return state.stackBytes >= MAX_STACK_BYTES ? "stack" : null;
  }

  #resubmit(state: State, port: number | null, table: number | null, isLast: boolean): State {
    const error = this.#mayLookUp(state);
    if (error !== null) return { ...state, error };
    const before = tableOf(state);
    const inPort =
      port === null || port === PORT.inPort ? state.flow[KEY.inPort]! : this.#by.terms.constant(port);
    const next = table ?? before;
    return { ...state, lookup: { table: next, inPort, deepens: next <= before ? 1 : 0, isLast } };
  }

  // --- Output ----------------------------------------------------------------------------------------------

  #output(state: State, port: Word, line: number): State {
    const inPort = state.flow[KEY.inPort]!;
    switch (port.value) {
      case PORT.inPort:
        return this.#outputs.emit(state, inPort, null);
      case PORT.table:
        if (state.wasMpls) throw new Unmodelled("output to TABLE by a field after pop_mpls", line);
        return this.#resubmit(state, null, 0, false);
      case PORT.normal:
        return this.#outputs.putsOut(state, "NORMAL", "NORMAL", line);
      case PORT.flood:
        return this.#outputs.putsOut(state, "FLOOD", "FLOOD", line);
      case PORT.all:
        return this.#outputs.putsOut(state, "ALL", "ALL", line);
      case PORT.controller:
        return this.#outputs.packetIn(state, PLAIN_PACKET_IN, true);
      case PORT.none:
        return state;
      default:
        return this.#outputs.emit(state, port, inPort);
    }
  }

  #outputField(state: State, { from, line }: Doing<"output_field">): State {
    const port = this.#outputs.portOfField(readField(this.#by, state.flow, from));
    return port === null ? state : this.#output(state, port, line);
  }

  // --- Groups and copies -----------------------------------------------------------------------------------

  #group(state: State, { group: id, line }: Doing<"group">, slotValues: SlotValues, isLast: boolean): State {
    const error = this.#mayLookUp(state);
    if (error !== null) return { ...state, error };
    const group = this.#context.program.groups.get(id);
    if (group === undefined) {
      // A switch rejects a flow with an unknown group, so the list of groups is missing or stale.
      if (slotValues !== NO_VALUES)
        throw new Unmodelled(`group ${id}, which is missing in the group dump`, line);
      return replaceTop(state, null);
    }
    const lists = bindGroup(group);
    if (group.type === "select") {
      // The selected bucket is unknown, and the text of the group does not include the tables that its
      // buckets look up.
      if (lists.some(list => !list.every(({ step }) => endsHere(step))))
        throw new Unmodelled("a select group with buckets that look up tables or groups", group.source.line);
      // Open vSwitch recirculates the packet to compute the hash, which changes what a later error undoes.
      if (!isLast) throw new Unmodelled("a select group followed by other actions", group.source.line);
      if (state.recirculations > 0)
        throw new Unmodelled("a select group after a recirculation", group.source.line);
      return this.#outputs.putsOut(state, "select group", group.text.replace(/^.*?type=/, ""), line);
    }
    if (group.type !== "ff") return pushFrame(state, { is: "buckets", lists, index: 0, isLast });
    const first = group.buckets[0];
    if (first === undefined) return state;
    if (first.watchPort !== null || first.watchGroup !== null)
      throw new Unmodelled("liveness of a fast failover group", group.source.line);
    return pushFrame(state, { is: "buckets", lists: lists.slice(0, 1), index: 0, isLast });
  }

  #nextBucket(state: State, top: Extract<StackFrame, { is: "buckets" }>): void {
    const list = top.lists[top.index];
    if (list === undefined) {
      this.#state = replaceTop(state, null);
      return;
    }
    const { flow, wasMpls } = state;
    const table = tableOf(state);
    const depth = depthOf(state) + 1;
    const next = replaceTop(state, { ...top, index: top.index + 1 });
    const inside = pushFrame(next, { is: "bucket end", flow, wasMpls });
    const isLast = top.isLast && top.index === top.lists.length - 1;
    const origin = originOf(state) | ORIGIN.bucket;
    const steps: StackFrame = { is: "steps", list: orderBound(list), index: 0, table, depth, isLast, origin };
    this.#state = pushFrame(inside, steps);
  }

  #endBucket(state: State, top: Extract<StackFrame, { is: "bucket end" }>): void {
    const after = state.isFreezing ? this.#passes.finishFreezing(state) : state;
    this.#state = { ...replaceTop(after, null), flow: top.flow, wasMpls: top.wasMpls, isOver: false };
  }

  /**
   * A clone has its own stack and action set: in 3.1 a copy of the outer action set, in later versions an
   * empty one. A clone as the last step does not copy the packet.
   */
  #clone(state: State, step: Doing<"clone">, slotValues: SlotValues, isLast: boolean): State {
    const isCopied = step.isCopied && !isLast;
    const before = isCopied ? this.#outputs.committed(state) : state;
    const { stack, actionSet, flow, packet, wasMpls } = before;
    const saved: Saved = { stack, actionSet, flow, copied: isCopied ? { packet, wasMpls } : null };
    const own = this.#context.program.behaviour.clonesActionSet ? actionSet : [];
    const inside = pushFrame({ ...before, actionSet: own }, { is: "finish", isLast: false, saved });
    const [table, depth] = [tableOf(state), depthOf(state)];
    return pushFrame(inside, {
      is: "steps",
      list: bind(step.steps, slotValues),
      index: 0,
      table,
      depth,
      isLast: isCopied || isLast,
      origin: originOf(state),
    });
  }

  // --- Ends ------------------------------------------------------------------------------------------------

  #finish(state: State, top: Extract<StackFrame, { is: "finish" }>): void {
    if (!top.isLast && !state.isFreezing) {
      const list = orderBound(state.actionSet);
      const next = replaceTop({ ...state, actionSet: [] }, { ...top, isLast: true });
      const [table, depth] = [tableOf(state), depthOf(state)];
      const before = originOf(state);
      // Open vSwitch has one flag for both action sets: the end of the inner one also ends the outer one.
      if (list.length > 0 && (before & ORIGIN.set) !== 0)
        throw new Unmodelled("an action set of a clone within another action set", this.#context.line);
      const origin = before | ORIGIN.set;
      this.#state = pushFrame(next, { is: "steps", list, index: 0, table, depth, isLast: true, origin });
      return;
    }
    const after = state.isFreezing ? this.#passes.finishFreezing(state) : state;
    const next = replaceTop(after, null);
    this.#state = restored(next, top.saved);
  }
}

const isTable = (step: Step): boolean => step.do === "output" && step.port === PORT.table;

/** Equal features end both switches alike, and so count as equal outcomes. */
const endOfSwitch = (feature: string, line: number): Event => ({
  is: "effect",
  effect: "tracks",
  name: feature,
  text: feature,
  line,
  words: [],
  wire: null,
});
