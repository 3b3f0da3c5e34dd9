/**
 * The two sets of tables. Frames see the *active* bank; `begin` opens the other one, edits then go there, and
 * `commit` makes it the active one in a single store, so that no batch ever sees half a configuration. While
 * nothing is open, edits go straight to the active bank, between batches. There a route table that becomes
 * crowded moves to a place with twice the buckets.
 */
import {
  BANK_BYTES,
  BANK_DENSE_EXACT,
  BANK_DENSE_HOSTS,
  BANK_HOSTS,
  BANK_NEXT_HOPS,
  BANKS,
  BUCKET_BYTES,
  MAX_DENSE_EXACT_PAGES,
  MAX_DENSE_HOST_PAGES,
  MAX_HOST_BUCKETS,
  MAX_HOSTS,
  MAX_LABELS,
  MAX_NEXT_HOPS,
  MAX_ROUTE_BUCKETS,
  MAX_ROUTES,
  NEXT_HOP_BYTES,
  NEXT_HOP_HEADER,
  NEXT_HOP_LABEL_COUNT,
  NEXT_HOP_LABELS,
  REMOVE,
  SETTING_DENSE_EXACT,
  SETTING_DENSE_HOSTS,
  SETTING_EXACT,
  SETTING_HOSTS,
  SETTING_LABEL,
  SETTING_LABELLED,
  SETTING_LONG,
  SETTING_NEXT_HOP_COUNT,
  SETTING_SHORT_COUNT,
  SETTING_UPLINK_MAC,
  SETTING_VIRTUAL_MAC,
  Status,
  TABLE_AT,
} from "../abi";
import { labelledWord } from "../wire/mpls";
import { add, bucketsFor, bytesOf, change, create, entriesOf, get, rehash, remove } from "./buckets";
import { findIn, follow, isDense, settle } from "./dense";
import { hostValue, noteAddress, portOfNumber, portOfSlot, slotOfPort } from "./ports";
import { getPrefix, lookup, removePrefix, SHORT_BITS, setPrefix } from "./prefixes";
import { freePlace, takePlace } from "./route-table-slots";

/** The bank that frames see. */
export let active: usize = BANKS;
/** The bank that edits go to: `active`, or the other one between `begin` and `commit`. */
export let edited: usize = BANKS;
/** Whether the other bank holds old tables. */
let spare_is_dirty: bool = false;

function spare(): usize {
  return active == BANKS ? BANKS + BANK_BYTES : BANKS;
}

/** Opens the other bank, empty, for so many entries. An open one is thrown away. */
export function begin(
  label: u32,
  virtual_mac: u64,
  uplink_mac: u64,
  exact: u32,
  long: u32,
  hosts: u32,
): Status {
  if (exact > MAX_ROUTES || long > MAX_ROUTES || hosts > MAX_HOSTS) return Status.Full;
  abandon();
  const bank = spare();
  // Next hops may stay: nothing points at them any more.
  if (spare_is_dirty) memory.fill(bank, 0, BANK_NEXT_HOPS);
  spare_is_dirty = true;
  store<u32>(bank, label, SETTING_LABEL);
  store<u64>(bank, labelledWord(label), SETTING_LABELLED);
  store<u64>(bank, virtual_mac, SETTING_VIRTUAL_MAC);
  store<u64>(bank, uplink_mac, SETTING_UPLINK_MAC);
  create(bank + SETTING_HOSTS, bank + BANK_HOSTS, bucketsFor(hosts, MAX_HOST_BUCKETS));
  create(bank + SETTING_EXACT, takePlace(), bucketsFor(exact, MAX_ROUTE_BUCKETS));
  create(bank + SETTING_LONG, takePlace(), bucketsFor(long, MAX_ROUTE_BUCKETS));
  edited = bank;
  return Status.Ok;
}

/** Throws away the bank that `begin` opened, if one is open. */
export function abandon(): void {
  if (edited != active) freeTables(edited);
  edited = active;
}

/** Frames see the bank that `begin` opened from now on. */
export function commit(): Status {
  if (edited == active) return Status.Invalid;
  settleHosts(edited);
  settleExact(edited);
  freeTables(active);
  active = edited;
  return Status.Ok;
}

function settleHosts(bank: usize): void {
  settle(bank + SETTING_DENSE_HOSTS, bank + BANK_DENSE_HOSTS, MAX_DENSE_HOST_PAGES, bank + SETTING_HOSTS);
}

function settleExact(bank: usize): void {
  settle(bank + SETTING_DENSE_EXACT, bank + BANK_DENSE_EXACT, MAX_DENSE_EXACT_PAGES, bank + SETTING_EXACT);
}

function freeTables(bank: usize): void {
  freeTable(bank + SETTING_EXACT);
  freeTable(bank + SETTING_LONG);
}

function freeTable(table: usize): void {
  freePlace(load<u32>(table, TABLE_AT), bytesOf(table));
}

/** Address of the tables that frames see. */
export function activeBank(): usize {
  return active;
}

// ── Hosts ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The record of the port behind which an address (network order) lives, 0 when it is not local. */
export function portOfHost(bank: usize, address: u32): usize {
  const value = hostValue(bank, address);
  return value == 0 ? 0 : portOfSlot(bank, value - 1);
}

/** Gives an address (host order) to the VM at a port, or takes it away (REMOVE). */
export function editHost(address: u32, port_number: u32): Status {
  const table = edited + SETTING_HOSTS;
  const key = bswap<u32>(address);
  const there = get(table, key);
  if (port_number == REMOVE) {
    if (there == 0) return Status.Invalid;
    remove(table, key);
    followHost(key, 0);
    noteAddress(portOfSlot(edited, there - 1), key, -1);
    return Status.Ok;
  }
  const port = portOfNumber(edited, port_number);
  if (port == 0) return Status.Invalid;
  if (there != 0) return Status.Exists;
  const value = slotOfPort(edited, port) + 1;
  if (entriesOf(table) == MAX_HOSTS || !add(table, key, value)) return Status.Full;
  followHost(key, value);
  noteAddress(port, key, 1);
  return Status.Ok;
}

function followHost(key: u32, value: u32): void {
  // A bank that is being built is settled when it is committed.
  if (edited != active) return;
  const table = edited + SETTING_HOSTS;
  follow(edited + SETTING_DENSE_HOSTS, edited + BANK_DENSE_HOSTS, MAX_DENSE_HOST_PAGES, table, key, value);
}

// ── Next hops ──────────────────────────────────────────────────────────────────────────────────────────────

/** The record of next hop `index`. */
export function nextHopAt(bank: usize, index: u32): usize {
  return bank + BANK_NEXT_HOPS + index * NEXT_HOP_BYTES;
}

/**
 * Fills in next hop `index`: MAC of the next hop (network order, low 48 bits) and label stack entries,
 * outermost first, in host order with TTL 0. To be done before a route points at it.
 */
export function setNextHop(index: u32, via: u64, labels: u32, first: u32, second: u32, third: u32): Status {
  if (index >= MAX_NEXT_HOPS) return Status.Full;
  if (labels > MAX_LABELS) return Status.Invalid;
  const at = nextHopAt(edited, index);
  const uplink_mac = load<u64>(edited, SETTING_UPLINK_MAC);
  store<u64>(at, via | (uplink_mac << 48), NEXT_HOP_HEADER);
  store<u32>(at, <u32>(uplink_mac >> 16), NEXT_HOP_HEADER + 8);
  store<u32>(at, labels, NEXT_HOP_LABEL_COUNT);
  store<u32>(at, bswap<u32>(first), NEXT_HOP_LABELS);
  store<u32>(at, bswap<u32>(second), NEXT_HOP_LABELS + 4);
  store<u32>(at, bswap<u32>(third), NEXT_HOP_LABELS + 8);
  if (index >= load<u32>(edited, SETTING_NEXT_HOP_COUNT)) {
    store<u32>(edited, index + 1, SETTING_NEXT_HOP_COUNT);
  }
  return Status.Ok;
}

// ── Routes ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The next hop, from 1 on, of the /32 route to an address (network order), 0 when there is none. */
function exactValue(bank: usize, address: u32): u32 {
  return findIn(bank + SETTING_DENSE_EXACT, bank + BANK_DENSE_EXACT, bank + SETTING_EXACT, address);
}

/** The record of the next hop towards an address (network order), 0 when no route covers it. */
export function nextHopTo(bank: usize, address: u32): usize {
  let value = exactValue(bank, address);
  if (value == 0) value = lookup(bank, bswap<u32>(address));
  return value == 0 ? 0 : nextHopAt(bank, value - 1);
}

/** Adds a route, changes its next hop, or takes it out (REMOVE). */
export function editRoute(prefix: u32, length: u32, next_hop: u32): Status {
  if (length > 32 || (length < 32 && (prefix & (0xffffffff >>> length)) != 0)) return Status.Invalid;
  if (next_hop != REMOVE && next_hop >= load<u32>(edited, SETTING_NEXT_HOP_COUNT)) return Status.Invalid;
  const there =
    length == 32 ? get(edited + SETTING_EXACT, bswap<u32>(prefix)) : getPrefix(edited, prefix, length);
  if (next_hop == REMOVE) {
    if (there == 0) return Status.Invalid;
    removeRoute(prefix, length);
    return Status.Ok;
  }
  if (there == 0 && !makeRoom(length)) return Status.Full;
  return putRoute(prefix, length, next_hop + 1, there != 0) ? Status.Ok : Status.Full;
}

function putRoute(prefix: u32, length: u32, value: u32, is_there: bool): bool {
  if (length < 32) {
    if (!setPrefix(edited, prefix, length, value)) return false;
    if (length <= SHORT_BITS && !is_there) countShort(1);
    return true;
  }
  const exact = edited + SETTING_EXACT;
  const key = bswap<u32>(prefix);
  if (is_there) change(exact, key, value);
  else if (!add(exact, key, value)) return false;
  followExact(key, value);
  return true;
}

function removeRoute(prefix: u32, length: u32): void {
  if (length < 32) {
    removePrefix(edited, prefix, length);
    if (length <= SHORT_BITS) countShort(-1);
    return;
  }
  const key = bswap<u32>(prefix);
  remove(edited + SETTING_EXACT, key);
  followExact(key, 0);
}

function followExact(key: u32, value: u32): void {
  // A bank that is being built is settled when it is committed.
  if (edited != active) return;
  const table = edited + SETTING_EXACT;
  follow(edited + SETTING_DENSE_EXACT, edited + BANK_DENSE_EXACT, MAX_DENSE_EXACT_PAGES, table, key, value);
}

function countShort(by: i32): void {
  store<u32>(edited, load<u32>(edited, SETTING_SHORT_COUNT) + by, SETTING_SHORT_COUNT);
}

/** Makes sure that one more route of this length fits. False at the limit of MAX_ROUTES. */
function makeRoom(length: u32): bool {
  const exact = edited + SETTING_EXACT;
  const long = edited + SETTING_LONG;
  const routes = entriesOf(exact) + entriesOf(long) + load<u32>(edited, SETTING_SHORT_COUNT);
  if (routes >= MAX_ROUTES) return false;
  // A bank that is being built has its tables in the size that was asked for.
  if (edited != active || length <= SHORT_BITS) return true;
  const has_grown = grow(length == 32 ? exact : long);
  // Buckets twice as large may make a dense table the smaller one of the two.
  if (has_grown && length == 32 && !isDense(edited + SETTING_DENSE_EXACT)) settleExact(edited);
  return true;
}

/**
 * Moves a table that one more entry would fill by half to a place with twice the buckets. True when it did.
 */
function grow(table: usize): bool {
  const buckets = bucketsFor(entriesOf(table) + 1, MAX_ROUTE_BUCKETS);
  const old_bytes = bytesOf(table);
  if (buckets * BUCKET_BYTES <= old_bytes) return false;
  const old = load<u32>(table, TABLE_AT);
  rehash(table, takePlace(), buckets);
  freePlace(old, old_bytes);
  return true;
}
