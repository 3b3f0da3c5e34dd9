/**
 * Batches through the pipeline: frames that the host laid into memory, or the packets of captures. Counts what
 * happens by port, reason and path. A call comes back after one batch or one window at the most, so that the engine
 * can replace the code by its optimised form between calls.
 */
import {
  CAPTURE_HEAD_CAPTURED,
  CAPTURE_HEAD_FRAME,
  CAPTURE_HEAD_INTERFACE,
  CAPTURE_HEAD_LENGTH,
  CAPTURE_HEAD_TIME,
  COUNTERS_BYTES,
  COUNTERS_FRAMES,
  COUNTERS_PATHS,
  COUNTERS_PORTS,
  COUNTERS_PORT_BYTES,
  COUNTERS_REASONS,
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
  Verdict,
} from "./abi";
import { captureAt, choose, chosenCapture, consume } from "./capture";
import { areDropsWanted, finishPacket, isFull, isWanted, packetAt, writeDrop } from "./output";
import { decide, out_length, out_port, path, popped, reason } from "./pipeline";
import { inPlace, rewrite } from "./rewrite";
import { active } from "./table/bank";
import { portOfNumber } from "./table/ports";

function count(at: usize, by: u64): void {
  store<u64>(at, load<u64>(at) + by);
}

function portCounters(number: u32): usize {
  return COUNTERS_PORTS + number * COUNTERS_PORT_BYTES;
}

/** Decides a frame and counts it. */
function judge(frame: usize, length: u32, number: u32): Verdict {
  const verdict = decide(frame, length, portOfNumber(active, number));
  count(COUNTERS_FRAMES, 1);
  count(COUNTERS_BYTES, length);
  count(COUNTERS_REASONS + (reason << 3), 1);
  count(COUNTERS_PATHS + (path << 3), 1);
  if (number <= MAX_PORT_NUMBER) {
    const came = portCounters(number);
    count(came + PORT_RX_FRAMES, 1);
    count(came + PORT_RX_BYTES, length);
    if (verdict == Verdict.Drop) count(came + PORT_DROP_FRAMES, 1);
  }
  if (verdict == Verdict.Drop) return verdict;
  const left = portCounters(load<u32>(out_port, PORT_NUMBER));
  const is_reply = verdict == Verdict.Reply;
  count(left + (is_reply ? PORT_REPLY_FRAMES : PORT_TX_FRAMES), 1);
  count(left + (is_reply ? PORT_REPLY_BYTES : PORT_TX_BYTES), out_length);
  return verdict;
}

/**
 * Runs the first `frame_count` descriptors, at most MAX_BATCH_FRAMES, and rewrites their frames in place. Gives the
 * number of frames that leave.
 */
export function runFrames(frame_count: u32): u32 {
  const end = FRAMES + min(frame_count, MAX_BATCH_FRAMES) * DESCRIPTOR_BYTES;
  let leaving: u32 = 0;
  for (let at: usize = FRAMES; at < end; at += DESCRIPTOR_BYTES) {
    const frame = load<u32>(at, DESCRIPTOR_FRAME);
    const verdict = judge(frame, load<u32>(at, DESCRIPTOR_LENGTH), load<u32>(at, DESCRIPTOR_IN_PORT));
    store<u8>(at, <u8>verdict, DESCRIPTOR_VERDICT);
    store<u8>(at, <u8>reason, DESCRIPTOR_REASON);
    store<u8>(at, <u8>path, DESCRIPTOR_PATH);
    store<u8>(at, <u8>popped, DESCRIPTOR_POPPED);
    if (verdict == Verdict.Drop) continue;
    leaving++;
    const out = inPlace(frame);
    rewrite(frame, out);
    store<u32>(at, load<u32>(out_port, PORT_NUMBER), DESCRIPTOR_OUT_PORT);
    store<u32>(at, <u32>out, DESCRIPTOR_OUT_FRAME);
    store<u32>(at, out_length, DESCRIPTOR_OUT_LENGTH);
  }
  return leaving;
}

/** Packets that `runCaptures` looked at in its last call. */
let frames_read: u32 = 0;

export function framesRead(): u32 {
  return frames_read;
}

/**
 * Runs packets of the first `capture_count` captures, oldest first, until an Event stops it or `most` packets are
 * done; 0 only brings their heads forward. The event's capture stands above its low 8 bits.
 */
export function runCaptures(capture_count: u32, most: u32): u32 {
  const captures = min(capture_count, MAX_CAPTURES);
  frames_read = 0;
  do {
    if (isFull()) return Event.Full;
    const event = choose(captures);
    if (event != Event.Done) return event;
    const index = chosenCapture();
    if (index < 0 || most == 0) return Event.Done;
    const capture = captureAt(index);
    runHead(capture);
    consume(capture);
    frames_read++;
  } while (frames_read < most);
  return Event.Done;
}

/** Runs a capture's head. A snapped packet is counted and not judged: what is missing could decide it. */
function runHead(capture: usize): void {
  const captured = load<u32>(capture, CAPTURE_HEAD_CAPTURED);
  if (captured != load<u32>(capture, CAPTURE_HEAD_LENGTH)) {
    count(COUNTERS_FRAMES, 1);
    count(COUNTERS_BYTES, captured);
    count(COUNTERS_SNAPPED, 1);
    return;
  }
  const frame = load<u32>(capture, CAPTURE_HEAD_FRAME);
  const link = load<u32>(capture, CAPTURE_HEAD_INTERFACE);
  const time = load<u64>(capture, CAPTURE_HEAD_TIME);
  const verdict = judge(frame, captured, load<u32>(link, INTERFACE_IN_PORT));
  if (verdict == Verdict.Drop) {
    if (areDropsWanted()) writeDrop(load<u32>(link, INTERFACE_DROPS), time, frame, captured, reason);
    return;
  }
  if (!isWanted()) return;
  rewrite(frame, packetAt());
  finishPacket(load<u32>(out_port, PORT_OUTPUT_INTERFACE), time, out_length);
}
