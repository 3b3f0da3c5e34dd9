/**
 * --capture beside frames that must go on: a full disk, a limit, a size that the system allows, a pipe whose reader is slow
 * or gone. What stands in the file is whole packets at any time, and what is missing is counted. Then
 * standard output, which only watches, too.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { gunzipSync } from "node:zlib";
import { PassingCapture, parseSize } from "../../src/live/index.ts";
import type { Mirrored } from "../../src/live/mirror.ts";
import { assert, skip, suite } from "../harness.ts";
import { Folder, fromA, killAll, numberIn, Peer, runLive, startLive, summaryOf, until } from "./base.ts";

const test = suite("captures of live ports");
const PROGRAM = new URL("../../bin/slash32", import.meta.url).pathname;

async function inFolder(body: (folder: Folder) => Promise<void>): Promise<void> {
  const folder = new Folder();
  const full = folder.at("full");
  try {
    await body(folder);
  } finally {
    killAll();
    if (existsSync(full)) spawnSync("umount", ["-l", full]);
    folder.remove();
  }
}

/** A file system of so many KiB of its own at `full` in the folder. Skips where that cannot be. */
function smallDisk(folder: Folder, kib: number): string {
  if (process.getuid?.() !== 0) skip("mounting needs root");
  const at = folder.at("full");
  mkdirSync(at);
  const made = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "none", at], { encoding: "utf8" });
  if (made.status !== 0) skip(`no tmpfs here: ${made.stderr}`);
  return at;
}

/** The blocks of a pcapng file: type and length of each. Fails when one is not whole. */
function blocksOf(bytes: Buffer): { type: number; length: number; at: number }[] {
  const blocks: { type: number; length: number; at: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.ok(bytes.length - at >= 12, `a block begins ${bytes.length - at} bytes before the end`);
    const [type, length] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    assert.ok(at + length <= bytes.length, `the block at ${at} is torn`);
    assert.is(bytes.readUInt32LE(at + length - 4), length);
    blocks.push({ type, length, at });
    at += length;
  }
  return blocks;
}

const SECTION = 0x0a0d0d0a;
const PACKET = 6;
const packetsIn = (bytes: Buffer): number => blocksOf(bytes).filter(({ type }) => type === PACKET).length;
const sectionsIn = (bytes: Buffer): number => blocksOf(bytes).filter(({ type }) => type === SECTION).length;

/** Numbers of the frames that came in by port a, in the order of a capture. */
function numbersIn(bytes: Buffer): number[] {
  const numbers: number[] = [];
  for (const { type, at } of blocksOf(bytes)) {
    if (type !== PACKET) continue;
    const frame = bytes.subarray(at + 28, at + 28 + bytes.readUInt32LE(at + 20));
    if (frame.toString("hex", 6, 12) === "52540000000b") numbers.push(numberIn(frame));
  }
  return numbers;
}

/** Live ports a and b with these words, and a peer at each. */
async function livePair(folder: Folder, more: readonly string[]) {
  const port = (name: string): string[] => ["--port", `${name}=punix:${folder.at(name)}`];
  const live = await startLive(["-n", folder.at("hv.yaml"), ...port("a"), ...port("b"), ...more]);
  const [a, b] = [await Peer.connect(folder.at("a")), await Peer.connect(folder.at("b"))];
  let sent = 0;
  return {
    live,
    a,
    b,
    /** Sends so many frames and waits until all have passed. */
    async pass(count: number, bytes = 1000): Promise<void> {
      for (let left = count; left > 0; left -= 20) {
        a.send(...Array.from({ length: Math.min(left, 20) }, () => fromA(sent++, { bytes })));
        await b.receives(sent);
      }
    },
    get sent(): number {
      return sent;
    },
  };
}

test("a full disk ends neither frames nor the file: it goes on in a section of its own when there is room", () =>
  inFolder(async folder => {
    const disk = smallDisk(folder, 128);
    const file = `${disk}/out.pcapng`;
    writeFileSync(`${disk}/ballast`, Buffer.alloc(40 * 1024));
    const pair = await livePair(folder, ["--capture", file, "--format", "json", "--metrics", "0"]);
    const { live } = pair;
    await pair.pass(200);
    await live.says(/--capture \S+: no space left on device; packets are not written until it can be/);
    const url = /metrics at (http:\S+)/.exec(live.stderr)![1]!;
    const metrics = async (): Promise<string> => (await fetch(url)).text();
    assert.match(await metrics(), /^slash32_capture_running 0$/m);
    await pair.pass(50);
    assert.ok(
      Number(/^slash32_capture_packets_total\{result="lost"\} (\d+)$/m.exec(await metrics())![1]) > 100,
    );
    // At any time there are whole packets in it, as far as it goes.
    const first = readFileSync(`${file}.part`);
    assert.ok(packetsIn(first) > 20, `${packetsIn(first)} packets`);
    assert.is(statSync(`${file}.part`).mode & 0o777, 0o600);
    rmSync(`${disk}/ballast`);
    await live.says(/--capture \S+: goes on; \d+ packets were not written/, 60_000);
    assert.match(await metrics(), /^slash32_capture_running 1$/m);
    await pair.pass(5, 100);
    const ended = await live.end();
    const { capture, frames } = summaryOf(ended);
    assert.is(ended.code, 1, "packets are missing");
    assert.is(frames, pair.sent);
    const bytes = readFileSync(file);
    assert.is(capture.state, "done");
    assert.is(capture.packets, packetsIn(bytes));
    assert.is(capture.bytes, bytes.length);
    // Each frame is one that came in and one that left.
    assert.is(capture.packets + capture.lost, 2 * pair.sent);
    assert.is(sectionsIn(bytes), 2);
    assert.equal(bytes.subarray(0, first.length), first, "what was there stays");
    const numbers = numbersIn(bytes);
    assert.equal(
      numbers,
      [...numbers].sort((one, other) => one - other),
    );
    assert.is(numbers.at(-1), pair.sent - 1);
    assert.is(statSync(file).mode & 0o777, 0o600);
    assert.not.ok(existsSync(`${file}.part`));
    if (spawnSync("tshark", ["-v"]).status === 0)
      assert.is(
        execFileSync("tshark", ["-r", file], { encoding: "utf8" }).trim().split("\n").length,
        capture.packets,
      );
  }));

test("the disk is full until the end: what could be written is a whole file under its name", () =>
  inFolder(async folder => {
    const disk = smallDisk(folder, 64);
    for (const name of ["out.pcapng", "out.pcapng.gz"]) {
      const pair = await livePair(folder, ["--capture", `${disk}/${name}`, "--format", "json"]);
      const plain = Buffer.alloc(1000);
      // What does not compress.
      for (let times = 0; times < 2; times++) {
        for (let at = 0; at < plain.length; at++) plain[at] = (at * 7919 + times * 104_729) % 251;
        await pair.pass(300, 1000 + times);
      }
      const ended = await pair.live.end();
      const { capture } = summaryOf(ended);
      const bytes = readFileSync(`${disk}/${name}`);
      const whole = name.endsWith(".gz") ? gunzipSync(bytes) : bytes;
      assert.is(packetsIn(whole), capture.packets);
      assert.is(capture.packets + capture.lost, 2 * pair.sent);
      assert.is(ended.code, capture.lost === 0 ? 0 : 1);
      if (name === "out.pcapng") assert.ok(capture.lost > 0 && capture.packets > 0);
      rmSync(`${disk}/${name}`);
    }
  }));

test("a device that takes nothing, and a disk that is full from the start", () =>
  inFolder(async folder => {
    const pair = await livePair(folder, ["--capture", "/dev/full", "--format", "json"]);
    await pair.pass(3);
    await pair.live.says(/--capture \/dev\/full: no space left on device; packets are not written/);
    await pair.pass(3);
    const ended = await pair.live.end();
    assert.is(ended.code, 1);
    assert.equal(summaryOf(ended).capture, { state: "done", packets: 0, lost: 12, bytes: 0 });

    const disk = smallDisk(folder, 64);
    spawnSync("dd", ["if=/dev/zero", `of=${disk}/ballast`, "bs=4096"]);
    const other = await livePair(folder, ["--capture", `${disk}/out.pcapng`, "--format", "json"]);
    await other.pass(3);
    await other.live.says("no space left on device");
    const none = await other.live.end();
    assert.is(none.code, 1);
    assert.match(none.stderr, /--capture \S+: nothing could be written, and there is no file/);
    assert.not.ok(existsSync(`${disk}/out.pcapng`));
    assert.not.ok(existsSync(`${disk}/out.pcapng.part`));
  }));

test("--capture-limit: the file is complete at its limit, under its name, while frames go on", () =>
  inFolder(async folder => {
    for (const [name, limit] of [
      ["out.pcapng", "20K"],
      ["out.pcapng.gz", "2000"],
    ] as const) {
      const file = folder.at(name);
      const pair = await livePair(folder, ["--capture", file, "--capture-limit", limit, "--format", "json"]);
      for (let times = 0; times < 60 && !existsSync(file); times++) {
        await pair.pass(20);
        await new Promise(resolve => setTimeout(resolve, 50));
      }
      await pair.live.says(/--capture \S+: complete at its limit, \d+ bytes; frames go on/);
      const bytes = readFileSync(file);
      assert.ok(bytes.length <= parseSize("", limit), `${bytes.length} bytes`);
      await pair.pass(20);
      const ended = await pair.live.end();
      assert.is(ended.code, 0, "a limit that was asked for is no failure");
      const { capture } = summaryOf(ended);
      const whole = name.endsWith(".gz") ? gunzipSync(bytes) : bytes;
      assert.equal([capture.state, capture.lost, capture.packets], ["limit", 0, packetsIn(whole)]);
      assert.equal(readFileSync(file), bytes, "nothing is written behind it");
    }
  }));

test("a file size limit of the system ends the capture, whole, and nothing else", () =>
  inFolder(async folder => {
    const port = (name: string): string[] => ["--port", `${name}=punix:${folder.at(name)}`];
    const file = folder.at("out.pcapng");
    const words = [
      "-n",
      folder.at("hv.yaml"),
      ...port("a"),
      ...port("b"),
      "--capture",
      file,
      "--format",
      "json",
    ];
    const command = `ulimit -f 64; exec "$@"`;
    const child = spawn("bash", ["-c", command, "live", process.execPath, PROGRAM, "live", ...words]);
    try {
      const [said, out] = [textOf(child, "stderr"), textOf(child, "stdout")];
      await until(() => said().includes("slash32: live:"), 60_000, said, child);
      const [a, b] = [await Peer.connect(folder.at("a")), await Peer.connect(folder.at("b"))];
      for (let round = 1; round <= 10; round++) {
        a.send(...Array.from({ length: 20 }, (_, number) => fromA(number, { bytes: 1000 })));
        await b.receives(20 * round);
      }
      await until(() => /file too large; the capture ends, frames go on/.test(said()), 60_000, said, child);
      a.send(fromA(1));
      await b.receives(201);
      child.kill("SIGTERM");
      const code = await new Promise(resolve => child.once("close", resolve));
      assert.is(code, 1, said());
      const { capture } = JSON.parse(out()) as { capture: { state: string; packets: number; lost: number } };
      assert.is(capture.state, "failed");
      assert.is(packetsIn(readFileSync(file)), capture.packets);
      assert.ok(capture.lost > 0 && capture.packets > 10);
    } finally {
      child.kill("SIGKILL");
    }
  }));

test("a pipe: nobody who reads is one line; a slow reader gets whole sections; one who goes ends the capture", () =>
  inFolder(async folder => {
    const fifo = folder.at("fifo");
    execFileSync("mkfifo", [fifo]);
    const port = ["--port", `a=punix:${folder.at("a")}`];
    const alone = await runLive(["-n", folder.at("hv.yaml"), ...port, "--capture", fifo]);
    assert.is(alone.code, 1);
    assert.match(alone.stderr, /^slash32: --capture \S+: nobody reads this pipe; start its reader first\n$/);

    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const pair = await livePair(folder, ["--capture", fifo, "--format", "json"]);
    await pair.pass(600);
    await pair.live.says("whoever reads it is too slow", 60_000);
    const piece = Buffer.alloc(65_536);
    let read = Buffer.alloc(0);
    const take = (): void => {
      try {
        for (let count = 1; count > 0; read = Buffer.concat([read, piece.subarray(0, count)]))
          count = readSync(reader, piece);
      } catch (error) {
        assert.is((error as NodeJS.ErrnoException).code, "EAGAIN");
      }
    };
    await until(
      () => {
        take();
        return pair.live.stderr.includes("goes on");
      },
      60_000,
      () => pair.live.stderr,
    );
    await pair.pass(1);
    const before = read.length;
    await until(() => {
      take();
      return read.length > before;
    }, 60_000);
    assert.ok(sectionsIn(read) >= 2);
    assert.ok(packetsIn(read) > 100);
    closeSync(reader);
    await pair.pass(1);
    await pair.live.says("the reader closed the pipe; the capture ends, frames go on", 60_000);
    await pair.pass(1);
    assert.is((await pair.live.end()).code, 1);
  }));

/** What a child has said. */
function textOf(child: ChildProcess, stream: "stdout" | "stderr"): () => string {
  let text = "";
  child[stream]!.on("data", piece => {
    text += piece;
  });
  return () => text;
}

test("standard output that is full, or closed by its reader, ends no traffic", () =>
  inFolder(async folder => {
    const port = (name: string): string[] => ["--port", `${name}=punix:${folder.at(name)}`];
    const words = ["-n", folder.at("hv.yaml"), ...port("a"), ...port("b"), "--format", "ndjson"];
    for (const [redirect, problem] of [
      ["> /dev/full", "no space left on device"],
      ["| head -c 1 > /dev/null", "the reader closed the pipe"],
    ] as const) {
      const command = `set -o pipefail; "$@" ${redirect}`;
      const args = ["-c", command, "live", process.execPath, PROGRAM, "live", ...words];
      const child = spawn("bash", args, { detached: true });
      try {
        const said = textOf(child, "stderr");
        const expected = `standard output: ${problem}; slash32 writes nothing more there, live goes on`;
        await until(() => said().includes(expected), 60_000, said, child);
        const [a, b] = [await Peer.connect(folder.at("a")), await Peer.connect(folder.at("b"))];
        a.send(fromA(1));
        await b.receives(1);
        const [pid] = execFileSync("pgrep", ["-P", String(child.pid), "-f", "bin/slash32"], {
          encoding: "utf8",
        })
          .trim()
          .split("\n");
        process.kill(Number(pid), "SIGTERM");
        assert.is(await new Promise(resolve => child.once("close", resolve)), 1, said());
        assert.is(said().split("standard output").length, 2, "said once");
      } finally {
        // All of its group: without bash the program would go on, and hold the test's pipes open.
        if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
      }
    }
  }));

test("a reader of standard output that reads no more holds up neither signals nor frames", () =>
  inFolder(async folder => {
    const port = (name: string): string[] => ["--port", `${name}=punix:${folder.at(name)}`];
    const words = ["-n", folder.at("hv.yaml"), ...port("a"), ...port("b"), "--format", "ndjson"];
    const fifo = folder.at("fifo");
    execFileSync("mkfifo", [fifo]);
    const both = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const stdout = openSync(fifo, constants.O_WRONLY);
    const piece = Buffer.alloc(4096, "x");
    try {
      for (;;) writeSync(both, piece);
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, "EAGAIN");
    }
    const child = spawn(process.execPath, [PROGRAM, "live", ...words], { stdio: ["ignore", stdout, "pipe"] });
    closeSync(stdout);
    try {
      const said = textOf(child, "stderr");
      await until(() => said().includes("slash32: live:"), 60_000, said, child);
      const [a, b] = [await Peer.connect(folder.at("a")), await Peer.connect(folder.at("b"))];
      // Longer than the time after which the first line is written.
      await new Promise(resolve => setTimeout(resolve, 1500));
      a.send(fromA(1));
      await b.receives(1);
      child.kill("SIGHUP");
      await until(() => said().includes("reloaded the intent"), 60_000, said, child);
      const closed = new Promise(resolve => child.once("close", resolve));
      child.kill("SIGTERM");
      await until(
        () => said().includes("standard output: the reader is blocked; totals are not printed"),
        60_000,
        said,
      );
      // The line that was on its way is still the kernel's: once it is read the process can end.
      for (let isOpen = true; isOpen; await new Promise(resolve => setTimeout(resolve, 5))) {
        try {
          while (readSync(both, piece) > 0);
        } catch {
          isOpen = child.exitCode === null;
        }
      }
      assert.is(await closed, 1);
    } finally {
      child.kill("SIGKILL");
      closeSync(both);
    }
  }));

// ── Without a process ──────────────────────────────────────────────────────────────────────────────────────

const record = (bytes: number): Mirrored => ({
  inPort: 11,
  outPort: 0,
  verdict: 0,
  reason: 1,
  time: 1000,
  frame: new Uint8Array(bytes),
  out: new Uint8Array(0),
});

test("after a failure it waits longer each time, ten seconds at most, and says each change once", () => {
  const said: string[] = [];
  let now = 0;
  const capture = new PassingCapture("/dev/full", {
    mostBytes: null,
    onNote: text => void said.push(text),
    clock: () => now,
  });
  capture.begin(new Map([[11, "a"]]));
  capture.write(record(100));
  for (; now < 120_000; now += 500) capture.tick();
  assert.is(said.length, 1, "nothing is said of tries in vain");
  assert.equal([capture.counts.state, capture.counts.lost], ["waiting", 1]);
  capture.write(record(100));
  assert.is(capture.finish(), false);
  assert.equal([capture.counts.state, capture.counts.lost], ["done", 2]);
});

test("an older file, a link, and what a killed run left behind: the mode is 0600 in each case", () =>
  inFolder(async folder => {
    const file = folder.at("out.pcapng");
    const take = (name: string): Buffer => {
      const capture = new PassingCapture(name, { mostBytes: null, onNote: text => assert.unreachable(text) });
      capture.begin(new Map([[11, "a"]]));
      capture.write(record(60));
      assert.is(capture.finish(), true);
      assert.is(statSync(file).mode & 0o777, 0o600);
      return readFileSync(file);
    };
    writeFileSync(file, "old", { mode: 0o644 });
    writeFileSync(`${file}.part`, "left behind, and longer than what is written now".repeat(100), {
      mode: 0o666,
    });
    assert.is(packetsIn(take(file)), 1);
    symlinkSync(file, folder.at("link"));
    assert.is(packetsIn(take(folder.at("link"))), 1);
  }));

test("sizes: what is one, and what is none", () => {
  const sizes = ["1", "512", "64K", "64k", "10M", "1G"].map(text => parseSize("--capture-limit", text));
  assert.equal(sizes, [1, 512, 65_536, 65_536, 10_485_760, 1_073_741_824]);
  for (const text of ["0", "", "-1", "1.5G", "10MB", "K", "1 M", "0x10", "9".repeat(16), "1T", "99999999G"])
    assert.throws(
      () => parseSize("--capture-limit", text),
      /is not a size; expected bytes, or a number with K, M or G/,
    );
});

/** What is wrong, and what is said about it. */
const WRONG: readonly (readonly [readonly string[], RegExp])[] = [
  [["--capture-limit", "1M"], /^slash32: --capture-limit requires --capture OUT\.pcapng$/m],
  [
    ["--capture", "OUT", "--capture-limit", "much"],
    /^slash32: --capture-limit: "much" is not a size; expected bytes/,
  ],
  [
    ["--capture", "OUT", "--capture-limit", "20"],
    /--capture-limit: 20 bytes are too few; the names of the ports take \d+/,
  ],
  [
    ["--capture", "/nowhere/out.pcapng"],
    /^slash32: --capture \/nowhere\/out.pcapng: no such file or directory$/m,
  ],
  [["--capture", "/"], /^slash32: --capture \/: is a directory/],
  [["--capture", "x.zst"], /^slash32: --capture x.zst: zstd is read, not written/],
  [["--capture", "-"], /^slash32: --capture requires a file/],
];

test("what is wrong with --capture and --capture-limit is one clear line, and leaves no file", () =>
  inFolder(async folder => {
    for (const [words, said] of WRONG) {
      const out = folder.at("out.pcapng");
      const { code, stderr } = await runLive([
        "-n",
        folder.at("hv.yaml"),
        "--port",
        `a=punix:${folder.at("a")}`,
        ...words.map(word => (word === "OUT" ? out : word)),
      ]);
      assert.is(code, 1, stderr);
      assert.match(stderr, said);
      assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
      assert.not.ok(existsSync(out) || existsSync(`${out}.part`), words.join(" "));
    }
  }));

test.run();
