/** Every form of pcap and pcapng that a replay reads, made byte by byte, and what comes out of it. */
import { assert, suite } from "../harness.ts";
import {
  type Arrival,
  asked,
  check,
  delivered,
  expectedOf,
  linesOf,
  merged,
  mixed,
  PcapNg,
  pcap,
  routed,
  Sandbox,
  sameLines,
  spoofed,
  TAP3,
  TAP7,
  TAP11,
  UPLINK,
} from "./base.ts";

const test = suite("replay/formats");
const box = new Sandbox();

/** 2024-03-01 and something, in nanoseconds. */
const START = 1_709_251_200_123_456_789n;
const SECOND = 1_000_000_000n;

/** Frames of tap11, each a little later than the one before. */
function arrivalsOf(count: number, unit = 1n, bytes = 20): Arrival[] {
  const start = (START / unit) * unit;
  return Array.from({ length: count }, (_, at) => ({
    port: TAP11,
    time: start + BigInt(at) * 1_234_567n * unit,
    frame: mixed(at, bytes),
  }));
}

function inUnits(arrivals: readonly Arrival[], unit: bigint): { time: bigint; frame: Uint8Array }[] {
  return arrivals.map(({ time, frame }) => ({ time: time / unit, frame }));
}

for (const isBig of [false, true]) {
  for (const isNano of [false, true]) {
    const order = isBig ? "big-endian" : "little-endian";
    test(`pcap, ${order}, ${isNano ? "nanoseconds" : "microseconds"}`, () => {
      const unit = isNano ? 1n : 1000n;
      const arrivals = arrivalsOf(23, unit);
      box.put("in.pcap", pcap(inUnits(arrivals, unit), { isNano, isBig }));
      check(box, { args: ["-r", "tap11=in.pcap"], arrivals, resolution: isNano ? 9 : 6 });
    });
  }
}

/** if_tsresol, the nanoseconds of a unit, and the digits that hold it exactly. */
const DECIMAL: readonly (readonly [number, bigint])[] = [
  [0, SECOND],
  [3, 1_000_000n],
  [6, 1000n],
  [7, 100n],
  [9, 1n],
];

for (const isBig of [false, true]) {
  for (const [resolution, unit] of DECIMAL) {
    test(`pcapng, ${isBig ? "big" : "little"}-endian, 10^-${resolution}`, () => {
      const arrivals = arrivalsOf(9, unit);
      const file = new PcapNg().section(isBig).interface({ name: "tap11", resolution });
      for (const { time, frame } of arrivals) file.packet(time / unit, frame);
      box.put("in.pcapng", file.bytes());
      check(box, { args: ["-r", "in.pcapng"], arrivals, resolution });
    });
  }
}

test("pcapng without if_tsresol counts microseconds", () => {
  const arrivals = arrivalsOf(4, 1000n);
  const file = new PcapNg().section().interface({ name: "tap11" });
  for (const { time, frame } of arrivals) file.packet(time / 1000n, frame);
  box.put("in.pcapng", file.bytes());
  check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 6 });
});

for (const exponent of [1, 3, 6, 9]) {
  test(`pcapng, 2^-${exponent}: exact, as its fractions have ${exponent} decimal digits`, () => {
    const file = new PcapNg().section().interface({ name: "tap11", resolution: 0x80 + exponent });
    const arrivals = Array.from({ length: 9 }, (_, at): Arrival => {
      const units = 1_709_251_200n * 2n ** BigInt(exponent) + BigInt(at * 7 + 1);
      file.packet(units, mixed(at));
      return { port: TAP11, time: (units * SECOND) / 2n ** BigInt(exponent), frame: mixed(at) };
    });
    box.put("in.pcapng", file.bytes());
    check(box, { args: ["-r", "in.pcapng"], arrivals });
  });
}

/** Seconds to 2024-03-01: units as fine as 2^-40 s would not reach so far, and need if_tsoffset. */
const EPOCH = 1_709_251_200n;

for (const exponent of [10, 20, 29, 32, 40]) {
  test(`pcapng, 2^-${exponent}: cut at the nanosecond, and nowhere else`, () => {
    const link = { name: "tap11", resolution: 0x80 + exponent, offsetSeconds: EPOCH };
    const units = (77n << BigInt(exponent)) + 1023n;
    box.put("in.pcapng", new PcapNg().section(true).interface(link).packet(units, routed(1)).bytes());
    const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcapng"]);
    assert.is(code, 0, stderr);
    const { packets } = box.capture("out.pcapng");
    assert.is(packets[0]!.time, EPOCH * SECOND + (units * SECOND) / (1n << BigInt(exponent)));
    assert.is(/cut/.test(stderr), exponent > 29, stderr);
  });
}

for (const exponent of [10, 12, 18]) {
  test(`pcapng, 10^-${exponent}: cut at the nanosecond, and said`, () => {
    const file = new PcapNg().section();
    file.interface({ name: "tap11", resolution: exponent, offsetSeconds: EPOCH });
    file.packet(7_123_456_789n * 10n ** BigInt(exponent - 9) + 9n, routed(1));
    box.put("in.pcapng", file.bytes());
    const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcapng"]);
    assert.is(code, 0);
    assert.match(stderr, /^in\.pcapng: .*nanosecond.*\n$/);
    const { packets, sections } = box.capture("out.pcapng");
    assert.is(packets[0]!.time, EPOCH * SECOND + 7_123_456_789n);
    assert.is(sections[0]![0]!.resolution, 9);
  });
}

test("if_tsoffset, forwards and backwards, is added", () => {
  const file = new PcapNg().section();
  file.interface({ name: "tap11", resolution: 9, offsetSeconds: 1_000_000n });
  file.interface({ name: "tap3", resolution: 6, offsetSeconds: -500_000_000n });
  const base = START - 1_000_000n * SECOND;
  file.packet(base, routed(1));
  file.packet(base + 1n, routed(2));
  file.packet((base / 1000n) * 1n + 1_000_000_000_000_000n, routed(3), { link: 1 });
  box.put("in.pcapng", file.bytes());
  const late = (base / 1000n + 1_000_000_000_000_000n) * 1000n - 500_000_000n * SECOND;
  const arrivals = [
    { port: TAP11, time: START, frame: routed(1) },
    { port: TAP11, time: START + 1n, frame: routed(2) },
    { port: TAP3, time: late, frame: routed(3) },
  ];
  // Times are counted from the least offset, so that none is negative.
  check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 9, offsetSeconds: -500_000_000n });
});

test("several interfaces, options, obsolete and simple packets, unknown blocks between them", () => {
  for (const isBig of [false, true]) {
    const file = new PcapNg().section(isBig);
    const comment = file.option(1, Buffer.from("a packet"));
    const flags = file.option(2, Uint8Array.of(0, 0, 0, 1));
    const end = file.option(0, new Uint8Array(0));
    file.block(0x0bad, Buffer.alloc(24, 7)).interface({ name: "tap11", resolution: 9 });
    file.block(5, Buffer.alloc(12)).interface({ name: "uplink0", resolution: 9 }).block(0x80000001);
    file.packet(START, routed(1), { options: [comment, flags, end] });
    file.packet(START + 1n, delivered(2), { link: 1, options: [flags] });
    file.oldPacket(START + 2n, delivered(3), { link: 1, options: [comment, end] });
    file.block(4, Buffer.from([0, 0, 0, 0])).simplePacket(routed(4, 21));
    file
      .packet(START + 3n, routed(5, 22))
      .oldPacket(START + 4n, asked(6))
      .packet(START + 5n, spoofed(7, 23));
    box.put("in.pcapng", file.bytes());
    const arrivals = [
      { port: TAP11, time: START, frame: routed(1), comments: ["a packet"] },
      { port: UPLINK, time: START + 1n, frame: delivered(2) },
      { port: UPLINK, time: START + 2n, frame: delivered(3), comments: ["a packet"] },
      // A simple packet has no time: it gets that of the packet before it.
      { port: TAP11, time: START + 2n, frame: routed(4, 21) },
      { port: TAP11, time: START + 3n, frame: routed(5, 22) },
      { port: TAP11, time: START + 4n, frame: asked(6) },
      { port: TAP11, time: START + 5n, frame: spoofed(7, 23) },
    ];
    check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 9 });
  }
});

test("simple packets: as many bytes as the snap length lets through", () => {
  const file = new PcapNg().section().interface({ name: "tap11", snapBytes: 60 });
  file
    .simplePacket(routed(1, 18))
    .simplePacket(routed(2, 40).subarray(0, 60), 82)
    .simplePacket(routed(3, 10));
  box.put("in.pcapng", file.bytes());
  const arrivals = [1, 3].map(at => ({ port: TAP11, time: 0n, frame: routed(at, at === 1 ? 18 : 10) }));
  check(box, { args: ["-r", "in.pcapng"], arrivals, snapped: [60] });
});

test("sections of different byte order, each with interfaces of its own", () => {
  const file = new PcapNg().section(false).interface({ name: "tap11", resolution: 9 });
  file.packet(START, routed(1));
  file.section(true).interface({ name: "uplink0", resolution: 9 }).interface({ name: "7", resolution: 9 });
  file.packet(START + 1n, delivered(2)).packet(START + 2n, routed(3, 20, TAP7), { link: 1 });
  file.section(true).section(false).interface({ name: "7", resolution: 9 });
  file.packet(START + 3n, routed(4, 20, TAP7)).simplePacket(routed(5, 20, TAP7));
  box.put("in.pcapng", file.bytes());
  const arrivals = [
    { port: TAP11, time: START, frame: routed(1) },
    { port: UPLINK, time: START + 1n, frame: delivered(2) },
    { port: TAP7, time: START + 2n, frame: routed(3, 20, TAP7) },
    { port: TAP7, time: START + 3n, frame: routed(4, 20, TAP7) },
    { port: TAP7, time: START + 3n, frame: routed(5, 20, TAP7) },
  ];
  check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 9 });
});

test("an interface that comes late and counts as fine: one section", () => {
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 6 });
  file.packet(START / 1000n, routed(1)).interface({ name: "uplink0", resolution: 3 });
  file.packet(START / 1_000_000n + 1n, delivered(2), { link: 1 }).packet(START / 1000n + 2000n, routed(3));
  box.put("in.pcapng", file.bytes());
  const arrivals = [
    { port: TAP11, time: (START / 1000n) * 1000n, frame: routed(1) },
    { port: UPLINK, time: (START / 1_000_000n + 1n) * 1_000_000n, frame: delivered(2) },
    { port: TAP11, time: (START / 1000n + 2000n) * 1000n, frame: routed(3) },
  ];
  check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 6 });
});

/** A file whose interfaces count finer and finer: seconds, milli-, micro- and nanoseconds. */
function finerAndFiner(first: number): { file: PcapNg; arrivals: Arrival[] } {
  const file = new PcapNg().section(true);
  const arrivals: Arrival[] = [];
  for (const [link, resolution] of [0, 3, 6, 9].entries()) {
    const unit = 10n ** BigInt(9 - resolution);
    file.interface({ name: link % 2 === 0 ? "tap11" : "uplink0", resolution });
    // The clock of a simple packet is that of the packet before it, in the units of before.
    file.simplePacket(asked(first + link));
    arrivals.push({ port: TAP11, time: arrivals.at(-1)?.time ?? 0n, frame: asked(first + link) });
    for (let at = 0; at < 3; at++) {
      const time = START + BigInt(link) * SECOND + BigInt(at * 3);
      const frame = link % 2 === 0 ? mixed(first + link * 10 + at) : delivered(first + link * 10 + at);
      file.packet(time / unit, frame, { link }).simplePacket(routed(first + 500 + at));
      arrivals.push({ port: link % 2 === 0 ? TAP11 : UPLINK, time: (time / unit) * unit, frame });
      arrivals.push({ port: TAP11, time: (time / unit) * unit, frame: routed(first + 500 + at) });
    }
  }
  return { file, arrivals };
}

test("interfaces that come late and count finer: the outputs go on in new sections", () => {
  const { file, arrivals } = finerAndFiner(0);
  box.put("in.pcapng", file.bytes());
  check(box, { args: ["-r", "in.pcapng"], arrivals, resolution: 9, sections: 4 });
});

test("the same while other captures are merged and their blocks skipped", () => {
  const { file, arrivals } = finerAndFiner(0);
  box.put("finer.pcapng", file.bytes());
  const long = new PcapNg().section().interface({ name: "7", resolution: 6 });
  const others: Arrival[] = [];
  for (let at = 0; at < 40; at++) {
    const time = START / 1000n + BigInt(at) * 150_000n;
    // Larger than what is read at a time, so that a window ends inside it.
    long.block(0x0bad, Buffer.alloc(at % 8 === 0 ? 700_000 : 44)).packet(time, routed(at, 30, TAP7));
    long.simplePacket(routed(at, 31, TAP7));
    for (const bytes of [30, 31])
      others.push({ port: TAP7, time: time * 1000n, frame: routed(at, bytes, TAP7) });
  }
  box.put("long.pcapng", long.bytes());
  check(box, {
    args: ["-r", "finer.pcapng", "-r", "long.pcapng"],
    arrivals: merged([arrivals, others]),
    resolution: 9,
    sections: 2,
  });
  check(box, {
    args: ["-r", "long.pcapng", "-r", "finer.pcapng"],
    arrivals: merged([others, arrivals]),
    resolution: 9,
    sections: 2,
  });
});

test("a pcap output cannot become finer in mid-file: timestamps are cut, and that is said", () => {
  const { file, arrivals } = finerAndFiner(0);
  box.put("in.pcapng", file.bytes());
  const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcap"]);
  assert.is(code, 0);
  const times = expectedOf(box.intent, arrivals).outputs.map(line => BigInt(line.split(" ")[0]!));
  assert.equal(
    box.capture("out.pcap").packets.map(({ time }) => time),
    times.map(time => (time / 1000n) * 1000n),
  );
  assert.match(stderr, /^out\.pcap: [^\n]*timestamps[^\n]*cut[^\n]*\n$/);
});

test("a pcap output knows micro- and nanoseconds, and no ports", () => {
  for (const [resolution, wanted] of [
    [3, 6],
    [6, 6],
    [7, 9],
    [9, 9],
  ] as const) {
    const unit = 10n ** BigInt(9 - resolution);
    const arrivals = arrivalsOf(9, unit);
    const file = new PcapNg().section().interface({ name: "tap11", resolution });
    for (const { time, frame } of arrivals) file.packet(time / unit, frame);
    box.put("in.pcapng", file.bytes());
    const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcap", "--drops", "drops.pcap"]);
    assert.is(code, 0, stderr);
    const { outputs, drops } = expectedOf(box.intent, arrivals);
    const read = box.capture("out.pcap");
    assert.is(read.format, "pcap");
    assert.is(read.resolution, wanted, `10^-${resolution}`);
    const strip = (line: string): string =>
      line
        .split(" ")
        .filter((_, at) => at === 0 || at === 2)
        .join(" ");
    sameLines(linesOf(read), outputs.map(strip), "out.pcap");
    sameLines(linesOf(box.capture("drops.pcap")), drops.map(strip), "drops.pcap");
  }
});

test.run();
