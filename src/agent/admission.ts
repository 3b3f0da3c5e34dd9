/**
 * Decides which desired VMs are admitted, and on which path: no two share an id, name, port, MAC or address,
 * no address is in quarantine, and the path changes by one step of a migration at a time (docs/pipeline.md).
 * Pure: files, state and clock decide, not the order of events.
 */
import { formatCount, type Intent, LIMITS, type Limits, type Path, type Vm } from "../intent/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";
import type { Present } from "./observed-state.ts";
import type { Quarantine } from "./quarantine.ts";
import type { VmFile } from "./vm-directory.ts";

/** The order of a migration; a step leads to a neighbour. */
export const PATHS: readonly Path[] = ["l2", "dual-l2", "dual-l3", "l3"];

export type RefusalCode = "conflict" | "quarantine" | "jump" | "full";

/** Why a VM is not as its file says. */
export interface Refusal {
  readonly id: number;
  readonly file: string;
  readonly code: RefusalCode;
  readonly message: string;
  /** For a quarantine: milliseconds since 1970. */
  readonly until: number | null;
}

export interface Admitted {
  readonly vms: ReadonlyMap<number, Vm>;
  readonly refusals: readonly Refusal[];
}

/** Whether the change is at most one step of a migration; null: the VM has no mode. */
export function isStep(from: Path | null, to: Path): boolean {
  return from === null || Math.abs(PATHS.indexOf(from) - PATHS.indexOf(to)) <= 1;
}

/** The message for a request of more than one step. */
export function jumpMessage(from: Path, to: Path): string {
  const [at, end] = [PATHS.indexOf(from), PATHS.indexOf(to)];
  const next = PATHS[at + Math.sign(end - at)]!;
  return `path ${from} to ${to} is more than one step; the next step is ${next}`;
}

/** The values that no two VMs may share, as one text each. */
export function claimsOf(vm: Pick<Vm, "id" | "name" | "port" | "ofport" | "mac" | "addresses">): string[] {
  return [
    `id ${vm.id}`,
    `name ${vm.name}`,
    `port ${vm.port}`,
    `ofport ${vm.ofport}`,
    `MAC ${formatMac(vm.mac)}`,
    ...vm.addresses.map(address => `address ${formatIpv4(address)}`),
  ];
}

/** Order: VMs that have their addresses already, then by age of the file, then by its name. */
function inOrder(files: readonly VmFile[], present: Present): VmFile[] {
  const isThere = ({ vm }: VmFile): boolean =>
    vm.addresses.some(address => present.get(vm.id)?.addresses.has(formatIpv4(address)));
  const rank = new Map(files.map(file => [file, isThere(file) ? 0 : 1]));
  return [...files].sort(
    (a, b) => rank.get(a)! - rank.get(b)! || a.modifiedMs - b.modifiedMs || (a.file < b.file ? -1 : 1),
  );
}

/**
 * Decides incrementally: while no VM is refused, only files that were added, changed or removed are examined.
 */
export class Admission {
  readonly #base: Intent;
  readonly #quarantine: Quarantine;
  #files: readonly VmFile[] = [];
  /** The claims of all admitted VMs; null: a VM was refused. */
  #claims: Set<string> | null = null;
  #admitted: Admitted = { vms: new Map(), refusals: [] };
  /** Number of addresses of all admitted VMs. */
  #addressCount = 0;
  readonly #limits: Limits;

  /** `limits` are an intent's but in tests. */
  constructor(base: Intent, quarantine: Quarantine, limits: Limits = LIMITS) {
    this.#base = base;
    this.#quarantine = quarantine;
    this.#limits = limits;
  }

  /** As the function `admit`. */
  admit(files: readonly VmFile[], present: Present, nowMs: number): Admitted {
    const { came, went } = between(this.#files, files);
    this.#files = files;
    const vms = this.#claims === null ? null : this.#step(came, went, present, nowMs);
    if (vms !== null) {
      this.#admitted = { vms, refusals: [] };
      return this.#admitted;
    }
    this.#admitted = admit(this.#base, files, present, this.#quarantine, nowMs, this.#limits);
    this.#addressCount = addressesIn(this.#admitted.vms.values());
    this.#claims = this.#admitted.refusals.length > 0 ? null : new Set(fixedClaims(this.#base).keys());
    for (const { vm } of this.#claims === null ? [] : files)
      for (const claim of claimsOf(vm)) this.#claims!.add(claim);
    return this.#admitted;
  }

  /** Whether a VM can be added without a check of all others; else `admit` returns the reason. */
  wouldTake(vm: Vm, present: Present, nowMs: number): boolean {
    const isRoom =
      this.#admitted.vms.size < this.#limits.vms &&
      this.#addressCount + vm.addresses.length <= this.#limits.addresses;
    return isRoom && this.#claims !== null && isFree(vm, this.#claims, present, this.#quarantine, nowMs);
  }

  /** The VMs after additions and removals; null: a VM must be refused. */
  #step(
    came: readonly VmFile[],
    went: readonly VmFile[],
    present: Present,
    nowMs: number,
  ): ReadonlyMap<number, Vm> | null {
    const vms = new Map(this.#admitted.vms);
    const claims = this.#claims!;
    let addressCount = this.#addressCount + addressesIn(came.map(({ vm }) => vm));
    for (const { vm } of went) {
      addressCount -= vm.addresses.length;
      vms.delete(vm.id);
      for (const claim of claimsOf(vm)) claims.delete(claim);
    }
    for (const { vm } of came) {
      if (!isFree(vm, claims, present, this.#quarantine, nowMs)) {
        this.#claims = null;
        return null;
      }
      vms.set(vm.id, vm);
      for (const claim of claimsOf(vm)) claims.add(claim);
    }
    if (vms.size > this.#limits.vms || addressCount > this.#limits.addresses) {
      this.#claims = null;
      return null;
    }
    this.#addressCount = addressCount;
    return vms;
  }
}

/** Which files are not in both lists. A new one usually stands at the end. */
function between(before: readonly VmFile[], now: readonly VmFile[]): { came: VmFile[]; went: VmFile[] } {
  const same = before.findIndex((file, index) => now[index] !== file);
  const first = same < 0 ? before.length : same;
  const [rest, others] = [new Set(before.slice(first)), new Set(now.slice(first))];
  return {
    came: [...others].filter(file => !rest.has(file)),
    went: [...rest].filter(file => !others.has(file)),
  };
}

function isFree(
  vm: Vm,
  claims: ReadonlySet<string>,
  present: Present,
  quarantine: Quarantine,
  nowMs: number,
): boolean {
  return (
    isStep(present.get(vm.id)?.path ?? null, vm.path) &&
    claimsOf(vm).every(claim => !claims.has(claim)) &&
    vm.addresses.every(address => quarantine.refusedUntil(formatIpv4(address), vm.id, nowMs) === null)
  );
}

/** The claims of the intent itself, with their holders. */
function fixedClaims(base: Intent): Map<string, string> {
  const holders = new Map<string, string>([
    [`port ${base.uplink.port}`, "the uplink"],
    [`ofport ${base.uplink.ofport}`, "the uplink"],
    [`MAC ${formatMac(base.uplink.mac)}`, "the uplink"],
    [`MAC ${formatMac(base.virtualMac)}`, "the gateway"],
  ]);
  for (const vm of base.vms)
    for (const claim of claimsOf(vm)) holders.set(claim, `VM ${vm.id} of the intent`);
  return holders;
}

const addressesIn = (vms: Iterable<Vm>): number => {
  let count = 0;
  for (const { addresses } of vms) count += addresses.length;
  return count;
};

/** The VMs beyond the limits of an intent, with the reason. An installed VM keeps its place. */
function beyondLimits(
  base: Intent,
  files: readonly VmFile[],
  present: Present,
  { vms, addresses }: Limits,
): Map<VmFile, string> {
  const over = new Map<VmFile, string>();
  let vmCount = base.vms.length;
  let addressCount = addressesIn(base.vms);
  const isThere = ({ vm }: VmFile): boolean => present.has(vm.id);
  for (const file of [...files.filter(isThere), ...files.filter(one => !isThere(one))]) {
    const count = addressCount + file.vm.addresses.length;
    if (vmCount >= vms) over.set(file, `the limit of ${formatCount(vms)} VMs is reached`);
    else if (count > addresses)
      over.set(
        file,
        `all VMs together would have ${formatCount(count)} addresses; the limit is ${formatCount(addresses)}`,
      );
    else {
      vmCount++;
      addressCount = count;
    }
  }
  return over;
}

/** Decides. The VMs of `base` are always admitted. `limits` are an intent's except in tests. */
export function admit(
  base: Intent,
  files: readonly VmFile[],
  present: Present,
  quarantine: Quarantine,
  nowMs: number,
  limits: Limits = LIMITS,
): Admitted {
  const vms = new Map<number, Vm>();
  const refusals: Refusal[] = [];
  const holders = fixedClaims(base);
  for (const vm of base.vms) vms.set(vm.id, vm);
  const accepted: VmFile[] = [];
  const refuseOf =
    ({ file, vm }: VmFile) =>
    (code: RefusalCode, message: string, until: number | null = null): void => {
      refusals.push({ id: vm.id, file, code, message, until });
    };
  for (const one of inOrder(files, present)) {
    const { vm } = one;
    const refuse = refuseOf(one);
    const taken = claimsOf(vm).find(claim => holders.has(claim));
    if (taken !== undefined) {
      refuse("conflict", `${taken} is used by ${holders.get(taken)}; use another one`);
      continue;
    }
    const until = Math.max(
      ...vm.addresses.map(address => quarantine.refusedUntil(formatIpv4(address), vm.id, nowMs) ?? 0),
    );
    if (until > 0) {
      const when = new Date(until).toISOString();
      refuse(
        "quarantine",
        `one of its addresses belonged to another VM and is in quarantine until ${when}`,
        until,
      );
      continue;
    }
    for (const claim of claimsOf(vm)) holders.set(claim, `VM ${vm.id}`);
    accepted.push(one);
  }
  const over = beyondLimits(base, accepted, present, limits);
  for (const one of accepted) {
    const { vm } = one;
    const from = present.get(vm.id)?.path ?? null;
    const reason = over.get(one);
    if (reason !== undefined) refuseOf(one)("full", reason);
    else if (from === null || isStep(from, vm.path)) vms.set(vm.id, vm);
    else {
      refuseOf(one)("jump", jumpMessage(from, vm.path));
      vms.set(vm.id, { ...vm, path: from });
    }
  }
  return { vms, refusals };
}
