/**
 * Commands and their options, as one table: the parser, `-h`, `--help` and the usage errors are made from it. The
 * parsing itself is Node's util.parseArgs.
 */
import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in the help; without one it is a switch. */
  readonly value?: string;
  readonly isRepeatable?: boolean;
  readonly help: string;
  /** Shown by `-h` too, not only by `--help`. */
  readonly isCommon?: boolean;
}

export interface Command {
  readonly name: string;
  /** What follows the name on its usage line. */
  readonly synopsis: string;
  readonly summary: string;
  /** Paragraphs for `--help`. */
  readonly details: readonly string[];
  readonly examples: readonly string[];
  readonly options: readonly Option[];
}

/** Parsed options: text for those with a value, a list for repeatable ones, true for switches. */
export interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

const intent: Option = {
  name: "intent",
  short: "n",
  value: "INTENT",
  help: "the hypervisor's intent, a YAML file; - is standard input",
  isCommon: true,
};
const flows: Option = {
  name: "flows",
  short: "f",
  value: "FLOWS",
  help: "the flows of a bridge, as ovs-ofctl dump-flows prints them; - is standard input",
  isCommon: true,
};
const ports: Option = {
  name: "ports",
  value: "FILE|NAME=N,…",
  help: "ports of the bridge: what ovs-ofctl show or ovs-vsctl --format=json list interface prints, or a list",
};
const tables: Option = {
  name: "tables",
  value: "FILE|NAME=N,…",
  help: "names of tables: the output of ovs-ofctl dump-tables, or a list",
};
const groups: Option = {
  name: "groups",
  value: "FILE",
  help: "the groups of the bridge, as ovs-ofctl dump-groups prints them",
};
const ovs: Option = {
  name: "ovs",
  value: "VERSION",
  help: "execute flows as this version of Open vSwitch does: 3.1 (default) or 3.5",
};
const lenient: Option = { name: "lenient", help: "leave out flows that cannot be read, and say how many" };
const filters: readonly Option[] = [
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
const ignore: Option = {
  name: "ignore",
  value: "PART,…",
  help: "leave out parts of an outcome: queue, mark, packet-in, sample, order (of different ports)",
};
const proof: readonly Option[] = [
  ...filters,
  ignore,
  {
    name: "tunnel-ports",
    value: "PORT,…|none",
    help: "the ports that are tunnels, and no others are (default: by type; a port of unknown type may be one)",
  },
  {
    name: "of10",
    help: "accept a dump of OpenFlow 1.0, which does not show write_actions, clear_actions and meters",
  },
  { name: "strict-cookies", help: "flows with the same table, priority and match must have the same cookie" },
  {
    name: "max-differences",
    value: "N|all",
    help: "stop after N differences (20)",
    isCommon: true,
  },
  {
    name: "budget",
    value: "60s|CLASSES",
    help: "give up after this long, or so many classes of frames; both: 60s,1000000 (300s,1000000)",
  },
  {
    name: "witness",
    value: "OUT.pcapng",
    help: "write the frames that show the differences",
    isCommon: true,
  },
];
const inPort: Option = {
  name: "in-port",
  short: "i",
  value: "PORT",
  help: "the port that frames enter, by name or number",
  isCommon: true,
};
const read: Option = {
  name: "read",
  short: "r",
  value: "[PORT=]CAPTURE",
  isRepeatable: true,
  help: "a capture, and the port its frames enter (without: by the names of its interfaces); may be repeated",
  isCommon: true,
};
const skipOtherInterfaces: Option = {
  name: "skip-other-interfaces",
  help: "skip packets of interfaces that are not Ethernet or not named after a port, and count them",
};
const count: Option = { name: "count", short: "c", value: "N", help: "read at most N frames in total" };
const report: Option = {
  name: "report",
  value: "FILE",
  help: "also write the report to FILE; .json, .ndjson or .md",
};
const format: Option = {
  name: "format",
  value: "FORMAT",
  help: "text (default), json or ndjson",
  isCommon: true,
};
const profile: Option = {
  name: "profile",
  value: "PROFILE",
  help: "ovs (default): what Open vSwitch does, byte for byte",
};
const shared: readonly Option[] = [
  {
    name: "protocols",
    short: "O",
    value: "PROTOCOLS",
    help: "OpenFlow versions, as ovs-ofctl -O has them: how a file for add-flows is read (OpenFlow 1.3)",
  },
  { name: "color", value: "WHEN", help: "auto (default), always or never; NO_COLOR is obeyed" },
  { name: "quiet", short: "q", help: "no progress, no notes, no report in text" },
  { name: "verbose", short: "v", help: "also say how much of each file was read" },
  { name: "help", help: "all options" },
  { name: "h", short: "h", help: "short help" },
];

const reports: Option = {
  ...report,
  isRepeatable: true,
  help: "also write a report: .json, .ndjson, .xml (JUnit), .sarif, .md or .html; may be repeated",
  isCommon: true,
};
const verdicts =
  "Exit code 0: equal. 2: different, or ambiguous, that is, what happens depends on which flow was installed first; " +
  "either is shown with a frame. 1: unknown, as something is not modelled or the budget was used up; or the job could " +
  "not be done.";

export const COMMANDS: readonly Command[] = [
  {
    name: "check",
    synopsis: "INTENT",
    summary: "validate an intent and print a summary",
    details: ["Exit code 0 when it can be used (warnings included), 1 when it cannot."],
    examples: ["slash32 check hv1.yaml"],
    options: [
      { ...intent, isCommon: false, help: "the intent, if not given as argument" },
      format,
      { ...report, help: "also write the report to FILE; .json or .ndjson" },
      ...shared,
    ],
  },
  {
    name: "replay",
    synopsis: "-n INTENT -r [PORT=]CAPTURE … [-w OUT.pcapng]",
    summary: "run captures through the pipeline and write the frames that leave",
    details: [
      "Captures are pcap (microseconds or nanoseconds, either byte order) or pcapng, plain, gzip or zstd; Ethernet only. " +
        "Several are merged by timestamp. A port given as PORT=CAPTURE is a name of the intent or a number; a file whose " +
        "name has a = is written ./a=b.pcap.",
      "The output is pcapng with one interface per port of the intent, in the order of the port numbers; a name ending in " +
        ".pcap gives pcap, without ports; .gz compresses. Files appear under their names when they are complete.",
      "With --against every frame also goes through the flows of a bridge, and what leaves there is compared with what " +
        "leaves here, byte for byte. Exit code 2 when a frame differs; 1 when none does but the flows leave some open.",
      "Exit code 0 when all was read, whatever was dropped; 1 when something could not be read or written, or when no " +
        "frame was read. A damaged capture is processed up to the damage, which is named with its byte offset.",
    ],
    examples: [
      "slash32 replay -n hv1.yaml -r uplink0=fabric.pcap -r tap101=vm.pcapng.gz -w out.pcapng",
      "zcat big.pcap.gz | slash32 replay -n hv1.yaml -r uplink0=- --format json",
      "slash32 replay -n hv1.yaml -r vm.pcapng --against flows.txt --diff differences.pcapng",
    ],
    options: [
      intent,
      read,
      { name: "write", short: "w", value: "FILE", help: "write the frames that leave", isCommon: true },
      {
        name: "drops",
        value: "FILE",
        help: "write the frames that are dropped, the reason as packet comment",
        isCommon: true,
      },
      {
        name: "against",
        value: "FLOWS",
        help: "also run the frames through these flows (ovs-ofctl dump-flows), and compare",
        isCommon: true,
      },
      { name: "diff", value: "FILE", help: "write the frames that differ, both ends as packet comment" },
      ports,
      tables,
      groups,
      lenient,
      { ...inPort, isCommon: false, help: "the port of captures that name none and have none in them" },
      skipOtherInterfaces,
      count,
      {
        name: "threads",
        value: "N",
        help: "use at most N cores, 1 or 2 (default: 2 where there are, for one plain capture of 64 MiB or more)",
      },
      format,
      { ...report, isRepeatable: true, help: "also write a report: .json, .ndjson or .md; may be repeated" },
      profile,
      { name: "allow-empty", help: "exit 0 even if no frame was read" },
      { name: "allow-truncated", help: "exit 0 even if a capture ends inside a record" },
      ...shared,
    ],
  },
  {
    name: "compile",
    synopsis: "INTENT [-w FILE]",
    summary: "print the OpenFlow 1.3 flows that do what the intent says",
    details: [
      "One flow a line, sorted by table, then priority downwards, then text, for ovs-ofctl -O OpenFlow13 replace-flows or " +
        "add-flows. The same intent gives the same bytes.",
      "The flows do what replay and trace show, apart from mtu, which flows cannot check.",
      "Exit code 0 when the flows were written, 1 when the intent has errors, as check prints them, or could not be read.",
    ],
    examples: [
      "slash32 compile hv1.yaml | ovs-ofctl -O OpenFlow13 replace-flows br0 -",
      "slash32 compile hv1.yaml --format ndjson | jq -r 'select(.table == 40) | .match'",
    ],
    options: [
      { ...intent, isCommon: false, help: "the intent, if not given as argument" },
      { name: "write", short: "w", value: "FILE", help: "write to FILE; .gz compresses", isCommon: true },
      { ...format, help: "text (default): flows for ovs-ofctl; json, ndjson: a flow an object" },
      ...shared,
    ],
  },
  {
    name: "trace",
    synopsis: "(-n INTENT | -f FLOWS) (-i PORT FRAME… | -r CAPTURE[:N] | --batch -)",
    summary: "show one frame's way through the tables",
    details: [
      "With -n the frame goes through the intent's pipeline, with -f through the flows of a bridge, table by table, as " +
        "Open vSwitch would take it: also behind a popped label. What depends on more than flows and frame is unknown; " +
        "what depends on which flow was installed first is ambiguous. An intent beside -f only gives names to ports.",
      "FRAME is hex, or an expression such as eth(dst=…, src=…).ipv4(src=…, dst=…).udp(src=…, dst=…). In hex spaces, colons " +
        "and a leading 0x are ignored. A flow as ofproto/trace takes it is a frame, too: in_port=1,tun_id=0x64,ip,nw_dst=…; without " +
        "fields of the packet it gives port and state to the frames behind it. -r takes frames from a capture: the Nth, or all.",
      '--batch reads a line {"in_port":1,"frame":"hex"} for each frame and answers each with a line of JSON; a bad line is ' +
        "answered with an error object and makes the exit code 1.",
    ],
    examples: [
      'slash32 trace -n hv1.yaml -i uplink0 "020000000001 020000000002 8847 003e913c 4500…"',
      "slash32 trace -n hv1.yaml -r tap101=vm.pcap:17",
      "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows br0 | slash32 trace -f - -r 1=fabric.pcap:17",
    ],
    options: [
      intent,
      flows,
      inPort,
      { ...read, value: "[PORT=]CAPTURE[:N]", help: "take frames from a capture: the Nth, or all" },
      skipOtherInterfaces,
      { name: "batch", value: "FILE", help: "frames as lines of JSON; - is standard input", isCommon: true },
      ports,
      tables,
      groups,
      lenient,
      ovs,
      ...filters,
      count,
      format,
      profile,
      ...shared,
    ],
  },
  {
    name: "verify",
    synopsis: "-n INTENT (-f FLOWS | --bridge BRIDGE)",
    summary:
      "prove that the installed flows do what the intent says, or show the frame that tells them apart",
    details: [
      "The intent's flows and those of the dump are compared by what they do with every frame on every port, not by their " +
        "text. Counters, ages, order and cookies do not matter.",
      verdicts,
      "--bridge reads a live switch with ovs-ofctl: flows, groups and names of ports, at least twice, and changes nothing.",
    ],
    examples: [
      "slash32 verify -n hv1.yaml -f br0.flows",
      "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows br0 | slash32 verify -n hv1.yaml -f - --report verify.sarif",
      "slash32 verify -n hv1.yaml --bridge br0 --format json",
    ],
    options: [
      intent,
      flows,
      {
        name: "bridge",
        value: "BRIDGE",
        help: "a live bridge, by name or management socket",
        isCommon: true,
      },
      { name: "db", value: "SOCKET", help: "the database's socket; the bridge's lies beside it" },
      ports,
      tables,
      groups,
      lenient,
      ovs,
      ...proof,
      format,
      reports,
      ...shared.map(option =>
        option.name === "protocols"
          ? {
              ...option,
              help: "with --bridge: passed to ovs-ofctl (OpenFlow15,OpenFlow13); else how a file for add-flows is read",
            }
          : option,
      ),
    ],
  },
  {
    name: "diff",
    synopsis: "A B",
    summary: "the same between two flow dumps, or intents",
    details: [
      "A and B are dumps, as ovs-ofctl dump-flows prints them, or intents; which is told by what they hold. - is standard " +
        "input.",
      verdicts,
    ],
    examples: [
      "slash32 diff before.flows after.flows",
      "slash32 diff hv1.yaml hv2.yaml --max-differences all --format json",
    ],
    options: [
      { ...intent, help: "an intent that gives names to ports", isCommon: false },
      ports,
      tables,
      { ...groups, help: "groups of both sides, as ovs-ofctl dump-groups prints them" },
      { ...groups, name: "groups-a", help: "groups of the first side" },
      { ...groups, name: "groups-b", help: "groups of the second side" },
      lenient,
      ovs,
      ...proof,
      format,
      reports,
      ...shared,
    ],
  },
  {
    name: "agent",
    synopsis: "-n BASE [doctor]",
    summary: "keep a bridge, and BGP, in step with VM files",
    details: [
      "BASE is the hypervisor's intent; its VMs and routes are always there. Further VMs are files of a watched directory, one " +
        "YAML each, with the keys that a VM has in an intent; over a unix socket (HTTP and JSON, docs/agent.openapi.json) they " +
        "are created, destroyed, listed and moved from path to path.",
      "What is wanted is compared with what the switch has, and only the differences are written, as one bundle. Flows of " +
        "others (other cookies) are never touched. A VM's addresses are in quarantine for a while after it has gone.",
      "With --gobgp the addresses of VMs are announced over BGP, with the label of BASE, after their flows are in, and withdrawn " +
        "before these go; the routes of others become flows (docs/bgp.md has gobgpd's settings). The MAC for a next hop is that " +
        "of --next-hop-mac, else that of --gateway, else what the kernel knows of it (ip neigh).",
      "agent doctor looks at what the agent needs, and changes nothing. SIGINT and SIGTERM end the agent, flows stay; SIGHUP opens " +
        "the audit file anew.",
      "Exit code 0 when it was ended or handed over; 1 when it could not be started; doctor: 2 when something is wrong.",
    ],
    examples: [
      "slash32 agent -n hv1.yaml --gobgp unix:///run/gobgpd/api.sock --next-hop 10.0.0.1 --gateway 02:00:00:00:00:fe",
      "slash32 agent -n hv1.yaml --vms /etc/slash32/vms --state /var/lib/slash32 --socket /run/slash32/agent.sock",
      "slash32 agent doctor -n hv1.yaml",
    ],
    options: [
      intent,
      { name: "vms", value: "DIR", help: "the directory of VM files (/etc/slash32/vms)", isCommon: true },
      {
        name: "socket",
        value: "PATH",
        help: "the unix socket to answer at (/run/slash32/agent.sock)",
        isCommon: true,
      },
      {
        name: "state",
        value: "DIR",
        help: "where quarantine and audit are kept (/var/lib/slash32)",
        isCommon: true,
      },
      {
        name: "create-folders",
        help: "create the folders of --vms and --state if they do not exist (default: that is an error)",
      },
      { name: "db", value: "SOCKET", help: "the database's socket; the bridge's lies beside it" },
      {
        name: "gobgp",
        value: "ADDRESS",
        help: "gobgpd's API: unix:///run/gobgpd/api.sock or 127.0.0.1:50051",
        isCommon: true,
      },
      {
        name: "next-hop",
        value: "IP",
        help: "this hypervisor's address, the next hop of what it announces",
        isCommon: true,
      },
      { name: "gateway", value: "MAC", help: "the MAC that every next hop is reached by" },
      {
        name: "next-hop-mac",
        value: "IP=MAC",
        isRepeatable: true,
        help: "the MAC that this next hop is reached by; may be repeated",
      },
      { name: "unicast", help: "plain unicast, without labels, in place of labelled unicast" },
      {
        name: "live",
        value: "SOCKET",
        help: "a running slash32 live --control SOCKET in place of a bridge",
        isCommon: true,
      },
      { name: "every", value: "SECONDS", help: "look at everything this often (30)" },
      {
        name: "quarantine",
        value: "SECONDS",
        help: "how long an address is kept from other VMs (300); 0: not at all",
      },
      { name: "drift", value: "WHAT", help: "flows of ours that others changed: repair (default) or report" },
      { name: "allow-empty", help: "VMs whose files vanish nearly all at once go, too" },
      { name: "no-proof", help: "do not prove that the table does what is wanted" },
      { name: "force", help: "write also where flows of others would make the table do something else" },
      ignore,
      {
        name: "ignore-cookie",
        value: "COOKIE",
        isRepeatable: true,
        help: "leave flows with this cookie out of proofs; may be repeated",
      },
      { name: "take-over", help: "have an agent that runs there hand over" },
      format,
      ...shared,
    ],
  },
  {
    name: "init",
    synopsis: "--bridge BRIDGE",
    summary: "write an intent from a bridge's flows",
    details: [
      "Reads the flows of a bridge whose cookies are the pipeline's, and prints the intent that gives them. What could not be " +
        "read, flows of others included, is said on standard error, a line each.",
      "Exit code 0 when every flow is explained; 2 when some are not; 1 when not even label and uplink could be told.",
    ],
    examples: ["slash32 init --bridge br0 > hv1.yaml"],
    options: [
      { name: "bridge", value: "BRIDGE", help: "the bridge, by name or management socket", isCommon: true },
      { name: "db", value: "SOCKET", help: "the database's socket; the bridge's lies beside it" },
      ...shared,
    ],
  },
  {
    name: "live",
    synopsis: "-n INTENT --port NAME=DEVICE …",
    summary: "run the pipeline on real devices",
    details: [
      "A DEVICE is tap:NAME (created, or opened where it is there), afpacket:IF (any Ethernet interface), unix:PATH (connects) " +
        "or punix:PATH (listens; both with the framing of Open vSwitch's dummy ports), or pcap:IF[,FILTER] (libpcap, by the " +
        "optional package cap). NAME is a port of the intent. Frames for ports without a device are counted as undelivered. " +
        "*=tap:* gives every port that has none the device of its name, and opens and closes it as ports come and go.",
      "SIGHUP reads the intent again, and --watch does so when the file changes; no frame is lost, and an intent with errors " +
        "is refused while the old one stays. At the --control socket VMs and routes are changed one by one (docs/live.md). SIGINT and SIGTERM end it: what is on its way is moved, and totals are printed.",
      "Exit code 0 when it was ended; 2 when --against found a difference; 1 when it could not be started.",
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
        help: "a port of the intent and its device; may be repeated; *=tap:* is all others",
        isCommon: true,
      },
      {
        name: "control",
        value: "SOCKET",
        help: "answer at this unix socket: which intent is in force, and changes of it",
        isCommon: true,
      },
      { name: "watch", help: "read the intent again when the file changes", isCommon: true },
      {
        name: "capture",
        value: "OUT.pcapng",
        help: "write what passes, in and out, the verdict as packet comment; a full disk does not end live",
        isCommon: true,
      },
      {
        name: "capture-limit",
        value: "SIZE",
        help: "end the capture at this size: bytes, or a number with K, M or G (default: no limit)",
      },
      {
        name: "against",
        value: "FLOWS",
        help: "run frames through these flows (ovs-ofctl dump-flows), too, and compare",
        isCommon: true,
      },
      { name: "every", value: "N", help: "with --against: every N-th frame (1000)" },
      ports,
      tables,
      groups,
      lenient,
      {
        name: "metrics",
        value: "PORT|HOST:PORT",
        help: "answer Prometheus at this port of 127.0.0.1, or at HOST, which must be a loopback address; 0 is any port",
      },
      { name: "promiscuous", help: "also take frames that are addressed to other stations (afpacket)" },
      { name: "allow-small-mtu", help: "start although the uplink's MTU is too small for the labels" },
      {
        name: "allow-unknown-ports",
        help: "a --port that the intent does not have is opened when a later intent has it",
      },
      { name: "duration", value: "SECONDS", help: "end after this time" },
      { ...count, help: "end when N frames came in" },
      format,
      { ...report, help: "also write the summary to FILE; .json or .ndjson" },
      ...shared,
    ],
  },
  {
    name: "bench",
    synopsis: "[--short] [ROW…]",
    summary: "this machine's figures beside the native yardstick and other programs",
    details: [
      "A ROW is part of a name: start, capture-inbound, capture-outbound, large-inbound, large-outbound, stream, routes, " +
        "flows-parse, flows-trace, flows-against, flows-compile, proof, live, size, core-inbound, core-outbound, core-arp, " +
        "core-bridge, core-drop, core-mix, core-counters, frames, edits, prefixes. Without one, all rows are run: some " +
        "fifteen minutes, with --short three. live-soak, ten minutes of live traffic, bgp, agent-table, agent-single and " +
        "agent-restart are run when they are named.",
      "The native yardstick is compiled when the benchmark starts, and programs to compare with are those that are " +
        "installed; where one is missing its column is empty and says why.",
      "BENCH_DIR names a folder for the files (up to 1 GB), which are kept there; without it they are removed.",
    ],
    examples: ["slash32 bench --short core-inbound core-mix", "slash32 bench --format json > bench.json"],
    options: [
      { name: "short", help: "fewer rows, rounds and entries, for CI", isCommon: true },
      { name: "smoke", help: "only to see that it works; the figures mean nothing" },
      {
        name: "docs",
        help: "in a checkout: also write figures and plots of docs/performance.md (all rows, long form)",
      },
      {
        name: "guard",
        help: "in a checkout, with --short: exit 2 when a ratio is 1.5 × that of bench/baseline.json, twice",
      },
      {
        name: "write-baseline",
        help: "in a checkout, with --short: measure three times and write bench/baseline.json anew",
      },
      format,
      ...shared,
    ],
  },
];

export function commandNamed(name: string): Command | undefined {
  return COMMANDS.find(command => command.name === name);
}

/** Parses what follows the command's name. Throws UsageError in one line. */
export function parse(command: Command, args: readonly string[]): Parsed {
  const options = Object.fromEntries(
    command.options.map(({ name, short, value, isRepeatable }) => [
      name,
      {
        type: value === undefined ? ("boolean" as const) : ("string" as const),
        ...(short === undefined ? {} : { short }),
        multiple: isRepeatable === true,
      },
    ]),
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
      strict: true,
      tokens: true,
    });
    refuseRepeated(command, parsed.tokens);
    return parsed;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(rephrase(command, error as Error & { code?: string }));
  }
}

/** Of two values of an option that takes one, the first would be lost without a word. */
function refuseRepeated(
  { options }: Command,
  tokens: readonly { readonly kind: string; readonly name?: string; readonly value?: unknown }[],
): void {
  const given = new Map<string, unknown>();
  for (const { kind, name, value } of tokens) {
    const option = kind === "option" ? options.find(one => one.name === name) : undefined;
    if (option?.value === undefined || option.isRepeatable === true) continue;
    const before = given.get(option.name);
    if (before !== undefined)
      throw new UsageError(`--${option.name} takes one value; it is given twice: "${before}" and "${value}"`);
    given.set(option.name, value);
  }
}

/** Node's message in our words: what is wrong, and what would be right. */
function rephrase(command: Command, { code, message }: Error & { code?: string }): string {
  const named = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1];
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION" && named !== undefined) {
    const names = command.options.map(({ name }) => `--${name}`).filter(name => name !== "--h");
    const close = nearest(named, names);
    const hint =
      close === null ? `slash32 ${command.name} --help lists its options` : `did you mean ${close}?`;
    return `${command.name} has no option ${named}; ${hint}`;
  }
  const option = command.options.find(({ name, short }) => named === `--${name}` || named === `-${short}`);
  if (option !== undefined) {
    const name = `--${option.name}`;
    if (option.value === undefined) return `${name} takes no value`;
    const example = `${name}=${option.value}`;
    return /ambiguous/.test(message)
      ? `${name}: a value that begins with - is written ${example}`
      : `${name} needs a value: ${example}`;
  }
  return message.split(/[.\n]/)[0]!;
}

/** The word of `words` that is at most three edits away and nearest. */
export function nearest(word: string, words: readonly string[]): string | null {
  let best: string | null = null;
  let fewest = Math.min(4, Math.ceil(word.length / 2));
  for (const candidate of words) {
    const edits = distance(word, candidate);
    if (edits < fewest) {
      best = candidate;
      fewest = edits;
    }
  }
  return best;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + cost));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Short help has the common options and one example; full help has everything. */
export function helpOf(command: Command, isFull: boolean): string {
  const options = command.options.filter(({ name, isCommon }) => (isFull ? name !== "h" : isCommon));
  const lines = options.map(({ name, short, value, help }) => {
    const left = `  ${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`;
    return left.length > 29 ? `${left}\n${" ".repeat(32)}${help}` : `${left.padEnd(32)}${help}`;
  });
  const examples = isFull ? command.examples : command.examples.slice(0, 1);
  return `${[
    `slash32 ${command.name} ${command.synopsis}`,
    `  ${command.summary}`,
    ...(isFull ? command.details.map(paragraph => `\n${wrap(paragraph, 100)}`) : []),
    "",
    ...lines,
    ...(isFull
      ? ["  -h                            short help"]
      : ["      --help                    all options"]),
    "",
    ...examples.map(example => `  $ ${example}`),
  ].join("\n")}\n`;
}

function wrap(text: string, width: number): string {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

/** The program's own help. */
export function programHelp(version: string): string {
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`);
  return `${[
    `slash32 ${version}: the data plane of a routed hypervisor`,
    "",
    "  slash32 COMMAND [OPTION]…",
    "",
    ...rows,
    "",
    "slash32 COMMAND --help says more. Exit codes: 0 done, 1 could not, 2 a difference or a failed check was found.",
    "",
    "  $ slash32 replay -n hv1.yaml -r uplink0=fabric.pcap -w out.pcapng",
  ].join("\n")}\n`;
}
