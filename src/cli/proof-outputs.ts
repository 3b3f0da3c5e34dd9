/** The outputs of a proof (verify, diff): which reports there are, and the checks of their names. */
import { type Input, outputsOf, refuseReplacing, refuseReportFormats } from "./checks.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";

/** Formats of reports, by the end of the file's name. */
export const REPORT_ENDINGS = [".json", ".ndjson", ".xml", ".sarif", ".md", ".html"] as const;
export type ReportEnding = (typeof REPORT_ENDINGS)[number];

/** Throws UsageError. */
export function checkProofOutputs(context: Context, inputs: readonly Input[]): void {
  refuseReportFormats(context, REPORT_ENDINGS, false);
  if (context.text("witness") === "-" && context.format !== "text")
    throw new UsageError(`--witness - and --format ${context.format} both write to standard output`);
  refuseReplacing(outputsOf(context, ["report", "witness"]), inputs);
}
