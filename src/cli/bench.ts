/**
 * `slash32 bench`: this machine's figures beside other programs, first of all a native yardstick. The benchmark is a
 * bundle of its own, which only this command loads.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, print, say } from "./context.ts";
import { UsageError } from "./errors.ts";
import { Interruption } from "./signals.ts";

/** What is used of bench/main.ts; the rooms of the program do not import the benchmark. */
interface Benchmark {
  bench(options: {
    readonly names: readonly string[];
    readonly effort: "smoke" | "short" | "long";
    readonly format: "text" | "json" | "ndjson";
    readonly isQuiet: boolean;
    readonly isDocs: boolean;
    readonly isGuard: boolean;
    readonly isBaseline: boolean;
  }): Promise<{ readonly text: string; readonly isWorse: boolean }>;
}

/** Set in the process that measures. */
const INNER = "SLASH32_BENCH_INNER";
/** How long that process may take to remove what it made, once a signal came. */
const GRACE_MS = 1000;

/**
 * Measures in a process of its own, which a signal ends whatever it is at: a loop of native speed looks at nothing. What it
 * and its programs leave behind is in one folder, and they are one process group.
 */
export async function benchCommand(context: Context, args: readonly string[]): Promise<number> {
  if (process.env[INNER] !== undefined) return measure(context);
  const folder = mkdtempSync(join(tmpdir(), "slash32-bench-"));
  const interruption = new Interruption();
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, "bench", ...args], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, [INNER]: "1", TMPDIR: folder },
    detached: true,
  });
  const endAll = (): void => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // All have ended.
    }
  };
  let late: NodeJS.Timeout | undefined;
  interruption.signal.addEventListener("abort", () => {
    child.kill("SIGINT");
    late = setTimeout(endAll, GRACE_MS);
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", resolve);
    });
    if (interruption.name !== null)
      say(`slash32: bench was interrupted; nothing is printed of unfinished rows`);
    return interruption.exitCode(code ?? 1);
  } finally {
    clearTimeout(late);
    endAll();
    interruption.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(context: Context): Promise<number> {
  // The one that waits for this process has died, with nobody left to end it.
  process.once("disconnect", () => process.exit(1));
  process.channel?.unref();
  const isShort = context.flag("short");
  const isSmoke = context.flag("smoke");
  if (isShort && isSmoke) throw new UsageError("--short and --smoke are two efforts; choose one");
  const { bench } = (await import(bundle().href)) as Benchmark;
  const { text, isWorse } = await bench({
    names: context.positionals,
    effort: isSmoke ? "smoke" : isShort ? "short" : "long",
    format: context.format,
    isQuiet: context.isQuiet,
    isDocs: context.flag("docs"),
    isGuard: context.flag("guard"),
    isBaseline: context.flag("write-baseline"),
  });
  print(text);
  return isWorse ? 2 : 0;
}

/** Beside the bundled program, or in build/ of a checkout. */
function bundle(): URL {
  const beside = new URL("./bench.js", import.meta.url);
  return existsSync(beside) ? beside : new URL("../../build/bench.js", import.meta.url);
}
