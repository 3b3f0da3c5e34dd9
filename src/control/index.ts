/** The control room's only door: the agent, and what it and the routing daemon say to each other. */
export { type Admitted, admit, isStep, PATHS, type Refusal } from "./agent/admission.ts";
export { type Bridge, BridgeError, bridgeAddress, OfctlBridge } from "./agent/bridge.ts";
export { bundleOf, type Edit, editsOf } from "./agent/edits.ts";
export { Fabric, type NextHopResolver, parsePrefix } from "./agent/fabric.ts";
export { Installed, readLine } from "./agent/installed.ts";
export { Audit, type Log, logTo } from "./agent/journal.ts";
export { Quarantine } from "./agent/quarantine.ts";
export { Reconciler, type ReconcilerOptions, type RoundReport } from "./agent/reconciler.ts";
export { formatVm, VmDirectory } from "./agent/vms.ts";
export type { Announcer, FabricRoute, RouteChange, RouteSource } from "./types.ts";
