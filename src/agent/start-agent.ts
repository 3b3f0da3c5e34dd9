/**
 * Creates an agent and its parts from settings. Without peers it reconciles the switch with files and intent,
 * and announces nothing.
 */

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { BgpAnnouncer, RouteSource } from "../bgp/index.ts";
import { StateError, type UnixServer } from "../host/index.ts";
import type { Intent } from "../intent/index.ts";
import { type Ignored, NO_PORT_KINDS } from "../verify/index.ts";
import { Agent } from "./agent.ts";
import { Audit } from "./audit.ts";
import { startServer, takeOver } from "./http-api.ts";
import { LiveBridge } from "./live-bridge.ts";
import type { Log } from "./log.ts";
import { type AttachedBridge, bridgeAddress, OfctlBridge } from "./ofctl-bridge.ts";
import { portKindsOf } from "./port-types.ts";
import { Prover, type ProverOptions, planCheck } from "./proof-client.ts";
import { Quarantine } from "./quarantine.ts";
import { Reconciler } from "./reconciler.ts";
import type { NextHopResolver } from "./rib.ts";
import { VmDirectory } from "./vm-directory.ts";

/** The fabric's side. */
export interface Peers {
  readonly announcer: BgpAnnouncer;
  readonly routes: RouteSource;
  readonly resolver: NextHopResolver;
  /** Calls back when `resolver` would give another answer than before. */
  onResolved(callback: () => void): void;
  /** This hypervisor's address on the fabric, the next hop of what is announced. */
  readonly ownNextHop: string;
  /** Whether announcements carry this hypervisor's label. */
  readonly isLabelled: boolean;
  /** Ends what is open; the agent has ended. */
  close(): void;
}

export interface AgentSettings {
  readonly base: Intent;
  /** The database's socket, beside which the bridge's lies; undefined: where ovs-ofctl looks. */
  readonly database?: string | undefined;
  /** The control socket of live ports, in place of a bridge. */
  readonly live?: string | undefined;
  /** The watched directory of VM files. */
  readonly vms: string;
  /** Where quarantine and audit are kept. */
  readonly state: string;
  /** Creates these two if they are missing; otherwise that is an error: their names may be mistyped. */
  readonly mayCreateFolders?: boolean;
  /** The unix socket that answers. */
  readonly socket: string;
  readonly peers: Peers | null;
  readonly everySeconds: number;
  readonly quarantineSeconds: number;
  readonly drift: "repair" | "report";
  /** Whether VMs may lose their files all at once. */
  readonly mayBeEmpty?: boolean;
  /** Writes plans that their check refuses, too. */
  readonly isForced: boolean;
  readonly isProved: boolean;
  readonly ignoredCookies: readonly bigint[];
  /** Parts of an outcome that proofs do not compare: none by default. */
  readonly ignored?: ReadonlySet<Ignored>;
  readonly isTakingOver: boolean;
  readonly log: Log;
  /** Called when the agent answers, before its first reconciliation: from now on it can be stopped. */
  readonly onBegun?: (running: Running) => void;
  /** Tests only: moments of the proof. */
  readonly quietMs?: number;
}

export interface Running {
  readonly agent: Agent;
  /** Resolves when another agent has requested the handover. */
  readonly handover: Promise<void>;
  /** Opens the audit file anew. */
  reopen(): void;
  /** Ends; flows and announcements stay. */
  stop(): Promise<void>;
}

const PLAN_SECONDS = 20;
const STOP_MS = 5000;
/** How often the socket is checked. */
const KEEP_MS = 2000;

/**
 * Starts an agent. Throws SocketError if another process has its socket, StateError if its folders are
 * missing or damaged. Failures of the switch are retried, not thrown.
 */
export async function startAgent(settings: AgentSettings): Promise<Running> {
  try {
    return await start(settings);
  } catch (error) {
    // Open connections would keep the process alive.
    settings.peers?.close();
    throw error;
  }
}

/** Checks a folder, and creates it if permitted. Throws StateError. */
function checkFolder(option: string, path: string, mayCreate: boolean): void {
  try {
    if (mayCreate) mkdirSync(path, { recursive: true, mode: 0o700 });
    if (statSync(path).isDirectory()) return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new StateError(
        `${option} ${path}: this folder does not exist; create it, or add --create-folders`,
      );
    if (code !== "EEXIST") throw new StateError(`${option} ${path}: ${(error as Error).message}`);
  }
  throw new StateError(`${option} ${path}: is not a folder`);
}

async function start(settings: AgentSettings): Promise<Running> {
  const { log, peers } = settings;
  const mayCreate = settings.mayCreateFolders === true;
  checkFolder("--vms", settings.vms, mayCreate);
  checkFolder("--state", settings.state, mayCreate);
  if (settings.isTakingOver && (await takeOver(settings.socket)))
    log("info", "the previous agent has handed over");
  const { agent, audit, bridge } = partsOf(settings);
  let onHandover: () => void = () => undefined;
  const handover = new Promise<void>(resolve => {
    onHandover = resolve;
  });
  // The socket first: its owner is the only agent of this bridge.
  const server = await startServer(agent, settings.socket, onHandover);
  // Before anything is resolved: a MAC that is found later starts a reconciliation.
  if (peers !== null) {
    peers.onResolved(() => agent.nudge());
    peers.announcer.onBack = () => agent.nudge();
  }
  const detach = bridge.attach(isThere => {
    log("warn", isThere ? "the switch is back" : "lost the switch");
    agent.switchChanged();
  });
  const keeper = keepSocket(server, log, onHandover);
  const running: Running = {
    agent,
    handover,
    reopen: () => audit.reopen(),
    async stop() {
      // Do not wait for a hanging switch: a bundle is atomic, and the next agent reads the table.
      const late = setTimeout(detach, STOP_MS);
      await agent.stop();
      clearTimeout(late);
      detach();
      clearInterval(keeper);
      await server.close();
      peers?.close();
      audit.close();
    },
  };
  settings.onBegun?.(running);
  await agent.start();
  return running;
}

/** Creates a removed socket again; if another agent has created it, that one has taken over. */
function keepSocket(server: UnixServer, log: Log, onTaken: () => void): NodeJS.Timeout {
  let said = "";
  const keep = async (): Promise<void> => {
    try {
      if (await server.keep()) said = "";
      else {
        log("error", "another agent uses the socket now; this agent stops");
        onTaken();
      }
    } catch (error) {
      const { message } = error as Error;
      if (message !== said)
        log("error", "the socket was removed and cannot be created again", { error: message });
      said = message;
    }
  };
  return setInterval(() => void keep(), KEEP_MS).unref();
}

/** Live ports are not tunnels; the switch reports the kinds of a bridge's ports. */
function proverOptions({ base, live, database, ignored = new Set() }: AgentSettings): ProverOptions {
  const portKinds =
    live === undefined
      ? () => portKindsOf(base.bridge, database, base.uplink.ofport)
      : async () => ({ ...NO_PORT_KINDS, isComplete: true });
  return { ignored, portKinds };
}

function partsOf(settings: AgentSettings): {
  readonly agent: Agent;
  readonly audit: Audit;
  readonly bridge: AttachedBridge;
} {
  const { base, log, peers, state, ignoredCookies } = settings;
  const audit = new Audit(join(state, "audit.jsonl"));
  const directory = new VmDirectory(settings.vms);
  const bridge =
    settings.live === undefined
      ? new OfctlBridge(bridgeAddress(base.bridge, settings.database), state)
      : new LiveBridge(settings.live, base);
  const quarantine = new Quarantine(join(state, "quarantine.json"), settings.quarantineSeconds * 1000);
  const prover = settings.isProved ? new Prover(proverOptions(settings)) : null;
  const isChecked = prover !== null && !settings.isForced;
  const reconciler = new Reconciler({
    base,
    bridge,
    directory,
    announcer: peers?.announcer ?? null,
    ownNextHop: peers?.ownNextHop ?? null,
    isLabelled: peers?.isLabelled ?? true,
    hasRoutes: peers !== null,
    resolver: peers?.resolver ?? (() => null),
    quarantine,
    audit,
    log,
    drift: settings.drift,
    mayBeEmpty: settings.mayBeEmpty === true,
    check: isChecked ? planCheck(prover, ignoredCookies, PLAN_SECONDS) : null,
  });
  const agent = new Agent({
    reconciler,
    bridge,
    directory,
    quarantine,
    routes: peers?.routes ?? null,
    prover,
    log,
    ignoredCookies,
    everySeconds: settings.everySeconds,
    ...(settings.quietMs === undefined ? {} : { quietMs: settings.quietMs, gapMs: settings.quietMs }),
  });
  return { agent, audit, bridge };
}
