/**
 * verify and diff as people run them: exit codes, JSON, what is said, filters, reports, replay lines, bad
 * input.
 */

import { existsSync } from "node:fs";
import { parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { assert, suite } from "../harness.ts";
import { junitProblems, sarifProblems } from "../report/schemas.ts";
import { Folder, failsWith, INTENT, type Ran } from "./base.ts";

const test = suite("verify and diff");

const LINES = [...new Flows(parseIntent(INTENT, "hv.yaml", ".").intent!)].map(flowText);
const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):";
const dump = (lines: readonly string[]): string =>
  `${[HEADER, ...lines.map(line => ` ${line}`)].join("\n")}\n`;
/** The flow of the only route, of which another label is pushed. */
const RELABELLED = LINES.map(line =>
  line.replace("set_field:3003->mpls_label", "set_field:3004->mpls_label"),
);
const folder = new Folder({
  "ok.flows": dump(LINES),
  "label.flows": dump(RELABELLED),
  "more.flows": dump([...LINES, "table=0,priority=1,arp actions=drop"]),
  "odd.flows": dump([
    ...LINES,
    "table=0,priority=900,ip,nw_dst=9.9.9.9 actions=check_pkt_larger(1500)->NXM_NX_REG0[0],resubmit(,70)",
  ]),
  "tie.flows": dump([
    ...LINES,
    "table=0,priority=901,in_port=1,ip actions=output:11",
    "table=0,priority=901,in_port=1,dl_dst=02:00:00:00:00:01 actions=output:12",
  ]),
  "bad.flows": dump([...LINES, "table=0,priority=1 actions=frobnicate:7"]),
  "extra.flows": dump([
    ...LINES,
    "cookie=0xbeef,table=60 actions=output:1",
    "cookie=0xbeef,priority=1000 actions=drop",
  ]),
  "header.flows": `${HEADER}\n`,
  "empty.flows": "",
  "broken.yaml": "name: hv1\n",
});
process.on("exit", () => folder.remove());
const run = (...args: string[]): Ran => folder.run(args);
const json = (ran: Ran) => JSON.parse(ran.stdout);

interface Outcome {
  readonly outputs: readonly { readonly port: number; readonly frame: string }[];
}

/** Runs the shell line of a difference, whose two traces must put out what the difference says. */
function replaysAs({ replay, a, b }: { replay: string; a: Outcome; b: Outcome }): void {
  const shown = folder.shell(replay.replaceAll(" -i ", " --format json -i "));
  assert.is(shown.code, 0, shown.stderr);
  const outcomes = shown.stdout
    .trim()
    .split("\n")
    .map(line => JSON.parse(line) as Outcome);
  const plain = ({ outputs }: Outcome) => outputs.map(({ port, frame }) => `${port} ${frame}`);
  assert.equal(outcomes.map(plain), [a, b].map(plain));
}

test("what cannot be written costs neither the answer nor the other reports", () => {
  const files = ["nowhere/r.xml", "kept.json"].flatMap(file => ["--report", file]);
  const ran = run("diff", "ok.flows", "label.flows", ...files, "--witness", "nowhere/w.pcapng");
  assert.is(ran.code, 1);
  assert.ok(ran.stdout.startsWith("different: "), ran.stdout);
  assert.is(ran.stderr.trim().split("\n").at(-1), "slash32: nowhere/r.xml: no such file or directory");
  assert.is(JSON.parse(folder.read("kept.json").toString()).verdict, "different");
});

test("equal: exit 0, one object on one line", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--format", "json");
  assert.is(ran.code, 0, ran.stderr);
  assert.is(ran.stdout.split("\n").length, 2);
  const { type, schema, verdict, flows, differences, unknown, packets } = json(ran);
  assert.equal(
    { type, schema, verdict, flows, differences, unknown },
    {
      type: "verify",
      schema: 1,
      verdict: "equal",
      flows: { a: LINES.length, b: LINES.length },
      differences: [],
      unknown: [],
    },
  );
  assert.match(packets, /^2\^[\d.]+$/);
});

test("different: exit 2, the frame, both outcomes, both chains with file and line", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "label.flows", "--format", "json");
  assert.is(ran.code, 2, ran.stderr);
  const { verdict, differences } = json(ran);
  assert.is(verdict, "different");
  assert.is(differences.length, 1);
  const [{ in_port, in_port_name, frame, what, a, b, affected }] = differences;
  assert.is(in_port, 11);
  assert.is(in_port_name, "tap101");
  assert.match(frame, /^[0-9a-f]+$/);
  assert.is(what, "mpls_label differs");
  assert.is(typeof affected, "string");
  const at = LINES.findIndex(line => line.includes("push_mpls")) + 1;
  const { file, line, compiled_line } = a.flows.at(-1);
  assert.equal(
    [file, line, compiled_line],
    ["hv.yaml", 9, at],
    "the intent's line, and the compiled one by name",
  );
  assert.equal(a.flows.at(-1).intent, { file: "hv.yaml", line: 9 });
  assert.equal([b.flows.at(-1).file, b.flows.at(-1).line], ["label.flows", at + 1]);
  assert.is(b.flows.at(-1).text, RELABELLED[at - 1]!);
  assert.is.not(a.outputs[0].frame, b.outputs[0].frame);
  assert.is(a.outputs[0].port_name, "uplink0");
});

test("the shell line that is printed shows both outcomes again", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "label.flows");
  assert.is(ran.code, 2);
  assert.match(ran.stdout, /^different: 1 cause \(1 difference\) between hv\.yaml and label\.flows\n/);
  const line = /^ +\$ +(slash32 trace .*)$/m.exec(ran.stdout)![1]!;
  const shown = folder.shell(line);
  assert.is(shown.code, 0, shown.stderr);
  const [, a, b] = shown.stdout.split(/^in /m);
  assert.match(a!, "MPLS 3003");
  assert.match(b!, "MPLS 3004");
  for (const text of [a, b]) assert.match(ran.stdout, /MPLS 300[34] S ttl \d+/.exec(text!)![0]);
});

test("the shell line honours what was left out", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "label.flows", "--ignore-table", "20", "--format", "json");
  assert.is(ran.code, 2);
  replaysAs(json(ran).differences[0]);
});

test("ambiguous: exit 2, with both lines", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "tie.flows", "--format", "json");
  assert.is(ran.code, 2);
  const { verdict, ambiguous } = json(ran);
  assert.ok(["ambiguous", "different"].includes(verdict));
  const lines = [LINES.length + 2, LINES.length + 3];
  assert.equal(ambiguous[0].flows.map(({ line }: { line: number }) => line).sort(), lines);
  const same = run("diff", "tie.flows", "tie.flows");
  assert.is(same.code, 2, "a table that depends on its past is not equal to itself");
  assert.match(same.stdout, /^ambiguous: /);
});

test("unknown: exit 1, by feature and line, and still JSON", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "odd.flows", "--format", "json");
  assert.is(ran.code, 1, ran.stdout);
  const { verdict, unknown } = json(ran);
  assert.is(verdict, "unknown");
  assert.ok(
    unknown.some((one: { line: number }) => one.line === LINES.length + 2),
    ran.stdout,
  );
  assert.match(
    run("verify", "-n", "hv.yaml", "-f", "odd.flows").stdout,
    `unknown odd.flows:${LINES.length + 2}: `,
  );
});

test("a budget that is used up is unknown; budgets that are none are refused", () => {
  // What is the same on both sides is not gone through.
  const ran = run("verify", "-n", "hv.yaml", "-f", "more.flows", "--budget", "2", "--format", "json");
  assert.is(ran.code, 1);
  assert.equal(json(ran).unknown, [{ feature: "budget", line: 0, side: null }]);
  assert.is(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--budget", "60s,900000", "-q").code, 0);
  for (const budget of ["0", "5m", "1.5", "s"])
    failsWith(
      run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--budget", budget),
      "--budget",
      "60s or 1000000",
    );
});

test("diff: dumps and intents in either place, told apart and said", () => {
  const first = run("diff", "hv.yaml", "ok.flows");
  assert.is(first.code, 0);
  assert.is(first.stderr, "hv.yaml is an intent, ok.flows a dump of flows\n");
  const piped = folder.shell("slash32 diff - ok.flows --format json < hv.yaml");
  assert.is(piped.code, 0, piped.stderr);
  assert.is(json(piped).type, "diff");
  assert.is(folder.shell("slash32 diff -q label.flows - < hv.yaml").code, 2);
  assert.is(run("diff", "-q", "hv.yaml", "hv.yaml").code, 0);
  assert.is(run("diff", "-q", "ok.flows", "label.flows").code, 2);
});

test("a dump with only a header drops everything and is judged", () => {
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "header.flows").code, 2);
  assert.is(run("diff", "-q", "header.flows", "header.flows").code, 0);
});

test("cookies and tables that are to be ignored are left out, and how many is said", () => {
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "extra.flows").code, 2);
  for (const cookie of ["0xbeef", "0xb000/0xf000", "48879"]) {
    const ran = run(
      "verify",
      "-n",
      "hv.yaml",
      "-f",
      "extra.flows",
      "--ignore-cookie",
      cookie,
      "--format",
      "json",
    );
    assert.is(ran.code, 0, ran.stdout);
    assert.is(json(ran).sides.b.left_out, 2);
  }
  const table = run("verify", "-n", "hv.yaml", "-f", "extra.flows", "--ignore-table", "60");
  assert.is(table.code, 2);
  assert.match(table.stdout, "1 left out by --ignore-table");
  failsWith(run("diff", "ok.flows", "ok.flows", "--ignore-table", "255"), "0 to 254");
  failsWith(run("diff", "ok.flows", "ok.flows", "--ignore-cookie", "beef"), "COOKIE/MASK");
});

test("cookies count when asked to", () => {
  folder.write("cookie.flows", dump(LINES.map(line => line.replace("cookie=0x40028,", "cookie=0x7,"))));
  assert.is(run("diff", "-q", "ok.flows", "cookie.flows").code, 0);
  const ran = run("diff", "ok.flows", "cookie.flows", "--strict-cookies", "--format", "json");
  assert.is(ran.code, 2);
  const { verdict, differences, cookies } = json(ran);
  assert.is(verdict, "different");
  assert.is(differences.length, 0);
  assert.is(cookies.count, 1);
  assert.match(cookies.pairs[0].b.text, "cookie=0x7,");
});

test("--lenient leaves out what cannot be read, and the answer is never equal", () => {
  failsWith(run("verify", "-n", "hv.yaml", "-f", "bad.flows"), `bad.flows:${LINES.length + 2}:`);
  const ran = run("verify", "-n", "hv.yaml", "-f", "bad.flows", "--lenient", "--format", "json");
  assert.is(ran.code, 1);
  assert.is(json(ran).verdict, "unknown");
  assert.is(json(ran).sides.b.unread, 1);
});

test("names of ports and groups", () => {
  folder.write("named.flows", dump(LINES.map(line => line.replace(/output:11\b/, "output:tap101"))));
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "named.flows").code, 0);
  assert.is(run("diff", "-q", "named.flows", "ok.flows", "--ports", "tap101=11").code, 0);
  folder.write("group.flows", "table=0 actions=group:1\n");
  folder.write("one.groups", "group_id=1,type=all,bucket=actions=output:2\n");
  folder.write("two.groups", "group_id=1,type=all,bucket=actions=output:3\n");
  assert.is(run("diff", "-q", "group.flows", "group.flows", "--groups", "one.groups").code, 0);
  const both = ["--groups-a", "one.groups", "--groups-b", "two.groups"];
  const ran = run("diff", "group.flows", "group.flows", ...both, "--format", "json");
  assert.is(ran.code, 2);
  replaysAs(json(ran).differences[0]);
});

test("reports of every kind, in one run; none replaces an input", () => {
  const kinds = ["json", "ndjson", "xml", "sarif", "md", "html"];
  const reports = kinds.flatMap(kind => ["--report", `r.${kind}`]);
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "label.flows", ...reports).code, 2);
  const text = (kind: string): string => folder.read(`r.${kind}`).toString();
  assert.is(JSON.parse(text("json")).verdict, "different");
  assert.is(JSON.parse(text("ndjson").trim().split("\n").at(-1)!).type, "verify");
  assert.is(junitProblems(text("xml")), "");
  assert.is(sarifProblems(text("sarif")), "");
  assert.is(JSON.parse(text("sarif")).runs[0].results.length, 1);
  assert.match(text("md"), /^# different/);
  assert.match(text("html"), "<h1>different");
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "ok.flows", "--report", "r.sarif").code, 0);
  assert.equal(JSON.parse(text("sarif")).runs[0].results, []);
  failsWith(
    run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--report", "r.pdf"),
    "--report r.pdf",
    ".sarif",
  );
  folder.write("hv.json", JSON.stringify({}));
  failsWith(run("diff", "hv.json", "ok.flows", "--report", "hv.json"), "also being read");
  failsWith(
    run("diff", "ok.flows", "ok.flows", "--report", "x.md", "--report", "x.md"),
    "also being written",
  );
});

test("on GitHub: annotations on standard error, the summary in its file, paths from the repository", () => {
  const env = {
    GITHUB_ACTIONS: "true",
    GITHUB_STEP_SUMMARY: folder.at("sum.md"),
    GITHUB_WORKSPACE: folder.path,
  };
  const ran = folder.run(
    ["verify", "-n", folder.at("hv.yaml"), "-f", folder.at("label.flows"), "--format", "json"],
    { env },
  );
  assert.is(ran.code, 2);
  json(ran);
  const at = LINES.findIndex(line => line.includes("push_mpls")) + 2;
  assert.match(
    ran.stderr,
    new RegExp(`^::error file=label\\.flows,line=${at},title=slash32 verify%3A mpls_label differs`, "m"),
  );
  assert.match(folder.read("sum.md").toString(), /^# different/);
});

test("witnesses: a capture whose interfaces are ports, and replays to what the intent does", () => {
  const ran = run(
    "verify",
    "-n",
    "hv.yaml",
    "-f",
    "label.flows",
    "--witness",
    "w.pcapng",
    "--format",
    "json",
  );
  assert.is(ran.code, 2);
  const [{ a }] = json(ran).differences;
  const traced = run("trace", "-n", "hv.yaml", "-r", "w.pcapng:1", "--format", "json");
  assert.is(traced.code, 0, traced.stderr);
  const { in_port, outputs } = json(traced);
  assert.equal([in_port, outputs[0].frame], [11, a.outputs[0].frame]);
  const text = folder.read("w.pcapng").toString("latin1");
  assert.match(text, "mpls_label differs");
  assert.match(text, "label.flows:");
  const piped = folder.shell(
    "slash32 verify -n hv.yaml -f label.flows --witness - | cat > piped.pcapng; od -An -tx1 -N4 piped.pcapng",
  );
  assert.match(piped.stdout, "0a 0d 0d 0a");
  assert.match(piped.stderr, "different: ");
});

test("ndjson: a finding a line, the whole answer last", () => {
  const ran = run("diff", "-q", "ok.flows", "label.flows", "--format", "ndjson");
  const lines = ran.stdout
    .trim()
    .split("\n")
    .map(line => JSON.parse(line));
  assert.equal(
    lines.map(({ type, schema }) => [type, schema]),
    [
      ["difference", 1],
      ["diff", 1],
    ],
  );
});

test("--max-differences", () => {
  const most = json(run("diff", "ok.flows", "header.flows", "--max-differences", "all", "--format", "json"));
  const two = json(run("diff", "ok.flows", "header.flows", "--max-differences", "2", "--format", "json"));
  assert.is(two.differences.length, 2);
  assert.ok(most.differences.length > 2);
  failsWith(run("diff", "ok.flows", "ok.flows", "--max-differences", "none"), "or all");
});

test("bad input is one line", () => {
  failsWith(run("verify", "-n", "hv.yaml"), "-f FLOWS or --bridge BRIDGE");
  failsWith(run("verify", "-f", "ok.flows"), "verify needs an intent");
  failsWith(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--bridge", "br0"), "-f FLOWS or --bridge");
  failsWith(
    run("verify", "-n", "hv.yaml", "-f", "ok.flows", "more"),
    'unexpected argument "more"',
    "-f FLOWS",
  );
  failsWith(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--db", "x"), "--db requires --bridge BRIDGE");
  failsWith(run("verify", "-n", "-", "-f", "-"), "standard input is given twice");
  failsWith(run("diff", "-", "-"), "standard input is given twice");
  failsWith(run("verify", "-n", "hv.yaml", "-f", "none.flows"), "none.flows: does not exist");
  failsWith(run("verify", "-n", "hv.yaml", "-f", "empty.flows"), "empty.flows: has neither a flow");
  failsWith(run("diff", "empty.flows", "ok.flows"), "empty.flows: has neither a flow");
  failsWith(run("diff", "ok.flows"), "diff: expected two dumps or intents, got 1");
  const broken = run("verify", "-n", "broken.yaml", "-f", "ok.flows");
  assert.is(broken.code, 1);
  assert.match(broken.stderr, /^broken\.yaml:\d+:\d+: /);
  assert.not(existsSync(folder.at("x.md")));
});

test.run();
