/**
 * The rig of the benchmark's rows on live ports: a network namespace with two interfaces that a forwarder
 * joins, and the forwarders: slash32, the smallest C programs that move frames (bench/native/wire.c), and
 * Open vSwitch's userspace datapath with the flows of the same intent. Needs root.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { eth, formatHex } from "../src/wire/index.ts";
import { sleep } from "./machine.ts";
import { VIRTUAL_MAC } from "./plan.ts";
import { isInstalled, PROGRAM, ROOT } from "./programs.ts";

const UPLINK_MAC = "02:00:00:00:00:01";
const START_MS = 15_000;
const NEIGHBOUR_MAC = "02:00:00:00:00:fe";
const SENDER = "52:54:00:00:00:0b";
const RECEIVER = "52:54:00:00:00:0c";
const OFPORTS = { left: 11, right: 12 };
/** 60 bytes and the FCS make 64. */
const PAYLOAD_BYTES = 60 - 14 - 20 - 8;

/** Two routed VMs: packets from one to the other get new MACs and a TTL less one. */
const INTENT = `\
name: bench
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: ${UPLINK_MAC} }
vms:
  - { id: 1, name: left, port: left, ofport: ${OFPORTS.left}, mac: ${SENDER},
      addresses: [203.0.113.7], path: l3 }
  - { id: 2, name: right, port: right, ofport: ${OFPORTS.right}, mac: ${RECEIVER},
      addresses: [203.0.113.8], path: l3 }
routes:
  - { prefix: 0.0.0.0/0, labels: [3003], via: ${NEIGHBOUR_MAC} }
`;

/** The frame that is sent, as hex. */
export function frameHex(): string {
  const frame = eth({ dst: VIRTUAL_MAC, src: SENDER })
    .ipv4({ src: "203.0.113.7", dst: "203.0.113.8", ttl: 64 })
    .udp({ src: 49_321, dst: 9 })
    .payload(new Uint8Array(PAYLOAD_BYTES))
    .bytes();
  return formatHex(frame).replaceAll(" ", "");
}

/** Why live rows cannot run here; null if they can. */
export function whyNot(): string | null {
  if (process.platform !== "linux") return "live ports need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (!isInstalled("ip")) return "ip (iproute2) is not installed";
  if (spawnSync("unshare", ["-n", "true"]).status !== 0)
    return "network namespaces cannot be made here (unshare -n failed)";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun does not exist (modprobe tun)";
  return null;
}

/** Compiles bench/native/wire.c into a folder. Throws with the compiler's message. */
export function buildWire(folder: string): string {
  const program = join(folder, "wire");
  const source = join(ROOT, "bench", "native", "wire.c");
  for (const compiler of ["gcc", "cc"]) {
    if (!isInstalled(compiler)) continue;
    const flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O3", "-march=native"];
    const { status, stderr } = spawnSync(compiler, [...flags, "-o", program, source], { encoding: "utf8" });
    if (status !== 0) throw new Error(`${compiler}: ${stderr.trim()}`);
    return program;
  }
  throw new Error("neither gcc nor cc is installed");
}

/** Interfaces of a forwarder: taps that it makes, or one end of each of two veth pairs. */
export type Kind = "tap" | "veth";
export type Who = "slash32" | "C" | "OVS";

/** A namespace with a forwarder in it. Frames are sent into `source` and received at `sink`. */
export class Wires {
  readonly #netns = `s32b${randomBytes(4).toString("hex")}`;
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #wire: string;
  readonly #onExit = (): void => this.#end();
  readonly source: string;
  readonly sink: string;
  /** The process that moves frames. */
  #pid = 0;

  private constructor(kind: Kind, wire: string) {
    this.#wire = wire;
    this.source = kind === "tap" ? "left" : "gleft";
    this.sink = kind === "tap" ? "right" : "gright";
    this.#folder = mkdtempSync(join(tmpdir(), "s32b-"));
    process.once("exit", this.#onExit);
  }

  /** Makes the namespace and starts the forwarder. Throws when it does not start. */
  static async start(who: Who, kind: Kind, wire: string): Promise<Wires> {
    const wires = new Wires(kind, wire);
    try {
      execFileSync("ip", ["netns", "add", wires.#netns]);
      for (const scope of ["all", "default"])
        wires.run("sysctl", "-qw", `net.ipv6.conf.${scope}.disable_ipv6=1`);
      if (kind === "veth") for (const name of ["left", "right"]) wires.#makePair(name);
      if (who === "slash32") await wires.#startOurs(kind);
      else if (who === "C")
        await wires.#start([wire, kind === "tap" ? "tap" : "packet", "left", "right"], /ready/);
      else await wires.#startOvs();
      return wires;
    } catch (error) {
      await wires.stop();
      throw error;
    }
  }

  /** Runs a command in the namespace and gives its output. */
  run(...words: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.#netns, ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  #makePair(name: string): void {
    this.run("ip", "link", "add", name, "type", "veth", "peer", "name", `g${name}`);
    for (const end of [name, `g${name}`]) this.run("ip", "link", "set", end, "up");
  }

  async #startOurs(kind: Kind): Promise<void> {
    const intent = join(this.#folder, "hv.yaml");
    writeFileSync(intent, INTENT);
    const device = kind === "tap" ? "tap" : "afpacket";
    const ports = ["left", "right"].flatMap(name => ["--port", `${name}=${device}:${name}`]);
    await this.#start([process.execPath, PROGRAM, "live", "-n", intent, ...ports], /live:/);
  }

  /** Starts a program on the last core, and waits until its output matches. */
  async #start(words: readonly string[], isReady: RegExp): Promise<void> {
    const pinned = ["ip", "netns", "exec", this.#netns, "taskset", "-c", String(cpus().length - 1), ...words];
    const child = spawn(pinned[0]!, pinned.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.push(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", text => {
        said += text;
      });
    const end = performance.now() + START_MS;
    while (!isReady.test(said)) {
      if (child.exitCode !== null || performance.now() > end)
        throw new Error(`${words[0]} did not start: ${said.trim()}`);
      await sleep(10);
    }
    this.#pid = child.pid!;
  }

  /** A private Open vSwitch with a userspace bridge on the same interfaces, and the intent's flows. */
  async #startOvs(): Promise<void> {
    const at = (name: string): string => join(this.#folder, name);
    const dirs = {
      OVS_RUNDIR: at("run"),
      OVS_LOGDIR: at("log"),
      OVS_DBDIR: at("db"),
      OVS_SYSCONFDIR: at("etc"),
    };
    for (const folder of Object.values(dirs)) mkdirSync(folder);
    const env = { ...process.env, ...dirs };
    const inside = ["netns", "exec", this.#netns];
    const run = (...words: string[]): void => {
      execFileSync("ip", [...inside, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
    };
    const daemon = (...words: string[]): ChildProcess => {
      const quiet = ["-vconsole:off", "-vsyslog:off"];
      const pin = ["taskset", "-c", String(cpus().length - 1)];
      const child = spawn("ip", [...inside, ...pin, ...words, ...quiet], { env, stdio: "ignore" });
      this.#children.push(child);
      return child;
    };
    const db = at("run/db.sock");
    run("ovsdb-tool", "create", at("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema");
    daemon("ovsdb-server", at("conf.db"), `--remote=punix:${db}`, `--unixctl=${at("run/db.ctl")}`);
    for (let tries = 0; !existsSync(db) && tries < 300; tries++) await sleep(10);
    const switchd = daemon("ovs-vswitchd", `unix:${db}`, `--unixctl=${at("run/vs.ctl")}`, "--disable-system");
    const ports = Object.entries(OFPORTS).flatMap(([name, ofport]) => {
      return ["--", "add-port", "br0", name, "--", "set", "interface", name, `ofport_request=${ofport}`];
    });
    const bridge = [
      "add-br",
      "br0",
      "--",
      "set",
      "bridge",
      "br0",
      "datapath_type=netdev",
      "fail-mode=secure",
    ];
    run("ovs-vsctl", `--db=unix:${db}`, "--retry", "--timeout=10", ...bridge, ...ports);
    writeFileSync(at("hv.yaml"), INTENT);
    const flows = execFileSync(process.execPath, [PROGRAM, "compile", at("hv.yaml")], { encoding: "utf8" });
    writeFileSync(at("flows"), flows);
    run("ovs-ofctl", "-O", "OpenFlow13", "replace-flows", "br0", at("flows"));
    this.#pid = switchd.pid!;
  }

  /** Frames received at `sink` so far. */
  get received(): number {
    return Number(this.run("cat", `/sys/class/net/${this.sink}/statistics/rx_packets`));
  }

  /** Sends frames on the first core; returns how many were sent, and how many a full queue rejected. */
  send(...words: string[]): { readonly sent: number; readonly refused: number } {
    const [sent, refused] = this.run("taskset", "-c", "0", this.#wire, ...words)
      .split(" ")
      .map(Number);
    return { sent: sent!, refused: refused! };
  }

  /** Nanoseconds from sending to receiving, sorted, for so many frames one after the other. */
  latencies(count: number, gapUs: number): number[] {
    const words = ["latency", this.source, this.sink, String(count), String(gapUs), frameHex()];
    const lines = this.run(this.#wire, ...words)
      .trim()
      .split("\n");
    return lines.map(Number).sort((a, b) => a - b);
  }

  /**
   * Queues frames while the forwarder is stopped, and returns the processor time that it then takes per
   * frame, in ns.
   */
  async burst(count: number): Promise<number> {
    const before = this.received;
    process.kill(this.#pid, "SIGSTOP");
    const { sent } = this.send("burst", this.source, String(count), frameHex());
    const start = this.processorNs();
    process.kill(this.#pid, "SIGCONT");
    const end = performance.now() + 5000;
    while (this.received - before < sent && performance.now() < end) await sleep(5);
    const moved = this.received - before;
    if (moved < sent) throw new Error(`of ${sent} frames ${moved} came out`);
    return (this.processorNs() - start) / moved;
  }

  /** Sends at full speed for some seconds; returns the frames received per second. */
  async flood(seconds: number): Promise<number> {
    const before = this.received;
    this.send("send", this.source, String(seconds), "0", frameHex());
    return (this.received - before) / seconds;
  }

  /** Processor time of all threads of the forwarder so far. */
  processorNs(): number {
    const folder = `/proc/${this.#pid}/task`;
    let sum = 0;
    for (const task of readdirSync(folder))
      sum += Number(readFileSync(join(folder, task, "schedstat"), "utf8").split(" ")[0]);
    return sum;
  }

  /** Resident set size of the forwarder in bytes. */
  rssBytes(): number {
    const [, kilobytes = "0"] =
      /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) * 1024;
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null) continue;
      const gone = new Promise(resolve => child.once("exit", resolve));
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
      await gone;
      clearTimeout(timer);
    }
    this.#end();
  }

  #end(): void {
    process.removeListener("exit", this.#onExit);
    for (const child of this.#children) child.kill("SIGKILL");
    spawnSync("ip", ["netns", "del", this.#netns]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
