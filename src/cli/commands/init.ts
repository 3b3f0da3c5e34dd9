/** `slash32 init`: an intent from the flows of a bridge. */
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { bridge, db, shared } from "../options.ts";

export const init: Command = {
  name: "init",
  synopsis: "--bridge BRIDGE",
  summary: "write an intent from the flows of a bridge",
  details: [
    "Reads the flows of a bridge whose cookies are the pipeline's, and prints the intent that " +
      "compiles to them. Flows that no intent explains, foreign flows included, are listed on " +
      "standard error, one a line.",
    "Exit status: 0 every flow is explained; 2 some are not; 1 label or uplink cannot be " +
      "determined, or an error.",
  ],
  examples: ["slash32 init --bridge br0 > hv1.yaml"],
  options: [bridge, db, ...shared],
  noArguments: "give the bridge with --bridge BRIDGE",
  check(context) {
    if (!context.isGiven("bridge")) throw new UsageError("init needs a bridge: slash32 init --bridge BRIDGE");
  },
  run: async context => (await import("../init.ts")).init(context),
};
