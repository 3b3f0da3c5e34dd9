/**
 * Single values of an intent or a routes file, and the messages for values that are not valid.
 * src/wire/address.ts parses the text; here are the rules that an intent adds: no group MAC, no host bits, no
 * address that a VM cannot have. A reader returns the value or a `Fault`.
 */
import {
  formatMac,
  formatPrefix,
  type Ipv4Address,
  ipv4FromBits,
  isGroupMac,
  type MacAddress,
  networkOf,
  type Prefix,
  parseIpv4,
  parseMac,
  parsePrefixLength,
} from "../wire/index.ts";
import { printable, quoted } from "./diagnostics.ts";

/** Why a value is not valid, and what is; the caller adds the place. */
export class Fault {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
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

/** A MAC address that a station can have: neither a group address nor all zeros. */
export function readMac(text: string): MacAddress | Fault {
  const mac = parseMac(text);
  if (mac === null) return new Fault(`${quoted(text)} is not a MAC address; ${macHint(text)}`);
  if (mac === 0) return new Fault("00:00:00:00:00:00 is not a valid MAC address; give that of the station");
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

function readIpv4(text: string): Ipv4Address | Fault {
  const address = parseIpv4(text);
  if (address !== null) return address;
  const refused = (hint: string): Fault => new Fault(`${quoted(text)} is not an IPv4 address; ${hint}`);
  if (NUMBERS.test(text) && LEADING_ZERO.test(text)) {
    const plain = text.split(".").map(Number).join(".");
    return refused(
      parseIpv4(plain) === null
        ? "leave out leading zeros"
        : `leave out leading zeros, as in ${plain} (some programs read them as octal)`,
    );
  }
  if (NUMBERS.test(text)) return refused("each of its four numbers is 0…255");
  if (text.includes(":")) return refused("IPv6 is not supported; write four numbers, as in 203.0.113.7");
  return refused("write four numbers, as in 203.0.113.7");
}

/** Blocks without hosts, to which no packet is forwarded (PIPELINE.md, table 40). */
const MARTIANS: readonly Prefix[] = [
  { address: ipv4FromBits(0x00000000), length: 8 },
  { address: ipv4FromBits(0x7f000000), length: 8 },
  { address: ipv4FromBits(0xe0000000), length: 3 },
];

/** The martian block that contains all of a prefix, as text; null if there is none. */
export function martianOf(address: number, length: number): string | null {
  const block = MARTIANS.find(
    martian => length >= martian.length && networkOf(address, martian.length) === martian.address,
  );
  return block === undefined ? null : formatPrefix(block);
}

/** The address of a VM: IPv4, outside the martian blocks. */
export function readHostAddress(text: string): Ipv4Address | Fault {
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
    `${text} is in ${martian}, which is not for hosts; give an address outside 0/8, 127/8 and 224/3`,
  );
}

/** A prefix in the form `203.0.113.0/24`, without host bits. */
export function readPrefix(text: string): Prefix | Fault {
  const slash = text.indexOf("/");
  if (slash < 0) {
    const alone = readIpv4(text);
    if (!(alone instanceof Fault)) return new Fault(`${text} has no length; a single address is ${text}/32`);
    return new Fault(`${quoted(text)} is not a prefix; write an address and a length, as in 203.0.113.0/24`);
  }
  const prefix = readIpv4(text.slice(0, slash));
  if (prefix instanceof Fault) return prefix;
  const digits = text.slice(slash + 1);
  const length = parsePrefixLength(digits);
  if (length === null) return new Fault(`${quoted(digits)} is not a prefix length; write 0…32`);
  const network = networkOf(prefix, length);
  if (network === prefix) return { address: network, length };
  const masked = formatPrefix({ address: network, length });
  return new Fault(`${text} has host bits set; the prefix is ${masked}`);
}

/** One label in decimal, as in a routes file. */
export function readLabel(text: string): number | Fault {
  if (!/^\d+$/.test(text)) {
    return new Fault(`${quoted(text)} is not a label; a label is a number ${formatRange(LABEL)}`);
  }
  return inRange(Number(text), printable(text), LABEL);
}
