/**
 * What was measured, as text, as JSON (the `bench` object of the command line's contract) and as the figures
 * in docs/performance.md. Pure functions of sections; `ratio` in JSON is ours over theirs; in text and as
 * `times_faster` it is theirs over ours.
 */
import { table } from "../src/report/index.ts";
import type { Case, Section, Target, Yardstick } from "./cases.ts";
import { type Spread, scaled } from "./harness.ts";

export interface Run {
  readonly machine: string;
  readonly commit: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly effort: string;
  readonly sections: readonly Section[];
}

/** Three digits that count: 0.0671, 1.23, 345, 12,345. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}

function range({ min, max, count }: Spread): string {
  return count === 1 ? "" : `${figure(min)} … ${figure(max)}`;
}

/** Million frames a second. */
function rate({ unit, value, frames }: Case): string {
  if (frames === null) return "";
  const seconds = unit === "ns/frame" ? value.value / 1e9 : value.value;
  return `${figure(frames / seconds / 1e6)} Mpps`;
}

function entriesOf({ entries }: Case): string {
  return entries === null ? "" : entries.toLocaleString("en");
}

const HEAD = [
  "",
  "entries",
  "ours",
  "least … greatest",
  "",
  "beside",
  "theirs",
  "theirs ÷ ours",
  "least … greatest",
];

/** A line a case, and one more for each further yardstick. */
function linesOf(one: Case): string[][] {
  const own = [
    one.remark === "" ? one.name : `${one.name}: ${one.remark}`,
    entriesOf(one),
    `${figure(one.value.value)} ${one.unit}`,
    range(one.value),
    rate(one),
  ];
  const sticks = one.yardsticks.map(stick => yardstickCells(stick, one));
  const [first = ["", "", "", ""], ...others] = sticks;
  return [[...own, ...first], ...others.map(cells => ["", "", "", "", "", ...cells])];
}

function yardstickCells({ name, value, timesFaster, objection }: Yardstick, { unit }: Case): string[] {
  if (value === null) return [name, objection ?? "", "", ""];
  const theirs = `${figure(value.value)} ${unit}`;
  return timesFaster === null
    ? [name, theirs, "", ""]
    : [name, theirs, `${figure(timesFaster.value)} ×`, range(timesFaster)];
}

export function textOf(run: Run): string {
  const sections = run.sections.map(({ title, notes, cases }) => {
    const lines = cases.length === 0 ? [] : [table([HEAD, ...cases.flatMap(linesOf)], "lrrlrlrrl")];
    return [`## ${title}`, ...notes.map(note => `   ${note}`), ...lines].join("\n");
  });
  return `${headOf(run)}\n\n${sections.join("\n\n")}\n`;
}

function headOf({ machine, commit, effort }: Run): string {
  return `machine: ${machine}\ncommit: ${commit}, ${effort} form`;
}

// ── JSON ───────────────────────────────────────────────────────────────────────────────────────────────────

/** One object on one line, without the line's end; a case for each yardstick. */
export function jsonOf({ machine, commit, sections }: Run): string {
  const cases = sections.flatMap(section =>
    section.cases.flatMap(one =>
      (one.yardsticks.length === 0 ? [null] : one.yardsticks).map(stick => plain(section, one, stick)),
    ),
  );
  return JSON.stringify({ type: "bench", schema: 1, machine, commit, cases });
}

function plain({ title }: Section, one: Case, stick: Yardstick | null): Record<string, unknown> {
  const { name, entries, distribution, unit } = one;
  const isRate = one.frames !== null;
  const value = isRate ? scaled(one.value, nsPerFrame(one, 1)) : one.value;
  const theirs = stick?.value?.value ?? null;
  const yardstick = theirs === null || !isRate ? theirs : nsPerFrame(one, theirs);
  return {
    section: title,
    name,
    entries,
    distribution,
    ...(isRate ? { ns_per_frame: value.value } : { value: value.value, unit }),
    min: value.min,
    max: value.max,
    samples: value.count,
    yardstick: stick?.name ?? null,
    [isRate ? "yardstick_ns_per_frame" : "yardstick_value"]: yardstick,
    ratio: yardstick === null ? null : value.value / yardstick,
    times_faster: stick?.timesFaster?.value ?? null,
    objection: stick?.objection ?? null,
  };
}

/** A case's figure, given in its unit, as ns a frame. */
function nsPerFrame({ unit, frames }: Case, value: number): number {
  return unit === "ns/frame" ? value : (value * 1e9) / frames!;
}

// ── Targets ────────────────────────────────────────────────────────────────────────────────────────────────

interface Judged {
  readonly measured: string;
  /** Null when there is nothing to judge. */
  readonly isMet: boolean | null;
  readonly isStretch: boolean;
  /** Grows with the distance from the target. */
  readonly badness: number;
}

function judge(one: Case, { kind, target, stretch }: Target): Judged {
  if (kind !== "at most") {
    const ratio = one.yardsticks[0]?.timesFaster?.value ?? null;
    if (ratio === null) return { measured: "not measured", isMet: null, isStretch: false, badness: 0 };
    if (kind === "times slower at most") {
      const slower = 1 / ratio;
      const isStretch = stretch !== null && slower <= stretch;
      return {
        measured: `${figure(slower)} ×`,
        isMet: slower <= target,
        isStretch,
        badness: slower / target,
      };
    }
    const isStretch = stretch !== null && ratio >= stretch;
    return { measured: `${figure(ratio)} ×`, isMet: ratio >= target, isStretch, badness: target / ratio };
  }
  // Of single edits the worst counts; means and medians speak for themselves.
  const value = one.unit === "µs" ? one.value.max : one.value.value;
  const isStretch = stretch !== null && value <= stretch;
  const measured = `${figure(value)} ${one.unit}`;
  return { measured, isMet: value <= target, isStretch, badness: value / target };
}

/** A row a target; where several cases are held against the same one, the worst of them. */
function targetRows(cases: readonly Case[]): string[] {
  const worst = new Map<string, { one: Case; judged: Judged }>();
  for (const one of cases) {
    if (one.target === null) continue;
    const judged = judge(one, one.target);
    const before = worst.get(one.target.what);
    if (before === undefined || judged.badness > before.judged.badness)
      worst.set(one.target.what, { one, judged });
  }
  return [...worst.values()].map(({ one, judged }) => targetRow(one, one.target!, judged));
}

function targetRow(one: Case, target: Target, { measured, isMet, isStretch }: Judged): string {
  const limits: Record<Target["kind"], (value: number) => string> = {
    "at most": value => `≤ ${figure(value)} ${one.unit}`,
    "times faster": value => `≥ ${value} ×`,
    "times slower at most": value => `≤ ${value} ×`,
  };
  const limit = limits[target.kind];
  const verdict = isMet === null ? "–" : isStretch ? "yes, and the stretch" : isMet ? "yes" : "**no**";
  const stretch = target.stretch === null ? "" : limit(target.stretch);
  return `| ${target.what} | ${limit(target.target)} | ${stretch} | ${measured} | ${verdict} |`;
}

// ── Markdown ───────────────────────────────────────────────────────────────────────────────────────────────

const BEGIN = "<!-- figures: written by npm run bench -- --docs -->";
const END = "<!-- end of figures -->";

export function markdownOf(run: Run): string {
  const { machine, commit, date, sections } = run;
  const targets = targetRows(sections.flatMap(({ cases }) => cases));
  const tables = sections.flatMap(({ title, notes, cases }) => [
    `### ${title}`,
    "",
    ...notes.map(note => `- ${note}`),
    "",
    ...(cases.length === 0 ? [] : [`| ${HEAD.join(" | ")} |`, "|---|--:|--:|---|--:|---|--:|--:|---|"]),
    ...cases.flatMap(linesOf).map(cells => `| ${cells.join(" | ")} |`),
    "",
  ]);
  return [
    `Measured on ${date}, commit ${commit}, on ${machine}.`,
    "",
    "### Against the targets",
    "",
    "| figure | target | stretch | measured | met |",
    "|---|--:|--:|--:|---|",
    ...targets,
    "",
    ...tables,
  ].join("\n");
}

/** The page with its figures replaced. Throws when the page has no place for them. */
export function withFigures(page: string, run: Run): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin)
    throw new Error(`docs/performance.md lacks its lines "${BEGIN}" and "${END}"`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${markdownOf(run)}\n${page.slice(end)}`;
}
