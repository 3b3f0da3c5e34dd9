/**
 * Proves that two flow tables do the same with every frame on every port, or finds counterexamples. A
 * difference is reported only with a frame for which the interpreter confirms it. Anything that is not
 * modelled, or found but not confirmed, makes the verdict `unknown`, never `equal`.
 */
import type { FlowColumns, Group, OvsVersion } from "../openflow/index.ts";
import { Budget, Interrupted, OutOfBudget } from "./budget.ts";
import { Counterexamples } from "./counterexample/search.ts";
import { type Ambiguous, type Difference, Findings, type Unknown } from "./findings.ts";
import { AlikeTables } from "./product/alike.ts";
import type { Ignored } from "./product/event-order.ts";
import { Product } from "./product/lockstep.ts";
import { Program } from "./symbolic/compiled-tables.ts";
import { countKeys } from "./symbolic/count-keys.ts";
import { withEntering } from "./symbolic/entering.ts";
import { EVERY_FRAME, NO_PORT_KINDS, type PortKinds, type Space } from "./symbolic/input-space.ts";

export interface FlowTable {
  readonly flows: FlowColumns;
  readonly groups?: readonly Group[];
}

export interface Proof {
  readonly verdict: "equal" | "different" | "ambiguous" | "unknown";
  /** Number of packet classes. */
  readonly classes: number;
  /** The number of flow keys that the proof covers, as a power of two. */
  readonly packets: string;
  readonly flows: { readonly a: number; readonly b: number };
  readonly seconds: number;
  readonly differences: readonly Difference[];
  readonly ambiguous: readonly Ambiguous[];
  readonly unknown: readonly Unknown[];
  /** False if the search stopped early, at maxDifferences or at the end of the budget. */
  readonly isComplete: boolean;
}

export interface ProofOptions {
  readonly space?: Space;
  /** Which ports are tunnels. Default: not known for any port. */
  readonly ports?: PortKinds;
  /** Parts of the outcome to exclude from the comparison. Default: none. */
  readonly ignored?: ReadonlySet<Ignored>;
  /** Limit on packet classes, then `unknown` with reason budget. Default: 1,000,000. */
  readonly maxClasses?: number;
  /** Limit on steps of work, independent of the machine's speed. Default: none. */
  readonly maxSteps?: number;
  /** Limit in seconds. Default: 300. */
  readonly maxSeconds?: number;
  /** Differences to report, each with another cause. Default: 20. */
  readonly maxDifferences?: number;
  /**
   * Whether to find all pairs of flows of each difference. Default: true; without, the verdict comes sooner.
   */
  readonly hasRows?: boolean;
  /** Called every few steps; true stops the proof with the results so far and the unknown INTERRUPTED. */
  readonly isStopped?: () => boolean;
  /** The version of Open vSwitch that runs both tables. Default: 3.1. */
  readonly ovs?: OvsVersion;
  /** Executes also tables that are equivalent for certain: for tests of the execution. */
  readonly isThorough?: boolean;
}

/** The unknown feature of a proof that was stopped. */
const INTERRUPTED = "interrupted";
const MAY_BE_AMBIGUOUS = "two flows of equal priority may match the same packet";

/** Compares two flow tables. */
export function prove(a: FlowTable, b: FlowTable, options: ProofOptions = {}): Proof {
  const started = performance.now();
  const budget = new Budget(
    options.maxClasses ?? 1_000_000,
    options.maxSeconds ?? 300,
    options.isStopped,
    options.maxSteps,
  );
  const ignored = options.ignored ?? new Set<Ignored>();
  let space = options.space ?? EVERY_FRAME;
  const findings = new Findings(options.maxDifferences ?? 20);
  for (const [side, { flows }] of [["a", a] as const, ["b", b] as const])
    if (flows.skipped > 0 || flows.errorCount > 0)
      findings.unknownAt(side, "flows that cannot be read", flows.problems[0]?.line ?? 0);
  let isComplete = false;
  try {
    const programs = [new Program(a, budget, options.ovs), new Program(b, budget, options.ovs)] as const;
    space = withEntering(space, programs, options.ports ?? NO_PORT_KINDS);
    // A skipped flow may be any flow.
    const isWhole = [a, b].every(({ flows }) => flows.skipped === 0 && flows.errorCount === 0);
    const alike = isWhole && !options.isThorough ? new AlikeTables(programs) : null;
    const product = new Product(programs[0], programs[1], space, budget, alike, ignored);
    const counterexamples = new Counterexamples(programs, product, findings, {
      ignored,
      hasRows: options.hasRows ?? true,
    });
    try {
      isComplete = product.run(counterexamples);
    } finally {
      counterexamples.finish();
      if (product.ambiguousLine !== null) findings.unknownAt("a", MAY_BE_AMBIGUOUS, product.ambiguousLine);
    }
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    findings.unknownAt(null, error instanceof Interrupted ? INTERRUPTED : "budget", 0);
  }
  return {
    verdict: findings.verdict,
    classes: budget.classes,
    packets: `2^${countKeys(space).toFixed(1)}`,
    flows: { a: a.flows.count, b: b.flows.count },
    seconds: (performance.now() - started) / 1000,
    differences: findings.differences,
    ambiguous: findings.ambiguities,
    unknown: [...findings.unknowns.values()],
    isComplete,
  };
}
