/**
 * Packets of a capture that the core reads although their records are odd: frames of zero bytes, records longer than
 * their frame, timestamps out of range. The core counts them and keeps the address of the first; here that address
 * becomes a file offset before the window moves, and the counts become messages.
 */
import * as abi from "../../assembly/abi.ts";
import type { CaptureState } from "./capture-state.ts";

interface Oddity {
  readonly counter: number;
  readonly first: number;
  readonly one: string;
  readonly many: string;
}

export const EMPTY_FRAMES: Oddity = {
  counter: abi.CAPTURE_EMPTY_FRAMES,
  first: abi.CAPTURE_EMPTY_AT,
  one: "a frame of zero bytes",
  many: "frames of zero bytes",
};
export const LONG_RECORDS: Oddity = {
  counter: abi.CAPTURE_LONG_RECORDS,
  first: abi.CAPTURE_LONG_AT,
  one: "a record",
  many: "records",
};
export const ODD_TIMES: Oddity = {
  counter: abi.CAPTURE_ODD_TIMES,
  first: abi.CAPTURE_ODD_TIME_AT,
  one: "a timestamp",
  many: "timestamps",
};

const ALL: readonly Oddity[] = [EMPTY_FRAMES, LONG_RECORDS, ODD_TIMES];

export class Oddities {
  readonly #state: CaptureState;
  /** File offset of the first packet of each kind. */
  readonly #offsets = new Map<Oddity, number>();

  constructor(state: CaptureState) {
    this.#state = state;
  }

  /** Notes where oddities begin in the file; to be called before the window moves. */
  note(): void {
    for (const oddity of ALL) {
      if (this.#offsets.has(oddity) || this.#state.get(oddity.counter) === 0) continue;
      this.#offsets.set(oddity, this.#state.offsetOf(this.#state.get(oddity.first)));
    }
  }

  /** `byte 40: a frame …` or `byte 40: the first of 3 frames …`; null if there are none. */
  describe(oddity: Oddity): string | null {
    this.note();
    const count = this.#state.get(oddity.counter);
    if (count === 0) return null;
    const what = count === 1 ? oddity.one : `the first of ${count} ${oddity.many}`;
    return `byte ${this.#offsets.get(oddity)}: ${what}`;
  }
}
