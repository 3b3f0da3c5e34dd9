/**
 * The core on windows in its memory, and the check that it does the same work there as the yardstick: every
 * frame has its expected verdict, and both give the same packets, byte for byte, and the same counts. Nothing
 * is timed here.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as abi from "../assembly/abi.ts";
import { Core, type Counters } from "../src/core/index.ts";
import { dumpBank } from "./native/dump.ts";
import { type NativeCounts, NativeWindows } from "./native/process.ts";
import { pcapHeader } from "./traffic.ts";
import type { Traffic } from "./workloads.ts";

export type Mode = "judge" | "write";

const ANY_NUMBER_OF_FRAMES = 0xffffffff;
const UNITS_PER_SECOND = 1_000_000;

/** What one pass over all windows gave. */
export interface Pass {
  readonly packets: Buffer;
  readonly counters: Counters;
}

/** A core with the traffic's tables, and the traffic in its windows. */
export class CoreWindows {
  readonly core: Core;
  readonly #traffic: Traffic;
  readonly #states: readonly { readonly state: Uint32Array; readonly inPort: number }[];

  constructor(traffic: Traffic, core = Core.load()) {
    this.core = core;
    this.#traffic = traffic;
    core.install(traffic.intent);
    if (traffic.records.length > abi.MAX_CAPTURES * abi.WINDOW_BYTES)
      throw new Error("more than the windows hold");
    core.bytes.set(traffic.records, abi.INPUT);
    const link = abi.INTERFACES >>> 2;
    core.words.fill(0, link, link + (abi.INTERFACE_BYTES >>> 2));
    // Microseconds in and out: a fraction counts once, a second a million times.
    core.words[link + (abi.INTERFACE_MULTIPLIER >>> 2)] = 1;
    core.words[link + (abi.INTERFACE_DIVISOR >>> 2)] = UNITS_PER_SECOND;
    this.#states = traffic.windows.map(({ inPort, start, end }) => ({
      state: captureState(start, end),
      inPort,
    }));
  }

  /** What is made of the frames that leave: nothing, or packets of a pcapng. */
  set mode(mode: Mode) {
    const output = mode === "write" ? abi.OutputFormat.PcapNg : abi.OutputFormat.None;
    this.core.exports.setOutput(output, abi.OutputFormat.None, UNITS_PER_SECOND, 0);
  }

  /**
   * Runs every window from start to end; `onOutput` receives the output whenever the buffer must be emptied.
   */
  run(onOutput?: (packets: Uint8Array) => void): void {
    const { exports, words, bytes } = this.core;
    const inPortAt = (abi.INTERFACES + abi.INTERFACE_IN_PORT) >>> 2;
    for (const { state, inPort } of this.#states) {
      exports.resetCaptures();
      words[inPortAt] = inPort;
      words.set(state, abi.CAPTURES >>> 2);
      for (;;) {
        const event = exports.runCaptures(1, ANY_NUMBER_OF_FRAMES);
        onOutput?.(bytes.subarray(abi.OUTPUT, abi.OUTPUT + exports.usedBytes()));
        if (event === abi.Event.Done) break;
        if (event !== abi.Event.Full) throw new Error(`event ${event}`);
        exports.emptyOutput();
      }
    }
  }

  /** One pass, its packets kept. */
  pass(): Pass {
    this.mode = "write";
    this.core.resetCounters();
    const packets: Uint8Array[] = [];
    this.run(chunk => packets.push(chunk.slice()));
    return { packets: Buffer.concat(packets), counters: this.core.counters() };
  }

  /** The same; throws when a frame has another fate than it was made for. */
  check(): Pass {
    const pass = this.pass();
    checkFates(pass.counters, this.#traffic);
    return pass;
  }
}

/** A capture of the records from `start` to `end`, not yet read. */
function captureState(start: number, end: number): Uint32Array {
  const state = new Uint32Array(abi.CAPTURE_BYTES >>> 2);
  const set = (field: number, value: number): void => {
    state[field >>> 2] = value;
  };
  set(abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
  set(abi.CAPTURE_AT, abi.INPUT + start);
  set(abi.CAPTURE_END, abi.INPUT + end);
  set(abi.CAPTURE_EOF, 1);
  set(abi.CAPTURE_INTERFACES, abi.INTERFACES);
  set(abi.CAPTURE_INTERFACE_COUNT, 1);
  return state;
}

function checkFates({ frames, drops, ports }: Counters, traffic: Traffic): void {
  const sum = (field: "txFrames" | "replyFrames"): number =>
    ports.reduce((total, port) => total + port[field], 0);
  const seen = new Map([...drops, ["output", sum("txFrames")], ["reply", sum("replyFrames")]]);
  if (frames !== traffic.frames) throw new Error(`${frames} of ${traffic.frames} frames were read`);
  for (const [fate, count] of traffic.fates) {
    if (seen.get(fate) !== count) throw new Error(`${seen.get(fate) ?? 0} of ${count} frames: ${fate}`);
  }
}

// ── Beside the yardstick ───────────────────────────────────────────────────────────────────────────────────

/** Starts the yardstick on the same tables and windows. */
export function nativeOn(
  program: string,
  windows: CoreWindows,
  traffic: Traffic,
  folder: string,
): NativeWindows {
  const at = (name: string): string => join(folder, `memory.${name}`);
  dumpBank(windows.core, at("bank"));
  writeFileSync(at("pcap"), Buffer.concat([pcapHeader(), traffic.records]));
  writeFileSync(
    at("windows"),
    traffic.windows.map(({ inPort, start, end }) => `${inPort} ${end - start}\n`).join(""),
  );
  return new NativeWindows(program, at("bank"), at("pcap"), at("windows"));
}

/** Throws unless core and yardstick make the same packets and counts of the same windows. */
export async function checkAlike(windows: CoreWindows, native: NativeWindows, folder: string): Promise<void> {
  const file = join(folder, "memory.out");
  const ours = windows.check();
  const counts = await native.check(file);
  checkSamePackets(ours.packets, readFileSync(file));
  checkSameCounts(ours.counters, counts);
}

/** Throws with the first byte at which two outputs differ. */
export function checkSamePackets(ours: Buffer, theirs: Buffer): void {
  if (ours.equals(theirs)) return;
  const most = Math.min(ours.length, theirs.length);
  let at = 0;
  while (at < most && ours[at] === theirs[at]) at++;
  throw new Error(
    `core and yardstick wrote different packets: ${ours.length} and ${theirs.length} bytes, equal to ${at}`,
  );
}

/** Throws unless every counter of the two agrees. */
export function checkSameCounts(ours: Counters, theirs: NativeCounts): void {
  const { frames, bytes, snapped, drops, tables, ports } = ours;
  const wanted = {
    frames,
    bytes,
    snapped,
    drops: Object.fromEntries(drops),
    tables: Object.fromEntries(tables),
    ports,
  };
  for (const [name, value] of Object.entries(wanted)) {
    const [mine, other] = [value, theirs[name as keyof NativeCounts]].map(plain => JSON.stringify(plain));
    if (mine !== other) throw new Error(`core and yardstick count otherwise: ${name} ${mine} and ${other}`);
  }
}
