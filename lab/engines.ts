/**
 * The switch of a hypervisor: Open vSwitch with the flows of `slash32 compile`, or `slash32 live`. Both
 * install an intent in two steps, so that slow work (compiling) precedes the change itself, which must be
 * fast.
 */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../src/host/index.ts";
import { Bridge } from "./bridge.ts";
import { execute, LabError, type Machine, type Running, until } from "./machine.ts";
import type { EngineName } from "./plan.ts";
import { PROGRAM } from "./programs.ts";

/** Runs `slash32`; its standard output. */
const slash32 = (words: readonly string[], codes: readonly number[] = [0]): Promise<string> =>
  execute(process.execPath, [PROGRAM, ...words], { codes });

export interface Engine {
  readonly name: EngineName;
  /** Prepares an intent; the returned function puts it in force, atomically. */
  prepare(intent: string): Promise<() => Promise<void>>;
  /** Resolves when no frame meets the previous tables. */
  settle(): Promise<void>;
  /** Drops so far by reason; with Open vSwitch from the counters of its flows. */
  drops(): Promise<ReadonlyMap<string, number>>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again after `kill`; resolves when it forwards by the last intent. */
  restart(): Promise<void>;
  /** Verdict of `slash32 verify` on the flows in force against an intent: `equal`, or another verdict. */
  prove(intent: string): Promise<string>;
  /** The words of the agent's command line that name the switch. */
  readonly sink: readonly string[];
}

const verdictOf = (text: string): string => (JSON.parse(text) as { verdict: string }).verdict;

/** Table, priority and part of the match of rows that drop, and the reason that the pipeline gives. */
const OVS_REASONS: readonly [RegExp, string][] = [
  [/table=10,.*priority=0\b/, "unknown-label"],
  [/table=30,.*priority=100,in_port=/, "no-local-vm"],
  [/table=0,.*priority=0\b/, "spoofed-source"],
  [/table=20,.*priority=400,/, "arp-probe"],
  [/table=50,.*priority=100,in_port=/, "bridge-suppressed"],
];

/** Open vSwitch, filled from `slash32 compile`. */
export class OvsEngine implements Engine {
  readonly name = "ovs";
  readonly bridge: Bridge;
  readonly #file: string;
  #flows = "";

  private constructor(bridge: Bridge, file: string) {
    this.bridge = bridge;
    this.#file = file;
  }

  static async start(machine: Machine, node: string, ports: ReadonlyMap<string, number>): Promise<OvsEngine> {
    return new OvsEngine(await Bridge.start(machine, node, ports), join(machine.folder, `${node}.yaml`));
  }

  async prepare(intent: string): Promise<() => Promise<void>> {
    writeFileSync(this.#file, intent);
    const flows = await slash32(["compile", this.#file]);
    return async () => {
      await this.bridge.replaceFlows(flows);
      this.#flows = flows;
    };
  }

  settle(): Promise<void> {
    return this.bridge.settle();
  }

  async drops(): Promise<ReadonlyMap<string, number>> {
    const counted = new Map<string, number>();
    await this.bridge.appctl(["revalidator/purge"]);
    for (const { text, packets } of await this.bridge.flows()) {
      const reason = OVS_REASONS.find(([row]) => row.test(text))?.[1];
      if (reason !== undefined) counted.set(reason, (counted.get(reason) ?? 0) + packets);
    }
    return counted;
  }

  kill(): Promise<void> {
    return this.bridge.kill();
  }

  async restart(): Promise<void> {
    await this.bridge.restart();
    await this.bridge.replaceFlows(this.#flows);
  }

  prove(intent: string): Promise<string> {
    writeFileSync(this.#file, intent);
    return this.verify();
  }

  get sink(): readonly string[] {
    return ["--db", `unix:${this.bridge.database}`];
  }

  /** `slash32 verify` of the flows in the bridge against the intent in force; its verdict. */
  async verify(): Promise<string> {
    const words = ["verify", "-n", this.#file, "--bridge", this.bridge.managementSocket, "--format", "json"];
    return verdictOf(await slash32(words, [0, 1, 2]));
  }
}

/** Where a hypervisor's `slash32 live` shows its metrics, on the loopback of its own namespace. */
const METRICS_PORT = 9032;
const READY = "slash32: live:";
/** What it says to a new intent. */
const TAKEN = "reloaded the intent";
const REFUSED = "the new intent is rejected";
const DROPS = /^slash32_drops_total\{.*?reason="([^"]+)".*?\} (\d+)/gm;

/** `slash32 live` on AF_PACKET, one process. */
export class Slash32Engine implements Engine {
  readonly name = "slash32";
  readonly #machine: Machine;
  readonly #node: string;
  readonly #ports: readonly string[];
  readonly #file: string;
  readonly #control: string;
  #running: Running | undefined;

  constructor(machine: Machine, node: string, ports: readonly string[]) {
    this.#machine = machine;
    this.#node = node;
    this.#ports = ports;
    this.#file = join(machine.folder, `${node}.yaml`);
    this.#control = join(machine.folder, `${node}-live.sock`);
  }

  get sink(): readonly string[] {
    return ["--live", this.#control];
  }

  async prove(intent: string): Promise<string> {
    const [wanted, actual] = [`${this.#file}.wanted.yaml`, `${this.#file}.actual.yaml`];
    writeFileSync(wanted, intent);
    writeFileSync(actual, (await ask(this.#control, "GET", "/v1/intent")).text);
    return verdictOf(await slash32(["diff", wanted, actual, "--format", "json"], [0, 1, 2]));
  }

  /** Of the process. */
  get pid(): number {
    if (this.#running === undefined) throw new LabError(`${this.#node}: slash32 live is not running`);
    return this.#running.pid;
  }

  async prepare(intent: string): Promise<() => Promise<void>> {
    const next = `${this.#file}.new`;
    writeFileSync(next, intent);
    return async () => {
      renameSync(next, this.#file);
      if (this.#running === undefined) return this.restart();
      const before = this.#said().length;
      process.kill(this.#running.pid, "SIGHUP");
      await until(`${this.#node}: the new intent`, () => {
        const said = this.#said().slice(before);
        if (said.includes(REFUSED)) throw new LabError(`${this.#node}: ${said.trim()}`);
        return said.includes(TAKEN);
      });
    };
  }

  /** It said that the intent was taken: batches after that see nothing else. */
  async settle(): Promise<void> {}

  async drops(): Promise<ReadonlyMap<string, number>> {
    const url = `http://127.0.0.1:${METRICS_PORT}/metrics`;
    const ask = `fetch("${url}").then(async answer => console.log(await answer.text()))`;
    const page = await this.#machine.run(this.#node, [process.execPath, "-e", ask]);
    return new Map([...page.matchAll(DROPS)].map(([, reason, count]) => [reason!, Number(count)]));
  }

  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) await this.#machine.stop(running, "SIGKILL");
  }

  async restart(): Promise<void> {
    const before = this.#said().length;
    const words = [process.execPath, PROGRAM, "live", "-n", this.#file, "--metrics", String(METRICS_PORT)];
    for (const port of this.#ports) words.push("--port", `${port}=afpacket:${port}`);
    // The spare port is no VM's until one moves in.
    words.push("--allow-unknown-ports", "--control", this.#control);
    const running = this.#machine.start(this.#node, `${this.#node}-live`, words);
    this.#running = running;
    let code: number | string | undefined;
    void running.ended.then(ended => {
      code = ended;
    });
    await until(`${this.#node}: slash32 live`, () => {
      const said = this.#said().slice(before);
      if (code !== undefined)
        throw new LabError(`${this.#node}: slash32 live ended with ${code}: ${said.trim()}`);
      return said.includes(READY);
    });
  }

  /** All it wrote to standard error so far. */
  #said(): string {
    try {
      return readFileSync(join(this.#machine.folder, `${this.#node}-live.err`), "utf8");
    } catch {
      return "";
    }
  }
}
