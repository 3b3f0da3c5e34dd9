/**
 * What is kept of a run in a checkout: the figures and plots of docs/performance.md, and the ratios of
 * bench/baseline.json, against which later runs are held.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
import { plotsOf, withPlots } from "./plot.ts";
import { jsonOf, type Run, withFigures } from "./report.ts";
import { benchOf } from "./result.ts";
import { BenchError, type Row, runRows } from "./rows.ts";

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

/** Measures twice more, and writes the middle of the three. */
export async function writeBaseline(run: Run, rows: readonly Row[]): Promise<void> {
  const runs = [run];
  while (runs.length < 3) runs.push({ ...run, sections: await runRows(rows, EFFORTS.short) });
  const ratios = middleOf(runs.map(one => rowRatios(rows, one)));
  writeFileSync(join(ROOT, BASELINE), baselineText({ ...run, rows: ratios }));
}

/** Holds a run against the baseline and says what the guard has to say; false when there is a regression. */
export async function isGuarded(baseline: Baseline, run: Run, rows: readonly Row[]): Promise<boolean> {
  const again = async (names: readonly string[]): Promise<RowRatios> => {
    const suspicious = rows.filter(({ name }) => names.includes(name));
    return rowRatios(suspicious, { ...run, sections: await runRows(suspicious, EFFORTS.short) });
  };
  const comparison = await guard(baseline.rows, rowRatios(rows, run), again);
  process.stderr.write(guardText(comparison, baseline, run.machine));
  return comparison.worse.length === 0;
}

/** The baseline, to be read before anything is measured. Throws a BenchError that says what is wrong with it. */
export function findBaseline(): Baseline {
  try {
    return readBaseline(readFileSync(join(ROOT, BASELINE), "utf8"), BASELINE);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BenchError(
      code === "ENOENT" ? `${BASELINE} is not there; --write-baseline writes it` : message,
    );
  }
}
