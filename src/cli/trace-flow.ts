/**
 * Frames in the flow syntax of `ofproto/trace` (ovs-vswitchd(8)):
 * `in_port=1,tun_id=0x64,ip,nw_dst=203.0.113.7`. Fields that are not given are zero, as there. Fields of
 * the packet make a frame; the others (tun_id, pkt_mark, a register …) are what it brings along.
 */
import {
  type EnteringState,
  type Flow,
  KEY,
  KEY_WORDS,
  matchWords,
  ones,
  parseFlow,
} from "../openflow/index.ts";
import type { PortNames } from "../replay/index.ts";
import { frameOfKey } from "../verify/index.ts";
import { UserError } from "./errors.ts";

export interface GivenFlow {
  /** LOCAL is 65534; null when the flow does not say. */
  readonly inPort: number | null;
  readonly state: EnteringState;
  /** Null when the flow has no field of a packet. */
  readonly frame: Uint8Array | null;
}

const PROTOCOLS = "arp|icmp6?|ip|ipv6|mplsm?|rarp|sctp6?|tcp6?|udp6?";
const FLOW = new RegExp(`^\\s*(?:${PROTOCOLS})\\s*(?:,|$)|^[^(]*=`);

/** Whether a text is meant as a flow, and not as hex or as a builder expression. */
export const isFlowText = (text: string): boolean => FLOW.test(text);

/** Reads one flow. Throws UserError. */
export function givenFlow(text: string, ports: PortNames): GivenFlow {
  const { flow, problems } = parseFlow(
    `${text} actions=drop`,
    { file: "frame", line: 1 },
    { ports: ports.numbers, isPacket: true },
  );
  const error = problems.find(({ level }) => level === "error");
  if (flow === null || error !== undefined)
    throw new UserError(`frame: column ${error?.column ?? 1}: ${error?.message ?? "is not a flow"}`);
  refuseMasks(flow);
  const { words, unplaced } = matchWords(flow);
  if (unplaced.length > 0)
    throw new UserError(`frame: field ${unplaced[0]!.field.name} is not modeled; leave it out`);
  const key = new Uint32Array(KEY_WORDS);
  for (const { word, value } of words) key[word] = value;
  const state = new Map(
    words
      .filter(({ word, value }) => word < KEY.dlDst && word !== KEY.inPort && value !== 0)
      .map(({ word, value }) => [word, value] as const),
  );
  const isPort = words.some(({ word }) => word === KEY.inPort);
  const hasPacket = words.some(({ word }) => word >= KEY.dlDst);
  const frame = hasPacket ? frameOfKey(key) : null;
  if (hasPacket && frame === null)
    throw new UserError(
      `frame: no frame has exactly these fields: ${text}; add the fields that they require ` +
        "(mpls_bos=1 of the last label, nw_proto, the type)",
    );
  return { inPort: isPort ? key[KEY.inPort]! & 0xffff : null, state, frame };
}

function refuseMasks({ match }: Flow): void {
  const masked = match.find(({ field, mask }) => mask !== ones(field.bits) && mask !== field.valid);
  if (masked !== undefined)
    throw new UserError(`frame: ${masked.field.name} has a mask; give an exact value`);
}
