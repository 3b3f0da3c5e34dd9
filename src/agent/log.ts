/**
 * What the agent tells: structured log lines (pino, JSON on standard error) and the audit file, a line of JSON for each
 * flow that is written and for each announcement, before it is done, and one for how it ended. Neither holds a secret.
 * The one file with pino.
 */

import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import pino from "pino";
import { harmlessJson, StateError } from "../host/index.ts";
import type { Change } from "./flow-changes.ts";
import { bundleLine } from "./ofctl-text.ts";

export type Level = "debug" | "info" | "warn" | "error";

/** Where log lines go. */
export type Log = (level: Level, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Log lines of at least this level, as JSON, to a file descriptor (2: standard error). */
export function logTo(fd: number, level: Level): Log {
  const logger = pino({ level, base: { name: "slash32-agent" } }, new LogOutput(fd));
  return (severity, message, fields = {}) => logger[severity](fields, message);
}

/**
 * Where log lines are written, whatever becomes of it: what a full disk or a reader that has gone does not take is left
 * out, and counted in a line of its own as soon as one is taken again. Nothing in a line acts upon a terminal.
 */
class LogOutput {
  readonly #fd: number;
  #lostCount = 0;
  /** Whether the last line that was written was cut short. */
  #isTorn = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    const lost =
      this.#lostCount === 0
        ? ""
        : `${JSON.stringify({ level: 40, time: Date.now(), lost: this.#lostCount, msg: "log lines were lost" })}\n`;
    const bytes = Buffer.from(`${this.#isTorn ? "\n" : ""}${lost}${harmlessJson(line)}`);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.#fd, bytes, at);
      this.#lostCount = 0;
      this.#isTorn = false;
    } catch {
      this.#lostCount++;
      if (at > 0) this.#isTorn = bytes[at - 1] !== 10;
    }
  }
}

/**
 * The audit file; without a path it takes everything and keeps nothing. When it cannot be written, flows are all the same:
 * that lines are missing is a problem which is said until there is room again.
 */
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

  /** Why lines are missing; null: none is. Tries again: where they would be, the file says how many there were. */
  mend(): string | null {
    if (this.#problem !== null) this.#write([]);
    return this.#problem;
  }

  /** Opens the file anew: after it was renamed by whoever rotates logs. */
  reopen(): void {
    this.close();
    if (this.#path === null) return;
    try {
      this.#file = openSync(this.#path, "a", 0o600);
      this.#problem = null;
    } catch (error) {
      this.#problem = `${this.#path}: nothing is written down: ${(error as Error).message}`;
    }
  }

  /** Notes the flows of a bundle that is about to be written; gives its number. */
  bundle(changes: readonly Change[], cause: string): number {
    const bundle = ++this.#bundle;
    if (this.#path === null) return bundle;
    const time = new Date().toISOString();
    // Written out, since a table of routes is a hundred thousand of them.
    const head = JSON.stringify({ time, bundle, cause }).slice(0, -1);
    const lines = changes.map(change => {
      const before = change.before === null ? "" : `,"before":${JSON.stringify(change.before.text.actions)}`;
      return `${head},"op":"${change.op}","flow":${JSON.stringify(bundleLine(change))}${before}}`;
    });
    this.#write(lines);
    return bundle;
  }

  /** Notes how a bundle ended; `error` null: it was taken. */
  ended(bundle: number, error: string | null): void {
    this.#write([JSON.stringify({ time: new Date().toISOString(), bundle, taken: error === null, error })]);
  }

  /** Notes announcements or withdrawals that are about to be made. */
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
    // The last line may have been cut short: begin a new one.
    const gap = lost === 0 ? "" : `\n${JSON.stringify({ time: new Date().toISOString(), lost })}\n`;
    try {
      writeFileSync(this.#file, lines.length === 0 ? gap : `${gap}${lines.join("\n")}\n`);
      this.#problem = null;
      this.#lostCount = 0;
    } catch (error) {
      this.#problem = `${this.#path}: nothing is written down: ${(error as Error).message}`;
    }
  }
}
