/**
 * What a pass keeps for the pass after a recirculation: the steps that are left to run, the stack and the
 * action set (freeze_unroll_actions() and finish_freezing() of ofproto-dpif-xlate.c).
 */
import { KEY } from "../flow-key.ts";
import { leastBytesOf, mostBytesOf } from "./action-sizes.ts";
import { type Step, unrollStep } from "./compile-actions.ts";
import type { Emitter } from "./emitter.ts";
import { readSubfield } from "./field-access.ts";
import type { TrackedKey } from "./tracked-key.ts";
import type { Frozen, PassOutcome, StackItem, TrackStep } from "./translation.ts";

let frozenCount = 0;
const AN_END = "an action set that makes Open vSwitch end itself";

export class Freezer {
  /** Whether the rest of the steps is kept instead of run. */
  isFreezing = false;
  #steps: Step[] = [];
  /** The table of the last step that is kept with its table; -1: none. */
  #table = -1;

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Keeps the steps from `index` on, which stand in `table`. */
  keep(steps: readonly Step[], index: number, table: number): void {
    for (const step of steps.slice(index)) {
      if (step.freezing === "left out") continue;
      if (step.freezing === "with its table" && this.#table !== table) {
        this.#steps.push(unrollStep(table, step.line));
        this.#table = table;
      }
      this.#steps.push(step);
    }
  }

  /**
   * Hands the packet as it is to the next pass. Only a bucket continues after that: a clone that froze ends
   * all.
   */
  finish(
    key: TrackedKey,
    emitter: Emitter,
    outcome: PassOutcome,
    stack: readonly StackItem[],
    actionSet: readonly Step[],
  ): void {
    if (emitter.isTracked) {
      outcome.giveUp("a packet that is read again behind ct");
      return;
    }
    if (mostBytesOf(actionSet) > leastBytesOf(this.#steps)) {
      outcome.giveUp(`${AN_END} after pop_mpls`);
      return;
    }
    emitter.commit();
    emitter.recirculate({
      id: ++frozenCount,
      steps: this.#steps,
      table: 0,
      asked: null,
      stack: [...stack],
      actionSet: [...actionSet],
      key: key.flow.slice(0, KEY.dlDst),
    });
    this.#steps = [];
    this.#table = -1;
    this.isFreezing = false;
  }
  /**
   * Hands the packet to the connection tracker; with a table, a copy goes on in the pass behind it
   * (compose_conntrack_action()). The packet itself goes on untracked.
   */
  track(
    step: TrackStep,
    key: TrackedKey,
    emitter: Emitter,
    outcome: PassOutcome,
    { stack, actionSet }: Pick<Frozen, "stack" | "actionSet">,
  ): void {
    const { line, text, reads, table, zone } = step;
    emitter.effect({ effect: "tracks", name: "ct", text, reads, line });
    if (table !== null && actionSet.length > 0) outcome.giveUp(`${AN_END} after ct`);
    if (table !== null) {
      const number = typeof zone === "number" ? zone : readSubfield(key.flow, zone)[0];
      emitter.recirculate({
        id: ++frozenCount,
        steps: [],
        table,
        asked: { step, zone: number },
        stack: [...stack],
        actionSet: [],
        key: key.flow.slice(0, KEY.dlDst),
      });
    }
    emitter.isTranslated ||= step.nat !== null;
    key.untrack();
  }
}
