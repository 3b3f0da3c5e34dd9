/**
 * Input beside the bytes of a frame: pkt_mark, skb_priority and, from tunnel ports, tun_*. Also which ports
 * are tunnels. A word that no flow matches or writes is the same in both outputs, so only the words that a
 * flow names are input. Connection tracking state is not input: an incoming frame is untracked.
 */

import { ACCOMPANYING_WORDS, type Field, KEY, type Step, wordsIn } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import type { Program } from "./compiled-tables.ts";
import type { PortKinds, Space } from "./input-space.ts";
import { isSimple } from "./simple-steps.ts";

export const TUNNEL_WORDS: readonly number[] = ACCOMPANYING_WORDS.filter(word => word >= KEY.tunnelId);

/** Whether a port is a tunnel; null if the caller did not say. LOCAL is never a tunnel. */
export function isTunnel({ tunnels, others, isComplete }: PortKinds, port: number): boolean | null {
  const number = port & 0xffff;
  if (tunnels.has(number)) return true;
  return isComplete || others.has(number) || number === LOCAL ? false : null;
}

const LOCAL = 0xfffe;

function fieldsOf(step: Step): readonly Field[] {
  if (isSimple(step)) return [];
  switch (step.do) {
    case "set":
      return [step.field];
    case "move":
      return [step.from.field, step.to.field];
    case "push":
    case "output_field":
      return [step.from.field];
    case "pop":
      return [step.to.field];
    case "effect":
    case "track":
      return step.reads.map(({ field }) => field);
    case "output":
    case "group":
    case "resubmit":
    case "pop_mpls":
    case "write_actions":
    case "clone":
    case "exit":
    case "unknown":
      return [];
    default:
      return unreachable(step);
  }
}

/** Adds the words that steps read or write. */
function addWords(steps: readonly Step[], into: Set<number>): void {
  for (const step of steps) {
    for (const field of fieldsOf(step)) for (const word of wordsIn(field)) into.add(word);
    if ("steps" in step) addWords(step.steps, into);
    if (step.do === "set_queue" || step.do === "enqueue" || step.do === "pop_queue")
      into.add(KEY.skbPriority);
  }
}

/** The space, extended by the accompanying words that a program names. */
export function withEntering(space: Space, programs: readonly Program[], ports: PortKinds): Space {
  const named = new Set<number>();
  for (const program of programs) {
    for (const word of program.matchedWords()) named.add(word);
    for (const steps of program.allSteps()) addWords(steps, named);
  }
  const cubes = new Map(space.cubes);
  // OAM is the only tunnel flag that a flow can match; tunnel TTL and TOS are in the same word.
  cubes.set(KEY.tunnelFlags, [{ mask: 0x0000fffe, value: 0 }]);
  const isTupleRead = [...named].some(word => word >= KEY.ctProto && word < KEY.dlDst);
  const entering = ACCOMPANYING_WORDS.filter(word => named.has(word));
  return { ...space, cubes, ports, entering, isTupleRead };
}
