/**
 * The agent's log: one JSON object per line on standard error, by pino, without secrets and escape sequences.
 */

import { writeSync } from "node:fs";
import pino from "pino";
import { harmlessJson } from "../host/index.ts";

export type Level = "debug" | "info" | "warn" | "error";

const LOST = "log lines were lost";

/** Where log lines go. */
export type Log = (level: Level, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Log lines of at least this level, as JSON, to a file descriptor (2: standard error). */
export function logTo(fd: number, level: Level): Log {
  const logger = pino({ level, base: { name: "slash32-agent" } }, new LogOutput(fd));
  return (severity, message, fields = {}) => logger[severity](fields, message);
}

/**
 * Writes log lines and never fails: it counts lines that a full disk or a closed pipe rejects, and logs the
 * number.
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
        : `${JSON.stringify({ level: 40, time: Date.now(), lost: this.#lostCount, msg: LOST })}\n`;
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
