/** `slash32 bench`: measurements on this machine. */
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { format, shared } from "../options.ts";

export const bench: Command = {
  name: "bench",
  synopsis: "[--short] [ROW…]",
  summary: "measure slash32 on this machine, beside a C baseline and other programs",
  details: [
    "A ROW is part of a name: start, capture-inbound, capture-outbound, large-inbound, " +
      "large-outbound, stream, routes, flows-parse, flows-trace, flows-against, flows-compile, proof, " +
      "proof-real, live, size, core-inbound, core-outbound, core-arp, core-bridge, core-drop, core-mix, " +
      "core-counters, frames, edits, prefixes. Without a ROW, all of these run: about 15 minutes, " +
      "with --short 3. Only when named: live-soak (10 minutes of live traffic), bgp, agent-table, " +
      "agent-single and agent-restart.",
    "slash32 compiles the C baseline when the benchmark starts, and compares with the programs that" +
      " are installed. If one is missing, its column is empty and gives the cause.",
    "BENCH_DIR names a directory for the files (up to 1 GB), which are kept there; without it they " +
      "are removed.",
  ],
  examples: ["slash32 bench --short core-inbound core-mix", "slash32 bench --format json > bench.json"],
  options: [
    { name: "short", help: "run fewer rows, rounds and entries, for CI", isCommon: true },
    { name: "smoke", help: "run each row once, to test it; the figures are meaningless" },
    {
      name: "docs",
      help: "in a checkout: also write figures and plots of docs/performance.md (all rows, long form)",
    },
    {
      name: "guard",
      help:
        "in a checkout, with --short: exit with 2 if a ratio is twice above 1.5 × that of " +
        "bench/baseline.json",
    },
    {
      name: "write-baseline",
      help: "in a checkout, with --short: measure three times and write bench/baseline.json",
    },
    format,
    ...shared,
  ],
  check(context) {
    if (context.flag("short") && context.flag("smoke"))
      throw new UsageError("--short and --smoke exclude each other; choose one");
  },
  run: async (context, args) => (await import("../bench.ts")).benchCommand(context, args),
};
