/**
 * A bridge of Open vSwitch's userspace datapath in a namespace, with its own daemons, database and sockets.
 * Its ports are interfaces of the namespace (veth) with real hosts behind them; it touches no switch that was
 * there before. The datapath's own devices (ovs-netdev, br0) are removed with the namespace. ovs-vswitchd(8),
 * ovs-ofctl(8).
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { execute, LabError, type Machine, type Running, until } from "./machine.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";
const QUIET = ["-vconsole:off", "-vsyslog:off"];

/** A flow as a dump shows it, as far as the lab asks. */
export interface CountedFlow {
  readonly text: string;
  readonly packets: number;
}

/** A running bridge, `br0` of its own switch. */
export class Bridge {
  readonly node: string;
  readonly #machine: Machine;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  #daemons: Running[] = [];

  private constructor(machine: Machine, node: string) {
    this.node = node;
    this.#machine = machine;
    this.#folder = join(machine.folder, node);
    const dir = this.#folder;
    this.#env = { ...process.env, OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, OVS_SYSCONFDIR: dir };
  }

  /** Starts a switch in `node` with the ports given, numbered as given, and no flows. */
  static async start(machine: Machine, node: string, ports: ReadonlyMap<string, number>): Promise<Bridge> {
    const bridge = new Bridge(machine, node);
    mkdirSync(bridge.#folder, { recursive: true });
    await execute("ovsdb-tool", ["create", bridge.#at("conf.db"), SCHEMA], { env: bridge.#env });
    await bridge.#startDaemons();
    const words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure"];
    words.push("protocols=OpenFlow10,OpenFlow13,OpenFlow15");
    for (const [name, number] of ports) words.push(...addPort(name, number));
    await bridge.vsctl(words);
    return bridge;
  }

  /** The database's socket, beside which the bridge's is. */
  get database(): string {
    return this.#at("db.sock");
  }

  /** The bridge's management socket, for `verify --bridge`. */
  get managementSocket(): string {
    return this.#at("br0.mgmt");
  }

  /** Of ovs-vswitchd. */
  get pid(): number {
    return this.#daemons.at(-1)!.pid;
  }

  /** Replaces all flows in one bundle. */
  async replaceFlows(text: string): Promise<void> {
    await this.ofctl(["--bundle", "replace-flows", "br0", "-"], text);
  }

  /** Resolves when the datapath's cache holds nothing of flows that are gone; half a second. */
  async settle(): Promise<void> {
    await this.appctl(["revalidator/wait"]);
  }

  /** For how many seconds each flow has been as it is, by its text. */
  async durations(): Promise<ReadonlyMap<string, number>> {
    const dump = await this.ofctl(["--no-names", "dump-flows", "br0"]);
    const flows = dump.split("\n").filter(line => line.includes("actions="));
    return new Map(
      flows.map(line => [textOf(line), Number(/duration=([\d.]+)s/.exec(line)?.[1] ?? Number.NaN)]),
    );
  }

  addPort(name: string, number: number): Promise<string> {
    return this.vsctl(addPort(name, number).slice(1));
  }

  async flows(): Promise<CountedFlow[]> {
    const dump = await this.ofctl(["--no-names", "dump-flows", "br0"]);
    return dump
      .split("\n")
      .filter(line => line.includes("actions="))
      .map(line => ({
        text: textOf(line),
        packets: Number(/n_packets=(\d+)/.exec(line)?.[1] ?? 0),
      }));
  }

  /** The MACs that the bridge has learned. */
  async learned(): Promise<string[]> {
    const text = await this.appctl(["fdb/show", "br0"]);
    return [...text.matchAll(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g)].map(([mac]) => mac);
  }

  /** Has the bridge treat a frame as if it had come in by a port. */
  packetOut(inPort: number | "NONE", frame: Uint8Array, actions: string): Promise<string> {
    const hex = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString("hex");
    return this.ofctl(["packet-out", "br0", `in_port=${inPort},packet=${hex},actions=${actions}`]);
  }

  vsctl(words: readonly string[]): Promise<string> {
    const all = ["--timeout=20", "--retry", `--db=unix:${this.#at("db.sock")}`, ...words];
    return execute("ovs-vsctl", all, { env: this.#env });
  }

  ofctl(words: readonly string[], input = ""): Promise<string> {
    const address = words.map(word => (word === "br0" ? this.managementSocket : word));
    return execute("ovs-ofctl", ["--timeout=20", "-O", "OpenFlow13", ...address], { env: this.#env, input });
  }

  appctl(words: readonly string[]): Promise<string> {
    return execute("ovs-appctl", ["--timeout=20", "-t", this.#at("vswitchd.ctl"), ...words], {
      env: this.#env,
    });
  }

  /** kill -9 of the switch; the database goes on. */
  async kill(): Promise<void> {
    const daemon = this.#daemons.pop();
    if (daemon !== undefined) await this.#machine.stop(daemon, "SIGKILL");
  }

  /** Starts the switch again after `kill`: ports come back from the database, flows do not. */
  async restart(): Promise<void> {
    this.#startSwitch();
    await this.#ready();
  }

  async #startDaemons(): Promise<void> {
    const sockets = [`--remote=punix:${this.#at("db.sock")}`, `--unixctl=${this.#at("ovsdb.ctl")}`];
    const words = ["ovsdb-server", ...QUIET, this.#at("conf.db"), ...sockets];
    this.#daemons.push(
      this.#machine.start(
        this.node,
        `${this.node}-ovsdb`,
        [...words, `--log-file=${this.#at("db.log")}`],
        this.#env,
      ),
    );
    await this.#whileItRuns("ovsdb-server", async () => existsSync(this.#at("db.sock")));
    this.#startSwitch();
    await this.#ready();
  }

  #startSwitch(): void {
    const words = ["ovs-vswitchd", ...QUIET, `unix:${this.#at("db.sock")}`, "--disable-system"];
    words.push(`--unixctl=${this.#at("vswitchd.ctl")}`, `--log-file=${this.#at("vswitchd.log")}`);
    this.#daemons.push(this.#machine.start(this.node, `${this.node}-vswitchd`, words, this.#env));
  }

  #ready(): Promise<void> {
    return this.#whileItRuns(
      "ovs-vswitchd",
      async () => (await this.appctl(["version"]).catch(() => "")) !== "",
    );
  }

  /** Waits until the daemon that was started last is ready; a LabError when it ends before. */
  async #whileItRuns(name: string, isReady: () => Promise<boolean>): Promise<void> {
    let code: number | string | undefined;
    void this.#daemons.at(-1)!.ended.then(ended => {
      code = ended;
    });
    await until(`${this.node}: ${name}`, async () => {
      if (code !== undefined) throw new LabError(`${this.node}: ${name} ended with ${code}`);
      return isReady();
    });
  }

  #at(file: string): string {
    return join(this.#folder, file);
  }
}

/** A flow of a dump without what changes by itself. */
const textOf = (line: string): string =>
  line.replace(/\b(?:duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*, ?/g, "").trim();

function addPort(name: string, number: number): string[] {
  return ["--", "add-port", "br0", name, "--", "set", "interface", name, `ofport_request=${number}`];
}
