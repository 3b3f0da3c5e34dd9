/**
 * Frames as hex text, as pasted from ovs-appctl, Wireshark or a bug report. Blanks, line breaks, colons,
 * dashes between octets and 0x in front are accepted; a hex dump with an offset column is refused with a
 * hint, because its offsets could pass for bytes.
 */

const OFFSET_LINE = /^\s*(?:0x)?[0-9a-f]{4,8}(?::\s|\s\s)/im;

/** Parses hex text; throws a SyntaxError with what is valid. */
export function parseHex(text: string): Uint8Array {
  if (OFFSET_LINE.test(text)) {
    throw new SyntaxError("this is a hex dump with an offset column; give the bytes only, without offsets");
  }
  const digits = text.replace(/\b0x/gi, "").replace(/[\s:,-]/g, "");
  const stray = /[^0-9a-f]/i.exec(digits);
  if (stray !== null)
    throw new SyntaxError(`"${stray[0]}" is not a hex digit; write bytes as 52 54 00 or 525400`);
  if (digits.length % 2 === 1) {
    throw new SyntaxError(
      `${digits.length} hex digits do not make whole bytes; write two digits for each byte`,
    );
  }
  return Uint8Array.from(digits.match(/../g) ?? [], octet => Number.parseInt(octet, 16));
}

/** Lower-case hex, two digits for each byte, with `separator` between them. */
export function formatHex(bytes: Uint8Array, separator = ""): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(separator);
}
