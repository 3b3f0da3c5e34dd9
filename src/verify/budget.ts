/**
 * The limits of a proof: packet classes, seconds, and steps (for tests, which must not depend on the clock).
 * Every loop that can be long calls step(), including the search for counterexamples, so a proof always ends
 * in time, at worst with `unknown`.
 */

/** The proof reached a limit. */
export class OutOfBudget extends Error {}

/** The caller stopped the proof. */
export class Interrupted extends OutOfBudget {}

/** The clock is read once per this number of steps. */
const STEPS = 64;

export class Budget {
  readonly #maxClasses: number;
  readonly #until: number;
  readonly #maxSteps: number;
  #steps = 0;
  /** Packet classes so far. */
  classes = 0;

  readonly #isStopped: () => boolean;

  /** The time starts now. `isStopped` is called every few steps. */
  constructor(
    maxClasses: number,
    maxSeconds: number,
    isStopped: () => boolean = () => false,
    maxSteps = Number.POSITIVE_INFINITY,
  ) {
    this.#maxSteps = maxSteps;
    this.#isStopped = isStopped;
    this.#maxClasses = maxClasses;
    this.#until = performance.now() + maxSeconds * 1000;
  }

  /** Counts one small piece of work. Throws OutOfBudget. */
  step(): void {
    if (++this.#steps % STEPS !== 0) return;
    if (this.#steps > this.#maxSteps) throw new OutOfBudget("steps");
    if (performance.now() > this.#until) throw new OutOfBudget("seconds");
    if (this.#isStopped()) throw new Interrupted("interrupted");
  }

  /** Counts one more packet class. Throws OutOfBudget. */
  takeClass(): void {
    if (++this.classes > this.#maxClasses) throw new OutOfBudget("classes");
  }
}
