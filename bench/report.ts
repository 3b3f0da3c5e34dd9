/**
 * The results of a run as text, as JSON (the `bench` object of the command line's contract) and as the
 * figures in docs/performance.md. Pure functions of sections. `ratio` in JSON is ours ÷ theirs; in text, and
 * as `times_faster`, it is theirs ÷ ours.
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

/** Three significant digits: 0.0671, 1.23, 345, 12,345. */
function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}

function range({ min, max, count }: Spread): string {
  return count === 1 ? "" : `${figure(min)} … ${figure(max)}`;
}

/** Million frames a second. */
function mpps({ unit, value, frames }: Case): number | null {
  if (frames === null) return null;
  const seconds = unit === "ns/frame" ? value.value / 1e9 : value.value;
  return frames / seconds / 1e6;
}

function rate(one: Case): string {
  const value = mpps(one);
  return value === null ? "" : `${figure(value)} Mpps`;
}

/** The name, what distinguishes it from others of that name, and a remark. */
function titleOf({ name, mode, distribution, addresses, visited, remark }: Case): string {
  const kind = mode === undefined ? [name] : [name, mode, distribution, addresses];
  const seen = visited === undefined ? [] : [`${visited.toLocaleString("en")} visited`];
  const said = [...seen, remark].filter(part => part !== undefined && part !== "");
  const title = kind.filter(part => part !== undefined && part !== null).join(", ");
  return said.length === 0 ? title : `${title}: ${said.join("; ")}`;
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
    titleOf(one),
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
export function jsonOf({ machine, commit, date, effort, sections }: Run): string {
  const cases = sections.flatMap(casesOf);
  return JSON.stringify({ type: "bench", schema: 1, machine, commit, date, effort, cases });
}

/** A line for each case, and the whole object last. */
export function ndjsonOf(run: Run): string {
  const cases = run.sections.flatMap(casesOf);
  const lines = cases.map(one => JSON.stringify({ type: "bench-case", schema: 1, ...one }));
  return [...lines, jsonOf(run)].join("\n");
}

function casesOf(section: Section): Record<string, unknown>[] {
  return section.cases.flatMap(one =>
    (one.yardsticks.length === 0 ? [null] : one.yardsticks).map(stick => plain(section, one, stick)),
  );
}

function plain({ title }: Section, one: Case, stick: Yardstick | null): Record<string, unknown> {
  const { name, entries, distribution, unit } = one;
  const isRate = one.frames !== null;
  const value = isRate ? scaled(one.value, nsPerFrame(one, 1)) : one.value;
  const theirs = stick?.value?.value ?? null;
  const inUnit = (figure: number): number => (isRate ? nsPerFrame(one, figure) : figure);
  const yardstick = theirs === null ? null : inUnit(theirs);
  const times = stick?.timesFaster ?? null;
  return {
    section: title,
    name,
    entries,
    distribution,
    addresses: one.addresses ?? null,
    mode: one.mode ?? null,
    visited: one.visited ?? null,
    ...(isRate ? { ns_per_frame: value.value } : { value: value.value, unit }),
    min: value.min,
    max: value.max,
    samples: value.count,
    yardstick: stick?.name ?? null,
    [isRate ? "yardstick_ns_per_frame" : "yardstick_value"]: yardstick,
    ...(stick?.value == null
      ? {}
      : { yardstick_min: inUnit(stick.value.min), yardstick_max: inUnit(stick.value.max) }),
    ratio: yardstick === null ? null : value.value / yardstick,
    ...(times === null ? {} : { ratio_min: 1 / times.max, ratio_max: 1 / times.min }),
    ratio_target: ratioTarget(one, stick),
    times_faster: times?.value ?? null,
    objection: stick?.objection ?? null,
  };
}

/** The most that ours ÷ theirs should be, by the kind of target; null where it is no ratio. */
const RATIO_TARGETS: Readonly<Record<Target["kind"], (target: number) => number | null>> = {
  "at most": () => null,
  "times faster": target => 1 / target,
  "times slower at most": target => target,
  "Mpps at least": () => null,
};

/** The target that speaks of this yardstick, as a ratio. */
function ratioTarget(one: Case, stick: Yardstick | null): number | null {
  if (stick === null) return null;
  for (const { kind, target, beside = one.yardsticks[0]?.name } of targetsOf(one)) {
    const ratio = beside === stick.name ? RATIO_TARGETS[kind](target) : null;
    if (ratio !== null) return ratio;
  }
  return null;
}

function targetsOf({ target, moreTargets = [] }: Case): readonly Target[] {
  return target === null ? moreTargets : [target, ...moreTargets];
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

/**
 * The measured value in the unit of a target, and its distance from the target; null without a measurement.
 */
function measure(one: Case, { kind, target, beside }: Target): { shown: string; badness: number } | null {
  if (kind === "at most") {
    // Of single edits the worst counts; means and medians speak for themselves.
    const value = one.unit === "µs" ? one.value.max : one.value.value;
    return { shown: `${figure(value)} ${one.unit}`, badness: value / target };
  }
  if (kind === "Mpps at least") {
    const value = mpps(one)!;
    return { shown: `${figure(value)} Mpps`, badness: target / value };
  }
  const stick = one.yardsticks.find(({ name }) => beside === undefined || name === beside);
  const faster = stick?.timesFaster?.value ?? null;
  if (faster === null) return null;
  return kind === "times faster"
    ? { shown: `${figure(faster)} ×`, badness: target / faster }
    : { shown: `${figure(1 / faster)} ×`, badness: 1 / faster / target };
}

function judge(one: Case, target: Target): Judged {
  const measured = measure(one, target);
  if (measured === null) return { measured: "not measured", isMet: null, isStretch: false, badness: 0 };
  const { shown, badness } = measured;
  const strict = target.stretch === null ? null : measure(one, { ...target, target: target.stretch });
  return { measured: shown, isMet: badness <= 1, isStretch: strict !== null && strict.badness <= 1, badness };
}

/** A row a target; where several cases are held against the same one, the worst of them. */
function targetRows(cases: readonly Case[]): string[] {
  const worst = new Map<string, { one: Case; target: Target; judged: Judged }>();
  for (const one of cases) {
    for (const target of targetsOf(one)) {
      const judged = judge(one, target);
      const before = worst.get(target.what);
      if (before === undefined || judged.badness > before.judged.badness)
        worst.set(target.what, { one, target, judged });
    }
  }
  return [...worst.values()].map(({ one, target, judged }) => targetRow(one, target, judged));
}

function targetRow(one: Case, target: Target, { measured, isMet, isStretch }: Judged): string {
  const limits: Record<Target["kind"], (value: number) => string> = {
    "at most": value => `≤ ${figure(value)} ${one.unit}`,
    "times faster": value => `≥ ${value} ×`,
    "times slower at most": value => `≤ ${value} ×`,
    "Mpps at least": value => `≥ ${value} Mpps`,
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
