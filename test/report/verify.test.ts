/**
 * Reports of verify as pure functions of one made-up answer: golden files (UPDATE=1 rewrites them),
 * schemas, escapes.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Findings,
  githubAnnotations,
  html,
  junit,
  markdown,
  palette,
  sarif,
  type VerifyDifference,
  type VerifyReport,
  type VerifyRow,
  type VerifyRows,
  type VerifyStep,
  verifyFindings,
  verifyJson,
  verifyNdjson,
  verifyText,
} from "../../src/report/index.ts";
import { assert, suite } from "../harness.ts";
import { junitProblems, sarifProblems } from "./schemas.ts";

const test = suite("reports of verify");

const step = (file: string, line: number, priority: number, match: string, actions: string): VerifyStep => ({
  file,
  line,
  text: `cookie=0x1, duration=${line}.5s, table=40, n_packets=${line}, priority=${priority},${match} actions=${actions}`,
  compiledLine: file === "hv1.yaml" ? line + 20 : null,
  origin: file === "hv1.yaml" && priority === 132 ? { file: "routes.txt", line: 3 } : null,
  match: `40,${priority},${match}`,
  actions,
  priority,
});

const out = (hex: string) => ({
  port: 1,
  portName: "uplink0",
  along: ["queue 3"],
  state: "skb_priority=0x3",
  tracker: [],
  hex,
  summary: "a frame",
});

const rowsOf = (list: readonly VerifyRow[], openCount = 0): VerifyRows => ({
  count: list.length,
  openCount,
  at: index => list[index]!,
  nameAt: index => Number(list[index]!.b?.line ?? 0),
});

function difference(line: number, label: number): VerifyDifference {
  const match = `ip,nw_dst=203.0.113.${line}`;
  const [left, right] = [
    step("hv1.yaml", line, 132, match, "push,label=2002"),
    step("br0.flows", line + 1, 132, match, `push,label=${label}`),
  ];
  return {
    inPort: 11,
    inPortName: "tap101",
    state: "",
    tracker: [],
    hex: "0a0b",
    summary: 'a frame <with> "odd" & | `characters`',
    replay: "slash32 trace -n hv1.yaml -i 11 0a0b; slash32 trace -f br0.flows -i 11 0a0b",
    what: "mpls_label differs",
    affected: "3 of 734512 rows",
    a: {
      outputs: [out("0c")],
      packetIns: [],
      others: [],
      errors: [],
      flows: [left],
    },
    b: { outputs: [out("0d")], packetIns: [], others: [], errors: [], flows: [right] },
    rows: rowsOf([
      { a: left, b: right, missing: null },
      { a: { ...left, compiledLine: 77 }, b: { ...right, line: 78 }, missing: null },
      { a: { ...left, compiledLine: 80 }, b: { ...right, line: 99 }, missing: "b" },
    ]),
    alike: 734_512,
  };
}

const side = (name: string, kind: "intent" | "dump", flows: number) => ({
  name,
  kind,
  flows,
  readAs: [],
  extent: null,
  symbols: null,
  leftOut: [],
  unread: 0,
  isSteady: true,
});

const EQUAL: VerifyReport = {
  type: "verify",
  verdict: "equal",
  classes: 412,
  packets: "2^679.6",
  seconds: 0.123,
  a: side("hv1.yaml", "intent", 734_600),
  b: { ...side("br0.flows", "dump", 734_598), leftOut: [{ by: "--ignore-cookie", flows: 2 }] },
  compared: {
    included: ["ports", "bytes"],
    leftOut: ["2 flows left out by --ignore-cookie"],
    readAs: [],
    extent: null,
    symbols: null,
  },
  isComplete: true,
  differences: [],
  ambiguous: [],
  unknown: [],
  cookies: null,
};

const drops: VerifyDifference = {
  ...difference(9, 2002),
  what: "b does not put out what a does",
  affected: "every frame of its class",
  rows: rowsOf([]),
  alike: 0,
  b: {
    outputs: [],
    packetIns: [],
    others: [],
    errors: ["over 64 levels of resubmit"],
    flows: [step("br0.flows", 70, 0, "", "drop")],
  },
};

/** A loop of two flows, and one that comes twice, which is no loop. */
const LOOP = [1, 2, 3, 2, 3, 2, 3, 2, 4, 4].map(line => step("br0.flows", line, line, "ip", "resubmit"));

const DIFFERENT: VerifyReport = {
  ...EQUAL,
  verdict: "different",
  isComplete: false,
  differences: [difference(7, 2003), drops, { ...drops, inPort: 12, inPortName: null }],
  ambiguous: [
    {
      side: "b",
      inPort: 1,
      inPortName: "uplink0",
      state: "tun_id=0x64",
      tracker: [],
      hex: "0e",
      summary: "another frame",
      replay: "slash32 trace -f br0.flows -i 1 0e",
      flows: [step("br0.flows", 20, 200, "ip", "output:1"), step("br0.flows", 21, 200, "tcp", "output:2")],
    },
  ],
  unknown: [
    { feature: "learn", line: 33, side: "b" },
    { feature: "budget", line: 0, side: null },
  ],
  cookies: {
    count: 12,
    at: index => ({
      a: step("hv1.yaml", 5, 1, "ip", "drop"),
      b: step("br0.flows", index + 6, 1, "ip", "drop"),
    }),
  },
};

const findingsOf = (report: VerifyReport): Findings => verifyFindings(report, "1.2.3");
const plain = palette(false);
const whole = (pieces: Iterable<string>): string => [...pieces].join("");
const xml = (findings: Findings): string => whole(junit(findings));
const sarifOf = (findings: Findings): string => whole(sarif(findings));

function isGolden(name: string, text: string): void {
  const file = join(import.meta.dirname, "golden", name);
  if (process.env.UPDATE === "1") writeFileSync(file, text);
  assert.ok(existsSync(file), `${file}: made by UPDATE=1`);
  assert.fixture(text, readFileSync(file, "utf8"));
}

for (const [name, report] of [["equal", EQUAL] as const, ["different", DIFFERENT] as const]) {
  const findings = findingsOf(report);
  test(`${name}: every format is what it was`, () => {
    isGolden(`${name}.txt`, verifyText(report, plain));
    isGolden(`${name}.json`, whole(verifyJson(report)));
    isGolden(`${name}.ndjson`, whole(verifyNdjson(report)));
    isGolden(`${name}.xml`, xml(findings));
    isGolden(`${name}.sarif`, sarifOf(findings));
    isGolden(`${name}.md`, whole(markdown(findings)));
    isGolden(`${name}.html`, whole(html(findings)));
    isGolden(`${name}.github`, `${githubAnnotations(findings).join("\n")}\n`);
  });
  test(`${name}: JUnit and SARIF are valid by their schemas`, () => {
    assert.is(junitProblems(xml(findings)), "");
    assert.is(sarifProblems(sarifOf(findings)), "");
  });
}

test("canary: the schemas refuse what is wrong", () => {
  assert.match(junitProblems(xml(findingsOf(EQUAL)).replace("classname", "class")), /class/);
  assert.match(junitProblems("<testsuites/>"), /testsuites/);
  assert.match(sarifProblems('{"version":"2.1.0"}'), /runs/);
  assert.match(
    sarifProblems(sarifOf(findingsOf(DIFFERENT)).replaceAll('"startLine": 8', '"startLine": 0')),
    /startLine/,
  );
});

test("an empty run has an empty list of results", () => {
  assert.equal(JSON.parse(sarifOf(findingsOf(EQUAL))).runs[0].results, []);
});

test("fingerprints stay when lines, counters and cookies move, and differ between findings", () => {
  const printsOf = (report: VerifyReport): string[] =>
    JSON.parse(sarifOf(findingsOf(report))).runs[0].results.map((result: { partialFingerprints: object }) =>
      JSON.stringify(result.partialFingerprints),
    );
  const changed = <T>(value: T): T =>
    JSON.parse(
      JSON.stringify(value)
        .replace(/"line":(\d+)/g, (_, line) => `"line":${Number(line) + (line === "0" ? 0 : 5)}`)
        .replace(/n_packets=\d+/g, "n_packets=99")
        .replace(/cookie=0x1/g, "cookie=0x7"),
    );
  const moved: VerifyReport = {
    ...changed(DIFFERENT),
    cookies: { count: 12, at: index => changed(DIFFERENT.cookies!.at(index)) },
    differences: DIFFERENT.differences.map(one => ({
      ...changed(one),
      rows: { ...one.rows, at: index => changed(one.rows.at(index)) },
    })),
  };
  assert.equal(printsOf(moved), printsOf(DIFFERENT));
  assert.is(new Set(printsOf(DIFFERENT)).size, printsOf(DIFFERENT).length);
});

test("fingerprints are those of the first wording: a reworded name opens no alert again", () => {
  const prints = [
    ["difference", "b has an output that a lacks (table=0,ip)", "47512580b0ea0694"],
    ["difference", "b lacks an output that a has (table=0,ip)", "f07f6c3bfdefdcb6"],
    ["difference", "tunnel source differs if ports vx1 and vx2 are tunnels (table=0,ip)", "1ac8c5716a8a631d"],
    ["difference", "b has an output that a lacks if port 2 is a tunnel", "0fa4564a35b1fd5a"],
    [
      "ambiguous",
      "two flows of equal priority match this frame and their actions differ (ip and tcp)",
      "7df140226968d635",
    ],
    [
      "ambiguous",
      "the order of conjunction flows decides which of two flows this frame matches, and their actions differ (ip and tcp)",
      "b4e3a2482438d4d9",
    ],
    ["difference", "the output port differs (table=0,ip)", "20af6946670e19eb"],
  ] as const;
  const [finding] = findingsOf(DIFFERENT).findings;
  for (const [rule, name, print] of prints) {
    const { runs } = JSON.parse(
      sarifOf({ ...findingsOf(DIFFERENT), findings: [{ ...finding!, rule, name }] }),
    );
    assert.equal(runs[0].results[0].partialFingerprints, { "slash32/v1": print }, name);
  }
});

test("a code flow for each side, and places in the dump and in the intent", () => {
  const [first] = JSON.parse(sarifOf(findingsOf({ ...DIFFERENT, differences: [difference(7, 2003)] })))
    .runs[0].results;
  assert.is(first.codeFlows[0].threadFlows.length, 2);
  const uris = JSON.stringify([first.locations, first.relatedLocations]);
  assert.match(uris, '"br0.flows"');
  assert.match(uris, '"routes.txt"');
});

test("what XML, Markdown and workflow commands would misread is escaped", () => {
  const odd = `]]>\u0001<&"'\n::error::%`;
  const report = { ...DIFFERENT, differences: [{ ...drops, what: odd, summary: odd }] };
  const findings = findingsOf(report);
  assert.is(junitProblems(xml(findings)), "");
  for (const line of githubAnnotations(findings)) assert.not.match(line, "\n");
  assert.match(githubAnnotations(findings)[0]!, "%0A::error::%25");
  assert.not.match(whole(html(findings)), odd);
});

test("names of test cases have no figures that change, and are different; SARIF lists every row", () => {
  const report = { ...DIFFERENT, differences: [difference(7, 2003), { ...drops, what: "drop" }, drops] };
  const names = (text: string): string[] =>
    [...text.matchAll(/<testcase name="([^"]*)"/g)].map(([, name]) => name!);
  const before = names(xml(findingsOf(report)));
  assert.is(new Set(before).size, before.length);
  assert.ok(before.includes("mpls_label differs (table=40,priority=132,ip,nw_dst)"), before.join("\n"));
  const other = { ...difference(9, 2004), affected: "9 of 9 rows", alike: 9 };
  const after = names(xml(findingsOf({ ...report, differences: [other, ...report.differences.slice(1)] })));
  assert.equal(after, before);
  const [first] = JSON.parse(sarifOf(findingsOf({ ...report, differences: [difference(7, 2003)] }))).runs[0]
    .results;
  const lines = first.relatedLocations
    .filter((one: { message: { text: string } }) => /^b has/.test(one.message.text))
    .map(
      (one: { physicalLocation: { region: { startLine: number } } }) => one.physicalLocation.region.startLine,
    );
  assert.equal(lines, [8, 78], "the third is missing in b");
});

test("differences of one kind are one cause, and a row that several have is one", () => {
  const [one, two] = [difference(7, 2003), difference(7, 2003)];
  const text = verifyText({ ...DIFFERENT, differences: [one, two] }, plain);
  assert.match(text, "different: 1 cause (2 differences)");
  assert.match(text, "1. mpls_label differs for 3 of 734,512 flows; 1 more difference has the same cause");
  assert.match(text, "3 flow pairs (- in a, + in b):");
});

test("many rows: twenty as text and how to see the others; all of them as JSON, JUnit and SARIF", () => {
  const { a, b } = difference(7, 2003).rows.at(0);
  const list = Array.from({ length: 300 }, (_, line) => ({
    a: a === null ? null : { ...a, compiledLine: line },
    b: b === null ? null : { ...b, line: line + 1 },
    missing: null,
  }));
  const report = { ...DIFFERENT, differences: [{ ...difference(7, 2003), rows: rowsOf(list, 4) }] };
  const text = verifyText(report, plain);
  assert.is([...text.matchAll(/^ +\+ br0\.flows/gm)].length, 20);
  assert.match(text, "… and 280 more flow pairs; use --format json or --report FILE.json for all");
  assert.match(text, "… and 4 undecided flow pairs");
  const { differences } = JSON.parse(whole(verifyJson(report)));
  assert.equal([differences[0].rows.length, differences[0].rows_open], [300, 4]);
  assert.is(differences[0].rows[299].b.line, 300);
  assert.is([...xml(findingsOf(report)).matchAll(/^ +\+ br0\.flows/gm)].length, 300);
  assert.is([...sarifOf(findingsOf(report)).matchAll(/"b has: /g)].length, 300);
  assert.match(
    whole(markdown(findingsOf(report))),
    "… and 200 more flow pairs; a .json, .xml or .sarif report has all",
  );
});

test("a loop is printed once, with how often it comes", () => {
  const looped = { ...drops, b: { ...drops.b, flows: LOOP } };
  const text = verifyText({ ...DIFFERENT, differences: [looped] }, plain);
  assert.match(text, "b  drop, outcome discarded: over 64 levels of resubmit");
  assert.match(text, "… these 2 flows 3 times");
  assert.is([...text.matchAll(/br0\.flows:3:/g)].length, 1);
  assert.is([...text.matchAll(/br0\.flows:4:/g)].length, 2);
  const [, b] = JSON.parse(sarifOf(findingsOf({ ...DIFFERENT, differences: [looped] }))).runs[0].results[0]
    .codeFlows[0].threadFlows;
  assert.is(b.locations.length, 6);
  assert.is(
    JSON.parse(whole(verifyJson({ ...DIFFERENT, differences: [looped] }))).differences[0].b.flows.length,
    10,
  );
});

test("Markdown that can be pasted: bars, backticks and tags in names of files and titles", () => {
  const odd = "a|b`c<i>&.flows";
  const place = { ...step(odd, 3, 1, "ip", "drop"), line: 3 };
  const report = {
    ...DIFFERENT,
    differences: [{ ...drops, what: "x|<b>`y`\nz", b: { ...drops.b, flows: [place] } }],
  };
  const lines = whole(markdown(findingsOf(report))).split("\n");
  const cells = lines.find(line => line.startsWith("| error"))!;
  assert.is(cells.match(/(?<!\\)\|/g)!.length, 4, cells);
  assert.match(cells, "<code>a&#124;b&#96;c&#60;i&#62;&#38;.flows:3</code>");
  assert.match(cells, "x\\|\\<b\\>\\`y\\` z");
});

test("ten annotations at most", () => {
  const unknown = Array.from({ length: 30 }, (_, line) => ({
    feature: `f${line}`,
    line,
    side: "b" as const,
  }));
  assert.is(githubAnnotations(findingsOf({ ...DIFFERENT, unknown })).length, 10);
});

test.run();
