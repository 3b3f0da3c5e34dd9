/**
 * Other people's readers and writers: what we write is read the same by pcap-parser, tshark and capinfos,
 * frame by frame with time, length, port and comment; what editcap and mergecap write, we read as we read its
 * original. A program that is not installed is skipped.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { assert, peer, suite } from "../harness.ts";
import {
  type Arrival,
  check,
  expectedOf,
  linesOf,
  merged,
  mixed,
  PcapNg,
  PORTS,
  pcap,
  type ReadPacket,
  Sandbox,
  sameLines,
  TAP7,
  TAP11,
} from "./base.ts";

const test = suite("replay/peers");
const START = 1_709_251_200_123_456_789n;

/** What of pcap-parser is used here; the package has no types of its own. */
interface PcapParser {
  parse(file: string): {
    on(event: "packet", listener: (packet: ParsedPacket) => void): void;
    on(event: "end", listener: () => void): void;
    on(event: "error", listener: (error: Error) => void): void;
  };
}
interface ParsedPacket {
  header: {
    timestampSeconds: number;
    timestampMicroseconds: number;
    capturedLength: number;
    originalLength: number;
  };
  data: Buffer;
}
const pcapParser = createRequire(import.meta.url)("pcap-parser") as PcapParser;

/** Time in nanoseconds and bytes of each packet, as pcap-parser reads it. */
function parsedLines(file: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const lines: string[] = [];
    const parser = pcapParser.parse(file);
    parser.on("packet", ({ header, data }) => {
      assert.is(header.capturedLength, header.originalLength);
      const micros = BigInt(header.timestampSeconds) * 1_000_000n + BigInt(header.timestampMicroseconds);
      lines.push(`${micros * 1000n} ${data.toString("hex")}`);
    });
    parser.on("end", () => resolve(lines));
    parser.on("error", reject);
  });
}

function arrivalsOf(count: number, unit: bigint, port = TAP11): Arrival[] {
  const start = (START / unit) * unit;
  return Array.from({ length: count }, (_, at) => ({
    port,
    time: start + BigInt(at) * 999_999_937n * unit,
    frame: mixed(at, (at * 13) % 300, port),
  }));
}

/** A time and bytes without the port: what a pcap holds. */
function withoutPort(lines: readonly string[]): string[] {
  return lines.map(line => `${line.split(" ")[0]} ${line.split(" ")[2]}`);
}

test("pcap-parser reads what we write", async () => {
  const box = new Sandbox();
  const arrivals = arrivalsOf(400, 1000n);
  box.put("in.pcap", pcap(arrivals.map(({ time, frame }) => ({ time: time / 1000n, frame }))));
  box.replay(["-r", "tap11=in.pcap", "-w", "out.pcap", "--drops", "drops.pcap"]);
  const { outputs, drops } = expectedOf(box.intent, arrivals);
  sameLines(await parsedLines(box.path("out.pcap")), withoutPort(outputs), "out.pcap");
  sameLines(await parsedLines(box.path("drops.pcap")), withoutPort(drops), "drops.pcap");
});

test("pcap-parser and we read the same, in both byte orders", async () => {
  const box = new Sandbox();
  const arrivals = arrivalsOf(50, 1000n);
  const records = arrivals.map(({ time, frame }) => ({ time: time / 1000n, frame }));
  for (const isBig of [false, true]) {
    box.put("in.pcap", pcap(records, { isBig }));
    const lines = (await parsedLines(box.path("in.pcap"))).map(line => line.split(" "));
    const read = lines.map(([time, hex]) => ({
      port: TAP11,
      time: BigInt(time!),
      frame: Buffer.from(hex!, "hex"),
    }));
    check(box, { args: ["-r", "tap11=in.pcap"], arrivals: read });
  }
});

// ── tshark, capinfos ───────────────────────────────────────────────────────────────────────────────────────

/** A line a packet, as tshark reads a capture: time, lengths, interface, comment, digest of the bytes. */
function tsharkLines(box: Sandbox, name: string): string[] {
  const fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name", "frame.comment"];
  const wanted = [...fields, "frame.md5_hash"].flatMap(field => ["-e", field]);
  const options = ["-n", "-o", "frame.generate_md5_hash:TRUE", "-T", "fields", "-E", "separator=|"];
  const { code, stdout, stderr } = box.spawn("tshark", ["-r", name, ...options, ...wanted]);
  assert.is(code, 0, stderr);
  return stdout.toString().trimEnd().split("\n");
}

/** The same of packets that we read ourselves. */
function asTshark({ time, name, frame, length, comments }: ReadPacket): string {
  const seconds = `${time / 1_000_000_000n}.${String(time % 1_000_000_000n).padStart(9, "0")}`;
  const digest = createHash("md5").update(frame).digest("hex");
  return [seconds, length, frame.length, name ?? "", comments.join(), digest].join("|");
}

test("tshark reads what we write: times to the nanosecond, lengths, ports, reasons, bytes", () => {
  peer("tshark");
  const box = new Sandbox();
  const arrivals = merged([
    arrivalsOf(60, 1n),
    arrivalsOf(60, 1n, TAP7),
    arrivalsOf(9, 1n).map(a => ({ ...a, port: 99 })),
  ]);
  const args = [TAP11, TAP7, 99].flatMap(port => {
    const own = arrivals.filter(arrival => arrival.port === port);
    box.put(`${port}`, pcap(own, { isNano: true }));
    return ["-r", `${port}=${port}`];
  });
  check(box, { args, arrivals, strangers: ["99"] });
  for (const name of ["out.pcapng", "drops.pcapng"]) {
    const { packets } = box.capture(name);
    assert.ok(packets.length > 20);
    sameLines(tsharkLines(box, name), packets.map(asTshark), name);
  }
});

test("tshark reads the sections that we go on in when clocks become finer", () => {
  peer("tshark");
  const box = new Sandbox();
  const file = new PcapNg().section();
  for (const [link, resolution] of [3, 6, 9].entries()) {
    file.interface({ name: "tap11", resolution });
    for (let at = 0; at < 5; at++) {
      const time = (START + BigInt(link * 5 + at) * 1_000_000n) / 10n ** BigInt(9 - resolution);
      file.packet(time, mixed(at * 5), { link });
    }
  }
  box.put("in.pcapng", file.bytes());
  assert.is(box.replay(["-r", "in.pcapng", "-w", "out.pcapng"]).code, 0);
  const { packets, sections } = box.capture("out.pcapng");
  assert.is(sections.length, 3);
  sameLines(tsharkLines(box, "out.pcapng"), packets.map(asTshark), "out.pcapng");
});

test("capinfos: type, encapsulation, counts, interfaces and their resolutions", () => {
  peer("capinfos");
  const box = new Sandbox();
  for (const [unit, digits] of [
    [1n, 9],
    [1000n, 6],
    [1_000_000n, 3],
  ] as const) {
    const arrivals = arrivalsOf(40, unit);
    const file = new PcapNg().section().interface({ name: "tap11", resolution: digits });
    for (const { time, frame } of arrivals) file.packet(time / unit, frame);
    box.put("in.pcapng", file.bytes());
    box.replay(["-r", "in.pcapng", "-w", "out.pcapng"]);
    const { packets } = box.capture("out.pcapng");
    const { code, stdout, stderr } = box.spawn("capinfos", ["-M", "out.pcapng"]);
    const text = stdout.toString();
    assert.is(code, 0, stderr);
    assert.match(text, /^File type: +pcapng/m);
    assert.match(text, /^File encapsulation: +ether/m);
    assert.match(text, new RegExp(`^Number of packets: +${packets.length}$`, "m"));
    const bytes = packets.reduce((sum, { frame }) => sum + frame.length, 0);
    assert.match(text, new RegExp(`^Data size: +${bytes}( |$)`, "m"));
    assert.equal(
      [...text.matchAll(/^ +Name = (.*)$/gm)].map(match => match[1]),
      PORTS,
    );
    const resolutions = [...text.matchAll(/^ +Time resolution = (0x\w+)/gm)].map(match => Number(match[1]));
    assert.equal(resolutions, [digits, digits, digits, digits]);
  }
  const pcapRun = box.replay(["-r", "in.pcapng", "-w", "out.pcap"]);
  assert.is(pcapRun.code, 0);
  assert.match(box.spawn("capinfos", ["-M", "out.pcap"]).stdout.toString(), /^File type: +pcap$/m);
});

// ── editcap, mergecap ──────────────────────────────────────────────────────────────────────────────────────

/** A pcapng of two ports, and the arrivals in it. */
function twoPorts(box: Sandbox): Arrival[] {
  const arrivals = merged([arrivalsOf(70, 1n), arrivalsOf(70, 1n, TAP7)]);
  const file = new PcapNg().section(true).interface({ name: "tap11", resolution: 9 });
  file.interface({ name: "7", resolution: 9 });
  for (const { port, time, frame } of arrivals) file.packet(time, frame, { link: port === TAP11 ? 0 : 1 });
  box.put("in.pcapng", file.bytes());
  return arrivals;
}

function spawn(box: Sandbox, command: string, ...args: string[]): void {
  const { code, stderr } = box.spawn(command, args);
  assert.is(code, 0, `${command} ${args.join(" ")}: ${stderr}`);
}

test("editcap's pcapng, nanosecond and microsecond pcap are read as their original", () => {
  peer("editcap");
  const box = new Sandbox();
  const arrivals = twoPorts(box);
  spawn(box, "editcap", "-F", "pcapng", "in.pcapng", "same.pcapng");
  check(box, { args: ["-r", "same.pcapng"], arrivals, resolution: 9 });
  const lists = [arrivalsOf(70, 1n), arrivalsOf(70, 1n, TAP7)];
  box.put("a", pcap(lists[0]!, { isNano: true, isBig: true }));
  spawn(box, "editcap", "-F", "nsecpcap", "a", "nano.pcap");
  check(box, { args: ["-r", "tap11=nano.pcap"], arrivals: lists[0]!, resolution: 9 });
  spawn(box, "editcap", "-F", "pcap", "a", "micro.pcap");
  const micro = lists[0]!.map(arrival => ({ ...arrival, time: (arrival.time / 1000n) * 1000n }));
  check(box, { args: ["-r", "tap11=micro.pcap"], arrivals: micro, resolution: 6 });
});

test("editcap -s: what it cuts is snapped, the rest is judged", () => {
  peer("editcap");
  const box = new Sandbox();
  const arrivals = twoPorts(box);
  const most = 120;
  const snapped = arrivals.filter(({ frame }) => frame.length > most).map(() => most);
  assert.ok(snapped.length > 20);
  const whole = arrivals.filter(({ frame }) => frame.length <= most);
  spawn(box, "editcap", "-s", String(most), "in.pcapng", "cut.pcapng");
  check(box, { args: ["-r", "cut.pcapng"], arrivals: whole, snapped });
});

test("what we write goes through editcap, with its ports and reasons", () => {
  peer("editcap");
  peer("tshark");
  const box = new Sandbox();
  const arrivals = twoPorts(box);
  check(box, { args: ["-r", "in.pcapng"], arrivals });
  for (const name of ["out.pcapng", "drops.pcapng"]) {
    spawn(box, "editcap", name, "again.pcapng");
    sameLines(tsharkLines(box, "again.pcapng"), box.capture(name).packets.map(asTshark), name);
  }
});

test("mergecap puts packets in the order in which we take them", () => {
  peer("mergecap");
  const box = new Sandbox();
  const offsets = [
    [0n, 5n, 5n, 9n, 40n],
    [1n, 5n, 6n, 9n, 9n],
    [5n, 9n, 10n, 11n, 12n],
  ];
  const names = ["tap11", "7", "tap11"];
  const lists = offsets.map((list, index) => {
    const port = index === 1 ? TAP7 : TAP11;
    return list.map((offset, at) => ({
      port,
      time: START + offset,
      frame: mixed(index * 10 + at, 20, port),
    }));
  });
  lists.forEach((list, index) => {
    const file = new PcapNg().section(index === 2).interface({ name: names[index]!, resolution: 9 });
    for (const { time, frame } of list) file.packet(time, frame);
    box.put(`${index}.pcapng`, file.bytes());
  });
  check(box, { args: ["-r", "0.pcapng", "-r", "1.pcapng", "-r", "2.pcapng"], arrivals: merged(lists) });
  const ours = linesOf(box.capture("out.pcapng"));
  // Of equal times mergecap takes the last file's packet first, so that its
  // files are given the other way round.
  spawn(box, "mergecap", "-w", "merged.pcapng", "2.pcapng", "1.pcapng", "0.pcapng");
  check(box, { args: ["-r", "merged.pcapng"], arrivals: merged(lists) });
  sameLines(linesOf(box.capture("out.pcapng")), ours, "mergecap");
});

test.run();
