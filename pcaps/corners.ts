/**
 * Every corner of the pipeline, in the order of corners.pcapng: sizes, tags, what guests may not send, the
 * bridge, ARP, routes and bytes, labels, LLC/SNAP.
 */
import type { Corner } from "./corner.ts";
import { bridgedArp, bridging, malformedArp, responder, uplinkArp } from "./corners-bridge.ts";
import { giants, malformed, notIp, runts, spoofing, tags } from "./corners-guest.ts";
import { bytesOfPackets, inbound, labels, routing, snap, snapPop } from "./corners-packet.ts";

const CHAPTERS: readonly (() => Corner[])[] = [
  ...[runts, giants, tags, spoofing, malformed, notIp],
  ...[bridging, responder, bridgedArp, uplinkArp, malformedArp],
  ...[routing, bytesOfPackets, labels, inbound, snap, snapPop],
];

export function corners(): Corner[] {
  return CHAPTERS.flatMap(chapter => chapter());
}
