/**
 * Tables edited while they are in use: the VMs and routes that changed, as plain data that goes from one
 * thread to another, and applied to a core entry by entry. What belongs together (a VM) is one call; routes
 * come in steps, between which frames may be run. Two cores with the same tables that are given the same
 * edits have the same tables again.
 */
import * as abi from "../../assembly/abi.ts";
import type { NextHop, Path } from "../intent/index.ts";
import type { Core } from "./core.ts";
import {
  editHosts,
  editRouteRows,
  FLAGS,
  LIMITS,
  mostBytes,
  must,
  networkOrder,
  ROUTE_WORDS,
  setNextHop,
} from "./pack.ts";

/** A VM's port as the core knows it. */
export interface PortEdit {
  readonly ofport: number;
  readonly mac: number;
  readonly path: Path;
  readonly mtu: number | null;
}

/** What changes about VMs between two batches, in the order in which it is done. */
export interface VmEdits {
  readonly goneAddresses: readonly number[];
  /** Numbers of ports. */
  readonly gonePorts: readonly number[];
  /** Ports whose path or MTU is another; number and MAC are the same. */
  readonly changedPorts: readonly PortEdit[];
  readonly newPorts: readonly PortEdit[];
  readonly newAddresses: readonly (readonly [address: number, ofport: number])[];
}

/** What changes about routes. */
export interface RouteEdits {
  readonly trafficClass: number;
  /** Next hops that no route has before `rows` are applied. */
  readonly nextHops: readonly { readonly index: number; readonly hop: NextHop }[];
  /** Prefix (host order), length and next hop, or REMOVE, one after the other. */
  readonly rows: Uint32Array;
}

/** Next hops, and route entries, that one step writes: some tens of microseconds. */
const STEP_HOPS = 64;
const STEP_COST = 256;
/** Leaves of a short prefix that cost as much as an entry. */
const LEAVES_AN_ENTRY = 256;
const SHORT_BITS = 16;
/** Entries below which building a table anew is no more than a step. */
const SMALL_TABLE = 4096;

/** Edits VMs. Throws CapacityError at a limit, after having done a part. */
export function editVms(core: Core, edits: VmEdits): void {
  const { exports } = core;
  editHosts(
    core,
    edits.goneAddresses.map((address): [number, null] => [address, null]),
  );
  for (const ofport of edits.gonePorts) must(exports.removePort(ofport), LIMITS.ports);
  for (const { ofport, path, mtu } of edits.changedPorts)
    must(exports.changePort(ofport, FLAGS[path], mostBytes(mtu)), LIMITS.ports);
  for (const { ofport, path, mac, mtu } of edits.newPorts)
    must(exports.addPort(ofport, FLAGS[path], networkOrder(mac), mostBytes(mtu), 0), LIMITS.ports);
  core.watchPorts(edits.newPorts.map(({ ofport }) => ofport));
  editHosts(core, edits.newAddresses);
}

/**
 * Edits routes in steps, between which frames may be run. Throws CapacityError at a limit, after having
 * done a part.
 */
export function* stepsToEditRoutes(core: Core, edits: RouteEdits): Generator<void, void> {
  const { nextHops, rows, trafficClass } = edits;
  for (const [place, { index, hop }] of nextHops.entries()) {
    setNextHop(core, index, hop, trafficClass);
    if (place % STEP_HOPS === STEP_HOPS - 1) yield;
  }
  const count = rows.length / ROUTE_WORDS;
  for (let first = 0; first < count; ) {
    let next = first;
    for (let cost = 0; next < count && (cost < STEP_COST || next === first); next++)
      cost += costOf(rows[next * ROUTE_WORDS + 1]!);
    editRouteRows(core, rows, first * ROUTE_WORDS, next - first);
    first = next;
    yield;
  }
}

/**
 * What an edit of a prefix costs, in entries: the short ones are pushed down to leaves
 * (assembly/table/prefixes.ts).
 */
function costOf(length: number): number {
  return length > SHORT_BITS ? 1 : 1 + 2 ** (SHORT_BITS - length) / LEAVES_AN_ENTRY;
}

/** What tells whether a table was built anew by an edit. */
export interface Shape {
  readonly buckets: readonly number[];
  /** Edits since it was last decided whether there is a dense table. */
  readonly denseEdits: readonly number[];
  readonly entries: number;
  /**
   * Whether more than half of the places for local addresses are taken; that table does not grow by edits.
   */
  readonly isCrowded: boolean;
}

const SLOTS = 8;

/** The shape of the tables that frames see. */
export function shapeOf(core: Core): Shape {
  const bank = core.exports.activeBank();
  const word = (at: number): number => core.words[(bank + at) >>> 2]!;
  const tables = [abi.SETTING_HOSTS, abi.SETTING_EXACT, abi.SETTING_LONG];
  const buckets = tables.map(table => word(table + abi.TABLE_BUCKETS));
  const entries = tables.map(table => word(table + abi.TABLE_ENTRIES));
  return {
    buckets,
    denseEdits: [abi.SETTING_DENSE_HOSTS, abi.SETTING_DENSE_EXACT].map(table =>
      word(table + abi.DENSE_EDITS),
    ),
    entries: Math.max(...entries),
    isCrowded: entries[0]! * 2 > buckets[0]! * SLOTS && buckets[0]! < abi.MAX_HOST_BUCKETS,
  };
}

/** Whether edits made a table anew that is so large that frames would have waited for it. */
export function isRebuilt(before: Shape, after: Shape): boolean {
  if (after.entries < SMALL_TABLE) return false;
  const isLarger = after.buckets.some((count, table) => count !== before.buckets[table]);
  return isLarger || after.denseEdits.some((count, table) => count < before.denseEdits[table]!);
}
