/**
 * Where things lie, in a checkout and in an installed package: the folder of the project, and programs of the
 * benchmark's own that run as processes. The bundle and this file's folder are both one step below the project.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, or the installed package. */
export const ROOT = dirname(import.meta.dirname);

/** Whether the sources of the core are here, which an installed package does not have. */
export const isCheckout = existsSync(join(ROOT, "assembly", "run.ts"));

/** A bundled program: beside the bundled benchmark, or in build/ of a checkout. */
export function programFile(name: "bench-load" | "bench-stream"): string {
  const beside = new URL(`./${name}.js`, import.meta.url);
  return fileURLToPath(existsSync(beside) ? beside : new URL(`../build/${name}.js`, import.meta.url));
}
