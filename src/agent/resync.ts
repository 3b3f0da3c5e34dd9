/**
 * A look at everything, beside the rounds that go on meanwhile. The dump is read as it comes, a piece at a time, and held
 * against what is known; what differs is kept until a round takes it in. A row that was written while the look was on is
 * left as it is known, because nobody can tell whether the dump saw it before or after; the next look sees it.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Announced, Announcer } from "../bgp/index.ts";
import { type Row, rowName } from "./flow-entries.ts";
import { Installed, type InstalledRow, isAlike, meaningOf } from "./observed-state.ts";
import type { Bridge } from "./ofctl-bridge.ts";

/** How many names are compared before others have their turn: about a millisecond's worth. */
const SLICE = 2000;

export class Look {
  /** Names of rows, and prefixes of announcements, that were written meanwhile. */
  readonly written = new Set<string>();
  /** Rows of ours that are new or other than known, by name. */
  readonly differing = new Map<string, InstalledRow>();
  /** Rows of ours that are known and were not in the dump. */
  readonly gone = new Set<string>();
  /** Everybody else's rows, by name. */
  readonly foreign = new Map<string, InstalledRow>();
  /** Names under which what is wanted is not what is known; only hints, which a round compares again. */
  readonly suspects = new Set<string>();
  /** What is announced; null: the daemon did not answer. */
  announced: Announced | null = null;
  /** Why the switch or the daemon could not be looked at. */
  bridgeError: Error | null = null;
  announcerError: Error | null = null;
  /** Whether the dump had no row of ours that was not written meanwhile: the switch was started anew. */
  isEmpty = false;
  isOver = false;
  readonly #seen = new Set<string>();

  /** Looks; never rejects. */
  async run(
    bridge: Bridge,
    announcer: Announcer | null,
    known: Installed,
    wanted: ReadonlyMap<string, Row>,
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
      await this.#read(bridge, known);
      await this.#compare(known, wanted);
    } catch (error) {
      this.bridgeError = error as Error;
    }
    this.#seen.clear();
    await listed;
  }

  /**
   * Enters what was found into what is known; gives what others changed, by name. Rows that are only spelt differently from
   * how they were written are no change.
   */
  settle(known: Installed): Map<string, InstalledRow | null> {
    const { written, differing, gone, foreign } = this;
    const news = [...differing].filter(([name]) => !known.ours.has(name));
    if (news.length > 0) {
      const places = new Set(news.map(([, row]) => `${row.table}/${row.priority}`));
      const meant = new Map<string, string>();
      for (const name of new Set([...gone, ...written])) {
        const row = known.ours.get(name);
        if (row === undefined || !places.has(`${row.table}/${row.priority}`)) continue;
        meant.set(meaningOf(row) ?? name, name);
      }
      for (const [printed, row] of meant.size === 0 ? [] : news) {
        const name = meant.get(meaningOf(row) ?? "");
        if (name === undefined) continue;
        known.alias(printed, name);
        differing.delete(printed);
        gone.delete(name);
        if (!isAlike(known.ours.get(name)!, row)) differing.set(name, row);
      }
    }
    const drifted = new Map<string, InstalledRow | null>();
    for (const [name, row] of differing) if (!written.has(name)) drifted.set(name, row);
    for (const name of gone) if (!written.has(name) && known.ours.has(name)) drifted.set(name, null);
    for (const [name, row] of drifted) {
      if (row === null) known.delete(name);
      else known.set(name, row);
    }
    known.foreign.clear();
    for (const [name, row] of foreign) known.foreign.set(name, row);
    return drifted;
  }

  async #read(bridge: Bridge, known: Installed): Promise<void> {
    for await (const rows of bridge.rows()) {
      for (const row of rows) {
        const name = known.nameOf(rowName(row.table, row.priority, row.match));
        if (row.kind === null) this.foreign.set(name, row);
        else {
          this.#seen.add(name);
          const before = known.ours.get(name);
          if (before === undefined || !isAlike(before, row)) this.differing.set(name, row);
        }
      }
      await turn();
    }
  }

  async #compare(known: Installed, wanted: ReadonlyMap<string, Row>): Promise<void> {
    let count = 0;
    let kept = 0;
    for (const name of known.ours.keys()) {
      if (!this.#seen.has(name)) this.gone.add(name);
      else if (!this.written.has(name)) kept++;
      if (!wanted.has(name)) this.suspects.add(name);
      if (++count % SLICE === 0) await turn();
    }
    for (const [name, row] of wanted) {
      const there = known.ours.get(name);
      if (there === undefined || there.cookie !== row.cookie || there.actions !== row.actions)
        this.suspects.add(name);
      if (++count % SLICE === 0) await turn();
    }
    this.isEmpty = kept === 0 && known.ours.size > this.written.size;
  }
}

/** Reads all that is installed, by nothing that was known before. Throws for a line that cannot be read. */
export async function readInstalled(bridge: Bridge): Promise<Installed> {
  const installed = new Installed();
  for await (const rows of bridge.rows()) installed.take(rows);
  return installed;
}
