/**
 * An exact-match table of u32 keys: buckets of one cache line, eight keys and eight values.
 *
 *      0        4             28       32       36            60      63
 *   ┌────────┬────────┬─ … ─┬────────┬────────┬────────┬─ … ─┬───────┬───┐
 *   │ key 0  │ key 1  │     │ key 7  │ value 0│ value 1│     │value 7│ o │
 *   └────────┴────────┴─ … ─┴────────┴────────┴────────┴─ … ─┴───────┴───┘
 *
 * A table is given by its record (TABLE_AT, TABLE_BUCKETS, TABLE_ENTRIES). A value of 0 marks a free slot;
 * values are at most 24 bits. A full bucket passes entries on to the next one, and the byte o counts how many
 * entries went past it, so that most misses end after one bucket. 255 stays 255: such a bucket is passed for
 * good (until the table is built anew), which costs time and never a wrong answer.
 */
import { BUCKET_BYTES, TABLE_AT, TABLE_BUCKETS, TABLE_ENTRIES } from "../abi";

const SLOTS: u32 = 8;
const VALUES: u32 = 32;
const VALUE_MASK: u32 = 0xffffff;
const OVERFLOW: u32 = 63;
const OVERFLOW_STUCK: u32 = 255;

/** 2^64 divided by the golden ratio: multiplying by it spreads keys over the upper bits. */
export const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/** Makes a table of so many buckets, a power of two up to 2^20, from zeroed memory. */
export function create(table: usize, at: usize, buckets: u32): void {
  store<u32>(table, <u32>at, TABLE_AT);
  store<u32>(table, buckets, TABLE_BUCKETS);
  store<u32>(table, 0, TABLE_ENTRIES);
}

export function bytesOf(table: usize): u32 {
  return load<u32>(table, TABLE_BUCKETS) * BUCKET_BYTES;
}

export function entriesOf(table: usize): u32 {
  return load<u32>(table, TABLE_ENTRIES);
}

/** Address of the key's own bucket. */
function home(table: usize, key: u32): usize {
  return homeIn(load<u32>(table, TABLE_AT), load<u32>(table, TABLE_BUCKETS) - 1, key);
}

/** The same in a table whose address and number of buckets less one are at hand. */
export function homeIn(at: usize, mask: u32, key: u32): usize {
  return at + (<u32>((<u64>key * GOLDEN) >> 44) & mask) * BUCKET_BYTES;
}

/** Bit i is set when slot i of the bucket holds the key (or is free and the key is 0). */
function matches(bucket: usize, key: u32): u32 {
  if (ASC_FEATURE_SIMD) {
    const wanted = i32x4.splat(key);
    const low = i32x4.bitmask(i32x4.eq(v128.load(bucket), wanted));
    const high = i32x4.bitmask(i32x4.eq(v128.load(bucket, 16), wanted));
    return low | (high << 4);
  }
  let found: u32 = 0;
  for (let slot: u32 = 0; slot < SLOTS; slot++) {
    found |= (<u32>(load<u32>(bucket + slot * 4) == key)) << slot;
  }
  return found;
}

/** The key's value, 0 when it is not there. A key of 0 is found only if no free slot stands before it. */
export function find(table: usize, key: u32): u32 {
  return findFrom(table, home(table, key), key);
}

/** The same, from the key's own bucket on. */
export function findFrom(table: usize, bucket: usize, key: u32): u32 {
  const found = matches(bucket, key);
  if (found != 0) return load<u32>(bucket + ctz(found) * 4, VALUES) & VALUE_MASK;
  if (load<u8>(bucket, OVERFLOW) == 0) return 0;
  return findFurther(table, bucket, key);
}

function findFurther(table: usize, first: usize, key: u32): u32 {
  const buckets = load<u32>(table, TABLE_BUCKETS);
  let bucket = first;
  for (let passed: u32 = 1; passed < buckets && load<u8>(bucket, OVERFLOW) != 0; passed++) {
    bucket = next(table, bucket);
    const found = matches(bucket, key);
    if (found != 0) return load<u32>(bucket + ctz(found) * 4, VALUES) & VALUE_MASK;
  }
  return 0;
}

function next(table: usize, bucket: usize): usize {
  const first: usize = load<u32>(table, TABLE_AT);
  const after = bucket + BUCKET_BYTES;
  return after == first + bytesOf(table) ? first : after;
}

/** Address behind a bucket's last slot; a slot is where its key stands. */
export function slotsEnd(bucket: usize): usize {
  return bucket + VALUES;
}

/** The value in a slot, 0 when it is free. */
export function valueAt(slot: usize): u32 {
  return load<u32>(slot, VALUES) & VALUE_MASK;
}

function putValue(slot: usize, value: u32): void {
  const kept = load<u32>(slot, VALUES) & ~VALUE_MASK;
  store<u32>(slot, kept | value, VALUES);
}

/**
 * Address of the slot that holds the key, 0 when there is none. Unlike `find` it is exact for a key of 0 too.
 */
function slotOf(table: usize, key: u32): usize {
  const buckets = load<u32>(table, TABLE_BUCKETS);
  let bucket = home(table, key);
  for (let passed: u32 = 0; passed < buckets; passed++) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      if (load<u32>(slot) == key && valueAt(slot) != 0) return slot;
    }
    if (load<u8>(bucket, OVERFLOW) == 0) return 0;
    bucket = next(table, bucket);
  }
  return 0;
}

/** The key's value, 0 when it is not there; exact for every key. */
export function get(table: usize, key: u32): u32 {
  const slot = slotOf(table, key);
  return slot == 0 ? 0 : valueAt(slot);
}

/** Changes the value of a key that is there. */
export function change(table: usize, key: u32, value: u32): void {
  const slot = slotOf(table, key);
  if (slot != 0) putValue(slot, value);
}

/** Adds a key that is not there yet. False when every slot of the table is taken. */
export function add(table: usize, key: u32, value: u32): bool {
  const buckets = load<u32>(table, TABLE_BUCKETS);
  const first = home(table, key);
  let bucket = first;
  for (let passed: u32 = 0; passed < buckets; passed++) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      if (valueAt(slot) != 0) continue;
      store<u32>(slot, key);
      putValue(slot, value);
      countPassed(table, first, bucket, 1);
      store<u32>(table, entriesOf(table) + 1, TABLE_ENTRIES);
      return true;
    }
    bucket = next(table, bucket);
  }
  return false;
}

/** Takes out a key that is there. */
export function remove(table: usize, key: u32): void {
  const slot = slotOf(table, key);
  if (slot == 0) return;
  store<u32>(slot, 0);
  putValue(slot, 0);
  const bucket = slot - ((slot - load<u32>(table, TABLE_AT)) % BUCKET_BYTES);
  countPassed(table, home(table, key), bucket, -1);
  store<u32>(table, entriesOf(table) - 1, TABLE_ENTRIES);
}

/** An entry of `first` came to, or left, `last`: counts it in each bucket in between. */
function countPassed(table: usize, first: usize, last: usize, by: i32): void {
  for (let bucket = first; bucket != last; bucket = next(table, bucket)) {
    const count = <u32>load<u8>(bucket, OVERFLOW);
    if (count != OVERFLOW_STUCK) store<u8>(bucket, <u8>(count + by), OVERFLOW);
  }
}

/** Moves a table to zeroed memory at `at`, with so many buckets. */
export function rehash(table: usize, at: usize, buckets: u32): void {
  const from = load<u32>(table, TABLE_AT);
  const end = from + bytesOf(table);
  create(table, at, buckets);
  for (let bucket = from; bucket < end; bucket += BUCKET_BYTES) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      const value = valueAt(slot);
      if (value != 0) add(table, load<u32>(slot), value);
    }
  }
}

/** Buckets for a number of entries: at most half of the slots are taken. */
export function bucketsFor(entries: u32, most: u32): u32 {
  let buckets: u32 = 16;
  while (buckets < most && buckets * (SLOTS / 2) < entries) buckets <<= 1;
  return buckets;
}
