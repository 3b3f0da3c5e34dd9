/**
 * An announcer that holds nobody up. A daemon that hangs, or is busy with a table, answers late or never, while flows need not
 * wait for it: what takes too long counts as failed, and until it has come to its end everything else fails at once. Whether
 * it was done after all is seen when the daemon is asked again; a list that came late is kept for whoever asks next.
 */
import type { Announced, Announcer, FabricRoute } from "../types.ts";

/** Time for a few prefixes, and for each of many; a list may have a whole table. */
const PATIENCE_MS = 2000;
const PREFIX_MS = 1;
const LIST_MS = 5000;
const STUCK = "the routing daemon does not answer";

export interface Patience {
  readonly fewMs?: number;
  readonly listMs?: number;
}

export class PatientAnnouncer implements Announcer {
  /** Called when what was given up has come to an end: it is time to look what is announced. */
  onBack: () => void = () => undefined;
  readonly #inner: Announcer;
  readonly #fewMs: number;
  readonly #listMs: number;
  /** Whether a call is given up that has not ended. */
  #isStuck = false;
  /** Nothing else was asked since it came: it still holds. */
  #lateList: Announced | null = null;

  constructor(inner: Announcer, { fewMs = PATIENCE_MS, listMs = LIST_MS }: Patience = {}) {
    this.#inner = inner;
    this.#fewMs = fewMs;
    this.#listMs = listMs;
  }

  announce(routes: readonly FabricRoute[]): Promise<void> {
    return this.#within(this.#fewMs + routes.length * PREFIX_MS, () => this.#inner.announce(routes));
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#within(this.#fewMs + prefixes.length * PREFIX_MS, () => this.#inner.withdraw(prefixes));
  }

  list(): Promise<Announced> {
    const late = this.#lateList;
    if (late !== null) {
      this.#lateList = null;
      return Promise.resolve(late);
    }
    return this.#within(
      this.#listMs,
      () => this.#inner.list(),
      list => {
        this.#lateList = list;
      },
    );
  }

  /** Asks, and waits for so long; `onLate` is given an answer that came after that. */
  async #within<T>(
    ms: number,
    ask: () => Promise<T>,
    onLate: (answer: T) => void = () => undefined,
  ): Promise<T> {
    if (this.#isStuck) throw new Error(STUCK);
    this.#lateList = null;
    const asked = ask();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">(resolve => {
      timer = setTimeout(() => resolve("late"), ms);
    });
    const first = await Promise.race([asked.then(answer => [answer] as const), late]).finally(() =>
      clearTimeout(timer),
    );
    if (first !== "late") return first[0];
    this.#isStuck = true;
    const end = (): void => {
      this.#isStuck = false;
      this.onBack();
    };
    asked.then(onLate).then(end, end);
    throw new Error(STUCK);
  }
}
