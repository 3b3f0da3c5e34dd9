/**
 * Paths in a checkout and in an installed package: the folder of the project, and bundles of the benchmark
 * that run as processes or are loaded on request.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../lab/programs.ts";

export { ROOT };

/** Whether the sources of the core are here, which an installed package does not have. */
export const isCheckout = existsSync(join(ROOT, "assembly", "run.ts"));

/** A bundle of the benchmark: beside the bundled benchmark, or in build/ of a checkout. */
export function bundleFile(name: "bench-load" | "bench-stream" | "checkout-rows"): string {
  const beside = new URL(`./${name}.js`, import.meta.url);
  return fileURLToPath(existsSync(beside) ? beside : new URL(`../build/${name}.js`, import.meta.url));
}
