/**
 * Two flows of one priority that are hit at once: whether they do different things anywhere on a path, lane by lane where
 * they are rows of maps.
 */
import type { Program } from "../symbolic/compiled-tables.ts";
import { isLanes, isRow } from "../symbolic/slot-values.ts";
import type { Source } from "../symbolic/state.ts";
import type { Path } from "./path-condition.ts";

/** Lanes of two rivals whose actions are compared one by one. */
const MAX_RIVAL_LANES = 2000;

/** The lanes of a domain on a path, also of one that became part of another. */
export function lanesOf(domain: number, path: Path): (index: number) => number {
  const view = path.views.get(domain);
  if (view === undefined) {
    const lanes = path.lanes.get(domain)!;
    return index => lanes[index]!;
  }
  const outer = lanesOf(view.domain, path);
  return index => view.laneOf[outer(index)]!;
}

/** How many lanes of a domain there are on a path. */
export function countLanes(domain: number, path: Path): number {
  const view = path.views.get(domain);
  return view === undefined ? (path.lanes.get(domain)?.length ?? 0) : countLanes(view.domain, path);
}

/** Whether two flows that are hit at once do different things anywhere on the path. */
export function differ(program: Program, path: Path, a: Source, b: Source): boolean {
  if (isRow(a) && isRow(b)) return program.actionsOf(a.flow) !== program.actionsOf(b.flow);
  let count = 0;
  for (const source of [a, b]) if (isLanes(source)) count = Math.max(count, countLanes(source.domain, path));
  if (count > MAX_RIVAL_LANES) return true;
  const flowAt = (source: Source, index: number): number =>
    isLanes(source) ? source.flowOf(lanesOf(source.domain, path)(index)) : isRow(source) ? source.flow : -1;
  for (let index = 0; index < count; index++) {
    if (program.actionsOf(flowAt(a, index)) !== program.actionsOf(flowAt(b, index))) return true;
  }
  return false;
}
