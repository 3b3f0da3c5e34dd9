/**
 * The core as an object: one WebAssembly instance, its memory views made once, its tables filled from an
 * intent. Frames go in by batches (`runFrames`) or, for captures, by windows that the replay room fills
 * (`run`). Only numbers cross the border; no method here looks at a frame's bytes.
 */
import * as abi from "../../assembly/abi.ts";
import type { Intent } from "../intent/index.ts";
import { type CoreBuild, type CoreExports, instantiateCore, readCore } from "./load.ts";
import {
  dropReason,
  REASONS,
  type ReasonName,
  TABLES,
  tablesOf,
  VERDICTS,
  type VerdictName,
} from "./names.ts";
import { pack, portsInOrder } from "./pack.ts";

/** A frame on its way in: the number of the port it enters, and its bytes (at most 9,217 are looked at). */
export interface FrameIn {
  readonly inPort: number;
  readonly frame: Uint8Array;
}

/** What became of a frame. */
export interface FrameOut {
  readonly verdict: VerdictName;
  /** Why it was dropped, null when it was not. */
  readonly reason: ReasonName | null;
  /** Numbers of the tables it met, in order. */
  readonly tables: readonly number[];
  /** Whether its label was popped. */
  readonly isPopped: boolean;
  /** The port by which it leaves and its bytes then; null when it is dropped. */
  readonly port: number | null;
  readonly frame: Uint8Array | null;
}

/** Frames and bytes of one port since `resetCounters`. */
export interface PortCounters {
  readonly port: number;
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly txFrames: number;
  readonly txBytes: number;
  readonly replyFrames: number;
  readonly replyBytes: number;
  readonly dropFrames: number;
}

export interface Counters {
  readonly frames: number;
  readonly bytes: number;
  readonly snapped: number;
  /** Dropped frames by reason; reasons that did not occur are left out. */
  readonly drops: ReadonlyMap<string, number>;
  /** Frames that met each table; tables that none met are left out. */
  readonly tables: ReadonlyMap<number, number>;
  /** Ports that saw a frame, in the order of their numbers. */
  readonly ports: readonly PortCounters[];
}

/** Reasons that a frame may have although it came in by a number that is no port. */
const JUDGED_BEFORE_PORT: readonly ReasonName[] = ["too-short", "too-long", "unknown-port"];

export class Core {
  readonly exports: CoreExports;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly #counters: BigUint64Array;
  /** Numbers of ports that were installed at any time. */
  readonly #installed = new Set<number>();

  constructor(exports: CoreExports) {
    const { buffer } = exports.memory;
    this.exports = exports;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.#counters = new BigUint64Array(buffer);
  }

  static load(build: CoreBuild = "release"): Core {
    return new Core(instantiateCore(readCore(build)));
  }

  /** Replaces every table by those of an intent, in one step as far as frames can see. */
  install(intent: Intent): void {
    pack(this, intent);
    this.watchPorts(portsInOrder(intent).map(({ ofport }) => ofport));
  }

  /** Makes `counters` look at these ports, too: for tables that came as an image. */
  watchPorts(numbers: Iterable<number>): void {
    for (const number of numbers) this.#installed.add(number);
  }

  /** Runs any number of frames, in batches, and gives what became of each. */
  runFrames(frames: readonly FrameIn[]): FrameOut[] {
    const results: FrameOut[] = [];
    let done = 0;
    while (done < frames.length) {
      const batch = this.runBatch(frames, done);
      for (let index = 0; index < batch; index++) results.push(this.outOf(index));
      done += batch;
    }
    return results;
  }

  /**
   * Runs as many frames as fit one batch, from `first` on; gives how many. What became of them stands in
   * the core, for `outOf` and those who read descriptors, until frames are run again.
   */
  runBatch(frames: readonly FrameIn[], first: number): number {
    const batch = this.#place(frames, first);
    this.exports.runFrames(batch);
    return batch;
  }

  /** Lays out as many frames as fit one batch, from `first` on; gives how many. */
  #place(frames: readonly FrameIn[], first: number): number {
    let at = abi.FRAMES_DATA;
    let index = 0;
    for (; index < abi.MAX_BATCH_FRAMES && first + index < frames.length; index++) {
      const { inPort, frame } = frames[first + index]!;
      // One byte too many is enough for the verdict too-long.
      const length = Math.min(frame.length, abi.MAX_FRAME_BYTES + 1);
      const start = at + abi.FRAME_HEADROOM_BYTES;
      const end = start + length + abi.FRAME_HEADROOM_BYTES;
      if (end > abi.FRAMES_END) break;
      this.bytes.set(length === frame.length ? frame : frame.subarray(0, length), start);
      const descriptor = (abi.FRAMES + index * abi.DESCRIPTOR_BYTES) >>> 2;
      this.words[descriptor + (abi.DESCRIPTOR_IN_PORT >>> 2)] = inPort;
      this.words[descriptor + (abi.DESCRIPTOR_FRAME >>> 2)] = start;
      this.words[descriptor + (abi.DESCRIPTOR_LENGTH >>> 2)] = length;
      at = (end + 15) & ~15;
    }
    return index;
  }

  /** What became of frame `index` of the batch that was run last. */
  outOf(index: number): FrameOut {
    const at = abi.FRAMES + index * abi.DESCRIPTOR_BYTES;
    const verdict = VERDICTS[this.bytes[at + abi.DESCRIPTOR_VERDICT]!]!;
    const tables = tablesOf(this.bytes[at + abi.DESCRIPTOR_PATH]!);
    const isPopped = this.bytes[at + abi.DESCRIPTOR_POPPED] === 1;
    if (verdict === "drop") {
      const reason = dropReason(this.bytes[at + abi.DESCRIPTOR_REASON]!);
      return { verdict, reason, tables, isPopped, port: null, frame: null };
    }
    const start = this.words[(at + abi.DESCRIPTOR_OUT_FRAME) >>> 2]!;
    const length = this.words[(at + abi.DESCRIPTOR_OUT_LENGTH) >>> 2]!;
    const port = this.words[(at + abi.DESCRIPTOR_OUT_PORT) >>> 2]!;
    return { verdict, reason: null, tables, isPopped, port, frame: this.bytes.slice(start, start + length) };
  }

  resetCounters(): void {
    this.exports.resetCounters();
  }

  counters(): Counters {
    const tables = new Map<number, number>(TABLES.map(table => [table, 0]));
    const drops = new Map<string, number>(REASONS.slice(1).map(reason => [reason, 0]));
    const snapped = this.#counter(abi.COUNTERS_SNAPPED);
    let frames = snapped;
    for (let path = 0; path < abi.PATH_COUNT; path++) {
      for (const [reason, name] of REASONS.entries()) {
        const met = this.#counter(abi.COUNTERS_OUTCOMES + (path * abi.OUTCOMES_A_PATH + reason) * 8);
        if (met === 0) continue;
        frames += met;
        if (reason > 0) drops.set(name, drops.get(name)! + met);
        for (const table of tablesOf(path)) tables.set(table, tables.get(table)! + met);
      }
    }
    const occurred = <K>(counts: Map<K, number>): Map<K, number> =>
      new Map([...counts].filter(([, met]) => met > 0));
    return {
      frames,
      bytes: this.#counter(abi.COUNTERS_BYTES),
      snapped,
      drops: occurred(drops),
      tables: occurred(tables),
      ports: this.#portCounters(JUDGED_BEFORE_PORT.some(reason => drops.get(reason)! > 0)),
    };
  }

  /** A u64 counter as a number; exact up to 2^53, which is two years of frames at 100 Mpps. */
  #counter(at: number): number {
    return Number(this.#counters[at >>> 3]);
  }

  /** Whether a u64 counter is not zero, without a BigInt. */
  #hasCounted(at: number): boolean {
    return (this.words[at >>> 2]! | this.words[(at >>> 2) + 1]!) !== 0;
  }

  /** Only numbers of ports that were installed can have counted, unless frames came in by others. */
  #portCounters(hasStrangers: boolean): PortCounters[] {
    const placeOf = (port: number): number => abi.COUNTERS_PORTS + port * abi.COUNTERS_PORT_BYTES;
    const met: number[] = [];
    const meet = (port: number): void => {
      const at = placeOf(port);
      if (this.#hasCounted(at + abi.PORT_RX_FRAMES) || this.#hasCounted(at + abi.PORT_TX_FRAMES))
        met.push(port);
    };
    if (hasStrangers) for (let port = 0; port <= abi.MAX_PORT_NUMBER; port++) meet(port);
    else for (const port of [...this.#installed].sort((a, b) => a - b)) meet(port);
    return met.map(port => {
      const at = placeOf(port);
      return {
        port,
        rxFrames: this.#counter(at + abi.PORT_RX_FRAMES),
        rxBytes: this.#counter(at + abi.PORT_RX_BYTES),
        txFrames: this.#counter(at + abi.PORT_TX_FRAMES),
        txBytes: this.#counter(at + abi.PORT_TX_BYTES),
        replyFrames: this.#counter(at + abi.PORT_REPLY_FRAMES),
        replyBytes: this.#counter(at + abi.PORT_REPLY_BYTES),
        dropFrames: this.#counter(at + abi.PORT_DROP_FRAMES),
      };
    });
  }
}
