/**
 * Numbers in the bytes of a line: decimal and hexadecimal ones, IPv4 and MAC addresses, seconds with a
 * fraction. They are what differs between lines of one template. Only spellings that Open vSwitch prints
 * count (no octal, no capitals, no leading zeros in decimals); everything else is text, and belongs to the
 * template.
 */
import { unreachable } from "../../wire/index.ts";

/** What a number holds. */
export const NUMBER = { decimal: 1, hexadecimal: 2, ipv4: 3, mac: 4, seconds: 5 } as const;
export type NumberKind = (typeof NUMBER)[keyof typeof NUMBER];

/** Words that `readNumber` writes. */
export const NUMBER_WORDS = 2;

const ZERO = 48;
const DOT = 46;
const COLON = 58;
const LETTER_S = 115;
const LETTER_X = 120;

/** The value of each byte as a lower-case hex digit, -1 where it is none. */
const NIBBLES = Int8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  return byte >= 97 && byte <= 102 ? byte - 87 : -1;
});

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;

/**
 * Reads the number of this kind that begins at `at`: gives the place behind it and writes its 64 bits to
 * `out` from `to` on, the upper half first; -1 when there is none. Nothing is read from `end` on.
 */
export function readNumber(
  kind: NumberKind,
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Uint32Array,
  to: number,
): number {
  switch (kind) {
    case NUMBER.decimal:
      return readDecimal(bytes, at, end, out, to);
    case NUMBER.ipv4:
      return readIpv4(bytes, at, end, out, to);
    case NUMBER.mac:
      return readMac(bytes, at, end, out, to);
    case NUMBER.hexadecimal:
      return readHexadecimal(bytes, at, end, out, to);
    case NUMBER.seconds:
      return readSeconds(bytes, at, end);
    default:
      return unreachable(kind);
  }
}

/** Digits that a small integer holds, and those that a double holds exactly. */
const SMALL_DIGITS = 9;
const EXACT_DIGITS = 15;

function readDecimal(bytes: Uint8Array, at: number, end: number, out: Uint32Array, to: number): number {
  const stop = end - at > SMALL_DIGITS ? at + SMALL_DIGITS : end;
  let place = at;
  let value = 0;
  for (; place < stop; place++) {
    const digit = bytes[place]! - ZERO;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) | 0;
  }
  if (place === at || (bytes[at] === ZERO && place > at + 1)) return -1;
  if (place < stop || place === end || !isDigit(bytes[place])) {
    out[to] = 0;
    out[to + 1] = value;
    return place;
  }
  return readLongDecimal(bytes, at, place, end, value, out, to);
}

/** Goes on behind the first nine digits, with doubles. */
function readLongDecimal(
  bytes: Uint8Array,
  at: number,
  from: number,
  end: number,
  first: number,
  out: Uint32Array,
  to: number,
): number {
  let place = from;
  let value = first;
  for (; place < end && isDigit(bytes[place]); place++) value = value * 10 + (bytes[place]! - ZERO);
  if (place - at > EXACT_DIGITS) return -1;
  out[to] = value / 0x1_0000_0000;
  out[to + 1] = value % 0x1_0000_0000;
  return place;
}

function readHexadecimal(bytes: Uint8Array, at: number, end: number, out: Uint32Array, to: number): number {
  if (end - at < 3 || bytes[at] !== ZERO || bytes[at + 1] !== LETTER_X) return -1;
  let place = at + 2;
  let upper = 0;
  let lower = 0;
  for (; place < end; place++) {
    const digit = NIBBLES[bytes[place]!]!;
    if (digit < 0) break;
    upper = (upper << 4) | (lower >>> 28);
    lower = (lower << 4) | digit;
  }
  const digits = place - at - 2;
  if (digits === 0 || digits > 16) return -1;
  out[to] = upper;
  out[to + 1] = lower;
  return place;
}

/** The digit at `place`; anything else is below 0 or above 9. */
const digitAt = (bytes: Uint8Array, place: number, end: number): number =>
  place < end ? bytes[place]! - ZERO : -1;

const isNoDigit = (digit: number): boolean => digit < 0 || digit > 9;

function readIpv4(bytes: Uint8Array, at: number, end: number, out: Uint32Array, to: number): number {
  let place = at;
  let address = 0;
  for (let octets = 0; octets < 4; octets++) {
    // Digit by digit and not in a loop: the lengths of octets are what a processor cannot foresee.
    let octet = digitAt(bytes, place++, end);
    if (isNoDigit(octet)) return -1;
    const second = digitAt(bytes, place, end);
    if (!isNoDigit(second)) {
      if (octet === 0) return -1;
      octet = octet * 10 + second;
      const third = digitAt(bytes, ++place, end);
      if (!isNoDigit(third)) {
        octet = octet * 10 + third;
        if (octet > 255) return -1;
        place++;
      }
    }
    if (octets < 3 && (place >= end || bytes[place++] !== DOT)) return -1;
    address = (address << 8) | octet;
  }
  out[to] = 0;
  out[to + 1] = address;
  return place;
}

const MAC_BYTES = 17;

function readMac(bytes: Uint8Array, at: number, end: number, out: Uint32Array, to: number): number {
  if (end - at < MAC_BYTES) return -1;
  let upper = 0;
  let lower = 0;
  // Negative as soon as one digit is none.
  let wrong = 0;
  for (let place = at; place < at + MAC_BYTES; place += 3) {
    const first = NIBBLES[bytes[place]!]!;
    const second = NIBBLES[bytes[place + 1]!]!;
    if (place > at && bytes[place - 1] !== COLON) return -1;
    wrong |= first | second;
    upper = (upper << 8) | (lower >>> 24);
    lower = (lower << 8) | (first << 4) | second;
  }
  if (wrong < 0) return -1;
  out[to] = upper;
  out[to + 1] = lower;
  return at + MAC_BYTES;
}

/** Digits before and behind the point of seconds: more are no number to the parser. */
const WHOLE_DIGITS = 15;
const FRACTION_DIGITS = 9;

/** A time with its unit behind it, which stays. It has no value: a time never is one of the flow. */
function readSeconds(bytes: Uint8Array, at: number, end: number): number {
  let place = at;
  while (place < end && isDigit(bytes[place])) place++;
  if (place === at || place - at > WHOLE_DIGITS) return -1;
  if (place < end && bytes[place] === DOT) {
    const point = place++;
    while (place < end && isDigit(bytes[place])) place++;
    if (place === point + 1 || place - point - 1 > FRACTION_DIGITS) return -1;
  }
  return place < end && bytes[place] === LETTER_S ? place : -1;
}

/** The kinds in the order in which they are tried: the longest first. */
const TRIED: readonly NumberKind[] = [
  NUMBER.mac,
  NUMBER.ipv4,
  NUMBER.hexadecimal,
  NUMBER.seconds,
  NUMBER.decimal,
];

/** True for a byte of a word: a number does not begin behind one, nor go on into one. */
function isWord(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return isDigit(byte) || (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90) || byte === 95;
}

export interface FoundNumber {
  readonly kind: NumberKind;
  readonly start: number;
  readonly end: number;
}

/** All numbers of a line, from left to right. */
export function numbersIn(bytes: Uint8Array, start: number, end: number): FoundNumber[] {
  const numbers: FoundNumber[] = [];
  for (let at = start; at < end; ) {
    const found = NIBBLES[bytes[at]!]! >= 0 && !isInside(bytes, at, start) ? holeAt(bytes, at, end) : null;
    if (found !== null) numbers.push(found);
    at = found?.end ?? at + 1;
  }
  return numbers;
}

/** Behind a word, a dot or a quote no number begins: reg0, 0..7, "tap1". */
function isInside(bytes: Uint8Array, at: number, start: number): boolean {
  const before = at > start ? bytes[at - 1] : undefined;
  return isWord(before) || before === DOT || before === 34;
}

const unread = new Uint32Array(NUMBER_WORDS);

function holeAt(bytes: Uint8Array, at: number, end: number): FoundNumber | null {
  for (const kind of TRIED) {
    const behind = readNumber(kind, bytes, at, end, unread, 0);
    if (behind < 0) continue;
    const next = behind < end ? bytes[behind] : undefined;
    const goesOn =
      next === DOT || next === COLON || (isWord(next) && !(kind === NUMBER.seconds && next === LETTER_S));
    if (!goesOn) return { kind, start: at, end: behind };
  }
  return null;
}
