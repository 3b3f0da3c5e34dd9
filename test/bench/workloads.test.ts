/**
 * What the rows in memory are timed on: the mix has its shares, Zipf is Zipf, a pass visits what it says, large rows are
 * as large as the core allows. And the proof that core and yardstick do the same fails when they do not.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as abi from "../../assembly/abi.ts";
import { EFFORTS } from "../../bench/cases.ts";
import { populationOf, type Subject, subjectsOf, trafficOf } from "../../bench/core.ts";
import { uncountedCore } from "../../bench/counter-cost.ts";
import { CoreWindows, checkAlike, checkSameCounts, checkSamePackets, nativeOn } from "../../bench/memory.ts";
import { buildYardstick } from "../../bench/native/build.ts";
import { LOCAL, ROUTED, workFolder } from "../../bench/traffic.ts";
import { chooser, MIX, mixTraffic, type Traffic } from "../../bench/workloads.ts";
import { assert, peer, skip, suite } from "../harness.ts";

const test = suite("windows");

function program(): string {
  peer("gcc");
  const built = buildYardstick();
  if (built.program === null) throw new Error(built.reason);
  return built.program;
}

const MIXED: Subject = { kind: "mix", entries: 1_000, distribution: "zipf", layout: "scattered" };
const INBOUND: Subject = { kind: "inbound", entries: 1_000, distribution: "uniform", layout: "dense" };

/** Frames by their bytes. */
function sizesOf({ records, windows }: Traffic): Map<number, number> {
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  const sizes = new Map<number, number>();
  for (const { start, end } of windows) {
    let at = start;
    while (at < end) {
      const bytes = view.getUint32(at + 8, true);
      assert.is(view.getUint32(at + 12, true), bytes, "a whole frame");
      sizes.set(bytes, (sizes.get(bytes) ?? 0) + 1);
      at += 16 + bytes;
    }
    assert.is(at, end, "whole records");
  }
  return sizes;
}

test("the mix has the shares that it claims, of kinds and of sizes", () => {
  const traffic = mixTraffic({ population: populationOf(MIXED), distribution: "zipf", cycles: 2 });
  const shares = [...MIX.uplink, ...MIX.vm];
  assert.is(
    shares.reduce((sum, { percent }) => sum + percent, 0),
    100,
  );
  for (const { kind, percent } of shares) {
    const share = (100 * traffic.kinds.get(kind)!) / traffic.frames;
    assert.ok(Math.abs(share - percent) < 0.25, `${kind}: ${share} %, not ${percent}`);
  }
  const sizes = sizesOf(traffic);
  assert.equal(
    [...sizes.keys()].sort((a, b) => a - b),
    [60, 590, 1514],
  );
  const imix = traffic.frames - traffic.kinds.get("arp")!;
  const small = sizes.get(60)! - traffic.kinds.get("arp")!;
  for (const [bytes, count, parts] of [
    [60, small, 7],
    [590, sizes.get(590)!, 4],
    [1514, sizes.get(1514)!, 1],
  ] as const) {
    assert.ok(
      Math.abs((12 * count) / imix - parts) < 0.25,
      `${bytes}: ${(12 * count) / imix} parts, not ${parts}`,
    );
  }
});

test("Zipf is Zipf: the r-th most frequent entry comes 1/r times as often as the first", () => {
  const count = 1_000;
  const draws = 400_000;
  const seen = new Float64Array(count);
  const choose = chooser("zipf", count, 7);
  for (let draw = 0; draw < draws; draw++) seen[choose()]!++;
  const first = seen.indexOf(Math.max(...seen));
  const sorted = seen.toSorted((a, b) => b - a);
  let harmonic = 0;
  for (let rank = 1; rank <= count; rank++) harmonic += 1 / rank;
  for (const rank of [1, 2, 3, 5, 10, 30, 100]) {
    const wanted = draws / rank / harmonic;
    const off = Math.abs(sorted[rank - 1]! - wanted) / Math.sqrt(wanted);
    assert.ok(off < 6, `rank ${rank}: ${sorted[rank - 1]} times, not about ${wanted.toFixed(0)}`);
  }
  assert.ok(first !== 0, "ranks are shuffled over the entries");
});

test("an even choice is even", () => {
  const seen = new Float64Array(100);
  const choose = chooser("uniform", 100, 7);
  for (let draw = 0; draw < 100_000; draw++) seen[choose()]!++;
  assert.ok(
    Math.max(...seen) < 1_200 && Math.min(...seen) > 800,
    `${Math.min(...seen)} … ${Math.max(...seen)}`,
  );
});

test("addresses differ, dense ones are neighbours, scattered ones are not", () => {
  for (const addresses of [LOCAL, ROUTED]) {
    for (const layout of ["dense", "scattered"] as const) {
      const all = Array.from({ length: 65_536 }, (_, index) => addresses[layout](index));
      assert.is(new Set(all).size, all.length);
      const neighbours = all.filter((address, index) => index > 0 && address === all[index - 1]! + 1).length;
      assert.is(neighbours, layout === "dense" ? all.length - 1 : 0);
    }
  }
});

test("rows are as large as the core allows, and a pass over a large table visits most of it", () => {
  const sizes = (kind: "inbound" | "outbound" | "bridge"): number[] => [
    ...new Set(subjectsOf(kind, EFFORTS.long).map(({ entries }) => entries)),
  ];
  assert.equal(sizes("outbound"), [1_000, 100_000, 1_000_000]);
  assert.is(Math.max(...sizes("inbound")), Math.min(1_000_000, abi.MAX_HOSTS));
  assert.is(Math.max(...sizes("bridge")), abi.MAX_PORTS - 2);
  const large = trafficOf({ ...INBOUND, kind: "outbound", entries: 100_000 }, EFFORTS.long);
  assert.ok(large.visited > 98_000, `${large.visited} of 100,000`);
  assert.ok(large.records.length > 0.99 * abi.MAX_CAPTURES * abi.WINDOW_BYTES);
  const small = trafficOf(INBOUND, EFFORTS.long);
  assert.ok(small.windows.length === 1 && small.visited > 990, `${small.visited} of 1,000`);
});

test("a pass reads all windows, and a frame with another fate is found", () => {
  const traffic = trafficOf(MIXED, EFFORTS.smoke);
  const windows = new CoreWindows(traffic);
  const { counters, packets } = windows.check();
  assert.is(counters.frames, traffic.frames);
  assert.ok(packets.length > 0);
  const fates = new Map(traffic.fates);
  fates.set("output", fates.get("output")! + 1);
  assert.throws(() => new CoreWindows({ ...traffic, fates }).check(), /frames: output/);
});

for (const kind of ["fast", "checked"] as const) {
  test(`core and yardstick (${kind}) are alike in memory`, async () => {
    peer("gcc");
    const built = buildYardstick(kind);
    if (built.program === null && built.reason.includes("error: ")) throw new Error(built.reason);
    if (built.program === null) return skip(`not built: ${built.reason.slice(0, 100)}`);
    const folder = workFolder();
    const traffic = trafficOf(MIXED, EFFORTS.smoke);
    const windows = new CoreWindows(traffic);
    const native = nativeOn(built.program, windows, traffic, folder.path);
    try {
      await checkAlike(windows, native, folder.path);
      for (const mode of ["judge", "write"] as const) assert.ok((await native.turn(mode, 1, 0.001)) > 0);
    } finally {
      await native.close();
      folder.remove();
    }
  });
}

test("one byte or one count that differs between core and yardstick is found", async () => {
  const folder = workFolder();
  const traffic = trafficOf(MIXED, EFFORTS.smoke);
  const windows = new CoreWindows(traffic);
  const native = nativeOn(program(), windows, traffic, folder.path);
  try {
    const { packets, counters } = windows.check();
    const file = join(folder.path, "memory.out");
    const counts = await native.check(file);
    const theirs = readFileSync(file);
    checkSamePackets(packets, theirs);
    theirs[1_000]! ^= 1;
    assert.throws(() => checkSamePackets(packets, theirs), /equal to 1000/);
    assert.throws(() => checkSamePackets(packets, packets.subarray(0, -4)), /different packets/);
    checkSameCounts(counters, counts);
    const drops = { ...counts.drops, "not-ip": counts.drops["not-ip"]! + 1 };
    assert.throws(() => checkSameCounts(counters, { ...counts, drops }), /drops/);
    // Nobody is silent about a process that gives up.
    let said = "";
    await native.check(join(folder.path, "no/such/folder")).catch(error => {
      said = error.message;
    });
    assert.match(said, /the yardstick: .*No such file/);
  } finally {
    await native.close();
    folder.remove();
  }
});

test("a yardstick on other frames than the core's is found", async () => {
  const folder = workFolder();
  const traffic = trafficOf(INBOUND, EFFORTS.smoke);
  const windows = new CoreWindows(traffic);
  const records = Buffer.from(traffic.records);
  // The last byte of the first frame.
  records[16 + 59]! ^= 1;
  const native = nativeOn(program(), windows, { ...traffic, records }, folder.path);
  try {
    let said = "";
    await checkAlike(windows, native, folder.path).catch(error => {
      said = error.message;
    });
    assert.match(said, /core and yardstick wrote different packets/);
  } finally {
    await native.close();
    folder.remove();
  }
});

test("a list of windows that is none is refused", async () => {
  const folder = workFolder();
  const traffic = trafficOf(INBOUND, EFFORTS.smoke);
  const native = nativeOn(program(), new CoreWindows(traffic), { ...traffic, windows: [] }, folder.path);
  let said = "";
  await native.turn("judge", 1, 0.001).catch(error => {
    said = error.message;
  });
  assert.match(said, /no list of windows/);
  await native.close();
  folder.remove();
});

test("when the sources count in another way than is known, that is said", async () => {
  let said = "";
  await uncountedCore("store<u64>(at, 0);").catch(error => {
    said = error.message;
  });
  assert.match(said, /assembly\/count\.ts has 0 times/);
});

test.run();
