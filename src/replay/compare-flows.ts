/**
 * Compares the core with the flows of a bridge, frame by frame: a frame with different outcomes is counted, described
 * and written to a capture. Two outcomes are the same if the same bytes leave by the same ports. The interpreter of
 * src/openflow runs the flows; here is only the comparison.
 */

import * as abi from "../../assembly/abi.ts";
import { pcapngHeader, pcapngPacket, Sink } from "../capture/index.ts";
import { Core, type FrameIn, type FrameOut, REASONS } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import {
  type CachingInterpreter,
  type Flow,
  meaningText,
  type Outcome,
  parseFlow,
} from "../openflow/index.ts";
import { Flows, flowText, matchedFlows } from "../pipeline/index.ts";
import type { PortNames } from "./ports.ts";
import type { Timescale } from "./timescale.ts";

/** A flow with its place: in the dump of the bridge, or (file: null) a line of the flows compiled from the intent. */
export interface FlowAt {
  readonly file: string | null;
  readonly line: number;
  readonly text: string;
}

/** Frames with the same two outcomes, and the same two flows at which core and bridge diverge. */
export interface Difference {
  readonly frames: number;
  /** The first of these frames, its two outcomes in words, and its number among all frames that differ, from 1. */
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly core: string;
  readonly flows: string;
  readonly number: number;
  /** The flows at which the two diverge; null if none matches, or if it is not known. */
  readonly compiled: FlowAt | null;
  readonly installed: FlowAt | null;
}

/** A reason why the outcome of the flows is not determined, and the number of frames it concerns. */
export interface Undecided {
  readonly what: string;
  readonly frames: number;
}

export interface AgainstResult {
  /** Frames that were compared: whole ones, except those that are too long, because flows do not check the length. */
  readonly frames: number;
  readonly different: number;
  readonly unknown: number;
  readonly ambiguous: number;
  /** By the flows at which the two diverge, those with most frames first. */
  readonly differences: readonly Difference[];
  /** Frames whose differences exceed KEPT. */
  readonly others: number;
  readonly undecided: readonly Undecided[];
}

const TOO_LONG = REASONS[abi.Reason.TooLong]!;

/** Whether the same bytes leave by the same port, and the flows send no packet-in but that of an expired TTL. */
function isSameEnd({ port, frame }: FrameOut, { outputs, packetIns }: Outcome): boolean {
  if (packetIns.some(({ reason }) => reason !== "invalid_ttl")) return false;
  if (frame === null) return outputs.length === 0;
  const [only] = outputs;
  return outputs.length === 1 && only!.port === port && firstDifference(only!.frame, frame) < 0;
}

/** Differences kept at most. There is one for each pair of diverging flows, so usually there are few. */
const KEPT = 100_000;

type Counted = { -readonly [Key in keyof Difference]: Difference[Key] };

export class Against {
  #interpreter: CachingInterpreter;
  readonly #ports: PortNames;
  /** Port numbers of the interfaces of the capture of differences, in order. */
  readonly #interfaces: readonly number[];
  readonly #sink: Sink | null;
  /** Runs frames for the comparison only, so that they do not change the counters of the replaying core. */
  readonly #core: Core;
  /** The memory of that core. */
  readonly #memory: Buffer;
  readonly #differences = new Map<string, Counted>();
  /** Divergences by the flows that matched on each side. */
  readonly #divergences = new Map<string, Divergence>();
  readonly #intent: Intent;
  #compiled: Flows | null = null;
  #others = 0;
  readonly #undecided = new Map<string, number>();
  #frames = 0;
  #different = 0;
  #unknown = 0;
  #ambiguous = 0;

  constructor(options: {
    intent: Intent;
    interpreter: CachingInterpreter;
    ports: PortNames;
    interfaces: readonly number[];
    diff: string | undefined;
    /** A core that may be overwritten at any time; by default a new one. */
    core?: Core;
  }) {
    this.#core = options.core ?? Core.load();
    this.#memory = Buffer.from(this.#core.bytes.buffer);
    this.#intent = options.intent;
    this.#interpreter = options.interpreter;
    this.#ports = options.ports;
    this.#interfaces = options.interfaces;
    this.#sink = options.diff === undefined ? null : new Sink(options.diff);
    if (options.core === undefined) this.#core.install(options.intent);
  }

  /** Continues with other flows. */
  replace(interpreter: CachingInterpreter): void {
    this.#interpreter = interpreter;
  }

  /** Compares a frame's outcome in any core with that of the flows. */
  compareOne(input: FrameIn, out: FrameOut): void {
    if (out.reason === TOO_LONG) return;
    this.#frames++;
    const outcome = this.#interpreter.run(input.inPort, input.frame);
    if (outcome.verdict === "unknown" || outcome.verdict === "ambiguous") this.#leaveOpen(outcome);
    else if (!isSameEnd(out, outcome)) this.#note(input, out, outcome, 0, 0);
  }

  /** Begins the capture of differences, or a new section with another timescale. */
  begin({ resolution, base }: Timescale): void {
    const names = this.#interfaces.map(port => this.#ports.nameOf(port) ?? String(port));
    this.#sink?.write(pcapngHeader(names, resolution, base));
  }

  /** Compares `count` packets of a core's queue from index `first` on, whose bytes are still in its window. */
  compare({ bytes, words }: Core, first: number, count: number): void {
    const frames: FrameIn[] = [];
    const entries: number[] = [];
    for (let index = first; index < first + count; index++) {
      const entry = (abi.QUEUE + index * abi.QUEUE_ENTRY_BYTES) >>> 2;
      const length = words[entry + (abi.ENTRY_LENGTH >>> 2)]!;
      if (words[entry + (abi.ENTRY_CAPTURED >>> 2)] !== length) continue;
      const start = words[entry + (abi.ENTRY_FRAME >>> 2)]!;
      const link = words[entry + (abi.ENTRY_INTERFACE >>> 2)]!;
      frames.push({
        inPort: words[(link + abi.INTERFACE_IN_PORT) >>> 2]!,
        frame: bytes.subarray(start, start + length),
      });
      entries.push(entry);
    }
    for (let done = 0; done < frames.length; ) {
      const batch = this.#core.runBatch(frames, done);
      for (let index = 0; index < batch; index++) {
        const outcome = this.#outcomeThatDiffers(frames[done + index]!, index);
        if (outcome === null) continue;
        const time = entries[done + index]! + (abi.ENTRY_TIME >>> 2);
        this.#note(frames[done + index]!, this.#core.outOf(index), outcome, words[time + 1]!, words[time]!);
      }
      done += batch;
    }
  }

  /** The outcome of the flows for frame `index` of the core's last batch; null if it is the same or not determined. */
  #outcomeThatDiffers({ inPort, frame }: FrameIn, index: number): Outcome | null {
    const reason = abi.FRAMES + index * abi.DESCRIPTOR_BYTES + abi.DESCRIPTOR_REASON;
    if (this.#memory[reason] === abi.Reason.TooLong) return null;
    this.#frames++;
    const outcome = this.#interpreter.run(inPort, frame);
    if (outcome.verdict === "unknown" || outcome.verdict === "ambiguous") {
      this.#leaveOpen(outcome);
      return null;
    }
    return this.#isSame(index, outcome) ? null : outcome;
  }

  /**
   * Whether the core's outcome is the same. Nearly all are, so frames are compared in the core's memory, without a copy.
   * Both sides report an expired TTL with a packet-in; the core has no other packet-ins.
   */
  #isSame(index: number, { outputs, packetIns }: Outcome): boolean {
    if (packetIns.length > 0 && packetIns.some(({ reason }) => reason !== "invalid_ttl")) return false;
    const memory = this.#memory;
    const { words } = this.#core;
    const at = abi.FRAMES + index * abi.DESCRIPTOR_BYTES;
    if (memory[at + abi.DESCRIPTOR_VERDICT] === abi.Verdict.Drop) return outputs.length === 0;
    if (outputs.length !== 1) return false;
    const { port, frame } = outputs[0]!;
    if (port !== words[(at + abi.DESCRIPTOR_OUT_PORT) >>> 2]) return false;
    const start = words[(at + abi.DESCRIPTOR_OUT_FRAME) >>> 2]!;
    const end = start + words[(at + abi.DESCRIPTOR_OUT_LENGTH) >>> 2]!;
    return memory.compare(frame, 0, frame.length, start, end) === 0;
  }

  #note(
    { inPort, frame }: FrameIn,
    out: FrameOut,
    outcome: Outcome,
    timeHigh: number,
    timeLow: number,
  ): void {
    this.#different++;
    const core = this.#coreText(out);
    const flows = this.#flowsText(outcome);
    const divergence = this.#divergenceOf(inPort, frame, out, outcome);
    const name = [divergence.name, core, flows].join("\n");
    const known = this.#differences.get(name);
    if (known !== undefined) known.frames++;
    else if (this.#differences.size >= KEPT) this.#others++;
    else
      this.#differences.set(name, {
        frames: 1,
        inPort,
        frame: frame.slice(),
        core,
        flows: flows + differsFrom(out, outcome),
        number: this.#different,
        compiled: divergence.compiled,
        installed: divergence.installed,
      });
    if (this.#sink === null) return;
    const time = (BigInt(timeHigh) << 32n) | BigInt(timeLow);
    const comment = `core: ${core}; flows: ${flows}${differsFrom(out, outcome)}`;
    this.#sink.write(pcapngPacket(this.#interfaces.indexOf(inPort), time, frame, comment));
  }

  /** The first flows that differ between the compiled ones, which the core's tables implement, and the bridge's. */
  #divergenceOf(inPort: number, frame: Uint8Array, { tables }: FrameOut, outcome: Outcome): Divergence {
    const isKnown = tables.length > 0 && frame.length >= ETHERNET_BYTES;
    this.#compiled ??= isKnown ? new Flows(this.#intent) : null;
    const own = isKnown ? matchedFlows(this.#compiled!, tables, inPort, frame) : [];
    const theirs = outcome.tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
    const name = `${own.join()} ${theirs.map(({ source }) => source.line).join()}`;
    let divergence = this.#divergences.get(name);
    if (divergence === undefined) {
      divergence = this.#divergenceAt(own, theirs);
      if (this.#divergences.size >= KEPT) this.#divergences.clear();
      this.#divergences.set(name, divergence);
    }
    return divergence;
  }

  #divergenceAt(own: readonly number[], theirs: readonly Flow[]): Divergence {
    const texts = own.map(index => flowText(this.#compiled!.at(index)));
    const isSame = (at: number): boolean =>
      theirs[at] !== undefined && meaningText(compiledFlow(texts[at]!)) === meaningText(theirs[at]);
    let at = 0;
    while (at < texts.length && isSame(at)) at++;
    // If the core's path is unknown, or all flows are the same, the last flow is the most useful one.
    const last = own.length === 0 || at >= Math.max(own.length, theirs.length);
    const [left, right] = last ? [own.length - 1, theirs.length - 1] : [at, at];
    const compiled =
      texts[left] === undefined ? null : { file: null, line: own[left]! + 1, text: texts[left] };
    const flow = theirs[right];
    const installed =
      flow === undefined ? null : { file: flow.source.file, line: flow.source.line, text: flow.text.trim() };
    return { name: `${compiled?.line} ${installed?.line}`, compiled, installed };
  }

  #leaveOpen({ verdict, unknown, ambiguous }: Outcome): void {
    if (verdict === "unknown") this.#unknown++;
    else this.#ambiguous++;
    const whats =
      verdict === "unknown"
        ? unknown.map(({ feature, line }) => `${feature}, line ${line}`)
        : ambiguous.map(({ table, flows }) => {
            const lines = flows.map(({ source }) => source.line).sort((a, b) => a - b);
            return `lines ${lines.join(" and ")} of table ${table} match with one priority and differ`;
          });
    for (const what of new Set(whats)) this.#undecided.set(what, (this.#undecided.get(what) ?? 0) + 1);
  }

  #portText(number: number): string {
    const name = this.#ports.nameOf(number);
    return name === null ? String(number) : `${name} (${number})`;
  }

  #coreText({ verdict, reason, port }: FrameOut): string {
    return port === null ? `${verdict} ${reason}` : `${verdict} ${this.#portText(port)}`;
  }

  /** The outcome of the flows, and the line of the last flow that matched. */
  #flowsText({ verdict, outputs, packetIns, tables, errors }: Outcome): string {
    const ports = outputs.map(({ port }) => this.#portText(port));
    const last = tables.findLast(({ flow }) => flow !== null)?.flow;
    return [
      ports.length === 0 ? "drop" : `${verdict} ${ports.join(" and ")}`,
      ...packetIns.map(({ reason }) => `packet-in ${reason}`),
      ...errors,
      last == null ? "no flow matches" : `line ${last.source.line}`,
    ].join(", ");
  }

  result(): AgainstResult {
    return {
      frames: this.#frames,
      different: this.#different,
      unknown: this.#unknown,
      ambiguous: this.#ambiguous,
      differences: [...this.#differences.values()].sort((a, b) => b.frames - a.frames),
      others: this.#others,
      undecided: [...this.#undecided].map(([what, frames]) => ({ what, frames })),
    };
  }

  finish(): void {
    this.#sink?.finish();
  }

  abandon(): void {
    this.#sink?.abandon();
  }
}

interface Divergence {
  readonly name: string;
  readonly compiled: FlowAt | null;
  readonly installed: FlowAt | null;
}

const ETHERNET_BYTES = 14;

function compiledFlow(text: string): Flow {
  const { flow } = parseFlow(text, { file: "compiled", line: 1 });
  if (flow === null) throw new Error(`internal error: a compiled flow cannot be parsed: ${text}`);
  return flow;
}

/** Offset of the first byte that differs; -1 if the frames are equal. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at;
  return a.length === b.length ? -1 : length;
}

/** The first difference of the bytes, if everything else is the same; else nothing. */
function differsFrom({ port, frame }: FrameOut, { outputs }: Outcome): string {
  const [only] = outputs;
  if (frame === null || outputs.length !== 1 || only!.port !== port) return "";
  const at = firstDifference(frame, only!.frame);
  if (at < 0) return "";
  if (at >= Math.min(frame.length, only!.frame.length))
    return `, ${only!.frame.length} bytes instead of ${frame.length}`;
  const hex = (bytes: Uint8Array): string => bytes[at]!.toString(16).padStart(2, "0");
  return `, byte ${at} is ${hex(only!.frame)} instead of ${hex(frame)}`;
}
