/**
 * From differences to causes. A proof gives one difference for each packet class with different outcomes;
 * people need the flows to fix. Differences with the same description, at flows of one table with the same
 * match fields, form one cause, whose rows are all flows concerned. Pure functions of plain data.
 */
import { ruleOf } from "./finding.ts";
import { count } from "./text.ts";
import type { VerifyDifference, VerifyRow, VerifyStep } from "./verify.ts";

export interface Cause {
  /** The first one is printed in full. */
  readonly differences: readonly VerifyDifference[];
  /** Index of the first flow at which a and b diverge. */
  readonly at: number;
  /**
   * Equal in each run: the difference and the match fields of the flows at which a and b diverge, without
   * values.
   */
  readonly name: string;
  readonly rowCount: number;
  /** Every row once. */
  rows(): Iterable<VerifyRow>;
}

const isSame = (a: VerifyStep | undefined, b: VerifyStep | undefined): boolean =>
  a !== undefined && b !== undefined && a.match === b.match && a.actions === b.actions;

function partingOf({ a, b }: VerifyDifference): number {
  let at = 0;
  while (at < a.flows.length && isSame(a.flows[at], b.flows[at])) at++;
  return at;
}

/**
 * The flows that cause a divergence: the one of higher priority, which the other side does not match, or
 * both if the priorities are equal.
 */
function dueTo(left: VerifyStep | undefined, right: VerifyStep | undefined): (VerifyStep | null)[] {
  const above = (left?.priority ?? -1) - (right?.priority ?? -1);
  return [above >= 0 ? (left ?? null) : null, above <= 0 ? (right ?? null) : null];
}

/** `table=40,priority=132,ip,nw_dst`: a flow's match without its values. */
function kindOf({ text }: VerifyStep): string {
  const [match] = ruleOf(text).split(/\bactions=/);
  return match!
    .split(/[,\s]+/)
    .filter(part => part !== "")
    .map(part => (/^(?:table|priority)=/.test(part) ? part : part.replace(/=.*$/, "")))
    .join();
}

interface Group {
  readonly at: number;
  readonly list: VerifyDifference[];
}

/** Groups differences with the same causing flows. */
function byFlows(differences: readonly VerifyDifference[]): Group[] {
  const groups = new Map<string, Group>();
  for (const difference of differences) {
    const at = partingOf(difference);
    const due = dueTo(difference.a.flows[at], difference.b.flows[at]);
    const name = JSON.stringify(due.map(step => [step?.match, step?.actions]));
    const known = groups.get(name);
    if (known === undefined) groups.set(name, { at, list: [difference] });
    else known.list.push(difference);
  }
  return [...groups.values()];
}

/** The first difference and the match fields of its flows. */
function nameOf({ at, list: [difference] }: Group): string {
  const { what, a, b } = difference!;
  const kinds = dueTo(a.flows[at], b.flows[at]).map(step => (step === null ? "" : kindOf(step)));
  const flows = [...new Set(kinds.filter(kind => kind !== ""))].join(" and ");
  return flows === "" ? what : `${what} (${flows})`;
}

/** Groups differences by their flows, then by description and match fields; the largest group first. */
export function causesOf(differences: readonly VerifyDifference[]): Cause[] {
  const byName = new Map<string, Group>();
  for (const group of byFlows(differences)) {
    const name = nameOf(group);
    const known = byName.get(name);
    if (known === undefined) byName.set(name, group);
    else known.list.push(...group.list);
  }
  return [...byName]
    .map(([name, { at, list }]) => causeOf(name, at, list))
    .sort((a, b) => b.differences.length - a.differences.length);
}

function causeOf(name: string, at: number, differences: readonly VerifyDifference[]): Cause {
  const [first, ...others] = differences as [VerifyDifference, ...VerifyDifference[]];
  if (others.length === 0) {
    const { rows } = first;
    return { differences, at, name, rowCount: rows.count, rows: () => indexed(rows) };
  }
  const places = new Map<number, readonly [VerifyDifference["rows"], number]>();
  for (const { rows } of differences)
    for (let index = 0; index < rows.count; index++)
      if (!places.has(rows.nameAt(index))) places.set(rows.nameAt(index), [rows, index]);
  return {
    differences,
    at,
    name,
    rowCount: places.size,
    *rows() {
      const sorted = [...places].sort(([left], [right]) => left - right);
      for (const [, [rows, index]] of sorted) yield rows.at(index);
    },
  };
}

function* indexed(rows: VerifyDifference["rows"]): Generator<VerifyRow> {
  for (let index = 0; index < rows.count; index++) yield rows.at(index);
}

export const plural = (number: number, one: string): string =>
  `${count(number)} ${one}${number === 1 ? "" : "s"}`;

/** The difference, and how many flows have it: with figures, which may change from run to run. */
export function titleOf({ differences, rowCount }: Cause): string {
  const [first, ...others] = differences as [VerifyDifference, ...VerifyDifference[]];
  const alike = Math.max(...differences.map(one => one.alike));
  const rows = alike > rowCount ? `${count(rowCount)} of ${count(alike)} flows` : plural(rowCount, "flow");
  const affected = rowCount <= 1 && alike === 0 ? "all frames of this packet class" : rows;
  const have = others.length === 1 ? "has" : "have";
  const more = `; ${plural(others.length, "more difference")} ${have} the same cause`;
  const comma = first.what.includes(" if port") ? "," : "";
  return `${first.what}${comma} for ${affected}${others.length === 0 ? "" : more}`;
}

/** Why a and b diverge, in one line. */
export function reasonOf({ differences: [difference], at }: Cause): string {
  const { a, b } = difference!;
  const [left, right] = [a.flows[at], b.flows[at]];
  if (left === undefined && right === undefined) return "both match the same flows; groups or ports differ";
  if (left?.match === right?.match) return "both have a flow with this match, and its actions differ";
  const [ofA, ofB] = dueTo(left, right);
  if (ofB === null) return "b lacks the higher-priority flow that a matches, or has it with a narrower match";
  if (ofA === null) return "a lacks the higher-priority flow that b matches, or has it with a narrower match";
  return "a and b match different flows of equal priority";
}
