/**
 * A flow of the pipeline as numbers: the row that it is an instance of, and the values of that row's words.
 * `pipelineFlow` makes one and asserts that the values are possible for the row, so that no compiler can emit
 * a flow that is not in tables.ts; the functions below print it. recognize.ts is the way back from text.
 * docs/pipeline.md.
 */

import type { Intent, NextHop } from "../intent/index.ts";
import {
  formatIpv4,
  formatMac,
  type Ipv4Address,
  ipv4FromBits,
  isGroupMac,
  type MacAddress,
  macFromBits,
  maskOf,
} from "../wire/index.ts";
import { cookieOf, isOfVm, type PipelineRow, PUSH, partsOf, type RowKind, type Word } from "./tables.ts";

/** A flow as text, as ovs-ofctl prints its parts. */
export interface FlowText {
  /** In hex. */
  readonly cookie: string;
  readonly table: number;
  readonly priority: number;
  readonly match: string;
  readonly actions: string;
}

/** The values that are the same in all flows of a hypervisor. MACs are 48-bit numbers. */
export interface Hypervisor {
  /** U: the uplink's OpenFlow port. */
  readonly uplink: number;
  readonly uplinkMac: number;
  readonly virtualMac: number;
  readonly label: number;
  readonly trafficClass: number;
}

/** The values that belong to one flow; those that its row has no word for are left out. */
export interface FlowValues {
  /** W. */
  readonly port?: number;
  readonly mac?: number;
  /** A, or the address of a route's prefix; unsigned, host order. */
  readonly address?: number;
  /** The length of a route's prefix. */
  readonly length?: number;
  readonly nextHop?: NextHop | null;
}

/** One flow of the pipeline. Values that its row has no word for are 0 or null. */
export interface PipelineFlow {
  readonly hypervisor: Hypervisor;
  readonly row: PipelineRow;
  readonly table: number;
  readonly priority: number;
  readonly kind: RowKind;
  /** A VM's id; 0 for pipeline and routes. */
  readonly owner: number;
  readonly port: number;
  readonly mac: MacAddress;
  readonly address: Ipv4Address;
  readonly length: number;
  readonly nextHop: NextHop | null;
}

/** The values of an intent that all of its flows share. */
export function hypervisorOf({ uplink, virtualMac, label, trafficClass }: Intent): Hypervisor {
  return { uplink: uplink.ofport, uplinkMac: uplink.mac, virtualMac, label, trafficClass };
}

/** Makes a flow. Throws an internal error for values that no flow of the row can have. */
export function pipelineFlow(
  hypervisor: Hypervisor,
  row: PipelineRow,
  kind: RowKind,
  owner: number,
  { port = 0, mac = 0, address = 0, length = 0, nextHop = null }: FlowValues,
): PipelineFlow {
  const { table } = row;
  const priority = row.priority === "100+plen" ? 100 + length : row.priority;
  const own = { port, mac: macFromBits(mac), address: ipv4FromBits(address), length, nextHop };
  const flow = { hypervisor, row, table, priority, kind, owner, ...own };
  const problem = problemOf(flow);
  if (problem !== null)
    throw new Error(`internal error: table ${table}, priority ${priority}, owner ${owner}: ${problem}`);
  return flow;
}

const PORT_MAX = 0xffff;
const ADDRESS_MIN = 0x0100_0000;
const LABEL_MIN = 16;
const LABEL_MAX = 0xfffff;
export const PUSHES_MAX = 3;

/** Whether a VM may have a MAC address: neither zero nor a group address. */
export const isStation = (mac: number): boolean => mac > 0 && mac < 2 ** 48 && !isGroupMac(mac);

/** Why a flow is not an instance of its row; null: it is one. */
function problemOf(flow: PipelineFlow): string | null {
  const { row, kind, owner, port, mac, address, length, nextHop } = flow;
  const { words } = row;
  if (!row.kinds.includes(kind)) return `kind ${kind} does not occur in this row`;
  if (isOfVm(kind) !== owner > 0) return `kind ${kind} with owner ${owner}`;
  if (words.has("W") && !(port > 0 && port <= PORT_MAX)) return `port ${port} is not valid`;
  if (words.has("mac") && !isStation(mac)) return `MAC ${formatMac(mac)} is not valid`;
  if (words.has("A") && address < ADDRESS_MIN) return `address ${formatIpv4(address)} is not valid`;
  if (kind !== "route") return null;
  const isDefault = row.priority !== "100+plen";
  if (isDefault !== (length === 0) || length > 32) return `prefix length ${length} is not valid`;
  if ((address & maskOf(length)) >>> 0 !== address)
    return `prefix ${formatIpv4(address)}/${length} has host bits`;
  if (nextHop === null) return "it has no next hop";
  if (nextHop.labels.length > PUSHES_MAX) return `${nextHop.labels.length} labels`;
  return nextHop.labels.every(isLabel) ? null : `labels ${nextHop.labels.join("/")} are not valid`;
}

/** Whether a label is one that a flow may push or match as a hypervisor's: 0…15 are reserved (RFC 3032). */
export const isLabel = (label: number): boolean => label >= LABEL_MIN && label <= LABEL_MAX;

/** Whether two flows are one entry of the switch and do the same, owner and kind included. */
export function isSameFlow(one: PipelineFlow, other: PipelineFlow): boolean {
  return (
    one.row === other.row &&
    one.kind === other.kind &&
    one.owner === other.owner &&
    one.port === other.port &&
    one.mac === other.mac &&
    one.address === other.address &&
    one.length === other.length &&
    isSameHypervisor(one.hypervisor, other.hypervisor) &&
    isSameNextHop(one.nextHop, other.nextHop)
  );
}

function isSameHypervisor(one: Hypervisor, other: Hypervisor): boolean {
  if (one === other) return true;
  return (
    one.uplink === other.uplink &&
    one.uplinkMac === other.uplinkMac &&
    one.virtualMac === other.virtualMac &&
    one.label === other.label &&
    one.trafficClass === other.trafficClass
  );
}

function isSameNextHop(one: NextHop | null, other: NextHop | null): boolean {
  if (one === other || one === null || other === null) return one === other;
  const { labels, via } = one;
  return (
    via === other.via &&
    labels.length === other.labels.length &&
    labels.every((label, index) => label === other.labels[index])
  );
}

// ── Text ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A route's destination as ovs-ofctl prints it: 10.0.0.0/8; a host without its length. */
const prefixText = (address: number, length: number): string =>
  length === 32 ? formatIpv4(address) : `${formatIpv4(address)}/${length}`;

type Printer = (flow: PipelineFlow) => string;

const PRINTERS: Readonly<Record<Exclude<Word, "L">, Printer>> = {
  U: ({ hypervisor }) => String(hypervisor.uplink),
  Umac: ({ hypervisor }) => formatMac(hypervisor.uplinkMac),
  vmac: ({ hypervisor }) => formatMac(hypervisor.virtualMac),
  LABEL: ({ hypervisor }) => String(hypervisor.label),
  TC: ({ hypervisor }) => String(hypervisor.trafficClass),
  W: ({ port }) => String(port),
  mac: ({ mac }) => formatMac(mac),
  A: ({ address }) => formatIpv4(address),
  PREFIX: ({ address, length }) => prefixText(address, length),
  via: ({ nextHop }) => formatMac(nextHop!.via),
  PUSHES: ({ nextHop, hypervisor }) => pushesText(nextHop!.labels, hypervisor.trafficClass),
};

const PUSH_PARTS = partsOf(PUSH);

/** The labels are stored outermost first and pushed from the innermost out. */
function pushesText(labels: readonly number[], trafficClass: number): string {
  const [start, , between, , end] = PUSH_PARTS;
  return labels
    .map(label => `${start}${label}${between}${trafficClass}${end}`)
    .reverse()
    .join(",");
}

/** Puts values in the place of words. PUSHES may be empty, and then takes the comma behind it along. */
function fill(parts: readonly string[], flow: PipelineFlow): string {
  let text = parts[0]!;
  for (let index = 1; index < parts.length; index += 2) {
    const value = PRINTERS[parts[index] as keyof typeof PRINTERS](flow);
    text += value + (value === "" ? parts[index + 1]!.slice(1) : parts[index + 1]!);
  }
  return text;
}

/** What a flow matches: `in_port=1,arp`; empty: every frame. */
function matchText(flow: PipelineFlow): string {
  return fill(flow.row.matchParts, flow);
}

/** The same as a switch prints it: `arp,in_port=1`. */
export function printedMatchText(flow: PipelineFlow): string {
  return fill(flow.row.printedParts, flow);
}

/** The actions of routes by next hop, for the hypervisor that asked last: many routes share one. */
const routeActions = new WeakMap<NextHop, { readonly hypervisor: Hypervisor; readonly text: string }>();

/** The actions of a flow: `dec_ttl,…,output:1`. */
export function actionsText(flow: PipelineFlow): string {
  const { hypervisor, nextHop, row } = flow;
  if (nextHop === null) return fill(row.actionParts, flow);
  const known = routeActions.get(nextHop);
  if (known?.hypervisor === hypervisor) return known.text;
  const text = fill(row.actionParts, flow);
  routeActions.set(nextHop, { hypervisor, text });
  return text;
}

/** The parts of a flow as text, as ovs-ofctl prints them. */
export interface PrintedFlow extends FlowText {
  readonly kind: RowKind;
  readonly owner: number;
}

/** Prints a flow in parts. */
export function printFlow(flow: PipelineFlow): PrintedFlow {
  const { table, priority, kind, owner } = flow;
  const cookie = cookieOf(table, kind, owner);
  return { table, priority, kind, owner, cookie, match: matchText(flow), actions: actionsText(flow) };
}

/** What a flow matches, with its priority: `priority=400,in_port=1,…`. */
export function ruleText(flow: PipelineFlow): string {
  const match = matchText(flow);
  return match === "" ? `priority=${flow.priority}` : `priority=${flow.priority},${match}`;
}

/** One line of flow text, without its end: `cookie=0x10000,table=0,priority=500,… actions=drop`. */
export function flowText(flow: PipelineFlow): string {
  const cookie = cookieOf(flow.table, flow.kind, flow.owner);
  return `cookie=${cookie},table=${flow.table},${ruleText(flow)} actions=${actionsText(flow)}`;
}
