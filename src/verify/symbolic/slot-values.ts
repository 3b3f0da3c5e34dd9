/**
 * Steps bound to where their values come from: a flow that was hit alone, the rows of a domain, a bucket of a group.
 */
import { compileActions, type Group, type SetPart, type Step } from "../../openflow/index.ts";
import type { MapNode } from "./sorted-subtable.ts";
import type { Bound, Source } from "./state.ts";
import type { Template } from "./templates.ts";
import { constantSegments, gathered, type Segment, sliceSegments, type Terms } from "./terms.ts";

let sourceCount = 0;

/** For steps without slots. */
export const NO_SOURCE: Source = {
  id: sourceCount++,
  template: null,
  read: () => {
    throw new Error("assertion: steps without a template have no slots");
  },
};

export const bind = (steps: readonly Step[], source: Source): Bound[] =>
  steps.map(step => ({ step, source }));

/** A flow by itself. `flow` is kept for people. */
export interface RowSource extends Source {
  readonly flow: number;
}

/** The rows of a domain: each lane has its flow. */
export interface LaneSource extends Source {
  readonly domain: number;
  readonly flowOf: (lane: number) => number;
}

export const isLanes = (source: Source): source is LaneSource => "flowOf" in source;
export const isRow = (source: Source): source is RowSource => "flow" in source;

export function rowSource(template: Template, flow: number): RowSource {
  const { flows } = template;
  return {
    id: sourceCount++,
    template,
    flow,
    read: ({ at, words }, bits) => {
      const value =
        words === 2 ? [flows.valueAt(flow, at + 1), flows.valueAt(flow, at)] : [flows.valueAt(flow, at)];
      return constantSegments(value, bits);
    },
  };
}

/**
 * The source of lanes that hit rows of a map: `rows` gives the row of each lane, and where it is null each lane is its
 * row. Columns of it are called by `name`.
 */
export function laneSource(
  terms: Terms,
  {
    template,
    map,
    domain,
    name,
    rows,
  }: {
    readonly template: Template;
    readonly map: MapNode;
    readonly domain: number;
    readonly name: string;
    readonly rows: Int32Array | null;
  },
): LaneSource {
  const segmentAt = (at: number): Segment => {
    const value = map.constantAt(at, template);
    if (value !== null) return { is: "const", bits: 32, value };
    const column = terms.column(`${name} ${at}`, domain, () => {
      const values = map.valuesAt(at);
      return rows === null ? values : gathered(values, rows);
    });
    return { is: "column", bits: 32, from: 0, column };
  };
  return {
    id: sourceCount++,
    template,
    domain,
    flowOf: lane => map.flows[rows === null ? lane : rows[lane]!]!,
    read: ({ at, words }, bits) =>
      sliceSegments(words === 2 ? [segmentAt(at + 1), segmentAt(at)] : [segmentAt(at)], 0, bits),
  };
}

const groups = new WeakMap<Group, Bound[][]>();

/** The lists of a group's buckets. */
export function bindGroup(group: Group): readonly Bound[][] {
  let lists = groups.get(group);
  if (lists === undefined) {
    lists = group.buckets.map(({ actions }) => bind(compileActions(actions, group.source.line), NO_SOURCE));
    groups.set(group, lists);
  }
  return lists;
}

/** Its parts in the order in which they run. */
const FIRST: readonly SetPart[] = [
  "pop_vlan",
  "pop_mpls",
  "decap",
  "encap",
  "push_mpls",
  "push_vlan",
  "dec_ttl",
  "dec_mpls_ttl",
  "dec_nsh_ttl",
];
const END: readonly SetPart[] = ["ct", "ct_clear", "resubmit", "output", "group"];

/** The list that an action set, as it was written, stands for (ovs-actions(7), "Action sets"). */
export function orderBound(written: readonly Bound[]): readonly Bound[] {
  if (written.length === 0) return written;
  const lastOf = (part: SetPart): Bound[] => written.filter(({ step }) => step.inSet === part).slice(-1);
  const end = END.flatMap(lastOf);
  if (end.length === 0) return [];
  const changes = written.filter(({ step }) => step.inSet === "change");
  return [...FIRST.flatMap(lastOf), ...changes, end.at(-1)!];
}
