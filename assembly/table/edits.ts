/**
 * Edits of the tables that `begin` opened, or of the active ones: ports one by one, hosts and routes as lists
 * that the host left in STAGING.
 */
import { HOST_EDIT_BYTES, MAX_EDITS, ROUTE_EDIT_BYTES, STAGING, Status } from "../abi";
import { edited, editHost, editRoute } from "./bank";
import * as ports from "./ports";

/** Adds a port; see ports.ts. */
export function addPort(
  number: u32,
  flags: u32,
  mac: u64,
  max_frame_bytes: u32,
  output_interface: u32,
): Status {
  return ports.addPort(edited, number, flags, mac, max_frame_bytes, output_interface);
}

/** Changes a VM's port; see ports.ts. */
export function changePort(number: u32, flags: u32, max_frame_bytes: u32): Status {
  return ports.changePort(edited, number, flags, max_frame_bytes);
}

/** Takes out a VM's port; see ports.ts. */
export function removePort(number: u32): Status {
  return ports.removePort(edited, number);
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
