/** The verify room's only door. */
export { type CookieMismatches, compareCookies } from "./cookies.ts";
export { IGNORABLE, type Ignored } from "./prove/compare.ts";
export type { Ambiguous, Behaviour, Difference, FlowLine, Unknown } from "./prove/findings.ts";
export { frameOfKey } from "./prove/frame.ts";
export { type FlowTable, INTERRUPTED, type Proof, type ProofOptions, prove } from "./prove/prove.ts";
export type { FlowPair, FlowPairs } from "./prove/rows.ts";
export { NO_PORT_KINDS, type PortKinds } from "./prove/space.ts";
export { type LiveBridge, type LiveOptions, readLiveBridge } from "./switch/bridge.ts";
export type { PacketIn, PacketInReason } from "./switch/openflow-wire.ts";
export { SwitchError } from "./switch/process.ts";
export {
  type Answer,
  type DumpOptions,
  FRAME_BYTES_MAX,
  FRAME_BYTES_MIN,
  type Input,
  type Output,
  type ParsedFlow,
  type Protocol,
  Switch,
  type SwitchOptions,
  type SwitchPort,
  type TextOptions,
} from "./switch.ts";
