/**
 * The desired state: the flows and announcements that follow from the intent, the VMs by id and the routes by
 * prefix. Each step returns the keys of the flows that may differ, so that one VM or route costs only itself.
 */

import type { FabricRoute } from "../bgp/index.ts";
import { type Intent, isSameVm, type NextHop, type Vm } from "../intent/index.ts";
import { type Hypervisor, hypervisorOf, pipelineFlows, routeFlow, vmFlows } from "../pipeline/index.ts";
import { formatIpv4, macFromBits } from "../wire/index.ts";
import { entryOf, FlowEntry, keyOfFlow } from "./flow-entry.ts";
import { hostPrefix, type NextHopResolver, parsePrefix, type Rib } from "./rib.ts";

/** Equal next hops share one object; a fabric has a few thousand. */
const NEXT_HOPS_KEPT = 16_384;
const NOWHERE: NextHop = { labels: [], via: macFromBits(0) };

export class Desired {
  /** All flows by key. */
  readonly flows = new Map<string, FlowEntry>();
  /** The accepted VMs, by id. */
  readonly vms = new Map<number, Vm>();
  /** Announcements by prefix, each with the VM that it is for. */
  readonly announcements = new Map<string, { readonly route: FabricRoute; readonly vm: number }>();
  /** Prefixes whose next hop has no known MAC, by the key of their flow: the flow that is installed stays. */
  readonly unresolved = new Map<string, string>();
  readonly hypervisor: Hypervisor;
  readonly #ownNextHop: string | null;
  readonly #tagOf: ((vm: Vm) => string) | null;
  readonly #labels: readonly number[];
  readonly #keysOf = new Map<number, readonly string[]>();
  /** Keys of the intent's own routes, which win over the fabric's. */
  readonly #static = new Set<string>();
  /** The MAC that each next hop resolved to when flows were made of it. */
  readonly #viaOf = new Map<string, number | null>();
  readonly #nextHops = new Map<string, NextHop>();

  /** `labels`: those of our own announcements. `tagOf` is the bridge's. */
  constructor(
    base: Intent,
    ownNextHop: string | null,
    labels: readonly number[],
    tagOf: ((vm: Vm) => string) | null,
  ) {
    this.#tagOf = tagOf;
    this.#ownNextHop = ownNextHop;
    this.#labels = labels;
    this.hypervisor = hypervisorOf(base);
    for (const flow of pipelineFlows(this.hypervisor)) this.#add(entryOf(flow));
    const { count, prefixes, lengths, nextHopOf, nextHops } = base.routes;
    for (let index = 0; index < count; index++) {
      const nextHop = nextHops[nextHopOf[index]!]!;
      this.#static.add(
        this.#add(entryOf(routeFlow(this.hypervisor, prefixes[index]!, lengths[index]!, nextHop))),
      );
    }
  }

  /** Takes exactly these VMs; returns the keys of flows that changed. */
  setVms(vms: ReadonlyMap<number, Vm>): Set<string> {
    const changed = new Set<string>();
    for (const [id, vm] of [...this.vms]) {
      const next = vms.get(id);
      if (next !== undefined && isSameVm(vm, next)) continue;
      for (const key of this.keysOf(id)) {
        changed.add(key);
        this.flows.delete(key);
      }
      this.#keysOf.delete(id);
      this.vms.delete(id);
      for (const address of vm.addresses) this.announcements.delete(hostPrefix(formatIpv4(address)));
    }
    for (const vm of vms.values()) {
      if (this.vms.has(vm.id)) continue;
      const tag = this.#tagOf?.(vm) ?? "";
      const keys = vmFlows(this.hypervisor, [vm]).map(flow => this.#add(entryOf(flow, tag)));
      for (const key of keys) changed.add(key);
      this.#keysOf.set(vm.id, keys);
      this.vms.set(vm.id, vm);
      this.#announce(vm);
    }
    return changed;
  }

  /** The keys of a VM's flows. */
  keysOf(id: number): readonly string[] {
    return this.#keysOf.get(id) ?? [];
  }

  /** Takes the routes to these prefixes as the fabric has them now; gives the keys of flows that changed. */
  setRoutes(rib: Rib, prefixes: Iterable<string>, resolver: NextHopResolver): Set<string> {
    const changed = new Set<string>();
    for (const prefix of prefixes) {
      const nextHop = rib.routeTo(prefix)?.nextHop;
      const route = rib.resolve(prefix, resolver);
      // The first answer stays until all its routes are made anew: others may still use it.
      if (nextHop !== undefined && !this.#viaOf.has(nextHop)) this.#viaOf.set(nextHop, route?.via ?? null);
      const at = route ?? parsePrefix(prefix);
      if (at === null) continue;
      const via =
        route === null ? NOWHERE : this.#nextHopOf({ labels: route.labels, via: macFromBits(route.via) });
      const flow = routeFlow(this.hypervisor, at.prefix, at.length, via);
      const key = keyOfFlow(flow);
      if (this.#static.has(key)) continue;
      changed.add(key);
      if (route !== null) this.flows.set(key, new FlowEntry(key, flow, null, ""));
      else this.flows.delete(key);
      if (route === null && nextHop !== undefined) this.unresolved.set(key, prefix);
      else this.unresolved.delete(key);
    }
    return changed;
  }

  /** The prefixes whose next hop resolves to another MAC than when their flows were made. */
  movedRoutes(rib: Rib, resolver: NextHopResolver): string[] {
    const moved = new Set<string>();
    for (const [nextHop, via] of this.#viaOf) if (resolver(nextHop) !== via) moved.add(nextHop);
    if (moved.size === 0) return [];
    for (const nextHop of moved) this.#viaOf.delete(nextHop);
    return [...rib.prefixes].filter(prefix => moved.has(rib.routeTo(prefix)!.nextHop));
  }

  #add(entry: FlowEntry): string {
    this.flows.set(entry.key, entry);
    return entry.key;
  }

  #nextHopOf({ labels, via }: NextHop): NextHop {
    const key = `${via} ${labels.join("/")}`;
    let nextHop = this.#nextHops.get(key);
    if (nextHop === undefined) {
      if (this.#nextHops.size >= NEXT_HOPS_KEPT) this.#nextHops.clear();
      nextHop = { labels, via };
      this.#nextHops.set(key, nextHop);
    }
    return nextHop;
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
