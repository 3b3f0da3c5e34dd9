/**
 * The desired VMs: those of the intent and of the directory that admission accepts. It reads the files,
 * applies the mass-deletion guard, and puts free addresses into quarantine. Files, observed flows and
 * announcements alone decide, so a restart has the same result.
 */

import type { Intent, Vm } from "../intent/index.ts";
import { formatIpv4 } from "../wire/index.ts";
import { Admission, type Admitted, admit, type Refusal } from "./admission.ts";
import type { Log } from "./log.ts";
import { MassDeleteGuard } from "./mass-delete-guard.ts";
import type { Observed, Present } from "./observed-state.ts";
import type { Quarantine } from "./quarantine.ts";
import { addressOf, hostPrefix } from "./rib.ts";
import type { Listing, VmDirectory, VmFile } from "./vm-directory.ts";

export interface DesiredVmsOptions {
  readonly base: Intent;
  readonly directory: VmDirectory;
  readonly quarantine: Quarantine;
  readonly log: Log;
  readonly clock: () => number;
  /** Turns the mass-deletion guard off. */
  readonly mayBeEmpty: boolean;
}

/** A desired VM and its file; null: it is part of the intent. */
export interface Listed {
  readonly vm: Vm;
  readonly file: string | null;
}

export class DesiredVms {
  readonly #options: DesiredVmsOptions;
  readonly #admission: Admission;
  readonly #guard: MassDeleteGuard;
  #admitted: Admitted = { vms: new Map(), refusals: [] };
  #listing: Listing | null = null;
  #observed: Observed | null = null;
  /** Addresses that no VM has and that are installed or announced, as last seen. */
  #lost: ReadonlySet<string> = new Set();

  constructor(options: DesiredVmsOptions) {
    this.#options = options;
    this.#admission = new Admission(options.base, options.quarantine);
    this.#guard = new MassDeleteGuard(options.mayBeEmpty);
  }

  /** Whether the directory was read once. */
  get isRead(): boolean {
    return this.#listing !== null;
  }

  get refusals(): readonly Refusal[] {
    return this.#admitted.refusals;
  }

  get unreadable(): ReadonlyMap<string, string> {
    return this.#listing?.unreadable ?? new Map();
  }

  /** Whether there are files that were never readable: VMs without a file may be theirs. */
  get hasHidden(): boolean {
    return this.#listing !== null && this.#listing.hiddenCount > 0;
  }

  /**
   * Reads the changed files and returns the accepted VMs; null if the directory was never readable.
   * `isWhole`: VMs may have changed without their files. `announced`: prefixes. Adds to `problems`.
   */
  update(
    isWhole: boolean,
    observed: Observed,
    announced: Iterable<string>,
    problems: string[],
  ): ReadonlyMap<number, Vm> | null {
    const { directory, quarantine, clock } = this.#options;
    this.#observed = observed;
    const before = this.#listing;
    try {
      this.#listing = this.#guarded(directory.read(), isWhole);
    } catch (error) {
      problems.push(`${directory.path}: ${(error as Error).message}; kept all VMs as they are`);
    }
    const listing = this.#listing;
    if (listing === null) return null;
    problems.push(...listing.unreadable.values());
    if (this.#guard.count > 0) problems.push(keptText(directory.path, this.#guard.count));
    const now = clock();
    quarantine.expire(now);
    if (isWhole || hasLost(before, listing)) this.#quarantineLost(listing, announced, now);
    this.#admitted = this.#admission.admit(listing.vms, observed, now);
    quarantine.lift((address, owner) => hasAddress(this.#admitted.vms.get(owner), address));
    return this.#admitted.vms;
  }

  #guarded(listing: Listing, isWhole: boolean): Listing {
    const before = this.#listing;
    if (!isWhole && this.#guard.count === 0 && !hasLost(before, listing)) return listing;
    const isOfBase = (id: number): boolean => this.#options.base.vms.some(vm => vm.id === id);
    return this.#guard.keep(listing, before, this.#observed!.owners, isOfBase);
  }

  /** Why a VM would be refused if its file came now; null: it would be accepted. */
  wouldRefuse(vm: Vm): Refusal | null {
    const { base, quarantine, clock } = this.#options;
    const present: Present = this.#observed ?? new Map();
    if (this.#admission.wouldTake(vm, present, clock())) return null;
    const file = "the request";
    const others = (this.#listing?.vms ?? []).filter(other => other.vm.id !== vm.id);
    const files = [...others, { file, vm, modifiedMs: Number.POSITIVE_INFINITY }];
    const { refusals } = admit(base, files, present, quarantine, clock());
    return refusals.find(refusal => refusal.file === file) ?? null;
  }

  /** The VM that a file or the intent defines under an id, as it is written there. */
  listed(id: number): Listed | null {
    const ofBase = this.#options.base.vms.find(vm => vm.id === id);
    if (ofBase !== undefined) return { vm: ofBase, file: null };
    const files = this.#listing?.vms.filter(({ vm }) => vm.id === id) ?? [];
    // Of several, the accepted one.
    const isTaken = ({ file }: VmFile): boolean =>
      !this.refusals.some(refusal => refusal.file === file && refusal.code !== "jump");
    return (files.length > 1 ? files.find(isTaken) : undefined) ?? files[0] ?? null;
  }

  /** All VMs that files and the intent define. */
  get listing(): readonly Listed[] {
    const ofBase = this.#options.base.vms.map(vm => ({ vm, file: null }));
    return [...ofBase, ...(this.#listing?.vms ?? [])];
  }

  /** Whether the mass-deletion guard keeps a VM. */
  isHeld(id: number): boolean {
    return this.#guard.isHeld(id);
  }

  /** A VM is to be removed by request, whatever the guard keeps. */
  release(id: number): void {
    this.#guard.release(id);
  }

  /** Addresses of VMs whose removal was requested and that are still installed, as prefixes. */
  releasedPrefixes(): Set<string> {
    const owners = (this.#observed?.owners ?? []).filter(id => this.#guard.isReleased(id));
    const addresses = owners.flatMap(id => [...this.#observed!.get(id)!.addresses]);
    return new Set(addresses.map(hostPrefix));
  }

  /** Whether a VM without a file may be one whose file cannot be read. */
  isHidden(id: number): boolean {
    if (!this.hasHidden || this.#guard.isReleased(id) || this.#admitted.vms.has(id)) return false;
    return !this.#listing!.vms.some(({ vm }) => vm.id === id);
  }

  /** Puts addresses into quarantine that are installed or announced, and that no VM has any more. */
  #quarantineLost(listing: Listing, announced: Iterable<string>, now: number): void {
    if (listing.hiddenCount > 0) return;
    const { base, quarantine, log } = this.#options;
    const held = new Map<number, Set<string>>();
    const all = new Set<string>();
    for (const vm of [...base.vms, ...listing.vms.map(file => file.vm)]) {
      const addresses = vm.addresses.map(formatIpv4);
      held.set(vm.id, new Set([...(held.get(vm.id) ?? []), ...addresses]));
      for (const address of addresses) all.add(address);
    }
    const lost = new Map<string, number>();
    for (const owner of this.#observed!.owners)
      for (const address of this.#observed!.get(owner)!.addresses)
        if (!held.get(owner)?.has(address) && !lost.has(address)) lost.set(address, owner);
    for (const prefix of announced) {
      const address = addressOf(prefix);
      if (!address.includes("/") && !all.has(address) && !lost.has(address)) lost.set(address, 0);
    }
    const known = this.#lost;
    this.#lost = new Set(lost.keys());
    if (lost.size === 0) return;
    // While a withdrawal cannot be made an address is lost in each resync, and its time may begin anew:
    // logged once.
    const added = quarantine.add(lost, now).filter(address => !known.has(address));
    if (added.length > 0) log("info", "addresses are in quarantine", { addresses: added });
  }
}

const hasAddress = (vm: Vm | undefined, address: string): boolean =>
  vm?.addresses.some(own => formatIpv4(own) === address) === true;

/** Whether a file that was there is gone or changed: addresses may be free now. New files come last. */
const hasLost = (before: Listing | null, now: Listing): boolean =>
  before === null || before.vms.some((file, index) => now.vms[index] !== file);

const keptText = (path: string, count: number): string =>
  `${path}: kept ${count} VMs whose files disappeared at once; restore the files, ` +
  "DELETE each VM over the API, or restart with --allow-empty";
