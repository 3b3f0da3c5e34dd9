/**
 * Keeps the observed state. Flows are observed by a dump only, within a reconciliation or beside it, of which
 * only the differences from the known state are kept until a reconciliation takes them in. A flow that is
 * written meanwhile stays as it is known, because the dump may show it before or after; the next one shows
 * it. After a failed write or dump, or a restart of the switch, the state is unknown until a dump within a
 * reconciliation.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Recognizer } from "../pipeline/index.ts";
import type { Desired } from "./desired-state.ts";
import { type FlowEntry, isSameEntry } from "./flow-entry.ts";
import { Observed } from "./observed-state.ts";
import type { Bridge } from "./ofctl-bridge.ts";
import { lineOf } from "./ofctl-text.ts";

/** How many keys are compared before other work has its turn: about a millisecond's worth. */
const SLICE = 2000;

/** Flows of ours that another party changed, by key; null: removed. */
type Drift = Map<string, FlowEntry | null>;

/** What a dump has shown. */
export interface Observation {
  readonly drifted: ReadonlyMap<string, FlowEntry | null>;
  readonly haveOthersWritten: boolean;
  /** Whether nothing was known before, as after a restart of the switch: then no difference is drift. */
  readonly isNew: boolean;
}

/** A dump beside what is known. */
export class Resync {
  /** Keys of flows that were written meanwhile. */
  readonly written = new Set<string>();
  /** Keys whose desired flow differs from the known one: hints, which a reconciliation compares again. */
  readonly suspects = new Set<string>();
  /** Why the switch could not be read. */
  error: Error | null = null;
  /** Whether flows of ours are known and the dump has none but those just written: the switch restarted. */
  isEmpty = false;
  isOver = false;
  /** Flows of ours that are new or differ from those known. */
  readonly #differing = new Map<string, FlowEntry>();
  /** Flows of ours that are known and not in the dump. */
  readonly #gone = new Set<string>();
  readonly #foreign = new Map<string, FlowEntry>();
  /** Known keys that the dump has. */
  readonly #seen = new Set<string>();
  readonly known: Observed;

  constructor(known: Observed) {
    this.known = known;
  }

  /** The same dump beside nothing that was known before. */
  restarted(): Resync {
    const next = new Resync(new Observed(this.known.foreign));
    for (const [key, entry] of this.#differing) next.#differing.set(key, entry);
    for (const [key, entry] of this.#foreign) next.#foreign.set(key, entry);
    return next;
  }

  /** Reads and compares; never rejects. */
  async run(bridge: Bridge, recognizer: Recognizer, desired: ReadonlyMap<string, FlowEntry>): Promise<void> {
    try {
      for await (const entries of bridge.flows(recognizer, this.known.ours)) {
        for (const entry of entries) this.#take(entry);
        await turn();
      }
      await this.#compare(desired);
    } catch (error) {
      this.error = error as Error;
    }
    this.#seen.clear();
  }

  /** Enters the differences into what is known. */
  settle(): { readonly drifted: Drift; readonly haveOthersWritten: boolean } {
    const known = this.known;
    const drifted: Drift = new Map();
    for (const [key, entry] of this.#differing) if (!this.written.has(key)) drifted.set(key, entry);
    for (const key of this.#gone) if (!this.written.has(key) && known.ours.has(key)) drifted.set(key, null);
    for (const [key, entry] of drifted) {
      if (entry === null) known.delete(key);
      else known.set(entry);
    }
    return { drifted, haveOthersWritten: known.replaceForeign(this.#foreign) };
  }

  #take(entry: FlowEntry): void {
    const { key } = entry;
    if (entry.kind === null) {
      this.#foreign.set(key, entry);
      return;
    }
    const before = this.known.ours.get(key);
    if (before !== undefined) this.#seen.add(key);
    if (before === undefined || !isSameEntry(before, entry)) this.#differing.set(key, entry);
  }

  async #compare(desired: ReadonlyMap<string, FlowEntry>): Promise<void> {
    const { ours } = this.known;
    let count = 0;
    let kept = 0;
    for (const key of ours.keys()) {
      if (!this.#seen.has(key)) this.#gone.add(key);
      else if (!this.written.has(key)) kept++;
      if (!desired.has(key)) this.suspects.add(key);
      if (++count % SLICE === 0) await turn();
    }
    for (const [key, entry] of desired) {
      const observed = ours.get(key);
      if (observed === undefined || !isSameEntry(observed, entry)) this.suspects.add(key);
      if (++count % SLICE === 0) await turn();
    }
    this.isEmpty = kept === 0 && ours.size > this.written.size;
  }
}

export class Observer {
  readonly #bridge: Bridge;
  readonly #recognizer: Recognizer;
  readonly #desired: Desired;
  #observed: Observed | null = null;
  #isKnown = false;
  #isReachable = false;
  /** A resync that runs beside reconciliations, or waits for the next one to take it in. */
  #resync: Resync | null = null;
  #drifted: Observation["drifted"] = new Map();

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

  /** These flows are being written: a resync that goes on meanwhile leaves them as they are known. */
  noteWritten(keys: Iterable<string>): void {
    for (const key of keys) this.#resync?.written.add(key);
  }

  /** Reads the switch beside reconciliations, then the others. Requires a known state; one at a time. */
  async resync(readOthers: () => Promise<void>): Promise<void> {
    const resync = new Resync(this.#observed!);
    this.#resync = resync;
    await resync.run(this.#bridge, this.#recognizer, this.#desired.flows);
    await readOthers();
    resync.isOver = true;
  }

  /** The concurrent resync that is over, for the reconciliation that takes it in; null: there is none. */
  takeResync(): Resync | null {
    const resync = this.#resync?.isOver ? this.#resync : null;
    if (resync === null) return null;
    this.#resync = null;
    if (resync.error !== null) this.#isReachable = false;
    // After a restart of the switch, what was written meanwhile may be installed or not.
    if (resync.error !== null || resync.isEmpty) this.#isKnown = false;
    return resync;
  }

  /** Reads the switch within a reconciliation: nothing is written meanwhile. Rejects if it cannot be read. */
  async observe(): Promise<Observation> {
    this.#resync = null;
    const known = this.#observed;
    const isKnown = known !== null && this.#isKnown;
    this.#isKnown = false;
    let resync = new Resync(isKnown ? known : new Observed(known?.foreign));
    await resync.run(this.#bridge, this.#recognizer, this.#desired.flows);
    this.#isReachable = resync.error === null;
    if (resync.error !== null) throw resync.error;
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
    if (isNew) return { drifted: new Map(), haveOthersWritten, isNew };
    if (drifted.size > 0) this.#drifted = drifted;
    return { drifted, haveOthersWritten, isNew };
  }
}
