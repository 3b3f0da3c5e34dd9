/**
 * The core's interface records, given out in stretches: one a capture, and a larger one when it is full. So captures with
 * few interfaces leave the room to those with many.
 */
import * as abi from "../../assembly/abi.ts";

export class InterfacePool {
  #used = 0;

  /** The address of so many records in a row, all zero bytes or left from an earlier replay; null when there is no room. */
  take(records: number): number | null {
    if (this.#used + records > abi.MAX_INTERFACES) return null;
    const at = abi.INTERFACES + this.#used * abi.INTERFACE_BYTES;
    this.#used += records;
    return at;
  }
}
