/**
 * The benchmark works: every row in its shortest form gives figures, the captures it makes are valid, and
 * what it writes can be read. How fast anything is, is not tested here.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Case, EFFORTS, type Section, type Target } from "../../bench/cases.ts";
import {
  alternate,
  commitName,
  machineLine,
  meanSpreadOf,
  ratioOf,
  spreadOf,
  takeTurns,
} from "../../bench/harness.ts";
import { jsonOf, markdownOf, ndjsonOf, type Run, textOf, withFigures } from "../../bench/report.ts";
import { ROWS, runRows } from "../../bench/rows.ts";
import { workFolder, writeCapture } from "../../bench/traffic.ts";
import { assert, isTried, peer, skip, suite } from "../harness.ts";

const test = suite("bench");

function runOf(sections: readonly Section[]): Run {
  return { machine: machineLine(), commit: commitName(), date: "2025-01-01", effort: "smoke", sections };
}

const sections: Section[] = [];

/** Most of the time of all rows, and of the kind of others: with DRAWS=all only. Of the rest one in three, and this one. */
const SLOW = ["large-inbound", "core-counters"];
const ALWAYS = "core-inbound";
const isAll = process.env.DRAWS === "all";

// Those on request have figures that may be 0, and take their time.
for (const row of ROWS.filter(
  ({ name, isOnRequest }) =>
    isOnRequest !== true && (isAll || name === ALWAYS || (!SLOW.includes(name) && isTried())),
)) {
  test(`the row ${row.name} gives figures`, async () => {
    const [section] = await runRows([row], EFFORTS.smoke);
    const [note = ""] = section!.notes;
    if (note.startsWith("Not measured: ")) skip(note);
    sections.push(section!);
    assert.ok(section!.cases.length > 0, "no case");
    for (const { name, value, yardsticks } of section!.cases) {
      const figures = [value, ...yardsticks.flatMap(stick => [stick.value, stick.timesFaster])];
      for (const spread of figures.filter(figure => figure !== null)) {
        const { min, max } = spread;
        for (const figure of [spread.value, min, max])
          assert.ok(figure > 0 && Number.isFinite(figure), `${name}: ${figure}`);
        assert.ok(min <= spread.value && spread.value <= max, `${name}: ${JSON.stringify(spread)}`);
      }
      for (const stick of yardsticks)
        assert.is(stick.value === null, stick.objection !== null, `${name}: ${stick.name}`);
    }
  });
}

test("the figures can be read as text, as JSON and in the page", () => {
  const run = runOf(sections);
  const text = textOf(run);
  for (const { title } of sections) assert.ok(text.includes(`## ${title}\n`), title);
  const bench = JSON.parse(jsonOf(run));
  assert.is(bench.type, "bench");
  assert.is(bench.schema, 1);
  assert.match(bench.commit, /^([0-9a-f]{7,}\+?|unknown)$/);
  const inbound = bench.cases.find((one: { name: string }) => one.name === "inbound");
  assert.is(inbound.entries, 1000);
  assert.is(inbound.distribution, "uniform");
  if (inbound.objection === null) {
    const ratio = inbound.ns_per_frame / inbound.yardstick_ns_per_frame;
    assert.is(inbound.ratio.toFixed(9), ratio.toFixed(9));
  }
  assert.is(inbound.yardstick, "gcc -O3");
  assert.equal([inbound.addresses, inbound.mode], ["scattered", "judge"]);
  const lines = ndjsonOf(run).split("\n");
  assert.is(lines.at(-1), jsonOf(run));
  assert.is(lines.length, bench.cases.length + 1);
  for (const line of lines) assert.is(JSON.parse(line).schema, 1);
  const page = readFileSync(join(import.meta.dirname, "../../docs/performance.md"), "utf8");
  const written = withFigures(page, run);
  assert.is(withFigures(written, run), written, "writing twice changes nothing");
  assert.ok(written.startsWith(page.slice(0, page.indexOf("<!--"))));
  assert.ok(written.endsWith(page.slice(page.indexOf("<!-- end of figures"))));
  assert.throws(() => withFigures("no place", run), /lacks its lines/);
});

test("neither the machine's name nor a path stands in what is printed", () => {
  const printed = textOf(runOf(sections)) + jsonOf(runOf(sections));
  assert.not.match(printed, /\/(tmp|home|root|work|Users|var)\//);
});

for (const direction of ["inbound", "outbound"] as const) {
  test(`captures ${direction} hold valid UDP frames of 60 bytes`, () => {
    peer("tshark");
    const folder = workFolder();
    try {
      const file = join(folder.path, "valid.pcap");
      writeCapture(file, direction, 5_000, 1_000);
      assert.is(statSync(file).size, 24 + 5_000 * 76);
      const options = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"];
      const fields = [
        "frame.len",
        "ip.checksum.status",
        "udp.checksum.status",
        "_ws.malformed",
        "_ws.expert",
      ];
      const args = ["-r", file, ...options, ...fields.flatMap(field => ["-e", field])];
      const { stdout, status } = spawnSync("tshark", args, { encoding: "utf8" });
      assert.is(status, 0);
      assert.equal(
        [
          ...new Set(
            stdout
              .trimEnd()
              .split("\n")
              .map(line => line.trimEnd()),
          ),
        ],
        ["60\t1\t1"],
      );
      assert.is(stdout.trimEnd().split("\n").length, 5_000);
    } finally {
      folder.remove();
    }
  });
}

test("a target against a yardstick that is faster is met from above", () => {
  const caseOf = (ours: number): Section["cases"][number] => ({
    name: "one",
    remark: "",
    entries: null,
    distribution: null,
    unit: "s",
    value: spreadOf([ours]),
    frames: null,
    yardsticks: [{ name: "C", value: spreadOf([1]), timesFaster: ratioOf([ours], [1]), objection: null }],
    target: { what: "beside C", kind: "times slower at most", target: 1.3, stretch: 1.05 },
  });
  const page = "<!-- figures: written by npm run bench -- --docs --><!-- end of figures -->";
  const rowOf = (ours: number): string | undefined =>
    withFigures(page, runOf([{ title: "t", notes: [], cases: [caseOf(ours)] }]))
      .split("\n")
      .find(line => line.startsWith("| beside C"));
  assert.is(rowOf(2), "| beside C | ≤ 1.3 × | ≤ 1.05 × | 2.00 × | **no** |");
  assert.is(rowOf(1.25), "| beside C | ≤ 1.3 × | ≤ 1.05 × | 1.25 × | yes |");
  assert.is(rowOf(0.8), "| beside C | ≤ 1.3 × | ≤ 1.05 × | 0.800 × | yes, and the stretch |");
});

test("contenders take turns, and warm-up does not count", () => {
  const order: string[] = [];
  const contender = (name: string): { run: () => Record<string, number>; before: () => void } => ({
    run: () => ({ [name]: order.push(name) }),
    before: () => order.push("-"),
  });
  const samples = takeTurns([contender("a"), contender("b")], 2, 1);
  assert.is(order.join(""), "-a-b-a-b-a-b");
  assert.equal(
    [...samples],
    [
      ["a", [6, 10]],
      ["b", [8, 12]],
    ],
  );
});

test("those that must be waited for take turns as well", async () => {
  let clock = 0;
  const samples = await alternate({ a: () => ++clock, b: async () => ++clock }, 2, 1);
  assert.equal(
    [...samples],
    [
      ["a", [3, 5]],
      ["b", [4, 6]],
    ],
  );
});

test("medians, means and ratios are what they say", () => {
  assert.equal(spreadOf([4, 1, 3, 2]), { value: 2.5, min: 1, max: 4, count: 4, isMean: false });
  assert.equal(meanSpreadOf([1, 1, 4]), { value: 2, min: 1, max: 4, count: 3, isMean: true });
  assert.is(ratioOf([1, 2, 4], [10, 10, 10]).value, 5);
  assert.throws(() => ratioOf([1], []));
});

function judged(value: number, timesFaster: number, target: Target): string {
  const stick = (name: string, faster: number): Case["yardsticks"][number] => ({
    name,
    value: spreadOf([1]),
    timesFaster: spreadOf([faster]),
    objection: null,
  });
  const one: Case = {
    name: "x",
    remark: "",
    entries: 1,
    distribution: "uniform",
    unit: "ns/frame",
    value: spreadOf([value]),
    frames: 1,
    yardsticks: [stick("first", 5), stick("second", timesFaster)],
    target: null,
    moreTargets: [target],
  };
  const page = markdownOf(runOf([{ title: "t", notes: [], cases: [one] }]));
  return page.split("\n").find(line => line.startsWith("| judged |"))!;
}

test("targets are judged as they are worded", () => {
  const slower = { what: "judged", kind: "times slower at most", target: 1.5, stretch: 1.2 } as const;
  const beside = { ...slower, beside: "second" };
  assert.is(judged(1, 0.5, beside), "| judged | ≤ 1.5 × | ≤ 1.2 × | 2.00 × | **no** |");
  assert.is(judged(1, 0.8, beside), "| judged | ≤ 1.5 × | ≤ 1.2 × | 1.25 × | yes |");
  assert.is(judged(1, 1, beside), "| judged | ≤ 1.5 × | ≤ 1.2 × | 1.00 × | yes, and the stretch |");
  assert.is(judged(1, 0.5, slower), "| judged | ≤ 1.5 × | ≤ 1.2 × | 0.200 × | yes, and the stretch |");
  const rate = { what: "judged", kind: "Mpps at least", target: 80, stretch: 120 } as const;
  assert.is(judged(10, 1, rate), "| judged | ≥ 80 Mpps | ≥ 120 Mpps | 100 Mpps | yes |");
  assert.is(judged(20, 1, rate), "| judged | ≥ 80 Mpps | ≥ 120 Mpps | 50.0 Mpps | **no** |");
  assert.is(
    judged(1, 1, { ...slower, beside: "third" }),
    "| judged | ≤ 1.5 × | ≤ 1.2 × | not measured | – |",
  );
});

test("the files of a run are gone afterwards", () => {
  const { path, remove } = workFolder();
  assert.ok(existsSync(path));
  remove();
  assert.is(existsSync(path), process.env.BENCH_DIR !== undefined);
});

test.run();
