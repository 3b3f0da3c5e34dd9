/**
 * A capture's frames through the core and through the flows of a bridge, side by side: where the two differ, the frame
 * is counted, shown and written down. What the flows do is openflow's business, what the core does the core's; here is
 * only the comparison. Two outcomes are the same when the same bytes leave by the same ports.
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
import type { Timescale } from "./input.ts";
import type { PortNames } from "./ports.ts";

/** A flow: of the bridge, with its file, or of the intent, with its line among the compiled flows. */
export interface FlowAt {
  readonly file: string | null;
  readonly line: number;
  readonly text: string;
}

/** Frames for which core and flows part at the same two flows, and come out in the same two ways. */
export interface Difference {
  readonly frames: number;
  /** The first of them, its two ends in words, and its number among all frames that differ, from 1 on. */
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly core: string;
  readonly flows: string;
  readonly number: number;
  /** The flows at which the two part; null where none matches, or where it is not known. */
  readonly compiled: FlowAt | null;
  readonly installed: FlowAt | null;
}

/** What the flows leave open, and for how many frames. */
export interface Undecided {
  readonly what: string;
  readonly frames: number;
}

export interface AgainstResult {
  /** Frames that were compared: whole ones, but those that are too long, which flows do not check. */
  readonly frames: number;
  readonly different: number;
  readonly unknown: number;
  readonly ambiguous: number;
  /** By the flows at which the two part, those with most frames first. */
  readonly differences: readonly Difference[];
  /** Frames that differ in more ways than are kept. */
  readonly others: number;
  readonly undecided: readonly Undecided[];
}

const TOO_LONG = REASONS[abi.Reason.TooLong]!;

/** Whether the same bytes leave by the same port, and nothing is told the controller but a TTL that is used up. */
function isSameEnd({ port, frame }: FrameOut, { outputs, packetIns }: Outcome): boolean {
  if (packetIns.some(({ reason }) => reason !== "invalid_ttl")) return false;
  if (frame === null) return outputs.length === 0;
  const [only] = outputs;
  return outputs.length === 1 && only!.port === port && firstDifference(only!.frame, frame) < 0;
}

/** Differences that are kept: pairs of flows, of which there are not many, unless everything is wrong. */
const KEPT = 100_000;

type Counted = { -readonly [Key in keyof Difference]: Difference[Key] };

export class Against {
  #interpreter: CachingInterpreter;
  readonly #ports: PortNames;
  /** Numbers of the ports that are interfaces of the file of differences, in order. */
  readonly #interfaces: readonly number[];
  readonly #sink: Sink | null;
  /** Rewrites frames for the comparison; the one that replays must not count them. */
  readonly #core: Core;
  /** The memory of that core. */
  readonly #memory: Buffer;
  readonly #differences = new Map<string, Counted>();
  /** Where two ways part, by the flows on them. */
  readonly #partings = new Map<string, Parting>();
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
    /** A core that may be overwritten at any time; without one, one is made. */
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

  /** Goes on with other flows. */
  replace(interpreter: CachingInterpreter): void {
    this.#interpreter = interpreter;
  }

  /** Compares one frame with what some core made of it. */
  compareOne(input: FrameIn, out: FrameOut): void {
    if (out.reason === TOO_LONG) return;
    this.#frames++;
    const outcome = this.#interpreter.run(input.inPort, input.frame);
    if (outcome.verdict === "unknown" || outcome.verdict === "ambiguous") this.#leaveOpen(outcome);
    else if (!isSameEnd(out, outcome)) this.#note(input, out, outcome, 0, 0);
  }

  /** Begins the file of differences, or a new section of it with other timestamps. */
  begin({ resolution, base }: Timescale): void {
    const names = this.#interfaces.map(port => this.#ports.nameOf(port) ?? String(port));
    this.#sink?.write(pcapngHeader(names, resolution, base));
  }

  /** Compares `count` packets that a core has queued, from the one with index `first` on; their bytes still stand. */
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

  /** What the flows do with frame `index` of the core's last batch, where they are sure and it is something else. */
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
   * Whether the core did the same. Nearly all frames are alike, so they are compared where they stand. A TTL that is used
   * up is told the controller on both sides; any other packet-in is something the core does not do.
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
    const parting = this.#partingOf(inPort, frame, out, outcome);
    const name = [parting.name, core, flows].join("\n");
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
        compiled: parting.compiled,
        installed: parting.installed,
      });
    if (this.#sink === null) return;
    const time = (BigInt(timeHigh) << 32n) | BigInt(timeLow);
    const comment = `core: ${core}; flows: ${flows}${differsFrom(out, outcome)}`;
    this.#sink.write(pcapngPacket(this.#interfaces.indexOf(inPort), time, frame, comment));
  }

  /** The first flows in which the compiled ones that the core's tables stand for and those of the bridge differ. */
  #partingOf(inPort: number, frame: Uint8Array, { tables }: FrameOut, outcome: Outcome): Parting {
    const isKnown = tables.length > 0 && frame.length >= ETHERNET_BYTES;
    this.#compiled ??= isKnown ? new Flows(this.#intent) : null;
    const own = isKnown ? matchedFlows(this.#compiled!, tables, inPort, frame) : [];
    const theirs = outcome.tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
    const name = `${own.join()} ${theirs.map(({ source }) => source.line).join()}`;
    let parting = this.#partings.get(name);
    if (parting === undefined) {
      parting = this.#partingAt(own, theirs);
      if (this.#partings.size >= KEPT) this.#partings.clear();
      this.#partings.set(name, parting);
    }
    return parting;
  }

  #partingAt(own: readonly number[], theirs: readonly Flow[]): Parting {
    const texts = own.map(index => flowText(this.#compiled!.at(index)));
    const isSame = (at: number): boolean =>
      theirs[at] !== undefined && meaningText(compiledFlow(texts[at]!)) === meaningText(theirs[at]);
    let at = 0;
    while (at < texts.length && isSame(at)) at++;
    // Without the core's way, or where both are the same, the last flow is what people look at.
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

  /** What the flows do, and the line of the last flow that matched. */
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

interface Parting {
  readonly name: string;
  readonly compiled: FlowAt | null;
  readonly installed: FlowAt | null;
}

const ETHERNET_BYTES = 14;

function compiledFlow(text: string): Flow {
  const { flow } = parseFlow(text, { file: "compiled", line: 1 });
  if (flow === null) throw new Error(`assertion: a compiled flow is read: ${text}`);
  return flow;
}

/** Where two frames begin to differ, -1 where they do not. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at;
  return a.length === b.length ? -1 : length;
}

/** Says where the bytes differ when nothing else does. */
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
