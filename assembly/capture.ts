/**
 * Captures in memory: finds the packets of pcap and pcapng files in the windows that the host fills, and
 * merges several captures by timestamp. output.ts writes frames as pcap or pcapng. The host reads files,
 * section headers and interface descriptions; it never sees a packet. Formats: draft-ietf-opsawg-pcap,
 * draft-ietf-opsawg-pcapng.
 */
import {
  CAPTURE_AT,
  CAPTURE_BYTES,
  CAPTURE_CLOCK,
  CAPTURE_DONE,
  CAPTURE_EMPTY_AT,
  CAPTURE_EMPTY_FRAMES,
  CAPTURE_END,
  CAPTURE_EOF,
  CAPTURE_FAULT,
  CAPTURE_FAULT_VALUE,
  CAPTURE_FORMAT,
  CAPTURE_HEAD,
  CAPTURE_HEAD_ENTRY,
  CAPTURE_HEAD_ODD,
  CAPTURE_HEAD_OPTIONS,
  CAPTURE_HEAD_OPTIONS_BYTES,
  CAPTURE_INTERFACE_COUNT,
  CAPTURE_INTERFACES,
  CAPTURE_LEFT_OUT,
  CAPTURE_LENGTHS,
  CAPTURE_LONG_AT,
  CAPTURE_LONG_RECORDS,
  CAPTURE_ODD_TIME_AT,
  CAPTURE_ODD_TIMES,
  CAPTURE_SKIP,
  CAPTURE_SKIP_BLOCK,
  CAPTURE_START,
  CAPTURE_SWAPPED,
  CAPTURES,
  CaptureFault,
  CaptureFormat,
  ENTRY_CAPTURED,
  ENTRY_FRAME,
  ENTRY_INTERFACE,
  ENTRY_LENGTH,
  ENTRY_TIME,
  Event,
  INTERFACE_BYTES,
  INTERFACE_DIVISOR,
  INTERFACE_FIRST_TIME,
  INTERFACE_LAST_TIME,
  INTERFACE_MULTIPLIER,
  INTERFACE_OFFSET,
  INTERFACE_SNAPLEN,
  INTERFACE_USE,
  InterfaceUse,
  MAX_RECORD_BYTES,
  OddPacket,
  OPTIONS_SWAPPED,
  QUEUE,
  QUEUE_ENTRIES,
  QUEUE_ENTRY_BYTES,
  QUEUE_OPTIONS,
  QUEUE_OPTIONS_BYTES,
  RecordLengths,
  WINDOW_BYTES,
} from "./abi";

const RECORD_HEADER_BYTES: u32 = 16;
const MIN_BLOCK_BYTES: u32 = 12;
const TRAILER_BYTES: u32 = 4;

const SECTION_HEADER: u32 = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b3c4d;
/** Fixed part of the packet blocks, with type and length. */
const SIMPLE_PACKET_BYTES: u32 = 12;
const ENHANCED_PACKET_BYTES: u32 = 28;

/** Results of `advance` in addition to the Events: an entry was written, or the capture is at its end. */
const READY: u32 = 0xff;
const ENDED: u32 = 0xfe;
/** Result of `readPacket`: the packet was skipped. */
const LEFT_OUT: u32 = 0xfd;

/** Address of a capture's state. */
export function captureAt(index: u32): usize {
  return CAPTURES + index * CAPTURE_BYTES;
}

/**
 * Of the packet that `advance` gave last: bits of OddPacket; where its options are, 0 for none; their bytes.
 */
let odd: u32 = 0;
let options_at: u32 = 0;
let options_bytes: u32 = 0;

/** Consumes the capture's next packet and writes it to a queue entry. Returns READY, ENDED or an Event. */
function advance(capture: usize, entry: usize): u32 {
  odd = 0;
  options_at = 0;
  const is_pcap = load<u32>(capture, CAPTURE_FORMAT) == CaptureFormat.Pcap;
  return is_pcap ? advancePcap(capture, entry) : advancePcapNg(capture, entry);
}

/** A u32 in the capture's byte order. */
function word(capture: usize, at: usize): u32 {
  const value = load<u32>(at);
  return load<u32>(capture, CAPTURE_SWAPPED) != 0 ? bswap<u32>(value) : value;
}

/** A u16 in the capture's byte order. */
function half(capture: usize, at: usize): u32 {
  const value = load<u16>(at);
  return <u32>(load<u32>(capture, CAPTURE_SWAPPED) != 0 ? bswap<u16>(value) : value);
}

function fault(capture: usize, what: CaptureFault, value: u32): u32 {
  store<u32>(capture, what, CAPTURE_FAULT);
  store<u32>(capture, value, CAPTURE_FAULT_VALUE);
  return Event.Fault;
}

/** Fewer bytes are there than a record needs. */
function wantMore(capture: usize, available: u32): u32 {
  if (load<u32>(capture, CAPTURE_EOF) == 0) return Event.Input;
  if (available != 0) return fault(capture, CaptureFault.CutShort, available);
  store<u32>(capture, 1, CAPTURE_DONE);
  return ENDED;
}

function advancePcap(capture: usize, entry: usize): u32 {
  for (;;) {
    const at = load<u32>(capture, CAPTURE_AT);
    const available = load<u32>(capture, CAPTURE_END) - <u32>at;
    if (available < RECORD_HEADER_BYTES) return wantMore(capture, available);
    let captured = word(capture, at + 8);
    let length = word(capture, at + 12);
    if (hasSwappedLengths(capture, captured, length)) {
      const first = captured;
      captured = length;
      length = first;
    }
    if (captured > MAX_RECORD_BYTES) return fault(capture, CaptureFault.RecordTooLarge, captured);
    if (available - RECORD_HEADER_BYTES < captured) return wantMore(capture, available);
    const link = load<u32>(capture, CAPTURE_INTERFACES);
    const use = load<u32>(link, INTERFACE_USE);
    if (use == InterfaceUse.Refuse) return fault(capture, CaptureFault.UnusableInterface, 0);
    store<u32>(capture, <u32>at, CAPTURE_START);
    store<u32>(capture, <u32>at + RECORD_HEADER_BYTES + captured, CAPTURE_AT);
    if (use == InterfaceUse.LeaveOut) {
      increment(capture + CAPTURE_LEFT_OUT);
      continue;
    }
    // A pcap interface counts in fractions of a second: its multiplier turns them into output units, its
    // divisor holds the output units of a second.
    const time =
      <u64>word(capture, at) * <u64>load<u32>(link, INTERFACE_DIVISOR) +
      <u64>word(capture, at + 4) * <u64>load<u32>(link, INTERFACE_MULTIPLIER) +
      load<u64>(link, INTERFACE_OFFSET);
    write(entry, at + RECORD_HEADER_BYTES, captured, wireLength(captured, length), link, time);
    return READY;
  }
}

function hasSwappedLengths(capture: usize, captured: u32, length: u32): bool {
  const lengths = load<u32>(capture, CAPTURE_LENGTHS);
  return lengths != RecordLengths.Usual && (lengths == RecordLengths.Swapped || captured > length);
}

/** Bytes of the frame on the wire. A record with more bytes captured than the frame had gets that number. */
function wireLength(captured: u32, length: u32): u32 {
  if (captured <= length) return length;
  odd |= OddPacket.Long;
  return captured;
}

function write(entry: usize, frame: usize, captured: u32, length: u32, link: usize, time: u64): void {
  store<u32>(entry, <u32>frame, ENTRY_FRAME);
  store<u32>(entry, captured, ENTRY_CAPTURED);
  store<u32>(entry, length, ENTRY_LENGTH);
  store<u32>(entry, <u32>link, ENTRY_INTERFACE);
  store<u64>(entry, time, ENTRY_TIME);
}

/** Walks over blocks up to a packet, a block for the host, or one that is incomplete. */
function advancePcapNg(capture: usize, entry: usize): u32 {
  for (;;) {
    const skipped = skip(capture);
    if (skipped != READY) return skipped;
    const at = load<u32>(capture, CAPTURE_AT);
    const available = load<u32>(capture, CAPTURE_END) - <u32>at;
    if (available < MIN_BLOCK_BYTES) return wantMore(capture, available);
    const type = load<u32>(at);
    if (type == SECTION_HEADER && !readByteOrder(capture, at)) {
      return fault(capture, CaptureFault.ByteOrder, load<u32>(at, 8));
    }
    const length = word(capture, at + 4);
    if (length < MIN_BLOCK_BYTES || (length & 3) != 0)
      return fault(capture, CaptureFault.BlockLength, length);
    const kind = type == SECTION_HEADER ? type : word(capture, at);
    if (!isRead(kind)) {
      store<u32>(capture, length - TRAILER_BYTES, CAPTURE_SKIP);
      store<u32>(capture, length, CAPTURE_SKIP_BLOCK);
      continue;
    }
    if (length > WINDOW_BYTES) return fault(capture, CaptureFault.BlockTooLarge, length);
    if (available < length) return wantMore(capture, available);
    if (!hasTrailer(capture, at, length)) return badTrailer(capture, at, length);
    if (kind == SECTION_HEADER || kind == INTERFACE_DESCRIPTION) return Event.Block;
    const event = readPacket(capture, entry, at, length, kind);
    if (event == LEFT_OUT) continue;
    return event;
  }
}

function isRead(kind: u32): bool {
  return (
    kind == ENHANCED_PACKET ||
    kind == SIMPLE_PACKET ||
    kind == OBSOLETE_PACKET ||
    kind == INTERFACE_DESCRIPTION ||
    kind == SECTION_HEADER
  );
}

/**
 * Takes bytes off a block that is being skipped (its end may lie beyond the window), and checks its second
 * length. Returns READY at the end of the skipped block, else an Event.
 */
function skip(capture: usize): u32 {
  const length = load<u32>(capture, CAPTURE_SKIP_BLOCK);
  if (length == 0) return READY;
  const wanted = load<u32>(capture, CAPTURE_SKIP);
  const at = load<u32>(capture, CAPTURE_AT);
  const available = load<u32>(capture, CAPTURE_END) - at;
  const taken = min(wanted, available);
  store<u32>(capture, at + taken, CAPTURE_AT);
  store<u32>(capture, wanted - taken, CAPTURE_SKIP);
  if (available - taken < TRAILER_BYTES) {
    if (load<u32>(capture, CAPTURE_EOF) == 0) return Event.Input;
    return fault(capture, CaptureFault.CutShort, length - TRAILER_BYTES - wanted + available);
  }
  const trailer = word(capture, at + taken);
  if (trailer != length) return fault(capture, CaptureFault.BlockTrailer, trailer);
  store<u32>(capture, at + taken + TRAILER_BYTES, CAPTURE_AT);
  store<u32>(capture, 0, CAPTURE_SKIP_BLOCK);
  return READY;
}

function hasTrailer(capture: usize, at: usize, length: u32): bool {
  return word(capture, at + length - 4) == length;
}

function badTrailer(capture: usize, at: usize, length: u32): u32 {
  return fault(capture, CaptureFault.BlockTrailer, word(capture, at + length - 4));
}

/**
 * Reads the byte order of the section that begins here. False if the magic is not valid in either byte order.
 */
function readByteOrder(capture: usize, at: usize): bool {
  const magic = load<u32>(at, 8);
  if (magic != BYTE_ORDER_MAGIC && magic != bswap<u32>(BYTE_ORDER_MAGIC)) return false;
  store<u32>(capture, magic == BYTE_ORDER_MAGIC ? 0 : 1, CAPTURE_SWAPPED);
  return true;
}

/** Consumes a complete packet block with a valid trailer. */
function readPacket(capture: usize, entry: usize, at: usize, block_bytes: u32, kind: u32): u32 {
  const is_simple = kind == SIMPLE_PACKET;
  const fixed_bytes = is_simple ? SIMPLE_PACKET_BYTES : ENHANCED_PACKET_BYTES;
  if (block_bytes < fixed_bytes + 4) return fault(capture, CaptureFault.BlockLength, block_bytes);
  let number: u32 = 0;
  if (kind == ENHANCED_PACKET) number = word(capture, at + 8);
  if (kind == OBSOLETE_PACKET) number = half(capture, at + 8);
  if (number >= load<u32>(capture, CAPTURE_INTERFACE_COUNT)) {
    return fault(capture, CaptureFault.UnknownInterface, number);
  }
  const link = load<u32>(capture, CAPTURE_INTERFACES) + number * INTERFACE_BYTES;
  const length = word(capture, at + (is_simple ? 8 : 24));
  let captured = length;
  if (is_simple) {
    const snap_bytes = load<u32>(link, INTERFACE_SNAPLEN);
    if (snap_bytes != 0 && snap_bytes < captured) captured = snap_bytes;
  } else {
    captured = word(capture, at + 20);
  }
  if (captured > MAX_RECORD_BYTES) return fault(capture, CaptureFault.RecordTooLarge, captured);
  const padded_bytes = (captured + 3) & ~3;
  if (fixed_bytes + padded_bytes + 4 > block_bytes)
    return fault(capture, CaptureFault.PacketOverrun, captured);
  const options = at + fixed_bytes + padded_bytes;
  const end = at + block_bytes - 4;
  if (options != end && !is_simple) {
    const broken = brokenOption(capture, options, end);
    if (broken >= 0) return fault(capture, CaptureFault.OptionOverrun, broken);
  }
  const use = load<u32>(link, INTERFACE_USE);
  if (use == InterfaceUse.Refuse) return fault(capture, CaptureFault.UnusableInterface, number);
  store<u32>(capture, <u32>at, CAPTURE_START);
  store<u32>(capture, <u32>at + block_bytes, CAPTURE_AT);
  if (use == InterfaceUse.LeaveOut) {
    increment(capture + CAPTURE_LEFT_OUT);
    return LEFT_OUT;
  }
  if (options != end && !is_simple) {
    options_at = <u32>options;
    options_bytes = <u32>(end - options) | (load<u32>(capture, CAPTURE_SWAPPED) != 0 ? OPTIONS_SWAPPED : 0);
  }
  const time = timeOf(capture, at, link, is_simple);
  write(entry, at + fixed_bytes, captured, wireLength(captured, length), link, time);
  store<u64>(capture, time, CAPTURE_CLOCK);
  return READY;
}

/** A packet's timestamp in output units. A simple packet has none and gets that of the packet before it. */
function timeOf(capture: usize, at: usize, link: usize, is_simple: bool): u64 {
  if (is_simple) return load<u64>(capture, CAPTURE_CLOCK);
  const time = ((<u64>word(capture, at + 12)) << 32) | <u64>word(capture, at + 16);
  const is_early = time < load<u64>(link, INTERFACE_FIRST_TIME);
  if (is_early || time > load<u64>(link, INTERFACE_LAST_TIME)) {
    odd |= OddPacket.Time;
    return is_early ? 0 : u64.MAX_VALUE;
  }
  // Each step may wrap round where the offset is negative; the sum is right, because it lies in the range.
  const multiplier = <u64>load<u32>(link, INTERFACE_MULTIPLIER);
  const divisor = <u64>load<u32>(link, INTERFACE_DIVISOR);
  const offset = load<u64>(link, INTERFACE_OFFSET);
  if (divisor <= 1) return time * multiplier + offset;
  return (time / divisor) * multiplier + ((time % divisor) * multiplier) / divisor + offset;
}

/** Code of the first option that reaches past the block, -1 when none does. */
function brokenOption(capture: usize, first: usize, end: usize): i32 {
  let at = first;
  while (end - at >= 4) {
    const code = half(capture, at);
    const bytes = (half(capture, at + 2) + 3) & ~3;
    if (code == 0) return -1;
    if (end - at - 4 < bytes) return code;
    at += 4 + bytes;
  }
  return -1;
}

// ── The queue: packets of all captures, oldest first ───────────────────────────────────────────────────────

/** Number of entries written, and index of the first that is not consumed yet. */
let filled: u32 = 0;
let first: u32 = 0;
/** Whether an entry has options; only then is QUEUE_OPTIONS valid. */
let has_options: bool = false;

/** Empties the queue. */
export function emptyQueue(): void {
  first = 0;
  filled = 0;
  has_options = false;
}

/** Stores the place of the last packet's options. */
function noteOptions(at: u32, bytes: u32): void {
  if (!has_options) memory.fill(QUEUE_OPTIONS, 0, QUEUE_ENTRIES * QUEUE_OPTIONS_BYTES);
  has_options = true;
  const place = QUEUE_OPTIONS + filled * QUEUE_OPTIONS_BYTES;
  store<u32>(place, at);
  store<u32>(place, bytes, 4);
}

/** Address of a queued packet's place in QUEUE_OPTIONS, 0 when it has no options. */
export function optionsOf(entry: usize): usize {
  if (!has_options) return 0;
  const index = <u32>(entry - QUEUE) / QUEUE_ENTRY_BYTES;
  const place = QUEUE_OPTIONS + index * QUEUE_OPTIONS_BYTES;
  return load<u32>(place) == 0 ? 0 : place;
}

/** Address of the oldest packet's entry, 0 when the queue is empty. */
export function oldest(): usize {
  return first == filled ? 0 : entryAt(first);
}

/** Address behind the youngest packet's entry. */
export function queueEnd(): usize {
  return entryAt(filled);
}

/** Marks all entries before this one as consumed. */
export function consumeUpTo(entry: usize): void {
  first = <u32>(entry - QUEUE) / QUEUE_ENTRY_BYTES;
}

function entryAt(index: u32): usize {
  return QUEUE + index * QUEUE_ENTRY_BYTES;
}

/**
 * Fills the empty queue with at most `most` packets (0: only reads each capture's next one). Returns
 * Event.Done if the queue is full or every capture is at its end, else the event that interrupts, with the
 * capture's index above the low 8 bits; the caller must run the packets queued before it first.
 */
export function fill(capture_count: u32, most: u32): u32 {
  emptyQueue();
  const wanted = min(most, QUEUE_ENTRIES);
  return capture_count == 1 && most != 0
    ? fillFromOne(captureAt(0), wanted)
    : fillFromAll(capture_count, wanted);
}

function fillFromOne(capture: usize, wanted: u32): u32 {
  if (load<u32>(capture, CAPTURE_HEAD) != 0) takeHead(capture);
  if (isPlainPcap(capture)) fillFromPcap(capture, wanted);
  while (filled < wanted) {
    const entry = entryAt(filled);
    const event = load<u32>(capture, CAPTURE_DONE) != 0 ? ENDED : advance(capture, entry);
    if (event != READY) return event == ENDED ? Event.Done : event;
    noteOddities(capture, entry, odd);
    if (options_at != 0) noteOptions(options_at, options_bytes);
    filled++;
  }
  return Event.Done;
}

/**
 * Walks over the first capture's packets as long as they are whole and valid. Returns the address behind the
 * last one, from which another core may continue with the clock that is stored here.
 */
export function walk(): u32 {
  const capture = captureAt(0);
  if (isPlainPcap(capture)) return walkPcap(capture);
  const entry = entryAt(0);
  let behind = load<u32>(capture, CAPTURE_AT);
  let clock = load<u64>(capture, CAPTURE_CLOCK);
  const left_out = load<u32>(capture, CAPTURE_LEFT_OUT);
  while (advance(capture, entry) == READY && load<u32>(entry, ENTRY_LENGTH) != 0 && odd == 0) {
    if (load<u32>(capture, CAPTURE_LEFT_OUT) != left_out) break;
    behind = load<u32>(capture, CAPTURE_AT);
    clock = load<u64>(capture, CAPTURE_CLOCK);
  }
  store<u64>(capture, clock, CAPTURE_CLOCK);
  store<u32>(capture, left_out, CAPTURE_LEFT_OUT);
  return behind;
}

/** Whether a capture is a pcap in native byte order, with its lengths in the usual order, that is read. */
function isPlainPcap(capture: usize): bool {
  if (load<u32>(capture, CAPTURE_FORMAT) != CaptureFormat.Pcap) return false;
  if (load<u32>(capture, CAPTURE_SWAPPED) != 0) return false;
  if (load<u32>(capture, CAPTURE_LENGTHS) != RecordLengths.Usual) return false;
  return load<u32>(load<u32>(capture, CAPTURE_INTERFACES), INTERFACE_USE) == InterfaceUse.Read;
}

/**
 * `walk` over pcap records in native byte order, which need no clock. As long as a record is as large as the
 * one before, where the next one begins does not wait for a load: that takes a third of the time.
 */
function walkPcap(capture: usize): u32 {
  const end = load<u32>(capture, CAPTURE_END);
  let at = load<u32>(capture, CAPTURE_AT);
  // No record has that many, so that the first one is looked at.
  let expected: u32 = 0xffffffff;
  while (end - at >= RECORD_HEADER_BYTES) {
    const captured = load<u32>(at, 8);
    if (captured != expected) {
      // No bytes at all wrap round to the largest number.
      if (captured - 1 >= MAX_RECORD_BYTES) break;
      expected = captured;
    }
    if (expected > load<u32>(at, 12)) break;
    if (end - at - RECORD_HEADER_BYTES < expected) break;
    at += RECORD_HEADER_BYTES + expected;
  }
  return at;
}

/** Queues pcap records in native byte order up to the first odd one, which is left to `advance`. */
function fillFromPcap(capture: usize, wanted: u32): void {
  const end = load<u32>(capture, CAPTURE_END);
  const link = load<u32>(capture, CAPTURE_INTERFACES);
  const multiplier = <u64>load<u32>(link, INTERFACE_MULTIPLIER);
  const units = <u64>load<u32>(link, INTERFACE_DIVISOR);
  const offset = load<u64>(link, INTERFACE_OFFSET);
  const stop = entryAt(wanted);
  let at = load<u32>(capture, CAPTURE_AT);
  let entry = entryAt(filled);
  // One plain branch a condition: joined by || the compiler computes each as a value first.
  while (entry < stop) {
    if (end - at < RECORD_HEADER_BYTES) break;
    const captured = load<u32>(at, 8);
    const length = load<u32>(at, 12);
    // No bytes at all wrap round to the largest number.
    if (captured - 1 >= MAX_RECORD_BYTES) break;
    if (captured > length) break;
    const next = at + RECORD_HEADER_BYTES + captured;
    if (next > end) break;
    const time = <u64>load<u32>(at) * units + <u64>load<u32>(at, 4) * multiplier + offset;
    write(entry, at + RECORD_HEADER_BYTES, captured, length, link, time);
    at = next;
    entry += QUEUE_ENTRY_BYTES;
  }
  filled = (<u32>entry - QUEUE) / QUEUE_ENTRY_BYTES;
  store<u32>(capture, at, CAPTURE_AT);
}

/** The oldest of the captures' next packets, the first of equals, again and again. */
function fillFromAll(capture_count: u32, wanted: u32): u32 {
  do {
    let chosen: usize = 0;
    let oldest_time: u64 = 0;
    for (let index: u32 = 0; index < capture_count; index++) {
      const capture = captureAt(index);
      const event = look(capture);
      if (event == ENDED) continue;
      if (event != READY) return event | (index << 8);
      const time = load<u64>(capture + CAPTURE_HEAD_ENTRY, ENTRY_TIME);
      if (chosen != 0 && time >= oldest_time) continue;
      chosen = capture;
      oldest_time = time;
    }
    if (chosen == 0 || wanted == 0) return Event.Done;
    takeHead(chosen);
  } while (filled < wanted);
  return Event.Done;
}

/** Reads the capture's next packet as its head, unless it has one. Returns READY, ENDED or an Event. */
function look(capture: usize): u32 {
  if (load<u32>(capture, CAPTURE_HEAD) != 0) return READY;
  if (load<u32>(capture, CAPTURE_DONE) != 0) return ENDED;
  const event = advance(capture, capture + CAPTURE_HEAD_ENTRY);
  if (event != READY) return event;
  store<u32>(capture, 1, CAPTURE_HEAD);
  store<u32>(capture, odd, CAPTURE_HEAD_ODD);
  store<u32>(capture, options_at, CAPTURE_HEAD_OPTIONS);
  store<u32>(capture, options_bytes, CAPTURE_HEAD_OPTIONS_BYTES);
  return READY;
}

/** Moves a capture's head into the queue. */
function takeHead(capture: usize): void {
  const head = capture + CAPTURE_HEAD_ENTRY;
  memory.copy(entryAt(filled), head, QUEUE_ENTRY_BYTES);
  noteOddities(capture, head, load<u32>(capture, CAPTURE_HEAD_ODD));
  const options = load<u32>(capture, CAPTURE_HEAD_OPTIONS);
  if (options != 0) noteOptions(options, load<u32>(capture, CAPTURE_HEAD_OPTIONS_BYTES));
  filled++;
  store<u32>(capture, 0, CAPTURE_HEAD);
}

/** Counts the oddities of a packet, and keeps the address of the first packet with each. */
function noteOddities(capture: usize, entry: usize, what: u32): void {
  // A frame of no bytes is `too-short` like any other, but a capture that has one is most likely damaged.
  if (load<u32>(entry, ENTRY_LENGTH) == 0) note(capture, CAPTURE_EMPTY_FRAMES, CAPTURE_EMPTY_AT);
  if (what == 0) return;
  if ((what & OddPacket.Long) != 0) note(capture, CAPTURE_LONG_RECORDS, CAPTURE_LONG_AT);
  if ((what & OddPacket.Time) != 0) note(capture, CAPTURE_ODD_TIMES, CAPTURE_ODD_TIME_AT);
}

function note(capture: usize, count: u32, at: u32): void {
  if (load<u32>(capture + count) == 0) store<u32>(capture + at, load<u32>(capture, CAPTURE_START));
  increment(capture + count);
}

/** Adds one to a counter of 32 bits, which saturates. */
function increment(at: usize): void {
  const count = load<u32>(at);
  if (count != u32.MAX_VALUE) store<u32>(at, count + 1);
}
