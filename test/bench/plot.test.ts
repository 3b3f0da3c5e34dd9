/**
 * The plots of the benchmark show the figures that they are given, are well-formed, the same every time, small, and
 * can be told apart on a light and on a dark ground. What they look like is for people to say.
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
import { plotsOf, withPlots } from "../../bench/plot.ts";
import { writeDocs } from "../../bench/publish.ts";
import { jsonOf, type Run } from "../../bench/report.ts";
import { type Bench, type BenchCase, benchOf } from "../../bench/result.ts";
import { PALETTE, SERIES, ticks } from "../../bench/svg.ts";
import { assert, peer, suite } from "../harness.ts";
import { figures } from "./figures.ts";

const test = suite("bench plots");
const docs = join(import.meta.dirname, "../../docs");

function plotNamed(bench: Bench, file: string): string {
  const plot = plotsOf(bench).find(one => one.file === file);
  assert.ok(plot !== undefined, `${file} is not made`);
  return plot!.svg;
}

/** Elements opened and not closed, or closed and not opened; attributes without quotes; bare signs. */
function faultOf(svg: string): string | null {
  const open: string[] = [];
  const tokens = svg.trim().matchAll(/<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<]*")*)(\/?)>|([^<]+)|(<[^>]*>?)/g);
  for (const [whole, slash, name, , isEmpty, text, wrong] of tokens) {
    if (wrong !== undefined) return `not an element: ${whole}`;
    if (text !== undefined && /&(?!#\d+;)/.test(text)) return `a bare &: ${text}`;
    if (name === undefined || isEmpty === "/") continue;
    if (slash === "") open.push(name);
    else if (open.pop() !== name) return `closes what is not open: ${whole}`;
  }
  return open.length === 0 ? null : `not closed: ${open.join(", ")}`;
}

/** What the titles of the marks say, by series and shape: `label: number`. */
function titlesOf(svg: string): string[] {
  return [...svg.matchAll(/<title>([^<]*)<\/title>/g)].map(match => match[1]!);
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

test("the plots are well-formed, name themselves, are small and the same every time", () => {
  const plots = plotsOf(figures());
  assert.equal(
    plots.map(({ file }) => file),
    ["capture.svg", "ratio.svg", "entries.svg"],
  );
  assert.equal(plotsOf(figures()), plots);
  for (const { file, svg } of plots) {
    assert.is(faultOf(svg), null, file);
    assert.ok(Buffer.byteLength(svg) <= 30 * 1024, `${file}: ${Buffer.byteLength(svg)} bytes`);
    assert.not.match(svg, /NaN|Infinity|undefined|null/);
    assert.match(svg, /<title id="title">[^<]+<\/title>\s*<desc id="desc">[^<]+<\/desc>/);
    assert.match(svg, /Measured on 2025-01-01, commit 0123abc, long form/);
    assert.ok(
      svg.includes("Some Processor &#60;&#38; others&#62;, 2 cores"),
      "the machine, its signs escaped",
    );
  }
});

test("the check for well-formed files catches files that are not", () => {
  const svg = plotNamed(figures(), "capture.svg");
  for (const broken of [
    svg.replace("</svg>", ""),
    svg.replace("</text>", ""),
    svg.replace("&#38;", "&"),
    svg.replace('class="', "class="),
  ])
    assert.ok(faultOf(broken) !== null);
});

test("other people's XML parser reads them", () => {
  peer("python3");
  const parse = "import sys, xml.dom.minidom as m; print(m.parse(sys.stdin.buffer).documentElement.tagName)";
  for (const { file, svg } of plotsOf(figures())) {
    const { stdout, stderr } = spawnSync("python3", ["-c", parse], { input: svg, encoding: "utf8" });
    assert.is(stdout.trim(), "svg", `${file}: ${stderr}`);
  }
});

test("entries: every figure of ours and of C has its mark, at its height", () => {
  const bench = figures();
  const svg = plotNamed(bench, "entries.svg");
  const cases = bench.cases.filter(one => one.section.startsWith("The core") && /bound/.test(one.name));
  const wanted = cases.flatMap(one => {
    const entries = { 1000: "1k", 100000: "100k", 1000000: "1M" }[one.entries!]!;
    const [ours, theirs] = [one.ns_per_frame!, one.yardstick_ns_per_frame!];
    return [`slash32, ${entries} entries: ${short(ours)} ns`, `C, ${entries} entries: ${short(theirs)} ns`];
  });
  assert.equal(titlesOf(svg).toSorted(), wanted.toSorted());

  // Heights: in one panel a mark's pixel and its figure lie on one straight line.
  const marks = [...svg.matchAll(/M[\d.]+ ([\d.]+)m[^"]*"><title>[^:]*: ([\d.]+) ns/g)].slice(0, 24);
  const points = marks.map(match => ({ pixel: Number(match[1]), ns: Number(match[2]) }));
  const low = points.reduce((a, b) => (b.ns < a.ns ? b : a));
  const high = points.reduce((a, b) => (b.ns > a.ns ? b : a));
  const slope = (high.pixel - low.pixel) / (high.ns - low.ns);
  assert.is(points.length, 24);
  assert.ok(slope < -1, "more is higher up");
  for (const { pixel, ns } of points)
    assert.ok(Math.abs(low.pixel + slope * (ns - low.ns) - pixel) < 0.5, `${ns} ns at ${pixel}`);
});

test("ratio: every ratio to C has its mark, and its target a line", () => {
  const bench = figures();
  const svg = plotNamed(bench, "ratio.svg");
  const cases = bench.cases.filter(one => one.yardstick === "gcc -O3");
  const said = titlesOf(svg).map(title => title.split(": ").at(-1));
  assert.equal(said.toSorted(), cases.map(one => short(one.ratio!)).toSorted());
  assert.match(svg, /class="ink target"/);
  const without = { ...bench, cases: bench.cases.map(one => ({ ...one, ratio_target: null })) };
  assert.not.match(plotNamed(without, "ratio.svg"), /class="ink target"|>target</);
});

test("capture: bars are as long as their figures, and the largest capture is shown", () => {
  const bench = figures();
  const svg = plotNamed(bench, "capture.svg");
  const bars = [...svg.matchAll(/<rect class="\S+ (?:pale )?bar" [^>]*width="([\d.]+)"/g)].map(match =>
    Number(match[1]),
  );
  const said = [...svg.matchAll(/<text x="[\d.]+" y="[\d.]+">([\d.]+)<\/text>/g)].map(match =>
    Number(match[1]),
  );
  assert.is(bars.length, 16, "four of ours and four others, in two directions");
  assert.is(said.length, bars.length);
  const pixels = bars[0]! / said[0]!;
  for (const [index, width] of bars.entries())
    assert.ok(Math.abs(width / pixels / said[index]! - 1) < 0.01, `${said[index]} is ${width} wide`);
  const one = bench.cases.find(({ name }) => name === "inbound 5M → .pcap, two cores, replay alone")!;
  const label = `slash32, two cores, replay alone ${short(1e3 / one.ns_per_frame!)}`;
  assert.ok(svg.includes(label), label);
  assert.not.match(svg, /1M → /);
});

test("figures that are missing leave their marks out, and plots without figures are not made", () => {
  const bench = figures();
  const of = (cases: readonly BenchCase[]): Bench => ({ ...bench, cases });
  const files = (cases: readonly BenchCase[]): string[] => plotsOf(of(cases)).map(({ file }) => file);
  assert.equal(files([]), []);
  const bare = bench.cases.map(({ section, name, entries, ns_per_frame }): BenchCase => {
    return { section, name, entries: entries!, ns_per_frame: ns_per_frame! };
  });
  assert.equal(files(bare), ["capture.svg", "entries.svg"], "without C there is no ratio");
  assert.not.match(plotNamed(of(bare), "entries.svg"), /dashed" d=|>C</);
  const small = bench.cases.filter(one => one.entries === 1000 && one.section === "The core in memory");
  assert.equal(files(small), ["ratio.svg"], "a line needs two numbers of entries");
  const uninstalled = bench.cases.map(one =>
    one.yardstick === "editcap" ? { ...one, yardstick_ns_per_frame: null, ratio: null } : one,
  );
  assert.not.match(plotNamed(of(uninstalled), "capture.svg"), /editcap/);
  const strange: BenchCase[] = [{ section: "Size", name: "build/core.wasm" }];
  assert.equal(files(strange), []);
});

test("axes end on a round number that is not below the greatest figure", () => {
  for (const [max, wanted] of [
    [60, [0, 20, 40, 60]],
    [60.1, [0, 20, 40, 60, 80]],
    [1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [2.3, [0, 0.5, 1, 1.5, 2, 2.5]],
  ] as const)
    assert.equal(ticks(max), wanted);
});

test("colours stand out from both grounds", () => {
  const part = (hex: string, index: number): number => {
    const value = Number.parseInt(hex.slice(1 + index * 2, 3 + index * 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  // Relative luminance and contrast as WCAG 2 has them: 3 for shapes, 4.5 for text.
  const luminance = (hex: string): number =>
    0.2126 * part(hex, 0) + 0.7152 * part(hex, 1) + 0.0722 * part(hex, 2);
  const contrast = (a: string, b: string): number => {
    const [dark, light] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
    return (light! + 0.05) / (dark! + 0.05);
  };
  for (const theme of ["light", "dark"] as const) {
    const ground = PALETTE.ground![theme];
    for (const name of SERIES) assert.ok(contrast(PALETTE[name]![theme], ground) >= 3, `${name}, ${theme}`);
    for (const name of ["ink", "faint"])
      assert.ok(contrast(PALETTE[name]![theme], ground) >= 4.5, `${name}, ${theme}`);
  }
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

test("figures and plots are written together, and plots of old go away", () => {
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
    assert.equal(readdirSync(plots).toSorted(), ["capture.svg", "kept.txt"]);
    const page = readFileSync(join(folder, "performance.md"), "utf8");
    assert.match(page, /Measured on 2025-01-01, commit 0123abc/);
    assert.match(page, /!\[Capture → capture[^\]]*\]\(performance\/capture\.svg\)/);
    // Two seconds for a million frames are half a million a second; three are a third of one.
    const svg = readFileSync(join(plots, "capture.svg"), "utf8");
    assert.match(svg, />0\.5<\/text>/);
    assert.match(svg, />0\.333<\/text>/);
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
