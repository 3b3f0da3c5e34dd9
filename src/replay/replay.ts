/**
 * Capture → core → capture. The core runs window after window and returns an event when it needs bytes, an
 * output is full, a header block comes, or a record is damaged; the loop here handles the events. Memory does
 * not grow with the size of the captures.
 */
import * as abi from "../../assembly/abi.ts";
import { Sink } from "../capture/index.ts";
import { type Core, type Counters, portsInOrder } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import type { CachingInterpreter } from "../openflow/index.ts";
import { Against, type AgainstResult } from "./compare-flows.ts";
import type { Damage, Input } from "./input.ts";
import type { Interruption } from "./interruption.ts";
import { isPcapName, Output, setReasonComments } from "./output.ts";
import { checkOutputNames } from "./output-names.ts";
import { MIN_BYTES, mayUseTwo, runParallel, SecondCore } from "./parallel.ts";
import { planInputs } from "./plan-inputs.ts";
import { PortNames } from "./ports.ts";
import { notesOf } from "./replay-notes.ts";
import { FINEST_RESOLUTION, type Timescale } from "./timescale.ts";

export interface ReplayOptions {
  readonly core: Core;
  readonly intent: Intent;
  /** `[PORT=]CAPTURE`, `-` for standard input; at least one. */
  readonly captures: readonly string[];
  /** The port, by name or number, of captures that name none themselves. */
  readonly inPort?: string | undefined;
  /** Captures for the frames that leave and for those that are dropped; `-` is standard output. */
  readonly output?: string | undefined;
  readonly drops?: string | undefined;
  /** Flows that every frame also runs through, and the capture for frames with different outcomes. */
  readonly against?: { readonly interpreter: CachingInterpreter; readonly diff?: string | undefined };
  /** Names of ports in addition to the intent's. */
  readonly ports?: PortNames | undefined;
  /** Frames to read in total; default: all. */
  readonly count?: number | undefined;
  /** Cores to use at most, 1 or 2; default: as many as the machine has. The result is the same. */
  readonly threads?: number | undefined;
  /** Whether packets of interfaces that cannot be used are skipped; if not, the first one ends the replay. */
  readonly leavesOut?: boolean | undefined;
  /** A request to end early: reading stops, and all that was read is finished. */
  readonly interruption?: Interruption | undefined;
  /** A second core that is already starting (`startSecondCore`). */
  readonly second?: SecondCore | undefined;
  /** Called with the progress so far, after each event. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Progress {
  readonly frames: number;
  /** Bytes of the files read, and of all files together; null if a size is unknown. */
  readonly readBytes: number;
  readonly totalBytes: number | null;
}

export interface ReplayResult {
  readonly counters: Counters;
  readonly ports: PortNames;
  /** Wall-clock seconds from the first byte read to the last written. */
  readonly seconds: number;
  /** The captures, and how many bytes of each file were read. */
  readonly captures: readonly { readonly name: string; readonly readBytes: number }[];
  readonly damages: readonly Damage[];
  readonly against: AgainstResult | null;
  /** Packets that were skipped because their interface cannot be used. */
  readonly leftOut: number;
  /** Notes for the user that are not errors. */
  readonly notes: readonly string[];
}

/** Packets that one call into the core may run at most; it returns earlier at the end of a window. */
const MOST_FRAMES = 0xffffffff;

/**
 * Replays captures. Throws ReplayError (or capture's SinkError) if it cannot start or go on,
 * and leaves no output files then. Damage in a capture is not an exception: all frames
 * before it are run, and the result lists it.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const run = new Replay(options);
  try {
    return await run.run();
  } catch (error) {
    run.abandon();
    throw error;
  } finally {
    run.close();
  }
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #core: Core;
  readonly #ports: PortNames;
  #inputs: readonly Input[] = [];
  readonly #outputs: Output[] = [];
  /** Port numbers in the order of the interfaces of the two output captures. */
  readonly #outputPorts: readonly number[];
  #dropsPorts: readonly number[] = [];
  /** The core's clock. */
  #scale: Timescale = { resolution: 0, base: 0n };
  #frames = 0;
  /** Whether timestamps came that are finer than a pcap that was already begun. */
  #isCutShort = false;
  #against: Against | null = null;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#ports = options.ports ?? new PortNames(options.intent);
    this.#outputPorts = portsInOrder(options.intent).map(({ ofport }) => ofport);
  }

  async run(): Promise<ReplayResult> {
    const start = process.hrtime.bigint();
    this.#planInputs();
    for (const input of this.#inputs) await input.open();
    const { output, drops, against } = this.#options;
    const names = { "-w": output, "--drops": drops, "--diff": against?.diff };
    checkOutputNames(
      names,
      this.#inputs.map(({ source }) => source),
    );
    this.#listen();
    this.#core.resetCounters();
    this.#core.exports.resetCaptures();
    await this.#prime();
    this.#openOutputs();
    await this.#runParallel();
    await this.#loop();
    this.#flush();
    for (const output of this.#outputs) output.finish();
    this.#against?.finish();
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const damages = this.#inputs.flatMap(input => input.damages(this.#scale));
    return {
      counters: this.#core.counters(),
      ports: this.#ports,
      seconds,
      captures: this.#inputs.map(({ name, source }) => ({ name, readBytes: source?.readBytes ?? 0 })),
      damages,
      against: this.#against?.result() ?? null,
      leftOut: this.#inputs.reduce((sum, { leftOut }) => sum + leftOut, 0),
      notes: notesOf(this.#core, this.#inputs, this.#cutOutput()),
    };
  }

  /** The pcap in which timestamps were cut; undefined if there is none. */
  #cutOutput(): string | undefined {
    const { output, drops } = this.#options;
    if (!this.#isCutShort) return undefined;
    return [output, drops].find(name => name !== undefined && isPcapName(name));
  }

  /** Ends reading when the user interrupts. */
  #listen(): void {
    const signal = this.#options.interruption?.signal;
    const stop = (): void => {
      for (const input of this.#inputs) input.stop();
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  }

  #planInputs(): void {
    const { captures, inPort, leavesOut } = this.#options;
    const { inputs, dropsPorts } = planInputs({
      core: this.#core,
      ports: this.#ports,
      captures,
      inPort: inPort ?? null,
      leavesOut: leavesOut ?? false,
      outputPorts: this.#outputPorts,
    });
    this.#inputs = inputs;
    this.#dropsPorts = dropsPorts;
  }

  /** Reads every capture up to its first packet, so that all clocks are known before anything is written. */
  async #prime(): Promise<void> {
    for (;;) {
      const event = this.#core.exports.runCaptures(this.#inputs.length, 0);
      if (event === abi.Event.Done) break;
      await this.#answer(event);
      await this.#options.interruption?.turn();
    }
    this.#setClock(Math.max(0, ...this.#inputs.map(({ interfaces }) => interfaces.resolution)));
  }

  #setClock(resolution: number): void {
    const bases = this.#inputs.map(({ interfaces }) => interfaces.base);
    const base = bases.reduce((least, one) => (one < least ? one : least));
    const scale = { resolution, base: base < this.#scale.base ? base : this.#scale.base };
    for (const input of this.#inputs) input.setClock(scale, this.#scale);
    this.#scale = scale;
  }

  #openOutputs(): void {
    const { output, drops } = this.#options;
    const open = (area: number, ports: readonly number[], name: string | undefined): void => {
      const names = ports.map(port => this.#ports.nameOf(port) ?? String(port));
      this.#outputs.push(new Output(this.#core, area, names, name === undefined ? null : new Sink(name)));
    };
    open(abi.OUTPUT, this.#outputPorts, output);
    open(abi.DROPS, this.#dropsPorts, drops);
    if ([output, drops].some(name => name !== undefined && isPcapName(name))) {
      // pcap has microseconds or nanoseconds.
      this.#setClock(this.#scale.resolution > 6 ? FINEST_RESOLUTION : 6);
    }
    setReasonComments(this.#core);
    this.#openAgainst();
    this.#beginOutputs();
  }

  #openAgainst(): void {
    const { against, intent } = this.#options;
    if (against === undefined) return;
    const { interpreter, diff } = against;
    const interfaces = this.#dropsPorts;
    this.#against = new Against({ intent, interpreter, ports: this.#ports, interfaces, diff });
  }

  /** Begins the outputs' files, or new sections of them, with the current clock. */
  #beginOutputs(): void {
    const [leaving, dropped] = this.#outputs as [Output, Output];
    const { resolution, base } = this.#scale;
    this.#core.exports.setOutput(leaving.format, dropped.format, 10 ** resolution, Number(base));
    for (const output of this.#outputs) output.begin(this.#scale);
    this.#against?.begin(this.#scale);
  }

  /** Runs the front part of one large capture on two cores, as far as it consists of whole, valid packets. */
  async #runParallel(): Promise<void> {
    const { threads, count } = this.#options;
    const [input, ...others] = this.#inputs as [Input, ...Input[]];
    const [leaving, dropped] = this.#outputs as [Output, Output];
    const fd = input.source?.fd ?? null;
    const isLarge = (input.source?.totalBytes ?? 0) >= MIN_BYTES;
    if (this.#against !== null || !mayUseTwo(threads) || count !== undefined) return;
    if (others.length > 0 || fd === null || !isLarge) return;
    if (!leaving.shared.isPossible || !dropped.shared.isPossible || input.damages(this.#scale).length > 0)
      return;
    const { resolution, base } = this.#scale;
    const start = input.offset;
    const { offset, clock } = await runParallel({
      core: this.#core,
      second: this.#options.second ?? new SecondCore(),
      files: {
        input: fd,
        output: leaving.shared.fd,
        drops: dropped.shared.fd,
        names: { input: input.name, output: this.#options.output ?? "", drops: this.#options.drops ?? "" },
      },
      output: {
        format: leaving.format,
        dropsFormat: dropped.format,
        unitsPerSecond: 10 ** resolution,
        baseSeconds: Number(base),
      },
      interfaces: { at: input.interfaces.records, count: input.interfaces.count },
      offset: start,
      onChunk: (bytes, frames) => this.#report(start + bytes, frames),
      interruption: this.#options.interruption,
    });
    input.jump(offset, clock);
    this.#frames = this.#core.counters().frames;
  }

  async #loop(): Promise<void> {
    if (this.#against !== null) return this.#loopAgainst(this.#against);
    const { count = Number.POSITIVE_INFINITY } = this.#options;
    while (this.#frames < count) {
      const most = Math.min(count - this.#frames, MOST_FRAMES);
      const event = this.#core.exports.runCaptures(this.#inputs.length, most);
      this.#frames += this.#core.exports.framesRead();
      if (event === abi.Event.Done) {
        if (this.#core.exports.framesRead() < most) return;
        continue;
      }
      const answer = this.#answer(event) ?? this.#options.interruption?.turn();
      if (answer != null) await answer;
      this.#report();
    }
  }

  /**
   * As #loop, and compares each packet while it is in the core's queue and window. If an
   * output was full, the packets left in the queue are written by a call that takes no new
   * ones, so that the queue keeps its order.
   */
  async #loopAgainst(against: Against): Promise<void> {
    const { count = Number.POSITIVE_INFINITY } = this.#options;
    let isLeft = false;
    for (let at = 0; this.#frames < count; ) {
      const most = isLeft ? 1 : Math.min(count - this.#frames, abi.QUEUE_ENTRIES);
      const event = this.#core.exports.runCaptures(this.#inputs.length, most);
      const read = this.#core.exports.framesRead();
      if (!isLeft) at = 0;
      against.compare(this.#core, at, read);
      at += read;
      this.#frames += read;
      isLeft = event === abi.Event.Full;
      if (event === abi.Event.Done) {
        if (read < most) return;
        continue;
      }
      const answer = this.#answer(event) ?? this.#options.interruption?.turn();
      if (answer != null) await answer;
      this.#report();
    }
  }

  /** Handles an event of the core. A promise only if bytes must be awaited: plain files never yield. */
  #answer(event: number): Promise<void> | null {
    if (event === abi.Event.Full) {
      this.#flush();
      return null;
    }
    const input = this.#inputs[event >>> 8]!;
    const answer = input.answer(event & 0xff);
    if ((event & 0xff) === abi.Event.Block) this.#refine(input);
    return answer;
  }

  /**
   * If a new interface's clock is finer or begins earlier than all before it, the outputs get a new section.
   */
  #refine(input: Input): void {
    if (this.#outputs.length === 0) return;
    const isPcap = this.#outputs.some(({ format }) => format === abi.OutputFormat.Pcap);
    const { interfaces } = input;
    const isFiner = interfaces.resolution > this.#scale.resolution;
    if (isFiner && isPcap) this.#isCutShort = true;
    const resolution = isFiner && !isPcap ? interfaces.resolution : this.#scale.resolution;
    if (resolution === this.#scale.resolution && interfaces.base >= this.#scale.base) {
      // Only the last interface has no clock yet.
      input.setClock(this.#scale, this.#scale, Math.max(0, interfaces.count - 1));
      return;
    }
    this.#flush();
    this.#setClock(resolution);
    this.#beginOutputs();
  }

  #flush(): void {
    const { exports } = this.#core;
    this.#outputs[0]?.flush(exports.usedBytes());
    this.#outputs[1]?.flush(exports.usedDropsBytes());
    exports.emptyOutput();
  }

  #report(readAhead?: number, frames = this.#frames): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return;
    const totals = this.#inputs.map(({ source }) => source?.totalBytes ?? null);
    onProgress({
      frames,
      readBytes: readAhead ?? this.#inputs.reduce((sum, { source }) => sum + (source?.readBytes ?? 0), 0),
      totalBytes: totals.includes(null) ? null : totals.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0),
    });
  }

  abandon(): void {
    for (const output of this.#outputs) output.abandon();
    this.#against?.abandon();
  }

  close(): void {
    for (const input of this.#inputs) input.close();
  }
}
