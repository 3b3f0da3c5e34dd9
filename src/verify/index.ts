/** Equivalence of flow tables: the only entry point. */
export { type CookieMismatches, compareCookies } from "./cookies.ts";
export { frameOfKey } from "./counterexample/encode-frame.ts";
export type { Ambiguous, Behaviour, Difference, FlowLine, FlowPair, FlowPairs, Unknown } from "./findings.ts";
export { IGNORABLE, type Ignored } from "./product/event-order.ts";
export { type FlowTable, INTERRUPTED, type Proof, type ProofOptions, prove } from "./prove.ts";
export { NO_PORT_KINDS, type PortKinds } from "./symbolic/input-space.ts";
