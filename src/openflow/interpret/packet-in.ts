/**
 * Packet-ins: their arguments, and the reason that Open vSwitch gives the controller (xlate_output_action()
 * and xlate_controller_action() of ofproto-dpif-xlate.c).
 */
import type { Flow } from "../ast.ts";
import type { PacketInArguments } from "./compile-actions.ts";

/** The arguments of `actions=CONTROLLER`. */
export const PLAIN_PACKET_IN: PacketInArguments = {
  reason: "action",
  id: 0,
  maxBytes: 0xffff,
  userdata: null,
};

/** The arguments of a packet-in by a TTL that is used up. */
export const EXPIRED: PacketInArguments = { ...PLAIN_PACKET_IN, reason: "invalid_ttl" };

/**
 * The kind of list that runs, as bits: a bucket's; the action set or a table called from it; that of a flow
 * of priority 0 that matches everything. The reason of a packet-in depends on it.
 */
export const ORIGIN = { bucket: 1, set: 2, miss: 4 } as const;

/**
 * Whether a packet that matches this flow counts as a miss (rule_is_table_miss() of
 * ofproto/ofproto-provider.h).
 */
export const isTableMiss = ({ priority, match }: Pick<Flow, "priority" | "match">): boolean =>
  priority === 0 && match.length === 0;

/** The reason that Open vSwitch gives. `isOutput`: the action is not a controller() with arguments. */
export function reasonOf(reason: string, isOutput: boolean, origin: number): string {
  if (isOutput && (origin & ORIGIN.bucket) !== 0) return "group";
  if (isOutput && (origin & ORIGIN.set) !== 0) return "action_set";
  return reason === "action" && (origin & ORIGIN.miss) !== 0 ? "no_match" : reason;
}
