/**
 * The core's exports, and nothing else. See abi.ts for memory and numbers. No imports, no allocation, no
 * growth; no bytes that come in can make a call trap.
 */
import { VERSION } from "./abi";

export { walk } from "./capture";
export { resetCounters } from "./count";
export { emptyOutput, setOutput, usedBytes, usedDropsBytes } from "./output";
export { framesRead, resetCaptures, runCaptures, runFrames } from "./run";
export { abandon, activeBank, begin, commit, setNextHop } from "./table/bank";
export { addPort, applyHosts, applyRoutes, changePort, removePort, status } from "./table/edits";

/** The ABI that this module speaks: abi.ts's VERSION. */
export function version(): u32 {
  return VERSION;
}
