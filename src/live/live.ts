/**
 * Live ports as the main thread sees them: starts the thread that moves frames, asks it for counters, gives it new tables,
 * and ends it. The frames themselves never come here, but for copies that are asked for (mirror.ts).
 */
import { closeSync, existsSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { Core } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import type { PortArgument } from "./device.ts";
import { LiveError } from "./errors.ts";
import type { FromWorker, Setup, Snapshot, ToWorker } from "./messages.ts";
import { type Mirrored, MirrorReader, mirrorBuffer } from "./mirror.ts";
import { PcapBridge } from "./pcap.ts";
import { tablesOf } from "./tables.ts";

export interface LiveOptions {
  readonly intent: Intent;
  readonly ports: readonly PortArgument[];
  readonly isSmallMtuAllowed?: boolean;
  /** Whether a port may be named that the intent does not have; its device is opened when a later one does. */
  readonly areStrangersAllowed?: boolean;
  /** Look at every so-manieth frame; `onMirrored` is given it. */
  readonly mirror?: { readonly every: number; readonly onMirrored: (record: Mirrored) => void };
  /** Told what a person should know: a device is gone, or back. */
  readonly onNote?: (text: string) => void;
  /** The thread ended by itself, which is a bug of ours. */
  readonly onFailure?: (error: Error) => void;
}

/** How often copies of frames are fetched. */
const DRAIN_EVERY_MS = 10;

/** The worker's program lies beside the bundled program, or in build/ of a checkout. */
function workerFile(): URL {
  const beside = new URL("./live-worker.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/live-worker.js", import.meta.url);
}

export class Live {
  readonly #worker: Worker;
  readonly #options: LiveOptions;
  readonly #mirror: MirrorReader | null;
  readonly #bridges: readonly PcapBridge[];
  /** Makes tables; carries no traffic. */
  readonly #core: Core;
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer);
  #wake = -1;
  #timer: NodeJS.Timeout | undefined;
  /** To be called when the frames of the old tables have all been looked at. */
  #onChange: () => void = () => {};
  /** Who waits for which kind of answer, in the order of asking. */
  readonly #waiting: { readonly types: readonly string[]; readonly take: (message: FromWorker) => void }[] =
    [];
  #failure: Error | null = null;

  private constructor(
    worker: Worker,
    options: LiveOptions,
    core: Core,
    mirror: MirrorReader | null,
    bridges: readonly PcapBridge[],
  ) {
    this.#worker = worker;
    this.#options = options;
    this.#core = core;
    this.#mirror = mirror;
    this.#bridges = bridges;
    worker.on("message", (message: FromWorker) => this.#hear(message));
    worker.on("error", error => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("the thread that moves frames ended")));
  }

  /** Opens all devices and begins. Throws LiveError when one cannot be opened, CapacityError for too large an intent. */
  static async start(options: LiveOptions): Promise<Live> {
    if (process.platform !== "linux") throw new LiveError("live ports are there on Linux only");
    checkPorts(options);
    const core = Core.load();
    const tables = tablesOf(core, options.intent);
    const bridges: PcapBridge[] = [];
    const devices: Setup["devices"][number][] = [];
    try {
      for (const { port, device } of options.ports) {
        const bridge = device.backend === "pcap" ? await PcapBridge.open(device) : null;
        if (bridge !== null) bridges.push(bridge);
        devices.push({ port, spec: bridge?.spec ?? device });
      }
      const buffer = options.mirror === undefined ? null : mirrorBuffer();
      const mirror = buffer === null ? null : { buffer, every: options.mirror!.every };
      const reader = buffer === null ? null : new MirrorReader(buffer);
      const live = new Live(new Worker(workerFile()), options, core, reader, bridges);
      await live.#begin({
        tables,
        devices,
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

  /** Copies of frames that found no room, because the main thread was slow. */
  get missed(): number {
    return this.#mirror?.missed ?? 0;
  }

  /** All counters at one moment. */
  async snapshot(): Promise<Snapshot> {
    const answer = this.#answer("snapshot");
    this.#tell({ type: "snapshot" });
    return this.#withBridges((await answer).snapshot);
  }

  /**
   * Puts an intent in the place of the one before, between two batches. `onChange` is called between the last mirrored
   * frame that met the old one and the first that met the new one. Throws CapacityError; then the old one stays.
   */
  async reload(intent: Intent, onChange: () => void = () => {}): Promise<void> {
    const tables = tablesOf(this.#core, intent);
    this.#onChange = onChange;
    const answer = this.#answer("reloaded");
    this.#tell({ type: "reload", tables });
    await answer;
    if (this.#mirror === null) onChange();
    else this.#drain();
  }

  /** Moves what is on its way, closes the devices, and gives the last counters. */
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

  /** Adds what was lost on the way from libpcap. */
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
    if (areStrangersAllowed || known.includes(port)) continue;
    const shown = known.slice(0, 8).join(", ") + (known.length > 8 ? `, … (${known.length - 8} more)` : "");
    throw new LiveError(
      `--port ${port}: "${port}" is no port of the intent, which has ${shown}; --allow-unknown-ports waits for an intent that has it`,
    );
  }
}
