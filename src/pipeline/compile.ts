/**
 * An intent as flows: the rows of pipeline/tables.ts filled in, sorted by table, then priority downwards, then text.
 * Rows of the pipeline and of VMs are made and sorted once; routes, of which there may be a million, stay columns:
 * only their order is kept, and a flow is made when it is asked for. Every flow that leaves is checked against the
 * table of rows. Not a printer of files: cli/compile.ts writes what is made here.
 */

import type { Intent, Path, Routes, Vm } from "../intent/index.ts";
import { formatIpv4, formatMac, maskOf } from "../wire/index.ts";
import {
  cookieOf,
  fill,
  PIPELINE_ROWS,
  type PipelineRow,
  PUSH,
  prefixText,
  Recognizer,
  type RowInstance,
  type RowKind,
  wordsOf,
} from "./tables.ts";

/** One line of flow text, without its end: `cookie=0x10000,table=0,priority=500,… actions=drop`. */
export function flowText(flow: RowInstance): string {
  return `cookie=${flow.cookie},table=${flow.table},${ruleText(flow)} actions=${flow.actions}`;
}

/** What a flow matches, with its priority: `priority=400,in_port=1,…`. */
export function ruleText({ priority, match }: RowInstance): string {
  return match === "" ? `priority=${priority}` : `priority=${priority},${match}`;
}

/** The kinds of rows that a VM has, by its path. */
const KINDS_OF: { readonly [path in Path]: readonly RowKind[] } = {
  l2: ["L2-in", "L2-out"],
  "dual-l2": ["L2-in", "L3-in", "L2-out"],
  "dual-l3": ["L2-in", "L3-in", "L3-out"],
  l3: ["L3-in", "L3-out"],
};

const PIPELINE = PIPELINE_ROWS.filter(({ kinds }) => kinds.includes("pipeline"));
const VM_ROWS = PIPELINE_ROWS.filter(({ match, actions }) => {
  const words = wordsOf(`${match} ${actions}`);
  return words.has("W") || words.has("mac");
});
const SAYS_A: ReadonlyMap<PipelineRow, boolean> = new Map(
  VM_ROWS.map(row => [row, wordsOf(row.match).has("A")]),
);
const [ROUTE_ROW, DEFAULT_ROUTE_ROW] = PIPELINE_ROWS.filter(({ kinds }) => kinds.includes("route"));
const ROUTE_TABLE = ROUTE_ROW!.table;
const ROUTE_PRIORITY = 100;
/** A fabric has a few thousand; a million kept would take a gigabyte. */
const NEXT_HOPS_KEPT = 16_384;
const ROUTE_COOKIE = cookieOf(ROUTE_TABLE, "route", 0);

/** All flows of an intent, in order; line N of the compiled text is flow N - 1. */
export class Flows {
  /** How many there are. */
  readonly count: number;
  readonly #intent: Intent;
  readonly #recognizer: Recognizer;
  /** All but the routes' flows; those stand behind the first `#before`. */
  readonly #fixed: readonly RowInstance[];
  readonly #before: number;
  /** Made when the first route is asked for. */
  #routeOrder: RouteOrder | null = null;
  /** Values of the words of a route's actions, overwritten for each next hop. */
  readonly #values: Record<string, string>;
  /** Actions by next hop, made when the first route to it is. */
  readonly #actions: (string | undefined)[];
  #lines: ReadonlyMap<string, number> | null = null;

  /** `kin`: flows of an intent that differs in VMs and routes only; what checks them is made once for both. */
  constructor(intent: Intent, kin: Flows | null = null) {
    this.#intent = intent;
    const constants = constantsOf(intent);
    this.#values = { ...constants };
    this.#recognizer = kin === null ? new Recognizer(constants) : kin.#recognizer;
    this.#fixed = sorted([...pipelineFlows(constants), ...vmFlows(intent.vms, constants)]);
    const behind = this.#fixed.findIndex(
      ({ table, priority }) => table > ROUTE_TABLE || (table === ROUTE_TABLE && priority < ROUTE_PRIORITY),
    );
    this.#before = behind;
    this.#actions = new Array(Math.min(intent.routes.nextHops.length, NEXT_HOPS_KEPT));
    this.count = this.#fixed.length + intent.routes.count;
  }

  /** Flow `index` of `count`, checked. */
  at(index: number): RowInstance {
    const place = index - this.#before;
    const routeCount = this.#intent.routes.count;
    const flow =
      place >= 0 && place < routeCount
        ? this.#routeFlow(place)
        : this.#fixed[place < 0 ? index : index - routeCount]!;
    const rows = this.#recognizer.rowsOf(flow);
    if (rows.length !== 1) throw new Error(`an instance of ${rows.length} rows: ${flowText(flow)}`);
    return flow;
  }

  *[Symbol.iterator](): Generator<RowInstance> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }

  /** The number of the route whose flow stands at `index`, or -1. */
  routeAt(index: number): number {
    const place = index - this.#before;
    return place >= 0 && place < this.#intent.routes.count ? this.#routes.order[place]! : -1;
  }

  /** The index of the flow of a table that matches exactly this, or -1. Routes are found by `route`. */
  find(table: number, priority: number, match: string): number {
    if (this.#lines === null) {
      const lines = new Map<string, number>();
      for (const [index, flow] of this.#fixed.entries()) {
        const line = index < this.#before ? index : index + this.#intent.routes.count;
        lines.set(`${flow.table},${flow.priority},${flow.match}`, line);
      }
      if (lines.size !== this.#fixed.length) throw new Error("two flows match the same");
      this.#lines = lines;
    }
    return this.#lines.get(`${table},${priority},${match}`) ?? -1;
  }

  /** The index of the flow of the longest prefix that holds `address`, or -1. */
  route(address: number): number {
    const place = this.#routes.longest(address);
    return place < 0 ? -1 : this.#before + place;
  }

  get #routes(): RouteOrder {
    this.#routeOrder ??= new RouteOrder(this.#intent.routes);
    return this.#routeOrder;
  }

  #routeFlow(place: number): RowInstance {
    const { prefixes, lengths, nextHopOf } = this.#intent.routes;
    const route = this.#routes.order[place]!;
    const length = lengths[route]!;
    const row = length === 0 ? DEFAULT_ROUTE_ROW! : ROUTE_ROW!;
    const PREFIX = prefixText(formatIpv4(prefixes[route]!), length);
    return {
      table: row.table,
      priority: ROUTE_PRIORITY + length,
      kind: "route",
      owner: 0,
      cookie: ROUTE_COOKIE,
      match: length === 0 ? row.match : fill(row.match, { PREFIX }),
      actions: this.#actionsOf(nextHopOf[route]!),
    };
  }

  #actionsOf(nextHop: number): string {
    const known = this.#actions[nextHop];
    if (known !== undefined) return known;
    const { labels, via } = this.#intent.routes.nextHops[nextHop]!;
    const values = this.#values;
    values.via = formatMac(via);
    values.PUSHES = "";
    for (let index = labels.length - 1; index >= 0; index--) {
      values.L = String(labels[index]);
      values.PUSHES += (values.PUSHES === "" ? "" : ",") + fill(PUSH, values);
    }
    const actions = fill(ROUTE_ROW!.actions, values);
    if (nextHop < NEXT_HOPS_KEPT) this.#actions[nextHop] = actions;
    return actions;
  }
}

function constantsOf({ uplink, virtualMac, label, trafficClass }: Intent): Readonly<Record<string, string>> {
  return {
    U: String(uplink.ofport),
    Umac: formatMac(uplink.mac),
    vmac: formatMac(virtualMac),
    LABEL: String(label),
    TC: String(trafficClass),
  };
}

function instance(
  row: PipelineRow,
  kind: RowKind,
  owner: number,
  values: Readonly<Record<string, string>>,
): RowInstance {
  const { table, priority, match, actions } = row;
  if (typeof priority !== "number") throw new Error(`a priority of ${priority} is a route's`);
  const cookie = cookieOf(table, kind, owner);
  return { table, priority, kind, owner, cookie, match: fill(match, values), actions: fill(actions, values) };
}

function pipelineFlows(constants: Readonly<Record<string, string>>): RowInstance[] {
  return PIPELINE.map(row => instance(row, "pipeline", 0, constants));
}

function vmFlows(vms: readonly Vm[], constants: Readonly<Record<string, string>>): RowInstance[] {
  const flows: RowInstance[] = [];
  for (const { id, ofport, mac, addresses, path } of vms) {
    const values = { ...constants, W: String(ofport), mac: formatMac(mac) };
    const ofAddresses = addresses.map(address => ({ ...values, A: formatIpv4(address) }));
    for (const row of VM_ROWS) {
      const kind = row.kinds.find(candidate => KINDS_OF[path].includes(candidate));
      if (kind === undefined) continue;
      for (const each of SAYS_A.get(row) ? ofAddresses : [values]) flows.push(instance(row, kind, id, each));
    }
  }
  return flows;
}

function sorted(flows: readonly RowInstance[]): RowInstance[] {
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

/** An address as a number that sorts as its dotted decimal text does: a dot, slash or blank is below all digits. */
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
