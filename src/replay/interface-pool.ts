/**
 * The core's interface records, assigned in runs: one run a capture, and a larger one when that is full. So captures
 * with few interfaces leave room for captures with many.
 */
import * as abi from "../../assembly/abi.ts";

export class InterfacePool {
  #used = 0;

  /** The address of a run of records, with zeros or records of an earlier replay in it; null if there is no room. */
  take(records: number): number | null {
    if (this.#used + records > abi.MAX_INTERFACES) return null;
    const at = abi.INTERFACES + this.#used * abi.INTERFACE_BYTES;
    this.#used += records;
    return at;
  }
}
