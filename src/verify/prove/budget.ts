/**
 * What a proof may take: classes of frames, and time from when it was begun. Everything that can be long asks it as it goes
 * on, the search for frames too, so that whatever is asked there is an answer in time, if only "unknown".
 */

/** The proof may take no more. */
export class OutOfBudget extends Error {}

/** The clock is looked at once in so many steps. */
const STEPS = 64;

export class Budget {
  readonly #maxClasses: number;
  readonly #until: number;
  #steps = 0;
  /** Classes of frames that were taken. */
  classes = 0;

  /** Time runs from now on. */
  constructor(maxClasses: number, maxSeconds: number) {
    this.#maxClasses = maxClasses;
    this.#until = performance.now() + maxSeconds * 1000;
  }

  /** One small piece of work. Throws OutOfBudget. */
  step(): void {
    if (++this.#steps % STEPS === 0 && performance.now() > this.#until) throw new OutOfBudget("seconds");
  }

  /** One more class of frames. Throws OutOfBudget. */
  takeClass(): void {
    if (++this.classes > this.#maxClasses) throw new OutOfBudget("classes");
  }
}
