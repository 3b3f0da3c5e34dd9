/**
 * Packet-ins as lines, so that the interpreter's can be held against those of a switch: reason, controller
 * id, userdata, in_port, what goes beside the packet, and the packet. Lengths are left out, because Open
 * vSwitch keeps no buffers and sends whole packets.
 */

import { fieldNamed } from "../../src/openflow/fields.ts";
import { type Outcome, PACKET_IN_WORDS } from "../../src/openflow/index.ts";
import { hexOf } from "../openflow/interpret/compare.ts";
import type { Answer } from "../ovs/private-switch.ts";

/** Fields of up to 64 bits that both sides tell. */
const NAMES = [
  ...Array.from({ length: 16 }, (_, n) => `reg${n}`),
  "metadata",
  "pkt_mark",
  "tun_id",
  "tun_src",
  "tun_dst",
  "tun_gbp_id",
  "tun_gbp_flags",
];
const PLACES = NAMES.map(name => ({ name, place: fieldNamed(name).place! }));

type Seen = Outcome["packetIns"][number];
type Told = Answer["packetIns"][number];

function wordOf(state: Uint32Array, word: number, shift: number, bits: number): bigint {
  const at = (one: number): bigint => BigInt(state[PACKET_IN_WORDS.indexOf(one)]!);
  if (bits > 32) return (at(word) << 32n) | at(word + 1);
  return (at(word) >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
}

const lineOf = (
  {
    reason,
    id,
    userdata,
    inPort,
    frame,
  }: { reason: string; id: number; userdata: string; inPort: number; frame: Uint8Array },
  values: readonly (readonly [name: string, value: bigint])[],
): string => {
  const beside = values
    .filter(([, value]) => value !== 0n)
    .map(([name, value]) => `${name}=${value.toString(16)}`);
  return [reason, `id=${id}`, `userdata=${userdata}`, `in_port=${inPort}`, ...beside, hexOf(frame)].join(" ");
};

const seenLine = ({ state, reason, id, userdata, frame }: Seen): string =>
  lineOf(
    // An output to a reserved port number has 32 bits in the key.
    {
      reason,
      id,
      userdata: userdata ?? "",
      inPort: Number(wordOf(state, fieldNamed("in_port").place!.word, 0, 16)),
      frame,
    },
    PLACES.map(({ name, place: { word, shift, bits } }) => [name, wordOf(state, word, shift, bits)]),
  );

const toldLine = ({ reason, controllerId, userdata, inPort, metadata, frame }: Told): string =>
  lineOf(
    { reason, id: controllerId, userdata: hexOf(userdata), inPort: inPort & 0xffff, frame },
    NAMES.map(name => [name, metadata.get(name) ?? 0n]),
  );

/** The interpreter's packet-ins for controllers of these ids, id by id. */
export function seenLines(packetIns: readonly Seen[], ids: readonly number[]): string[] {
  return ids.flatMap(id => packetIns.filter(one => one.id === id).map(seenLine));
}

/** Those of the switch. */
export const toldLines = (packetIns: readonly Told[]): string[] => packetIns.map(toldLine);
