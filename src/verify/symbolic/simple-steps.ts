/**
 * Simple steps: they look up no table, contain no other steps and name no field. Analyses that collect
 * tables, nested steps or fields treat them alike; every other step must have a case of its own.
 */
import type { Step } from "../../openflow/index.ts";

const SIMPLE = {
  output_truncated: true,
  controller: true,
  enqueue: true,
  push_vlan: true,
  pop_vlan: true,
  push_mpls: true,
  dec_ttl: true,
  dec_mpls_ttl: true,
  set_queue: true,
  pop_queue: true,
  clear_actions: true,
  nothing: true,
  untrack: true,
  unroll: true,
} as const satisfies Partial<Record<Step["do"], true>>;

export type SimpleStep = Extract<Step, { do: keyof typeof SIMPLE }>;

export const isSimple = (step: Step): step is SimpleStep => Object.hasOwn(SIMPLE, step.do);
