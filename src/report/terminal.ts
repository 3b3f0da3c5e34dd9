/**
 * Escapes control characters in text from outside: names of interfaces and files, comments, lines of dumps.
 * A terminal would execute them (ECMA-48), and Unicode direction marks would reorder a line. All text
 * passes through `visible` before it is written. Control sequences of slash32 are made by `control` and
 * carry a random number as proof.
 */

const RANDOM = Array.from(crypto.getRandomValues(new Uint32Array(4)), word => word.toString(36));
const OWN = `\x1b${RANDOM.join("")}`;

/** C0 but for tab and line end, DEL, C1, line separators, embeddings, overrides and isolates of direction. */
const HIDDEN = new RegExp(`${OWN}|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]`, "g");

/** A control sequence of our own, without its ESC and bracket: `1m`, `K`. */
export function control(sequence: string): string {
  return `${OWN}[${sequence}`;
}

/** Matches any control sequence made by `control`, to measure text without them. */
export const CONTROLS = new RegExp(`${OWN}\\[\\d*[A-Za-z]`, "g");

/** Text that is safe to print; the escapes are those of JSON, so that JSON keeps its meaning. */
export function visible(text: string): string {
  return text.replace(HIDDEN, found => (found === OWN ? "\x1b" : escaped(found)));
}

/** As `visible`, for one line: line ends are escaped, too. */
export function visibleLine(text: string): string {
  return visible(text.replaceAll("\n", "\\n"));
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
