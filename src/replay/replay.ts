/**
 * Capture → core → capture. The core runs window after window and comes back with an event when it wants bytes, is
 * full, meets a header, or finds damage; the loop here answers. Nothing is ever as large as a capture.
 */
import * as abi from "../../assembly/abi.ts";
import { identityOf, Sink, touchedBy } from "../capture/index.ts";
import { type Core, type Counters, portsInOrder } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import type { CachingInterpreter } from "../openflow/index.ts";
import { Against, type AgainstResult } from "./compare-flows.ts";
import { ReplayError } from "./errors.ts";
import { type Damage, FINEST_RESOLUTION, Input, type Timescale } from "./input.ts";
import { InterfacePool } from "./interface-pool.ts";
import { isPcapName, Output, setReasonComments } from "./output.ts";
import { MIN_BYTES, mayUseTwo, runAhead, SecondCore } from "./parallel.ts";
import { type CaptureArgument, PortNames, parseCaptureArgument } from "./ports.ts";

export interface ReplayOptions {
  readonly core: Core;
  readonly intent: Intent;
  /** `[PORT=]CAPTURE`, `-` for standard input; at least one. */
  readonly captures: readonly string[];
  /** The port, by name or number, of captures that name none themselves. */
  readonly inPort?: string | undefined;
  /** Where frames that leave, and those that are dropped, are written; `-` is standard output. */
  readonly output?: string | undefined;
  readonly drops?: string | undefined;
  /** Flows that every frame is run through too, and the capture of those whose ends differ. */
  readonly against?: { readonly interpreter: CachingInterpreter; readonly diff?: string | undefined };
  /** Names of ports beside the intent's. */
  readonly ports?: PortNames | undefined;
  /** Frames to read in total; all when not given. */
  readonly count?: number | undefined;
  /** Cores to use at most, 1 or 2; as many as there are when not given. The result is the same. */
  readonly threads?: number | undefined;
  /** Whether packets of interfaces that cannot be used are left out; if not, the first one ends the replay. */
  readonly leavesOut?: boolean | undefined;
  /** A request to end early: nothing more is read then, and all that was read is finished. */
  readonly interruption?: Interruption | undefined;
  /** A second core that is already starting (`startSecondCore`), in case it is of use. */
  readonly second?: SecondCore | undefined;
  /** Called now and then with the progress so far. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** A promise to await when it is time to let the request be noticed, else null. */
  turn(): Promise<void> | null;
}

export interface Progress {
  readonly frames: number;
  /** Bytes of the files read, and in all if every size is known. */
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
  /** Packets that were left out because their interface is. */
  readonly leftOut: number;
  /** Things worth saying that are no errors. */
  readonly notes: readonly string[];
}

/** The most packets that one call into the core may run; it returns earlier at the end of a window. */
const MOST_FRAMES = 0xffffffff;

/**
 * Replays captures. Throws ReplayError (or capture's SinkError) when it cannot start or go on: nothing is left
 * behind then. Damage in a capture is no exception: everything before it is done, and it stands in the result.
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
  readonly #inputs: Input[] = [];
  readonly #outputs: Output[] = [];
  /** Port numbers in the order of the interfaces of the two output captures. */
  readonly #outputPorts: readonly number[];
  #dropsPorts: readonly number[] = [];
  /** How the core counts timestamps. */
  #scale: Timescale = { resolution: 0, base: 0n };
  #frames = 0;
  /** Whether timestamps finer than a pcap's that was begun already came later. */
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
    this.#checkNames();
    this.#listen();
    this.#core.resetCounters();
    this.#core.exports.resetCaptures();
    await this.#prime();
    this.#openOutputs();
    await this.#runAhead();
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
      notes: this.#notes(),
    };
  }

  #notes(): string[] {
    const { output, drops } = this.#options;
    const pcap = this.#isCutShort && [output, drops].find(name => name !== undefined && isPcapName(name));
    const cut =
      "an interface that came late counts finer than a pcap begun in microseconds; its timestamps are cut";
    return this.#inputs
      .filter(input => input.isCutShort())
      .map(input => `${input.name}: timestamps are kept to the nanosecond, and cut there`)
      .concat(pcap ? [`${pcap}: ${cut}; write pcapng to keep them`] : [])
      .concat(this.#inputs.flatMap(input => input.notes()))
      .concat(this.#outputNotes())
      .concat(this.#offloadNotes());
  }

  /** Frames that are too long are mostly what a network card would have cut. */
  #offloadNotes(): string[] {
    const frames = this.#core.counters().drops.get("too-long") ?? 0;
    if (frames === 0) return [];
    const what = `${frames} ${frames === 1 ? "frame is" : "frames are"} too long (too-long)`;
    return [
      `${what}: a capture made where the network card segments (GSO, TSO) or joins (GRO, LRO) has frames ` +
        "that were never on a wire; capture where they are whole, or switch that off: ethtool -K DEVICE tso off gso off gro off",
    ];
  }

  /** What the outputs could not hold. */
  #outputNotes(): string[] {
    const view = new DataView(this.#core.bytes.buffer);
    const counted = (at: number): number => Number(view.getBigUint64(at, true));
    const options = counted(abi.COUNTERS_CUT_OPTIONS);
    const times = counted(abi.COUNTERS_CUT_TIMES);
    const packets = (count: number): string => (count === 1 ? "1 packet is" : `${count} packets are`);
    return [
      ...(options === 0
        ? []
        : [`${packets(options)} written without some comments: more than ${abi.MAX_OPTIONS_BYTES} bytes`]),
      ...(times === 0
        ? []
        : [
            `${packets(times)} written with the nearest time of 1970 to 2106; write pcapng to keep the times`,
          ]),
    ];
  }

  /** Has the captures end where they are when that is asked for. */
  #listen(): void {
    const signal = this.#options.interruption?.signal;
    const stop = (): void => {
      for (const input of this.#inputs) input.stop();
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  }

  #planInputs(): void {
    const { captures, inPort } = this.#options;
    if (captures.length > abi.MAX_CAPTURES) {
      throw new ReplayError(`${captures.length} captures; at most ${abi.MAX_CAPTURES} can be merged`);
    }
    const parsed = captures.map(text => parseCaptureArgument(text, this.#ports));
    const ports = parsed.map(argument => this.#portOf(argument));
    const fallback = this.#portOf({ capture: "", port: inPort ?? null });
    if (parsed.filter(({ capture }) => capture === "-").length > 1) {
      throw new ReplayError("standard input can be read once only; it is given twice");
    }
    // The drops have an interface for each port of the intent, then one for each other number that is used.
    const used = [...ports, fallback].filter(port => port !== null);
    this.#dropsPorts = [...new Set([...this.#outputPorts, ...used])];
    const pool = new InterfacePool();
    parsed.forEach(({ capture }, index) => {
      this.#inputs.push(
        new Input({
          core: this.#core,
          index,
          pool,
          leavesOut: this.#options.leavesOut ?? false,
          capture,
          port: ports[index]!,
          fallback,
          ports: this.#ports,
          dropsInterface: port => this.#dropsPorts.indexOf(port),
        }),
      );
    });
  }

  #portOf({ capture, port }: CaptureArgument): number | null {
    if (port === null) return null;
    const number = this.#ports.resolve(port);
    if (number !== null) return number;
    const hint = capture === "" ? "" : `; a file of that name is written ./${port}=${capture}`;
    throw new ReplayError(`${this.#ports.stranger(port)}${hint}`);
  }

  /** No output, finished or not, may be an input or the other output: opening it would destroy what is read. */
  #checkNames(): void {
    const { output, drops, against } = this.#options;
    const given = [
      { option: "-w", name: output },
      { option: "--drops", name: drops },
      { option: "--diff", name: against?.diff },
    ].filter(({ name }) => name !== undefined);
    const touched = given.map(({ name }) => touchedBy(name!));
    given.forEach(({ option, name }, index) => {
      const other = given.findIndex(
        (earlier, at) =>
          at < index && (earlier.name === name || touched[at]!.some(one => touched[index]!.includes(one))),
      );
      if (other < 0) return;
      const { option: first, name: same } = given[other]!;
      throw new ReplayError(
        same === name
          ? `${name === "-" ? "standard output" : name}: given for both ${first} and ${option}`
          : `${same} and ${name} are the same file; ${first} and ${option} need one each`,
      );
    });
    for (const { source } of this.#inputs) {
      const at = touched.findIndex(identities => identities.includes(source?.identity ?? ""));
      if (at < 0) continue;
      const name = given[at]!.name;
      const isPart = name !== "-" && identityOf(name!) !== source!.identity;
      const which = name === "-" ? "standard output" : isPart ? `${name}.part, where ${name} begins,` : name;
      throw new ReplayError(`${which}${isPart ? "" : ":"} is also being read; choose another output`);
    }
  }

  /** Reads every capture up to its first packet, so that all clocks are known before anything is written. */
  async #prime(): Promise<void> {
    for (;;) {
      const event = this.#core.exports.runCaptures(this.#inputs.length, 0);
      if (event === abi.Event.Done) break;
      await this.#answer(event);
      await this.#options.interruption?.turn();
    }
    this.#setClock(Math.max(0, ...this.#inputs.map(input => input.resolution())));
  }

  #setClock(resolution: number): void {
    const base = this.#inputs.map(input => input.base()).reduce((least, one) => (one < least ? one : least));
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
      // pcap knows microseconds and nanoseconds only.
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

  /** Begins the outputs' files, or new sections of them, with the clock as it is now. */
  #beginOutputs(): void {
    const [leaving, dropped] = this.#outputs as [Output, Output];
    const { resolution, base } = this.#scale;
    this.#core.exports.setOutput(leaving.format, dropped.format, 10 ** resolution, Number(base));
    for (const output of this.#outputs) output.begin(this.#scale);
    this.#against?.begin(this.#scale);
  }

  /** Takes the plain front part of one large capture on two cores. */
  async #runAhead(): Promise<void> {
    const { threads, count } = this.#options;
    const [input, ...others] = this.#inputs as [Input, ...Input[]];
    const [leaving, dropped] = this.#outputs as [Output, Output];
    const fd = input.source?.fd ?? null;
    const isLarge = (input.source?.totalBytes ?? 0) >= MIN_BYTES;
    if (this.#against !== null || !mayUseTwo(threads) || count !== undefined) return;
    if (others.length > 0 || fd === null || !isLarge) return;
    if (!leaving.lane.isOpen || !dropped.lane.isOpen || input.damages(this.#scale).length > 0) return;
    const { resolution, base } = this.#scale;
    const start = input.offset;
    const { offset, clock } = await runAhead({
      core: this.#core,
      second: this.#options.second ?? new SecondCore(),
      files: {
        input: fd,
        output: leaving.lane.fd,
        drops: dropped.lane.fd,
        names: { input: input.name, output: this.#options.output ?? "", drops: this.#options.drops ?? "" },
      },
      output: {
        format: leaving.format,
        dropsFormat: dropped.format,
        unitsPerSecond: 10 ** resolution,
        baseSeconds: Number(base),
      },
      interfaces: { at: input.interfaceRecords, count: input.interfaceCount },
      offset: start,
      onPiece: (bytes, frames) => this.#report(start + bytes, frames),
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
   * The same with each packet compared while it still stands in the core's queue and window. What a full output left in
   * the queue is written by a call that takes nothing new, so that the queue stays as it was.
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

  /** Does what the core asks for. A promise only where one is needed: plain files never yield to the event loop. */
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

  /** An interface that came late may count finer or from earlier than all before it: the outputs get a new section. */
  #refine(input: Input): void {
    if (this.#outputs.length === 0) return;
    const isPcap = this.#outputs.some(({ format }) => format === abi.OutputFormat.Pcap);
    const isFiner = input.resolution() > this.#scale.resolution;
    if (isFiner && isPcap) this.#isCutShort = true;
    const resolution = isFiner && !isPcap ? input.resolution() : this.#scale.resolution;
    if (resolution === this.#scale.resolution && input.base() >= this.#scale.base) {
      // Only the youngest interface does not know the clock yet.
      input.setClock(this.#scale, this.#scale, Math.max(0, input.interfaceCount - 1));
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
