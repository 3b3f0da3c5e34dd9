/**
 * The two sets of tables. Frames see the *active* bank; `begin` opens the other one, edits then go there, and
 * `commit` makes it the active one in a single store, so that no batch ever sees half a configuration. While nothing
 * is open, edits go straight to the active bank, between batches. When its route tables become crowded they are
 * rebuilt with twice the buckets in the other bank, which then takes over.
 */
import {
  BANK_BYTES,
  BANK_EXACT,
  BANK_HOSTS,
  BANK_LONG,
  BANK_NEXT_HOPS,
  BANK_SHORT_LEAVES,
  BANKS,
  BUCKET_BYTES,
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
  SETTING_EXACT_BUCKETS,
  SETTING_EXACT_COUNT,
  SETTING_HOST_BUCKETS,
  SETTING_HOST_COUNT,
  SETTING_LABEL,
  SETTING_LONG_BUCKETS,
  SETTING_LONG_COUNT,
  SETTING_NEXT_HOP_COUNT,
  SETTING_SHORT_COUNT,
  SETTING_UPLINK_MAC,
  SETTING_VIRTUAL_MAC,
  Status,
} from "../abi";
import { add, bucketsFor, change, find, get, isCrowded, rehash, remove } from "./buckets";
import { noteAddress, portOfNumber, portOfSlot, slotOfPort } from "./ports";
import { getPrefix, lookup, removePrefix, SHORT_BITS, setPrefix } from "./prefixes";

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
  const bank = spare();
  if (spare_is_dirty) clear(bank);
  spare_is_dirty = true;
  store<u32>(bank, label, SETTING_LABEL);
  store<u64>(bank, virtual_mac, SETTING_VIRTUAL_MAC);
  store<u64>(bank, uplink_mac, SETTING_UPLINK_MAC);
  store<u32>(bank, bucketsFor(exact, MAX_ROUTE_BUCKETS), SETTING_EXACT_BUCKETS);
  store<u32>(bank, bucketsFor(long, MAX_ROUTE_BUCKETS), SETTING_LONG_BUCKETS);
  store<u32>(bank, bucketsFor(hosts, MAX_HOST_BUCKETS), SETTING_HOST_BUCKETS);
  edited = bank;
  return Status.Ok;
}

/** Frames see the bank that `begin` opened from now on. */
export function commit(): Status {
  if (edited == active) return Status.Invalid;
  active = edited;
  return Status.Ok;
}

/** Throws away the bank that `begin` opened. */
export function abandon(): void {
  edited = active;
}

/** Zeroes what is in use of a bank. Next hops stay: nothing points at them any more. */
function clear(bank: usize): void {
  const exact_bytes = load<u32>(bank, SETTING_EXACT_BUCKETS) * BUCKET_BYTES;
  const long_bytes = load<u32>(bank, SETTING_LONG_BUCKETS) * BUCKET_BYTES;
  memory.fill(bank, 0, BANK_LONG);
  memory.fill(bank + BANK_LONG, 0, long_bytes);
  memory.fill(bank + BANK_EXACT, 0, exact_bytes);
}

// ── Hosts ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The record of the port behind which an address (network order) lives, 0 when it is not local. */
export function portOfHost(bank: usize, address: u32): usize {
  const value = find(bank + BANK_HOSTS, load<u32>(bank, SETTING_HOST_BUCKETS), address);
  return value == 0 ? 0 : portOfSlot(bank, value - 1);
}

/** Gives an address (host order) to the VM at a port, or takes it away (REMOVE). */
export function editHost(address: u32, port_number: u32): Status {
  const table = edited + BANK_HOSTS;
  const buckets = load<u32>(edited, SETTING_HOST_BUCKETS);
  const key = bswap<u32>(address);
  const there = get(table, buckets, key);
  const count = load<u32>(edited, SETTING_HOST_COUNT);
  if (port_number == REMOVE) {
    if (there == 0) return Status.Invalid;
    remove(table, buckets, key);
    noteAddress(portOfSlot(edited, there - 1), key, -1);
    store<u32>(edited, count - 1, SETTING_HOST_COUNT);
    return Status.Ok;
  }
  const port = portOfNumber(edited, port_number);
  if (port == 0) return Status.Invalid;
  if (there != 0) return Status.Exists;
  if (count == MAX_HOSTS || !add(table, buckets, key, slotOfPort(edited, port) + 1)) return Status.Full;
  noteAddress(port, key, 1);
  store<u32>(edited, count + 1, SETTING_HOST_COUNT);
  return Status.Ok;
}

// ── Next hops ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Fills in next hop `index`: MAC of the next hop (network order, low 48 bits) and label stack entries, outermost
 * first, in host order with TTL 0. To be done before a route points at it.
 */
export function setNextHop(index: u32, via: u64, labels: u32, first: u32, second: u32, third: u32): Status {
  if (index >= MAX_NEXT_HOPS) return Status.Full;
  if (labels > MAX_LABELS) return Status.Invalid;
  const at = edited + BANK_NEXT_HOPS + index * NEXT_HOP_BYTES;
  const uplink_mac = load<u64>(edited, SETTING_UPLINK_MAC);
  store<u64>(at, via | (uplink_mac << 48), NEXT_HOP_HEADER);
  store<u32>(at, <u32>(uplink_mac >> 16), NEXT_HOP_HEADER + 8);
  store<u32>(at, labels, NEXT_HOP_LABEL_COUNT);
  store<u32>(at, bswap<u32>(first), NEXT_HOP_LABELS);
  store<u32>(at, bswap<u32>(second), NEXT_HOP_LABELS + 4);
  store<u32>(at, bswap<u32>(third), NEXT_HOP_LABELS + 8);
  if (index >= load<u32>(edited, SETTING_NEXT_HOP_COUNT))
    store<u32>(edited, index + 1, SETTING_NEXT_HOP_COUNT);
  return Status.Ok;
}

// ── Routes ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** The record of the next hop towards an address (network order), 0 when no route covers it. */
export function nextHopTo(bank: usize, address: u32): usize {
  let value = find(bank + BANK_EXACT, load<u32>(bank, SETTING_EXACT_BUCKETS), address);
  if (value == 0) value = lookup(bank, bswap<u32>(address));
  return value == 0 ? 0 : bank + BANK_NEXT_HOPS + (value - 1) * NEXT_HOP_BYTES;
}

/** Adds a route, changes its next hop, or takes it out (REMOVE). */
export function editRoute(prefix: u32, length: u32, next_hop: u32): Status {
  if (length > 32 || (length < 32 && (prefix & (0xffffffff >>> length)) != 0)) return Status.Invalid;
  if (next_hop != REMOVE && next_hop >= load<u32>(edited, SETTING_NEXT_HOP_COUNT)) return Status.Invalid;
  const there = routeAt(prefix, length);
  if (next_hop == REMOVE) {
    if (there == 0) return Status.Invalid;
    removeRoute(prefix, length);
    return Status.Ok;
  }
  if (there == 0 && !makeRoom(length)) return Status.Full;
  return putRoute(prefix, length, next_hop + 1, there != 0) ? Status.Ok : Status.Full;
}

/** The next hop of exactly this prefix plus one, 0 when there is no such route. */
function routeAt(prefix: u32, length: u32): u32 {
  if (length < 32) return getPrefix(edited, prefix, length);
  return get(edited + BANK_EXACT, load<u32>(edited, SETTING_EXACT_BUCKETS), bswap<u32>(prefix));
}

function putRoute(prefix: u32, length: u32, value: u32, is_there: bool): bool {
  const buckets = load<u32>(edited, SETTING_EXACT_BUCKETS);
  if (length < 32) {
    if (!setPrefix(edited, prefix, length, value)) return false;
  } else if (is_there) {
    change(edited + BANK_EXACT, buckets, bswap<u32>(prefix), value);
  } else if (!add(edited + BANK_EXACT, buckets, bswap<u32>(prefix), value)) {
    return false;
  }
  if (!is_there) countRoute(length, 1);
  return true;
}

function removeRoute(prefix: u32, length: u32): void {
  if (length < 32) removePrefix(edited, prefix, length);
  else remove(edited + BANK_EXACT, load<u32>(edited, SETTING_EXACT_BUCKETS), bswap<u32>(prefix));
  countRoute(length, -1);
}

function countRoute(length: u32, by: i32): void {
  const at = edited + countOffset(length);
  store<u32>(at, load<u32>(at) + by);
}

function countOffset(length: u32): u32 {
  if (length == 32) return SETTING_EXACT_COUNT;
  return length > SHORT_BITS ? SETTING_LONG_COUNT : SETTING_SHORT_COUNT;
}

/** Makes sure that one more route of this length fits. False at the limit of MAX_ROUTES. */
function makeRoom(length: u32): bool {
  const exact = load<u32>(edited, SETTING_EXACT_COUNT);
  const long = load<u32>(edited, SETTING_LONG_COUNT);
  if (exact + long + load<u32>(edited, SETTING_SHORT_COUNT) >= MAX_ROUTES) return false;
  if (edited != active || length <= SHORT_BITS) return true;
  const exact_buckets = load<u32>(edited, SETTING_EXACT_BUCKETS);
  const long_buckets = load<u32>(edited, SETTING_LONG_BUCKETS);
  if (length == 32 && isCrowded(exact, exact_buckets) && exact_buckets < MAX_ROUTE_BUCKETS) {
    grow(exact_buckets * 2, long_buckets);
  } else if (length < 32 && isCrowded(long, long_buckets) && long_buckets < MAX_ROUTE_BUCKETS) {
    grow(exact_buckets, long_buckets * 2);
  }
  return true;
}

/** Moves everything to the other bank, with so many buckets for routes, and makes that the active one. */
function grow(exact_buckets: u32, long_buckets: u32): void {
  const from = active;
  const to = spare();
  if (spare_is_dirty) clear(to);
  spare_is_dirty = true;
  const host_bytes = load<u32>(from, SETTING_HOST_BUCKETS) * BUCKET_BYTES;
  memory.copy(to, from, BANK_HOSTS + host_bytes);
  memory.copy(to + BANK_SHORT_LEAVES, from + BANK_SHORT_LEAVES, BANK_LONG - BANK_SHORT_LEAVES);
  const hops = load<u32>(from, SETTING_NEXT_HOP_COUNT);
  memory.copy(to + BANK_NEXT_HOPS, from + BANK_NEXT_HOPS, hops * NEXT_HOP_BYTES);
  store<u32>(to, exact_buckets, SETTING_EXACT_BUCKETS);
  store<u32>(to, long_buckets, SETTING_LONG_BUCKETS);
  rehash(from + BANK_EXACT, load<u32>(from, SETTING_EXACT_BUCKETS), to + BANK_EXACT, exact_buckets);
  rehash(from + BANK_LONG, load<u32>(from, SETTING_LONG_BUCKETS), to + BANK_LONG, long_buckets);
  active = to;
  edited = to;
}
