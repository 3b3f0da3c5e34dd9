/** Reports of verify as pure functions of one made-up answer: golden files (UPDATE=1 rewrites them), schemas, escapes. */
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
  origin: file === "hv1.yaml" && priority === 132 ? { file: "routes.txt", line: 3 } : null,
  match: `40,${priority},${match}`,
  actions,
  priority,
});

const out = (hex: string) => ({ port: 1, portName: "uplink0", hex, summary: "a frame" });

function difference(line: number, label: number): VerifyDifference {
  const match = `ip,nw_dst=203.0.113.${line}`;
  return {
    inPort: 11,
    inPortName: "tap101",
    hex: "0a0b",
    summary: 'a frame <with> "odd" & | `characters`',
    replay: "slash32 trace -n hv1.yaml -i 11 0a0b; slash32 trace -f br0.flows -i 11 0a0b",
    what: "mpls_label differs",
    affected: "3 of 734512 rows",
    a: {
      outputs: [out("0c")],
      packetIns: [],
      flows: [step("hv1.yaml", line, 132, match, "push,label=2002")],
    },
    b: {
      outputs: [out("0d")],
      packetIns: [],
      flows: [step("br0.flows", line + 1, 132, match, `push,label=${label}`)],
    },
  };
}

const side = (name: string, kind: "intent" | "dump", flows: number) => ({
  name,
  kind,
  flows,
  leftOut: 0,
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
  b: { ...side("br0.flows", "dump", 734_598), leftOut: 2 },
  differences: [],
  ambiguous: [],
  unknown: [],
  cookies: null,
};

const drops: VerifyDifference = {
  ...difference(9, 2002),
  what: "b does not put out what a does",
  affected: "every frame of its class",
  b: { outputs: [], packetIns: [], flows: [step("br0.flows", 70, 0, "", "drop")] },
};

const DIFFERENT: VerifyReport = {
  ...EQUAL,
  verdict: "different",
  differences: [difference(7, 2003), drops, { ...drops, inPort: 12, inPortName: null }],
  ambiguous: [
    {
      side: "b",
      inPort: 1,
      inPortName: "uplink0",
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
    shown: [{ a: step("hv1.yaml", 5, 1, "ip", "drop"), b: step("br0.flows", 6, 1, "ip", "drop") }],
  },
};

const findingsOf = (report: VerifyReport): Findings => verifyFindings(report, "1.2.3");
const plain = palette(false);

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
    isGolden(`${name}.json`, `${verifyJson(report)}\n`);
    isGolden(`${name}.ndjson`, `${verifyNdjson(report)}\n`);
    isGolden(`${name}.xml`, junit(findings));
    isGolden(`${name}.sarif`, sarif(findings));
    isGolden(`${name}.md`, markdown(findings));
    isGolden(`${name}.html`, html(findings));
    isGolden(`${name}.github`, `${githubAnnotations(findings).join("\n")}\n`);
  });
  test(`${name}: JUnit and SARIF are valid by their schemas`, () => {
    assert.is(junitProblems(junit(findings)), "");
    assert.is(sarifProblems(sarif(findings)), "");
  });
}

test("canary: the schemas refuse what is wrong", () => {
  assert.match(junitProblems(junit(findingsOf(EQUAL)).replace("classname", "class")), /class/);
  assert.match(junitProblems("<testsuites/>"), /testsuites/);
  assert.match(sarifProblems('{"version":"2.1.0"}'), /runs/);
  assert.match(
    sarifProblems(sarif(findingsOf(DIFFERENT)).replaceAll('"startLine": 8', '"startLine": 0')),
    /startLine/,
  );
});

test("an empty run has an empty list of results", () => {
  assert.equal(JSON.parse(sarif(findingsOf(EQUAL))).runs[0].results, []);
});

test("fingerprints stay when lines, counters and cookies move, and differ between findings", () => {
  const printsOf = (report: VerifyReport): string[] =>
    JSON.parse(sarif(findingsOf(report))).runs[0].results.map((result: { partialFingerprints: object }) =>
      JSON.stringify(result.partialFingerprints),
    );
  const moved = JSON.parse(
    JSON.stringify(DIFFERENT)
      .replace(/"line":(\d+)/g, (_, line) => `"line":${Number(line) + (line === "0" ? 0 : 5)}`)
      .replace(/n_packets=\d+/g, "n_packets=99")
      .replace(/cookie=0x1/g, "cookie=0x7"),
  );
  assert.equal(printsOf(moved), printsOf(DIFFERENT));
  assert.is(new Set(printsOf(DIFFERENT)).size, printsOf(DIFFERENT).length);
});

test("a code flow for each side, and places in the dump and in the intent", () => {
  const [first] = JSON.parse(sarif(findingsOf({ ...DIFFERENT, differences: [difference(7, 2003)] }))).runs[0]
    .results;
  assert.is(first.codeFlows[0].threadFlows.length, 2);
  const uris = JSON.stringify([first.locations, first.relatedLocations]);
  assert.match(uris, '"br0.flows"');
  assert.match(uris, '"routes.txt"');
});

test("what XML, Markdown and workflow commands would misread is escaped", () => {
  const odd = `]]>\u0001<&"'\n::error::%`;
  const report = { ...DIFFERENT, differences: [{ ...drops, what: odd, summary: odd }] };
  const findings = findingsOf(report);
  assert.is(junitProblems(junit(findings)), "");
  for (const line of githubAnnotations(findings)) assert.not.match(line, "\n");
  assert.match(githubAnnotations(findings)[0]!, "%0A::error::%25");
  assert.not.match(html(findings), odd);
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
