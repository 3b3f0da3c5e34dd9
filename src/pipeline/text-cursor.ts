/**
 * A place in a flow's text, and the values read from there: decimal numbers, MAC and IPv4 addresses, in the
 * one spelling that Open vSwitch prints (no leading zeros, lower case). It reads character by character,
 * because a dump has hundreds of thousands of lines.
 */

/** The text has no such value here. */
export const UNREAD = -1;

const [ZERO, NINE, LOWER_A, LOWER_F] = [48, 57, 97, 102] as const;
const [COLON, DOT] = [58, 46] as const;
const MAC_LENGTH = 17;
/** No number of the pipeline has more: 4294967295. */
const DIGITS_MAX = 10;

export class TextCursor {
  at = 0;
  #text = "";

  start(text: string): void {
    this.#text = text;
    this.at = 0;
  }

  get isAtEnd(): boolean {
    return this.at === this.#text.length;
  }

  /** Moves behind a literal; false, and no move, if the text does not go on with it. */
  skips(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.at)) return false;
    this.at += literal.length;
    return true;
  }

  /** An unsigned decimal number; UNREAD if there is none, or one that a switch would not print so. */
  decimal(): number {
    const text = this.#text;
    const from = this.at;
    let value = 0;
    let at = from;
    for (; at < text.length; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    this.at = at;
    const count = at - from;
    const hasLeadingZero = count > 1 && text.charCodeAt(from) === ZERO;
    return count === 0 || count > DIGITS_MAX || hasLeadingZero ? UNREAD : value;
  }

  /** A MAC address as a 48-bit number. */
  mac(): number {
    const text = this.#text;
    const from = this.at;
    if (from + MAC_LENGTH > text.length) return UNREAD;
    let value = 0;
    for (let place = 0; place < MAC_LENGTH; place++) {
      const code = text.charCodeAt(from + place);
      if (place % 3 === 2) {
        if (code !== COLON) return UNREAD;
      } else if (code >= ZERO && code <= NINE) value = value * 16 + code - ZERO;
      else if (code >= LOWER_A && code <= LOWER_F) value = value * 16 + code - LOWER_A + 10;
      else return UNREAD;
    }
    this.at = from + MAC_LENGTH;
    return value;
  }

  /** An IPv4 address, unsigned, in host order. */
  ipv4(): number {
    let value = 0;
    for (let octet = 0; octet < 4; octet++) {
      if (octet > 0 && this.#text.charCodeAt(this.at++) !== DOT) return UNREAD;
      const byte = this.decimal();
      if (byte === UNREAD || byte > 255) return UNREAD;
      value = value * 256 + byte;
    }
    return value;
  }
}
