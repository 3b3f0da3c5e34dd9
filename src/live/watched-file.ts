/**
 * A file that is polled several times a second without missing a change: `mark` records its state before it
 * is read, and every later difference is a change. Two writes within one tick of the kernel's clock leave the
 * same size and time; for a file that changed just before it was marked, the bytes are therefore compared,
 * too. stat(2).
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

/** Time stamps are no finer than this, on file systems with the coarsest. */
const COARSE_MS = 2000;

export class WatchedFile {
  readonly path: string;
  #look = "";
  /** Of the bytes, while size and time may hide another change; null: they do not. */
  #digest: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Notes how the file looks. To be called before it is read. */
  mark(): void {
    const { look, isFresh } = this.#see();
    this.#look = look;
    this.#digest = isFresh ? digestOf(this.path) : null;
  }

  /** Whether it is another file than was marked; marks it then. */
  hasChanged(): boolean {
    const { look, isFresh } = this.#see();
    const isOther = look !== this.#look || (this.#digest !== null && digestOf(this.path) !== this.#digest);
    if (isOther) this.mark();
    else if (!isFresh) this.#digest = null;
    return isOther;
  }

  /** Looks every so often, and calls back for each change since the mark. */
  watch(everyMs: number, onChange: () => void): void {
    this.close();
    this.#timer = setInterval(() => {
      if (this.hasChanged()) onChange();
    }, everyMs);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /**
   * Its metadata; and whether it is a regular file that changed so recently that a later write may leave the
   * same metadata.
   */
  #see(): { look: string; isFresh: boolean } {
    try {
      const stats = statSync(this.path, { bigint: true });
      const age = Date.now() - Number(stats.mtimeMs);
      const look = [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(" ");
      return { look, isFresh: stats.isFile() && Math.abs(age) < COARSE_MS };
    } catch {
      return { look: "gone", isFresh: false };
    }
  }
}

function digestOf(path: string): string {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  } catch {
    return "gone";
  }
}
