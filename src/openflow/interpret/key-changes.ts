/**
 * The steps that change the flow key: fields, tags, labels, TTLs, the stack, the queue. They see the key
 * only, never the bytes; emitter.ts brings the packet up to it.
 */
import { unreachable } from "../../wire/index.ts";
import { KEY } from "../flow-key.ts";
import type { Step } from "./compile-actions.ts";
import type { Emitter } from "./emitter.ts";
import { isIpType, isMplsType, MPLS_LABELS, VLAN_PRESENT } from "./extract.ts";
import { readSubfield, type Words, writeMasked, writeSubfield } from "./field-access.ts";
import { countLabels, popLabel, pushLabel } from "./mpls.ts";
import { EXPIRED } from "./packet-in.ts";
import type { TrackedKey } from "./tracked-key.ts";
import type { PassOutcome, StackItem } from "./translation.ts";

export const TOO_MANY_LABELS = `over ${MPLS_LABELS} labels`;

type Doing<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** The steps that change the key, and nothing else. */
export type ChangeStep = Doing<
  | "set"
  | "move"
  | "push"
  | "pop"
  | "untrack"
  | "push_vlan"
  | "pop_vlan"
  | "push_mpls"
  | "pop_mpls"
  | "set_queue"
  | "pop_queue"
>;

export class KeyChanges {
  stack: StackItem[] = [];
  stackBytes = 0;
  readonly #key: TrackedKey;
  readonly #emitter: Emitter;
  readonly #outcome: PassOutcome;
  /** The queue that the packet came with. */
  readonly #priority: number;

  constructor(key: TrackedKey, emitter: Emitter, outcome: PassOutcome) {
    this.#key = key;
    this.#emitter = emitter;
    this.#outcome = outcome;
    this.#priority = key.flow[KEY.skbPriority]!;
  }

  run(step: ChangeStep): void {
    const key = this.#key;
    const { flow } = key;
    switch (step.do) {
      case "untrack":
        key.untrack();
        return;
      case "set":
        if (!key.holds(step.prerequisite)) return;
        key.write(step.field);
        writeMasked(flow, step.field, step.value, step.mask);
        return;
      case "move":
        if (!key.holds(step.to.field.prerequisite) || !key.holds(step.from.field.prerequisite)) return;
        key.readField(step.from.field);
        key.write(step.to.field);
        writeSubfield(flow, step.to, readSubfield(flow, step.from));
        return;
      case "push":
        key.readField(step.from.field);
        this.#push(readSubfield(flow, step.from), step.from.bits);
        return;
      case "pop":
        this.#pop(step);
        return;
      case "push_vlan":
        key.writeTags();
        flow[KEY.innerVlanTci] = flow[KEY.vlanTci]!;
        flow[KEY.vlanTci] = (step.type << 16) | VLAN_PRESENT;
        return;
      case "pop_vlan":
        key.writeTags();
        popTag(flow);
        return;
      case "push_mpls":
        this.#pushMpls(step.type);
        return;
      case "pop_mpls":
        this.#popMpls(step.type);
        return;
      case "set_queue":
        flow[KEY.skbPriority] = step.queue;
        return;
      case "pop_queue":
        flow[KEY.skbPriority] = this.#priority;
        return;
      default:
        unreachable(step);
    }
  }

  #pushMpls(type: number): void {
    const key = this.#key;
    key.writeLabels();
    key.read(KEY.nwTos);
    key.read(KEY.nwTtl);
    const count = countLabels(key.flow);
    if (count >= MPLS_LABELS) {
      this.#outcome.error = TOO_MANY_LABELS;
      return;
    }
    if (count === 0) {
      this.#emitter.commit();
      key.isWiped = true;
    }
    pushLabel(key.flow, count, type, true);
  }

  /** A failure undoes what the pass did before, even if a bucket then continues without it. */
  #popMpls(type: number): void {
    const key = this.#key;
    key.writeLabels();
    const count = countLabels(key.flow);
    if (popLabel(key.flow, count, type)) {
      if (!isMplsType(type)) key.wasMpls = true;
    } else if (count >= MPLS_LABELS) {
      if (this.#emitter.isInCopy) this.#outcome.giveUp("a pop_mpls that makes Open vSwitch end itself");
      this.#outcome.error = TOO_MANY_LABELS;
      this.#emitter.undo();
    }
  }

  /** Returns true, which ends the list, if the TTL is used up. */
  decrementTtl(controllers: readonly number[]): boolean {
    const key = this.#key;
    const { flow } = key;
    key.isWritten = true;
    key.read(KEY.dlType);
    key.read(KEY.nwTtl);
    if (!isIpType(flow[KEY.dlType]!)) return false;
    if (flow[KEY.nwTtl]! > 1) {
      flow[KEY.nwTtl] = flow[KEY.nwTtl]! - 1;
      return false;
    }
    for (const id of controllers) this.#emitter.tell({ ...EXPIRED, id }, true);
    return true;
  }

  /** The same for the outer label; a packet without a label ends the list, too. */
  decrementMplsTtl(): boolean {
    const { flow } = this.#key;
    this.#key.writeLabels();
    if (!isMplsType(flow[KEY.dlType]!)) return true;
    if ((flow[KEY.mplsLse]! & 0xff) > 1) {
      flow[KEY.mplsLse] = flow[KEY.mplsLse]! - 1;
      return false;
    }
    this.#emitter.tell(EXPIRED, true);
    return true;
  }

  #push(value: Words, bits: number): void {
    const bytes = Math.ceil(bits / 8) + 1;
    this.stack.push({ value, bytes });
    this.stackBytes += bytes;
  }

  /** An empty stack leaves the field unchanged. */
  #pop(step: Doing<"pop">): void {
    const item = this.stack.pop();
    if (item === undefined) return;
    this.stackBytes -= item.bytes;
    this.#key.write(step.to.field);
    writeSubfield(this.#key.flow, step.to, item.value);
  }
}

/**
 * Tags count from the outside as far as they have the presence bit, which a load may clear: what is behind
 * stays.
 */
function popTag(key: Uint32Array): void {
  if ((key[KEY.vlanTci]! & VLAN_PRESENT) === 0) return;
  const hasTwo = (key[KEY.innerVlanTci]! & VLAN_PRESENT) !== 0;
  key[KEY.vlanTci] = hasTwo ? key[KEY.innerVlanTci]! : 0;
  if (hasTwo) key[KEY.innerVlanTci] = 0;
}
