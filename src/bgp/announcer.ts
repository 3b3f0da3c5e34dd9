/**
 * Our own /32s at a routing daemon: announced and withdrawn, and nothing said twice. What is announced is
 * read from the daemon itself when it is first needed and after any failure, so that an announcement that
 * stays right is not sent again over a restart of either side. A daemon that restarted with nothing gets ours
 * back as soon as it takes them, which is long before its sessions are up: with graceful restart no peer sees
 * one missing. Not here: which /32s should be announced, and when.
 */

import type { Daemon, DaemonPath } from "./routing-daemon.ts";
import type { Announced, Announcer, FabricRoute } from "./types.ts";

/** A daemon answers on its API before it has read its configuration; it takes no paths until then. */
const RESTORE_AGAIN_MS = 50;
const RESTORE_MS = 60_000;

const keyOf = ({ labels, nextHop }: FabricRoute): string => `${labels.join("/")} ${nextHop}`;

/**
 * An Announcer over a Daemon, which it does not close. Calls take effect in the order in which they were
 * made.
 */
export class BgpAnnouncer implements Announcer {
  readonly #daemon: Daemon;
  /** What the daemon announces for us, by prefix; null when it has to be asked. */
  #announced: Map<string, string> | null = null;
  /** The daemon's count of losses when it was asked. */
  #lossCount = -1;
  #last: Promise<unknown> = Promise.resolve();
  /** What was asked of us and holds: what a daemon that restarted is given again. */
  readonly #wanted = new Map<string, FabricRoute>();
  /** Whether what the daemon announced before we came counts among that: it is not asked of us again. */
  #hasAdopted = false;
  /** What was announced or withdrawn while a list was on its way, of each list. */
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
        // Even if the daemon cannot be told now, it is not to get these back.
        for (const prefix of prefixes) this.#wanted.delete(prefix);
      }
    });
  }

  /** Asks the daemon, whatever was known before. */
  ours(): Promise<readonly FabricRoute[]> {
    return this.#inTurn(async () => {
      const ours = await this.#daemon.ours();
      this.#remember(ours);
      return ours;
    });
  }

  /**
   * Asks the daemon for all paths. A prefix that we announce is always best here, so that no watch of best
   * paths shows who else claims it. Takes seconds where there are a hundred thousand: nothing waits for it,
   * and what is announced or withdrawn meanwhile may stand in the list or not.
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
   * Gives a daemon that was lost what it should announce, again and again until it takes it or is lost once
   * more.
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

  /** What is announced, asked anew when the daemon was lost since: it may have restarted with nothing. */
  async #current(): Promise<Map<string, string>> {
    if (this.#announced !== null && this.#lossCount === this.#daemon.lossCount) return this.#announced;
    this.#lossCount = this.#daemon.lossCount;
    return this.#remember(await this.#daemon.ours());
  }

  /** Takes what the daemon announces as all there is. */
  #remember(ours: readonly FabricRoute[]): Map<string, string> {
    this.#announced = new Map(ours.map(route => [route.prefix, keyOf(route)]));
    if (!this.#hasAdopted)
      for (const route of ours) if (!this.#wanted.has(route.prefix)) this.#wanted.set(route.prefix, route);
    this.#hasAdopted = true;
    return this.#announced;
  }

  /** The same from a list, but for the prefixes that changed `meanwhile`: what is known of them holds. */
  #adjust(ours: readonly FabricRoute[], meanwhile: ReadonlySet<string>): void {
    const known = this.#announced;
    if (known === null) return;
    const listed = new Map(ours.map(route => [route.prefix, keyOf(route)]));
    for (const prefix of known.keys())
      if (!listed.has(prefix) && !meanwhile.has(prefix)) known.delete(prefix);
    for (const [prefix, key] of listed) if (!meanwhile.has(prefix)) known.set(prefix, key);
  }

  /** Lists that begin or end while it goes on do not know whether they have its prefixes. */
  async #noting(prefixes: readonly string[], act: () => Promise<void>): Promise<void> {
    const note = (): void => {
      for (const meanwhile of this.#meanwhile) for (const prefix of prefixes) meanwhile.add(prefix);
    };
    note();
    await act().finally(note);
  }

  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(body).catch((error: unknown) => {
      // Part of it may have been taken.
      this.#announced = null;
      throw error;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
