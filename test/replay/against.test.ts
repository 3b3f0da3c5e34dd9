/**
 * `slash32 replay --against`: flows that do what the intent says agree with the core on every frame; a flow
 * that was changed is found, with both ends, a capture of the frames, and exit code 2; what the flows leave
 * open is inconclusive.
 */
import { readFileSync } from "node:fs";
import { Core } from "../../src/core/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { CachingInterpreter, FlowColumns } from "../../src/openflow/index.ts";
import { replay } from "../../src/replay/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { flowsOf } from "../model/flows.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";
import { delivered, INTENT, mixed, type Outcome, PcapNg, pcap, routed, Sandbox, TAP11 } from "./base.ts";

const test = suite("replay --against");
const intents = Number(process.env.INTENTS ?? 10);
const FRAMES = 600;
const FLOWS = flowsOf(INTENT);

interface Report {
  frames: number;
  snapped: number;
  drops: Record<string, number>;
  against?: Counts & {
    differences?: {
      frames: number;
      core: string;
      flows: string;
      a: Place;
      b: Place;
      frame: string;
      replay: string;
    }[];
    undecided?: { what: string; frames: number }[];
  };
}

interface Counts {
  frames: number;
  different: number;
  unknown?: number;
  ambiguous?: number;
}

interface Place {
  file: string;
  line: number;
  compiled_line?: number;
  text: string;
}

/** Of what was compared only how many frames there are of each kind. */
function countsOf({ against: compared }: Report): Counts | undefined {
  if (compared === undefined) return undefined;
  const { differences, undecided, ...counts } = compared;
  const all = (differences ?? []).reduce((sum, { frames }) => sum + frames, 0);
  assert.is(all, counts.different, "every frame that differs is in a group");
  return counts;
}

/** Traffic both ways in one capture; bytes enough that the output is full several times within a batch. */
function capture(frames: number, bytes = 20): Buffer {
  const file = new PcapNg().section().interface({ name: "tap11" }).interface({ name: "uplink0" });
  for (let number = 0; number < frames; number++) {
    if (number % 3 === 0) file.packet(BigInt(number), delivered(number, bytes), { link: 1 });
    else file.packet(BigInt(number), mixed(number, bytes));
  }
  return file.bytes();
}

function boxWith(flows: readonly string[], frames: Buffer): Sandbox {
  const box = new Sandbox();
  box.put("flows.txt", Buffer.from(`${flows.join("\n")}\n`));
  box.put("in.pcapng", frames);
  return box;
}

const against = (box: Sandbox, ...args: string[]): Outcome =>
  box.replay(["-r", "in.pcapng", "--against", "flows.txt", ...args]);

function reportOf({ stdout, stderr }: Outcome): Report {
  assert.ok(stdout.length > 0, stderr);
  return JSON.parse(stdout.toString());
}

const DELIVERY = /table=30,.*nw_dst=203\.0\.113\.11\b/;

/** The flow for a delivery to tap11, changed. */
const changed = (to: string): string[] =>
  FLOWS.map(line => (DELIVERY.test(line) ? line.replace(`output:${TAP11}`, to) : line));

test("random intents and frames: core and flows agree", async () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}: ${intents} intents\n`);
  const box = new Sandbox();
  for (let round = 0; round < intents; round++) {
    const r = rng((start + round) >>> 0);
    const model = randomIntent(r);
    const arrivals = Array.from({ length: FRAMES }, () => randomFrame(r, model)).filter(
      ({ frame }) => frame.length > 0,
    );
    const ports = [...new Set(arrivals.map(({ inPort }) => inPort))].slice(0, 60);
    const captures = ports.map(port => {
      const frames = arrivals.filter(({ inPort }) => inPort === port);
      box.put(`${port}.pcap`, pcap(frames.map(({ frame }, n) => ({ time: BigInt(n), frame }))));
      return `${port}=${box.path(`${port}.pcap`)}`;
    });
    const { intent } = parseIntent(JSON.stringify(model), "hv.json", ".");
    assert.ok(intent !== null, `SEED=${start + round}`);
    const core = Core.load();
    core.install(intent);
    const columns = new FlowColumns(Buffer.from(flowsOf(model).join("\n")), "flows");
    const { counters, against: compared } = await replay({
      core,
      intent,
      captures,
      output: box.path("out.pcapng"),
      against: { interpreter: new CachingInterpreter(columns) },
    });
    const { frames, different, differences, unknown, ambiguous } = compared!;
    const shown = differences.map(
      one => `${one.core}; ${one.flows}: ${Buffer.from(one.frame).toString("hex")}`,
    );
    assert.is(different, 0, `SEED=${start + round}\n${shown.join("\n")}`);
    assert.is(unknown + ambiguous, 0);
    assert.is(frames, counters.frames - (counters.drops.get("too-long") ?? 0));
  }
});

test("the same flows: exit 0, with every row of the report as without", () => {
  const box = boxWith(FLOWS, capture(900, 1400));
  const plain = box.replay(["-r", "in.pcapng", "--format", "json", "-w", "plain.pcapng"]);
  const ran = against(box, "--format", "json", "-w", "out.pcapng");
  assert.is(ran.code, 0, ran.stderr);
  const { against: compared, ...rest } = reportOf(ran) as Report & { seconds?: number };
  const { ...expected } = reportOf(plain) as Report & { seconds?: number };
  rest.seconds = 0;
  expected.seconds = 0;
  assert.equal(rest, expected);
  assert.equal(compared, { frames: 900, different: 0 });
  assert.equal(box.get("out.pcapng"), box.get("plain.pcapng"));
});

test("another port: exit 2, each differing frame written with both ends", () => {
  const box = boxWith(changed("output:3"), capture(300, 1400));
  const ran = against(box, "--diff", "diff.pcapng", "--format", "json");
  assert.is(ran.code, 2, ran.stderr);
  assert.equal(countsOf(reportOf(ran)), { frames: 300, different: 100 });
  const { packets } = box.capture("diff.pcapng");
  assert.is(packets.length, 100);
  packets.forEach(({ name, frame, comments, time }, index) => {
    assert.is(name, "uplink0");
    assert.equal(frame, delivered(3 * index, 1400));
    assert.is(time, BigInt(3 * index) * 1000n);
    assert.match(comments[0]!, /^core: output tap11 \(11\); flows: output tap3 \(3\), line \d+$/);
  });
});

test("other bytes, two outputs, a packet-in: all of them are differences", () => {
  const cases: [string, RegExp][] = [
    ["mod_nw_tos:4,output:11", /flows: output tap11 \(11\), line \d+, byte 15 is 04 instead of 00/],
    ["output:11,output:3", /flows: output tap11 \(11\) and tap3 \(3\), line/],
    ["output:11,CONTROLLER:99", /flows: output tap11 \(11\), packet-in action, line/],
    ["drop", /core: output tap11 \(11\); flows: drop, line/],
  ];
  for (const [to, text] of cases) {
    const flows = to === "drop" ? changed("").map(line => line.replace(/,$/, "")) : changed(to);
    const box = boxWith(flows, capture(9));
    const ran = against(box);
    assert.is(ran.code, 2, `${to}: ${ran.stderr}`);
    assert.match(ran.stdout.toString(), text);
  }
});

test("the line that is shown for a difference shows it", () => {
  const box = boxWith(changed("output:3"), capture(9));
  const ran = against(box);
  const line = /^ {4}\$ (slash32 trace .*)$/m.exec(ran.stdout.toString())?.[1];
  assert.ok(line !== undefined, ran.stdout.toString());
  const shown = box.shell(line);
  assert.is(shown.code, 0, shown.stderr);
  assert.match(
    shown.stdout.toString(),
    /out {2}tap11 \(11\)[\s\S]*out {2}tap3 \(3\)/,
    "the one way, then the other",
  );
});

test("frames are grouped by the flows at which the two part, all of them; a long frame's hex is whole", () => {
  const lines = changed("output:3").map(line =>
    /table=40,.*actions=/.test(line)
      ? line.replace(/set_field:\d+->mpls_label/, "set_field:99->mpls_label")
      : line,
  );
  const box = boxWith(lines, capture(90, 1400));
  const ran = against(box, "--report", "r.json", "--report", "r.md");
  assert.is(ran.code, 2);
  const { differences } = reportOf({ ...ran, stdout: readFileSync(box.path("r.json")) }).against!;
  assert.ok(differences!.length >= 2, ran.stdout.toString());
  const pairs = differences!.map(({ core, flows, a, b }) => `${core} ${flows} ${a?.text} ${b?.text}`);
  assert.is(new Set(pairs).size, pairs.length);
  for (const { frames, a, b, frame, replay: line } of differences!) {
    assert.ok(frames > 0);
    assert.match(a.text, /^cookie=|^table=/);
    assert.is(typeof a.compiled_line, "number");
    assert.is(lines[b.line - 1], b.text, "the installed flow is in its line");
    assert.match(line, frame);
  }
  const long = differences!.find(({ frame }) => frame.length > 2000)!;
  const traced = box.shell(long.replay);
  assert.is(traced.code, 0, traced.stderr);
  const page = readFileSync(box.path("r.md"), "utf8");
  assert.match(page, long.frame);
  assert.not.match(page, "…");
  assert.match(ran.stdout.toString(), /^ {4}\+ flows\.txt:\d+: table=/m);
});

/** An IPv4 frame without a label, with another protocol, which no capture can tell from a real one. */
function withProtocol(frame: Buffer, protocol: number): Buffer {
  frame[23] = protocol;
  frame.writeUInt16BE(0, 24);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(~sum & 0xffff, 24);
  return frame;
}

test("text stops at ten groups and says how to see the others", () => {
  const others = Array.from(
    { length: 14 },
    (_, n) => `table=0,priority=9${10 + n},ip,nw_proto=${n + 100} actions=output:3`,
  );
  const box = boxWith([...FLOWS, ...others], Buffer.alloc(0));
  const file = new PcapNg().section().interface({ name: "tap11" });
  for (let n = 0; n < 14; n++) file.packet(BigInt(n), withProtocol(routed(n), n + 100));
  box.put("in.pcapng", file.bytes());
  const ran = against(box);
  const text = ran.stdout.toString();
  assert.is([...text.matchAll(/ core: /g)].length, 10, text);
  assert.match(
    text,
    "… and 4 more frames at 4 more flow pairs; use --format json or --report FILE.json for all",
  );
  assert.is(reportOf(against(box, "--format", "json")).against!.differences!.length, 14);
});

test("what the flows leave open is inconclusive, unless something differs", () => {
  const open = boxWith(changed("NORMAL"), capture(9));
  const ran = against(open, "--format", "json");
  assert.is(ran.code, 1);
  assert.match(ran.stderr, /inconclusive: no frame differs, but 3 of 9 are undecided/);
  assert.equal(countsOf(reportOf(ran)), { frames: 9, different: 0, unknown: 3 });
  assert.match(against(open).stdout.toString(), /undecided: NORMAL, line \d+ \(3\)/);
  const double = changed("output:11").find(line => DELIVERY.test(line))!;
  const tied = [...FLOWS, double.replace("ip,", "ip,in_port=5,").replace("output:11", "output:3")];
  const ambiguous = against(boxWith(tied, capture(9)), "--format", "json");
  assert.is(ambiguous.code, 1);
  assert.equal(countsOf(reportOf(ambiguous)), { frames: 9, different: 0, ambiguous: 3 });
  const both = boxWith([...changed("NORMAL").filter(line => !/arp_op=1/.test(line))], capture(9));
  assert.is(against(both).code, 2);
});

test("snapped frames are not compared; -c counts them all the same", () => {
  const box = boxWith(changed("output:3"), Buffer.alloc(0));
  box.put(
    "in.pcapng",
    new PcapNg()
      .section()
      .interface({ name: "uplink0" })
      .packet(1n, delivered(1).subarray(0, 40), { length: 60 })
      .packet(2n, delivered(2))
      .packet(3n, delivered(3))
      .bytes(),
  );
  const ran = against(box, "-c", "2", "--format", "json");
  assert.is(ran.code, 2, ran.stderr);
  const { frames, snapped } = reportOf(ran);
  const compared = countsOf(reportOf(ran));
  assert.equal(
    { frames, snapped, compared },
    { frames: 2, snapped: 1, compared: { frames: 1, different: 1 } },
  );
  const only = against(box, "-c", "1");
  assert.is(only.code, 1);
  assert.match(only.stderr, /no frame was compared/);
});

test("a dump with an error, an empty one, outputs that would replace inputs", () => {
  const box = boxWith([FLOWS[0]!, "table=0,nw_dst=1.2.3.4.5,ip actions=drop"], capture(3));
  const bad = against(box);
  assert.is(bad.code, 1);
  assert.match(bad.stderr, /^slash32: flows\.txt:2:\d+: /);
  assert.is(against(box, "--lenient").code, 2);
  box.put("flows.txt", Buffer.alloc(0));
  assert.match(against(box).stderr, /flows\.txt: has neither a flow nor a reply header/);
  box.put("flows.txt", Buffer.from("OFPST_FLOW reply (OF1.3) (xid=0x2):\n"));
  assert.is(against(box).code, 2);
  assert.match(
    against(box, "--diff", "flows.txt").stderr,
    /flows\.txt: the file is also being read as the flows/,
  );
  assert.match(against(box, "--diff", "in.pcapng").stderr, /in\.pcapng: is also being read/);
  assert.match(
    against(box, "-w", "x.pcapng", "--diff", "x.pcapng").stderr,
    /--diff x\.pcapng: the file is also being written; choose another output/,
  );
  assert.match(box.replay(["-r", "in.pcapng", "--diff", "x"]).stderr, /--diff requires --against FLOWS/);
});

test.run();
