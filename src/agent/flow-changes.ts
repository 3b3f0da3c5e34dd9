/**
 * From a comparison to a bundle: which rows are missing, changed or stale, and the text that ovs-ofctl(8) takes for it.
 * A row is deleted by its exact match, priority and cookie, so that a row of somebody else's in the same place stays.
 */
import { flowText } from "../pipeline/index.ts";
import type { Row } from "./flow-entries.ts";
import { type Installed, type InstalledRow, isSameRow } from "./observed-state.ts";

/** One flow that is written. */
export type Edit =
  | { readonly op: "add"; readonly name: string; readonly row: Row; readonly before: InstalledRow | null }
  | { readonly op: "delete"; readonly name: string; readonly before: InstalledRow };

/** What is to be written so that the rows of these names are as wanted. */
export function editsOf(
  names: Iterable<string>,
  wanted: ReadonlyMap<string, Row>,
  installed: Installed,
): Edit[] {
  const edits: Edit[] = [];
  for (const name of names) {
    const row = wanted.get(name);
    const before = installed.ours.get(name) ?? null;
    if (row !== undefined) {
      if (before === null || !isSameRow(before, row)) edits.push({ op: "add", name, row, before });
    } else if (before !== null) edits.push({ op: "delete", name, before });
  }
  return edits;
}

/**
 * All of a cookie but bit 31, which no cookie of the pipeline has. Open vSwitch looks for an exact cookie among all flows that
 * have it, and all routes have one: 10,000 deletions among 100,000 flows take half a minute so, and 0.2 s with any other mask.
 */
const COOKIE_MASK = "0xffffffff7fffffff";

/** The line of a bundle. */
export function bundleLine(edit: Edit): string {
  if (edit.op === "add") return `add ${flowText(edit.row)}`;
  const { cookie, table, priority, match } = edit.before;
  return `delete_strict cookie=${cookie}/${COOKIE_MASK},table=${table},priority=${priority}${match === "" ? "" : `,${match}`}`;
}

/**
 * The lines of a bundle, deletions first: a row of ours may stand, under another spelling and so under another name, in
 * the place of one that is added. A bundle is atomic, so no frame sees the moment between.
 */
export function bundleOf(edits: readonly Edit[]): string {
  const ordered = [...edits.filter(({ op }) => op === "delete"), ...edits.filter(({ op }) => op === "add")];
  return `${ordered.map(bundleLine).join("\n")}\n`;
}

/** Enters edits that the switch took. */
export function enter(installed: Installed, edits: readonly Edit[]): void {
  for (const edit of edits) {
    if (edit.op === "delete") installed.delete(edit.name);
    else installed.set(edit.name, edit.row);
  }
}
