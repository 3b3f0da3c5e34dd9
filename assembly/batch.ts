/**
 * Decides a batch of queued packets. The usual frames are decided in flat loops without calls, one for the
 * uplink and one for a VM; every other frame is left to `decide` (pipeline.ts). `decide` is the reference:
 * for the frames that the loops decide, its result is the same. Settings and table addresses are read once a
 * batch.
 */
import {
  BANK_DENSE_EXACT,
  BANK_DENSE_HOSTS,
  ENTRY_CAPTURED,
  ENTRY_DECISION,
  ENTRY_FRAME,
  ENTRY_INTERFACE,
  ENTRY_LENGTH,
  FLAG_L3_IN,
  FLAG_L3_OUT,
  FLAG_UPLINK,
  INTERFACE_IN_PORT,
  MAX_FRAME_BYTES,
  NEXT_HOP_LABEL_COUNT,
  PORT_ADDRESS,
  PORT_FLAGS,
  PORT_MAX_FRAME_BYTES,
  PORT_SENT_IPV4,
  QUEUE_ENTRY_BYTES,
  Reason,
  SETTING_DENSE_EXACT,
  SETTING_DENSE_HOSTS,
  SETTING_EXACT,
  SETTING_HOSTS,
  SETTING_LABELLED,
  SETTING_UPLINK_MAC,
  TABLE_AT,
  TABLE_BUCKETS,
  Table,
  Verdict,
} from "./abi";
import { countIn, countLeaving, countOut, countOutcome, countSnapped } from "./count";
import { Action, dropped, leaving, verdictOf } from "./decision";
import { decide } from "./pipeline";
import { prefetch } from "./prefetch";
import { outLength, outPort } from "./rewrite";
import { nextHopAt } from "./table/bank";
import { findFrom, homeIn } from "./table/buckets";
import { findDense, isDense, octetOf } from "./table/dense";
import { hostValue, ownsAddress, portOfNumber, portOfSlot, uplinkOf } from "./table/ports";
import { lookup } from "./table/prefixes";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as mpls from "./wire/mpls";

const LABELLED_LAYER3: u32 = ethernet.HEADER_BYTES + mpls.ENTRY_BYTES;
/** Bytes up to the end of an IPv4 header without options, behind a label and without one. */
const LABELLED_BYTES: u32 = LABELLED_LAYER3 + ipv4.MIN_HEADER_BYTES;
const UNLABELLED_BYTES: u32 = ethernet.HEADER_BYTES + ipv4.MIN_HEADER_BYTES;

const LABELLED_PATH: u32 = Table.Classify | Table.Label | Table.Local;
const ROUTED_PATH: u32 = Table.Classify | Table.Local | Table.Remote;

/** The usual type of a port without a loop; no frame has this type. */
const NOTHING_USUAL: u32 = 0x10000;

/** Decides what happens to the queued packets from `first` to `end`, and counts them. */
export function decideBatch(bank: usize, first: usize, end: usize): void {
  let link: u32 = 0;
  let number: u32 = 0;
  let port: usize = 0;
  let usual = NOTHING_USUAL;
  let frames: u32 = 0;
  let drops: u32 = 0;
  let bytes: u64 = 0;
  for (let entry = first; entry < end; ) {
    if (load<u32>(entry, ENTRY_INTERFACE) != link) {
      countIn(number, frames, bytes, drops);
      link = load<u32>(entry, ENTRY_INTERFACE);
      number = load<u32>(link, INTERFACE_IN_PORT);
      port = portOfNumber(bank, number);
      usual = usualType(port);
      prefetch(bank, usual == ethernet.TYPE_MPLS, entry, end);
      frames = 0;
      drops = 0;
      bytes = 0;
    }
    if (<u32>load<u16>(load<u32>(entry, ENTRY_FRAME), 12) == usual) {
      entry =
        usual == ethernet.TYPE_MPLS
          ? decideFromUplink(bank, entry, end)
          : decideFromVm(bank, port, entry, end);
      if (entry == end) break;
      if (load<u32>(entry, ENTRY_INTERFACE) != link) continue;
    }
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (load<u32>(entry, ENTRY_CAPTURED) != length) {
      countSnapped(load<u32>(entry, ENTRY_CAPTURED));
    } else {
      const decision = decide(bank, port, load<u32>(entry, ENTRY_FRAME), length);
      store<u64>(entry, decision, ENTRY_DECISION);
      countOutcome(decision, 1);
      frames++;
      bytes += length;
      if (verdictOf(decision) == Verdict.Drop) drops++;
      else countLeaving(outPort(bank, decision), outLength(decision, length), decision);
    }
    entry += QUEUE_ENTRY_BYTES;
  }
  countIn(number, frames, bytes, drops);
}

/** The type of the frames that come in by a port and have a loop of their own here. */
function usualType(port: usize): u32 {
  if (port == 0) return NOTHING_USUAL;
  const flags = load<u32>(port, PORT_FLAGS);
  if ((flags & FLAG_UPLINK) != 0) return ethernet.TYPE_MPLS;
  return (flags & FLAG_L3_OUT) != 0 ? ethernet.TYPE_IPV4 : NOTHING_USUAL;
}

function entriesBetween(first: usize, end: usize): u32 {
  return <u32>(end - first) / QUEUE_ENTRY_BYTES;
}

/** Number of the port that a packet came in by. */
function inPortOf(entry: usize): u32 {
  return load<u32>(load<u32>(entry, ENTRY_INTERFACE), INTERFACE_IN_PORT);
}

/**
 * Decides packets of the uplink as long as they are usual: our label, IPv4 without options, to a VM that
 * accepts it or to no local address. Returns the first packet that is not, or came in by another port.
 */
function decideFromUplink(bank: usize, first: usize, end: usize): usize {
  const link = load<u32>(first, ENTRY_INTERFACE);
  const mac = load<u64>(bank, SETTING_UPLINK_MAC);
  const labelled = load<u64>(bank, SETTING_LABELLED);
  const hosts = bank + SETTING_HOSTS;
  const buckets: usize = load<u32>(hosts, TABLE_AT);
  const mask = load<u32>(hosts, TABLE_BUCKETS) - 1;
  const is_dense = isDense(bank + SETTING_DENSE_HOSTS);
  const octet = octetOf(bank + SETTING_DENSE_HOSTS);
  let strays: u32 = 0;
  let bytes: u64 = 0;
  let entry = first;
  // One plain branch a condition: joined by || the compiler computes each as a value first.
  for (; entry < end; entry += QUEUE_ENTRY_BYTES) {
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (load<u32>(entry, ENTRY_CAPTURED) != length) break;
    if (load<u32>(entry, ENTRY_INTERFACE) != link) break;
    const room = length - LABELLED_BYTES;
    if (room > MAX_FRAME_BYTES - LABELLED_BYTES) break;
    const frame: usize = load<u32>(entry, ENTRY_FRAME);
    if (ethernet.destination(frame) != mac) break;
    if ((load<u64>(frame, 12) & mpls.LABELLED_MASK) != labelled) break;
    const header = frame + LABELLED_LAYER3;
    if (ipv4.totalBytes(header) - ipv4.MIN_HEADER_BYTES > room) break;
    const to = ipv4.destination(header);
    const slot = is_dense
      ? findDense(bank + BANK_DENSE_HOSTS, octet, to)
      : findFrom(hosts, homeIn(buckets, mask, to), to);
    if (slot == 0) {
      store<u64>(entry, dropped(Reason.NoLocalVm, LABELLED_PATH), ENTRY_DECISION);
      bytes += length;
      strays++;
      continue;
    }
    const owner = portOfSlot(bank, slot - 1);
    const out_length = length - mpls.ENTRY_BYTES;
    if ((load<u32>(owner, PORT_FLAGS) & (FLAG_L3_IN | FLAG_UPLINK)) != FLAG_L3_IN) break;
    if (ipv4.ttl(header) <= 1) break;
    if (out_length > load<u32>(owner, PORT_MAX_FRAME_BYTES)) break;
    store<u64>(entry, leaving(Action.Deliver, true, LABELLED_PATH, owner), ENTRY_DECISION);
    countOut(owner, 1, out_length);
    bytes += length;
  }
  const frames = entriesBetween(first, entry);
  countOutcome(leaving(Action.Deliver, true, LABELLED_PATH, 0), frames - strays);
  countOutcome(dropped(Reason.NoLocalVm, LABELLED_PATH), strays);
  countIn(inPortOf(first), frames, bytes, strays);
  return entry;
}

/**
 * Decides packets of a VM that sends routed as long as they are usual: IPv4 without options from an address
 * of its own, to a route. Returns the first packet that is not, or came in by another port.
 */
function decideFromVm(bank: usize, port: usize, first: usize, end: usize): usize {
  const link = load<u32>(first, ENTRY_INTERFACE);
  const sent_ipv4 = load<u64>(port, PORT_SENT_IPV4);
  const exact = bank + SETTING_EXACT;
  const buckets: usize = load<u32>(exact, TABLE_AT);
  const mask = load<u32>(exact, TABLE_BUCKETS) - 1;
  const is_dense = isDense(bank + SETTING_DENSE_EXACT);
  const octet = octetOf(bank + SETTING_DENSE_EXACT);
  const most_bytes = load<u32>(uplinkOf(bank), PORT_MAX_FRAME_BYTES);
  // The address that the VM was last seen to own.
  let own = load<u32>(port, PORT_ADDRESS);
  let bytes: u64 = 0;
  let out_bytes: u64 = 0;
  let entry = first;
  for (; entry < end; entry += QUEUE_ENTRY_BYTES) {
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (load<u32>(entry, ENTRY_CAPTURED) != length) break;
    if (load<u32>(entry, ENTRY_INTERFACE) != link) break;
    const room = length - UNLABELLED_BYTES;
    if (room > MAX_FRAME_BYTES - UNLABELLED_BYTES) break;
    const frame: usize = load<u32>(entry, ENTRY_FRAME);
    if (load<u64>(frame, 6) != sent_ipv4) break;
    if (ethernet.isGroup(frame)) break;
    const header = frame + ethernet.HEADER_BYTES;
    if (ipv4.headerWords(header) != ipv4.MIN_HEADER_WORDS) break;
    if (ipv4.totalBytes(header) - ipv4.MIN_HEADER_BYTES > room) break;
    const from = ipv4.source(header);
    if (from != own) {
      if (!ownsAddress(bank, port, from)) break;
      own = from;
    }
    const to = ipv4.destination(header);
    if (hostValue(bank, to) != 0) break;
    if (ipv4.isMartian(to)) break;
    let hop = is_dense
      ? findDense(bank + BANK_DENSE_EXACT, octet, to)
      : findFrom(exact, homeIn(buckets, mask, to), to);
    if (hop == 0) hop = lookup(bank, bswap<u32>(to));
    if (hop == 0) break;
    const next_hop = nextHopAt(bank, hop - 1);
    const out_length = length + load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
    if (ipv4.ttl(header) <= 1) break;
    if (out_length > most_bytes) break;
    store<u64>(entry, leaving(Action.Forward, false, ROUTED_PATH, next_hop), ENTRY_DECISION);
    bytes += length;
    out_bytes += out_length;
  }
  const frames = entriesBetween(first, entry);
  countOutcome(leaving(Action.Forward, false, ROUTED_PATH, 0), frames);
  countOut(uplinkOf(bank), frames, out_bytes);
  countIn(inPortOf(first), frames, bytes, 0);
  return entry;
}
