/**
 * The plots of the benchmark show exactly the figures that they are given, are well-formed, deterministic, and have
 * colors with enough contrast.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drawPlots, svgOf } from "../../bench/draw-plots.ts";
import { COLORS, type Plot, plotsOf, withPlots } from "../../bench/plots.ts";
import { writeDocs } from "../../bench/publish.ts";
import { jsonOf, type Run } from "../../bench/report.ts";
import { type Bench, type BenchCase, benchOf } from "../../bench/result.ts";
import { assert, peer, suite } from "../harness.ts";
import { figures } from "./figures.ts";

const test = suite("bench plots");
const docs = join(import.meta.dirname, "../../docs");

function plotNamed(bench: Bench, file: string): Plot {
  const plot = plotsOf(bench).find(one => one.file === file);
  assert.ok(plot !== undefined, `${file} is not made`);
  return plot!;
}

/** A mark of a drawing: its kind, its data as the label for screen readers has them, and its SVG element. */
interface Mark {
  readonly kind: string;
  readonly data: ReadonlyMap<string, string>;
  readonly element: string;
}

function marksOf(svg: string): Mark[] {
  return [...svg.matchAll(/<\w+ aria-label="([^"]*)"[^>]*aria-roledescription="([^"]*)"[^>]*>/g)].map(
    ([element, label, kind]) => {
      const pairs = label!.split("; ").map(pair => pair.split(": ") as [string, string]);
      return { kind: kind!, data: new Map(pairs), element };
    },
  );
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

test("the plots are well-formed, name themselves, and are the same every time", async () => {
  peer("python3");
  const plots = plotsOf(figures());
  assert.equal(
    plots.map(({ file }) => file),
    ["capture.svg", "ratio.svg", "entries.svg"],
  );
  assert.equal(plotsOf(figures()), plots);
  const parse = "import sys, xml.dom.minidom as m; print(m.parse(sys.stdin.buffer).documentElement.tagName)";
  for (const plot of plots) {
    const svg = await svgOf(plot);
    assert.is(await svgOf(plot), svg);
    const { stdout, stderr } = spawnSync("python3", ["-c", parse], { input: svg, encoding: "utf8" });
    assert.is(stdout.trim(), "svg", `${plot.file}: ${stderr}`);
    assert.ok(Buffer.byteLength(svg) <= 500 * 1024, `${plot.file}: ${Buffer.byteLength(svg)} bytes`);
    assert.not.match(svg, /NaN|Infinity|undefined|null/);
    assert.match(svg, /^<svg role="img" [^>]*><title>[^<]+<\/title><desc>[^<]+<\/desc>/);
    assert.match(svg, /Measured on 2025-01-01, commit 0123abc, long form/);
    assert.ok(svg.includes("Some Processor &lt;&amp; others&gt;, 2 cores"), "the machine's name, escaped");
  }
});

test("a specification that vega-lite warns about is an error", async () => {
  const plot = plotNamed(figures(), "capture.svg");
  const spec = { ...plot.spec, mark: "point", vconcat: undefined, encoding: { wrong: { field: "a" } } };
  let message = "";
  await svgOf({ ...plot, spec }).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /^vega-lite: .*wrong/);
});

test("entries: every figure of slash32 and of C has its mark, at its height", async () => {
  const bench = figures();
  const marks = marksOf(await svgOf(plotNamed(bench, "entries.svg"))).filter(({ kind }) => kind === "point");
  const cases = bench.cases.filter(one => one.section.startsWith("In memory") && /bound/.test(one.name));
  const wanted = cases.flatMap(one => [
    `slash32 ${one.entries} ${one.ns_per_frame!.toFixed(6)}`,
    `C ${one.entries} ${one.yardstick_ns_per_frame!.toFixed(6)}`,
  ]);
  const sizes: Readonly<Record<string, number>> = { "1k": 1_000, "100k": 100_000, "1M": 1_000_000 };
  const drawn = marks.map(({ data }) => {
    const ns = Number(data.get("ns")).toFixed(6);
    return `${data.get("program")} ${sizes[data.get("entries")!]} ${ns}`;
  });
  assert.is(drawn.length, 96);
  assert.equal(drawn.toSorted(), wanted.toSorted());
  // All panels have the same scale: pixel and figure lie on one straight line.
  const points = marks.map(({ data, element }) => ({
    pixel: Number(/translate\([^,]+,([^)]+)\)/.exec(element)![1]),
    ns: Number(data.get("ns")),
  }));
  const low = points.reduce((a, b) => (b.ns < a.ns ? b : a));
  const high = points.reduce((a, b) => (b.ns > a.ns ? b : a));
  const slope = (high.pixel - low.pixel) / (high.ns - low.ns);
  assert.ok(slope < -1, "a greater figure is higher up");
  for (const { pixel, ns } of points)
    assert.ok(Math.abs(low.pixel + slope * (ns - low.ns) - pixel) < 0.5, `${ns} ns at ${pixel}`);
});

test("ratio: every ratio to C has its mark, and its target a line", async () => {
  const bench = figures();
  const cases = bench.cases.filter(one => one.yardstick === "gcc -O3");
  const marks = marksOf(await svgOf(plotNamed(bench, "ratio.svg")));
  const points = marks.filter(({ kind }) => kind === "point");
  const drawn = points.map(({ data }) => Number(data.get("ratio")).toFixed(6));
  assert.equal(drawn.toSorted(), cases.map(one => one.ratio!.toFixed(6)).toSorted());
  const hollow = points.filter(({ element }) => element.includes('fill="white"'));
  assert.is(hollow.length, cases.filter(({ mode }) => mode === "write").length);
  const ticks = marks.filter(({ kind }) => kind === "tick");
  assert.is(ticks.length, cases.filter(one => one.ratio_target != null).length);
  const without = { ...bench, cases: bench.cases.map(one => ({ ...one, ratio_target: null })) };
  const bare = marksOf(await svgOf(plotNamed(without, "ratio.svg")));
  assert.is(bare.filter(({ kind }) => kind === "tick").length, 0);
});

test("capture: bars are as long as their figures, and the largest capture is shown", async () => {
  const bench = figures();
  const svg = await svgOf(plotNamed(bench, "capture.svg"));
  const marks = marksOf(svg);
  const bars = marks.filter(({ kind }) => kind === "bar");
  const labels = marks.filter(({ kind }) => kind === "text mark");
  assert.is(bars.length, 16, "four of slash32 and four others, in two directions");
  assert.is(labels.length, bars.length);
  const widthOf = ({ element }: Mark): number => Number(/h([\d.]+)v/.exec(element)![1]);
  const pixels = widthOf(bars[0]!) / Number(bars[0]!.data.get("rate"));
  for (const bar of bars) {
    const rate = Number(bar.data.get("rate"));
    assert.ok(Math.abs(widthOf(bar) / pixels / rate - 1) < 0.01, `${rate} is ${widthOf(bar)} wide`);
  }
  const one = bench.cases.find(({ name }) => name === "inbound 5M → .pcap, two cores, replay alone")!;
  const shown = labels.find(({ data }) => data.get("label") === "slash32, two cores, replay alone")!;
  assert.is(shown.data.get("text"), short(1e3 / one.ns_per_frame!));
  assert.not.match(svg, /1M → /);
});

test("figures that are missing leave their marks out, and plots without figures are not made", async () => {
  const bench = figures();
  const of = (cases: readonly BenchCase[]): Bench => ({ ...bench, cases });
  const files = (cases: readonly BenchCase[]): string[] => plotsOf(of(cases)).map(({ file }) => file);
  assert.equal(files([]), []);
  const bare = bench.cases.map(({ section, name, entries, ns_per_frame }): BenchCase => {
    return { section, name, entries: entries!, ns_per_frame: ns_per_frame! };
  });
  assert.equal(files(bare), ["capture.svg", "entries.svg"], "without C there is no ratio");
  const programs = marksOf(await svgOf(plotNamed(of(bare), "entries.svg"))).map(({ data }) =>
    data.get("program"),
  );
  assert.ok(programs.includes("slash32") && !programs.includes("C"));
  const small = bench.cases.filter(one => one.entries === 1000 && one.section.startsWith("In memory"));
  assert.equal(files(small), ["ratio.svg"], "a line needs two numbers of entries");
  const uninstalled = bench.cases.map(one =>
    one.yardstick === "editcap" ? { ...one, yardstick_ns_per_frame: null, ratio: null } : one,
  );
  assert.not.match(await svgOf(plotNamed(of(uninstalled), "capture.svg")), /editcap/);
  const strange: BenchCase[] = [{ section: "Size", name: "build/core.wasm" }];
  assert.equal(files(strange), []);
});

test("colors stand out from white", () => {
  const part = (hex: string, index: number): number => {
    const value = Number.parseInt(hex.slice(1 + index * 2, 3 + index * 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  // Relative luminance and contrast of WCAG 2: shapes need 3.
  const luminance = (hex: string): number =>
    0.2126 * part(hex, 0) + 0.7152 * part(hex, 1) + 0.0722 * part(hex, 2);
  for (const color of COLORS) assert.ok(1.05 / (luminance(color) + 0.05) >= 3, color);
});

test("the page links the plots that there are, and nothing else changes", () => {
  const page = readFileSync(join(docs, "performance.md"), "utf8");
  const written = withPlots(page, plotsOf(figures()));
  const links = (text: string): string[] =>
    [...text.matchAll(/!\[[^\]]+\]\(performance\/([^)]+)\)/g)].map(match => match[1]!);
  assert.equal(links(written), ["capture.svg", "ratio.svg", "entries.svg"]);
  assert.is(withPlots(written, plotsOf(figures())), written, "writing twice changes nothing");
  assert.equal(links(withPlots(written, [])), []);
  assert.is(withPlots(withPlots(page, []), []).split("\n").at(-2), page.split("\n").at(-2));
  assert.throws(() => withPlots("no place", []), /lacks its lines/);
  const folder = join(docs, "performance");
  const committed = existsSync(folder) ? readdirSync(folder) : [];
  assert.equal(links(page).toSorted(), committed.toSorted(), "as committed");
});

test("figures and plots are written together, and plots of old go away", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-docs-"));
  try {
    const plots = join(folder, "performance");
    mkdirSync(plots);
    cpSync(join(docs, "performance.md"), join(folder, "performance.md"));
    writeFileSync(join(plots, "old.svg"), "");
    writeFileSync(join(plots, "kept.txt"), "");
    const spread = { value: 2, min: 1, max: 3, count: 3, isMean: false };
    const timesFaster = { ...spread, value: 1.5, min: 1, max: 2 };
    const run: Run = {
      machine: "a machine",
      commit: "0123abc",
      date: "2025-01-01",
      effort: "long",
      sections: [
        {
          title: "Capture → capture, inbound",
          notes: [],
          cases: [
            {
              name: "inbound 1M → .pcap, replay alone",
              remark: "",
              entries: 1000,
              distribution: "uniform",
              unit: "s",
              value: spread,
              frames: 1_000_000,
              yardsticks: [
                { name: "tcprewrite", value: { ...spread, value: 3, max: 4 }, timesFaster, objection: null },
              ],
              target: { what: "inbound", kind: "times faster", target: 5, stretch: null },
            },
          ],
        },
      ],
    };
    writeDocs(run, folder);
    await drawPlots(folder);
    assert.equal(readdirSync(plots).toSorted(), ["capture.svg", "kept.txt"]);
    const page = readFileSync(join(folder, "performance.md"), "utf8");
    assert.match(page, /Measured on 2025-01-01, commit 0123abc/);
    assert.match(page, /!\[From capture to capture[^\]]*\]\(performance\/capture\.svg\)/);
    // Two seconds for a million frames are half a million a second; three are a third of one.
    const svg = readFileSync(join(plots, "capture.svg"), "utf8");
    assert.match(svg, />0\.5<\/text>/);
    assert.match(svg, />0\.333<\/text>/);
    const kept = readFileSync(join(folder, "performance.json"), "utf8");
    assert.equal(JSON.parse(kept), JSON.parse(jsonOf(run)));
    const [one] = benchOf(jsonOf(run)).cases as [BenchCase];
    assert.equal(
      [one.yardstick_min, one.yardstick_max, one.ratio_min, one.ratio_max, one.ratio_target],
      [1000, 4000, 0.5, 1, 0.2],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
