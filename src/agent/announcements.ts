/**
 * The observed announcements of the local VMs' /32s, and changes to them. They are read from the routing
 * daemon at first use and after any failure. Prefixes other than /32s belong to another party: ignored.
 * The reconciler decides which addresses are announced, and when.
 */
import type { Announced, Announcer, FabricRoute } from "../bgp/index.ts";
import type { Audit } from "./audit.ts";
import { addressOf, type Rib } from "./rib.ts";

/** Time until every other hypervisor has received a withdrawal and removed its flow, in milliseconds. */
const LINGER_MS = 1000;

export interface AnnouncementOptions {
  /** Null: nothing is announced. */
  readonly announcer: Announcer | null;
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
  #known: Map<string, FabricRoute> | null = null;
  #contested: readonly FabricRoute[] = [];
  /** Withdrawn addresses, each with the time (by the clock) until which other hosts may still send to it. */
  readonly #lingering = new Map<string, number>();

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** Whether anything is ever announced. */
  get isOn(): boolean {
    return this.#options.announcer !== null;
  }

  /** What is announced, by prefix; null: the daemon has to be asked. */
  get known(): ReadonlyMap<string, FabricRoute> | null {
    return this.#known;
  }

  /** What is known holds no more. */
  forget(): void {
    this.#known = null;
  }

  /** Asks the daemon. Gives what went wrong, or null. */
  async list(): Promise<string | null> {
    const { announcer } = this.#options;
    if (announcer === null) return null;
    try {
      this.takeIn({ ours: await announcer.ours(), contested: this.#contested }, new Set());
      return null;
    } catch (error) {
      return this.#failed("announcements", error);
    }
  }

  /**
   * Takes what the daemon said; of the prefixes that were `written` since it was asked, what is known holds.
   */
  takeIn({ ours, contested }: Announced, written: ReadonlySet<string>): void {
    const next = new Map(ours.map(route => [route.prefix, route]));
    if (this.#known !== null)
      for (const prefix of written) {
        const known = this.#known.get(prefix);
        if (known === undefined) next.delete(prefix);
        else next.set(prefix, known);
      }
    this.#known = next;
    this.#contested = contested;
  }

  /** Addresses that are announced and not among these. */
  stale(wanted: ReadonlyMap<string, unknown>): string[] {
    const stale: string[] = [];
    for (const prefix of this.#known?.keys() ?? [])
      if (prefix.endsWith("/32") && !wanted.has(prefix)) stale.push(prefix);
    return stale;
  }

  /** Desired announcements that are not made, of VMs that are installed. */
  missing(desired: DesiredAnnouncements, isInstalled: (vm: number) => boolean): FabricRoute[] {
    const missing: FabricRoute[] = [];
    const known = new Map<number, boolean>();
    for (const { route, vm } of desired.values()) {
      if (this.has(route)) continue;
      if (!known.has(vm)) known.set(vm, isInstalled(vm));
      if (known.get(vm)) missing.push(route);
    }
    return missing;
  }

  /**
   * Desired prefixes that another router announces too: before they are announced here its path is the best
   * one.
   */
  doubleOwners(desired: DesiredAnnouncements, rib: Rib): DoubleOwner[] {
    const found: DoubleOwner[] = [];
    const others = new Map(this.#contested.map(route => [route.prefix, route]));
    for (const [prefix, { vm }] of desired) {
      const route = rib.routeTo(prefix) ?? others.get(prefix);
      if (route === undefined) continue;
      found.push({ prefix, vm, nextHop: route.nextHop, originator: route.originator });
    }
    return found;
  }

  /** Whether exactly this is announced. */
  has(route: FabricRoute): boolean {
    const known = this.#known?.get(route.prefix);
    if (known === undefined || known === route) return known === route;
    return known.nextHop === route.nextHop && isSame(known.labels, route.labels);
  }

  /** Withdraws. Gives what went wrong, or null. */
  async withdraw(prefixes: readonly string[]): Promise<string | null> {
    const { announcer, audit, clock, lingerMs = LINGER_MS } = this.#options;
    audit.routes("withdraw", prefixes);
    try {
      await announcer!.withdraw(prefixes);
    } catch (error) {
      return this.#failed("withdrawals", error);
    }
    const until = clock() + lingerMs;
    for (const prefix of prefixes) {
      this.#known?.delete(prefix);
      this.#lingering.set(addressOf(prefix), until);
    }
    return null;
  }

  /** Announces. Gives what went wrong, or null. */
  async announce(routes: readonly FabricRoute[]): Promise<string | null> {
    const { announcer, audit } = this.#options;
    audit.routes(
      "announce",
      routes.map(({ prefix }) => prefix),
    );
    try {
      await announcer!.announce(routes);
    } catch (error) {
      return this.#failed("announcements", error);
    }
    for (const route of routes) this.#known?.set(route.prefix, route);
    return null;
  }

  /** Whether others may still send to an address that was withdrawn. */
  lingers(address: string): boolean {
    return (this.#lingering.get(address) ?? 0) > this.#options.clock();
  }

  /** When nobody sends to any withdrawn address any more, in milliseconds since 1970; null: so it is. */
  get lingersUntil(): number | null {
    const now = this.#options.clock();
    for (const [address, until] of this.#lingering) if (until <= now) this.#lingering.delete(address);
    return this.#lingering.size === 0 ? null : Math.max(...this.#lingering.values());
  }

  #failed(what: string, error: unknown): string {
    this.#known = null;
    return `${what}: ${(error as Error).message}`;
  }
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((label, index) => label === b[index]);
