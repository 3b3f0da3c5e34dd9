/**
 * The values of fields as text: one reader and one printer for each format of the registry (mf_parse() and
 * mf_format() of Open vSwitch, ovs-fields(7)). A value comes with its mask, `10.0.0.0/8`, `5/0xff`,
 * `+est-new`. What a match prints differently from a set_field is in print.ts. Readers return the reason as a
 * string when the text is no value.
 */
import { unreachable } from "../wire/index.ts";
import { PORT } from "./ast.ts";
import type { Field, Format } from "./fields.ts";
import { type Names, numberOf } from "./symbols.ts";

/** A value and the bits of it that count. Bits of the value outside the mask are as written. */
export interface Masked {
  readonly value: bigint;
  readonly mask: bigint;
}

const NO_NAMES: Names = new Map();

export const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** What C's strtoull() takes with base 0: an optional sign, then hexadecimal, octal or decimal. */
const INTEGER = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))$/;

/**
 * Reads an unsigned integer of at most `bytes` bytes as OVS does: 10, 0xa, 012. A negative one wraps at 64
 * bits.
 */
export function readInteger(text: string, bytes: number): bigint | string {
  const found = INTEGER.exec(text);
  if (found === null) return "is not a number; expected 10, 0xa or 012";
  const [, sign, hexadecimal, octal, decimal] = found;
  // A number of more digits than the widest field has is rejected before it costs anything.
  if (text.length > 400) return `does not fit into ${bytes} bytes`;
  const digits =
    hexadecimal !== undefined ? `0x${hexadecimal}` : octal !== undefined ? `0o${octal || 0}` : decimal!;
  const size = BigInt(digits);
  const isWide = hexadecimal !== undefined && sign === "";
  if (!isWide && size > ones(64)) return "does not fit into 64 bits";
  const value = sign === "-" ? BigInt.asUintN(64, -size) : size;
  return value <= ones(8 * bytes) ? value : `does not fit into ${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
}

/**
 * Bytes in which Open vSwitch keeps a field: 1, 2, 4, 8 or 16; 6 for a MAC address, 124 for tunnel metadata.
 */
export function bytesOf(field: Field): number {
  if (field.format === "ethernet") return 6;
  if (field.bits === 992) return 124;
  if (field.format === "tunnel flags") return 2;
  for (const bytes of [1, 2, 4, 8]) {
    const isNarrow = bytes < 4 && /^(tun_erspan_idx|mpls_label|ipv6_label|nsh_spi)$/.test(field.name);
    if (field.bits <= 8 * bytes && !isNarrow) return bytes;
  }
  return 16;
}

function readIntegers(text: string, bytes: number): Masked | string {
  const slash = text.indexOf("/");
  const value = readInteger(slash < 0 ? text : text.slice(0, slash), bytes);
  if (typeof value === "string") return value;
  if (slash < 0) return { value, mask: ones(8 * bytes) };
  const mask = readInteger(text.slice(slash + 1), bytes);
  return typeof mask === "string" ? `has a mask that ${mask}` : { value, mask };
}

const MAC = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;

/** Reads a MAC address; null when the text is none. Octets may lack their leading zero. */
export function readMac(text: string): bigint | null {
  if (!MAC.test(text)) return null;
  return text.split(":").reduce((sum, octet) => (sum << 8n) | BigInt(Number.parseInt(octet, 16)), 0n);
}

function readEthernet(text: string): Masked | string {
  const [value, mask, ...rest] = text.split("/", 3).map(readMac);
  if (rest.length > 0 || value === null || value === undefined || mask === null)
    return "is not an Ethernet address; expected 52:54:00:00:00:0b or 01:00:00:00:00:00/01:00:00:00:00:00";
  return { value, mask: mask ?? ones(48) };
}

const DOTTED = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})$/;

/**
 * Reads dotted decimal; null when the text is none, or an octet exceeds 255. Leading zeros do not mean octal.
 */
export function readDotted(text: string): bigint | null {
  const octets = DOTTED.exec(text)?.slice(1).map(Number);
  if (octets === undefined || octets.some(octet => octet > 255)) return null;
  return octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

/** A prefix length as a mask of `bits` bits; null when the text is none. */
function readPrefix(text: string, bits: number): bigint | null {
  if (!/^\d{1,3}$/.test(text) || Number(text) > bits) return null;
  const length = Number(text);
  return ones(length) << BigInt(bits - length);
}

function readIpv4(text: string): Masked | string {
  const slash = text.indexOf("/");
  const value = readDotted(slash < 0 ? text : text.slice(0, slash));
  if (value === null)
    return "is not an IPv4 address; expected 203.0.113.7, 10.0.0.0/8 or 10.0.0.0/255.0.255.0";
  if (slash < 0) return { value, mask: ones(32) };
  const tail = text.slice(slash + 1);
  const mask = readDotted(tail) ?? readPrefix(tail, 32);
  return mask === null
    ? "lacks a mask after its slash; expected a length from 0 to 32, or 255.255.0.0"
    : { value, mask };
}

function readGroups(text: string): bigint[] | null {
  if (text === "") return [];
  const groups: bigint[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const dotted = index === parts.length - 1 ? readDotted(part) : null;
    if (dotted !== null) groups.push(dotted >> 16n, dotted & 0xffffn);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`));
    else return null;
  }
  return groups;
}

/** Reads an IPv6 address (RFC 4291 §2.2); null when the text is none. */
export function readIpv6Address(text: string): bigint | null {
  if (text.length > 45) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = readGroups(halves[0]!);
  const tail = halves.length === 2 ? readGroups(halves[1]!) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...Array<bigint>(missing).fill(0n), ...tail];
  return groups.reduce((sum, group) => (sum << 16n) | group, 0n);
}

/**
 * A mask that begins with a digit is a prefix length: Open vSwitch reads no address there, but prints one.
 */
function readIpv6(text: string, isPrinted = false): Masked | string {
  const slash = text.indexOf("/");
  const value = readIpv6Address(slash < 0 ? text : text.slice(0, slash));
  if (value === null) return "is not an IPv6 address; expected 2001:db8::1 or 2001:db8::/32";
  if (slash < 0) return { value, mask: ones(128) };
  const tail = text.slice(slash + 1);
  const isAddress = !/^\d/.test(tail) || (isPrinted && tail.includes(":"));
  const mask = isAddress ? readIpv6Address(tail) : readPrefix(tail, 128);
  return mask === null
    ? "lacks a mask after its slash; expected a length from 0 to 128, or an address"
    : { value, mask };
}

/** The reserved ports by name, as they are printed; NONE is an older name of ANY. */
export const RESERVED_PORTS: Names = new Map([
  ["IN_PORT", PORT.inPort],
  ["TABLE", PORT.table],
  ["NORMAL", PORT.normal],
  ["FLOOD", PORT.flood],
  ["ALL", PORT.all],
  ["CONTROLLER", PORT.controller],
  ["LOCAL", PORT.local],
  ["ANY", PORT.none],
  ["NONE", PORT.none],
  ["UNSET", PORT.unset],
]);

const RESERVED_NAMES = new Map([...RESERVED_PORTS].reverse().map(([name, number]) => [number, name]));
RESERVED_NAMES.set(PORT.none, "ANY");

/**
 * Reads a port: a decimal number (of 16 bits, or an OpenFlow 1.1 one of 32), a reserved name in any case, or
 * one of `names`, in this order, as Open vSwitch does; null when it is none of them.
 */
export function readPort(text: string, names: Names): number | null {
  // A quoted name is a name and nothing else: "1" is no number, "LOCAL" no reserved port.
  if (text.startsWith('"')) return numberOf(names, unquoted(text), true) ?? null;
  if (!/^\d{1,10}$/.test(text))
    return RESERVED_PORTS.get(text.toUpperCase()) ?? numberOf(names, text, false) ?? null;
  const number = Number(text);
  if (number < 0xfff7) return number;
  if (number <= 0xffff) return 0xffff0000 + number;
  return number >= 0xffffff00 && number <= 0xffffffff ? portOf32(number) : null;
}

/** Whether a text is a port without a name being given a number for it. */
export function isKnownPort(text: string, names: Names): boolean {
  return text.startsWith('"') || readPort(text, NO_NAMES) !== null || names.has(text);
}

/** Reads a table, 0 to 255: a decimal number, or one of `names`; null when it is neither. */
export function readTableNumber(text: string, names: Names): number | null {
  if (text.startsWith('"')) return numberOf(names, unquoted(text), true) ?? null;
  if (!/^\d{1,9}$/.test(text)) return numberOf(names, text, false) ?? null;
  const number = Number(text);
  return number > 255 ? null : number;
}

/** The name in quotes, with the escapes of JSON; what is no JSON string is no name. */
function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return "";
  }
}

/**
 * OpenFlow 1.1 numbers from 0xffffff00 on stand for the 16-bit ones from 0xff00 on; of those few are
 * reserved.
 */
const portOf32 = (number: number): number => (number >= PORT.unset ? number : number - 0xffff0000);

/** Prints a port: LOCAL, IN_PORT …, its number, or its name among `names`, quoted where it must be. */
export function formatPort(port: number, names?: ReadonlyMap<number, string>): string {
  const name = names?.get(port);
  if (name !== undefined) return formatName(name);
  return RESERVED_NAMES.get(port) ?? String(port);
}

/**
 * A port or table name as ovs-ofctl prints it: in quotes unless it begins with a letter and is made of
 * letters, digits, _ and -.
 */
export function formatName(name: string): string {
  return /^[A-Za-z][A-Za-z0-9_-]*$/.test(name) && !RESERVED_PORTS.has(name.toUpperCase())
    ? name
    : JSON.stringify(name);
}

/** The values of nw_frag: bit 0 any fragment, bit 1 not the first one. */
const FRAGMENTS: ReadonlyMap<string, Masked> = new Map([
  ["no", { value: 0n, mask: 3n }],
  ["yes", { value: 1n, mask: 1n }],
  ["first", { value: 1n, mask: 3n }],
  ["later", { value: 3n, mask: 3n }],
  ["not_later", { value: 0n, mask: 2n }],
]);

function readFragment(text: string): Masked | string {
  return (
    FRAGMENTS.get(text) ?? `is not a fragment value; expected one of ${[...FRAGMENTS.keys()].join(", ")}`
  );
}

/** Names of the bits of a field of flags, from bit 0 on; bits without a name are reserved. */
const FLAGS: Partial<Record<Format, readonly string[]>> = {
  "ct state": ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"],
  "tcp flags": ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"],
  "tunnel flags": ["oam"],
};

/**
 * Bits that may be written of a field of flags; TCP has three reserved ones, known as [200], [400] and [800].
 */
const allowedFlags = (format: Format): bigint => ones(format === "tcp flags" ? 12 : FLAGS[format]!.length);

/** Which bit has this name; TCP's reserved ones are named by their value, `[200]`. -1 when none has it. */
function flagBit(name: string, names: readonly string[]): number {
  const bit = names.indexOf(name);
  if (bit >= 0 || !names.includes("syn")) return bit;
  const reserved = ["[200]", "[400]", "[800]"].indexOf(name);
  return reserved < 0 ? -1 : names.length + reserved;
}

function readSignedFlags(text: string, names: readonly string[]): Masked | string {
  let value = 0n;
  let mask = 0n;
  for (const part of text.split(/(?=[+-])/)) {
    const bit = flagBit(part.slice(1), names);
    if (bit < 0) return `has no flag ${part.slice(1) || "behind its sign"}: ${names.join(", ")} are flags`;
    const flag = 1n << BigInt(bit);
    if ((mask & flag) !== 0n) return `has the flag ${part.slice(1)} twice`;
    mask |= flag;
    if (part.startsWith("+")) value |= flag;
  }
  return { value, mask };
}

/** Reads `+est-new`, `est|new`, `0x12/0x12` or `0x12`. */
function readFlags(text: string, format: Format, bits: number): Masked | string {
  const names = FLAGS[format]!;
  if (/^[+-][a-z[]/.test(text)) return readSignedFlags(text, names);
  if (text.includes("/")) {
    const pair = readIntegers(text, 4);
    if (typeof pair !== "string" && ((pair.value | pair.mask) & ~allowedFlags(format)) !== 0n)
      return `sets bits that are not flags; expected ${names.join(", ")}`;
    return pair;
  }
  let value = 0n;
  for (const part of text.split("|")) {
    const bit = flagBit(part, names);
    const number = bit >= 0 ? 1n << BigInt(bit) : readInteger(part, 8);
    if (typeof number === "string" || (number & ~allowedFlags(format)) !== 0n)
      return `is not a list of flags; expected ${names.join(", ")}`;
    value |= number;
  }
  return { value, mask: ones(bits) };
}

function readPacketType(text: string): Masked | string {
  const found = /^\((\d{1,5}),(0[xX][0-9a-fA-F]{1,4}|\d{1,5})\)$/.exec(text);
  if (found === null) return "is not a packet type; expected (0,0) for Ethernet, or (1,0x800)";
  const [space, type] = [Number(found[1]), Number(found[2])];
  if (space > 1 || type > 0xffff || (space === 0 && type !== 0))
    return "is not supported; expected (0,0) or (1,TYPE)";
  return { value: (BigInt(space) << 16n) | BigInt(type), mask: ones(32) };
}

/**
 * Reads a value of a field, with its mask if it has one. `*` matches anything. The bits are those that were
 * written: more than the field has, perhaps, as Open vSwitch takes 32 bits for mpls_label and drops the upper
 * twelve.
 */
export function readValue(field: Field, text: string, ports: Names): Masked | string {
  if (text === "*") return { value: 0n, mask: 0n };
  switch (field.format) {
    case "ethernet":
      return readEthernet(text);
    case "ipv4":
      return readIpv4(text);
    case "ipv6":
      return readIpv6(text);
    case "frag":
      return readFragment(text);
    case "packet type":
      return readPacketType(text);
    case "port": {
      const port = readPort(text, ports);
      return port === null
        ? "is not a port; expected a number, a name, or LOCAL, IN_PORT …"
        : { value: BigInt(port), mask: ones(32) };
    }
    case "tunnel flags":
    case "tcp flags":
    case "ct state":
      return readFlags(text, field.format, field.format === "ct state" ? 32 : field.bits);
    case "decimal":
    case "hexadecimal":
      return readIntegers(text, bytesOf(field));
    default:
      return unreachable(field.format);
  }
}

/**
 * Reads a value as a switch prints it, where that is more than it takes: bits of a port, an IPv6 mask that
 * begins with a digit, a TOS without its 0x, bit 1 of nw_frag alone (which no packet has), an empty mask.
 */
export function readPrintedValue(field: Field, text: string, ports: Names): Masked | string {
  if (text === "ANY" && field.format !== "port") return { value: 0n, mask: 0n };
  if (field.format === "port" && text.includes("/") && !text.startsWith('"'))
    return readIntegers(text, bytesOf(field));
  if (field.format === "ipv6") return readIpv6(text, true);
  if (field.name === "tun_tos") return readIntegers(`0x${text}`, 1);
  if (field.name === "ip_frag" && text === "<error>") return { value: 2n, mask: 3n };
  return readValue(field, text, ports);
}

/** Prints a MAC address in lower case, with colons. */
export function formatMacValue(mac: bigint): string {
  return mac
    .toString(16)
    .padStart(12, "0")
    .replace(/..(?!$)/g, "$&:");
}

export function formatDotted(address: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => (address >> shift) & 255n).join(".");
}

/** Prints an IPv6 address as inet_ntop() does: the longest run of two zero groups or more as `::`. */
export function formatIpv6Address(address: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((address >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let [start, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const isMapped = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  const words = groups.map(group => group.toString(16));
  if (isMapped) words.splice(6, 2, formatDotted(address & 0xffffffffn));
  if (start < 0) return words.join(":");
  return `${words.slice(0, start).join(":")}::${words.slice(start + length).join(":")}`;
}

/** The length of a prefix mask of `bits` bits, or -1 when it is none. */
function prefixLength(mask: bigint, bits: number): number {
  const hosts = ones(bits) & ~mask;
  if ((hosts & (hosts + 1n)) !== 0n) return -1;
  return bits - (hosts === 0n ? 0 : hosts.toString(2).length);
}

/** `%#x` of C: 0 is printed as 0. */
/** Bytes as `01.02.ff`. */
export const formatBytes = (data: Uint8Array): string =>
  Array.from(data, byte => byte.toString(16).padStart(2, "0")).join(".");

export const formatHex = (value: bigint): string => (value === 0n ? "0" : `0x${value.toString(16)}`);

export function formatMaskedIpv4({ value, mask }: Masked): string {
  if (mask === ones(32)) return formatDotted(value);
  const length = prefixLength(mask, 32);
  return `${formatDotted(value)}/${length >= 0 ? length : formatDotted(mask)}`;
}

export function formatMaskedIpv6({ value, mask }: Masked): string {
  if (mask === ones(128)) return formatIpv6Address(value);
  const length = prefixLength(mask, 128);
  return `${formatIpv6Address(value)}/${length >= 0 ? length : formatIpv6Address(mask)}`;
}

function formatFragment({ value, mask }: Masked): string {
  for (const [name, one] of FRAGMENTS) {
    if (one.mask === mask && one.value === (value & mask)) return name;
  }
  return "<error>";
}

function flagName(format: Format, bit: number): string {
  return FLAGS[format]![bit] ?? `[${(1 << bit).toString(16)}]`;
}

/** Prints flags: `est|trk` under a full mask, else `+est-new`. */
export function formatFlags(format: Format, { value, mask }: Masked, bits: number): string {
  const isFull = mask === ones(bits);
  const shown = isFull ? value : mask;
  if (isFull && value === 0n) return "0";
  const parts: string[] = [];
  for (let bit = 0; bit < bits; bit++) {
    const flag = 1n << BigInt(bit);
    if ((shown & flag) === 0n) continue;
    parts.push(`${isFull ? "" : (value & flag) !== 0n ? "+" : "-"}${flagName(format, bit)}`);
  }
  return parts.join(isFull ? "|" : "");
}

/** Prints a value as set_field does. A mask of no bits is `ANY`. */
export function formatValue(field: Field, masked: Masked, ports?: ReadonlyMap<number, string>): string {
  const { value, mask } = masked;
  if (mask === 0n) return "ANY";
  const full = ones(field.bits);
  switch (field.format) {
    case "ethernet":
      return `${formatMacValue(value)}${mask === full ? "" : `/${formatMacValue(mask)}`}`;
    case "ipv4":
      return formatMaskedIpv4(masked);
    case "ipv6":
      return formatMaskedIpv6(masked);
    case "frag":
      return formatFragment(masked);
    case "port":
      return formatPort(Number(value), ports);
    case "packet type":
      return `(${value >> 16n},${formatHex(value & 0xffffn)})`;
    case "tunnel flags":
    case "tcp flags":
    case "ct state":
      return formatFlags(field.format, masked, field.bits);
    case "decimal":
    case "hexadecimal": {
      const isFull = mask === full || mask === field.valid;
      const text = field.format === "hexadecimal" ? formatHex(value) : value.toString();
      return isFull ? text : `${text}/${formatHex(mask)}`;
    }
    default:
      return unreachable(field.format);
  }
}
