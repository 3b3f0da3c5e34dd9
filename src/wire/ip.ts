/**
 * IPv4 (RFC 791) and the fixed header of IPv6 (RFC 8200) for the frame builder. Lengths, protocol and header
 * checksum are computed unless given; a given value is written unchanged, so that a test can make malformed
 * packets. No fragmenting: `fragment` only writes the fields.
 */
import { ETHERTYPE } from "./ethernet.ts";
import { bits, type Ipv4Like, internetChecksum, ipv4Bytes, join, type Layer, u8, u16, u32 } from "./layer.ts";

/**
 * "No next header" for IPv6, and for IPv4 the first of the two numbers reserved for experiments (RFC 3692).
 */
const PROTOCOL_IF_NOTHING_FOLLOWS = { ipv4: 253, ipv6: 59 };

export interface Ipv4Fields {
  readonly src: Ipv4Like;
  readonly dst: Ipv4Like;
  readonly ttl?: number;
  /** The whole octet: DSCP and ECN. */
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  /** Offset in bytes (a multiple of 8) and whether more follow. */
  readonly fragment?: { readonly offset: number; readonly more: boolean };
  /** Padded with zeros (end of options) to a multiple of four bytes. */
  readonly options?: ArrayLike<number>;
  readonly version?: number;
  /** Header length in 32-bit words. */
  readonly ihl?: number;
  readonly totalLength?: number;
  readonly protocol?: number;
  readonly checksum?: number;
}

export interface Ipv6Fields {
  readonly src: string;
  readonly dst: string;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly nextHeader?: number;
  readonly payloadLength?: number;
}

export function ipv4Layer(fields: Ipv4Fields): Layer {
  const { version = 4, tos = 0, id = 0, ttl = 64, dontFragment = false } = fields;
  const { offset, more } = fields.fragment ?? { offset: 0, more: false };
  const options = join(fields.options ?? [], new Uint8Array(-(fields.options?.length ?? 0) & 3));
  const ihl = fields.ihl ?? 5 + options.length / 4;
  const addresses = [...ipv4Bytes(fields.src), ...ipv4Bytes(fields.dst)];
  return {
    etherType: ETHERTYPE.ipv4,
    protocol: 4,
    pseudoHeader: (protocol, length) => join(addresses, [0], u8(protocol), u16(length)),
    encode(inner, _before, after) {
      const start = bits([version, 4, "IP version"], [ihl, 4, "IHL"], [tos, 8, "TOS"]);
      const length = fields.totalLength ?? 20 + options.length + inner.length;
      const cut = bits(
        [0, 1, "flag"],
        [+dontFragment, 1, "DF"],
        [+more, 1, "MF"],
        [offset / 8, 13, "offset / 8"],
      );
      const protocol = fields.protocol ?? after?.protocol ?? PROTOCOL_IF_NOTHING_FOLLOWS.ipv4;
      const front = [...u16(start), ...u16(length, "total length"), ...u16(id, "id"), ...u16(cut)];
      const middle = [...u8(ttl, "TTL"), ...u8(protocol, "protocol")];
      const checksum = fields.checksum ?? internetChecksum(front, middle, addresses, options);
      return join(front, middle, u16(checksum, "checksum"), addresses, options, inner);
    },
  };
}

/** Reads RFC 4291 text, `::` included, without an embedded IPv4 address and without a zone. */
function ipv6Bytes(text: string): number[] {
  const halves = text.split("::").map(half => (half === "" ? [] : half.split(":")));
  const known = halves.reduce((count, half) => count + half.length, 0);
  const gap = halves.length === 2 ? 8 - known : 0;
  const groups = [...halves[0]!, ...Array<string>(Math.max(gap, 0)).fill("0"), ...(halves[1] ?? [])];
  const right =
    groups.length === 8 && halves.length <= 2 && groups.every(group => /^[0-9a-f]{1,4}$/i.test(group));
  if (!right) throw new TypeError(`"${text}" is not an IPv6 address; write it as 2001:db8::7`);
  return groups.flatMap(group => u16(Number.parseInt(group, 16)));
}

export function ipv6Layer(fields: Ipv6Fields): Layer {
  const { hopLimit = 64, trafficClass = 0, flowLabel = 0 } = fields;
  const addresses = [...ipv6Bytes(fields.src), ...ipv6Bytes(fields.dst)];
  return {
    etherType: ETHERTYPE.ipv6,
    protocol: 41,
    pseudoHeader: (protocol, length) => join(addresses, u32(length), u32(protocol)),
    encode(inner, _before, after) {
      const start = bits(
        [6, 4, "version"],
        [trafficClass, 8, "traffic class"],
        [flowLabel, 20, "flow label"],
      );
      const length = u16(fields.payloadLength ?? inner.length, "payload length");
      const next = u8(
        fields.nextHeader ?? after?.protocol ?? PROTOCOL_IF_NOTHING_FOLLOWS.ipv6,
        "next header",
      );
      return join(u32(start), length, next, u8(hopLimit, "hop limit"), addresses, inner);
    },
  };
}
