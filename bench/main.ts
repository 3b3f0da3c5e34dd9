/**
 * `slash32 bench` and `npm run bench`: measures this program on this machine, beside yardsticks in the same
 * run, prints the figures, and in a checkout stores them on request. A bundle of its own (build/bench.js), so
 * that no other command loads it; the command line is in src/cli/bench.ts.
 */
import { join } from "node:path";
import { EFFORTS, type Effort } from "./cases.ts";
import { commitName, machineLine } from "./harness.ts";
import { isCheckout, ROOT } from "./paths.ts";
import { findBaseline, isGuarded, runPlots, writeBaseline, writeDocs } from "./publish.ts";
import { jsonOf, ndjsonOf, type Run, textOf } from "./report.ts";
import { BenchError, rowsNamed, runRows } from "./rows.ts";

export interface BenchOptions {
  /** Parts of the names of rows; none: all of them. */
  readonly names: readonly string[];
  readonly effort: Effort["name"];
  readonly format: "text" | "json" | "ndjson";
  readonly isQuiet: boolean;
  /** Whether the figures and plots of docs/performance.md are written anew. */
  readonly isDocs: boolean;
  /** Whether the ratios are held against bench/baseline.json, or that is written anew. */
  readonly isGuard: boolean;
  readonly isBaseline: boolean;
}

export interface Printed {
  readonly text: string;
  /** Whether a ratio is far worse than the baseline's. */
  readonly isWorse: boolean;
}

const WRITERS: Readonly<Record<BenchOptions["format"], (run: Run) => string>> = {
  text: textOf,
  json: run => `${jsonOf(run)}\n`,
  ndjson: run => `${ndjsonOf(run)}\n`,
};

/** Throws a BenchError when options do not go together. */
function check({ names, effort, isDocs, isGuard, isBaseline }: BenchOptions): void {
  const isKept = isDocs || isGuard || isBaseline;
  if (isDocs && (effort !== "long" || names.length > 0))
    throw new BenchError("--docs takes all rows in their long form");
  if (isGuard && isBaseline) throw new BenchError("--guard and --write-baseline do not go together");
  if ((isGuard || isBaseline) && effort !== "short")
    throw new BenchError("--guard and --write-baseline are of the short form: add --short");
  if (isBaseline && names.length > 0) throw new BenchError("--write-baseline takes all rows");
  if (isKept && !isCheckout)
    throw new BenchError("--docs, --guard and --write-baseline need a checkout, and this is none");
}

/** Measures, stores and returns the text to print. Throws BenchError for wrong options. */
export async function bench(options: BenchOptions): Promise<Printed> {
  const rows = rowsNamed(options.names);
  check(options);
  const baseline = options.isGuard ? findBaseline() : null;
  const { effort, isQuiet } = options;
  const where = { machine: machineLine(), commit: commitName(), effort };
  const date = new Date().toISOString().slice(0, 10);
  const run: Run = { ...where, date, sections: await runRows(rows, EFFORTS[effort], isQuiet) };
  if (options.isDocs) {
    writeDocs(run, join(ROOT, "docs"));
    runPlots(join(ROOT, "docs"));
  }
  if (options.isBaseline) await writeBaseline(run, rows);
  const isWorse = baseline !== null && !(await isGuarded(baseline, run, rows));
  return { text: WRITERS[options.format](run), isWorse };
}
