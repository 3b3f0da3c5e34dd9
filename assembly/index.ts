/**
 * The core's exports, and nothing else. See abi.ts for memory and numbers. No imports, no allocation, no growth; no
 * bytes that come in can make a call trap.
 */
import { COUNTERS, HOST_EDIT_BYTES, MAX_EDITS, ROUTE_EDIT_BYTES, STAGING, Status, VERSION } from "./abi";
import { framesRead, hasCounted, runCaptures, runFrames } from "./run";
import { begin, commit, edited, editHost, editRoute, setNextHop } from "./table/bank";
import { addPort as addPortTo } from "./table/ports";

export { setOutput, setUsedBytes, usedBytes, usedDropsBytes } from "./output";
export { begin, commit, framesRead, runCaptures, runFrames, setNextHop };

const COUNTERS_END: usize = STAGING;

/** The ABI that this module speaks: abi.ts's VERSION. */
export function version(): u32 {
  return VERSION;
}

/** Sets every counter to zero. */
export function resetCounters(): void {
  // Memory that nobody touched stays untouched: a fresh core costs nothing here.
  if (hasCounted()) memory.fill(COUNTERS, 0, COUNTERS_END - COUNTERS);
}

/** Adds a port to the tables being edited; see table/ports.ts. */
export function addPort(
  number: u32,
  flags: u32,
  mac: u64,
  max_frame_bytes: u32,
  output_interface: u32,
): Status {
  return addPortTo(edited, number, flags, mac, max_frame_bytes, output_interface);
}

let last_status: Status = Status.Ok;

/** Why the last applyHosts or applyRoutes stopped; Status.Ok when it did not. */
export function status(): Status {
  return last_status;
}

/** Applies host edits from STAGING in order, up to the first that fails. Gives how many were applied. */
export function applyHosts(edit_count: u32): u32 {
  last_status = Status.Ok;
  const edits = min(edit_count, MAX_EDITS);
  for (let index: u32 = 0; index < edits; index++) {
    const at = STAGING + index * HOST_EDIT_BYTES;
    last_status = editHost(load<u32>(at), load<u32>(at, 4));
    if (last_status != Status.Ok) return index;
  }
  return edits;
}

/** Applies route edits from STAGING in order, up to the first that fails. Gives how many were applied. */
export function applyRoutes(edit_count: u32): u32 {
  last_status = Status.Ok;
  const edits = min(edit_count, MAX_EDITS);
  for (let index: u32 = 0; index < edits; index++) {
    const at = STAGING + index * ROUTE_EDIT_BYTES;
    last_status = editRoute(load<u32>(at), load<u32>(at, 4), load<u32>(at, 8));
    if (last_status != Status.Ok) return index;
  }
  return edits;
}
