/**
 * Single values as they stand in an intent or a routes file, with the wording for everything that can be wrong with
 * them. The text forms themselves are read by wire/address.ts; here are the rules an intent adds (no group MAC, no
 * host bits, no address that can never be a VM's). A reader gives the value or a `Fault`, never both.
 */
import { formatIpv4, formatMac, isGroupMac, maskOf, parseIpv4, parseMac } from "../wire/index.ts";
import { printable, quoted } from "./diagnostics.ts";

/** What is wrong with a value and what would be right; the place is the caller's. */
export class Fault {
  constructor(readonly message: string) {}
}

export interface Prefix {
  readonly prefix: number;
  readonly length: number;
}

/** A range of whole numbers and the name of what it counts, with its article: "a label". */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly what: string;
}

/** The labels an intent may hold: 0…15 are reserved (RFC 3032 §2.1), 2^20−1 is the largest. */
export const LABEL: Range = { min: 16, max: 1_048_575, what: "a label" };

/** `16…1048575`. */
export function formatRange(range: Range): string {
  return `${range.min}…${range.max}`;
}

/** Checks a number against its range. */
export function inRange(value: number, shown: string, range: Range): number | Fault {
  if (value >= range.min && value <= range.max) return value;
  return new Fault(`${shown} is out of range; ${range.what} is ${formatRange(range)}`);
}

const MAC_LIKE = /^(?:[0-9a-f]{2}[-. ]?){5}[0-9a-f]{2}$|^(?:[0-9a-f]{4}[-.:]){2}[0-9a-f]{4}$/i;
const MAC_SHORT = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;

/** A MAC address which one station can have: neither a group address nor all zeros. */
export function readMac(text: string): number | Fault {
  const mac = parseMac(text);
  if (mac === null) return new Fault(`${quoted(text)} is no MAC address; ${macHint(text)}`);
  if (mac === 0) return new Fault("00:00:00:00:00:00 is nobody's MAC address; give the station's own");
  if (isGroupMac(mac)) {
    const without = formatMac(mac - 2 ** 40);
    const near = mac === 2 ** 48 - 1 ? "" : `, as in ${without}`;
    return new Fault(
      `${formatMac(mac)} is a multicast address; a station's own has an even first octet${near}`,
    );
  }
  return mac;
}

function macHint(text: string): string {
  const bare = text.replace(/[-.: ]/g, "");
  if (MAC_LIKE.test(text)) return `write ${formatMac(Number.parseInt(bare, 16))}`;
  if (MAC_SHORT.test(text)) {
    const octets = text.split(":").map(octet => octet.padStart(2, "0").toLowerCase());
    return `write ${octets.join(":")}`;
  }
  return "write six octets of two hex digits, as in 52:54:00:00:00:0b";
}

const LEADING_ZERO = /(?:^|\.)0\d/;
const NUMBERS = /^\d+(?:\.\d+){3}$/;

function readIpv4(text: string): number | Fault {
  const address = parseIpv4(text);
  if (address !== null) return address;
  const say = (hint: string): Fault => new Fault(`${quoted(text)} is no IPv4 address; ${hint}`);
  if (NUMBERS.test(text) && LEADING_ZERO.test(text)) {
    const plain = text.split(".").map(Number).join(".");
    return say(
      parseIpv4(plain) === null
        ? "leave out leading zeros"
        : `leave out leading zeros, as in ${plain} (some programs read them as octal)`,
    );
  }
  if (NUMBERS.test(text)) return say("each of its four numbers is 0…255");
  if (text.includes(":")) return say("IPv6 is not carried; write four numbers, as in 203.0.113.7");
  return say("write four numbers, as in 203.0.113.7");
}

/** Blocks in which no host lives and towards which no packet is forwarded (PIPELINE.md, table 40). */
const MARTIANS = [
  { prefix: 0x00000000, length: 8, text: "0.0.0.0/8" },
  { prefix: 0x7f000000, length: 8, text: "127.0.0.0/8" },
  { prefix: 0xe0000000, length: 3, text: "224.0.0.0/3" },
];

/** The martian block that holds all of a prefix, as text, or null. */
export function martianOf(prefix: number, length: number): string | null {
  for (const block of MARTIANS) {
    if (length >= block.length && (prefix & maskOf(block.length)) >>> 0 === block.prefix) return block.text;
  }
  return null;
}

/** A VM's address: IPv4, and in no block that is never a host's. */
export function readHostAddress(text: string): number | Fault {
  if (text.includes("/") && !(readPrefix(text) instanceof Fault)) {
    return new Fault(
      `${quoted(text)} is a prefix; an address stands alone: ${text.slice(0, text.indexOf("/"))}`,
    );
  }
  const address = readIpv4(text);
  if (address instanceof Fault) return address;
  const martian = martianOf(address, 32);
  if (martian === null) return address;
  return new Fault(
    `${text} is in ${martian}, where no host lives; give an address outside 0/8, 127/8 and 224/3`,
  );
}

/** A prefix in the form `203.0.113.0/24`, without host bits. */
export function readPrefix(text: string): Prefix | Fault {
  const slash = text.indexOf("/");
  if (slash < 0) {
    const alone = readIpv4(text);
    if (!(alone instanceof Fault)) return new Fault(`${text} has no length; a single address is ${text}/32`);
    return new Fault(`${quoted(text)} is no prefix; write an address and a length, as in 203.0.113.0/24`);
  }
  const prefix = readIpv4(text.slice(0, slash));
  if (prefix instanceof Fault) return prefix;
  const digits = text.slice(slash + 1);
  if (!/^(?:[12]?\d|3[0-2])$/.test(digits)) {
    return new Fault(`${quoted(digits)} is no prefix length; write 0…32`);
  }
  const length = Number(digits);
  const masked = (prefix & maskOf(length)) >>> 0;
  if (masked === prefix) return { prefix, length };
  return new Fault(`${text} has host bits set; the prefix is ${formatIpv4(masked)}/${length}`);
}

/** One label in decimal, as a routes file has it. */
export function readLabel(text: string): number | Fault {
  if (!/^\d+$/.test(text)) {
    return new Fault(`${quoted(text)} is no label; a label is a number ${formatRange(LABEL)}`);
  }
  return inRange(Number(text), printable(text), LABEL);
}
