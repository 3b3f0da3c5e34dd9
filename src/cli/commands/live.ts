/** `slash32 live`: the pipeline on real devices. */
import { inputsOf, outputsOf, refuseReplacing, refuseReportFormats } from "../checks.ts";
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { against, count, dump, format, intent, report, shared } from "../options.ts";

export const live: Command = {
  name: "live",
  synopsis: "-n INTENT --port NAME=DEVICE …",
  summary: "run the pipeline on real devices",
  details: [
    "A DEVICE is tap:NAME (opened, or created if there is none), afpacket:IF (any Ethernet " +
      "interface), unix:PATH (connects) or punix:PATH (listens; both with the framing of Open " +
      "vSwitch's dummy ports), or pcap:IF[,FILTER] (libpcap, needs the optional package cap). NAME is" +
      " a port of the intent. Frames for ports without a device are counted as undelivered. *=tap:* " +
      "gives every other port the device of its name, and opens and closes devices as ports are added" +
      " and removed.",
    "SIGHUP reloads the intent, and --watch reloads it when the file changes. No frame is lost. If " +
      "the new intent has errors, slash32 prints them and keeps the old intent. The --control socket " +
      "changes single VMs and routes (docs/live.md). SIGINT and SIGTERM end the command: it delivers " +
      "the frames in flight and prints totals.",
    "Exit status: 0 ended by a signal or a limit; 2 --against found a difference; 1 the command " +
      "could not start.",
  ],
  examples: [
    "slash32 live -n hv1.yaml --port uplink0=afpacket:eth1 --port tap101=tap:tap101",
    "slash32 live -n hv1.yaml --port uplink0=unix:/run/openvswitch/p1.sock --duration 10 --format json",
    "slash32 live -n hv1.yaml --port uplink0=afpacket:eth1 --port '*=tap:*' --control /run/slash32/live.sock",
  ],
  options: [
    intent,
    {
      name: "port",
      value: "NAME=DEVICE",
      isRepeatable: true,
      help: "a port of the intent and its device; *=tap:* for all other ports; may be repeated",
      isCommon: true,
    },
    {
      name: "control",
      value: "SOCKET",
      help: "serve this unix socket: print and change the intent in force",
      isCommon: true,
    },
    { name: "watch", help: "reload the intent when the file changes", isCommon: true },
    {
      name: "capture",
      value: "OUT.pcapng",
      help: "write all frames, in and out, with the verdict as packet comment; a full disk does not end live",
      isCommon: true,
    },
    {
      name: "capture-limit",
      value: "SIZE",
      help: "end the capture at this size, in bytes or with a suffix K, M or G (default: no limit)",
    },
    against,
    { name: "every", value: "N", help: "with --against: compare every N-th frame (default: 1000)" },
    ...dump,
    {
      name: "metrics",
      value: "PORT|HOST:PORT",
      help:
        "serve Prometheus metrics at this port of 127.0.0.1, or of HOST, which must be a loopback " +
        "address; 0 picks a free port",
    },
    { name: "promiscuous", help: "afpacket: also take frames that are addressed to other stations" },
    { name: "allow-small-mtu", help: "start although the MTU of the uplink is too small for the labels" },
    {
      name: "allow-unknown-ports",
      help: "accept a --port that the intent lacks, and open it when a later intent has it",
    },
    { name: "duration", value: "SECONDS", help: "end after this time (default: no limit)" },
    { ...count, help: "end after N input frames (default: no limit)" },
    format,
    { ...report, help: "also write the totals to FILE; .json or .ndjson" },
    ...shared,
  ],
  noArguments: "give ports with --port NAME=DEVICE",
  dependences: [
    { options: ["every", "groups", "lenient"], needs: "against" },
    { options: ["capture-limit"], needs: "capture" },
  ],
  check(context) {
    if (!context.isGiven("port"))
      throw new UsageError("live needs a port: --port NAME=DEVICE, for example --port tap101=tap:tap101");
    if (context.flag("watch") && context.text("intent") === "-")
      throw new UsageError("--watch requires a file, and the intent is standard input; use -n FILE");
    for (const option of ["capture", "control"])
      if (context.text(option) === "-")
        throw new UsageError(`--${option} requires a file, not standard output`);
    refuseReportFormats(context, [".json", ".ndjson"]);
    const inputs = inputsOf(context, { intent: "the intent", against: "the flows" });
    refuseReplacing(outputsOf(context, ["capture", "report"]), inputs);
  },
  run: async context => (await import("../live.ts")).liveCommand(context),
};
