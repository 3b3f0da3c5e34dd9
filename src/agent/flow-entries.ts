/**
 * Rows as the agent handles them: what the pipeline of one hypervisor, one VM or one route is in flows, each under a name
 * that does not depend on the order in which a match is spelt. Compiled by the intent room; nothing is decided here about
 * when a row is written.
 */

import type { Intent, NextHop, Routes, Vm } from "../intent/index.ts";
import { Flows, type RowInstance } from "../pipeline/index.ts";
import { macFromBits } from "../wire/index.ts";

/** A row that should be there; once it was written, it is the installed one as well. */
export interface Row extends RowInstance {
  /** Table, priority and match; two rows of one name are one flow to Open vSwitch. */
  readonly name: string;
  /** The tag of its VM (bridge.ts), or empty. */
  readonly extras: string;
  /** The route that it is; null for other rows. */
  readonly route: ResolvedRoute | null;
  readonly isAsWritten: true;
}

/** A route with its next hop's MAC known. */
export interface ResolvedRoute {
  /** Unsigned, host order. */
  readonly prefix: number;
  readonly length: number;
  readonly labels: readonly number[];
  readonly via: number;
}

/** The name of a row; the words of a match may stand in any order. */
export function rowName(table: number, priority: number, match: string): string {
  return `${table}/${priority}/${sortedWords(match)}`;
}

/** The words of a match in order. Those of a route, of which there are most, are two and stand so. */
function sortedWords(match: string): string {
  const comma = match.indexOf(",");
  if (comma < 0) return match;
  if (match.indexOf(",", comma + 1) < 0 && match.slice(0, comma) < match.slice(comma + 1)) return match;
  return match.split(",").sort().join(",");
}

const NO_ROUTES: Routes = {
  count: 0,
  prefixes: new Uint32Array(0),
  lengths: new Uint8Array(0),
  nextHopOf: new Uint32Array(0),
  nextHops: [],
};

function named(row: RowInstance, extras = "", route: ResolvedRoute | null = null): Row {
  const { table, priority, kind, owner, cookie, match, actions } = row;
  const name = rowName(table, priority, match);
  return { table, priority, kind, owner, cookie, match, actions, name, extras, route, isAsWritten: true };
}

const pipelines = new WeakMap<Intent, Flows>();

/** The pipeline of a base, which is kin to all that is compiled for it: one VM or route costs no more than itself. */
function pipelineOf(base: Intent): Flows {
  let flows = pipelines.get(base);
  if (flows === undefined) {
    flows = new Flows({ ...base, vms: [], routes: NO_ROUTES });
    pipelines.set(base, flows);
  }
  return flows;
}

/** The rows that are there whatever VMs and routes there are. */
export function pipelineRows(base: Intent): Row[] {
  return [...pipelineOf(base)].map(row => named(row));
}

/** The rows of VMs, by their ids. */
export function vmRows(
  base: Intent,
  vms: readonly Vm[],
  tagOf: ((vm: Vm) => string) | null = null,
): Map<number, Row[]> {
  const rows = new Map<number, Row[]>(vms.map(({ id }) => [id, []]));
  const tags = new Map(vms.map(vm => [vm.id, tagOf?.(vm) ?? ""]));
  if (vms.length > 0)
    for (const row of new Flows({ ...base, vms, routes: NO_ROUTES }, pipelineOf(base)))
      rows.get(row.owner)?.push(named(row, tags.get(row.owner)));
  return rows;
}

/** The rows of routes, one each, in no order. */
export function routeRows(base: Intent, routes: readonly ResolvedRoute[]): Row[] {
  if (routes.length === 0) return [];
  const flows = new Flows({ ...base, vms: [], routes: columnsOf(routes) }, pipelineOf(base));
  const rows: Row[] = [];
  for (let index = 0; index < flows.count; index++) {
    const route = routes[flows.routeAt(index)];
    if (route !== undefined) rows.push(named(flows.at(index), "", route));
  }
  return rows;
}

/** Routes of an intent as a list. */
export function routesOf({ count, prefixes, lengths, nextHopOf, nextHops }: Routes): ResolvedRoute[] {
  return Array.from({ length: count }, (_, index) => ({
    prefix: prefixes[index]!,
    length: lengths[index]!,
    ...nextHops[nextHopOf[index]!]!,
  }));
}

/** A list of routes as an intent holds them. */
function columnsOf(routes: readonly ResolvedRoute[]): Routes {
  const nextHops: NextHop[] = [];
  const known = new Map<string, number>();
  const nextHopOf = Uint32Array.from(routes, ({ labels, via }) => {
    const key = `${via} ${labels.join("/")}`;
    const index = known.get(key) ?? nextHops.push({ labels, via: macFromBits(via) }) - 1;
    known.set(key, index);
    return index;
  });
  return {
    count: routes.length,
    prefixes: Uint32Array.from(routes, ({ prefix }) => prefix),
    lengths: Uint8Array.from(routes, ({ length }) => length),
    nextHopOf,
    nextHops,
  };
}
