/**
 * The runner itself: a signal ends all that a run started (a process group, daemons that left it, those that ignore
 * SIGTERM, a private switch, a namespace) and leaves nothing in the temporary folder; a file that leaves something behind
 * has failed.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, peer, skip, suite } from "../harness.ts";
import type { Hanging } from "./hangs.ts";

const test = suite("the runner of tests");
const root = join(import.meta.dirname, "..", "..");

/** Minutes: a machine that is busy with other things is no failure. */
const WAIT_MS = 300_000;

/** A run over files of this folder, with a temporary folder of its own, which must be empty at its end. */
class Run {
  readonly #outer = mkdtempSync(join(tmpdir(), "r-"));
  readonly #inner = join(this.#outer, "t");
  readonly list = join(this.#outer, "list");
  readonly child: ChildProcess;
  readonly code: Promise<number | null>;
  said = "";

  constructor(words: readonly string[], env: NodeJS.ProcessEnv, isByShell: boolean) {
    mkdirSync(this.#inner);
    const { BUNDLE_DIR: _, YARDSTICK_DIR: __, ...rest } = process.env;
    // tsx would keep its cache there.
    const own = { TMPDIR: this.#inner, TSX_DISABLE_CACHE: "1", HANGS_LIST: this.list };
    const inner = { ...rest, ...own, ...env };
    // As npm runs it: by a shell that stays the parent.
    const shell = ["-c", '"$@"; exit $?', "sh", process.execPath];
    const [program, before] = isByShell ? ["sh", shell] : [process.execPath, []];
    this.child = spawn(program, [...before, "--import", "tsx", join("test", "run.ts"), ...words], {
      cwd: root,
      env: inner,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on("data", text => {
        this.said += text;
      });
    this.code = new Promise(resolve => this.child.once("close", resolve));
  }

  get temporary(): string[] {
    return readdirSync(this.#inner);
  }

  /** What the file hangs.ts started, once it has. */
  async hanging(): Promise<Hanging> {
    const end = performance.now() + WAIT_MS;
    while (!existsSync(this.list)) {
      if (this.child.exitCode !== null || performance.now() > end) throw new Error(`no list: ${this.said}`);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    return JSON.parse(readFileSync(this.list, "utf8")) as Hanging;
  }

  async remove(): Promise<void> {
    this.child.kill("SIGTERM");
    await this.code;
    rmSync(this.#outer, { recursive: true, force: true });
  }
}

async function inRun(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  body: (run: Run) => Promise<void>,
  isByShell = false,
) {
  const run = new Run(words, env, isByShell);
  try {
    await body(run);
  } finally {
    await run.remove();
  }
}

/** Whether a process lives; a zombie, which only waits for its parent, does not. */
function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

function needsProc(): void {
  if (!existsSync("/proc/self/environ")) skip("daemons are found through /proc, which is not there");
}

const isThere = (namespace: string): boolean => existsSync(join("/run/netns", namespace));

const CASES = [
  { signal: "SIGINT", code: 130, hangs: "waiting" },
  { signal: "SIGTERM", code: 143, hangs: "spinning" },
] as const;
for (const { signal, code, hangs } of CASES) {
  test(`${signal} ends a file that is ${hangs}, and all that it started`, async () => {
    needsProc();
    peer("ovs-vswitchd");
    const hasNetns = process.getuid?.() === 0 && spawnSync("unshare", ["-n", "true"]).status === 0;
    const env = { HANGS: hangs, HANGS_NETNS: hasNetns ? "1" : "0" };
    await inRun([join("test", "run", "hangs.ts")], env, async run => {
      const { pids, folders, namespaces } = await run.hanging();
      assert.ok(pids.length >= 5 && folders.length === 3 && namespaces.length === (hasNetns ? 1 : 0));
      assert.ok(pids.every(lives) && folders.every(existsSync) && namespaces.every(isThere));
      run.child.kill(signal);
      assert.is(await run.code, code, run.said);
      assert.equal(
        [pids.filter(lives), folders.filter(existsSync), namespaces.filter(isThere)],
        [[], [], []],
      );
      assert.equal(run.temporary, [], "the temporary folder");
      assert.match(run.said, `${signal}: ended 1 of 1 files early`);
    });
  });
}

test("a signal that only the shell of npm gets ends the run, too", async () => {
  needsProc();
  peer("ovs-vswitchd");
  const env = { HANGS: "waiting", HANGS_NETNS: "0", npm_lifecycle_event: "test" };
  const body = async (run: Run): Promise<void> => {
    const { pids, folders } = await run.hanging();
    run.child.kill("SIGTERM");
    // "close" comes once nobody holds the pipes any more.
    await run.code;
    assert.equal([pids.filter(lives), folders.filter(existsSync)], [[], []], run.said);
    assert.equal(run.temporary, []);
  };
  await inRun([join("test", "run", "hangs.ts")], env, body, true);
});

test("a file that leaves a process and a file behind has failed, and both are removed", async () => {
  needsProc();
  await inRun([join("test", "run", "leaves.ts")], { TEST_PATIENCE_MS: "0" }, async run => {
    assert.is(await run.code, 1, run.said);
    assert.match(
      run.said,
      "run/leaves.ts left behind: process sleep 600, file slash32-left\n1 passed, 1 failed\n",
    );
    assert.equal(run.temporary, []);
  });
});

test("an unknown option is one line", async () => {
  await inRun(["--quik"], {}, async run => {
    assert.is(await run.code, 1);
    assert.is(
      run.said,
      'test/run.ts: unknown option "--quik"; expected --quick, --times or a part of a path\n',
    );
  });
});

test.run();
