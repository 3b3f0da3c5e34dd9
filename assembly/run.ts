/**
 * Batches through the pipeline: frames that the host laid into memory, or the packets of captures. A batch is
 * decided as a whole (batch.ts), then rewritten: short loops keep the processor busier than one long one. A
 * call comes back after one batch or one window at the most, so that the engine can replace the code by its
 * optimised form between calls.
 */
import {
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
  MAX_BATCH_FRAMES,
  MAX_CAPTURES,
  PORT_NUMBER,
  PORT_OUTPUT_INTERFACE,
  QUEUE_ENTRY_BYTES,
  Reason,
  Verdict,
} from "./abi";
import { decideBatch } from "./batch";
import { consumeUpTo, emptyQueue, fill, oldest, optionsOf, queueEnd } from "./capture";
import { countIn, countLeaving, countOutcome, startCounting } from "./count";
import { isPopped, pathOf, reasonOf, verdictOf } from "./decision";
import { areDropsWanted, emptyOutput, finishPacket, isFull, isWanted, packetAt, writeDrop } from "./output";
import { decide } from "./pipeline";
import { inPlace, outLength, outPort, rewrite } from "./rewrite";
import { active } from "./table/bank";
import { portOfNumber } from "./table/ports";

/** Forgets packets and output that an earlier run left behind. */
export function resetCaptures(): void {
  emptyQueue();
  emptyOutput();
}

/**
 * Runs the first `frame_count` descriptors, at most MAX_BATCH_FRAMES, and rewrites their frames in place.
 * Gives the number of frames that leave.
 */
export function runFrames(frame_count: u32): u32 {
  const bank = active;
  startCounting();
  const end = FRAMES + min(frame_count, MAX_BATCH_FRAMES) * DESCRIPTOR_BYTES;
  let leaving: u32 = 0;
  for (let at: usize = FRAMES; at < end; at += DESCRIPTOR_BYTES) {
    const frame = load<u32>(at, DESCRIPTOR_FRAME);
    const length = load<u32>(at, DESCRIPTOR_LENGTH);
    const number = load<u32>(at, DESCRIPTOR_IN_PORT);
    const decision = decide(bank, portOfNumber(bank, number), frame, length);
    countOutcome(decision, 1);
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
    countLeaving(port, out_length, decision);
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
 * Runs packets of the first `capture_count` captures, oldest first, until an Event stops it or `most` packets
 * are done; 0 only looks at each capture's next packet. The event's capture stands above its low 8 bits.
 */
export function runCaptures(capture_count: u32, most: u32): u32 {
  const captures = min(capture_count, MAX_CAPTURES);
  startCounting();
  frames_read = 0;
  // What an output that was full left in the queue.
  if (!writeQueue()) return Event.Full;
  let event: u32 = Event.Done;
  while (event == Event.Done && (frames_read < most || most == 0)) {
    event = fill(captures, most - frames_read);
    if (oldest() == 0) break;
    decideBatch(active, oldest(), queueEnd());
    if (!writeQueue()) return Event.Full;
  }
  return event;
}

/** Writes out what became of the packets in the queue. False when an output is full before all are done. */
function writeQueue(): bool {
  const start = oldest();
  if (start == 0) return true;
  const end = queueEnd();
  const behind = isWanted() || areDropsWanted() ? writePackets(active, start, end) : end;
  frames_read += <u32>(behind - start) / QUEUE_ENTRY_BYTES;
  consumeUpTo(behind);
  return behind == end;
}

/** Gives the first entry that did not fit, or `end`. */
function writePackets(bank: usize, start: usize, end: usize): usize {
  for (let entry = start; entry < end; entry += QUEUE_ENTRY_BYTES) {
    if (isFull()) return entry;
    const length = load<u32>(entry, ENTRY_LENGTH);
    // A packet that the capture cut was not judged.
    if (load<u32>(entry, ENTRY_CAPTURED) != length) continue;
    const decision = load<u64>(entry, ENTRY_DECISION);
    if (verdictOf(decision) == Verdict.Drop) {
      if (areDropsWanted()) writeDropped(entry, reasonOf(decision));
      continue;
    }
    if (!isWanted()) continue;
    rewrite(bank, decision, load<u32>(entry, ENTRY_FRAME), length, packetAt());
    const link = load<u32>(outPort(bank, decision), PORT_OUTPUT_INTERFACE);
    finishPacket(link, load<u64>(entry, ENTRY_TIME), outLength(decision, length), optionsOf(entry));
  }
  return end;
}

function writeDropped(entry: usize, why: Reason): void {
  const link = load<u32>(load<u32>(entry, ENTRY_INTERFACE), INTERFACE_DROPS);
  const frame = load<u32>(entry, ENTRY_FRAME);
  const length = load<u32>(entry, ENTRY_LENGTH);
  writeDrop(link, load<u64>(entry, ENTRY_TIME), frame, length, why, optionsOf(entry));
}
