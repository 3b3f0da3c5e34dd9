/**
 * Our own /32s at a routing daemon: announced and withdrawn, and nothing said twice. What is announced is read from the
 * daemon itself when it is first needed and after any failure, so that an announcement that stays right is not sent again
 * over a restart of either side. A daemon that restarted with nothing gets ours back as soon as it takes them, which is long
 * before its sessions are up: with graceful restart no peer sees one missing. Not here: which /32s should be announced, and when.
 */
import type { Announced, Announcer, FabricRoute } from "../types.ts";
import type { Daemon, DaemonPath } from "./daemon.ts";

/** A daemon answers on its API before it has read its configuration; it takes no paths until then. */
const RESTORE_AGAIN_MS = 50;
const RESTORE_MS = 60_000;

const keyOf = ({ labels, nextHop }: FabricRoute): string => `${labels.join("/")} ${nextHop}`;

/** An Announcer over a Daemon, which it does not close. Calls take effect in the order in which they were made. */
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
    if (missing.length > 0) await this.#daemon.announce(missing);
    for (const route of missing) announced.set(route.prefix, keyOf(route));
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      // Even if the daemon cannot be told now, it is not to get these back.
      for (const prefix of prefixes) this.#wanted.delete(prefix);
      const announced = await this.#current();
      const there = [...new Set(prefixes)].filter(prefix => announced.has(prefix));
      if (there.length > 0) await this.#daemon.withdraw(there);
      for (const prefix of there) announced.delete(prefix);
    });
  }

  /**
   * Asks the daemon, whatever was known before. A prefix that we announce is always best here, so that no watch of best
   * paths shows who else claims it: the list of all paths does.
   */
  list(): Promise<Announced> {
    return this.#inTurn(async () => {
      const paths = await this.#daemon.list();
      const known = this.#remember(paths);
      if (!this.#hasAdopted)
        for (const { isLocal, route } of paths)
          if (isLocal && !this.#wanted.has(route.prefix)) this.#wanted.set(route.prefix, route);
      this.#hasAdopted = true;
      const routesOf = (isOurs: boolean): FabricRoute[] =>
        paths
          .filter(({ isLocal, route }) => isLocal === isOurs && known.has(route.prefix))
          .map(({ route }) => route);
      return { ours: routesOf(true), contested: routesOf(false) };
    });
  }

  /** Gives a daemon that was lost what it should announce, again and again until it takes it or is lost once more. */
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
    return this.#remember(await this.#daemon.list());
  }

  #remember(paths: readonly DaemonPath[]): Map<string, string> {
    const local = paths.filter(({ isLocal }) => isLocal);
    this.#announced = new Map(local.map(({ route }) => [route.prefix, keyOf(route)]));
    return this.#announced;
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
