/** `slash32 check`: validates an intent. */
import { oneIntent, outputsOf, refuseReplacing, refuseReportFormats } from "../checks.ts";
import type { Command } from "../command.ts";
import { format, intentOption, report, shared } from "../options.ts";

export const check: Command = {
  name: "check",
  synopsis: "INTENT",
  summary: "validate an intent and print a summary",
  details: ["Exit status: 0 the intent is valid (there may be warnings); 1 it has errors, or an error."],
  examples: ["slash32 check hv1.yaml"],
  options: [
    intentOption,
    format,
    { ...report, help: "also write the report to FILE; .json or .ndjson" },
    ...shared,
  ],
  check(context) {
    refuseReplacing(outputsOf(context, ["report"]), [["the intent", oneIntent(context)]]);
    refuseReportFormats(context, [".json", ".ndjson"]);
  },
  run: async context => (await import("../check.ts")).check(context),
};
