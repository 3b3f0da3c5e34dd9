/**
 * What a command is: one object with its usage, options, help, checks and `run`. The parser, `-h`, `--help`
 * and the program's own help are made from these objects alone. Model: ripgrep's `flags/`, where definition
 * and effect of a flag stand together. An object holds no heavy import: `run` imports what it needs, so
 * that `slash32 --version` stays fast.
 */
import type { Context } from "./context.ts";

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** The placeholder of its value in the help; an option without one is a switch. */
  readonly value?: string;
  readonly isRepeatable?: boolean;
  /** Effect, value, unit, default. */
  readonly help: string;
  /** Listed by `-h` too, not only by `--help`. */
  readonly isCommon?: boolean;
}

/**
 * Starts the work; gives the exit status. `args` are the words behind the command's name, for a second
 * process.
 */
export type Run = (context: Context, args: readonly string[]) => number | Promise<number>;

/** A word behind the command's name that selects other work with the same options. */
export interface Subcommand {
  readonly summary: string;
  readonly run: Run;
}

/** Options that have no effect without another one: refused, because they would be ignored. */
export interface Dependence {
  readonly options: readonly string[];
  readonly needs: string;
}

export interface Command {
  readonly name: string;
  /** Arguments on the usage line, behind the name. */
  readonly synopsis: string;
  /** Verb and object; stands alone. */
  readonly summary: string;
  /** Paragraphs for `--help`. */
  readonly details: readonly string[];
  /** The first one is printed by `-h`, too. */
  readonly examples: readonly string[];
  readonly options: readonly Option[];
  /**
   * Where the value belongs that was given as a bare argument: the command takes none. Absent: it takes
   * some.
   */
  readonly noArguments?: string;
  readonly dependences?: readonly Dependence[];
  /** Checks between options, before anything is read. Throws UsageError. */
  check?(context: Context): void;
  /**
   * Whether it computes for seconds without a pause; it then runs in a second thread, so that signals are
   * seen.
   */
  isLong?(context: Context): boolean;
  readonly subcommands?: Readonly<Record<string, Subcommand>>;
  readonly run: Run;
}
