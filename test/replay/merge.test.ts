/**
 * Several captures at once: the order in which their frames are taken, however their clocks count and run; the limits
 * on how many frames and captures are read; and the reports, whose numbers must add up whatever happened.
 */
import { assert, seed, suite } from "../harness.ts";
import { type Rng, rng } from "../model/random.ts";
import {
  type Arrival,
  check,
  checkReport,
  expectedOf,
  merged,
  mixed,
  PcapNg,
  pcap,
  Sandbox,
  TAP3,
  TAP7,
  TAP11,
} from "./base.ts";

const test = suite("replay/merge");
const START = 1_709_251_200_000_000_000n;

/** Arrivals at the given offsets, numbered from `first` on. */
function at(port: number, first: number, offsets: readonly bigint[]): Arrival[] {
  return offsets.map((offset, index) => ({
    port,
    time: START + offset,
    frame: mixed(first + index, 20, port),
  }));
}

test("the oldest head first; of equals, the one given first", () => {
  const box = new Sandbox();
  const lists = [
    at(TAP11, 0, [5n, 5n, 7n, 20n]),
    at(TAP7, 100, [1n, 5n, 5n, 7n, 7n, 30n]),
    at(TAP3, 200, [5n, 7n, 7n]),
  ];
  lists.forEach((list, index) => {
    box.put(`${index}.pcap`, pcap(list, { isNano: true }));
  });
  const ports = ["tap11", "7", "tap3"];
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ]) {
    const args = order.flatMap(index => ["-r", `${ports[index]}=${index}.pcap`]);
    check(box, { args, arrivals: merged(order.map(index => lists[index]!)) });
  }
});

test("the order inside a file is kept, even where its clock goes backwards", () => {
  const box = new Sandbox();
  const lists = [at(TAP11, 0, [50n, 10n, 60n, 0n, 55n]), at(TAP7, 100, [20n, 52n, 51n, 100n, 5n])];
  box.put("a", pcap(lists[0]!, { isNano: true }));
  box.put("b", pcap(lists[1]!, { isNano: true, isBig: true }));
  check(box, { args: ["-r", "tap11=a", "-r", "7=b"], arrivals: merged(lists) });
  check(box, { args: ["-r", "7=b", "-r", "tap11=a"], arrivals: merged([lists[1]!, lists[0]!]) });
});

/** A capture of random form (pcap or pcapng, any order and resolution) and the arrivals in it. */
function randomCapture(
  r: Rng,
  port: number,
  name: string,
  first: number,
): { bytes: Buffer; arrivals: Arrival[] } {
  const resolution = r.pick([0, 3, 6, 9]);
  const unit = 10n ** BigInt(9 - resolution);
  const isPcap = resolution >= 6 && r.chance(50);
  const isBig = r.chance(50);
  let clock = START;
  const records: { time: bigint; frame: Buffer }[] = [];
  const file = new PcapNg().section(isBig).interface({ name, resolution });
  const arrivals: Arrival[] = [];
  for (let count = r.below(40); count > 0; count--) {
    clock += r.chance(10)
      ? -BigInt(r.below(2_000_000_000))
      : BigInt(r.pick([0, 1, 1000, 999_999, 1_000_000_000]));
    const time = clock / unit;
    const frame = mixed(first + count, r.below(60), port);
    records.push({ time, frame });
    if (r.chance(20)) file.block(0xbad, Buffer.alloc(r.below(30) * 4));
    file.packet(time, frame);
    arrivals.push({ port, time: time * unit, frame });
  }
  return { bytes: isPcap ? pcap(records, { isNano: resolution === 9, isBig }) : file.bytes(), arrivals };
}

const first = seed();
for (let round = 0; round < 6; round++) {
  test(`SEED=${first}: random captures of different clocks, round ${round + 1}`, () => {
    const r = rng(first + round);
    const box = new Sandbox();
    const lists: Arrival[][] = [];
    const args: string[] = [];
    for (let index = r.between(2, 7); index > 0; index--) {
      const port = r.pick([TAP11, TAP7]);
      const name = port === TAP11 ? "tap11" : "7";
      const { bytes, arrivals } = randomCapture(r, port, name, index * 100);
      box.put(`${index}`, bytes);
      lists.push(arrivals);
      args.push("-r", `${name}=${index}`);
    }
    const all = merged(lists);
    if (all.length > 0) check(box, { args, arrivals: all });
    const most = r.between(1, all.length + 3);
    if (all.length > 0) check(box, { args: [...args, "-c", String(most)], arrivals: all.slice(0, most) });
  });
}

test("-c counts the frames of all captures together", () => {
  const box = new Sandbox();
  const lists = [at(TAP11, 0, [0n, 4n, 5n]), at(TAP7, 100, [1n, 2n, 6n])];
  box.put("a", pcap(lists[0]!, { isNano: true }));
  box.put("b", pcap(lists[1]!, { isNano: true }));
  const args = ["-r", "tap11=a", "-r", "7=b"];
  for (const most of [1, 4, 6, 7]) {
    check(box, { args: [...args, "-c", String(most)], arrivals: merged(lists).slice(0, most) });
  }
});

test("-c counts frames across batches and full outputs too", () => {
  const box = new Sandbox();
  const arrivals = Array.from({ length: 1200 }, (_, index) => ({
    port: TAP11,
    time: START + BigInt(index),
    frame: mixed(index, 1400),
  }));
  box.put("a", pcap(arrivals, { isNano: true }));
  for (const most of [255, 256, 257, 1199]) {
    check(box, { args: ["-r", "tap11=a", "-c", String(most)], arrivals: arrivals.slice(0, most) });
  }
  // What lies behind the last frame that is wanted is not looked at.
  box.put("cut", box.get("a").subarray(0, -700));
  check(box, { args: ["-r", "tap11=cut", "-c", "300"], arrivals: arrivals.slice(0, 300) });
});

test("64 captures are merged, 65 are refused", () => {
  const box = new Sandbox();
  const lists = Array.from({ length: 64 }, (_, index) =>
    at(TAP11, index * 10, [BigInt((index * 37) % 64), 70n, BigInt(100 + ((index * 11) % 64))]),
  );
  lists.forEach((list, index) => {
    box.put(`${index}`, pcap(list, { isNano: true, isBig: index % 2 === 0 }));
  });
  const args = lists.flatMap((_, index) => ["-r", `tap11=${index}`]);
  check(box, { args, arrivals: merged(lists) });
  const { code, stderr } = box.replay([...args, "-r", "tap11=0", "-w", "too-many.pcapng"]);
  assert.is(code, 1);
  assert.match(stderr, /^slash32: 65 captures are too many; [^\n]*64[^\n]*\n$/);
  assert.not.ok(box.has("too-many.pcapng"));
});

test("one file may be read several times, standard input may not", () => {
  const box = new Sandbox();
  const list = at(TAP11, 0, [1n, 2n, 3n]);
  box.put("a", pcap(list, { isNano: true }));
  check(box, { args: ["-r", "tap11=a", "-r", "tap11=a"], arrivals: merged([list, list]) });
  const { code, stderr } = box.replay(["-r", "tap11=-", "-r", "7=-"]);
  assert.is(code, 1);
  assert.match(stderr, /^slash32: standard input [^\n]+\n$/);
});

test("captures without a packet beside others", () => {
  const box = new Sandbox();
  const list = at(TAP11, 0, [1n, 2n]);
  box.put("a", pcap(list, { isNano: true }));
  box.put("empty", pcap([]));
  box.put("header", new PcapNg().section().bytes());
  box.put("idle", new PcapNg().section().interface({ name: "7", resolution: 3 }).bytes());
  const args = ["-r", "7=empty", "-r", "header", "-r", "idle", "-r", "tap11=a", "-r", "7=empty"];
  check(box, { args, arrivals: list, resolution: 9 });
});

test("no frame at all is exit 1, unless --allow-empty", () => {
  const box = new Sandbox();
  box.put("empty", pcap([]));
  const args = ["-r", "7=empty", "--format", "json"];
  const refused = box.replay(args);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /^slash32: [^\n]*--allow-empty[^\n]*\n$/);
  check(box, { args: ["-r", "7=empty", "--allow-empty"], arrivals: [] });
});

// ── Reports ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A capture with whole and snapped frames, good and bad. */
function withSnapped(): { box: Sandbox; arrivals: Arrival[]; snapped: number[] } {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 }).interface({ name: "99x" });
  const arrivals: Arrival[] = [];
  const snapped: number[] = [];
  for (let index = 0; index < 700; index++) {
    const frame = mixed(index, index % 90);
    if (index % 7 === 0) {
      const kept = index % 3 === 0 ? 0 : index % 30;
      file.packet(START + BigInt(index), frame.subarray(0, kept), { length: frame.length });
      snapped.push(kept);
    } else {
      file.packet(START + BigInt(index), frame);
      arrivals.push({ port: TAP11, time: START + BigInt(index), frame });
    }
  }
  box.put("in.pcapng", file.bytes());
  return { box, arrivals, snapped };
}

test("snapped frames are counted, and neither judged nor written", () => {
  const { box, arrivals, snapped } = withSnapped();
  check(box, { args: ["-r", "tap11=in.pcapng"], arrivals, snapped });
});

test("JSON: the numbers add up, for known and unknown ports, with and without outputs", () => {
  const { box, arrivals, snapped } = withSnapped();
  box.put("other", pcap(at(TAP7, 0, [0n, 1n, 2n, 3n]), { isNano: true }));
  const runs = [
    ["-r", "tap11=in.pcapng"],
    ["-r", "70000=in.pcapng"],
    ["-r", "tap11=in.pcapng", "-r", "7=other", "-r", "3=in.pcapng"],
    ["-r", "tap11=in.pcapng", "-c", "123"],
  ];
  const sum = (counts: Record<string, number>): number =>
    Object.values(counts).reduce((all, n) => all + n, 0);
  for (const args of runs) {
    const { code, stdout, stderr } = box.replay([...args, "--format", "json"]);
    assert.is(code, 0, stderr);
    const report = JSON.parse(stdout.toString());
    assert.is(
      report.frames,
      sum(report.outputs) + report.replies + sum(report.drops) + report.snapped,
      args.join(" "),
    );
    const counts = [...Object.values(report.outputs), ...Object.values(report.drops)];
    assert.ok(
      counts.every(count => (count as number) > 0),
      "zero rows are left out",
    );
    const written = box.replay([...args, "--format", "json", "-w", "out.pcapng"]);
    const again = JSON.parse(written.stdout.toString());
    assert.equal({ ...again, seconds: 0 }, { ...report, seconds: 0 });
  }
  const alone = box.replay(["-r", "tap11=in.pcapng", "--format", "json"]);
  checkReport(alone.stdout, expectedOf(box.intent, arrivals, snapped).report);
});

test("--format ndjson, --report .json .ndjson .md, -q", () => {
  const { box, arrivals, snapped } = withSnapped();
  const { report } = expectedOf(box.intent, arrivals, snapped);
  const args = ["-r", "tap11=in.pcapng"];
  checkReport(box.replay([...args, "--format", "ndjson"]).stdout, report);
  for (const name of ["r.json", "r.ndjson"]) {
    const { code, stdout } = box.replay([...args, "--report", name, "-q"]);
    assert.is(code, 0);
    assert.is(stdout.length, 0, "-q says nothing in text");
    checkReport(box.get(name), report);
  }
  const quiet = box.replay([...args, "--format", "json", "-q"]);
  checkReport(quiet.stdout, report);
  assert.is(quiet.stderr, "");
  assert.is(box.replay([...args, "--report", "r.md"]).code, 0);
  assert.match(box.get("r.md").toString(), /^# Replay\n\n700 frames, [\s\S]*`spoofed-source` \| \d+ \|/);
  const text = box.replay(args).stdout.toString();
  assert.match(text, /^700 frames, /);
  assert.match(text, /snapped +100 /);
  const wrong = box.replay([...args, "--report", "r.txt", "-w", "out.pcapng"]);
  assert.is(wrong.code, 1);
  assert.not.ok(box.has("out.pcapng"), "a report that cannot be written is said first");
});

test.run();
