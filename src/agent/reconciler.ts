/**
 * Compare, plan, act: one round after the other. A full round looks at what is there (the switch's dump, the announcements
 * we make) and compares everything; a quick one compares what changed since. Flows come before announcements, withdrawals
 * before the removal of flows, and what is right is not written. Events only say that it is time to look: nothing is
 * replayed, so that an agent that is killed anywhere does the rest when it is started again.
 */

import type { Announcer, FabricRoute } from "../bgp/index.ts";
import { type Intent, LIMITS, type Vm } from "../intent/index.ts";
import { flowText } from "../pipeline/index.ts";
import { formatIpv4 } from "../wire/index.ts";
import { Admission, type Admitted, admit, type Present, type Refusal } from "./admission.ts";
import { Announcements } from "./announcements.ts";
import { Wanted } from "./desired-state.ts";
import { type Edit, editsOf, enter } from "./flow-changes.ts";
import type { Audit, Log } from "./log.ts";
import { Guard } from "./mass-delete-guard.ts";
import { type Installed, type InstalledRow, isAlike } from "./observed-state.ts";
import { type Bridge, BridgeError } from "./ofctl-bridge.ts";
import type { Quarantine } from "./quarantine.ts";
import { Look, readInstalled } from "./resync.ts";
import { addressOf, Fabric, hostPrefix, type NextHopResolver } from "./rib.ts";
import type { Listing, VmDirectory, VmFile } from "./vm-directory.ts";

/** What a plan is judged by before it is written; null: it is as it should be, else why it is not. */
export type PlanJudge = (ours: string, foreign: string) => Promise<string | null>;

export interface ReconcilerOptions {
  readonly base: Intent;
  readonly bridge: Bridge;
  readonly directory: VmDirectory;
  /** Null: nothing is announced. */
  readonly announcer: Announcer | null;
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
  /** What becomes of our rows that somebody else changed. */
  readonly drift: "repair" | "report";
  /** Null: plans are not judged. */
  readonly judge: PlanJudge | null;
  /** Whether VMs may lose their files all at once; see Guard. */
  readonly mayBeEmpty?: boolean;
  readonly clock?: () => number;
  /** How long rows that deliver to a VM that stays are left after its address was withdrawn, in milliseconds: 1000. */
  readonly lingerMs?: number;
}

/** What a round looks at: everything, the VM files and changed routes, or changed routes only. */
export type Scope = "all" | "vms" | "routes";

/** What a round did. */
export interface RoundReport {
  readonly isFull: boolean;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  readonly announced: number;
  readonly withdrawn: number;
  readonly milliseconds: number;
  /** What could not be done; empty: all is in step. */
  readonly problems: readonly string[];
  /** Names of rows that others had changed since the last look. */
  readonly drifted: readonly string[];
  /** Whether a look found other flows of others than the one before, or any at first. */
  readonly haveOthersWritten: boolean;
}

/** A path of somebody else's to an address that is a local VM's. */
export interface DoubleOwner {
  readonly prefix: string;
  readonly vm: number;
  readonly nextHop: string;
  readonly originator: string | null;
}

interface Tally {
  added: number;
  changed: number;
  removed: number;
  announced: number;
  withdrawn: number;
  problems: string[];
  drifted: string[];
  haveOthersWritten: boolean;
}

export class Reconciler {
  readonly fabric: Fabric;
  readonly wanted: Wanted;
  readonly #options: ReconcilerOptions;
  readonly #clock: () => number;
  readonly #announcements: Announcements;
  readonly #admission: Admission;
  readonly #guard: Guard;
  #installed: Installed | null = null;
  /** False after a write or a dump that failed: then only a look tells what is there. */
  #isKnown = false;
  /** False after a dump that failed: then nothing new is announced. */
  #isReachable = false;
  #admitted: Admitted = { vms: new Map(), refusals: [] };
  #listing: Listing | null = null;
  /** Rows that others changed and that are left so (drift: report). */
  readonly #tolerated = new Set<string>();
  #obstructed: ReadonlySet<string> = new Set();
  /** Rows whose last write failed, or was held back. */
  readonly #open = new Set<string>();
  /** Of those, the ones that wait on purpose, as they were when they began to; null: to be absent until then. */
  #kept: ReadonlyMap<string, InstalledRow | null> = new Map();
  #isRefused = false;
  /** A look that goes on beside rounds, or waits for the next to take it in. */
  #look: Look | null = null;
  /** Addresses that nobody wants and that are installed or announced, as last seen. */
  #lost: ReadonlySet<string> = new Set();
  /** Whether rows of routes that nobody wants are left from a time when the table of routes was not complete. */
  #hasOldRoutes = false;
  #drifted: ReadonlyMap<string, InstalledRow | null> = new Map();
  /** Whether what is wanted has the whole table of routes: one that is told while a round runs is the next one's. */
  #isTableWhole = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    const { announcer, audit, lingerMs } = options;
    this.#announcements = new Announcements({ announcer, audit, clock: this.#clock, lingerMs });
    this.#admission = new Admission(options.base, options.quarantine);
    this.#guard = new Guard(options.mayBeEmpty === true);
    this.fabric = new Fabric(options.ownNextHop, LIMITS.routes - options.base.routes.count);
    if (!options.hasRoutes) this.fabric.isComplete = true;
    const labels = options.isLabelled === false ? [] : [options.base.label];
    this.wanted = new Wanted(options.base, options.ownNextHop, labels, options.bridge.tagOf);
  }

  get refusals(): readonly Refusal[] {
    return this.#admitted.refusals;
  }

  get unreadable(): ReadonlyMap<string, string> {
    return this.#listing?.unreadable ?? new Map();
  }

  /** What is installed, as last known; null before the first look. */
  get installed(): Installed | null {
    return this.#installed;
  }

  /** Whether switch and files were both read once: before that nobody knows what is there. */
  get isReady(): boolean {
    return this.#installed !== null && this.#listing !== null;
  }

  /** What we announce, as last known. */
  get announced(): ReadonlyMap<string, FabricRoute> | null {
    return this.#announcements.known;
  }

  /**
   * The flows that should be installed at this moment, a flow a line, without its end: those that are wanted, but for rows
   * that wait on purpose, which are as they were. Rows of routes that nobody told yet stay until the table is complete.
   */
  *expectedLines(): Generator<string> {
    for (const row of this.wanted.rows.values()) if (!this.#kept.has(row.name)) yield flowText(row);
    for (const row of this.#kept.values()) if (row !== null) yield lineOf(row).trimEnd();
    if (this.#isTableWhole) return;
    for (const [name, row] of this.#installed?.ours ?? [])
      if (row.kind === "route" && !this.wanted.rows.has(name) && !this.#kept.has(name))
        yield lineOf(row).trimEnd();
  }

  /** The lines of the table as the last look that found drift saw it. */
  *driftedLines(): Generator<string> {
    for (const [name, row] of this.#installed?.ours ?? [])
      if (!this.#drifted.has(name)) yield lineOf(row).trimEnd();
    for (const row of this.#drifted.values()) if (row !== null) yield lineOf(row).trimEnd();
    for (const row of this.#installed?.foreign.values() ?? []) yield lineOf(row).trimEnd();
  }

  /** Whether the next round has to look at the switch. */
  get needsLook(): boolean {
    return !this.#isKnown || this.#isRefused;
  }

  /** Whether the next round has to ask what is announced. */
  get needsList(): boolean {
    return this.#announcements.isOn && this.#announcements.known === null;
  }

  /** When rows that wait for others to hear of a withdrawal may go, in milliseconds since 1970; null: none does. */
  get lingersUntil(): number | null {
    const until = this.#announcements.lingersUntil;
    if (until === null) return null;
    const isWaiting = [...this.#open].some(name => {
      const row = this.#installed?.ours.get(name);
      return row !== undefined && this.#lingers(row);
    });
    return isWaiting ? until : null;
  }

  /** What is known of the switch may be no more: the next round looks, and takes nothing that it misses for drift. */
  forgetSwitch(): void {
    this.#isKnown = false;
  }

  /** Whether all rows of a VM are in, and announced where it should be. */
  isInStep(id: number): boolean {
    const rows = this.wanted.namesOf(id);
    if (rows.length === 0 || !this.#isIn(id)) return false;
    if (!this.#announcements.isOn) return true;
    const addresses = this.wanted.vms.get(id)?.addresses ?? [];
    return addresses
      .map(formatIpv4)
      .map(hostPrefix)
      .every(prefix => {
        const wanted = this.wanted.announcements.get(prefix);
        return wanted === undefined || this.#announcements.has(wanted.route);
      });
  }

  /** Whether a VM stays although its file vanished with nearly all others. */
  isHeld(id: number): boolean {
    return this.#guard.isHeld(id);
  }

  /** A VM is to go by request, whatever becomes of the directory. */
  release(id: number): void {
    this.#guard.release(id);
  }

  /** Why a VM would not be taken if its file came now; null: it would be. */
  wouldRefuse(vm: Vm): Refusal | null {
    const { base, quarantine } = this.#options;
    if (this.#admission.wouldTake(vm, this.#presentOf(vm.id), this.#clock())) return null;
    const file = "the request";
    const others = (this.#listing?.vms ?? []).filter(other => other.vm.id !== vm.id);
    const files = [...others, { file, vm, modifiedMs: Number.POSITIVE_INFINITY }];
    const { refusals } = admit(base, files, this.#present(), quarantine, this.#clock());
    return refusals.find(refusal => refusal.file === file) ?? null;
  }

  /** The VM that a file (or the intent) wants under an id, as it is written there. */
  listed(id: number): { readonly vm: Vm; readonly file: string | null } | null {
    const ofBase = this.#options.base.vms.find(vm => vm.id === id);
    if (ofBase !== undefined) return { vm: ofBase, file: null };
    const files = this.#listing?.vms.filter(({ vm }) => vm.id === id) ?? [];
    // Of several, the one that counts.
    const isTaken = ({ file }: VmFile): boolean =>
      !this.refusals.some(refusal => refusal.file === file && refusal.code !== "jump");
    return (files.length > 1 ? files.find(isTaken) : undefined) ?? files[0] ?? null;
  }

  /** All VMs that files and the intent want. */
  get listing(): readonly { readonly vm: Vm; readonly file: string | null }[] {
    const ofBase = this.#options.base.vms.map(vm => ({ vm, file: null }));
    return [...ofBase, ...(this.#listing?.vms ?? [])];
  }

  /** Local addresses that somebody else announces too: before they are announced here it is the best path, later one of all. */
  doubleOwners(): DoubleOwner[] {
    const found: DoubleOwner[] = [];
    const others = new Map(this.#announcements.contested.map(route => [route.prefix, route]));
    for (const [prefix, { vm }] of this.wanted.announcements) {
      const route = this.fabric.routeTo(prefix) ?? others.get(prefix);
      if (route === undefined) continue;
      found.push({ prefix, vm, nextHop: route.nextHop, originator: route.originator });
    }
    return found;
  }

  /**
   * Looks at everything while rounds go on; the next round takes in what was found. Does nothing while nothing is known:
   * then only a full round can look. One at a time.
   */
  async look(): Promise<void> {
    const { bridge, announcer, directory } = this.#options;
    if (this.needsLook) return;
    const look = new Look();
    this.#look = look;
    await look.run(bridge, announcer, this.#installed!, this.wanted.rows);
    await directory.scan();
    await directory.readAhead();
    look.isOver = true;
  }

  /** One round. Never throws for what the switch, the daemon or a file does: that is a problem in the report. */
  async round(scope: Scope): Promise<RoundReport> {
    const startedAt = performance.now();
    const tally: Tally = {
      added: 0,
      changed: 0,
      removed: 0,
      announced: 0,
      withdrawn: 0,
      problems: [],
      drifted: [],
      haveOthersWritten: false,
    };
    const look = this.#look?.isOver ? this.#look : null;
    let suspects: ReadonlySet<string> | null = null;
    if (look !== null) {
      this.#look = null;
      suspects = this.#takeIn(look, tally);
    }
    const isFull = scope === "all" || this.needsLook || look !== null;
    if (isFull && suspects === null) await this.#lookAfresh(tally);
    else if (this.needsList) await this.#list(tally);
    const names = this.#installed === null ? null : this.#decide(isFull ? "all" : scope, suspects, tally);
    if (names !== null) {
      const mayRemove = await this.#withdraw(tally);
      await this.#write(names, isFull, mayRemove, tally);
      await this.#announce(tally);
    }
    const { quarantine, audit } = this.#options;
    for (const problem of [quarantine.problem, audit.mend(), this.fabric.problem])
      if (problem !== null) tally.problems.push(problem);
    return { isFull, ...tally, milliseconds: performance.now() - startedAt };
  }

  // ── Look ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads everything anew, within a round: nothing is written meanwhile. */
  async #lookAfresh(tally: Tally): Promise<void> {
    const { bridge, directory } = this.#options;
    this.#look = null;
    const listing = this.#list(tally);
    const ahead = directory.readAhead();
    try {
      const next = await readInstalled(bridge);
      const foreign = this.#installed?.foreign ?? new Map<string, InstalledRow>();
      tally.haveOthersWritten = !areAlike(foreign, next.foreign);
      this.#noteDrift(next, tally);
      this.#installed = next;
      this.#isKnown = true;
      this.#isReachable = true;
    } catch (error) {
      this.#isKnown = false;
      this.#isReachable = false;
      tally.problems.push((error as Error).message);
    }
    await Promise.all([listing, ahead]);
  }

  /** Asks the daemon what is announced. */
  async #list(tally: Tally): Promise<void> {
    const problem = await this.#announcements.list();
    if (problem !== null) tally.problems.push(problem);
  }

  /** What others changed since the last look. A switch without any row of ours was started anew, which is no drift. */
  #noteDrift(next: Installed, tally: Tally): void {
    const before = this.#installed;
    if (before === null || !this.#isKnown || next.ours.size === 0) {
      this.#tolerated.clear();
      return;
    }
    next.reconcileNames(this.wanted.rows);
    const drifted = new Map<string, InstalledRow | null>();
    for (const [name, row] of before.ours) {
      const now = next.ours.get(name);
      if (now === undefined || !isAlike(row, now)) drifted.set(name, now ?? null);
    }
    for (const [name, row] of next.ours) if (!before.ours.has(name)) drifted.set(name, row);
    this.#keepDrift(drifted, tally);
  }

  #keepDrift(drifted: ReadonlyMap<string, InstalledRow | null>, tally: Tally): void {
    if (drifted.size === 0) return;
    this.#drifted = drifted;
    tally.drifted.push(...drifted.keys());
    if (this.#options.drift === "report") for (const name of drifted.keys()) this.#tolerated.add(name);
  }

  /**
   * Takes in what a look beside rounds has found; gives the names of rows to compare. Null: the look has shown that nothing
   * is known any more, and a round has to look by itself.
   */
  #takeIn(look: Look, tally: Tally): Set<string> | null {
    if (look.bridgeError !== null) {
      this.#isKnown = false;
      this.#isReachable = false;
    }
    // A switch that was started anew: what was written meanwhile may be there or not.
    if (look.isEmpty) this.#isKnown = false;
    if (look.announcerError !== null) this.#announcements.forget();
    if (this.needsLook) return null;
    tally.haveOthersWritten = !areAlike(this.#installed!.foreign, look.foreign);
    const drifted = look.settle(this.#installed!);
    this.#keepDrift(drifted, tally);
    if (look.announced !== null) this.#announcements.takeIn(look.announced, look.written);
    return new Set([...drifted.keys(), ...look.suspects]);
  }

  // ── Plan ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Brings what is wanted up to date; gives the names of rows to compare. Null: nothing can be decided. */
  #decide(scope: Scope, suspects: ReadonlySet<string> | null, tally: Tally): Iterable<string> | null {
    const { resolver } = this.#options;
    const installed = this.#installed!;
    // A look that found all as it should be asks nothing more of 10,000 VMs.
    const isWhole =
      scope === "all" &&
      (suspects === null ||
        suspects.size > 0 ||
        this.#announcements.stale(this.wanted.announcements).length > 0);
    const changed = scope === "routes" ? new Set<string>() : this.#decideVms(isWhole, tally);
    if (changed === null) return null;
    this.#isTableWhole = this.fabric.isComplete;
    const prefixes = this.fabric.takeChanged();
    for (const prefix of this.wanted.movedRoutes(this.fabric, resolver)) prefixes.add(prefix);
    for (const name of this.wanted.setRoutes(this.fabric, prefixes, resolver)) changed.add(name);
    if (scope !== "all") {
      for (const name of changed) this.#tolerated.delete(name);
      return this.#about(changed);
    }
    this.#obstructed = installed.reconcileNames(this.wanted.rows, suspects);
    for (const name of this.#obstructed)
      tally.problems.push(`${name}: a flow that is not ours stands in its place`);
    return suspects === null
      ? allNames(this.wanted, installed)
      : this.#about(new Set([...changed, ...suspects]));
  }

  /** Names of rows to compare when these changed. */
  #about(changed: ReadonlySet<string>): Set<string> {
    const names = new Set(changed);
    for (const name of this.#namesAbout(changed)) names.add(name);
    for (const name of this.#open) names.add(name);
    if (this.#hasOldRoutes && this.#isTableWhole) {
      for (const [name, { kind }] of this.#installed!.ours)
        if (kind === "route" && !this.wanted.rows.has(name)) names.add(name);
      this.#hasOldRoutes = false;
    }
    return names;
  }

  /** Reads the VM files and decides which VMs are taken; gives the names of rows that changed. */
  #decideVms(isWhole: boolean, tally: Tally): Set<string> | null {
    const { directory, base, quarantine } = this.#options;
    const before = this.#listing;
    try {
      this.#listing = directory.read();
      if (isWhole || this.#guard.count > 0 || hasLost(before, this.#listing))
        this.#listing = this.#guard.keep(this.#listing, before, this.#installed!.owners, id =>
          base.vms.some(vm => vm.id === id),
        );
    } catch (error) {
      tally.problems.push(`${directory.path}: ${(error as Error).message}; no VM is changed`);
      if (this.#listing === null) return null;
    }
    for (const problem of this.#listing.unreadable.values()) tally.problems.push(problem);
    if (this.#guard.count > 0) tally.problems.push(emptied(directory.path, this.#guard.count));
    const now = this.#clock();
    quarantine.expire(now);
    if (isWhole || hasLost(before, this.#listing)) this.#quarantineLost(now);
    this.#admitted = this.#admission.admit(
      this.#listing.vms,
      id => this.#presentOf(id),
      () => this.#present(),
      now,
    );
    quarantine.lift((address, owner) => hasAddress(this.#admitted.vms.get(owner), address));
    const changed = this.wanted.setVms(this.#admitted.vms);
    for (const name of changed) this.#tolerated.delete(name);
    return changed;
  }

  #presentOf(id: number): Present | null {
    const installed = this.#installed;
    return installed === null || installed.namesOf(id).size === 0 ? null : installed.summaryOf(id);
  }

  /** What the installed rows tell of the VMs. */
  #present(): Map<number, Present> {
    const installed = this.#installed;
    return new Map(installed?.owners.map(id => [id, installed.summaryOf(id)]));
  }

  /** Installed rows of VMs of which a row changes, wanted or not: what was left of an earlier write is seen too. */
  *#namesAbout(changed: ReadonlySet<string>): Generator<string> {
    const owners = new Set<number>();
    for (const name of changed) {
      const owner = this.#installed!.ours.get(name)?.owner ?? 0;
      if (owner !== 0) owners.add(owner);
    }
    for (const owner of owners) yield* this.#installed!.namesOf(owner);
  }

  /** Whether a VM that no file speaks of may be one whose file cannot be read. */
  #mayBeHidden(id: number): boolean {
    if (this.#guard.isReleased(id)) return false;
    return this.#listing!.hiddenCount > 0 && !this.#admitted.vms.has(id) && !this.#isListed(id);
  }

  #isListed(id: number): boolean {
    return this.#listing!.vms.some(({ vm }) => vm.id === id);
  }

  /** Addresses that are installed or announced and that nobody who had them wants any more. */
  #quarantineLost(now: number): void {
    const { base, quarantine, log } = this.#options;
    const held = new Map<number, Set<string>>();
    const all = new Set<string>();
    for (const vm of [...base.vms, ...this.#listing!.vms.map(file => file.vm)]) {
      const addresses = vm.addresses.map(formatIpv4);
      held.set(vm.id, new Set([...(held.get(vm.id) ?? []), ...addresses]));
      for (const address of addresses) all.add(address);
    }
    if (this.#listing!.hiddenCount > 0) return;
    const lost: [string, number][] = [];
    const installed = this.#installed!;
    for (const owner of installed.owners)
      for (const address of installed.summaryOf(owner).addresses)
        if (!held.get(owner)?.has(address)) lost.push([address, owner]);
    const seen = new Set(lost.map(([address]) => address));
    for (const prefix of this.#announcements.known?.keys() ?? []) {
      const address = addressOf(prefix);
      if (!address.includes("/") && !all.has(address) && !seen.has(address)) lost.push([address, 0]);
    }
    const known = this.#lost;
    this.#lost = new Set(lost.map(([address]) => address));
    if (lost.length === 0) return;
    // While a withdrawal cannot be made an address is lost in each look, and its time may begin anew: logged once.
    const added = quarantine.add(lost, now).filter(address => !known.has(address));
    if (added.length > 0) log("info", "addresses in quarantine", { addresses: added });
  }

  // ── Act ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Withdraws what is not to be announced; gives whether rows that deliver may be removed. */
  async #withdraw(tally: Tally): Promise<boolean> {
    if (!this.#announcements.isOn) return true;
    if (this.#announcements.known === null) return false;
    // While a file cannot be read, an address without a VM may be that file's.
    const released = this.#listing!.hiddenCount > 0 ? this.#releasedPrefixes() : null;
    const stale = this.#announcements
      .stale(this.wanted.announcements)
      .filter(prefix => released === null || released.has(prefix));
    if (stale.length === 0) return true;
    const problem = await this.#announcements.withdraw(stale);
    if (problem !== null) {
      tally.problems.push(problem);
      return false;
    }
    for (const prefix of stale) this.#look?.written.add(prefix);
    this.#options.quarantine.restart(stale.map(addressOf), this.#clock());
    tally.withdrawn = stale.length;
    return true;
  }

  /** Announced addresses of VMs whose end was asked for while files could not be read. */
  #releasedPrefixes(): Set<string> {
    const owners = this.#installed!.owners.filter(id => this.#guard.isReleased(id));
    const addresses = owners.flatMap(id => [...this.#installed!.summaryOf(id).addresses]);
    return new Set(addresses.map(hostPrefix));
  }

  /**
   * Whether a row delivers to a VM that stays, at an address that was withdrawn a moment ago: a step back to the layer-2
   * path. What others send until they have heard is not to be lost; a VM that has gone would not hear it anyway.
   */
  #lingers({ kind, owner, match }: InstalledRow): boolean {
    if (kind !== "L3-in" || !this.wanted.vms.has(owner)) return false;
    const [, address = ""] = /nw_dst=([\d.]+)/.exec(match) ?? [];
    return this.#announcements.lingers(address);
  }

  /** Whether a flow of somebody else's stands where one is to be added. */
  #isObstructed({ op, name }: Edit): boolean {
    return op === "add" && (this.#obstructed.has(name) || this.#installed!.foreign.has(name));
  }

  /** Whether an edit has to wait, or is not ours to make. */
  #isHeldBack(edit: Edit, mayRemove: boolean): boolean {
    if (this.#tolerated.has(edit.name)) return true;
    if (edit.op === "add") return this.#isObstructed(edit);
    const { kind, owner } = edit.before;
    if (kind === "route") return !this.#isTableWhole || this.wanted.unresolved.has(edit.name);
    if (owner !== 0 && this.#mayBeHidden(owner)) return true;
    return (kind === "L3-in" && !mayRemove) || this.#lingers(edit.before);
  }

  /** The edits that need not wait. Where VMs are written whole, all of a VM waits with what has to. */
  #free(all: readonly Edit[], mayRemove: boolean): Edit[] {
    const free = all.filter(edit => !this.#isHeldBack(edit, mayRemove));
    if (this.#options.bridge.tagOf === null || free.length === all.length) return free;
    const going = new Set(free);
    const waiting = new Set(all.filter(edit => !going.has(edit)).map(ownerOf));
    return free.filter(edit => ownerOf(edit) === 0 || !waiting.has(ownerOf(edit)));
  }

  async #write(names: Iterable<string>, isFull: boolean, mayRemove: boolean, tally: Tally): Promise<void> {
    const all = editsOf(names, this.wanted.rows, this.#installed!);
    const edits = this.#free(all, mayRemove);
    this.#open.clear();
    const before = this.#kept;
    const kept = new Map<string, InstalledRow | null>();
    this.#kept = kept;
    if (edits.length !== all.length) {
      const going = new Set(edits);
      for (const edit of all) {
        if (going.has(edit)) continue;
        this.#keepOpen(edit);
        if (this.#tolerated.has(edit.name) || this.#isObstructed(edit)) continue;
        // As it was at first: whatever somebody else made of it since is not on purpose.
        kept.set(edit.name, before.has(edit.name) ? before.get(edit.name)! : edit.before);
      }
    }
    if (edits.length === 0) {
      if (isFull) this.#isRefused = false;
      return;
    }
    if (!this.#isKnown || (this.#isRefused && !isFull)) {
      for (const { name } of edits) this.#open.add(name);
      return;
    }
    if (isFull && !(await this.#isPlanRight(edits, tally))) {
      for (const { name } of edits) this.#open.add(name);
      return;
    }
    await this.#bundle(edits, isFull ? "reconcile" : "change", tally);
  }

  /** An edit that is held back is looked at again in each round; routes of an incomplete table once it is complete. */
  #keepOpen(edit: Edit): void {
    if (this.#tolerated.has(edit.name)) return;
    if (edit.op === "delete" && edit.before.kind === "route" && !this.#isTableWhole)
      this.#hasOldRoutes = true;
    else this.#open.add(edit.name);
  }

  async #isPlanRight(edits: readonly Edit[], tally: Tally): Promise<boolean> {
    const { judge } = this.#options;
    const installed = this.#installed!;
    if (judge === null || installed.foreign.size === 0) {
      this.#isRefused = false;
      return true;
    }
    const planned = new Map([...installed.ours].map(([name, row]) => [name, lineOf(row)]));
    for (const edit of edits) {
      if (edit.op === "delete") planned.delete(edit.name);
      else planned.set(edit.name, lineOf(edit.row));
    }
    const ours = [...planned.values()].join("");
    const foreign = [...installed.foreign.values()].map(lineOf).join("");
    const problem = await judge(ours, foreign);
    this.#isRefused = problem !== null;
    if (problem === null) return true;
    const message = "the plan is refused: with flows that are not ours it would not do what is wanted";
    tally.problems.push(`${message}: ${problem}`);
    return false;
  }

  /** Writes edits as one bundle; when the switch refuses it, halves of it, so that one bad row keeps nobody else out. */
  async #bundle(edits: readonly Edit[], cause: string, tally: Tally): Promise<void> {
    const { bridge, audit } = this.#options;
    const number = audit.bundle(edits, cause);
    this.#noteWritten(edits);
    try {
      await bridge.write(edits, this.wanted);
    } catch (error) {
      audit.ended(number, (error as Error).message);
      const groups = groupsOf(edits);
      if (error instanceof BridgeError && error.isRefusal && groups.length > 1) {
        const half = groups.length >> 1;
        await this.#bundle(groups.slice(0, half).flat(), cause, tally);
        await this.#bundle(groups.slice(half).flat(), cause, tally);
        return;
      }
      this.#isKnown = false;
      for (const { name } of edits) this.#open.add(name);
      tally.problems.push((error as Error).message);
      return;
    }
    audit.ended(number, null);
    // Again: a look may have begun while the bundle was on its way.
    this.#noteWritten(edits);
    enter(this.#installed!, edits);
    for (const edit of edits) {
      if (edit.op === "delete") tally.removed++;
      else if (edit.before === null) tally.added++;
      else tally.changed++;
    }
  }

  #noteWritten(edits: readonly Edit[]): void {
    for (const { name } of edits) this.#look?.written.add(name);
  }

  /** Whether all rows of a VM are installed. */
  #isIn(id: number): boolean {
    const ours = this.#installed?.ours;
    return this.wanted.namesOf(id).every(name => ours?.has(name) === true && !this.#open.has(name));
  }

  async #announce(tally: Tally): Promise<void> {
    if (this.#announcements.known === null) return;
    const missing: FabricRoute[] = [];
    const isIn = new Map<number, boolean>();
    for (const { route, vm } of this.wanted.announcements.values()) {
      if (this.#announcements.has(route)) continue;
      if (!isIn.has(vm)) isIn.set(vm, this.#isReachable && this.#isIn(vm));
      if (isIn.get(vm)) missing.push(route);
    }
    if (missing.length === 0) return;
    const problem = await this.#announcements.announce(missing);
    if (problem !== null) {
      tally.problems.push(problem);
      return;
    }
    for (const { prefix } of missing) this.#look?.written.add(prefix);
    tally.announced = missing.length;
  }
}

const hasAddress = (vm: Vm | undefined, address: string): boolean =>
  vm?.addresses.some(own => formatIpv4(own) === address) === true;

/** Whether a file that was there is not, or is another: addresses may be nobody's any more. New files come last. */
const hasLost = (before: Listing | null, now: Listing): boolean =>
  before === null || before.vms.some((file, index) => now.vms[index] !== file);

const emptied = (path: string, count: number): string =>
  `${path}: the files of ${count} VMs have vanished at once; they stay until their files are back or each is destroyed (--allow-empty: they go)`;

/** Whether two tables have the same rows, but perhaps for their spelling. */
function areAlike(one: ReadonlyMap<string, InstalledRow>, other: ReadonlyMap<string, InstalledRow>): boolean {
  if (one.size !== other.size) return false;
  for (const [name, row] of one) {
    const twin = other.get(name);
    if (twin === undefined || !isAlike(row, twin)) return false;
  }
  return true;
}

/** Names under which there is or should be a row. */
function* allNames(wanted: Wanted, installed: Installed): Generator<string> {
  yield* wanted.rows.keys();
  for (const name of installed.ours.keys()) if (!wanted.rows.has(name)) yield name;
}

const lineOf = ({
  cookie,
  table,
  priority,
  match,
  actions,
}: {
  readonly cookie: string;
  readonly table: number;
  readonly priority: number;
  readonly match: string;
  readonly actions: string;
}): string =>
  `cookie=${cookie},table=${table},priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}\n`;

const ownerOf = (edit: Edit): number => (edit.op === "add" ? edit.row : edit.before).owner;

/** Edits that belong together: those of a VM, of the pipeline; each route is by itself. */
function groupsOf(edits: readonly Edit[]): Edit[][] {
  const groups = new Map<string, Edit[]>();
  for (const edit of edits) {
    const { kind, owner } = edit.op === "add" ? edit.row : edit.before;
    const key = kind === "route" ? edit.name : `${owner}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [edit]);
    else group.push(edit);
  }
  return [...groups.values()];
}
