/**
 * Looks at the table entries that a batch will need, before it is decided: WebAssembly cannot prefetch, but loads
 * that nothing waits for are under way at the same time, where the decisions would meet their cache misses one after
 * the other. A guess at where a frame has its destination address is enough; a wrong one costs a load.
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

/** Where the destination address stands in most frames of the uplink, behind a label, and of a VM. */
const LABELLED_DESTINATION: u32 = 34;
const DESTINATION: u32 = 30;
/** Bytes that a second-level cache keeps beside windows and output; from larger tables it pays to look first. */
const CACHED_BYTES: u32 = 0x60000;

/** Looks at what the destinations of the queued packets from `first` to `end` will be looked up in. */
export function touch(bank: usize, is_uplink: bool, first: usize, end: usize): void {
  if (is_uplink) {
    touchHosts(bank, LABELLED_DESTINATION, first, end);
  } else {
    touchHosts(bank, DESTINATION, first, end);
    touchExact(bank, first, end);
  }
}

function touchHosts(bank: usize, destination: u32, first: usize, end: usize): void {
  const dense = bank + SETTING_DENSE_HOSTS;
  if (isDense(dense)) touchPages(dense, bank + BANK_DENSE_HOSTS, destination, first, end);
  else touchBuckets(bank + SETTING_HOSTS, destination, first, end);
}

function touchExact(bank: usize, first: usize, end: usize): void {
  const dense = bank + SETTING_DENSE_EXACT;
  if (isDense(dense)) touchPages(dense, bank + BANK_DENSE_EXACT, DESTINATION, first, end);
  else touchBuckets(bank + SETTING_EXACT, DESTINATION, first, end);
}

function touchBuckets(table: usize, destination: u32, first: usize, end: usize): void {
  const buckets = load<u32>(table, TABLE_BUCKETS);
  if (buckets * BUCKET_BYTES <= CACHED_BYTES) return;
  const at: usize = load<u32>(table, TABLE_AT);
  let sum: u32 = 0;
  for (let entry = first; entry < end; entry += QUEUE_ENTRY_BYTES) {
    sum += load<u32>(homeIn(at, buckets - 1, load<u32>(load<u32>(entry, ENTRY_FRAME) + destination)));
  }
  store<u32>(SEEN, sum);
}

function touchPages(dense: usize, directory: usize, destination: u32, first: usize, end: usize): void {
  if (load<u32>(dense, DENSE_PAGES) * DENSE_PAGE_BYTES <= CACHED_BYTES) return;
  const octet = octetOf(dense);
  let sum: u32 = 0;
  for (let entry = first; entry < end; entry += QUEUE_ENTRY_BYTES) {
    sum += findDense(directory, octet, load<u32>(load<u32>(entry, ENTRY_FRAME) + destination));
  }
  store<u32>(SEEN, sum);
}
