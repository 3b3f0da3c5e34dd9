/**
 * ARP for the frame builder (RFC 826). The defaults are Ethernet and IPv4; every field of the fixed part can
 * be overridden for packets that are neither; the addresses keep their six and four bytes.
 */
import { ETHERTYPE } from "./ethernet.ts";
import { type Ipv4Like, ipv4Bytes, join, type Layer, type MacLike, macBytes, u8, u16 } from "./layer.ts";

export const ARP_REQUEST = 1;

export interface ArpFields {
  readonly op?: number;
  readonly sha: MacLike;
  readonly spa: Ipv4Like;
  readonly tha?: MacLike;
  readonly tpa: Ipv4Like;
  readonly hrd?: number;
  readonly pro?: number;
  readonly hln?: number;
  readonly pln?: number;
}

export function arpLayer(fields: ArpFields): Layer {
  const { op = ARP_REQUEST, tha = 0, hrd = 1, pro = ETHERTYPE.ipv4, hln = 6, pln = 4 } = fields;
  return {
    etherType: ETHERTYPE.arp,
    protocol: null,
    encode(inner) {
      const fixed = [
        ...u16(hrd, "hrd"),
        ...u16(pro, "pro"),
        ...u8(hln, "hln"),
        ...u8(pln, "pln"),
        ...u16(op, "op"),
      ];
      const sender = [...macBytes(fields.sha), ...ipv4Bytes(fields.spa)];
      const target = [...macBytes(tha), ...ipv4Bytes(fields.tpa)];
      return join(fixed, sender, target, inner);
    },
  };
}
