/**
 * Keeps the observed state: dumps the switch within a reconciliation or beside it, and enters the
 * differences. It knows when the state of the switch is unknown (a failed write or dump, a restarted switch):
 * then only a dump within a reconciliation makes it known again.
 */

import type { Announcer } from "../bgp/index.ts";
import type { Recognizer } from "../pipeline/index.ts";
import type { Desired } from "./desired-state.ts";
import type { FlowEntry } from "./flow-entry.ts";
import { Observed } from "./observed-state.ts";
import type { Bridge } from "./ofctl-bridge.ts";
import { lineOf } from "./ofctl-text.ts";
import { Resync } from "./resync.ts";
import type { VmDirectory } from "./vm-directory.ts";

/** What a dump has shown. */
export interface Observation {
  /** Flows of ours that another party changed, by key; null: removed. */
  readonly drifted: ReadonlyMap<string, FlowEntry | null>;
  readonly haveOthersWritten: boolean;
  /** Whether nothing was known before, as after a restart of the switch: then no difference is drift. */
  readonly isNew: boolean;
}

const NO_DRIFT: ReadonlyMap<string, FlowEntry | null> = new Map();

export class Observer {
  readonly #bridge: Bridge;
  readonly #recognizer: Recognizer;
  readonly #desired: Desired;
  #observed: Observed | null = null;
  #isKnown = false;
  #isReachable = false;
  /** A resync that runs beside reconciliations, or waits for the next one to take it in. */
  #resync: Resync | null = null;
  #drifted: ReadonlyMap<string, FlowEntry | null> = NO_DRIFT;

  constructor(bridge: Bridge, recognizer: Recognizer, desired: Desired) {
    this.#bridge = bridge;
    this.#recognizer = recognizer;
    this.#desired = desired;
  }

  /** The observed state; null before the first dump. */
  get observed(): Observed | null {
    return this.#observed;
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** False after a dump that failed: then nothing new is announced. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  /** The lines of the table as the last dump that found drift saw it. */
  *driftedLines(): Generator<string> {
    for (const [key, entry] of this.#observed?.ours ?? []) if (!this.#drifted.has(key)) yield lineOf(entry);
    for (const entry of this.#drifted.values()) if (entry !== null) yield lineOf(entry);
    for (const entry of this.#observed?.foreign.values() ?? []) yield lineOf(entry);
  }

  /** What is known of the switch may be outdated. */
  forget(): void {
    this.#isKnown = false;
  }

  /**
   * Keys of flows, or prefixes, that are written: a resync that goes on meanwhile leaves them as they are
   * known.
   */
  noteWritten(names: Iterable<string>): void {
    for (const name of names) this.#resync?.written.add(name);
  }

  /** Reads everything while reconciliations go on. One at a time, and only while the state is known. */
  async resync(announcer: Announcer | null, directory: VmDirectory): Promise<void> {
    const resync = new Resync(this.#observed!);
    this.#resync = resync;
    await resync.run(this.#bridge, this.#recognizer, announcer, this.#desired.flows);
    await directory.scan();
    await directory.readAhead();
    resync.isOver = true;
  }

  /** The concurrent resync that is over, for the reconciliation that takes it in; null: there is none. */
  takeResync(): Resync | null {
    const resync = this.#resync?.isOver ? this.#resync : null;
    if (resync === null) return null;
    this.#resync = null;
    if (resync.bridgeError !== null) this.#isReachable = false;
    // After a restart of the switch, what was written meanwhile may be installed or not.
    if (resync.bridgeError !== null || resync.isEmpty) this.#isKnown = false;
    return resync;
  }

  /**
   * Reads the switch within a reconciliation: nothing is written meanwhile. Rejects when it cannot be read.
   */
  async observe(): Promise<Observation> {
    this.#resync = null;
    const known = this.#observed;
    const isKnown = known !== null && this.#isKnown;
    this.#isKnown = false;
    let resync = new Resync(isKnown ? known : new Observed(known?.foreign));
    await resync.run(this.#bridge, this.#recognizer, null, this.#desired.flows);
    this.#isReachable = resync.bridgeError === null;
    if (resync.bridgeError !== null) throw resync.bridgeError;
    const isNew = !isKnown || resync.isEmpty;
    if (resync.isEmpty) resync = resync.restarted();
    const observation = this.settle(resync, isNew);
    this.#observed = resync.known;
    this.#isKnown = true;
    return observation;
  }

  /** Enters what a resync has found. */
  settle(resync: Resync, isNew = false): Observation {
    const { drifted, haveOthersWritten } = resync.settle();
    if (!isNew && drifted.size > 0) this.#drifted = drifted;
    return { drifted: isNew ? NO_DRIFT : drifted, haveOthersWritten, isNew };
  }
}
