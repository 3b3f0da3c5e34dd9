/**
 * How the core counts time, and the exact conversion of timestamps from one clock to another. The core's timestamps are
 * unsigned 64-bit numbers; everything here computes with BigInt, since it runs once an interface and not once a packet.
 */

/** Time in 10^-resolution seconds since `base`, which is in seconds since 1970 and never after 1970. */
export interface Timescale {
  readonly resolution: number;
  readonly base: bigint;
}

/** An interface's own clock: units of 10^-exponent or 2^-exponent seconds, and the seconds to add. */
export interface Clock {
  readonly exponent: number;
  readonly isBinary: boolean;
  readonly offsetSeconds: bigint;
}

/** Decimal digits kept of a timestamp's fraction: nanoseconds. */
export const FINEST_RESOLUTION = 9;

/** The earliest base, in seconds since 1970: 272 years before, which leaves 312 years after 1970. */
const EARLIEST_BASE = -(2n ** 33n);
const MAX_TIME = 2n ** 64n - 1n;
const SECONDS_A_YEAR = 31_556_952;

/** The base for these clocks: 1970, or earlier if an if_tsoffset is negative. */
export function baseOf(clocks: readonly Clock[]): bigint {
  const least = clocks.reduce(
    (least, { offsetSeconds }) => (offsetSeconds < least ? offsetSeconds : least),
    0n,
  );
  return least < EARLIEST_BASE ? EARLIEST_BASE : least;
}

/** How the core converts an interface's timestamps, and which of them it can convert: see abi.INTERFACE_…. */
export interface Conversion {
  readonly multiplier: number;
  readonly divisor: number;
  readonly offset: bigint;
  readonly firstTime: bigint;
  readonly lastTime: bigint;
}

/** The conversion of a clock's timestamps to a timescale. */
export function conversionOf(
  { exponent, isBinary, offsetSeconds }: Clock,
  { resolution, base }: Timescale,
  isPcap: boolean,
): Conversion {
  const units = 10n ** BigInt(resolution);
  const own = (isBinary ? 2n : 10n) ** BigInt(exponent);
  const offset = (offsetSeconds - base) * units;
  // pcap counts seconds and their fraction separately: the divisor's field holds the output units of a second.
  const shared = isPcap ? own : gcd(units, own);
  // Timestamps t with 0 <= floor(t × units ÷ own) + offset <= 2^64 - 1.
  const earliest = offset < 0n ? divideUp(-offset * own, units) : 0n;
  const latest = divideUp((MAX_TIME - offset + 1n) * own, units) - 1n;
  // If there are none, the first is above the last, and the core counts every timestamp as odd.
  const [first, last] =
    latest < 0n ? [1n, 0n] : earliest > MAX_TIME ? [MAX_TIME, MAX_TIME - 1n] : [earliest, latest];
  return {
    multiplier: Number(units / shared),
    divisor: Number(isPcap ? units : own / shared),
    offset: BigInt.asUintN(64, offset),
    firstTime: first,
    lastTime: clamped(last),
  };
}

/** A timestamp of one timescale in another, or the nearest that it can express. */
export function rescaled(time: bigint, from: Timescale, to: Timescale): bigint {
  const moved = time + (from.base - to.base) * 10n ** BigInt(from.resolution);
  return clamped(moved * 10n ** BigInt(to.resolution - from.resolution));
}

/** The years in which a timescale begins and ends. */
export function yearsOf({ resolution, base }: Timescale): [from: number, to: number] {
  const year = (seconds: number): number => 1970 + Math.floor(seconds / SECONDS_A_YEAR);
  return [year(Number(base)), year(Number(base) + 2 ** 64 / 10 ** resolution)];
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** a ÷ b, rounded up; b is positive. */
function divideUp(a: bigint, b: bigint): bigint {
  return a > 0n ? (a + b - 1n) / b : -(-a / b);
}

/** The nearest unsigned 64-bit number. */
function clamped(value: bigint): bigint {
  return value < 0n ? 0n : value > MAX_TIME ? MAX_TIME : value;
}
