/**
 * The one place that decides what a terminal gets: colours, and lines that are written over. Both need a
 * terminal that understands control sequences, which one with TERM=dumb does not; NO_COLOR (no-color.org)
 * forbids colours alone.
 */
import { isatty } from "node:tty";

/** Standard output, standard error. */
export type Stream = 1 | 2;

/** Whether lines of a stream may be written over: progress, a page that is kept up to date. */
export const isScreen = (stream: Stream): boolean => isatty(stream) && process.env.TERM !== "dumb";

/** Whether a stream gets colours; `when` is the value of --color. */
export function isColored(stream: Stream, when: string): boolean {
  const { NO_COLOR } = process.env;
  if (when !== "auto") return when === "always";
  return isScreen(stream) && (NO_COLOR === undefined || NO_COLOR === "");
}
