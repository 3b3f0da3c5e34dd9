/**
 * Whether two matched flows of equal priority act differently anywhere on a path, and the elements of row
 * sets after joins.
 */
import type { Program } from "../symbolic/compiled-tables.ts";
import { isRowSet, isSingleFlow } from "../symbolic/slot-values.ts";
import type { SlotValues } from "../symbolic/state.ts";
import type { Path } from "./path-condition.ts";

/**
 * Elements of two row sets whose actions are compared one by one; with more, the flows count as different.
 */
const MAX_COMPARED_ELEMENTS = 2000;

/** The elements of a row set on a path, also of a row set that was joined into another one. */
export function elementsOf(rowSet: number, path: Path): (index: number) => number {
  const joinMap = path.joinMaps.get(rowSet);
  if (joinMap === undefined) {
    const elements = path.elements.get(rowSet)!;
    return index => elements[index]!;
  }
  const outer = elementsOf(joinMap.rowSet, path);
  return index => joinMap.elementOf[outer(index)]!;
}

/** The number of elements of a row set on a path. */
export function countElements(rowSet: number, path: Path): number {
  const joinMap = path.joinMaps.get(rowSet);
  return joinMap === undefined
    ? (path.elements.get(rowSet)?.length ?? 0)
    : countElements(joinMap.rowSet, path);
}

/** Whether two flows that match the same packet act differently anywhere on the path. */
export function differ(program: Program, path: Path, a: SlotValues, b: SlotValues): boolean {
  if (isSingleFlow(a) && isSingleFlow(b)) return program.actionsOf(a.flow) !== program.actionsOf(b.flow);
  let count = 0;
  for (const slotValues of [a, b])
    if (isRowSet(slotValues)) count = Math.max(count, countElements(slotValues.rowSet, path));
  if (count > MAX_COMPARED_ELEMENTS) return true;
  const flowAt = (slotValues: SlotValues, index: number): number =>
    isRowSet(slotValues)
      ? slotValues.flowOf(elementsOf(slotValues.rowSet, path)(index))
      : isSingleFlow(slotValues)
        ? slotValues.flow
        : -1;
  for (let index = 0; index < count; index++) {
    if (program.actionsOf(flowAt(a, index)) !== program.actionsOf(flowAt(b, index))) return true;
  }
  return false;
}
