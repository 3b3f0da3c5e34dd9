/**
 * A resync: the switch's dump and the list of announcements, compared with what is known. It is the only way
 * in which flows are observed, whether reconciliations go on meanwhile or wait for it. The dump is read as it
 * comes, a piece at a time; only differences are kept until a reconciliation takes them in. A flow that was
 * written while the dump was made is left as it is known, because the dump may have seen it before or after;
 * the next resync sees it.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Announced, Announcer } from "../bgp/index.ts";
import type { Recognizer } from "../pipeline/index.ts";
import { type FlowEntry, isSameEntry } from "./flow-entry.ts";
import { Observed } from "./observed-state.ts";
import type { Bridge } from "./ofctl-bridge.ts";

/** How many keys are compared before other work has its turn: about a millisecond's worth. */
const SLICE = 2000;

export class Resync {
  /** Keys of flows, and prefixes of announcements, that were written meanwhile. */
  readonly written = new Set<string>();
  /**
   * Keys whose desired flow differs from the known one; only hints, which a reconciliation compares again.
   */
  readonly suspects = new Set<string>();
  /** The announcements; null: the daemon did not answer, or was not asked. */
  announced: Announced | null = null;
  /** Why the switch or the daemon could not be read. */
  bridgeError: Error | null = null;
  announcerError: Error | null = null;
  /**
   * Whether flows of ours are known and the dump has none that was not written meanwhile: the switch was
   * restarted.
   */
  isEmpty = false;
  isOver = false;
  /** Flows of ours that are new or differ from those known; once settled, also those that are gone (null). */
  readonly #differing = new Map<string, FlowEntry | null>();
  /** Flows of ours that are known and not in the dump. */
  readonly #gone = new Set<string>();
  readonly #foreign = new Map<string, FlowEntry>();
  /** Known keys that the dump has. */
  readonly #seen = new Set<string>();
  readonly known: Observed;

  constructor(known: Observed) {
    this.known = known;
  }

  /** The same dump beside nothing that was known before: the switch was restarted. */
  restarted(): Resync {
    const next = new Resync(new Observed(this.known.foreign));
    for (const [key, entry] of this.#differing) next.#differing.set(key, entry);
    for (const [key, entry] of this.#foreign) next.#foreign.set(key, entry);
    return next;
  }

  /** Reads and compares; never rejects. `announcer` null: announcements are not read. */
  async run(
    bridge: Bridge,
    recognizer: Recognizer,
    announcer: Announcer | null,
    desired: ReadonlyMap<string, FlowEntry>,
  ): Promise<void> {
    const listed = announcer?.list().then(
      list => {
        this.announced = list;
      },
      (error: Error) => {
        this.announcerError = error;
      },
    );
    try {
      await this.#read(bridge, recognizer);
      await this.#compare(desired);
    } catch (error) {
      this.bridgeError = error as Error;
    }
    this.#seen.clear();
    await listed;
  }

  /**
   * Enters the differences into what is known; gives those that others made, by key, and whether foreign
   * flows changed.
   */
  settle(): { readonly drifted: Map<string, FlowEntry | null>; readonly haveOthersWritten: boolean } {
    const known = this.known;
    const drifted = this.#differing;
    for (const key of this.written) drifted.delete(key);
    for (const key of this.#gone) if (!this.written.has(key) && known.ours.has(key)) drifted.set(key, null);
    for (const [key, entry] of drifted) {
      if (entry === null) known.delete(key);
      else known.set(entry);
    }
    return { drifted, haveOthersWritten: known.replaceForeign(this.#foreign) };
  }

  async #read(bridge: Bridge, recognizer: Recognizer): Promise<void> {
    for await (const entries of bridge.flows(recognizer, this.known.ours)) {
      for (const entry of entries) {
        const { key } = entry;
        if (entry.kind === null) this.#foreign.set(key, entry);
        else {
          const before = this.known.ours.get(key);
          if (before !== undefined) this.#seen.add(key);
          if (before === undefined || !isSameEntry(before, entry)) this.#differing.set(key, entry);
        }
      }
      await turn();
    }
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
