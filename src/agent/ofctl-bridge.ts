/**
 * The switch as the agent uses it: what is there, and edits, here both by ovs-ofctl(8) with OpenFlow 1.3; live-bridge.ts is
 * the same for live ports. A dump is no snapshot, but nobody else writes our cookies, and what somebody else writes meanwhile
 * is found the next time.
 */
import { UserError } from "../errors/index.ts";
import { spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ReadyProgram, watchPresence } from "../host/index.ts";
import type { Vm } from "../intent/index.ts";
import type { Wanted } from "./desired-state.ts";
import { bundleOf, type Edit } from "./flow-changes.ts";
import { type InstalledRow, rowsOf } from "./observed-state.ts";

/** The switch refused something or cannot be reached: one line for a person. */
export class BridgeError extends UserError {
  override readonly name = "BridgeError";
  /** Whether the switch was reached and said no. */
  readonly isRefusal: boolean;

  constructor(message: string, isRefusal: boolean) {
    super(message);
    this.isRefusal = isRefusal;
  }
}

/** What the agent needs of a switch. */
export interface Bridge {
  /**
   * What of a VM no row says and must be right all the same; then a VM is written whole, and all of its rows wait when one
   * has to. Null: rows are all there is, and each is written by itself.
   */
  readonly tagOf: ((vm: Vm) => string) | null;
  /** All flows, ours and others', some at a time as they come. Throws BridgeError, and Error for one that cannot be read. */
  rows(): AsyncIterable<readonly InstalledRow[]>;
  /** The same as `ovs-ofctl --no-names dump-flows` prints it, lines without their ends; counters may be left out. */
  lines(): AsyncIterable<readonly string[]>;
  /** Makes all of these edits or none; `wanted` is what they lead to. Rejects with BridgeError. */
  write(edits: readonly Edit[], wanted: Wanted): Promise<void>;
}

/** A bridge for as long as an agent runs. */
export interface AttachedBridge extends Bridge {
  /**
   * Begins; calls back whenever it went away, and whenever it is there again: by then it has other rows. Returns what ends
   * it, with all that is under way.
   */
  attach(onChange: (isThere: boolean) => void): () => void;
}

const TIMEOUT_SECONDS = 60;
/** What the way to a child's input, empty until then, takes in one write. */
const PIECE_BYTES = 65_536;

/** Where ovs-ofctl finds the bridge: a name, or the management socket beside the database's. */
export function bridgeAddress(bridge: string, database: string | undefined): string {
  if (database === undefined || bridge.includes("/") || bridge.includes(":")) return bridge;
  return join(dirname(database.replace(/^unix:/, "")), `${bridge}.mgmt`);
}

/** Runs a program to its end, or until the signal, and gives what it wrote. Rejects with BridgeError. */
export function run(
  program: string,
  words: readonly string[],
  input: string | null,
  signal?: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"], ...(signal && { signal }) });
    const said: Buffer[] = [];
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk;
    });
    child.once("error", error => reject(startErrorOf(program, error)));
    child.once("close", code => {
      if (code === 0) resolve(Buffer.concat(said).toString("latin1"));
      else reject(errorOf(program, code, complaint));
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
  });
}

const NO_VERSION =
  "; it speaks no OpenFlow 1.3, which ovs-vsctl set bridge NAME protocols=OpenFlow10,OpenFlow13 would mend";

/** What a program that ended badly said, as one error. */
function errorOf(program: string, code: number | null, complaint: string): BridgeError {
  const lines = complaint.trim().split("\n");
  const line = lines.find(text => text.includes(`${program}: `)) ?? lines[0] ?? "";
  const isRefusal = /OFPT_ERROR|(?:^|: )(?:-|\S+\.flows):\d+|OFPFMFC|OFPBFC|OFPBAC/m.test(complaint);
  const hint = complaint.includes("version negotiation failed") ? NO_VERSION : "";
  return new BridgeError(
    `${program}: ${line.replace(`${program}: `, "") || `ended with ${code}`}${hint}`,
    isRefusal,
  );
}

const startErrorOf = (program: string, error: NodeJS.ErrnoException): BridgeError =>
  new BridgeError(
    error.code === "ENOENT"
      ? `there is no ${program} here (apt-get install openvswitch-switch)`
      : error.message,
    false,
  );

/** Runs a program and gives what it writes as it comes. Throws BridgeError when it ends badly. */
async function* follow(
  program: string,
  words: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], signal });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk;
  });
  const ended = new Promise<BridgeError | null>(resolve => {
    child.once("error", error => resolve(startErrorOf(program, error)));
    child.once("close", code => resolve(code === 0 ? null : errorOf(program, code, complaint)));
  });
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const error = await ended;
    if (error !== null) throw error;
  } finally {
    // Whoever stops in the midst leaves no process behind.
    child.kill();
  }
}

/** A bridge of Open vSwitch, given by name or management socket. */
export class OfctlBridge implements AttachedBridge {
  readonly address: string;
  readonly tagOf = null;
  readonly #writer: ReadyProgram;
  readonly #file: string;
  readonly #ended = new AbortController();

  /** @param folder where large bundles are put on their way */
  constructor(address: string, folder = tmpdir()) {
    this.address = address;
    this.#file = join(folder, `bundle-${process.pid}.flows`);
    this.#writer = new ReadyProgram("ovs-ofctl", this.#writeWords("-"), TIMEOUT_SECONDS * 1000);
  }

  async *rows(): AsyncGenerator<readonly InstalledRow[]> {
    for await (const lines of this.lines()) yield rowsOf(lines);
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

  write(edits: readonly Edit[]): Promise<void> {
    return this.bundle(bundleOf(edits));
  }

  /**
   * Writes all lines of a bundle or none, also when this process is killed meanwhile: what fits a pipe is handed over in one
   * piece, and more than that is a file before anybody reads it. Half a bundle would be a bundle to ovs-ofctl.
   */
  async bundle(bundle: string): Promise<void> {
    if (bundle.length > PIECE_BYTES) return this.#bundleFile(bundle);
    const { code, complaint, error } = await this.#writer.run(bundle);
    if (error !== null) throw startErrorOf("ovs-ofctl", error);
    if (code !== 0) throw errorOf("ovs-ofctl", code, complaint);
  }

  async #bundleFile(bundle: string): Promise<void> {
    try {
      await writeFile(this.#file, bundle, { encoding: "latin1", mode: 0o600 });
      const words = [`--timeout=${TIMEOUT_SECONDS}`, ...this.#writeWords(this.#file)];
      await run("ovs-ofctl", words, null, this.#ended.signal);
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
