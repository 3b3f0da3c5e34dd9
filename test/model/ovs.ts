/**
 * A private Open vSwitch for the tests: its own ovsdb-server and ovs-vswitchd in a temporary folder, dummy ports over
 * unix stream sockets (a big-endian u16 length, then the frame, both ways), no root and no network. Every frame is
 * followed by a marker frame on the same port, which a flow of its own sends out by all ports: what a port puts out
 * between two markers is the answer to the one frame between them, and a lost frame or marker is an error.
 * Stopped by the process ids it started.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A port of the private switch. */
export interface SwitchPort {
  name: string;
  ofport: number;
}

/** One frame that left the switch. */
export interface Sent {
  port: number;
  frame: Uint8Array;
}

/** Dummy ports queue 100 frames and then drop silently; a frame and its marker make two. */
const WINDOW_FRAMES = 40;
const TIMEOUT_MS = 10_000;
const MTU = 9216;
const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

/** Markers are of an experimental type and of a MAC that no intent has. */
const MARKER_HEADER = Buffer.from("06000000aaaa0600005e5e5e88b5", "hex");
const MARKER_MATCH = "dl_src=06:00:00:5e:5e:5e,dl_type=0x88b5";

/** The socket of one port, and the frames that came out of it since `take`. */
class Wire {
  readonly socket: Socket;
  sentCount = 0;
  receivedCount = 0;
  frames: Buffer[] = [];
  #pending = Buffer.alloc(0);
  readonly #arrived: () => void;

  constructor(socket: Socket, arrived: () => void) {
    this.socket = socket;
    this.#arrived = arrived;
    socket.on("data", chunk => this.#take(chunk));
    // A connection that breaks shows as a marker that never comes.
    socket.on("error", () => undefined);
  }

  send(frame: Uint8Array): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(frame.length);
    this.socket.write(Buffer.concat([length, frame]));
    this.sentCount++;
  }

  #take(chunk: Buffer): void {
    let rest = Buffer.concat([this.#pending, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      this.frames.push(rest.subarray(2, end));
      this.receivedCount++;
      rest = rest.subarray(end);
    }
    this.#pending = rest;
    this.#arrived();
  }
}

function markerOf(sequence: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(sequence);
  return Buffer.concat([MARKER_HEADER, number]);
}

/** The number of a marker, or undefined for any other frame. */
function sequenceOf(frame: Buffer | undefined): number | undefined {
  if (frame?.length !== 18 || !frame.subarray(0, 14).equals(MARKER_HEADER)) return undefined;
  return frame.readUInt32BE(14);
}

export class PrivateSwitch {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #pids: number[] = [];
  readonly #wires = new Map<number, Wire>();
  #generation = 0;
  #sequence = 0;
  #wake: () => void = () => undefined;
  readonly #atExit = (): void => this.#kill();

  /** Starts both daemons; about 100 ms. */
  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "switch-"));
    for (const name of ["run", "log", "db"]) mkdirSync(join(this.#folder, name));
    this.#env = {
      ...process.env,
      OVS_RUNDIR: this.#path("run"),
      OVS_LOGDIR: this.#path("log"),
      OVS_DBDIR: this.#path("db"),
      OVS_SYSCONFDIR: this.#folder,
    };
    process.once("exit", this.#atExit);
    const socket = this.#path("run/db.sock");
    this.#call("ovsdb-tool", ["create", this.#path("db/conf.db"), SCHEMA]);
    this.#daemon("ovsdb-server", [this.#path("db/conf.db"), `--remote=punix:${socket}`]);
    this.#call("ovs-vsctl", ["--timeout=10", "--no-wait", `--db=unix:${socket}`, "init"]);
    this.#daemon("ovs-vswitchd", [`unix:${socket}`, "--disable-system", "--enable-dummy=override"]);
  }

  /** Replaces whatever there was by one bridge with these ports and flows (OpenFlow 1.3 lines). */
  async configure(ports: SwitchPort[], flows: string[]): Promise<void> {
    for (const wire of this.#wires.values()) wire.socket.destroy();
    this.#wires.clear();
    this.#generation++;
    const socketOf = (port: SwitchPort): string => this.#path(`run/${this.#generation}-${port.ofport}.sock`);
    this.#vsctl("--if-exists", "del-br", "br0");
    const bridge = "datapath-type=dummy fail-mode=secure protocols=OpenFlow13";
    const words = ["add-br", "br0", "--", "set", "bridge", "br0", ...bridge.split(" ")];
    for (const port of ports) {
      const options = [`options:pstream=punix:${socketOf(port)}`, `mtu_request=${MTU}`];
      words.push("--", "add-port", "br0", port.name, "--", "set", "interface", port.name);
      words.push("type=dummy", `ofport_request=${port.ofport}`, ...options);
    }
    this.#vsctl(...words);
    for (const port of ports) {
      const ofport = this.#vsctl("get", "interface", port.name, "ofport").trim();
      if (ofport !== String(port.ofport)) throw new Error(`${port.name} got ofport ${ofport}`);
      this.#wires.set(port.ofport, await this.#connect(socketOf(port)));
    }
    const everywhere = ports.map(({ ofport }) => `output:${ofport}`).join(",");
    this.loadFlows([...flows, `table=0,priority=65000,${MARKER_MATCH} actions=in_port,${everywhere}`]);
  }

  /** Installs flows beside those there are, and forgets the datapath's cached answers. */
  loadFlows(flows: string[]): void {
    const text = `${flows.join("\n")}\n`;
    this.#call(
      "ovs-ofctl",
      ["-O", "OpenFlow13", "--bundle", "add-flows", this.#path("run/br0.mgmt"), "-"],
      text,
    );
    this.forgetCaches();
  }

  /** Without this a few per cent of the answers after a change of flows are stale. */
  forgetCaches(): void {
    this.#appctl("revalidator/purge");
    this.#appctl("dpctl/del-flows");
  }

  /** Sends frames in by one port, in order; for each frame what came out. */
  async send(inPort: number, frames: Uint8Array[]): Promise<Sent[][]> {
    const answers: Sent[][] = [];
    for (let at = 0; at < frames.length; at += WINDOW_FRAMES) {
      answers.push(...(await this.#sendWindow(inPort, frames.slice(at, at + WINDOW_FRAMES))));
    }
    return answers;
  }

  /** Throws unless the switch took in as many frames by every port as were sent, and put out as many as came. */
  checkCounters(): void {
    const text = this.#call("ovs-ofctl", ["-O", "OpenFlow13", "dump-ports", this.#path("run/br0.mgmt")]);
    for (const [ofport, wire] of this.#wires) {
      const found = new RegExp(`port +${ofport}: rx pkts=(\\d+)[^\\n]*\\n +tx pkts=(\\d+)`).exec(text);
      if (found === null) throw new Error(`no counters of port ${ofport} in:\n${text}`);
      const [rx, tx] = [Number(found[1]), Number(found[2])];
      if (rx !== wire.sentCount)
        throw new Error(`port ${ofport}: ${wire.sentCount} frames sent, ${rx} taken in`);
      if (tx !== wire.receivedCount)
        throw new Error(`port ${ofport}: ${tx} put out, ${wire.receivedCount} came`);
    }
  }

  /** Ends both daemons and removes the folder. */
  stop(): void {
    for (const wire of this.#wires.values()) wire.socket.destroy();
    this.#kill();
    process.removeListener("exit", this.#atExit);
  }

  async #sendWindow(inPort: number, frames: Uint8Array[]): Promise<Sent[][]> {
    const wire = this.#wires.get(inPort);
    if (wire === undefined) throw new Error(`the switch has no port ${inPort}`);
    const first = this.#sequence + 1;
    for (const frame of frames) {
      wire.send(frame);
      wire.send(markerOf(++this.#sequence));
    }
    await this.#untilMarked(this.#sequence);
    const answers: Sent[][] = frames.map(() => []);
    for (const [port, { frames: arrived }] of this.#wires) {
      let index = 0;
      for (const frame of arrived.splice(0)) {
        const sequence = sequenceOf(frame);
        if (sequence === undefined) answers[index]!.push({ port, frame });
        else if (sequence === first + index) index++;
        else throw new Error(`port ${port}: marker ${sequence} instead of ${first + index}`);
      }
      if (index !== frames.length) throw new Error(`port ${port}: ${index} markers of ${frames.length}`);
    }
    return answers;
  }

  /** Resolves when the last frame of every port is the marker `sequence`. */
  async #untilMarked(sequence: number): Promise<void> {
    const deadline = Date.now() + TIMEOUT_MS;
    const behind = (): number[] => {
      const late = [...this.#wires].filter(([, { frames }]) => sequenceOf(frames.at(-1)) !== sequence);
      return late.map(([port]) => port);
    };
    while (behind().length > 0) {
      if (Date.now() > deadline) throw new Error(`marker ${sequence} did not come out of ports ${behind()}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #connect(path: string): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve(new Wire(socket, () => this.#wake()));
      });
    });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #vsctl(...words: string[]): string {
    return this.#call("ovs-vsctl", ["--timeout=10", `--db=unix:${this.#path("run/db.sock")}`, ...words]);
  }

  #appctl(...words: string[]): string {
    return this.#call("ovs-appctl", ["-t", this.#path("run/ovs-vswitchd.ctl"), ...words]);
  }

  #daemon(program: string, words: string[]): void {
    const pidfile = this.#path(`run/${program}.pid`);
    this.#call(program, [
      ...words,
      `--unixctl=${this.#path(`run/${program}.ctl`)}`,
      `--pidfile=${pidfile}`,
      `--log-file=${this.#path(`log/${program}.log`)}`,
      "--detach",
      "--no-chdir",
      "-vconsole:off",
      "-vsyslog:off",
    ]);
    this.#pids.push(Number(readFileSync(pidfile, "utf8")));
  }

  #call(program: string, words: string[], input = ""): string {
    const done = spawnSync(program, words, { env: this.#env, input, encoding: "utf8", timeout: 20_000 });
    if (done.status === 0) return done.stdout;
    throw new Error(`${program} ${words.join(" ")}: ${done.error?.message ?? done.stderr}`);
  }

  #kill(): void {
    for (const pid of this.#pids.splice(0).reverse()) {
      try {
        process.kill(pid);
      } catch {
        // It is gone already.
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
