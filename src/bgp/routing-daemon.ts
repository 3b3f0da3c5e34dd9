/**
 * The interface of a routing daemon: paths in and out, the state of its sessions. The messages of a daemon's
 * own API stay in one file (`gobgp3.ts`). `received-routes.ts` and `announcer.ts` reconnect and remember.
 */
import { UserError } from "../errors/index.ts";
import type { FabricRoute } from "./types.ts";

/** AFI 1 with SAFI 4 (RFC 8277, a label stack with each prefix), or with SAFI 1. */
export type RouteFamily = "labelled" | "unicast";

/** One path of a prefix in the daemon's table. */
export interface DaemonPath {
  readonly route: FabricRoute;
  /** Put there over the daemon's API, by us, and not learnt from a peer. */
  readonly isLocal: boolean;
  /** The prefix has no best path any more; labels and next hop are undefined then. */
  readonly isWithdrawn: boolean;
  readonly isBest: boolean;
}

/** A session with a configured peer. */
export interface DaemonPeer {
  readonly address: string;
  readonly isUp: boolean;
  /** Whether both sides have our family; without it, nothing of ours gets there. */
  readonly hasFamily: boolean;
  /** Whether its End-of-RIB of our family has come since the session is up (RFC 4724). */
  readonly hasEnded: boolean;
  /** Whether it has graceful restart for our family, and so is certain to send one. */
  readonly willEnd: boolean;
  /** Paths of our family that it has sent. */
  readonly receivedCount: number;
}

/** A routing daemon. Calls fail with a BgpError if it does not answer in time. */
export interface Daemon {
  /** How often its connection was lost: after a loss it may have restarted empty. */
  readonly lossCount: number;
  /** Calls back when the connection is back after a loss; the daemon may not accept all calls yet. */
  onBack(callback: () => void): void;
  /**
   * Best paths as they change, the whole table first, however empty. `onEnd` is called once if the daemon
   * ends the stream, and not after the returned function has ended it.
   */
  watch(onPaths: (paths: readonly DaemonPath[]) => void, onEnd: (error: Error) => void): () => void;
  /** Resolves when the daemon has taken all; a path replaces the one before (implicit withdrawal). */
  announce(routes: readonly FabricRoute[]): Promise<void>;
  /** Resolves when the daemon has taken all of them; a prefix that is not announced is no error. */
  withdraw(prefixes: readonly string[]): Promise<void>;
  /** Its local announcements in one piece; a list of all paths comes path by path. */
  ours(): Promise<readonly FabricRoute[]>;
  /** All paths of all prefixes, ours and others', best or not. */
  list(): Promise<readonly DaemonPath[]>;
  peers(): Promise<readonly DaemonPeer[]>;
  close(): void;
}

/** A problem with the routing daemon that the user can fix, in one line. */
export class BgpError extends UserError {
  override readonly name = "BgpError";
}
