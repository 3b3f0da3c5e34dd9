/**
 * The agent, by its only entry point. The model is that of a Kubernetes controller, level-triggered:
 *
 * - desired: desired-vms.ts (VM files, admission, quarantine, mass-deletion guard) and rib.ts (routes by
 * prefix); desired-state.ts has the flows and announcements that follow from them, by VM and by prefix.
 * - observed: observed-state.ts has the flows of the bridge, and observer.ts is the one way to read them;
 * ../bgp/announcer.ts has the announcements.
 * - diff: flow-changes.ts, pure: desired and observed flows in, a change set out. flow-entry.ts is one typed
 * flow.
 * - waits.ts: for each flow that is not as desired, one state: the reason why its change waits.
 * - queue: reconcile-queue.ts runs one reconciliation at a time; reconciler.ts is the order of its steps;
 * agent.ts turns events and timers into requests; vm-requests.ts does the same for the HTTP API.
 * - edge: flow-writer.ts writes change sets to a bridge; ofctl-bridge.ts with ofctl-text.ts is the only place
 * where flows are text; live-bridge.ts writes VMs and routes; bgp-adapter.ts is the one place where agent and
 * BGP meet.
 */

export type { FabricRoute, RouteChange, RouteSource } from "../bgp/index.ts";
export { BgpError } from "../bgp/index.ts";
export { socketOf, watchPresence } from "../host/index.ts";
export { Admission, admit, PATHS } from "./admission.ts";
export { Agent } from "./agent.ts";
export { Audit } from "./audit.ts";
export { type BgpSettings, examineBgp, joinBgp } from "./bgp-adapter.ts";
export { examine } from "./doctor.ts";
export type { Change } from "./flow-changes.ts";
export type { FlowEntry } from "./flow-entry.ts";
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
