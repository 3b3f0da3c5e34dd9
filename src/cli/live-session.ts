/**
 * One run of `slash32 live`: starts ports, capture, comparison, metrics and the control socket, reloads the
 * intent, and ends everything in order. Frames are the live room's; what is printed is in live-page.ts.
 */
import { formatDiagnostic } from "../errors/index.ts";
import type { UnixServer } from "../host/index.ts";
import { type Intent, loadIntent } from "../intent/index.ts";
import {
  Live,
  type Metrics,
  type Mirrored,
  PassingCapture,
  type PortArgument,
  parseSize,
  type Snapshot,
  startControl,
  WatchedFile,
} from "../live/index.ts";
import { PortNames } from "../replay/index.ts";
import { type LiveReport, liveJson } from "../report/index.ts";
import { againstReport, portReports } from "./against-report.ts";
import { type Context, say, writeReport } from "./context.ts";
import { UserError } from "./errors.ts";
import { comparedCode } from "./flows.ts";
import { LiveComparison } from "./live-comparison.ts";
import { LivePage } from "./live-page.ts";

const EVERY_DEFAULT = 1000;
const PAGE_MS = 1000;
/** How often the number of frames is compared with --count. */
const COUNT_MS = 20;
const WATCH_MS = 200;
/** How often a capture is written out, or tried again. */
const CAPTURE_MS = 500;

type StartMetrics = (read: Parameters<typeof Metrics.start>[1]) => Promise<Metrics>;

export class LiveSession {
  readonly #context: Context;
  readonly #arguments: readonly PortArgument[];
  readonly #startedAt = performance.now();
  readonly #page: LivePage;
  readonly #watched: WatchedFile;
  #intent: Intent;
  #live: Live | null = null;
  #comparison: LiveComparison | null = null;
  #capture: PassingCapture | null = null;
  /** Whether packets are missing in the capture. */
  #isCaptureShort = false;
  #metrics: Metrics | null = null;
  #control: UnixServer | null = null;
  #last: LiveReport | null = null;
  #reloads = 0;
  #refused = 0;
  #edits = 0;
  #isReloading = false;
  #isReloadWanted = false;
  #stop: (error?: Error) => void = () => {};
  readonly #stopped: Promise<void>;
  readonly #timers: NodeJS.Timeout[] = [];

  /** Handles signals from now on. `ports` gives the arguments the names of the intent. Throws UserError. */
  constructor(context: Context, ports: (intent: Intent) => readonly PortArgument[]) {
    this.#context = context;
    this.#page = new LivePage(context);
    this.#stopped = new Promise((resolve, reject) => {
      this.#stop = error => (error === undefined ? resolve() : reject(error));
    });
    // `untilStopped` rejects with the error; before that a rejection would be reported as unhandled.
    this.#stopped.catch(() => {});
    // Before anything is read: a signal that arrives meanwhile is not lost, nor is a change of the file.
    for (const [signal, act] of Object.entries(this.#signals)) process.on(signal, act);
    this.#watched = new WatchedFile(context.text("intent") ?? "");
    this.#watched.mark();
    this.#intent = context.intent();
    this.#arguments = ports(this.#intent);
  }

  readonly #signals = {
    SIGINT: (): void => this.#stop(),
    SIGTERM: (): void => this.#stop(),
    SIGHUP: (): void => void this.#reload(),
  };

  async start(startMetrics: StartMetrics | null): Promise<void> {
    const context = this.#context;
    const flows = context.text("against");
    const warn = (text: string): void => this.#page.warn(text);
    if (flows !== undefined) this.#comparison = new LiveComparison(context, flows, this.#intent, warn);
    const file = context.text("capture");
    if (file !== undefined) this.#beginCapture(file);
    try {
      this.#live = await Live.start({
        intent: this.#intent,
        ports: this.#arguments,
        isSmallMtuAllowed: context.flag("allow-small-mtu"),
        areStrangersAllowed: context.flag("allow-unknown-ports"),
        ...this.#mirrorOf(),
        onNote: text => this.#page.say(text),
        onFailure: error => this.#stop(error),
      });
      this.#metrics = (await startMetrics?.(() => this.#readMetrics())) ?? null;
      await this.#startControl(this.#live);
    } catch (error) {
      this.#metrics?.close();
      await this.#live?.stop();
      this.#capture?.abandon();
      throw error;
    }
    this.#announce();
    if (context.flag("watch")) this.#watched.watch(WATCH_MS, this.#signals.SIGHUP);
    if (this.#isReloadWanted) await this.#reload();
  }

  /** Serves the control socket, if --control is given. Throws SocketError. */
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
    if (this.#metrics !== null) this.#page.say(`metrics at ${this.#metrics.url}`);
    const control = this.#context.text("control");
    if (control !== undefined) this.#page.say(`control socket ${control}`);
    this.#page.say(`live: ${list}`);
  }

  #beginCapture(file: string): void {
    const limit = this.#context.text("capture-limit");
    const mostBytes = limit === undefined ? null : parseSize("--capture-limit", limit);
    const capture = new PassingCapture(file, { mostBytes, onNote: text => this.#page.warn(text) });
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

  /** Which frames are copied to the main thread: all for a capture, every N-th for a comparison. */
  #mirrorOf(): { mirror?: { every: number; onMirrored: (record: Mirrored) => void } } {
    const every = this.#context.number("every") ?? EVERY_DEFAULT;
    const capture = this.#capture;
    const comparison = this.#comparison;
    if (capture === null && comparison === null) return {};
    if (capture === null) return { mirror: { every, onMirrored: record => comparison!.compare(record) } };
    let seen = 0;
    const onMirrored = (record: Mirrored): void => {
      capture.write(record);
      if (comparison !== null && seen++ % every === 0) comparison.compare(record);
    };
    return { mirror: { every: 1, onMirrored } };
  }

  /** Reads the intent and the flows again. If the intent has errors, prints them and keeps the old one. */
  async #reload(): Promise<void> {
    if (this.#isReloading || this.#live === null) {
      this.#isReloadWanted = true;
      return;
    }
    this.#isReloadWanted = false;
    this.#isReloading = true;
    try {
      await this.#adopt(this.#read());
      this.#reloads++;
      this.#page.say("reloaded the intent");
    } catch (error) {
      this.#refused++;
      this.#page.warn((error as Error).message);
      say("slash32: the new intent is rejected; the old intent stays in force");
    }
    this.#isReloading = false;
    if (this.#isReloadWanted) await this.#reload();
  }

  #read(): Intent {
    const path = this.#context.text("intent")!;
    if (path === "-")
      throw new UserError("the intent is standard input and cannot be read again; restart with -n FILE");
    this.#watched.mark();
    const { intent, errors } = loadIntent(path);
    if (intent === null) throw new UserError(errors.map(formatDiagnostic).join("\nslash32: "));
    return intent;
  }

  async #adopt(intent: Intent): Promise<void> {
    await this.#live!.reload(intent, () => {
      this.#intent = intent;
      this.#capture?.begin(this.#namesByNumber());
      try {
        this.#comparison?.reload(intent);
      } catch (error) {
        this.#page.say(`${(error as Error).message}; slash32 keeps comparing with the old flows`);
      }
    });
  }

  /** Runs until a signal, a limit or a failure. Throws the failure. */
  async untilStopped(seconds: number | undefined, frames: number | undefined): Promise<void> {
    if (seconds !== undefined) this.#timers.push(setTimeout(() => this.#stop(), seconds * 1000));
    if (frames !== undefined)
      this.#every(COUNT_MS, async () => {
        if ((await this.#live!.snapshot()).counters.frames >= frames) this.#stop();
      });
    const capture = this.#capture;
    if (capture !== null) this.#timers.push(setInterval(() => capture.tick(), CAPTURE_MS));
    if (this.#page.isRegular)
      this.#every(PAGE_MS, async () => {
        this.#last = this.#reportOf(await this.#live!.snapshot());
        this.#page.show(this.#last);
      });
    await this.#stopped;
  }

  #every(milliseconds: number, act: () => Promise<void>): void {
    const timer = setInterval(() => act().catch(error => this.#stop(error as Error)), milliseconds);
    this.#timers.push(timer);
  }

  async #readMetrics() {
    const snapshot = await this.#live!.snapshot();
    const { frames = 0, different = 0 } = this.#comparison?.result() ?? {};
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
    for (const [signal, act] of Object.entries(this.#signals)) process.removeListener(signal, act);
    this.#page.clear();
    this.#isCaptureShort = this.#capture?.finish() === false;
    if (snapshot === null) return;
    const report = this.#reportOf(snapshot);
    this.#last = report;
    await this.#page.totals(report);
    const file = this.#context.text("report");
    if (file !== undefined) writeReport(file, `${liveJson(report)}\n`);
  }

  exitCode(): number {
    const against = this.#last?.against ?? null;
    const comparison = this.#comparison;
    const compared = against === null ? 0 : comparedCode(against, comparison?.skippedFlows ?? 0);
    const isPartial = this.#isCaptureShort || this.#page.hasFailed || (comparison?.problem ?? null) !== null;
    return compared === 0 && isPartial ? 1 : compared;
  }

  #reportOf({ counters, ports, undelivered, batches }: Snapshot): LiveReport {
    const names = new PortNames(this.#inForce);
    const against = this.#comparison?.result() ?? null;
    return {
      frames: counters.frames,
      snapped: counters.snapped,
      bytes: counters.bytes,
      seconds: (performance.now() - this.#startedAt) / 1000,
      drops: counters.drops,
      tables: counters.tables,
      against: against === null ? null : againstReport(this.#context, against, port => names.nameOf(port)),
      ports: portReports(counters, port => names.nameOf(port)),
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
