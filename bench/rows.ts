/**
 * The rows of the benchmark, and their run: one after the other, never two at once, in a temporary folder.
 */

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { UserError } from "../src/errors/index.ts";
import type { Effort, Section } from "./cases.ts";
import type * as CheckoutRows from "./checkout-rows.ts";
import { replayRow, startRow, wasmRow } from "./commands.ts";
import { memoryRow } from "./core.ts";
import { countingRow } from "./counter-cost.ts";
import { againstRow, compileRow, parseRow, traceRow } from "./flows.ts";
import { framesRow } from "./frames.ts";
import { largeRow } from "./large.ts";
import { liveRow, soakRow } from "./live.ts";
import { bundleFile, isCheckout } from "./paths.ts";
import { proofRow } from "./proof.ts";
import { proofRealRow } from "./proof-real.ts";
import { streamRow } from "./rss.ts";
import { editsRow, prefixesRow, routesRow } from "./tables.ts";
import { workFolder } from "./traffic.ts";

/** An error of the user's: one line. */
export class BenchError extends UserError {
  override readonly name = "BenchError";
}

export interface Row {
  readonly name: string;
  readonly run: (effort: Effort, folder: string) => Section | Promise<Section>;
  /** Too long for a normal run: runs only if its whole name is given. */
  readonly isOnRequest?: boolean;
  /** A name that rows which are run on request have in common. */
  readonly group?: string;
}

/** A row of checkout-rows.ts, a bundle of its own that only a checkout has. */
const checkoutRow = (which: keyof typeof CheckoutRows, title: string): Row["run"] => {
  return async effort => {
    const file = bundleFile("checkout-rows");
    if (!isCheckout || !existsSync(file))
      return { title, notes: ["Not measured: this row needs a checkout."], cases: [] };
    const rows = (await import(pathToFileURL(file).href)) as typeof CheckoutRows;
    return rows[which](effort);
  };
};

/**
 * In the order in which they run: processes first, while this one is still small and starts others quickly.
 */
export const ROWS: readonly Row[] = [
  { name: "start", run: startRow },
  { name: "capture-inbound", run: replayRow("inbound") },
  { name: "capture-outbound", run: replayRow("outbound") },
  { name: "large-inbound", run: largeRow("inbound") },
  { name: "large-outbound", run: largeRow("outbound") },
  { name: "stream", run: streamRow },
  { name: "live", run: liveRow },
  { name: "live-soak", run: soakRow, isOnRequest: true },
  { name: "bgp", run: checkoutRow("bgpRow", "Routes over BGP"), isOnRequest: true },
  {
    name: "agent-table",
    run: checkoutRow("agentTableRow", "The agent: tables of routes"),
    isOnRequest: true,
    group: "agent",
  },
  {
    name: "agent-single",
    run: checkoutRow("agentSingleRow", "The agent: one at a time"),
    isOnRequest: true,
    group: "agent",
  },
  {
    name: "agent-restart",
    run: checkoutRow("agentRestartRow", "The agent: a restart"),
    isOnRequest: true,
    group: "agent",
  },
  { name: "routes", run: routesRow },
  { name: "flows-parse", run: parseRow },
  { name: "flows-trace", run: traceRow },
  { name: "flows-against", run: againstRow },
  { name: "flows-compile", run: compileRow },
  { name: "proof", run: proofRow },
  { name: "proof-real", run: proofRealRow },
  { name: "size", run: wasmRow },
  { name: "core-inbound", run: memoryRow("inbound") },
  { name: "core-outbound", run: memoryRow("outbound") },
  { name: "core-arp", run: memoryRow("arp") },
  { name: "core-bridge", run: memoryRow("bridge") },
  { name: "core-drop", run: memoryRow("drop") },
  { name: "core-mix", run: memoryRow("mix") },
  { name: "core-counters", run: countingRow },
  { name: "frames", run: framesRow },
  { name: "edits", run: editsRow },
  { name: "prefixes", run: prefixesRow },
];

/** Rows by parts of their names. Throws a BenchError if no row contains a part. */
export function rowsNamed(names: readonly string[]): readonly Row[] {
  const stranger = names.find(part => !ROWS.some(({ name }) => name.includes(part)));
  if (stranger !== undefined) {
    throw new BenchError(
      `no row is named "${stranger}"; there are ${ROWS.map(({ name }) => name).join(", ")}`,
    );
  }
  return ROWS.filter(({ name, isOnRequest, group }) => {
    if (isOnRequest === true) return names.includes(name) || (group !== undefined && names.includes(group));
    return names.length === 0 || names.some(part => name.includes(part));
  });
}

/** Runs rows, and prints progress to standard error unless `isQuiet`. */
export async function runRows(rows: readonly Row[], effort: Effort, isQuiet = true): Promise<Section[]> {
  const folder = workFolder();
  const stop = (): never => process.exit(130);
  process.once("exit", folder.remove);
  process.once("SIGINT", stop);
  const sections: Section[] = [];
  try {
    for (const { name, run } of rows) {
      const start = performance.now();
      if (!isQuiet) process.stderr.write(`bench: ${name} … `);
      sections.push(await run(effort, folder.path));
      const seconds = (performance.now() - start) / 1000;
      if (!isQuiet) process.stderr.write(`${seconds.toFixed(1)} s\n`);
    }
  } finally {
    folder.remove();
    process.removeListener("exit", folder.remove);
    process.removeListener("SIGINT", stop);
  }
  return sections;
}
