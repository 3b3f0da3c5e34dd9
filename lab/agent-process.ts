/**
 * `slash32 agent` on a hypervisor of the lab, as a user would start it: a process of the built program with a
 * base intent, a folder of VM files, the bridge's database, and the hypervisor's own gobgpd. The lab sends
 * requests to its socket, reads its audit log, creates files in its folder, and kills it. docs/agent.md.
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../src/host/index.ts";
import { LabError, type Machine, type Running, until } from "./machine.ts";
import { baseOf, type HypervisorPlan, leafOf, type Path, type Vm, vmFileOf } from "./plan.ts";
import { PROGRAM } from "./programs.ts";

/** An agent that fills its table, and waits for its daemon's. */
const READY_MS = 60_000;

/** The fields of `GET /v1/status` that the lab uses. */
export interface AgentStatus {
  readonly inStep: boolean;
  readonly problems: readonly string[];
  readonly vms: number;
  readonly announced: number | null;
  readonly refused: readonly { readonly id: number; readonly code: string; readonly message: string }[];
  readonly routes: { readonly count: number; readonly complete: boolean };
  readonly quarantine: readonly { readonly address: string; readonly owner: number }[];
  readonly doubleOwners: readonly { readonly prefix: string; readonly vm: number }[];
  readonly proof: { readonly verdict: string; readonly at: string } | null;
}

/** A line of the audit log: a flow that was written, or a prefix that was announced or withdrawn. */
export interface AuditLine {
  /** As ISO 8601 has it. */
  readonly time: string;
  /** The number of a bundle; the line that has `taken` ends it. */
  readonly bundle?: number;
  readonly taken?: boolean;
  readonly op?: "add" | "delete" | "announce" | "withdraw";
  readonly flow?: string;
  /** What the flow did before; absent where there was none. */
  readonly before?: string;
  readonly prefix?: string;
}

/**
 * Time (ms since 1970) at which the switch had accepted the last bundle with a flow that matches `part`,
 * begun at or after `since`; null if there is none.
 */
export function takenAt(lines: readonly AuditLine[], part: RegExp, since: number): number | null {
  const later = lines.filter(({ time }) => Date.parse(time) >= since);
  const bundle = later.findLast(({ flow }) => flow !== undefined && part.test(flow))?.bundle;
  const end =
    bundle === undefined ? undefined : later.find(line => line.bundle === bundle && line.taken === true);
  return end === undefined ? null : Date.parse(end.time);
}

/** What the agent works with besides its files, as words of its command line. */
export interface AgentTies {
  /** `--db SOCKET`, or whatever else names the switch. */
  readonly sink: readonly string[];
  /** gobgpd's API. */
  readonly gobgp: string;
}

export class AgentProcess {
  readonly hypervisor: HypervisorPlan;
  readonly #machine: Machine;
  readonly #ties: AgentTies;
  #running: Running | null = null;
  #fileCount = 0;

  constructor(machine: Machine, hypervisor: HypervisorPlan, ties: AgentTies) {
    this.#machine = machine;
    this.hypervisor = hypervisor;
    this.#ties = ties;
    for (const folder of ["vms", "new"]) mkdirSync(this.#at(folder));
    writeFileSync(this.#at("base.yaml"), baseOf(hypervisor));
  }

  /** Starts it; resolves when it answers. With `isTakingOver` the one that runs hands over to it. */
  async start(isTakingOver = false): Promise<void> {
    const { name, address } = this.hypervisor;
    const before = this.#running;
    const files = [
      "-n",
      "base.yaml",
      "--create-folders",
      "--vms",
      "vms",
      "--state",
      "state",
      "--socket",
      "agent.sock",
    ];
    const words = files.map(word => (/^-/.test(word) ? word : this.#at(word)));
    words.push(...this.#ties.sink, "--gobgp", this.#ties.gobgp, "--next-hop", address);
    words.push("--gateway", leafOf(this.hypervisor).mac, ...(isTakingOver ? ["--take-over"] : []));
    const running = this.#machine.start(name, `${name}-agentd`, [
      process.execPath,
      PROGRAM,
      "agent",
      ...words,
    ]);
    this.#running = running;
    let code: number | string | undefined;
    void running.ended.then(ended => {
      code = ended;
    });
    if (isTakingOver) await before?.ended;
    await until(
      `${name}: the agent answers`,
      async () => {
        if (code !== undefined) throw new LabError(`${name}: the agent ended with ${code}: ${this.said()}`);
        return this.status().then(
          () => true,
          () => false,
        );
      },
      READY_MS,
    );
  }

  /** SIGKILL, at whatever it is. */
  async kill(): Promise<void> {
    await this.#machine.stop(this.#running!, "SIGKILL");
  }

  /** Waits until it has done all there is to do, with the whole table of routes. */
  async inStep(): Promise<AgentStatus> {
    let status: AgentStatus | null = null;
    const what = `${this.hypervisor.name}: the agent is in step`;
    const isSo = async (): Promise<boolean> => {
      status = await this.status().catch(() => null);
      return status?.inStep === true && status.routes.complete;
    };
    await until(what, isSo, READY_MS).catch((error: Error) => {
      throw new LabError(`${error.message}: ${JSON.stringify(status)}: ${this.said()}`);
    });
    return status!;
  }

  async status(): Promise<AgentStatus> {
    return JSON.parse((await this.ask("GET", "/v1/status")).text) as AgentStatus;
  }

  ask(method: string, target: string, body?: object): Promise<{ status: number; text: string }> {
    return ask(this.#at("agent.sock"), method, target, body === undefined ? "" : JSON.stringify(body));
  }

  /** Has a VM take a step; the agent's answer. */
  setPath(vm: Vm, path: Path): Promise<{ status: number; text: string }> {
    return this.ask("PUT", `/v1/vms/${vm.id}/path`, { path });
  }

  /** Drops a VM file into the folder, in one step. */
  drop(vm: Vm): void {
    const beside = this.#at(join("new", String(this.#fileCount++)));
    writeFileSync(beside, vmFileOf(vm));
    renameSync(beside, this.#fileOf(vm));
  }

  /** Takes a VM's file away. */
  take(vm: Vm): void {
    rmSync(this.#fileOf(vm));
  }

  /** All it has written to its audit log. */
  audit(): AuditLine[] {
    const text = readFileSync(this.#at(join("state", "audit.jsonl")), "utf8");
    // What is being written may have half a line.
    const lines = text
      .slice(0, text.lastIndexOf("\n") + 1)
      .split("\n")
      .filter(line => line !== "");
    return lines.map(line => JSON.parse(line) as AuditLine);
  }

  /** The last of what it said, for people. */
  said(): string {
    const text = readFileSync(join(this.#machine.folder, `${this.hypervisor.name}-agentd.err`), "utf8");
    return text.slice(-1500).trim();
  }

  #fileOf(vm: Vm): string {
    return this.#at(join("vms", `${vm.name}.json`));
  }

  #at(file: string): string {
    const folder = join(this.#machine.folder, `${this.hypervisor.name}-agent`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, file);
  }
}
