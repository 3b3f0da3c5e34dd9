/**
 * Captures that are odd and all the same whole: times before 1970 and beyond 64 bits, old versions of pcap, bits beside
 * the link type, interfaces that cannot be used, comments, files of other formats. What is right is taken from the
 * drafts of pcap and pcapng, and from tshark where it is there.
 */
import { chmodSync, statSync } from "node:fs";
import { readOpening } from "../../src/capture/formats/index.ts";
import { linkTypeName } from "../../src/capture/index.ts";
import { control, visible, visibleLine } from "../../src/report/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { linesOf, PcapNg, pcap, routed, Sandbox, spoofed } from "./base.ts";

const test = suite("replay/odd");
const SECOND = 1_000_000_000n;

/** Rewrites a pcap's version, and the words of its records. */
function oldPcap(major: number, minor: number, isBig: boolean, swaps: (index: number) => boolean): Buffer {
  const file = pcap(
    [0, 1, 2].map(at => ({ time: BigInt(at + 1) * SECOND, frame: routed(at), length: 80 })),
    { isBig },
  );
  const put16 = (value: number, at: number): unknown =>
    isBig ? file.writeUInt16BE(value, at) : file.writeUInt16LE(value, at);
  put16(major, 4);
  put16(minor, 6);
  for (let at = 24, index = 0; at < file.length; at += 16 + 54, index++) {
    if (!swaps(index)) continue;
    const [first, second] = [file.subarray(at + 8, at + 12), file.subarray(at + 12, at + 16)].map(part =>
      Buffer.from(part),
    );
    second!.copy(file, at + 8);
    first!.copy(file, at + 12);
  }
  return file;
}

// ── Times ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("times before 1970 are kept, and come first where captures are merged", () => {
  const box = new Sandbox();
  const early = (offsetSeconds: bigint, ticks: bigint[], number: number): Buffer => {
    const file = new PcapNg().section().interface({ name: "tap11", resolution: 6, offsetSeconds });
    for (const [at, tick] of ticks.entries()) file.packet(tick, routed(number + at));
    return file.bytes();
  };
  box.put("a.pcapng", early(-1000n, [5_000_000n, 999_000_000n, 2_000_000_000n], 1));
  box.put("b.pcapng", early(-2000n, [1_500_000n, 1_001_000_000n], 10));
  box.put("c.pcap", pcap([{ time: 5_000_000n, frame: routed(20) }]));
  const args = ["-r", "tap11=c.pcap", "-r", "a.pcapng", "-r", "b.pcapng"];
  const { code, stderr } = box.replay([...args, "-w", "out.pcapng", "-q"]);
  assert.is(stderr, "");
  assert.is(code, 0);
  const { packets, sections } = box.capture("out.pcapng");
  assert.is(sections[0]![0]!.offsetSeconds, -2000n);
  assert.equal(
    packets.map(({ time, frame }) => [time, frame.readUInt16BE(22)]),
    [
      [-2000n * SECOND + 1_500_000_000n, 10],
      [-999n * SECOND, 11],
      [-995n * SECOND, 1],
      [-1n * SECOND, 2],
      [5n * SECOND, 20],
      [1000n * SECOND, 3],
    ],
  );
  const inPcap = box.replay([...args, "-w", "out.pcap", "--format", "json"]);
  assert.is(inPcap.code, 0);
  assert.match(inPcap.stderr, /^4 packets are written with the nearest time of 1970 to 2106; write pcapng/);
  assert.equal(
    box.capture("out.pcap").packets.map(({ time }) => time / SECOND),
    [0n, 0n, 0n, 0n, 5n, 1000n],
  );
});

test("an interface that comes late and counts from before 1970 begins a new section", () => {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 });
  file.packet(7n * SECOND, routed(1)).interface({ name: "tap11", resolution: 6, offsetSeconds: -100n });
  file.packet(1_000_000n, routed(2), { link: 1 }).simplePacket(routed(3));
  file.packet(8n * SECOND, routed(4));
  box.put("in.pcapng", file.bytes());
  const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcapng", "-q"]);
  assert.is(stderr, "");
  assert.is(code, 0);
  const { packets, sections } = box.capture("out.pcapng");
  assert.equal(
    sections.map(([link]) => link!.offsetSeconds),
    [0n, -100n],
  );
  assert.equal(
    packets.map(({ time }) => time),
    [7n * SECOND, -99n * SECOND, -99n * SECOND, 8n * SECOND],
  );
});

test("times that 64 bits cannot hold are named with their offset, and never wrap round", () => {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 6 });
  file.interface({ name: "uplink0", resolution: 9 });
  file.packet(1_700_000_000_000_000n, routed(1));
  const at = file.size;
  file.packet(18_446_744_073_204_126_329n, routed(2)).packet(2n ** 64n - 1n, routed(3));
  file.packet(1_700_000_001_000_000n, routed(4));
  box.put("in.pcapng", file.bytes());
  const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcapng", "-q"]);
  const what = "the first of 2 timestamps outside the years 1970 to 2554; the nearest time in them is used";
  assert.is(stderr, `slash32: in.pcapng: byte ${at}: ${what}\n`);
  assert.is(code, 1);
  const last = 2n ** 64n - 1n;
  assert.equal(
    box.capture("out.pcapng").packets.map(({ time }) => time),
    [1_700_000_000n * SECOND, last, last, 1_700_000_001n * SECOND],
  );
  // In microseconds, as all interfaces count, the same times are held.
  const coarse = new PcapNg().section().interface({ name: "tap11", resolution: 6 });
  coarse.packet(18_446_744_073_204_126_329n, routed(2));
  box.put("coarse.pcapng", coarse.bytes());
  assert.is(box.replay(["-r", "coarse.pcapng", "-w", "out.pcapng", "-q"]).code, 0);
  assert.is(box.capture("out.pcapng").packets[0]!.time, 18_446_744_073_204_126_329n * 1000n);
});

const first = seed();
test(`SEED=${first}: any resolution, offset and timestamp: right to the unit, or named`, () => {
  const random = rng(first);
  const big = (bits: number): bigint => {
    let value = 0n;
    for (let left = bits; left > 0; left -= 16) value = (value << 16n) | BigInt(random.below(65_536));
    return value & ((1n << BigInt(bits)) - 1n);
  };
  const box = new Sandbox();
  const MAX = 2n ** 64n - 1n;
  for (let round = 0; round < 24; round++) {
    const exponent = random.pick([0, 1, 3, 6, 9, 12, 18]);
    const offsetSeconds = random.pick([0n, -1n, 5n, -(2n ** 33n), -(2n ** 40n), 2n ** 62n, -(2n ** 63n)]);
    const file = new PcapNg().section().interface({ name: "tap11", resolution: exponent, offsetSeconds });
    const ticks = [1, 16, 32, 48, 60, 63, 64].map(bits => big(bits)).concat(0n, MAX);
    for (const [at, tick] of ticks.entries()) file.packet(tick, routed(at));
    box.put("in.pcapng", file.bytes());
    const { code, stderr } = box.replay(["-r", "in.pcapng", "-w", "out.pcapng", "-q"]);
    const resolution = Math.min(9, exponent);
    const lowest = -(2n ** 33n);
    const base = offsetSeconds < lowest ? lowest : offsetSeconds < 0n ? offsetSeconds : 0n;
    const units = 10n ** BigInt(resolution);
    const exact = ticks.map(
      tick => (tick * units) / 10n ** BigInt(exponent) + (offsetSeconds - base) * units,
    );
    const isOdd = exact.some(time => time < 0n || time > MAX);
    const shown = `round ${round}: 10^-${exponent}, offset ${offsetSeconds}\n${stderr}`;
    assert.is(code, isOdd ? 1 : 0, shown);
    if (isOdd) assert.match(stderr, /byte \d+: (a timestamp|the first of \d+ timestamps) outside/, shown);
    const { packets } = box.capture("out.pcapng");
    const scale = SECOND / units;
    assert.equal(
      packets.map(({ time }) => time),
      // Where no timestamp at all can be held, one end of the range is as wrong as the other.
      exact.map((time, at) => {
        const isNone = exact.every(one => one < 0n) || exact.every(one => one > MAX);
        const got = packets[at]!.time;
        if (isNone) return got === base * SECOND ? got : MAX * scale + base * SECOND;
        return (time < 0n ? 0n : time > MAX ? MAX : time) * scale + base * SECOND;
      }),
      shown,
    );
  }
});

// ── Versions, link types, interfaces ────────────────────────────────────────────────────────────────────────────

test("old versions of pcap have the lengths of a record the other way round", () => {
  const box = new Sandbox();
  const cases: [number, number, (index: number) => boolean][] = [
    [2, 0, () => true],
    [2, 2, () => true],
    [543, 0, () => true],
    [2, 3, index => index === 1],
    [2, 3, () => true],
    [2, 4, () => false],
  ];
  for (const isBig of [false, true]) {
    for (const [major, minor, swaps] of cases) {
      box.put("old.pcap", oldPcap(major, minor, isBig, swaps));
      const { code, stdout } = box.replay(["-r", "tap11=old.pcap", "--format", "json"]);
      assert.is(code, 0);
      const { frames, snapped, bytes } = JSON.parse(stdout.toString());
      assert.equal([frames, snapped, bytes], [3, 3, 3 * 54], `${major}.${minor}`);
    }
  }
  peer("tshark");
  box.put(
    "old.pcap",
    oldPcap(2, 3, false, index => index === 1),
  );
  const fields = ["-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"];
  const { stdout } = box.spawn("tshark", ["-r", "old.pcap", ...fields]);
  assert.is(stdout.toString(), "54\t80\n".repeat(3));
});

test("bits beside the link type: the length of an FCS is legal, others are refused", () => {
  const box = new Sandbox();
  for (const [network, isLegal] of [
    [0x00000001, true],
    [0x14000001, true],
    [0x24000001, true],
    [0xf4000001, true],
    [0x02240001, false],
    [0x08000001, false],
    [0x00010001, false],
    [0x04010001, false],
  ] as const) {
    const file = pcap([{ time: 0n, frame: routed(1) }]);
    file.writeUInt32LE(network, 20);
    box.put("in.pcap", file);
    const { code, stderr } = box.replay(["-r", "tap11=in.pcap", "-q"]);
    assert.is(code, isLegal ? 0 : 1, network.toString(16));
    if (!isLegal) assert.match(stderr, `link type 0x${network.toString(16).padStart(8, "0")}: reserved bits`);
  }
});

test("pcapng 1.0 and 1.2 are read, other versions are refused by their number", () => {
  const box = new Sandbox();
  for (const [major, minor] of [
    [1, 0],
    [1, 2],
    [1, 1],
    [1, 3],
    [2, 0],
    [0, 0],
  ] as const) {
    const file = new PcapNg().section().interface({ name: "tap11" }).packet(1n, routed(1)).bytes();
    file.writeUInt16LE(major, 12);
    file.writeUInt16LE(minor, 14);
    box.put("in.pcapng", file);
    const { code, stderr } = box.replay(["-r", "in.pcapng", "-q"]);
    const isKnown = major === 1 && minor % 2 === 0;
    assert.is(code, isKnown ? 0 : 1);
    if (!isKnown) assert.match(stderr, `pcapng version ${major}.${minor} is unknown; expected 1.0`);
  }
});

test("an interface that cannot be used matters when a packet of it comes, or is left out", () => {
  const box = new Sandbox();
  const head = () =>
    new PcapNg()
      .section()
      .interface({ name: "any", linkType: 113 })
      .interface({ name: "eth9" })
      .interface({ name: "tap11", resolution: 9 });
  box.put("unused.pcapng", head().packet(5n, routed(1), { link: 2 }).bytes());
  assert.is(box.replay(["-r", "unused.pcapng", "-q"]).code, 0);
  const before = box.names();
  const cooked = head().packet(5n, routed(1), { link: 2 }).packet(1n, routed(2)).bytes();
  box.put("cooked.pcapng", cooked);
  const refusedOf = (name: string) => box.replay(["-r", name, "-w", "out.pcapng", "-q"]);
  assert.match(
    refusedOf("cooked.pcapng").stderr,
    /interface 0: link type 113 LINUX_SLL .*--skip-other-interfaces/,
  );
  box.put("other.pcapng", head().packet(1n, routed(2), { link: 1 }).bytes());
  assert.match(refusedOf("other.pcapng").stderr, /interface 1, "eth9", is not a port/);
  assert.equal(
    box.names().filter(name => !before.includes(name)),
    ["cooked.pcapng", "other.pcapng"],
  );
  const mixed = head();
  for (let at = 0; at < 30; at++) mixed.packet(BigInt(at), routed(at), { link: at % 3 });
  box.put("mixed.pcapng", mixed.simplePacket(routed(50)).bytes());
  box.put("raw.pcap", pcap([{ time: 1n, frame: routed(7) }]));
  const raw = box.get("raw.pcap");
  raw.writeUInt32LE(101, 20);
  box.put("raw.pcap", raw);
  assert.match(box.replay(["-r", "tap11=raw.pcap"]).stderr, /link type 101 RAW \(bare IP\)/);
  const args = ["-r", "mixed.pcapng", "-r", "tap11=raw.pcap", "--skip-other-interfaces"];
  const { code, stdout, stderr } = box.replay([...args, "-w", "out.pcapng", "--format", "json"]);
  assert.is(code, 0);
  assert.is(
    stderr,
    "mixed.pcapng: 21 packets of other interfaces left out\nraw.pcap: 1 packet of other interfaces left out\n",
  );
  const report = JSON.parse(stdout.toString());
  assert.equal([report.frames, report.outputs["5"], report.left_out], [10, 10, 22]);
  assert.equal(
    box.capture("out.pcapng").packets.map(({ time }) => time),
    Array.from({ length: 10 }, (_, at) => BigInt(3 * at + 2)),
  );
  assert.match(
    box.run(["replay", "--skip-other-interfaces=1", "-r", "x"]).stderr,
    /^slash32: [^\n]*skip-other/,
  );
});

test("a capture may have many interfaces beside other captures", () => {
  const box = new Sandbox();
  const file = new PcapNg().section();
  for (let at = 0; at < 1100; at++) file.interface({ name: "tap11", resolution: at % 2 === 0 ? 9 : 6 });
  for (const link of [1099, 0, 1023, 1024]) file.packet(BigInt(link), routed(link), { link });
  box.put("many.pcapng", file.bytes());
  box.put("one.pcap", pcap([{ time: 1n, frame: routed(1) }]));
  const others = Array.from({ length: 63 }, () => ["-r", "tap11=one.pcap"]).flat();
  const { code, stdout, stderr } = box.replay([...others, "-r", "many.pcapng", "--format", "json"]);
  assert.is(stderr, "");
  assert.is(code, 0);
  assert.is(JSON.parse(stdout.toString()).frames, 67);
});

test("link types by name, without holes in what the public list has", () => {
  for (const [number, name] of [
    [1, "1 EN10MB (Ethernet)"],
    [14, "14 RAW (bare IP, as OpenBSD writes it)"],
    [141, "141 MTP3"],
    [147, "147 USER0 (for private use)"],
    [197, "197 ERF (Endace)"],
    [219, "219 MPLS (bare MPLS)"],
    [253, "253 NETLINK (from nlmon)"],
    [276, "276 LINUX_SLL2 (Linux cooked, as from tcpdump -i any)"],
    [301, "301 DECT_NR"],
    [9999, "9999"],
  ] as const)
    assert.is(linkTypeName(number), name);
  for (let number = 99; number <= 300; number++)
    assert.match(linkTypeName(number), /^\d+ [A-Z0-9_]+/, `link type ${number}`);
});

test("files of other formats are named, with the command that makes a capture of them", () => {
  const erf = Buffer.alloc(80);
  erf.writeUInt32LE(1_700_000_000, 4);
  erf[8] = 2;
  erf.writeUInt16BE(80, 10);
  erf.writeUInt16BE(60, 14);
  const text = (words: string): Buffer => Buffer.from(words, "latin1");
  for (const [bytes, what, remedy] of [
    [text("\xfd7zXZ\0\0\x04"), "an xz file", "xz -d"],
    [text("BZh91AY&SY"), "a bzip2 file", "bzip2 -d"],
    [text("\x04\x22\x4d\x18dddd"), "an lz4 file", "lz4 -d"],
    [
      text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\n"),
      "a Git LFS pointer",
      "git lfs pull",
    ],
    [text("snoop\0\0\0\0\0\0\x02"), "a snoop capture", "editcap -F pcapng"],
    [text("GMBU\0\x02\x01\0"), "a Microsoft NetMon 2 capture", "editcap -F pcapng"],
    [erf, "an Endace ERF capture", "editcap -F pcapng"],
    [text("\xa1\xb2\xcd\x34\0\x02\0\x04"), "Kuznetzov's modified format", "editcap -F pcapng"],
    [text("\xac\x01\x00\x1c\x02\0\x04\0"), "IXIA", "editcap -F pcapng"],
    [text("\xaa\xaa\xaa\xaa\x01\0\0\0"), "a 5Views capture", "editcap -F pcapng"],
    [text("\n<!DOCTYPE html><html>"), "an HTML page", "download"],
    [text("0000  fe 00 00 00 01 01 52 54 00 00"), "a hex dump", "text2pcap"],
    [text("fe000000010152540000000b0800\n"), "a frame as hexadecimal text", "slash32 trace"],
    [text('[\n  {\n "_index": "packets"'), "JSON", "expected"],
    [text("12:00:01.5 IP 10.0.0.1 > 10.0.0.2: ICMP echo"), "text", "tcpdump -w"],
    [text("\x93\x01\x02\x03\xff\xfe\x00\x01"), "it begins with 93 01 02 03", "expected pcap"],
  ] as const) {
    assert.throws(() => readOpening(bytes), what);
    assert.throws(() => readOpening(bytes), remedy);
  }
});

// ── Comments ────────────────────────────────────────────────────────────────────────────────────────────────────

test("comments, packet ids and copyable options go with a frame; flags with one that is dropped", () => {
  for (const isBig of [false, true]) {
    const box = new Sandbox();
    const file = new PcapNg().section(isBig).interface({ name: "tap11", resolution: 9 });
    const u32 = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      if (isBig) bytes.writeUInt32BE(value);
      else bytes.writeUInt32LE(value);
      return bytes;
    };
    const id = isBig ? Buffer.from("0102030405060708", "hex") : Buffer.from("0807060504030201", "hex");
    const options = [
      file.option(1, Buffer.from("first")),
      file.option(2, u32(0x01020304)),
      file.option(3, Buffer.from([2, 1, 2, 3, 4])),
      file.option(4, id),
      file.option(5, id),
      file.option(2988, Buffer.concat([u32(0xdeadbeef), Buffer.from("text")])),
      file.option(19372, Buffer.concat([u32(1), Buffer.from("no")])),
      file.option(1, Buffer.from("second, ünïcode")),
      file.option(0, Buffer.alloc(0)),
    ];
    file.packet(1n, routed(1), { options }).packet(2n, spoofed(2), { options }).packet(3n, routed(3));
    file.oldPacket(4n, spoofed(4), { options: options.slice(0, 1) });
    box.put("in.pcapng", file.bytes());
    // Beside another capture, so that packets are brought forward as heads.
    box.put("other.pcap", pcap([{ time: 10n * SECOND, frame: routed(9) }]));
    for (const more of [[], ["-r", "tap11=other.pcap"]]) {
      const args = ["-r", "in.pcapng", ...more, "-w", "out.pcapng", "--drops", "drops.pcapng", "-q"];
      assert.is(box.replay(args).code, 0);
      const out = box.capture("out.pcapng");
      const drops = box.capture("drops.pcapng");
      assert.equal(out.packets[0]!.comments, ["first", "second, ünïcode"]);
      assert.equal(out.packets[1]!.comments, []);
      assert.equal(drops.packets[0]!.comments, ["spoofed-source", "first", "second, ünïcode"]);
      assert.equal(drops.packets[1]!.comments, ["spoofed-source", "first"]);
      const raw = [box.get("out.pcapng"), box.get("drops.pcapng")];
      for (const bytes of raw) {
        // Little-endian now, whatever they were: the id, and the number of the custom option's owner.
        assert.ok(bytes.includes(Buffer.from("050008000807060504030201", "hex")));
        assert.ok(bytes.includes(Buffer.from("ac0b0800efbeadde74657874", "hex")));
        assert.not.ok(bytes.includes(Buffer.from("no")), "an option that may not be copied");
      }
      const flags = Buffer.from("0200040004030201", "hex");
      assert.equal(
        raw.map(bytes => bytes.includes(flags)),
        [false, true],
      );
    }
  }
});

test("comments that are too long for the output are left out, and that is noted", () => {
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "tap11", resolution: 9 });
  const comment = (bytes: number, char: string): Buffer => file.option(1, Buffer.alloc(bytes, char));
  const end = file.option(0, Buffer.alloc(0));
  file.packet(1n, routed(1), { options: [comment(60_000, "a"), comment(6000, "b"), comment(100, "c"), end] });
  file.packet(2n, spoofed(2), { options: [comment(65_535, "d"), end] });
  for (let at = 3; at < 60; at++)
    file.packet(BigInt(at), routed(at), { options: [comment(64_000, "e"), end] });
  box.put("in.pcapng", file.bytes());
  const outputs = ["-w", "out.pcapng", "--drops", "drops.pcapng", "--format", "json"];
  const { code, stderr } = box.replay(["-r", "in.pcapng", ...outputs]);
  assert.is(code, 0);
  assert.is(stderr, "2 packets are written without some comments: more than 65024 bytes\n");
  const { packets } = box.capture("out.pcapng");
  assert.equal(
    packets[0]!.comments.map(text => text.length),
    [60_000, 100],
  );
  assert.ok(packets.slice(1).every(({ comments: [text] }) => text === "e".repeat(64_000)));
  assert.equal(box.capture("drops.pcapng").packets[0]!.comments, ["spoofed-source"]);
  assert.is(linesOf(box.capture("out.pcapng")).length, 58);
});

// ── What is shown and left ──────────────────────────────────────────────────────────────────────────────────────

test("control characters are shown as escapes; colours of our own are colours", () => {
  assert.is(
    visible("a\x1b[31mb\x07\x7f\x9b\u202e\ttab\nline"),
    "a\\u001b[31mb\\u0007\\u007f\\u009b\\u202e\ttab\nline",
  );
  assert.is(visibleLine("one\ntwo\r"), "one\\ntwo\\u000d");
  assert.is(visible(`${control("1m")}bold${control("22m")}`), "\x1b[1mbold\x1b[22m");
  const json = JSON.stringify({ text: "\x1b \x9b \u202e" });
  assert.equal(JSON.parse(visible(json)), JSON.parse(json));
  const box = new Sandbox();
  const file = new PcapNg().section().interface({ name: "\x1b]0;title\x07\x1b[31mred\nslash32: equal" });
  box.put("in.pcapng", file.packet(1n, routed(1)).bytes());
  const { stderr } = box.replay(["-r", "in.pcapng"]);
  assert.match(stderr, '"\\u001b]0;title\\u0007\\u001b[31mred\\nslash32: equal"');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  assert.not.match(stderr, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  assert.is(stderr.split("\n").length, 2);
  for (const args of [
    ["check", "no\x1bfile\n.yaml"],
    ["replay", "-n", "hv.json", "-r", "tap11=\x1b[2J"],
  ])
    assert.not.match(box.run(args).stderr, "\x1b");
});

test("captures that are written can be read by their owner only", () => {
  const box = new Sandbox();
  box.put("in.pcap", pcap([0, 1].map(at => ({ time: 0n, frame: at === 0 ? routed(1) : spoofed(2) }))));
  box.put("out.pcapng", Buffer.from("old"));
  box.put("out.pcapng.part", Buffer.from("left by a process that was killed"));
  for (const name of ["out.pcapng", "out.pcapng.part"]) chmodSync(box.path(name), 0o644);
  const outputs = ["-w", "out.pcapng", "--drops", "drops.pcap.gz"];
  assert.is(box.replay(["-r", "tap11=in.pcap", ...outputs, "-q"]).code, 0);
  for (const name of ["out.pcapng", "drops.pcap.gz"])
    assert.is((statSync(box.path(name)).mode & 0o777).toString(8), "600", name);
});

test.run();
