/**
 * Ethernet II (RFC 894), VLAN tags (IEEE 802.1Q) and LLC/SNAP (RFC 1042) for the frame builder, and the
 * EtherTypes that slash32 uses. A type field left out is filled in from the layer that follows.
 */
import { bits, join, type Layer, type MacLike, macBytes, u16 } from "./layer.ts";

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  mpls: 0x8847,
  mplsMulticast: 0x8848,
  serviceVlan: 0x88a8,
  /** IEEE 802 local experimental 1: the default type of a payload directly behind Ethernet. */
  experimental: 0x88b5,
} as const;

export interface EthFields {
  readonly dst: MacLike;
  readonly src: MacLike;
  /** Type or length field; default: what follows. */
  readonly type?: number;
}

export interface VlanFields {
  readonly id: number;
  readonly priority?: number;
  readonly dropEligible?: boolean;
  /** 0x8100 (default) or 0x88a8; written to the type field of the layer before. */
  readonly tpid?: number;
  readonly type?: number;
}

export interface SnapFields {
  readonly type?: number;
  /** The six bytes in front of the type; default `aa aa 03 00 00 00`. */
  readonly llc?: ArrayLike<number>;
}

class SnapLayer implements Layer {
  readonly etherType = null;
  readonly protocol = null;
  constructor(private readonly fields: SnapFields) {}

  encode(inner: Uint8Array, _before: Layer | null, after: Layer | null): Uint8Array {
    return join(
      this.fields.llc ?? [0xaa, 0xaa, 3, 0, 0, 0],
      u16(typeField(this.fields.type, inner, after)),
      inner,
    );
  }
}

/**
 * A type field in front of `after` (encoded: `inner`): the given value,
 * else its EtherType, or for LLC its length.
 */
function typeField(given: number | undefined, inner: Uint8Array, after: Layer | null): number {
  // A length field ends at 1,500 by IEEE 802.3; longer frames get 1,500,
  // which a reader of types does not mind.
  const length = after instanceof SnapLayer ? Math.min(inner.length, 1500) : undefined;
  return given ?? length ?? after?.etherType ?? ETHERTYPE.experimental;
}

export function ethLayer(fields: EthFields): Layer {
  return {
    etherType: null,
    protocol: null,
    encode(inner, _before, after) {
      const type = typeField(fields.type, inner, after);
      return join(macBytes(fields.dst), macBytes(fields.src), u16(type, "type"), inner);
    },
  };
}

export function vlanLayer(fields: VlanFields): Layer {
  return {
    etherType: fields.tpid ?? ETHERTYPE.vlan,
    protocol: null,
    encode(inner, _before, after) {
      const tci = bits(
        [fields.priority ?? 0, 3, "VLAN priority"],
        [fields.dropEligible ? 1 : 0, 1, "drop eligible"],
        [fields.id, 12, "VLAN id"],
      );
      return join(u16(tci), u16(typeField(fields.type, inner, after), "type"), inner);
    },
  };
}

export function snapLayer(fields: SnapFields = {}): Layer {
  return new SnapLayer(fields);
}
