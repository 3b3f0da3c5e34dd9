/** `slash32 replay`: captures through the pipeline. */
import {
  captureInputs,
  inputsOf,
  oneStandardInput,
  onStandardOutput,
  outputsOf,
  refuseReplacing,
  refuseReportFormats,
} from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import {
  against,
  count,
  dump,
  format,
  inPort,
  intent,
  profile,
  read,
  report,
  shared,
  skipOtherInterfaces,
} from "../options.ts";

const INPUTS = {
  intent: "the intent",
  against: "the flows",
  groups: "the groups",
  ports: "the ports",
};

/** Formats of reports, by the end of the file's name; - is JSON on standard output. */
export const REPORT_ENDINGS = [".json", ".ndjson", ".md"] as const;
export type ReportEnding = (typeof REPORT_ENDINGS)[number] | "-";

const OUTPUTS = ["write", "drops", "diff", "report"];

export const replay: Command = {
  name: "replay",
  synopsis: "-n INTENT -r [PORT=]CAPTURE … [-w OUT.pcapng]",
  summary: "run captures through the pipeline and write the frames that leave",
  details: [
    "Captures are pcap (microseconds or nanoseconds, either byte order) or pcapng, plain, gzip or " +
      "zstd, with link type Ethernet. Several captures are merged by timestamp. PORT in PORT=CAPTURE " +
      "is a port name of the intent or a number; write a file name that contains = as ./a=b.pcap.",
    "The output is pcapng with one interface per port of the intent, in the order of the port " +
      "numbers; a name ending in .pcap gives pcap, without ports; .gz compresses. A file appears " +
      "under its name when it is complete.",
    "With --against, slash32 also runs every frame through the flows of a bridge and compares the " +
      "outputs byte for byte. Exit status 2: a frame differs; 1: no frame differs, but the flows " +
      "leave some frames undecided.",
    "Exit status: 0 all captures were read, whatever was dropped; 1 an input or output failed, or " +
      "no frame was read. A damaged capture is processed up to the damage; the message gives its byte" +
      " offset.",
  ],
  examples: [
    "slash32 replay -n hv1.yaml -r uplink0=fabric.pcap -r tap101=vm.pcapng.gz -w out.pcapng",
    "zcat big.pcap.gz | slash32 replay -n hv1.yaml -r uplink0=- --format json",
    "slash32 replay -n hv1.yaml -r vm.pcapng --against flows.txt --diff differences.pcapng",
  ],
  options: [
    intent,
    read,
    { name: "write", short: "w", value: "FILE", help: "write the frames that leave to FILE", isCommon: true },
    {
      name: "drops",
      value: "FILE",
      help: "write the dropped frames to FILE, each with its reason as packet comment",
      isCommon: true,
    },
    against,
    {
      name: "diff",
      value: "FILE",
      help: "write the frames that differ to FILE, each with both outcomes as packet comment",
    },
    ...dump,
    { ...inPort, isCommon: false, help: "input port of captures that name no port" },
    skipOtherInterfaces,
    count,
    {
      name: "threads",
      value: "N",
      help: "use at most N CPU cores, 1 or 2 (default: 2 for one plain capture of 64 MiB or more)",
    },
    format,
    {
      ...report,
      isRepeatable: true,
      help: "also write a report: .json, .ndjson or .md; may be repeated",
    },
    profile,
    { name: "allow-empty", help: "exit with 0 even if no frame was read" },
    { name: "allow-truncated", help: "exit with 0 even if a capture ends inside a record" },
    ...shared,
  ],
  noArguments: "give captures with -r",
  dependences: [{ options: ["diff", "groups", "lenient"], needs: "against" }],
  check(context) {
    const captures = captureInputs(context.texts("read"));
    if (captures.length === 0) throw new UsageError("replay needs a capture: -r [PORT=]CAPTURE");
    const inputs = inputsOf(context, INPUTS);
    oneStandardInput([...inputs, ...captures]);
    refuseReportFormats(context, REPORT_ENDINGS);
    const taken = onStandardOutput(context, OUTPUTS);
    if (taken.length > 1)
      throw new UsageError(`standard output is given twice, for ${taken.join(" and ")}; use a file for one`);
    // Captures are compared by the work itself, which knows what each of them is.
    refuseReplacing(outputsOf(context, OUTPUTS), inputs);
    refuseReplacing(outputsOf(context, ["report"]), captures);
  },
  run: async context => (await import("../replay.ts")).replayCommand(context),
};
