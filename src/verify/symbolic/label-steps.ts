/**
 * Symbolic execution of the steps that push and pop labels or decrement a TTL. Unlike the steps of
 * actions.ts they can end the list of actions, undo the pass, or send the packet to the controller.
 */
import { KEY } from "../../openflow/index.ts";
import { decremented } from "./actions.ts";
import type { Decider } from "./decider.ts";
import { isIp, isMpls } from "./fields.ts";
import { countLabels, MPLS_LABELS, popLabel, pushLabel } from "./label-stack.ts";
import type { Outputs } from "./outputs.ts";
import { EndsSwitch, POP_ENDS_SWITCH } from "./packet.ts";
import { refuseNoted } from "./passes.ts";
import { replaceTop, restored, type State } from "./state.ts";

const TOO_MANY_LABELS = "too many labels";

export class LabelSteps {
  readonly #by: Decider;
  readonly #outputs: Outputs;

  constructor(by: Decider, outputs: Outputs) {
    this.#by = by;
    this.#outputs = outputs;
  }

  pushMpls(state: State, type: number): State {
    const count = countLabels(this.#by, state.flow);
    if (count >= MPLS_LABELS) return this.#tooMany(state, false);
    const next = count === 0 ? this.#outputs.committed(state) : state;
    return { ...next, flow: pushLabel(this.#by, next.flow, count, type) };
  }

  popMpls(state: State, type: number): State {
    const count = countLabels(this.#by, state.flow);
    const flow = popLabel(this.#by, state.flow, count, type);
    if (flow !== null) return { ...state, flow, wasMpls: state.wasMpls || !isMplsType(type) };
    return count >= MPLS_LABELS ? this.#tooMany(state, true) : state;
  }

  /**
   * Undoes the pass. Within a bucket it undoes only the rest of the bucket and, after a failed pop, the
   * earlier outputs.
   */
  #tooMany(state: State, isEmptied: boolean): State {
    const isInCopy = state.frames.some(frame => frame.is === "finish" && frame.saved?.copied);
    if (isEmptied && isInCopy) throw new EndsSwitch(POP_ENDS_SWITCH);
    const bucket = state.frames.findLastIndex(({ is }) => is === "bucket end");
    if (bucket < 0) return { ...state, error: TOO_MANY_LABELS };
    if (isEmptied) refuseNoted(state.left);
    let next: State = { ...state, left: isEmptied ? [] : state.left };
    // Clones inside the bucket restore the state they saved.
    for (const frame of state.frames.slice(bucket + 1).toReversed())
      if (frame.is === "finish") next = restored(next, frame.saved);
    return { ...next, frames: state.frames.slice(0, bucket + 1) };
  }

  decrementTtl(state: State, controllerCount: number, line: number): State {
    const { flow } = state;
    if (!isIp(this.#by, flow)) return state;
    const ttl = flow[KEY.nwTtl]!;
    const less = decremented(this.#by, ttl, 0, line);
    if (less !== null) return { ...state, flow: flow.with(KEY.nwTtl, less) };
    let next = state;
    for (let i = 0; i < controllerCount; i++) next = this.#outputs.toController(next);
    return replaceTop(next, null);
  }

  decrementMplsTtl(state: State, line: number): State {
    const { flow } = state;
    if (!isMpls(this.#by, flow)) return replaceTop(state, null);
    const less = decremented(this.#by, flow[KEY.mplsLse]!, 0, line);
    if (less !== null) return { ...state, flow: flow.with(KEY.mplsLse, less) };
    return replaceTop(this.#outputs.toController(state), null);
  }
}

const isMplsType = (type: number): boolean => type === 0x8847 || type === 0x8848;
