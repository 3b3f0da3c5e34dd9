/**
 * What the tests of the agent stand on: a private switch or one of their own making, an announcer and a source of routes
 * that remember what they were told, and a folder that goes away.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AgentSettings,
  Audit,
  type Bridge,
  type FabricRoute,
  type Peers,
  Quarantine,
  Reconciler,
  type ReconcilerOptions,
  type RouteChange,
  type RouteSource,
  VmDirectory,
} from "../../src/agent/index.ts";
import { type AnnouncingDaemon, BgpAnnouncer, type DaemonPath } from "../../src/bgp/index.ts";
import { type Intent, parseIntent, type Vm } from "../../src/intent/index.ts";
import { formatIpv4, formatMac, ipv4FromBits, macFromBits, parseMac } from "../../src/wire/index.ts";

export const BASE = parseIntent(
  `name: hv1
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }
routes:
  - { prefix: 0.0.0.0/0, labels: [3003], via: 02:00:00:00:00:fe }
`,
  "base.yaml",
  ".",
).intent!;

export const OWN_NEXT_HOP = "10.0.0.1";

/** VM `n` of the tests, 1…200. */
export function vmOf(n: number, path: Vm["path"] = "l3", addresses = [`203.0.113.${n}`]): Vm {
  const numbers = addresses.map(text => text.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0));
  return {
    id: 100 + n,
    name: `vm-${n}`,
    port: `tap${100 + n}`,
    ofport: 10 + n,
    mac: macFromBits(parseMac("52:54:00:00:00:00")! + n),
    addresses: numbers.map(ipv4FromBits),
    path,
    mtu: null,
  };
}

/** A VM as a file has it, written by other hands than the agent's. */
export function textOf(vm: Vm): string {
  const addresses = vm.addresses.map(formatIpv4).join(", ");
  return (
    `id: ${vm.id}\nname: ${vm.name}\nport: ${vm.port}\nofport: ${vm.ofport}\nmac: ${formatMac(vm.mac)}\n` +
    `addresses: [${addresses}]\npath: ${vm.path}\n`
  );
}

/** mulberry32. */
export function randomOf(state: number): (below: number) => number {
  let word = state;
  return below => {
    word = (word + 0x6d2b79f5) | 0;
    let t = Math.imul(word ^ (word >>> 15), word | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Rows of a dump, or flows as the compiler writes them, each as one text that does not depend on who wrote it. */
export const rowNames = (lines: readonly string[]): string[] =>
  lines.map(line => {
    const [, cookie, table] = /cookie=(0x[0-9a-f]+),.*?table=(\d+),/.exec(line)!;
    const [head = "", actions = ""] = line.split(" actions=");
    const match = /priority=(.*)$/.exec(head)![1]!.split(",").sort().join();
    return `${cookie} ${table} ${match} ${actions.replace("IN_PORT", "in_port")}`;
  });

export class Workplace {
  readonly path = mkdtempSync(join(tmpdir(), "slash32-agent-"));
  readonly vms = join(this.path, "vms");
  #count = 0;

  constructor() {
    mkdirSync(this.vms);
  }

  /** Drops a VM file in, as a caller would: written elsewhere, renamed into place. */
  drop(vm: Vm, name = `${vm.id}.yaml`): void {
    this.dropText(name, textOf(vm));
  }

  dropText(name: string, text: string): void {
    const beside = join(this.path, `new-${this.#count++}`);
    writeFileSync(beside, text);
    renameSync(beside, join(this.vms, name));
  }

  take(name: string | number): void {
    rmSync(join(this.vms, typeof name === "number" ? `${name}.yaml` : name));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A daemon to announce at, which keeps what it is told, and the order of everything. */
export class FakeAnnouncer implements AnnouncingDaemon {
  readonly lossCount = 0;
  readonly routes = new Map<string, FabricRoute>();
  readonly history: string[] = [];
  contested: readonly FabricRoute[] = [];
  error: Error | null = null;

  onBack(): void {}

  async announce(routes: readonly FabricRoute[]): Promise<void> {
    if (this.error !== null) throw this.error;
    for (const route of routes) {
      this.routes.set(route.prefix, route);
      this.history.push(`announce ${route.prefix}`);
    }
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    if (this.error !== null) throw this.error;
    for (const prefix of prefixes) {
      this.routes.delete(prefix);
      this.history.push(`withdraw ${prefix}`);
    }
  }

  async ours(): Promise<readonly FabricRoute[]> {
    if (this.error !== null) throw this.error;
    return [...this.routes.values()];
  }

  async list(): Promise<readonly DaemonPath[]> {
    const pathOf = (route: FabricRoute, isLocal: boolean): DaemonPath => ({
      route,
      isLocal,
      isWithdrawn: false,
      isBest: isLocal,
    });
    const ours = await this.ours();
    return [...ours.map(route => pathOf(route, true)), ...this.contested.map(route => pathOf(route, false))];
  }
}

export class FakeRoutes implements RouteSource {
  #onChanges: ((changes: readonly RouteChange[], isComplete: boolean) => void) | null = null;
  #onLost: ((error: Error) => void) | null = null;

  watch(
    onChanges: (changes: readonly RouteChange[], isComplete: boolean) => void,
    onLost: (error: Error) => void,
  ): void {
    this.#onChanges = onChanges;
    this.#onLost = onLost;
  }

  readonly #known = new Set<string>();
  /** What has not come back since a loss. */
  readonly #missing = new Set<string>();

  tell(changes: readonly RouteChange[], isComplete = false): void {
    const told = [...changes];
    for (const change of changes) {
      const prefix = change.type === "best" ? change.route.prefix : change.prefix;
      this.#missing.delete(prefix);
      if (change.type === "best") this.#known.add(prefix);
      else this.#known.delete(prefix);
    }
    if (isComplete) {
      for (const prefix of this.#missing) told.push({ type: "gone", prefix });
      this.#missing.clear();
    }
    this.#onChanges!(told, isComplete);
  }

  lose(): void {
    for (const prefix of this.#known) this.#missing.add(prefix);
    this.#onLost!(new Error("the daemon is gone"));
  }

  async close(): Promise<void> {}
}

export function best(prefix: string, label: number, nextHop = "10.0.0.9"): RouteChange {
  return { type: "best", route: { prefix, labels: [label], nextHop, originator: null } };
}

/** MACs of next hops 10.0.0.N. */
export const resolver = (nextHop: string): number | null => {
  const found = /^10\.0\.0\.(\d+)$/.exec(nextHop);
  return found === null ? null : parseMac("02:00:00:00:01:00")! + Number(found[1]);
};

/** Settings of an agent that works at a place, without proofs, and looks when it is asked to. */
export function settingsAt(place: Workplace, base: Intent): Omit<AgentSettings, "peers" | "log"> {
  return {
    base,
    vms: place.vms,
    state: join(place.path, "state"),
    mayCreateFolders: true,
    socket: join(place.path, "agent.sock"),
    everySeconds: 3600,
    quarantineSeconds: 60,
    drift: "repair",
    isForced: false,
    isProved: false,
    ignoredCookies: [],
    isTakingOver: false,
  };
}

/** All that a bridge gives, in one piece. */
export async function all<T>(pieces: AsyncIterable<readonly T[]>): Promise<T[]> {
  const whole: T[] = [];
  for await (const piece of pieces) whole.push(...piece);
  return whole;
}

/** Peers of an agent that remember. */
export function peersOf(daemon: AnnouncingDaemon, routes: RouteSource): Peers {
  return {
    announcer: new BgpAnnouncer(daemon),
    routes,
    resolver,
    onResolved: () => undefined,
    ownNextHop: OWN_NEXT_HOP,
    isLabelled: true,
    close: () => undefined,
  };
}

/** A reconciler over a workplace, with what is not given made up. */
export function reconcilerOf(
  place: Workplace,
  bridge: Bridge,
  daemon: AnnouncingDaemon | null,
  more: Partial<ReconcilerOptions> = {},
): Reconciler {
  return new Reconciler({
    base: BASE,
    bridge,
    directory: new VmDirectory(place.vms),
    announcer: daemon === null ? null : new BgpAnnouncer(daemon),
    ownNextHop: daemon === null ? null : OWN_NEXT_HOP,
    hasRoutes: false,
    resolver,
    quarantine: new Quarantine(join(place.path, "quarantine.json"), 60_000),
    audit: new Audit(null),
    log: () => undefined,
    drift: "repair",
    check: null,
    lingerMs: 0,
    ...more,
  });
}
