/**
 * What a replay must write: every frame of the captures through the independent model, in the order in which
 * they arrive, against the files that the replay made. Frames, timestamps, interfaces, comments and counts
 * must all be the model's; nothing is sampled.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Core } from "../../src/core/index.ts";
import { type Intent, parseIntent } from "../../src/intent/index.ts";
import { type ReplayOptions, type ReplayResult, replay } from "../../src/replay/index.ts";
import { assert } from "../harness.ts";
import { type ModelIntent, runModel } from "../model/model.ts";
import { type Rng, randomFrame } from "../model/random.ts";
import { makeFolder, type Packet, type ReadFile, readCapture } from "./base.ts";

/** Two VMs with names made to be confused with numbers, one of each kind of path. */
export const SMALL: ModelIntent = {
  name: "hv",
  bridge: "br0",
  label: 1001,
  virtualMac: "fe:00:00:00:01:01",
  trafficClass: 0,
  uplink: { port: "uplink0", ofport: 9, mac: "02:00:00:00:00:01" },
  vms: [
    vm(1, "tap11", 11, "l3"),
    vm(2, "tap7", 7, "l2"),
    vm(3, "5", 300, "dual-l3"),
    vm(4, "tap5", 5, "dual-l2"),
  ],
  routes: [{ prefix: "0.0.0.0/0", labels: [3003], via: "02:00:00:00:00:fe" }],
};

function vm(id: number, port: string, ofport: number, path: "l2" | "dual-l2" | "dual-l3" | "l3") {
  const mac = `52:54:00:00:00:0${id}`;
  return { id, name: `vm-${id}`, port, ofport, mac, addresses: [`203.0.113.${id}`], path };
}

/** A model's intent as the product reads it. */
export function loaded(intent: ModelIntent): Intent {
  const { intent: read, errors } = parseIntent(JSON.stringify(intent), "intent.yaml", ".");
  if (read === null) throw new Error(errors[0]?.message);
  return read;
}

/** A packet and the port that it enters. */
export interface Arrival extends Packet {
  readonly inPort: number;
  /** The comment that it carries. */
  readonly comment?: string;
}

/** The first timestamp of made-up captures: a moment with digits in every place. */
export const START = 1_700_000_123_456_789_012n;

/**
 * Random frames with strictly growing timestamps, of the intent's ports or those given; `unit`: nanoseconds
 * that the timestamps are multiples of.
 */
export function arrivals(
  r: Rng,
  intent: ModelIntent,
  count: number,
  unit = 1n,
  ports: readonly number[] = [intent.uplink, ...intent.vms].map(({ ofport }) => ofport),
): Arrival[] {
  let time = (START / unit) * unit;
  const list: Arrival[] = [];
  while (list.length < count) {
    const { inPort, frame } = randomFrame(r, intent);
    time += unit * BigInt(1 + r.below(5000));
    if (ports.includes(inPort) && frame.length > 0) list.push({ inPort, frame, time });
  }
  return list;
}

/** Port names in the order of their numbers. */
export function portNames(intent: ModelIntent): string[] {
  const ports = [intent.uplink, ...intent.vms].sort((a, b) => a.ofport - b.ofport);
  return ports.map(({ port }) => port);
}

export function nameOfPort(intent: ModelIntent, ofport: number): string {
  return [intent.uplink, ...intent.vms].find(port => port.ofport === ofport)?.port ?? String(ofport);
}

/** A packet that a file must hold. */
interface Row {
  readonly name: string;
  readonly time: bigint;
  readonly frame: Uint8Array;
  readonly comments: readonly string[];
}

export interface Expected {
  readonly outputs: readonly Row[];
  readonly drops: readonly Row[];
  readonly counts: {
    readonly frames: number;
    readonly outputs: Readonly<Record<string, number>>;
    readonly replies: number;
    readonly drops: Readonly<Record<string, number>>;
    readonly snapped: number;
    readonly bytes: number;
  };
}

/** What the model says of frames in the order of their arrival. */
export function expected(intent: ModelIntent, list: readonly Arrival[]): Expected {
  const rows = { outputs: [] as Row[], drops: [] as Row[] };
  const outputs: Record<string, number> = {};
  const drops: Record<string, number> = {};
  let [replies, snapped, bytes] = [0, 0, 0];
  for (const { inPort, time, frame, length, comment } of list) {
    bytes += frame.length;
    if (length !== undefined && length !== frame.length) {
      snapped++;
      continue;
    }
    const { verdict, reason, port, frame: out } = runModel(intent, inPort, frame);
    const own = comment === undefined ? [] : [comment];
    if (verdict === "drop") {
      drops[reason!] = (drops[reason!] ?? 0) + 1;
      rows.drops.push({ name: nameOfPort(intent, inPort), time, frame, comments: [reason!, ...own] });
      continue;
    }
    if (verdict === "reply") replies++;
    else outputs[port!] = (outputs[port!] ?? 0) + 1;
    rows.outputs.push({ name: nameOfPort(intent, port!), time, frame: out!, comments: own });
  }
  return { ...rows, counts: { frames: list.length, outputs, replies, drops, snapped, bytes } };
}

/** The model's counts against those of a replay. */
export function assertCounts({ counters }: ReplayResult, { counts }: Expected, note = ""): void {
  const outputs = counters.ports.filter(port => port.txFrames > 0).map(port => [port.port, port.txFrames]);
  const replies = counters.ports.reduce((sum, port) => sum + port.replyFrames, 0);
  const { frames, snapped, bytes } = counters;
  const seen = { frames, outputs: Object.fromEntries(outputs), replies, snapped, bytes };
  assert.equal({ ...seen, drops: Object.fromEntries(counters.drops) }, counts, note);
}

/** Every packet of a file against the model's; `isPcap`: no interfaces and no comments. */
export function assertPackets(file: ReadFile, rows: readonly Row[], note = ""): void {
  assert.is(file.damage, null, `${note}: ${JSON.stringify(file.damage)}`);
  const isPcap = file.format === "pcap";
  for (const [index, row] of rows.entries()) {
    const packet = file.packets[index];
    const where = `${note} packet ${index + 1} of ${rows.length}`;
    if (packet === undefined) throw new Error(`${where}: is missing`);
    assert.is(packet.time, row.time, `${where}: time`);
    assert.is(packet.name, isPcap ? null : row.name, `${where}: interface`);
    if (packet.comments.join() !== row.comments.join() || isPcap)
      assert.equal(packet.comments, isPcap ? [] : row.comments, `${where}: comments`);
    assert.is(packet.length, row.frame.length, `${where}: length`);
    if (!packet.frame.equals(row.frame)) {
      assert.is(packet.frame.toString("hex"), Buffer.from(row.frame).toString("hex"), where);
    }
  }
  assert.is(file.packets.length, rows.length, `${note}: packets`);
}

/** Reads what a replay wrote, gzip or not. */
export function readWritten(path: string): ReadFile {
  const bytes = readFileSync(path);
  return readCapture(path.endsWith(".gz") ? gunzipSync(bytes) : bytes);
}

let core: Core | undefined;

/** One core for all tests of a file: that it can be used again is part of the contract. */
export function sharedCore(): Core {
  core ??= Core.load();
  return core;
}

export interface Replayed {
  readonly result: ReplayResult;
  readonly output: ReadFile;
  readonly drops: ReadFile;
}

type Given = Partial<ReplayOptions> & { readonly captures: readonly string[] };

/** Replays captures into two files of a new folder and reads them. */
export async function replayed(intent: ModelIntent, given: Given, extension = "pcapng"): Promise<Replayed> {
  const folder = makeFolder();
  const output = given.output ?? join(folder, `out.${extension}`);
  const drops = given.drops ?? join(folder, `drops.${extension}`);
  const read = loaded(intent);
  sharedCore().install(read);
  const result = await replay({ core: sharedCore(), intent: read, ...given, output, drops });
  return { result, output: readWritten(output), drops: readWritten(drops) };
}

/** Replays captures and holds counts and both files against the model. */
export async function assertReplay(
  intent: ModelIntent,
  given: Given,
  list: readonly Arrival[],
  note = "",
): Promise<Replayed> {
  const wanted = expected(intent, list);
  const made = await replayed(intent, given);
  assert.equal(made.result.damages, [], `${note}: damages`);
  assertCounts(made.result, wanted, note);
  assertPackets(made.output, wanted.outputs, `${note} output`);
  assertPackets(made.drops, wanted.drops, `${note} drops`);
  return made;
}
