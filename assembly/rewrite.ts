/**
 * Carries out what `decide` decided: writes the frame that leaves. The output may lie anywhere apart from the input,
 * or over it so that layer 3 stays where it is and the Ethernet header moves (`inPlace`).
 */
import { NEXT_HOP_HEADER, NEXT_HOP_LABELS, NEXT_HOP_LABEL_COUNT, PORT_DELIVERY, SETTING_VIRTUAL_MAC } from "./abi";
import { Action, action, layer3, next_hop, out_length, out_port, popped } from "./pipeline";
import { active } from "./table/bank";
import * as arp from "./wire/arp";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as mpls from "./wire/mpls";

/** Up to here a copy in steps of 16 bytes beats the engine's memory.copy, which is a call out of the module. */
const SHORT_COPY_BYTES: u32 = 512;

/** Where the frame that leaves starts when layer 3 of the frame at `frame` is to stay in its place. */
export function inPlace(frame: usize): usize {
  if (action == Action.Forward) {
    return frame - load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
  }
  return popped != 0 ? frame + mpls.ENTRY_BYTES : frame;
}

/** Writes the frame that leaves, `out_length` bytes, to `out`. Up to 15 bytes behind its end may be overwritten. */
export function rewrite(frame: usize, out: usize): void {
  if (action == Action.Forward) forward(frame, out);
  else if (action == Action.Deliver) deliver(frame, out);
  else if (action == Action.Reply) reply(frame, out);
  else copy(out, frame, out_length);
}

/** Copies `bytes` bytes in steps of 16, unless they are in place already. */
function copy(to: usize, from: usize, bytes: u32): void {
  if (to == from) return;
  if (bytes > SHORT_COPY_BYTES) {
    memory.copy(to, from, bytes);
    return;
  }
  if (ASC_FEATURE_SIMD) {
    for (let done: u32 = 0; done < bytes; done += 16) v128.store(to + done, v128.load(from + done));
  } else {
    for (let done: u32 = 0; done < bytes; done += 8) store<u64>(to + done, load<u64>(from + done));
  }
}

/** Table 30: MACs of VM and gateway, TTL and checksum; without the label, if there was one. */
function deliver(frame: usize, out: usize): void {
  const ttl_word = ipv4.decrementTtl(load<u32>(frame + layer3, 8));
  const header_bytes = ethernet.headerBytes(frame);
  const llc = load<u64>(frame, ethernet.HEADER_BYTES);
  const type = popped != 0 ? <u16>ethernet.TYPE_IPV4 : load<u16>(frame, 12);
  const from = header_bytes + popped * mpls.ENTRY_BYTES;
  copy(out + header_bytes, frame + from, out_length - header_bytes);
  store<u64>(out, load<u64>(out_port, PORT_DELIVERY));
  store<u32>(out, load<u32>(out_port, PORT_DELIVERY + 8), 8);
  store<u16>(out, type, 12);
  if (header_bytes == ethernet.SNAP_HEADER_BYTES) store<u64>(out, llc, ethernet.HEADER_BYTES);
  store<u32>(out + layer3 - popped * mpls.ENTRY_BYTES, ttl_word, 8);
}

/** Table 40: MACs of next hop and uplink, TTL and checksum, labels with the decremented TTL (RFC 3443 §3.1). */
function forward(frame: usize, out: usize): void {
  const header_bytes = layer3;
  const ttl_word = load<u32>(frame + layer3, 8);
  const llc = load<u64>(frame, ethernet.HEADER_BYTES);
  const labels_bytes = load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
  const type = labels_bytes != 0 ? <u16>ethernet.TYPE_MPLS : load<u16>(frame, 12);
  const out_layer3 = out + header_bytes + labels_bytes;
  copy(out_layer3, frame + header_bytes, out_length - header_bytes - labels_bytes);
  store<u64>(out, load<u64>(next_hop, NEXT_HOP_HEADER));
  store<u32>(out, load<u32>(next_hop, NEXT_HOP_HEADER + 8), 8);
  store<u16>(out, type, 12);
  if (header_bytes == ethernet.SNAP_HEADER_BYTES) store<u64>(out, llc, ethernet.HEADER_BYTES);
  const ttl = (ttl_word & 0xff) - 1;
  for (let at: u32 = 0; at < labels_bytes; at += mpls.ENTRY_BYTES) {
    const entry = load<u32>(next_hop + at, NEXT_HOP_LABELS);
    store<u32>(out + header_bytes + at, mpls.withTtl(entry, ttl));
  }
  store<u32>(out_layer3, ipv4.decrementTtl(ttl_word), 8);
}

/** Table 20, the responder: the request turned into its answer; what follows the ARP body stays. */
function reply(frame: usize, out: usize): void {
  const virtual_mac = load<u64>(active, SETTING_VIRTUAL_MAC);
  const asker = ethernet.source(frame);
  copy(out, frame, out_length);
  store<u64>(out, asker | (virtual_mac << 48));
  store<u32>(out, <u32>(virtual_mac >> 16), 8);
  arp.writeReply(frame + layer3, out + layer3, virtual_mac);
}
