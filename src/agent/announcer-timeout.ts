/**
 * Wraps an Announcer with deadlines, so that flows never wait for a routing daemon that hangs or is busy. A
 * call past its deadline fails, and later calls fail fast until it returns. A late call may still have taken
 * effect: the next read of the announcements shows it. A late answer is kept for the next reader. The list of
 * all paths has a deadline of its own, and no announcement waits for it.
 */
import type { Announced, Announcer, FabricRoute } from "../bgp/index.ts";

/**
 * Deadlines in milliseconds: a few prefixes, each further prefix, the daemon's own announcements (for which
 * it scans its whole table), and the list of all paths.
 */
const FEW_MS = 2000;
const PREFIX_MS = 1;
const OURS_MS = 8000;
const LIST_MS = 30_000;
const STUCK = "the routing daemon does not answer";

export interface Deadlines {
  readonly fewMs?: number;
  readonly oursMs?: number;
}

export class TimeoutAnnouncer implements Announcer {
  /** Called when a call past its deadline has returned: the announcements must be read again. */
  onBack: () => void = () => undefined;
  readonly #inner: Announcer;
  readonly #fewMs: number;
  readonly #oursMs: number;
  /** Whether a call is past its deadline and has not returned. */
  #isStuck = false;
  /** A late answer; valid, because no other call was made since. */
  #late: readonly FabricRoute[] | null = null;

  constructor(inner: Announcer, { fewMs = FEW_MS, oursMs = OURS_MS }: Deadlines = {}) {
    this.#inner = inner;
    this.#fewMs = fewMs;
    this.#oursMs = oursMs;
  }

  announce(routes: readonly FabricRoute[]): Promise<void> {
    return this.#within(this.#fewMs + routes.length * PREFIX_MS, () => this.#inner.announce(routes));
  }

  withdraw(prefixes: readonly string[]): Promise<void> {
    return this.#within(this.#fewMs + prefixes.length * PREFIX_MS, () => this.#inner.withdraw(prefixes));
  }

  ours(): Promise<readonly FabricRoute[]> {
    const late = this.#late;
    if (late !== null) {
      this.#late = null;
      return Promise.resolve(late);
    }
    return this.#within(
      this.#oursMs,
      () => this.#inner.ours(),
      ours => {
        this.#late = ours;
      },
    );
  }

  async list(): Promise<Announced> {
    if (this.#isStuck) throw new Error(STUCK);
    const first = await within(LIST_MS, this.#inner.list());
    if (first === "late") throw new Error(STUCK);
    return first[0];
  }

  /** Asks, and waits for so long; `onLate` is given an answer that came after that. */
  async #within<T>(
    ms: number,
    ask: () => Promise<T>,
    onLate: (answer: T) => void = () => undefined,
  ): Promise<T> {
    if (this.#isStuck) throw new Error(STUCK);
    this.#late = null;
    const asked = ask();
    const first = await within(ms, asked);
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

/** What was answered within a time, or that it was not. */
async function within<T>(ms: number, asked: Promise<T>): Promise<readonly [T] | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">(resolve => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  return Promise.race([asked.then(answer => [answer] as const), late]).finally(() => clearTimeout(timer));
}
