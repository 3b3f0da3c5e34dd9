/**
 * `slash32 live`: the pipeline on real devices, until it is told to stop. Signals, the file watch, the page on the
 * terminal and the summary are here; frames are the live room's.
 */

import { Core, REASONS, VERDICTS } from "../core/index.ts";
import { harmlessJson, type MetricsServer, parseMetricsAddress, type UnixServer } from "../host/index.ts";
import { formatProblem, type Intent, loadIntent } from "../intent/index.ts";
import {
  ANY,
  Live,
  type Mirrored,
  PassingCapture,
  type PortArgument,
  parsePort,
  parseSize,
  type Snapshot,
  startControl,
  startMetrics,
  WatchedFile,
} from "../live/index.ts";
import { CachingInterpreter } from "../openflow/index.ts";
import { Against, PortNames } from "../replay/index.ts";
import { control, type LiveReport, liveJson, liveText } from "../report/index.ts";
import { BackgroundOutput } from "./background-output.ts";
import { type Context, print, refuseOverwriting, say, writeReport } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { comparedCode, readBridge, refuseClash } from "./flows.ts";
import { againstReport } from "./replay.ts";
import { isScreen } from "./terminal.ts";

const EVERY_DEFAULT = 1000;
const PAGE_MS = 1000;
/** How often it is looked whether enough frames came in (--count). */
const COUNT_MS = 20;
const WATCH_MS = 200;
/** How often a capture is written out, or tried again. */
const CAPTURE_MS = 500;
const CLEAR_PAGE = control("J");

export async function liveCommand(context: Context): Promise<number> {
  const ports = portsOf(context);
  checkUsage(context, ports);
  const metricsAt = context.text("metrics");
  const address = metricsAt === undefined ? null : parseMetricsAddress(metricsAt);
  const duration = secondsOf(context);
  const session = new Session(context, ports);
  await session.start(address === null ? null : look => startMetrics(address, look));
  try {
    await session.untilStopped(duration, context.number("count"));
  } finally {
    await session.finish();
  }
  return session.exitCode();
}

function portsOf(context: Context): PortArgument[] {
  return context.texts("port").map(text => parsePort(text, context.flag("promiscuous")));
}

function checkUsage(context: Context, ports: readonly PortArgument[]): void {
  if (context.positionals.length > 0)
    throw new UsageError(
      `"${context.positionals[0]}" is not expected; a port is given with --port NAME=DEVICE`,
    );
  if (ports.length === 0)
    throw new UsageError("live needs a port: --port NAME=DEVICE, as --port tap101=tap:tap101");
  const idle = ["every", "groups", "lenient"].find(
    name => context.text(name) !== undefined || context.flag(name),
  );
  if (idle !== undefined && context.text("against") === undefined)
    throw new UsageError(`--${idle} goes with --against FLOWS`);
  if (context.flag("watch") && context.text("intent") === "-")
    throw new UsageError("--watch needs a file; standard input is read once");
  const report = context.text("report");
  if (report !== undefined && report !== "-" && !/\.(json|ndjson)$/.test(report))
    throw new UsageError(`--report ${report}: live writes .json and .ndjson, and JSON to -`);
  if (context.text("capture") === "-") throw new UsageError("--capture needs a file");
  if (context.text("capture-limit") !== undefined && context.text("capture") === undefined)
    throw new UsageError("--capture-limit goes with --capture FILE");
  if (context.text("control") === "-") throw new UsageError("--control needs a path");
  for (const read of ["intent", "against"])
    refuseOverwriting(context, ["capture", "report"], context.text(read));
}

/** Seconds to run, undefined: until it is told to stop. */
function secondsOf(context: Context): number | undefined {
  const text = context.text("duration");
  if (text === undefined) return undefined;
  const seconds = /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : 0;
  if (seconds > 0 && seconds < 1e6) return seconds;
  throw new UsageError(`--duration: "${text}" is no number of seconds; expected 0.1 or more`);
}

/** A port may be given by its number in the intent, too. */
function withNames(ports: readonly PortArgument[], intent: Intent): PortArgument[] {
  const names = new PortNames(intent);
  return ports.map(argument => {
    if (argument.port === ANY || names.byName(argument.port) !== null) return argument;
    const number = names.resolve(argument.port);
    return { ...argument, port: (number === null ? null : names.nameOf(number)) ?? argument.port };
  });
}

/** One run of the command. */
class Session {
  readonly #context: Context;
  readonly #arguments: readonly PortArgument[];
  readonly #startedAt = performance.now();
  #live: Live | null = null;
  #intent: Intent;
  #against: Against | null = null;
  /** Why comparing had to end; null: it goes on. */
  #compareProblem: string | null = null;
  #capture: PassingCapture | null = null;
  /** Whether packets are missing in the capture. */
  #isCaptureShort = false;
  #metrics: MetricsServer | null = null;
  #control: UnixServer | null = null;
  #last: LiveReport | null = null;
  #skippedFlows = 0;
  #reloads = 0;
  #refused = 0;
  #edits = 0;
  /** Lines of the page that stands on the terminal. */
  #pageLines = 0;
  #isReloading = false;
  #isReloadWanted = false;
  #stop: (error?: Error) => void = () => {};
  readonly #stopped: Promise<void>;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #watched: WatchedFile;
  #isOutputStuck = false;
  readonly #output = new BackgroundOutput(message =>
    say(`slash32: standard output: ${message}; nothing more is written there, frames go on`),
  );

  constructor(context: Context, ports: readonly PortArgument[]) {
    this.#context = context;
    this.#stopped = new Promise((resolve, reject) => {
      this.#stop = error => (error === undefined ? resolve() : reject(error));
    });
    // Whoever waits hears of it; before that nobody may.
    this.#stopped.catch(() => {});
    // Before anything is read: a signal that comes meanwhile is not lost, nor is a change of the file.
    for (const [signal, act] of Object.entries(this.signals)) process.on(signal, act);
    this.#watched = new WatchedFile(context.text("intent") ?? "");
    this.#watched.mark();
    this.#intent = context.intent();
    this.#arguments = withNames(ports, this.#intent);
  }

  async start(
    serveMetrics: ((look: Parameters<typeof startMetrics>[1]) => Promise<MetricsServer>) | null,
  ): Promise<void> {
    const context = this.#context;
    this.#prepareAgainst();
    const file = context.text("capture");
    if (file !== undefined) this.#beginCapture(file);
    try {
      this.#live = await Live.start({
        intent: this.#intent,
        ports: this.#arguments,
        isSmallMtuAllowed: context.flag("allow-small-mtu"),
        areStrangersAllowed: context.flag("allow-unknown-ports"),
        ...this.#mirrorOf(),
        onNote: text => this.#say(text),
        onFailure: error => this.#stop(error),
      });
      this.#metrics = (await serveMetrics?.(() => this.#look())) ?? null;
      await this.#startControl(this.#live);
    } catch (error) {
      this.#metrics?.close();
      await this.#live?.stop();
      this.#capture?.abandon();
      throw error;
    }
    this.#announce();
    if (context.flag("watch")) this.#watched.watch(WATCH_MS, this.signals.SIGHUP);
    if (this.#isReloadWanted) await this.#reload();
  }

  /** Answers at the control socket, if one is wanted. Throws SocketError. */
  async #startControl(live: Live): Promise<void> {
    const path = this.#context.text("control");
    if (path === undefined) return;
    const onChange = (): void => this.#capture?.begin(this.#namesByNumber());
    this.#control = await startControl(path, {
      get intent() {
        return live.intent;
      },
      edit: async edit => {
        const edited = await live.edit(edit, onChange);
        if (edited.how !== "nothing") this.#edits++;
        return edited;
      },
    });
  }

  #announce(): void {
    const list = this.#arguments.map(({ port, device }) => `${port} on ${device.text}`).join(", ");
    if (this.#metrics !== null) this.#say(`metrics at ${this.#metrics.url}`);
    const control = this.#context.text("control");
    if (control !== undefined) this.#say(`control socket ${control}`);
    this.#say(`live: ${list}`);
  }

  #say(text: string): void {
    if (!this.#context.isQuiet) this.#warn(text);
  }

  /** As `#say`, also with --quiet. */
  #warn(text: string): void {
    this.#clearPage();
    say(`slash32: ${text}`);
  }

  /** Reads the flows to compare with. Throws UserError. */
  #prepareAgainst(): void {
    const context = this.#context;
    const file = context.text("against");
    if (file === undefined) return;
    const bridge = readBridge(context, file, this.#intent);
    refuseClash(context, bridge);
    const interpreter = new CachingInterpreter(bridge.flows, { ...bridge.options, isFleeting: true });
    this.#skippedFlows = bridge.flows.skipped;
    if (this.#against !== null) this.#against.replace(interpreter);
    else
      this.#against = new Against({
        intent: this.#intent,
        interpreter,
        ports: bridge.ports,
        interfaces: [],
        diff: undefined,
        core: Core.load(),
      });
  }

  #beginCapture(file: string): void {
    const limit = this.#context.text("capture-limit");
    const mostBytes = limit === undefined ? null : parseSize("--capture-limit", limit);
    const capture = new PassingCapture(file, { mostBytes, onNote: text => this.#warn(text) });
    try {
      capture.begin(this.#namesByNumber());
    } catch (error) {
      capture.abandon();
      throw error;
    }
    this.#capture = capture;
  }

  /** The intent in force, edits included. */
  get #inForce(): Intent {
    return this.#live?.intent ?? this.#intent;
  }

  #namesByNumber(): Map<number, string> {
    const { uplink, vms } = this.#inForce;
    const ports = [uplink, ...vms];
    return new Map(
      ports.map(({ ofport, port }): [number, string] => [ofport, port]).sort(([a], [b]) => a - b),
    );
  }

  #mirrorOf(): { mirror?: { every: number; onMirrored: (record: Mirrored) => void } } {
    const every = this.#context.number("every") ?? EVERY_DEFAULT;
    const capture = this.#capture;
    const against = this.#against;
    if (capture === null && against === null) return {};
    if (capture === null) return { mirror: { every, onMirrored: record => this.#compare(against!, record) } };
    let seen = 0;
    const onMirrored = (record: Mirrored): void => {
      capture.write(record);
      if (against !== null && seen++ % every === 0) this.#compare(against, record);
    };
    return { mirror: { every: 1, onMirrored } };
  }

  /** Compares one frame; what goes wrong ends comparing and nothing else. */
  #compare(against: Against, record: Mirrored): void {
    if (this.#compareProblem !== null) return;
    try {
      compare(against, record);
    } catch (error) {
      this.#compareProblem = (error as Error).message;
      this.#warn(`--against: ${this.#compareProblem}; nothing more is compared, frames go on`);
    }
  }

  readonly signals = {
    SIGINT: (): void => this.#stop(),
    SIGTERM: (): void => this.#stop(),
    SIGHUP: (): void => void this.#reload(),
  };

  /** Reads the intent (and the flows) again; what is wrong with it is said, and the old one stays. */
  async #reload(): Promise<void> {
    if (this.#isReloading || this.#live === null) {
      this.#isReloadWanted = true;
      return;
    }
    this.#isReloadWanted = false;
    this.#isReloading = true;
    try {
      await this.#take(this.#read());
      this.#reloads++;
      this.#say(`the intent was read again and taken`);
    } catch (error) {
      this.#refused++;
      this.#clearPage();
      say(`slash32: ${(error as Error).message}`);
      say("slash32: the new intent is refused; the old one stays");
    }
    this.#isReloading = false;
    if (this.#isReloadWanted) await this.#reload();
  }

  #read(): Intent {
    const path = this.#context.text("intent")!;
    if (path === "-") throw new UserError("the intent came from standard input, which is read once");
    this.#watched.mark();
    const { intent, errors } = loadIntent(path);
    if (intent === null) throw new UserError(errors.map(formatProblem).join("\nslash32: "));
    return intent;
  }

  async #take(intent: Intent): Promise<void> {
    await this.#live!.reload(intent, () => {
      this.#intent = intent;
      this.#capture?.begin(this.#namesByNumber());
      try {
        this.#prepareAgainst();
      } catch (error) {
        this.#say(`${(error as Error).message}; comparing with the flows read before`);
      }
    });
  }

  /** Shows what happens until a signal, a limit or a failure ends it. Throws the failure. */
  async untilStopped(seconds: number | undefined, frames: number | undefined): Promise<void> {
    if (seconds !== undefined) this.#timers.push(setTimeout(() => this.#stop(), seconds * 1000));
    if (frames !== undefined)
      this.#every(COUNT_MS, async () => {
        if ((await this.#live!.snapshot()).counters.frames >= frames) this.#stop();
      });
    const capture = this.#capture;
    if (capture !== null) this.#timers.push(setInterval(() => capture.tick(), CAPTURE_MS));
    const isPage = this.#context.format === "text" && isScreen(1) && !this.#context.isQuiet;
    if (isPage || this.#context.format === "ndjson") this.#every(PAGE_MS, () => this.#show());
    await this.#stopped;
  }

  #every(milliseconds: number, act: () => Promise<void>): void {
    const timer = setInterval(() => act().catch(error => this.#stop(error as Error)), milliseconds);
    this.#timers.push(timer);
  }

  async #show(): Promise<void> {
    const report = this.#reportOf(await this.#live!.snapshot());
    const before = this.#last;
    this.#last = report;
    if (this.#context.format === "ndjson") {
      this.#output.line(`${harmlessJson(liveJson(report, false))}\n`);
      return;
    }
    this.#clearPage();
    const text = liveText(report, before, this.#context.palette(1));
    this.#output.now(text);
    this.#pageLines = text.split("\n").length - 1;
  }

  #clearPage(): void {
    if (this.#pageLines > 0) this.#output.now(control(`${this.#pageLines}A`) + control("G") + CLEAR_PAGE);
    this.#pageLines = 0;
  }

  async #look() {
    const snapshot = await this.#live!.snapshot();
    const { frames = 0, different = 0 } = this.#against?.result() ?? {};
    const totals = {
      reloads: this.#reloads,
      refused: this.#refused,
      edits: this.#edits,
      compared: frames,
      different,
      capture: this.#capture?.counts ?? null,
    };
    return [snapshot, totals] as const;
  }

  /** Ends everything and prints the totals. */
  async finish(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#watched.close();
    this.#metrics?.close();
    await this.#control?.close();
    const snapshot = await this.#live!.stop().catch(() => null);
    for (const [signal, act] of Object.entries(this.signals)) process.removeListener(signal, act);
    this.#clearPage();
    this.#isCaptureShort = this.#capture?.finish() === false;
    if (snapshot === null) return;
    const report = this.#reportOf(snapshot);
    this.#last = report;
    await this.#printTotals(report);
    const file = this.#context.text("report");
    if (file !== undefined) writeReport(file, `${liveJson(report)}\n`);
  }

  async #printTotals(report: LiveReport): Promise<void> {
    const isToStdout = this.#context.text("report") === "-";
    const isText = this.#context.format === "text";
    if (isText && (this.#context.isQuiet || isToStdout)) return;
    if (!isText && isToStdout) return say(liveJson(report));
    if (this.#output.problem !== null) return;
    this.#isOutputStuck = !(await this.#output.settle());
    if (this.#isOutputStuck) return say("slash32: standard output: its reader takes nothing more");
    print(isText ? liveText(report, null, this.#context.palette(1)) : `${liveJson(report)}\n`);
  }

  exitCode(): number {
    const against = this.#last?.against ?? null;
    const compared = against === null ? 0 : comparedCode(against, this.#skippedFlows);
    const isMute = this.#isOutputStuck || this.#output.problem !== null;
    const isShort = this.#isCaptureShort || this.#compareProblem !== null || isMute;
    return compared === 0 && isShort ? 1 : compared;
  }

  #reportOf({ counters, ports, undelivered, batches }: Snapshot): LiveReport {
    const names = new PortNames(this.#inForce);
    const against = this.#against?.result() ?? null;
    return {
      frames: counters.frames,
      snapped: counters.snapped,
      bytes: counters.bytes,
      seconds: (performance.now() - this.#startedAt) / 1000,
      drops: counters.drops,
      tables: counters.tables,
      against: against === null ? null : againstReport(this.#context, against, port => names.nameOf(port)),
      ports: counters.ports.map(port => ({
        port: port.port,
        name: names.nameOf(port.port),
        rxFrames: port.rxFrames,
        rxBytes: port.rxBytes,
        txFrames: port.txFrames,
        txBytes: port.txBytes,
        replies: port.replyFrames,
        drops: port.dropFrames,
      })),
      devices: ports.map(({ port, device, ofport, isOpen, counts }) => ({
        name: port,
        port: ofport,
        device,
        isOpen,
        ...counts,
      })),
      undelivered,
      batches,
      reloads: this.#reloads,
      refused: this.#refused,
      edits: this.#edits,
      missed: this.#live!.missed,
      capture: this.#capture?.counts ?? null,
    };
  }
}

/** Compares what the core did with a frame with what the flows would do. */
function compare(against: Against, { inPort, outPort, verdict, reason, frame, out }: Mirrored): void {
  const word = VERDICTS[verdict]!;
  const isDropped = word === "drop";
  against.compareOne(
    // The interpreter keeps what it is given, and these bytes are overwritten.
    { inPort, frame: frame.slice() },
    {
      verdict: word,
      reason: isDropped ? REASONS[reason]! : null,
      tables: [],
      isPopped: false,
      port: isDropped ? null : outPort,
      frame: isDropped ? null : out,
    },
  );
}
