/**
 * The connection tracker as the interpreter asks it. What it says depends on connections that no flow table
 * shows, so whoever runs a frame answers in its place: with the state of `trace --ct-next`, or with what a
 * proof found. An answer is the tracker's words of the key, as lib/conntrack.c would set them, and the
 * addresses and ports that a translation leaves in the packet.
 */
import { KEY } from "../flow-key.ts";
import { commit } from "./commit.ts";
import { TRACKER_WORDS } from "./compile-actions.ts";
import { applyHeaderAction, type HeaderAction } from "./datapath.ts";
import type { Packet } from "./packet.ts";
import type { TrackStep } from "./translation.ts";

/** Bits of ct_state (ovs-fields(7)). */
export const CT = {
  new: 0x01,
  est: 0x02,
  rel: 0x04,
  rpl: 0x08,
  inv: 0x10,
  trk: 0x20,
  snat: 0x40,
  dnat: 0x80,
} as const;

/** A packet that is handed to the connection tracker and goes on behind it. */
export interface TrackerRequest {
  readonly step: TrackStep;
  readonly zone: number;
  /** The packet's key, until the answer is given. */
  readonly key: Uint32Array;
  /**
   * Everything that this frame asked the tracker for so far, in order. Two switches whose trackers are in one
   * state give the same answer to the same text.
   */
  readonly history: string;
}

/**
 * Values by word of the key. Of TRACKER_WORDS, those that are missing are zero; of the packet's words, only
 * addresses and ports may be there.
 */
export type TrackerAnswer = ReadonlyMap<number, number>;

/** Answers in place of the tracker; null if it does not know. */
export type Tracker = (request: TrackerRequest) => TrackerAnswer | null;

/** Writes an answer to a key, and a translation to its packet. */
export function takeAnswer(answer: TrackerAnswer, zone: number, key: Uint32Array, packet: Packet): void {
  const before = key.slice();
  for (const word of TRACKER_WORDS) key[word] = answer.get(word) ?? 0;
  key[KEY.ctZone] = zone;
  let isTranslated = false;
  for (const [word, value] of answer) {
    if (word < KEY.dlDst) continue;
    key[word] = value;
    isTranslated = true;
  }
  if (!isTranslated) return;
  const actions: HeaderAction[] = [];
  commit(key, before, actions);
  for (const action of actions) applyHeaderAction(packet, action);
}
