/**
 * `npm run bench`: measures this checkout on this machine, beside yardsticks in the same run, and prints what
 * came out. Rows are run one after the other, never two at once; names on the command line choose among them.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Baseline,
  baselineText,
  guard,
  guardText,
  middleOf,
  type RowRatios,
  ratiosOf,
  readBaseline,
} from "./baseline.ts";
import { EFFORTS, type Effort, type Section } from "./cases.ts";
import { replayRow, startRow, wasmRow } from "./commands.ts";
import { coreRow, framesRow } from "./core.ts";
import { commitName, machineLine, ROOT } from "./harness.ts";
import { plotsOf, withPlots } from "./plot.ts";
import { jsonOf, type Run, textOf, withFigures } from "./report.ts";
import { streamRow } from "./resident.ts";
import { benchOf } from "./result.ts";
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
  { name: "stream", run: streamRow },
  { name: "routes", run: routesRow },
  { name: "size", run: wasmRow },
  { name: "core", run: coreRow },
  { name: "frames", run: framesRow },
  { name: "edits", run: editsRow },
  { name: "prefixes", run: prefixesRow },
];

const USAGE = `Usage: npm run bench -- [--short] [--guard | --write-baseline] [--json] [--docs] [ROW…]

  --short  under a minute, for CI: fewer rounds, a smaller stream
  --json   the bench object of the command line's contract on stdout
  --docs   also write the figures into docs/performance.md, and its plots (all rows, long form)
  --guard  with --short: ends with 2 when a ratio to a yardstick is 1.5 × that of bench/baseline.json, twice
  --write-baseline
           with --short: measures three times and writes bench/baseline.json anew (all rows)
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
  readonly isGuard: boolean;
  readonly isBaseline: boolean;
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
        guard: { type: "boolean" },
        "write-baseline": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const { short = false, json = false, docs = false, help = false } = values;
    const { guard: isGuard = false, "write-baseline": isBaseline = false } = values;
    if (help) return "";
    const stranger = positionals.find(part => !ROWS.some(({ name }) => name.includes(part)));
    if (stranger !== undefined) return `no row is named "${stranger}"`;
    if (docs && (short || positionals.length > 0)) return "--docs takes all rows in their long form";
    if (isGuard && isBaseline) return "--guard and --write-baseline do not go together";
    if ((isGuard || isBaseline) && !short)
      return "--guard and --write-baseline are of the short form: add --short";
    if (isBaseline && positionals.length > 0) return "--write-baseline takes all rows";
    const rows = ROWS.filter(
      ({ name }) => positionals.length === 0 || positionals.some(part => name.includes(part)),
    );
    return { isShort: short, isJson: json, isDocs: docs, isGuard, isBaseline, rows };
  } catch (error) {
    return (error as Error).message;
  }
}

// ── The page and the baseline ──────────────────────────────────────────────────────────────────────────────

/** Writes figures and plots into the folder `docs`; plots that have no figures any more go away. */
export function writeDocs(run: Run, docs: string): void {
  const pagePath = join(docs, "performance.md");
  const folder = join(docs, "performance");
  const plots = plotsOf(benchOf(jsonOf(run)));
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder).filter(name => name.endsWith(".svg"))) rmSync(join(folder, old));
  for (const { file, svg } of plots) writeFileSync(join(folder, file), svg);
  const figures = withFigures(readFileSync(pagePath, "utf8"), run);
  writeFileSync(pagePath, withPlots(figures, plots));
}

const BASELINE = "bench/baseline.json";

/** The ratios of rows that were run, section by section. */
function rowRatios(rows: readonly Row[], run: Run): RowRatios {
  const ratios = rows.map(({ name }, index): [string, ReturnType<typeof ratiosOf>] => {
    const sections = run.sections.slice(index, index + 1);
    return [name, ratiosOf(benchOf(jsonOf({ ...run, sections })).cases)];
  });
  return new Map(ratios);
}

async function writeBaseline(run: Run, rows: readonly Row[]): Promise<void> {
  const runs = [run];
  while (runs.length < 3) runs.push({ ...run, sections: await runRows(rows, EFFORTS.short) });
  const ratios = middleOf(runs.map(one => rowRatios(rows, one)));
  writeFileSync(join(ROOT, BASELINE), baselineText({ ...run, rows: ratios }));
}

/** Says what the guard has to say; false when there is a regression. */
async function isGuarded(baseline: Baseline, run: Run, rows: readonly Row[]): Promise<boolean> {
  const again = async (names: readonly string[]): Promise<RowRatios> => {
    const suspicious = rows.filter(({ name }) => names.includes(name));
    return rowRatios(suspicious, { ...run, sections: await runRows(suspicious, EFFORTS.short) });
  };
  const comparison = await guard(baseline.rows, rowRatios(rows, run), again);
  process.stderr.write(guardText(comparison, baseline, run.machine));
  return comparison.worse.length === 0;
}

/** The baseline, before anything is measured; a text is what is wrong with it. */
function findBaseline(): Baseline | string {
  try {
    return readBaseline(readFileSync(join(ROOT, BASELINE), "utf8"), BASELINE);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `${BASELINE} is not there; --write-baseline writes it` : message;
  }
}

async function main(): Promise<number> {
  const asked = ask(process.argv.slice(2));
  if (typeof asked === "string") {
    if (asked === "") process.stdout.write(USAGE);
    else process.stderr.write(`bench: ${asked}\n\n${USAGE}`);
    return asked === "" ? 0 : 1;
  }
  const baseline = asked.isGuard ? findBaseline() : null;
  if (typeof baseline === "string") {
    process.stderr.write(`bench: ${baseline}\n`);
    return 1;
  }
  const effort = asked.isShort ? EFFORTS.short : EFFORTS.long;
  const where = { machine: machineLine(), commit: commitName(), effort: effort.name };
  const date = new Date().toISOString().slice(0, 10);
  const run: Run = { ...where, date, sections: await runRows(asked.rows, effort) };
  process.stdout.write(asked.isJson ? `${jsonOf(run)}\n` : textOf(run));
  if (asked.isDocs) writeDocs(run, join(ROOT, "docs"));
  if (asked.isBaseline) await writeBaseline(run, asked.rows);
  if (baseline !== null && !(await isGuarded(baseline, run, asked.rows))) return 2;
  return 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
