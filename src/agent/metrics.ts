/** The agent's counters for Prometheus (text format 0.0.4). Their names are listed in docs/agent.md. */
import { type Counter, type Gauge, type Histogram, MetricSet } from "../host/index.ts";
import type { ReconcileReport } from "./reconciler.ts";

/** Gauges, read when the metrics are requested. */
const LEVELS = {
  vms: "VMs that the agent accepted",
  refused: "VM files that are refused, wholly or in part",
  announced: "Prefixes that are announced",
  routes: "Routes known from the fabric",
  unresolved: "Routes whose next hop has no known MAC",
  quarantined: "Addresses in quarantine",
  doubleOwners: "Addresses of local VMs that another router announces too",
  isInStep: "1 if the last reconciliation left nothing to do and the last conclusive proof gave equal",
  isFabricComplete: "1 if the whole table of routes is known",
  isProofFailed: "1 from a proof that gave different or ambiguous until one gives equal",
} as const;
export type Levels = Readonly<Record<keyof typeof LEVELS, number | boolean>>;

const RECONCILE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export class AgentMetrics {
  readonly #set = new MetricSet("slash32_agent_");
  readonly #edits: Counter;
  readonly #prefixes: Counter;
  readonly #reconciliations: Histogram;
  readonly #drift: Counter;
  readonly #problems: Counter;
  readonly #proofs: Counter;
  readonly #levels: ReadonlyMap<keyof Levels, Gauge>;

  constructor() {
    const set = this.#set;
    this.#edits = set.counter("flow_edits_total", "Flows written, by operation", ["op"]);
    this.#prefixes = set.counter("prefixes_total", "Prefixes announced and withdrawn", ["op"]);
    this.#drift = set.counter("drift_total", "Flows of the agent that another party changed");
    this.#problems = set.counter("problems_total", "Problems of reconciliations");
    this.#proofs = set.counter("proofs_total", "Proofs of the installed table, by verdict", ["verdict"]);
    const help = "Duration of reconciliations, by whether they were full";
    this.#reconciliations = set.histogram("round_seconds", help, ["full"], RECONCILE_SECONDS);
    this.#levels = new Map(
      Object.entries(LEVELS).map(([key, help]) => {
        const words = key.replace(/^is/, "").replace(/(?<!^)[A-Z]/g, letter => `_${letter}`);
        return [key as keyof Levels, set.gauge(words.toLowerCase(), help)];
      }),
    );
  }

  reconciled(report: ReconcileReport): void {
    this.#reconciliations.observe({ full: String(report.isFull) }, report.milliseconds / 1000);
    for (const op of ["added", "changed", "removed"] as const) this.#edits.inc({ op }, report[op]);
    for (const op of ["announced", "withdrawn"] as const) this.#prefixes.inc({ op }, report[op]);
    this.#drift.inc(report.drifted.length);
    this.#problems.inc(report.problems.length);
  }

  proof(verdict: string): void {
    this.#proofs.inc({ verdict });
  }

  /** The text that Prometheus reads. */
  text(levels: Levels): Promise<string> {
    for (const [key, gauge] of this.#levels) gauge.set(Number(levels[key]));
    return this.#set.text();
  }
}
