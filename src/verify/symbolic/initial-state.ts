/**
 * The state of a symbolic machine before its first lookup.
 */
import { KEY, PORT } from "../../openflow/index.ts";
import type { Extractions } from "./extractions.ts";
import { NEW_PASS, type Packet, type State } from "./state.ts";

/** The state for an incoming frame; `isTunnelled`: with tunnel fields. */
export function initialState(extractions: Extractions, side: 0 | 1, isTunnelled: boolean): State {
  const key = extractions.firstKey(isTunnelled);
  const { terms } = extractions;
  const packet: Packet = {
    base: key,
    read: key,
    readAs: key[KEY.dlType]!,
    extraction: 0,
    popped: 0,
    pushed: 0,
    types: [],
    isRelabelled: false,
    isMoved: false,
    written: new Set(),
    history: "",
  };
  return {
    ...NEW_PASS,
    side,
    flow: key.with(KEY.actsetOutput, terms.constant(PORT.unset)),
    packet,
    lookup: { table: 0, inPort: key[KEY.inPort]!, deepens: 0, isLast: true },
    stack: [],
    stackBytes: 0,
    priority: key[KEY.skbPriority]!,
    after: [],
    recirculations: 0,
    tracked: "",
    answers: [],
    out: [],
    isDone: false,
    hits: [],
  };
}
