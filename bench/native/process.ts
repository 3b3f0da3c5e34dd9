/**
 * The yardstick as a process that runs as long as a row, so that it takes turns with the core in the same
 * steady state: it keeps tables and windows in memory, runs them on request, and measures the time itself.
 * Commands and replies are lines (yardstick.c lists them).
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** What the yardstick counted; the same as of the core. */
export interface NativeCounts {
  readonly frames: number;
  readonly bytes: number;
  readonly snapped: number;
  readonly verdicts: { readonly drop: number; readonly output: number; readonly reply: number };
  readonly drops: Readonly<Record<string, number>>;
  readonly tables: Readonly<Record<string, number>>;
  readonly ports: readonly unknown[];
}

export class NativeWindows {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #out = "";
  #said = "";
  #ended: string | null = null;
  #wake: () => void = () => {};

  /** Starts `program` on a bank's image, a capture, and the list of its windows. */
  constructor(program: string, bank: string, capture: string, list: string) {
    const child = spawn(program, ["memory", bank, capture, list], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#out += text;
      this.#wake();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#said += text;
    });
    const end = (why: string): void => {
      this.#ended = why;
      this.#wake();
    };
    child.on("error", error => end(error.message));
    child.on("close", code => end(this.#said.trim() || `ended with ${code}`));
    // A command to a process that is gone; its end says why.
    child.stdin.on("error", () => {});
  }

  /** One pass: packets written to a file, and what was counted. */
  check(output: string): Promise<NativeCounts> {
    return this.#ask(`check ${output}`) as Promise<NativeCounts>;
  }

  /** Nanoseconds a frame: the median of `samples` of at least `seconds` each. */
  async turn(mode: "judge" | "write", samples: number, seconds: number): Promise<number> {
    const { ns } = (await this.#ask(`turn ${mode} ${samples} ${seconds}`)) as { ns: number };
    return ns;
  }

  /** Ends the process, and waits for its end. */
  async close(): Promise<void> {
    if (this.#ended !== null) return;
    const closed = once(this.#child, "close");
    this.#child.stdin.end();
    await closed;
  }

  async #ask(command: string): Promise<unknown> {
    this.#child.stdin.write(`${command}\n`);
    while (!this.#out.includes("\n")) {
      if (this.#ended !== null) throw new Error(`the yardstick: ${this.#ended}`);
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    const end = this.#out.indexOf("\n");
    const line = this.#out.slice(0, end);
    this.#out = this.#out.slice(end + 1);
    return JSON.parse(line);
  }
}
