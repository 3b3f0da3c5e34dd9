/**
 * The routes received through a routing daemon. They stay while the daemon is away, and routes that did not
 * return are reported as gone only when the new table is complete. A repeated announcement is not a change,
 * and a local one is not a received route.
 */

import { BgpError, type Daemon, type DaemonPath, type DaemonPeer } from "./routing-daemon.ts";
import type { FabricRoute, RouteChange, RouteSource } from "./types.ts";

export interface SourceOptions {
  /**
   * How long a table may stay incomplete, with known routes kept, because the daemon has no session or one
   * without an End-of-RIB, in milliseconds: the deferral timer of RFC 4724.
   */
  readonly deferMs?: number;
  /** Interval at which the peers are requested, as a check that the daemon answers, in ms. */
  readonly heartbeatMs?: number;
}

const DEFER_MS = 120_000;
const HEARTBEAT_MS = 5000;
const RETRY_MS = [20, 50, 100, 200, 500, 1000];
const ASK_AGAIN_MS = 100;
/** A starting daemon has no peers until it has read its configuration. */
const NO_PEERS_MS = 2000;
/** The table of a peer that sends no End-of-RIB is complete after this time without a change. */
const QUIET_MS = 1000;

type OnChanges = (changes: readonly RouteChange[], isComplete: boolean) => void;

/** Whether two routes lead to the same forwarding. */
export function isSameRoute(one: FabricRoute, other: FabricRoute): boolean {
  return (
    one.prefix === other.prefix &&
    one.nextHop === other.nextHop &&
    one.originator === other.originator &&
    one.labels.length === other.labels.length &&
    one.labels.every((label, index) => label === other.labels[index])
  );
}

/** A RouteSource over a Daemon, which it does not close. */
export class BgpRoutes implements RouteSource {
  readonly #daemon: Daemon;
  readonly #deferMs: number;
  readonly #heartbeatMs: number;
  /** Best path of each prefix, as last reported. */
  readonly #known = new Map<string, FabricRoute>();
  #onChanges: OnChanges = () => undefined;
  #onLost: (error: Error) => void = () => undefined;
  #stopWatch: () => void = () => undefined;
  /** Changes not yet reported, by prefix; the last one counts. */
  #pending = new Map<string, RouteChange>();
  /** Withdrawn prefixes, until it is certain that the daemon is not just ending. */
  readonly #doubtful = new Map<string, number>();
  /** Counts withdrawals, to tell those before a request from later ones. */
  #withdrawalCount = 0;
  #hasPeers = false;
  #isAsking = false;
  /** False while the daemon's table may be incomplete: a missing route may arrive later. */
  #isWhole = false;
  #isCompleting = false;
  #flushing: NodeJS.Immediate | null = null;
  #timers = new Set<NodeJS.Timeout>();
  #attempt = 0;
  /** Counts connections, to recognize answers that belong to an earlier one. */
  #round = 0;
  #isClosed = false;
  /** A loss is reported once, however many attempts to reconnect fail. */
  #isLost = false;
  #isWatching = false;

  constructor(daemon: Daemon, { deferMs = DEFER_MS, heartbeatMs = HEARTBEAT_MS }: SourceOptions = {}) {
    this.#daemon = daemon;
    this.#deferMs = deferMs;
    this.#heartbeatMs = heartbeatMs;
  }

  /** The table as last reported. */
  get routes(): ReadonlyMap<string, FabricRoute> {
    return this.#known;
  }

  /**
   * Reports changes in batches, a single change at once. The batch that completes the table has a `gone`
   * change for each known route that did not return. May be called once.
   */
  watch(onChanges: OnChanges, onLost: (error: Error) => void): void {
    if (this.#isWatching) throw new Error("BgpRoutes.watch is called once");
    this.#isWatching = true;
    this.#onChanges = onChanges;
    this.#onLost = onLost;
    void this.#connect();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#round++;
    this.#stopWatch();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#flushing !== null) clearImmediate(this.#flushing);
  }

  async #connect(): Promise<void> {
    const round = ++this.#round;
    const isCurrent = (): boolean => round === this.#round && !this.#isClosed;
    try {
      const settled = new Settled(this.#deferMs);
      const peers = await this.#daemon.peers();
      if (!isCurrent()) return;
      const isSettled = settled.accepts(peers);
      if (peers.length > 0) this.#hasPeers = true;
      this.#watchFrom(round, isSettled);
      this.#beat(round);
      if (isSettled) return;
      for (let isSoNow = false; !isSoNow; ) {
        await this.#sleep(ASK_AGAIN_MS);
        if (!isCurrent()) return;
        const now = await this.#daemon.peers();
        if (!isCurrent()) return;
        if (now.length > 0) this.#hasPeers = true;
        isSoNow = settled.accepts(now);
      }
      // Paths before the End-of-RIB may still be in transit to this process; a new table has them all.
      this.#stopWatch();
      this.#watchFrom(round, true);
    } catch (error) {
      if (isCurrent()) this.#lost(error as Error);
    }
  }

  /** Begins a watch; its first answer is the whole table, which replaces the known one if `isWhole`. */
  #watchFrom(round: number, isWhole: boolean): void {
    let isFirst = true;
    this.#isWhole = isWhole;
    this.#doubtful.clear();
    this.#stopWatch = this.#daemon.watch(
      paths => {
        if (round !== this.#round) return;
        this.#attempt = 0;
        this.#isLost = false;
        if (isFirst && isWhole) this.#replace(paths);
        else this.#apply(paths, round);
        isFirst = false;
      },
      error => {
        if (round === this.#round) this.#lost(error);
      },
    );
  }

  #lost(error: Error): void {
    this.#round++;
    this.#doubtful.clear();
    this.#stopWatch();
    if (!this.#isLost) this.#onLost(error);
    this.#isLost = true;
    if (this.#isClosed) return;
    const wait = RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)]!;
    void this.#sleep(wait).then(() => (this.#isClosed ? undefined : this.#connect()));
  }

  /** A hanging daemon keeps its connection; it counts as lost if it does not answer. */
  async #beat(round: number): Promise<void> {
    const isCurrent = (): boolean => round === this.#round && !this.#isClosed;
    try {
      while (isCurrent()) {
        await this.#sleep(this.#heartbeatMs);
        if (isCurrent()) await this.#daemon.peers();
      }
    } catch (error) {
      if (isCurrent()) this.#lost(error as Error);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  #apply(paths: readonly DaemonPath[], round: number): void {
    for (const { route, isLocal, isWithdrawn } of paths) {
      this.#doubtful.delete(route.prefix);
      if (isWithdrawn) {
        if (!this.#isWhole) continue;
        this.#pending.delete(route.prefix);
        if (this.#known.has(route.prefix)) this.#doubtful.set(route.prefix, ++this.#withdrawalCount);
      } else if (isLocal) {
        // If the best path is local, forwarding uses no other one.
        this.#change({ type: "gone", prefix: route.prefix });
      } else this.#change({ type: "best", route });
    }
    if (this.#doubtful.size > 0 && !this.#isAsking) void this.#confirm(round);
  }

  /**
   * A daemon withdraws all received routes before it stops, or after too long without a session; the VMs
   * still exist then. A withdrawal counts if a session is up after it.
   */
  async #confirm(round: number): Promise<void> {
    this.#isAsking = true;
    try {
      while (this.#doubtful.size > 0 && round === this.#round) {
        const asked = this.#withdrawalCount;
        const peers = await this.#daemon.peers();
        if (round !== this.#round) break;
        if (this.#hasPeers && !peers.some(({ isUp }) => isUp)) throw new BgpError("no session is up");
        for (const [prefix, count] of this.#doubtful) {
          if (count > asked) continue;
          this.#doubtful.delete(prefix);
          this.#change({ type: "gone", prefix });
        }
      }
    } catch (error) {
      if (round === this.#round) this.#lost(error as Error);
    }
    this.#isAsking = false;
    if (this.#doubtful.size > 0) void this.#confirm(this.#round);
  }

  #replace(paths: readonly DaemonPath[]): void {
    const left = new Set([...this.#known.keys(), ...this.#pending.keys()]);
    for (const { route } of paths) left.delete(route.prefix);
    for (const prefix of left) this.#change({ type: "gone", prefix });
    this.#apply(paths, this.#round);
    this.#isCompleting = true;
    this.#flushSoon();
  }

  #change(change: RouteChange): void {
    this.#pending.set(change.type === "best" ? change.route.prefix : change.prefix, change);
    this.#flushSoon();
  }

  /** Reports the collected changes when the socket's buffer has been read, without a timer. */
  #flushSoon(): void {
    this.#flushing ??= setImmediate(() => {
      this.#flushing = null;
      this.#flush();
    });
  }

  #flush(): void {
    const changes: RouteChange[] = [];
    for (const [prefix, change] of this.#pending) {
      const before = this.#known.get(prefix);
      if (change.type === "gone") {
        if (this.#known.delete(prefix)) changes.push(change);
      } else if (before === undefined || !isSameRoute(before, change.route)) {
        this.#known.set(prefix, change.route);
        changes.push(change);
      }
    }
    this.#pending.clear();
    const isComplete = this.#isCompleting;
    this.#isCompleting = false;
    if (changes.length > 0 || isComplete) this.#onChanges(changes, isComplete);
  }
}

/**
 * Decides whether the daemon's table is complete: there is a session, and each one that is up has sent its
 * End-of-RIB, or no changes for some time. All reflectors have the same routes, so it waits for one only.
 */
class Settled {
  readonly #end: number;
  /** Since when there is no peer. */
  #start = performance.now();
  /** Per peer: its number of paths, and since when that number is unchanged. */
  readonly #quiet = new Map<string, { count: number; since: number }>();

  constructor(deferMs: number) {
    this.#end = this.#start + deferMs;
  }

  accepts(peers: readonly DaemonPeer[]): boolean {
    const now = performance.now();
    const up = peers.filter(({ isUp }) => isUp);
    const isEnded = up.map(peer => peer.hasEnded || (!peer.willEnd && this.#isQuiet(peer, now)));
    if (now >= this.#end) return true;
    if (peers.length === 0) return now - this.#start >= NO_PEERS_MS;
    this.#start = now;
    return up.length > 0 && isEnded.every(Boolean);
  }

  #isQuiet({ address, receivedCount }: DaemonPeer, now: number): boolean {
    const before = this.#quiet.get(address);
    if (before === undefined || before.count !== receivedCount) {
      this.#quiet.set(address, { count: receivedCount, since: now });
      return false;
    }
    return now - before.since >= QUIET_MS;
  }
}
