/**
 * The machine under the lab: network namespaces, links between them, processes in them, and the guard that
 * removes them all. The guard is a shell that holds the read end of a pipe from this process. When the pipe
 * closes, because this process closed it, threw, or was killed with -9, the guard ends the processes in these
 * namespaces by their ids, and removes the namespaces and the folder. Names have a random tag, so that
 * several labs run side by side. ip-netns(8), nsenter(1), veth(4).
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An action of the lab failed: one line for the user. */
export class LabError extends Error {
  override readonly name = "LabError";
}

/** Programs that must be installed, and their Debian packages. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nsenter: "util-linux",
  ethtool: "ethtool",
  ping: "iputils-ping",
  arping: "iputils-arping",
  dumpcap: "wireshark-common",
  tcpdump: "tcpdump",
  "ovs-vswitchd": "openvswitch-switch",
};

/**
 * Arguments: the folder, the prefix of the namespaces. First SIGTERM, so that captures end with complete
 * packets; after half a second SIGKILL. A process belongs to the lab if it is in one of these namespaces, or
 * if a pid file of the folder has its id and its working directory is the folder.
 */
const GUARD = `
dir=$1 prefix=$2
trap '' HUP INT TERM PIPE
read -r _
ours() {
  for ns in $(ip netns list | cut -d ' ' -f 1); do
    case $ns in "$prefix"*) ip netns pids "$ns" ;; esac
  done
  for file in "$dir"/pids/*; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    [ "$(readlink "/proc/$pid/cwd")" = "$dir" ] && echo "$pid"
  done
}
pids=$(ours)
[ -n "$pids" ] && kill -TERM $pids 2>/dev/null
for turn in 1 2 3 4 5 6 7 8 9 10; do
  pids=$(ours)
  [ -z "$pids" ] && break
  sleep 0.05
done
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
for ns in $(ip netns list | cut -d ' ' -f 1); do
  case $ns in "$prefix"*) ip netns del "$ns" ;; esac
done
cd / && rm -rf "$dir"
`;

const COMMAND_MS = 30_000;
/** Factor for timeouts; tests set WAIT_FACTOR (test/run.ts), because a busy machine must not fail them. */
const FACTOR = Math.max(1, Number(process.env.WAIT_FACTOR ?? 1));
/** The timeout for an action that usually takes at most `ms`. */
export const timeoutOf = (ms: number): number => ms * FACTOR;
/** Whether figures of time have limits. Tests print them only, unless TIMED=1. */
export const isTimed = process.env.TIMED !== "0";

/** Why the lab cannot run here; null if it can. */
export async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "the lab makes network namespaces; run it as root";
  const missing: string[] = [];
  for (const [program, where] of Object.entries(PROGRAMS)) {
    const found = await execute("sh", ["-c", `command -v ${program}`]).catch(() => null);
    if (found === null) missing.push(`${program} (Debian: apt-get install ${where})`);
  }
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
  const name = `s32-${randomBytes(3).toString("hex")}-try`;
  try {
    await execute("ip", ["netns", "add", name]);
    await execute("ip", ["netns", "del", name]);
  } catch (error) {
    return `network namespaces cannot be made here: ${(error as Error).message}`;
  }
  return null;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** Exit codes that are answers and no errors; 0 by default. */
  readonly codes?: readonly number[];
}

/** Runs a program and returns its standard output. Throws a LabError with its message if it fails. */
export function execute(
  program: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { input = "", env = process.env, timeoutMs = COMMAND_MS, codes = [0] } = options;
  return new Promise((resolve, reject) => {
    const settings = { env, encoding: "utf8", maxBuffer: 2 ** 28, timeout: timeoutOf(timeoutMs) } as const;
    const child = execFile(program, words, settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "number" && codes.includes(code)) return resolve(stdout);
      const said = stderr.trim() || stdout.trim() || error?.message || "";
      reject(new LabError(`${[program, ...words].join(" ").slice(0, 200)}: ${said.slice(0, 1000)}`));
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/**
 * Polls `isSo` every few milliseconds, later less often, until it returns true. Throws a LabError with `what`
 * after `timeoutMs`.
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const end = performance.now() + timeoutOf(timeoutMs);
  for (let pauseMs = 3; !(await isSo()); pauseMs = Math.min(pauseMs * 1.2, 50)) {
    if (performance.now() > end) throw new LabError(`${what}: not within ${timeoutOf(timeoutMs) / 1000} s`);
    await sleep(pauseMs);
  }
}

/** A process in a node. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves with the exit code, or with the signal's name. */
  readonly ended: Promise<number | string>;
}

/** One end of a link: a namespace and the interface's name in it. */
export interface End {
  readonly node: string;
  readonly name: string;
  readonly mac?: string;
}

const prefixOf = (tag: string): string => `s32-${tag}-`;

/** Namespaces, links and processes that go together. */
export class Machine {
  readonly tag = randomBytes(3).toString("hex");
  /** Sockets, databases, logs, pid files: short, as a socket's path has at most 107 bytes. */
  readonly folder = Machine.folderOf(this.tag);
  readonly #prefix = prefixOf(this.tag);
  readonly #guard: ChildProcess;
  readonly #gone: Promise<void>;

  constructor() {
    mkdirSync(join(this.folder, "pids"), { recursive: true, mode: 0o700 });
    const words = ["-c", GUARD, "slash32-lab-guard", this.folder, this.#prefix];
    this.#guard = spawn("sh", words, { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#guard.stdin?.on("error", () => undefined);
    this.#gone = new Promise(resolve => this.#guard.once("exit", () => resolve()));
  }

  /** Folder of the sockets, databases and logs of the lab with this tag. */
  static folderOf(tag: string): string {
    return join(tmpdir(), `slash32-lab-${tag}`);
  }

  /** Namespaces of the lab with this tag. */
  static async namespacesOf(tag: string): Promise<string[]> {
    const names = (await execute("ip", ["netns", "list"])).split("\n").map(line => line.split(" ")[0]!);
    return names.filter(name => name.startsWith(prefixOf(tag)));
  }

  namespaces(): Promise<string[]> {
    return Machine.namespacesOf(this.tag);
  }

  /** The namespace of a node, as `ip netns` knows it. */
  namespaceOf(node: string): string {
    return this.#prefix + node;
  }

  /** Makes namespaces: loopback up, no IPv6, so that all that is seen was sent on purpose. */
  async addNodes(nodes: readonly string[]): Promise<void> {
    await execute("ip", ["-batch", "-"], {
      input: nodes.map(node => `netns add ${this.namespaceOf(node)}\n`).join(""),
    });
    const quiet =
      "for d in all default; do echo 1 > /proc/sys/net/ipv6/conf/$d/disable_ipv6; done; ip link set lo up";
    await Promise.all(nodes.map(node => this.shell(node, quiet)));
  }

  async removeNode(node: string): Promise<void> {
    await execute("ip", ["netns", "del", this.namespaceOf(node)]);
  }

  /** Links two nodes by a veth pair, both ends up. */
  async addLinks(links: readonly { a: End; b: End; mtu: number }[]): Promise<void> {
    const made = links.map(({ a, b, mtu }) => {
      const [endA, endB] = [a, b].map(({ node, name, mac }) => {
        const address = mac === undefined ? "" : ` address ${mac}`;
        return `name ${name}${address} mtu ${mtu} netns ${this.namespaceOf(node)}`;
      });
      return `link add ${endA} type veth peer ${endB}\n`;
    });
    await execute("ip", ["-batch", "-"], { input: made.join("") });
    const ends = links.flatMap(({ a, b }) => [a, b]);
    await Promise.all(
      [...new Set(ends.map(({ node }) => node))].map(node =>
        this.ip(
          node,
          ends.filter(end => end.node === node).map(({ name }) => `link set ${name} up`),
        ),
      ),
    );
  }

  /** Lines of `ip -batch` in a node. */
  ip(node: string, lines: readonly string[]): Promise<string> {
    const input = `${lines.join("\n")}\n`;
    return execute("ip", ["-n", this.namespaceOf(node), "-batch", "-"], { input });
  }

  /** Runs a program in a node. */
  run(node: string, words: readonly string[], options: RunOptions = {}): Promise<string> {
    return execute("nsenter", [...this.#inside(node), ...words], options);
  }

  /** Runs a line of shell in a node. */
  shell(node: string, line: string): Promise<string> {
    return this.run(node, ["sh", "-ec", line]);
  }

  /**
   * Starts a process in a node, with a pid file and a log of standard error in the folder; Ctrl-C does not
   * reach it. With `hasPipes`, its standard input and output are pipes.
   */
  start(node: string, name: string, words: readonly string[], env = process.env, hasPipes = false): Running {
    const log = openSync(join(this.folder, `${name}.err`), "a");
    const ends = hasPipes ? "pipe" : "ignore";
    const child = spawn("nsenter", [...this.#inside(node), ...words], {
      detached: true,
      env,
      cwd: this.folder,
      stdio: [ends, ends, log],
    });
    if (child.pid === undefined) throw new LabError(`${words[0]}: could not be started`);
    const file = join(this.folder, "pids", name);
    writeFileSync(file, String(child.pid));
    const ended = new Promise<number | string>(resolve =>
      child.once("exit", (code, signal) => {
        rmSync(file, { force: true });
        resolve(code ?? signal ?? "");
      }),
    );
    return { name, pid: child.pid, child, ended };
  }

  /** Ends one process of ours by its id; resolves when it is gone. */
  async stop(running: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    try {
      process.kill(running.pid, signal);
    } catch {
      // It was gone before.
    }
    return running.ended;
  }

  /** Ends all processes and removes all namespaces and the folder; resolves when that is done. Idempotent. */
  async close(): Promise<void> {
    this.#guard.stdin?.end();
    await this.#gone;
  }

  #inside(node: string): string[] {
    return [`--net=/run/netns/${this.namespaceOf(node)}`, "--"];
  }
}
