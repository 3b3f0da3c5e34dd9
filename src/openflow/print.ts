/**
 * Flows and groups as Open vSwitch prints them (ofputil_flow_stats_format(), match_format(),
 * ofpacts_format()): lines of dump-flows and dump-groups. With an OpenFlow version, actions are printed as a
 * switch prints them in a dump of that version; without one, as they were written. The entries of actions/
 * print the actions.
 */
import { entryOf } from "./actions/index.ts";
import type { Action, Flow, Group, MatchField } from "./ast.ts";
import type { Field } from "./fields.ts";
import { formatTable, type Printing, type PrintOptions } from "./print-options.ts";
import {
  formatFlags,
  formatHex,
  formatMacValue,
  formatMaskedIpv4,
  formatMaskedIpv6,
  formatPort,
  formatValue,
  type Masked,
  ones,
} from "./values.ts";

export type { PrintOptions } from "./print-options.ts";

const hex = (value: bigint, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

type MatchPrinter = (field: MatchField, options: PrintOptions) => string;

const named =
  (name: string, format: (masked: Masked, field: Field) => string): MatchPrinter =>
  one =>
    `${name}=${format(one, one.field)}`;

const masked16 = ({ value, mask }: Masked): string =>
  mask === 0xffffn ? value.toString() : `${hex(value, 1)}/${formatHex(mask)}`;
const maskedHex =
  (bits: number) =>
  ({ value, mask }: Masked): string =>
    mask === ones(bits) ? formatHex(value) : `${formatHex(value)}/${formatHex(mask)}`;
const ethernet = ({ value, mask }: Masked): string =>
  mask === ones(48) ? formatMacValue(value) : `${formatMacValue(value)}/${formatMacValue(mask)}`;
const decimal = ({ value }: Masked): string => value.toString();

/** vlan_tci: as a VLAN and a priority where the mask allows it. */
function formatTci({ value, mask }: Masked): string {
  const [vid, pcp] = [mask & 0xfffn, mask & 0xe000n];
  const isPlain = (vid === 0n || vid === 0xfffn) && (pcp === 0n || pcp === 0xe000n) && (vid | pcp) !== 0n;
  if ((value & 0x1000n) !== 0n && isPlain) {
    const parts = [];
    if (vid !== 0n) parts.push(`dl_vlan=${value & 0xfffn}`);
    if (pcp !== 0n) parts.push(`dl_vlan_pcp=${value >> 13n}`);
    return parts.join(",");
  }
  return `vlan_tci=${hex(value, 4)}${mask === 0xffffn ? "" : `/${hex(mask, 4)}`}`;
}

/** How fields are printed in a match where it is not `name=value` of set_field. */
const MATCH_PRINTERS: Readonly<Record<string, MatchPrinter>> = {
  recirc_id: named("recirc_id", maskedHex(32)),
  ct_zone: named("ct_zone", masked16),
  ct_state: named("ct_state", (one, field) => formatFlags(field.format, one, 32)),
  tcp_flags: named("tcp_flags", (one, field) => formatFlags(field.format, one, 12)),
  tun_flags: named("tun_flags", one =>
    (one.mask & 1n) === 0n ? "0" : (one.value & 1n) !== 0n ? "+oam" : "-oam",
  ),
  tun_gbp_id: named("tun_gbp_id", masked16),
  tun_gtpu_flags: named("gtpu_flags", maskedHex(8)),
  tun_gtpu_msgtype: named("gtpu_msgtype", one => (one.mask === 0xffn ? decimal(one) : maskedHex(8)(one))),
  in_port: (one, { ports }) => `in_port=${formatPort(Number(one.value), ports)}`,
  actset_output: (one, { ports }) => `actset_output=${formatPort(Number(one.value), ports)}`,
  vlan_tci: formatTci,
  eth_src: named("dl_src", ethernet),
  eth_dst: named("dl_dst", ethernet),
  eth_type: named("dl_type", ({ value }) => hex(value, 4)),
  ip_src: named("nw_src", formatMaskedIpv4),
  ip_dst: named("nw_dst", formatMaskedIpv4),
  ipv6_label: named("ipv6_label", ({ value, mask }) =>
    mask === ones(20) ? hex(value, 5) : `${hex(value, 5)}/${hex(mask, 5)}`,
  ),
  nw_tos: named("nw_tos", decimal),
  ip_frag: named("nw_frag", (one, field) => formatValue(field, one)),
  ct_tp_src: named("ct_tp_src", masked16),
  ct_tp_dst: named("ct_tp_dst", masked16),
  arp_op: named("arp_op", decimal),
  nsh_flags: named("nsh_flags", ({ value, mask }) =>
    mask === 0xffn ? value.toString() : `${hex(value, 2)}/${hex(mask, 2)}`,
  ),
  ...Object.fromEntries(
    ["tcp", "udp", "sctp"].flatMap(transport => [
      [`${transport}_src`, named("tp_src", masked16)],
      [`${transport}_dst`, named("tp_dst", masked16)],
    ]),
  ),
  icmp_type: named("icmp_type", masked16),
  icmp_code: named("icmp_code", masked16),
  icmpv6_type: named("icmp_type", masked16),
  icmpv6_code: named("icmp_code", masked16),
};

/** Shorthands by dl_type and, behind it, nw_proto. */
const SHORTHANDS: ReadonlyMap<string, string> = new Map([
  ["2048", "ip"],
  ["2048 1", "icmp"],
  ["2048 6", "tcp"],
  ["2048 17", "udp"],
  ["2048 132", "sctp"],
  ["34525", "ipv6"],
  ["34525 58", "icmp6"],
  ["34525 6", "tcp6"],
  ["34525 17", "udp6"],
  ["34525 132", "sctp6"],
  ["2054", "arp"],
  ["32821", "rarp"],
  ["34887", "mpls"],
  ["34888", "mplsm"],
]);

/** Where a field stands among those that are printed before (0) or behind (1 …) the protocol. */
function rankOf({ name }: Field): number {
  if (name === "eth_type") return 3;
  if (name === "nw_proto" || name === "arp_op") return 5;
  if (name.startsWith("nsh_")) return 3;
  if (/^(nw_(tos|ecn|ttl)|mpls_|ip_frag|arp_[st]ha)/.test(name)) return 6;
  if (/^(ip_|ipv6_|arp_)/.test(name)) return 4;
  if (/^(tcp|udp|sctp|icmp)/.test(name)) return 7;
  if (name === "nd_target") return 8;
  if (name.startsWith("nd_")) return /^nd_[st]ll$/.test(name) ? 9 : 10;
  return 1;
}

/**
 * Prints the fields of a match, a priority other than the default in front of them; empty for a catch-all.
 */
export function formatMatch(
  match: readonly MatchField[],
  priority = 32768,
  options: PrintOptions = {},
): string {
  const type = match.find(({ field }) => field.name === "eth_type");
  const protocol = match.find(({ field }) => field.name === "nw_proto");
  const both = type && protocol ? SHORTHANDS.get(`${type.value} ${protocol.value}`) : undefined;
  const shorthand = both ?? (type && SHORTHANDS.get(`${type.value}`));
  const hidden = new Set([
    shorthand === undefined ? undefined : type,
    both === undefined ? undefined : protocol,
  ]);
  const parts: string[] = priority === 32768 ? [] : [`priority=${priority}`];
  const print = (one: MatchField): void => {
    if (!hidden.has(one)) parts.push(formatMatchField(one, options));
  };
  const at = match.findIndex(({ field }) => isBehindProtocol(field));
  const split = at < 0 ? match.length : at;
  for (const one of match.slice(0, split)) print(one);
  if (shorthand !== undefined) parts.push(shorthand);
  const rest = match.slice(split).map((one, index) => ({ one, index, rank: rankOf(one.field) }));
  rest.sort((a, b) => a.rank - b.rank || a.index - b.index);
  for (const { one } of rest) print(one);
  return parts.join(",");
}

const BEFORE = /^(pkt_mark|recirc_id|dp_hash|conj_id|skb_priority|actset_output|ct_.*|packet_type)$/;
const isBehindProtocol = ({ name }: Field): boolean => !BEFORE.test(name);

function formatMatchField(one: MatchField, options: PrintOptions): string {
  const printer = MATCH_PRINTERS[one.field.name];
  if (printer !== undefined) return printer(one, options);
  // Tunnel metadata of no particular value is a question about its presence.
  if (one.field.place === null && one.mask === 0n) return one.field.name;
  const { name, bits, format } = one.field;
  if (format === "decimal" || format === "hexadecimal") {
    const hexadecimal = name.startsWith("nsh_") ? hex(one.value, 1) : formatHex(one.value);
    const text = format === "decimal" ? one.value.toString() : hexadecimal;
    return `${name}=${text}${one.mask === ones(bits) ? "" : `/${formatHex(one.mask)}`}`;
  }
  if (format === "ipv6") return `${name}=${formatMaskedIpv6(one)}`;
  return `${name}=${formatValue(one.field, one, options.ports)}`;
}

/** Prints a list of actions; none is `drop`. */
export function formatActions(
  actions: readonly Action[],
  options: PrintOptions = {},
  match: readonly MatchField[] = [],
): string {
  const tci = match.find(({ field }) => field.name === "vlan_tci");
  const isTagged = tci !== undefined && (tci.value & 0x1000n) !== 0n;
  return printList(actions, { ...options, isTagged, printList });
}

function printList(actions: readonly Action[], printing: Printing): string {
  const parts = actions.flatMap(action => {
    const { print, printIn } = entryOf(action);
    return ((printing.version && printIn?.[printing.version]) ?? print)(action, printing);
  });
  return parts.length === 0 ? "drop" : parts.join(",");
}

/** What stands in front of the match in a line of dump-flows. */
function formatInfo(flow: Flow, options: PrintOptions): string {
  const { stats } = flow;
  const shown = options.stats !== false;
  const parts: string[] = [];
  const put = (isShown: boolean, text: string): void => {
    if (isShown) parts.push(`${text}, `);
  };
  put(shown || flow.cookie !== 0n, `cookie=${hex(flow.cookie, 1)}`);
  put(shown && stats?.durationSeconds != null, `duration=${stats?.durationSeconds?.toFixed(3)}s`);
  put(shown || flow.table !== 0, `table=${formatTable(flow.table, options)}`);
  put(shown && stats?.packets != null, `n_packets=${stats?.packets}`);
  put(shown && stats?.bytes != null, `n_bytes=${stats?.bytes}`);
  put(flow.idleTimeout !== 0, `idle_timeout=${flow.idleTimeout}`);
  put(flow.hardTimeout !== 0, `hard_timeout=${flow.hardTimeout}`);
  parts.push(...flow.flags.map(flag => `${flag} `));
  put(flow.importance !== 0, `importance=${flow.importance}`);
  put(shown && stats?.idleAgeSeconds != null, `idle_age=${stats?.idleAgeSeconds}`);
  put(shown && stats?.hardAgeSeconds != null, `hard_age=${stats?.hardAgeSeconds}`);
  return parts.join("");
}

/** One line of `ovs-ofctl dump-flows`, without its end. */
export function formatFlow(flow: Flow, options: PrintOptions = {}): string {
  const match = formatMatch(flow.match, flow.priority, options);
  const actions = formatActions(flow.actions, options, flow.match);
  return ` ${formatInfo(flow, options)}${match}${match === "" ? "" : " "}actions=${actions}`;
}

/** One group as `ovs-ofctl dump-groups` prints it. */
export function formatGroup(group: Group, options: PrintOptions = {}): string {
  const parts = [`group_id=${group.id},type=${group.type}`];
  if (group.selection !== null) parts.push(group.selection);
  for (const bucket of group.buckets) {
    const inner: string[] = [];
    if (bucket.id !== null) inner.push(`bucket_id:${bucket.id}`);
    if (bucket.weight !== null) inner.push(`weight:${bucket.weight}`);
    if (bucket.watchPort !== null) inner.push(`watch_port:${formatPort(bucket.watchPort, options.ports)}`);
    if (bucket.watchGroup !== null) inner.push(`watch_group:${bucket.watchGroup}`);
    parts.push(`bucket=${[...inner, `actions=${formatActions(bucket.actions, options)}`].join(",")}`);
  }
  return ` ${parts.join(",")}`;
}
