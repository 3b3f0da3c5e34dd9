/**
 * Live ports over unix sockets, which need no privilege: the framing, whatever pieces it comes in, intents
 * read again under traffic, signals, limits, captures, comparison and metrics. The program runs as a process.
 */
import { spawnSync } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { assert, peer, suite } from "../harness.ts";
import {
  ADDRESSES,
  Folder,
  framed,
  fromA,
  INTENT,
  killAll,
  MACS,
  numberIn,
  Peer,
  runLive,
  startLive,
  summaryOf,
  until,
} from "./base.ts";

const test = suite("live ports over unix sockets");

const port = (folder: Folder, name: string): string[] => ["--port", `${name}=punix:${folder.at(name)}`];

/** The program with ports that listen, and a peer at each. */
async function livePeers(folder: Folder, names: readonly string[], more: readonly string[] = []) {
  const words = [
    "-n",
    folder.at("hv.yaml"),
    ...names.flatMap(name => port(folder, name)),
    "--format",
    "json",
    ...more,
  ];
  const live = await startLive(words);
  const peers = await Promise.all(names.map(name => Peer.connect(folder.at(name))));
  return { live, peers };
}

/** Runs a test in a folder that goes away. */
async function inFolder(body: (folder: Folder) => Promise<void>): Promise<void> {
  const folder = new Folder();
  try {
    await body(folder);
  } finally {
    killAll();
    folder.remove();
  }
}

test("frames pass, are rewritten, and are counted", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["up", "a", "b"]);
    const [up, a, b] = peers as [Peer, Peer, Peer];
    a.send(fromA(1), fromA(2, { dst: ADDRESSES.far }), fromA(3, { src: "9.9.9.9" }));
    const [delivered] = await b.receives(1);
    const [labelled] = await up.receives(1);
    assert.is(delivered!.toString("hex", 0, 12), "52540000000cfe0000000101");
    assert.is(numberIn(delivered!), 1);
    // Label 3003, TC 0, bottom of stack, TTL 63.
    assert.is(labelled!.toString("hex", 12, 18), "884700bbb13f");
    assert.is(numberIn(labelled!, 1), 2);
    const ended = await live.end();
    const summary = summaryOf(ended);
    assert.is(ended.code, 0);
    assert.is(summary.frames, 3);
    assert.equal(summary.outputs, { 1: 1, 12: 1 });
    assert.equal(summary.drops, { "spoofed-source": 1 });
  }));

test("frames come whole out of any pieces", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"]);
    const [a, b] = peers as [Peer, Peer];
    const frames = Array.from({ length: 40 }, (_, index) => fromA(index, { bytes: 26 + index * 37 }));
    const bytes = framed(frames);
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 911 || 1) {
      a.socket.write(bytes.subarray(at, at + step));
      if (step % 3 === 0) await new Promise(resolve => setTimeout(resolve, 1));
    }
    const out = await b.receives(frames.length);
    assert.equal(
      out.map(frame => numberIn(frame)),
      frames.map((_, index) => index),
    );
    assert.equal(
      out.map(({ length }) => length),
      frames.map(({ length }) => length),
    );
    assert.is((await live.end()).code, 0);
  }));

test("too short and too long frames are verdicts", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"]);
    peers[0]!.send(Buffer.alloc(13), fromA(1, { bytes: 9300 }), Buffer.alloc(65535), fromA(2));
    await peers[1]!.receives(1);
    assert.equal(summaryOf(await live.end()).drops, { "too-short": 1, "too-long": 2 });
  }));

test("a frame for a port without a device is counted as undelivered", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"]);
    peers[0]!.send(fromA(1, { dst: ADDRESSES.far }), fromA(2));
    await peers[1]!.receives(1);
    assert.is(summaryOf(await live.end("SIGINT")).undelivered, 1);
  }));

test("a peer that goes may come again, and a port that connects finds its peer again", () =>
  inFolder(async folder => {
    const sockets: Socket[] = [];
    const server = createServer(socket => sockets.push(socket));
    const words = ["-n", folder.at("hv.yaml"), ...port(folder, "a"), "--port", `b=unix:${folder.at("b")}`];
    const live = await startLive([...words, "--format", "json"]);
    await live.says(/b: unix:.* nobody listens there.*; trying again/);
    await new Promise<void>(resolve => server.listen(folder.at("b"), resolve));
    await live.says(/b: unix:\S+ is there/);
    const first = await Peer.connect(folder.at("a"));
    await until(() => sockets.length === 1);
    const b = new Peer(sockets[0]!);
    first.send(fromA(1));
    await b.receives(1);
    first.close();
    b.close();
    await live.says(/b: unix:\S+ is gone: the other end closed it/);
    await until(() => sockets.length === 2);
    const again = await Peer.connect(folder.at("a"));
    const bAgain = new Peer(sockets[1]!);
    again.send(fromA(2));
    assert.is(numberIn((await bAgain.receives(1))[0]!), 2);
    assert.is((await live.end()).code, 0);
    server.close();
    bAgain.close();
  }));

test("an intent that is read again loses no frame", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["up", "a", "b"]);
    const [up, a, b] = peers as [Peer, Peer, Peer];
    const moved = INTENT.replace("labels: [3003]", "labels: [4004]");
    let sent = 0;
    let reloads = 0;
    const taken = (): number => live.stderr.split("reloaded the intent").length - 1;
    for (let round = 0; round < 60 || reloads < 4; round++) {
      const frames = Array.from({ length: 50 }, () => {
        const number = sent++;
        return fromA(number, number % 2 === 0 ? {} : { dst: ADDRESSES.far });
      });
      a.send(...frames);
      if (round % 10 === 5 && taken() === reloads) {
        folder.write("hv.yaml", reloads++ % 2 === 0 ? moved : INTENT);
        live.child.kill("SIGHUP");
      }
      await new Promise(resolve => setTimeout(resolve, 4));
    }
    await until(() => taken() === reloads);
    const near = await b.receives(sent / 2);
    const far = await up.receives(sent / 2);
    assert.equal(
      near.map(frame => numberIn(frame)),
      Array.from({ length: sent / 2 }, (_, index) => 2 * index),
    );
    assert.equal(
      far.map(frame => numberIn(frame, 1)),
      Array.from({ length: sent / 2 }, (_, index) => 2 * index + 1),
    );
    const labels = far.map(frame => frame.readUInt32BE(14) >>> 12);
    assert.equal([...new Set(labels)].sort(), [3003, 4004]);
    const summary = summaryOf(await live.end());
    assert.is(summary.frames, sent);
    assert.is(summary.reloads, reloads);
  }));

test("an intent with errors is refused by line, and the old one stays", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"], ["--watch"]);
    folder.write("hv.yaml", INTENT.replace("label: 1001", "label: 7"));
    await live.says(/hv\.yaml:3:8: .*\nslash32: the new intent is rejected; the old intent stays in force/);
    peers[0]!.send(fromA(1));
    await peers[1]!.receives(1);
    folder.write("hv.yaml", INTENT.replace(", path: l3 }\n  - { id: 3", ", path: l2 }\n  - { id: 3"));
    await live.says("reloaded the intent");
    peers[0]!.send(fromA(2));
    const summary = summaryOf(await live.end());
    assert.is(summary.refused, 1);
    assert.is(summary.reloads, 1);
    // b is on the layer-2 path now: what a sends it takes the route.
    assert.is(summary.undelivered, 1);
  }));

test("a port of a later intent waits for it, and one that the intent loses is let go", () =>
  inFolder(async folder => {
    const without = INTENT.split("\n")
      .filter(line => !line.includes("name: b,"))
      .join("\n");
    folder.write("hv.yaml", without);
    const words = [
      "-n",
      folder.at("hv.yaml"),
      ...port(folder, "a"),
      ...port(folder, "b"),
      "--format",
      "json",
    ];
    const refused = await runLive(words);
    assert.is(refused.code, 1);
    assert.match(
      refused.stderr,
      /--port b: the intent has no port "b"; expected one of up, a, c, or --allow-unknown-ports/,
    );
    const live = await startLive([...words, "--allow-unknown-ports"]);
    const a = await Peer.connect(folder.at("a"));
    folder.write("hv.yaml", INTENT);
    live.child.kill("SIGHUP");
    await live.says("reloaded the intent");
    const b = await Peer.connect(folder.at("b"));
    a.send(fromA(1));
    await b.receives(1);
    folder.write("hv.yaml", without);
    live.child.kill("SIGHUP");
    await until(() => b.socket.closed);
    const summary = summaryOf(await live.end());
    assert.equal(
      summary.ports.map(({ port_name, port: number, open }: Record<string, unknown>) => [
        port_name,
        number,
        open,
      ]),
      [
        ["a", 11, true],
        ["b", null, false],
      ],
    );
  }));

test("--capture writes what came and what left, with verdicts and directions", () =>
  inFolder(async folder => {
    peer("tshark");
    const { live, peers } = await livePeers(folder, ["up", "a", "b"], ["--capture", folder.at("out.pcapng")]);
    peers[1]!.send(fromA(1), fromA(2, { src: "9.9.9.9" }), fromA(3, { dst: ADDRESSES.far }));
    await peers[0]!.receives(1);
    assert.is((await live.end()).code, 0);
    const fields = ["frame.interface_name", "frame.packet_flags_direction", "frame.comment", "eth.dst"];
    const { stdout } = spawnSync(
      "tshark",
      ["-r", folder.at("out.pcapng"), "-T", "fields", ...fields.flatMap(field => ["-e", field])],
      { encoding: "utf8" },
    );
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map(line => line.split("\t"));
    assert.equal(rows, [
      ["a", "0x00000001", "output b", "fe:00:00:00:01:01"],
      ["b", "0x00000002", "from a", MACS.b],
      ["a", "0x00000001", "drop spoofed-source", "fe:00:00:00:01:01"],
      ["a", "0x00000001", "output up", "fe:00:00:00:01:01"],
      ["up", "0x00000002", "from a", "02:00:00:00:00:fe"],
    ]);
  }));

test("--against finds what the flows do otherwise, and follows the intent", () =>
  inFolder(async folder => {
    const flowsOf = (intent: string): string => {
      folder.write("other.yaml", intent);
      const program = new URL("../../bin/slash32", import.meta.url).pathname;
      return spawnSync(process.execPath, [program, "compile", folder.at("other.yaml")], { encoding: "utf8" })
        .stdout;
    };
    folder.write("flows", flowsOf(INTENT));
    const against = ["--against", folder.at("flows"), "--every", "1"];
    const same = await livePeers(folder, ["up", "a", "b"], against);
    const frames = [
      fromA(1),
      fromA(2, { dst: ADDRESSES.far }),
      fromA(3, { src: "9.9.9.9" }),
      Buffer.alloc(10),
    ];
    same.peers[1]!.send(...frames);
    await same.peers[0]!.receives(1);
    const relabelled = INTENT.replace("labels: [3003]", "labels: [4004]");
    folder.write("hv.yaml", relabelled);
    folder.write("flows", flowsOf(relabelled));
    same.live.child.kill("SIGHUP");
    await same.live.says("reloaded the intent");
    same.peers[1]!.send(...frames);
    await same.peers[0]!.receives(2);
    const equal = await same.live.end();
    assert.is(equal.code, 0, equal.stderr);
    assert.equal(summaryOf(equal).against, { frames: 8, different: 0 });

    folder.write("flows", flowsOf(INTENT));
    const other = await livePeers(folder, ["up", "a", "b"], against);
    other.peers[1]!.send(...frames);
    await other.peers[0]!.receives(1);
    const different = await other.live.end();
    assert.is(different.code, 2, different.stderr);
    const { frames: compared, different: found } = summaryOf(different).against;
    assert.equal([compared, found], [4, 1]);
  }));

test("--metrics answers Prometheus on loopback only", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"], ["--metrics", "0"]);
    peers[0]!.send(fromA(1), fromA(2, { src: "9.9.9.9" }));
    await peers[1]!.receives(1);
    const url = /metrics at (http:\S+)/.exec(live.stderr)![1]!;
    const text = await (await fetch(url)).text();
    assert.match(text, /^# TYPE slash32_frames_total counter$/m);
    assert.match(text, /^slash32_frames_total\{port="a",direction="in"\} 2$/m);
    assert.match(text, /^slash32_frames_total\{port="b",direction="out"\} 1$/m);
    assert.match(text, /^slash32_drops_total\{reason="spoofed-source"\} 1$/m);
    assert.match(text, /^slash32_port_up\{port="a",device="punix:[^"]*"\} 1$/m);
    assert.is((await fetch(url.replace("/metrics", "/other"))).status, 404);
    const refused = await fetch(url, { method: "POST", body: "x".repeat(100_000) });
    assert.equal([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
    const head = await fetch(url, { method: "HEAD" });
    assert.equal([head.status, await head.text()], [200, ""]);
    assert.is((await fetch(`${url}?name=slash32`)).status, 200);
    assert.is((await live.end()).code, 0);
  }));

test("--count and --duration end it", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"], ["--count", "3"]);
    peers[0]!.send(fromA(1), fromA(2), fromA(3));
    const counted = await live.ended;
    assert.is(counted.code, 0);
    assert.is(summaryOf(counted).frames, 3);
    const timed = await runLive(["-n", folder.at("hv.yaml"), ...port(folder, "a"), "--duration", "0.2"]);
    assert.is(timed.code, 0);
    assert.match(timed.stdout, /^0 frames in \d/);
  }));

test("what is on its way when it is told to stop still passes", () =>
  inFolder(async folder => {
    const { live, peers } = await livePeers(folder, ["a", "b"]);
    const frames = Array.from({ length: 500 }, (_, index) => fromA(index));
    peers[0]!.send(...frames);
    await peers[1]!.receives(1);
    const ended = await live.end("SIGINT");
    assert.is(ended.code, 0);
    const { frames: came, outputs } = summaryOf(ended);
    assert.is(came, outputs[12]);
    await peers[1]!.receives(came);
    assert.is(peers[1]!.frames.length, came);
  }));

/** What is wrong, and what is said about it. */
const WRONG: readonly (readonly [string, (folder: Folder) => string[], RegExp])[] = [
  ["no port", () => [], /^slash32: live needs a port: --port NAME=DEVICE/],
  ["no device", () => ["--port", "a"], /^slash32: --port a: expected NAME=DEVICE/],
  [
    "a device of no kind",
    () => ["--port", "a=eth0"],
    /^slash32: "eth0" is not a device; expected tap:NAME, afpacket:IF/,
  ],
  ["no name", () => ["--port", "a=tap:"], /^slash32: "tap:": an interface's name is missing/],
  ["a long name", () => ["--port", "a=tap:abcdefghijklmnop"], /has at most 15 bytes, not 16$/m],
  [
    "a stranger",
    f => port(f, "web"),
    /^slash32: --port web: the intent has no port "web"; expected one of up, a, b, c/,
  ],
  [
    "a port twice",
    f => [...port(f, "a"), "--port", `a=punix:${f.at("x")}`],
    /^slash32: --port a: the port has a device already/,
  ],
  ["a device twice", f => [...port(f, "a"), "--port", `b=punix:${f.at("a")}`], /the device is used twice/],
  ["no folder", f => ["--port", `a=punix:${f.at("no/such")}`], /its folder does not exist$/m],
  [
    "another's file",
    f => ["--port", `a=punix:${f.at("hv.yaml")}`],
    /the device is busy: another program listens there, or the file is not a socket$/m,
  ],
  [
    "metrics for all",
    f => [...port(f, "a"), "--metrics", "0.0.0.0:0"],
    /"0\.0\.0\.0" is not a loopback address; expected 127\.0\.0\.1/,
  ],
  ["metrics nowhere", f => [...port(f, "a"), "--metrics", "x"], /expected PORT or HOST:PORT/],
  ["--every alone", f => [...port(f, "a"), "--every", "3"], /^slash32: --every requires --against FLOWS/],
  [
    "a bad time",
    f => [...port(f, "a"), "--duration", "soon"],
    /--duration: "soon" is not a valid time; expected seconds/,
  ],
];

for (const [what, words, said] of WRONG)
  test(`${what} is one clear line`, () =>
    inFolder(async folder => {
      const { code, stdout, stderr } = await runLive(["-n", folder.at("hv.yaml"), ...words(folder)]);
      assert.is(code, 1, stderr);
      assert.is(stdout, "");
      assert.match(stderr, said);
      assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
    }));

test("a socket in use is busy, one left behind is taken over", () =>
  inFolder(async folder => {
    const words = ["-n", folder.at("hv.yaml"), ...port(folder, "a")];
    const live = await startLive(words);
    const busy = await runLive(words);
    assert.is(busy.code, 1);
    assert.match(busy.stderr, /punix:\S+: the device is busy/);
    await live.end("SIGKILL");
    const again = await startLive(words);
    assert.is((await again.end()).code, 0);
  }));

test.run();
