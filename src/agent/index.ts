/** The control room's only door: the agent, what joins it to BGP, and what they say to each other. */

export type { Announced, Announcer, FabricRoute, RouteChange, RouteSource } from "../bgp/index.ts";
export { BgpError } from "../bgp/index.ts";
export { socketOf, watchPresence } from "../host/index.ts";
export { Admission, admit, PATHS } from "./admission.ts";
export { Agent } from "./agent.ts";
export { TimeoutAnnouncer } from "./announcer-timeout.ts";
export { Audit } from "./audit.ts";
export { type BgpSettings, examineBgp, joinBgp } from "./bgp-adapter.ts";
export { examine } from "./doctor.ts";
export type { Change } from "./flow-changes.ts";
export { ROUTES, takeOver } from "./http-api.ts";
export { recoverIntent } from "./import-intent.ts";
export { examineLive, LiveBridge } from "./live-bridge.ts";
export { logTo } from "./log.ts";
export { type Bridge, BridgeError, bridgeAddress, OfctlBridge } from "./ofctl-bridge.ts";
export { bundleOf, readLine } from "./ofctl-text.ts";
export type { Prover } from "./proof-client.ts";
export { Proofs } from "./proofs.ts";
export { Quarantine } from "./quarantine.ts";
export { type ReconcileReport, Reconciler, type ReconcilerOptions } from "./reconciler.ts";
export { Rib } from "./rib.ts";
export { type AgentSettings, type Peers, type Running, startAgent } from "./start-agent.ts";
export { formatVm, VmDirectory, type VmFile } from "./vm-directory.ts";
