/**
 * Writes packets as pcapng Enhanced Packet Blocks or pcap records into the two output areas. The host writes
 * file headers and empties the areas, which then start at their first byte again.
 */
import {
  COUNTERS_CUT_OPTIONS,
  COUNTERS_CUT_TIMES,
  DROPS,
  DROPS_BYTES,
  MAX_FRAME_BYTES,
  MAX_LABELS,
  MAX_OPTIONS_BYTES,
  MAX_RECORD_BYTES,
  OPTIONS_SWAPPED,
  OUTPUT,
  OUTPUT_BYTES,
  OutputFormat,
  REASON_OPTIONS,
  REASON_OPTIONS_BYTES,
  Reason,
} from "./abi";

const BLOCK_HEADER_BYTES: u32 = 28;
const RECORD_HEADER_BYTES: u32 = 16;
/** Header, padding, comment and trailer of the largest block. */
const OVERHEAD_BYTES: u32 = 256;
const ENHANCED_PACKET: u32 = 6;
/**
 * Options that are carried along (draft-ietf-opsawg-pcapng, 3.5 and 4.3.1): comments, the number that tells a
 * packet from all others, custom ones that their owner allows to be copied; and flags, where the packet is
 * the same as before.
 */
const OPT_COMMENT: u32 = 1;
const EPB_FLAGS: u32 = 2;
const EPB_PACKET_ID: u32 = 5;
const OPT_CUSTOM_TEXT: u32 = 2988;
const OPT_CUSTOM_BYTES: u32 = 2989;

/** Format, output units in a second (pcap splits them off), and how many of them are in a pcap fraction. */
let format: OutputFormat = OutputFormat.None;
let drops_format: OutputFormat = OutputFormat.None;
let units: u64 = 1000000;
/** Seconds of 1970 at time 0, which may be negative: pcap counts from 1970, pcapng has an if_tsoffset. */
let base_seconds: i64 = 0;

/** Bytes used in OUTPUT and DROPS. */
let used: u32 = 0;
let drops_used: u32 = 0;

/** Sets what is written, the output units in one second, and the second in which time 0 lies. */
export function setOutput(output: OutputFormat, drops: OutputFormat, units_per_second: u32, base: f64): void {
  format = output;
  drops_format = drops;
  units = units_per_second;
  base_seconds = <i64>base;
}

export function isWanted(): bool {
  return format != OutputFormat.None;
}

export function areDropsWanted(): bool {
  return drops_format != OutputFormat.None;
}

/** True when the next packet may not fit. */
export function isFull(): bool {
  return (
    used > OUTPUT_BYTES - MAX_FRAME_BYTES - MAX_LABELS * 4 - OVERHEAD_BYTES ||
    drops_used > DROPS_BYTES - MAX_RECORD_BYTES - OVERHEAD_BYTES
  );
}

export function usedBytes(): u32 {
  return used;
}

export function usedDropsBytes(): u32 {
  return drops_used;
}

/** What stood in OUTPUT and DROPS is written out. */
export function emptyOutput(): void {
  used = 0;
  drops_used = 0;
}

/** Where the bytes of the next packet that leaves go. */
export function packetAt(): usize {
  const header_bytes = format == OutputFormat.PcapNg ? BLOCK_HEADER_BYTES : RECORD_HEADER_BYTES;
  return OUTPUT + used + header_bytes;
}

/**
 * Puts header and trailer around the packet at `packetAt`. `options` is the packet's place in QUEUE_OPTIONS,
 * 0 for none.
 */
export function finishPacket(link: u32, time: u64, length: u32, options: usize): void {
  const at = OUTPUT + used;
  if (format == OutputFormat.PcapNg) {
    const data = at + BLOCK_HEADER_BYTES;
    store<u32>(data + length, 0);
    let end: usize = data + ((length + 3) & ~3);
    // Nearly all packets have none: what follows is worth a call to those that have some only.
    if (options != 0) end = writeOptions(end, 0, options);
    used += finishBlock(at, link, time, length, end);
  } else used += finishRecord(at, time, length);
}

/** Writes a dropped packet, its reason as first comment. */
export function writeDrop(
  link: u32,
  time: u64,
  frame: usize,
  length: u32,
  why: Reason,
  options: usize,
): void {
  const at = DROPS + drops_used;
  if (drops_format == OutputFormat.PcapNg) {
    const data = at + BLOCK_HEADER_BYTES;
    memory.copy(data, frame, length);
    store<u32>(data + length, 0);
    const reason = REASON_OPTIONS + why * REASON_OPTIONS_BYTES;
    const end = writeOptions(data + ((length + 3) & ~3), reason, options);
    drops_used += finishBlock(at, link, time, length, end);
  } else {
    memory.copy(at + RECORD_HEADER_BYTES, frame, length);
    drops_used += finishRecord(at, time, length);
  }
}

/** Writes the header and the trailer of a block whose options end at `end`; gives its bytes. */
function finishBlock(at: usize, link: u32, time: u64, length: u32, end: usize): u32 {
  const block_bytes = <u32>(end - at) + 4;
  store<u32>(at, ENHANCED_PACKET);
  store<u32>(at, block_bytes, 4);
  store<u32>(at, link, 8);
  store<u32>(at, <u32>(time >> 32), 12);
  store<u32>(at, <u32>time, 16);
  store<u32>(at, length, 20);
  store<u32>(at, length, 24);
  store<u32>(end, block_bytes);
  return block_bytes;
}

/**
 * Writes a packet's options and their end; gives the address behind. `reason` is the address of a u32 length
 * and so many bytes of options, 0 for none; flags are carried along with a reason only, for then the packet
 * is the same.
 */
function writeOptions(first: usize, reason: usize, options: usize): usize {
  let end = first;
  if (reason != 0) {
    const bytes = load<u32>(reason);
    memory.copy(end, reason + 4, bytes);
    end += bytes;
  }
  if (options != 0) end = copyOptions(end, options, reason != 0);
  if (end == first) return end;
  // opt_endofopt
  store<u32>(end, 0);
  return end + 4;
}

/** Copies the options that are carried along; gives the address behind them. */
function copyOptions(to: usize, options: usize, is_same: bool): usize {
  const is_swapped = (load<u32>(options, 4) & OPTIONS_SWAPPED) != 0;
  let at: usize = load<u32>(options);
  const end = at + (load<u32>(options, 4) & ~OPTIONS_SWAPPED);
  let room = MAX_OPTIONS_BYTES;
  let is_cut = false;
  while (end - at >= 4) {
    const code = half(at, is_swapped);
    const length = half(at + 2, is_swapped);
    if (code == 0) break;
    const bytes: u32 = 4 + ((length + 3) & ~3);
    if (isCarried(code, length, is_same)) {
      if (bytes <= room) {
        memory.copy(to, at, bytes);
        if (is_swapped) swapOption(to, code, length);
        to += bytes;
        room -= bytes;
      } else {
        is_cut = true;
      }
    }
    at += bytes;
  }
  if (is_cut) store<u64>(COUNTERS_CUT_OPTIONS, load<u64>(COUNTERS_CUT_OPTIONS) + 1);
  return to;
}

function half(at: usize, is_swapped: bool): u32 {
  const value = load<u16>(at);
  return <u32>(is_swapped ? bswap<u16>(value) : value);
}

function isCarried(code: u32, length: u32, is_same: bool): bool {
  if (code == OPT_COMMENT) return true;
  if (code == EPB_PACKET_ID) return length == 8;
  if (code == EPB_FLAGS) return is_same && length == 4;
  return (code == OPT_CUSTOM_TEXT || code == OPT_CUSTOM_BYTES) && length >= 4;
}

/**
 * Turns the numbers of a copied option round: its header, and the value if
 * that is a number or begins with one.
 */
function swapOption(at: usize, code: u32, length: u32): void {
  store<u16>(at, <u16>code);
  store<u16>(at, <u16>length, 2);
  if (code == EPB_PACKET_ID) store<u64>(at, bswap<u64>(load<u64>(at, 4)), 4);
  else if (code != OPT_COMMENT) store<u32>(at, bswap<u32>(load<u32>(at, 4)), 4);
}

function finishRecord(at: usize, time: u64, length: u32): u32 {
  const seconds = time / units;
  let since_1970 = <i64>seconds + base_seconds;
  let fraction = <u32>(time - seconds * units);
  if (since_1970 < 0 || since_1970 > <i64>u32.MAX_VALUE) {
    // The nearest time that a pcap can hold.
    fraction = since_1970 < 0 ? 0 : <u32>units - 1;
    since_1970 = since_1970 < 0 ? 0 : <i64>u32.MAX_VALUE;
    store<u64>(COUNTERS_CUT_TIMES, load<u64>(COUNTERS_CUT_TIMES) + 1);
  }
  store<u32>(at, <u32>since_1970);
  store<u32>(at, fraction, 4);
  store<u32>(at, length, 8);
  store<u32>(at, length, 12);
  return RECORD_HEADER_BYTES + length;
}
