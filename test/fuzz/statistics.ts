/**
 * What the fuzzer has seen, so that a quiet run can be told from an idle one: verdicts, outcomes a table,
 * flows met, what was refused and what was left out.
 */
import { type Chosen, outcomeClass, type Rules } from "./world.ts";

const percent = (part: number, whole: number): string =>
  `${whole === 0 ? 0 : Math.round((1000 * part) / whole) / 10} %`;

export class Statistics {
  frames = 0;
  stale = 0;
  /** Frames behind one that ended the switch or was too long for it, or that the time did not suffice for. */
  unasked = 0;
  #rounds = 0;
  #splitting = 0;
  #flows = 0;
  #met = 0;
  #undecided = 0;
  #immodest = 0;
  #tedious = 0;
  #lookups = 0;
  #errors = 0;
  #packetIns = 0;
  readonly #verdicts = new Map<string, number>();
  readonly #refusals = new Map<string, number>();

  /** Share of the rounds whose frames met three outcomes or more, and of the flows that were met. */
  get shares(): { splitting: number; met: number } {
    return { splitting: this.#splitting / this.#rounds, met: this.#met / this.#flows };
  }

  refused(why: string): void {
    const kind = why.replace(/[\d.]+/g, "N").replace(/\(.*/, "");
    this.#refusals.set(kind, (this.#refusals.get(kind) ?? 0) + 1);
  }

  chosen(rules: Rules, { frames, undecided, immodest, tedious }: Chosen): void {
    const met = new Set<number>();
    for (const { outcome } of frames) {
      for (const { flow } of outcome.tables) if (flow !== null) met.add(flow.source.line);
      this.#verdicts.set(outcome.verdict, (this.#verdicts.get(outcome.verdict) ?? 0) + 1);
      this.#lookups += outcome.tables.length;
      if (outcome.errors.length > 0) this.#errors++;
      if (outcome.packetIns.length > 0) this.#packetIns++;
    }
    this.#rounds++;
    if (new Set(frames.map(({ outcome }) => outcomeClass(outcome))).size >= 3) this.#splitting++;
    this.#flows += rules.flows.length;
    this.#met += met.size;
    this.frames += frames.length;
    this.#undecided += undecided;
    this.#immodest += immodest;
    this.#tedious += tedious;
  }

  toString(): string {
    const verdicts = [...this.#verdicts].map(([name, count]) => `${name} ${percent(count, this.frames)}`);
    const refusals = [...this.#refusals].map(([why, count]) => `${count}× ${why}`);
    return [
      `${this.frames} frames over ${this.#rounds} sets of tables: ${verdicts.join(", ")}`,
      `  ${percent(this.#splitting, this.#rounds)} of the sets with three outcomes or more, ` +
        `${percent(this.#met, this.#flows)} of ${this.#flows} flows met, ` +
        `${(this.#lookups / Math.max(1, this.frames)).toFixed(1)} lookups a frame`,
      `  ${percent(this.#errors, this.frames)} dropped by an error, ${percent(this.#packetIns, this.frames)} with packet-ins; ` +
        `${this.stale} answers of the switch came from a cache that had masked too little`,
      `  not sent: ${this.#undecided} undecided, ${this.#immodest} with too many outputs, ${this.#tedious} recirculated too often; ` +
        `sent without an answer: ${this.unasked}`,
      ...(refusals.length > 0 ? [`  lines that neither side takes: ${refusals.join("; ")}`] : []),
    ].join("\n");
  }
}
