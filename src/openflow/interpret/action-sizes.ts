/**
 * How many bytes Open vSwitch takes to store a list of actions; the entries of actions/ state the size of
 * each. It matters in one place: a packet that recirculates carries its action set along, and ovs-vswitchd
 * terminates (an assertion in ofproto/ofproto-dpif-rid.c) if that is longer than the actions that are left to
 * run. Sizes are bounds; the outcome is unknown if they leave the question open.
 */
import type { Step } from "./compile-actions.ts";

/** At least as many bytes hold these steps. */
export const leastBytesOf = (steps: readonly Step[]): number =>
  steps.reduce((sum, { bytes }) => sum + bytes[0], 0);

/** At most as many bytes hold these steps. */
export const mostBytesOf = (steps: readonly Step[]): number =>
  steps.reduce((sum, { bytes }) => sum + bytes[1], 0);
