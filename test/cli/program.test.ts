/**
 * The program around its commands: help, versions, wrong options with what was meant, colours, quiet, and
 * `slash32 check`. Other programs call it by these words and look at its exit code: 0 done, 1 could not.
 */
import { existsSync, mkdirSync, openSync } from "node:fs";
import { assert, skip, suite } from "../harness.ts";
import { Folder, failsWith, goodPcap, INTENT, inFolder, type Ran, succeeds } from "./base.ts";

const test = suite("program");
const COMMANDS = ["check", "replay", "compile", "trace"];

/** One folder for all: nothing here writes over the intent. */
const folder = new Folder({ "a.pcap": goodPcap(3) });
process.on("exit", () => folder.remove());

const run = (...args: string[]): Ran => folder.run(args);

// ── Help ───────────────────────────────────────────────────────────────────────────────────────────────────

test("no command: the help on standard error, exit 1", () => {
  const ran = run();
  assert.is(ran.code, 1);
  assert.is(ran.stdout, "");
  for (const name of COMMANDS) assert.match(ran.stderr, new RegExp(`^  ${name} `, "m"));
});

test("help and version of the program", () => {
  for (const flag of ["--help", "-h", "help"]) {
    const ran = run(flag);
    succeeds(ran);
    for (const name of COMMANDS) assert.match(ran.stdout, new RegExp(`^  ${name} `, "m"));
    assert.match(ran.stdout, "Exit status: 0 success; 1 ");
    assert.match(ran.stdout, "\n  $ slash32 ", "an example");
  }
  for (const flag of ["--version", "-V"]) {
    succeeds(run(flag));
    assert.match(run(flag).stdout, /^slash32 \d+\.\d+\.\d+\n$/);
  }
});

test("short and long help of each command, without anything else being right", () => {
  for (const name of COMMANDS) {
    const short = run(name, "-h");
    const long = run(name, "--help", "--profile");
    succeeds(short);
    assert.match(short.stdout, `slash32 ${name}`);
    assert.match(short.stdout, "\n  $ slash32 ", "an example");
    assert.ok(short.stdout.split("\n").length < 25, "short help fits a screen");
    const full = long.code === 0 ? long : run(name, "--help");
    succeeds(full);
    assert.ok(full.stdout.length > short.stdout.length);
    for (const flag of ["--color", "--quiet", "--protocols", "--format", "--intent"])
      assert.match(full.stdout, flag);
    for (const line of full.stdout.split("\n")) assert.ok(line.length <= 140, line);
  }
});

test("help and versions to a full disk or a closed pipe are one line too", () => {
  if (!existsSync("/dev/full")) skip("there is no /dev/full");
  const full = openSync("/dev/full", "w");
  for (const args of [["--version"], ["--help"], ["replay", "--help"], ["check", "hv.yaml"]]) {
    const ran = folder.run(args, { stdio: ["ignore", full, "pipe"] });
    failsWith(ran, "standard output: no space left on device");
  }
  const silent = folder.run(["frobnicate"], { stdio: ["ignore", "pipe", full] });
  assert.is(silent.code, 1, "an exit code is given even if nothing can be said");
});

// ── Wrong words ────────────────────────────────────────────────────────────────────────────────────────────

test("unknown commands, and what was meant", () => {
  failsWith(run("chek", "hv.yaml"), "chek", "did you mean check?");
  failsWith(run("reply"), "did you mean replay?");
  failsWith(run("trase"), "did you mean trace?");
  failsWith(run("frobnicate"), "frobnicate", "slash32 --help");
  for (const word of ["", "--nonsense", "constructor", "__proto__", "CHECK", "/etc/passwd"])
    failsWith(run(word), "slash32 --help");
});

test("unknown options, and what was meant", () => {
  failsWith(run("check", "--fromat", "json", "hv.yaml"), "--fromat", "did you mean --format?");
  failsWith(run("replay", "--drop", "x", "-r", "a.pcap"), "did you mean --drops?");
  failsWith(run("replay", "--intnet=hv.yaml"), "did you mean --intent?");
  failsWith(run("trace", "--bacth", "-"), "did you mean --batch?");
  failsWith(run("replay", "--allow-truncate"), "did you mean --allow-truncated?");
  failsWith(run("trace", "-z"), "-z", "slash32 trace --help");
  failsWith(run("check", "--zzzzzzzz", "hv.yaml"), "--zzzzzzzz", "slash32 check --help");
  failsWith(run("replay", "-qz"), "-z");
});

test("values that are missing, empty, or too many", () => {
  for (const [args, option] of [
    [["replay", "-n"], "--intent=INTENT"],
    [["replay", "-n", "hv.yaml", "-r"], "--read="],
    [["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w"], "--write=FILE"],
    [["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", "--drops"], "--write=FILE"],
    [["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", ""], "--write=FILE"],
    [["replay", "-n", "", "-r", "tap101=a.pcap"], "--intent=INTENT"],
    [["replay", "-n", "hv.yaml", "-r", ""], "--read="],
    [["trace", "-n", "hv.yaml", "-i"], "--in-port=PORT"],
    [["trace", "-n", "hv.yaml", "--batch"], "--batch=FILE"],
    [["check", "hv.yaml", "--format"], "--format=FORMAT"],
    [["check", "hv.yaml", "-O"], "--protocols=PROTOCOLS"],
  ] as const) {
    failsWith(folder.run(args), "value", option);
  }
  failsWith(run("check", "--quiet=1", "hv.yaml"), "--quiet takes no value");
  assert.equal(folder.names(), ["a.pcap", "hv.yaml"]);
});

test("values that are wrong", () => {
  const replay = ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap"];
  failsWith(run(...replay, "--format", "xml"), "--format", '"xml"', "text, json, ndjson");
  failsWith(run(...replay, "--color", "blue"), "--color", '"blue"', "auto, always, never");
  failsWith(run(...replay, "--profile", "ovn"), "--profile", '"ovn"', "ovs");
  for (const count of ["0", "1.5", "x", "1e3", "99999999999999999999"])
    failsWith(run(...replay, "-c", count), "--count", `"${count}"`);
  failsWith(run(...replay, "--count=-1"), "--count", '"-1"');
});

test("a command line without what the command needs", () => {
  failsWith(run("check"), "one intent", "slash32 check INTENT");
  failsWith(run("check", "hv.yaml", "hv.yaml"), "one intent");
  failsWith(run("check", "hv.yaml", "-n", "hv.yaml"), "one intent");
  failsWith(run("replay"), "-r [PORT=]CAPTURE");
  failsWith(run("replay", "-r", "tap101=a.pcap"), "needs an intent", "-n INTENT");
  failsWith(run("replay", "-n", "hv.yaml", "a.pcap"), 'unexpected argument "a.pcap"', "-r");
});

test("the strict profile is not implemented, and the message names the other one", () => {
  for (const args of [
    ["replay", "-r", "tap101=a.pcap"],
    ["trace", "-i", "1", "00"],
  ]) {
    failsWith(
      run(...args, "-n", "hv.yaml", "--profile", "strict"),
      "--profile strict",
      "not implemented",
      "ovs",
    );
    succeeds(run(...args, "-n", "hv.yaml", "--profile", "ovs"));
  }
});

// ── What goes where ────────────────────────────────────────────────────────────────────────────────────────

const COLOUR = "\x1b[";

test("colours: never in a pipe, always when asked for", () => {
  const replay = ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap"];
  for (const args of [replay, ["check", "hv.yaml"]]) {
    const coloured = (extra: string[], env = {}): boolean =>
      folder.run([...args, ...extra], { env }).stdout.includes(COLOUR);
    assert.is(coloured([]), false);
    assert.is(coloured(["--color=auto"]), false);
    assert.is(coloured(["--color=always"]), true);
    assert.is(coloured(["--color=never"]), false);
    assert.is(coloured([], { NO_COLOR: "1" }), false);
    assert.is(coloured(["--color=always"], { NO_COLOR: "1" }), true, "what is asked for wins");
  }
  const json = run(...replay, "--format", "json", "--color=always");
  assert.not.match(json.stdout, COLOUR);
});

test("quiet, verbose, and ovs-ofctl's -O", () => {
  const replay = ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap"];
  for (const args of [replay, ["check", "hv.yaml"]]) {
    const quiet = run(...args, "-q");
    succeeds(quiet);
    assert.is(quiet.stdout, "");
    for (const extra of [["-O", "OpenFlow13"], ["--protocols=OpenFlow13,OpenFlow15"]]) {
      const ran = run(...args, ...extra);
      assert.is(ran.code, 0);
      if (extra[0] !== "-v") assert.is(ran.stderr, "");
      assert.match(ran.stdout, args === replay ? "3 frames" : "hv1");
    }
    const verbose = run(...args, "-v");
    assert.is(verbose.code, 0);
    assert.match(verbose.stderr, args === replay ? /^a\.pcap: 252 bytes read\n$/ : /^$/);
    const json = run(...args, "-q", "--format", "json");
    assert.is(JSON.parse(json.stdout).schema, 1, "data is no talk");
  }
});

test("data on standard output, talk on standard error", () => {
  const text = run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", "-");
  assert.is(text.code, 0);
  assert.match(text.stderr, "3 frames");
  assert.not.match(text.stdout, "3 frames");
  const json = run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "--drops", "-", "--format", "json");
  assert.is(JSON.parse(json.stderr).frames, 3);
});

test("a report to standard output while a capture goes there is a usage error", () => {
  const ran = run("replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", "-", "--report", "-");
  failsWith(ran, "--report");
});

// ── check ──────────────────────────────────────────────────────────────────────────────────────────────────

const WARNING = INTENT.replace("0.0.0.0/0", "203.0.113.7/32");
const ERRORS = `${INTENT.replace("label: 1001", "label: 7").replace("ofport: 12", "ofport: 11")}colour: red\n`;

test("check: a good intent, in text and JSON", () => {
  const text = run("check", "hv.yaml");
  succeeds(text);
  for (const part of ["hv1", "br0", "1001", "uplink0 (1)", "2 VMs", "1 l3", "1 l2", "1 route"])
    assert.match(text.stdout, part);
  for (const format of ["json", "ndjson"]) {
    const ran = run("check", "hv.yaml", "--format", format);
    succeeds(ran);
    const wanted = { type: "check", schema: 1, errors: [], warnings: [], vms: 2, routes: 1 };
    assert.is(ran.stdout, `${JSON.stringify(wanted)}\n`);
  }
  assert.is(run("check", "-n", "hv.yaml").stdout, text.stdout);
  assert.is(folder.run(["check", "-"], { input: INTENT }).stdout, text.stdout);
  assert.is(folder.run(["check", "-n", "-"], { input: INTENT }).stdout, text.stdout);
});

test("check: several errors, each with its place, in order", () =>
  inFolder({ "bad.yaml": ERRORS }, bad => {
    const text = bad.run(["check", "bad.yaml"]);
    assert.is(text.code, 1);
    assert.is(text.stdout, "");
    const lines = text.stderr.split("\n").slice(0, -1);
    assert.is(lines.length, 3, text.stderr);
    const places = lines.map(line => /^bad\.yaml:(\d+):(\d+): ./.exec(line)?.[1]);
    assert.equal(places, ["3", "7", "10"], text.stderr);
    const json = bad.run(["check", "bad.yaml", "--format", "json"]);
    assert.is(json.code, 1);
    assert.is(json.stderr, "");
    const { type, schema, errors, warnings, vms, routes } = JSON.parse(json.stdout);
    assert.equal([type, schema, warnings, vms, routes], ["check", 1, [], 0, 0]);
    const shown = (errors as { file: string; line: number; col: number; message: string }[]).map(
      ({ file, line, col, message }) => `${file}:${line}:${col}: ${message}`,
    );
    assert.equal(shown, lines);
    for (const error of errors) assert.equal(Object.keys(error), ["file", "line", "col", "message"]);
    const replay = bad.run(["replay", "-n", "bad.yaml", "-r", "tap101=none.pcap"]);
    assert.is(replay.code, 1);
    assert.equal(replay.stderr.replace("slash32: ", "").split("\n").slice(0, -1), lines);
  }));

test("check: warnings are said, and are no failure", () =>
  inFolder({ "warn.yaml": WARNING, "a.pcap": goodPcap(1) }, warn => {
    const text = warn.run(["check", "warn.yaml"]);
    assert.is(text.code, 0);
    assert.match(text.stderr, /^warn\.yaml:9:\d+: [^\n]+\n$/);
    assert.match(text.stderr, /warning/);
    assert.match(text.stdout, "1 route");
    const json = warn.run(["check", "warn.yaml", "--format", "json"]);
    succeeds(json);
    const { errors, warnings } = JSON.parse(json.stdout);
    assert.equal([errors.length, warnings.length, warnings[0].line], [0, 1, 9]);
    const quiet = warn.run(["check", "warn.yaml", "-q"]);
    succeeds(quiet);
    const replay = warn.run(["replay", "-n", "warn.yaml", "-r", "tap101=a.pcap", "--format", "json"]);
    assert.is(replay.code, 0);
    assert.match(replay.stderr, /^warn\.yaml:9:\d+: [^\n]+\n$/);
    assert.is(JSON.parse(replay.stdout).frames, 1);
  }));

test("check: intents that are not there, or no YAML", () =>
  inFolder({ "empty.yaml": "", "list.yaml": "- 1\n", "broken.yaml": "name: [\n" }, bad => {
    mkdirSync(bad.at("dir"));
    for (const name of ["none.yaml", "dir", "empty.yaml", "list.yaml", "broken.yaml"]) {
      const text = bad.run(["check", name]);
      assert.is(text.code, 1, name);
      assert.match(text.stderr, new RegExp(`^${name}:\\d+:\\d+: [^\\n]+\\n$`));
      const json = bad.run(["check", name, "--format", "json"]);
      assert.is(json.code, 1, name);
      const { errors } = JSON.parse(json.stdout);
      assert.is(errors.length, 1);
      assert.is(errors[0].file, name);
    }
    const piped = bad.run(["check", "-"]);
    assert.is(piped.code, 1);
    assert.match(piped.stderr, /^[^\n]*stdin[^\n]*:1:1: [^\n]+\n$/);
  }));

test("check: a report beside the text", () =>
  inFolder({ "bad.yaml": ERRORS, "hv.json": "{}" }, made => {
    for (const [intent, code] of [
      ["hv.yaml", 0],
      ["bad.yaml", 1],
    ] as const) {
      const ran = made.run(["check", intent, "--report", "report.json"]);
      assert.is(ran.code, code);
      const json = made.run(["check", intent, "--format", "json"]).stdout;
      assert.is(made.read("report.json").toString(), json);
    }
    failsWith(made.run(["check", "hv.yaml", "--report", "none/r.json"]), "none/r.json: no such file");
    failsWith(made.run(["check", "hv.yaml", "--report", "r.doc"]), "r.doc", ".json");
    const same = made.run(["check", "hv.json", "--report", "./hv.json"]);
    failsWith(same, "hv.json", "being read");
    assert.is(made.read("hv.json").toString(), "{}");
    assert.equal(made.names(), ["bad.yaml", "hv.json", "hv.yaml", "report.json"]);
  }));

test("replay: the reports of all kinds", () =>
  inFolder({ "a.pcap": goodPcap(3) }, made => {
    for (const name of ["r.json", "r.ndjson", "r.md"]) {
      const args = ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-q", "--report", name];
      succeeds(made.run(args));
      const text = made.read(name).toString();
      if (name === "r.md") assert.match(text, /^# Replay\n[\s\S]*3 frames/);
      else assert.is(JSON.parse(text).frames, 3);
    }
  }));

test.run();
