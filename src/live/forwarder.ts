/**
 * The loop that moves frames: waits until a port has some, reads them straight into the core's memory, runs
 * the core, sends the outputs, and starts again. A single frame is a batch of one and is sent at once; under
 * load, batches fill while the previous one runs. The loop allocates nothing per frame and reads no frame
 * bytes. poll(2).
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import { AfPacket } from "./afpacket.ts";
import { BATCH_FRAMES, Batch } from "./batch.ts";
import type { Device } from "./device.ts";
import { LiveError } from "./errors.ts";
import { FrameCopies } from "./frame-copies.ts";
import { Block, poll } from "./libc.ts";
import { POLLERR, POLLFD_BYTES, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "./linux.ts";
import type { MirrorWriter } from "./mirror.ts";
import { mtuProblem } from "./mtu.ts";
import type { PortOfIntent, PortState, Snapshot, Tables, VmGroup } from "./thread-protocol.ts";

/** Interval at which devices that are gone are tried again. */
const RETRY_MS = 100;
/** Longest wait without an event; a thread that is to end must return regularly. */
const IDLE_MS = 250;
/** Least number of frames that one port may receive per turn while others wait. */
const LEAST_SHARE = 16;

const DESCRIPTOR_WORDS = abi.DESCRIPTOR_BYTES >>> 2;
const FIRST = abi.FRAMES >>> 2;

/** A port: its device, and its number while the intent has it. */
interface Port {
  readonly name: string;
  readonly device: Device;
  ofport: number | null;
  isOpen: boolean;
  /** Whether it was open before; then it is not created again. */
  wasOpen: boolean;
  /** Whether its absence was reported. */
  isMissed: boolean;
  /** Whether it exists only while the intent has it. */
  readonly isFleeting: boolean;
}

function newPort(name: string, device: Device, isFleeting: boolean): Port {
  return { name, device, ofport: null, isOpen: false, wasOpen: false, isMissed: false, isFleeting };
}

export interface ForwarderOptions {
  readonly core: Core;
  readonly ports: readonly { readonly name: string; readonly device: Device }[];
  /** Makes the device of a port that is not in `ports`; null: it has none. Throws LiveError. */
  readonly deviceFor: ((name: string) => Device) | null;
  readonly isSmallMtuAllowed: boolean;
  readonly mirror: { readonly writer: MirrorWriter; readonly every: number } | null;
  /** Called with a line for the user: a device is gone, or is back. */
  readonly onNote: (text: string) => void;
}

export class Forwarder {
  readonly batch: Batch;
  readonly #core: Core;
  /** By name. */
  readonly #ports: Map<string, Port>;
  /** Ports of the intent by name, its uplink, and the number of labels of the route that has most. */
  #known = new Map<string, PortOfIntent>();
  #uplink = "";
  #mostLabels = 0;
  #mtuNote: string | null = null;
  readonly #options: ForwarderOptions;
  /** Ports in the order of the poll list, from its second entry on. */
  #polled: Port[] = [];
  #list: Block;
  /** Open ports by number; others have none. */
  #sinks: (Device | undefined)[] = [];
  #nextRetry = 0;
  /** Index of the port that is served first; it changes, so that no port always is. */
  #turn = 0;
  #undelivered = 0;
  #batches = 0;
  #polls = 0;
  /** Null: no frame is mirrored. */
  readonly #copies: FrameCopies | null;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#core = options.core;
    this.batch = new Batch(options.core, () => this.#run());
    this.#ports = new Map(options.ports.map(({ name, device }) => [name, newPort(name, device, false)]));
    this.#list = new Block((this.#ports.size + 1) * POLLFD_BYTES);
    const { mirror } = options;
    this.#copies = mirror === null ? null : new FrameCopies(mirror.writer, mirror.every);
  }

  /**
   * Adopts the ports of an intent: closes ports that it lacks, opens the others. If one cannot be opened,
   * throws LiveError if `isStrict`; otherwise reports it and tries again later.
   */
  adopt(tables: Tables, isStrict: boolean): void {
    if (!isStrict) this.change();
    this.#known = new Map(tables.ports.map(port => [port.name, port]));
    this.#uplink = tables.uplink;
    this.#mostLabels = tables.mostLabels;
    for (const port of this.#ports.values()) if (!this.#known.has(port.name)) this.#leave(port);
    for (const port of tables.ports) this.#take(port, isStrict);
    this.#arrange();
    this.#checkMtu(isStrict);
  }

  /** Marks in the mirror that the frames from here on meet other tables. */
  change(): void {
    this.#copies?.change();
  }

  /** Adopts the changed ports of VMs. If one cannot be opened, reports it and tries again later. */
  edit({ gone, ports }: VmGroup): void {
    for (const name of gone) {
      this.#known.delete(name);
      const port = this.#ports.get(name);
      if (port !== undefined) this.#leave(port);
    }
    for (const port of ports) {
      this.#known.set(port.name, port);
      this.#take(port, false);
    }
    this.#arrange();
  }

  /** To be called after the last edit: the required MTU depends on all ports and routes. */
  settle(mostLabels: number): void {
    this.#mostLabels = mostLabels;
    this.#checkMtu(false);
  }

  #leave(port: Port): void {
    port.ofport = null;
    if (port.isOpen) this.#close(port);
    if (port.isFleeting) this.#ports.delete(port.name);
  }

  #take({ name, ofport }: PortOfIntent, isStrict: boolean): void {
    const port = this.#ports.get(name) ?? this.#made(name, isStrict);
    if (port === null) return;
    port.ofport = ofport;
    if (!port.isOpen) this.#open(port, isStrict);
  }

  /** Makes a port for a name without a device of its own; null: it has none. */
  #made(name: string, isStrict: boolean): Port | null {
    const { deviceFor, onNote } = this.#options;
    if (deviceFor === null) return null;
    try {
      const port = newPort(name, deviceFor(name), true);
      this.#ports.set(name, port);
      return port;
    } catch (error) {
      if (!(error instanceof LiveError) || isStrict) throw error;
      onNote(`${name}: ${error.message}; the port has no device`);
      return null;
    }
  }

  #checkMtu(isStrict: boolean): void {
    const problem = mtuProblem({
      ports: this.#ports,
      known: this.#known,
      uplink: this.#uplink,
      mostLabels: this.#mostLabels,
    });
    const isNews = problem !== this.#mtuNote || isStrict;
    this.#mtuNote = problem;
    if (problem === null || !isNews) return;
    if (isStrict && !this.#options.isSmallMtuAllowed) throw new LiveError(problem);
    this.#options.onNote(problem);
  }

  /** Opens a port. A unix socket without a listener is not an error, because peers come and go. */
  #open(port: Port, isStrict: boolean): void {
    const { device, name } = port;
    try {
      device.open(port.wasOpen);
    } catch (error) {
      if (!(error instanceof LiveError) || (isStrict && device.spec.backend !== "unix")) throw error;
      if (!port.isMissed) this.#options.onNote(`${name}: ${error.message}; trying again`);
      port.isMissed = true;
      return;
    }
    if (port.isMissed) this.#options.onNote(`${name}: ${device.spec.text} is there`);
    port.isOpen = port.wasOpen = true;
    port.isMissed = false;
    if (device instanceof AfPacket && device.note !== null) this.#options.onNote(device.note);
  }

  #close(port: Port): void {
    port.device.close();
    port.isOpen = false;
  }

  /** Rebuilds the poll list and the sinks after ports were opened or closed. */
  #arrange(): void {
    this.#polled = [...this.#ports.values()].filter(({ isOpen }) => isOpen);
    this.#makeRoom(this.#polled.length + 1);
    this.#sinks = [];
    for (const { ofport, device } of this.#polled) this.#sinks[ofport!] = device;
    this.#polled.forEach(({ device }, index) => {
      this.#list.view.setInt32((index + 1) * POLLFD_BYTES, device.fd, true);
    });
    this.#nextRetry = this.#isComplete ? Number.POSITIVE_INFINITY : performance.now() + RETRY_MS;
  }

  get #isComplete(): boolean {
    for (const { isOpen, ofport } of this.#ports.values()) if (!isOpen && ofport !== null) return false;
    return true;
  }

  /** Makes room for so many entries in the poll list. */
  #makeRoom(entries: number): void {
    const bytes = entries * POLLFD_BYTES;
    if (bytes <= this.#list.bytes.length) return;
    const { bytes: before } = this.#list;
    this.#list = new Block(bytes * 2);
    this.#list.bytes.set(before);
  }

  /** Sets the file to poll beside the ports; it is readable if there is a message. */
  watch(fd: number): void {
    this.#list.view.setInt32(0, fd, true);
    this.#list.view.setInt16(4, POLLIN, true);
  }

  /**
   * Waits for an event (not if `isBusy`) and moves the frames that there are. True if there may be a message.
   */
  turn(isBusy: boolean): boolean {
    const { view, words } = this.#list;
    const count = this.#polled.length;
    let hasFrames = false;
    for (let index = 0; index < count; index++) {
      const { device } = this.#polled[index]!;
      // A listener becomes a peer, and a peer's socket has another number.
      words[(index + 1) * 2] = device.fd;
      words[(index + 1) * 2 + 1] = device.isBlocked ? POLLIN | POLLOUT : POLLIN;
      if (device.hasFrames === true) hasFrames = true;
    }
    words[1] = POLLIN;
    this.#polls++;
    const waitMs = this.#nextRetry === Number.POSITIVE_INFINITY ? IDLE_MS : RETRY_MS;
    const ready = poll(this.#list.address, count + 1, isBusy || hasFrames ? 0 : waitMs);
    if (ready > 0 || hasFrames) this.#serve(count, ready);
    if (this.#nextRetry !== Number.POSITIVE_INFINITY && performance.now() >= this.#nextRetry) this.#retry();
    return (view.getInt16(6, true) & POLLIN) !== 0;
  }

  /** Moves the frames that there are, without waiting. False if there were none. */
  move(): boolean {
    const before = this.#batches;
    this.turn(true);
    return this.#batches !== before;
  }

  /** Whether a peer has not accepted all that was sent to it. */
  get isBlocked(): boolean {
    return this.#polled.some(({ device }) => device.isBlocked);
  }

  /** Reads from all ports that have frames, a share each, and runs the batch. */
  #serve(count: number, ready: number): void {
    const { words } = this.#list;
    const share = Math.max(LEAST_SHARE, Math.floor(BATCH_FRAMES / Math.max(1, Math.min(ready, count))));
    const first = this.#turn++;
    let isBroken = false;
    for (let step = 0; step < count; step++) {
      const index = (first + step) % count;
      const port = this.#polled[index]!;
      const { device } = port;
      const events = words[(index + 1) * 2 + 1]! >>> 16;
      if (events === 0 && device.hasFrames !== true) continue;
      if ((events & POLLOUT) !== 0) device.flush();
      if (this.batch.slots === BATCH_FRAMES) continue;
      device.receive(this.batch, port.ofport!, share);
      if (device.failure === null && (events & (POLLERR | POLLHUP | POLLNVAL)) !== 0)
        this.#checkBroken(device, events);
      if (device.failure !== null) isBroken = true;
    }
    if (this.batch.count > 0) this.#run();
    this.batch.slots = 0;
    if (isBroken) this.#letGo();
  }

  /** Checks an error event that reading did not explain. */
  #checkBroken(device: Device, events: number): void {
    if (device.spec.backend === "tap" || (events & POLLNVAL) !== 0) device.fail("the interface was removed");
  }

  /** Closes failed ports; they are tried again from now on. */
  #letGo(): void {
    for (const port of this.#polled) {
      if (port.device.failure === null) continue;
      this.#options.onNote(`${port.name}: ${port.device.spec.text} is gone: ${port.device.failure}`);
      this.#close(port);
      port.isMissed = true;
    }
    this.#arrange();
  }

  #retry(): void {
    for (const port of this.#ports.values())
      if (!port.isOpen && port.ofport !== null) this.#open(port, false);
    this.#arrange();
  }

  /** Runs the batch, sends the outputs, and clears it. */
  #run(): void {
    const { batch } = this;
    const { count } = batch;
    const copies = this.#copies;
    copies?.keep(batch);
    this.#batches++;
    this.#core.exports.runFrames(count);
    this.#deliver(count);
    copies?.write(batch);
    for (const { device } of this.#polled) device.flush();
    batch.clear();
  }

  #deliver(count: number): void {
    const { words } = this.#core;
    const sinks = this.#sinks;
    for (let word = FIRST, end = FIRST + count * DESCRIPTOR_WORDS; word < end; word += DESCRIPTOR_WORDS) {
      if ((words[word + (abi.DESCRIPTOR_VERDICT >>> 2)]! & 0xff) === abi.Verdict.Drop) continue;
      const sink = sinks[words[word + (abi.DESCRIPTOR_OUT_PORT >>> 2)]!];
      if (sink === undefined) this.#undelivered++;
      else {
        sink.send(
          words[word + (abi.DESCRIPTOR_OUT_FRAME >>> 2)]!,
          words[word + (abi.DESCRIPTOR_OUT_LENGTH >>> 2)]!,
        );
      }
    }
  }

  snapshot(): Snapshot {
    const ports: PortState[] = [...this.#ports.values()].map(({ name, device, ofport, isOpen }) => {
      if (device instanceof AfPacket) device.countDrops();
      return { port: name, device: device.spec.text, ofport, isOpen, counts: { ...device.counts } };
    });
    return {
      counters: this.#core.counters(),
      ports,
      undelivered: this.#undelivered,
      batches: this.#batches,
      polls: this.#polls,
    };
  }

  close(): void {
    for (const port of this.#ports.values()) if (port.isOpen) this.#close(port);
  }
}
