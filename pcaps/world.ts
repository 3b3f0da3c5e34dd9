/**
 * The world of the generated captures: the ports, MACs and addresses of corners.yaml, and the frames that
 * occur in it over and over. Written out a second time on purpose: a test loads the YAML and holds the two
 * against each other.
 */
import { eth, type FrameBuilder } from "../src/wire/index.ts";

export const UPLINK_PORT = 1;
export const LABEL = 1001;
export const UPLINK_MAC = "02:00:00:00:00:01";
/** The fabric's edge, where all labelled routes lead and where labelled packets come from. */
export const EDGE_MAC = "02:00:00:00:00:fe";
/** The router of the layer-2 segment. */
export const SEGMENT_MAC = "02:00:00:00:00:fd";
export const VIRTUAL_MAC = "fe:00:00:00:01:01";
export const BROADCAST = "ff:ff:ff:ff:ff:ff";
export const GATEWAY = "203.0.113.1";
/** A neighbour on the layer-2 segment that lives on another hypervisor. */
export const NEIGHBOUR = { mac: "52:54:00:00:00:32", address: "203.0.113.50" };
export const REMOTE = "203.0.113.200";

export interface Guest {
  readonly name: string;
  readonly ofport: number;
  readonly mac: string;
  readonly address: string;
}

export const L3: Guest = { name: "tap101", ofport: 11, mac: "52:54:00:00:00:0b", address: "203.0.113.7" };
export const DUAL_L3: Guest = {
  name: "tap102",
  ofport: 12,
  mac: "52:54:00:00:00:0c",
  address: "203.0.113.8",
};
export const DUAL_L2: Guest = {
  name: "tap103",
  ofport: 13,
  mac: "52:54:00:00:00:0d",
  address: "203.0.113.9",
};
export const L2: Guest = { name: "tap104", ofport: 14, mac: "52:54:00:00:00:0e", address: "203.0.113.10" };
export const TWO: Guest = { name: "tap105", ofport: 15, mac: "52:54:00:00:00:0f", address: "203.0.113.11" };
export const SECOND_ADDRESS = "203.0.113.77";
/** Its port is held to 1,500 bytes. */
export const SMALL: Guest = { name: "tap106", ofport: 16, mac: "52:54:00:00:00:10", address: "203.0.113.12" };

export const GUESTS: readonly Guest[] = [L3, DUAL_L3, DUAL_L2, L2, TWO, SMALL];

/** The interfaces of the pcapng files, in ofport order. */
export const PORT_NAMES: readonly string[] = ["uplink0", ...GUESTS.map(guest => guest.name)];

/** The index of a port in PORT_NAMES. */
export function interfaceOf(ofport: number): number {
  return ofport === UPLINK_PORT ? 0 : ofport - 10;
}

/** A frame of a guest to its gateway. */
export function fromGuest(guest: Guest): FrameBuilder {
  return eth({ dst: VIRTUAL_MAC, src: guest.mac });
}

/** A frame the fabric sends to the hypervisor itself, labelled or not. */
export function fromFabric(): FrameBuilder {
  return eth({ dst: UPLINK_MAC, src: EDGE_MAC });
}

/** Fixed nanoseconds for frame number `index`: one a millisecond from the first of January 2025 on. */
export function timeOf(index: number): bigint {
  return 1_735_689_600_000_000_000n + BigInt(index) * 1_000_000n;
}

/** Bytes 0, 1, 2 … 255, 0 …: a payload in which a shift by one is seen. */
export function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index & 255);
}
