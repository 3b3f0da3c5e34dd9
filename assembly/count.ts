/**
 * Counters of frames by outcome and by port. Every frame that is decided counts once; docs/pipeline.md
 * defines the outcomes. Runs of frames with one outcome are counted together.
 */
import {
  COUNTERS,
  COUNTERS_BYTES,
  COUNTERS_END,
  COUNTERS_OUTCOMES,
  COUNTERS_PORT_BYTES,
  COUNTERS_PORTS,
  COUNTERS_SNAPPED,
  MAX_PORT_NUMBER,
  PORT_DROP_FRAMES,
  PORT_NUMBER,
  PORT_REPLY_BYTES,
  PORT_REPLY_FRAMES,
  PORT_RX_BYTES,
  PORT_RX_FRAMES,
  PORT_TX_BYTES,
  PORT_TX_FRAMES,
  Verdict,
} from "./abi";
import { outcomeOf, verdictOf } from "./decision";

/** Whether a frame was ever counted. */
let has_counted: bool = false;

/**
 * Sets every counter to zero. Pages that were never written stay
 * unwritten, so this costs nothing in a fresh core.
 */
export function resetCounters(): void {
  if (has_counted) memory.fill(COUNTERS, 0, COUNTERS_END - COUNTERS);
  has_counted = false;
}

/** Frames are about to be counted. */
export function startCounting(): void {
  has_counted = true;
}

function count(at: usize, by: u64): void {
  store<u64>(at, load<u64>(at) + by);
}

function portCounters(number: u32): usize {
  return COUNTERS_PORTS + number * COUNTERS_PORT_BYTES;
}

/** Counts frames that had one outcome. */
export function countOutcome(decision: u64, frames: u32): void {
  count(COUNTERS_OUTCOMES + (outcomeOf(decision) << 3), frames);
}

/** Counts frames that came in by one port, and how many of them were dropped. */
export function countIn(number: u32, frames: u32, bytes: u64, drops: u32): void {
  if (frames == 0) return;
  count(COUNTERS_BYTES, bytes);
  if (number > MAX_PORT_NUMBER) return;
  const came = portCounters(number);
  count(came + PORT_RX_FRAMES, frames);
  count(came + PORT_RX_BYTES, bytes);
  count(came + PORT_DROP_FRAMES, drops);
}

/** Counts frames that leave by the port with this record. */
export function countOut(port: usize, frames: u32, bytes: u64): void {
  const left = portCounters(load<u32>(port, PORT_NUMBER));
  count(left + PORT_TX_FRAMES, frames);
  count(left + PORT_TX_BYTES, bytes);
}

/** Counts one frame that leaves by this decision: sent on, or sent back as a reply. */
export function countLeaving(port: usize, out_length: u32, decision: u64): void {
  if (verdictOf(decision) != Verdict.Reply) {
    countOut(port, 1, out_length);
    return;
  }
  const left = portCounters(load<u32>(port, PORT_NUMBER));
  count(left + PORT_REPLY_FRAMES, 1);
  count(left + PORT_REPLY_BYTES, out_length);
}

/**
 * Counts a packet that the capture truncated: it has no verdict, because the missing bytes could decide it.
 */
export function countSnapped(captured: u32): void {
  count(COUNTERS_BYTES, captured);
  count(COUNTERS_SNAPPED, 1);
}
