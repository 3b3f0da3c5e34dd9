/**
 * Compiles the yardstick at bench time with the installed C compiler, into a temporary folder that is removed
 * with the process. gcc comes before cc, because the published ratios are against gcc. Test processes share
 * one build by YARDSTICK_DIR.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../paths.ts";
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

const SOURCES = join(ROOT, "bench", "native");
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

/** Where programs are kept for other processes, by what they were made of; null when each makes its own. */
const KEPT = process.env.YARDSTICK_DIR ?? null;

/** A name that is another one as soon as a source, a flag or the compiler is. */
function keptName(compiler: string, flags: readonly string[]): string {
  const hash = createHash("sha256").update([compiler, ...flags, abiHeader()].join("\0"));
  for (const name of readdirSync(SOURCES).filter(each => /\.[ch]$/.test(each)))
    hash.update(`\0${name}\0`).update(readFileSync(join(SOURCES, name)));
  return `yardstick-${hash.digest("hex").slice(0, 16)}`;
}

/** Compiles it, optimised or with sanitizers. With YARDSTICK_DIR it is compiled once and kept there. */
export function buildYardstick(kind: "fast" | "checked" = "fast"): Yardstick {
  const flags = [...WARNINGS, ...(kind === "fast" ? FAST : CHECKED)];
  for (const command of COMPILERS) {
    const version = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (version.status !== 0) continue;
    const compiler = version.stdout.split("\n")[0]!;
    const kept = KEPT === null ? null : join(KEPT, keptName(compiler, flags));
    if (kept !== null && existsSync(kept)) return { program: kept, compiler, flags };
    const folder = mkdtempSync(join(KEPT ?? tmpdir(), "making-yardstick-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "abi.h"), abiHeader());
    const program = join(folder, "yardstick");
    const source = join(SOURCES, "yardstick.c");
    const { status, stderr } = spawnSync(command, [...flags, "-I", folder, "-o", program, source], {
      encoding: "utf8",
    });
    if (status !== 0 || stderr !== "")
      return { program: null, reason: `${compiler}: ${stderr.trim() || `ended with ${status}`}` };
    if (kept === null) return { program, compiler, flags };
    renameSync(program, kept);
    return { program: kept, compiler, flags };
  }
  return { program: null, reason: `no C compiler: neither ${COMPILERS.join(" nor ")} is there` };
}
