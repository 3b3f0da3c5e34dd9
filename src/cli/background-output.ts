/**
 * Standard output of a program that must go on whatever becomes of it: a full disk, a reader that has ended
 * or reads no more, a terminal that is gone. What cannot be written is left out, and that is reported once.
 * Lines are written beside everything else, so that a slow reader holds up nothing.
 */
import { write, writeSync } from "node:fs";
import { ioMessage } from "../capture/index.ts";
import { visible } from "../report/index.ts";

const STDOUT = 1;
const AGAIN_MS = 20;
/** How long the end waits for lines that are on their way. */
const LAST_MS = 1000;

export class BackgroundOutput {
  readonly #onProblem: (message: string) => void;
  #problem: string | null = null;
  /** The line that is on its way. */
  #writing: Promise<void> | null = null;
  /** Lines left out because the one before was still on its way. */
  skipped = 0;

  /** `onProblem` is called once, when something could not be written. */
  constructor(onProblem: (message: string) => void) {
    this.#onProblem = onProblem;
  }

  /** Why nothing is written any more; null: all was. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Writes a line when the one before has been taken; else leaves it out. */
  line(text: string): void {
    if (this.#problem !== null) return;
    if (this.#writing !== null) {
      this.skipped++;
      return;
    }
    this.#writing = this.#pour(Buffer.from(visible(text))).finally(() => {
      this.#writing = null;
    });
  }

  /** Writes at once, for a terminal. */
  now(text: string): void {
    if (this.#problem !== null) return;
    const bytes = Buffer.from(visible(text));
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(STDOUT, bytes, at);
    } catch (error) {
      // A terminal that takes no more for the moment misses a page.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.#fail(error);
    }
  }

  /** Waits for the line that is on its way. False when the reader does not take it. */
  async settle(): Promise<boolean> {
    if (this.#writing === null) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>(resolve => {
      timer = setTimeout(() => resolve(false), LAST_MS);
    });
    const isDone = await Promise.race([this.#writing.then(() => true), late]);
    clearTimeout(timer);
    return isDone;
  }

  async #pour(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && this.#problem === null; ) {
      try {
        at += await new Promise<number>((resolve, reject) => {
          write(STDOUT, bytes, at, bytes.length - at, null, (error, count) =>
            error === null ? resolve(count) : reject(error),
          );
        });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.#fail(error);
        else await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  #fail(error: unknown): void {
    this.#problem = ioMessage(error);
    this.#onProblem(this.#problem);
  }
}
