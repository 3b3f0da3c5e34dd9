/**
 * Compiles the yardstick at bench time, with whatever C compiler is there, into a temporary folder that goes away
 * with the process. gcc is taken before cc, as the ratios that we publish are against gcc.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../place.ts";
import { abiHeader } from "./header.ts";

/** A yardstick that can be run, or why there is none. */
export type Yardstick =
  | {
      readonly program: string;
      /** The compiler's own first line, and the flags it was given. */
      readonly compiler: string;
      readonly flags: readonly string[];
    }
  | { readonly program: null; readonly reason: string };

/** What a yardstick is called in reports: the compiler as a reader knows it, and how it optimises. */
export function nameOf(yardstick: Yardstick): string {
  const isGcc = yardstick.program === null || /^gcc\b/.test(yardstick.compiler);
  return isGcc ? "gcc -O3" : "cc -O3";
}

const COMPILERS = ["gcc", "cc"];
const WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion"];
const FAST = ["-O3", "-march=native"];
/** Warnings and undefined behaviour are errors here. */
const CHECKED = [
  "-O1",
  "-g",
  "-Werror",
  "-march=native",
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=all",
];

/** Compiles it, optimised or with sanitizers. */
export function buildYardstick(kind: "fast" | "checked" = "fast"): Yardstick {
  const folder = mkdtempSync(join(tmpdir(), "yardstick-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "abi.h"), abiHeader());
  const program = join(folder, "yardstick");
  const flags = [...WARNINGS, ...(kind === "fast" ? FAST : CHECKED)];
  const source = join(ROOT, "bench", "native", "yardstick.c");
  for (const command of COMPILERS) {
    const version = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (version.status !== 0) continue;
    const { status, stderr } = spawnSync(command, [...flags, "-I", folder, "-o", program, source], {
      encoding: "utf8",
    });
    const compiler = version.stdout.split("\n")[0]!;
    if (status === 0 && stderr === "") return { program, compiler, flags };
    return { program: null, reason: `${compiler}: ${stderr.trim() || `ended with ${status}`}` };
  }
  return { program: null, reason: `no C compiler: neither ${COMPILERS.join(" nor ")} is there` };
}
