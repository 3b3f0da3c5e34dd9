/**
 * Actions and instructions as text (ovs-actions(7)): one row of a table for each, and the rules about which may follow
 * which. Whether an action fits the match is judged in consistency.ts; the actions that are read and printed but not
 * modelled are in parse-other.ts, the arguments they share in arguments.ts.
 */

import type { Consistency, Demand } from "./action-checks.ts";
import {
  type ActionParser,
  type ActionReading,
  arrow,
  keyed,
  listed,
  type Nesting,
  number,
  type ParsedAction,
  port,
  required,
  table,
  trimmed,
} from "./arguments.ts";
import { type Action, PORT, type SetSpelling, type Span } from "./ast.ts";
import { FIELD_NAMES, type Field, fieldNamed, findField, plainField } from "./fields.ts";
import { clip, Fault, nearest, type Pair, scanPairs, type Token } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";
import { PROTOCOL } from "./parse-match.ts";
import { OTHER_ACTIONS } from "./parse-opaque-actions.ts";
import { parseSubfield } from "./subfield.ts";
import {
  isKnownPort,
  ones,
  RESERVED_PORTS,
  readDotted,
  readInteger,
  readMac,
  readPort,
  readPrintedValue,
  readValue,
} from "./values.ts";

/** ovs-ofctl takes no deeper lists (MAX_OFPACT_PARSE_DEPTH); a message of 64 kB, which a dump may come from, has room for these. */
const MAX_DEPTH = { written: 99, printed: 4095 };

function outputTo(pair: Pair, to: number): Action {
  if (to === PORT.none || to === PORT.unset || (to >= 0xff00 && to <= 0xffff))
    throw new Fault(
      pair.span,
      `there is no output to port ${clip(pair.value.text || pair.key.text)} (OFPBAC_BAD_OUT_PORT)`,
    );
  if (to !== PORT.controller) return { type: "output", span: pair.span, port: to };
  return controller(pair.span, 0xffff);
}

function controller(span: Span, maxBytes: number): Action {
  return {
    type: "controller",
    span,
    maxBytes,
    reason: "action",
    id: 0,
    userdata: null,
    pause: false,
    meter: null,
  };
}

/** Ports that `output(port=,max_len=)` cannot send a part of a frame to. */
const WHOLE_ONLY: readonly number[] = [
  PORT.table,
  PORT.normal,
  PORT.flood,
  PORT.all,
  PORT.controller,
  PORT.none,
  PORT.unset,
];

function parseOutput(context: ActionReading, pair: Pair): Action {
  const text = pair.value;
  if (/(^|,)\s*(port|max_len)=/.test(text.text)) {
    const pairs = keyed(context, pair, ["port", "max_len"]);
    const to = port(context, required(pair, pairs, "port"));
    const length = required(pair, pairs, "max_len");
    const maxBytes = number(context, length, 0xffffffff, "max_len");
    if (maxBytes < 14)
      throw new Fault(length, `max_len ${maxBytes} would cut into the Ethernet header: 14 is the least`);
    if (WHOLE_ONLY.includes(to)) throw new Fault(pair.span, "output to this port cannot be truncated");
    return { type: "output_truncated", span: pair.span, port: to, maxBytes };
  }
  const isField = text.text.includes("[") || findField(text.text) !== undefined;
  if (isField && !isKnownPort(text.text, context.reading.ports)) {
    const from = parseSubfield(text);
    if (from.bits > 32 && from.bits !== 992)
      context.reading.warn(text, `only the low bits of ${from.field.name} are a port`);
    context.consistency.field(from.field, text, "output");
    return { type: "output_field", span: pair.span, from };
  }
  return outputTo(pair, port(context, text));
}

/** Hidden rules of in-band control are dumped with a reason that has no name. */
const REASONS = ["", "no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];

function parseController(context: ActionReading, pair: Pair): Action {
  const text = pair.value;
  if (text.text === "") return controller(pair.span, 0xffff);
  if (/^\d/.test(text.text)) return controller(pair.span, number(context, text, 0xffff, "max_len"));
  const found = keyed(context, pair, ["max_len", "reason", "id", "userdata", "pause", "meter_id"]);
  const value = (key: string, max: number, missing: number): number => {
    const one = found.get(key);
    return one === undefined ? missing : number(context, one, max, key);
  };
  const reason = found.get("reason");
  if (reason !== undefined && !REASONS.includes(reason.text))
    throw new Fault(reason, `there is no reason ${clip(reason.text)}: ${REASONS.slice(1).join(", ")} are`);
  const data = found.get("userdata");
  return {
    type: "controller",
    span: pair.span,
    maxBytes: value("max_len", 0xffff, 0xffff),
    reason: reason?.text ?? "action",
    id: value("id", 0xffff, 0),
    userdata: data === undefined ? null : readBytes(data),
    pause: found.has("pause"),
    meter: found.has("meter_id") ? value("meter_id", 0xffffffff, 0) : null,
  };
}

/** `01.02.ff`: bytes in pairs of hexadecimal digits, with or without dots. */
function readBytes(text: Token): Uint8Array {
  const digits = text.text.replace(/\.(?=[0-9a-f]{2}|$)/gi, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits))
    throw new Fault(text, `${clip(text.text)} is no row of bytes: 01.02.ff is`);
  return Uint8Array.from(digits.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}

function parseEnqueue(context: ActionReading, pair: Pair): Action {
  // A name in quotes, or one that ends at the last colon, as it is printed; else the port ends where strtok() ends it.
  const found =
    /^("(?:[^"\\]|\\.)*")[:,q ](.+)$/.exec(pair.value.text) ??
    /^([A-Za-z][^:,"]*):(\d+)$/.exec(pair.value.text) ??
    /^([^:,q ]+)[:,q ](.+)$/.exec(pair.value.text);
  if (found === null)
    throw new Fault(pair.span, "enqueue takes a port and a queue: enqueue:1:2 or enqueue(1,2)");
  const { start, end } = pair.value;
  const middle = start + found[1]!.length;
  const to = port(context, { text: found[1]!, start, end: middle });
  const queue = number(
    context,
    trimmed({ text: found[2]!, start: middle + 1, end }),
    0xffffffff,
    "the queue",
  );
  const { version } = context.reading;
  return {
    type: "enqueue",
    span: pair.span,
    port: to,
    queue,
    isSplit: version !== null && version !== "OpenFlow10",
  };
}

function parseResubmit(context: ActionReading, pair: Pair): Action {
  const parts = listed(pair.value);
  const [inPort, next, ct] = parts;
  if (parts.length > 3 || (ct !== undefined && ct.text !== "ct" && ct.text !== ""))
    throw new Fault(
      parts[3] ?? ct!,
      "resubmit takes a port, a table and ct: resubmit(,10), resubmit(1,10,ct)",
    );
  let to = inPort!.text === "" ? PORT.inPort : port(context, inPort!);
  if (to === PORT.inPort) to = -1;
  const number = next === undefined || next.text === "" ? 255 : table(context, next);
  if (to < 0 && number === 255)
    throw new Fault(pair.span, "resubmit needs a port or a table: resubmit:1, resubmit(,10)");
  const withCt = ct?.text === "ct";
  if (withCt && context.consistency.isKnown && !context.consistency.protocols.isTracked)
    throw new Fault(
      ct!,
      "resubmit with ct needs a ct_state of a connection in the match (OFPBAC_MATCH_INCONSISTENT)",
    );
  return {
    type: "resubmit",
    span: pair.span,
    port: to < 0 ? null : to,
    table: number === 255 ? null : number,
    ct: withCt,
  };
}

function ethertype(context: ActionReading, pair: Pair, known: readonly number[] | null): number {
  const type = number(context, pair.value, 0xffff, "the Ethernet type");
  if (known !== null && !known.includes(type)) {
    const names = known.map(one => `0x${one.toString(16)}`).join(" and ");
    throw new Fault(
      pair.value,
      `${pair.key.text} cannot push type ${clip(pair.value.text)}: ${names} are possible`,
    );
  }
  return type;
}

function parsePushVlan(context: ActionReading, pair: Pair): Action {
  const type = ethertype(context, pair, [0x8100, 0x88a8]);
  const { vlan, innerVlan } = context.consistency.protocols;
  if (context.consistency.isKnown && innerVlan === "tagged")
    throw new Fault(pair.span, "this would be the third VLAN tag: Open vSwitch knows two (OFPBAC_BAD_TAG)");
  context.consistency.become({ vlan: "tagged", innerVlan: vlan });
  return { type: "push_vlan", span: pair.span, ethertype: type };
}

function parsePopVlan({ consistency }: ActionReading, pair: Pair): Action {
  consistency.demand("tag", pair.span, pair.key.text);
  consistency.become({ vlan: consistency.protocols.innerVlan, innerVlan: "untagged" });
  return { type: "pop_vlan", span: pair.span };
}

function parsePushMpls(context: ActionReading, pair: Pair): Action {
  const type = ethertype(context, pair, [0x8847, 0x8848]);
  context.consistency.demand("frame", pair.span, "push_mpls");
  context.consistency.become({ dlType: type, nwProto: 0, icmp6Type: -1 });
  return { type: "push_mpls", span: pair.span, ethertype: type };
}

function parsePopMpls(context: ActionReading, pair: Pair): Action {
  const type = ethertype(context, pair, null);
  context.consistency.demand("frame", pair.span, "pop_mpls");
  context.consistency.demand("mpls", pair.span, "pop_mpls");
  context.consistency.become({ dlType: type });
  return { type: "pop_mpls", span: pair.span, ethertype: type };
}

function setOf(pair: Pair, spelling: SetSpelling, field: Field, value: bigint, mask = field.valid): Action {
  return { type: "set", span: pair.span, spelling, field, value, mask };
}

/** A field of the key is written as a whole by its own action: `mod_nw_tos:4`. The largest value, and what it needs. */
interface Setter {
  readonly field: string;
  readonly max: number;
  readonly demand: Demand | null;
}

const NUMBER_SETTERS: Readonly<Partial<Record<SetSpelling, Setter>>> = {
  mod_nw_tos: { field: "nw_tos", max: 255, demand: "ip" },
  mod_nw_ecn: { field: "nw_ecn", max: 3, demand: "ip" },
  mod_nw_ttl: { field: "nw_ttl", max: 255, demand: "ip" },
  set_mpls_label: { field: "mpls_label", max: 0xfffff, demand: "mpls" },
  set_mpls_tc: { field: "mpls_tc", max: 7, demand: "mpls" },
  set_mpls_ttl: { field: "mpls_ttl", max: 255, demand: "mpls" },
};

/** From OpenFlow 1.2 on the switch is sent set_field for these, which asks less of the packet than they do. */
const SENT_AS_SET_FIELD: ReadonlySet<SetSpelling> = new Set([
  "set_mpls_label",
  "set_mpls_tc",
  "set_vlan_vid",
  "set_vlan_pcp",
  "mod_tp_src",
  "mod_tp_dst",
]);

const sentAs = (spelling: SetSpelling, version: Reading["version"]): SetSpelling =>
  SENT_AS_SET_FIELD.has(spelling) && version !== null && version !== "OpenFlow10" ? "set_field" : spelling;

function numberSetter(spelling: SetSpelling): ActionParser {
  const { field, max, demand } = NUMBER_SETTERS[spelling]!;
  return (context, pair) => {
    const value = BigInt(number(context, pair.value, max, spelling));
    const target = fieldNamed(field);
    if ((value & ~target.valid) !== 0n)
      throw new Fault(pair.value, `${spelling}:${value} would touch the ECN bits: a multiple of 4 would not`);
    if (demand !== null) context.consistency.demand(demand, pair.span, spelling);
    return setOf(pair, sentAs(spelling, context.reading.version), target, value);
  };
}

function vlanSetter(spelling: SetSpelling): ActionParser {
  const isVid = spelling.endsWith("vid");
  return (context, pair) => {
    const value = BigInt(number(context, pair.value, isVid ? 0xfff : 7, spelling));
    if (spelling.startsWith("set_")) context.consistency.demand("tag", pair.span, spelling);
    context.consistency.demand("frame", pair.span, spelling);
    const { version, isPushing } = context.reading;
    const isSent =
      spelling.startsWith("mod_") && (isPushing || (version !== null && version !== "OpenFlow10"));
    const { vlan } = context.consistency.protocols;
    context.consistency.become({ vlan: "tagged" });
    const set = setOf(
      pair,
      isSent ? "set_field" : sentAs(spelling, version),
      fieldNamed(isVid ? "vlan_vid" : "vlan_pcp"),
      isVid ? value | 0x1000n : value,
    );
    // From OpenFlow 1.1 on ovs-ofctl sends a push first, unless the match, or an action before, says that there is a tag.
    if (!isSent || vlan === "tagged") return set;
    return [{ type: "push_vlan", span: pair.span, ethertype: 0x8100 }, set];
  };
}

function macSetter(spelling: SetSpelling, field: string): ActionParser {
  return (context, pair) => {
    const value = readMac(pair.value.text);
    if (value === null)
      throw new Fault(
        pair.value.text === "" ? pair.key : pair.value,
        `${clip(pair.value.text)} is no Ethernet address: 52:54:00:00:00:0b is`,
      );
    context.reading.value(pair.value, fieldNamed(field));
    context.consistency.demand("frame", pair.span, spelling);
    return setOf(pair, spelling, fieldNamed(field), value);
  };
}

function ipv4Setter(spelling: SetSpelling, field: string): ActionParser {
  return (context, pair) => {
    const value = readDotted(pair.value.text);
    if (value === null)
      throw new Fault(
        pair.value.text === "" ? pair.key : pair.value,
        `${clip(pair.value.text)} is no IPv4 address: 203.0.113.7 is`,
      );
    context.reading.value(pair.value, fieldNamed(field));
    context.consistency.demand("ipv4", pair.span, spelling);
    return setOf(pair, spelling, fieldNamed(field), value);
  };
}

const TRANSPORTS: ReadonlyMap<number, string> = new Map([
  [PROTOCOL.tcp, "tcp"],
  [PROTOCOL.udp, "udp"],
  [PROTOCOL.sctp, "sctp"],
]);

function transportSetter(spelling: SetSpelling): ActionParser {
  const end = spelling.slice(-3);
  return (context, pair) => {
    const value = BigInt(number(context, pair.value, 0xffff, spelling));
    context.consistency.demand("ports", pair.span, spelling);
    const transport = TRANSPORTS.get(context.consistency.protocols.nwProto);
    // Where the match leaves the protocol open (a bucket, an action set), the switch is sent the action itself.
    const sent = transport === undefined ? spelling : sentAs(spelling, context.reading.protocol);
    return setOf(pair, sent, fieldNamed(`${transport ?? "tcp"}_${end}`), value);
  };
}

function tunnelSetter(spelling: SetSpelling): ActionParser {
  return (context, pair) => {
    const value = readInteger(pair.value.text, 8);
    if (typeof value === "string")
      throw new Fault(pair.span, `${spelling}: ${clip(pair.value.text)} ${value}`);
    context.reading.value(pair.value, fieldNamed("tun_id"));
    return setOf(pair, spelling, fieldNamed("tun_id"), value);
  };
}

function target(text: Token): Field {
  const field = plainField(text.text);
  if (field !== undefined) return field;
  throw new Fault(
    text,
    `there is no field ${clip(text.text)} for set_field${nearest(text.text, FIELD_NAMES)}`,
  );
}

function writable(field: Field, span: Span, nesting: Nesting): void {
  // Open vSwitch takes these and sets another field: it has no number for them on the wire.
  if (field.nxm === null && field.isWritable)
    throw new Fault(span, `${field.name} cannot be set: vlan_vid, vlan_pcp and vlan_tci can`);
  if (!field.isWritable) throw new Fault(span, `${field.name} is read-only`);
  const isCt = field.name === "ct_mark" || field.name === "ct_label";
  if (isCt && nesting !== "ct")
    throw new Fault(span, `${field.name} is set only inside of ct(commit,exec(…))`);
  if (!isCt && nesting === "ct")
    throw new Fault(span, `inside of ct(exec(…)) only ct_mark and ct_label are set, not ${field.name}`);
}

/** Setting bits of the TCI sets or takes the tag, as far as Open vSwitch follows it: by the value, whatever its mask. */
function tagOf(context: ActionReading, value: bigint): void {
  context.consistency.become({ vlan: (value & 0x1000n) === 0n ? "untagged" : "tagged" });
}

/** `set_field:5->vlan_vid` lacks the bit that says "there is a tag": OpenFlow 1.0 adds it, later versions refuse. */
function withoutPresence(context: ActionReading, pair: Pair, text: Token, value: bigint): Action {
  const message = `vlan_vid is set with its presence bit: ${value | 0x1000n} is VLAN ${value}`;
  const { protocol } = context.reading;
  if (protocol !== null && protocol !== "OpenFlow10") throw new Fault(text, message);
  context.consistency.field(fieldNamed("vlan_vid"), pair.span, "set_field");
  context.reading.warn(text, `${message}; OpenFlow 1.1 and later refuse this one`);
  return setOf(pair, "set_field", fieldNamed("vlan_vid"), value | 0x1000n);
}

function parseSetField(context: ActionReading, pair: Pair): Action | null {
  const [left, right] = arrow(pair);
  const field = target(right);
  writable(field, right, context.nesting);
  const read = context.reading.isPrinted ? readPrintedValue : readValue;
  const masked = read(field, left.text, context.reading.ports);
  if (typeof masked === "string")
    throw new Fault(left.text === "" ? pair.span : left, `${field.name}: ${clip(left.text)} ${masked}`);
  context.reading.value(left, field);
  const valid = field.name === "arp_op" ? 0xffn : field.valid;
  const mask = masked.mask & valid;
  if ((masked.value & ~valid) !== 0n)
    throw new Fault(
      left,
      `${field.name} has no value ${clip(left.text)}: 0x${valid.toString(16)} has all its bits`,
    );
  const { isPrinted } = context.reading;
  if (!isPrinted && !field.isMaskable && field.format !== "port" && mask !== 0n && mask !== valid)
    throw new Fault(left, `${field.name} takes no mask: it is set whole`);
  if (context.reading.protocol === "OpenFlow15" && (masked.value & ~mask) !== 0n)
    throw new Fault(left, "OpenFlow 1.5 takes no value with bits outside its mask (OFPBMC_BAD_WILDCARDS)");
  if (mask === 0n) return null;
  if (field.name === "vlan_vid" && (masked.value & 0x1000n) === 0n)
    return withoutPresence(context, pair, left, masked.value);
  context.consistency.field(field, pair.span, "set_field");
  if (field.name === "vlan_tci") tagOf(context, masked.value);
  const value = masked.value & mask;
  // All bits of a field that does not fill its bytes are still a mask to Open vSwitch, as they are in a load.
  const isPadded = field.bits % 8 !== 0 && valid === ones(field.bits);
  const isMasked = left.text.includes("/") && mask === valid && isPadded;
  return setOf(pair, isMasked ? "load" : "set_field", field, value, mask === valid ? field.valid : mask);
}

function parseLoad(context: ActionReading, pair: Pair): Action {
  const [left, right] = arrow(pair);
  const { field, start, bits } = parseSubfield(right);
  const value = left.text.startsWith("-") ? "is negative" : readInteger(left.text, 16);
  if (typeof value === "string")
    throw new Fault(left.text === "" ? pair.span : left, `load: ${clip(left.text)} ${value}`);
  if (value > ones(bits))
    throw new Fault(left, `${clip(left.text)} does not fit into the ${bits} bits of ${right.text}`);
  context.reading.value(left, field);
  writable(field, right, context.nesting);
  context.consistency.field(field, pair.span, "set_field");
  const valid = field.name === "arp_op" ? 0xffn : field.valid;
  if (context.reading.protocol === "OpenFlow15" && ((value << BigInt(start)) & ~valid) !== 0n)
    throw new Fault(left, `${field.name} has no such value (OFPBAC_BAD_SET_ARGUMENT)`);
  if (field.name === "vlan_tci") tagOf(context, value << BigInt(start));
  return setOf(pair, "load", field, value << BigInt(start), ones(bits) << BigInt(start));
}

function parseMove(context: ActionReading, pair: Pair): Action {
  const [left, right] = arrow(pair);
  const [from, to] = [parseSubfield(left), parseSubfield(right)];
  if (from.bits !== to.bits)
    throw new Fault(pair.span, `move of ${from.bits} bits into ${to.bits}: both sides must be of one width`);
  writable(to.field, right, context.nesting);
  context.consistency.field(from.field, left, "move");
  context.consistency.field(to.field, right, "move");
  return { type: "move", span: pair.span, from, to };
}

function parseStack(context: ActionReading, pair: Pair, kind: "push" | "pop"): Action {
  const subfield = parseSubfield(pair.value.text === "" ? pair.key : pair.value);
  if (kind === "pop") writable(subfield.field, pair.value, context.nesting);
  context.consistency.field(subfield.field, pair.value, kind);
  return kind === "push"
    ? { type: "push", span: pair.span, from: subfield }
    : { type: "pop", span: pair.span, to: subfield };
}

function parseDecTtl(context: ActionReading, pair: Pair): Action {
  const ids = pair.value.text === "" ? [] : listed(pair.value);
  const controllers = ids.map(id => number(context, id, 0xffff, "the controller's id"));
  context.consistency.demand("ip", pair.span, "dec_ttl");
  return { type: "dec_ttl", span: pair.span, controllers };
}

function parseMetadata(context: ActionReading, pair: Pair): Action {
  const masked = readValue(fieldNamed("metadata"), pair.value.text, context.reading.ports);
  if (typeof masked === "string")
    throw new Fault(pair.span, `write_metadata: ${clip(pair.value.text)} ${masked}`);
  context.reading.value(pair.value, fieldNamed("metadata"));
  return { type: "write_metadata", span: pair.span, value: masked.value, mask: masked.mask };
}

/** Actions that are no member of an action set (ofpact_is_allowed_in_actions_set()): a switch refuses the flow. */
const NOT_IN_SETS: ReadonlySet<string> = new Set([
  ..."bundle bundle_load check_pkt_larger clone controller debug_recirc debug_slow delete_field enqueue exit".split(
    " ",
  ),
  ..."fin_timeout learn multipath note output_field output_truncated pop pop_queue push sample".split(" "),
]);

function checkSet(actions: readonly Action[]): void {
  for (const action of actions) {
    const name = action.type === "other" ? action.name : action.type;
    if (!NOT_IN_SETS.has(name) || (action.type === "controller" && isPlainController(action))) continue;
    const what = action.type === "controller" ? "controller with arguments other than max_len" : name;
    throw new Fault(action.span, `${what} cannot stand inside of write_actions (OFPBAC_BAD_TYPE)`);
  }
}

const isPlainController = (action: Action & { type: "controller" }): boolean =>
  action.reason === "action" &&
  action.id === 0 &&
  action.userdata === null &&
  !action.pause &&
  action.meter === null;

function parseNested(context: ActionReading, pair: Pair, type: "clone" | "write_actions"): Action | null {
  const consistency = context.consistency.inner(type === "clone" ? "list" : "set");
  const actions = parseActionList(
    { ...context, nesting: type, depth: context.depth + 1, consistency },
    pair.value,
  );
  if (type === "write_actions" && !context.reading.isPrinted) checkSet(actions);
  // An action set of nothing is no instruction at all.
  return type === "write_actions" && actions.length === 0 ? null : { type, span: pair.span, actions };
}

function parseConjunction(context: ActionReading, pair: Pair): Action {
  const found = /^\s*([^,]+),\s*([^/]+)\/(.+?)\s*$/.exec(pair.value.text);
  if (found === null)
    throw new Fault(
      pair.span,
      "conjunction takes its id, a clause and how many there are: conjunction(1,1/2)",
    );
  const [id, clause, clauses] = found
    .slice(1)
    .map(text => number(context, { ...pair.value, text: text!.trim() }, 0xffffffff, "conjunction"));
  if (clauses! < 2 || clauses! > 64)
    throw new Fault(pair.value, `a conjunction has 2 to 64 clauses, not ${clauses}`);
  if (clause! < 1 || clause! > clauses!)
    throw new Fault(pair.value, `there is no clause ${clause} of ${clauses}: they count from 1`);
  return { type: "conjunction", span: pair.span, id: id!, clause: clause!, clauses: clauses! };
}

function parseGoto(context: ActionReading, pair: Pair): Action {
  return { type: "goto_table", span: pair.span, table: table(context, pair.value) };
}

function parseMeter(context: ActionReading, pair: Pair): Action {
  const meter = number(context, pair.value, 0xffffffff, "the meter");
  if (meter === 0 || meter > 0xffff0000)
    throw new Fault(pair.value, `there is no meter ${meter}: they count from 1 to 0xffff0000`);
  return { type: "meter", span: pair.span, meter };
}

const plain =
  (type: "clear_actions" | "exit" | "pop_queue"): ActionParser =>
  (_, pair) => ({ type, span: pair.span });

/** Every action that is modelled, by its name; names are taken in any case. */
const ACTIONS: Readonly<Record<string, ActionParser>> = {
  output: parseOutput,
  controller: parseController,
  enqueue: parseEnqueue,
  group: (context, pair) => ({
    type: "group",
    span: pair.span,
    group: number(context, pair.value, 0xffffffff, "the group"),
  }),
  resubmit: parseResubmit,
  goto_table: parseGoto,
  push_vlan: parsePushVlan,
  pop_vlan: parsePopVlan,
  strip_vlan: parsePopVlan,
  push_mpls: parsePushMpls,
  pop_mpls: parsePopMpls,
  mod_dl_src: macSetter("mod_dl_src", "eth_src"),
  mod_dl_dst: macSetter("mod_dl_dst", "eth_dst"),
  mod_nw_src: ipv4Setter("mod_nw_src", "ip_src"),
  mod_nw_dst: ipv4Setter("mod_nw_dst", "ip_dst"),
  mod_nw_tos: numberSetter("mod_nw_tos"),
  mod_nw_ecn: numberSetter("mod_nw_ecn"),
  mod_nw_ttl: numberSetter("mod_nw_ttl"),
  set_nw_ttl: numberSetter("mod_nw_ttl"),
  mod_tp_src: transportSetter("mod_tp_src"),
  mod_tp_dst: transportSetter("mod_tp_dst"),
  mod_vlan_vid: vlanSetter("mod_vlan_vid"),
  mod_vlan_pcp: vlanSetter("mod_vlan_pcp"),
  set_vlan_vid: vlanSetter("set_vlan_vid"),
  set_vlan_pcp: vlanSetter("set_vlan_pcp"),
  set_mpls_label: numberSetter("set_mpls_label"),
  set_mpls_tc: numberSetter("set_mpls_tc"),
  set_mpls_ttl: numberSetter("set_mpls_ttl"),
  set_tunnel: tunnelSetter("set_tunnel"),
  set_tunnel64: tunnelSetter("set_tunnel64"),
  set_field: parseSetField,
  load: parseLoad,
  move: parseMove,
  push: (context, pair) => parseStack(context, pair, "push"),
  pop: (context, pair) => parseStack(context, pair, "pop"),
  dec_ttl: parseDecTtl,
  dec_mpls_ttl: ({ consistency }, pair) => {
    consistency.demand("mpls", pair.span, "dec_mpls_ttl");
    return { type: "dec_mpls_ttl", span: pair.span };
  },
  dec_nsh_ttl: ({ consistency }, pair) => {
    consistency.demand("nsh", pair.span, "dec_nsh_ttl");
    return { type: "dec_nsh_ttl", span: pair.span };
  },
  set_queue: (context, pair) => ({
    type: "set_queue",
    span: pair.span,
    queue: number(context, pair.value, 0xffffffff, "the queue"),
  }),
  pop_queue: plain("pop_queue"),
  write_metadata: parseMetadata,
  write_actions: (context, pair) => parseNested(context, pair, "write_actions"),
  clear_actions: plain("clear_actions"),
  clone: (context, pair) => parseNested(context, pair, "clone"),
  meter: parseMeter,
  conjunction: parseConjunction,
  note: (_, pair) => ({ type: "note", span: pair.span, bytes: readBytes(pair.value) }),
  exit: plain("exit"),
};

const NAMES = [...Object.keys(ACTIONS), ...Object.keys(OTHER_ACTIONS), "drop", ...RESERVED_PORTS.keys()];

function parseAction(context: ActionReading, pair: Pair): ParsedAction {
  const name = pair.key.text.toLowerCase();
  const parser = Object.hasOwn(ACTIONS, name)
    ? ACTIONS[name]
    : Object.hasOwn(OTHER_ACTIONS, name)
      ? OTHER_ACTIONS[name]
      : undefined;
  if (parser !== undefined) return parser(context, pair);
  if (name === "apply_actions")
    throw new Fault(pair.span, "apply_actions is what actions are without it: leave it out");
  const { ports } = context.reading;
  const to = isKnownPort(pair.key.text, ports) ? readPort(pair.key.text, ports) : null;
  if (to === null)
    throw new Fault(pair.key, `there is no action ${clip(pair.key.text)}${nearest(pair.key.text, NAMES)}`);
  context.reading.value(pair.key);
  return outputTo(pair, to);
}

/** The order in which instructions must stand; actions that are none are apply_actions. */
const ORDER = ["meter", "apply_actions", "clear_actions", "write_actions", "write_metadata", "goto_table"];

const instructionOf = (action: Action): number =>
  Math.max(ORDER.indexOf(action.type), ORDER.indexOf("apply_actions") * Number(!ORDER.includes(action.type)));

function checkOrder(actions: readonly Action[]): void {
  let last = 0;
  for (const action of actions) {
    const now = instructionOf(action);
    if (now < last || (now === last && now !== 1 && action !== actions[0])) {
      const name = ORDER[now]!;
      const before = ORDER[last]!;
      const what = now === last ? `there can be only one ${name}` : `${name} must stand before ${before}`;
      throw new Fault(action.span, `${what}: OpenFlow 1.1 and later have one order of instructions`);
    }
    last = now;
  }
}

function checkConjunctions(actions: readonly Action[]): void {
  if (!actions.some(({ type }) => type === "conjunction")) return;
  const other = actions.find(({ type }) => type !== "conjunction" && type !== "note");
  if (other !== undefined) throw new Fault(other.span, "beside conjunction only note may stand");
}

/** Instructions that may stand at the top of a flow only, and what clone() refuses besides. */
const TOP_ONLY = ["meter", "clear_actions", "write_actions", "write_metadata", "goto_table"];

/** Reads a list of actions inside of parentheses or at the end of a flow. */
export function parseActionList(context: ActionReading, text: Span): Action[] {
  const limit = MAX_DEPTH[context.reading.isPrinted ? "printed" : "written"];
  if (context.depth > limit) throw new Fault(text, `actions are nested more than ${limit} deep`);
  const actions: Action[] = [];
  let drop: Span | null = null;
  let count = 0;
  for (const pair of scanPairs(context.reading.text, text.start, text.end)) {
    if (pair.key.text.toLowerCase() === "drop") {
      drop = pair.span;
      continue;
    }
    count++;
    for (const action of [parseAction(context, pair) ?? []].flat()) {
      if (context.nesting !== "flow" && TOP_ONLY.includes(action.type))
        throw new Fault(action.span, `${action.type} cannot stand inside of ${context.nesting}`);
      actions.push(action);
    }
  }
  if (drop !== null && count > 0) throw new Fault(drop, "drop stands alone: it is a list of no actions");
  checkConjunctions(actions);
  return actions;
}

/** Reads all actions of a flow; instructions stand in their order. */
export function parseInstructions(reading: Reading, consistency: Consistency, text: Span): Action[] {
  const actions = parseActionList(
    { reading, consistency, nesting: "flow", depth: 0, readList: parseActionList },
    text,
  );
  checkOrder(actions);
  return actions;
}
