/**
 * Text that may hold foreign words: names of interfaces and files, comments, lines of dumps. Control characters in
 * them would be commands to a terminal (ECMA-48), and direction marks of Unicode show a line in another order than it
 * has. All text passes through `visible` before it is written, which shows them as escapes. Sequences of our own are
 * made by `control`: they carry a number that nobody outside knows until then.
 */

const OWN = `\x1b${Array.from(crypto.getRandomValues(new Uint32Array(4)), word => word.toString(36)).join("")}`;

/** C0 but for tab and line end, DEL, C1, line separators, embeddings, overrides and isolates of direction. */
const HIDDEN = new RegExp(`${OWN}|[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]`, "g");

/** A control sequence of our own, without its ESC and bracket: `1m`, `K`. */
export function control(sequence: string): string {
  return `${OWN}[${sequence}`;
}

/** Any control sequence of our own, for those who measure text. */
export const CONTROLS = new RegExp(`${OWN}\\[\\d*[A-Za-z]`, "g");

/** Text as it may be shown; the escapes are those of JSON, so that JSON stays the same. */
export function visible(text: string): string {
  return text.replace(HIDDEN, found => (found === OWN ? "\x1b" : escaped(found)));
}

/** The same for what is one line: line ends are shown, too. */
export function visibleLine(text: string): string {
  return visible(text.replaceAll("\n", "\\n"));
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
