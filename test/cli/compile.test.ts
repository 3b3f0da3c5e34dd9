/**
 * `slash32 compile` as people run it: its formats, its outputs, bad input, a million routes; and a real
 * Open vSwitch, which takes the flows, has just those, and matches each frame with the one that `slash32
 * trace` names.
 */

import { statSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import type { ModelIntent } from "../model/model.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";
import { PrivateSwitch, type SwitchPort } from "../ovs/private-switch.ts";
import { Folder, failsWith, INTENT, inFolder, succeeds } from "./base.ts";

const test = suite("compile on the command line");

interface FlowObject {
  type: string;
  schema: number;
  table: number;
  priority: number;
  cookie: string;
  kind: string;
  owner: number;
  match: string;
  actions: string;
}

function textOf({ cookie, table, priority, match, actions }: FlowObject): string {
  return `cookie=${cookie},table=${table},priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}`;
}

/** What the smallest intent compiles to. */
const LINES = [...new Flows(parseIntent(INTENT, "hv.yaml", ".").intent!)].map(flowText);

test("text, JSON and NDJSON say the same", () =>
  inFolder({}, folder => {
    const text = folder.run(["compile", "hv.yaml"]);
    succeeds(text);
    assert.is(text.stdout, LINES.map(line => `${line}\n`).join(""));
    const objects = folder.run(["compile", "hv.yaml", "--format", "ndjson"]).stdout.trimEnd().split("\n");
    const summary = { type: "compile", schema: 1, name: "hv1", bridge: "br0", count: LINES.length };
    assert.equal(JSON.parse(objects.pop()!), summary);
    const flows = objects.map(line => JSON.parse(line) as FlowObject);
    assert.equal(flows.map(textOf), LINES);
    assert.equal(flows[0], {
      type: "flow",
      schema: 1,
      table: 0,
      priority: 500,
      cookie: "0x10000",
      kind: "pipeline",
      owner: 0,
      match: "vlan_tci=0x1000/0x1000",
      actions: "drop",
    });
    const whole = folder.run(["compile", "hv.yaml", "--format", "json"]);
    succeeds(whole);
    assert.is(whole.stdout.indexOf("\n"), whole.stdout.length - 1, "one line");
    assert.equal(JSON.parse(whole.stdout), { ...summary, flows });
  }));

test("from a file, from -n, from standard input; to standard output and to files", () =>
  inFolder({}, folder => {
    const { stdout } = folder.run(["compile", "hv.yaml"]);
    assert.is(folder.run(["compile", "-n", "hv.yaml", "-O", "OpenFlow13"]).stdout, stdout);
    assert.is(folder.run(["compile", "-"], { input: INTENT }).stdout, stdout);
    assert.is(folder.run(["compile", "hv.yaml", "-w", "-"]).stdout, stdout);
    for (const name of ["a.flows", "a.flows.gz"]) {
      const ran = folder.run(["compile", "hv.yaml", "-w", name]);
      succeeds(ran);
      assert.equal([ran.stdout, ran.stderr], ["", ""]);
    }
    assert.is(folder.read("a.flows").toString(), stdout);
    assert.is(gunzipSync(folder.read("a.flows.gz")).toString(), stdout);
    assert.equal(folder.names(), ["a.flows", "a.flows.gz", "hv.yaml"]);
  }));

test("bad input: the intent's errors as check prints them, nothing on standard output, no file", () =>
  inFolder(
    { "bad.yaml": INTENT.replace("label: 1001", "label: 5").replace("ofport: 12", "ofport: 11") },
    folder => {
      const ran = folder.run(["compile", "bad.yaml", "-w", "out.flows"]);
      const check = folder.run(["check", "bad.yaml"]);
      assert.equal([ran.code, ran.stdout, ran.stderr], [1, "", check.stderr]);
      assert.match(ran.stderr, /^bad\.yaml:3:8: [^\n]+\nbad\.yaml:7:[^\n]+\n$/);
      assert.equal(folder.names(), ["bad.yaml", "hv.yaml"]);
      assert.is(folder.run(["compile", "none.yaml"]).stderr, folder.run(["check", "none.yaml"]).stderr);
      failsWith(folder.run(["compile"]), "slash32 compile INTENT");
      failsWith(folder.run(["compile", "hv.yaml", "hv.yaml"]), "expected one intent, got 2");
      failsWith(folder.run(["compile", "hv.yaml", "-n", "hv.yaml"]), "expected one intent, got 2");
      failsWith(folder.run(["compile", "hv.yaml", "--format", "xml"]), "text, json, ndjson");
      failsWith(
        folder.run(["compile", "hv.yaml", "-w", "hv.yaml"]),
        "--write hv.yaml",
        "choose another output",
      );
      failsWith(folder.run(["compile", "hv.yaml", "-w", "none/a"]), "none/a: no such file");
      failsWith(folder.run(["compile", "hv.yaml", "-w", "a.zst"]), "zstd");
      assert.is(folder.read("hv.yaml").toString(), INTENT);
    },
  ));

test("warnings go to standard error and the flows are written", () =>
  inFolder({}, folder => {
    folder.write("hv.yaml", `${INTENT}  - { prefix: 127.1.0.0/16, via: 02:00:00:00:00:fe }\n`);
    const ran = folder.run(["compile", "hv.yaml"]);
    assert.is(ran.code, 0);
    assert.match(ran.stderr, /^hv\.yaml:10:\d+: .*\(warning\)\n$/);
    assert.is(ran.stdout.split("\n").length - 1, LINES.length + 1);
    assert.is(folder.run(["compile", "-q", "hv.yaml"]).stderr, "");
  }));

test("a name of any alphabet", () =>
  inFolder({}, folder => {
    const name = "é→".repeat(127);
    folder.write("hv.yaml", INTENT.replace("hv1", name));
    const ran = folder.run(["compile", "hv.yaml", "--format", "json"]);
    succeeds(ran);
    assert.is(JSON.parse(ran.stdout).name, name);
  }));

test("a reader that goes away is an error of one line", () =>
  inFolder({ "routes.txt": manyRoutes(20_000) }, folder => {
    folder.write("hv.yaml", `${INTENT}routesFile: routes.txt\n`);
    const ran = folder.shell("slash32 compile hv.yaml | head -n 1");
    assert.is(ran.stdout, `${LINES[0]}\n`);
    assert.match(ran.stderr, /^(slash32: standard output: [^\n]+\n)?$/);
  }));

function manyRoutes(count: number): string {
  const lines: string[] = [];
  for (let k = 0; k < count; k++) {
    const hop = (k * 7919) % 3000;
    lines.push(
      `10.${(k >>> 16) & 255}.${(k >>> 8) & 255}.${k & 255}/32 ${16 + hop}/${4000 + hop} 02:00:00:00:00:fe\n`,
    );
  }
  return lines.join("");
}

test("a million routes in 10 s of processor time", () =>
  inFolder({ "routes.txt": manyRoutes(1_000_000) }, folder => {
    folder.write("hv.yaml", `${INTENT}routesFile: routes.txt\n`);
    // The shell tells what its children took, whatever else the machine does meanwhile.
    const ran = folder.shell("slash32 compile hv.yaml -w all.flows && times");
    succeeds(ran);
    const [, user, system] = /(?:\d+m[\d.]+s ?){2}\n0m([\d.]+)s 0m([\d.]+)s/.exec(ran.stdout)!;
    const seconds = Number(user) + Number(system);
    assert.ok(seconds < 10, `took ${seconds.toFixed(1)} s`);
    assert.ok(statSync(folder.at("all.flows")).size > 200e6);
    const bytes = folder.read("all.flows");
    let lines = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
    assert.is(lines, LINES.length + 1_000_000);
    const frame = `fe0000000101 52540000000b 0800 45000014 00000000 40110000 cb007107 0a0f423f`;
    const traced = folder.run(["trace", "-n", "hv.yaml", "-i", "tap101", "--format", "json", frame]);
    const { flow, line } = JSON.parse(traced.stdout).tables.at(-1);
    assert.is(flow, "priority=132,ip,nw_dst=10.15.66.63");
    const printed = folder.shell(`sed -n '${line}{p;q}' all.flows`).stdout;
    assert.ok(printed.includes(`,${flow} actions=`), `line ${line}: ${printed}`);
  }));

// ── Open vSwitch ───────────────────────────────────────────────────────────────────────────────────────────

async function withSwitch(
  ports: readonly SwitchPort[],
  body: (sw: PrivateSwitch) => Promise<void>,
): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports });
  try {
    await body(sw);
  } finally {
    await sw.close();
  }
}

/** A flow in one spelling, whoever printed it: the order of its conditions does not count. */
function canonical(line: string): string {
  const [, before, actions] = /^(.*?) actions=(.*)$/.exec(line.trim())!;
  const terms = before!.split(/, ?/).filter(term => !/^table=0$/.test(term));
  return `${terms.sort().join(",")} actions=${actions!.toLowerCase()}`;
}

test("random intents: Open vSwitch takes the flows, has just those, and diff-flows finds nothing", () =>
  withSwitch([{ name: "uplink0", number: 1 }], async sw => {
    const folder = new Folder();
    const first = seed();
    process.stdout.write(`\n  SEED=${first}\n`);
    const differences = (): number | null => {
      const { code } = folder.shell("ovs-ofctl -O OpenFlow13 diff-flows installed.flows hv.flows");
      return code;
    };
    try {
      for (let world = 0; world < 12; world++) {
        const intent = randomIntent(rng((first + world) >>> 0));
        folder.write("hv.yaml", JSON.stringify(intent));
        succeeds(folder.run(["compile", "-q", "hv.yaml", "-w", "hv.flows"]));
        const text = folder.read("hv.flows").toString();
        await sw.replaceFlows(text);
        const dump = await sw.dumpFlows({ stats: false });
        const [installed, compiled] = [dump, text].map(flows =>
          flows.trimEnd().split("\n").map(canonical).sort(),
        );
        assert.equal(installed, compiled, `SEED=${first + world}`);
        folder.write("installed.flows", dump);
        assert.is(differences(), 0);
      }
      folder.write("hv.flows", `${folder.read("hv.flows")}table=7 actions=drop\n`);
      assert.is(differences(), 2, "canary");
    } finally {
      folder.remove();
    }
  }));

/** The flows that ofproto/trace says a frame met: `table priority cookie match`, conditions sorted. */
function metBy(account: string): string[] {
  return [...account.matchAll(/^ ?(\d+)\. (?:(.*), )?priority (\d+), cookie (0x\w+)$/gm)].map(
    ([, table, match = "", priority, cookie]) =>
      `${table} ${priority} ${cookie} ${match.split(",").sort().join(",")}`,
  );
}

function portsOf(intent: ModelIntent): SwitchPort[] {
  return [intent.uplink, ...intent.vms].map(({ port, ofport }) => ({ name: port, number: ofport }));
}

test("random frames: Open vSwitch matches the flows that trace names, at their lines", async () => {
  peer("ovs-vswitchd");
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  let compared = 0;
  for (let world = 0; world < 6; world++) compared += await compareTraces((first + world) >>> 0);
  assert.ok(compared > 500, `${compared} flows were compared`);
});

/** One intent and 150 frames: gives how many flows were compared. */
async function compareTraces(worldSeed: number): Promise<number> {
  const folder = new Folder();
  const random = rng(worldSeed);
  const intent = randomIntent(random);
  const ports = portsOf(intent);
  let compared = 0;
  try {
    folder.write("hv.yaml", JSON.stringify(intent));
    const text = folder.run(["compile", "hv.yaml"]).stdout;
    const lines = text.trimEnd().split("\n");
    const frames = Array.from({ length: 150 }, () => randomFrame(random, intent))
      .filter(({ inPort }) => ports.some(({ number }) => number === inPort))
      .filter(({ frame }) => frame.length >= 14 && frame.length <= 1500)
      .map(({ inPort, frame }) => ({ inPort, frame: Buffer.from(frame).toString("hex") }));
    const input = frames.map(({ inPort, frame }) => JSON.stringify({ in_port: inPort, frame }));
    const answers = folder.run(["trace", "-n", "hv.yaml", "--batch", "-"], { input: input.join("\n") });
    await withSwitch(ports, async sw => {
      await sw.replaceFlows(text);
      const accounts = await Promise.all(frames.map(({ inPort, frame }) => sw.trace(inPort, frame)));
      for (const [index, answer] of answers.stdout.trimEnd().split("\n").entries()) {
        const shown = `SEED=${worldSeed}: ${input[index]}`;
        const named = flowsNamed(answer, lines, shown);
        const met = metBy(accounts[index]!);
        // Open vSwitch's account ends where a label is popped: the rest is another lookup of the datapath.
        const isPopped = named.length > 2 && named[1]!.startsWith("10 100");
        assert.equal(isPopped ? named.slice(0, 2) : named, met, shown);
        compared += met.length;
      }
    });
  } finally {
    folder.remove();
  }
  return compared;
}

/** The flows that trace names, in the form of `metBy`; each must stand where it says. */
function flowsNamed(answer: string, lines: readonly string[], shown: string): string[] {
  const steps: { table: number; flow: string; line: number; actions: string }[] = JSON.parse(answer).tables;
  return steps.map(({ table, flow, line, actions }) => {
    const text = lines[line - 1]!;
    assert.is(text, `${text.split(",")[0]},table=${table},${flow} actions=${actions}`, shown);
    const [, priority, match = ""] = /^priority=(\d+)(?:,(.*))?$/.exec(flow)!;
    const cookie = /^cookie=(\w+)/.exec(text)![1];
    return `${table} ${priority} ${cookie} ${match.split(",").sort().join(",")}`;
  });
}

test.run();
