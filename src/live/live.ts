/**
 * Live ports, seen from the main thread: starts the thread that moves frames, requests counters, installs new
 * tables, and ends the thread. Frames never pass here, except copies for the mirror (mirror.ts).
 */
import { closeSync, existsSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { Core } from "../core/index.ts";
import type { Intent, IntentEdit } from "../intent/index.ts";
import { ANY, type PortArgument } from "./device.ts";
import { LiveError } from "./errors.ts";
import { type Mirrored, MirrorReader, mirrorBuffer } from "./mirror.ts";
import { PcapBridge } from "./pcap.ts";
import { IntentTables } from "./table-updates.ts";
import type { FromWorker, Setup, Snapshot, ToWorker } from "./thread-protocol.ts";

export interface LiveOptions {
  readonly intent: Intent;
  /** Ports and their devices; the name * stands for all other ports, and in the device for their names. */
  readonly ports: readonly PortArgument[];
  readonly isSmallMtuAllowed?: boolean;
  /** Whether a port may be unknown to the intent; its device is opened when a later intent has it. */
  readonly areStrangersAllowed?: boolean;
  /** Mirror every n-th frame to `onMirrored`. */
  readonly mirror?: { readonly every: number; readonly onMirrored: (record: Mirrored) => void };
  /** Called with a line for the user: a device is gone, or is back. */
  readonly onNote?: (text: string) => void;
  /** Called if the thread ends by itself, which is an internal error. */
  readonly onFailure?: (error: Error) => void;
}

/** Result of an edit. */
export interface Edited {
  /** Number of VMs and routes that changed. */
  readonly vms: number;
  readonly routes: number;
  /**
   * Entries were edited; or all tables were installed again, because one had reached a limit; or nothing
   * changed.
   */
  readonly how: "edited" | "reloaded" | "nothing";
}

/** Interval at which copies of frames are fetched. */
const DRAIN_EVERY_MS = 10;

/** The worker's program: beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./live-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/live-worker.js", import.meta.url);
}

export class Live {
  readonly #worker: Worker;
  readonly #options: LiveOptions;
  readonly #mirror: MirrorReader | null;
  readonly #bridges: readonly PcapBridge[];
  /** The intent in force, and its tables in a core that carries no traffic. */
  readonly #tables: IntentTables;
  /** Reloads and edits, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer);
  #wake = -1;
  #timer: NodeJS.Timeout | undefined;
  /** Called when all mirrored frames of the old tables have been delivered. */
  #onChange: () => void = () => {};
  /** Pending requests and the types of their answers, in order. */
  readonly #waiting: { readonly types: readonly string[]; readonly take: (message: FromWorker) => void }[] =
    [];
  #failure: Error | null = null;

  private constructor(
    worker: Worker,
    options: LiveOptions,
    tables: IntentTables,
    mirror: MirrorReader | null,
    bridges: readonly PcapBridge[],
  ) {
    this.#worker = worker;
    this.#options = options;
    this.#tables = tables;
    this.#mirror = mirror;
    this.#bridges = bridges;
    worker.on("message", (message: FromWorker) => this.#hear(message));
    worker.on("error", error => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("the thread that moves frames ended")));
  }

  /**
   * Opens all devices and starts. Throws LiveError if one cannot be opened, CapacityError if the intent is
   * too large.
   */
  static async start(options: LiveOptions): Promise<Live> {
    if (process.platform !== "linux") throw new LiveError("live ports need Linux");
    checkPorts(options);
    const made = new IntentTables(Core.load(), options.intent);
    const tables = made.install(options.intent);
    const bridges: PcapBridge[] = [];
    const devices: Setup["devices"][number][] = [];
    try {
      for (const { port, device } of options.ports) {
        if (port === ANY) continue;
        const bridge = device.backend === "pcap" ? await PcapBridge.open(device) : null;
        if (bridge !== null) bridges.push(bridge);
        devices.push({ port, spec: bridge?.spec ?? device });
      }
      const buffer = options.mirror === undefined ? null : mirrorBuffer();
      const mirror = buffer === null ? null : { buffer, every: options.mirror!.every };
      const reader = buffer === null ? null : new MirrorReader(buffer);
      const live = new Live(new Worker(workerFile()), options, made, reader, bridges);
      await live.#begin({
        tables,
        devices,
        template: options.ports.find(({ port }) => port === ANY)?.device ?? null,
        mirror,
        isSmallMtuAllowed: options.isSmallMtuAllowed === true,
      });
      return live;
    } catch (error) {
      for (const bridge of bridges) bridge.close();
      throw error;
    }
  }

  async #begin(setup: Setup): Promise<void> {
    const ready = this.#answer("ready");
    this.#tell({ type: "setup", setup });
    const { wake, notes } = await ready;
    this.#wake = wake;
    for (const note of notes) this.#options.onNote?.(note);
    if (this.#mirror !== null) this.#timer = setInterval(() => this.#drain(), DRAIN_EVERY_MS);
  }

  #drain(): void {
    this.#mirror?.drain(this.#options.mirror!.onMirrored, () => this.#onChange());
  }

  /** Copies of frames that were skipped because the main thread was too slow. */
  get missed(): number {
    return this.#mirror?.missed ?? 0;
  }

  /** All counters at one moment. */
  async snapshot(): Promise<Snapshot> {
    const answer = this.#answer("snapshot");
    this.#tell({ type: "snapshot" });
    return this.#withBridges((await answer).snapshot);
  }

  /** The intent in force, edits included. */
  get intent(): Intent {
    return this.#tables.intent;
  }

  /**
   * Replaces the intent between two batches. `onChange` is called between the last mirrored frame of the old
   * tables and the first of the new ones. Throws CapacityError; then the old intent stays.
   */
  reload(intent: Intent, onChange: () => void = () => {}): Promise<void> {
    return this.#inTurn(() => {
      const tables = this.#tables.install(intent);
      return this.#give({ type: "reload", tables }, "reloaded", onChange);
    });
  }

  /**
   * Edits the intent in force: each VM between two batches, routes a few at a time. If an edit in place is
   * impossible, all tables are installed as by `reload`. `onChange` as for `reload`, but only if VMs changed.
   * Throws EditError for an edit that does not fit the intent; then nothing has changed.
   */
  edit(edit: IntentEdit, onChange: () => void = () => {}): Promise<Edited> {
    return this.#inTurn(async () => {
      const { vms, routes, made } = this.#tables.edit(edit);
      if (made === null) return { vms, routes, how: "nothing" };
      const onVms = vms > 0 ? onChange : () => {};
      if ("groups" in made) await this.#give({ type: "edit", edit: made }, "edited", onVms);
      else await this.#give({ type: "reload", tables: made }, "reloaded", onVms);
      return { vms, routes, how: "groups" in made ? "edited" : "reloaded" };
    });
  }

  /** Sends tables to the thread, and resolves when frames meet them. */
  async #give(
    message: Extract<ToWorker, { type: "reload" | "edit" }>,
    answer: "reloaded" | "edited",
    onChange: () => void,
  ): Promise<void> {
    this.#onChange = onChange;
    const answered = this.#answer(answer);
    this.#tell(message);
    await answered;
    if (this.#mirror === null) onChange();
    else this.#drain();
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Moves the remaining frames, closes the devices, and returns the last counters. */
  async stop(): Promise<Snapshot> {
    const answer = this.#answer("stopped");
    this.#tell({ type: "stop" });
    const { snapshot } = await answer;
    clearInterval(this.#timer);
    this.#drain();
    for (const bridge of this.#bridges) bridge.close();
    await this.#worker.terminate();
    closeSync(this.#wake);
    this.#wake = -1;
    return this.#withBridges(snapshot);
  }

  /** Adds the frames that were lost between libpcap and the thread. */
  #withBridges(snapshot: Snapshot): Snapshot {
    const lost = new Map(this.#bridges.map(({ spec, lost: frames }) => [spec.text, frames]));
    const ports = snapshot.ports.map(port => {
      const { counts } = port;
      return {
        ...port,
        counts: { ...counts, receiveLost: counts.receiveLost + (lost.get(port.device) ?? 0) },
      };
    });
    return { ...snapshot, ports };
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message);
    if (this.#wake >= 0) writeSync(this.#wake, this.#one);
  }

  #answer<T extends FromWorker["type"]>(type: T): Promise<Extract<FromWorker, { type: T }>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const take = (message: FromWorker): void => {
        if (message.type === type) resolve(message as Extract<FromWorker, { type: T }>);
        else if (message.type === "failed") reject(failureOf(message));
      };
      this.#waiting.push({ types: [type, "failed"], take });
    });
  }

  #hear(message: FromWorker): void {
    if (message.type === "note") {
      this.#options.onNote?.(message.text);
      return;
    }
    const index = this.#waiting.findIndex(({ types }) => types.includes(message.type));
    const waiting = this.#waiting[index];
    if (message.type === "stopped") this.#failure = new Error("stopped");
    if (message.type === "failed") this.#fail(failureOf(message));
    else if (waiting !== undefined) {
      this.#waiting.splice(index, 1);
      waiting.take(message);
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#wake = -1;
    clearInterval(this.#timer);
    const waiting = this.#waiting.splice(0);
    const isOurs = !(error instanceof LiveError);
    const message = { type: "failed", message: error.message, isOurs } as const;
    for (const { take } of waiting) take(message);
    if (waiting.length === 0) this.#options.onFailure?.(error);
    void this.#worker.terminate();
  }
}

function failureOf({ message, isOurs }: { message: string; isOurs: boolean }): Error {
  return isOurs ? new Error(message) : new LiveError(message);
}

function checkPorts({ intent, ports, areStrangersAllowed }: LiveOptions): void {
  if (ports.length === 0) throw new LiveError("live needs a port: --port NAME=DEVICE");
  const seen = new Set<string>();
  for (const { port, device } of ports) {
    if (seen.has(port)) throw new LiveError(`--port ${port}: the port has a device already`);
    seen.add(port);
    const target = `device ${device.text}`;
    if (seen.has(target)) throw new LiveError(`--port ${port}=${device.text}: the device is used twice`);
    seen.add(target);
  }
  const known = [intent.uplink, ...intent.vms].map(({ port }) => port);
  for (const { port } of ports) {
    if (areStrangersAllowed || port === ANY || known.includes(port)) continue;
    const shown = known.slice(0, 8).join(", ") + (known.length > 8 ? `, … (${known.length - 8} more)` : "");
    throw new LiveError(
      `--port ${port}: the intent has no port "${port}"; expected one of ${shown}, ` +
        "or --allow-unknown-ports to wait for an intent that has it",
    );
  }
}
