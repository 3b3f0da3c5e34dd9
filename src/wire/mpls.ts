/**
 * One MPLS label stack entry (RFC 3032 §2.1) for the frame builder: label 20 bits, traffic class 3, bottom of
 * stack 1, TTL 8. The S bit left out is set when no other entry follows.
 */
import { ETHERTYPE } from "./ethernet.ts";
import { bits, join, type Layer, u32 } from "./layer.ts";

export interface MplsFields {
  readonly label: number;
  readonly tc?: number;
  /** Bottom of stack; default: true when no label follows. */
  readonly bos?: boolean;
  readonly ttl?: number;
}

class MplsLayer implements Layer {
  readonly etherType = ETHERTYPE.mpls;
  readonly protocol = null;
  constructor(private readonly fields: MplsFields) {}

  encode(inner: Uint8Array, _before: Layer | null, after: Layer | null): Uint8Array {
    const { label, tc = 0, bos = !(after instanceof MplsLayer), ttl = 64 } = this.fields;
    const entry = bits(
      [label, 20, "label"],
      [tc, 3, "traffic class"],
      [bos ? 1 : 0, 1, "S"],
      [ttl, 8, "TTL"],
    );
    return join(u32(entry), inner);
  }
}

export function mplsLayer(fields: MplsFields): Layer {
  return new MplsLayer(fields);
}
