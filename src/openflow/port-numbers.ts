/**
 * The ports that flows name by number. If a dump names ports without a list of names (symbols.ts), a name may
 * be any port that no number is written for, so whoever compares two dumps must know these numbers.
 */
import { entryOf, listIn } from "./actions/index.ts";
import type { Action, Flow, Group } from "./ast.ts";
import { PORT } from "./ast.ts";
import type { FlowColumns } from "./columnar/dump.ts";
import { MAX_PORT, type SymbolNames } from "./symbols.ts";

const isPlainPort = (port: number): boolean => port > 0 && port <= MAX_PORT;

function portsIn(actions: readonly Action[], found: Set<number>): void {
  for (const action of actions) {
    for (const port of entryOf(action).ports?.(action) ?? []) found.add(port);
    portsIn(listIn(action), found);
  }
}

/**
 * Whether an action takes a port out of a field, or puts one there: then numbers and names meet in the field.
 */
const movesPorts = (actions: readonly Action[]): boolean =>
  actions.some(action => entryOf(action).movesPorts?.(action) === true || movesPorts(listIn(action)));

/**
 * The ports that flows name by number, reserved ones aside, and whether they move ports through other fields.
 */
export function portNumbersOf(
  flows: FlowColumns,
  groups: readonly Group[],
  names: SymbolNames,
): { readonly numbers: ReadonlySet<number>; readonly isMoved: boolean } {
  const found = new Set<number>();
  let isMoved = false;
  for (let index = 0; index < flows.count; index++) {
    const { match, actions }: Flow = flows.filledFlow(index);
    for (const { field, value } of match)
      if (field.format === "port" && value !== BigInt(PORT.local)) found.add(Number(value));
    portsIn(actions, found);
    isMoved ||= movesPorts(actions);
  }
  for (const { watchPort, actions } of groups.flatMap(({ buckets }) => buckets)) {
    if (watchPort !== null) found.add(watchPort);
    portsIn(actions, found);
    isMoved ||= movesPorts(actions);
  }
  const defined = new Set(names.values());
  return { numbers: new Set([...found].filter(port => isPlainPort(port) && !defined.has(port))), isMoved };
}
