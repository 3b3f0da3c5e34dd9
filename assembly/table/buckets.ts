/**
 * An exact-match table of u32 keys: buckets of one cache line, eight keys and eight values.
 *
 *      0        4             28       32       36            60      63
 *   ┌────────┬────────┬─ … ─┬────────┬────────┬────────┬─ … ─┬───────┬───┐
 *   │ key 0  │ key 1  │     │ key 7  │ value 0│ value 1│     │value 7│ o │
 *   └────────┴────────┴─ … ─┴────────┴────────┴────────┴─ … ─┴───────┴───┘
 *
 * A value of 0 marks a free slot; values are at most 24 bits. A full bucket passes entries on to the next one, and
 * the byte o counts how many entries went past it, so that most misses end after one bucket. 255 stays 255: such a
 * bucket is passed for good (until the table is built anew), which costs time and never a wrong answer.
 */
import { BUCKET_BYTES } from "../abi";

const SLOTS: u32 = 8;
const VALUES: u32 = 32;
const VALUE_MASK: u32 = 0xffffff;
const OVERFLOW: u32 = 63;
const OVERFLOW_STUCK: u32 = 255;

/** 2^64 divided by the golden ratio. */
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/** Address of the key's own bucket, in a table of `buckets` (a power of two up to 2^20). */
export function home(table: usize, buckets: u32, key: u32): usize {
  const hash = <u32>((<u64>key * GOLDEN) >> 44);
  return table + (hash & (buckets - 1)) * BUCKET_BYTES;
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
export function find(table: usize, buckets: u32, key: u32): u32 {
  const bucket = home(table, buckets, key);
  const found = matches(bucket, key);
  if (found != 0) return load<u32>(bucket + ctz(found) * 4, VALUES) & VALUE_MASK;
  if (load<u8>(bucket, OVERFLOW) == 0) return 0;
  return findFurther(table, buckets, bucket, key);
}

function findFurther(table: usize, buckets: u32, first: usize, key: u32): u32 {
  let bucket = first;
  for (let passed: u32 = 1; passed < buckets && load<u8>(bucket, OVERFLOW) != 0; passed++) {
    bucket = next(table, buckets, bucket);
    const found = matches(bucket, key);
    if (found != 0) return load<u32>(bucket + ctz(found) * 4, VALUES) & VALUE_MASK;
  }
  return 0;
}

function next(table: usize, buckets: u32, bucket: usize): usize {
  const after = bucket + BUCKET_BYTES;
  return after == table + buckets * BUCKET_BYTES ? table : after;
}

function valueAt(slot: usize): u32 {
  return load<u32>(slot, VALUES) & VALUE_MASK;
}

function putValue(slot: usize, value: u32): void {
  const kept = load<u32>(slot, VALUES) & ~VALUE_MASK;
  store<u32>(slot, kept | value, VALUES);
}

/** Address of the slot that holds the key, 0 when there is none. Unlike `find` it is exact for a key of 0 too. */
function slotOf(table: usize, buckets: u32, key: u32): usize {
  let bucket = home(table, buckets, key);
  for (let passed: u32 = 0; passed < buckets; passed++) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      if (load<u32>(slot) == key && valueAt(slot) != 0) return slot;
    }
    if (load<u8>(bucket, OVERFLOW) == 0) return 0;
    bucket = next(table, buckets, bucket);
  }
  return 0;
}

/** The key's value, 0 when it is not there; exact for every key. */
export function get(table: usize, buckets: u32, key: u32): u32 {
  const slot = slotOf(table, buckets, key);
  return slot == 0 ? 0 : valueAt(slot);
}

/** Changes the value of a key that is there. False when it is not. */
export function change(table: usize, buckets: u32, key: u32, value: u32): bool {
  const slot = slotOf(table, buckets, key);
  if (slot == 0) return false;
  putValue(slot, value);
  return true;
}

/** Adds a key that is not there yet. False when every slot of the table is taken. */
export function add(table: usize, buckets: u32, key: u32, value: u32): bool {
  const first = home(table, buckets, key);
  let bucket = first;
  for (let passed: u32 = 0; passed < buckets; passed++) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      if (valueAt(slot) != 0) continue;
      store<u32>(slot, key);
      putValue(slot, value);
      countPassed(table, buckets, first, bucket, 1);
      return true;
    }
    bucket = next(table, buckets, bucket);
  }
  return false;
}

/** Takes a key out. False when it is not there. */
export function remove(table: usize, buckets: u32, key: u32): bool {
  const slot = slotOf(table, buckets, key);
  if (slot == 0) return false;
  store<u32>(slot, 0);
  putValue(slot, 0);
  const bucket = slot - ((slot - table) % BUCKET_BYTES);
  countPassed(table, buckets, home(table, buckets, key), bucket, -1);
  return true;
}

/** An entry of `first` came to, or left, `last`: counts it in each bucket in between. */
function countPassed(table: usize, buckets: u32, first: usize, last: usize, by: i32): void {
  for (let bucket = first; bucket != last; bucket = next(table, buckets, bucket)) {
    const count = <u32>load<u8>(bucket, OVERFLOW);
    if (count != OVERFLOW_STUCK) store<u8>(bucket, <u8>(count + by), OVERFLOW);
  }
}

/** Copies every entry of one table into another, empty one. */
export function rehash(from: usize, from_buckets: u32, to: usize, to_buckets: u32): void {
  const end = from + from_buckets * BUCKET_BYTES;
  for (let bucket = from; bucket < end; bucket += BUCKET_BYTES) {
    for (let slot = bucket; slot < bucket + VALUES; slot += 4) {
      const value = valueAt(slot);
      if (value != 0) add(to, to_buckets, load<u32>(slot), value);
    }
  }
}

/** Buckets for a number of entries: at most half of the slots are taken. */
export function bucketsFor(entries: u32, most: u32): u32 {
  let buckets: u32 = 16;
  while (buckets < most && buckets * (SLOTS / 2) < entries) buckets <<= 1;
  return buckets;
}

/** True when one entry more calls for twice the buckets. */
export function isCrowded(entries: u32, buckets: u32): bool {
  return entries >= buckets * (SLOTS / 2);
}
