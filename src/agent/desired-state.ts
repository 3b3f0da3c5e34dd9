/**
 * What should be: the rows and announcements that follow from the intent, the VMs taken and the routes known. Changed in
 * small steps, each of which says which rows may differ afterwards, so that one VM or one route costs one VM or route.
 */

import type { FabricRoute } from "../bgp/index.ts";
import { type Intent, isSameVm, type Vm } from "../intent/index.ts";
import { flowText, prefixText } from "../pipeline/index.ts";
import { formatIpv4 } from "../wire/index.ts";
import {
  pipelineRows,
  type ResolvedRoute,
  type Row,
  routeRows,
  routesOf,
  rowName,
  vmRows,
} from "./flow-entries.ts";
import { type Fabric, hostPrefix, type NextHopResolver, parsePrefix } from "./rib.ts";

const ROUTE_TABLE = 40;
const ROUTE_PRIORITY = 100;

/** The name of a route's row. */
function routeName(prefix: string): string | null {
  const at = parsePrefix(prefix);
  if (at === null) return null;
  const match = at.length === 0 ? "ip" : `ip,nw_dst=${prefixText(formatIpv4(at.prefix), at.length)}`;
  return rowName(ROUTE_TABLE, ROUTE_PRIORITY + at.length, match);
}

export class Wanted {
  /** All rows by name. */
  readonly rows = new Map<string, Row>();
  /** The VMs taken, by id. */
  readonly vms = new Map<number, Vm>();
  /** Announcements by prefix, each with the VM it is for. */
  readonly announcements = new Map<string, { readonly route: FabricRoute; readonly vm: number }>();
  /** Rows of routes whose next hop is not known: what is installed for them stays. */
  readonly unresolved = new Map<string, string>();
  readonly base: Intent;
  readonly #ownNextHop: string | null;
  readonly #tagOf: ((vm: Vm) => string) | null;
  readonly #labels: readonly number[];
  readonly #namesOf = new Map<number, readonly string[]>();
  /** Names of the intent's own routes: they win over the fabric's. */
  readonly #static = new Set<string>();
  /** What each next hop resolved to when rows were made of it. */
  readonly #viaOf = new Map<string, number | null>();

  /** `labels`: what our own announcements carry. `tagOf` is the bridge's. */
  constructor(
    base: Intent,
    ownNextHop: string | null,
    labels: readonly number[],
    tagOf: ((vm: Vm) => string) | null,
  ) {
    this.base = base;
    this.#tagOf = tagOf;
    this.#ownNextHop = ownNextHop;
    this.#labels = labels;
    const routes = routeRows(base, routesOf(base.routes));
    for (const row of [...pipelineRows(base), ...routes]) this.rows.set(row.name, row);
    for (const { name } of routes) this.#static.add(name);
  }

  /** Takes exactly these VMs; gives the names of rows that changed. Unchanged VMs are the same objects or equal. */
  setVms(vms: ReadonlyMap<number, Vm>): Set<string> {
    const changed = new Set<string>();
    for (const [id, vm] of [...this.vms]) {
      const next = vms.get(id);
      if (next !== undefined && isSameVm(vm, next)) continue;
      for (const name of this.#namesOf.get(id)!) {
        changed.add(name);
        this.rows.delete(name);
      }
      this.#namesOf.delete(id);
      this.vms.delete(id);
      for (const address of vm.addresses) this.announcements.delete(hostPrefix(formatIpv4(address)));
    }
    const added = [...vms.values()].filter(({ id }) => !this.vms.has(id));
    for (const [id, rows] of vmRows(this.base, added, this.#tagOf)) {
      for (const row of rows) {
        this.rows.set(row.name, row);
        changed.add(row.name);
      }
      this.#namesOf.set(
        id,
        rows.map(({ name }) => name),
      );
    }
    for (const vm of added) {
      this.vms.set(vm.id, vm);
      this.#announce(vm);
    }
    return changed;
  }

  /** The names of a VM's rows. */
  namesOf(id: number): readonly string[] {
    return this.#namesOf.get(id) ?? [];
  }

  /** Takes the routes to these prefixes as the fabric has them now; gives the names of rows that changed. */
  setRoutes(fabric: Fabric, prefixes: Iterable<string>, resolver: NextHopResolver): Set<string> {
    const changed = new Set<string>();
    const resolved: ResolvedRoute[] = [];
    for (const prefix of prefixes) {
      const nextHop = fabric.routeTo(prefix)?.nextHop;
      const route = fabric.resolve(prefix, resolver);
      // The first answer stays until all its routes are made anew: others may still stand on it.
      if (nextHop !== undefined && !this.#viaOf.has(nextHop)) this.#viaOf.set(nextHop, route?.via ?? null);
      if (route !== null) {
        resolved.push(route);
        continue;
      }
      const name = routeName(prefix);
      if (name === null || this.#static.has(name)) continue;
      changed.add(name);
      this.rows.delete(name);
      if (nextHop === undefined) this.unresolved.delete(name);
      else this.unresolved.set(name, prefix);
    }
    for (const row of routeRows(this.base, resolved)) {
      if (this.#static.has(row.name)) continue;
      changed.add(row.name);
      this.unresolved.delete(row.name);
      this.rows.set(row.name, row);
    }
    return changed;
  }

  /** The prefixes whose next hop resolves to something else than when their rows were made; all of them are made anew then. */
  movedRoutes(fabric: Fabric, resolver: NextHopResolver): string[] {
    const moved = new Set<string>();
    for (const [nextHop, via] of this.#viaOf) if (resolver(nextHop) !== via) moved.add(nextHop);
    if (moved.size === 0) return [];
    for (const nextHop of moved) this.#viaOf.delete(nextHop);
    return [...fabric.prefixes].filter(prefix => moved.has(fabric.routeTo(prefix)!.nextHop));
  }

  /** The wanted flows as text, a flow a line, without its end. */
  *lines(): Generator<string> {
    for (const row of this.rows.values()) yield flowText(row);
  }

  #announce(vm: Vm): void {
    if (vm.path === "l2" || this.#ownNextHop === null) return;
    for (const address of vm.addresses) {
      const prefix = hostPrefix(formatIpv4(address));
      const route = { prefix, labels: this.#labels, nextHop: this.#ownNextHop, originator: null };
      this.announcements.set(prefix, { route, vm: vm.id });
    }
  }
}
