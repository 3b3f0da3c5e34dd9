/**
 * Proves the equivalence of flow tables: the only entry point of src/verify.
 *
 * The prover is in four folders, and imports go one way: symbolic (terms, the input space, states, one
 * symbolic machine) ← paths (path conditions, solving, lookups on a path) ← product (two machines in
 * lock-step, comparison of outcomes, ambiguity) ← counterexample (search, confirmation and cross-check).
 * budget.ts and findings.ts stand below all of them; prove.ts and cookies.ts above.
 * test/verify/folders.test.ts checks this.
 */
export { type CookieMismatches, compareCookies } from "./cookies.ts";
export { frameOfKey } from "./counterexample/encode-frame.ts";
export type { Ambiguous, Behaviour, Difference, FlowLine, FlowPair, FlowPairs, Unknown } from "./findings.ts";
export { IGNORABLE, type Ignored } from "./product/event-order.ts";
export { type FlowTable, type Proof, type ProofOptions, prove } from "./prove.ts";
export { NO_PORT_KINDS, type PortKinds } from "./symbolic/input-space.ts";
