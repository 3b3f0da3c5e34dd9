/**
 * Families of small flow tables, one for each way of writing pipelines that people use: values come from a
 * small world, so that rules overlap, meet the same frames, and differ by little when they are edited. Lines
 * of ovs-ofctl; which of them a switch takes is not decided here.
 */

import { parseIntent } from "../../../src/intent/index.ts";
import { Flows, flowText } from "../../../src/pipeline/index.ts";
import { randomActionSet, type Scene } from "../../fuzz/actions.ts";
import { randomFlows, randomGroups } from "../../fuzz/world.ts";
import { type Rng, randomIntent } from "../../model/random.ts";

/** What a switch is given. */
export interface Rules {
  readonly groups: readonly string[];
  readonly flows: readonly string[];
}

/** Ports that frames come in by; the tunnels among them have no wire, and are asked by trace alone. */
export const PORTS = [1, 2, 3, 4, 5, 6, 7, 8];
export const TUNNELS = [9, 10, 11];

type Family = (r: Rng) => Rules | null;
type Makers = readonly (() => string)[];

const MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:01:01", "ff:ff:ff:ff:ff:ff"];
const NETS = [
  "10.0.0.1",
  "10.0.0.2",
  "10.0.0.0/31",
  "10.0.0.0/24",
  "10.0.0.0/255.0.0.1",
  "10.1.0.0/16",
  "0.0.0.0/1",
];
const HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1"];
const port = (r: Rng): number => r.between(1, 4);
const mac = (r: Rng): string => r.pick(MACS);
const net = (r: Rng): string => r.pick(NETS);
const host = (r: Rng): string => r.pick(HOSTS);

/** `count` of the makers' texts, which differ. */
function some(r: Rng, count: number, makers: Makers): string[] {
  return [...new Set(Array.from({ length: count }, () => r.pick(makers)()))];
}

/** One part of a match for each field: the first of each name. */
function match(r: Rng, count: number, makers: Makers): string[] {
  const parts = some(r, count, makers);
  const name = (part: string): string => part.split("=")[0]!;
  return parts.filter((part, i) => parts.findIndex(other => name(other) === name(part)) === i);
}

const flow = (
  table: number,
  priority: number,
  parts: readonly string[],
  actions: readonly string[],
): string =>
  `${[`table=${table}`, `priority=${priority}`, ...parts].join(",")} actions=${actions.length === 0 ? "drop" : actions.join(",")}`;

/**
 * Flows of one table, highest first, mostly of different priorities, with a last one that takes what is
 * left.
 */
function table(
  r: Rng,
  number: number,
  count: number,
  make: () => [parts: string[], actions: string[]],
  rest: readonly string[] | null,
): string[] {
  const flows = Array.from({ length: count }, (_, n) => {
    const [parts, actions] = make();
    return flow(number, 10 * (count - n) + r.below(12), parts, actions);
  });
  return rest === null ? flows : [...flows, flow(number, 0, [], rest)];
}

const none = (flows: readonly string[]): Rules => ({ groups: [], flows });

/** The project's own pipeline, of a random intent. */
function pipeline(r: Rng): Rules | null {
  const { uplink, vms, ...others } = randomIntent(r);
  if (vms.length === 0) return null;
  const few = vms.slice(0, 3).map(({ mtu: _, ...vm }, n) => ({ ...vm, ofport: 2 + n }));
  const { mtu: _, ...plain } = uplink;
  const routes = others.routes.slice(0, 4);
  const text = JSON.stringify({ ...others, routes, uplink: { ...plain, ofport: 1 }, vms: few });
  const { intent } = parseIntent(text, "random.yaml", ".");
  return intent === null ? null : none([...new Flows(intent)].map(one => flowText(one)));
}

const IP_CHANGES = (r: Rng): Makers => [
  () => "dec_ttl",
  () => `mod_nw_dst:${host(r)}`,
  () => `set_field:${host(r)}->ip_src`,
  () => `mod_nw_tos:${4 * r.below(3)}`,
  () => `mod_nw_ttl:${r.pick([1, 2, 64])}`,
  () => `set_field:${mac(r)}->eth_dst`,
];

/** Labels pushed, popped, and what is behind them looked up again. */
function mpls(r: Rng): Rules {
  const label = (): string => `mpls_label=${r.pick([16, 17, 1001, 0])}`;
  const labelled: Makers = [
    label,
    label,
    () => `mpls_bos=${r.below(2)}`,
    () => `mpls_tc=${r.below(2)}`,
    () => `mpls_ttl=${r.pick([1, 64])}`,
  ];
  const onLabels: Makers = [
    () => "pop_mpls:0x0800,resubmit(,1)",
    () => "pop_mpls:0x0800,dec_ttl,resubmit(,1)",
    () => `pop_mpls:0x0800,output:${port(r)}`,
    () => "pop_mpls:0x8847,resubmit(,2)",
    () => "pop_mpls:0x86dd,resubmit(,1)",
    () => `set_field:${r.pick([16, 17])}->mpls_label,dec_mpls_ttl,output:${port(r)}`,
    () => `push_mpls:0x8847,set_field:${r.pick([18, 19])}->mpls_label,output:${port(r)}`,
    () => `dec_mpls_ttl,output:${port(r)}`,
    () => `output:${port(r)},pop_mpls:0x0800,goto_table:1`,
  ];
  const onIp: Makers = [
    () => `dec_ttl,set_field:${mac(r)}->eth_dst,output:${port(r)}`,
    () =>
      `dec_ttl,push_mpls:0x8847,set_field:${r.pick([16, 17])}->mpls_label,set_field:${r.below(2)}->mpls_tc,output:${port(r)}`,
    () => `push_mpls:0x8847,set_mpls_ttl(${r.pick([1, 255])}),push_mpls:0x8847,output:${port(r)}`,
    () => "push_mpls:0x8847,pop_mpls:0x0800,resubmit(,2)",
    () => `output:${port(r)}`,
  ];
  const more = (): string[] => (r.chance(25) ? [`in_port=${port(r)}`] : []);
  return none([
    ...table(
      r,
      0,
      r.between(2, 4),
      () => [[...more(), "mpls", ...match(r, r.below(3), labelled)], [r.pick(onLabels)()]],
      ["goto_table:1"],
    ),
    ...table(
      r,
      1,
      r.between(2, 3),
      () => [["ip", `nw_dst=${net(r)}`], [r.pick(onIp)()]],
      r.chance(50) ? [`output:${port(r)}`] : null,
    ),
    ...table(r, 2, r.between(1, 2), () => [["mpls", label()], [`output:${port(r)}`]], [`output:${port(r)}`]),
  ]);
}

/** Tags matched in every way, pushed, popped and rewritten. */
function vlan(r: Rng): Rules {
  const tags: Makers = [
    () => `dl_vlan=${r.pick([5, 6, 0])}`,
    () => `dl_vlan=${r.pick([5, 6])},dl_vlan_pcp=${r.below(3)}`,
    () => "vlan_tci=0x1000/0x1000",
    () => "vlan_tci=0x0000/0x1fff",
    () => `vlan_vid=0x100${r.pick([4, 5, 6])}/0x100${r.pick([4, 5, "e"])}`,
    () => `vlan_tci=0x${r.pick(["1005", "7005", "1006"])}/0x${r.pick(["1fff", "ffff", "f000"])}`,
  ];
  const onTags: Makers = [
    () => `set_field:${r.pick([4101, 4102, 4096])}->vlan_vid`,
    () => `set_field:${r.below(8)}->vlan_pcp`,
    () => "pop_vlan",
    () => `push_vlan:0x${r.pick(["8100", "88a8"])},set_field:${r.pick([4101, 4103])}->vlan_vid`,
    () => `output:${port(r)}`,
    () => "resubmit(,1)",
    () => "move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG0[0..11]",
    () => `load:${r.pick([0, "0x1005", "0x3005"])}->NXM_OF_VLAN_TCI[]`,
  ];
  const below = (): string[] =>
    r.pick([[], [], ["ip"], ["arp"], [`in_port=${port(r)}`], [`dl_dst=${mac(r)}`]]);
  return none([
    ...table(
      r,
      0,
      r.between(3, 6),
      () => [
        [r.pick(tags)(), ...below()],
        [...some(r, r.between(1, 3), onTags), `output:${port(r)}`],
      ],
      [`output:${port(r)}`],
    ),
    ...table(r, 1, 2, () => [[r.pick([r.pick(tags)(), `reg0=${r.pick([5, 6])}`])], [`output:${port(r)}`]], [
      "output:4",
    ]),
  ]);
}

/** Answers to ARP and neighbour solicitations made by moving fields, and what is let through. */
function responders(r: Rng): Rules {
  const answer = (): string[] => {
    const steps = [
      "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
      `set_field:${mac(r)}->eth_src`,
      "set_field:2->arp_op",
      "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
      `set_field:${mac(r)}->arp_sha`,
      r.chance(50)
        ? "push:NXM_OF_ARP_SPA[],move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[]"
        : `move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],set_field:${host(r)}->arp_spa`,
    ];
    if (r.chance(30)) steps.splice(r.below(steps.length), 1);
    return [...steps, r.chance(70) ? "in_port" : `output:${port(r)}`];
  };
  const neighbour = (): string[] => [
    "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]",
    ...(r.chance(50)
      ? ["move:NXM_NX_ND_TARGET[]->NXM_NX_IPV6_SRC[]"]
      : [`set_field:fc00::${r.between(1, 3)}->ipv6_src`]),
    ...(r.chance(50) ? [`set_field:${mac(r)}->nd_sll`] : []),
    ...(r.chance(30) ? ["set_field:fc00::9->nd_target"] : []),
    "in_port",
  ];
  const arps: Makers = [
    () => `arp_op=${r.between(1, 2)}`,
    () => `arp_tpa=${net(r)}`,
    () => `arp_spa=${net(r)}`,
    () => `arp_sha=${mac(r)}`,
    () => `in_port=${port(r)}`,
  ];
  return none([
    ...table(
      r,
      0,
      r.between(2, 4),
      () => [["arp", ...match(r, r.between(1, 2), arps)], r.chance(60) ? answer() : [`output:${port(r)}`]],
      null,
    ),
    ...table(
      r,
      0,
      r.between(1, 2),
      () => [
        ["icmp6,icmp_type=135,icmp_code=0", ...(r.chance(60) ? [`nd_target=fc00::${r.between(1, 3)}`] : [])],
        neighbour(),
      ],
      r.chance(50) ? [`output:${port(r)}`] : null,
    ),
  ]);
}

const scene = (r: Rng): Scene => ({
  r,
  known: { type: r.pick([0, 0, 0x0800, 0x8847]), protocol: 0, discovery: 0, tags: 0 },
  table: 0,
  depth: 1,
});

/** Buckets of every type of group, with everything that may stand in one. */
function groups(r: Rng): Rules {
  const inBucket: Makers = [
    () => `output:${port(r)}`,
    () => `output:${port(r)}`,
    () =>
      r.pick([
        "controller",
        "controller:20",
        "controller(id=5)",
        "controller(reason=no_match)",
        "controller(userdata=01)",
      ]),
    () => `set_field:${mac(r)}->eth_dst`,
    () => `set_field:${r.below(3)}->reg0`,
    () => r.pick(["resubmit(,1)", "resubmit(,2)", "resubmit(3,2)"]),
    () =>
      r.pick([
        "note:01",
        "clone(output:3)",
        "output(port=3,max_len=20)",
        "output:NXM_NX_REG0[]",
        "ct_clear",
        "exit",
        "set_queue:1",
      ]),
    () => r.pick(["push_vlan:0x8100", "push_mpls:0x8847", "dec_ttl", "mod_nw_ttl:9", "mod_tp_dst:80"]),
    () => "group:3",
  ];
  const bucket = (): string =>
    `bucket=actions=${(r.chance(70) ? some(r, r.between(1, 4), inBucket) : randomActionSet(scene(r))).join(",")}`;
  const watched = (): string =>
    bucket().replace("bucket=", r.chance(70) ? "bucket=watch_port:2," : "bucket=");
  const group = (id: number): string => {
    const type = r.pick(["all", "all", "indirect", "ff"]);
    const count = type === "indirect" ? 1 : r.between(1, 3);
    return [
      `group_id=${id}`,
      `type=${type}`,
      ...Array.from({ length: count }, type === "ff" ? watched : bucket),
    ].join(",");
  };
  return {
    groups: [
      "group_id=3,type=all,bucket=actions=output:4,bucket=actions=set_field:7->reg1,output:2",
      group(2),
      group(1),
    ],
    flows: [
      ...table(
        r,
        0,
        r.between(2, 4),
        () => [
          match(r, 2, [() => "ip", () => `in_port=${port(r)}`, () => "udp", () => "icmp", () => "mpls"]),
          [
            ...some(r, r.below(2), [
              () => "dec_ttl",
              () => "set_field:2->reg0",
              () => `output:${port(r)}`,
            ]).filter(one => one !== "dec_ttl"),
            `group:${r.between(1, 3)}`,
            `output:${port(r)}`,
          ],
        ],
        [`group:${r.between(1, 2)}`],
      ),
      "table=1,priority=5,reg0=2 actions=output:3",
      "table=1,priority=1,ip actions=dec_ttl,controller,output:2",
      "table=2,priority=1 actions=output:4,set_field:02:00:00:00:00:09->eth_src",
    ],
  };
}

/** write_actions, clear_actions and tables in between. */
function actionSets(r: Rng): Rules {
  const members: Makers = [
    () => `output:${port(r)}`,
    () => `output:${port(r)}`,
    () => "controller",
    () => `set_field:${mac(r)}->eth_dst`,
    () => `set_field:${r.below(3)}->reg0`,
    () => "push_vlan:0x8100",
    () => "set_queue:1",
    () => "resubmit(,3)",
    () => "group:1",
    () => `push_mpls:0x8847`,
    () => "ct_clear",
  ];
  const written = (): string[] => [
    ...(r.chance(30) ? [`output:${port(r)}`] : []),
    ...(r.chance(20) ? [`clone(output:${port(r)})`] : []),
    ...(r.chance(25) ? ["clear_actions"] : []),
    `write_actions(${some(r, r.between(1, 3), members).join(",")})`,
    ...(r.chance(25) ? [`write_metadata:${r.below(3)}`] : []),
  ];
  const parts = (): string[] =>
    match(r, r.below(3), [
      () => "ip",
      () => "arp",
      () => `in_port=${port(r)}`,
      () => `dl_dst=${mac(r)}`,
      () => `nw_proto=${r.pick([6, 17])}`,
    ]).filter((part, _, all) => !part.startsWith("nw_proto") || all.includes("ip"));
  return {
    groups: [
      `group_id=1,type=all,bucket=actions=output:${port(r)},bucket=actions=set_field:9->reg1,output:2`,
    ],
    flows: [
      ...table(r, 0, r.between(2, 3), () => [parts(), [...written(), "goto_table:1"]], ["goto_table:1"]),
      ...table(
        r,
        1,
        r.between(2, 3),
        () => [
          [...parts(), ...(r.chance(30) ? [`actset_output=${port(r)}`] : [])],
          [...written(), ...(r.chance(50) ? ["goto_table:2"] : [])],
        ],
        ["goto_table:2"],
      ),
      ...table(
        r,
        2,
        r.between(1, 2),
        () => [[`metadata=${r.below(3)}`], written()],
        r.chance(50) ? ["clear_actions"] : null,
      ),
      "table=3,priority=5,reg0=1 actions=output:3,controller",
      "table=3,priority=0 actions=output:4",
    ],
  };
}

/** Registers and the stack as variables between tables that call each other. */
function registers(r: Rng): Rules {
  const register = (): string =>
    r.pick([
      `reg0=${r.below(3)}`,
      `reg1=${r.below(3)}/3`,
      `metadata=${r.below(3)}`,
      `xreg0=0x${r.pick(["100000000", "2"])}/0x${r.pick(["f0000000f", "ffffffffffffffff"])}`,
      `reg2=0x10000/0x10000`,
    ]);
  const steps: Makers = [
    () => `set_field:${r.below(3)}->reg${r.below(2)}`,
    () => `load:${r.below(3)}->NXM_NX_REG${r.below(2)}[0..1]`,
    () => `load:1->NXM_NX_REG2[16]`,
    () => `move:NXM_NX_REG0[0..1]->NXM_NX_REG1[0..1]`,
    () => `move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]`,
    () => `push:NXM_NX_REG0[]`,
    () => `pop:NXM_NX_REG1[]`,
    () => `set_field:${r.below(3)}->metadata`,
    () => "move:NXM_OF_ETH_DST[0..1]->NXM_NX_REG0[0..1]",
    () => `resubmit(,${r.between(1, 3)})`,
    () => `resubmit(${port(r)},2)`,
    () => `output:${port(r)}`,
  ];
  return none([
    ...table(
      r,
      0,
      r.between(2, 3),
      () => [
        match(r, r.below(3), [() => `in_port=${port(r)}`, () => "ip", () => `dl_dst=${mac(r)}`]),
        some(r, r.between(2, 4), steps),
      ],
      ["resubmit(,1)"],
    ),
    ...[1, 2, 3].flatMap(number =>
      table(
        r,
        number,
        r.between(2, 3),
        () => [
          match(r, r.between(1, 2), [register, register, () => `in_port=${port(r)}`]),
          [
            ...some(r, r.between(1, 3), steps).filter(one => !one.startsWith("resubmit") || number < 3),
            `output:${port(r)}`,
          ],
        ],
        r.chance(50) ? [`output:${port(r)}`] : null,
      ),
    ),
  ]);
}

/** Access lists: overlapping prefixes, masks, ports and flags. */
function acl(r: Rng): Rules {
  const l3: Makers = [
    () => `nw_src=${net(r)}`,
    () => `nw_dst=${net(r)}`,
    () => `nw_tos=${4 * r.below(3)}`,
    () => `nw_ttl=${r.pick([1, 64])}`,
    () => `nw_frag=${r.pick(["no", "yes", "first", "later", "not_later"])}`,
  ];
  const l4: Makers = [
    () => `tp_dst=${r.pick([80, 443, "0x50/0xfff0", "0/0x8000"])}`,
    () => `tp_src=${r.pick([1024, "0x400/0xfc00"])}`,
  ];
  const rule = (): [string[], string[]] => {
    const name = r.pick(["ip", "tcp", "udp", "icmp", "tcp", "ipv6", "tcp6"]);
    const isV4 = !name.endsWith("6");
    const isPorts = /^(tcp|udp)/.test(name);
    const parts = [
      name,
      ...match(r, r.between(1, 3), [
        ...(isV4
          ? l3
          : [
              () => `ipv6_dst=fc00::${r.between(1, 3)}`,
              () => "ipv6_src=fc00::/64",
              () => `nw_ttl=${r.pick([1, 64])}`,
            ]),
        ...(isPorts ? l4 : []),
        ...(name.startsWith("tcp")
          ? [() => `tcp_flags=${r.pick(["+syn-ack", "+ack", "+fin", "0x02/0x12"])}`]
          : []),
        ...(name === "icmp" ? [() => `icmp_type=${r.pick([0, 8])}`] : []),
      ]),
    ];
    if (r.chance(20)) parts.push(`in_port=${port(r)}`);
    return [parts, r.pick([[], [`output:${port(r)}`], ["resubmit(,1)"], ["dec_ttl", `output:${port(r)}`]])];
  };
  return none([
    ...table(r, 0, r.between(4, 9), rule, r.chance(70) ? [`output:${port(r)}`] : null),
    ...table(r, 1, 2, rule, [`output:${port(r)}`]),
  ]);
}

/** Conjunctive matches of two or three dimensions. */
function conjunctive(r: Rng): Rules {
  const flows: string[] = [];
  for (const id of [1, 2].slice(0, r.between(1, 2))) {
    const clauses = r.between(2, 3);
    const priority = r.pick([100, 110]);
    const dimensions: Makers[] = [
      [() => `ip,nw_src=${net(r)}`],
      [() => `ip,nw_dst=${net(r)}`],
      [() => `tcp,tp_dst=${r.pick([80, 443])}`, () => `udp,tp_dst=53`, () => `ip,in_port=${port(r)}`],
    ];
    for (let clause = 0; clause < clauses; clause++)
      for (const part of some(r, r.between(1, 2), dimensions[clause]!))
        flows.push(flow(0, priority, [part], [`conjunction(${id},${clause + 1}/${clauses})`]));
    flows.push(flow(0, priority, [`conj_id=${id}`, ...(r.chance(70) ? ["ip"] : [])], [`output:${port(r)}`]));
  }
  flows.push(
    ...table(r, 0, r.between(0, 2), () => [["ip", `nw_dst=${net(r)}`], [`output:${port(r)}`]], [
      `output:${port(r)}`,
    ]),
  );
  return none([...new Set(flows)]);
}

/** What controllers are told. */
function controllers(r: Rng): Rules {
  const told: Makers = [
    () => "controller",
    () => `controller(id=${r.pick([0, 5, 6])})`,
    () => `controller(reason=${r.pick(["no_match", "action", "invalid_ttl", "group"])})`,
    () => `controller(userdata=0${r.below(3)}.02)`,
    () => `controller(max_len=${r.pick([64, 128, 65535])})`,
    () => `controller(reason=no_match,id=5,userdata=ff)`,
  ];
  const before: Makers = [
    () => `set_field:${r.below(3)}->reg${r.below(3)}`,
    () => `set_field:${r.below(3)}->metadata`,
    () => `set_field:${mac(r)}->eth_dst`,
    () => `set_field:${r.below(2)}->pkt_mark`,
    () => `output:${port(r)}`,
    () => "push_vlan:0x8100",
    () => `load:${port(r)}->NXM_OF_IN_PORT[]`,
  ];
  return none([
    ...table(
      r,
      0,
      r.between(2, 4),
      () => [
        match(r, r.below(3), [() => "ip", () => `in_port=${port(r)}`, () => "arp", () => `dl_dst=${mac(r)}`]),
        [
          ...some(r, r.below(3), before),
          r.pick(told)(),
          ...(r.chance(30) ? ["resubmit(,1)"] : []),
          `output:${port(r)}`,
        ],
      ],
      ["resubmit(,1)"],
    ),
    ...table(
      r,
      1,
      2,
      () => [
        [r.pick(["ip", "reg0=1", "metadata=1"])],
        [r.pick(told)(), ...(r.chance(30) ? [`write_actions(${r.pick(["controller", "output:2"])})`] : [])],
      ],
      [r.pick(told)()],
    ),
  ]);
}

/** Copies, early ends and time to live. */
function copies(r: Rng): Rules {
  const step = (depth: number): string =>
    r.pick<() => string>([
      () => `output:${port(r)}`,
      () => `output:${port(r)}`,
      () => r.pick(IP_CHANGES(r))(),
      () => "exit",
      () =>
        depth < 2
          ? `clone(${Array.from({ length: r.between(1, 3) }, () => step(depth + 1)).join(",")})`
          : "note:01",
      () => `resubmit(,${r.between(1, 2)})`,
      () => `output(port=${port(r)},max_len=${r.pick([14, 34, 64])})`,
      () => `set_field:${r.below(2)}->reg0`,
    ])();
  const list = (): string[] => Array.from({ length: r.between(2, 5) }, () => step(0));
  return none([
    ...table(
      r,
      0,
      r.between(2, 3),
      () => [["ip", ...match(r, r.below(2), [() => `nw_dst=${net(r)}`, () => `in_port=${port(r)}`])], list()],
      null,
    ),
    ...[1, 2].flatMap(number =>
      table(
        r,
        number,
        r.between(1, 2),
        () => [
          ["ip", ...(r.chance(50) ? [`reg0=${r.below(2)}`] : [])],
          list().filter(one => !one.includes("resubmit")),
        ],
        [`output:${port(r)}`],
      ),
    ),
  ]);
}

/** Ports out of fields, and a packet's in_port rewritten. */
function computedPorts(r: Rng): Rules {
  const steps: Makers = [
    () => `load:${r.between(0, 5)}->NXM_NX_REG0[0..15]`,
    () => "move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]",
    () => "move:NXM_OF_ETH_DST[0..2]->NXM_NX_REG0[0..2]",
    () => `load:${r.pick([0, 1, 2, 0xffff])}->NXM_OF_IN_PORT[]`,
    () => "move:NXM_NX_REG0[0..15]->NXM_OF_IN_PORT[]",
    () => "output:NXM_NX_REG0[]",
    () => "output:NXM_NX_REG0[0..2]",
    () => "output:NXM_OF_ETH_SRC[0..2]",
    () => "in_port",
    () => `output:${port(r)}`,
    () => `resubmit(${port(r)},1)`,
    () => "resubmit(,1)",
    () => "LOCAL",
    () => `output:${r.pick([5, 6])}`,
  ];
  return none([
    ...table(
      r,
      0,
      r.between(2, 4),
      () => [
        match(r, r.between(0, 2), [() => `in_port=${port(r)}`, () => `dl_dst=${mac(r)}`, () => "ip"]),
        some(r, r.between(2, 5), steps),
      ],
      ["resubmit(,1)"],
    ),
    ...table(
      r,
      1,
      2,
      () => [
        [r.pick([`in_port=${port(r)}`, `reg0=${r.between(0, 4)}`])],
        some(r, r.between(1, 3), steps).filter(one => !one.startsWith("resubmit")),
      ],
      [`output:${port(r)}`],
    ),
  ]);
}

/** Tables that learn, and what is looked up in what they learned. */
function learning(r: Rng): Rules {
  const learned = (): string =>
    r.pick(["output:NXM_OF_IN_PORT[]", "load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]", "load:1->NXM_NX_REG1[]"]);
  const learn = (): string =>
    `learn(table=${r.between(10, 11)},priority=${r.pick([1, 2])},${r.pick(["NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]", "NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]"])},${learned()})`;
  return none([
    ...table(
      r,
      0,
      r.between(1, 3),
      () => [
        match(r, r.below(2), [() => `in_port=${port(r)}`, () => "ip"]),
        [...(r.chance(70) ? [learn()] : []), `resubmit(,${r.between(10, 11)})`, "resubmit(,1)"],
      ],
      ["resubmit(,1)"],
    ),
    ...table(
      r,
      1,
      2,
      () => [
        [r.pick([`reg0=${port(r)}`, "reg1=1", "ip"])],
        [r.pick([`output:${port(r)}`, "output:NXM_NX_REG0[0..15]"])],
      ],
      [`output:${port(r)}`],
    ),
  ]);
}

/** State beside the bytes: tunnels, marks, priorities and queues, in and out. */
function beside(r: Rng): Rules {
  const state: Makers = [
    () => `tun_id=${r.pick([100, 101, "0x64/0xff"])}`,
    () => `tun_src=192.0.2.${r.between(1, 2)}`,
    () => `tun_dst=192.0.2.${r.between(1, 2)}/31`,
    () => `pkt_mark=${r.below(3)}`,
    () => `pkt_mark=1/1`,
    () => `skb_priority=${r.below(2)}`,
    () => `in_port=${r.pick([1, 2, 9, 10])}`,
    () => `reg0=${r.pick([0, 100, 101])}`,
  ];
  const steps: Makers = [
    () => `set_field:${r.pick([100, 101])}->tun_id`,
    () => `set_tunnel:${r.pick([100, 101])}`,
    () => `set_field:192.0.2.${r.between(1, 2)}->tun_dst`,
    () => `set_field:192.0.2.${r.between(1, 2)}->tun_src`,
    () => "move:NXM_NX_TUN_ID[0..31]->NXM_NX_REG0[]",
    () => "move:NXM_NX_REG0[]->NXM_NX_TUN_ID[0..31]",
    () => "move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[]",
    () => `set_field:${r.below(3)}->pkt_mark`,
    () => "move:NXM_NX_PKT_MARK[]->NXM_NX_REG0[]",
    () => `set_queue:${r.below(3)}`,
    () => "pop_queue",
    () => `enqueue:${r.pick([1, 2, 9])}:${r.below(2)}`,
    () => `output:${r.pick([1, 2, 9, 10])}`,
    () => `output:${r.pick([9, 10])}`,
    () => `clone(set_field:${r.pick([100, 102])}->tun_id,output:9)`,
  ];
  return none([
    ...table(
      r,
      0,
      r.between(2, 4),
      () => [
        match(r, r.between(1, 2), [...state.slice(0, 7), () => "ip"]),
        [...some(r, r.between(1, 4), steps), r.pick([`output:${r.pick([1, 2, 9, 10])}`, "resubmit(,1)"])],
      ],
      ["resubmit(,1)"],
    ),
    ...table(r, 1, r.between(1, 3), () => [match(r, 1, state), some(r, r.between(1, 3), steps)], [
      `output:${r.pick([2, 9])}`,
    ]),
  ]);
}

/** As Neutron's br-tun: from patch port or tunnels, unicast and flooding, VLANs for tunnel ids. */
function neutron(r: Rng): Rules {
  const vlans = [1, 2, 3].slice(0, r.between(1, 3));
  const id = (vlan: number): string => `0x${(99 + vlan).toString(16)}`;
  return none([
    "table=0,priority=1,in_port=1 actions=resubmit(,2)",
    ...[9, 10].slice(0, r.between(1, 2)).map(one => `table=0,priority=1,in_port=${one} actions=resubmit(,4)`),
    "table=0,priority=0 actions=drop",
    "table=2,priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,20)",
    "table=2,priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,22)",
    ...(r.chance(50)
      ? [
          `table=2,priority=1,arp,arp_tpa=${host(r)} actions=resubmit(,21)`,
          "table=21,priority=0 actions=resubmit(,22)",
        ]
      : []),
    ...vlans.map(
      vlan =>
        `table=4,priority=1,tun_id=${id(vlan)} actions=push_vlan:0x8100,set_field:${4096 + vlan}->vlan_vid,resubmit(,10)`,
    ),
    "table=4,priority=0 actions=drop",
    `table=10,priority=1 actions=${r.chance(40) ? "learn(table=20,priority=1,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:NXM_OF_IN_PORT[])," : ""}output:1`,
    ...vlans.map(
      vlan =>
        `table=20,priority=2,dl_vlan=${vlan},dl_dst=${mac(r)} actions=pop_vlan,set_tunnel:${id(vlan)},output:${r.pick([9, 10])}`,
    ),
    "table=20,priority=0 actions=resubmit(,22)",
    ...vlans.map(
      vlan =>
        `table=22,priority=1,dl_vlan=${vlan} actions=pop_vlan,set_tunnel:${id(vlan)},output:9,output:10`,
    ),
    "table=22,priority=0 actions=drop",
  ]);
}

/**
 * As an OVN logical switch with access lists: metadata for the datapath, registers for ports, flags in bits.
 */
function ovn(r: Rng): Rules {
  const ports = [1, 2, 3];
  const key = (n: number): string => `0x${n.toString(16)}`;
  return none([
    ...ports.map(
      one =>
        `table=0,priority=100,in_port=${one} actions=load:${key(one)}->NXM_NX_REG14[],load:${key(one < 3 ? 1 : 2)}->OXM_OF_METADATA[],resubmit(,8)`,
    ),
    ...ports.map(
      one =>
        `table=8,priority=50,reg14=${key(one)},metadata=${key(one < 3 ? 1 : 2)}${r.chance(60) ? `,dl_src=${MACS[one - 1]}` : ""} actions=resubmit(,9)`,
    ),
    "table=8,priority=100,metadata=0x1,vlan_tci=0x1000/0x1000 actions=drop",
    ...table(
      r,
      9,
      r.between(1, 3),
      () => [
        [
          "ip",
          `metadata=${key(r.between(1, 2))}`,
          ...match(r, 1, [
            () => `nw_src=${net(r)}`,
            () => `nw_dst=${net(r)}`,
            () => `reg14=${key(r.between(1, 3))}`,
          ]),
        ],
        r.pick([[], ["load:0x1->NXM_NX_REG10[0]", "resubmit(,10)"], ["resubmit(,10)"]]),
      ],
      ["resubmit(,10)"],
    ),
    ...ports.map(
      one =>
        `table=10,priority=50,metadata=${key(one < 3 ? 1 : 2)},dl_dst=${MACS[one - 1]} actions=load:${key(one)}->NXM_NX_REG15[],resubmit(,32)`,
    ),
    "table=10,priority=70,metadata=0x1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=load:0x8000->NXM_NX_REG15[],resubmit(,32)",
    `table=10,priority=80,arp,metadata=0x1,arp_tpa=${host(r)},arp_op=1 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:${mac(r)},load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],load:0x20000000001->NXM_NX_ARP_SHA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],load:0xa000001->NXM_OF_ARP_SPA[],move:NXM_NX_REG14[]->NXM_NX_REG15[],load:0x1->NXM_NX_REG10[0],resubmit(,32)`,
    "table=32,priority=100,reg15=0x8000,metadata=0x1 actions=load:0x1->NXM_NX_REG15[],resubmit(,64),load:0x2->NXM_NX_REG15[],resubmit(,64)",
    "table=32,priority=0 actions=resubmit(,64)",
    "table=64,priority=100,reg10=0x1/0x1 actions=push:NXM_OF_IN_PORT[],load:0->NXM_OF_IN_PORT[],resubmit(,65),pop:NXM_OF_IN_PORT[]",
    "table=64,priority=0 actions=resubmit(,65)",
    ...ports.map(one => `table=65,priority=100,reg15=${key(one)} actions=output:${one}`),
  ]);
}

/** The fuzzer's own tables: the whole language at once. */
function whole(r: Rng): Rules {
  const all = randomFlows(r);
  const kept = r.pick([10, 20, 40]);
  return { groups: randomGroups(r), flows: all.filter(() => r.chance(kept)) };
}

export const FAMILIES: Readonly<Record<string, Family>> = {
  pipeline,
  mpls,
  vlan,
  responders,
  groups,
  "action sets": actionSets,
  registers,
  acl,
  conjunctive,
  controllers,
  copies,
  "computed ports": computedPorts,
  learning,
  beside,
  neutron,
  ovn,
  whole,
};

/** Families whose frames bring state along, or leave by a tunnel: ofproto/trace judges them. */
export const BESIDE: ReadonlySet<string> = new Set(["beside", "neutron"]);
