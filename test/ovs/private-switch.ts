/**
 * A private Open vSwitch as an oracle for tests: frames in; out come the frames that left each port and the
 * packet-ins, attributed exactly to the frame that caused them. It does not know the pipeline: it runs any
 * flow text, on dummy ports, as any user, and never touches a switch that was there before. A marker frame
 * follows each frame on the same port, and a flow of its own sends it to all ports and to the controller:
 * outputs between two markers belong to the one frame between them, and a missing or misplaced marker is an
 * error, never a wrong answer. ovs-ofctl(8), ovs-vswitchd(8), lib/netdev-dummy.c of Open vSwitch (a queue
 * holds 100 frames; one is taken per main loop).
 */
import type { Socket } from "node:net";
import { join } from "node:path";
import { SwitchError } from "../../src/host/index.ts";
import { type Daemons, lastLogLines, startDaemons } from "./daemons.ts";
import { FlowText } from "./flow-text.ts";
import { Management } from "./management.ts";
import { Markers } from "./markers.ts";
import { MarkedStream, MarkerWait, readTap } from "./port-streams.ts";
import {
  type Answer,
  checkInput,
  checkPorts,
  configurationOf,
  type DumpOptions,
  fifoOf,
  type Input,
  type ParsedFlow,
  type Port,
  type SwitchOptions,
  type TextOptions,
} from "./switch-config.ts";
import type { PacketIn } from "./switch-messages.ts";
import { Unixctl } from "./unixctl.ts";

export {
  type Answer,
  FRAME_BYTES_MAX,
  FRAME_BYTES_MIN,
  type Input,
  type Output,
  type ParsedFlow,
  type Protocol,
  type SwitchOptions,
  type SwitchPort,
} from "./switch-config.ts";

/**
 * With their markers these take 80 of the 100 places in a dummy port's queue, which drops further frames
 * silently.
 */
const WINDOW_FRAMES = 40;
/**
 * The management socket's buffer holds a few packet-ins of each frame; OVS queues 100 more, then drops
 * silently.
 */
const WINDOW_BYTES = 32_768;
const ANSWER_MS = 60_000;

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");

/** A running private switch. Methods may be called concurrently; they run one after the other. */
export class PrivateSwitch {
  readonly #ports: readonly Port[];
  readonly #markers = new Markers();
  readonly #taps: Map<number, MarkedStream<Buffer>>;
  /** By controller id, in the order of the ids. */
  readonly #packetIns: ReadonlyMap<number, MarkedStream<PacketIn>>;
  readonly #wait: MarkerWait;
  /** Frames and markers given to each port. */
  readonly #sent: Map<number, number>;
  readonly #sockets: Socket[] = [];
  #daemons!: Daemons;
  #flowText!: FlowText;
  #unixctl!: Unixctl;
  /** One for each controller id; the first also requests the port counters. */
  #managements: Management[] = [];
  #startMs = 0;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** The last call that must run alone. */
  #lastAlone: Promise<unknown> = Promise.resolve();
  #ended: Error | undefined;

  private constructor(ports: readonly Port[], controllerIds: readonly number[]) {
    const marked = (): void => this.#wait.check();
    const sequenceOf = (frame: Uint8Array): number | undefined => this.#markers.sequenceOf(frame);
    this.#ports = ports;
    this.#taps = new Map(
      ports.map(({ number, name }) => [number, new MarkedStream<Buffer>(`port ${name}`, sequenceOf, marked)]),
    );
    this.#packetIns = new Map(
      [...new Set([0, ...controllerIds])]
        .sort((a, b) => a - b)
        .map(id => [
          id,
          new MarkedStream(`packet-ins of id ${id}`, ({ frame }) => sequenceOf(frame), marked),
        ]),
    );
    this.#wait = new MarkerWait([...this.#taps.values(), ...this.#packetIns.values()]);
    this.#sent = new Map(ports.map(({ number }) => [number, 0]));
  }

  /**
   * Starts a private switch with these ports and no flows. It ends with `close()`, or when this process ends
   * for any reason. An open switch does not keep this process running.
   * @throws SwitchError if Open vSwitch is missing, too old, or does not start
   */
  static async start({
    ports,
    tunnels = [],
    failMode = "secure",
    controllerIds = [],
    programs,
  }: SwitchOptions): Promise<PrivateSwitch> {
    const startedAt = performance.now();
    const checked = checkPorts(ports);
    const sw = new PrivateSwitch(checked, controllerIds);
    try {
      sw.#daemons = await startDaemons(
        checked.map(fifoOf),
        folder => {
          for (const port of checked)
            sw.#sockets.push(readTap(join(folder, fifoOf(port)), sw.#taps.get(port.number)!));
        },
        folder => configurationOf(checked, tunnels, failMode, folder),
        programs ?? null,
      );
      sw.#flowText = new FlowText(sw.#daemons);
      await keepingAlive(() => sw.#connect());
    } catch (error) {
      await sw.close();
      throw error;
    }
    sw.#startMs = performance.now() - startedAt;
    return sw;
  }

  /** Version of Open vSwitch, such as "3.1.0". */
  get version(): string {
    return this.#daemons.version;
  }

  /** Duration of the start, in milliseconds. */
  get startMs(): number {
    return this.#startMs;
  }

  /** The folder of its sockets and logs, and the process ids of ovsdb-server and ovs-vswitchd. */
  get whereabouts(): { folder: string; pids: [number, number] } {
    return { folder: this.#daemons.folder, pids: this.#daemons.pids };
  }

  /**
   * Replaces all flows by those of `text` (the lines of `ovs-ofctl add-flows`), atomically (OpenFlow10: line
   * by line). The next frame meets the new flows. Groups stay.
   * @throws SwitchError with the line and the message of Open vSwitch
   */
  replaceFlows(text: string, options: TextOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#writeFlows("delete\n", text, options));
  }

  /** Adds flows and keeps the existing ones; otherwise as `replaceFlows`. */
  addFlows(text: string, options: TextOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#writeFlows("", text, options));
  }

  /**
   * Replaces all groups by those of `text` (the lines of `ovs-ofctl add-groups`). Flows that name a group go
   * with it.
   */
  replaceGroups(text: string, { protocol = "OpenFlow13" }: TextOptions = {}): Promise<void> {
    return this.#inTurn(async () => {
      await this.#flowText.writeGroups(text, protocol);
      await this.#forgetCaches();
    });
  }

  /** Empties the flow caches, so that the next frames meet the flow table itself; flows stay. */
  forgetFrames(): Promise<void> {
    return this.#inTurn(() => this.#forgetCaches());
  }

  /** Sends one frame into `inPort`; returns its outputs and packet-ins. */
  async send(inPort: number, frame: Uint8Array): Promise<Answer> {
    return (await this.sendMany([{ inPort, frame }]))[0]!;
  }

  /**
   * Sends many frames, several at a time; returns the answer for each, in the order of `inputs`. Frames of
   * one port are sent in their order, but one port after the other: if flows have state (learn, ct), send the
   * frames one by one.
   * @throws SwitchError for an unknown port or a frame of a length that the switch rejects; Error if a frame
   *   was lost, after which every further call fails
   */
  sendMany(inputs: readonly Input[]): Promise<Answer[]> {
    return this.#inTurn(async () => {
      for (const [index, input] of inputs.entries()) checkInput(input, index, this.#taps);
      const answers = inputs.map((): Answer => ({ outputs: [], packetIns: [] }));
      try {
        for (const port of this.#ports) {
          const indexes = [...inputs.keys()].filter(index => inputs[index]!.inPort === port.number);
          for (const window of windowsOf(inputs, indexes))
            await this.#exchange(port, window, inputs, answers);
        }
        await this.#checkCounters();
      } catch (error) {
        this.#ended ??= error as Error;
        throw error;
      }
      return answers;
    });
  }

  /** The flows as `ovs-ofctl dump-flows` prints them, without the reply header and the marker's flow. */
  dumpFlows(options: DumpOptions = {}): Promise<string> {
    return this.#inTurn(() => this.#flowText.dump(options));
  }

  /**
   * The text of ofproto/trace for a frame with metadata such as `tun_id=0x64`. The trace ends where the
   * datapath would recirculate after pop_mpls; behind ct it goes on, with the states that `options` give by
   * --ct-next. Concurrent calls are several times as fast.
   */
  trace(
    inPort: number,
    frameHex: string,
    state: readonly string[] = [],
    options: readonly string[] = [],
  ): Promise<string> {
    const words = [...options, "br0", [`in_port=${inPort}`, ...state].join(), frameHex];
    return this.#inTurn(() => this.#unixctl.call("ofproto/trace", words), true);
  }

  /**
   * Parses each line with `ovs-ofctl parse-flows`, without port names. Each wrong line costs two processes.
   */
  parseFlows(lines: readonly string[], { protocol = "OpenFlow13" }: TextOptions = {}): Promise<ParsedFlow[]> {
    return this.#inTurn(() => this.#flowText.parse(lines, protocol));
  }

  /** Ends both daemons and removes their folder; resolves when both are done. Idempotent. */
  async close(): Promise<void> {
    this.#ended ??= new SwitchError("the private switch was closed");
    this.#wait.fail(this.#ended);
    this.#unixctl?.close();
    for (const management of this.#managements) management.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.#daemons?.stop();
  }

  async #connect(): Promise<void> {
    const { folder } = this.#daemons;
    const onClose = (): void => {
      this.#ended ??= new SwitchError(`ovs-vswitchd ended: ${lastLogLines(folder)}`);
      this.#wait.fail(this.#ended);
    };
    this.#unixctl = await Unixctl.connect(join(folder, "vswitchd.ctl"), onClose);
    for (const [id, stream] of this.#packetIns) {
      const onPacketIn = (packetIn: PacketIn): void => stream.push(packetIn);
      this.#managements.push(await Management.connect(join(folder, "br0.mgmt"), id, onPacketIn, onClose));
    }
    await this.#writeFlows("", "", {});
    // Once it has answered, a connection has its controller id.
    const [counters] = await Promise.all(this.#managements.map(one => one.portCounters()));
    for (const { number, name } of this.#ports)
      if (!counters!.has(number))
        throw new SwitchError(`Open vSwitch did not assign number ${number} to port ${name}`);
  }

  /**
   * Runs `body` after all earlier calls, unless the switch has ended. `isShared`: adjacent shared calls run
   * together.
   */
  #inTurn<T>(body: () => Promise<T>, isShared = false): Promise<T> {
    const run = async (): Promise<T> => {
      if (this.#ended !== undefined) throw this.#ended;
      try {
        return await keepingAlive(body);
      } catch (error) {
        throw this.#ended ?? error;
      }
    };
    const mine = (isShared ? this.#lastAlone : this.#last).then(run);
    const done = mine.catch(() => undefined);
    this.#last = Promise.all([this.#last, done]);
    if (!isShared) this.#lastAlone = done;
    return mine;
  }

  async #writeFlows(before: string, text: string, { protocol = "OpenFlow13" }: TextOptions): Promise<void> {
    const ports = this.#ports.map(({ number }) => number);
    const marker = this.#markers.flow(ports, [...this.#packetIns.keys()]);
    try {
      await this.#flowText.write(before, text, marker, protocol);
    } finally {
      await this.#forgetCaches();
    }
  }

  /** Without this, a few percent of the answers after a change of flows are stale. */
  async #forgetCaches(): Promise<void> {
    await this.#unixctl.call("revalidator/purge", []);
    await this.#unixctl.call("dpctl/del-flows", []);
  }

  /**
   * Sends the frames of one window, each with its marker, and adds the outputs and packet-ins to their
   * answers.
   */
  async #exchange(
    { number, name }: Port,
    window: readonly number[],
    inputs: readonly Input[],
    answers: Answer[],
  ): Promise<void> {
    const first = this.#sequence + 1;
    const words = [name];
    for (const index of window)
      words.push(hexOf(inputs[index]!.frame), hexOf(this.#markers.frame(++this.#sequence)));
    const marked = this.#wait.until(this.#sequence, ANSWER_MS);
    this.#unixctl.call("netdev-dummy/receive", words).catch(error => this.#wait.fail(error));
    await marked;
    this.#sent.set(number, this.#sent.get(number)! + 2 * window.length);
    for (const [port, tap] of this.#taps)
      for (const [i, frames] of tap.take(first, window.length).entries())
        for (const frame of frames) answers[window[i]!]!.outputs.push({ port, frame: new Uint8Array(frame) });
    for (const stream of this.#packetIns.values())
      for (const [i, packetIns] of stream.take(first, window.length).entries())
        for (const { frame, ...rest } of packetIns)
          answers[window[i]!]!.packetIns.push({ ...rest, frame: new Uint8Array(frame) });
  }

  /**
   * Throws unless the switch received every frame that was sent, and every frame that it sent was received
   * here.
   */
  async #checkCounters(): Promise<void> {
    const counters = await this.#managements[0]!.portCounters();
    for (const { number, name } of this.#ports) {
      const { rxFrames, txFrames } = counters.get(number)!;
      const [sent, came] = [this.#sent.get(number)!, this.#taps.get(number)!.count];
      if (rxFrames !== sent)
        throw new Error(`port ${name}: ${sent} frames sent, the switch received ${rxFrames}`);
      if (txFrames !== came)
        throw new Error(`port ${name}: the switch sent ${txFrames} frames, ${came} received`);
    }
  }
}

/** The sockets do not keep this process running; a call that waits for one must. */
async function keepingAlive<T>(body: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, ANSWER_MS);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/**
 * Cuts a list of indexes into windows that overflow neither the port's queue nor the management socket's
 * buffer.
 */
function* windowsOf(inputs: readonly Input[], indexes: readonly number[]): Generator<number[]> {
  let window: number[] = [];
  let bytes = 0;
  for (const index of indexes) {
    const { length } = inputs[index]!.frame;
    if (window.length === WINDOW_FRAMES || (window.length > 0 && bytes + length > WINDOW_BYTES)) {
      yield window;
      window = [];
      bytes = 0;
    }
    window.push(index);
    bytes += length;
  }
  if (window.length > 0) yield window;
}
