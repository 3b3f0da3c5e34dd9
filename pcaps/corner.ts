/**
 * The shape of a corner (a frame, what it is, what must become of it in the world of corners.yaml) and the
 * frames that corners are made of. The corners themselves stand in corners-guest.ts, corners-bridge.ts and
 * corners-packet.ts.
 */
import { eth } from "../src/wire/index.ts";
import { BROADCAST, counting, fromFabric, fromGuest, type Guest, LABEL, UPLINK_PORT } from "./world.ts";

export interface Corner {
  readonly port: number;
  readonly frame: Uint8Array;
  /** What the frame is, on one line and without a bar. */
  readonly what: string;
  /** `output PORT`, `reply` or `drop REASON`. */
  readonly verdict: string;
}

export const GROUP_MAC = "01:00:5e:00:00:fb";
export const STRANGER_MAC = "52:54:00:00:00:99";
export const UDP = { src: 4000, dst: 53 };

/** The uplink, where a corner asks for the guest that sends. */
export const UPLINK = { ofport: UPLINK_PORT } as const;

/** Frames that come in by one port and share one verdict, by what they are. */
export function expect(
  from: { readonly ofport: number },
  verdict: string,
  frames: Readonly<Record<string, Uint8Array>>,
): Corner[] {
  return Object.entries(frames).map(([what, frame]) => ({ port: from.ofport, frame, what, verdict }));
}

/** As `expect`, for a series of frames that differ in one value. */
export function series<T>(
  from: { readonly ofport: number },
  verdict: string,
  values: readonly T[],
  each: (value: T) => readonly [what: string, frame: Uint8Array],
): Corner[] {
  return expect(from, verdict, Object.fromEntries(values.map(each)));
}

/** A UDP packet of `guest` to `dst` in a frame to its gateway. */
export function packet(guest: Guest, dst: string, fields: { src?: string; ttl?: number } = {}): Uint8Array {
  return fromGuest(guest)
    .ipv4({ src: guest.address, dst, ...fields })
    .udp(UDP)
    .bytes();
}

/** The same with exactly `length` bytes. */
export function sized(guest: Guest, dst: string, length: number): Uint8Array {
  const head = fromGuest(guest).ipv4({ src: guest.address, dst }).udp(UDP);
  return head.payload(counting(length - 42)).bytes();
}

/** A frame with our label from the fabric to `dst`, with exactly `length` bytes. */
export function labelled(dst: string, length: number): Uint8Array {
  const head = fromFabric().mpls({ label: LABEL }).ipv4({ src: "198.51.100.1", dst }).udp(UDP);
  return head.payload(counting(length - 46)).bytes();
}

interface ArpOptions {
  readonly dst?: string;
  readonly op?: number;
  readonly spa?: string;
  readonly tha?: number;
  readonly length?: number;
}

/** An ARP frame of a guest: a broadcast request padded to 60 bytes unless told otherwise. */
export function arpOf(
  guest: Pick<Guest, "mac" | "address">,
  tpa: string,
  options: ArpOptions = {},
): Uint8Array {
  const { dst = BROADCAST, op = 1, spa = guest.address, tha = 0, length = 60 } = options;
  return eth({ dst, src: guest.mac }).arp({ op, sha: guest.mac, spa, tha, tpa }).pad(length, 0x5a).bytes();
}
