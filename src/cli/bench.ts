/**
 * The work of `slash32 bench`: measures on this machine, beside a C baseline and other programs. The
 * benchmark is a bundle of its own, which only this command loads.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, print, say } from "./context.ts";
import { Interruption } from "./signals.ts";

/** The part of bench/main.ts that is used here; the program's rooms do not import the benchmark. */
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
/** Time for that process to remove its files after a signal. */
const GRACE_MS = 1000;

/**
 * Measures in a child process, which a signal can end at any time: a loop in the core does not return to
 * the event loop. All files of the child and its programs are in one directory, and they are one process
 * group.
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
      say("slash32: bench was interrupted; the results of unfinished rows are not printed");
    return interruption.exitCode(code ?? 1);
  } finally {
    clearTimeout(late);
    endAll();
    interruption.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(context: Context): Promise<number> {
  // The parent process died: nothing else would end this one.
  process.once("disconnect", () => process.exit(1));
  process.channel?.unref();
  const { bench } = (await import(bundle().href)) as Benchmark;
  const { text, isWorse } = await bench({
    names: context.positionals,
    effort: context.flag("smoke") ? "smoke" : context.flag("short") ? "short" : "long",
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
