/**
 * The figures as plots: pure functions from what `--json` prints to SVG files, which `--docs` writes beside the
 * table in docs/performance.md. Nothing is measured here and nothing is smoothed; a figure that is missing leaves
 * its mark out, and a plot without figures is not made.
 */
import { type Bench, type BenchCase, isC, labelOf, shortCount } from "./result.ts";
import {
  at,
  CAPTION_LINE_PIXELS,
  element,
  HEAD_PIXELS,
  line,
  linear,
  logarithmic,
  mark,
  page,
  type Scale,
  SERIES,
  text,
  ticks,
} from "./svg.ts";

export interface Plot {
  /** The file's name, without its folder. */
  readonly file: string;
  /** What it shows, for those who do not see it. */
  readonly alternative: string;
  readonly svg: string;
}

/** All plots that there are figures for, in the order in which the page shows them. */
export function plotsOf(bench: Bench): Plot[] {
  return [capturePlot(bench), ratioPlot(bench), entriesPlot(bench)].filter(plot => plot !== null);
}

const WIDTH = 880;

/** Three digits that count, without the zeros behind. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function captionOf({ date, commit, effort, machine }: Bench): string[] {
  return [`Measured on ${date}, commit ${commit}, ${effort} form, on`, machine];
}

interface Body {
  readonly file: string;
  readonly title: string;
  readonly description: string;
  /** Where the drawing ends. */
  readonly bottom: number;
  readonly shapes: readonly string[];
}

function plot(bench: Bench, { file, title, description, bottom, shapes }: Body): Plot {
  const caption = captionOf(bench);
  const height = bottom + 24 + caption.length * CAPTION_LINE_PIXELS;
  const svg = page({ width: WIDTH, height, title, description, caption }, shapes);
  return { file, alternative: `${title}. ${description}`, svg };
}

/** A line of marks with their names. */
function legend(
  y: number,
  x: number,
  entries: readonly { shape: (x: number) => string; words: string }[],
): string[] {
  let left = x;
  return entries.flatMap(({ shape, words }) => {
    const shapes = [shape(left + 8), text(left + 22, y + 4, words)];
    left += 32 + words.length * 6.3;
    return shapes;
  });
}

/** Upright lines with their numbers below, and what they count. */
function horizontalAxis(scale: Scale, max: number, top: number, bottom: number, unit: string): string[] {
  const marks = ticks(max).flatMap(value => [
    line(scale(value), top, scale(value), bottom, "grid"),
    text(scale(value), bottom + 16, short(value), "middle", "faint"),
  ]);
  return [...marks, text((scale(0) + scale(max)) / 2, bottom + 34, unit, "middle")];
}

function greatest(values: readonly (number | null | undefined)[]): number {
  return Math.max(...values.filter(value => value != null));
}

// ── Nanoseconds by entries ─────────────────────────────────────────────────────────────────────────────────

const DIRECTIONS = ["inbound", "outbound"] as const;

/** How entries are drawn and how they lie; its place in this list is its series. */
const LOADS: readonly { distribution: string; addresses: string }[] = [
  { distribution: "uniform", addresses: "scattered" },
  { distribution: "zipf", addresses: "scattered" },
  { distribution: "uniform", addresses: "dense" },
  { distribution: "zipf", addresses: "dense" },
];

interface Point {
  readonly entries: number;
  readonly ns: number;
  readonly min: number;
  readonly max: number;
}

interface Line {
  readonly series: number;
  readonly isC: boolean;
  readonly points: readonly Point[];
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** Cases of the core in memory that tell how many entries it had; captures come from files and are another plot. */
function isInMemory({ section, ns_per_frame, entries }: BenchCase): boolean {
  return ns_per_frame !== undefined && entries != null && section.startsWith("The core in memory");
}

function seriesOf({ distribution, addresses }: BenchCase): number {
  return LOADS.findIndex(
    load =>
      load.distribution === (distribution ?? "uniform").toLowerCase() &&
      load.addresses === (addresses ?? "scattered").toLowerCase(),
  );
}

function ownPoint({ entries, ns_per_frame: ns, min, max }: BenchCase): Point[] {
  return [{ entries: entries!, ns: ns!, min: min ?? ns!, max: max ?? ns! }];
}

function pointOfC(one: BenchCase): Point[] {
  const { entries, yardstick, yardstick_ns_per_frame: ns, yardstick_min: min, yardstick_max: max } = one;
  return isC(yardstick) && ns != null ? [{ entries: entries!, ns, min: min ?? ns, max: max ?? ns }] : [];
}

/** One point for each number of entries, the first that is found: yardsticks repeat our own. */
function lineOf(series: number, isOfC: boolean, cases: readonly BenchCase[]): Line[] {
  const points = cases.flatMap(isOfC ? pointOfC : ownPoint).sort((a, b) => a.entries - b.entries);
  const distinct = points.filter((point, index) => point.entries !== points[index - 1]?.entries);
  return distinct.length === 0 ? [] : [{ series, isC: isOfC, points: distinct }];
}

function panelsOf(cases: readonly BenchCase[]): Panel[] {
  const modes = [...new Set(cases.map(({ mode }) => mode ?? ""))];
  return modes.flatMap(mode =>
    DIRECTIONS.flatMap(direction => {
      const own = cases.filter(one => one.name.startsWith(direction) && (one.mode ?? "") === mode);
      const lines = LOADS.flatMap((_, series) => {
        const same = own.filter(one => seriesOf(one) === series);
        return [...lineOf(series, false, same), ...lineOf(series, true, same)];
      });
      const title = mode === "" ? direction : `${direction}, ${mode}`;
      return lines.length === 0 ? [] : [{ title, lines }];
    }),
  );
}

const PANEL = { width: 424, height: 260, left: 60, right: 14, top: 30, bottom: 44 };

function linePlot(drawn: Line, x: Scale, y: Scale): string[] {
  const { series, isC: isOfC, points } = drawn;
  // Beside each other, so that no mark and no whisker hides another.
  const place = ({ entries }: Point): number => x(entries) + (series * 2 + Number(isOfC) - 3.5) * 3;
  const path = points.map(
    (point, index) => `${index === 0 ? "M" : "L"}${at(place(point))} ${at(y(point.ns))}`,
  );
  const style = `${SERIES[series]} line${isOfC ? " dashed" : ""}`;
  const marks = points.map(point => {
    const [left, ours] = [place(point), isOfC ? "C" : "slash32"];
    return mark({
      series,
      x: left,
      y: y(point.ns),
      isHollow: isOfC,
      from: [left, y(point.min)],
      to: [left, y(point.max)],
      words: `${ours}, ${shortCount(point.entries)} entries: ${short(point.ns)} ns`,
    });
  });
  return [element("path", { class: style, d: path.join("") }), ...marks];
}

function panelPlot(
  { title, lines }: Panel,
  left: number,
  top: number,
  sizes: readonly number[],
  max: number,
) {
  const [from, to] = [left + PANEL.left, left + PANEL.width - PANEL.right];
  const [high, low] = [top + PANEL.top, top + PANEL.height - PANEL.bottom];
  const x = logarithmic(sizes[0]! / 2, sizes.at(-1)! * 2, from, to);
  const y = linear(ticks(max).at(-1)!, low, high);
  return [
    text(from, high - 12, title, "start", "head"),
    ...ticks(max).flatMap(value => [
      line(from, y(value), to, y(value), "grid"),
      text(from - 8, y(value) + 4, short(value), "end", "faint"),
    ]),
    ...sizes.flatMap(size => [
      line(x(size), low, x(size), low + 5, "axis"),
      text(x(size), low + 18, shortCount(size), "middle", "faint"),
    ]),
    text((from + to) / 2, low + 36, "entries (logarithmic)", "middle"),
    element(
      "text",
      {
        x: 0,
        y: 0,
        "text-anchor": "middle",
        transform: `translate(${at(left + 22)} ${at((high + low) / 2)}) rotate(-90)`,
      },
      "ns a frame",
    ),
    ...lines.flatMap(drawn => linePlot(drawn, x, y)),
  ];
}

/** Ours and C by the number of entries; null when there are not two numbers of them to compare. */
function entriesPlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(isInMemory);
  const panels = panelsOf(cases);
  const lines = panels.flatMap(panel => panel.lines);
  const points = lines.flatMap(drawn => drawn.points);
  const sizes = [...new Set(points.map(({ entries }) => entries))].sort((a, b) => a - b);
  if (sizes.length < 2) return null;
  const max = greatest(points.map(point => point.max));
  const top = HEAD_PIXELS + 30;
  const series = LOADS.map((_, index) => index).filter(index => lines.some(drawn => drawn.series === index));
  const marks = series.map(index => ({
    shape: (x: number) => mark({ series: index, x, y: HEAD_PIXELS + 10 }),
    words: `${LOADS[index]!.distribution}, ${LOADS[index]!.addresses}`,
  }));
  const styles = [
    { words: "slash32", style: "axis line" },
    { words: "C", style: "axis line dashed" },
  ].map(({ words, style }) => ({
    shape: (x: number) => line(x - 12, HEAD_PIXELS + 10, x + 10, HEAD_PIXELS + 10, style),
    words,
  }));
  const shown = lines.some(drawn => drawn.isC) ? styles : styles.slice(0, 1);
  const shapes = panels.flatMap((panel, index) =>
    panelPlot(panel, 8 + (index % 2) * PANEL.width, top + (index >> 1) * PANEL.height, sizes, max),
  );
  return plot(bench, {
    file: "entries.svg",
    title: "Nanoseconds a frame, by entries in the table",
    description: `The core in memory${shown.length > 1 ? " beside the same work in C" : ""}, ${sizes.map(shortCount).join(", ")} entries; whiskers from the least to the greatest sample. Lower is better.`,
    bottom: top + Math.ceil(panels.length / 2) * PANEL.height,
    shapes: [...legend(HEAD_PIXELS + 10, 24, [...shown, ...marks]), ...shapes],
  });
}

// ── Ours ÷ C ───────────────────────────────────────────────────────────────────────────────────────────────

/** A line of this plot: one kind of work, with a mark for each load and mode. */
interface RatioRow {
  readonly section: string;
  readonly label: string;
  readonly cases: readonly BenchCase[];
}

/** Cases by section, name and entries; the entries are named where there are several numbers of them. */
function ratioRows(cases: readonly BenchCase[]): RatioRow[] {
  const isOf = (one: BenchCase, other: BenchCase): boolean =>
    one.section === other.section && one.name === other.name;
  const rows = new Map<string, BenchCase[]>();
  for (const one of cases) {
    const key = JSON.stringify([one.section, one.name, one.entries]);
    rows.set(key, [...(rows.get(key) ?? []), one]);
  }
  return [...rows.values()].map(same => {
    const [first] = same as [BenchCase];
    const isOneOfMany = cases.some(other => isOf(first, other) && other.entries !== first.entries);
    return { section: first.section, label: labelOf(first, isOneOfMany ? ["entries"] : []), cases: same };
  });
}

const RATIO_LEFT = 330;
const MARK_PIXELS = 7;

/** Of two modes the second is hollow. */
function isHollow({ mode }: BenchCase, modes: readonly string[]): boolean {
  return modes.indexOf(mode ?? "") > 0;
}

function ratioMark(one: BenchCase, modes: readonly string[], x: Scale, y: number): string {
  const { ratio, ratio_min: min, ratio_max: max } = one;
  const words = [one.distribution, one.addresses, one.mode].filter(word => word != null);
  return mark({
    series: Math.max(0, seriesOf(one)),
    x: x(ratio!),
    y,
    isHollow: isHollow(one, modes),
    r: 3,
    from: [x(min ?? ratio!), y],
    to: [x(max ?? ratio!), y],
    words: `${words.join(", ")}: ${short(ratio!)}`,
  });
}

/** The row's shapes from `top` on, and how high it is. */
function ratioRow(row: RatioRow, modes: readonly string[], x: Scale, top: number): [string[], number] {
  const height = Math.max(20, row.cases.length * MARK_PIXELS + 10);
  const middle = top + height / 2;
  const first = middle - ((row.cases.length - 1) * MARK_PIXELS) / 2;
  const targets = new Set(row.cases.map(one => one.ratio_target).filter(target => target != null));
  const shapes = [
    text(RATIO_LEFT - 10, middle + 4, row.label, "end"),
    // One piece of the target's line for each target that the row has.
    ...[...targets].map(target => line(x(target), top, x(target), top + height, "ink target")),
    ...row.cases.map((one, index) => ratioMark(one, modes, x, first + index * MARK_PIXELS)),
  ];
  return [shapes, height];
}

function ratioLegend(cases: readonly BenchCase[], modes: readonly string[]): string[] {
  const y = HEAD_PIXELS + 12;
  const upright = (style: string) => (left: number) => line(left, y - 8, left, y + 8, style);
  const memory = cases.filter(isInMemory);
  const isShown = (series: number): boolean => memory.some(one => seriesOf(one) === series);
  return legend(y, 24, [
    ...LOADS.flatMap(({ distribution, addresses }, series) => {
      if (!isShown(series)) return [];
      return [{ shape: (x: number) => mark({ series, x, y }), words: `${distribution}, ${addresses}` }];
    }),
    ...modes.map((mode, index) => ({
      shape: (x: number) => mark({ series: 0, x, y, isHollow: index > 0 }),
      words: mode,
    })),
    { shape: upright("axis"), words: "as fast as C" },
    ...(cases.some(one => one.ratio_target != null)
      ? [{ shape: upright("ink target"), words: "target" }]
      : []),
  ]);
}

/** All rows that have the C yardstick beside them; null when there are none. */
function ratioPlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(one => isC(one.yardstick) && one.ratio != null);
  if (cases.length === 0) return null;
  const modes = [...new Set(cases.flatMap(({ mode }) => mode ?? []))].sort();
  const rows = ratioRows(cases);
  const max = greatest(cases.flatMap(one => [1, one.ratio, one.ratio_max, one.ratio_target]));
  const x = linear(ticks(max).at(-1)!, RATIO_LEFT, WIDTH - 24);
  const top = HEAD_PIXELS + 34;
  let y = top;
  const shapes: string[] = [];
  for (const [index, row] of rows.entries()) {
    if (row.section !== rows[index - 1]?.section) {
      shapes.push(text(16, y + 16, row.section, "start", "head"));
      y += 26;
    }
    const [drawn, height] = ratioRow(row, modes, x, y);
    shapes.push(...drawn);
    y += height;
  }
  const ratios = cases.map(one => one.ratio!);
  return plot(bench, {
    file: "ratio.svg",
    title: "slash32 ÷ C, the same work in the same run",
    description: `Time of slash32 over that of C: ${ratios.length} figures from ${short(Math.min(...ratios))} to ${short(Math.max(...ratios))}; whiskers from the least to the greatest round. Lower is better, 1 is as fast as C.`,
    bottom: y + 40,
    shapes: [
      ...ratioLegend(cases, modes),
      ...horizontalAxis(x, max, top, y, "time of slash32 ÷ time of C"),
      line(x(1), top, x(1), y, "axis line"),
      ...shapes,
    ],
  });
}

// ── Capture → capture ──────────────────────────────────────────────────────────────────────────────────────

interface Bar {
  readonly label: string;
  /** Million frames a second. */
  readonly rate: number;
  readonly min: number;
  readonly max: number;
  readonly style: string;
}

const WHICH_FIGURE = /replay alone|whole process/;
const WHICH_CORES = /(one|two|1|2) cores?/;

/** What is read and what is written: the name without what is measured of it. */
function jobOf({ name }: BenchCase): string {
  const rest = name.replace(WHICH_FIGURE, "").replace(WHICH_CORES, "");
  return rest
    .split(",")
    .map(part => part.trim())
    .filter(part => part !== "")
    .join(", ");
}

/** Size of the capture, as the name gives it; 0 where it does not. */
function sizeOf(job: string): number {
  const [, number = "0", unit = ""] = /(\d[\d.]*) ?(k|M|G)/.exec(job) ?? [];
  return Number(number) * ({ k: 1e3, M: 1e6, G: 1e9 }[unit] ?? 0);
}

function bar(
  label: string,
  ns: number,
  min: number | null | undefined,
  max: number | null | undefined,
  style: string,
): Bar {
  return { label, rate: 1e3 / ns, min: 1e3 / (max ?? ns), max: 1e3 / (min ?? ns), style };
}

function ownBar(one: BenchCase): Bar {
  const cores = WHICH_CORES.exec(one.name)?.[1] ?? "one";
  const figure = WHICH_FIGURE.exec(one.name)?.[0];
  const words = { one: "one core", 1: "one core", two: "two cores", 2: "two cores" }[cores]!;
  const label = ["slash32", words, figure].filter(part => part !== undefined).join(", ");
  return bar(label, one.ns_per_frame!, one.min, one.max, figure === "whole process" ? "a pale" : "a");
}

/** Those of the tools, and of C; other figures of our own that serve as a yardstick have their own bar. */
function barsOfOthers(cases: readonly BenchCase[]): Bar[] {
  const others = cases.flatMap(one => {
    const { yardstick, yardstick_ns_per_frame: ns, yardstick_min: min, yardstick_max: max } = one;
    if (yardstick == null || ns == null || /^slash32|cores?\b/.test(yardstick)) return [];
    return [bar(isC(yardstick) ? `C, ${yardstick}` : yardstick, ns, min, max, isC(yardstick) ? "b" : "c")];
  });
  return others.filter((one, index) => others.findIndex(({ label }) => label === one.label) === index);
}

/** Of each direction the largest capture that is written out, the first of those of one size. */
function jobsOf(cases: readonly BenchCase[]): { job: string; bars: Bar[] }[] {
  return DIRECTIONS.flatMap(direction => {
    const own = cases.filter(one => `${one.section} ${one.name}`.includes(direction));
    const written = own.filter(one => !/counts only|without -w|no output/.test(one.name));
    const jobs = [...new Set(written.map(jobOf))].sort((a, b) => sizeOf(b) - sizeOf(a));
    const [job] = jobs;
    if (job === undefined) return [];
    const same = written.filter(one => jobOf(one) === job);
    const mine = same.map(ownBar);
    const distinct = mine.filter(
      (one, index) => mine.findIndex(({ label }) => label === one.label) === index,
    );
    return [
      {
        job: job.includes(direction) ? job : `${direction}, ${job}`,
        bars: [...distinct, ...barsOfOthers(same)],
      },
    ];
  });
}

const BAR_LEFT = 240;
const BAR_PIXELS = 24;

function barShapes({ label, rate, min, max, style }: Bar, x: Scale, y: number): string[] {
  const middle = y + BAR_PIXELS / 2;
  return [
    text(BAR_LEFT - 10, middle + 4, label, "end"),
    element("rect", {
      class: `${style} bar`,
      x: x(0),
      y: y + 4,
      width: x(rate) - x(0),
      height: BAR_PIXELS - 8,
    }),
    line(x(min), middle, x(max), middle, "ink"),
    line(x(min), middle - 4, x(min), middle + 4, "ink"),
    line(x(max), middle - 4, x(max), middle + 4, "ink"),
    text(x(Math.max(rate, max)) + 8, middle + 4, short(rate)),
  ];
}

/** Million frames a second of ours and of the tools; null when no capture was written. */
function capturePlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(
    one => one.section.startsWith("Capture → capture") && one.ns_per_frame !== undefined,
  );
  const jobs = jobsOf(cases);
  if (jobs.length === 0) return null;
  const max = greatest(jobs.flatMap(({ bars }) => bars.map(one => Math.max(one.rate, one.max))));
  const end = ticks(max).at(-1)!;
  const x = linear(end, BAR_LEFT, WIDTH - 70);
  const top = HEAD_PIXELS + 4;
  let y = top;
  const shapes = jobs.flatMap(({ job, bars }) => {
    const title = text(16, y + 20, job, "start", "head");
    y += 28;
    const drawn = bars.flatMap(one => {
      y += BAR_PIXELS;
      return barShapes(one, x, y - BAR_PIXELS);
    });
    y += 8;
    return [title, ...drawn];
  });
  const summary = jobs.map(
    ({ job, bars }) => `${job}: ${bars.map(one => `${one.label} ${short(one.rate)}`).join("; ")}`,
  );
  return plot(bench, {
    file: "capture.svg",
    title: "Capture → capture: million frames a second",
    description: `${summary.join(". ")}. Whiskers from the least to the greatest round. Higher is better.`,
    bottom: y + 40,
    shapes: [...horizontalAxis(x, max, top, y, "million frames a second"), ...shapes],
  });
}

// ── In the page ────────────────────────────────────────────────────────────────────────────────────────────

const BEGIN = "<!-- plots: written by npm run bench -- --docs -->";
const END = "<!-- end of plots -->";

/** docs/performance.md with its plots replaced. Throws when the page has no place for them. */
export function withPlots(pageText: string, plots: readonly Plot[]): string {
  const begin = pageText.indexOf(BEGIN);
  const end = pageText.indexOf(END);
  if (begin < 0 || end < begin)
    throw new Error(`docs/performance.md lacks its lines "${BEGIN}" and "${END}"`);
  const images = plots.map(
    ({ file, alternative }) => `![${alternative.replace(/[[\]]/g, "")}](performance/${file})\n`,
  );
  return `${pageText.slice(0, begin)}${BEGIN}\n\n${images.map(image => `${image}\n`).join("")}${pageText.slice(end)}`;
}
