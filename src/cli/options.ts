/**
 * The options that several commands share, each declared once. Options of one command stand in that
 * command's file.
 */
import type { Option } from "./command.ts";

export const intent: Option = {
  name: "intent",
  short: "n",
  value: "INTENT",
  help: "the hypervisor's intent, a YAML file; - is standard input",
  isCommon: true,
};

/** For commands that also take the intent as their argument. */
export const intentOption: Option = {
  ...intent,
  isCommon: false,
  help: "the intent, in place of the argument",
};

export const flows: Option = {
  name: "flows",
  short: "f",
  value: "FLOWS",
  help: "the output of ovs-ofctl dump-flows, or a folder or tarball with it; - is standard input",
  isCommon: true,
};

export const against: Option = {
  name: "against",
  value: "FLOWS",
  help: "also run the frames through these flows (output of ovs-ofctl dump-flows) and compare",
  isCommon: true,
};

export const bridge: Option = {
  name: "bridge",
  value: "BRIDGE",
  help: "a live bridge, by name or management socket",
  isCommon: true,
};

/** For commands whose flows may be a folder or tarball. */
export const chosenBridge: Option = {
  ...bridge,
  isCommon: false,
  help: "choose a bridge of a folder or tarball with the files of several",
};

export const db: Option = {
  name: "db",
  value: "SOCKET",
  help: "socket of ovsdb-server; the bridge's management socket is expected in the same directory",
};

const ports: Option = {
  name: "ports",
  value: "FILE|NAME=N,…",
  help: "port names: output of ovs-ofctl show or ovs-vsctl list interface, or a list",
};

const tables: Option = {
  name: "tables",
  value: "FILE|NAME=N,…",
  help: "table names: output of ovs-ofctl dump-tables or dump-table-features, or a list",
};

const groups: Option = {
  name: "groups",
  value: "FILE",
  help: "groups of the bridge: output of ovs-ofctl dump-groups",
};

const lenient: Option = {
  name: "lenient",
  help: "skip flows that cannot be parsed, and print how many",
};

export const ovs: Option = {
  name: "ovs",
  value: "VERSION",
  help: "execute flows as this version of Open vSwitch does: 3.1 (default) or 3.5",
};

/** How names and groups of a dump are resolved. */
export const dump: readonly Option[] = [ports, tables, groups, lenient];

/** The same for two dumps, each of which may have groups. */
export const twoDumps: readonly Option[] = [
  ports,
  tables,
  { ...groups, help: "groups of a and b: output of ovs-ofctl dump-groups" },
  { ...groups, name: "groups-a", help: "groups of a only" },
  { ...groups, name: "groups-b", help: "groups of b only" },
  lenient,
];

export const filters: readonly Option[] = [
  {
    name: "ignore-cookie",
    value: "COOKIE[/MASK]",
    isRepeatable: true,
    help: "leave out flows with this cookie, as 0x10 or 0x10/0xff; may be repeated",
  },
  {
    name: "ignore-table",
    value: "N",
    isRepeatable: true,
    help: "leave out the flows of this table; may be repeated",
  },
];

export const ignore: Option = {
  name: "ignore",
  value: "PART,…",
  help:
    "do not compare these parts of an outcome: queue, mark, packet-in, sample, order (of different " +
    "ports)",
};

export const inPort: Option = {
  name: "in-port",
  short: "i",
  value: "PORT",
  help: "input port of the frames, by name or number",
  isCommon: true,
};

export const read: Option = {
  name: "read",
  short: "r",
  value: "[PORT=]CAPTURE",
  isRepeatable: true,
  help: "a capture and the input port of its frames (default: from its interface names); may be repeated",
  isCommon: true,
};

export const skipOtherInterfaces: Option = {
  name: "skip-other-interfaces",
  help: "skip packets of interfaces that are not Ethernet or whose name is not a port, and count them",
};

export const count: Option = {
  name: "count",
  short: "c",
  value: "N",
  help: "read at most N frames in total (default: all)",
};

export const report: Option = {
  name: "report",
  value: "FILE",
  help: "also write the report to FILE; .json, .ndjson or .md",
};

export const format: Option = {
  name: "format",
  value: "FORMAT",
  help: "text (default), json or ndjson",
  isCommon: true,
};

export const profile: Option = {
  name: "profile",
  value: "PROFILE",
  help: "ovs (default): handle frames byte for byte as Open vSwitch does",
};

/** Every command has these. */
export const shared: readonly Option[] = [
  {
    name: "protocols",
    short: "O",
    value: "PROTOCOLS",
    help: "OpenFlow versions as for ovs-ofctl -O: how to parse a file for add-flows (default: OpenFlow13)",
  },
  { name: "color", value: "WHEN", help: "auto (default), always or never; auto obeys NO_COLOR" },
  { name: "quiet", short: "q", help: "print no progress, no notes and no text report" },
  { name: "verbose", short: "v", help: "also print how many bytes of each file were read" },
  { name: "help", help: "print all options" },
  { name: "h", short: "h", help: "print the short help" },
];

/** Options of an equivalence proof. */
export const proof: readonly Option[] = [
  ...filters,
  ignore,
  {
    name: "tunnel-ports",
    value: "PORT,…|none",
    help: "exactly these ports are tunnels (default: by type; a port of unknown type may be one)",
  },
  {
    name: "of10",
    help: "accept an OpenFlow 1.0 dump, which omits write_actions, clear_actions and meters",
  },
  {
    name: "strict-cookies",
    help: "also require equal cookies of flows with equal table, priority and match",
  },
  {
    name: "max-differences",
    value: "N|all",
    help: "stop after N differences (default: 20)",
    isCommon: true,
  },
  {
    name: "budget",
    value: "60s|CLASSES",
    help: "stop after this time or number of packet classes; both: 60s,1000000 (default: 300s,1000000)",
  },
  {
    name: "witness",
    value: "OUT.pcapng",
    help: "write the counterexample frames to OUT.pcapng",
    isCommon: true,
  },
];

/** Reports of a proof. */
export const reports: Option = {
  ...report,
  isRepeatable: true,
  help: "also write a report: .json, .ndjson, .xml (JUnit), .sarif, .md or .html; may be repeated",
  isCommon: true,
};

/** The exit status of a proof, for `--help`. */
export const VERDICTS =
  "Exit status: 0 equal; 2 different, or ambiguous (the outcome depends on the order in which flows" +
  " were installed), each with a counterexample; 1 unknown (an action is not modeled or the budget " +
  "is used up), or an error.";

/** All that a proof of one dump takes. */
export const proofOfDump: readonly Option[] = [...dump, ovs, ...proof, format, reports];
