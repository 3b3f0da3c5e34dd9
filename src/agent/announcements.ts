/**
 * Decides which /32s are announced or withdrawn next, writes their audit lines, and remembers which withdrawn
 * addresses linger. ../bgp/announcer.ts has what is announced. Prefixes that are not /32s belong to another
 * party.
 */
import type { BgpAnnouncer, FabricRoute } from "../bgp/index.ts";
import type { Audit } from "./audit.ts";
import { addressOf, type Rib } from "./rib.ts";

/** Time until every other hypervisor has received a withdrawal and removed its flow, in milliseconds. */
const LINGER_MS = 1000;

export interface AnnouncementOptions {
  /** Null: nothing is announced. */
  readonly announcer: BgpAnnouncer | null;
  readonly audit: Audit;
  readonly clock: () => number;
  /** How long others may still send to an address that was withdrawn, in milliseconds: 1000. */
  readonly lingerMs?: number | undefined;
}

/** A path of another router to an address that is a local VM's. */
export interface DoubleOwner {
  readonly prefix: string;
  readonly vm: number;
  readonly nextHop: string;
  readonly originator: string | null;
}

/** Announcements by prefix, each with the VM that it is for. */
export type DesiredAnnouncements = ReadonlyMap<string, { readonly route: FabricRoute; readonly vm: number }>;

export class Announcements {
  readonly #options: AnnouncementOptions;
  /** Withdrawn addresses, each with the time (by the clock) until which other hosts may still send to it. */
  readonly #lingering = new Map<string, number>();

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** Whether anything is ever announced. */
  get isOn(): boolean {
    return this.#options.announcer !== null;
  }

  /** The announcements by prefix; null: unknown, or never any. */
  get known(): ReadonlyMap<string, FabricRoute> | null {
    return this.#options.announcer?.announced ?? null;
  }

  /** Reads them from the daemon. Returns the problem, or null. */
  async read(): Promise<string | null> {
    return this.#tried("announcements", async () => void (await this.#options.announcer?.ours()));
  }

  /** Addresses that are announced and not desired. */
  stale(desired: DesiredAnnouncements): string[] {
    const prefixes = [...(this.known?.keys() ?? [])];
    return prefixes.filter(prefix => prefix.endsWith("/32") && !desired.has(prefix));
  }

  /** Desired announcements that are not made, of VMs that are installed. */
  missing(desired: DesiredAnnouncements, isInstalled: (vm: number) => boolean): FabricRoute[] {
    const missing: FabricRoute[] = [];
    const installed = new Map<number, boolean>();
    for (const { route, vm } of desired.values()) {
      if (this.has(route)) continue;
      if (!installed.has(vm)) installed.set(vm, isInstalled(vm));
      if (installed.get(vm)) missing.push(route);
    }
    return missing;
  }

  /** Desired prefixes that another router announces, too: as best path, or beside ours. */
  doubleOwners(desired: DesiredAnnouncements, rib: Rib): DoubleOwner[] {
    const others = new Map(this.#options.announcer?.contested.map(route => [route.prefix, route]));
    return [...desired].flatMap(([prefix, { vm }]) => {
      const route = rib.routeTo(prefix) ?? others.get(prefix);
      if (route === undefined) return [];
      return { prefix, vm, nextHop: route.nextHop, originator: route.originator };
    });
  }

  /** Whether exactly this is announced. */
  has(route: FabricRoute): boolean {
    return this.#options.announcer?.has(route) === true;
  }

  /** Withdraws. Returns the problem, or null. */
  async withdraw(prefixes: readonly string[]): Promise<string | null> {
    const { announcer, audit, clock, lingerMs = LINGER_MS } = this.#options;
    audit.routes("withdraw", prefixes);
    const problem = await this.#tried("withdrawals", () => announcer!.withdraw(prefixes));
    const until = clock() + lingerMs;
    if (problem === null) for (const prefix of prefixes) this.#lingering.set(addressOf(prefix), until);
    return problem;
  }

  /** Announces. Returns the problem, or null. */
  async announce(routes: readonly FabricRoute[]): Promise<string | null> {
    const prefixes = routes.map(({ prefix }) => prefix);
    this.#options.audit.routes("announce", prefixes);
    return this.#tried("announcements", () => this.#options.announcer!.announce(routes));
  }

  /** Whether others may still send to an address that was withdrawn. */
  lingers(address: string): boolean {
    return (this.#lingering.get(address) ?? 0) > this.#options.clock();
  }

  /** When the last withdrawn address stops to linger, in milliseconds since 1970; null: none lingers. */
  get lingersUntil(): number | null {
    const now = this.#options.clock();
    for (const [address, until] of this.#lingering) if (until <= now) this.#lingering.delete(address);
    return this.#lingering.size === 0 ? null : Math.max(...this.#lingering.values());
  }

  async #tried(what: string, call: () => Promise<void>): Promise<string | null> {
    try {
      await call();
      return null;
    } catch (error) {
      return `${what}: ${(error as Error).message}`;
    }
  }
}
