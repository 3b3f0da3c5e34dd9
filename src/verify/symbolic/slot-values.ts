/**
 * Binds steps to the values of their slots: those of a single flow, or of all flows in a row set.
 */
import {
  compileActions,
  type Group,
  SET_END,
  SET_FIRST,
  type SetPart,
  type Step,
} from "../../openflow/index.ts";
import type { Subtable } from "./sorted-subtable.ts";
import type { Bound, SlotValues } from "./state.ts";
import type { Template } from "./templates.ts";
import { constantSegments, gathered, type Segment, sliceSegments, type Terms } from "./terms.ts";

let slotValuesCount = 0;

/** For steps without slots. */
export const NO_VALUES: SlotValues = {
  id: slotValuesCount++,
  template: null,
  read: () => {
    throw new Error("internal error: a slot of a step without a template");
  },
};

export const bind = (steps: readonly Step[], slotValues: SlotValues): Bound[] =>
  steps.map(step => ({ step, slotValues }));

/** The values of a single flow; `flow` is its index, for reports. */
export interface FlowValues extends SlotValues {
  readonly flow: number;
}

/** The values of a row set: each element has its own flow. */
export interface RowSetValues extends SlotValues {
  readonly rowSet: number;
  readonly flowOf: (element: number) => number;
}

export const isRowSet = (slotValues: SlotValues): slotValues is RowSetValues => "flowOf" in slotValues;
export const isSingleFlow = (slotValues: SlotValues): slotValues is FlowValues => "flow" in slotValues;

export function flowValues(template: Template, flow: number): FlowValues {
  const { flows } = template;
  return {
    id: slotValuesCount++,
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
 * The slot values of elements that match rows of a subtable: `rows[i]` is the row of element i; null means
 * row i. `name` prefixes the column names.
 */
export function rowSetValues(
  terms: Terms,
  {
    template,
    subtable,
    rowSet,
    name,
    rows,
  }: {
    readonly template: Template;
    readonly subtable: Subtable;
    readonly rowSet: number;
    readonly name: string;
    readonly rows: Int32Array | null;
  },
): RowSetValues {
  const segmentAt = (at: number): Segment => {
    const value = subtable.constantAt(at, template);
    if (value !== null) return { is: "const", bits: 32, value };
    const column = terms.column(`${name} ${at}`, rowSet, () => {
      const values = subtable.valuesAt(at);
      return rows === null ? values : gathered(values, rows);
    });
    return { is: "column", bits: 32, from: 0, column };
  };
  return {
    id: slotValuesCount++,
    template,
    rowSet,
    flowOf: element => subtable.flows[rows === null ? element : rows[element]!]!,
    read: ({ at, words }, bits) =>
      sliceSegments(words === 2 ? [segmentAt(at + 1), segmentAt(at)] : [segmentAt(at)], 0, bits),
  };
}

const groups = new WeakMap<Group, Bound[][]>();

/** The steps of each bucket. */
export function bindGroup(group: Group): readonly Bound[][] {
  let lists = groups.get(group);
  if (lists === undefined) {
    lists = group.buckets.map(({ actions }) => bind(compileActions(actions, group.source.line), NO_VALUES));
    groups.set(group, lists);
  }
  return lists;
}

/** The list that an action set executes (ovs-actions(7), "Action sets"). */
export function orderBound(written: readonly Bound[]): readonly Bound[] {
  if (written.length === 0) return written;
  const lastOf = (part: SetPart): Bound[] => written.filter(({ step }) => step.inSet === part).slice(-1);
  const end = SET_END.flatMap(lastOf);
  if (end.length === 0) return [];
  const changes = written.filter(({ step }) => step.inSet === "change");
  return [...SET_FIRST.flatMap(lastOf), ...changes, end.at(-1)!];
}
