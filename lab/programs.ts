/**
 * Where the lab finds slash32 itself, and whether other programs are installed. In a checkout and in a bundle
 * alike, this file is one folder below the project.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The checkout, or the installed package. */
export const ROOT = join(import.meta.dirname, "..");

/** The program under test. */
export const PROGRAM = join(ROOT, "bin", "slash32");

export const isInstalled = (program: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
