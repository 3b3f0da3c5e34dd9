/**
 * An intent as flows: the rows of tables.ts with values, sorted by table, then priority downwards, then text.
 * Flows of the pipeline and of VMs are made and sorted once; routes, of which there may be a million, stay
 * columns: only their order is kept, and a flow is made when it is requested. cli/compile.ts writes the file.
 */

import type { Intent, Path, Routes, Vm } from "../intent/index.ts";
import { maskOf } from "../wire/index.ts";
import {
  type FlowValues,
  flowText,
  type Hypervisor,
  hypervisorOf,
  type PipelineFlow,
  pipelineFlow,
} from "./flow.ts";
import { DEFAULT_ROUTE_ROW, PIPELINE_ROWS, type PipelineRow, ROUTE_ROW, type RowKind } from "./tables.ts";

/** The kinds of rows that a VM has, by its path. */
export const KINDS_OF: { readonly [path in Path]: readonly RowKind[] } = {
  l2: ["L2-in", "L2-out"],
  "dual-l2": ["L2-in", "L3-in", "L2-out"],
  "dual-l3": ["L2-in", "L3-in", "L3-out"],
  l3: ["L3-in", "L3-out"],
};

const PIPELINE = PIPELINE_ROWS.filter(({ kinds }) => kinds.includes("pipeline"));
const VM_ROWS = PIPELINE_ROWS.filter(({ words }) => words.has("W") || words.has("mac"));
const ROUTE_TABLE = ROUTE_ROW.table;
const ROUTE_PRIORITY = 100;

/** All flows of an intent, in order; line N of the compiled text is flow N - 1. */
export class Flows {
  /** How many there are. */
  readonly count: number;
  readonly hypervisor: Hypervisor;
  readonly #routes: Routes;
  /** All but the routes' flows; those stand behind the first `#before`. */
  readonly #fixed: readonly PipelineFlow[];
  readonly #before: number;
  /** Made when the first route is requested. */
  #routeOrder: RouteOrder | null = null;
  #lines: ReadonlyMap<string, number> | null = null;

  constructor(intent: Intent) {
    this.#routes = intent.routes;
    this.hypervisor = hypervisorOf(intent);
    this.#fixed = sorted([...pipelineFlows(this.hypervisor), ...vmFlows(this.hypervisor, intent.vms)]);
    this.#before = this.#fixed.findIndex(
      ({ table, priority }) => table > ROUTE_TABLE || (table === ROUTE_TABLE && priority < ROUTE_PRIORITY),
    );
    this.count = this.#fixed.length + intent.routes.count;
  }

  /** Flow `index` of `count`. */
  at(index: number): PipelineFlow {
    const place = index - this.#before;
    const routeCount = this.#routes.count;
    if (place < 0 || place >= routeCount) return this.#fixed[place < 0 ? index : index - routeCount]!;
    const { prefixes, lengths, nextHopOf, nextHops } = this.#routes;
    const route = this.#order.order[place]!;
    return routeFlow(this.hypervisor, prefixes[route]!, lengths[route]!, nextHops[nextHopOf[route]!]!);
  }

  *[Symbol.iterator](): Generator<PipelineFlow> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }

  /** The number of the route whose flow is at `index`, or -1. */
  routeAt(index: number): number {
    const place = index - this.#before;
    return place >= 0 && place < this.#routes.count ? this.#order.order[place]! : -1;
  }

  /** The index of the flow of a row with these values, or -1. Routes are found by `route`. */
  find(row: PipelineRow, { port = 0, mac = 0, address = 0 }: FlowValues): number {
    if (this.#lines === null) {
      const lines = new Map<string, number>();
      for (const [index, flow] of this.#fixed.entries())
        lines.set(lookupKey(flow.row, flow), index < this.#before ? index : index + this.#routes.count);
      if (lines.size !== this.#fixed.length) throw new Error("internal error: two flows have the same match");
      this.#lines = lines;
    }
    return this.#lines.get(lookupKey(row, { port, mac, address })) ?? -1;
  }

  /** The index of the flow of the longest prefix that holds `address`, or -1. */
  route(address: number): number {
    const place = this.#order.longest(address);
    return place < 0 ? -1 : this.#before + place;
  }

  get #order(): RouteOrder {
    this.#routeOrder ??= new RouteOrder(this.#routes);
    return this.#routeOrder;
  }
}

/** A row and the values of the words in its match; values that stand in its actions alone are left out. */
function lookupKey({ index, matchWords }: PipelineRow, { port, mac, address }: FlowValues): string {
  const has = (word: "W" | "mac" | "A", value: number | undefined) => (matchWords.has(word) ? value : "");
  return `${index} ${has("W", port)} ${has("mac", mac)} ${has("A", address)}`;
}

/** The flow of a route. */
export function routeFlow(
  hypervisor: Hypervisor,
  address: number,
  length: number,
  nextHop: FlowValues["nextHop"],
): PipelineFlow {
  const row = length === 0 ? DEFAULT_ROUTE_ROW : ROUTE_ROW;
  return pipelineFlow(hypervisor, row, "route", 0, { address, length, nextHop: nextHop ?? null });
}

/** The flows that exist once. */
export function pipelineFlows(hypervisor: Hypervisor): PipelineFlow[] {
  return PIPELINE.map(row => pipelineFlow(hypervisor, row, "pipeline", 0, {}));
}

/** The flows of VMs, VM by VM. */
export function vmFlows(hypervisor: Hypervisor, vms: readonly Vm[]): PipelineFlow[] {
  const flows: PipelineFlow[] = [];
  for (const { id, ofport, mac, addresses, path } of vms) {
    for (const row of VM_ROWS) {
      const kind = row.kinds.find(candidate => KINDS_OF[path].includes(candidate));
      if (kind === undefined) continue;
      const { words } = row;
      const values = { ...(words.has("W") && { port: ofport }), ...(words.has("mac") && { mac }) };
      for (const address of row.matchWords.has("A") ? addresses : [0])
        flows.push(pipelineFlow(hypervisor, row, kind, id, { ...values, address }));
    }
  }
  return flows;
}

function sorted(flows: readonly PipelineFlow[]): PipelineFlow[] {
  return flows
    .map(flow => ({ flow, text: flowText(flow) }))
    .sort((a, b) => {
      const above = a.flow.table - b.flow.table || b.flow.priority - a.flow.priority;
      return above !== 0 ? above : a.text < b.text ? -1 : 1;
    })
    .map(({ flow }) => flow);
}

/** Place of each octet among all octets as text: 0 1 10 100 101 … 99. */
const OCTET_RANKS = new Uint8Array(256);
for (const [rank, octet] of Array.from({ length: 256 }, (_, i) => String(i))
  .sort()
  .entries()) {
  OCTET_RANKS[Number(octet)] = rank;
}

/**
 * An address as a number that sorts as its dotted decimal text does: a dot, slash or blank is below all
 * digits.
 */
function textKey(address: number): number {
  const high = (OCTET_RANKS[address >>> 24]! << 8) | OCTET_RANKS[(address >>> 16) & 255]!;
  const low = (OCTET_RANKS[(address >>> 8) & 255]! << 8) | OCTET_RANKS[address & 255]!;
  return high * 0x10000 + low;
}

/** Routes in the order of their flows: the longest prefixes first, equal lengths by text. */
class RouteOrder {
  /** Route numbers by place. */
  readonly order: Uint32Array;
  /** Sort keys by place. */
  readonly #keys: Uint32Array;
  /** The places of prefixes of `length` bits are `#starts[length]` up to that of `length - 1`. */
  readonly #starts: Uint32Array;

  constructor({ count, prefixes, lengths }: Routes) {
    const keys = prefixes.map(textKey);
    let order = new Uint32Array(count).map((_, index) => index);
    // Radix sort, least significant digit first: four octets, then the length.
    const octets = new Uint8Array(count);
    for (let shift = 0; shift < 32; shift += 8) {
      for (let route = 0; route < count; route++) octets[route] = keys[route]! >>> shift;
      order = byDigit(order, octets);
    }
    this.order = byDigit(
      order,
      lengths.map(length => 32 - length),
    );
    this.#keys = new Uint32Array(count);
    this.#starts = new Uint32Array(33);
    for (let place = 0; place < count; place++) {
      const route = this.order[place]!;
      this.#keys[place] = keys[route]!;
      this.#starts[lengths[route]!]!++;
    }
    let start = 0;
    for (let length = 32; length >= 0; length--) {
      const here = this.#starts[length]!;
      this.#starts[length] = start;
      start += here;
    }
  }

  /** The place of the longest prefix that holds the address, or -1. */
  longest(address: number): number {
    for (let length = 32; length >= 0; length--) {
      const place = this.#find((address & maskOf(length)) >>> 0, length);
      if (place >= 0) return place;
    }
    return -1;
  }

  #find(prefix: number, length: number): number {
    const key = textKey(prefix);
    const end = length === 0 ? this.order.length : this.#starts[length - 1]!;
    let low = this.#starts[length]!;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low < end && this.#keys[low] === key ? low : -1;
  }
}

/** A stable counting sort of route numbers by a digit of 0…255 that each route has. */
function byDigit(order: Uint32Array, digits: Uint8Array): Uint32Array<ArrayBuffer> {
  const places = new Uint32Array(257);
  for (let at = 0; at < order.length; at++) places[digits[order[at]!]! + 1]!++;
  for (let i = 1; i < 257; i++) places[i]! += places[i - 1]!;
  const next = new Uint32Array(order.length);
  for (let at = 0; at < order.length; at++) {
    const route = order[at]!;
    next[places[digits[route]!]!++] = route;
  }
  return next;
}
