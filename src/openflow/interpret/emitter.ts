/**
 * The datapath actions of a pass: each output is preceded by the header changes that bring the packet up to
 * the key (commit.ts). Effects that leave the packet unchanged and packet-ins are actions here, too.
 */
import { PORT } from "../ast.ts";
import { KEY } from "../flow-key.ts";
import { commit } from "./commit.ts";
import {
  ACCOMPANYING_WORDS,
  isNoted,
  PACKET_IN_WORDS,
  type PacketInArguments,
  type Step,
  wordsOfEffect,
} from "./compile-actions.ts";
import type { HeaderAction } from "./datapath.ts";
import { readSubfield } from "./field-access.ts";
import { PLAIN_PACKET_IN, reasonOf } from "./packet-in.ts";
import type { Ruleset } from "./ruleset.ts";
import type { TrackedKey } from "./tracked-key.ts";
import type { DatapathAction, Frozen, PassOutcome, Watcher } from "./translation.ts";

/** Upper bounds of the bytes that one datapath action takes in Open vSwitch. */
const OUTPUT_BYTES = 8;
const HEADER_ACTION_BYTES = 120;
const PACKET_IN_BYTES = 160;

type EffectStep = Pick<Extract<Step, { do: "effect" }>, "effect" | "name" | "text" | "reads" | "line">;

/** The packet may leave by ports that the flow does not name. */
export const putsOut = (name: string, line: number, text = name): EffectStep => ({
  effect: "puts out",
  name,
  text,
  reads: [],
  line,
});

/** An action whose effect an error of the pass does not undo. */
function notedIn(
  actions: readonly DatapathAction[],
): { readonly name: string; readonly line: number } | null {
  for (const action of actions) {
    if (action.do === "effect" && isNoted(action)) return action;
    const inside = action.do === "clone" ? notedIn(action.actions) : null;
    if (inside !== null) return inside;
  }
  return null;
}

/** What a clone by the datapath restores when it ends. */
export interface Copy {
  readonly actions: DatapathAction[];
  readonly base: Uint32Array;
  readonly wasMpls: boolean;
  readonly isTracked: boolean;
}

export class Emitter {
  actions: DatapathAction[] = [];
  /** At least as many bytes as Open vSwitch takes for the actions. */
  actionBytes = 0;
  /**
   * Whether the datapath tracks the packet's connection by now, which the key shows after a recirculation.
   */
  isTracked = false;
  /** Whether the datapath may have translated the packet's addresses, which the key does not show. */
  isTranslated = false;
  /** How many clones around it the datapath carries out on a copy. */
  #copyDepth = 0;
  readonly #rules: Ruleset;
  readonly #key: TrackedKey;
  readonly #outcome: PassOutcome;
  readonly #watcher: Watcher | null;

  constructor(rules: Ruleset, key: TrackedKey, outcome: PassOutcome, watcher: Watcher | null) {
    this.#rules = rules;
    this.#key = key;
    this.#outcome = outcome;
    this.#watcher = watcher;
  }

  get isInCopy(): boolean {
    return this.#copyDepth > 0;
  }

  /**
   * An error undoes all actions, but not the addresses that NORMAL learned and the flows that learn added.
   */
  undo(): void {
    const noted = notedIn(this.actions);
    if (noted !== null) this.#outcome.giveUp(`${noted.name} in front of an error`, noted.line);
    this.actions = [];
  }

  /** Brings the packet up to the key. */
  commit(): void {
    const key = this.#key;
    if (this.isTranslated) this.#outcome.giveUp("a packet that goes on behind ct(nat)");
    if (!key.isWritten) return;
    key.readForCommit();
    const before = this.actions.length;
    if (!commit(key.flow, key.base, this.actions as HeaderAction[]))
      this.#outcome.giveUp("a pop_mpls that makes Open vSwitch end itself");
    this.actionBytes += (this.actions.length - before) * HEADER_ACTION_BYTES;
  }

  /** Puts the packet out by a port that may not exist. */
  #emit(port: number): void {
    if (!this.#rules.hasPort(port)) return;
    this.commit();
    this.#watcher?.putOut(port, this.#key.flow);
    this.actions.push({ do: "output", port, state: this.#accompanying() });
    this.actionBytes += OUTPUT_BYTES;
  }

  /** Queue, mark and tunnel as they leave; null if all are zero. */
  #accompanying(): Uint32Array | null {
    const { flow } = this.#key;
    for (const word of ACCOMPANYING_WORDS)
      if (flow[word] !== 0) return Uint32Array.from(ACCOMPANYING_WORDS, word => flow[word]!);
    return null;
  }

  /** Puts the packet out by a port number of OpenFlow other than TABLE, reserved ones included. */
  output(port: number, line: number, origin: number): void {
    const inPort = this.#key.flow[KEY.inPort]!;
    switch (port) {
      case PORT.inPort:
        this.#emit(inPort);
        return;
      case PORT.normal:
        this.effect(putsOut("NORMAL", line));
        return;
      case PORT.flood:
        this.effect(putsOut("FLOOD", line));
        return;
      case PORT.all: {
        const { ports } = this.#rules;
        if (ports === null) this.effect(putsOut("ALL", line));
        else for (const one of ports) if (one !== inPort) this.#emit(one);
        return;
      }
      case PORT.controller:
        this.packetIn(PLAIN_PACKET_IN, true, origin);
        return;
      case PORT.none:
        return;
      default:
        if (port !== inPort) this.#emit(port);
    }
  }

  /** Puts the packet out by a queue, and forgets the queue again. */
  enqueue(port: number, queue: number): void {
    const { flow } = this.#key;
    const inPort = flow[KEY.inPort]!;
    if (port === inPort) return;
    const before = flow[KEY.skbPriority]!;
    this.#key.isWritten = true;
    flow[KEY.skbPriority] = queue;
    this.#emit(port === PORT.inPort ? inPort : port);
    flow[KEY.skbPriority] = before;
  }

  /** Truncates before the packet is changed. Reserved ports other than LOCAL are not ports here. */
  outputTruncated(port: number, maxBytes: number): void {
    if (port === this.#key.flow[KEY.inPort] || !this.#rules.hasPort(port)) return;
    this.actions.push({ do: "truncate", maxBytes });
    this.#emit(port);
  }

  /** An effect that leaves the packet unchanged. */
  effect({ effect, name, text, reads, line }: EffectStep): void {
    const key = this.#key;
    const isTracking = effect === "tracks" && name !== "meter";
    if (effect === "puts out" || isTracking) this.commit();
    this.isTracked ||= isTracking;
    for (const { field } of reads) key.readField(field);
    const words = wordsOfEffect(effect, name);
    key.readAll(words);
    const values = reads.map(from => readSubfield(key.flow, from).join("."));
    const same = [text, ...values, ...words.map(word => key.flow[word]!.toString(16))].join(" ");
    this.actions.push({ do: "effect", effect, name, text, key: same, line });
  }

  /** A packet-in by an action; `isOutput`: by an output to the controller. */
  packetIn(to: PacketInArguments, isOutput: boolean, origin: number): void {
    this.tell({ ...to, reason: reasonOf(to.reason, isOutput, origin) }, false);
  }

  tell(to: PacketInArguments, isExpired: boolean): void {
    const { flow } = this.#key;
    this.commit();
    const state = Uint32Array.from(PACKET_IN_WORDS, word => flow[word]!);
    this.actions.push({ do: "packet_in", to, isExpired, state, line: this.#outcome.line });
    this.actionBytes += PACKET_IN_BYTES;
  }

  /** Hands the packet as it is to the pass after a recirculation. */
  recirculate(frozen: Frozen): void {
    this.actions.push({ do: "recirculate", frozen });
    this.actionBytes += OUTPUT_BYTES;
  }

  /** Begins a clone that the datapath carries out on a copy of the packet. */
  beginCopy(): Copy {
    this.commit();
    const { actions } = this;
    const { base, wasMpls } = this.#key;
    this.actions = [];
    this.#copyDepth++;
    return { actions, base: base.slice(), wasMpls, isTracked: this.isTracked };
  }

  endCopy({ actions, base, wasMpls, isTracked }: Copy): void {
    this.#copyDepth--;
    actions.push({ do: "clone", actions: this.actions });
    this.actions = actions;
    this.#key.base = base;
    this.#key.wasMpls = wasMpls;
    this.isTracked = isTracked;
    this.isTranslated = false;
  }
}
