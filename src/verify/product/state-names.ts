/**
 * Keys for memoized proof obligations: texts for states, equal if the states are equivalent, and whether a
 * state depends on the elements of a row set, which excludes it from memoization.
 */

import { ORIGIN, type Step } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import { NO_VALUES } from "../symbolic/slot-values.ts";
import {
  type Bound,
  depthOf,
  type Left,
  type Packet,
  type StackFrame,
  type State,
} from "../symbolic/state.ts";
import type { Segment, Word } from "../symbolic/terms.ts";
import { eventsName } from "./event-order.ts";

/** Up to this depth, names omit it: the limit of 64 is out of reach. */
export const SHALLOW = 20;

const stepIds = new WeakMap<Step, number>();
let stepCount = 0;

/**
 * Texts for states: equal texts mean equivalent states. Extractions are numbered in the order of their
 * appearance, so that the labels before them do not matter.
 */
export class StateNamer {
  /** The extractions in the order of their appearance. */
  readonly extractions: number[] = [];
  /** Whether the text includes the depth. */
  isDeep = false;
  /** Answers of the connection tracker, in the order of their appearance: any bits may stand for them. */
  readonly #answers = new Map<string, number>();

  #rank(extraction: number): number {
    const known = this.extractions.indexOf(extraction);
    return known >= 0 ? known : this.extractions.push(extraction) - 1;
  }

  #answerRank(answer: string): number {
    const rank = this.#answers.get(answer) ?? this.#answers.size;
    this.#answers.set(answer, rank);
    return rank;
  }

  word(word: Word): string {
    if (word.value !== null) return `${word.value}`;
    // The first extraction is number 0 in nearly every state.
    if (word.isOfFrame && this.#rank(0) === 0) return `w${word.id}`;
    return this.segments(word.segments);
  }

  segments(segments: readonly Segment[]): string {
    return segments
      .map(segment => {
        if (segment.is === "const") return `${segment.bits}=${segment.value}`;
        if (segment.is === "column") return `${segment.bits}c${segment.column.id}.${segment.from}`;
        const { answer } = segment.atom;
        const rank =
          answer === undefined ? this.#rank(segment.atom.extraction) : `t${this.#answerRank(answer)}`;
        const of = `${segment.bits}a${rank}.${segment.atom.word}.${segment.from}`;
        return segment.is === "atom" ? of : `${of}.${segment.at}-${segment.by}`;
      })
      .join("+");
  }

  words(words: readonly Word[]): string {
    return words.map(word => this.word(word)).join();
  }

  step({ step, slotValues }: Bound): string {
    let id = stepIds.get(step);
    if (id === undefined) {
      id = stepCount++;
      stepIds.set(step, id);
    }
    return slotValues === NO_VALUES || (slotValues.template?.slots.size ?? 0) === 0
      ? `${id}`
      : `${id}.${slotValues.id}`;
  }

  list(list: readonly Bound[], from = 0): string {
    return list
      .slice(from)
      .map(bound => this.step(bound))
      .join();
  }

  stack(stack: readonly { readonly segments: readonly Segment[] }[]): string {
    return stack.map(({ segments }) => this.segments(segments)).join("/");
  }

  frame(frame: StackFrame): string {
    switch (frame.is) {
      case "steps":
        return this.#steps(frame);
      case "buckets":
        return `${frame.isLast} ${frame.lists
          .slice(frame.index)
          .map(list => this.list(list))
          .join(";")}`;
      case "bucket end":
        return `bucket ${frame.wasMpls} ${this.words(frame.flow)}`;
      case "finish": {
        const { saved, isLast } = frame;
        if (saved === null) return `end ${isLast}`;
        const { flow, actionSet, stack, copied } = saved;
        const packet = copied === null ? "" : `${this.packet(copied.packet)} ${copied.wasMpls}`;
        return `clone ${isLast} ${this.words(flow)} ${this.list(actionSet)} ${this.stack(stack)} ${packet}`;
      }
      default:
        return unreachable(frame);
    }
  }

  /**
   * Of a finished list, only the depth remains, and whether it is an action set: a table that it calls
   * inherits that.
   */
  #steps({ list, index, table, depth, isLast, origin }: Extract<StackFrame, { is: "steps" }>): string {
    const nested = this.isDeep ? `.${depth}` : "";
    if (index === list.length) return `${nested}${(origin & ORIGIN.set) === 0 ? "" : "set"}`;
    return `${this.list(list, index)}@${table}${nested} ${isLast} ${origin}`;
  }

  packet(packet: Packet): string {
    const { base, read, readAs, extraction, popped, pushed, types, isRelabelled, isMoved } = packet;
    const { written, history } = packet;
    const typed = types.map(({ tag, type }) => `${this.word(tag)}:${this.word(type)}`);
    const numbers = [this.#rank(extraction), popped, pushed, isRelabelled, isMoved, typed, ...written].join();
    const before = read === base ? "same" : this.words(read);
    return `${this.words(base)} ${before} ${this.word(readAs)} ${numbers} ${history}`;
  }

  left(left: readonly Left[]): string {
    return left
      .map(one => {
        if (one.is !== "recirculate") return eventsName([one]);
        const { list, stack, actionSet, key, packet, recirculations, table, asked } = one.frozen;
        const lists = `${this.list(list)} ${this.stack(stack)} ${this.list(actionSet)} ${table}`;
        const question = asked === null ? "" : `${asked.step.text} ${this.word(asked.zone)}`;
        return `r ${recirculations} ${lists} ${question} ${this.words(key)} ${this.packet(packet)}`;
      })
      .join("|");
  }
}

/**
 * Everything that later steps depend on, except what the packet asked the connection tracker so far: states
 * with equal names, and as many questions, are equivalent.
 */
export function stateName(state: State, namer: StateNamer): string {
  const { lookup } = state;
  namer.isDeep = depthOf(state) > SHALLOW;
  const deepens = namer.isDeep ? (lookup?.deepens ?? 0) : "";
  return [
    state.isDone,
    lookup === null ? "" : `${lookup.table} ${namer.word(lookup.inPort)} ${deepens} ${lookup.isLast}`,
    namer.words(state.flow),
    namer.packet(state.packet),
    state.frames.map(frame => namer.frame(frame)).join("/"),
    namer.stack(state.stack),
    namer.list(state.actionSet),
    namer.list(state.frozen),
    namer.left(state.left),
    namer.left(state.after),
    eventsName(state.out),
    [
      state.isOver,
      state.isFreezing,
      state.wasMpls,
      state.isTracked,
      state.isTranslated,
      state.frozenTable,
      state.recirculations,
    ].join(),
    namer.word(state.priority),
    [state.actionSetHasGroup, state.stackBytes, state.error].join(),
  ].join("\n");
}

/** Whether the rest depends on the elements of a row set. */
export function hasColumns(state: State): boolean {
  const boundHas = ({ slotValues }: Bound): boolean =>
    slotValues.template !== null && "flowOf" in slotValues && slotValues.template.slots.size > 0;
  const wordsHave = (words: State["flow"]): boolean => words.some(word => word.hasColumn);
  const leftHas = (left: readonly Left[]): boolean =>
    left.some(one =>
      one.is === "recirculate"
        ? one.frozen.list.some(boundHas) || wordsHave(one.frozen.packet.base) || wordsHave(one.frozen.key)
        : wordsHave(one.wire?.packet.base ?? []) ||
          wordsHave(one.is === "effect" ? one.words : one.state) ||
          (one.is === "output" && one.port.hasColumn),
    );
  return (
    wordsHave(state.flow) ||
    wordsHave(state.packet.base) ||
    state.frames.some(
      frame =>
        (frame.is === "steps" && frame.list.slice(frame.index).some(boundHas)) ||
        (frame.is === "bucket end" && wordsHave(frame.flow)) ||
        (frame.is === "finish" && frame.saved !== null && wordsHave(frame.saved.flow)),
    ) ||
    state.actionSet.some(boundHas) ||
    state.frozen.some(boundHas) ||
    state.stack.some(({ segments }) => segments.some(({ is }) => is === "column")) ||
    leftHas(state.left) ||
    leftHas(state.after) ||
    leftHas(state.out)
  );
}
