/**
 * `npm run bench`: measures this checkout on this machine, beside yardsticks in the same run, and prints what
 * came out. Rows are run one after the other, never two at once; names on the command line choose among them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EFFORTS, type Effort, type Section } from "./cases.ts";
import { replayRow, startRow, wasmRow } from "./commands.ts";
import { coreRow, framesRow } from "./core.ts";
import { commitName, machineLine, ROOT } from "./harness.ts";
import { largeRow } from "./large.ts";
import { jsonOf, type Run, textOf, withFigures } from "./report.ts";
import { streamRow } from "./resident.ts";
import { editsRow, prefixesRow, routesRow } from "./tables.ts";
import { workFolder } from "./traffic.ts";

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
  { name: "large-inbound", run: largeRow("inbound") },
  { name: "large-outbound", run: largeRow("outbound") },
  { name: "stream", run: streamRow },
  { name: "routes", run: routesRow },
  { name: "size", run: wasmRow },
  { name: "core", run: coreRow },
  { name: "frames", run: framesRow },
  { name: "edits", run: editsRow },
  { name: "prefixes", run: prefixesRow },
];

const USAGE = `Usage: npm run bench -- [--short] [--json] [--docs] [ROW…]

  --short  under a minute, for CI: fewer rounds, a smaller stream
  --json   the bench object of the command line's contract on stdout
  --docs   also write the figures into docs/performance.md (all rows, long form)
  ROW      only rows whose name contains one of these: ${ROWS.map(({ name }) => name).join(", ")}

BENCH_DIR names a folder for the files, which are kept there; without it they are removed.
`;

export async function runRows(rows: readonly Row[], effort: Effort): Promise<Section[]> {
  const folder = workFolder();
  const stop = (): never => process.exit(130);
  process.once("exit", folder.remove);
  process.once("SIGINT", stop);
  const sections: Section[] = [];
  try {
    for (const { name, run } of rows) {
      const start = performance.now();
      if (effort.name !== "smoke") process.stderr.write(`bench: ${name} … `);
      sections.push(await run(effort, folder.path));
      const seconds = (performance.now() - start) / 1000;
      if (effort.name !== "smoke") process.stderr.write(`${seconds.toFixed(1)} s\n`);
    }
  } finally {
    folder.remove();
    process.removeListener("exit", folder.remove);
    process.removeListener("SIGINT", stop);
  }
  return sections;
}

interface Asked {
  readonly isShort: boolean;
  readonly isJson: boolean;
  readonly isDocs: boolean;
  readonly rows: readonly Row[];
}

/** What the command line asks for; a text is what is wrong with it, or the help. */
function ask(args: readonly string[]): Asked | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        short: { type: "boolean" },
        json: { type: "boolean" },
        docs: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const { short = false, json = false, docs = false, help = false } = values;
    if (help) return "";
    const stranger = positionals.find(part => !ROWS.some(({ name }) => name.includes(part)));
    if (stranger !== undefined) return `no row is named "${stranger}"`;
    if (docs && (short || positionals.length > 0)) return "--docs takes all rows in their long form";
    const rows = ROWS.filter(
      ({ name }) => positionals.length === 0 || positionals.some(part => name.includes(part)),
    );
    return { isShort: short, isJson: json, isDocs: docs, rows };
  } catch (error) {
    return (error as Error).message;
  }
}

async function main(): Promise<number> {
  const asked = ask(process.argv.slice(2));
  if (typeof asked === "string") {
    if (asked === "") process.stdout.write(USAGE);
    else process.stderr.write(`bench: ${asked}\n\n${USAGE}`);
    return asked === "" ? 0 : 1;
  }
  const effort = asked.isShort ? EFFORTS.short : EFFORTS.long;
  const where = { machine: machineLine(), commit: commitName(), effort: effort.name };
  const date = new Date().toISOString().slice(0, 10);
  const run: Run = { ...where, date, sections: await runRows(asked.rows, effort) };
  process.stdout.write(asked.isJson ? `${jsonOf(run)}\n` : textOf(run));
  if (asked.isDocs) {
    const page = join(ROOT, "docs/performance.md");
    writeFileSync(page, withFigures(readFileSync(page, "utf8"), run));
  }
  return 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
