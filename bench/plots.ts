/**
 * The plots of docs/performance.md as vega-lite specifications: pure functions of the figures that `--json`
 * prints. Each row of data is one figure; nothing is measured, smoothed or left out. A plot without figures
 * is not made. The drawing is in draw-plots.ts. https://vega.github.io/vega-lite/docs/
 */
import { type Bench, type BenchCase, isC, labelOf, shortCount } from "./result.ts";

/** A vega-lite specification, or a part of one. */
export type Spec = Readonly<Record<string, unknown>>;

export interface Plot {
  /** The file's name, without its folder. */
  readonly file: string;
  readonly title: string;
  /** The content in words, for readers who cannot see it. */
  readonly description: string;
  readonly spec: Spec;
}

/** Colors of Okabe and Ito, darkened where their contrast on white is below 3 : 1 (WCAG 2). */
export const COLORS = ["#0072b2", "#c04f00", "#007a5a", "#a34a86"] as const;
const INK = "#1f2328";
const FAINT = "#59636e";
const GRID = "#d1d9e0";

/** All plots that have figures, in the order of the page. */
export function plotsOf(bench: Bench): Plot[] {
  return [capturePlot(bench), ratioPlot(bench), entriesPlot(bench)].filter(plot => plot !== null);
}

/** Three significant digits, without trailing zeros. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

const CONFIG: Spec = {
  font: "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: FAINT,
    labelFontSize: 12,
    labelLimit: 0,
    titleColor: INK,
    titleFontSize: 12,
    titleFontWeight: "normal",
    gridColor: GRID,
    domainColor: FAINT,
    tickColor: FAINT,
  },
  header: { labelColor: INK, labelFontSize: 13, labelFontWeight: 600, labelAnchor: "start", title: null },
  legend: {
    labelColor: INK,
    labelFontSize: 12,
    labelLimit: 0,
    columnPadding: 4,
    columns: 2,
    title: null,
    orient: "top",
  },
  title: { color: INK, fontSize: 13, fontWeight: 600, anchor: "start", frame: "group", subtitleColor: FAINT },
};

/** A specification with the title, the origin of its figures, and the configuration of all plots. */
function withHead(bench: Bench, title: string, note: string, body: Spec): Spec {
  const { date, commit, effort, machine } = bench;
  const origin = [`Measured on ${date}, commit ${commit}, ${effort} form, on`, machine];
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 14,
    title: {
      text: title,
      subtitle: [...note.split(/(?<=\.) (?=Black)/), ...origin],
      fontSize: 16,
      subtitleFontSize: 12,
      offset: 14,
      frame: "bounds",
    },
    config: CONFIG,
    ...body,
  };
}

const quantitative = (field: string, more: Spec = {}): Spec => ({ field, type: "quantitative", ...more });
const nominal = (field: string, more: Spec = {}): Spec => ({ field, type: "nominal", ...more });

/** A color scale and legend with fixed assignments. */
const colors = (field: string, domain: readonly string[]): Spec =>
  nominal(field, { sort: null, scale: { domain, range: COLORS.slice(0, domain.length) } });

// ── Capture → capture ──────────────────────────────────────────────────────────────────────────────────────

/** Who a bar belongs to, in the order of the legend. */
const OWNERS = [
  "slash32, replay alone",
  "C program, the same work",
  "other tool, less work",
  "slash32, whole process",
] as const;

/** A bar; rates are million frames per second. */
interface Bar {
  readonly job: string;
  readonly label: string;
  readonly owner: (typeof OWNERS)[number];
  readonly rate: number;
  readonly min: number;
  readonly max: number;
  readonly text: string;
}

const DIRECTIONS = ["inbound", "outbound"] as const;
const WHICH_FIGURE = /replay alone|whole process/;
const WHICH_CORES = /(one|two|1|2) cores?/;
const CORES: Readonly<Record<string, string>> = { 1: "one core", 2: "two cores" };

/** Input and output of a case: its name without the figure and the cores. */
function jobOf({ name }: BenchCase): string {
  const parts = name.replace(WHICH_FIGURE, "").replace(WHICH_CORES, "").split(",");
  return parts
    .map(part => part.trim())
    .filter(part => part !== "")
    .join(", ");
}

/** Number of frames of the capture as the name has it; 0 if it has none. */
function sizeOf(job: string): number {
  const [, number = "0", unit = ""] = /(\d[\d.]*) ?(k|M|G)/.exec(job) ?? [];
  return Number(number) * ({ k: 1e3, M: 1e6, G: 1e9 }[unit] ?? 0);
}

function barOf(
  job: string,
  label: string,
  owner: Bar["owner"],
  ns: number,
  [min, max]: readonly [number | null | undefined, number | null | undefined],
): Bar {
  const rate = 1e3 / ns;
  return { job, label, owner, rate, min: 1e3 / (max ?? ns), max: 1e3 / (min ?? ns), text: short(rate) };
}

function ownBar(job: string, one: BenchCase): Bar {
  const cores = WHICH_CORES.exec(one.name)?.[0] ?? "one core";
  const figure = WHICH_FIGURE.exec(one.name)?.[0];
  const words = ["slash32", CORES[cores[0]!] ?? cores, figure].filter(part => part !== undefined);
  const owner = figure === "whole process" ? "slash32, whole process" : "slash32, replay alone";
  return barOf(job, words.join(", "), owner, one.ns_per_frame!, [one.min, one.max]);
}

/** The bar of the other program; null if there is none, or if it is another figure of slash32. */
function barOfOther(job: string, one: BenchCase): Bar | null {
  const { yardstick, yardstick_ns_per_frame: ns, yardstick_min: min, yardstick_max: max } = one;
  if (yardstick == null || ns == null || /^slash32|cores?\b|^pcap/.test(yardstick)) return null;
  const [label, owner] = isC(yardstick) ? [`C, ${yardstick}`, OWNERS[1]] : [yardstick, OWNERS[2]];
  return barOf(job, label, owner, ns, [min, max]);
}

/** For each direction the largest capture that is written out, the first of those of one size. */
function barsOf(cases: readonly BenchCase[]): Bar[] {
  return DIRECTIONS.flatMap(direction => {
    const own = cases.filter(one => `${one.section} ${one.name}`.includes(direction));
    const written = own.filter(one => !/counts only|without -w|no output/.test(one.name));
    const [job] = [...new Set(written.map(jobOf))].sort((a, b) => sizeOf(b) - sizeOf(a));
    if (job === undefined) return [];
    const same = written.filter(one => jobOf(one) === job);
    const title = job.includes(direction) ? job : `${direction}, ${job}`;
    const others = same.map(one => barOfOther(title, one)).filter(bar => bar !== null);
    const bars = [...same.map(one => ownBar(title, one)), ...others];
    // The other program's figure repeats with each of ours.
    return bars.filter((bar, index) => bars.findIndex(({ label }) => label === bar.label) === index);
  });
}

/** The bars of one job. All charts have the same scales, so that they can be compared. */
function barChart(title: string, values: readonly Bar[], max: number, isLast: boolean): Spec {
  const y = nominal("label", { sort: null, axis: { title: null, domain: false, ticks: false } });
  const axis = { title: isLast ? "million frames per second" : null, labels: isLast };
  const x = quantitative("rate", { scale: { domain: [0, Math.ceil(max / 5) * 5] }, axis });
  return {
    title,
    width: 600,
    height: { step: 24 },
    data: { values },
    encoding: { y },
    layer: [
      { mark: { type: "bar", height: { band: 0.7 } }, encoding: { x, color: colors("owner", OWNERS) } },
      {
        mark: { type: "rule", color: INK, strokeWidth: 1.5 },
        encoding: { x: quantitative("min"), x2: { field: "max" } },
      },
      {
        mark: { type: "text", align: "left", dx: 6, color: INK, fontSize: 12 },
        encoding: { x: quantitative("max"), text: nominal("text") },
      },
    ],
  };
}

/** Million frames per second of slash32 and of other programs; null if no capture was written. */
function capturePlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(
    one => one.section.startsWith("Capture → capture") && one.ns_per_frame !== undefined,
  );
  const bars = barsOf(cases);
  if (bars.length === 0) return null;
  const title = "From capture to capture: million frames per second";
  const note = "Higher is better. Lines: from the slowest to the fastest round.";
  const max = Math.max(...bars.map(bar => bar.max));
  const jobs = [...new Set(bars.map(({ job }) => job))];
  const vconcat = jobs.map((job, index) => {
    const own = bars.filter(bar => bar.job === job);
    return barChart(job, own, max, index === jobs.length - 1);
  });
  const spec = withHead(bench, title, note, { vconcat, spacing: 16 });
  const words = bars.map(({ job, label, text }) => `${job}: ${label} ${text}`);
  return { file: "capture.svg", title, description: `${words.join("; ")}. ${note}`, spec };
}

// ── The core in memory ─────────────────────────────────────────────────────────────────────────────────────

/** Distribution of the lookups and of the addresses, in the order of the legend. */
const LOADS = ["uniform, scattered", "zipf, scattered", "uniform, dense", "zipf, dense"] as const;

const loadOf = ({ distribution, addresses }: BenchCase): string =>
  `${distribution ?? "uniform"}, ${addresses ?? "scattered"}`.toLowerCase();

const isInMemory = ({ section }: BenchCase): boolean => section.startsWith("In memory");

/** One mark of the ratio plot. */
interface Ratio {
  readonly label: string;
  readonly load: string;
  readonly mode: string;
  readonly ratio: number;
  readonly min: number;
  readonly max: number;
  readonly target: number | null;
}

function ratioOf(one: BenchCase, cases: readonly BenchCase[]): Ratio {
  const isOneOfMany = cases.some(
    other => other.section === one.section && other.name === one.name && other.entries !== one.entries,
  );
  const ratio = one.ratio!;
  return {
    label: labelOf(one, isOneOfMany ? ["entries"] : []),
    load: isInMemory(one) ? loadOf(one) : LOADS[0],
    mode: one.mode ?? "capture",
    ratio,
    min: one.ratio_min ?? ratio,
    max: one.ratio_max ?? ratio,
    target: one.ratio_target ?? null,
  };
}

const MARK_PIXELS = 9;
/** Space between two labels, in marks. */
const GAP = 1.5;

/**
 * Vertical positions in marks: one for each ratio, below each other by label, and the middle of each label.
 */
function placed(ratios: readonly Ratio[]) {
  let next = 0;
  const middles = new Map<number, string>();
  const values = [...new Set(ratios.map(({ label }) => label))].flatMap(label => {
    const own = ratios.filter(one => one.label === label);
    const first = next + GAP / 2;
    middles.set(first + (own.length - 1) / 2, label);
    next += own.length + GAP;
    return own.map((one, index) => ({ ...one, place: first + index }));
  });
  return { values, middles, height: next };
}

/** One section of the ratio plot: a mark per figure. All sections have the same horizontal scale. */
function ratioSection(title: string, ratios: readonly Ratio[], max: number, isLast: boolean): Spec {
  const { values, middles, height } = placed(ratios);
  const domain = [0, Math.ceil(max * 2) / 2];
  const axis = { title: isLast ? "time of slash32 ÷ time of C" : null, tickCount: 8, labels: isLast };
  const x = quantitative("ratio", { scale: { domain }, axis });
  const y = quantitative("place", {
    scale: { domain: [height - 0.5, -0.5], nice: false, zero: false },
    axis: {
      title: null,
      domain: false,
      ticks: false,
      grid: false,
      values: [...middles.keys()],
      labelExpr: `(${JSON.stringify(Object.fromEntries(middles))})[datum.value]`,
      labelOverlap: false,
    },
  });
  const color = colors("load", LOADS);
  const shapes = { domain: LOADS, range: ["circle", "square", "triangle-up", "diamond"] };
  const points = (filter: string, more: Spec): Spec => ({
    transform: [{ filter }],
    mark: { type: "point", size: 40, strokeWidth: 1.5, filled: more.fill === undefined, opacity: 1, ...more },
    encoding: { x, y, color, shape: nominal("load", { sort: null, scale: shapes }) },
  });
  return {
    title,
    width: 560,
    height: height * MARK_PIXELS,
    data: { values },
    layer: [
      { mark: { type: "rule", color: FAINT, strokeWidth: 2 }, encoding: { x: { datum: 1 } } },
      {
        transform: [{ filter: "datum.target !== null" }],
        mark: { type: "tick", color: INK, thickness: 3, size: MARK_PIXELS },
        encoding: { x: quantitative("target"), y },
      },
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x: quantitative("min"), x2: { field: "max" }, y, color },
      },
      points("datum.mode !== 'write'", {}),
      points("datum.mode === 'write'", { fill: "white" }),
    ],
  };
}

/** All figures that have a C program beside them; null if there are none. */
function ratioPlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(one => isC(one.yardstick) && one.ratio != null);
  if (cases.length === 0) return null;
  const sections = [...new Set(cases.map(({ section }) => section))];
  const ratios = cases.map(one => ratioOf(one, cases));
  const max = Math.max(1, ...ratios.flatMap(({ max: most, target }) => [most, target ?? 0]));
  const charts = sections.map((section, index) => {
    const values = cases.filter(one => one.section === section).map(one => ratioOf(one, cases));
    return ratioSection(section, values, max, index === sections.length - 1);
  });
  const title = "Time of slash32 ÷ time of C, for the same work in the same run";
  const note =
    "Lower is better; 1 (vertical line) is as fast as C. Black: target. " +
    "Lines: from the least to the greatest round. Filled: judge; hollow: write.";
  const values = ratios.map(({ ratio }) => ratio);
  const [least, greatest] = [short(Math.min(...values)), short(Math.max(...values))];
  const description = `${values.length} figures from ${least} to ${greatest}. ${note}`;
  const body = { vconcat: charts, spacing: 12 };
  return { file: "ratio.svg", title, description, spec: withHead(bench, title, note, body) };
}

/** One point of the entries plot. */
interface Point {
  readonly panel: string;
  readonly load: string;
  readonly program: "slash32" | "C";
  readonly entries: number;
  readonly ns: number;
  readonly min: number;
  readonly max: number;
}

function pointsOf(one: BenchCase): Point[] {
  const { name, mode, entries, ns_per_frame: ns, yardstick_ns_per_frame: nsOfC } = one;
  const common = { panel: [name, mode].filter(word => word != null).join(", "), load: loadOf(one) };
  const point = (program: Point["program"], value: number, min = value, max = value): Point[] => [
    { ...common, program, entries: entries!, ns: value, min, max },
  ];
  const ofC = isC(one.yardstick) && nsOfC != null;
  return [
    ...point("slash32", ns!, one.min, one.max),
    ...(ofC ? point("C", nsOfC, one.yardstick_min ?? nsOfC, one.yardstick_max ?? nsOfC) : []),
  ];
}

/** Nanoseconds by entries, in- and outbound; null if there are not two numbers of entries to compare. */
function entriesPlot(bench: Bench): Plot | null {
  const cases = bench.cases.filter(
    one =>
      isInMemory(one) &&
      one.ns_per_frame !== undefined &&
      one.entries != null &&
      DIRECTIONS.some(direction => one.name === direction),
  );
  const sizes = [...new Set(cases.map(({ entries }) => entries!))].sort((a, b) => a - b);
  if (sizes.length < 2) return null;
  const points = cases.flatMap(pointsOf);
  // The figure of slash32 repeats with each program beside it.
  const key = ({ panel, load, program, entries }: Point): string => [panel, load, program, entries].join();
  const distinct = [...new Map(points.map(point => [key(point), point])).values()];
  const title = "Nanoseconds per frame, by entries in the table";
  const hasC = distinct.some(({ program }) => program === "C");
  const beside = hasC ? "Solid: slash32; dashed: C, the same work. " : "";
  const note = `Lower is better. ${beside}Thin lines: from the least to the greatest sample.`;
  const axis = { title: "entries (logarithmic)", values: [1e3, 1e4, 1e5, 1e6], format: "~s", grid: false };
  const x = quantitative("entries", { scale: { type: "log", padding: 20 }, axis });
  const dashes = { domain: ["slash32", "C"], range: [[], [5, 4]] };
  const color = colors("load", LOADS);
  const strokeDash = nominal("program", { scale: dashes, legend: hasC ? {} : null });
  const y = quantitative("ns", { axis: { title: "ns per frame" } });
  const spec = withHead(bench, title, note, {
    data: { values: distinct },
    facet: nominal("panel", { sort: null }),
    columns: 2,
    spec: {
      width: 390,
      height: 220,
      encoding: { x, color },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { y, strokeDash } },
        { mark: { type: "rule", opacity: 0.6 }, encoding: { y: quantitative("min"), y2: { field: "max" } } },
        {
          mark: { type: "point", filled: true, size: 45 },
          encoding: {
            y,
            shape: nominal("program", {
              sort: null,
              scale: { domain: dashes.domain },
              legend: hasC ? {} : null,
            }),
          },
        },
      ],
    },
  });
  const description = `The core in memory, with ${sizes.map(shortCount).join(", ")} entries. ${note}`;
  return { file: "entries.svg", title, description, spec };
}

// ── In the page ────────────────────────────────────────────────────────────────────────────────────────────

const BEGIN = "<!-- plots: written by npm run plots -->";
const END = "<!-- end of plots -->";

/** docs/performance.md with its plots replaced. Throws if the page has no place for them. */
export function withPlots(pageText: string, plots: readonly Plot[]): string {
  const begin = pageText.indexOf(BEGIN);
  const end = pageText.indexOf(END);
  if (begin < 0 || end < begin)
    throw new Error(`docs/performance.md lacks its lines "${BEGIN}" and "${END}"`);
  const images = plots.map(({ file, title, description }) => {
    const words = `${title}. ${description}`.replace(/[[\]]/g, "");
    return `![${words}](performance/${file})\n\n`;
  });
  return `${pageText.slice(0, begin)}${BEGIN}\n\n${images.join("")}${pageText.slice(end)}`;
}
