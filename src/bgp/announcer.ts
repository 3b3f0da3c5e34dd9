/**
 * The announcements at a routing daemon: the desired ones, the announced ones, and the calls that make the
 * difference. It reads them at first use and after any failure, so that a correct one is not sent again after
 * a restart of either side. A restarted daemon gets them back as soon as it accepts them, before its sessions
 * are up: with graceful restart no peer sees a gap.
 *
 * Each call has a deadline, so that flows never wait for a daemon that hangs or is busy. A call past its
 * deadline fails, and later calls fail at once until it returns.
 */

import { BgpError, type Daemon, type DaemonPath } from "./routing-daemon.ts";
import type { Announced, FabricRoute } from "./types.ts";

/**
 * Deadlines in milliseconds: a few prefixes, each further one, the daemon's own announcements (for which it
 * scans its whole table), and the list of all paths.
 */
const FEW_MS = 2000;
const PREFIX_MS = 1;
const OURS_MS = 8000;
const LIST_MS = 30_000;
const STUCK = "the routing daemon does not answer";

/** A daemon answers on its API before it has read its configuration, but accepts no paths until then. */
const RESTORE_AGAIN_MS = 50;
const RESTORE_MS = 60_000;

/** The part of a daemon that is used. */
export type AnnouncingDaemon = Pick<
  Daemon,
  "lossCount" | "onBack" | "announce" | "withdraw" | "ours" | "list"
>;

export interface Deadlines {
  readonly fewMs?: number;
  readonly oursMs?: number;
}

/** Announces at a daemon, which it does not close. Calls take effect in the order of their start. */
export class BgpAnnouncer {
  /** Called when a call past its deadline has returned: `announced` may be known again. */
  onBack: () => void = () => undefined;
  readonly #daemon: AnnouncingDaemon;
  readonly #fewMs: number;
  readonly #oursMs: number;
  /** Those that should be announced: found at the first read or requested, and not withdrawn since. */
  readonly #desired = new Map<string, FabricRoute>();
  #hasAdopted = false;
  #announced: Map<string, FabricRoute> | null = null;
  /** `lossCount` of the daemon when they were read: a daemon that was lost may have restarted empty. */
  #lossCount = -1;
  #contested: readonly FabricRoute[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Whether a call is past its deadline and has not returned. */
  #isStuck = false;
  /** A late answer of `ours`, for its next caller; valid, because no other call was made since. */
  #late: readonly FabricRoute[] | null = null;
  /** Per pending list: the prefixes announced or withdrawn since it was requested. */
  readonly #meanwhile = new Set<Set<string>>();

  constructor(daemon: AnnouncingDaemon, { fewMs = FEW_MS, oursMs = OURS_MS }: Deadlines = {}) {
    this.#daemon = daemon;
    this.#fewMs = fewMs;
    this.#oursMs = oursMs;
    daemon.onBack(() => void this.#restore());
  }

  /** The announcements by prefix, as last known; null: they must be read. */
  get announced(): ReadonlyMap<string, FabricRoute> | null {
    return this.#announced;
  }

  /** Paths of other routers to prefixes that are announced here, as last listed. */
  get contested(): readonly FabricRoute[] {
    return this.#contested;
  }

  /** Whether exactly this is announced. */
  has(route: FabricRoute): boolean {
    return isSame(this.#announced?.get(route.prefix), route);
  }

  announce(routes: readonly FabricRoute[]): Promise<void> {
    return this.#within(this.#fewMs + routes.length * PREFIX_MS, async () => {
      // The last one for a prefix counts, as it would if they came one after the other.
      const desired = new Map(routes.map(route => [route.prefix, route]));
      await this.#add(desired);
      for (const [prefix, route] of desired) this.#desired.set(prefix, route);
    });
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#within(this.#fewMs + prefixes.length * PREFIX_MS, async () => {
      try {
        const announced = await this.#current();
        const there = [...new Set(prefixes)].filter(prefix => announced.has(prefix));
        if (there.length > 0) await this.#noting(there, () => this.#daemon.withdraw(there));
        for (const prefix of there) announced.delete(prefix);
        this.#announced = announced;
      } finally {
        // Even if the withdrawal fails, a restarted daemon must not get these back.
        for (const prefix of prefixes) this.#desired.delete(prefix);
      }
    });
  }

  /** Reads the announcements from the daemon. */
  ours(): Promise<readonly FabricRoute[]> {
    const late = this.#late;
    this.#late = null;
    if (late !== null) return Promise.resolve(late);
    const read = async (): Promise<readonly FabricRoute[]> => {
      this.#announced = await this.#read();
      return [...this.#announced.values()];
    };
    return this.#within(this.#oursMs, read, ours => {
      this.#late = ours;
    });
  }

  /**
   * Reads all paths: a local path is the best one, so a watch of best paths does not show duplicate
   * addresses. Takes seconds for 100,000 paths; no other call waits for it.
   */
  async list(): Promise<Announced> {
    const meanwhile = new Set<string>();
    this.#meanwhile.add(meanwhile);
    const losses = this.#daemon.lossCount;
    let paths: readonly DaemonPath[] | null = null;
    try {
      if (!this.#isStuck) paths = await within(LIST_MS, this.#daemon.list());
      if (paths === null) throw new BgpError(STUCK);
    } catch (error) {
      this.#announced = null;
      throw error;
    } finally {
      this.#meanwhile.delete(meanwhile);
    }
    const ours = new Map(paths.flatMap(({ isLocal, route }) => (isLocal ? [[route.prefix, route]] : [])));
    const contested = paths.filter(({ isLocal, route }) => !isLocal && ours.has(route.prefix));
    this.#contested = contested.map(({ route }) => route);
    if (this.#announced !== null) adjust(this.#announced, ours, meanwhile);
    else if (meanwhile.size === 0) {
      this.#lossCount = losses;
      this.#announced = this.#adopt(ours);
    }
    return { ours: [...ours.values()], contested: this.#contested };
  }

  /** Announces those that are not announced. */
  async #add(desired: ReadonlyMap<string, FabricRoute>): Promise<void> {
    const announced = await this.#current();
    const missing = [...desired.values()].filter(route => !isSame(announced.get(route.prefix), route));
    const prefixes = missing.map(({ prefix }) => prefix);
    if (missing.length > 0) await this.#noting(prefixes, () => this.#daemon.announce(missing));
    for (const route of missing) announced.set(route.prefix, route);
    this.#announced = announced;
  }

  /** Gives everything back to a daemon that was lost; retries until it accepts or is lost again. */
  async #restore(): Promise<void> {
    const losses = this.#daemon.lossCount;
    const end = performance.now() + RESTORE_MS;
    while (losses === this.#daemon.lossCount && performance.now() < end) {
      const isDone = await this.#inTurn(() => this.#add(this.#desired)).then(
        () => true,
        () => false,
      );
      if (isDone) return;
      await new Promise(resolve => setTimeout(resolve, RESTORE_AGAIN_MS).unref());
    }
  }

  /** The announcements, read again if they are unknown or the daemon was lost. */
  async #current(): Promise<Map<string, FabricRoute>> {
    const isLost = this.#lossCount !== this.#daemon.lossCount;
    return this.#announced === null || isLost ? this.#read() : this.#announced;
  }

  async #read(): Promise<Map<string, FabricRoute>> {
    this.#lossCount = this.#daemon.lossCount;
    const ours = await this.#daemon.ours();
    return this.#adopt(new Map(ours.map(route => [route.prefix, route])));
  }

  /** Announcements that are found at first are desired, too: their caller does not request them again. */
  #adopt(ours: Map<string, FabricRoute>): Map<string, FabricRoute> {
    if (!this.#hasAdopted)
      for (const [prefix, route] of ours) if (!this.#desired.has(prefix)) this.#desired.set(prefix, route);
    this.#hasAdopted = true;
    return ours;
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

  /** Runs a call in its turn, and waits so long for it; `onLate` receives a result that came after that. */
  async #within<T>(
    ms: number,
    body: () => Promise<T>,
    onLate: (result: T) => void = () => undefined,
  ): Promise<T> {
    if (this.#isStuck) throw new BgpError(STUCK);
    this.#late = null;
    const call = this.#inTurn(async () => ({ result: await body() }));
    const first = await within(ms, call);
    if (first !== null) return first.result;
    this.#isStuck = true;
    this.#announced = null;
    const end = (): void => {
      this.#isStuck = false;
      this.onBack();
    };
    call.then(({ result }) => onLate(result)).then(end, end);
    throw new BgpError(STUCK);
  }
}

/** The result of a call; null: it takes longer than this. */
async function within<T>(ms: number, call: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), ms);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

/** Enters a list into what is known, except for the prefixes that changed `meanwhile`. */
function adjust(
  known: Map<string, FabricRoute>,
  listed: ReadonlyMap<string, FabricRoute>,
  meanwhile: ReadonlySet<string>,
): void {
  for (const prefix of known.keys()) if (!listed.has(prefix) && !meanwhile.has(prefix)) known.delete(prefix);
  for (const [prefix, route] of listed) if (!meanwhile.has(prefix)) known.set(prefix, route);
}

/** Whether an announcement is the one that is meant; the originator is the daemon's. */
function isSame(known: FabricRoute | undefined, route: FabricRoute): boolean {
  if (known === undefined || known === route) return known === route;
  return known.nextHop === route.nextHop && known.labels.join() === route.labels.join();
}
