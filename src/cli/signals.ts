/**
 * Signals that end a command early (CLI.md: exit status 130 or 143, after what is known was printed). The
 * first one is a request: the work looks for it, stops at a good place, and prints what it has. The
 * handlers go with that request, so that a second signal ends the process at once, as if nothing had been
 * installed.
 *
 * Node runs signal handlers between two turns of its event loop only. Work that never waits must call
 * `turn` now and then and await what it returns.
 */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Their numbers on every system that Node runs on; a shell shows 128 + N. */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export type EndingSignal = keyof typeof NUMBERS;

/** Time between two looks at the event loop. */
const TURN_MS = 50;

export class Interruption {
  readonly #controller = new AbortController();
  #name: EndingSignal | null = null;
  #nextTurn = performance.now() + TURN_MS;

  /** Installs the handlers; `dispose` removes them. */
  constructor() {
    for (const name of Object.keys(NUMBERS)) process.on(name, this.#request);
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The signal that came, null as long as none has. */
  get name(): EndingSignal | null {
    return this.#name;
  }

  /** The exit status: 128 + the signal's number, or `code` if no signal came. */
  exitCode(code: number): number {
    return this.#name === null ? code : 128 + NUMBERS[this.#name];
  }

  /** A promise to await if the last turn of the event loop is 50 ms ago, else null. */
  turn(): Promise<void> | null {
    const now = performance.now();
    if (now < this.#nextTurn) return null;
    this.#nextTurn = now + TURN_MS;
    return nextTurn();
  }

  /** Removes the handlers: signals have their default action again. */
  dispose(): void {
    for (const name of Object.keys(NUMBERS)) process.off(name, this.#request);
  }

  readonly #request = (name: EndingSignal): void => {
    this.dispose();
    this.#name = name;
    this.#controller.abort(new Error(`interrupted by ${name}`));
  };
}
