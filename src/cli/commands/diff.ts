/** `slash32 diff`: whether two dumps or intents do the same. */
import { type Input, inputsOf, oneStandardInput } from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { chosenBridge, format, intent, ovs, proof, reports, shared, twoDumps, VERDICTS } from "../options.ts";
import { checkProofOutputs } from "../proof-outputs.ts";

const INPUTS = {
  intent: "the intent",
  groups: "the groups",
  "groups-a": "the groups of a",
  "groups-b": "the groups of b",
  ports: "the ports",
  tables: "the tables",
};

export const diff: Command = {
  name: "diff",
  synopsis: "A B",
  summary: "compare what two flow dumps or intents do",
  details: [
    "A and B are outputs of ovs-ofctl dump-flows, or intents; slash32 detects which by their " +
      "content. - is standard input. A and B may also be folders or tarballs (.tar, .tar.gz, .tar.xz) of " +
      "sos, must-gather, ovs-dbg or antctl: slash32 takes the files of one bridge.",
    VERDICTS,
  ],
  examples: [
    "slash32 diff before.flows after.flows",
    "slash32 diff sosreport-before.tar.xz sosreport-after.tar.xz --bridge br-int",
    "slash32 diff hv1.yaml hv2.yaml --max-differences all --format json",
  ],
  options: [
    { ...intent, help: "an intent that gives names to ports", isCommon: false },
    { ...chosenBridge, help: "choose a bridge where a or b is a folder or tarball with several" },
    { ...chosenBridge, name: "bridge-a", help: "the same for a only" },
    { ...chosenBridge, name: "bridge-b", help: "the same for b only" },
    ...twoDumps,
    ovs,
    ...proof,
    format,
    reports,
    ...shared,
  ],
  check(context) {
    const paths = context.positionals;
    if (paths.length !== 2)
      throw new UsageError(`diff: expected two dumps or intents, got ${paths.length}: slash32 diff A B`);
    for (const both of ["groups", "bridge"]) {
      const one = [`${both}-a`, `${both}-b`].find(name => context.isGiven(name));
      if (context.isGiven(both) && one !== undefined)
        throw new UsageError(`--${both} and --${one} exclude each other; give --${both}-a and --${both}-b`);
    }
    const [a, b] = paths as [string, string];
    const inputs: Input[] = [["a", a], ["b", b], ...inputsOf(context, INPUTS)];
    oneStandardInput(inputs);
    checkProofOutputs(context, inputs);
  },
  isLong: () => true,
  run: async context => (await import("../verify.ts")).diff(context),
};
