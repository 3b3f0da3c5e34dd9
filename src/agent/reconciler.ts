/**
 * The steps of a reconciliation: observe, compare desired with observed, withdraw, write, announce. Flows
 * come before announcements, withdrawals before the removal of flows, and correct flows are not written.
 * Level-triggered: an agent that is killed anywhere completes the changes at its next start.
 */

import type { BgpAnnouncer, FabricRoute } from "../bgp/index.ts";
import { type Intent, LIMITS } from "../intent/index.ts";
import { Recognizer } from "../pipeline/index.ts";
import { formatIpv4 } from "../wire/index.ts";
import { Announcements, type DoubleOwner } from "./announcements.ts";
import type { Audit } from "./audit.ts";
import { Desired } from "./desired-state.ts";
import { DesiredVms } from "./desired-vms.ts";
import { type Change, diff, type Keys } from "./flow-changes.ts";
import type { FlowEntry } from "./flow-entry.ts";
import { FlowWriter, type PlanCheck } from "./flow-writer.ts";
import type { Log } from "./log.ts";
import type { Observed } from "./observed-state.ts";
import { type Observation, Observer, type Resync } from "./observer.ts";
import type { Bridge } from "./ofctl-bridge.ts";
import type { Quarantine } from "./quarantine.ts";
import { addressOf, hostPrefix, type NextHopResolver, Rib } from "./rib.ts";
import type { VmDirectory } from "./vm-directory.ts";
import { type Reason, Waits } from "./waits.ts";

export interface ReconcilerOptions {
  readonly base: Intent;
  readonly bridge: Bridge;
  readonly directory: VmDirectory;
  /** Null: nothing is announced. */
  readonly announcer: BgpAnnouncer | null;
  /** This hypervisor's address as a next hop; null: nothing is announced. */
  readonly ownNextHop: string | null;
  /** Whether announcements carry the intent's label (labelled unicast), or none (plain unicast). */
  readonly isLabelled?: boolean;
  /** Whether a source of routes is attached; without one the intent's routes are all there are. */
  readonly hasRoutes: boolean;
  readonly resolver: NextHopResolver;
  readonly quarantine: Quarantine;
  readonly audit: Audit;
  readonly log: Log;
  /** What the agent does with flows of ours that another party changed. */
  readonly drift: "repair" | "report";
  /** Null: plans are not proved before they are written. */
  readonly check: PlanCheck | null;
  /** Turns the mass-deletion guard off. */
  readonly mayBeEmpty?: boolean;
  readonly clock?: () => number;
  /** How long flows to a VM that stays are kept after a withdrawal of its address: 1000 ms. */
  readonly lingerMs?: number;
}

/** What a reconciliation compares: everything, the VM files and changed routes, or changed routes only. */
export type Scope = "all" | "vms" | "routes";

/** What a reconciliation did, filled while it runs. */
class Tally {
  added = 0;
  changed = 0;
  removed = 0;
  announced = 0;
  withdrawn = 0;
  /** What could not be done; empty: all is in sync. */
  readonly problems: string[] = [];
  /** Keys of flows that others had changed since the last resync. */
  readonly drifted: string[] = [];
  /** Whether foreign flows differ from those of the resync before, or there are any at first. */
  haveOthersWritten = false;
}

export interface ReconcileReport extends Readonly<Tally> {
  readonly isFull: boolean;
  readonly milliseconds: number;
}

export class Reconciler {
  readonly rib: Rib;
  readonly desired: Desired;
  readonly vms: DesiredVms;
  readonly #options: ReconcilerOptions;
  readonly #announcements: Announcements;
  readonly #observer: Observer;
  readonly #writer: FlowWriter;
  readonly #waits = new Waits();
  /** Whether the desired state has the whole table of routes, as of the last reconciliation. */
  #isTableComplete = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { base, bridge, announcer, audit, lingerMs, clock = Date.now, mayBeEmpty = false } = options;
    this.#announcements = new Announcements({ announcer, audit, clock, lingerMs });
    this.vms = new DesiredVms({ ...options, clock, mayBeEmpty });
    this.rib = new Rib(options.ownNextHop, LIMITS.routes - base.routes.count);
    if (!options.hasRoutes) this.rib.isComplete = true;
    const labels = options.isLabelled === false ? [] : [base.label];
    this.desired = new Desired(base, options.ownNextHop, labels, bridge.tagOf);
    this.#observer = new Observer(bridge, new Recognizer(this.desired.hypervisor), this.desired);
    this.#writer = new FlowWriter({
      ...options,
      desired: this.desired,
      onWrite: changes => this.#observer.noteWritten(changes.map(({ key }) => key)),
    });
  }

  /** The observed state; null before the first dump. */
  get observed(): Observed | null {
    return this.#observer.observed;
  }

  /** Whether switch and files were both read once: before that, the state is unknown. */
  get isReady(): boolean {
    return this.observed !== null && this.vms.isRead;
  }

  /** Our announcements, as last known. */
  get announced(): ReadonlyMap<string, FabricRoute> | null {
    return this.#announcements.known;
  }

  /**
   * The flows that should be installed now, a line each, without its end: the desired ones, and in place of
   * those that wait on purpose the old ones.
   */
  *expectedLines(): Generator<string> {
    yield* this.#waits.expectedLines(this.desired.flows);
  }

  /** The lines of the table as the last resync that found drift saw it. */
  readonly driftedLines = (): Iterable<string> => this.#observer.driftedLines();

  /** Whether the next reconciliation has to read the switch. */
  get needsResync(): boolean {
    return !this.#observer.isKnown || this.#writer.isRefused;
  }

  /** Whether the next reconciliation has to read the announcements. */
  get needsList(): boolean {
    return this.#announcements.isOn && this.#announcements.known === null;
  }

  /** When flows that linger after a withdrawal may be removed, in ms since 1970; null: none waits. */
  get lingersUntil(): number | null {
    const until = this.#announcements.lingersUntil;
    if (until === null) return null;
    for (const key of this.#waits.retries(this.#isTableComplete)) {
      const entry = this.observed?.ours.get(key);
      if (entry !== undefined && this.#lingers(entry)) return until;
    }
    return null;
  }

  /** The switch may have changed: the next reconciliation reads it, and counts no difference as drift. */
  forgetSwitch(): void {
    this.#observer.forget();
  }

  /** Whether all flows of a VM are installed, and its addresses announced if its path is routed. */
  isInSync(id: number): boolean {
    if (this.desired.keysOf(id).length === 0 || !this.#isInstalled(id)) return false;
    if (!this.#announcements.isOn) return true;
    const addresses = this.desired.vms.get(id)?.addresses ?? [];
    return addresses
      .map(address => this.desired.announcements.get(hostPrefix(formatIpv4(address))))
      .every(desired => desired === undefined || this.#announcements.has(desired.route));
  }

  /** Local addresses that another router announces too. */
  doubleOwners(): DoubleOwner[] {
    return this.#announcements.doubleOwners(this.desired.announcements, this.rib);
  }

  /** Reads everything beside reconciliations, if the state of the switch is known. One at a time. */
  async resync(): Promise<void> {
    if (this.needsResync) return;
    const { announcer, directory } = this.#options;
    // After a list that fails the announcements are unknown, and the next reconciliation reads them.
    const listed = announcer?.list().catch(() => undefined);
    await this.#observer.resync(async () => {
      await listed;
      await directory.scan();
      await directory.readAhead();
    });
  }

  /** One reconciliation. Never throws: what switch, daemon or files do is a problem in the report. */
  async reconcile(scope: Scope): Promise<ReconcileReport> {
    const startedAt = performance.now();
    const tally = new Tally();
    const resync = this.#observer.takeResync();
    const suspects = resync === null ? null : this.#takeIn(resync, tally);
    const isFull = scope === "all" || this.needsResync || resync !== null;
    if (isFull && suspects === null) await this.#observe(tally);
    else if (this.needsList) await this.#readAnnouncements(tally);
    const keys = this.observed === null ? null : this.#decide(isFull ? "all" : scope, suspects, tally);
    if (keys !== null) {
      const mayDelete = await this.#withdraw(tally);
      await this.#write(keys, isFull, mayDelete, tally);
      await this.#announce(tally);
    }
    const { quarantine, audit } = this.#options;
    report(tally, quarantine.problem, audit.retry(), this.rib.problem);
    return { isFull, ...tally, milliseconds: performance.now() - startedAt };
  }

  /** Reads everything anew, within a reconciliation. */
  async #observe(tally: Tally): Promise<void> {
    const reading = Promise.all([this.#readAnnouncements(tally), this.#options.directory.readAhead()]);
    try {
      this.#note(await this.#observer.observe(), tally);
    } catch (error) {
      tally.problems.push((error as Error).message);
    }
    await reading;
  }

  /** Reads the announcements from the daemon. */
  async #readAnnouncements(tally: Tally): Promise<void> {
    report(tally, await this.#announcements.read());
  }

  #note({ drifted, haveOthersWritten, isNew }: Observation, tally: Tally): void {
    if (isNew) this.#waits.forgetDrift();
    tally.haveOthersWritten = haveOthersWritten;
    for (const key of drifted.keys()) {
      tally.drifted.push(key);
      if (this.#options.drift === "report") this.#waits.tolerate(key);
    }
  }

  /** Takes in a concurrent resync; gives the keys to compare, or null if the switch has to be read again. */
  #takeIn(resync: Resync, tally: Tally): Set<string> | null {
    if (this.needsResync) return null;
    const observation = this.#observer.settle(resync);
    this.#note(observation, tally);
    return new Set([...observation.drifted.keys(), ...resync.suspects]);
  }

  /** Updates the desired state; returns the keys of flows to compare, or null if it cannot decide. */
  #decide(scope: Scope, suspects: ReadonlySet<string> | null, tally: Tally): Keys | null {
    const { resolver } = this.#options;
    // A resync that found no difference requires no new decision about 10,000 VMs.
    const isWhole =
      scope === "all" &&
      (suspects === null ||
        suspects.size > 0 ||
        this.#announcements.stale(this.desired.announcements).length > 0);
    const changed = new Set<string>();
    if (scope !== "routes") {
      const announced = this.#announcements.known?.keys() ?? [];
      const vms = this.vms.update(isWhole, this.observed!, announced, tally.problems);
      if (vms === null) return null;
      for (const key of this.desired.setVms(vms)) changed.add(key);
    }
    this.#isTableComplete = this.rib.isComplete;
    const prefixes = this.rib.takeChanged();
    for (const prefix of this.desired.movedRoutes(this.rib, resolver)) prefixes.add(prefix);
    for (const key of this.desired.setRoutes(this.rib, prefixes, resolver)) changed.add(key);
    for (const key of changed) this.#waits.forget(key);
    if (scope === "all") {
      for (const key of this.observed!.foreign.keys())
        if (this.desired.flows.has(key))
          tally.problems.push(
            `${key}: not installed: another owner's flow has the same table, priority and match`,
          );
      if (suspects === null) return "all";
    }
    const retries = this.#waits.retries(this.#isTableComplete);
    return related(new Set([...changed, ...(suspects ?? [])]), this.observed!, retries);
  }

  /** Withdraws prefixes that are not to be announced; gives whether flows that deliver may be deleted. */
  async #withdraw(tally: Tally): Promise<boolean> {
    if (!this.#announcements.isOn) return true;
    if (this.#announcements.known === null) return false;
    // While a file cannot be read, an address without a VM may be that file's.
    const released = this.vms.hasHidden ? this.vms.releasedPrefixes() : null;
    const stale = this.#announcements
      .stale(this.desired.announcements)
      .filter(prefix => released === null || released.has(prefix));
    if (stale.length === 0) return true;
    if (report(tally, await this.#announcements.withdraw(stale))) return false;
    const { quarantine, clock = Date.now } = this.#options;
    quarantine.restart(stale.map(addressOf), clock());
    tally.withdrawn = stale.length;
    return true;
  }

  /**
   * Whether a flow delivers to a VM that stays, at an address that was just withdrawn: a step back to layer
   * 2. Packets that others send until they receive the withdrawal must not be lost.
   */
  #lingers({ kind, owner, address }: FlowEntry): boolean {
    if (kind !== "L3-in" || address === null || !this.desired.vms.has(owner)) return false;
    return this.#announcements.lingers(formatIpv4(address));
  }

  /** Why a change must wait; null: it may be written now. `mayDelete`: all withdrawals were made. */
  #reasonFor(change: Change, mayDelete: boolean): Reason | null {
    const { key } = change;
    if (change.op === "add") return this.observed!.foreign.has(key) ? "foreign" : null;
    const { kind, owner } = change.before;
    if (kind === "route") {
      if (!this.#isTableComplete) return "table";
      return this.desired.unresolved.has(key) ? "order" : null;
    }
    const mustWait =
      (owner !== 0 && this.vms.isHidden(owner)) ||
      (kind === "L3-in" && !mayDelete) ||
      this.#lingers(change.before);
    return mustWait ? "order" : null;
  }

  /** Writes the difference at these keys. */
  async #write(keys: Keys, isFull: boolean, mayDelete: boolean, tally: Tally): Promise<void> {
    const observed = this.observed!;
    const changes = diff(this.desired.flows, observed.ours, keys);
    const isVmUnit = this.#options.bridge.tagOf !== null;
    const reasonFor = (change: Change): Reason | null => this.#reasonFor(change, mayDelete);
    const free = this.#waits.admit(keys, changes, isVmUnit, reasonFor);
    if (!this.#observer.isKnown && free.length > 0) {
      this.#waits.fail(free);
      return;
    }
    const { done, failed, problems, isLost } = await this.#writer.write(free, observed, isFull);
    if (isLost) this.#observer.forget();
    this.#waits.fail(failed);
    tally.problems.push(...problems);
    for (const change of done) {
      if (change.op === "delete") tally.removed++;
      else if (change.before === null) tally.added++;
      else tally.changed++;
    }
  }

  /** Whether all flows of a VM are installed. */
  #isInstalled(id: number): boolean {
    const ours = this.observed?.ours;
    return this.desired.keysOf(id).every(key => ours?.has(key) === true && this.#waits.isSettled(key));
  }

  async #announce(tally: Tally): Promise<void> {
    if (this.#announcements.known === null) return;
    const isInstalled = (vm: number): boolean => this.#observer.isReachable && this.#isInstalled(vm);
    const missing = this.#announcements.missing(this.desired.announcements, isInstalled);
    if (missing.length === 0) return;
    if (!report(tally, await this.#announcements.announce(missing))) tally.announced = missing.length;
  }
}

/** Adds problems, those that are not null; returns whether there is one. */
function report(tally: Tally, ...problems: readonly (string | null)[]): boolean {
  const present = problems.filter(problem => problem !== null);
  tally.problems.push(...present);
  return present.length > 0;
}

/** The keys to compare when these changed: with those of their VMs, and those that waited. */
function related(changed: ReadonlySet<string>, observed: Observed, retries: Iterable<string>): Set<string> {
  const keys = new Set(changed);
  const owners = new Set<number>();
  for (const key of changed) owners.add(observed.ours.get(key)?.owner ?? 0);
  for (const owner of owners) for (const key of observed.keysOf(owner)) keys.add(key);
  for (const key of retries) keys.add(key);
  return keys;
}
