/**
 * Writes packets as pcapng Enhanced Packet Blocks or pcap records into the two output areas. The host writes file
 * headers and empties the areas, which then start at their first byte again.
 */
import {
  DROPS,
  DROPS_BYTES,
  MAX_FRAME_BYTES,
  MAX_LABELS,
  MAX_RECORD_BYTES,
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

/** Format, output units in a second (pcap splits them off), and how many of them are in a pcap fraction. */
let format: OutputFormat = OutputFormat.None;
let drops_format: OutputFormat = OutputFormat.None;
let units: u64 = 1000000;

/** Bytes that stand in OUTPUT and DROPS. */
let used: u32 = 0;
let drops_used: u32 = 0;

/** Sets what is written, and the output units in one second. */
export function setOutput(output: OutputFormat, drops: OutputFormat, units_per_second: u32): void {
  format = output;
  drops_format = drops;
  units = units_per_second;
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

/** Puts header and trailer around the packet at `packetAt`. */
export function finishPacket(link: u32, time: u64, length: u32): void {
  const at = OUTPUT + used;
  if (format == OutputFormat.PcapNg) used += finishBlock(at, link, time, length, 0);
  else used += finishRecord(at, time, length);
}

/** Writes a dropped packet, its reason as comment. */
export function writeDrop(link: u32, time: u64, frame: usize, length: u32, why: Reason): void {
  const at = DROPS + drops_used;
  if (drops_format == OutputFormat.PcapNg) {
    memory.copy(at + BLOCK_HEADER_BYTES, frame, length);
    drops_used += finishBlock(at, link, time, length, REASON_OPTIONS + why * REASON_OPTIONS_BYTES);
  } else {
    memory.copy(at + RECORD_HEADER_BYTES, frame, length);
    drops_used += finishRecord(at, time, length);
  }
}

/** Bytes of the block. `options` is the address of a u32 length and so many bytes, 0 for none. */
function finishBlock(at: usize, link: u32, time: u64, length: u32, options: usize): u32 {
  const padded_bytes = (length + 3) & ~3;
  const data = at + BLOCK_HEADER_BYTES;
  const options_bytes = options == 0 ? 0 : load<u32>(options);
  const block_bytes = BLOCK_HEADER_BYTES + padded_bytes + options_bytes + 4;
  store<u32>(data + length, 0);
  if (options_bytes != 0) memory.copy(data + padded_bytes, options + 4, options_bytes);
  store<u32>(at, ENHANCED_PACKET);
  store<u32>(at, block_bytes, 4);
  store<u32>(at, link, 8);
  store<u32>(at, <u32>(time >> 32), 12);
  store<u32>(at, <u32>time, 16);
  store<u32>(at, length, 20);
  store<u32>(at, length, 24);
  store<u32>(at + block_bytes - 4, block_bytes);
  return block_bytes;
}

function finishRecord(at: usize, time: u64, length: u32): u32 {
  const seconds = time / units;
  store<u32>(at, <u32>seconds);
  store<u32>(at, <u32>(time - seconds * units), 4);
  store<u32>(at, length, 8);
  store<u32>(at, length, 12);
  return RECORD_HEADER_BYTES + length;
}
