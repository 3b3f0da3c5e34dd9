/**
 * The results of a run that a checkout keeps: the figures of docs/performance.md and docs/performance.json,
 * the plots drawn from the latter, and the ratios of bench/baseline.json, with which later runs are compared.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
import { EFFORTS } from "./cases.ts";
import { ROOT } from "./paths.ts";
import { jsonOf, type Run, withFigures } from "./report.ts";
import { benchOf } from "./result.ts";
import { BenchError, type Row, runRows } from "./rows.ts";

/** The figures as JSON, one case per line. */
function figuresText(run: Run): string {
  const { cases, ...head } = JSON.parse(jsonOf(run)) as { cases: unknown[] };
  const lines = cases.map(one => JSON.stringify(one)).join(",\n");
  return `${JSON.stringify(head).slice(0, -1)},"cases":[\n${lines}\n]}\n`;
}

/** Writes the figures into the folder `docs`. */
export function writeDocs(run: Run, docs: string): void {
  const page = join(docs, "performance.md");
  writeFileSync(page, withFigures(readFileSync(page, "utf8"), run));
  writeFileSync(join(docs, "performance.json"), figuresText(run));
}

/** Draws the plots in a process of its own: the library that draws is not part of the published program. */
export function runPlots(docs: string): void {
  const script = ["--import", "tsx", join(ROOT, "bench", "draw-plots.ts"), docs];
  const { status, error } = spawnSync(process.execPath, script, { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (status === 0) return;
  const why = error?.message ?? `exit status ${status}`;
  throw new BenchError(
    `docs/performance.json is written, but drawing the plots failed (${why}); run npm run plots`,
  );
}

const BASELINE = "bench/baseline.json";

/** The ratios of the rows of a run, by row. */
function rowRatios(rows: readonly Row[], run: Run): RowRatios {
  const ratios = rows.map(({ name }, index): [string, ReturnType<typeof ratiosOf>] => {
    const sections = run.sections.slice(index, index + 1);
    return [name, ratiosOf(benchOf(jsonOf({ ...run, sections })).cases)];
  });
  return new Map(ratios);
}

/** Measures two more times, and writes the median of the three. */
export async function writeBaseline(run: Run, rows: readonly Row[]): Promise<void> {
  const runs = [run];
  while (runs.length < 3) runs.push({ ...run, sections: await runRows(rows, EFFORTS.short) });
  const ratios = middleOf(runs.map(one => rowRatios(rows, one)));
  writeFileSync(join(ROOT, BASELINE), baselineText({ ...run, rows: ratios }));
}

/**
 * Compares a run with the baseline and prints the result to standard error; false if there is a regression.
 */
export async function isGuarded(baseline: Baseline, run: Run, rows: readonly Row[]): Promise<boolean> {
  const again = async (names: readonly string[]): Promise<RowRatios> => {
    const suspicious = rows.filter(({ name }) => names.includes(name));
    return rowRatios(suspicious, { ...run, sections: await runRows(suspicious, EFFORTS.short) });
  };
  const comparison = await guard(baseline.rows, rowRatios(rows, run), again);
  process.stderr.write(guardText(comparison, baseline, run.machine));
  return comparison.worse.length === 0;
}

/** The baseline, to be read before anything is measured. Throws a BenchError if it cannot be used. */
export function findBaseline(): Baseline {
  try {
    return readBaseline(readFileSync(join(ROOT, BASELINE), "utf8"), BASELINE);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BenchError(
      code === "ENOENT" ? `${BASELINE}: no such file; bench --short --write-baseline writes it` : message,
    );
  }
}
