/** The control room's only door: the agent, what joins it to BGP, and what they say to each other. */
export { type Admitted, admit, isStep, PATHS, type Refusal } from "./agent/admission.ts";
export { Agent, type AgentOptions, RequestError, type VmView } from "./agent/agent.ts";
export { type AgentSettings, type Peers, type Running, startAgent } from "./agent/assemble.ts";
export { type Bridge, BridgeError, bridgeAddress, OfctlBridge } from "./agent/bridge.ts";
export { examine, type Finding as DoctorFinding, type Needs } from "./agent/doctor.ts";
export { bundleOf, type Edit, editsOf } from "./agent/edits.ts";
export { Fabric, type NextHopResolver, parsePrefix } from "./agent/fabric.ts";
export { Installed, readLine } from "./agent/installed.ts";
export { Audit, type Log, logTo } from "./agent/journal.ts";
export { Prover, planJudge } from "./agent/prover.ts";
export { Quarantine } from "./agent/quarantine.ts";
export { Reconciler, type ReconcilerOptions, type RoundReport } from "./agent/reconciler.ts";
export { type Recovered, recoverIntent } from "./agent/recover.ts";
export { startServer, takeOver } from "./agent/server.ts";
export { formatVm, VmDirectory } from "./agent/vms.ts";
export { BgpError } from "./bgp/index.ts";
export { type BgpSettings, examineBgp, joinBgp } from "./join.ts";
export type { Announced, Announcer, FabricRoute, RouteChange, RouteSource } from "./types.ts";
