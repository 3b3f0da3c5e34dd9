/**
 * The frame builder: `eth({ dst, src }).mpls({ label }).ipv4({ src, dst }).udp({ src, dst
 * }).payload(bytes).bytes()`. A builder is immutable; each step returns a new one, so several
 * frames can share a beginning. It writes any frame that a test needs, malformed ones
 * included, and is far too slow for the data path.
 */
import { type ArpFields, arpLayer } from "./arp.ts";
import {
  type EthFields,
  ethLayer,
  type SnapFields,
  snapLayer,
  type VlanFields,
  vlanLayer,
} from "./ethernet.ts";
import { type Ipv4Fields, type Ipv6Fields, ipv4Layer, ipv6Layer } from "./ip.ts";
import { join, type Layer } from "./layer.ts";
import { type MplsFields, mplsLayer } from "./mpls.ts";
import {
  type EchoFields,
  echoLayer,
  payloadLayer,
  type TcpFields,
  tcpLayer,
  type UdpFields,
  udpLayer,
} from "./transport.ts";

export class FrameBuilder {
  readonly #layers: readonly Layer[];
  readonly #minimum: number;
  readonly #fill: number;

  constructor(layers: readonly Layer[], minimum = 0, fill = 0) {
    this.#layers = layers;
    this.#minimum = minimum;
    this.#fill = fill;
  }

  #with(layer: Layer): FrameBuilder {
    return new FrameBuilder([...this.#layers, layer], this.#minimum, this.#fill);
  }

  /** A VLAN tag; `tpid: 0x88a8` makes it a service tag. */
  vlan(fields: VlanFields): FrameBuilder {
    return this.#with(vlanLayer(fields));
  }

  /** LLC/SNAP: the Ethernet header before it carries a length. */
  snap(fields?: SnapFields): FrameBuilder {
    return this.#with(snapLayer(fields));
  }

  mpls(fields: MplsFields): FrameBuilder {
    return this.#with(mplsLayer(fields));
  }

  arp(fields: ArpFields): FrameBuilder {
    return this.#with(arpLayer(fields));
  }

  ipv4(fields: Ipv4Fields): FrameBuilder {
    return this.#with(ipv4Layer(fields));
  }

  ipv6(fields: Ipv6Fields): FrameBuilder {
    return this.#with(ipv6Layer(fields));
  }

  udp(fields: UdpFields): FrameBuilder {
    return this.#with(udpLayer(fields));
  }

  tcp(fields: TcpFields): FrameBuilder {
    return this.#with(tcpLayer(fields));
  }

  /** ICMP echo request, or with `reply: true` its answer. */
  echo(fields?: EchoFields): FrameBuilder {
    return this.#with(echoLayer(fields));
  }

  payload(bytes: ArrayLike<number>): FrameBuilder {
    return this.#with(payloadLayer(bytes));
  }

  /** Pads the finished frame at its end to at least `length` bytes; no length field counts them. */
  pad(length: number, fill = 0): FrameBuilder {
    return new FrameBuilder(this.#layers, length, fill);
  }

  /** The finished frame, without a frame check sequence. */
  bytes(): Uint8Array {
    let inner: Uint8Array = new Uint8Array(0);
    for (let at = this.#layers.length - 1; at >= 0; at--) {
      inner = this.#layers[at]!.encode(inner, this.#layers[at - 1] ?? null, this.#layers[at + 1] ?? null);
    }
    const missing = Math.max(this.#minimum - inner.length, 0);
    return missing === 0 ? inner : join(inner, new Uint8Array(missing).fill(this.#fill));
  }
}

/** Begins a frame with its Ethernet header. */
export function eth(fields: EthFields): FrameBuilder {
  return new FrameBuilder([ethLayer(fields)]);
}
