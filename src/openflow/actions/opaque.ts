/**
 * Actions that are parsed strictly and printed, but kept as text: multipath, bundle, sample, encap and their
 * kind (ovs-actions(7)). Each keeps the spelling of Open vSwitch as its text, so that two of them are the
 * same exactly if they print alike. learn.ts and ct.ts hold the two large ones.
 */
import type { Consistency } from "../action-checks.ts";
import {
  type ActionParser,
  type ActionReading,
  arrow,
  keyed,
  listed,
  number,
  port,
  required,
  trimmed,
} from "../arguments.ts";
import type { Action } from "../ast.ts";
import { plainField } from "../fields.ts";
import { clip, Fault, type Pair, scanPairs, type Token } from "../lexer.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import { formatHex, formatPort } from "../values.ts";
import { FROM_11 } from "./entry.ts";
import { type OpaqueAction, oneOf, opaque, opaqueEntry } from "./opaque-entry.ts";

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
      [
        "multipath takes a hash, its basis, an algorithm, links, an argument and a field:",
        "multipath(eth_src,50,modulo_n,4,0,reg0[])",
      ].join(" "),
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
  return opaque(pair, "multipath", `multipath(${text.join(",")})`);
}

/** `members:[2,3]` is what `members:2,3` is. */
function withoutBrackets({ reading }: ActionReading, start: number, end: number): [from: number, to: number] {
  const { text } = trimmed({ text: reading.text.slice(start, end), start, end });
  if (!text.startsWith("[") || !text.endsWith("]")) return [start, end];
  return [reading.text.indexOf("[", start) + 1, reading.text.lastIndexOf("]", end - 1)];
}

/** bundle(hash,basis,algorithm,ofport,members:1,2) and bundle_load with a field before the members. */
function bundleParser(name: "bundle" | "bundle_load"): ActionParser {
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
    return opaque(pair, name, `${name}(${parts.join(",")},members:${members.join(",")})`);
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
  return opaque(pair, "sample", `sample(${parts.join(",")})`, [], field === null ? [] : [field]);
}

function parseFinTimeout(context: ActionReading, pair: Pair): Action {
  const found = keyed(context, pair, ["idle_timeout", "hard_timeout"]);
  const parts: string[] = [];
  for (const [key, text] of [...found].sort(([a], [b]) => b.localeCompare(a))) {
    const value = number(context, text, 0xffff, key);
    if (value !== 0) parts.push(`${key}=${value}`);
  }
  return opaque(pair, "fin_timeout", `fin_timeout(${parts.join(",")})`);
}

const HEADERS = ["ethernet", "mpls", "mpls_mc", "nsh"];

/** Notes what a packet is behind encap: a frame, or NSH or MPLS without one. */
function encapsulate(consistency: Consistency, { text }: OpaqueAction): void {
  const header = /\w+/.exec(text.slice("encap(".length))![0];
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
  if (!inner.text.startsWith("nsh"))
    return opaque(pair, "encap", `encap(${oneOf(inner, HEADERS, "header to put around a packet")})`);
  const parts: string[] = [];
  for (const { key, value } of scanPairs(context.reading.text, inner.start, inner.end)) {
    oneOf(key, ["nsh"], "header to put around a packet");
    for (const property of scanPairs(context.reading.text, value.start, value.end))
      parts.push(nshProperty(context, property));
  }
  return opaque(pair, "encap", `encap(nsh${parts.length === 0 ? "" : `(${parts.join(",")})`})`);
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
    throw new Fault(data, `${clip(data.text)} is not hexadecimal data; expected 0x12345678`);
  const digits = number(context, space, 0xffff, "the class").toString(16).padStart(4, "0");
  return `tlv(0x${digits},${number(context, type, 255, "the type")},${data.text.toLowerCase()})`;
}

const UNKNOWN_ETHERTYPE = 0xffff;

/** Behind the Ethernet header is the packet of its type; the header behind that one is unknown. */
function decapsulate(consistency: Consistency): void {
  const { isEthernet } = consistency.protocols;
  consistency.become(isEthernet ? { isEthernet: false } : { dlType: UNKNOWN_ETHERTYPE });
}

function parseDecap(context: ActionReading, pair: Pair): Action {
  if (trimmed(pair.value).text === "") return opaque(pair, "decap", "decap()");
  const parts: string[] = [];
  for (const one of scanPairs(context.reading.text, pair.value.start, pair.value.end)) {
    oneOf(one.key, ["packet_type"], "argument of decap");
    const found = keyed(context, one, ["ns", "type"]);
    const [space, type] = [required(one, found, "ns"), required(one, found, "type")];
    const ns = number(context, space, 0xffff, "the name space");
    if (ns > 1) throw new Fault(space, `name space ${ns} is not supported; expected 0 or 1`);
    parts.push(`packet_type(ns=${ns},type=${formatHex(BigInt(number(context, type, 0xffff, "the type")))})`);
  }
  return opaque(pair, "decap", `decap(${parts.join(",")})`);
}

function parseCheckPacketLarger(context: ActionReading, pair: Pair): Action {
  const [size, to] = arrow(pair);
  const bytes = number(context, trimmed(size), 0xffff, "the length");
  const subfield = parseSubfield(to);
  if (subfield.bits !== 1) throw new Fault(to, `the result takes one bit, such as ${subfield.field.name}[0]`);
  return opaque(pair, "check_pkt_larger", `check_pkt_larger(${bytes})->${formatSubfield(subfield)}`);
}

function parseDeleteField(_: ActionReading, pair: Pair): Action {
  const field = plainField(pair.value.text);
  if (field === undefined || field.place !== null)
    throw new Fault(
      pair.value.text === "" ? pair.key : pair.value,
      "delete_field takes a field of tunnel metadata: tun_metadata0 … tun_metadata63",
    );
  return opaque(pair, "delete_field", `delete_field:${field.name}`);
}

const HASHED = "Depends on a hash.";
const HASHED_LIVE = "Depends on a hash and on live ports.";
const NOT_ETHERNET = "Packets other than Ethernet are not modeled.";

export const multipath = opaqueEntry(
  "multipath",
  {
    parse: parseMultipath,
    example: "actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])",
  },
  { inWriteActions: false, setPart: null, recirculates: true, support: "unknown", docs: [HASHED] },
);

export const bundle = opaqueEntry(
  "bundle",
  { parse: bundleParser("bundle"), example: "actions=bundle(eth_src,0,hrw,ofport,members:2,3)" },
  { inWriteActions: false, setPart: null, recirculates: false, support: "unknown", docs: [HASHED_LIVE] },
);

export const bundleLoad = opaqueEntry(
  "bundle_load",
  {
    parse: bundleParser("bundle_load"),
    example: "actions=bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:2,3)",
  },
  { inWriteActions: false, setPart: null, recirculates: true, support: "unknown", docs: [HASHED_LIVE] },
);

export const sample = opaqueEntry(
  "sample",
  {
    parse: parseSample,
    example: "actions=sample(probability=1,collector_set_id=1,obs_domain_id=0,obs_point_id=0)",
  },
  {
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "executed",
    docs: ["The report to a collector is part of the outcome, with its arguments."],
  },
);

export const finTimeout = opaqueEntry(
  "fin_timeout",
  { parse: parseFinTimeout, example: "tcp actions=fin_timeout(idle_timeout=5)", needs: ["tcp"] },
  {
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "no effect",
    docs: ["Changes the lifetime of the flow."],
  },
);

export const encap = opaqueEntry(
  "encap",
  { parse: parseEncap, example: "actions=encap(mpls)", becomes: encapsulate },
  {
    versions: FROM_11,
    inWriteActions: true,
    setPart: "encap",
    recirculates: true,
    support: "unknown",
    docs: [NOT_ETHERNET],
  },
);

export const decap = opaqueEntry(
  "decap",
  { parse: parseDecap, example: "actions=decap()", becomes: decapsulate },
  {
    versions: FROM_11,
    inWriteActions: true,
    setPart: "decap",
    recirculates: true,
    support: "unknown",
    docs: [NOT_ETHERNET],
  },
);

export const checkPacketLarger = opaqueEntry(
  "check_pkt_larger",
  { parse: parseCheckPacketLarger, example: "actions=check_pkt_larger(1500)->NXM_NX_REG0[0]" },
  {
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "unknown",
    docs: ["The lengths of packets are not modeled."],
  },
);

export const deleteField = opaqueEntry(
  "delete_field",
  { parse: parseDeleteField, example: "actions=delete_field:tun_metadata0" },
  {
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "unknown",
    docs: ["Only tun_metadata can be deleted, which is not modeled."],
  },
);

/** No OpenFlow message carries these two: Open vSwitch has them for its own tests. */
const OF_TESTS = "For the test suite of Open vSwitch only.";

export const debugRecirc = opaqueEntry(
  "debug_recirc",
  { parse: (_, pair) => opaque(pair, "debug_recirc", "debug_recirc"), example: "actions=debug_recirc" },
  {
    versions: [],
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "unknown",
    docs: [OF_TESTS],
  },
);

export const debugSlow = opaqueEntry(
  "debug_slow",
  { parse: (_, pair) => opaque(pair, "debug_slow", "debug_slow"), example: "actions=debug_slow" },
  {
    versions: [],
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "no effect",
    docs: [OF_TESTS],
  },
);
