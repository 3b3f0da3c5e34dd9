/**
 * The thread that moves frames: opens the devices, and runs the loop of the forwarder until it is stopped. An
 * eventfd, polled beside the devices, announces messages of the main thread, so that the thread never waits
 * for one.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { type MessagePort, parentPort, receiveMessageOnPort } from "node:worker_threads";
import { adoptImage, Core, stepsToAdopt } from "../core/index.ts";
import { AfPacket, ReceiveRing } from "./afpacket.ts";
import { type Device, type DeviceSpec, deviceOfPort } from "./device.ts";
import { LiveError } from "./errors.ts";
import { Forwarder } from "./forwarder.ts";
import { addressOf, Block, eventfd, read } from "./libc.ts";
import { O_CLOEXEC, O_NONBLOCK } from "./linux.ts";
import { MirrorWriter } from "./mirror.ts";
import { stepsToEdit } from "./table-updates.ts";
import { Tap } from "./tap.ts";
import type { FromWorker, Setup, TableEdit, Tables, ToWorker } from "./thread-protocol.ts";
import { UnixPort } from "./unix.ts";

/** How long frames that still come in are moved after the word to stop. */
const DRAIN_MS = 100;

class Mover {
  readonly #port: MessagePort;
  readonly #core = Core.load();
  readonly #forwarder: Forwarder;
  readonly #wake = eventfd(0, O_NONBLOCK | O_CLOEXEC);
  readonly #woken = new Block(8);
  /** Notes of the time before the main thread listens. */
  readonly #notes: string[] = [];
  #isReady = false;
  /** Changes of the tables, the first of them under way: each is done before the next one begins. */
  readonly #changes: Generator<void, void>[] = [];
  #isStopped = false;

  constructor(port: MessagePort, setup: Setup) {
    this.#port = port;
    adoptImage(this.#core, setup.tables.image);
    this.#core.watchPorts(setup.tables.ports.map(({ ofport }) => ofport));
    const makeDevice = deviceMaker(this.#core);
    const { mirror, template } = setup;
    this.#forwarder = new Forwarder({
      core: this.#core,
      ports: setup.devices.map(({ port: name, spec }) => ({ name, device: makeDevice(spec) })),
      deviceFor: template === null ? null : name => makeDevice(deviceOfPort(template, name)),
      isSmallMtuAllowed: setup.isSmallMtuAllowed,
      mirror: mirror === null ? null : { writer: new MirrorWriter(mirror.buffer), every: mirror.every },
      onNote: text => this.#note(text),
    });
    try {
      this.#forwarder.adopt(setup.tables, true);
    } catch (error) {
      this.#forwarder.close();
      throw error;
    }
    this.#forwarder.watch(this.#wake);
    this.#isReady = true;
    this.#say({ type: "ready", wake: this.#wake, notes: this.#notes });
  }

  #say(message: FromWorker): void {
    this.#port.postMessage(message);
  }

  #note(text: string): void {
    if (this.#isReady) this.#say({ type: "note", text });
    else this.#notes.push(text);
  }

  /** Moves frames until it is told to stop. */
  run(): void {
    while (!this.#isStopped) {
      if (this.#forwarder.turn(this.#changes.length > 0)) this.#obey();
      if (this.#changes[0]?.next().done === true) this.#changes.shift();
    }
    this.#drain();
    const snapshot = this.#forwarder.snapshot();
    this.#forwarder.close();
    // Not the eventfd: a message that is on its way would wake whoever gets its number next.
    this.#say({ type: "stopped", snapshot });
  }

  /** Installs tables in chunks of some tens of microseconds. */
  *#adopt(tables: Tables): Generator<void, void> {
    yield* stepsToAdopt(this.#core, tables.image);
    this.#core.watchPorts(tables.ports.map(({ ofport }) => ofport));
    this.#forwarder.adopt(tables, false);
    this.#say({ type: "reloaded" });
  }

  /** Changes the tables in use: VMs that belong together in one step, routes in as many as they need. */
  *#edit(edit: TableEdit): Generator<void, void> {
    if (edit.groups.length > 0) this.#forwarder.change();
    yield* stepsToEdit(this.#core, edit, group => this.#forwarder.edit(group));
    this.#forwarder.settle(edit.mostLabels);
    this.#say({ type: "edited" });
  }

  #obey(): void {
    read(this.#wake, this.#woken.address, 8);
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      const message: ToWorker = received.message;
      if (message.type === "snapshot") this.#say({ type: "snapshot", snapshot: this.#forwarder.snapshot() });
      if (message.type === "stop") this.#isStopped = true;
      if (message.type === "reload") this.#changes.push(this.#adopt(message.tables));
      if (message.type === "edit") this.#changes.push(this.#edit(message.edit));
    }
  }

  /** Moves what was there when it was told to stop, and what peers still take. */
  #drain(): void {
    const end = performance.now() + DRAIN_MS;
    while (performance.now() < end && (this.#forwarder.move() || this.#forwarder.isBlocked));
  }
}

/** Makes devices that share what can be shared. */
function deviceMaker(core: Core): (spec: DeviceSpec) => Device {
  const base = addressOf(core.bytes.buffer);
  let ring: ReceiveRing | undefined;
  return spec => {
    if (spec.backend === "tap") return new Tap(spec, base);
    if (spec.backend !== "afpacket") return new UnixPort(spec, core.bytes, removeSocket);
    ring ??= new ReceiveRing(base);
    return new AfPacket(spec, base, ring);
  };
}

/** Removes a file if it is a socket; false when it is none, or stays. */
function removeSocket(path: string): boolean {
  try {
    if (!lstatSync(path).isSocket()) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function start(setup: Setup): void {
  const port = parentPort!;
  try {
    new Mover(port, setup).run();
  } catch (error) {
    const isOurs = !(error instanceof LiveError);
    const message = isOurs ? String((error as Error).stack) : (error as Error).message;
    port.postMessage({ type: "failed", message, isOurs } satisfies FromWorker);
  }
}

parentPort!.once("message", (message: ToWorker) => {
  if (message.type === "setup") start(message.setup);
});
