/**
 * Carries out what `decide` decided: writes the frame that leaves. The output may lie anywhere apart from the
 * input, or over it so that layer 3 stays where it is and the Ethernet header moves (`inPlace`).
 */
import {
  NEXT_HOP_HEADER,
  NEXT_HOP_LABEL_COUNT,
  NEXT_HOP_LABELS,
  PORT_DELIVERY,
  SETTING_VIRTUAL_MAC,
} from "./abi";
import { Action, actionOf, isPopped, targetOf } from "./decision";
import { uplinkOf } from "./table/ports";
import * as arp from "./wire/arp";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as mpls from "./wire/mpls";

/** Up to here a copy in steps beats the engine's memory.copy, which is a call out of the module. */
const SHORT_COPY_BYTES: u32 = 1536;
const COPY_STEP_BYTES: u32 = 64;

/** The record of the port by which a frame leaves. */
export function outPort(bank: usize, decision: u64): usize {
  return actionOf(decision) == Action.Forward ? <usize>uplinkOf(bank) : targetOf(decision);
}

/** Bytes that leave of a frame of `length` bytes. */
export function outLength(decision: u64, length: u32): u32 {
  if (actionOf(decision) == Action.Forward) return length + labelsBytes(targetOf(decision));
  return isPopped(decision) ? length - mpls.ENTRY_BYTES : length;
}

/** Where the frame that leaves starts when layer 3 of the frame at `frame` is to stay in its place. */
export function inPlace(decision: u64, frame: usize): usize {
  if (actionOf(decision) == Action.Forward) return frame - labelsBytes(targetOf(decision));
  return isPopped(decision) ? frame + mpls.ENTRY_BYTES : frame;
}

/** Writes the frame that leaves to `out`. Up to 63 bytes behind its end may be overwritten. */
export function rewrite(bank: usize, decision: u64, frame: usize, length: u32, out: usize): void {
  const action = actionOf(decision);
  if (action == Action.Deliver) deliver(targetOf(decision), isPopped(decision), frame, length, out);
  else if (action == Action.Forward) forward(targetOf(decision), frame, length, out);
  else if (action == Action.Reply) reply(load<u64>(bank, SETTING_VIRTUAL_MAC), frame, length, out);
  else copy(out, frame, length);
}

function labelsBytes(next_hop: usize): u32 {
  return load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
}

/** Copies `bytes` bytes in steps of 64, unless they are in place already. Most frames are one step. */
function copy(to: usize, from: usize, bytes: u32): void {
  if (to == from) return;
  if (bytes > SHORT_COPY_BYTES) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let done: u32 = 0; done < bytes; done += COPY_STEP_BYTES) copyStep(to + done, from + done);
}

function copyStep(to: usize, from: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
  } else {
    for (let done: u32 = 0; done < COPY_STEP_BYTES; done += 8) store<u64>(to + done, load<u64>(from + done));
  }
}

/** Table 30: MACs of VM and gateway, TTL and checksum; without the label, if there was one. */
function deliver(port: usize, is_popped: bool, frame: usize, length: u32, out: usize): void {
  const popped_bytes = is_popped ? mpls.ENTRY_BYTES : 0;
  const header_bytes = ethernet.headerBytes(frame);
  const layer3 = is_popped ? ethernet.HEADER_BYTES + mpls.ENTRY_BYTES : header_bytes;
  const ttl_word = ipv4.decrementTtl(load<u32>(frame + layer3, 8));
  const llc = load<u64>(frame, ethernet.HEADER_BYTES);
  const type = is_popped ? <u16>ethernet.TYPE_IPV4 : load<u16>(frame, 12);
  copy(out + header_bytes, frame + header_bytes + popped_bytes, length - header_bytes - popped_bytes);
  writeHeader(out, port + PORT_DELIVERY, type);
  if (header_bytes == ethernet.SNAP_HEADER_BYTES) store<u64>(out, llc, ethernet.HEADER_BYTES);
  store<u32>(out + layer3 - popped_bytes, ttl_word, 8);
}

/**
 * Table 40: MACs of next hop and uplink, TTL and checksum, labels with the decremented TTL (RFC 3443 §3.1).
 */
function forward(next_hop: usize, frame: usize, length: u32, out: usize): void {
  const header_bytes = ethernet.headerBytes(frame);
  const ttl_word = load<u32>(frame + header_bytes, 8);
  const llc = load<u64>(frame, ethernet.HEADER_BYTES);
  const labels_bytes = labelsBytes(next_hop);
  const type = labels_bytes != 0 ? <u16>ethernet.TYPE_MPLS : load<u16>(frame, 12);
  const out_layer3 = out + header_bytes + labels_bytes;
  copy(out_layer3, frame + header_bytes, length - header_bytes);
  writeHeader(out, next_hop + NEXT_HOP_HEADER, type);
  if (header_bytes == ethernet.SNAP_HEADER_BYTES) store<u64>(out, llc, ethernet.HEADER_BYTES);
  const ttl = (ttl_word & 0xff) - 1;
  for (let at: u32 = 0; at < labels_bytes; at += mpls.ENTRY_BYTES) {
    const entry = load<u32>(next_hop + at, NEXT_HOP_LABELS);
    store<u32>(out + header_bytes + at, mpls.withTtl(entry, ttl));
  }
  store<u32>(out_layer3, ipv4.decrementTtl(ttl_word), 8);
}

/** The twelve bytes of Ethernet addresses prepared at `addresses`, and the type as it stands in memory. */
function writeHeader(out: usize, addresses: usize, type: u16): void {
  store<u64>(out, load<u64>(addresses));
  store<u32>(out, load<u32>(addresses, 8), 8);
  store<u16>(out, type, 12);
}

/** Table 20, the responder: the request turned into its answer; what follows the ARP body stays. */
function reply(virtual_mac: u64, frame: usize, length: u32, out: usize): void {
  const asker = ethernet.source(frame);
  const layer3 = ethernet.headerBytes(frame);
  copy(out, frame, length);
  store<u64>(out, asker | (virtual_mac << 48));
  store<u32>(out, <u32>(virtual_mac >> 16), 8);
  arp.writeReply(frame + layer3, out + layer3, virtual_mac);
}
