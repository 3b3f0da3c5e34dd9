/** `slash32 watch`: a verdict each time the flows of a bridge change. */
import { inputsOf } from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { bridge, db, proofOfDump, shared } from "../options.ts";
import { checkProofOutputs } from "../proof-outputs.ts";

const INPUTS = { golden: "the golden file", groups: "the groups", ports: "the ports", tables: "the tables" };

export const watch: Command = {
  name: "watch",
  synopsis: "--bridge BRIDGE --golden FILE",
  summary: "prove at each change of a bridge that it does what a file says",
  details: [
    "FILE is the output of ovs-ofctl dump-flows, an intent, or a folder or tarball with the files of the " +
      "bridge. slash32 dumps the bridge at the start, at each event of ovs-ofctl monitor, when the switch " +
      "returns, when FILE changes, and at each interval. If the dump is new it prints the verdict, as diff " +
      "does, with FILE as a. It changes nothing on the switch, and waits for a bridge that is away.",
    "SIGINT and SIGTERM end it. Exit status: that of the last verdict: 0 equal; 2 different or ambiguous; " +
      "1 unknown, no verdict, or a bridge that cannot be read.",
  ],
  examples: [
    "slash32 watch --bridge br-int --golden br-int.flows",
    "slash32 watch --bridge br0 --golden hv1.yaml --format ndjson --metrics 9433",
  ],
  options: [
    { ...bridge, help: "the live bridge, by name or management socket" },
    {
      name: "golden",
      value: "FILE",
      help: "the golden file: flows, an intent, or a folder or tarball",
      isCommon: true,
    },
    { name: "once", help: "check once and exit", isCommon: true },
    {
      name: "interval",
      value: "SECONDS",
      help: "also check at this interval: groups and ports have no events (default: 10)",
    },
    {
      name: "metrics",
      value: "[HOST:]PORT|PATH",
      help: "serve Prometheus metrics at a loopback address, or at a unix socket (a PATH with a slash)",
    },
    db,
    ...proofOfDump,
    ...shared,
  ],
  noArguments: "give the file with --golden FILE",
  check(context) {
    if (!context.isGiven("bridge") || !context.isGiven("golden"))
      throw new UsageError("watch needs a bridge and a file: --bridge BRIDGE --golden FILE");
    const inputs = inputsOf(context, INPUTS);
    const [piped] = inputs.filter(([, path]) => path === "-");
    if (piped !== undefined)
      throw new UsageError(`${piped[0]} cannot be standard input, because watch reads the file again`);
    checkProofOutputs(context, inputs);
  },
  run: async (context, args) => (await import("../watch.ts")).watch(context, args),
};
