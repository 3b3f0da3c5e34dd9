/**
 * An intent that is edited while it is in force: VMs and routes are set and removed, all of an edit or
 * nothing. What must hold of an intent as a whole (nothing used twice, limits) is checked against the intent
 * that the edit would leave.
 */
import { formatIpv4, formatMac, formatPrefix, type Prefix } from "../wire/index.ts";
import { printable } from "./diagnostics.ts";
import {
  EditError,
  type IntentChange,
  type IntentEdit,
  type Route,
  refuseTwice,
  type VmChange,
} from "./edit.ts";
import { EditableRoutes, hopKey, prefixKey, rowKey } from "./editable-routes.ts";
import { formatCount, LIMITS, type Limits } from "./limits.ts";
import type { Intent, Vm } from "./types.ts";

/** Everything that no two VMs share, as text. */
function claimsOf({ name, port, ofport, mac, addresses }: Vm): string[] {
  return [
    `name ${printable(name)}`,
    `port ${printable(port)}`,
    `ofport ${ofport}`,
    `MAC ${formatMac(mac)}`,
    ...addresses.map(address => `address ${formatIpv4(address)}`),
  ];
}

/** Whether two VMs are the same in everything. */
export function isSameVm(a: Vm, b: Vm): boolean {
  if (a === b) return true;
  const isSame = a.id === b.id && a.path === b.path && a.mtu === b.mtu;
  return isSame && claimsOf(a).join() === claimsOf(b).join();
}

export class EditableIntent {
  readonly #base: Intent;
  readonly #limits: Limits;
  readonly #vms: Map<number, Vm>;
  /** The VM (id) that has each name, port, MAC and address. */
  readonly #claims = new Map<string, number>();
  /** Ports and MACs that are not for VMs, and what has them. */
  readonly #taken: ReadonlyMap<string, string>;
  #addressCount = 0;
  /** Made when the first route is edited: a million routes take a second. */
  #routes: EditableRoutes | null = null;
  #current: Intent | null;

  /** `limits` are those of limits.ts except in tests. */
  constructor(intent: Intent, limits: Limits = LIMITS) {
    this.#base = intent;
    this.#limits = limits;
    this.#current = intent;
    this.#vms = new Map(intent.vms.map(vm => [vm.id, vm]));
    for (const vm of intent.vms) this.#enter(vm);
    this.#taken = new Map([
      [`port ${printable(intent.uplink.port)}`, "the uplink's"],
      [`ofport ${intent.uplink.ofport}`, "the uplink's"],
      [`MAC ${formatMac(intent.uplink.mac)}`, "the uplink's"],
      [`MAC ${formatMac(intent.virtualMac)}`, "the virtual MAC"],
    ]);
  }

  /** The current intent; later edits do not change the returned object. */
  get intent(): Intent {
    this.#current ??= {
      ...this.#base,
      vms: [...this.#vms.values()],
      routes: this.#routes?.toRoutes() ?? this.#base.routes,
    };
    return this.#current;
  }

  get trafficClass(): number {
    return this.#base.trafficClass;
  }

  /** The largest number of labels of a route. */
  get mostLabels(): number {
    const { nextHops } = this.#base.routes;
    return (
      this.#routes?.mostLabels ?? nextHops.reduce((most, { labels }) => Math.max(most, labels.length), 0)
    );
  }

  get #columns(): EditableRoutes {
    this.#routes ??= new EditableRoutes(this.#base.routes);
    return this.#routes;
  }

  /**
   * Makes an edit and returns what changed. Throws EditError and changes
   * nothing. Removing a missing VM is valid.
   */
  apply({ vms, routes }: IntentEdit): IntentChange {
    refuseTwice(vms.set, "vms.set", ({ id }) => `VM ${id}`);
    refuseTwice([...vms.set.map(({ id }) => id), ...new Set(vms.remove)], "vms", id => `VM ${id}`);
    refuseTwice(routes.set, "routes.set", formatPrefix, prefixKey);
    const prefixes = [...routes.set, ...routes.remove];
    if (routes.remove.length > 0) refuseTwice(prefixes, "routes", formatPrefix, prefixKey);
    this.#checkVms(vms.set, new Set([...vms.remove, ...vms.set.map(({ id }) => id)]));
    this.#checkRoutes(routes.set, routes.remove);
    const changes: VmChange[] = [];
    for (const id of new Set(vms.remove)) {
      const before = this.#vms.get(id);
      if (before !== undefined) changes.push({ before, after: null });
    }
    for (const after of vms.set) {
      const before = this.#vms.get(after.id) ?? null;
      if (before === null || !isSameVm(before, after)) changes.push({ before, after });
    }
    for (const { before } of changes) if (before !== null) this.#leave(before);
    for (const { after } of changes) if (after !== null) this.#enter(after);
    const hasRoutes = routes.set.length + routes.remove.length > 0;
    const change = hasRoutes
      ? this.#columns.apply(routes.set, routes.remove)
      : { nextHops: [], routes: new Uint32Array(0) };
    if (changes.length + change.routes.length > 0) this.#current = null;
    return { vms: changes, ...change };
  }

  #enter(vm: Vm): void {
    this.#vms.set(vm.id, vm);
    for (const claim of claimsOf(vm)) this.#claims.set(claim, vm.id);
    this.#addressCount += vm.addresses.length;
  }

  #leave(vm: Vm): void {
    this.#vms.delete(vm.id);
    for (const claim of claimsOf(vm)) this.#claims.delete(claim);
    this.#addressCount -= vm.addresses.length;
  }

  /** Checks uniqueness and limits; `leaving` are the VMs whose old state does not count. */
  #checkVms(set: readonly Vm[], leaving: ReadonlySet<number>): void {
    const fresh = new Map<string, number>();
    for (const [index, vm] of set.entries()) {
      for (const claim of claimsOf(vm)) {
        const holder = this.#claims.get(claim);
        const other = holder === undefined || leaving.has(holder) ? fresh.get(claim) : holder;
        const whose = this.#taken.get(claim) ?? (other === undefined ? null : `VM ${other}'s`);
        if (whose !== null)
          throw new EditError(
            "conflict",
            `vms.set[${index}]: ${claim} is ${whose}; give VM ${vm.id} its own`,
          );
        fresh.set(claim, vm.id);
      }
    }
    const gone = [...leaving].filter(id => this.#vms.has(id));
    const count = this.#vms.size - gone.length + set.length;
    const lost = gone.reduce((sum, id) => sum + this.#vms.get(id)!.addresses.length, 0);
    const added = set.reduce((sum, vm) => sum + vm.addresses.length, 0);
    limit(count, this.#limits.vms, "VMs");
    limit(this.#addressCount - lost + added, this.#limits.addresses, "addresses of VMs");
  }

  #checkRoutes(set: readonly Route[], remove: readonly Prefix[]): void {
    if (set.length === 0) return;
    const columns = this.#columns;
    const known = set.filter(route => columns.has(route)).length;
    const gone = remove.filter(prefix => columns.has(prefix)).length;
    limit(columns.count - gone + set.length - known, this.#limits.routes, "routes");
    if (columns.nextHopCount + set.length <= this.#limits.nextHops) return;
    limit(this.#nextHopsAfter(set, remove), this.#limits.nextHops, "distinct pairs of labels and via");
  }

  /** The number of next hops after an edit; slow, and computed only near the limit. */
  #nextHopsAfter(set: readonly Route[], remove: readonly Prefix[]): number {
    const changed = new Set([...set, ...remove].map(prefixKey));
    const { count, prefixes, lengths, nextHopOf, nextHops } = this.#columns.toRoutes();
    const left = new Set<string>(set.map(hopKey));
    for (let row = 0; row < count; row++)
      if (!changed.has(rowKey(prefixes[row]!, lengths[row]!))) left.add(hopKey(nextHops[nextHopOf[row]!]!));
    return left.size;
  }
}

function limit(count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new EditError(
    "full",
    `${formatCount(count)} ${what} are too many; an intent has at most ${formatCount(most)}`,
  );
}
