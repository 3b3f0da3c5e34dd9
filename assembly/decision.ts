/**
 * The decision about a frame, in one u64, so that it stays in registers from the tables to the output:
 *
 *    63            32 31          19 18    13 12     8 7    5   4    3    2 1       0
 *   ┌────────────────┬──────────────┬────────┬────────┬──────┬──────┬──────┬─────────┐
 *   │ target         │ 0            │ path   │ reason │ 0    │popped│action│ verdict │
 *   └────────────────┴──────────────┴────────┴────────┴──────┴──────┴──────┴─────────┘
 *
 * The target is the next hop's record for Forward, else the record of the port by which the frame leaves.
 */
import { OUTCOMES_A_PATH, PATH_COUNT, REASON_BITS, Reason, Verdict } from "./abi";

/** What is done to a frame on its way out. */
export enum Action {
  /** Leaves as it came. */
  Bridge = 0,
  /** To a local VM: MACs, TTL. */
  Deliver = 1,
  /** To the fabric: MACs, TTL, labels. */
  Forward = 2,
  /** Back as an ARP reply. */
  Reply = 3,
}

const ACTION_SHIFT: u32 = 2;
const POPPED: u32 = 16;
const REASON_SHIFT: u32 = 8;
const PATH_SHIFT: u32 = REASON_SHIFT + REASON_BITS;
const OUTCOME_MASK: u32 = PATH_COUNT * OUTCOMES_A_PATH - 1;
const PATH_MASK: u32 = PATH_COUNT - 1;
const REASON_MASK: u32 = OUTCOMES_A_PATH - 1;

/** The frame is dropped after the tables of `path` (Table bits). */
export function dropped(reason: Reason, path: u32): u64 {
  return <u64>(((<u32>reason) << REASON_SHIFT) | (path << PATH_SHIFT));
}

/** The frame leaves. */
export function leaving(action: Action, is_popped: bool, path: u32, target: usize): u64 {
  const verdict = action == Action.Reply ? Verdict.Reply : Verdict.Output;
  const popped = is_popped ? POPPED : 0;
  const low = <u32>verdict | ((<u32>action) << ACTION_SHIFT) | popped | (path << PATH_SHIFT);
  return ((<u64>target) << 32) | low;
}

/** The same as dropped, popped or not: an expired TTL is met after the label is gone. */
export function droppedAfterPop(reason: Reason, is_popped: bool, path: u32): u64 {
  return dropped(reason, path) | (is_popped ? POPPED : 0);
}

export function verdictOf(decision: u64): Verdict {
  return <u32>decision & 3;
}

export function actionOf(decision: u64): Action {
  return (<u32>decision >>> ACTION_SHIFT) & 3;
}

export function isPopped(decision: u64): bool {
  return (<u32>decision & POPPED) != 0;
}

export function reasonOf(decision: u64): Reason {
  return (<u32>decision >>> REASON_SHIFT) & REASON_MASK;
}

export function pathOf(decision: u64): u32 {
  return (<u32>decision >>> PATH_SHIFT) & PATH_MASK;
}

/** Path and reason together: the number of the outcome's counter. */
export function outcomeOf(decision: u64): u32 {
  return (<u32>decision >>> REASON_SHIFT) & OUTCOME_MASK;
}

export function targetOf(decision: u64): usize {
  return <usize>(decision >>> 32);
}
