/**
 * UDP (RFC 768), TCP (RFC 9293) and ICMP echo (RFC 792) for the frame builder. Checksums are computed over
 * the pseudo header of the IP layer right before; without one (a fragment, a bare payload) the UDP and TCP
 * checksum is zero.
 */
import { internetChecksum, join, type Layer, u16, u32 } from "./layer.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
/** The flags of octet 13, from the lowest bit up: FIN, SYN, RST, PSH, ACK, URG. */
const TCP_FLAGS = "FSRPAU";

export interface UdpFields {
  readonly src: number;
  readonly dst: number;
  readonly length?: number;
  readonly checksum?: number;
}

export interface TcpFields {
  readonly src: number;
  readonly dst: number;
  readonly seq?: number;
  readonly ack?: number;
  /** Letters of `FSRPAU`; default `A`. */
  readonly flags?: string;
  readonly window?: number;
  readonly checksum?: number;
}

export interface EchoFields {
  readonly reply?: boolean;
  readonly id?: number;
  readonly sequence?: number;
  readonly checksum?: number;
}

function transportChecksum(before: Layer | null, protocol: number, ...parts: ArrayLike<number>[]): number {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const pseudo = before?.pseudoHeader?.(protocol, length);
  return pseudo === undefined ? 0 : internetChecksum(pseudo, ...parts);
}

export function udpLayer(fields: UdpFields): Layer {
  return {
    etherType: null,
    protocol: UDP,
    encode(inner, before) {
      const length = u16(fields.length ?? 8 + inner.length, "UDP length");
      const head = [...u16(fields.src, "port"), ...u16(fields.dst, "port"), ...length];
      // A computed zero is sent as all ones: zero says that there is no checksum (RFC 768).
      const computed =
        transportChecksum(before, UDP, head, [0, 0], inner) || (before?.pseudoHeader ? 0xffff : 0);
      return join(head, u16(fields.checksum ?? computed, "checksum"), inner);
    },
  };
}

export function tcpLayer(fields: TcpFields): Layer {
  const { seq = 0, ack = 0, flags = "A", window = 65_535 } = fields;
  return {
    etherType: null,
    protocol: TCP,
    encode(inner, before) {
      let flagBits = 0;
      for (const letter of flags) {
        const bit = TCP_FLAGS.indexOf(letter);
        if (bit < 0) throw new RangeError(`TCP flag "${letter}" is unknown, use letters of ${TCP_FLAGS}`);
        flagBits |= 1 << bit;
      }
      const ports = [...u16(fields.src, "port"), ...u16(fields.dst, "port")];
      const head = [
        ...ports,
        ...u32(seq, "seq"),
        ...u32(ack, "ack"),
        5 << 4,
        flagBits,
        ...u16(window, "window"),
      ];
      const checksum = fields.checksum ?? transportChecksum(before, TCP, head, [0, 0, 0, 0], inner);
      return join(head, u16(checksum, "checksum"), [0, 0], inner);
    },
  };
}

export function echoLayer(fields: EchoFields = {}): Layer {
  const { reply = false, id = 1, sequence = 1 } = fields;
  return {
    etherType: null,
    protocol: ICMP,
    encode(inner) {
      const type = [reply ? 0 : 8, 0];
      const rest = [...u16(id, "id"), ...u16(sequence, "sequence")];
      const checksum = fields.checksum ?? internetChecksum(type, [0, 0], rest, inner);
      return join(type, u16(checksum, "checksum"), rest, inner);
    },
  };
}

/** Bytes as they are. */
export function payloadLayer(bytes: ArrayLike<number>): Layer {
  return { etherType: null, protocol: null, encode: inner => join(bytes, inner) };
}
