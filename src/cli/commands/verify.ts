/** `slash32 verify`: whether installed flows implement an intent. */
import { inputsOf, oneStandardInput } from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { bridge, db, flows, intent, proofOfDump, shared, VERDICTS } from "../options.ts";
import { checkProofOutputs } from "../proof-outputs.ts";

const INPUTS = {
  intent: "the intent",
  flows: "the flows",
  groups: "the groups",
  ports: "the ports",
  tables: "the tables",
};

export const verify: Command = {
  name: "verify",
  synopsis: "-n INTENT (-f FLOWS | --bridge BRIDGE)",
  summary: "prove that installed flows implement an intent, or print a counterexample",
  details: [
    "Compares the outcome of every frame on every port in the flows of the intent (a) and of the " +
      "dump (b). Text, order, counters, ages and cookies of flows are ignored.",
    VERDICTS,
    "--bridge reads flows, groups and port names of a live switch with ovs-ofctl, two or three " +
      "times, and changes nothing there.",
  ],
  examples: [
    "slash32 verify -n hv1.yaml -f br0.flows",
    "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows br0 | slash32 verify -n hv1.yaml -f - --report " +
      "verify.sarif",
    "slash32 verify -n hv1.yaml --bridge br0 --format json",
  ],
  options: [
    intent,
    flows,
    { ...bridge, help: `${bridge.help}; with a folder or tarball as FLOWS, the bridge in it` },
    db,
    ...proofOfDump,
    ...shared.map(option =>
      option.name === "protocols"
        ? {
            ...option,
            help:
              "with --bridge: passed to ovs-ofctl (default: OpenFlow15,OpenFlow13); else how to " +
              "parse a file for add-flows",
          }
        : option,
    ),
  ],
  noArguments: "give flows with -f FLOWS",
  dependences: [{ options: ["db"], needs: "bridge" }],
  check(context) {
    if (!context.isGiven("intent") || !(context.isGiven("flows") || context.isGiven("bridge")))
      throw new UsageError(
        "verify needs an intent and either flows or a bridge: -n INTENT, and -f FLOWS or --bridge BRIDGE",
      );
    if (context.isGiven("flows") && context.isGiven("db"))
      throw new UsageError("--db selects a live bridge; it cannot be combined with --flows");
    if (!context.isGiven("flows") && context.isGiven("groups"))
      throw new UsageError("--groups requires --flows FLOWS; --bridge reads the groups itself");
    const inputs = inputsOf(context, INPUTS);
    oneStandardInput(inputs);
    checkProofOutputs(context, inputs);
  },
  isLong: () => true,
  run: async context => (await import("../verify.ts")).verify(context),
};
