/**
 * The switch as the agent uses it: what is there, and edits, here both by ovs-ofctl(8) with OpenFlow 1.3; live-bridge.ts is
 * the same for live ports. A dump is no snapshot, but nobody else writes our cookies, and what somebody else writes meanwhile
 * is found the next time.
 */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import type { Vm } from "../../intent/index.ts";
import { bundleOf, type Edit } from "./edits.ts";
import { type InstalledRow, readLine } from "./installed.ts";
import type { Wanted } from "./wanted.ts";

/** The switch refused something or cannot be reached: one line for a person. */
export class BridgeError extends Error {
  override readonly name = "BridgeError";
  /** Whether the switch was reached and said no. */
  readonly isRefusal: boolean;

  constructor(message: string, isRefusal: boolean) {
    super(message);
    this.isRefusal = isRefusal;
  }
}

/** What a switch had when it was looked at. */
export interface Look {
  /** All flows, ours and others'. Throws for one that cannot be read. */
  rows(): Iterable<InstalledRow>;
  /** The same as `ovs-ofctl --no-names dump-flows` prints it; counters may be left out. */
  text(): string;
}

/** What the agent needs of a switch. */
export interface Bridge {
  /**
   * What of a VM no row says and must be right all the same; then a VM is written whole, and all of its rows wait when one
   * has to. Null: rows are all there is, and each is written by itself.
   */
  readonly tagOf: ((vm: Vm) => string) | null;
  look(): Promise<Look>;
  /** Makes all of these edits or none; `wanted` is what they lead to. Rejects with BridgeError. */
  write(edits: readonly Edit[], wanted: Wanted): Promise<void>;
}

const TIMEOUT_SECONDS = 60;

/** Where ovs-ofctl finds the bridge: a name, or the management socket beside the database's. */
export function bridgeAddress(bridge: string, database: string | undefined): string {
  if (database === undefined || bridge.includes("/") || bridge.includes(":")) return bridge;
  return join(dirname(database.replace(/^unix:/, "")), `${bridge}.mgmt`);
}

/** Runs a program to its end and gives what it wrote. Rejects with BridgeError. */
export function run(program: string, words: readonly string[], input: string | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
    const said: Buffer[] = [];
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk;
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      const hint =
        error.code === "ENOENT"
          ? `there is no ${program} here (apt-get install openvswitch-switch)`
          : error.message;
      reject(new BridgeError(hint, false));
    });
    child.once("close", code => {
      if (code === 0) return resolve(Buffer.concat(said).toString("latin1"));
      const lines = complaint.trim().split("\n");
      const line = lines.find(text => text.includes(`${program}: `)) ?? lines[0] ?? "";
      const isRefusal = /OFPT_ERROR|^-:\d+|: -:\d+|OFPFMFC|OFPBFC|OFPBAC/m.test(complaint);
      reject(
        new BridgeError(`${program}: ${line.replace(`${program}: `, "") || `ended with ${code}`}`, isRefusal),
      );
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
  });
}

/** A bridge of Open vSwitch, given by name or management socket. */
export class OfctlBridge implements Bridge {
  readonly address: string;
  readonly tagOf = null;

  constructor(address: string) {
    this.address = address;
  }

  async look(): Promise<Look> {
    const words = [...this.#words(), "--no-names", "dump-flows", this.address];
    return lookOf(await run("ovs-ofctl", words, null));
  }

  write(edits: readonly Edit[]): Promise<void> {
    return this.bundle(bundleOf(edits));
  }

  /** Writes all lines of a bundle or none. */
  async bundle(bundle: string): Promise<void> {
    await run("ovs-ofctl", [...this.#words(), "--bundle", "add-flows", this.address, "-"], bundle);
  }

  #words(): string[] {
    return [`--timeout=${TIMEOUT_SECONDS}`, "-O", "OpenFlow13"];
  }
}

/** A dump of flows, taken apart when it is asked for. */
export function lookOf(dump: string): Look {
  return {
    *rows() {
      for (const line of dump.split("\n")) {
        const row = readLine(line);
        if (row !== null) yield row;
      }
    },
    text: () => dump,
  };
}
