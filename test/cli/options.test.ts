/**
 * Every option of every command, by the one table that parser and help are made of: which may be repeated,
 * which take a value, and that a wrong use is one line. What cannot be compared with nothing is no success
 * either.
 */

import { mkdirSync } from "node:fs";
import type { Command, Option } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands/index.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { helpOf, programHelp } from "../../src/cli/help.ts";
import { parse } from "../../src/cli/parse.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { assert, suite } from "../harness.ts";
import { Folder, failsWith, goodPcap, INTENT, type Ran } from "./base.ts";

const test = suite("options");

const LINES = [...new Flows(parseIntent(INTENT, "hv.yaml", ".").intent!)].map(flowText);
const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):";
const dump = (lines: readonly string[]): string =>
  `${[HEADER, ...lines.map(line => ` ${line}`)].join("\n")}\n`;
const folder = new Folder({
  "a.pcap": goodPcap(3),
  "none.pcap": goodPcap(0),
  "ok.flows": dump(LINES),
  "label.flows": dump(
    LINES.map(line => line.replace("set_field:3003->mpls_label", "set_field:3004->mpls_label")),
  ),
  "header.flows": `${HEADER}\n`,
  "empty.flows": "",
  "unreadable.flows": dump(["priority=1 actions=frobnicate", "priority=2 actions=frobnicate"]),
});
mkdirSync(folder.at("dir"));
process.on("exit", () => folder.remove());
const run = (...args: string[]): Ran => folder.run(args);

/** The message of a usage error, or null. */
function refusal(command: Command, args: readonly string[]): string | null {
  try {
    parse(command, args);
    return null;
  } catch (error) {
    assert.instance(error, UsageError);
    assert.not.match((error as Error).message, "\n");
    return (error as Error).message;
  }
}

const each = (body: (command: Command, option: Option) => void): void => {
  for (const command of COMMANDS) for (const option of command.options) body(command, option);
};

test("an option that takes one value is refused the second time, in any spelling", () => {
  let count = 0;
  each((command, { name, short, value, isRepeatable }) => {
    if (value === undefined) return;
    const spellings = [
      [`--${name}`, "x"],
      [`--${name}=x`],
      ...(short === undefined ? [] : [[`-${short}`, "x"], [`-${short}x`]]),
    ];
    for (const first of spellings)
      for (const second of spellings) {
        const message = refusal(command, [...first, ...second]);
        if (isRepeatable === true) assert.is(message, null, `${command.name} --${name}`);
        else assert.match(message ?? "", `--${name} takes one value but is given twice: "x" and "x"`);
        count++;
      }
  });
  assert.ok(count > 100, `${count}`);
});

test("switches may be repeated, and take no value; options with a value need one", () => {
  each((command, { name, value }) => {
    if (value === undefined) {
      assert.is(refusal(command, [`--${name}`, `--${name}`]), null);
      assert.match(refusal(command, [`--${name}=1`]) ?? "", `--${name} takes no value`);
    } else {
      assert.match(refusal(command, [`--${name}`]) ?? "", `--${name} needs a value`);
      assert.match(refusal(command, [`--${name}`, "--help"]) ?? "", `--${name}`);
    }
  });
});

test("what help says of repeating is what the parser does", () => {
  each((command, { name, help, isRepeatable, isCommon: _ }) => {
    if (/may be repeated/.test(help)) assert.is(isRepeatable, true, `${command.name} --${name}`);
  });
  const repeatable = COMMANDS.flatMap(({ name, options }) =>
    options.filter(one => one.isRepeatable === true).map(one => `${name} --${one.name}`),
  );
  for (const one of ["verify --report", "diff --report", "replay --report", "replay --read", "trace --read"])
    assert.ok(repeatable.includes(one), one);
});

test("short help fits a screen and its common options, full help has every option, and no line is long", () => {
  for (const command of COMMANDS) {
    const [short, full] = [helpOf(command, false), helpOf(command, true)];
    assert.ok(short.split("\n").length <= 24, `${command.name}: ${short.split("\n").length} lines`);
    for (const { name, help, isCommon } of command.options) {
      if (name === "h") continue;
      assert.match(full, `--${name}`);
      if (isCommon === true) assert.match(short, `--${name}`);
      assert.not.match(help, /\.$/, `${command.name} --${name}: no period`);
    }
    const examples = new Set(command.examples.map(example => `  $ ${example}`));
    for (const line of full.split("\n"))
      assert.ok(line.length <= 100 || examples.has(line), `${line.length} columns: ${line}`);
    assert.match(programHelp("1.0.0", COMMANDS), `  ${command.name}`);
  }
});

test("the registry: names are unique, options of checks and dependences exist, words select one work", () => {
  assert.is(new Set(COMMANDS.map(({ name }) => name)).size, COMMANDS.length);
  for (const { name, options, dependences = [] } of COMMANDS) {
    const names = options.map(one => one.name);
    assert.is(new Set(names).size, names.length, `${name} has each option once`);
    const shorts = options.flatMap(({ short }) => (short === undefined ? [] : [short]));
    assert.is(new Set(shorts).size, shorts.length, `${name} has each short option once`);
    for (const one of dependences)
      for (const option of [...one.options, one.needs])
        assert.ok(names.includes(option), `${name} --${option}`);
  }
});

test("an unknown command, subcommand or argument selects nothing", () => {
  failsWith(run("frob"), 'unknown command "frob"; run slash32 --help');
  failsWith(run("doctor"), 'unknown command "doctor"');
  failsWith(
    run("agent", "frob", "-n", "hv.yaml"),
    'unknown subcommand "frob"; the only subcommand is doctor',
  );
  for (const word of ["constructor", "toString", "__proto__"])
    failsWith(run("agent", word), "unknown subcommand");
  failsWith(run("agent", "doctor", "more", "-n", "hv.yaml"), 'agent: unexpected argument "more"');
  for (const { name, noArguments } of COMMANDS)
    if (noArguments !== undefined && name !== "agent")
      failsWith(run(name, "frob"), 'unexpected argument "frob"');
});

test("an option without the one that it depends on is refused, not ignored", () => {
  for (const { name, options, dependences = [] } of COMMANDS)
    for (const { options: dependent, needs } of dependences)
      for (const option of dependent) {
        const { value } = options.find(one => one.name === option)!;
        const given = value === undefined ? [`--${option}`] : [`--${option}`, "1"];
        failsWith(run(name, ...given), `--${option} requires --${needs}`);
      }
});

test("the program says it in one line: the first of two dumps is not lost", () => {
  failsWith(
    run("verify", "-n", "hv.yaml", "-f", "label.flows", "-f", "ok.flows"),
    '"label.flows" and "ok.flows"',
  );
  failsWith(
    run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-c", "1", "--count=2"),
    "--count takes one value",
  );
  failsWith(run("check", "hv.yaml", "--report", "a.json", "--report", "b.json"), "--report takes one value");
});

test("replay writes every report that is asked for, and none over another", () => {
  const args = ["replay", "-q", "-n", "hv.yaml", "-r", "tap101=a.pcap"];
  assert.is(run(...args, "--report", "r.md", "--report", "r.json").code, 0);
  assert.match(folder.read("r.md").toString(), "# Replay");
  assert.is(JSON.parse(folder.read("r.json").toString()).frames, 3);
  failsWith(run(...args, "--report", "r.md", "--report", "./r.md"), "also being written");
  failsWith(run(...args, "--report", "r.md", "--report", "r.pdf"), "--report r.pdf");
  failsWith(run(...args, "--report", "r.md", "--report", "a.pcap"), "--report a.pcap");
});

// ── Nothing compared is not equal ──────────────────────────────────────────────────────────────────────────

test("filters that leave nothing are an error, whichever command", () => {
  const verify = ["verify", "-n", "hv.yaml", "-f", "label.flows"];
  failsWith(
    run(...verify, "--ignore-cookie", "0/0"),
    "are left out by --ignore-cookie",
    "nothing to compare",
  );
  const tables = [0, 10, 20, 30, 40, 50].flatMap(table => ["--ignore-table", String(table)]);
  failsWith(run(...verify, ...tables), "are left out by --ignore-table");
  failsWith(
    run("diff", "-q", "ok.flows", "label.flows", "--ignore-cookie=0x0/0"),
    "are left out by --ignore-cookie",
  );
  failsWith(
    run("trace", "-f", "ok.flows", ...tables, "-i", "1", "00".repeat(20)),
    "are left out by --ignore-table",
  );
});

test("a dump of which nothing can be read is no table", () => {
  const ran = run("verify", "-n", "hv.yaml", "-f", "unreadable.flows", "--lenient");
  assert.is(ran.code, 1);
  assert.match(
    ran.stderr,
    /\nslash32: unreadable\.flows: cannot parse any of its 2 flows; there is nothing to compare\n$/,
  );
  assert.is(
    run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "--against", "unreadable.flows", "--lenient").code,
    1,
  );
});

test("a table that is given as empty is judged; a file of no bytes is an error", () => {
  assert.is(run("diff", "-q", "header.flows", "header.flows").code, 0);
  assert.is(run("verify", "-q", "-n", "hv.yaml", "-f", "header.flows").code, 2);
  failsWith(run("diff", "-q", "empty.flows", "header.flows"), "empty.flows: has neither a flow");
  failsWith(
    run("diff", "-q", "ok.flows", "ok.flows", "--groups", "empty.flows"),
    "empty.flows: has neither a group",
  );
  folder.write("no.groups", "OFPST_GROUP_DESC reply (OF1.3) (xid=0x2):\n");
  assert.is(run("diff", "-q", "ok.flows", "ok.flows", "--groups", "no.groups").code, 0);
  failsWith(run("replay", "-n", "hv.yaml", "-r", "tap101=none.pcap"), "no frame was read");
  failsWith(run("trace", "-n", "hv.yaml", "-r", "tap101=none.pcap"), "no frame was read");
  failsWith(run("trace", "-n", "hv.yaml", "--batch", "empty.flows"), "is empty");
});

test("the verdict says what was left out, and so does JSON", () => {
  const cookie = ["verify", "-n", "hv.yaml", "-f", "label.flows", "--ignore-table", "40"];
  const left = 2 * LINES.filter(line => line.includes("table=40,")).length;
  const ran = run(...cookie);
  assert.is(ran.code, 0, ran.stdout);
  assert.match(ran.stdout, `equal, apart from ${left} flows left out by --ignore-table: `);
  const { compared, verdict } = JSON.parse(run(...cookie, "--format", "json").stdout);
  assert.is(verdict, "equal");
  assert.equal(compared.left_out, [`${left} flows left out by --ignore-table`]);
  assert.ok(compared.included.length > 0);
  const whole = run("verify", "-n", "hv.yaml", "-f", "ok.flows");
  assert.match(whole.stdout, /^equal: /);
});

test("folders, names that are not there, standard input twice: one line each", () => {
  for (const name of ["dir", "nowhere.flows"]) {
    failsWith(run("verify", "-n", "hv.yaml", "-f", name), `${name}: `);
    failsWith(run("diff", name, "ok.flows"), `${name}: `);
    failsWith(run("trace", "-f", name, "-i", "1", "00".repeat(20)), `${name}: `);
    failsWith(run("trace", "-n", "hv.yaml", "--batch", name), `${name}: `);
    failsWith(run("replay", "-n", "hv.yaml", "-r", `tap101=${name}`), `${name}`);
    failsWith(run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "--against", name), `${name}: `);
    failsWith(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--groups", name), `${name}: `);
    failsWith(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--ports", name), `${name}: `);
  }
  failsWith(run("verify", "-n", "hv.yaml", "-f", "ok.flows", "--report", "dir"), "--report dir");
  failsWith(run("verify", "-n", "-", "-f", "ok.flows", "--groups", "-"), "standard input is given twice");
  failsWith(run("diff", "ok.flows", "-", "--ports", "-"), "standard input is given twice");
  failsWith(run("replay", "-n", "-", "-r", "tap101=-"), "given twice");
});

test.run();
