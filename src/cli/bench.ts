/**
 * `slash32 bench`: this machine's figures beside other programs, first of all a native yardstick. The benchmark is a
 * bundle of its own, which only this command loads.
 */
import { existsSync } from "node:fs";
import { type Context, print } from "./context.ts";
import { UsageError } from "./errors.ts";

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

export async function benchCommand(context: Context): Promise<number> {
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
