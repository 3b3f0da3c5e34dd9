/**
 * The guard against gross regressions: compares the ratios (ours ÷ yardstick) of a run of the short form with
 * those in baseline.json. Times differ from machine to machine; ratios of two programs in one run differ much
 * less. It measures nothing itself, and reports no absolute speed.
 */
import { type BenchCase, labelOf } from "./result.ts";

/** Ours over theirs, in two ways. What disturbs a machine for a moment seldom moves both: see `factorsOf`. */
export interface Ratio {
  /** Of the medians; of edits: of the means. */
  readonly ratio: number;
  /** Of the least samples; null where they are not known. */
  readonly least: number | null;
}

/** Ratios by what they are of. */
export type Ratios = ReadonlyMap<string, Ratio>;
/** Ratios of the benchmark's rows, by the row's name. */
export type RowRatios = ReadonlyMap<string, Ratios>;

export interface Baseline {
  readonly machine: string;
  readonly commit: string;
  readonly date: string;
  readonly rows: RowRatios;
}

/** A ratio that grows by more than this factor is a regression. */
const GUARD_FACTOR = 1.5;

/** What two cores gain depends on whoever else has work for them: no ratio to guard. */
const UNGUARDED = "one core";

/**
 * Ratios of the cases of one row; a case without a yardstick has none. Two cases with the same name are an
 * error.
 */
export function ratiosOf(cases: readonly BenchCase[]): Ratios {
  const ratios = new Map<string, Ratio>();
  for (const one of cases) {
    if (one.ratio == null || one.yardstick == null || one.yardstick === UNGUARDED) continue;
    const { ratio, min, yardstick_min: theirs } = one;
    const key = `${labelOf(one, ["entries", "distribution", "addresses", "mode"])}, beside ${one.yardstick}`;
    if (ratios.has(key)) throw new Error(`two figures are called "${key}"`);
    ratios.set(key, { ratio, least: min === undefined || theirs == null ? null : min / theirs });
  }
  return ratios;
}

// ── The file ───────────────────────────────────────────────────────────────────────────────────────────────

const TEXTS = ["machine", "commit", "date"] as const;

/** The file's text: rows and ratios each on a line of their own, four digits, so that a diff can be read. */
export function baselineText({ machine, commit, date, rows }: Baseline): string {
  const digits = (value: number | null): number | null => value && Number(value.toPrecision(4));
  const plain = [...rows]
    .filter(([, ratios]) => ratios.size > 0)
    .map(([row, ratios]) => [
      row,
      Object.fromEntries(
        [...ratios].map(([key, { ratio, least }]) => [key, { ratio: digits(ratio), least: digits(least) }]),
      ),
    ]);
  return `${JSON.stringify({ machine, commit, date, rows: Object.fromEntries(plain) }, null, 2)}\n`;
}

/** Reads what `baselineText` wrote. Throws an error of one line that begins with `file`. */
export function readBaseline(source: string, file: string): Baseline {
  const fail = (what: string): never => {
    throw new Error(`${file}: ${what}; --write-baseline writes it anew`);
  };
  const parsed = parseJson(source, file);
  if (!isObject(parsed)) return fail("expected an object with machine, commit, date and rows");
  const [machine, commit, date] = TEXTS.map(key => {
    const value = parsed[key];
    return typeof value === "string" ? value : fail(`${key}: expected a text, got ${brief(value)}`);
  }) as [string, string, string];
  if (!isObject(parsed.rows)) return fail(`rows: expected an object, got ${brief(parsed.rows)}`);
  const rows = new Map<string, Ratios>();
  for (const [row, ratios] of Object.entries(parsed.rows)) {
    if (!isObject(ratios)) return fail(`rows, ${row}: expected an object of ratios, got ${brief(ratios)}`);
    for (const [key, value] of Object.entries(ratios)) {
      if (!isRatio(value))
        return fail(`rows, ${row}, ${key}: expected ratio and least, above 0, got ${brief(value)}`);
    }
    rows.set(row, new Map(Object.entries(ratios as Record<string, Ratio>)));
  }
  return { machine, commit, date, rows };
}

function parseJson(source: string, file: string): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    // Where it went wrong, as far as the engine says so.
    const { message } = error as Error;
    const offset = /position (\d+)/.exec(message)?.[1];
    const before = source.slice(0, Number(offset ?? 0)).split("\n");
    const place = offset === undefined ? "" : `:${before.length}:${before.at(-1)!.length + 1}`;
    throw new Error(`${file}${place}: ${message.replace(/\s+/g, " ")}; --write-baseline writes it anew`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRatio(value: unknown): value is Ratio {
  const isAboveZero = (figure: unknown): boolean => typeof figure === "number" && figure > 0;
  return isObject(value) && isAboveZero(value.ratio) && (value.least === null || isAboveZero(value.least));
}

function brief(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 40);
}

// ── The comparison ─────────────────────────────────────────────────────────────────────────────────────────

/** A figure of both runs. */
export interface Compared {
  readonly row: string;
  readonly key: string;
  readonly baseline: Ratio;
  readonly measured: Ratio;
  /** How many times as large each form of the ratio is. */
  readonly factors: readonly number[];
}

/**
 * Slower code is slower in the median and in its best sample; a disturbed run only in one of them. In three
 * runs of one commit on a shared machine the ratio of the medians varied by up to 4 ×, this measure by at
 * most 1.25 ×.
 */
function factorsOf(baseline: Ratio, measured: Ratio): number[] {
  const isKnown = baseline.least !== null && measured.least !== null;
  return [measured.ratio / baseline.ratio, ...(isKnown ? [measured.least / baseline.least] : [])];
}

export interface Comparison {
  readonly worse: readonly Compared[];
  /** Better by as much: the baseline has become lax. */
  readonly better: readonly Compared[];
  /** Of the rows that were run: figures that only one side has. */
  readonly onlyBaseline: readonly string[];
  readonly onlyMeasured: readonly string[];
  /** Figures that both have. */
  readonly count: number;
}

/** Holds the rows that were run against the baseline; rows that were not run are left alone. */
export function compare(baseline: RowRatios, measured: RowRatios): Comparison {
  const both: Compared[] = [];
  const [onlyBaseline, onlyMeasured]: [string[], string[]] = [[], []];
  for (const [row, ratios] of measured) {
    const before: Ratios = baseline.get(row) ?? new Map();
    for (const key of before.keys()) if (!ratios.has(key)) onlyBaseline.push(`${row}: ${key}`);
    for (const [key, ratio] of ratios) {
      const old = before.get(key);
      if (old === undefined) onlyMeasured.push(`${row}: ${key}`);
      else both.push({ row, key, baseline: old, measured: ratio, factors: factorsOf(old, ratio) });
    }
  }
  return {
    worse: both.filter(({ factors }) => Math.min(...factors) > GUARD_FACTOR),
    better: both.filter(({ factors }) => Math.max(...factors) * GUARD_FACTOR < 1),
    onlyBaseline,
    onlyMeasured,
    count: both.length,
  };
}

/** One measurement out of several of the same rows: each form of each ratio as `pick` takes it. */
function combine(runs: readonly RowRatios[], pick: (values: readonly number[]) => number): RowRatios {
  const rows = new Map<string, Map<string, Ratio>>();
  const names = new Set(runs.flatMap(run => [...run.keys()]));
  for (const row of names) {
    const same = runs.flatMap(run => run.get(row) ?? []);
    const keys = new Set(same.flatMap(ratios => [...ratios.keys()]));
    const ratios = [...keys].map((key): [string, Ratio] => {
      const found = same.flatMap(one => one.get(key) ?? []);
      const least = found.flatMap(one => one.least ?? []);
      return [
        key,
        { ratio: pick(found.map(one => one.ratio)), least: least.length === 0 ? null : pick(least) },
      ];
    });
    rows.set(row, new Map(ratios));
  }
  return rows;
}

/** The better of several measurements of each figure. */
function bestOf(runs: readonly RowRatios[]): RowRatios {
  return combine(runs, values => Math.min(...values));
}

/** The middle one of several measurements of each figure; one that a run lacks is taken from the others. */
export function middleOf(runs: readonly RowRatios[]): RowRatios {
  return combine(runs, values => values.toSorted((a, b) => a - b)[values.length >> 1]!);
}

/**
 * The guard's verdict. Rows with a suspicious figure are measured once more by `again`, and the better of
 * both counts: a short disturbance of the machine must not fail a change.
 */
export async function guard(
  baseline: RowRatios,
  measured: RowRatios,
  again: (rows: readonly string[]) => Promise<RowRatios>,
): Promise<Comparison> {
  const first = compare(baseline, measured);
  if (first.worse.length === 0) return first;
  const rows = [...new Set(first.worse.map(({ row }) => row))];
  return compare(baseline, bestOf([measured, await again(rows)]));
}

/** What the guard has to say, a line each; `machine` is the one that was measured on. */
export function guardText(comparison: Comparison, baseline: Baseline, machine: string): string {
  const { worse, better, onlyBaseline, onlyMeasured, count } = comparison;
  const of = `the baseline of commit ${baseline.commit}, ${baseline.date}`;
  const lines = [
    ...(machine === baseline.machine ? [] : [`${of} is of another machine: ${baseline.machine}`]),
    ...onlyBaseline.map(key => `not measured here: ${key}`),
    ...onlyMeasured.map(key => `not in the baseline: ${key}`),
    ...(onlyMeasured.length === 0 ? [] : ["--write-baseline takes new figures into it"]),
    ...better.map(one => `better by far: ${figuresOf(one)}; --write-baseline makes it count`),
    ...worse.map(one => `regression: ${figuresOf(one)}`),
    `${count} ratios beside ${of}: ${worse.length} worse by more than ${GUARD_FACTOR} ×`,
  ];
  return lines.map(words => `guard: ${words}\n`).join("");
}

function figuresOf({ row, key, baseline, measured, factors }: Compared): string {
  const figure = (value: number | null): string => value?.toPrecision(3) ?? "unknown";
  const form = ({ ratio, least }: Ratio): string =>
    `${figure(ratio)} (of the least samples ${figure(least)})`;
  const times = factors.map(factor => `${factor.toFixed(2)} ×`).join(" and ");
  const ratios = `ours ÷ theirs ${form(measured)}, baseline ${form(baseline)}`;
  return `${row}: ${key}: ${ratios}: ${times}, limit ${GUARD_FACTOR} ×`;
}
