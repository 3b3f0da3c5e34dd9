/**
 * Everything that a run of tests starts, and how all of it ends. Each test file runs in a process group of its own, with
 * a temporary folder of its own and a marker in its environment. Daemons leave the group and outlive their parents, but
 * they inherit the marker: on Linux `/proc/PID/environ` shows which processes belong to the run. Guards that clean up
 * after a test (the shells of private switches and of the lab) carry the marker too, so they get time before SIGKILL.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The environment variable that marks the processes of a run. Its value is `RUN.FILE.`, behind that of the run in which
 * this run is a test.
 */
export const MARKER = "SLASH32_TEST";
/** The namespaces of `test/live/base.ts` begin with this and the run, so that a run can remove its own. */
export const NETNS_PREFIX = "s32t";

/** How long a file gets after SIGTERM, and its guards after that, before SIGKILL. */
const GRACE_MS = 5000;
/** How long guards get after a file that ended by itself. They need milliseconds; a slow machine gets a minute. */
const PATIENCE_MS = Number(process.env.TEST_PATIENCE_MS ?? 60_000);
const PAUSE_MS = 50;

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** A process that has the marker: its id, and its command line for a message. */
interface Marked {
  readonly pid: number;
  readonly command: string;
}

/** The processes whose marker begins with `value`, without this one. Empty where there is no /proc. */
function markedWith(value: string): Marked[] {
  const found: Marked[] = [];
  const wanted = `${MARKER}=${value}`;
  let names: string[] = [];
  try {
    names = readdirSync("/proc").filter(name => /^\d+$/.test(name));
  } catch {
    return found;
  }
  for (const name of names) {
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1").split("\0");
      if (Number(name) === process.pid || !environment.some(each => each.startsWith(wanted))) continue;
      // A zombie has an empty command line and has ended.
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").join(" ").trim();
      if (command !== "") found.push({ pid: Number(name), command });
    } catch {
      // It ended meanwhile, or belongs to another user.
    }
  }
  return found;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Waits until no process has the marker; the rest after `patienceMs`, killed. */
async function endMarked(value: string, patienceMs: number): Promise<Marked[]> {
  const end = performance.now() + patienceMs;
  let left = markedWith(value);
  while (left.length > 0 && performance.now() < end) {
    await sleep(PAUSE_MS);
    left = markedWith(value);
  }
  const killed = left;
  // A process may start another before the signal reaches it; each turn kills those that are there.
  for (let turn = 0; left.length > 0 && turn < 100; turn++) {
    for (const { pid } of left) send(pid, "SIGKILL");
    await sleep(PAUSE_MS);
    left = markedWith(value);
  }
  return killed;
}

/** One run: the processes of its files, its temporary folder, its namespaces. */
export class Started {
  readonly #tag = randomBytes(3).toString("hex");
  readonly #run = `${process.env[MARKER] ?? ""}${this.#tag}.`;
  readonly #folder = mkdtempSync(join(tmpdir(), "s32-test-"));
  readonly #children = new Map<ChildProcess, Promise<unknown>>();
  #count = 0;

  constructor() {
    // Tests start programs as other users, which must reach the folders.
    chmodSync(this.#folder, 0o755);
    process.on("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
  }

  /** Starts Node for one file. `left` tells, once the file has ended, what it left behind, and removes it. */
  start(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ): { child: ChildProcess; left: () => Promise<string[]> } {
    const marker = `${this.#run}${++this.#count}.`;
    const folder = join(this.#folder, String(this.#count));
    mkdirSync(folder);
    chmodSync(folder, 0o1777);
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env, [MARKER]: marker, TMPDIR: folder },
    });
    const ended = new Promise(resolve => child.once("close", resolve).once("error", resolve));
    this.#children.set(child, ended);
    ended.then(() => this.#children.delete(child));
    const left = async (): Promise<string[]> => {
      const processes = await endMarked(marker, PATIENCE_MS);
      const files = readdirSync(folder);
      rmSync(folder, { recursive: true, force: true });
      return [...processes.map(({ command }) => `process ${command}`), ...files.map(name => `file ${name}`)];
    };
    return { child, left };
  }

  /** Ends everything: SIGTERM to the files, time for what cleans up after them, then SIGKILL. */
  async end(): Promise<void> {
    const ended = Promise.all(this.#children.values());
    for (const { pid } of this.#children.keys()) if (pid !== undefined) send(-pid, "SIGTERM");
    await Promise.race([ended, sleep(GRACE_MS)]);
    for (const { pid } of this.#children.keys()) if (pid !== undefined) send(-pid, "SIGKILL");
    await endMarked(this.#run, GRACE_MS);
    const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
    for (const line of stdout?.split("\n") ?? []) {
      const name = line.split(" ")[0]!;
      if (name.startsWith(NETNS_PREFIX + this.#tag)) spawnSync("ip", ["netns", "del", name]);
    }
  }
}

/** What marks namespaces of this process's run; empty when a file is run by hand. */
export const runTag = (): string => process.env[MARKER]?.split(".").at(-3) ?? "";
