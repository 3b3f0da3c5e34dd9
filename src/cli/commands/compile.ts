/** `slash32 compile`: the flows of an intent. */
import { oneIntent, outputsOf, refuseReplacing } from "../checks.ts";
import type { Command } from "../command.ts";
import { format, intentOption, shared } from "../options.ts";

export const compile: Command = {
  name: "compile",
  synopsis: "INTENT [-w FILE]",
  summary: "print the OpenFlow 1.3 flows that implement an intent",
  details: [
    "One flow a line, sorted by table, then by descending priority, then by text, for ovs-ofctl -O " +
      "OpenFlow13 replace-flows or add-flows. The same intent gives the same bytes.",
    "The flows do what replay and trace show, except for mtu, which flows cannot check.",
    "Exit status: 0 the flows were written; 1 the intent has errors, as check prints them, or an error.",
  ],
  examples: [
    "slash32 compile hv1.yaml | ovs-ofctl -O OpenFlow13 replace-flows br0 -",
    "slash32 compile hv1.yaml --format ndjson | jq -r 'select(.table == 40) | .match'",
  ],
  options: [
    intentOption,
    {
      name: "write",
      short: "w",
      value: "FILE",
      help: "write to FILE (default: standard output); .gz compresses",
      isCommon: true,
    },
    { ...format, help: "text (default): flows for ovs-ofctl; json, ndjson: one object a flow" },
    ...shared,
  ],
  check(context) {
    refuseReplacing(outputsOf(context, ["write"]), [["the intent", oneIntent(context)]]);
  },
  // A signal then removes the incomplete file.
  isLong: context => (context.text("write") ?? "-") !== "-",
  run: async context => (await import("../compile.ts")).compile(context),
};
