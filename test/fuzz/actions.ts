/**
 * Random actions over everything that the interpreter executes (ovs-actions(7)), as text, for packets of
 * which something is known: what Open vSwitch would refuse to install is rarely written. An action changes
 * what is known, as the packet changes. A few actions are ones whose outcome is unknown, so that the border
 * of the language is met too.
 */
import type { Rng } from "../model/random.ts";
import { WORLD } from "../openflow/interpret/frames.ts";
import type { Known } from "./matches.ts";

export const TABLES = 4;
export const GROUP_COUNT = 4;
/** A port that the switch does not have. */
const MISSING_PORT = 9;

export interface Scene {
  readonly r: Rng;
  readonly known: Known;
  readonly table: number;
  /** How deep in clones and action sets. */
  readonly depth: number;
}

type Maker = (scene: Scene) => string;
type Makers = readonly (readonly [number, Maker])[];

/** Subfields of 16 bits or fewer that any packet has. */
const PLAIN = [
  "NXM_NX_REG0[]",
  "NXM_NX_REG1[]",
  "NXM_NX_REG2[]",
  "NXM_NX_REG3[]",
  "NXM_OF_ETH_SRC[0..31]",
  "NXM_OF_ETH_DST[0..31]",
  "OXM_OF_METADATA[0..31]",
  "NXM_NX_TUN_ID[0..31]",
  "NXM_NX_PKT_MARK[]",
];

const RANGES: readonly (readonly [from: string, to: string])[] = [
  ["NXM_OF_ETH_SRC[]", "NXM_OF_ETH_DST[]"],
  ["NXM_OF_ETH_DST[]", "NXM_OF_ETH_SRC[]"],
  ["NXM_NX_REG0[0..7]", "NXM_NX_REG1[8..15]"],
  ["NXM_NX_REG2[4..19]", "NXM_OF_ETH_DST[3..18]"],
  ["NXM_OF_ETH_SRC[40..47]", "NXM_NX_REG0[0..7]"],
  ["NXM_OF_IN_PORT[]", "NXM_NX_REG0[0..15]"],
  ["NXM_NX_REG0[0..15]", "NXM_OF_IN_PORT[]"],
  ["NXM_OF_VLAN_TCI[0..11]", "NXM_NX_REG1[0..11]"],
  ["NXM_NX_REG1[0..11]", "NXM_OF_VLAN_TCI[0..11]"],
  ["OXM_OF_PKT_REG0[]", "OXM_OF_METADATA[]"],
  ["NXM_OF_ETH_TYPE[]", "NXM_NX_REG3[0..15]"],
  ["NXM_NX_REG0[0]", "NXM_NX_REG3[31]"],
];

const port = ({ r }: Scene): number => r.pick(WORLD.ports);
const someTable = ({ r, table }: Scene): number =>
  r.chance(80) ? Math.min(table + r.between(1, 2), TABLES) : r.below(TABLES);

const OUTPUTS: Makers = [
  [30, s => `output:${port(s)}`],
  [6, () => "in_port"],
  [1, () => `output:${MISSING_PORT}`],
  [1, () => "LOCAL"],
  [1, () => "ALL"],
  [3, ({ r }) => `output:NXM_NX_REG${r.below(2)}[]`],
  [1, () => "output:NXM_NX_REG0[0..15]"],
  [2, s => `output(port=${port(s)},max_len=${s.r.between(14, 80)})`],
  [
    3,
    ({ r }) =>
      r.pick(["controller", "CONTROLLER:64", "controller(max_len=20)", "controller(reason=no_match)"]),
  ],
  [1, s => `enqueue:${port(s)}:1`],
];

const CONTROL: Makers = [
  [9, s => `resubmit(,${someTable(s)})`],
  [3, s => `resubmit(${port(s)},${someTable(s)})`],
  [1, s => (s.r.chance(20) ? `resubmit:${port(s)}` : `resubmit(${port(s)},${TABLES - 1})`)],
  [5, ({ r }) => `group:${r.between(1, GROUP_COUNT)}`],
  [1, () => "exit"],
  [1, () => "note:00.01"],
  [1, ({ r }) => r.pick(["set_queue:1", "pop_queue"])],
];

const SETS: Makers = [
  [6, ({ r }) => `set_field:${r.pick(WORLD.macs)}->${r.pick(["eth_src", "eth_dst"])}`],
  [1, ({ r }) => `mod_dl_${r.pick(["src", "dst"])}:${r.pick(WORLD.macs)}`],
  [
    1,
    ({ r }) => `set_field:00:00:00:00:00:0${r.below(4)}/00:00:00:00:00:0f->${r.pick(["eth_src", "eth_dst"])}`,
  ],
  [1, ({ r }) => `load:${r.below(16)}->NXM_OF_ETH_DST[${r.below(20)}..${r.between(24, 47)}]`],
  [8, ({ r }) => `load:${r.below(5)}->NXM_NX_REG${r.below(4)}[]`],
  [
    3,
    ({ r }) => `set_field:${r.pick(["0/1", "1/1", "0/3", "2/3", "3/3", "0x100/0xff00"])}->reg${r.below(4)}`,
  ],
  [1, ({ r }) => `load:${r.below(4)}->NXM_NX_REG${r.below(4)}[${r.below(16)}..${r.between(17, 31)}]`],
  [
    2,
    ({ r }) =>
      `set_field:0x${r.pick(["100000001", "2", "300000000"])}->${r.pick(["xreg0", "metadata", "tun_id"])}`,
  ],
  [1, ({ r }) => `set_field:0x${r.pick(["1", "10000000000000001"])}->xxreg0`],
  [1, ({ r }) => `set_field:${r.below(3)}->pkt_mark`],
  [1, () => "set_tunnel:1"],
  [
    5,
    ({ r }) => {
      const [from, to] = r.pick(RANGES);
      return `move:${from}->${to}`;
    },
  ],
  [3, ({ r }) => `move:${r.pick(PLAIN)}->${r.pick(PLAIN)}`],
  [2, ({ r }) => `push:${r.pick(PLAIN)}`],
  [2, ({ r }) => `pop:${r.pick(PLAIN)}`],
  [2, ({ r }) => `load:${r.pick([0, 0, 1, 2, 0xffff])}->NXM_OF_IN_PORT[]`],
];

const POP_TYPES = [0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8847, 0x8847, 0x8848, 0x88b6, 0x6558];

const LABELS: Makers = [
  [
    8,
    ({ r, known }) => {
      known.type = r.pick(POP_TYPES);
      return `pop_mpls:0x${known.type.toString(16).padStart(4, "0")}`;
    },
  ],
  [3, () => "dec_mpls_ttl"],
  [2, ({ r }) => `set_mpls_label(${r.pick(WORLD.labels)})`],
  [2, ({ r }) => `set_field:${r.pick([...WORLD.labels, 0xfffff])}->mpls_label`],
  [2, ({ r }) => r.pick([`set_mpls_tc(${r.below(8)})`, `set_field:${r.below(8)}->mpls_tc`])],
  [2, ({ r }) => r.pick([`set_mpls_ttl(${r.below(3)})`, "set_field:64->mpls_ttl"])],
  [1, () => "load:5->OXM_OF_MPLS_LABEL[4..9]"],
  [1, () => "move:OXM_OF_MPLS_LABEL[]->NXM_NX_REG0[0..19]"],
  [1, () => "move:NXM_NX_REG0[0..7]->NXM_NX_MPLS_TTL[]"],
  [1, () => "push:OXM_OF_MPLS_TC[],pop:NXM_NX_REG1[0..2]"],
];

const IP: Makers = [
  [10, () => "dec_ttl"],
  [1, () => "dec_ttl(0,0)"],
  [2, ({ r }) => `mod_nw_tos:${4 * r.below(64)}`],
  [1, ({ r }) => `set_field:${r.below(64)}->ip_dscp`],
  [2, ({ r }) => `set_field:${r.below(4)}->nw_ecn`],
  [2, ({ r }) => `mod_nw_ttl:${r.pick([0, 1, 2, 64, 255])}`],
  [1, () => "move:NXM_NX_IP_TTL[]->NXM_NX_REG0[0..7]"],
  [1, () => "move:NXM_NX_REG0[0..7]->NXM_NX_IP_TTL[]"],
  [1, () => "load:3->NXM_OF_IP_TOS[2..5]"],
];

const IPV4: Makers = [
  [5, ({ r }) => `set_field:${r.pick(WORLD.ipv4)}->${r.pick(["ip_src", "ip_dst"])}`],
  [1, ({ r }) => `set_field:0.0.0.${r.below(4)}/0.0.0.3->${r.pick(["nw_src", "nw_dst"])}`],
  [1, ({ r }) => `mod_nw_${r.pick(["src", "dst"])}:${r.pick(WORLD.ipv4)}`],
  [2, () => "push:NXM_OF_IP_SRC[],move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[]"],
  [1, () => "move:NXM_OF_IP_SRC[]->NXM_NX_REG2[]"],
  [1, () => "move:NXM_NX_REG2[0..7]->NXM_OF_IP_DST[0..7]"],
];

const IPV6: Makers = [
  [5, ({ r }) => `set_field:${r.pick(WORLD.ipv6)}->${r.pick(["ipv6_src", "ipv6_dst"])}`],
  [1, ({ r }) => `set_field:0x${r.pick(["0", "12345", "fffff"])}->ipv6_label`],
  [1, () => "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]"],
  [1, () => "load:7->NXM_NX_IPV6_DST[60..70]"],
  [1, () => "move:NXM_NX_IPV6_SRC[0..31]->NXM_NX_REG2[]"],
];

const ARP: Makers = [
  [3, ({ r }) => `set_field:${r.below(3)}->arp_op`],
  [2, ({ r }) => `set_field:${r.pick(WORLD.ipv4)}->${r.pick(["arp_spa", "arp_tpa"])}`],
  [2, ({ r }) => `set_field:${r.pick(WORLD.macs)}->${r.pick(["arp_sha", "arp_tha"])}`],
  [2, () => "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]"],
  [2, () => "push:NXM_OF_ARP_SPA[],move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[]"],
  [1, () => "move:NXM_OF_ARP_OP[]->NXM_NX_REG0[0..15]"],
];

const TRANSPORT: Record<number, string> = { 6: "tcp", 17: "udp", 132: "sctp" };

const portName = ({ r, known }: Scene): string => `${TRANSPORT[known.protocol]}_${r.pick(["src", "dst"])}`;

const PORTS: Makers = [
  [4, s => `set_field:${s.r.pick(WORLD.transport)}->${portName(s)}`],
  [1, s => `set_field:0x1/0xf->${portName(s)}`],
  [2, ({ r }) => `mod_tp_${r.pick(["src", "dst"])}:${r.pick([...WORLD.transport, 0, 65535])}`],
  [1, s => `move:${portName(s)}->reg1[0..15]`],
  [1, s => `move:reg1[0..15]->${portName(s)}`],
];

const ICMP: Makers = [
  [1, ({ r }) => `set_field:${r.pick([0, 3, 8])}->icmp_type`],
  [1, ({ r }) => `set_field:${r.below(2)}->icmp_code`],
];

const ICMPV6: Makers = [
  [1, ({ r }) => `set_field:${r.pick([1, 128, 135, 136])}->icmpv6_type`],
  [1, ({ r }) => `set_field:${r.below(2)}->icmpv6_code`],
];

const DISCOVERY: Makers = [
  [3, ({ r }) => `set_field:${r.pick(WORLD.ipv6)}->nd_target`],
  [3, ({ r, known }) => `set_field:${r.pick(WORLD.macs)}->${known.discovery === 135 ? "nd_sll" : "nd_tll"}`],
  [1, () => "load:0x20000000->ERICOXM_OF_ICMPV6_ND_RESERVED[]"],
  [1, ({ r }) => `set_field:${r.between(1, 2)}->nd_options_type`],
];

const TAGS: Makers = [
  [4, ({ r }) => `set_field:${4096 + r.pick(WORLD.vlans)}->vlan_vid`],
  [3, ({ r }) => `set_field:${r.below(8)}->vlan_pcp`],
  [
    3,
    ({ known }) => {
      known.tags--;
      return "pop_vlan";
    },
  ],
  [1, ({ r }) => `set_vlan_vid:${r.pick(WORLD.vlans)}`],
  [1, ({ r }) => `set_vlan_pcp:${r.below(8)}`],
];

/** Whether there is a tag after these, Open vSwitch knows in other ways than we do here. */
const TCI: Makers = [
  [2, ({ r }) => `load:${r.pick(["0", "0x1005", "0x7006", "0x0005", "0x1000"])}->NXM_OF_VLAN_TCI[]`],
  [1, ({ r }) => `load:${r.below(7)}->NXM_OF_VLAN_TCI[0..11]`],
  [1, ({ r }) => `load:${r.below(2)}->NXM_OF_VLAN_TCI[12]`],
];

/** Actions whose outcome is unknown, or that do nothing here. */
const ODD: Makers = [
  [2, () => "NORMAL"],
  [1, () => "FLOOD"],
  [1, () => "learn(table=200,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])"],
  [1, () => "sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1)"],
  [1, () => "ct_clear"],
  [1, () => "ct(table=4)"],
  [1, () => "multipath(symmetric_l4,0,modulo_n,2,0,NXM_NX_REG0[])"],
  [1, () => "bundle(symmetric_l4,0,hrw,ofport,members:2,3)"],
  [1, () => "check_pkt_larger(60)->NXM_NX_REG0[0]"],
];

function pushVlan({ r, known }: Scene): string {
  known.tags++;
  return `push_vlan:0x${r.pick(["8100", "8100", "88a8"])}`;
}

function pushMpls({ r, known }: Scene): string {
  known.type = r.pick([0x8847, 0x8847, 0x8847, 0x8848]);
  known.protocol = 0;
  known.discovery = 0;
  return `push_mpls:0x${known.type.toString(16)}`;
}

function writeTci({ known }: Scene, from: (makers: Makers) => string): string {
  known.tags = 0;
  return from(TCI);
}

function clone(scene: Scene): string {
  const inside: Scene = { ...scene, known: { ...scene.known }, depth: scene.depth + 1 };
  return `clone(${randomActions(inside, scene.r.between(1, 4)).join(",")})`;
}

/** What may be done to a packet of which so much is known, besides what may be done to any. */
function fitting({ known }: Scene): Makers[] {
  const layers: Makers[] = [];
  if (known.tags > 0) layers.push(TAGS);
  if (known.type === 0x8847 || known.type === 0x8848) layers.push(LABELS, LABELS, LABELS);
  if (known.type === 0x0800) layers.push(IP, IPV4);
  if (known.type === 0x86dd) layers.push(IP, IPV6);
  if (known.type === 0x0806 || known.type === 0x8035) layers.push(ARP, ARP);
  const isIp = known.type === 0x0800 || known.type === 0x86dd;
  if (isIp && known.protocol in TRANSPORT) layers.push(PORTS);
  if (known.type === 0x0800 && known.protocol === 1) layers.push(ICMP);
  if (known.type === 0x86dd && known.protocol === 58) layers.push(ICMPV6);
  if (known.type === 0x86dd && known.discovery !== 0) layers.push(DISCOVERY, DISCOVERY);
  return layers;
}

export function randomAction(scene: Scene): string {
  const { r, known } = scene;
  const layers = fitting(scene);
  const from = (makers: Makers): string =>
    r.weighted(makers.map(([weight, make]) => [weight, () => make(scene)]));
  return r.weighted<string>([
    [30, () => from(OUTPUTS)],
    [14, () => from(CONTROL)],
    [22, () => from(SETS)],
    [layers.length > 0 ? 36 : 0, () => from(r.pick(layers))],
    [7, () => pushMpls(scene)],
    [known.tags < 2 ? 4 : 0, () => pushVlan(scene)],
    [2, () => writeTci(scene, from)],
    [scene.depth < 2 ? 4 : 0, () => clone(scene)],
    [1, () => from(ODD)],
  ]);
}

export function randomActions(scene: Scene, count: number): string[] {
  return Array.from({ length: count }, () => randomAction(scene));
}

/**
 * What an action set may hold, and the buckets of groups: no lists of lists, no stack, no in-between outputs
 * of note.
 */
export function randomActionSet(scene: Scene): string[] {
  const { r } = scene;
  const inside: Scene = { ...scene, known: { ...scene.known } };
  const one = (): string => {
    const layers = fitting(inside);
    const from = (makers: Makers): string => {
      const action = r.weighted(makers.map(([weight, make]) => [weight, () => make(inside)]));
      return /(push|pop):|pop_queue/.test(action) ? "set_queue:2" : action;
    };
    return r.weighted<string>([
      [30, () => r.pick([`output:${port(scene)}`, `output:${port(scene)}`, "in_port", "controller"])],
      [5, () => `group:${r.between(1, GROUP_COUNT)}`],
      [5, () => `resubmit(,${someTable(scene)})`],
      [12, () => `set_field:${r.pick(WORLD.macs)}->${r.pick(["eth_src", "eth_dst"])}`],
      [8, () => `set_field:${r.below(4)}->reg${r.below(4)}`],
      [layers.length > 0 ? 25 : 0, () => from(r.pick(layers))],
      [6, () => pushMpls(inside)],
      [inside.known.tags < 2 ? 4 : 0, () => pushVlan(inside)],
    ]);
  };
  return Array.from({ length: r.between(1, 4) }, one);
}
