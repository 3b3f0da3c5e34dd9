/**
 * Where frames come in and where they go: the rules by which a capture is given a port, the
 * interfaces of the outputs and of the drops, their forms (pcap, gzip, standard output), and what
 * happens to files that are there already.
 */
import { readlinkSync, symlinkSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { assert, suite } from "../harness.ts";
import {
  type Arrival,
  asked,
  check,
  checkReport,
  delivered,
  expectedOf,
  linesOf,
  mixed,
  PcapNg,
  PORTS,
  pcap,
  readCapture,
  routed,
  Sandbox,
  sameLines,
  spoofed,
  TAP3,
  TAP7,
  TAP11,
  UPLINK,
} from "./base.ts";

const test = suite("replay/outputs");
const START = 1_709_251_200_123_456_789n;

function arrivalsOf(count: number, port = TAP11): Arrival[] {
  return Array.from({ length: count }, (_, at) => ({
    port,
    time: START + BigInt(at) * 1000n,
    frame: mixed(at, 20, port),
  }));
}

function sandboxWith(name: string, arrivals: readonly Arrival[]): Sandbox {
  const box = new Sandbox();
  box.put(name, pcap(arrivals, { isNano: true }));
  return box;
}

// ── Ports ──────────────────────────────────────────────────────────────────────────────────────────────────

test("a name wins over a number; other numbers are numbers", () => {
  const frames = [0, 1, 2, 3, 4];
  // Port 7 does not exist, but the port named 7 does: it is number 12.
  const box = sandboxWith("in.pcap", arrivalsOf(5, TAP7));
  check(box, { args: ["-r", "7=in.pcap"], arrivals: arrivalsOf(5, TAP7) });
  check(box, { args: ["-r", "12=in.pcap"], arrivals: arrivalsOf(5, TAP7) });
  check(box, { args: ["-r", "in.pcap", "-i", "7"], arrivals: arrivalsOf(5, TAP7) });
  const other = frames.map(at => ({
    port: TAP3,
    time: START + BigInt(at) * 1000n,
    frame: mixed(at, 20, TAP7),
  }));
  check(box, { args: ["-r", "tap3=in.pcap"], arrivals: other });
});

test("a number that is no port: its frames are dropped, on an interface of their own", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(3));
  for (const port of [0, 99, 65_535, 70_000, 4_294_967_295]) {
    const arrivals = arrivalsOf(3).map(arrival => ({ ...arrival, port }));
    check(box, { args: ["-r", `${port}=in.pcap`], arrivals, strangers: [String(port)] });
    assert.match(box.capture("drops.pcapng").packets[0]!.comments[0]!, /^unknown-port$/);
  }
});

test("several such numbers: one interface each, in the order of the options", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(3));
  const arrivals = arrivalsOf(3).flatMap(arrival => [99, 98, 99, TAP11].map(port => ({ ...arrival, port })));
  const args = ["99", "98", "99", "11"].flatMap(port => ["-r", `${port}=in.pcap`]);
  check(box, { args, arrivals, strangers: ["99", "98"] });
});

test("LOCAL is a number too", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(2));
  const arrivals = arrivalsOf(2).map(arrival => ({ ...arrival, port: 65_534 }));
  check(box, { args: ["-r", "LOCAL=in.pcap"], arrivals, strangers: ["65534"] });
});

test("what stands before the first = is a port; ./a=b.pcap is a file", () => {
  const box = sandboxWith("a=b.pcap", arrivalsOf(4));
  const arrivals = arrivalsOf(4);
  check(box, { args: ["-r", "./a=b.pcap", "-i", "tap11"], arrivals });
  check(box, { args: ["-r", "tap11=a=b.pcap"], arrivals });
  check(box, { args: ["-r", `tap11=${box.path("a=b.pcap")}`], arrivals });
  check(box, { args: ["-r", box.path("a=b.pcap"), "-i", "tap11"], arrivals });
  const wrong = box.replay(["-r", "a=b.pcap"]);
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, /^[^\n]*"a"[^\n]*\.\/a=b\.pcap[^\n]*\n$/, "the message says how to write it");
});

test("an unknown name is an error, before any output", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(4));
  const wrong = [
    "tap12=in.pcap",
    "Tap11=in.pcap",
    "=in.pcap",
    "-1=in.pcap",
    "4294967296=in.pcap",
    " tap11=in.pcap",
  ];
  for (const argument of wrong) {
    const { code, stdout, stderr } = box.replay([
      `-r${argument}`,
      "-w",
      "out.pcapng",
      "--drops",
      "drops.pcapng",
    ]);
    assert.is(code, 1, argument);
    assert.match(stderr, /^slash32: [^\n]+\n$/, argument);
    assert.is(stdout.length, 0);
    assert.equal(box.names(), ["hv.json", "in.pcap"], argument);
  }
});

test("a pcap without a port, an interface that is no port or has no name: an error, before any output", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(4));
  box.put(
    "stranger.pcapng",
    new PcapNg().section().interface({ name: "eth0" }).packet(1n, routed(1)).bytes(),
  );
  box.put("nameless.pcapng", new PcapNg().section().interface({}).packet(1n, routed(1)).bytes());
  const two = new PcapNg()
    .section()
    .interface({ name: "tap11" })
    .interface({ name: "eth7" })
    .packet(1n, routed(1))
    .packet(2n, routed(2), { link: 1 });
  box.put("second.pcapng", two.bytes());
  // Number 12 has another name, so 12 is no interface name.
  box.put("number.pcapng", new PcapNg().section().interface({ name: "12" }).packet(1n, routed(1)).bytes());
  const before = box.names();
  const says = { "in.pcap": /PORT=in\.pcap/, "stranger.pcapng": /"eth0"/, "nameless.pcapng": /no name/ };
  for (const [name, text] of Object.entries({
    ...says,
    "second.pcapng": /"eth7"/,
    "number.pcapng": /"12"/,
  })) {
    const { code, stderr } = box.replay(["-r", name, "-w", "out.pcapng"]);
    assert.is(code, 1, name);
    assert.match(stderr, text);
    assert.match(stderr, /^slash32: [^\n]+\n$/);
    assert.equal(box.names(), before, name);
  }
});

test("PORT= gives one port for all interfaces of a capture, whatever their names", () => {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "eth0" }).interface({ name: "7" }).interface({});
  for (const link of [0, 1, 2]) file.packet(START / 1000n + BigInt(link), routed(link), { link });
  box.put("in.pcapng", file.bytes());
  const arrivals = [0, 1, 2].map(at => ({
    port: TAP11,
    time: (START / 1000n + BigInt(at)) * 1000n,
    frame: routed(at),
  }));
  check(box, { args: ["-r", "tap11=in.pcapng"], arrivals });
});

test("-i is for captures that name no port and have none in them", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(2, TAP7));
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 });
  box.put("in.pcapng", file.packet(START - 1n, routed(8)).bytes());
  const arrivals = [{ port: TAP11, time: START - 1n, frame: routed(8) }, ...arrivalsOf(2, TAP7)];
  check(box, { args: ["-i", "7", "-r", "in.pcapng", "-r", "in.pcap"], arrivals });
});

// ── Outputs ────────────────────────────────────────────────────────────────────────────────────────────────

test("every port of the intent has its interface, in the order of the numbers, used or not", () => {
  const box = sandboxWith("in.pcap", [{ port: TAP11, time: START, frame: asked(1) }]);
  box.replay(["-r", "tap11=in.pcap", "-w", "out.pcapng", "--drops", "drops.pcapng"]);
  for (const name of ["out.pcapng", "drops.pcapng"]) {
    assert.equal(
      box.capture(name).sections[0]!.map(link => link.name),
      PORTS,
    );
  }
  assert.is(box.capture("drops.pcapng").packets.length, 0);
});

test("a reply stands on the port it came in by; deliveries on the port they leave by", () => {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 });
  file.interface({ name: "7", resolution: 9 }).interface({ name: "uplink0", resolution: 9 });
  file.packet(START, asked(1)).packet(START + 1n, asked(2, TAP7), { link: 1 });
  file.packet(START + 2n, delivered(3), { link: 2 }).packet(START + 3n, spoofed(4));
  box.put("in.pcapng", file.bytes());
  const arrivals = [
    { port: TAP11, time: START, frame: asked(1) },
    { port: TAP7, time: START + 1n, frame: asked(2, TAP7) },
    { port: UPLINK, time: START + 2n, frame: delivered(3) },
    { port: TAP11, time: START + 3n, frame: spoofed(4) },
  ];
  check(box, { args: ["-r", "in.pcapng"], arrivals });
  assert.equal(
    box.capture("out.pcapng").packets.map(({ name }) => name),
    ["tap11", "7", "tap11"],
  );
  assert.equal(box.capture("drops.pcapng").packets[0]!.comments, ["spoofed-source"]);
});

test(".gz compresses, pcapng and pcap; the bytes inside are the same", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(3000));
  const names = ["out.pcapng", "out.pcapng.gz", "out.pcap", "out.pcap.gz", "out", "out.gz"];
  for (const name of names) {
    const { code, stderr } = box.replay(["-r", "tap11=in.pcap", "-w", name]);
    assert.is(code, 0, stderr);
  }
  for (const name of ["out.pcapng", "out.pcap", "out"]) {
    assert.ok(gunzipSync(box.get(`${name}.gz`)).equals(box.get(name)), name);
  }
  assert.ok(box.get("out").equals(box.get("out.pcapng")));
  sameLines(
    linesOf(box.capture("out.pcapng")),
    expectedOf(box.intent, arrivalsOf(3000)).outputs,
    "out.pcapng",
  );
  // What was written can be read again, gzip too: nothing that left by the uplink is a port's own frame.
  const again = box.replay(["-r", "out.pcapng.gz", "--format", "json"]);
  assert.is(JSON.parse(again.stdout.toString()).frames, box.capture("out.pcapng").packets.length);
});

test("-w - and --drops -: the capture on standard output, the report on standard error", () => {
  const arrivals = arrivalsOf(2000);
  const box = sandboxWith("in.pcap", arrivals);
  const expected = expectedOf(box.intent, arrivals);
  for (const [option, lines] of [
    ["-w", expected.outputs],
    ["--drops", expected.drops],
  ] as const) {
    const { code, stdout, stderr } = box.replay(["-r", "tap11=in.pcap", option, "-", "--format", "json"]);
    assert.is(code, 0);
    sameLines(linesOf(readCapture(stdout)), lines, option);
    checkReport(Buffer.from(stderr), expected.report);
    const text = box.replay(["-r", "tap11=in.pcap", option, "-"]);
    assert.match(text.stderr, /2,000 frames/);
    assert.ok(text.stdout.equals(stdout));
    const quiet = box.replay(["-r", "tap11=in.pcap", option, "-", "-q"]);
    assert.is(quiet.stderr, "");
  }
  const both = box.replay(["-r", "tap11=in.pcap", "-w", "-", "--drops", "-"]);
  assert.is(both.code, 1);
  assert.is(both.stdout.length, 0);
});

test("the program behind itself in a pipe", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(2000));
  const again = "slash32 replay -n hv.json -r - --format json";
  const line = `slash32 replay -q -n hv.json -r tap11=in.pcap -w - | ${again}`;
  const { code, stdout, stderr } = box.shell(line);
  assert.is(code, 0, stderr);
  const { outputs } = expectedOf(box.intent, arrivalsOf(2000));
  assert.is(JSON.parse(stdout.toString()).frames, outputs.length);
});

test("a file that is there is replaced; a link goes on pointing where it points", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(5));
  const { outputs } = expectedOf(box.intent, arrivalsOf(5));
  box.put("out.pcapng", Buffer.alloc(100_000));
  symlinkSync("out.pcapng", box.path("link"));
  for (const name of ["out.pcapng", "link"]) {
    box.put("out.pcapng", Buffer.alloc(100_000));
    const { code, stderr } = box.replay(["-r", "tap11=in.pcap", "-w", name]);
    assert.is(code, 0, stderr);
    assert.is(readlinkSync(box.path("link")), "out.pcapng", `-w ${name}`);
    sameLines(linesOf(box.capture("out.pcapng")), outputs, name);
  }
});

test("an input that has the name of the unfinished output is not overwritten", () => {
  const arrivals = arrivalsOf(5);
  const box = sandboxWith("out.pcapng.part", arrivals);
  const before = box.get("out.pcapng.part");
  const { code, stderr } = box.replay(["-r", "tap11=out.pcapng.part", "-w", "out.pcapng"]);
  if (code === 0)
    sameLines(linesOf(box.capture("out.pcapng")), expectedOf(box.intent, arrivals).outputs, "output");
  else assert.match(stderr, /^slash32: [^\n]+\n$/);
  assert.ok(
    box.has("out.pcapng.part") && box.get("out.pcapng.part").equals(before),
    "the input is as it was",
  );
});

test("what is read is no output: captures, the intent, by any name", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(5));
  symlinkSync("in.pcap", box.path("link"));
  const [intent, capture] = [box.get("hv.json"), box.get("in.pcap")];
  const pairs = [
    "-w hv.json",
    "--drops hv.json",
    "--report hv.json",
    "-w in.pcap",
    "--drops ./in.pcap",
    "-w link",
  ];
  for (const pair of pairs) {
    const { code, stderr } = box.replay(["-r", "tap11=in.pcap", ...pair.split(" ")]);
    assert.is(code, 1, pair);
    assert.match(stderr, /^slash32: [^\n]+\n$/, pair);
    assert.ok(box.get("hv.json").equals(intent) && box.get("in.pcap").equals(capture), pair);
  }
});

test("two outputs are two files, however they are named", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(5));
  for (const other of ["out.pcapng", "./out.pcapng", box.path("out.pcapng")]) {
    const { code } = box.replay(["-r", "tap11=in.pcap", "-w", "out.pcapng", "--drops", other]);
    assert.is(code, 1, other);
    assert.equal(box.names(), ["hv.json", "in.pcap"]);
  }
});

test("devices and pipes are written directly", () => {
  const box = sandboxWith("in.pcap", arrivalsOf(5));
  assert.is(box.replay(["-r", "tap11=in.pcap", "-w", "/dev/null", "-q"]).code, 0);
  const line = "mkfifo pipe; cat pipe > copy & slash32 replay -q -n hv.json -r tap11=in.pcap -w pipe; wait";
  assert.is(box.shell(line).code, 0);
  sameLines(linesOf(box.capture("copy")), expectedOf(box.intent, arrivalsOf(5)).outputs, "a named pipe");
});

test.run();
