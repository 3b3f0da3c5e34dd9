/**
 * Frames as builder expressions: `eth(dst=52:54:00:00:00:0b,
 * src=02:00:00:00:00:fe).mpls(label=1001).ipv4(src=198.51.100.9, dst=203.0.113.7).udp(src=4000, dst=53)`.
 * Layers and fields are those of the builder in build.ts, so what a test writes in TypeScript can be pasted:
 * braces, quotes and `name: value` are accepted too. Layers are separated by dots or slashes.
 */
import { parseIpv4, parseMac } from "./address.ts";
import { eth, type FrameBuilder } from "./build.ts";
import { parseHex } from "./hex.ts";
import { unreachable } from "./unreachable.ts";

/** How a field's value is written. */
type Kind = "mac" | "ipv4" | "ipv6" | "number" | "yes or no" | "letters" | "bytes";

interface LayerRule {
  readonly fields: Readonly<Record<string, Kind>>;
  readonly required: readonly string[];
  /** The field that a value without a name sets. */
  readonly first?: string;
}

const RULES: Readonly<Record<string, LayerRule>> = {
  eth: { fields: { dst: "mac", src: "mac", type: "number" }, required: ["dst", "src"] },
  vlan: {
    fields: { id: "number", priority: "number", dropEligible: "yes or no", tpid: "number", type: "number" },
    required: ["id"],
    first: "id",
  },
  snap: { fields: { type: "number", llc: "bytes" }, required: [] },
  mpls: {
    fields: { label: "number", tc: "number", bos: "yes or no", ttl: "number" },
    required: ["label"],
    first: "label",
  },
  arp: {
    fields: {
      op: "number",
      sha: "mac",
      spa: "ipv4",
      tha: "mac",
      tpa: "ipv4",
      hrd: "number",
      pro: "number",
      hln: "number",
      pln: "number",
    },
    required: ["sha", "spa", "tpa"],
  },
  ipv4: {
    fields: {
      src: "ipv4",
      dst: "ipv4",
      ttl: "number",
      tos: "number",
      id: "number",
      dontFragment: "yes or no",
      options: "bytes",
      version: "number",
      ihl: "number",
      totalLength: "number",
      protocol: "number",
      checksum: "number",
    },
    required: ["src", "dst"],
  },
  ipv6: {
    fields: {
      src: "ipv6",
      dst: "ipv6",
      hopLimit: "number",
      trafficClass: "number",
      flowLabel: "number",
      nextHeader: "number",
      payloadLength: "number",
    },
    required: ["src", "dst"],
  },
  udp: {
    fields: { src: "number", dst: "number", length: "number", checksum: "number" },
    required: ["src", "dst"],
  },
  tcp: {
    fields: {
      src: "number",
      dst: "number",
      seq: "number",
      ack: "number",
      flags: "letters",
      window: "number",
      checksum: "number",
    },
    required: ["src", "dst"],
  },
  echo: {
    fields: { reply: "yes or no", id: "number", sequence: "number", checksum: "number" },
    required: [],
  },
  payload: { fields: { bytes: "bytes" }, required: ["bytes"], first: "bytes" },
  pad: { fields: { length: "number", fill: "number" }, required: ["length"], first: "length" },
};

const EXAMPLE =
  "eth(dst=52:54:00:00:00:0b, src=02:00:00:00:00:fe)" +
  ".ipv4(src=198.51.100.9, dst=203.0.113.7).udp(src=4000, dst=53)";

/** True for text that is meant as an expression and not as hex. */
export function isExpression(text: string): boolean {
  return /^\s*[a-z]\w*\s*\(/i.test(text);
}

/** Builds the frame that an expression describes. Throws a SyntaxError with the column and what is valid. */
export function frameOfExpression(text: string): Uint8Array {
  let frame: FrameBuilder | null = null;
  let at = 0;
  const layer = /\s*([a-z]\w*)\s*\(\s*(\{)?([^(){}]*)(\})?\s*\)\s*(?:[./]\s*(?=[a-z])|$)/iy;
  while (at < text.length) {
    layer.lastIndex = at;
    const found = layer.exec(text);
    if (found === null || (found[2] === undefined) !== (found[4] === undefined)) {
      throw problem(at, `expected a layer with its fields in parentheses, as in ${EXAMPLE}`);
    }
    const [all, name, , inside] = found;
    const fieldsAt = at + all.indexOf(inside!, all.indexOf("("));
    // What follows the frame is .bytes() where it was pasted from TypeScript.
    if (!(name === "bytes" && inside === "" && frame !== null)) {
      frame = withLayer(frame, name!, fieldsOf(name!, inside!, fieldsAt, at), at);
    }
    at += all.length;
  }
  if (frame === null) throw problem(0, `expected a frame, as in ${EXAMPLE}`);
  return frame.bytes();
}

function problem(at: number, message: string): SyntaxError {
  return new SyntaxError(`column ${at + 1}: ${message}`);
}

type Fields = Record<string, unknown>;

function fieldsOf(layer: string, text: string, at: number, layerAt: number): Fields {
  const rule = Object.hasOwn(RULES, layer) ? RULES[layer]! : null;
  if (rule === null) {
    throw problem(layerAt, `"${layer}" is not a layer; expected ${Object.keys(RULES).join(", ")}`);
  }
  const fields: Fields = {};
  const pattern = /\s*(?:([a-zA-Z]+)\s*(?:=|:(?=\s))\s*)?("[^"]*"|'[^']*'|[^,]*?)\s*(?:,|$)/y;
  for (let place = 0; place < text.length && text.slice(place).trim() !== ""; ) {
    pattern.lastIndex = place;
    const [all, name = rule.first, quoted] = pattern.exec(text) ?? [""];
    const column = at + place + (all.length - all.trimStart().length);
    if (name === undefined || !Object.hasOwn(rule.fields, name)) {
      const known = Object.keys(rule.fields).join(", ");
      const wrong = name === undefined ? "a value needs its field's name" : `has no field "${name}"`;
      throw problem(column, `${layer}: ${wrong}; its fields are ${known}`);
    }
    if (name in fields) throw problem(column, `${layer}: ${name} is given twice`);
    fields[name] = readValue(rule.fields[name]!, quoted!.replace(/^(["'])(.*)\1$/, "$2"), column, name);
    place += all.length;
  }
  const missing = rule.required.filter(name => !(name in fields));
  if (missing.length > 0) throw problem(layerAt, `${layer} needs ${missing.join(" and ")}`);
  return fields;
}

function readValue(kind: Kind, text: string, at: number, name: string): unknown {
  const wrong = (right: string): SyntaxError =>
    problem(at, `${name}: "${text}" is not valid; expected ${right}`);
  switch (kind) {
    case "number":
      if (!/^(\d+|0x[0-9a-f]+)$/i.test(text)) throw wrong("a number such as 64 or 0x0800");
      return Number(text);
    case "mac":
      if (parseMac(text) === null) throw wrong("a MAC address such as 52:54:00:00:00:0b");
      return text;
    case "ipv4":
      if (parseIpv4(text) === null) throw wrong("an IPv4 address such as 203.0.113.7");
      return text;
    case "ipv6":
    case "letters":
      return text;
    case "yes or no":
      if (!/^(true|false|yes|no|1|0)$/.test(text)) throw wrong("true or false");
      return /^(true|yes|1)$/.test(text);
    case "bytes":
      return bytesOf(text, wrong);
    default:
      return unreachable(kind);
  }
}

/** Hex, or a list of numbers in brackets as TypeScript writes it. */
function bytesOf(text: string, wrong: (right: string) => SyntaxError): Uint8Array {
  try {
    return parseHex(text);
  } catch {
    throw wrong("bytes in hex such as 5a5a00ff");
  }
}

function withLayer(frame: FrameBuilder | null, name: string, fields: Fields, at: number): FrameBuilder {
  if (frame === null && name !== "eth") throw problem(at, "a frame begins with eth(…)");
  if (frame !== null && name === "eth") throw problem(at, "eth(…) is valid only at the beginning");
  try {
    // The table above is the type check: it holds the builder's own names and kinds.
    // biome-ignore lint/suspicious/noExplicitAny: a layer chosen by its name
    const given = fields as any;
    if (frame === null) return checked(eth(given));
    if (name === "payload") return checked(frame.payload(given.bytes));
    if (name === "pad") return checked(frame.pad(given.length, given.fill));
    return checked(
      frame[name as "vlan" | "snap" | "mpls" | "arp" | "ipv4" | "ipv6" | "udp" | "tcp" | "echo"](given),
    );
  } catch (error) {
    throw problem(at, `${name}: ${(error as Error).message}`);
  }
}

/** Builds once, so that a value out of range is found at its layer. */
function checked(frame: FrameBuilder): FrameBuilder {
  frame.bytes();
  return frame;
}
