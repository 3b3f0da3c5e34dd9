/**
 * Fills the core's tables: an intent becomes ports, hosts, next hops and routes. Also single edits of hosts
 * and routes afterwards. Everything is staged in the core's memory, so that a million routes are sixteen
 * calls.
 */

import * as abi from "../../assembly/abi.ts";
import { UserError } from "../errors/index.ts";
import type { Intent, NextHop, Path, Routes } from "../intent/index.ts";
import type { CoreExports } from "./load.ts";

/** What packing uses of a core. */
export interface Tables {
  readonly exports: CoreExports;
  readonly words: Uint32Array;
}

export const FLAGS: Record<Path, number> = {
  l2: abi.FLAG_L2_IN,
  "dual-l2": abi.FLAG_L2_IN | abi.FLAG_L3_IN,
  "dual-l3": abi.FLAG_L2_IN | abi.FLAG_L3_IN | abi.FLAG_L3_OUT,
  l3: abi.FLAG_L3_IN | abi.FLAG_L3_OUT,
};

const ETHERNET_HEADER_BYTES = 14;
const NO_LIMIT = 0xffffffff;

/** Longest frame that may leave by a port, in bytes, from the MTU that the intent gives it. */
export function mostBytes(mtu: number | null): number {
  return mtu === null ? NO_LIMIT : mtu + ETHERNET_HEADER_BYTES;
}

/** What each limit of assembly/abi.ts counts, for the message when it is reached. */
export const LIMITS = {
  ports: `${abi.MAX_PORTS} ports, the uplink included`,
  hosts: `${abi.MAX_HOSTS} addresses of local VMs`,
  nextHops: `${abi.MAX_NEXT_HOPS} next hops that differ`,
  routes: `${abi.MAX_ROUTES} routes`,
};

/** Words of a route edit. */
export const ROUTE_WORDS = abi.ROUTE_EDIT_BYTES >>> 2;

/** A limit of assembly/abi.ts is exceeded; the message says which. */
export class CapacityError extends UserError {
  override readonly name = "CapacityError";
}

/** A change of one route: its next hop's index, or null to take it out. Prefix in host order. */
export interface RouteEdit {
  readonly prefix: number;
  readonly length: number;
  readonly nextHop: number | null;
}

/** Replaces all tables. Until the last step frames see the old ones; an error leaves those in force. */
export function pack(core: Tables, intent: Intent): void {
  const { exports } = core;
  const { routes } = intent;
  let exact = 0;
  let long = 0;
  for (const length of routes.lengths.subarray(0, routes.count)) {
    if (length === 32) exact++;
    else if (length > 16) long++;
  }
  const hosts = intent.vms.reduce((sum, vm) => sum + vm.addresses.length, 0);
  const virtualMac = networkOrder(intent.virtualMac);
  const uplinkMac = networkOrder(intent.uplink.mac);
  const begun = exports.begin(intent.label, virtualMac, uplinkMac, exact, long, hosts);
  must(begun, hosts > abi.MAX_HOSTS ? LIMITS.hosts : LIMITS.routes);
  try {
    packPorts(core, intent);
    packHosts(core, intent);
    for (const [index, hop] of routes.nextHops.entries()) setNextHop(core, index, hop, intent.trafficClass);
    packRoutes(core, routes);
  } catch (error) {
    exports.abandon();
    throw error;
  }
  must(exports.commit(), "nothing");
}

/** Ports of an intent in the order of their numbers: the order of interfaces in an output capture. */
export function portsInOrder(
  intent: Intent,
): { port: string; ofport: number; mac: number; mtu: number | null }[] {
  return [intent.uplink, ...intent.vms].toSorted((a, b) => a.ofport - b.ofport);
}

function packPorts(core: Tables, intent: Intent): void {
  const flags = new Map<number, number>([[intent.uplink.ofport, abi.FLAG_UPLINK]]);
  for (const vm of intent.vms) flags.set(vm.ofport, FLAGS[vm.path]);
  for (const [index, { ofport, mac, mtu }] of portsInOrder(intent).entries()) {
    const most = mostBytes(mtu);
    must(core.exports.addPort(ofport, flags.get(ofport)!, networkOrder(mac), most, index), LIMITS.ports);
  }
}

function packHosts(core: Tables, intent: Intent): void {
  const owners = intent.vms.flatMap(({ addresses, ofport }) =>
    addresses.map((address): [number, number] => [address, ofport]),
  );
  editHosts(core, owners);
}

/**
 * Gives addresses to the VMs at these ports, in order; null takes one away. Throws at the first that fails.
 */
export function editHosts(
  core: Tables,
  edits: readonly (readonly [address: number, ofport: number | null])[],
): void {
  const { words } = core;
  for (let first = 0; first < edits.length; first += abi.MAX_EDITS) {
    const count = Math.min(abi.MAX_EDITS, edits.length - first);
    for (let index = 0; index < count; index++) {
      const at = (abi.STAGING + index * abi.HOST_EDIT_BYTES) >>> 2;
      const [address, ofport] = edits[first + index]!;
      words[at] = address;
      words[at + 1] = ofport ?? abi.REMOVE;
    }
    applied(core, core.exports.applyHosts(count), count, LIMITS.hosts);
  }
}

/**
 * Fills in a next hop: label stack entries with S on the innermost only and the intent's traffic class (RFC
 * 5462).
 */
export function setNextHop(core: Tables, index: number, hop: NextHop, trafficClass: number): void {
  const entries = hop.labels.map((label, depth) => {
    const bottom = depth === hop.labels.length - 1 ? 0x100 : 0;
    return ((label << 12) | (trafficClass << 9) | bottom) >>> 0;
  });
  const [first = 0, second = 0, third = 0] = entries;
  const via = networkOrder(hop.via);
  must(core.exports.setNextHop(index, via, entries.length, first, second, third), LIMITS.nextHops);
}

function packRoutes(core: Tables, routes: Routes): void {
  for (let first = 0; first < routes.count; first += abi.MAX_EDITS) {
    const count = Math.min(abi.MAX_EDITS, routes.count - first);
    stage(core, count, index => {
      const row = first + index;
      return [routes.prefixes[row]!, routes.lengths[row]!, routes.nextHopOf[row]!];
    });
  }
}

/** Applies edits in order. Throws at the first that fails, those before it being done. */
export function editRoutes(core: Tables, edits: readonly RouteEdit[]): void {
  for (let first = 0; first < edits.length; first += abi.MAX_EDITS) {
    const count = Math.min(abi.MAX_EDITS, edits.length - first);
    stage(core, count, index => {
      const { prefix, length, nextHop } = edits[first + index]!;
      return [prefix, length, nextHop ?? abi.REMOVE];
    });
  }
}

/**
 * Applies route edits: `count` rows of prefix, length and next hop (REMOVE: none) from word `first` of
 * `rows` on.
 */
export function editRouteRows(core: Tables, rows: Uint32Array, first: number, count: number): void {
  core.words.set(rows.subarray(first, first + count * ROUTE_WORDS), abi.STAGING >>> 2);
  applied(core, core.exports.applyRoutes(count), count, LIMITS.routes);
}

function stage(core: Tables, count: number, row: (index: number) => [number, number, number]): void {
  const { words } = core;
  let at = abi.STAGING >>> 2;
  for (let index = 0; index < count; index++, at += ROUTE_WORDS) {
    const [prefix, length, nextHop] = row(index);
    words[at] = prefix;
    words[at + 1] = length;
    words[at + 2] = nextHop;
  }
  applied(core, core.exports.applyRoutes(count), count, LIMITS.routes);
}

function applied(core: Tables, done: number, wanted: number, limit: string): void {
  if (done < wanted) must(core.exports.status(), limit);
}

export function must(status: number, limit: string): void {
  if (status === abi.Status.Ok) return;
  if (status === abi.Status.Full) throw new CapacityError(`too many for the core: it holds ${limit}`);
  throw new Error(`the core refused an edit: ${abi.Status[status]}`);
}

/** A MAC as the core wants it: its six bytes in network order, read as a little-endian number. */
export function networkOrder(mac: number): bigint {
  let left = mac;
  let bytes = 0n;
  for (let octet = 0; octet < 6; octet++) {
    bytes = (bytes << 8n) | BigInt(left % 256);
    left = Math.floor(left / 256);
  }
  return bytes;
}
