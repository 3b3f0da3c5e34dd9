/**
 * What a command receives: its parsed options and arguments, colors, the intent. Also the only functions
 * that write to standard output and error: they escape control characters and wait for slow pipes.
 */
import { writeSync } from "node:fs";
import { ioMessage, Sink } from "../capture/index.ts";
import { formatDiagnostic } from "../errors/index.ts";
import { type Intent, loadIntent } from "../intent/index.ts";
import { type Palette, palette, visible, visibleLine } from "../report/index.ts";
import { ClosedPipe, UsageError, UserError } from "./errors.ts";
import { isColored, type Stream } from "./terminal.ts";

export type Format = "text" | "json" | "ndjson";

/** Parsed options: text for those with a value, a list for repeatable ones, true for switches. */
export interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/** What a context knows of its command. */
interface NamedOptions {
  readonly name: string;
  readonly options: readonly { readonly name: string; readonly short?: string; readonly value?: string }[];
}

export class Context {
  readonly command: NamedOptions;
  readonly positionals: readonly string[];
  readonly format: Format;
  readonly isQuiet: boolean;
  readonly #values: Parsed["values"];

  constructor(command: NamedOptions, parsed: Parsed) {
    this.command = command;
    this.#values = parsed.values;
    this.positionals = parsed.positionals;
    this.format = this.#oneOf("format", ["text", "json", "ndjson"]);
    this.isQuiet = this.flag("quiet");
    const profile = this.#oneOf("profile", ["ovs", "strict"]);
    if (profile === "strict")
      throw new UserError("--profile strict is not implemented; use --profile ovs (the default)");
    this.#oneOf("color", ["auto", "always", "never"]);
    for (const { name, value } of command.options) {
      const isEmpty = this.text(name) === "" || this.texts(name).includes("");
      if (isEmpty) throw new UsageError(`--${name} needs a value: --${name}=${value}`);
    }
  }

  /** The option's text, undefined when not given; /dev/stdout is standard output whatever it leads to. */
  text(name: string): string | undefined {
    const value = this.#values[name] === "/dev/stdout" ? "-" : this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  /** The texts of a repeatable option, in the same way. */
  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(text => (text === "/dev/stdout" ? "-" : String(text))) : [];
  }

  /** Whether the option is on the command line. */
  isGiven(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** A whole number above 0, undefined when not given. */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : 0;
    if (value < 1 || !Number.isSafeInteger(value)) {
      throw new UsageError(
        `--${name}: "${text}" is not a valid number; expected a whole number of 1 or more`,
      );
    }
    return value;
  }

  #oneOf<T extends string>(name: string, values: readonly T[]): T {
    const text = this.text(name) ?? values[0]!;
    const value = values.find(candidate => candidate === text);
    if (value === undefined)
      throw new UsageError(`--${name}: "${text}" is not valid; expected ${values.join(", ")}`);
    return value;
  }

  /** Colors for a stream that may be a terminal. */
  palette(stream: Stream): Palette {
    return palette(isColored(stream, this.text("color") ?? "auto"));
  }

  /** Loads the intent. Prints its diagnostics to standard error. Throws UserError if there are errors. */
  intent(): Intent {
    const path = this.text("intent");
    if (path === undefined) throw new UsageError(`${this.command.name} needs an intent: -n INTENT`);
    const { intent, errors, warnings } = loadIntent(path);
    if (!this.isQuiet) for (const warning of warnings) say(`${formatDiagnostic(warning)} (warning)`);
    if (intent !== null) return intent;
    for (const error of errors.slice(0, -1)) say(formatDiagnostic(error));
    throw new UserError(formatDiagnostic(errors.at(-1)!));
  }
}

/** One line to standard error. */
export function say(line: string): void {
  write(2, Buffer.from(`${visibleLine(line)}\n`));
}

/** Lines to standard error. */
export function sayText(text: string): void {
  write(2, Buffer.from(`${visible(text.trimEnd())}\n`));
}

/** Text or JSON to standard output, whole, even if it is a slow pipe. */
export function print(text: string): void {
  write(1, Buffer.from(visible(text)));
}

/** A text in pieces, which may be too long for one string. */
export function printPieces(pieces: Iterable<string>): void {
  for (const piece of pieces) print(piece);
}

/** Bytes to standard output, as they are; they may be used again afterwards. */
export function printBytes(bytes: Uint8Array): void {
  write(1, bytes);
}

function write(fd: Stream, bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        continue;
      }
      if (fd === 2) return;
      if (code === "EPIPE") throw new ClosedPipe();
      throw new UserError(`standard output: ${ioMessage(error)}`);
    }
  }
}

/** Pieces of a report are written together up to so many characters. */
const PIECE = 1 << 18;

/** Writes a report file, `-` being standard output. It appears under its name when it is complete. */
export function writePieces(name: string, pieces: Iterable<string>): void {
  const sink = new Sink(name);
  let text = "";
  try {
    for (const piece of pieces) {
      text += piece;
      if (text.length < PIECE) continue;
      sink.write(Buffer.from(visible(text)));
      text = "";
    }
    sink.write(Buffer.from(visible(text)));
    sink.finish();
  } finally {
    sink.abandon();
  }
}

export const writeReport = (name: string, text: string): void => writePieces(name, [text]);
