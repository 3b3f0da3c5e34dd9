/**
 * Actions that are read strictly and printed back but not modelled: learn, ct, multipath, bundle, sample and their
 * kind (ovs-actions(7)). Each keeps Open vSwitch's own spelling as `text`, so that two of them are the same exactly
 * when they print alike.
 */
import {
  type ActionParser,
  type ActionReading,
  arrow,
  keyed,
  listed,
  number,
  port,
  required,
  table,
  trimmed,
} from "./arguments.ts";
import type { Action, Subfield } from "./ast.ts";
import { findField, plainField } from "./fields.ts";
import { clip, Fault, nearest, type Pair, scanPairs, type Token } from "./lexer.ts";
import {
  type MatchReading,
  newMatch,
  PREREQUISITES,
  PROTOCOL,
  protocolsOf,
  writeBits,
} from "./parse-match.ts";
import { formatActions } from "./print.ts";
import { formatSubfield, parseSubfield } from "./subfield.ts";
import {
  formatDotted,
  formatHex,
  formatIpv6Address,
  formatPort,
  formatValue,
  ones,
  readDotted,
  readInteger,
  readIpv6Address,
  readValue,
} from "./values.ts";

function other(
  pair: Pair,
  name: string,
  text: string,
  nested: readonly Action[] = [],
  reads: readonly Subfield[] = [],
): Action {
  return { type: "other", span: pair.span, name, text, nested, reads };
}

const oneOf = (text: Token, known: readonly string[], what: string): string => {
  if (known.includes(text.text)) return text.text;
  throw new Fault(text, `there is no ${what} ${clip(text.text) || "here"}: ${known.join(", ")} are`);
};

const HASHES = [
  "eth_src",
  "symmetric_l4",
  "symmetric_l3l4",
  "symmetric_l3l4+udp",
  "nw_src",
  "nw_dst",
  "symmetric_l3",
];
const MULTIPATHS = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];

function parseMultipath(context: ActionReading, pair: Pair): Action {
  const parts = listed(pair.value);
  if (parts.length !== 6)
    throw new Fault(
      pair.span,
      "multipath takes a hash, its basis, an algorithm, links, an argument and a field: multipath(eth_src,50,modulo_n,4,0,reg0[])",
    );
  const [hash, basis, algorithm, links, argument, to] = parts as [Token, Token, Token, Token, Token, Token];
  const subfield = parseSubfield(to);
  const linkCount = number(context, links, 65536, "how many links there are");
  if (linkCount < 1) throw new Fault(links, "multipath needs at least one link");
  if (subfield.bits < 17 && linkCount > 2 ** subfield.bits)
    throw new Fault(
      to,
      `${to.text} has ${2 ** subfield.bits} values, fewer than there are links (${linkCount})`,
    );
  const text = [
    oneOf(hash, HASHES, "hash"),
    number(context, basis, 0xffff, "the basis"),
    oneOf(algorithm, MULTIPATHS, "algorithm"),
    linkCount,
    number(context, argument, 0xffffffff, "the argument"),
    formatSubfield(subfield),
  ];
  return other(pair, "multipath", `multipath(${text.join(",")})`);
}

/** `members:[2,3]` is what `members:2,3` is. */
function withoutBrackets({ reading }: ActionReading, start: number, end: number): [from: number, to: number] {
  const { text } = trimmed({ text: reading.text.slice(start, end), start, end });
  if (!text.startsWith("[") || !text.endsWith("]")) return [start, end];
  return [reading.text.indexOf("[", start) + 1, reading.text.lastIndexOf("]", end - 1)];
}

/** bundle(hash,basis,algorithm,ofport,members:1,2) and bundle_load with a field before the members. */
function bundle(name: "bundle" | "bundle_load"): ActionParser {
  return (context, pair) => {
    const isLoad = name === "bundle_load";
    const at = /,?\s*(?:members|slaves):/.exec(pair.value.text);
    if (at === null)
      throw new Fault(
        pair.span,
        `${name} lacks its members: ${name}(eth_src,0,hrw,ofport,${isLoad ? "reg0[]," : ""}members:1,2)`,
      );
    const { start, text } = pair.value;
    const head = listed({ text: text.slice(0, at.index), start, end: start + at.index });
    if (head.length !== (isLoad ? 5 : 4))
      throw new Fault(
        pair.span,
        `${name} takes ${isLoad ? 5 : 4} arguments before its members, not ${head.length}`,
      );
    const [from, to] = withoutBrackets(context, start + at.index + at[0].length, pair.value.end);
    const members: string[] = [];
    for (const { key } of scanPairs(context.reading.text, from, to))
      members.push(formatPort(port(context, key)));
    const parts = [
      oneOf(head[0]!, HASHES, "hash"),
      number(context, head[1]!, 0xffff, "the basis"),
      oneOf(head[2]!, ["active_backup", "hrw"], "algorithm"),
      oneOf(head[3]!, ["ofport"], "type of member"),
      ...(isLoad ? [formatSubfield(parseSubfield(head[4]!))] : []),
    ];
    return other(pair, name, `${name}(${parts.join(",")},members:${members.join(",")})`);
  };
}

function parseSample(context: ActionReading, pair: Pair): Action {
  const keys = [
    "probability",
    "collector_set_id",
    "obs_domain_id",
    "obs_point_id",
    "sampling_port",
    "egress",
    "ingress",
  ];
  const found = keyed(context, pair, keys);
  const probability = number(context, required(pair, found, "probability"), 0xffff, "probability");
  if (probability === 0)
    throw new Fault(
      found.get("probability")!,
      "a probability of 0 would sample nothing: 1 to 65535 are possible",
    );
  const parts = [`probability=${probability}`];
  for (const key of ["collector_set_id", "obs_domain_id"] as const) {
    const value = found.get(key);
    parts.push(`${key}=${value === undefined ? 0 : number(context, value, 0xffffffff, key)}`);
  }
  // The observation point may be a field from Open vSwitch 3.4 on.
  const point = found.get("obs_point_id");
  const field = point !== undefined && /^[A-Za-z]/.test(point.text) ? parseSubfield(point) : null;
  const idOf = (): number => (point === undefined ? 0 : number(context, point, 0xffffffff, "obs_point_id"));
  parts.push(`obs_point_id=${field === null ? idOf() : formatSubfield(field)}`);
  const sampling = found.get("sampling_port");
  if (sampling !== undefined) parts.push(`sampling_port=${formatPort(port(context, sampling))}`);
  for (const direction of ["egress", "ingress"]) if (found.has(direction)) parts.push(direction);
  return other(pair, "sample", `sample(${parts.join(",")})`, [], field === null ? [] : [field]);
}

function parseFinTimeout(context: ActionReading, pair: Pair): Action {
  const found = keyed(context, pair, ["idle_timeout", "hard_timeout"]);
  const parts: string[] = [];
  for (const [key, text] of [...found].sort(([a], [b]) => b.localeCompare(a))) {
    const value = number(context, text, 0xffff, key);
    if (value !== 0) parts.push(`${key}=${value}`);
  }
  context.consistency.demand("tcp", pair.span, "fin_timeout");
  return other(pair, "fin_timeout", `fin_timeout(${parts.join(",")})`);
}

const HEADERS = ["ethernet", "mpls", "mpls_mc", "nsh"];

/** What a packet is behind encap: a frame, or NSH or MPLS without one. */
function encapsulated({ consistency }: ActionReading, header: string): void {
  if (header === "ethernet") consistency.become({ isEthernet: true });
  else
    consistency.become({
      isEthernet: false,
      dlType: header === "mpls" ? 0x8847 : header === "mpls_mc" ? 0x8848 : 0x894f,
      nwProto: 0,
      icmp6Type: -1,
    });
}

function parseEncap(context: ActionReading, pair: Pair): Action {
  const inner = trimmed(pair.value);
  encapsulated(context, inner.text);
  if (!inner.text.startsWith("nsh"))
    return other(pair, "encap", `encap(${oneOf(inner, HEADERS, "header to put around a packet")})`);
  const parts: string[] = [];
  for (const { key, value } of scanPairs(context.reading.text, inner.start, inner.end)) {
    oneOf(key, ["nsh"], "header to put around a packet");
    for (const property of scanPairs(context.reading.text, value.start, value.end))
      parts.push(nshProperty(context, property));
  }
  return other(pair, "encap", `encap(nsh${parts.length === 0 ? "" : `(${parts.join(",")})`})`);
}

function nshProperty(context: ActionReading, { key, value }: Pair): string {
  if (oneOf(key, ["md_type", "tlv"], "property of NSH") === "md_type") {
    const type = number(context, value, 2, "md_type");
    if (type < 1) throw new Fault(value, "md_type is 1 or 2");
    return `md_type=${type}`;
  }
  const parts = listed(value);
  if (parts.length !== 3)
    throw new Fault(value, "tlv takes a class, a type and data: tlv(0x1000,10,0x12345678)");
  const [space, type, data] = parts as [Token, Token, Token];
  if (!/^0x[0-9a-f]+$/i.test(data.text))
    throw new Fault(data, `${clip(data.text)} is no hexadecimal data: 0x12345678 is`);
  return `tlv(0x${number(context, space, 0xffff, "the class").toString(16).padStart(4, "0")},${number(context, type, 255, "the type")},${data.text.toLowerCase()})`;
}

const UNKNOWN_ETHERTYPE = 0xffff;

function parseDecap(context: ActionReading, pair: Pair): Action {
  // Behind the Ethernet header comes what its type says; what comes behind that one nobody knows.
  const { isEthernet } = context.consistency.protocols;
  context.consistency.become(isEthernet ? { isEthernet: false } : { dlType: UNKNOWN_ETHERTYPE });
  if (trimmed(pair.value).text === "") return other(pair, "decap", "decap()");
  const parts: string[] = [];
  for (const one of scanPairs(context.reading.text, pair.value.start, pair.value.end)) {
    oneOf(one.key, ["packet_type"], "argument of decap");
    const found = keyed(context, one, ["ns", "type"]);
    const [space, type] = [required(one, found, "ns"), required(one, found, "type")];
    const ns = number(context, space, 0xffff, "the name space");
    if (ns > 1) throw new Fault(space, `name space ${ns} is not supported: 0 and 1 are`);
    parts.push(`packet_type(ns=${ns},type=${formatHex(BigInt(number(context, type, 0xffff, "the type")))})`);
  }
  return other(pair, "decap", `decap(${parts.join(",")})`);
}

function parseCheckPacketLarger(context: ActionReading, pair: Pair): Action {
  const [size, to] = arrow(pair);
  const bytes = number(context, trimmed(size), 0xffff, "the length");
  const subfield = parseSubfield(to);
  if (subfield.bits !== 1)
    throw new Fault(to, `the answer is one bit: ${subfield.field.name}[0] would be one`);
  return other(pair, "check_pkt_larger", `check_pkt_larger(${bytes})->${formatSubfield(subfield)}`);
}

function parseDeleteField(_: ActionReading, pair: Pair): Action {
  const field = plainField(pair.value.text);
  if (field === undefined || field.place !== null)
    throw new Fault(
      pair.value.text === "" ? pair.key : pair.value,
      "delete_field takes a field of tunnel metadata: tun_metadata0 … tun_metadata63",
    );
  return other(pair, "delete_field", `delete_field:${field.name}`);
}

/** An address of either family, IPv6 in brackets or without: without them it takes all colons. */
const NAT_RANGES = [
  /^(\d[\d.]*)(?:-(\d[\d.]*))?(?::(\d+)(?:-(\d+))?)?$/,
  /^\[([^\]]+)\](?:-\[([^\]]+)\])?(?::(\d+)(?:-(\d+))?)?$/,
  /^([\da-f:.]*:[\da-f:.]*)(?:-([\da-f:.]+))?()()$/i,
];

/** An address range with ports, `1.2.3.4-1.2.3.9:80-90`, `[::1]-[::9]:80`, as nat prints it. */
function natRange(text: Token): { text: string; isV6: boolean } {
  const found = NAT_RANGES.map(range => range.exec(text.text)).find(one => one !== null) ?? null;
  const bad = (): never => {
    throw new Fault(
      text,
      `${clip(text.text)} is no range of addresses: 10.0.0.1-10.0.0.9:1024-2048 and [2001:db8::1]-[2001:db8::9]:80 are`,
    );
  };
  if (found === null) return bad();
  const [low, high] = [found[1]!, found[2]];
  const isV6 = low.includes(":");
  const read = isV6 ? readIpv6Address : readDotted;
  const first = read(low);
  const last = high === undefined ? first : read(high);
  const [from, to] = [Number(found[3] || 0), Number(found[4] || found[3] || 0)];
  if (first === null || last === null || last < first || to < from || to > 0xffff) return bad();
  // Port 0 is none.
  const hasPorts = from > 0;
  const print = (address: bigint): string =>
    isV6
      ? hasPorts
        ? `[${formatIpv6Address(address)}]`
        : formatIpv6Address(address)
      : formatDotted(address);
  const ports = hasPorts ? `:${from}${to > from ? `-${to}` : ""}` : "";
  return { text: `${print(first)}${last > first ? `-${print(last)}` : ""}${ports}`, isV6 };
}

const NAT_FLAGS = ["persistent", "hash", "random"];

function formatNat(context: ActionReading, pair: Pair): string {
  const found = keyed(context, pair, ["src", "dst", ...NAT_FLAGS]);
  const sides = ["src", "dst"].filter(side => found.has(side));
  const flags = NAT_FLAGS.filter(flag => found.has(flag));
  if (sides.length > 1) throw new Fault(pair.span, "nat changes src or dst, not both");
  if (sides.length === 0 && flags.length > 0)
    throw new Fault(pair.span, `${flags.join(" and ")} of nat needs src or dst`);
  if (flags.includes("hash") && flags.includes("random"))
    throw new Fault(pair.span, "nat picks ports by hash or at random, not both");
  if (sides.length === 0) return "nat";
  const value = found.get(sides[0]!)!;
  if (value.text === "") return `nat(${sides[0]})`;
  const range = natRange(value);
  const { dlType } = context.consistency.protocols;
  if (context.consistency.isKnown && range.isV6 !== (dlType === 0x86dd))
    throw new Fault(
      value,
      `nat to ${range.text} needs ${range.isV6 ? "ipv6" : "ip"} in the match (OFPBAC_MATCH_INCONSISTENT)`,
    );
  return `nat(${[`${sides[0]}=${range.text}`, ...flags].join(",")})`;
}

/** The parts of ct(…) while they are read; each of them at most once. */
interface Tracking {
  isCommit: boolean;
  isForce: boolean;
  table: string;
  zone: string;
  nat: string;
  alg: string;
  nested: Action[];
  reads: Subfield[];
}

type TrackingReader = (context: ActionReading, pair: Pair, ct: Tracking) => void;

const CT_PARTS: Readonly<Record<string, TrackingReader>> = {
  commit: (_, _pair, ct) => {
    ct.isCommit = true;
  },
  force: (_, _pair, ct) => {
    ct.isForce = true;
  },
  table: (context, { value }, ct) => {
    const number = table(context, value);
    if (number === 255) throw new Fault(value, "ct cannot go on in table 255");
    ct.table = String(number);
  },
  zone: (context, { value }, ct) => {
    const isNumber = /^\d/.test(value.text);
    if (isNumber) {
      const zone = number(context, value, 0xffff, "the zone");
      ct.zone = zone === 0 ? "" : String(zone);
      return;
    }
    const subfield = parseSubfield(value);
    if (subfield.bits !== 16)
      throw new Fault(value, `a zone has 16 bits, ${value.text} has ${subfield.bits}`);
    ct.zone = formatSubfield(subfield);
    ct.reads.push(subfield);
  },
  alg: ({ consistency }, { value, span }, ct) => {
    ct.alg = oneOf(value, ["ftp", "tftp"], "helper");
    const wanted = ct.alg === "ftp" ? PROTOCOL.tcp : PROTOCOL.udp;
    if (consistency.isKnown && consistency.protocols.nwProto !== wanted)
      throw new Fault(
        span,
        `alg=${ct.alg} needs ${ct.alg === "ftp" ? "tcp" : "udp"} in the match (OFPBAC_MATCH_INCONSISTENT)`,
      );
  },
  nat: (context, pair, ct) => {
    ct.nat = formatNat(context, pair);
  },
  exec: (context, { value }, ct) => {
    const consistency = context.consistency.inner();
    const inner: ActionReading = { ...context, nesting: "ct", depth: context.depth + 1, consistency };
    ct.nested = context.readList(inner, value);
    ct.reads.push(...ct.nested.flatMap(action => (action.type === "move" ? action.from : [])));
    const wrong = ct.nested.find(({ type }) => type !== "set" && type !== "move");
    if (wrong !== undefined)
      throw new Fault(wrong.span, "inside of ct(exec(…)) only ct_mark and ct_label are set");
  },
};

/** A zone that is a field: Open vSwitch checks it, and then nothing inside (check_CT()). */
const hasFieldZone = (parts: readonly Pair[]): boolean =>
  parts.some(({ key, value }) => key.text === "zone" && !/^\d/.test(value.text));

function parseCt(outer: ActionReading, pair: Pair): Action {
  const ct: Tracking = {
    isCommit: false,
    isForce: false,
    table: "",
    zone: "",
    nat: "",
    alg: "",
    nested: [],
    reads: [],
  };
  const parts = [...scanPairs(outer.reading.text, pair.value.start, pair.value.end)];
  const unchecked = { ...outer, consistency: outer.consistency.inner("unchecked") };
  const isUnchecked = hasFieldZone(parts);
  for (const part of parts) {
    const context = isUnchecked && (part.key.text === "nat" || part.key.text === "exec") ? unchecked : outer;
    const reader = Object.hasOwn(CT_PARTS, part.key.text) ? CT_PARTS[part.key.text]! : null;
    if (reader === null)
      throw new Fault(
        part.key,
        `ct takes no ${clip(part.key.text)}${nearest(part.key.text, Object.keys(CT_PARTS))}`,
      );
    reader(context, part, ct);
  }
  if (ct.isForce && !ct.isCommit) throw new Fault(pair.span, "force of ct needs commit");
  if (!ct.isCommit && (ct.nested.length > 0 || ct.nat.startsWith("nat(")))
    throw new Fault(pair.span, "ct sets marks and addresses only with commit (OFPBAC_BAD_ARGUMENT)");
  checkTracking(outer, pair, ct);
  return other(pair, "ct", `ct(${partsOf(ct).join(",")})`, ct.nested, ct.reads);
}

function checkTracking({ consistency }: ActionReading, pair: Pair, ct: Tracking): void {
  if (!consistency.isKnown) return;
  const { dlType, isInvalid } = consistency.protocols;
  if (ct.isCommit && isInvalid)
    throw new Fault(
      pair.span,
      "ct(commit) needs a packet that is not ct_state=+inv (OFPBAC_MATCH_INCONSISTENT)",
    );
  if (dlType !== 0x800 && dlType !== 0x86dd)
    throw new Fault(pair.span, "ct needs ip or ipv6 in the match (OFPBAC_MATCH_INCONSISTENT)");
}

/**
 * The settings inside of ct, each by set_field, and those of one field that follow each other as one: OpenFlow 1.3 prints
 * one with a mask as several loads.
 */
function marksOf(nested: readonly Action[]): Action[] {
  const marks: Action[] = [];
  for (const action of nested) {
    const last = marks.at(-1);
    if (action.type !== "set") marks.push(action);
    else if (last?.type === "set" && last.field === action.field) {
      const [value, mask] = [(last.value & ~action.mask) | action.value, last.mask | action.mask];
      marks[marks.length - 1] = { ...last, value, mask };
    } else marks.push({ ...action, spelling: "set_field" });
  }
  return marks;
}

/** The parts of ct in the order of printing. */
function partsOf(ct: Tracking): string[] {
  const parts = [
    ct.isCommit ? "commit" : "",
    ct.isForce ? "force" : "",
    ct.table === "" ? "" : `table=${ct.table}`,
    ct.zone === "" ? "" : `zone=${ct.zone}`,
    ct.nat,
    ct.nested.length === 0 ? "" : `exec(${formatActions(marksOf(ct.nested))})`,
    ct.alg === "" ? "" : `alg=${ct.alg}`,
  ];
  return parts.filter(part => part !== "");
}

/** What learn says about the flow it makes, in the order of printing; 0 and the defaults are not printed. */
const LEARN_NUMBERS: readonly (readonly [key: string, max: number, isHexadecimal?: boolean])[] = [
  ["idle_timeout", 0xffff],
  ["hard_timeout", 0xffff],
  ["fin_idle_timeout", 0xffff],
  ["fin_hard_timeout", 0xffff],
  ["priority", 0xffff],
  ["send_flow_rem", 0],
  ["delete_learned", 0],
  ["cookie", Number.MAX_SAFE_INTEGER, true],
  ["limit", 0xffffffff],
];

/** What learn's new flow is known to match, as far as constants say (learn_check()). */
type Learned = MatchReading;

/** Asks that the new flow's match has what a field needs. */
function learnable(context: ActionReading, learned: Learned, to: Subfield, text: Token, what: string): void {
  if (!context.consistency.isKnown) return;
  const [holds, remedy] = PREREQUISITES[to.field.prerequisite];
  if (holds(protocolsOf(learned.key))) return;
  throw new Fault(
    text,
    `${what} of ${to.field.name} needs ${remedy} in the match that learn makes (OFPBAC_MATCH_INCONSISTENT)`,
  );
}

/** A constant to be loaded, or null when the text is no number; one that is too wide is an error. */
function constantOf(text: Token, bits: number): bigint | null {
  const constant = readInteger(text.text, 16);
  if (typeof constant === "bigint" && constant <= ones(bits)) return constant;
  if (!/^[+-]?\d/.test(text.text)) return null;
  throw new Fault(text, `${clip(text.text)} does not fit into ${bits} bits`);
}

/** One specification of learn: a match of the new flow, or an action of it, and the field whose value goes into it. */
interface LearnSpec {
  readonly text: string;
  readonly reads: Subfield | null;
}

const constantly = (text: string): LearnSpec => ({ text, reads: null });

function learnSpec(context: ActionReading, learned: Learned, { key, value, delimiter }: Pair): LearnSpec {
  if (key.text === "output") {
    const from = parseSubfield(value);
    context.consistency.field(from.field, value, "learn");
    return { text: `output:${formatSubfield(from)}`, reads: from };
  }
  if (key.text === "load") {
    const at = value.text.indexOf("->");
    if (at < 0) throw new Fault(value, "load of learn lacks its ->: load:NXM_OF_IN_PORT[]->reg0[0..15]");
    const [left, right]: [Token, Token] = [
      { text: value.text.slice(0, at), start: value.start, end: value.start + at },
      { text: value.text.slice(at + 2), start: value.start + at + 2, end: value.end },
    ];
    const to = parseSubfield(right);
    if (!to.field.isWritable) throw new Fault(right, `${to.field.name} is read-only`);
    learnable(context, learned, to, right, "load");
    const constant = constantOf(left, to.bits);
    if (constant !== null) {
      context.reading.value(left, to.field);
      return constantly(`load:${formatHex(constant)}->${formatSubfield(to)}`);
    }
    const from = sameWidth(context, left, to.bits);
    return { text: `load:${formatSubfield(from)}->${formatSubfield(to)}`, reads: from };
  }
  const to = parseSubfield(key);
  learnable(context, learned, to, key, "a match");
  if (delimiter === "") {
    context.consistency.field(to.field, key, "learn");
    return { text: formatSubfield(to), reads: to };
  }
  return learnMatch(context, learned, to, key, value);
}

/** What Open vSwitch reads as a field before it tries a number or a port's name. */
const isSubfield = (text: string): boolean => {
  const name = /^([A-Za-z]\w*)(?:\[[\d.]*\])?$/.exec(text)?.[1];
  return name !== undefined && findField(name) !== undefined;
};

/** A match of the new flow on a constant or on a field of the packet. */
function learnMatch(
  context: ActionReading,
  learned: Learned,
  to: Subfield,
  key: Token,
  value: Token,
): LearnSpec {
  const isWhole = to.start === 0 && to.bits === to.field.bits;
  const constant = isSubfield(value.text)
    ? "is a field"
    : isWhole
      ? readValue(to.field, value.text, context.reading.ports)
      : readInteger(value.text, 16);
  if (typeof constant === "string") {
    if (/^\d/.test(value.text)) throw new Fault(value, `${to.field.name}: ${clip(value.text)} ${constant}`);
    const from = sameWidth(context, value, to.bits);
    return { text: `${formatSubfield(to)}=${formatSubfield(from)}`, reads: from };
  }
  context.reading.value(value, to.field);
  const bits = typeof constant === "bigint" ? constant : constant.value;
  if (bits <= ones(to.bits)) writeBits(learned, to, bits, value, key);
  if (typeof constant !== "bigint")
    return constantly(
      `${to.field.name}=${formatValue(to.field, { ...constant, mask: ones(to.field.bits) })}`,
    );
  if (constant > ones(to.bits))
    throw new Fault(value, `${clip(value.text)} does not fit into ${to.bits} bits`);
  return constantly(`${formatSubfield(to)}=${formatHex(constant)}`);
}

function sameWidth(context: ActionReading, text: Token, bits: number): ReturnType<typeof parseSubfield> {
  const from = parseSubfield(text);
  context.consistency.field(from.field, text, "learn");
  if (from.bits !== bits)
    throw new Fault(text, `${text.text} has ${from.bits} bits where ${bits} are wanted`);
  return from;
}

function parseLearn(context: ActionReading, pair: Pair): Action {
  const numbers = new Map<string, string>();
  const specs: LearnSpec[] = [];
  const learned = newMatch();
  let [number_, result] = [1, ""];
  for (const one of scanPairs(context.reading.text, pair.value.start, pair.value.end)) {
    const known = LEARN_NUMBERS.find(([key]) => key === one.key.text);
    if (one.key.text === "table") number_ = table(context, one.value);
    else if (one.key.text === "result_dst") {
      const subfield = parseSubfield(one.value);
      if (subfield.bits !== 1) throw new Fault(one.value, "result_dst is one bit: reg0[0] would be one");
      result = `result_dst=${formatSubfield(subfield)}`;
    } else if (known === undefined) specs.push(learnSpec(context, learned, one));
    else if (known[1] === 0) numbers.set(known[0], known[0]);
    else {
      const value = learnNumber(context, one, known[1]);
      const isDefault = value === (known[0] === "priority" ? 32768n : 0n);
      if (!isDefault) numbers.set(known[0], `${known[0]}=${known[2] === true ? formatHex(value) : value}`);
    }
  }
  if (number_ === 255) throw new Fault(pair.span, "learn cannot put flows into table 255");
  const head = LEARN_NUMBERS.flatMap(([key]) => numbers.get(key) ?? []);
  const texts = specs.map(({ text }) => text);
  const parts = [`table=${number_}`, ...head, ...(result === "" ? [] : [result]), ...texts];
  const reads = specs.flatMap(spec => spec.reads ?? []);
  return other(pair, "learn", `learn(${parts.join(",")})`, [], reads);
}

function learnNumber(context: ActionReading, { key, value }: Pair, max: number): bigint {
  const read = readInteger(value.text, 8);
  if (typeof read === "string" || (key.text !== "cookie" && read > BigInt(max)))
    throw new Fault(
      value.text === "" ? key : value,
      `${key.text} of learn cannot be ${clip(value.text) || "nothing"}: it is a number`,
    );
  context.reading.value(value);
  return read;
}

const outsideCt: ActionParser = (_, pair) => {
  throw new Fault(pair.span, "nat stands inside of ct: ct(commit,nat(src=10.0.0.1))");
};

/** The parsers by the action's name in lower case. */
export const OTHER_ACTIONS: Readonly<Record<string, ActionParser>> = {
  learn: parseLearn,
  ct: parseCt,
  ct_clear: (_, pair) => other(pair, "ct_clear", "ct_clear"),
  nat: outsideCt,
  multipath: parseMultipath,
  bundle: bundle("bundle"),
  bundle_load: bundle("bundle_load"),
  sample: parseSample,
  fin_timeout: parseFinTimeout,
  encap: parseEncap,
  decap: parseDecap,
  check_pkt_larger: parseCheckPacketLarger,
  delete_field: parseDeleteField,
  // Open vSwitch has these two for its own tests only.
  debug_recirc: (_, pair) => other(pair, "debug_recirc", "debug_recirc"),
  debug_slow: (_, pair) => other(pair, "debug_slow", "debug_slow"),
};
