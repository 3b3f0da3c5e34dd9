/**
 * The places where route tables may lie: four of the largest size, of which a bank uses two. One that is
 * given up is zeroed when it is taken again, and only as far as it was used.
 */
import { PLACES, ROUTE_TABLE_BYTES, ROUTE_TABLE_COUNT, ROUTE_TABLES } from "../abi";

/** Bit i is set when place i is taken. */
let taken: u32 = 0;

/**
 * Address of a free place, zeroed. There always is one: two are in use, two more while a bank is being built.
 */
export function takePlace(): usize {
  const place = ctz(~taken) % ROUTE_TABLE_COUNT;
  taken |= 1 << place;
  const at = ROUTE_TABLES + place * ROUTE_TABLE_BYTES;
  memory.fill(at, 0, load<u32>(PLACES + place * 4));
  store<u32>(PLACES + place * 4, 0);
  return at;
}

/** Gives up a place of which so many bytes were used. An address that is no place is ignored. */
export function freePlace(at: usize, used_bytes: u32): void {
  if (at < ROUTE_TABLES) return;
  const place = (<u32>at - ROUTE_TABLES) / ROUTE_TABLE_BYTES;
  taken &= ~(1 << place);
  store<u32>(PLACES + place * 4, used_bytes);
}
