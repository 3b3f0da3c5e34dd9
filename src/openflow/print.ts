/**
 * Flows as Open vSwitch prints them (ofputil_flow_stats_format(), match_format(), ofpacts_format()): lines of
 * dump-flows, matches, actions. An OpenFlow version changes how actions are spelt, as a switch that is asked by that
 * version would spell them; without one they are printed as they were written.
 */
import type { Action, Flow, Group, MatchField, Subfield } from "./ast.ts";
import type { Field } from "./fields.ts";
import type { Protocol } from "./parse-context.ts";
import { formatSubfield } from "./subfield.ts";
import {
  bytesOf,
  formatDotted,
  formatFlags,
  formatHex,
  formatMacValue,
  formatMaskedIpv4,
  formatMaskedIpv6,
  formatName,
  formatPort,
  formatValue,
  type Masked,
  ones,
} from "./values.ts";

export interface PrintOptions {
  /** Spell actions as this version does; as written when it is left out. */
  readonly version?: Protocol;
  /** Names of ports by number. */
  readonly ports?: ReadonlyMap<number, string>;
  /** Names of tables by number. */
  readonly tables?: ReadonlyMap<number, string>;
  /** False leaves out what `--no-stats` leaves out. Default true. */
  readonly stats?: boolean;
}

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

/** Prints the fields of a match, a priority other than the default in front of them; empty for a catch-all. */
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

/** What is known of the VLAN tag while actions are printed: OpenFlow 1.3 pushes one where 1.0 set its VID. */
interface Printing extends PrintOptions {
  isTagged: boolean;
}

/** Prints a list of actions; none is `drop`. */
export function formatActions(
  actions: readonly Action[],
  options: PrintOptions = {},
  match: readonly MatchField[] = [],
): string {
  const tci = match.find(({ field }) => field.name === "vlan_tci");
  const isTagged = tci !== undefined && (tci.value & 0x1000n) !== 0n;
  return formatList(actions, { ...options, isTagged });
}

function formatList(actions: readonly Action[], printing: Printing): string {
  const parts = actions.flatMap(action => formatAction(action, printing));
  return parts.length === 0 ? "drop" : parts.join(",");
}

function formatTable(table: number, { tables }: PrintOptions): string {
  const name = tables?.get(table);
  return name === undefined ? String(table) : formatName(name);
}

const bytes = (data: Uint8Array): string =>
  Array.from(data, byte => byte.toString(16).padStart(2, "0")).join(".");

function formatController(action: Action & { type: "controller" }): string {
  const { maxBytes, reason, id, userdata, pause, meter } = action;
  if (reason === "action" && id === 0 && userdata === null && !pause && meter === null)
    return `CONTROLLER:${maxBytes}`;
  const parts: string[] = [];
  if (reason !== "action") parts.push(`reason=${reason}`);
  if (maxBytes !== 0xffff) parts.push(`max_len=${maxBytes}`);
  if (id !== 0) parts.push(`id=${id}`);
  if (userdata !== null && userdata.length > 0) parts.push(`userdata=${bytes(userdata)}`);
  if (pause) parts.push("pause");
  if (meter !== null) parts.push(`meter_id=${meter}`);
  return `controller(${parts.join(",")})`;
}

function formatOutput(port: number, options: PrintOptions): string {
  const text = formatPort(port, options.ports);
  const isNamed = port >= 0xfffffff7 && options.ports?.get(port) === undefined;
  return isNamed ? text : `output:${text}`;
}

function formatResubmit({ port, table, ct }: Action & { type: "resubmit" }, options: PrintOptions): string {
  if (port !== null && table === null && !ct) return `resubmit:${formatPort(port, options.ports)}`;
  const parts = [
    port === null ? "" : formatPort(port, options.ports),
    table === null ? "" : formatTable(table, options),
  ];
  return `resubmit(${[...parts, ...(ct ? ["ct"] : [])].join(",")})`;
}

/** The bytes of a note with the zeros that fill it up to 6 + 8k. */
function formatNote({ bytes: data }: Action & { type: "note" }): string {
  const length = 6 + 8 * Math.max(0, Math.ceil((data.length - 6) / 8));
  const padded = new Uint8Array(length);
  padded.set(data);
  return `note:${bytes(padded)}`;
}

type SetAction = Action & { type: "set" };

const subfieldOf = (field: Field, start: number, bits: number): Subfield => ({ field, start, bits });

/** `load:` for every run of bits of the mask, from the lowest, at most 64 bits each. */
function formatLoads({ field, value, mask }: SetAction): string[] {
  const parts: string[] = [];
  for (let start = 0; start < field.bits; ) {
    if (((mask >> BigInt(start)) & 1n) === 0n) {
      start++;
      continue;
    }
    let bits = 0;
    while (bits < 64 && ((mask >> BigInt(start + bits)) & 1n) === 1n && start + bits < field.bits) bits++;
    const part = (value >> BigInt(start)) & ones(bits);
    parts.push(`load:${formatHex(part)}->${formatSubfield(subfieldOf(field, start, bits))}`);
    start += bits;
  }
  return parts;
}

function formatSetField(action: SetAction, options: PrintOptions): string {
  const { field, value, mask, spelling } = action;
  const isWhole =
    mask === field.valid &&
    (spelling !== "load" || field.bits === 8 * bytesOf(field) || field.valid !== ones(field.bits));
  return `set_field:${formatValue(field, { value, mask: isWhole ? ones(field.bits) : mask }, options.ports)}${
    isWhole || field.format === "ethernet" || field.format.startsWith("ipv") || mask !== ones(field.bits)
      ? ""
      : `/${formatHex(mask)}`
  }->${field.name}`;
}

/** Actions of OpenFlow 1.0 that set a field as a whole, by the field they set. */
const LEGACY: Readonly<Record<string, string>> = {
  eth_src: "mod_dl_src",
  eth_dst: "mod_dl_dst",
  ip_src: "mod_nw_src",
  ip_dst: "mod_nw_dst",
  nw_tos: "mod_nw_tos",
  ip_dscp: "mod_nw_tos",
  vlan_vid: "mod_vlan_vid",
  vlan_pcp: "mod_vlan_pcp",
  tcp_src: "mod_tp_src",
  tcp_dst: "mod_tp_dst",
  udp_src: "mod_tp_src",
  udp_dst: "mod_tp_dst",
};

function formatLegacy(name: string, { field, value }: SetAction): string {
  if (name.startsWith("mod_dl")) return `${name}:${formatMacValue(value)}`;
  if (name === "mod_nw_src" || name === "mod_nw_dst") return `${name}:${formatDotted(value)}`;
  if (name === "mod_vlan_vid" || name === "set_vlan_vid") return `${name}:${value & 0xfffn}`;
  if (name.startsWith("set_mpls")) return `${name}(${value})`;
  if (name.startsWith("set_tunnel")) return `${value > ones(32) ? "set_tunnel64" : name}:${formatHex(value)}`;
  return `${name}:${field.name === "ip_dscp" ? value << 2n : value}`;
}

/** A setting as OpenFlow 1.0 has it: its own actions, `load` for what they cannot say. */
function formatSet10(action: SetAction, printing: Printing): string[] {
  const { field, spelling, value } = action;
  if (spelling === "set_field" && field.name === "vlan_tci") {
    if ((value & 0x1000n) === 0n) return ["strip_vlan"];
    return [`mod_vlan_vid:${value & 0xfffn}`, `mod_vlan_pcp:${value >> 13n}`];
  }
  if (spelling === "set_vlan_vid" || spelling === "set_vlan_pcp")
    return [formatLegacy(spelling.replace("set", "mod"), action)];
  if (spelling === "mod_nw_ecn" || spelling === "mod_nw_ttl") return formatLoads(action);
  const legacy = spelling === "set_field" ? LEGACY[field.name] : undefined;
  if (legacy !== undefined) return [formatLegacy(legacy, action)];
  if (spelling !== "set_field" && spelling !== "load") return [formatLegacy(spelling, action)];
  return field.place === null || field.nxm?.startsWith("NXOXM_ET")
    ? [formatSetField(action, printing)]
    : formatLoads(action);
}

/** A setting as OpenFlow 1.3 and 1.5 have it: set_field wherever it can say it. */
function formatSet13(action: SetAction, printing: Printing): string[] {
  const { field, spelling, mask, value } = action;
  if (spelling === "mod_nw_ttl" || spelling === "set_mpls_ttl") return [formatLegacy(spelling, action)];
  if (spelling === "mod_nw_tos") return [`set_field:${value >> 2n}->ip_dscp`];
  if (spelling === "mod_vlan_vid" || spelling === "mod_vlan_pcp") {
    const push = printing.isTagged ? [] : ["push_vlan:0x8100"];
    printing.isTagged = true;
    return [...push, formatSetField(action, printing)];
  }
  const isLoad = spelling === "load" || (spelling === "set_field" && mask !== field.valid);
  const isWide = field.place === null || field.nxm?.startsWith("NXOXM_ET");
  if (printing.version === "OpenFlow13" && isLoad && !isWide) return formatLoads(action);
  if (field.name === "vlan_tci" && mask === 0xffffn) printing.isTagged = (value & 0x1000n) !== 0n;
  return [formatSetField(action, printing)];
}

function formatSet(action: SetAction, printing: Printing): string[] {
  if (printing.version === "OpenFlow10") return formatSet10(action, printing);
  if (printing.version !== undefined) return formatSet13(action, printing);
  if (action.spelling === "load") return formatLoads(action);
  if (action.spelling === "set_field") return [formatSetField(action, printing)];
  return [formatLegacy(action.spelling, action)];
}

const hex4 = (type: number): string => `0x${type.toString(16).padStart(4, "0")}`;

/** Printers by type; a list because some actions are several in another version. */
const PRINTERS: {
  readonly [T in Action["type"]]: (action: Action & { type: T }, printing: Printing) => string | string[];
} = {
  output: ({ port }, printing) => formatOutput(port, printing),
  output_field: ({ from }) => `output:${formatSubfield(from)}`,
  output_truncated: ({ port, maxBytes }, { ports }) =>
    `output(port=${formatPort(port, ports)},max_len=${maxBytes})`,
  controller: formatController,
  enqueue: ({ port, queue }, printing) =>
    printing.version === undefined || printing.version === "OpenFlow10"
      ? `enqueue:${formatPort(port, printing.ports)}:${queue}`
      : [`set_queue:${queue}`, formatOutput(port, printing), "pop_queue"],
  group: ({ group }) => `group:${group}`,
  resubmit: formatResubmit,
  goto_table: ({ table }, printing) =>
    printing.version === "OpenFlow10"
      ? `resubmit(,${formatTable(table, printing)})`
      : `goto_table:${formatTable(table, printing)}`,
  push_vlan: ({ ethertype }, printing) => {
    printing.isTagged = true;
    return `push_vlan:${hex4(ethertype)}`;
  },
  pop_vlan: (_, printing) => {
    printing.isTagged = false;
    return printing.version === "OpenFlow10" ? "strip_vlan" : "pop_vlan";
  },
  push_mpls: ({ ethertype }) => `push_mpls:${hex4(ethertype)}`,
  pop_mpls: ({ ethertype }) => `pop_mpls:${hex4(ethertype)}`,
  set: formatSet,
  move: ({ from, to }) => `move:${formatSubfield(from)}->${formatSubfield(to)}`,
  push: ({ from }) => `push:${formatSubfield(from)}`,
  pop: ({ to }) => `pop:${formatSubfield(to)}`,
  dec_ttl: ({ controllers }) => (controllers.length === 0 ? "dec_ttl" : `dec_ttl(${controllers.join(",")})`),
  dec_mpls_ttl: () => "dec_mpls_ttl",
  dec_nsh_ttl: () => "dec_nsh_ttl",
  set_queue: ({ queue }) => `set_queue:${queue}`,
  pop_queue: () => "pop_queue",
  write_metadata: ({ value, mask }) =>
    `write_metadata:${formatHex(value)}${mask === ones(64) ? "" : `/${formatHex(mask)}`}`,
  write_actions: ({ actions }, printing) => `write_actions(${formatList(actions, { ...printing })})`,
  clear_actions: () => "clear_actions",
  clone: ({ actions }, printing) => `clone(${formatList(actions, { ...printing })})`,
  meter: ({ meter }) => `meter:${meter}`,
  conjunction: ({ id, clause, clauses }) => `conjunction(${id},${clause}/${clauses})`,
  note: formatNote,
  exit: () => "exit",
  other: ({ text }) => text,
};

function formatAction(action: Action, printing: Printing): string | string[] {
  const printer = PRINTERS[action.type] as (action: Action, printing: Printing) => string | string[];
  return printer(action, printing);
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
  return ` ${formatInfo(flow, options)}${match}${match === "" ? "" : " "}actions=${formatActions(flow.actions, options, flow.match)}`;
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
