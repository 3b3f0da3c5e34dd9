/**
 * What `slash32 bench` and `npm run bench` do: measure this program on this machine, beside yardsticks in the same run.
 * Rows are run one after the other, never two at once. Bundled by itself (build/bench.js), so that no other command has
 * to load it; the command line is src/cli/bench.ts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EFFORTS, type Effort, type Section } from "./cases.ts";
import { replayRow, startRow, wasmRow } from "./commands.ts";
import { memoryRow } from "./core.ts";
import { countingRow } from "./counting.ts";
import { framesRow } from "./frames.ts";
import { commitName, machineLine } from "./harness.ts";
import { isCheckout, ROOT } from "./place.ts";
import { jsonOf, ndjsonOf, type Run, textOf, withFigures } from "./report.ts";
import { streamRow } from "./resident.ts";
import { editsRow, prefixesRow, routesRow } from "./tables.ts";
import { workFolder } from "./traffic.ts";

/** What the user can mend; printed as one line. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

export interface Row {
  readonly name: string;
  readonly run: (effort: Effort, folder: string) => Section | Promise<Section>;
}

/**
 * In the order in which they run: processes first, while this one is still small and starts others quickly.
 */
export const ROWS: readonly Row[] = [
  { name: "start", run: startRow },
  { name: "capture-inbound", run: replayRow("inbound") },
  { name: "capture-outbound", run: replayRow("outbound") },
  { name: "stream", run: streamRow },
  { name: "routes", run: routesRow },
  { name: "size", run: wasmRow },
  { name: "core-inbound", run: memoryRow("inbound") },
  { name: "core-outbound", run: memoryRow("outbound") },
  { name: "core-arp", run: memoryRow("arp") },
  { name: "core-bridge", run: memoryRow("bridge") },
  { name: "core-drop", run: memoryRow("drop") },
  { name: "core-mix", run: memoryRow("mix") },
  { name: "core-counters", run: countingRow },
  { name: "frames", run: framesRow },
  { name: "edits", run: editsRow },
  { name: "prefixes", run: prefixesRow },
];

/** Runs rows, and says on standard error how far it is unless told not to. */
export async function runRows(rows: readonly Row[], effort: Effort, isQuiet = true): Promise<Section[]> {
  const folder = workFolder();
  const stop = (): never => process.exit(130);
  process.once("exit", folder.remove);
  process.once("SIGINT", stop);
  const sections: Section[] = [];
  try {
    for (const { name, run } of rows) {
      const start = performance.now();
      if (!isQuiet) process.stderr.write(`bench: ${name} … `);
      sections.push(await run(effort, folder.path));
      const seconds = (performance.now() - start) / 1000;
      if (!isQuiet) process.stderr.write(`${seconds.toFixed(1)} s\n`);
    }
  } finally {
    folder.remove();
    process.removeListener("exit", folder.remove);
    process.removeListener("SIGINT", stop);
  }
  return sections;
}

export interface BenchOptions {
  /** Parts of the names of rows; none: all of them. */
  readonly names: readonly string[];
  readonly effort: Effort["name"];
  readonly format: "text" | "json" | "ndjson";
  /** Whether the figures are also written into docs/performance.md. */
  readonly isDocs: boolean;
  readonly isQuiet: boolean;
}

/** Rows by parts of their names. Throws a BenchError when a part is in none of them. */
export function rowsNamed(names: readonly string[]): readonly Row[] {
  const stranger = names.find(part => !ROWS.some(({ name }) => name.includes(part)));
  if (stranger !== undefined) {
    throw new BenchError(
      `no row is named "${stranger}"; there are ${ROWS.map(({ name }) => name).join(", ")}`,
    );
  }
  return ROWS.filter(({ name }) => names.length === 0 || names.some(part => name.includes(part)));
}

/** Measures, and gives what is to be printed. Throws BenchError for what the user can mend. */
export async function bench({ names, effort, format, isDocs, isQuiet }: BenchOptions): Promise<string> {
  const rows = rowsNamed(names);
  if (isDocs && (effort !== "long" || names.length > 0)) {
    throw new BenchError("--docs takes all rows in their long form");
  }
  if (isDocs && !isCheckout)
    throw new BenchError("--docs writes docs/performance.md of a checkout, and this is none");
  const where = { machine: machineLine(), commit: commitName(), effort };
  const date = new Date().toISOString().slice(0, 10);
  const run: Run = { ...where, date, sections: await runRows(rows, EFFORTS[effort], isQuiet) };
  if (isDocs) {
    const page = join(ROOT, "docs/performance.md");
    writeFileSync(page, withFigures(readFileSync(page, "utf8"), run));
  }
  return WRITERS[format](run);
}

const WRITERS: Readonly<Record<BenchOptions["format"], (run: Run) => string>> = {
  text: textOf,
  json: run => `${jsonOf(run)}\n`,
  ndjson: run => `${ndjsonOf(run)}\n`,
};
