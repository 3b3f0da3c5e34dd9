/**
 * Every bad input that people meet, each a test: exit code 1, exactly one line on standard error that says which
 * file, what is wrong and (where a place in the file is meant) at which byte, and nothing half done left behind: no
 * `.part`, no output where there should be none, the older output where the run failed, all whole frames where the
 * capture is damaged behind them. Runs the program itself, as people do.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  block,
  concat,
  type Folder,
  failsWith,
  goodPcap,
  goodPcapng,
  guestFrame,
  inFolder,
  interfaceBlock,
  numbers,
  option,
  PROGRAM,
  packet,
  pcapHead,
  pcapRecord,
  type Ran,
  section,
  succeeds,
} from "../cli/base.ts";
import { assert, isTried, skip, suite } from "../harness.ts";
import { walk } from "./walk.ts";

const test = suite("bad input");

const RECORD = 16 + 60;
const PACKET = 32 + 60;
const OLD = "an older output";

/** Asserts that nothing but the files named (and the intent) is there. */
function holdsOnly(folder: Folder, ...names: readonly string[]): void {
  assert.equal(folder.names(), ["hv.yaml", ...names].sort());
}

/** The number of frames in a whole capture. */
function framesIn(folder: Folder, name: string): number {
  const file = folder.read(name);
  const { ending, frames } = walk(file);
  assert.equal(ending, { kind: "whole" }, name);
  return frames.length;
}

/** Replays a file (of tap101) with -w and --drops over older outputs. */
function replayOver(folder: Folder, capture: string, extra: readonly string[] = []): Ran {
  folder.write("out.pcapng", OLD);
  folder.write("drops.pcapng", OLD);
  const outputs = ["-w", "out.pcapng", "--drops", "drops.pcapng"];
  return folder.run(["replay", "-n", "hv.yaml", "-r", capture, ...outputs, ...extra]);
}

/** The capture is refused as a whole: nothing is written, older outputs stay. */
function refused(contents: Uint8Array, ...parts: readonly (string | RegExp)[]): void {
  if (!isTried()) return;
  inFolder({ "bad.pcap": contents }, folder => {
    const ran = replayOver(folder, "tap101=bad.pcap", ["--format", "json"]);
    failsWith(ran, "bad.pcap: ", ...parts);
    assert.is(ran.stdout, "", "no report of a run that did not take place");
    holdsOnly(folder, "bad.pcap", "out.pcapng", "drops.pcapng");
    assert.is(folder.read("out.pcapng").toString(), OLD);
    assert.is(folder.read("drops.pcapng").toString(), OLD);
  });
}

/** The capture is damaged: `whole` frames are processed, written and counted; then the place is named. */
function damaged(contents: Uint8Array, whole: number, byte: number, ...parts: (string | string[])[]): void {
  if (!isTried()) return;
  inFolder({ "bad.pcap": contents }, folder => {
    const ran = replayOver(folder, "tap101=bad.pcap", ["--format", "json"]);
    failsWith(ran, `bad.pcap: byte ${byte}: `, ...parts.flat());
    const { frames, outputs, drops } = JSON.parse(ran.stdout);
    assert.is(frames, whole);
    const dropped = Object.values(drops as Record<string, number>).reduce((sum, n) => sum + n, 0);
    assert.is((outputs["1"] ?? 0) + dropped, whole);
    assert.is(framesIn(folder, "out.pcapng"), outputs["1"] ?? 0);
    assert.is(framesIn(folder, "drops.pcapng"), dropped);
    holdsOnly(folder, "bad.pcap", "out.pcapng", "drops.pcapng");
  });
}

const PCAPNG = concat(section(), interfaceBlock("tap101"), packet(guestFrame()));

// ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("a capture that is not there", () =>
  inFolder({}, folder => {
    failsWith(replayOver(folder, "tap101=none.pcap"), "none.pcap: no such file");
    holdsOnly(folder, "out.pcapng", "drops.pcapng");
    assert.is(folder.read("out.pcapng").toString(), OLD);
  }));

test("an empty capture", () => refused(new Uint8Array(0), "empty", "pcap"));

test("a directory", () =>
  inFolder({}, folder => {
    mkdirSync(folder.at("dir"));
    failsWith(replayOver(folder, "tap101=dir"), "dir: is a directory", "expected");
  }));

test("a file that may not be read", () => {
  if (process.getuid?.() !== 0) skip("only root can become an unprivileged user");
  inFolder({ "secret.pcap": goodPcap(1) }, folder => {
    // The program is copied: the checkout may lie where an unprivileged user cannot go.
    mkdirSync(folder.at("p/bin"), { recursive: true });
    copyFileSync(PROGRAM, folder.at("p/bin/slash32"));
    cpSync(join(PROGRAM, "..", "..", "build"), folder.at("p/build"), { recursive: true });
    folder.write("p/package.json", '{ "type": "module" }');
    chmodSync(folder.path, 0o777);
    chmodSync(folder.at("secret.pcap"), 0o600);
    const command = (file: string): string => `"${process.execPath}" p/bin/slash32 replay -n hv.yaml ${file}`;
    const probe = spawnSync(process.execPath, ["-e", "0"], { uid: 65534, gid: 65534, cwd: folder.path });
    if (probe.status !== 0) skip("an unprivileged user cannot run node here");
    const unreadable = folder.shell(command("-r tap101=secret.pcap -w out.pcapng"), { uid: 65534 });
    failsWith(unreadable, "secret.pcap: permission denied");
    assert.not.ok(existsSync(folder.at("out.pcapng")));
    chmodSync(folder.at("secret.pcap"), 0o644);
    mkdirSync(folder.at("shut"), { mode: 0o755 });
    const unwritable = folder.shell(command("-r tap101=secret.pcap -w shut/out.pcapng"), { uid: 65534 });
    failsWith(unwritable, "shut/out.pcapng: permission denied");
    chmodSync(folder.at("hv.yaml"), 0o600);
    const hidden = folder.shell(command("-r tap101=secret.pcap"), { uid: 65534 });
    failsWith(hidden, "hv.yaml", "may not be read");
  });
});

// ── pcap ────────────────────────────────────────────────────────────────────────────────────────────────────────

test("wrong magic", () => {
  refused(Buffer.from("name: hv1\nbridge: br0\n"), "not a pcap or pcapng capture", "it is text", "expected");
  refused(Buffer.from("snoop\0\0\0\0\0\0\x02\0\0\0\x04"), "snoop");
  refused(Buffer.from([0xa1, 0xb2]), "2 bytes");
  refused(Buffer.alloc(100), "not a capture", "00 00 00 00");
});

test("a pcap header cut short", () => {
  for (const bytes of [4, 5, 16, 23]) {
    refused(goodPcap(1).subarray(0, bytes), "header is cut short", `${bytes} of 24`);
  }
});

test("a pcap of an unknown version", () => {
  refused(goodPcap(1, { major: 7 }), "version 7.4", "expected 2.4");
  const withVersion = (major: number, minor: number): Buffer => {
    const file = goodPcap(1);
    file.writeUInt16LE(major, 4);
    file.writeUInt16LE(minor, 6);
    return file;
  };
  for (const [major, minor] of [
    [2, 5],
    [2, 65_535],
    [3, 0],
    [0, 0],
    [1, 2],
    [543, 1],
  ] as const)
    refused(withVersion(major, minor), `version ${major}.${minor} is unknown`);
});

test("a pcap header and nothing else: doing nothing is no success", () =>
  inFolder({ "none.pcap": pcapHead() }, folder => {
    const run = (...extra: string[]): Ran =>
      folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=none.pcap", "--format", "json", ...extra]);
    failsWith(run(), "no frame was read", "--allow-empty");
    succeeds(run("--allow-empty"));
    assert.is(JSON.parse(run().stdout).frames, 0);
  }));

test("a record cut short: all whole frames, then the byte at which the record begins", () => {
  for (const style of [{}, { isBig: true, isNano: true }]) {
    const file = goodPcap(5, style);
    for (const [missing, whole] of [
      [1, 4],
      [RECORD - 1, 4],
      [RECORD + 1, 3],
    ] as const) {
      damaged(file.subarray(0, file.length - missing), whole, 24 + whole * RECORD, "ends inside a record");
    }
  }
});

test("--allow-truncated makes a capture that is cut short no failure, and no other damage", () => {
  const unread = concat(PCAPNG, block(0x0bad, Buffer.alloc(40)));
  const cases: [Uint8Array, number, number][] = [
    [goodPcap(5).subarray(0, -1), 24 + 4 * RECORD, 0],
    [goodPcap(5).subarray(0, -RECORD + 3), 24 + 4 * RECORD, 0],
    [goodPcapng(5).subarray(0, -1), goodPcapng(4).length, 0],
    [unread.subarray(0, -1), PCAPNG.length, 0],
    [gzipSync(goodPcap(5).subarray(0, -1)), 24 + 4 * RECORD, 0],
    [concat(goodPcap(5), pcapRecord(new Uint8Array(0))), 24 + 5 * RECORD, 1],
    [concat(PCAPNG, block(0x0bad, Buffer.alloc(40), { second: 8 })), PCAPNG.length, 1],
  ];
  for (const [contents, byte, code] of cases) {
    inFolder({ "bad.pcap": contents }, folder => {
      const ran = replayOver(folder, "tap101=bad.pcap", ["--allow-truncated"]);
      assert.is(ran.code, code, ran.stderr);
      assert.match(
        ran.stderr,
        new RegExp(`^slash32: bad.pcap: byte ${byte}: [^\\n]*\\n$`),
        "said all the same",
      );
      if (contents.length > 400) return;
      const quiet = folder.run([
        "replay",
        "-n",
        "hv.yaml",
        "-r",
        "tap101=bad.pcap",
        "--allow-truncated",
        "-q",
      ]);
      assert.is(quiet.code, code);
      assert.is(quiet.stderr === "", code === 0);
      assert.is(quiet.stdout, "");
    });
  }
});

test("a record cut short before the first whole frame", () =>
  damaged(goodPcap(1).subarray(0, 24 + 7), 0, 24, "ends inside a record"));

test("more captured than there was: read over, and noted", () => {
  const bad = pcapRecord(guestFrame(), { length: 59 });
  const pcap = concat(goodPcap(2), bad, bad, pcapRecord(guestFrame()));
  const pcapng = concat(PCAPNG, packet(guestFrame(), { length: 59 }), packet(guestFrame(), { length: 0 }));
  const cases: [Buffer, number, number][] = [
    [pcap, 5, 24 + 2 * RECORD],
    [pcapng, 3, PCAPNG.length],
  ];
  for (const [contents, frames, byte] of cases) {
    inFolder({ "odd.pcap": contents }, folder => {
      const ran = replayOver(folder, "tap101=odd.pcap", ["--format", "json"]);
      assert.is(ran.code, 0);
      assert.is(
        ran.stderr,
        `odd.pcap: byte ${byte}: the first of 2 records with more bytes captured than the frame had; ` +
          "all of them are used\n",
      );
      const report = JSON.parse(ran.stdout);
      assert.equal([report.frames, report.snapped, report.bytes], [frames, 0, frames * 60]);
      assert.is(framesIn(folder, "out.pcapng"), frames);
    });
  }
});

test("an absurd record of 4 GB is not believed", () => {
  for (const captured of [0xffffffff, 0x80000000, 262_145]) {
    const bad = pcapRecord(guestFrame(), { captured, length: 0xffffffff });
    damaged(concat(goodPcap(2), bad), 2, 24 + 2 * RECORD, [String(captured), "262144"]);
  }
});

test("a frame of zero bytes", () => {
  const file = concat(goodPcap(2), pcapRecord(new Uint8Array(0)), pcapRecord(guestFrame()));
  damaged(file, 4, 24 + 2 * RECORD, ["zero bytes"]);
  const pcapng = concat(goodPcapng(1), packet(new Uint8Array(0)), packet(guestFrame()));
  damaged(pcapng, 3, goodPcapng(1).length, ["zero bytes"]);
});

test("link types other than Ethernet are refused by name", () => {
  refused(goodPcap(1, { linkType: 113 }), "113", "LINUX_SLL", "Ethernet");
  refused(goodPcap(1, { linkType: 101 }), "101", "RAW", "Ethernet");
  refused(goodPcap(1, { linkType: 9999, isBig: true }), "9999", "Ethernet");
  const cooked = interfaceBlock("tap101", { linkType: 276 });
  refused(concat(section(), cooked, packet(guestFrame())), "interface 0", "LINUX_SLL2");
});

// ── pcapng ──────────────────────────────────────────────────────────────────────────────────────────────────────

test("a pcapng cut short anywhere", () => {
  const file = goodPcapng(3);
  const first = file.length - 3 * PACKET;
  for (const missing of [1, 4, 40, 91]) {
    damaged(file.subarray(0, file.length - missing), 2, first + 2 * PACKET, "ends inside a record");
  }
  damaged(file.subarray(0, 28 + 10), 0, 28, "ends inside a record");
  damaged(file.subarray(0, 20), 0, 0, "ends inside a record");
  damaged(file.subarray(0, 6), 0, 0, "ends inside a record");
});

test("a block that is not read, cut short", () => {
  const file = concat(PCAPNG, block(0x0bad, Buffer.alloc(400)));
  damaged(file.subarray(0, file.length - 8), 1, PCAPNG.length, "ends inside a record", "404 bytes");
});

test("a block length that is no multiple of 4, too small, or past the end", () => {
  const bad = (first: number): Buffer => concat(PCAPNG, block(6, Buffer.alloc(80), { first }));
  for (const first of [0, 8, 93, 0x7fffffff]) {
    damaged(bad(first), 1, PCAPNG.length, ["block", String(first), "multiple of 4"]);
  }
  damaged(bad(0x80000004), 1, PCAPNG.length, ["block", "2147483652", "at most"]);
  damaged(bad(96), 1, PCAPNG.length, "ends inside a record");
  const unknown = concat(PCAPNG, block(0x0bad, Buffer.alloc(80), { first: 0xfffffffc }));
  damaged(unknown, 1, PCAPNG.length, "ends inside a record");
});

test("the two lengths of a block differ", () => {
  for (const type of [6, 0x0bad]) {
    const file = concat(PCAPNG, block(type, Buffer.alloc(80), { second: 88 }), packet(guestFrame()));
    damaged(file, 1, PCAPNG.length, ["88", "differs"]);
  }
});

test("a packet that does not fit its block", () => {
  damaged(concat(PCAPNG, packet(guestFrame(), { captured: 64, length: 64 })), 1, PCAPNG.length, [
    "64",
    "past",
  ]);
  damaged(
    concat(PCAPNG, packet(guestFrame(), { captured: 0xfffffff0, length: 0xffffffff })),
    1,
    PCAPNG.length,
    ["4294967280", "262144"],
  );
  damaged(concat(PCAPNG, block(6, Buffer.alloc(16))), 1, PCAPNG.length, ["28", "block"]);
});

test("options that reach past their block", () => {
  const overrun = option(1, Buffer.from("comment."), false, 400);
  damaged(concat(PCAPNG, packet(guestFrame(), { options: [overrun] })), 1, PCAPNG.length, [
    "option 1",
    "past",
  ]);
  refused(concat(section(), interfaceBlock("tap101", { options: [overrun] })), "byte 28", "option 1", "past");
  const tiny = option(9, Buffer.alloc(2));
  refused(concat(section(), interfaceBlock("tap101", { options: [tiny] })), "byte 28", "option 9", "2 bytes");
});

test("a packet of an interface that nobody described", () => {
  damaged(concat(PCAPNG, packet(guestFrame(), { number: 1 })), 1, PCAPNG.length, [
    "interface 1",
    "described",
  ]);
  damaged(concat(section(), packet(guestFrame())), 0, 28, ["interface 0"]);
});

test("a section of an unknown version or byte order", () => {
  refused(section(false, 2), "version 2", "1.0");
  const order = block(0x0a0d0d0a, numbers(true, [4, 0x12345678], [4, 1], [4, 0], [4, 0]));
  damaged(order, 0, 0, ["byte-order magic", "0x12345678", "0x1a2b3c4d"]);
});

test("clocks that nobody has", () => {
  for (const resolution of [19, 127, 0x80 | 41, 255]) {
    const options = [option(9, Uint8Array.of(resolution))];
    const described = interfaceBlock("tap101", { options });
    refused(concat(section(), described, packet(guestFrame())), "interface 0", "timestamps");
  }
});

// ── Ports ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("an unknown port, or none where one is needed", () =>
  inFolder({ "a.pcap": goodPcap(1), "b.pcapng": goodPcapng(1) }, folder => {
    folder.write("c.pcapng", concat(section(), interfaceBlock("eth7"), packet(guestFrame())));
    folder.write("d.pcapng", concat(section(), interfaceBlock(null), packet(guestFrame())));
    folder.write(
      "e.pcapng",
      concat(goodPcapng(1), interfaceBlock("late"), packet(guestFrame(), { number: 1 })),
    );
    failsWith(
      replayOver(folder, "tap9=a.pcap"),
      '"tap9" is not a port of the intent',
      "tap101",
      "./tap9=a.pcap",
    );
    failsWith(replayOver(folder, "a.pcap"), "a.pcap: a pcap does not name the port", "PORT=a.pcap", "tap101");
    failsWith(replayOver(folder, "c.pcapng"), "c.pcapng: interface 0", '"eth7"', "PORT=c.pcapng", "tap101");
    failsWith(replayOver(folder, "d.pcapng"), "d.pcapng: interface 0", "no name", "PORT=d.pcapng");
    failsWith(replayOver(folder, "e.pcapng"), "e.pcapng: interface 1", '"late"');
    failsWith(replayOver(folder, "a.pcap", ["-i", "tap9"]), '"tap9" is not a port of the intent');
    failsWith(replayOver(folder, "4294967296=a.pcap"), '"4294967296" is not a port of the intent');
    assert.is(folder.read("out.pcapng").toString(), OLD);
    succeeds(replayOver(folder, "77=a.pcap", ["-q"]));
    succeeds(replayOver(folder, "a.pcap", ["-q", "-i", "tap101"]));
  }));

// ── Compressed captures ─────────────────────────────────────────────────────────────────────────────────────────

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** A zstd frame of uncompressed blocks (RFC 8878 §3.1.1), `size` bytes each; no checksum. */
function zstdStored(data: Uint8Array, size: number): Buffer {
  // A window of 1 MB, no content size: the descriptor is 0.
  const parts = [ZSTD_MAGIC, Buffer.from([0x00, 0x50])];
  for (let at = 0; at < data.length; at += size) {
    const piece = data.subarray(at, at + size);
    const header = (piece.length << 3) | (at + size >= data.length ? 1 : 0);
    parts.push(Buffer.from([header & 255, (header >>> 8) & 255, header >>> 16]), Buffer.from(piece));
  }
  return Buffer.concat(parts);
}

/** Frames of tap101 that do not compress well, so that a cut leaves something. */
function noisyPcap(count: number): Buffer {
  let state = 1;
  const records = Array.from({ length: count }, (_, i) => {
    const frame = guestFrame(i);
    for (let at = 34; at < 60; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      frame[at] = state >>> 24;
    }
    return pcapRecord(frame);
  });
  return Buffer.concat([pcapHead(), ...records]);
}

/** Replays a damaged compressed capture: at least `least` whole frames, one line, exit 1; or nothing at all. */
function damagedStream(
  contents: Uint8Array,
  least: number,
  isCut: boolean,
  ...parts: (string | RegExp)[]
): void {
  if (!isTried()) return;
  inFolder({ "bad.gz": contents }, folder => {
    const ran = replayOver(folder, "tap101=bad.gz", ["--format", "json"]);
    failsWith(ran, "bad.gz: ", ...parts);
    holdsOnly(folder, "bad.gz", "out.pcapng", "drops.pcapng");
    if (ran.stdout === "") {
      assert.is(least, 0, "a run that read frames has a report");
      assert.is(folder.read("out.pcapng").toString(), OLD);
      return;
    }
    const { frames, outputs } = JSON.parse(ran.stdout);
    assert.ok(frames >= least, `${frames} frames, at least ${least} are whole`);
    assert.is(framesIn(folder, "out.pcapng"), outputs["1"] ?? 0);
    const allowed = replayOver(folder, "tap101=bad.gz", ["--allow-truncated", "--allow-empty"]);
    assert.is(allowed.code, isCut ? 0 : 1, allowed.stderr);
  });
}

test("gzip cut short: every frame that can be had, then the byte", () => {
  const file = noisyPcap(1000);
  const packed = gzipSync(file);
  for (const share of [0.3, 0.9, 1]) {
    const cut = packed.subarray(0, Math.floor(packed.length * share) - 3);
    const whole =
      spawnSync("gzip", ["-dc"], { input: cut, maxBuffer: 0x1000000 }).stdout ?? new Uint8Array(0);
    const least = whole.length > 0 ? walk(whole).frames.length : Math.floor(1000 * share) - 350;
    damagedStream(cut, least, true, /byte \d+: /, "gzip", "ends too early");
  }
  damagedStream(packed.subarray(0, 2), 0, true, "gzip", "ends too early");
  damagedStream(packed.subarray(0, 12), 0, true, "gzip", "ends too early");
});

test("gzip damaged, by its bits or its checksum", () => {
  const packed = gzipSync(noisyPcap(20_000));
  const flipped = Buffer.from(packed);
  flipped.fill(0xff, packed.length - 40_000, packed.length - 39_000);
  damagedStream(flipped, 5_000, false, /byte \d+: /, "gzip", "damaged");
  const checksum = Buffer.from(packed);
  checksum[packed.length - 6]! ^= 1;
  damagedStream(checksum, 15_000, false, /byte \d+: /, "gzip", "damaged");
});

test("something else behind the gzip data", () => {
  const packed = gzipSync(goodPcap(3));
  damagedStream(concat(packed, Buffer.from("garbage")), 0, false, "gzip");
  damagedStream(concat(packed, packed.subarray(0, 5)), 3, true, "gzip", "ends too early");
});

test("every frame of the gzip data in front of something else is processed", () =>
  damagedStream(concat(gzipSync(goodPcap(3)), Buffer.from("garbage")), 3, false, "gzip"));

test("zstd cut short", () => {
  const file = goodPcap(100);
  const packed = zstdStored(file, 1000);
  for (const bytes of [packed.length - 1, 5000, 1003 + 6, 1003 * 3 + 6 + 2]) {
    const blocks = Math.floor((bytes - 6) / 1003);
    const least = Math.max(0, Math.floor((blocks * 1000 - 24) / RECORD));
    damagedStream(packed.subarray(0, bytes), least, true, "zstd", "ends too early");
  }
  for (const bytes of [4, 5, 7]) damagedStream(packed.subarray(0, bytes), 0, true, "zstd", "ends too early");
});

test("zstd damaged, or with something else behind it", () => {
  const packed = zstdStored(goodPcap(100), 1000);
  const reserved = Buffer.from(packed);
  reserved[6 + 1003 * 3]! |= 6;
  damagedStream(reserved, 12, false, "zstd", "damaged");
  damagedStream(concat(packed, Buffer.alloc(40, "garbage")), 100, false, "zstd", "damaged");
  damagedStream(concat(packed, packed.subarray(0, 300)), 100, true, "zstd", "ends too early");
});

test("a compressed file that holds no capture", () => {
  for (const packed of [
    gzipSync(Buffer.from("hello, world")),
    zstdStored(Buffer.from("hello, world"), 100),
  ]) {
    refused(packed, "not a pcap or pcapng capture", "it is text");
  }
  refused(gzipSync(new Uint8Array(0)), "empty");
});

// ── Pipes ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("a pipe that is closed in the middle of a record", () =>
  inFolder({ "good.pcap": goodPcap(5000) }, folder => {
    const script = [
      "mkfifo pipe || exit 99",
      `head -c ${24 + RECORD * 4321 + 30} good.pcap > pipe &`,
      "slash32 replay -n hv.yaml -r tap101=pipe --format json -w out.pcapng",
    ];
    const ran = folder.shell(script.join("\n"));
    if (ran.code === 99) skip("there is no mkfifo");
    failsWith(ran, `pipe: byte ${24 + RECORD * 4321}: `, "ends inside a record");
    assert.is(JSON.parse(ran.stdout).frames, 4321);
    assert.is(framesIn(folder, "out.pcapng"), 4321);
  }));

test("standard input that ends too early, is empty, or is given twice", () =>
  inFolder({}, folder => {
    const args = ["replay", "-n", "hv.yaml", "-r", "tap101=-", "-w", "out.pcapng"];
    const cut = folder.run(args, { input: goodPcap(3).subarray(0, -1) });
    failsWith(cut, `standard input: byte ${24 + 2 * RECORD}: `);
    assert.is(framesIn(folder, "out.pcapng"), 2);
    failsWith(folder.run(args), "standard input: ", "empty");
    failsWith(folder.run([...args, "-r", "tap102=-"]), "standard input", "twice");
    const both = folder.run(["replay", "-n", "-", "-r", "tap101=-"], { input: goodPcap(3) });
    failsWith(both, "standard input", "twice");
  }));

// ── Outputs ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("an output in a directory that is not there, or that is a directory", () =>
  inFolder({ "a.pcap": goodPcap(3) }, folder => {
    mkdirSync(folder.at("dir"));
    for (const option of ["-w", "--drops"]) {
      const run = (name: string): Ran =>
        folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", option, name]);
      failsWith(run("none/out.pcapng"), "none/out.pcapng: no such file or directory");
      failsWith(run("dir"), "dir: is a directory");
      failsWith(run("a.pcap/out.pcapng"), "a.pcap/out.pcapng: ");
      failsWith(run("out.pcapng.zst"), "out.pcapng.zst: ", "zstd");
    }
    const second = ["-w", "out.pcapng", "--drops", "none/drops.pcapng"];
    failsWith(folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", ...second]), "none/drops.pcapng");
    holdsOnly(folder, "a.pcap", "dir");
    assert.is(framesIn(folder, "a.pcap"), 3);
  }));

test("a full disk", () =>
  inFolder({ "a.pcap": goodPcap(3), "strange.pcap": goodPcap(3) }, folder => {
    if (!existsSync("/dev/full")) skip("there is no /dev/full");
    const args = ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap"];
    failsWith(folder.run([...args, "-w", "/dev/full"]), "/dev/full: no space left");
    failsWith(folder.run([...args, "--drops", "/dev/full"]), "/dev/full: no space left");
    failsWith(folder.run([...args, "-w", "out.pcapng", "--drops", "/dev/full"]), "/dev/full: no space left");
    holdsOnly(folder, "a.pcap", "strange.pcap");
    const full = openSync("/dev/full", "w");
    const onto = (...extra: string[]): Ran =>
      folder.run([...args, ...extra], { stdio: ["ignore", full, "pipe"] });
    failsWith(onto(), "standard output: no space left");
    failsWith(onto("--format", "json"), "standard output: no space left");
    failsWith(onto("-w", "-"), "standard output: no space left");
    failsWith(onto("-w", "-", "--drops", "drops.pcapng"), "standard output: no space left");
    holdsOnly(folder, "a.pcap", "strange.pcap");
    assert.ok(existsSync("/dev/full"));
  }));

test("a file size limit in the middle of the output: the older output survives", () =>
  inFolder({ "a.pcap": goodPcap(50_000), "out.pcapng": OLD }, folder => {
    const line = "ulimit -f 100; trap '' XFSZ; slash32 replay -n hv.yaml -r tap101=a.pcap -w out.pcapng";
    failsWith(folder.shell(line), "out.pcapng: file too large");
    assert.is(folder.read("out.pcapng").toString(), OLD);
    holdsOnly(folder, "a.pcap", "out.pcapng");
  }));

/** So large that a second core helps. */
function hugePcap(): Buffer {
  const frame = Buffer.alloc(9000);
  frame.set(guestFrame());
  return Buffer.concat([pcapHead(), ...Array.from({ length: 7500 }, () => pcapRecord(frame))]);
}

test("a disk that fills while two cores work, and a second core that is not there", () =>
  inFolder({ "huge.pcap": hugePcap(), "out.pcapng": OLD }, folder => {
    const args = "replay -n hv.yaml -r tap101=huge.pcap -w out.pcapng --format json";
    const full = folder.shell(`ulimit -f 20000; trap '' XFSZ; slash32 ${args}`);
    failsWith(full, "out.pcapng: file too large");
    assert.is(folder.read("out.pcapng").toString(), OLD);
    holdsOnly(folder, "huge.pcap", "out.pcapng");
    mkdirSync(folder.at("bin"));
    copyFileSync(PROGRAM, folder.at("bin/slash32"));
    cpSync(join(PROGRAM, "..", "..", "build"), folder.at("build"), { recursive: true });
    folder.write("package.json", '{ "type": "module" }');
    rmSync(folder.at("build/replay-worker.js"), { force: true });
    const alone = folder.shell(`"${process.execPath}" bin/slash32 ${args}`);
    succeeds(alone);
    assert.is(JSON.parse(alone.stdout).frames, 7500);
    assert.is(framesIn(folder, "out.pcapng"), 7500);
  }));

test("a reader that has gone", () =>
  inFolder({ "a.pcap": goodPcap(20_000) }, folder => {
    const replay = "slash32 replay -n hv.yaml -r tap101=a.pcap";
    for (const tail of ["", " --format json", " -w -"]) {
      const ran = folder.shell(`{ sleep 0.3; ${replay}${tail}; echo "exit $?" >&2; } | true`);
      // As a shell says SIGPIPE, and without a word.
      assert.is(ran.stderr, "exit 141\n", `replay${tail}`);
    }
  }));

test("the output is the input, however it is spelled", () =>
  inFolder({ "a.pcap": goodPcap(3), "b.pcap.gz": gzipSync(goodPcap(3)) }, folder => {
    linkSync(folder.at("a.pcap"), folder.at("hard.pcap"));
    symlinkSync("a.pcap", folder.at("soft.pcap"));
    const before = folder.names();
    for (const option of ["-w", "--drops"]) {
      for (const name of ["a.pcap", "./a.pcap", "hard.pcap", "soft.pcap", folder.at("a.pcap")]) {
        const ran = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", option, name]);
        failsWith(ran, `${name}: `, "being read");
      }
      const packed = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=b.pcap.gz", option, "b.pcap.gz"]);
      failsWith(packed, "b.pcap.gz: ", "being read");
      const linked = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=soft.pcap", option, "hard.pcap"]);
      failsWith(linked, "hard.pcap: ", "being read");
      const piped = folder.shell(`slash32 replay -n hv.yaml -r tap101=- ${option} a.pcap < a.pcap`);
      failsWith(piped, "a.pcap: ", "being read");
    }
    assert.equal(folder.names(), before);
    assert.is(framesIn(folder, "a.pcap"), 3);
  }));

test("standard output is appended to the input", () =>
  inFolder({ "a.pcap": goodPcap(3) }, folder => {
    const ran = folder.shell("slash32 replay -n hv.yaml -r tap101=a.pcap -w - >> a.pcap");
    failsWith(ran, "standard output", "being read");
    assert.is(framesIn(folder, "a.pcap"), 3);
  }));

test("the input has the name of the output's unfinished part", () =>
  inFolder({ "out.pcapng.part": goodPcapng(3) }, folder => {
    const ran = folder.run(["replay", "-n", "hv.yaml", "-r", "out.pcapng.part", "-w", "out.pcapng"]);
    if (ran.code === 1) failsWith(ran, "out.pcapng.part", "being read");
    assert.is(framesIn(folder, "out.pcapng.part"), 3, "the input is as it was");
  }));

test("the output is the intent", () =>
  inFolder({ "a.pcap": goodPcap(3) }, folder => {
    const before = folder.read("hv.yaml").toString();
    for (const option of ["-w", "--drops"]) {
      const ran = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", option, "./hv.yaml"]);
      failsWith(ran, "hv.yaml", "being read");
      assert.is(folder.read("hv.yaml").toString(), before);
    }
  }));

test("the report is a capture that is read or written", () =>
  inFolder({ "in.json": goodPcap(3) }, folder => {
    for (const report of ["in.json", "./in.json"]) {
      const ran = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=in.json", "--report", report]);
      failsWith(ran, "--report", /also being (?:read as a capture|written)/);
    }
    const outputs = ["-w", "out.json", "--report", "out.json"];
    failsWith(folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=in.json", ...outputs]), "--report");
    assert.equal(folder.read("in.json"), Buffer.from(goodPcap(3)));
    holdsOnly(folder, "in.json");
  }));

test("-w and --drops are one file, however they are spelled", () =>
  inFolder({ "a.pcap": goodPcap(3), "old.pcapng": OLD }, folder => {
    linkSync(folder.at("old.pcapng"), folder.at("hard.pcapng"));
    symlinkSync("old.pcapng", folder.at("soft.pcapng"));
    symlinkSync(".", folder.at("here"));
    const pairs = [
      ["new.pcapng", "new.pcapng"],
      ["new.pcapng", "./new.pcapng"],
      [folder.at("new.pcapng"), "new.pcapng"],
      ["new.pcapng", "here/new.pcapng"],
      ["old.pcapng", "hard.pcapng"],
      ["old.pcapng", "soft.pcapng"],
    ] as const;
    for (const [output, drops] of pairs) {
      const ran = folder.run([
        "replay",
        "-n",
        "hv.yaml",
        "-r",
        "tap101=a.pcap",
        "-w",
        output,
        "--drops",
        drops,
      ]);
      failsWith(ran, drops, /also being written/);
      holdsOnly(folder, "a.pcap", "old.pcapng", "hard.pcapng", "soft.pcapng", "here");
      assert.is(folder.read("old.pcapng").toString(), OLD);
    }
    const both = folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", "-", "--drops", "-"]);
    failsWith(both, "-w and --drops", "standard output");
  }));

test("a report that cannot be written, or of an unknown kind", () =>
  inFolder({ "a.pcap": goodPcap(3) }, folder => {
    const run = (file: string): Ran =>
      folder.run(["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap", "--report", file]);
    failsWith(run("none/report.json"), "none/report.json: no such file or directory");
    failsWith(run("report.doc"), "report.doc", ".json");
    holdsOnly(folder, "a.pcap");
  }));

// ── Intents ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("an intent that is not there, is a directory, or has errors", () =>
  inFolder({ "a.pcap": goodPcap(1) }, folder => {
    folder.write("typo.yaml", folder.read("hv.yaml").toString().replace("label:", "lable:"));
    folder.write("key.yaml", `${folder.read("hv.yaml")}colour: red\n`);
    folder.write("broken.yaml", "name: [hv1\n");
    folder.write("empty.yaml", "");
    mkdirSync(folder.at("dir"));
    const run = (name: string): Ran =>
      folder.run(["replay", "-n", name, "-r", "tap101=a.pcap", "-w", "out.pcapng", "--format", "json"]);
    failsWith(run("none.yaml"), "none.yaml", "does not exist");
    failsWith(run("dir"), "dir", "is a folder");
    failsWith(run("key.yaml"), "key.yaml:10:1: ", "colour");
    failsWith(run("broken.yaml"), /broken\.yaml:\d+:\d+: /);
    failsWith(run("empty.yaml"), "empty.yaml");
    const two = run("typo.yaml");
    assert.is(two.code, 1);
    assert.match(two.stderr, "typo.yaml:3:1: ");
    assert.match(two.stderr, "lable");
    for (const { stdout } of [two, run("none.yaml")]) assert.is(stdout, "");
    holdsOnly(folder, "a.pcap", "typo.yaml", "key.yaml", "broken.yaml", "empty.yaml", "dir");
  }));

test("many captures, one of them bad: it is the one that is named, and nothing is written", () =>
  inFolder({ "a.pcap": goodPcap(3), "b.pcap": Buffer.from("rubbish, not a capture") }, folder => {
    const ran = replayOver(folder, "tap101=a.pcap", ["-r", "tap102=b.pcap"]);
    failsWith(ran, "b.pcap: not a pcap or pcapng capture");
    assert.is(folder.read("out.pcapng").toString(), OLD);
    const many = Array.from({ length: 65 }, () => ["-r", "tap101=a.pcap"]).flat();
    failsWith(folder.run(["replay", "-n", "hv.yaml", ...many]), "65 captures", "64");
  }));

test("one of two captures is cut short: the other is read to its end", () =>
  inFolder({ "a.pcap": goodPcap(5).subarray(0, -1), "b.pcap": goodPcap(7) }, folder => {
    const ran = replayOver(folder, "tap101=a.pcap", ["-r", "tap101=b.pcap", "--format", "json"]);
    failsWith(ran, `a.pcap: byte ${24 + 4 * RECORD}: `);
    assert.is(JSON.parse(ran.stdout).frames, 11);
    assert.is(framesIn(folder, "out.pcapng"), 11);
  }));

test("a bundled capture cut short", () =>
  inFolder({}, folder => {
    const bundled = readFileSync(join(PROGRAM, "..", "..", "pcaps", "fabric.pcap"));
    const cut = bundled.subarray(0, bundled.length - 1);
    const { frames, ending } = walk(cut);
    folder.write("cut.pcap", cut);
    const ran = folder.run(["replay", "-n", "hv.yaml", "-r", "uplink0=cut.pcap", "--format", "json"]);
    failsWith(ran, `cut.pcap: byte ${ending.kind === "cut" ? ending.at : "?"}: `);
    assert.is(JSON.parse(ran.stdout).frames, frames.length);
  }));

test.run();
