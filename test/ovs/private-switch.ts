/**
 * A private Open vSwitch as an oracle: real frames in, what came out of which port and what went to the controller
 * back, exactly by frame. It is not the model and knows nothing of the pipeline: it runs whatever flow text it is given,
 * on dummy ports, as any user, and never touches a switch that was there before. Every frame is followed by a marker
 * frame on the same port, which a flow of its own sends out by all ports and to the controller: what lies between two
 * markers belongs to the one frame between them, and a missing or misplaced marker is an error, never a wrong answer.
 * ovs-ofctl(8), ovs-vswitchd(8), lib/netdev-dummy.c of Open vSwitch (a queue holds 100 frames; one is taken in a turn).
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { join } from "node:path";
import {
  type Daemons,
  lastWords,
  runProgram,
  SwitchError,
  startDaemons,
} from "../../src/host/child-process.ts";
import type { PacketIn } from "../../src/host/openflow-messages.ts";
import { Management } from "./management.ts";
import { MARKER_COOKIE, MARKER_PRIORITY, Markers } from "./markers.ts";
import { type Marked, MarkedStream, readTap } from "./port-streams.ts";
import { Unixctl } from "./unixctl.ts";

/** A port of the switch. An output of more than `mtu` + 14 bytes (+ 18 with a VLAN tag) vanishes, as on a real port. */
export interface SwitchPort {
  /** OpenFlow port number, 1…65279. */
  number: number;
  /** At most 15 characters; "p" and the number by default. */
  name?: string;
  /** 68…65535; 9216 by default. */
  mtu?: number;
}

export interface SwitchOptions {
  ports: readonly SwitchPort[];
  /** Numbers of tunnel ports, whose endpoints and keys come from the flow. They have no wire: `trace` alone shows them. */
  tunnels?: readonly number[];
  /** What runs before the first `replaceFlows`: nothing (secure, the default) or NORMAL (standalone). */
  failMode?: "secure" | "standalone";
  /** Ids of controllers whose packet-ins are seen, besides 0: those that `controller(id=…)` names. None by default. */
  controllerIds?: readonly number[];
  /** A folder with another version of Open vSwitch in `bin` and `share/openvswitch`; the installed one by default. */
  programs?: string;
}

/** An OpenFlow version as `ovs-ofctl -O` names it. */
export type Protocol = "OpenFlow10" | "OpenFlow13" | "OpenFlow15";

/** A frame on its way in: 14…65535 bytes. Dummy ports take no shorter ones. */
export interface Input {
  inPort: number;
  frame: Uint8Array;
}

/** A frame that left the switch. */
export interface Output {
  port: number;
  frame: Uint8Array;
}

/**
 * What became of one frame. Outputs of one port are in the order in which it sent them; ports are in the order of their
 * numbers, because the userspace datapath collects a frame's outputs by port before it sends any, so that no other
 * order can be seen from outside (`trace` prints that of the actions). Packet-ins of one controller id are in their order,
 * ids in theirs. Not seen: outputs to LOCAL, and packet-ins for an id that the switch was not started with.
 */
export interface Answer {
  outputs: Output[];
  packetIns: PacketIn[];
}

export interface TextOptions {
  /** OpenFlow13 by default. */
  protocol?: Protocol;
}

export interface DumpOptions extends TextOptions {
  /** Port names instead of numbers; false by default. */
  names?: boolean;
  /** Durations, counters and cookies of 0; true by default. */
  stats?: boolean;
}

/** What OVS makes of one line of flow text: its own print of the flow-mod, or its message. */
export type ParsedFlow = { text: string } | { error: string };

export const FRAME_BYTES_MIN = 14;
export const FRAME_BYTES_MAX = 65_535;
const PORT_NUMBER_MAX = 0xfeff;
const MTU_DEFAULT = 9216;
/** With their markers these fill 80 of the 100 places in a dummy port's queue, beyond which it drops silently. */
const WINDOW_FRAMES = 40;
/** A few packet-ins of each frame fit the management socket's buffer; OVS queues 100 more and then drops silently. */
const WINDOW_BYTES = 32_768;
const ANSWER_MS = 60_000;

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");

/** What stands before a flow-mod in the print of parse-flows. */
const FLOW_MOD = /^(?:OFPT|NXT)_FLOW_MOD .*?\(xid=0x[0-9a-f]+\): /;

type Port = Required<SwitchPort>;

function checkPorts(ports: readonly SwitchPort[]): Port[] {
  const checked = ports.map(({ number, name = `p${number}`, mtu = MTU_DEFAULT }) => ({ number, name, mtu }));
  for (const { number, name, mtu } of checked) {
    if (!Number.isInteger(number) || number < 1 || number > PORT_NUMBER_MAX)
      throw new SwitchError(`port number ${number}: 1…${PORT_NUMBER_MAX} would be right`);
    if (!/^[A-Za-z][\w.-]{0,14}$/.test(name) || name === "br0")
      throw new SwitchError(
        `port name "${name}": a letter, then at most 14 of a-z A-Z 0-9 _ . - and not br0`,
      );
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535)
      throw new SwitchError(`port ${name}: mtu ${mtu}: 68…65535 would be right`);
  }
  for (const key of ["number", "name"] as const) {
    const twice = checked.find((port, i) => checked.findIndex(other => other[key] === port[key]) !== i);
    if (twice !== undefined) throw new SwitchError(`two ports have the ${key} ${twice[key]}`);
  }
  return checked.sort((a, b) => a.number - b.number);
}

const fifoOf = ({ number }: Port): string => `tap${number}`;

/** The words for ovs-vsctl that make the bridge and its ports. */
function configurationOf(
  ports: readonly Port[],
  tunnels: readonly number[],
  failMode: string,
  folder: string,
): string[] {
  const words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=dummy"];
  words.push(`fail-mode=${failMode}`, "protocols=OpenFlow10,OpenFlow13,OpenFlow15");
  for (const port of ports) {
    words.push("--", "add-port", "br0", port.name, "--", "set", "interface", port.name, "type=dummy");
    words.push(`ofport_request=${port.number}`, `mtu_request=${port.mtu}`);
    words.push(`options:tx_pcap=${join(folder, fifoOf(port))}`);
  }
  for (const number of tunnels) {
    const name = `tun${number}`;
    words.push("--", "add-port", "br0", name, "--", "set", "interface", name, "type=geneve");
    // Two tunnels of the same endpoints and keys are told apart by the UDP port.
    words.push("options:remote_ip=flow", "options:key=flow", `options:dst_port=${6000 + number}`);
    words.push(`ofport_request=${number}`);
  }
  return words;
}

/** Refuses text that would leave it open whether the marker's flow is found: an equal priority in table 0. */
function checkPriorities(text: string): void {
  if (!text.includes(`priority=${MARKER_PRIORITY}`)) return;
  for (const [index, line] of text.split("\n").entries()) {
    const match = line.split(/\bactions?=/)[0]!;
    if (!match.includes(`priority=${MARKER_PRIORITY}`) || /\btable=(?!0\b)/.test(match)) continue;
    const why = `priority ${MARKER_PRIORITY} in table 0 is kept for the marker frames of the private switch`;
    throw new SwitchError(`line ${index + 1}: ${why}; ${MARKER_PRIORITY - 1} or less would be right`);
  }
}

/** A message of ovs-ofctl as one line: the caller's line numbers, the switch's first error alone, no hex dumps. */
function oneLine(error: unknown, linesBefore: number): SwitchError {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split("\n").filter(line => !/^[0-9a-f]{8} {2}/.test(line));
  const message = lines.find(line => line.startsWith("Error ")) ?? lines.join("; ");
  const moved = message.replace(/^ovs-ofctl: -:(\d+)/, (_, n) => `line ${Number(n) - linesBefore}`);
  return new SwitchError(moved.replace(/^ovs-ofctl: /, ""));
}

function checkInput({ inPort, frame }: Input, index: number, ports: ReadonlyMap<number, unknown>): void {
  if (!ports.has(inPort))
    throw new SwitchError(
      `frame ${index}: no port ${inPort}; ${[...ports.keys()].join(", ")} would be right`,
    );
  if (frame.length < FRAME_BYTES_MIN || frame.length > FRAME_BYTES_MAX)
    throw new SwitchError(
      `frame ${index}: ${frame.length} bytes; ${FRAME_BYTES_MIN}…${FRAME_BYTES_MAX} would be right`,
    );
}

/** A running private switch. Methods may be called at any time; they run one after the other. */
export class Switch {
  readonly #ports: readonly Port[];
  readonly #markers = new Markers();
  readonly #taps: Map<number, MarkedStream<Buffer>>;
  /** By controller id, in the order of the ids. */
  readonly #packetIns: ReadonlyMap<number, MarkedStream<PacketIn>>;
  readonly #streams: readonly Marked[];
  /** Frames and markers given to each port. */
  readonly #sent: Map<number, number>;
  readonly #sockets: Socket[] = [];
  #daemons!: Daemons;
  #unixctl!: Unixctl;
  /** One for each controller id; the first asks, too. */
  #managements: Management[] = [];
  #startMs = 0;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** The last call that suffers no other beside it. */
  #lastAlone: Promise<unknown> = Promise.resolve();
  #ended: Error | undefined;
  #onMarker: () => void = () => undefined;
  #onEnd: (error: Error) => void = () => undefined;

  private constructor(ports: readonly Port[], controllerIds: readonly number[]) {
    const marked = (): void => this.#onMarker();
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
    this.#streams = [...this.#taps.values(), ...this.#packetIns.values()];
    this.#sent = new Map(ports.map(({ number }) => [number, 0]));
  }

  /**
   * Starts a switch of its own with these ports and no flows. Ends with `close()`, and by itself when this process
   * ends, however that comes about. An open switch keeps no process alive.
   * @throws SwitchError if Open vSwitch is missing, too old, or does not start
   */
  static async start({
    ports,
    tunnels = [],
    failMode = "secure",
    controllerIds = [],
    programs,
  }: SwitchOptions): Promise<Switch> {
    const startedAt = performance.now();
    const checked = checkPorts(ports);
    const sw = new Switch(checked, controllerIds);
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
      await keepingAlive(() => sw.#connect());
    } catch (error) {
      await sw.close();
      throw error;
    }
    sw.#startMs = performance.now() - startedAt;
    return sw;
  }

  /** Of Open vSwitch, such as "3.1.0". */
  get version(): string {
    return this.#daemons.version;
  }

  /** How long the start took, in milliseconds. */
  get startMs(): number {
    return this.#startMs;
  }

  /** The folder of its sockets and logs, and the process ids of ovsdb-server and ovs-vswitchd. */
  get whereabouts(): { folder: string; pids: [number, number] } {
    return { folder: this.#daemons.folder, pids: this.#daemons.pids };
  }

  /**
   * Replaces all flows by those of `text` (the lines of `ovs-ofctl add-flows`), at once or not at all (OpenFlow10: line
   * by line); the next frame sees the new ones. Groups stay.
   * @throws SwitchError with the line and OVS's message
   */
  replaceFlows(text: string, options: TextOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#writeFlows("delete\n", text, options));
  }

  /** Adds flows beside those there are; otherwise as `replaceFlows`. */
  addFlows(text: string, options: TextOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#writeFlows("", text, options));
  }

  /** Replaces all groups by those of `text` (the lines of `ovs-ofctl add-groups`). Flows that name a group go with it. */
  replaceGroups(text: string, { protocol = "OpenFlow13" }: TextOptions = {}): Promise<void> {
    return this.#inTurn(async () => {
      const words = ["-O", protocol, "--bundle", "add-groups", this.#bridge, "-"];
      try {
        await this.#ofctl(words, `delete\n${text}\n`);
      } catch (error) {
        throw oneLine(error, 1);
      }
      await this.#forgetCaches();
    });
  }

  /** Forgets what the frames so far left in caches, so that the next ones meet the flows themselves; flows stay. */
  forgetFrames(): Promise<void> {
    return this.#inTurn(() => this.#forgetCaches());
  }

  /** Sends one frame in by `inPort`; what became of it. */
  async send(inPort: number, frame: Uint8Array): Promise<Answer> {
    return (await this.sendMany([{ inPort, frame }]))[0]!;
  }

  /**
   * Sends many frames, several under way at a time; what became of each, in the order of `inputs`. Frames of one port
   * go in in their order, but one port after the other: where flows remember (learn, ct), send one by one.
   * @throws SwitchError for a port there is not or a frame of a length the switch does not take; Error if a frame was
   *   lost, after which the switch answers no more
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
  dumpFlows({ protocol = "OpenFlow13", names = false, stats = true }: DumpOptions = {}): Promise<string> {
    return this.#inTurn(async () => {
      const words = ["-O", protocol, names ? "--names" : "--no-names", ...(stats ? [] : ["--no-stats"])];
      const text = await this.#ofctl([...words, "dump-flows", this.#bridge]);
      const lines = text.split("\n").filter(line => line.includes("actions="));
      return lines
        .filter(line => !line.includes(`cookie=${MARKER_COOKIE}`))
        .map(line => `${line}\n`)
        .join("");
    });
  }

  /**
   * The text of ofproto/trace for a frame, and for what it brings beside its bytes (`tun_id=0x64`). It stops where the datapath would recirculate (pop_mpls, then a lookup).
   * Calls made without waiting for each other are answered several times as fast.
   */
  trace(inPort: number, frameHex: string, state: readonly string[] = []): Promise<string> {
    const words = ["br0", [`in_port=${inPort}`, ...state].join(), frameHex];
    return this.#inTurn(() => this.#unixctl.call("ofproto/trace", words), true);
  }

  /** What `ovs-ofctl parse-flows` makes of each line; it knows no port names. Two processes for every wrong line. */
  parseFlows(lines: readonly string[], { protocol = "OpenFlow13" }: TextOptions = {}): Promise<ParsedFlow[]> {
    return this.#inTurn(() => this.#parseFlows(lines, protocol));
  }

  /** Ends both daemons and removes their folder; resolves when that is done. May be called twice. */
  async close(): Promise<void> {
    this.#ended ??= new SwitchError("the private switch was closed");
    this.#onEnd(this.#ended);
    this.#unixctl?.close();
    for (const management of this.#managements) management.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.#daemons?.stop();
  }

  get #bridge(): string {
    return join(this.#daemons.folder, "br0.mgmt");
  }

  async #connect(): Promise<void> {
    const { folder } = this.#daemons;
    const onClose = (): void => {
      this.#ended ??= new SwitchError(`ovs-vswitchd ended: ${lastWords(folder)}`);
      this.#onEnd(this.#ended);
    };
    this.#unixctl = await Unixctl.connect(join(folder, "vswitchd.ctl"), onClose);
    for (const [id, stream] of this.#packetIns) {
      const onPacketIn = (packetIn: PacketIn): void => stream.push(packetIn);
      this.#managements.push(await Management.connect(this.#bridge, id, onPacketIn, onClose));
    }
    await this.#writeFlows("", "", {});
    // Once it has answered, a connection has its controller id.
    const [counters] = await Promise.all(this.#managements.map(one => one.portCounters()));
    for (const { number, name } of this.#ports)
      if (!counters!.has(number))
        throw new SwitchError(`Open vSwitch did not give ${name} the number ${number}`);
  }

  /** Runs `body` when all earlier calls are done, unless the switch has ended; `beside`: those of this kind together. */
  #inTurn<T>(body: () => Promise<T>, beside = false): Promise<T> {
    const run = async (): Promise<T> => {
      if (this.#ended !== undefined) throw this.#ended;
      try {
        return await keepingAlive(body);
      } catch (error) {
        throw this.#ended ?? error;
      }
    };
    const mine = (beside ? this.#lastAlone : this.#last).then(run);
    const done = mine.catch(() => undefined);
    this.#last = Promise.all([this.#last, done]);
    if (!beside) this.#lastAlone = done;
    return mine;
  }

  #ofctl(words: string[], input = ""): Promise<string> {
    return runProgram("ovs-ofctl", words, this.#daemons.env, input);
  }

  async #writeFlows(before: string, text: string, { protocol = "OpenFlow13" }: TextOptions): Promise<void> {
    checkPriorities(text);
    const bundle = protocol === "OpenFlow10" ? [] : ["--bundle"];
    const words = ["-O", protocol, ...bundle, "add-flows", this.#bridge, "-"];
    const ports = this.#ports.map(({ number }) => number);
    const marker = this.#markers.flow(ports, [...this.#packetIns.keys()]);
    try {
      await this.#ofctl(words, `${before}${text}\n${marker}\n`);
    } catch (error) {
      // Without a bundle the old flows may be gone, and the marker's with them.
      if (protocol === "OpenFlow10") await this.#writeFlows("", "", {});
      throw oneLine(error, before === "" ? 0 : 1);
    }
    await this.#forgetCaches();
  }

  /** Without this a few per cent of the answers after a change of flows are stale. */
  async #forgetCaches(): Promise<void> {
    await this.#unixctl.call("revalidator/purge", []);
    await this.#unixctl.call("dpctl/del-flows", []);
  }

  /** Parses all lines at once; where one is refused, those before it, it alone and those behind it apart. */
  async #parseFlows(lines: readonly string[], protocol: Protocol): Promise<ParsedFlow[]> {
    if (lines.length === 0) return [];
    const odd = lines.findIndex(line => line.includes("\n") || /^\s*(#|$)/.test(line));
    if (odd >= 0) return this.#parseAround(lines, odd, "one flow a line would be right", protocol);
    try {
      const text = await this.#ofctl(["-O", protocol, "parse-flows", "-"], `${lines.join("\n")}\n`);
      const flows = text.split("\n").filter(line => FLOW_MOD.test(line));
      assert.equal(flows.length, lines.length, "one flow-mod a line");
      return flows.map(line => ({ text: line.replace(FLOW_MOD, "") }));
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      const { message } = oneLine(error, 0);
      const at = /^line (\d+): (.*)$/s.exec(message);
      if (at !== null) return this.#parseAround(lines, Number(at[1]) - 1, at[2]!, protocol);
      if (lines.length === 1) return [{ error: message }];
      // No line by itself: two of them need different versions of OpenFlow.
      const half = lines.length >> 1;
      const parts = [lines.slice(0, half), lines.slice(half)];
      return [
        ...(await this.#parseFlows(parts[0]!, protocol)),
        ...(await this.#parseFlows(parts[1]!, protocol)),
      ];
    }
  }

  async #parseAround(
    lines: readonly string[],
    at: number,
    error: string,
    protocol: Protocol,
  ): Promise<ParsedFlow[]> {
    const before = await this.#parseFlows(lines.slice(0, at), protocol);
    return [...before, { error }, ...(await this.#parseFlows(lines.slice(at + 1), protocol))];
  }

  /** Sends the frames of one window, each with its marker, and puts what comes out into their answers. */
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
    const marked = this.#untilMarked(this.#sequence);
    this.#unixctl.call("netdev-dummy/receive", words).catch(error => this.#onEnd(error));
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

  /** Resolves when every port and the controller have got the marker `sequence`. */
  #untilMarked(sequence: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const behind = (): Marked[] => this.#streams.filter(({ lastMarker }) => lastMarker !== sequence);
      const timer = setTimeout(() => {
        const names = behind().map(stream => stream.name);
        reject(
          new Error(`marker ${sequence} did not come within ${ANSWER_MS / 1000} s: ${names.join(", ")}`),
        );
      }, ANSWER_MS);
      this.#onEnd = error => {
        clearTimeout(timer);
        reject(error);
      };
      this.#onMarker = () => {
        if (this.#streams.some(({ lastMarker }) => lastMarker !== sequence)) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Throws unless the switch took in by every port what was sent, and every frame that it put out came here. */
  async #checkCounters(): Promise<void> {
    const counters = await this.#managements[0]!.portCounters();
    for (const { number, name } of this.#ports) {
      const { rxFrames, txFrames } = counters.get(number)!;
      const [sent, came] = [this.#sent.get(number)!, this.#taps.get(number)!.count];
      if (rxFrames !== sent) throw new Error(`port ${name}: ${sent} frames sent, ${rxFrames} taken in`);
      if (txFrames !== came) throw new Error(`port ${name}: ${txFrames} frames put out, ${came} came`);
    }
  }
}

/** Our sockets keep no process alive; a call that waits for one does. */
async function keepingAlive<T>(body: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, ANSWER_MS);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** Cuts a list of indexes into windows that neither the port's queue nor the management socket can overflow on. */
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
