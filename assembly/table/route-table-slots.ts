/**
 * Four slots for route tables of the largest size; a bank uses two. A released slot is zeroed when it is
 * allocated again, as far as it was used.
 */
import { PLACES, ROUTE_TABLE_BYTES, ROUTE_TABLE_COUNT, ROUTE_TABLES } from "../abi";

/** Bit i is set if slot i is in use. */
let taken: u32 = 0;

/**
 * Address of a free slot, zeroed. There is always one: two are in use, two more while a bank is being built.
 */
export function takePlace(): usize {
  const place = ctz(~taken) % ROUTE_TABLE_COUNT;
  taken |= 1 << place;
  const at = ROUTE_TABLES + place * ROUTE_TABLE_BYTES;
  memory.fill(at, 0, load<u32>(PLACES + place * 4));
  store<u32>(PLACES + place * 4, 0);
  return at;
}

/** Releases a slot of which `used_bytes` bytes were used. Other addresses are ignored. */
export function freePlace(at: usize, used_bytes: u32): void {
  if (at < ROUTE_TABLES) return;
  const place = (<u32>at - ROUTE_TABLES) / ROUTE_TABLE_BYTES;
  taken &= ~(1 << place);
  store<u32>(PLACES + place * 4, used_bytes);
}
