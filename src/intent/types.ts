/**
 * An intent after loading: every name and address resolved to numbers, every rule of the intent file checked.
 * Plain data, no methods; the rooms that compile, pack or prove it read only this.
 */
import type { Diagnostic, Location } from "../errors/index.ts";

/** How a VM is attached; PIPELINE's table of paths. */
export type Path = "l2" | "dual-l2" | "dual-l3" | "l3";

export interface Uplink {
  readonly port: string;
  readonly ofport: number;
  /** MAC address as a number below 2^48. */
  readonly mac: number;
  /** Largest layer-3 packet in bytes; null: not checked. */
  readonly mtu: number | null;
}

export interface Vm {
  readonly id: number;
  readonly name: string;
  readonly port: string;
  readonly ofport: number;
  readonly mac: number;
  /** At least one, unsigned 32-bit, host order. */
  readonly addresses: readonly number[];
  readonly path: Path;
  /** As of the uplink; null: not checked. */
  readonly mtu: number | null;
}

/** Where routes lead: labels outermost first (0…3 of them) and the next hop's MAC. */
export interface NextHop {
  readonly labels: readonly number[];
  readonly via: number;
}

/**
 * Routes as columns, so that a million of them are four arrays and not a million objects. Row i is
 * `prefixes[i]/lengths[i]`, leading to `nextHops[nextHopOf[i]]`. Rows keep the order of the files.
 */
export interface Routes {
  readonly count: number;
  readonly prefixes: Uint32Array;
  readonly lengths: Uint8Array;
  readonly nextHopOf: Uint32Array;
  readonly nextHops: readonly NextHop[];
}

export interface Intent {
  readonly name: string;
  readonly bridge: string;
  readonly label: number;
  readonly virtualMac: number;
  readonly trafficClass: number;
  readonly uplink: Uplink;
  readonly vms: readonly Vm[];
  readonly routes: Routes;
}

/** Where the parts of an intent stand, for messages about them. */
export interface Places {
  /** The mapping of VM `index`. */
  vm(index: number): Required<Location>;
  /** Route `index`, in the intent or in its routesFile. */
  route(index: number): Required<Location>;
}

/** What loading gives: the intent is null, and without places, when there is at least one error. */
export interface Loaded {
  readonly intent: Intent | null;
  readonly places?: Places;
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}
