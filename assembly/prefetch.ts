/**
 * Software prefetch: loads the table entries of a batch before the lookups need them. WebAssembly has no
 * prefetch instruction, but loads whose results are not needed yet run in parallel, while the lookups would
 * meet their cache misses one after another. The offset of the destination address is an assumption; if it
 * is wrong for a frame, the frame costs one useless load.
 */
import {
  BANK_DENSE_EXACT,
  BANK_DENSE_HOSTS,
  BUCKET_BYTES,
  DENSE_PAGE_BYTES,
  DENSE_PAGES,
  ENTRY_FRAME,
  QUEUE_ENTRY_BYTES,
  SEEN,
  SETTING_DENSE_EXACT,
  SETTING_DENSE_HOSTS,
  SETTING_EXACT,
  SETTING_HOSTS,
  TABLE_AT,
  TABLE_BUCKETS,
} from "./abi";
import { homeIn } from "./table/buckets";
import { findDense, isDense, octetOf } from "./table/dense";

/** Offset of the destination address in most frames of the uplink (behind a label) and of a VM. */
const LABELLED_DESTINATION: u32 = 34;
const DESTINATION: u32 = 30;
/** Tables up to this size stay in the second-level cache, beside windows and output: no prefetch. */
const CACHED_BYTES: u32 = 0x60000;

/** Loads the entries in which the destinations of the queued packets from `first` to `end` are looked up. */
export function prefetch(bank: usize, is_uplink: bool, first: usize, end: usize): void {
  if (is_uplink) {
    prefetchHosts(bank, LABELLED_DESTINATION, first, end);
  } else {
    prefetchHosts(bank, DESTINATION, first, end);
    prefetchExact(bank, first, end);
  }
}

function prefetchHosts(bank: usize, destination: u32, first: usize, end: usize): void {
  const dense = bank + SETTING_DENSE_HOSTS;
  if (isDense(dense)) prefetchPages(dense, bank + BANK_DENSE_HOSTS, destination, first, end);
  else prefetchBuckets(bank + SETTING_HOSTS, destination, first, end);
}

function prefetchExact(bank: usize, first: usize, end: usize): void {
  const dense = bank + SETTING_DENSE_EXACT;
  if (isDense(dense)) prefetchPages(dense, bank + BANK_DENSE_EXACT, DESTINATION, first, end);
  else prefetchBuckets(bank + SETTING_EXACT, DESTINATION, first, end);
}

function prefetchBuckets(table: usize, destination: u32, first: usize, end: usize): void {
  const buckets = load<u32>(table, TABLE_BUCKETS);
  if (buckets * BUCKET_BYTES <= CACHED_BYTES) return;
  const at: usize = load<u32>(table, TABLE_AT);
  let sum: u32 = 0;
  for (let entry = first; entry < end; entry += QUEUE_ENTRY_BYTES) {
    sum += load<u32>(homeIn(at, buckets - 1, load<u32>(load<u32>(entry, ENTRY_FRAME) + destination)));
  }
  store<u32>(SEEN, sum);
}

function prefetchPages(dense: usize, directory: usize, destination: u32, first: usize, end: usize): void {
  if (load<u32>(dense, DENSE_PAGES) * DENSE_PAGE_BYTES <= CACHED_BYTES) return;
  const octet = octetOf(dense);
  let sum: u32 = 0;
  for (let entry = first; entry < end; entry += QUEUE_ENTRY_BYTES) {
    sum += findDense(directory, octet, load<u32>(load<u32>(entry, ENTRY_FRAME) + destination));
  }
  store<u32>(SEEN, sum);
}
