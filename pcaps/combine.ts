/**
 * Turns the raw captures of make-real.sh into the files of this folder: `combine.ts RAW_FOLDER`. Guests are
 * taken over as they are, two of them in one pcapng. The uplink is where this kernel falls short: it has no
 * MPLS, so what the edge sent to the hypervisor is put under the label the fabric would have used (RFC 3032,
 * TTL copied from the packet as in RFC 3443's uniform model). Nothing else is changed: payloads, TTLs, MACs
 * and timestamps are those of the capture.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eth, formatIpv4, formatMac } from "../src/wire/index.ts";
import { DUAL_L3, LABEL, SMALL, UPLINK_MAC } from "./world.ts";
import { type Captured, pcapng, readPcap, type TaggedCaptured } from "./write.ts";

/** What the edge puts in front of the packets to one guest; null: nothing, it pops one hop before the end. */
const LABEL_OF: ReadonlyMap<string, number | null> = new Map([
  [DUAL_L3.address, 0],
  [SMALL.address, null],
]);

function macAt(frame: Uint8Array, offset: number): string {
  return formatMac(Buffer.from(frame.buffer, frame.byteOffset, frame.length).readUIntBE(offset, 6));
}

/**
 * The frame as an MPLS fabric delivers it: labelled when it is IPv4 for the uplink's own MAC, else as it is.
 */
export function asDelivered(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const routed = frame.length >= 34 && view.getUint16(12) === 0x0800 && macAt(frame, 0) === UPLINK_MAC;
  if (!routed) return frame;
  const special = LABEL_OF.get(formatIpv4(view.getUint32(30)));
  if (special === null) return frame;
  const addresses = { dst: macAt(frame, 0), src: macAt(frame, 6) };
  return eth(addresses)
    .mpls({ label: special ?? LABEL, ttl: frame[22]! })
    .payload(frame.subarray(14))
    .bytes();
}

/** All records under their interfaces, by time; the sort is stable, so ties keep their order. */
function merged(...captures: readonly (readonly TaggedCaptured[])[]): TaggedCaptured[] {
  return captures.flat().sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

function main(raw: string): void {
  const read = (name: string): Captured[] => readPcap(readFileSync(join(raw, `${name}.pcap`)));
  const as = (index: number, records: readonly Captured[]): TaggedCaptured[] =>
    records.map(record => ({ ...record, interface: index }));
  const write = (name: string, ports: readonly string[], records: readonly TaggedCaptured[]): void =>
    writeFileSync(join(import.meta.dirname, name), pcapng(ports, records));

  write("bridged.pcapng", ["tap103", "tap104"], merged(as(0, read("tap103")), as(1, read("tap104"))));
  const routed = read("routed").map(record => ({ ...record, frame: asDelivered(record.frame) }));
  write("uplink.pcapng", ["uplink0"], merged(as(0, routed), as(0, read("bridged"))));
}

main(process.argv[2] ?? "");
