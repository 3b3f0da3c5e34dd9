/*
 * Frames on their way out (assembly/rewrite.ts) and the pcapng blocks around them (assembly/output.ts). Copies go in
 * the widest steps the processor has and may write COPY_STEP - 1 bytes behind the end, where nothing stands yet.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include "tables.h"

#define COPY_STEP 32u
#define SHORT_COPY_BYTES 512u
#define BLOCK_HEADER_BYTES 28u
#define BLOCK_OVERHEAD_BYTES 256u
#define ENHANCED_PACKET 6u

ALWAYS void copy(uint8_t *restrict to, const uint8_t *restrict from, uint32_t bytes) {
  if (unlikely(bytes > SHORT_COPY_BYTES)) {
    memcpy(to, from, bytes);
    return;
  }
  for (uint32_t done = 0; done < bytes; done += COPY_STEP) memcpy(to + done, from + done, COPY_STEP);
}

ALWAYS void write_header(uint8_t *out, const uint8_t *addresses, uint16_t type) {
  store64(out, load64(addresses));
  store32(out + 8, load32(addresses + 8));
  store16(out + 12, type);
}

/* Table 30: MACs of VM and gateway, TTL and checksum; without the label, if there was one. */
ALWAYS void deliver(const uint8_t *port, uint32_t popped_bytes, const uint8_t *frame, uint32_t length, uint8_t *out) {
  uint32_t header_bytes = eth_header_bytes(frame);
  uint32_t layer3 = popped_bytes != 0 ? ETHERNET_BYTES + LABEL_BYTES : header_bytes;
  uint32_t ttl_word = ipv4_decrement_ttl(load32(frame + layer3 + 8));
  uint16_t type = popped_bytes != 0 ? TYPE_IPV4 : load16(frame + 12);
  copy(out + header_bytes, frame + header_bytes + popped_bytes, length - header_bytes - popped_bytes);
  write_header(out, port + PORT_DELIVERY, type);
  if (unlikely(header_bytes == SNAP_BYTES)) store64(out + 14, load64(frame + 14));
  store32(out + layer3 - popped_bytes + 8, ttl_word);
}

/* Table 40: MACs of next hop and uplink, TTL and checksum, labels with the decremented TTL. */
ALWAYS void forward(const uint8_t *hop, uint32_t labels, const uint8_t *frame, uint32_t length, uint8_t *out) {
  uint32_t header_bytes = eth_header_bytes(frame);
  uint32_t ttl_word = load32(frame + header_bytes + 8);
  uint16_t type = labels != 0 ? TYPE_MPLS : load16(frame + 12);
  uint8_t *out_layer3 = out + header_bytes + labels;
  copy(out_layer3, frame + header_bytes, length - header_bytes);
  write_header(out, hop + NEXT_HOP_HEADER, type);
  if (unlikely(header_bytes == SNAP_BYTES)) store64(out + 14, load64(frame + 14));
  uint32_t ttl = (ttl_word & 0xff) - 1;
  for (uint32_t at = 0; at < labels; at += LABEL_BYTES) {
    store32(out + header_bytes + at, load32(hop + NEXT_HOP_LABELS + at) | ttl << 24);
  }
  store32(out_layer3 + 8, ipv4_decrement_ttl(ttl_word));
}

/* Table 20, the responder: the request turned into its answer; what follows the ARP body stays. */
ALWAYS void reply(uint64_t virtual_mac, const uint8_t *frame, uint32_t length, uint8_t *out) {
  uint32_t layer3 = eth_header_bytes(frame);
  const uint8_t *request = frame + layer3;
  uint8_t *answer = out + layer3;
  uint64_t asker = arp_sender_mac(request);
  copy(out, frame, length);
  store64(out, eth_source(frame) | virtual_mac << 48);
  store32(out + 8, (uint32_t)(virtual_mac >> 16));
  store64(answer, ARP_ETHERNET_IPV4 | (uint64_t)ARP_REPLY << 56);
  store32(answer + 8, (uint32_t)virtual_mac);
  store16(answer + 12, (uint16_t)(virtual_mac >> 32));
  store32(answer + 14, arp_target(request));
  store32(answer + 18, (uint32_t)asker);
  store16(answer + 22, (uint16_t)(asker >> 32));
  store32(answer + 24, arp_sender(request));
}

/* Puts an Enhanced Packet Block around the frame that stands behind its header; gives the block's bytes. */
ALWAYS uint32_t finish_block(uint8_t *at, uint32_t interface, uint64_t time, uint32_t length) {
  uint32_t padded_bytes = (length + 3) & ~3u;
  uint32_t block_bytes = BLOCK_HEADER_BYTES + padded_bytes + 4;
  store32(at + BLOCK_HEADER_BYTES + length, 0);
  store32(at, ENHANCED_PACKET);
  store32(at + 4, block_bytes);
  store32(at + 8, interface);
  store32(at + 12, (uint32_t)(time >> 32));
  store32(at + 16, (uint32_t)time);
  store32(at + 20, length);
  store32(at + 24, length);
  store32(at + block_bytes - 4, block_bytes);
  return block_bytes;
}

#endif
