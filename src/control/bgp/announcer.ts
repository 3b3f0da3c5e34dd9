/**
 * Our own /32s at a routing daemon: announced and withdrawn, and nothing said twice. What is announced is read from the
 * daemon itself when it is first needed and after any failure, so that an announcement that stays right is not sent again
 * over a restart of either side. Not here: which /32s should be announced, and when.
 */
import type { Announcer, FabricRoute } from "../types.ts";
import type { Daemon, DaemonPath } from "./daemon.ts";

const keyOf = ({ labels, nextHop }: FabricRoute): string => `${labels.join("/")} ${nextHop}`;

/** An Announcer over a Daemon, which it does not close. Calls take effect in the order in which they were made. */
export class BgpAnnouncer implements Announcer {
  readonly #daemon: Daemon;
  /** What the daemon announces for us, by prefix; null when it has to be asked. */
  #announced: Map<string, string> | null = null;
  /** The daemon's count of losses when it was asked. */
  #lossCount = -1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  announce(routes: readonly FabricRoute[]): Promise<void> {
    return this.#inTurn(async () => {
      const announced = await this.#current();
      // The last one for a prefix counts, as it would if they came one after the other.
      const wanted = new Map(routes.map(route => [route.prefix, route]));
      const missing = [...wanted.values()].filter(route => announced.get(route.prefix) !== keyOf(route));
      await this.#daemon.announce(missing);
      for (const route of missing) announced.set(route.prefix, keyOf(route));
    });
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      const announced = await this.#current();
      const there = [...new Set(prefixes)].filter(prefix => announced.has(prefix));
      await this.#daemon.withdraw(there);
      for (const prefix of there) announced.delete(prefix);
    });
  }

  /** Asks the daemon, whatever was known before. */
  list(): Promise<readonly FabricRoute[]> {
    return this.#inTurn(async () => {
      const paths = await this.#daemon.list();
      this.#remember(paths);
      return paths.filter(({ isLocal }) => isLocal).map(({ route }) => route);
    });
  }

  /**
   * Paths of other routers to prefixes that we announce too: another hypervisor claims the same address, or a VM is on
   * its way between two. A prefix that we announce is always best here, so no watch of best paths shows these.
   */
  contested(): Promise<readonly FabricRoute[]> {
    return this.#inTurn(async () => {
      const paths = await this.#daemon.list();
      const ours = this.#remember(paths);
      return paths.filter(path => !path.isLocal && ours.has(path.route.prefix)).map(({ route }) => route);
    });
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
