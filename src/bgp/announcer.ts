/**
 * Announces and withdraws the local /32s at a routing daemon, without repetitions. It reads the current
 * announcements from the daemon at first use and after any failure, so that a correct announcement is not
 * sent again after a restart of either side. A restarted daemon gets the announcements back as soon as it
 * accepts them, before its sessions are up: with graceful restart no peer sees a gap. It does not decide
 * which /32s are announced, and when.
 */

import type { Daemon, DaemonPath } from "./routing-daemon.ts";
import type { Announced, Announcer, FabricRoute } from "./types.ts";

/** A daemon answers on its API before it has read its configuration, but accepts no paths until then. */
const RESTORE_AGAIN_MS = 50;
const RESTORE_MS = 60_000;

const keyOf = ({ labels, nextHop }: FabricRoute): string => `${labels.join("/")} ${nextHop}`;

/**
 * An Announcer over a Daemon, which it does not close. Calls take effect in the order in which they were
 * made.
 */
export class BgpAnnouncer implements Announcer {
  readonly #daemon: Daemon;
  /** The local announcements of the daemon, by prefix; null: unknown, they must be read from the daemon. */
  #announced: Map<string, string> | null = null;
  /** `lossCount` of the daemon when they were read. */
  #lossCount = -1;
  #last: Promise<unknown> = Promise.resolve();
  /** The announcements requested by the caller, for a daemon that has restarted. */
  readonly #wanted = new Map<string, FabricRoute>();
  /** Whether #wanted has the announcements found at the start, which the caller does not request again. */
  #hasAdopted = false;
  /** Per pending list: the prefixes announced or withdrawn since it was requested. */
  readonly #meanwhile = new Set<Set<string>>();

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    daemon.onBack(() => void this.#restore());
  }

  announce(routes: readonly FabricRoute[]): Promise<void> {
    return this.#inTurn(async () => {
      // The last one for a prefix counts, as it would if they came one after the other.
      const wanted = new Map(routes.map(route => [route.prefix, route]));
      await this.#announce(wanted);
      for (const [prefix, route] of wanted) this.#wanted.set(prefix, route);
    });
  }

  async #announce(wanted: ReadonlyMap<string, FabricRoute>): Promise<void> {
    const announced = await this.#current();
    const missing = [...wanted.values()].filter(route => announced.get(route.prefix) !== keyOf(route));
    const prefixes = missing.map(({ prefix }) => prefix);
    if (missing.length > 0) await this.#noting(prefixes, () => this.#daemon.announce(missing));
    for (const route of missing) announced.set(route.prefix, keyOf(route));
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      try {
        const announced = await this.#current();
        const there = [...new Set(prefixes)].filter(prefix => announced.has(prefix));
        if (there.length > 0) await this.#noting(there, () => this.#daemon.withdraw(there));
        for (const prefix of there) announced.delete(prefix);
      } finally {
        // Even if the withdrawal fails, a restarted daemon must not get these back.
        for (const prefix of prefixes) this.#wanted.delete(prefix);
      }
    });
  }

  /** Reads the announcements from the daemon, without the cache. */
  ours(): Promise<readonly FabricRoute[]> {
    return this.#inTurn(async () => {
      const ours = await this.#daemon.ours();
      this.#remember(ours);
      return ours;
    });
  }

  /**
   * Requests all paths. A local path is always the best one, so a watch of best paths does not show duplicate
   * addresses. Takes seconds for 100,000 paths: no other call waits for it, and the list may or may not have
   * the changes made meanwhile.
   */
  async list(): Promise<Announced> {
    const meanwhile = new Set<string>();
    this.#meanwhile.add(meanwhile);
    let paths: readonly DaemonPath[];
    try {
      paths = await this.#daemon.list();
    } finally {
      this.#meanwhile.delete(meanwhile);
    }
    const ours = paths.filter(({ isLocal }) => isLocal).map(({ route }) => route);
    const prefixes = new Set(ours.map(({ prefix }) => prefix));
    const contested = paths.filter(({ isLocal, route }) => !isLocal && prefixes.has(route.prefix));
    this.#adjust(ours, meanwhile);
    return { ours, contested: contested.map(({ route }) => route) };
  }

  /**
   * Announces everything to a daemon that was lost, and retries until it accepts or the connection is lost
   * again.
   */
  async #restore(): Promise<void> {
    const losses = this.#daemon.lossCount;
    const end = performance.now() + RESTORE_MS;
    while (losses === this.#daemon.lossCount && performance.now() < end) {
      const isDone = await this.#inTurn(() => this.#announce(this.#wanted)).then(
        () => true,
        () => false,
      );
      if (isDone) return;
      await new Promise(resolve => setTimeout(resolve, RESTORE_AGAIN_MS).unref());
    }
  }

  /** The current announcements; read again if the daemon was lost, because it may have restarted empty. */
  async #current(): Promise<Map<string, string>> {
    if (this.#announced !== null && this.#lossCount === this.#daemon.lossCount) return this.#announced;
    this.#lossCount = this.#daemon.lossCount;
    return this.#remember(await this.#daemon.ours());
  }

  /** Replaces the cache. */
  #remember(ours: readonly FabricRoute[]): Map<string, string> {
    this.#announced = new Map(ours.map(route => [route.prefix, keyOf(route)]));
    if (!this.#hasAdopted)
      for (const route of ours) if (!this.#wanted.has(route.prefix)) this.#wanted.set(route.prefix, route);
    this.#hasAdopted = true;
    return this.#announced;
  }

  /** Updates the cache from a list, except for the prefixes that changed `meanwhile`. */
  #adjust(ours: readonly FabricRoute[], meanwhile: ReadonlySet<string>): void {
    const known = this.#announced;
    if (known === null) return;
    const listed = new Map(ours.map(route => [route.prefix, keyOf(route)]));
    for (const prefix of known.keys())
      if (!listed.has(prefix) && !meanwhile.has(prefix)) known.delete(prefix);
    for (const [prefix, key] of listed) if (!meanwhile.has(prefix)) known.set(prefix, key);
  }

  /** Notes the prefixes in all lists that are pending at the start or the end of an action. */
  async #noting(prefixes: readonly string[], act: () => Promise<void>): Promise<void> {
    const note = (): void => {
      for (const meanwhile of this.#meanwhile) for (const prefix of prefixes) meanwhile.add(prefix);
    };
    note();
    await act().finally(note);
  }

  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(body).catch((error: unknown) => {
      // The daemon may have accepted a part.
      this.#announced = null;
      throw error;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
