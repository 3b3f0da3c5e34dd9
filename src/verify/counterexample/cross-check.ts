/**
 * Cross-checks the symbolic outcome of one frame against the interpreter's outcome: output ports and their
 * order, MAC addresses, the outermost label, and the number of packet-ins. The two engines share no code
 * beyond compiled steps, so a difference that passes was found by both.
 */
import { KEY, type Outcome } from "../../openflow/index.ts";
import type { Path } from "../paths/path-condition.ts";
import { TYPES } from "../symbolic/fields.ts";
import type { Event, Packet } from "../symbolic/state.ts";
import type { Word } from "../symbolic/terms.ts";
import { evaluate, type Input } from "./find-input.ts";

type Read = (word: Word) => number;

const MAC_BYTES = 6;

/**
 * Whether an outcome ends with the events of the symbolic machine; earlier events were equal on both sides.
 */
export function agreesWithOutcome(
  events: readonly Event[],
  path: Path,
  input: Input,
  outcome: Outcome,
): boolean {
  const read: Read = word => evaluate(path, input.elements, word, input.valued);
  const isSent = (event: Event): boolean =>
    event.is === "output" && (event.notTo === null || read(event.port) !== read(event.notTo));
  const outputs = events.filter(isSent) as Extract<Event, { is: "output" }>[];
  const packetIns = events.filter(({ is }) => is === "packet_in");
  const others = events.filter(({ is }) => is === "effect");
  if (outcome.effects === null) return false;
  const { effects } = outcome;
  const seen = effects.outputs.slice(effects.outputs.length - outputs.length);
  const toController = effects.packetIns.filter(({ isExpired }) => !isExpired);
  return (
    toController.length >= packetIns.length &&
    effects.others.length >= others.length &&
    seen.length === outputs.length &&
    outputs.every(({ port, wire, state }, index) => {
      const { port: number, frame, state: words } = seen[index]!;
      return (
        (read(port) & 0xffff) === number &&
        // Tunnel fields are omitted for a port that is not a tunnel.
        state.every((word, at) => word.value === 0 || read(word) === (words?.[at] ?? 0)) &&
        agrees(frame, wire.packet, read)
      );
    })
  );
}

/** Whether the bytes at fixed offsets are those of the packet. */
function agrees(frame: Uint8Array, { base, pushed }: Packet, read: Read): boolean {
  const joinMap = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const holds = (at: number, high: number): boolean =>
    joinMap.getUint16(at) === read(base[high]!) && joinMap.getUint32(at + 2) === read(base[high + 1]!);
  if (!holds(0, KEY.dlDst) || !holds(MAC_BYTES, KEY.dlSrc)) return false;
  // Behind a tag or an LLC header the label is elsewhere, and a label that was not pushed may be one only in
  // the key.
  if (pushed === 0) return true;
  const type = joinMap.getUint16(2 * MAC_BYTES);
  const isLabelled = type === TYPES.mpls || type === TYPES.mplsMulticast;
  if (!isLabelled || frame.length < 18 || read(base[KEY.dlType]!) !== type) return true;
  return joinMap.getUint32(14) === read(base[KEY.mplsLse]!);
}
