/**
 * Frames that leave and packets for the controller as reports have them, and the state that a frame brings
 * with it.
 */
import {
  ACCOMPANYING_WORDS,
  type EnteringState,
  type FrameOut,
  KEY,
  PACKET_IN_WORDS,
  type PacketInSeen,
  type StateField,
  stateFields,
} from "../openflow/index.ts";
import type { ShownOutput, ShownPacketIn } from "../report/index.ts";
import { formatHex, summarize } from "../wire/index.ts";

const matchOf = (fields: readonly StateField[]): string =>
  fields.map(({ name, value }) => `${name}=${value}`).join(",");

/** `tun_id=0x64,pkt_mark=0x1`: what a frame brings with it, as a match; empty when that is nothing. */
export const enteringText = (state: EnteringState): string =>
  matchOf(
    stateFields(
      STATE_WORDS,
      STATE_WORDS.map(word => state.get(word) ?? 0),
    ),
  );

/** All words in front of those of the packet. */
const STATE_WORDS = Array.from({ length: KEY.dlDst }, (_, word) => word);

/** A frame that leaves. */
export function shownOutput(
  { port, frame, state }: FrameOut,
  nameOf: (port: number) => string | null,
): ShownOutput {
  const fields = state === null ? [] : stateFields(ACCOMPANYING_WORDS, state);
  const along = fields.map(({ name, value }) =>
    name === "skb_priority" ? `queue ${Number(value)}` : `${name}=${value}`,
  );
  const hex = formatHex(frame);
  return { port, portName: nameOf(port), along, state: matchOf(fields), hex, summary: summarize(frame) };
}

/** A packet for the controller. The port that it came in by is the frame's, and stands with it. */
export function shownPacketIn(packetIn: PacketInSeen): ShownPacketIn {
  const { reason, id, maxBytes, userdata, state, frame } = packetIn;
  const fields = stateFields(PACKET_IN_WORDS, state).filter(({ name }) => name !== "in_port");
  return { reason, id, maxLen: maxBytes, userdata, state: matchOf(fields), hex: formatHex(frame) };
}
