/**
 * What the tests of replay share: the program run as a person runs it, in a folder of its own; an intent;
 * frames that leave, are answered or are dropped; and the comparison of everything a run wrote and said with
 * what the model of the pipeline says of the same frames.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, WAIT_MS } from "../harness.ts";
import { type ModelIntent, runModel } from "../model/model.ts";
import { internetChecksum } from "../model/random.ts";
import { type ReadCapture, readCapture } from "./captures.ts";

export * from "./captures.ts";

const program = join(import.meta.dirname, "../../bin/slash32");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A temporary folder with an intent `hv.json` in it, removed when the tests end. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "slash32-replay-"));
  readonly intent: ModelIntent;

  constructor(intent: ModelIntent = INTENT) {
    this.intent = intent;
    this.put("hv.json", Buffer.from(JSON.stringify(intent)));
    folders.push(this.folder);
  }

  put(name: string, bytes: Uint8Array): void {
    writeFileSync(this.path(name), bytes);
  }

  get(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  capture(name: string): ReadCapture {
    return readCapture(this.get(name));
  }

  has(name: string): boolean {
    return existsSync(this.path(name));
  }

  names(): string[] {
    return readdirSync(this.folder).sort();
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Any command, in this folder. */
  spawn(command: string, args: readonly string[], input?: Uint8Array): Outcome {
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      cwd: this.folder,
      input: input ?? new Uint8Array(0),
      maxBuffer: 1 << 28,
      timeout: 2 * WAIT_MS,
      env: { ...process.env, NO_COLOR: "1" },
    });
    if (error !== undefined) throw error;
    return { code: status, stdout, stderr: stderr.toString() };
  }

  run(args: readonly string[], input?: Uint8Array): Outcome {
    return this.spawn(process.execPath, [program, ...args], input);
  }

  replay(args: readonly string[], input?: Uint8Array): Outcome {
    return this.run(["replay", "-n", "hv.json", ...args], input);
  }

  /** A command line for the shell in which `slash32` is the program. */
  shell(line: string, input?: Uint8Array): Outcome {
    const script = `slash32() { "${process.execPath}" "${program}" "$@"; }\n${line}`;
    return this.spawn("sh", ["-c", script], input);
  }
}

// ── An intent, and frames for it ───────────────────────────────────────────────────────────────────────────

const UPLINK_MAC = "02:00:00:00:00:01";
const VIRTUAL_MAC = "fe:00:00:00:01:01";

function vm(ofport: number, port: string, path: "l3" | "dual-l2"): ModelIntent["vms"][number] {
  const mac = `52:54:00:00:00:${ofport.toString(16).padStart(2, "0")}`;
  return { id: ofport, name: `vm-${ofport}`, port, ofport, mac, addresses: [`203.0.113.${ofport}`], path };
}

/** One port has a number for a name, and the numbers are not in the order of the file. */
export const INTENT: ModelIntent = {
  name: "hv",
  bridge: "br0",
  label: 1001,
  virtualMac: VIRTUAL_MAC,
  trafficClass: 0,
  uplink: { port: "uplink0", ofport: 5, mac: UPLINK_MAC },
  vms: [vm(11, "tap11", "l3"), vm(3, "tap3", "dual-l2"), vm(12, "7", "l3")],
  routes: [{ prefix: "0.0.0.0/0", labels: [3003], via: "02:00:00:00:00:fe" }],
};

/** The ports in the order of their numbers, as the outputs have them. */
export const PORTS = ["tap3", "uplink0", "tap11", "7"];
export const TAP3 = 3;
export const UPLINK = 5;
export const TAP11 = 11;
export const TAP7 = 12;

const mac = (text: string): number[] => text.split(":").map(part => Number.parseInt(part, 16));
const be32 = (value: number): number[] => [24, 16, 8, 0].map(shift => (value >>> shift) & 255);
const be16 = (value: number): number[] => be32(value).slice(2);

/** An IPv4 packet with a number in it, so that each is another. */
function packet(number: number, from: number[], to: number[], bytes: number): number[] {
  const header = [0x45, 0, ...be16(20 + bytes), ...be16(number & 0xffff), 0, 0, 64, 17, 0, 0, ...from, ...to];
  header.splice(10, 2, ...be16(internetChecksum(header)));
  const payload = Array.from({ length: bytes }, (_, at) => (number >>> ((at & 3) * 8)) & 255);
  return [...header, ...payload];
}

/** From a VM of path l3: leaves by the uplink, with a label. */
export function routed(number: number, bytes = 20, ofport = TAP11): Buffer {
  const to = [198, 51, 100, number & 255];
  const own = mac(`52:54:00:00:00:${ofport.toString(16).padStart(2, "0")}`);
  const head = [...mac(VIRTUAL_MAC), ...own, 0x08, 0x00];
  return Buffer.from([...head, ...packet(number, [203, 0, 113, ofport], to, bytes)]);
}

/** From the uplink, with the hypervisor's label: is delivered to tap11. */
export function delivered(number: number, bytes = 20): Buffer {
  const head = [...mac(UPLINK_MAC), ...mac("02:00:00:00:00:fe"), 0x88, 0x47, ...be32((1001 << 12) | 0x140)];
  return Buffer.from([...head, ...packet(number, [198, 51, 100, 1], [203, 0, 113, TAP11], bytes)]);
}

/** An ARP request of a VM of path l3: is answered. */
export function asked(number: number, ofport = TAP11): Buffer {
  const own = mac(`52:54:00:00:00:${ofport.toString(16).padStart(2, "0")}`);
  const body = [0, 1, 8, 0, 6, 4, 0, 1, ...own, 203, 0, 113, ofport, 0, 0, 0, 0, 0, 0, 203, 0, 113, 200];
  const padding = [...be32(number), ...Array<number>(14).fill(0)];
  return Buffer.from([...mac("ff:ff:ff:ff:ff:ff"), ...own, 8, 6, ...body, ...padding]);
}

/** From a VM, with another one's MAC: is dropped as spoofed-source. */
export function spoofed(number: number, bytes = 20): Buffer {
  const frame = routed(number, bytes);
  frame[11]! ^= 0x40;
  return frame;
}

/** Of each kind in turn, for a VM of path l3. */
export function mixed(number: number, bytes = 20, ofport = TAP11): Buffer {
  if (number % 5 === 3) return asked(number, ofport);
  if (number % 5 === 1) return spoofed(number, bytes);
  return routed(number, bytes, ofport);
}

// ── What a run should have done ────────────────────────────────────────────────────────────────────────────

/** A frame that a run reads, in the order in which it should. */
export interface Arrival {
  readonly port: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly frame: Uint8Array;
  readonly comments?: readonly string[];
}

/** A stable merge of the heads, as the program should do it. */
export function merged(lists: readonly (readonly Arrival[])[]): Arrival[] {
  const heads = lists.map(() => 0);
  const all: Arrival[] = [];
  for (;;) {
    let chosen = -1;
    for (const [index, list] of lists.entries()) {
      const head = list[heads[index]!];
      if (head === undefined) continue;
      if (chosen < 0 || head.time < lists[chosen]![heads[chosen]!]!.time) chosen = index;
    }
    if (chosen < 0) return all;
    all.push(lists[chosen]![heads[chosen]!++]!);
  }
}

interface Expected {
  /** A line a frame: time, port's name, bytes. */
  readonly outputs: readonly string[];
  /** The same, and the reason. */
  readonly drops: readonly string[];
  /** The report without `seconds`. */
  readonly report: Record<string, unknown>;
}

/** What the model says of frames. */
export function expectedOf(
  intent: ModelIntent,
  arrivals: readonly Arrival[],
  snapped: number[] = [],
): Expected {
  const names = new Map([intent.uplink, ...intent.vms].map(({ ofport, port }) => [ofport, port]));
  const outputs: string[] = [];
  const drops: string[] = [];
  const sent = new Map<number, number>();
  const reasons = new Map<string, number>();
  let replies = 0;
  for (const { port, time, frame, comments = [] } of arrivals) {
    const result = runModel(intent, port, frame);
    const line = (number: number, bytes: Uint8Array): string =>
      `${time} ${names.get(number) ?? number} ${Buffer.from(bytes).toString("hex")}`;
    if (result.verdict === "drop") {
      drops.push([line(port, frame), result.reason, ...comments].join(" "));
      reasons.set(result.reason!, (reasons.get(result.reason!) ?? 0) + 1);
      continue;
    }
    outputs.push([line(result.port!, result.frame!), ...comments].join(" "));
    if (result.verdict === "reply") replies++;
    else sent.set(result.port!, (sent.get(result.port!) ?? 0) + 1);
  }
  const report = {
    type: "replay",
    schema: 1,
    frames: arrivals.length + snapped.length,
    outputs: Object.fromEntries(sent),
    replies,
    drops: Object.fromEntries(reasons),
    snapped: snapped.length,
    bytes: [...arrivals.map(({ frame }) => frame.length), ...snapped].reduce((sum, bytes) => sum + bytes, 0),
  };
  return { outputs, drops, report };
}

/** The packets of a capture, as `expectedOf` writes them. */
export function linesOf({ packets, format }: ReadCapture): string[] {
  return packets.map(({ time, name, frame, length, comments }) => {
    assert.is(length, frame.length, "what is written is whole");
    const port = format === "pcap" ? "" : ` ${name}`;
    return [`${time}${port} ${frame.toString("hex")}`, ...comments].join(" ");
  });
}

export interface Check {
  /** What stands behind `replay -n hv.json`, without the outputs. */
  readonly args: readonly string[];
  /** The frames that are read, in order. */
  readonly arrivals: readonly Arrival[];
  /** Captured bytes of each snapped frame. */
  readonly snapped?: number[];
  readonly input?: Uint8Array;
  /** What standard error should say; nothing when not given. */
  readonly notes?: RegExp;
  /** What if_tsoffset of the outputs should be, 0 when not given. */
  readonly offsetSeconds?: bigint;
  /** What if_tsresol of the outputs' last section should be, and how many sections there should be. */
  readonly resolution?: number;
  readonly sections?: number;
  /** Interfaces of the drops behind the intent's ports. */
  readonly strangers?: readonly string[];
}

/** Runs the program and compares all it wrote and said with the model. */
export function check(box: Sandbox, wanted: Check): void {
  const { args, arrivals, snapped = [], input, strangers = [] } = wanted;
  const outputs = ["-w", "out.pcapng", "--drops", "drops.pcapng", "--format", "json"];
  const { code, stdout, stderr } = box.replay([...args, ...outputs], input);
  if (wanted.notes === undefined) assert.is(stderr, "", args.join(" "));
  else assert.match(stderr, wanted.notes);
  assert.is(code, 0, args.join(" "));
  const expected = expectedOf(box.intent, arrivals, snapped);
  const names = [box.intent.uplink, ...box.intent.vms]
    .sort((a, b) => a.ofport - b.ofport)
    .map(({ port }) => port);
  checkCapture(box.capture("out.pcapng"), expected.outputs, names, wanted);
  checkCapture(box.capture("drops.pcapng"), expected.drops, [...names, ...strangers], wanted);
  checkReport(stdout, expected.report);
  assert.not.ok(box.names().some(name => name.endsWith(".part")));
}

function checkCapture(
  read: ReadCapture,
  lines: readonly string[],
  names: readonly string[],
  wanted: Check,
): void {
  const { args, resolution, sections = 1 } = wanted;
  assert.is(read.format, "pcapng");
  assert.is(read.sections.length, sections, `sections: ${args.join(" ")}`);
  for (const links of read.sections) {
    assert.equal(
      links.map(({ name }) => name),
      names,
    );
    const { offsetSeconds: offset = 0n } = wanted;
    assert.ok(links.every(({ linkType, offsetSeconds }) => linkType === 1 && offsetSeconds === offset));
  }
  if (resolution !== undefined) {
    assert.ok(
      read.sections.at(-1)!.every(link => link.resolution === resolution),
      `if_tsresol is ${read.sections.at(-1)![0]!.resolution} and should be ${resolution}`,
    );
  }
  sameLines(linesOf(read), lines, args.join(" "));
}

/** Fails with the first line that differs, and not with all of them. */
export function sameLines(actual: readonly string[], wanted: readonly string[], what: string): void {
  const at = wanted.findIndex((line, index) => line !== actual[index]);
  if (at >= 0) assert.is(actual[at], wanted[at], `${what}: packet ${at + 1}`);
  assert.is(actual.length, wanted.length, `${what}: number of packets`);
}

/** One line of JSON: the fields in their order, the values as given, and a time. */
export function checkReport(stdout: Buffer, wanted: Record<string, unknown>): void {
  const text = stdout.toString();
  assert.match(text, /^[^\n]+\n$/, "one line");
  const { seconds, ...rest } = JSON.parse(text);
  assert.equal(rest, wanted);
  assert.equal(
    Object.keys(JSON.parse(text)),
    [...Object.keys(wanted), "seconds"],
    "the fields and their order",
  );
  assert.ok(typeof seconds === "number" && seconds >= 0 && seconds < 60);
}
