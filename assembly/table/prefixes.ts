/**
 * Routes of length 0…31, longest match first. Lengths 17…31 share one exact-match table, and a word per /16
 * says which of them to ask for; lengths 0…16 are pushed down into one leaf per /16. So a lookup costs one
 * load and no search where only short prefixes are (the common fabric: /32s and a default), and one bucket
 * per length present where a full table is. An edit touches one entry (17…31) or the 2^(16 - length) leaves
 * of its /16s, at most 65,536.
 *
 * Prefixes here are in host order and values are not 0.
 */
import {
  BANK_LONG_COUNTS,
  BANK_LONG_LENGTHS,
  BANK_SHORT_HEAP,
  BANK_SHORT_LEAVES,
  SETTING_LONG,
} from "../abi";
import { add, change, find, get, remove } from "./buckets";

/** The longest length that is pushed down into leaves. */
export const SHORT_BITS: u32 = 16;
const VALUE_MASK: u32 = 0xffffff;
const LENGTH_SHIFT: u32 = 24;

/** The most specific route's value for an address in host order, 0 when there is none. */
export function lookup(bank: usize, address: u32): u32 {
  const block = (address >>> SHORT_BITS) << 2;
  let lengths = load<u32>(bank + block, BANK_LONG_LENGTHS);
  if (lengths != 0) {
    do {
      const length = 31 - clz(lengths);
      const found = find(bank + SETTING_LONG, longKey(address, length));
      if (found != 0) return found;
      lengths ^= 1 << length;
    } while (lengths != 0);
  }
  return load<u32>(bank + block, BANK_SHORT_LEAVES) & VALUE_MASK;
}

/** The value of exactly this prefix, 0 when it is not there. */
export function getPrefix(bank: usize, prefix: u32, length: u32): u32 {
  if (length <= SHORT_BITS) return load<u32>(bank + heapAt(prefix, length), BANK_SHORT_HEAP);
  return get(bank + SETTING_LONG, longKey(prefix, length));
}

/** Adds a prefix that is not there, or changes one that is. False if the table is full. */
export function setPrefix(bank: usize, prefix: u32, length: u32, value: u32): bool {
  if (length > SHORT_BITS) return setLong(bank, prefix, length, value);
  store<u32>(bank + heapAt(prefix, length), value, BANK_SHORT_HEAP);
  const end = leavesEnd(bank, prefix, length);
  for (let leaf = leavesStart(bank, prefix); leaf < end; leaf += 4) {
    const there = load<u32>(leaf, BANK_SHORT_LEAVES);
    if ((there & VALUE_MASK) == 0 || there >>> LENGTH_SHIFT <= length) {
      store<u32>(leaf, value | (length << LENGTH_SHIFT), BANK_SHORT_LEAVES);
    }
  }
  return true;
}

/** Removes a prefix that is in the table; the next shorter one that covers it applies again. */
export function removePrefix(bank: usize, prefix: u32, length: u32): void {
  if (length > SHORT_BITS) {
    removeLong(bank, prefix, length);
    return;
  }
  store<u32>(bank + heapAt(prefix, length), 0, BANK_SHORT_HEAP);
  const heir = heirOf(bank, prefix, length);
  const end = leavesEnd(bank, prefix, length);
  for (let leaf = leavesStart(bank, prefix); leaf < end; leaf += 4) {
    if (load<u32>(leaf, BANK_SHORT_LEAVES) >>> LENGTH_SHIFT == length) {
      store<u32>(leaf, heir, BANK_SHORT_LEAVES);
    }
  }
}

/** The leaf of the longest prefix shorter than `length` that covers `prefix`, 0 when there is none. */
function heirOf(bank: usize, prefix: u32, length: u32): u32 {
  for (let shorter = length; shorter > 0; ) {
    shorter--;
    const value = load<u32>(bank + heapAt(prefix, shorter), BANK_SHORT_HEAP);
    if (value != 0) return value | (shorter << LENGTH_SHIFT);
  }
  return 0;
}

/** Heap order: the root 0/0 is 1, the halves of prefix n are 2n and 2n + 1. */
function heapAt(prefix: u32, length: u32): usize {
  const high = length == 0 ? 0 : prefix >>> (32 - length);
  return ((1 << length) | high) << 2;
}

function leavesStart(bank: usize, prefix: u32): usize {
  return bank + ((prefix >>> SHORT_BITS) << 2);
}

function leavesEnd(bank: usize, prefix: u32, length: u32): usize {
  return leavesStart(bank, prefix) + (4 << (SHORT_BITS - length));
}

/** A number for prefix and length 17…31 together: the prefix, a one behind it, zeros. */
function longKey(address: u32, length: u32): u32 {
  const after = (<u32>1) << (31 - length);
  return (address & ~(after - 1)) | after;
}

/** Address of the count of routes of this length in the prefix's /16. */
function countAt(bank: usize, prefix: u32, length: u32): usize {
  return bank + (((prefix >>> SHORT_BITS) * 16 + (length - SHORT_BITS)) << 1);
}

function setLong(bank: usize, prefix: u32, length: u32, value: u32): bool {
  const key = longKey(prefix, length);
  if (get(bank + SETTING_LONG, key) != 0) {
    change(bank + SETTING_LONG, key, value);
    return true;
  }
  if (!add(bank + SETTING_LONG, key, value)) return false;
  const count = countAt(bank, prefix, length);
  store<u16>(count, load<u16>(count, BANK_LONG_COUNTS) + 1, BANK_LONG_COUNTS);
  const block = leavesStart(bank, prefix);
  store<u32>(block, load<u32>(block, BANK_LONG_LENGTHS) | (1 << length), BANK_LONG_LENGTHS);
  return true;
}

function removeLong(bank: usize, prefix: u32, length: u32): void {
  remove(bank + SETTING_LONG, longKey(prefix, length));
  const count = countAt(bank, prefix, length);
  const left = load<u16>(count, BANK_LONG_COUNTS) - 1;
  store<u16>(count, left, BANK_LONG_COUNTS);
  if (left != 0) return;
  const block = leavesStart(bank, prefix);
  store<u32>(block, load<u32>(block, BANK_LONG_LENGTHS) & ~(1 << length), BANK_LONG_LENGTHS);
}
