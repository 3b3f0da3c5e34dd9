/**
 * An intent after loading: all addresses are numbers, and every rule of the intent file is checked. Plain
 * data without methods; the modules that compile, pack or prove an intent read only this.
 */
import type { Diagnostic, Location } from "../errors/index.ts";
import type { Ipv4Address, MacAddress } from "../wire/index.ts";

/** The attachment mode of a VM (key `path`), as in docs/pipeline.md. */
export type Path = "l2" | "dual-l2" | "dual-l3" | "l3";

export interface Uplink {
  readonly port: string;
  readonly ofport: number;
  readonly mac: MacAddress;
  /** Largest layer-3 packet in bytes; null: not checked. */
  readonly mtu: number | null;
}

export interface Vm {
  readonly id: number;
  readonly name: string;
  readonly port: string;
  readonly ofport: number;
  readonly mac: MacAddress;
  /** At least one. */
  readonly addresses: readonly Ipv4Address[];
  readonly path: Path;
  /** Largest layer-3 packet in bytes; null: not checked. */
  readonly mtu: number | null;
}

/** The labels of a route, outermost first (0…3), and the MAC address of its next hop. */
export interface NextHop {
  readonly labels: readonly number[];
  readonly via: MacAddress;
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
  readonly virtualMac: MacAddress;
  readonly trafficClass: number;
  readonly uplink: Uplink;
  readonly vms: readonly Vm[];
  readonly routes: Routes;
}

/** The places of the parts of an intent, for messages. */
export interface Places {
  /** The mapping of VM `index`. */
  vm(index: number): Required<Location>;
  /** Route `index`, in the intent or in its routesFile. */
  route(index: number): Required<Location>;
}

/** The result of loading: the intent is null, and there are no places, if there is at least one error. */
export interface Loaded {
  readonly intent: Intent | null;
  readonly places?: Places;
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}
