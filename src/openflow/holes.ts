/**
 * Numbers in the bytes of a line: decimal and hexadecimal ones, IPv4 and MAC addresses, seconds with a fraction. They
 * are what differs between lines of one shape. Only spellings that Open vSwitch prints count (no octal, no capitals,
 * no leading zeros in decimals); everything else is text, and belongs to the shape.
 */

/** What a hole holds. */
export const HOLE = { decimal: 1, hexadecimal: 2, ipv4: 3, mac: 4, seconds: 5 } as const;
export type Hole = (typeof HOLE)[keyof typeof HOLE];

/** The number that `readHole` read last: 64 bits in two halves. */
export let low = 0;
export let high = 0;

const ZERO = 48;
const DOT = 46;
const COLON = 58;
const LETTER_S = 115;
const LETTER_X = 120;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

/** The value of a lower-case hex digit, -1 for any other byte. */
function nibble(byte: number | undefined): number {
  if (byte === undefined || byte < 48) return -1;
  if (byte <= 57) return byte - 48;
  return byte >= 97 && byte <= 102 ? byte - 87 : -1;
}

/**
 * Reads the number of this kind that begins at `at`: gives the place behind it and leaves its value in `low` and
 * `high`; -1 when there is none.
 */
export function readHole(kind: Hole, bytes: Uint8Array, at: number, end: number): number {
  high = 0;
  switch (kind) {
    case HOLE.decimal:
      return readDecimal(bytes, at, end);
    case HOLE.ipv4:
      return readIpv4(bytes, at, end);
    case HOLE.mac:
      return readMac(bytes, at, end);
    case HOLE.hexadecimal:
      return readHexadecimal(bytes, at, end);
    case HOLE.seconds:
      return readSeconds(bytes, at, end);
  }
}

function readDecimal(bytes: Uint8Array, at: number, end: number): number {
  let place = at;
  let value = 0;
  while (place < end) {
    const digit = bytes[place]! - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    place++;
  }
  const digits = place - at;
  // Fifteen digits are exact in a double.
  if (digits === 0 || digits > 15 || (digits > 1 && bytes[at] === ZERO)) return -1;
  low = value >>> 0;
  high = (value / 0x1_0000_0000) >>> 0;
  return place;
}

function readHexadecimal(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== ZERO || bytes[at + 1] !== LETTER_X) return -1;
  let place = at + 2;
  let upper = 0;
  let lower = 0;
  while (place < end) {
    const digit = nibble(bytes[place]);
    if (digit < 0) break;
    upper = (upper << 4) | (lower >>> 28);
    lower = (lower << 4) | digit;
    place++;
  }
  const digits = place - at - 2;
  if (digits === 0 || digits > 16) return -1;
  low = lower >>> 0;
  high = upper >>> 0;
  return place;
}

function readIpv4(bytes: Uint8Array, at: number, end: number): number {
  let place = at;
  let address = 0;
  for (let octets = 0; octets < 4; octets++) {
    if (octets > 0 && bytes[place++] !== DOT) return -1;
    const begins = place;
    let octet = 0;
    while (place < end && place - begins < 3) {
      const digit = bytes[place]! - ZERO;
      if (digit < 0 || digit > 9) break;
      octet = octet * 10 + digit;
      place++;
    }
    if (place === begins || octet > 255 || (place - begins > 1 && bytes[begins] === ZERO)) return -1;
    address = (address << 8) | octet;
  }
  low = address >>> 0;
  return place;
}

const MAC_BYTES = 17;

function readMac(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < MAC_BYTES || bytes[at + 2] !== COLON) return -1;
  let upper = 0;
  let lower = 0;
  for (let octet = 0; octet < 6; octet++) {
    const place = at + octet * 3;
    const first = nibble(bytes[place]);
    const second = nibble(bytes[place + 1]);
    if (first < 0 || second < 0 || (octet < 5 && bytes[place + 2] !== COLON)) return -1;
    if (octet < 2) upper = (upper << 8) | (first << 4) | second;
    else lower = (lower << 8) | (first << 4) | second;
  }
  low = lower >>> 0;
  high = upper;
  return at + MAC_BYTES;
}

function readSeconds(bytes: Uint8Array, at: number, end: number): number {
  let place = at;
  while (place < end && isDigit(bytes[place])) place++;
  if (place > at && bytes[place] === DOT) {
    place++;
    while (place < end && isDigit(bytes[place])) place++;
  }
  low = 0;
  return place > at && bytes[place] === LETTER_S ? place : -1;
}

/** The kinds in the order in which they are tried: the longest first. */
const TRIED: readonly Hole[] = [HOLE.mac, HOLE.ipv4, HOLE.hexadecimal, HOLE.seconds, HOLE.decimal];

/** True for a byte of a word: a number does not begin behind one, nor go on into one. */
function isWord(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return isDigit(byte) || (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90) || byte === 95;
}

export interface FoundHole {
  readonly kind: Hole;
  readonly start: number;
  readonly end: number;
}

/** All numbers of a line, from left to right. */
export function holesOf(bytes: Uint8Array, start: number, end: number): FoundHole[] {
  const holes: FoundHole[] = [];
  for (let at = start; at < end; ) {
    const found = nibble(bytes[at]) >= 0 && !isInside(bytes, at, start) ? holeAt(bytes, at, end) : null;
    if (found !== null) holes.push(found);
    at = found?.end ?? at + 1;
  }
  return holes;
}

/** Behind a word, a dot or a quote no number begins: reg0, 0..7, "tap1". */
function isInside(bytes: Uint8Array, at: number, start: number): boolean {
  const before = at > start ? bytes[at - 1] : undefined;
  return isWord(before) || before === DOT || before === 34;
}

function holeAt(bytes: Uint8Array, at: number, end: number): FoundHole | null {
  for (const kind of TRIED) {
    const behind = readHole(kind, bytes, at, end);
    if (behind < 0) continue;
    const next = behind < end ? bytes[behind] : undefined;
    const goesOn =
      next === DOT || next === COLON || (isWord(next) && !(kind === HOLE.seconds && next === LETTER_S));
    if (!goesOn) return { kind, start: at, end: behind };
  }
  return null;
}
