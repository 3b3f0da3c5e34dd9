/**
 * Passes of a packet through the tables: the end of a pass, freezing and recirculation
 * (ofproto/ofproto-dpif-xlate.c).
 */
import {
  isNoted,
  KEY,
  leastBytesOf,
  mostBytesOf,
  PORT,
  type Step,
  type TrackStep,
} from "../../openflow/index.ts";
import { writeActions } from "./actions.ts";
import { type Decider, Unmodelled } from "./decider.ts";
import { readField } from "./fields.ts";
import type { MachineContext } from "./machine-context.ts";
import type { Outputs } from "./outputs.ts";
import { type Asked, type Bound, type Left, NEW_PASS, pushFrame, type State } from "./state.ts";
import { namesOf, type Terms, type Word } from "./terms.ts";
import { Tracker } from "./tracker.ts";

type UntrackStep = Extract<Step, { do: "untrack" }>;
type FrozenOf = Extract<Left, { is: "recirculate" }>["frozen"];

export class Passes {
  readonly #context: MachineContext;
  readonly #by: Decider;
  readonly #outputs: Outputs;
  readonly #tracker: Tracker;

  constructor(context: MachineContext, outputs: Outputs) {
    this.#context = context;
    this.#by = context.by;
    this.#outputs = outputs;
    this.#tracker = new Tracker(context);
  }

  /**
   * Freezes the packet for a later pass. Only a bucket continues after that; a clone that froze ends
   * everything.
   */
  finishFreezing(state: State): State {
    if (state.isTracked) throw new Unmodelled("a packet that is read again behind ct", this.#context.line);
    const steps = (list: readonly Bound[]): Step[] => list.map(({ step }) => step);
    if (mostBytesOf(steps(state.actionSet)) > leastBytesOf(steps(state.frozen)))
      throw new Unmodelled(
        "an action set that makes Open vSwitch end itself after pop_mpls",
        this.#context.line,
      );
    const next = this.#outputs.committed(state);
    const { frozen: list, stack, actionSet, flow: key, packet, recirculations } = next;
    const frozen = { list, stack, actionSet, key, packet, recirculations, table: 0, asked: null };
    const left = this.#outputs.leave(next, { is: "recirculate", frozen });
    return { ...left, frozen: [], frozenTable: -1, isFreezing: false };
  }

  /**
   * Hands the packet to the connection tracker: a copy goes on behind it, the packet itself goes on untracked
   * (compose_conntrack_action()).
   */
  track(state: State, step: TrackStep | UntrackStep): State {
    if (step.do === "untrack") return { ...state, flow: untracked(this.#by.terms, state.flow) };
    const { line, text, reads, table, zone } = step;
    const next = this.#outputs.effect(state, { effect: "tracks", name: "ct", text, reads, line });
    const flow = untracked(this.#by.terms, next.flow);
    const after = { ...next, flow, isTranslated: next.isTranslated || step.nat !== null };
    if (table === null) return after;
    if (next.actionSet.length > 0)
      throw new Unmodelled("an action set that makes Open vSwitch end itself after ct", line);
    const { stack, actionSet, flow: key, packet, recirculations } = next;
    const asked: Asked = {
      step,
      zone:
        typeof zone === "number"
          ? this.#by.terms.constant(zone)
          : this.#by.terms.word(readField(this.#by, key, zone)),
    };
    const frozen = { list: [], stack, actionSet, key, packet, recirculations, table, asked };
    return this.#outputs.leave(after, { is: "recirculate", frozen });
  }

  /**
   * Emits the events of the pass in order and starts the next frozen packet. An error undoes the events of
   * the pass.
   */
  end(state: State): State {
    // Open vSwitch then loses the events of the second pass in some cases only.
    if (state.error !== null && state.recirculations > 1)
      throw new Unmodelled("an error after two recirculations", this.#context.line);
    if (state.error !== null) refuseNoted(state.left);
    const all = [...(state.error === null ? state.left : []), ...state.after];
    const out = [...state.out];
    let { tracked } = state;
    for (const [index, left] of all.entries()) {
      if (left.is !== "recirculate") {
        out.push(left);
        if (left.is === "effect" && left.name === "ct") tracked += `\n${left.text} ${namesOf(left.words)}`;
        continue;
      }
      if (left.frozen.recirculations >= this.#context.program.behaviour.recirculations) continue;
      return this.#thaw({ ...state, out, tracked }, left.frozen, all.slice(index + 1));
    }
    return { ...state, out, tracked, left: [], after: [], frames: [], lookup: null, isDone: true };
  }

  #answered(state: State, asked: Asked): State {
    const { flow, packet, answer } = this.#tracker.answer(state, asked);
    return { ...state, flow, packet, answers: [...state.answers, answer] };
  }

  #thaw(
    state: State,
    { list, stack, actionSet, key: frozen, packet: before, recirculations, table, asked }: FrozenOf,
    after: readonly Left[],
  ): State {
    const line = asked?.step.line ?? list[0]?.step.line ?? 0;
    const { key, packet } = this.#context.extractions.readAgain(this.#by, before, line);
    this.#by.extend();
    for (let word: number = KEY.skbPriority; word < KEY.dlDst; word++) key[word] = frozen[word]!;
    key[KEY.actsetOutput] = this.#by.terms.constant(PORT.unset);
    const inPort = key[KEY.inPort]!;
    const fresh: State = {
      ...state,
      ...NEW_PASS,
      flow: key,
      packet,
      after,
      stack,
      stackBytes: stack.reduce((sum, { bytes }) => sum + bytes, 0),
      priority: key[KEY.skbPriority]!,
      recirculations: recirculations + 1,
    };
    const known = asked === null ? fresh : this.#answered(fresh, asked);
    const next = writeActions(this.#by, known, actionSet);
    return list.length > 0
      ? pushFrame(next, { is: "steps", list, index: 0, table: 0, depth: 0, isLast: true, origin: 0 })
      : { ...next, lookup: { table, inPort, deepens: 0, isLast: true } };
  }
}

/** The key without what the connection tracker said. */
function untracked(terms: Terms, flow: readonly Word[]): readonly Word[] {
  const none = terms.constant(0);
  return flow.map((word, at) => (at >= KEY.ctState && at < KEY.dlDst ? none : word));
}

/** Throws if the pass recorded an effect that an error does not undo. */
export function refuseNoted(left: readonly Left[]): void {
  const noted = left.find(one => one.is === "effect" && isNoted(one));
  if (noted?.is === "effect") throw new Unmodelled(`${noted.name} in front of an error`, noted.line);
}
