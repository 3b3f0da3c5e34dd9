/**
 * Batches through the pipeline: frames that the host laid into memory, or the packets of captures. A batch is decided
 * as a whole, then rewritten: two short loops keep the processor busier than one long one. Counts what happens by
 * outcome and port. A call comes back after one batch or one window at the most, so that the engine can replace the
 * code by its optimised form between calls.
 */
import {
  COUNTERS,
  COUNTERS_BYTES,
  COUNTERS_END,
  COUNTERS_OUTCOMES,
  COUNTERS_PORT_BYTES,
  COUNTERS_PORTS,
  COUNTERS_SNAPPED,
  DESCRIPTOR_BYTES,
  DESCRIPTOR_FRAME,
  DESCRIPTOR_IN_PORT,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_OUT_FRAME,
  DESCRIPTOR_OUT_LENGTH,
  DESCRIPTOR_OUT_PORT,
  DESCRIPTOR_PATH,
  DESCRIPTOR_POPPED,
  DESCRIPTOR_REASON,
  DESCRIPTOR_VERDICT,
  ENTRY_CAPTURED,
  ENTRY_DECISION,
  ENTRY_FRAME,
  ENTRY_INTERFACE,
  ENTRY_LENGTH,
  ENTRY_TIME,
  Event,
  FRAMES,
  INTERFACE_DROPS,
  INTERFACE_IN_PORT,
  MAX_BATCH_FRAMES,
  MAX_CAPTURES,
  MAX_PORT_NUMBER,
  PORT_DROP_FRAMES,
  PORT_NUMBER,
  PORT_OUTPUT_INTERFACE,
  PORT_REPLY_BYTES,
  PORT_REPLY_FRAMES,
  PORT_RX_BYTES,
  PORT_RX_FRAMES,
  PORT_TX_BYTES,
  PORT_TX_FRAMES,
  QUEUE_ENTRY_BYTES,
  Verdict,
} from "./abi";
import { consumeUpTo, emptyQueue, fill, oldest, queueEnd } from "./capture";
import { isPopped, outcomeOf, pathOf, reasonOf, verdictOf } from "./decision";
import { areDropsWanted, emptyOutput, finishPacket, isFull, isWanted, packetAt, writeDrop } from "./output";
import { decide } from "./pipeline";
import { inPlace, outLength, outPort, rewrite } from "./rewrite";
import { active } from "./table/bank";
import { portOfNumber } from "./table/ports";

function count(at: usize, by: u64): void {
  store<u64>(at, load<u64>(at) + by);
}

/** Whether a frame was ever counted. */
let has_counted: bool = false;

/** Sets every counter to zero. Memory that nobody touched stays untouched: a fresh core costs nothing here. */
export function resetCounters(): void {
  if (has_counted) memory.fill(COUNTERS, 0, COUNTERS_END - COUNTERS);
  has_counted = false;
}

/** Forgets packets and output that an earlier run left behind. */
export function resetCaptures(): void {
  emptyQueue();
  emptyOutput();
}

function portCounters(number: u32): usize {
  return COUNTERS_PORTS + number * COUNTERS_PORT_BYTES;
}

/** Counts what became of a frame that came in; `countIn` counts the frame. */
function countOutcome(decision: u64): void {
  count(COUNTERS_OUTCOMES + (outcomeOf(decision) << 3), 1);
}

/** Counts frames that came in by one port. */
function countIn(number: u32, frames: u32, bytes: u64, drops: u32): void {
  count(COUNTERS_BYTES, bytes);
  if (number > MAX_PORT_NUMBER) return;
  const came = portCounters(number);
  count(came + PORT_RX_FRAMES, frames);
  count(came + PORT_RX_BYTES, bytes);
  count(came + PORT_DROP_FRAMES, drops);
}

/** Counts a frame that leaves, by the port with this record. */
function countOut(port: usize, out_length: u32, decision: u64): void {
  const left = portCounters(load<u32>(port, PORT_NUMBER));
  const is_reply = verdictOf(decision) == Verdict.Reply;
  count(left + (is_reply ? PORT_REPLY_FRAMES : PORT_TX_FRAMES), 1);
  count(left + (is_reply ? PORT_REPLY_BYTES : PORT_TX_BYTES), out_length);
}

/**
 * Runs the first `frame_count` descriptors, at most MAX_BATCH_FRAMES, and rewrites their frames in place. Gives the
 * number of frames that leave.
 */
export function runFrames(frame_count: u32): u32 {
  const bank = active;
  has_counted = true;
  const end = FRAMES + min(frame_count, MAX_BATCH_FRAMES) * DESCRIPTOR_BYTES;
  let leaving: u32 = 0;
  for (let at: usize = FRAMES; at < end; at += DESCRIPTOR_BYTES) {
    const frame = load<u32>(at, DESCRIPTOR_FRAME);
    const length = load<u32>(at, DESCRIPTOR_LENGTH);
    const number = load<u32>(at, DESCRIPTOR_IN_PORT);
    const decision = decide(bank, portOfNumber(bank, number), frame, length);
    countOutcome(decision);
    countIn(number, 1, length, verdictOf(decision) == Verdict.Drop ? 1 : 0);
    store<u8>(at, <u8>verdictOf(decision), DESCRIPTOR_VERDICT);
    store<u8>(at, <u8>reasonOf(decision), DESCRIPTOR_REASON);
    store<u8>(at, <u8>pathOf(decision), DESCRIPTOR_PATH);
    store<u8>(at, <u8>isPopped(decision), DESCRIPTOR_POPPED);
    if (verdictOf(decision) == Verdict.Drop) continue;
    leaving++;
    const out = inPlace(decision, frame);
    const out_length = outLength(decision, length);
    const port = outPort(bank, decision);
    rewrite(bank, decision, frame, length, out);
    countOut(port, out_length, decision);
    store<u32>(at, load<u32>(port, PORT_NUMBER), DESCRIPTOR_OUT_PORT);
    store<u32>(at, <u32>out, DESCRIPTOR_OUT_FRAME);
    store<u32>(at, out_length, DESCRIPTOR_OUT_LENGTH);
  }
  return leaving;
}

/** Packets that `runCaptures` dealt with in its last call. */
let frames_read: u32 = 0;

export function framesRead(): u32 {
  return frames_read;
}

/**
 * Runs packets of the first `capture_count` captures, oldest first, until an Event stops it or `most` packets are
 * done; 0 only looks at each capture's next packet. The event's capture stands above its low 8 bits.
 */
export function runCaptures(capture_count: u32, most: u32): u32 {
  const captures = min(capture_count, MAX_CAPTURES);
  has_counted = true;
  frames_read = 0;
  // What an output that was full left in the queue.
  if (!writeQueue()) return Event.Full;
  let event: u32 = Event.Done;
  while (event == Event.Done && (frames_read < most || most == 0)) {
    event = fill(captures, most - frames_read);
    if (oldest() == 0) break;
    decideQueue();
    if (!writeQueue()) return Event.Full;
  }
  return event;
}

/** Decides what happens to every packet in the queue. Frames of one port are counted together, as they come. */
function decideQueue(): void {
  const bank = active;
  const end = queueEnd();
  let link: u32 = 0;
  let port: usize = 0;
  let number: u32 = 0;
  let frames: u32 = 0;
  let bytes: u64 = 0;
  let drops: u32 = 0;
  for (let entry = oldest(); entry < end; entry += QUEUE_ENTRY_BYTES) {
    const length = load<u32>(entry, ENTRY_LENGTH);
    if (load<u32>(entry, ENTRY_CAPTURED) != length) continue;
    if (load<u32>(entry, ENTRY_INTERFACE) != link) {
      if (frames != 0) countIn(number, frames, bytes, drops);
      link = load<u32>(entry, ENTRY_INTERFACE);
      number = load<u32>(link, INTERFACE_IN_PORT);
      port = portOfNumber(bank, number);
      frames = 0;
      bytes = 0;
      drops = 0;
    }
    const decision = decide(bank, port, load<u32>(entry, ENTRY_FRAME), length);
    store<u64>(entry, decision, ENTRY_DECISION);
    countOutcome(decision);
    frames++;
    bytes += length;
    drops += verdictOf(decision) == Verdict.Drop ? 1 : 0;
  }
  if (frames != 0) countIn(number, frames, bytes, drops);
}

/** Writes out what became of the packets in the queue. False when an output is full before all are done. */
function writeQueue(): bool {
  const bank = active;
  const start = oldest();
  const end = queueEnd();
  if (start == 0) return true;
  for (let entry = start; entry < end; entry += QUEUE_ENTRY_BYTES) {
    if (isFull()) {
      frames_read += <u32>(entry - start) / QUEUE_ENTRY_BYTES;
      consumeUpTo(entry);
      return false;
    }
    writeEntry(bank, entry);
  }
  frames_read += <u32>(end - start) / QUEUE_ENTRY_BYTES;
  consumeUpTo(end);
  return true;
}

function writeEntry(bank: usize, entry: usize): void {
  const captured = load<u32>(entry, ENTRY_CAPTURED);
  if (captured != load<u32>(entry, ENTRY_LENGTH)) {
    // A snapped packet is counted and not judged: what is missing could decide it.
    count(COUNTERS_BYTES, captured);
    count(COUNTERS_SNAPPED, 1);
    return;
  }
  const decision = load<u64>(entry, ENTRY_DECISION);
  const frame = load<u32>(entry, ENTRY_FRAME);
  if (verdictOf(decision) == Verdict.Drop) {
    if (!areDropsWanted()) return;
    const link = load<u32>(load<u32>(entry, ENTRY_INTERFACE), INTERFACE_DROPS);
    writeDrop(link, load<u64>(entry, ENTRY_TIME), frame, captured, reasonOf(decision));
    return;
  }
  const port = outPort(bank, decision);
  const out_length = outLength(decision, captured);
  countOut(port, out_length, decision);
  if (!isWanted()) return;
  rewrite(bank, decision, frame, captured, packetAt());
  finishPacket(load<u32>(port, PORT_OUTPUT_INTERFACE), load<u64>(entry, ENTRY_TIME), out_length);
}
