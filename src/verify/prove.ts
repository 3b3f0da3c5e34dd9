/**
 * The question and its answer: do two flow tables do the same with every frame on every port? A difference is only told
 * with a frame that shows it, run through the interpreter with both tables. What is not modelled, and what was found
 * but cannot be shown, makes the answer "unknown", never "equal".
 */
import type { FlowColumns, Group, OvsVersion } from "../openflow/index.ts";
import { Budget, Interrupted, OutOfBudget } from "./budget.ts";
import { Counterexamples } from "./counterexample/search.ts";
import { type Ambiguous, type Difference, Findings, type Unknown } from "./findings.ts";
import { Alike } from "./product/alike.ts";
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
  /** Classes of frames that were told apart. */
  readonly classes: number;
  /** How many flow keys there are, and were covered, as a power of two. */
  readonly packets: string;
  readonly flows: { readonly a: number; readonly b: number };
  readonly seconds: number;
  readonly differences: readonly Difference[];
  readonly ambiguous: readonly Ambiguous[];
  readonly unknown: readonly Unknown[];
  /** False when the search for differences ended early, at as many as were asked for or at the end of the budget. */
  readonly isComplete: boolean;
}

export interface ProofOptions {
  readonly space?: Space;
  /** Which ports are tunnels. Nothing is known of the others: each may be one. */
  readonly ports?: PortKinds;
  /** What of an outcome is not compared: nothing. */
  readonly ignored?: ReadonlySet<Ignored>;
  /** Classes of frames before the answer is unknown(budget): 1,000,000. */
  readonly maxClasses?: number;
  /** Small pieces of work before that: no limit. Unlike seconds they do not depend on the machine. */
  readonly maxSteps?: number;
  /** Seconds: 300. */
  readonly maxSeconds?: number;
  /** Differences of different formats that are looked for: 20. */
  readonly maxDifferences?: number;
  /** Whether all rows of each difference are looked for, one by one: true. Without, a verdict comes sooner. */
  readonly hasRows?: boolean;
  /** Asked now and then; true ends the proof with what is known by then, and with `unknown` INTERRUPTED. */
  readonly isStopped?: () => boolean;
  /** The version of Open vSwitch that runs both tables: 3.1. */
  readonly ovs?: OvsVersion;
  /** Goes through tables that are certainly the same, too: for tests of what goes through them. */
  readonly isThorough?: boolean;
}

/** The feature that is unknown when a proof was ended before its time. */
export const INTERRUPTED = "interrupted";
const MAY_MEET = "two flows of one priority may match the same packet";

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
    // A flow that was left out may be anything.
    const isWhole = [a, b].every(({ flows }) => flows.skipped === 0 && flows.errorCount === 0);
    const alike = isWhole && !options.isThorough ? new Alike(programs) : null;
    const product = new Product(programs[0], programs[1], space, budget, alike, ignored);
    const counterexamples = new Counterexamples(programs, product, findings, {
      ignored,
      hasRows: options.hasRows ?? true,
    });
    try {
      isComplete = product.run(counterexamples);
    } finally {
      counterexamples.finish();
      if (product.ambiguousLine !== null) findings.unknownAt("a", MAY_MEET, product.ambiguousLine);
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
