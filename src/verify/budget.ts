/**
 * What a proof may take: classes of frames, time from when it was begun, and steps, for tests, which the clock must not
 * decide. Everything that can be long asks it as it goes on, the search for frames too, so that whatever is asked there is
 * an answer in time, if only "unknown".
 */

/** The proof may take no more. */
export class OutOfBudget extends Error {}

/** Somebody asked for the end. */
export class Interrupted extends OutOfBudget {}

/** The clock is looked at once in so many steps. */
const STEPS = 64;

export class Budget {
  readonly #maxClasses: number;
  readonly #until: number;
  readonly #maxSteps: number;
  #steps = 0;
  /** Classes of frames that were taken. */
  classes = 0;

  readonly #isStopped: () => boolean;

  /** Time runs from now on. `isStopped` is asked now and then. */
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

  /** One small piece of work. Throws OutOfBudget. */
  step(): void {
    if (++this.#steps % STEPS !== 0) return;
    if (this.#steps > this.#maxSteps) throw new OutOfBudget("steps");
    if (performance.now() > this.#until) throw new OutOfBudget("seconds");
    if (this.#isStopped()) throw new Interrupted("interrupted");
  }

  /** One more class of frames. Throws OutOfBudget. */
  takeClass(): void {
    if (++this.classes > this.#maxClasses) throw new OutOfBudget("classes");
  }
}
