/** `slash32 agent` and `slash32 agent doctor`: VM files and BGP routes to flows and announcements. */
import type { Command } from "../command.ts";
import { UsageError } from "../errors.ts";
import { db, format, ignore, intent, shared } from "../options.ts";

export const agent: Command = {
  name: "agent",
  synopsis: "-n BASE",
  summary: "keep a bridge and BGP in sync with VM files",
  details: [
    "BASE is the intent of the hypervisor; its VMs and routes are always installed. Further VMs are" +
      " YAML files in a watched directory, one VM a file, with the keys of a VM in an intent. An HTTP" +
      " API on a unix socket (docs/agent.openapi.json) creates, destroys and lists VMs and changes " +
      "their attachment mode.",
    "The agent compares the desired state with the observed state and writes only the difference, " +
      "as one bundle. It never changes foreign flows (other cookies). After the removal of a VM its " +
      "addresses stay in quarantine (--quarantine).",
    "With --gobgp the agent announces the addresses of VMs over BGP, with the label of BASE, after " +
      "their flows are installed, and withdraws them before it removes the flows; received routes " +
      "become flows (docs/bgp.md has the configuration of gobgpd). The MAC address of a next hop " +
      "comes from --next-hop-mac, else --gateway, else the neighbor table of the kernel (ip neigh).",
    "SIGINT and SIGTERM end the agent, and flows stay; SIGHUP reopens the audit file.",
    "Exit status: 0 ended by a signal or a handover; 1 the agent could not start; doctor: 2 a check failed.",
  ],
  examples: [
    "slash32 agent -n hv1.yaml --gobgp unix:///run/gobgpd/api.sock --next-hop 10.0.0.1 --gateway " +
      "02:00:00:00:00:fe",
    "slash32 agent -n hv1.yaml --vms /etc/slash32/vms --state /var/lib/slash32 --socket " +
      "/run/slash32/agent.sock",
    "slash32 agent doctor -n hv1.yaml",
  ],
  options: [
    { ...intent, value: "BASE", help: "the intent of the hypervisor, a YAML file" },
    {
      name: "vms",
      value: "DIR",
      help: "directory of VM files (default: /etc/slash32/vms)",
      isCommon: true,
    },
    {
      name: "socket",
      value: "PATH",
      help: "unix socket of the HTTP API (default: /run/slash32/agent.sock)",
      isCommon: true,
    },
    {
      name: "state",
      value: "DIR",
      help: "directory of the quarantine and audit files (default: /var/lib/slash32)",
      isCommon: true,
    },
    {
      name: "create-folders",
      help: "create the directories of --vms and --state if they are missing (default: exit with an error)",
    },
    db,
    {
      name: "gobgp",
      value: "ADDRESS",
      help: "API of gobgpd: unix:///run/gobgpd/api.sock or 127.0.0.1:50051",
      isCommon: true,
    },
    {
      name: "next-hop",
      value: "IP",
      help: "address of this hypervisor, the next hop in its announcements",
      isCommon: true,
    },
    { name: "gateway", value: "MAC", help: "MAC address of every next hop" },
    {
      name: "next-hop-mac",
      value: "IP=MAC",
      isRepeatable: true,
      help: "MAC address of this next hop; may be repeated",
    },
    { name: "unicast", help: "announce unlabeled unicast routes instead of labeled unicast" },
    {
      name: "live",
      value: "SOCKET",
      help: "write to a running slash32 live --control SOCKET instead of a bridge",
      isCommon: true,
    },
    { name: "every", value: "SECONDS", help: "interval between full resyncs, in seconds (default: 30)" },
    {
      name: "quarantine",
      value: "SECONDS",
      help: "time before a removed VM's address may be reused, in seconds (default: 300; 0: none)",
    },
    {
      name: "drift",
      value: "WHAT",
      help: "flows of the agent that another party changed: repair (default) or report",
    },
    {
      name: "allow-empty",
      help: "turn off the mass-deletion guard: remove VMs even if nearly all files disappear at once",
    },
    { name: "no-proof", help: "do not prove that the flow table implements the desired state" },
    { name: "force", help: "write even where foreign flows would change the outcome" },
    ignore,
    {
      name: "ignore-cookie",
      value: "COOKIE",
      isRepeatable: true,
      help: "leave flows with this cookie out of proofs; may be repeated",
    },
    {
      name: "take-over",
      help: "stop the agent that owns --socket (wait up to 30 s), then take its place; flows stay installed",
    },
    format,
    ...shared,
  ],
  noArguments: "agent takes its input from options",
  dependences: [{ options: ["next-hop", "next-hop-mac", "gateway", "unicast"], needs: "gobgp" }],
  check(context) {
    if (context.text("intent") === "-")
      throw new UsageError("agent: the intent must be a file, not standard input; use -n BASE");
    if (context.isGiven("db") && context.isGiven("live"))
      throw new UsageError("--db and --live exclude each other: live ports have no database; leave one out");
    if (context.isGiven("gobgp") && !context.isGiven("next-hop"))
      throw new UsageError("--gobgp requires --next-hop IP, this hypervisor's address in its announcements");
  },
  subcommands: {
    doctor: {
      summary: "check what the agent needs; change nothing",
      run: async context => (await import("../agent.ts")).doctorCommand(context),
    },
  },
  run: async context => (await import("../agent.ts")).agentCommand(context),
};
