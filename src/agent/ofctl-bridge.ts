/**
 * A switch as the agent uses it: its flows, and changes to them, by ovs-ofctl(8) with OpenFlow 1.3. Flows
 * become text here, by ofctl-text.ts. A dump is not a snapshot, but only the agent writes its cookies, and
 * the next resync shows what another party wrote meanwhile.
 */

import { spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { UserError } from "../errors/index.ts";
import { PrestartedProcess, watchPresence } from "../host/index.ts";
import type { Vm } from "../intent/index.ts";
import type { Recognizer } from "../pipeline/index.ts";
import type { Desired } from "./desired-state.ts";
import type { Change } from "./flow-changes.ts";
import type { FlowEntry, KnownEntries } from "./flow-entry.ts";
import { bundleOf, entriesOf } from "./ofctl-text.ts";

/** The switch rejected a change or cannot be reached: one line for a person. */
export class BridgeError extends UserError {
  override readonly name = "BridgeError";
  /** Whether the switch was reached and rejected the change. */
  readonly isRefusal: boolean;

  constructor(message: string, isRefusal: boolean) {
    super(message);
    this.isRefusal = isRefusal;
  }
}

/** What the agent needs of a switch. */
export interface Bridge {
  /**
   * Fingerprint of the VM settings that no flow encodes (name, port, MTU), or null. With one, the bridge
   * writes each VM as a unit: if one of its flows must wait, all wait.
   */
  readonly tagOf: ((vm: Vm) => string) | null;
  /**
   * All flows, in pieces; unchanged entries of `known` are not created again. Throws BridgeError, and Error
   * for a malformed line.
   */
  flows(recognizer: Recognizer, known?: KnownEntries): AsyncIterable<readonly FlowEntry[]>;
  /** All flows as lines of `ovs-ofctl --no-names dump-flows`; counters may be left out. */
  lines(): AsyncIterable<readonly string[]>;
  /** Makes all changes or none; `desired` is the resulting state. Rejects with BridgeError. */
  write(changes: readonly Change[], desired: Desired): Promise<void>;
}

/** A bridge for as long as an agent runs. */
export interface AttachedBridge extends Bridge {
  /**
   * Begins; calls back when the connection is lost, and when it is back: by then the switch may have other
   * flows. Returns a function that ends everything.
   */
  attach(onChange: (isThere: boolean) => void): () => void;
}

const TIMEOUT_SECONDS = 60;
/** The size of a pipe: an empty one takes so much in one write. */
const PIECE_BYTES = 65_536;

/** Where ovs-ofctl finds the bridge: a name, or the management socket beside the database's. */
export function bridgeAddress(bridge: string, database: string | undefined): string {
  if (database === undefined || bridge.includes("/") || bridge.includes(":")) return bridge;
  return join(dirname(database.replace(/^unix:/, "")), `${bridge}.mgmt`);
}

const NO_VERSION =
  "; OpenFlow 1.3 is not enabled on the bridge; " +
  "run ovs-vsctl set bridge NAME protocols=OpenFlow10,OpenFlow13";

/** The standard error of a program that failed, as one error. */
function errorOf(program: string, code: number | null, errorText: string): BridgeError {
  const lines = errorText.trim().split("\n");
  const line = lines.find(text => text.includes(`${program}: `)) ?? lines[0] ?? "";
  const isRefusal = /OFPT_ERROR|(?:^|: )(?:-|\S+\.flows):\d+|OFPFMFC|OFPBFC|OFPBAC/m.test(errorText);
  const hint = errorText.includes("version negotiation failed") ? NO_VERSION : "";
  return new BridgeError(
    `${program}: ${line.replace(`${program}: `, "") || `exit status ${code}`}${hint}`,
    isRefusal,
  );
}

const startErrorOf = (program: string, error: NodeJS.ErrnoException): BridgeError =>
  new BridgeError(
    error.code === "ENOENT"
      ? `${program} is not installed; run apt-get install openvswitch-switch`
      : error.message,
    false,
  );

/** Runs a program and yields its standard output. Throws BridgeError if its exit status is not 0. */
async function* follow(
  program: string,
  words: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], ...(signal && { signal }) });
  let errorText = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errorText += chunk;
  });
  const ended = new Promise<BridgeError | null>(resolve => {
    child.once("error", error => resolve(startErrorOf(program, error)));
    child.once("close", code => resolve(code === 0 ? null : errorOf(program, code, errorText)));
  });
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const error = await ended;
    if (error !== null) throw error;
  } finally {
    // A caller that stops early leaves no process behind.
    child.kill();
  }
}

/** Runs a program; resolves with its standard output. Rejects with BridgeError. */
export async function run(program: string, words: readonly string[], signal?: AbortSignal): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of follow(program, words, signal)) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

/** A bridge of Open vSwitch, given by name or management socket. */
export class OfctlBridge implements AttachedBridge {
  readonly address: string;
  readonly tagOf = null;
  readonly #writer: PrestartedProcess;
  readonly #file: string;
  readonly #ended = new AbortController();

  /** @param folder where bundles that do not fit a pipe are written */
  constructor(address: string, folder = tmpdir()) {
    this.address = address;
    this.#file = join(folder, `bundle-${process.pid}.flows`);
    this.#writer = new PrestartedProcess("ovs-ofctl", this.#writeWords("-"), TIMEOUT_SECONDS * 1000);
  }

  async *flows(recognizer: Recognizer, known?: KnownEntries): AsyncGenerator<readonly FlowEntry[]> {
    for await (const lines of this.lines()) yield entriesOf(lines, recognizer, known);
  }

  async *lines(): AsyncGenerator<readonly string[]> {
    let rest = "";
    for await (const piece of follow("ovs-ofctl", this.#dumpWords(), this.#ended.signal)) {
      const lines = (rest + piece.toString("latin1")).split("\n");
      rest = lines.pop()!;
      yield lines;
    }
    yield [rest];
  }

  write(changes: readonly Change[]): Promise<void> {
    return this.bundle(bundleOf(changes));
  }

  /**
   * Writes all lines of a bundle or none, also if this process is killed: a small one in one write to the
   * pipe, a large one as a complete file. Half a bundle would be a valid bundle.
   */
  async bundle(bundle: string): Promise<void> {
    if (bundle.length > PIECE_BYTES) return this.#bundleFile(bundle);
    const { code, errors, error } = await this.#writer.run(bundle);
    if (error !== null) throw startErrorOf("ovs-ofctl", error);
    if (code !== 0) throw errorOf("ovs-ofctl", code, errors);
  }

  async #bundleFile(bundle: string): Promise<void> {
    try {
      await writeFile(this.#file, bundle, { encoding: "latin1", mode: 0o600 });
      const words = [`--timeout=${TIMEOUT_SECONDS}`, ...this.#writeWords(this.#file)];
      await run("ovs-ofctl", words, this.#ended.signal);
    } finally {
      await rm(this.#file, { force: true });
    }
  }

  attach(onChange: (isThere: boolean) => void): () => void {
    this.#writer.prepare();
    const end = watchPresence(this.address, onChange);
    return () => {
      end();
      this.#writer.close();
      this.#ended.abort();
    };
  }

  #dumpWords(): string[] {
    return [`--timeout=${TIMEOUT_SECONDS}`, "-O", "OpenFlow13", "--no-names", "dump-flows", this.address];
  }

  #writeWords(file: string): string[] {
    return ["-O", "OpenFlow13", "--bundle", "add-flows", this.address, file];
  }
}
