/**
 * Flow tables: some written by hand, one for each kind of action, and random ones that mix everything the
 * interpreter executes, as lines that ovs-ofctl takes. Priorities are unique within a table, so that no
 * lookup is ambiguous.
 */
import type { Rng } from "../../model/random.ts";
import { WORLD } from "./frames.ts";

/** One table of flows each, all frames sent out by port 2 changed somehow. */
export const WRITTEN: readonly (readonly string[])[] = [
  ["actions=2"],
  [
    "priority=1,ip actions=set_field:1.2.3.4->ip_src,2",
    "priority=1,ipv6 actions=set_field:fc00::99->ipv6_dst,2",
  ],
  ["priority=1,ip actions=dec_ttl,2", "priority=1,ipv6 actions=dec_ttl,set_field:0x12->ipv6_label,2"],
  [
    "priority=1,tcp actions=mod_tp_dst:99,2",
    "priority=2,udp actions=mod_tp_dst:99,mod_tp_src:7,2",
    "priority=3,sctp actions=mod_tp_dst:99,2",
    "priority=4,tcp6 actions=mod_tp_dst:99,2",
    "priority=5,udp6 actions=mod_tp_src:99,2",
    "priority=6,sctp6 actions=mod_tp_src:99,2",
  ],
  ["priority=1,ipv6 actions=set_field:fc00::99->ipv6_src,mod_nw_tos:4,mod_nw_ecn:1,2"],
  ["priority=1,ip actions=mod_nw_dst:9.9.9.9,mod_nw_tos:0,mod_nw_ecn:3,mod_nw_ttl:9,2"],
  [
    "priority=1,icmp actions=set_field:9->icmp_type,2",
    "priority=2,icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::9->nd_target,set_field:00:11:22:33:44:55->nd_sll,2",
    "priority=3,icmp6,icmp_type=136,icmp_code=0 actions=set_field:fc00::9->nd_target,set_field:00:11:22:33:44:55->nd_tll,2",
  ],
  ["priority=1,arp actions=set_field:2->arp_op,set_field:9.9.9.9->arp_spa,2"],
  ["actions=push_vlan:0x88a8,set_field:4103->vlan_vid,set_field:3->vlan_pcp,2"],
  ["priority=2,dl_vlan=6 actions=pop_vlan,2", "priority=1 actions=load:0x1234->NXM_OF_VLAN_TCI[],2"],
  ["actions=push_mpls:0x8848,set_field:77->mpls_label,set_field:5->mpls_tc,2"],
  ["priority=1,mpls actions=pop_mpls:0x86dd,2", "priority=2,dl_type=0x8848 actions=pop_mpls:0x8847,2"],
  [
    "table=0,mpls actions=pop_mpls:0x0800,goto_table:1",
    "table=1,priority=2,ip,nw_dst=10.0.0.0/24 actions=dec_ttl,2",
    "table=1,priority=1,ip actions=3",
  ],
  [
    "table=0,mpls actions=pop_mpls:0x0806,resubmit(,1),4",
    "table=1,priority=2,arp,arp_op=1 actions=set_field:2->arp_op,2",
    "table=1,priority=1 actions=3",
  ],
];

/** What a flow has matched so far, and so what its actions may do. */
type Kind = "any" | "ip" | "ipv6" | "arp" | "mpls";
interface State {
  kind: Kind;
  transport: "" | "tcp" | "udp";
  isTagged: boolean;
}

const TABLES = 4;
/** Flows of lower priorities match a whole protocol, or everything, so that few frames are dropped unseen. */
const WIDE = 500;

/** A match, and what it lets the actions do; only a protocol, if anything, when it is to be wide. */
function randomMatch(r: Rng, isWide: boolean): [text: string, state: State] {
  const state: State = { kind: "any", transport: "", isTagged: false };
  const parts: string[] = [];
  if (isWide) {
    state.kind = r.pick<Kind>(["any", "ip", "ipv6", "arp", "mpls"]);
    return [state.kind === "any" ? "" : state.kind, state];
  }
  if (r.chance(20)) parts.push(`in_port=${r.pick(WORLD.ports)}`);
  if (r.chance(15)) parts.push(`dl_dst=${r.pick(WORLD.macs)}`);
  if (r.chance(10)) parts.push("dl_src=02:00:00:00:00:00/ff:ff:ff:ff:ff:00");
  if (r.chance(12)) parts.push(`reg${r.below(2)}=${r.below(3)}`);
  if (r.chance(5)) parts.push(`metadata=${r.below(2)}`);
  if (r.chance(15)) {
    state.isTagged = true;
    parts.push(r.chance(50) ? `dl_vlan=${r.pick(WORLD.vlans)}` : "vlan_tci=0x1000/0x1000");
  }
  const kind = r.pick<Kind>(["any", "ip", "ip", "ip", "ipv6", "ipv6", "arp", "mpls", "mpls", "mpls"]);
  state.kind = kind;
  const more: Record<Kind, () => string[]> = {
    any: () => [],
    ip: () => {
      const protocol = r.pick(["ip", "ip", "tcp", "udp", "icmp"]);
      if (protocol === "tcp" || protocol === "udp") state.transport = protocol;
      const ports = state.transport !== "" && r.chance(50) ? [`tp_dst=${r.pick(WORLD.transport)}`] : [];
      const field = [
        `nw_dst=${r.pick(WORLD.ipv4)}`,
        "nw_src=10.0.0.0/24",
        "nw_ttl=64",
        "nw_frag=yes",
        "nw_tos=184",
      ];
      return [protocol, ...ports, ...(r.chance(50) ? [r.pick(field)] : [])];
    },
    ipv6: () => {
      const protocol = r.pick(["ipv6", "ipv6", "tcp6", "udp6", "icmp6"]);
      if (protocol === "tcp6" || protocol === "udp6") state.transport = protocol === "tcp6" ? "tcp" : "udp";
      return [protocol, ...(r.chance(50) ? [`ipv6_dst=${r.pick(WORLD.ipv6)}`] : [])];
    },
    arp: () => ["arp", ...(r.chance(50) ? [`arp_op=${r.between(1, 2)}`] : [])],
    mpls: () => {
      const label = `mpls_label=${r.pick(WORLD.labels)}`;
      return [
        r.pick(["mpls", "mpls", "dl_type=0x8848"]),
        ...(r.chance(40) ? [label] : []),
        ...(r.chance(40) ? ["mpls_bos=1"] : []),
      ];
    },
  };
  return [[...parts, ...more[kind]()].join(","), state];
}

const REGISTERS = ["NXM_NX_REG0[]", "NXM_NX_REG1[]"];

/** An action that any packet may meet. */
function plainAction(r: Rng, table: number, depth: number): string {
  const port = r.pick(WORLD.ports);
  return r.weighted<string>([
    [30, () => `output:${port}`],
    [4, () => "in_port"],
    [8, () => `resubmit(,${r.chance(90) ? Math.min(table + 1 + r.below(2), TABLES) : r.below(TABLES)})`],
    [3, () => `resubmit(${port},${Math.min(table + 1, TABLES)})`],
    [8, () => `set_field:${r.pick(WORLD.macs.slice(0, 2))}->${r.pick(["eth_src", "eth_dst"])}`],
    [8, () => `load:${r.below(3)}->${r.pick(REGISTERS)}`],
    [4, () => `move:${r.pick(REGISTERS)}->${r.pick(REGISTERS)}`],
    [3, () => `push:${r.pick(REGISTERS)},pop:${r.pick(REGISTERS)}`],
    [3, () => "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]"],
    [3, () => "output:NXM_NX_REG0[]"],
    [2, () => `output(port=${port},max_len=${r.between(14, 80)})`],
    [2, () => "controller"],
    [3, () => `group:${r.between(1, 3)}`],
    [depth === 0 ? 4 : 0, () => `clone(${plainAction(r, table, 1)},${plainAction(r, table, 1)})`],
    [2, () => "load:0->NXM_OF_IN_PORT[]"],
    [1, () => "exit"],
    [1, () => "note:00.01"],
    [1, () => "enqueue:2:1"],
  ]);
}

/** An action for what the packet is by now; changes `state` as the packet changes. */
function fittingAction(r: Rng, state: State): string | null {
  const pushes = (): string => {
    state.kind = "mpls";
    state.transport = "";
    return `push_mpls:0x${r.pick(["8847", "8847", "8848"])}`;
  };
  switch (state.kind) {
    case "ip":
    case "ipv6": {
      const address = state.kind === "ip" ? r.pick(WORLD.ipv4) : r.pick(WORLD.ipv6);
      const field = state.kind === "ip" ? r.pick(["ip_src", "ip_dst"]) : r.pick(["ipv6_src", "ipv6_dst"]);
      const choices = [
        "dec_ttl",
        "dec_ttl",
        `set_field:${address}->${field}`,
        `mod_nw_tos:${4 * r.below(64)}`,
        `set_field:${r.below(4)}->nw_ecn`,
        `mod_nw_ttl:${r.pick([1, 2, 64])}`,
      ];
      if (state.transport !== "") choices.push(`mod_tp_${r.pick(["src", "dst"])}:${r.pick(WORLD.transport)}`);
      return r.chance(20) ? pushes() : r.pick(choices);
    }
    case "arp":
      return r.chance(15)
        ? pushes()
        : r.pick([
            "set_field:2->arp_op",
            `set_field:${r.pick(WORLD.ipv4)}->arp_spa`,
            "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
            "push:NXM_OF_ARP_SPA[],move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[]",
          ]);
    case "mpls":
      if (r.chance(35)) {
        const [type, kind] = r.pick<[string, Kind]>([
          ["0800", "ip"],
          ["0800", "ip"],
          ["86dd", "ipv6"],
          ["0806", "arp"],
          ["8847", "mpls"],
          ["8848", "mpls"],
        ]);
        state.kind = kind;
        return `pop_mpls:0x${type}`;
      }
      return r.chance(25)
        ? pushes()
        : r.pick([
            "dec_mpls_ttl",
            `set_mpls_label(${r.pick(WORLD.labels)})`,
            `set_field:${r.below(8)}->mpls_tc`,
            `set_mpls_ttl(${r.below(3)})`,
          ]);
    default:
      return null;
  }
}

function tagAction(r: Rng, state: State): string {
  if (!state.isTagged) {
    state.isTagged = true;
    return `push_vlan:0x${r.pick(["8100", "88a8"])}`;
  }
  return r.pick([`set_field:${4096 + r.pick(WORLD.vlans)}->vlan_vid`, `set_field:${r.below(8)}->vlan_pcp`]);
}

function randomFlow(r: Rng, table: number, priority: number): string {
  const [match, state] = randomMatch(r, priority < WIDE);
  const actions: string[] = [];
  for (let count = r.chance(10) ? 0 : r.between(1, 6); count > 0; count--) {
    const fitting = r.chance(45) ? fittingAction(r, state) : r.chance(12) ? tagAction(r, state) : null;
    actions.push(fitting ?? plainAction(r, table, 0));
  }
  if (r.chance(8)) {
    const set = [
      `output:${r.pick(WORLD.ports)}`,
      ...(state.kind === "ip" ? ["dec_ttl"] : []),
      "set_field:02:00:00:00:00:02->eth_dst",
    ];
    actions.push(`write_actions(${set.join(",")})`);
  }
  if (r.chance(8)) actions.push(`write_metadata:${r.below(2)}`);
  if (table < TABLES - 1 && r.chance(35)) actions.push(`goto_table:${r.between(table + 1, TABLES - 1)}`);
  const head = [`table=${table}`, `priority=${priority}`, ...(match === "" ? [] : [match])];
  return `${head.join(",")} actions=${actions.length === 0 ? "drop" : actions.join(",")}`;
}

/** Lines for all tables; a few of them may be ones that Open vSwitch refuses. */
export function randomFlows(r: Rng): string[] {
  return Array.from({ length: TABLES }, (_, table) =>
    Array.from({ length: r.between(5, 12) }, (_, n) => randomFlow(r, table, 100 * n + r.below(100))),
  ).flat();
}

/** Groups 1 to 3, of the kinds that are executed. */
export const GROUPS: readonly string[] = [
  "group_id=1,type=all,bucket=actions=output:2,bucket=actions=set_field:02:00:00:00:00:02->eth_src,output:3",
  "group_id=2,type=indirect,bucket=actions=resubmit(,3)",
  "group_id=3,type=ff,bucket=watch_port:4,actions=push_vlan:0x8100,output:4,bucket=watch_port:2,actions=output:2",
];
