/**
 * The guard fails for what is grossly worse, and only for that: canaries on both sides of its limit, a second
 * measurement that acquits, figures that one side lacks, and files that are no baseline.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Baseline,
  baselineText,
  compare,
  guard,
  guardText,
  middleOf,
  type RowRatios,
  ratiosOf,
  readBaseline,
} from "../../bench/baseline.ts";
import { ROWS } from "../../bench/rows.ts";
import { assert, suite } from "../harness.ts";
import { figures } from "./figures.ts";

const test = suite("bench guard");
const root = join(import.meta.dirname, "../..");

function rowsOf(factor = 1): RowRatios {
  const cases = figures().cases.map(one => ({ ...one, ratio: one.ratio! * factor, min: one.min! * factor }));
  const memory = cases.filter(({ section }) => section.startsWith("In memory"));
  const inbound = cases.filter(({ section }) => section === "Capture → capture, inbound");
  return new Map([
    ["core", ratiosOf(memory)],
    ["capture-inbound", ratiosOf(inbound)],
  ]);
}

const baseline: Baseline = { machine: "a machine", commit: "0123abc", date: "2025-01-01", rows: rowsOf() };
const KEY = "inbound, 1k entries, zipf, scattered, judge, beside gcc -O3";

/** The same figures with one of them made worse, in both forms or in one. */
function withWorse(factor: number, leastFactor = factor): RowRatios {
  const rows = rowsOf();
  const { ratio, least } = rows.get("core")!.get(KEY)!;
  const worse = { ratio: ratio * factor, least: least! * leastFactor };
  return new Map([...rows, ["core", new Map([...rows.get("core")!, [KEY, worse]])]]);
}

test("a ratio 1.6 times as large fails with its row and both figures, 1.4 times passes", async () => {
  const asked: string[][] = [];
  const again = (factor: number) => async (names: readonly string[]) => {
    asked.push([...names]);
    return new Map([...withWorse(factor)].filter(([name]) => names.includes(name)));
  };
  const failed = await guard(baseline.rows, withWorse(1.6), again(1.6));
  assert.is(failed.worse.length, 1);
  assert.equal(asked, [["core"]], "only the suspicious row is measured again");
  const old = baseline.rows.get("core")!.get(KEY)!;
  const said = guardText(failed, baseline, baseline.machine).split("\n");
  const form = (factor: number): string =>
    `${(old.ratio * factor).toPrecision(3)} (of the least samples ${(old.least! * factor).toPrecision(3)})`;
  assert.is(
    said[0],
    `guard: regression: core: ${KEY}: ours ÷ theirs ${form(1.6)}, baseline ${form(1)}: 1.60 × and 1.60 ×, limit 1.5 ×`,
  );
  assert.match(said[1]!, /: 1 worse by more than 1\.5 ×$/);

  asked.length = 0;
  const passed = await guard(baseline.rows, withWorse(1.4), again(1.4));
  assert.equal([passed.worse, asked], [[], []], "nothing is suspicious");
  assert.match(guardText(passed, baseline, baseline.machine), /^guard: \d+ ratios .*: 0 worse/);
});

test("a disturbed run that moves one form of a ratio only is no regression", () => {
  assert.equal(compare(baseline.rows, withWorse(4, 1.1)).worse, []);
  assert.equal(compare(baseline.rows, withWorse(1.1, 4)).worse, []);
  assert.is(compare(baseline.rows, withWorse(1.6, 1.6)).worse.length, 1);
  const bare = new Map([["core", new Map([[KEY, { ratio: 1.6, least: null }]])]]);
  const old = new Map([["core", new Map([[KEY, { ratio: 1, least: 1 }]])]]);
  assert.is(compare(old, bare).worse.length, 1, "without the least samples the medians alone count");
});

test("a suspicious row is measured a second time, and the better of both counts", async () => {
  const second = (factor: number) => async () => withWorse(factor);
  assert.is((await guard(baseline.rows, withWorse(9), second(1.1))).worse.length, 0);
  const failed = await guard(baseline.rows, withWorse(9), second(1.7));
  assert.equal(
    failed.worse[0]!.factors.map(factor => factor.toFixed(6)),
    ["1.700000", "1.700000"],
  );
  const gone = await guard(baseline.rows, withWorse(9), async () => new Map([["core", new Map()]]));
  assert.is(gone.worse.length, 1, "a second run without the figure does not acquit");
});

test("what one side lacks is said and fails nothing; rows that were not run are left alone", () => {
  const much = { ratio: 99, least: 99 };
  const measured = new Map([
    ["core", new Map([...rowsOf().get("core")!].slice(1)).set("a new figure, beside gcc -O3", much)],
    ["new-row", new Map([["another, beside tcpdump", much]])],
  ]);
  const comparison = compare(baseline.rows, measured);
  assert.equal(comparison.worse, []);
  assert.equal(comparison.onlyBaseline, [
    "core: inbound, 1k entries, uniform, scattered, judge, beside gcc -O3",
  ]);
  assert.equal(comparison.onlyMeasured, [
    "core: a new figure, beside gcc -O3",
    "new-row: another, beside tcpdump",
  ]);
  const said = guardText(comparison, baseline, "another machine");
  assert.match(said, /is of another machine: a machine\n/);
  assert.match(said, /not measured here: core: inbound, 1k/);
  assert.match(said, /not in the baseline: new-row: another, beside tcpdump\n/);
  assert.match(said, /--write-baseline takes new figures/);
  assert.match(guardText(compare(baseline.rows, rowsOf(0.5)), baseline, ""), /better by far: core: /);
});

test("figures without a yardstick have no ratio, and two of one name are refused", () => {
  const [one] = figures().cases as [ReturnType<typeof figures>["cases"][number]];
  assert.is(
    ratiosOf([
      { ...one, yardstick: null },
      { ...one, ratio: null },
    ]).size,
    0,
  );
  assert.throws(() => ratiosOf([one, one]), /two figures are called/);
});

test("the middle one of three measurements is kept", () => {
  const run = (ratio: number, least: number | null): RowRatios =>
    new Map([["core", new Map([["a", { ratio, least }]])]]);
  assert.equal(middleOf([run(3, 7), run(1, 9), run(2, 8)]), run(2, 8));
  assert.equal(middleOf([run(3, null), run(1, null), run(2, null)]), run(2, null));
});

test("a baseline is read as it was written", () => {
  const text = baselineText(baseline);
  const read = readBaseline(text, "b.json");
  assert.is(baselineText(read), text);
  const old = baseline.rows.get("core")!.get(KEY)!;
  assert.ok(Math.abs(read.rows.get("core")!.get(KEY)!.ratio / old.ratio - 1) < 1e-3);
});

test("a file that is no baseline is refused in one line that says where", () => {
  const head = '{"machine":"m","commit":"c","date":"d",';
  for (const [text, message] of [
    ["", /^b\.json: .*JSON.*; --write-baseline writes it anew$/],
    ['{"machine": "m",\n "commit" 3}', /^b\.json(:2:11)?: .*--write-baseline/],
    ["[]", /^b\.json: expected an object with machine, commit, date and rows;/],
    ["{}", /^b\.json: machine: expected a text, got nothing;/],
    [`${head}"rows":[]}`, /^b\.json: rows: expected an object, got \[\];/],
    [`${head}"rows":{"core":3}}`, /^b\.json: rows, core: expected an object of ratios, got 3;/],
    [`${head}"rows":{"core":{"a":1}}}`, /^b\.json: rows, core, a: expected ratio and least, above 0, got 1;/],
    [`${head}"rows":{"core":{"a":{"ratio":0,"least":null}}}}`, /^b\.json: rows, core, a: expected ratio/],
    [`${head}"rows":{"core":{"a":{"ratio":1}}}}`, /^b\.json: rows, core, a: expected ratio and least/],
  ] as const) {
    try {
      readBaseline(text, "b.json");
    } catch (error) {
      const said = (error as Error).message;
      assert.match(said, message);
      assert.not.match(said, /\n/);
      continue;
    }
    assert.unreachable(`accepted: ${text}`);
  }
});

test("the baseline in the repository can be read and is of rows that there are", () => {
  const read = readBaseline(readFileSync(join(root, "bench/baseline.json"), "utf8"), "bench/baseline.json");
  const names = new Set(ROWS.map(({ name }) => name));
  assert.ok(read.rows.size > 0);
  for (const row of read.rows.keys()) assert.ok(names.has(row), `no row is named "${row}"`);
  assert.match(read.commit, /^[0-9a-f]{7,}$/);
});

test.run();
