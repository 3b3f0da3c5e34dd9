/**
 * JSON in pieces, for reports with up to a million rows: the text of JSON.stringify without one string that
 * exceeds the maximum length. An iterable that is not an array becomes an array, and is iterated once.
 */

/** Items are joined to strings of about so many characters. */
const PIECE = 1 << 16;

/** `indent` as for JSON.stringify; 0: all on one line. */
export function* jsonPieces(value: unknown, indent = 0): Generator<string> {
  let piece = "";
  for (const part of parts(value, indent, "")) {
    piece += part;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.iterator in value;

/** Whether the value contains an iterable that is not an array. */
function isLazy(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (isIterable(value) && !Array.isArray(value)) return true;
  return Object.values(value).some(isLazy);
}

function* parts(value: unknown, indent: number, margin: string): Generator<string> {
  if (typeof value !== "object" || value === null || !isLazy(value)) {
    yield JSON.stringify(value, null, indent).replaceAll("\n", `\n${margin}`);
    return;
  }
  const inner = margin + " ".repeat(indent);
  const line = indent === 0 ? "" : `\n${inner}`;
  let separator = "";
  if (isIterable(value)) {
    yield "[";
    for (const item of value) {
      yield separator + line;
      yield* parts(item, indent, inner);
      separator = ",";
    }
    yield separator === "" || indent === 0 ? "]" : `\n${margin}]`;
    return;
  }
  yield "{";
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    yield `${separator}${line}${JSON.stringify(key)}:${indent === 0 ? "" : " "}`;
    yield* parts(item, indent, inner);
    separator = ",";
  }
  yield separator === "" || indent === 0 ? "}" : `\n${margin}}`;
}
