/**
 * A diagnostic: something that is wrong, or odd, at a place in a text that slash32 reads (an intent, a
 * dump, a list of groups or ports). Readers collect diagnostics and do not throw, so that one run reports
 * all of them. The format is that of compilers, `file:line:column: message` (GNU Coding Standards,
 * "Formatting Error Messages").
 */

/** A file and, where known, a position in it; line and column count from 1. */
export interface Location {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** A note changes nothing about what is read; a warning is read all the same; an error is not. */
export type Level = "error" | "warning" | "note";

export interface Diagnostic extends Required<Location> {
  readonly level: Level;
  readonly message: string;
  /** What is valid, or the command that fixes it. */
  readonly fix?: string;
}

/** One line: `hv1.yaml:7:38: label 7 is reserved; expected 16 to 1048575`. */
export const formatDiagnostic = ({ file, line, column, message, fix }: Diagnostic): string =>
  `${file}:${line}:${column}: ${message}${fix === undefined ? "" : `; ${fix}`}`;
