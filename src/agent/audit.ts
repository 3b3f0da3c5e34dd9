/**
 * The audit file: one JSON object per line for each flow and prefix before it is written, and one for the
 * result of each bundle. If the file cannot be written, flows still are, and the status has a problem.
 */

import { closeSync, openSync, writeFileSync } from "node:fs";
import { StateError } from "../host/index.ts";
import type { Change } from "./flow-changes.ts";
import { bundleLine } from "./ofctl-text.ts";

/** Without a path it accepts everything and stores nothing. */
export class Audit {
  #file: number | null = null;
  #problem: string | null = null;
  /** How many lines could not be written. */
  #lostCount = 0;
  #bundle = 0;
  readonly #path: string | null;

  /** Throws StateError when the file cannot be opened at first. */
  constructor(path: string | null) {
    this.#path = path;
    this.reopen();
    if (this.#problem !== null) throw new StateError(this.#problem);
  }

  /** Why lines are missing; null: none is. Tries again: then the file has their number in their place. */
  retry(): string | null {
    if (this.#problem !== null) this.#write([]);
    return this.#problem;
  }

  /** Opens the file again, after log rotation has renamed it. */
  reopen(): void {
    this.close();
    if (this.#path === null) return;
    try {
      this.#file = openSync(this.#path, "a", 0o600);
      this.#problem = null;
    } catch (error) {
      this.#problem = `${this.#path}: cannot write the audit file: ${(error as Error).message}`;
    }
  }

  /** Records the flows of a bundle that is about to be written; returns its number. */
  bundle(changes: readonly Change[], cause: string): number {
    const bundle = ++this.#bundle;
    if (this.#path === null) return bundle;
    const time = new Date().toISOString();
    // Built by hand, because a table of routes is a hundred thousand lines.
    const head = JSON.stringify({ time, bundle, cause }).slice(0, -1);
    const lines = changes.map(change => {
      const before = change.before === null ? "" : `,"before":${JSON.stringify(change.before.text.actions)}`;
      return `${head},"op":"${change.op}","flow":${JSON.stringify(bundleLine(change))}${before}}`;
    });
    this.#write(lines);
    return bundle;
  }

  /** Records how a bundle ended; `error` null: the switch accepted it. */
  ended(bundle: number, error: string | null): void {
    this.#write([JSON.stringify({ time: new Date().toISOString(), bundle, taken: error === null, error })]);
  }

  /** Records announcements or withdrawals that are about to be made. */
  routes(op: "announce" | "withdraw", prefixes: readonly string[]): void {
    const time = new Date().toISOString();
    this.#write(prefixes.map(prefix => JSON.stringify({ time, op, prefix })));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #write(lines: readonly string[]): void {
    const lost = this.#lostCount;
    if (lines.length + lost === 0 || this.#path === null) return;
    if (this.#file === null) this.reopen();
    this.#lostCount += lines.length;
    if (this.#file === null) return;
    // The last line may be incomplete: begin a new one.
    const gap = lost === 0 ? "" : `\n${JSON.stringify({ time: new Date().toISOString(), lost })}\n`;
    try {
      writeFileSync(this.#file, lines.length === 0 ? gap : `${gap}${lines.join("\n")}\n`);
      this.#problem = null;
      this.#lostCount = 0;
    } catch (error) {
      this.#problem = `${this.#path}: cannot write the audit file: ${(error as Error).message}`;
    }
  }
}
