/**
 * How many bytes Open vSwitch takes to remember actions (include/openvswitch/ofp-actions.h, 64 bits). It matters in one
 * place: a packet that is to be read anew carries its action set along, and ovs-vswitchd ends itself (an assertion in
 * ofproto/ofproto-dpif-rid.c) when that is longer than the actions that are left to run. Spellings are gone by here and
 * some differ in size, so these are bounds; what lies between them counts as unknown.
 */
import type { Step } from "./compile-actions.ts";

const align = (bytes: number): number => (bytes + 7) & ~7;

const LIST_HEAD = 8;

/** Least and most bytes of a step, by its kind; lists and settings are counted apart. */
const BYTES: Partial<Record<Step["do"], readonly [least: number, most: number]>> = {
  output: [8, 16],
  output_field: [24, 24],
  output_truncated: [16, 16],
  controller: [16, 48],
  enqueue: [16, 16],
  group: [8, 8],
  resubmit: [8, 16],
  push_vlan: [8, 8],
  pop_vlan: [8, 8],
  push_mpls: [8, 8],
  pop_mpls: [8, 8],
  move: [40, 40],
  push: [24, 24],
  pop: [24, 24],
  dec_mpls_ttl: [8, 8],
  set_queue: [8, 8],
  pop_queue: [8, 8],
  clear_actions: [8, 8],
  exit: [8, 8],
  unroll: [16, 16],
};

function sizeOf(step: Step): readonly [least: number, most: number] {
  switch (step.do) {
    case "set":
      return [8, 16 + 2 * align(Math.ceil(step.field.bits / 8))];
    case "dec_ttl":
      return [align(8 + 2 * step.controllers.length), align(8 + 2 * step.controllers.length)];
    case "write_actions":
    case "clone":
      return [LIST_HEAD + leastBytesOf(step.steps), LIST_HEAD + mostBytesOf(step.steps)];
    default:
      return BYTES[step.do] ?? [0, 1024];
  }
}

/** At least as many bytes hold these steps. */
export function leastBytesOf(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + sizeOf(step)[0], 0);
}

/** At most as many bytes hold these steps. */
export function mostBytesOf(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + sizeOf(step)[1], 0);
}
