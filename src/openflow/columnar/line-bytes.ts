/**
 * Lines in the bytes of a text: where they end, and what they contain. Lines end with a newline, or with CR
 * and LF.
 */

const NEWLINE = 10;
const RETURN = 13;

const decoder = new TextDecoder();

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

/** The place of the newline that ends the line, or the end of the text. */
export function endOfLine(bytes: Uint8Array, start: number): number {
  const newline = bytes.indexOf(NEWLINE, start);
  return newline < 0 ? bytes.length : newline;
}

/** The end of a line without a carriage return. */
export function endOfText(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === RETURN ? end - 1 : end;
}

/** The text of the line that begins at `start`. */
export const lineAt = (bytes: Uint8Array, start: number): string =>
  textOf(bytes, start, endOfText(bytes, start, endOfLine(bytes, start)));

export function* linesOfBytes(bytes: Uint8Array): Generator<string> {
  for (let start = 0; start < bytes.length; ) {
    yield lineAt(bytes, start);
    start = endOfLine(bytes, start) + 1;
  }
}

/** The begin of the line behind the end of a text. */
export const startBehind = (bytes: Uint8Array, end: number): number => end + (bytes[end] === RETURN ? 2 : 1);
