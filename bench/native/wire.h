/*
 * Frames as the core reads them (assembly/wire/, assembly/decision.ts), in C: loads and stores at any address, the
 * protocols' fields, and the u64 in which a decision travels. Every access goes through memcpy, which a compiler
 * turns into one instruction; so there is no alignment or aliasing to get wrong.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "abi.h"

#define ALWAYS static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline, cold))
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

ALWAYS uint16_t load16(const uint8_t *at) { uint16_t value; memcpy(&value, at, 2); return value; }
ALWAYS uint32_t load32(const uint8_t *at) { uint32_t value; memcpy(&value, at, 4); return value; }
ALWAYS uint64_t load64(const uint8_t *at) { uint64_t value; memcpy(&value, at, 8); return value; }
ALWAYS void store16(uint8_t *at, uint16_t value) { memcpy(at, &value, 2); }
ALWAYS void store32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }
ALWAYS void store64(uint8_t *at, uint64_t value) { memcpy(at, &value, 8); }

/* ── Ethernet ── */

#define ETHERNET_BYTES 14u
#define SNAP_BYTES 22u
#define TAGGED_BYTES 18u
/* As they stand in memory, loaded as a little-endian u16. */
#define TYPE_IPV4 0x0008u
#define TYPE_ARP 0x0608u
#define TYPE_MPLS 0x4788u
#define TYPE_CTAG 0x0081u
#define TYPE_STAG 0xa888u
#define TYPE_OTHER 0u
#define TYPE_TAGGED 1u
#define LLC_SNAP 0x00000003aaaaull
#define MAC_MASK 0xffffffffffffull

ALWAYS uint64_t eth_destination(const uint8_t *frame) { return load64(frame) & MAC_MASK; }
ALWAYS uint64_t eth_source(const uint8_t *frame) { return load64(frame + 6) & MAC_MASK; }
ALWAYS bool eth_is_group(const uint8_t *frame) { return (frame[0] & 1) != 0; }
ALWAYS bool eth_is_length(const uint8_t *frame) { return frame[12] < 6; }
ALWAYS uint32_t eth_header_bytes(const uint8_t *frame) { return eth_is_length(frame) ? SNAP_BYTES : ETHERNET_BYTES; }

ALWAYS uint32_t eth_type(const uint8_t *frame, uint32_t length) {
  if (unlikely(eth_is_length(frame))) {
    bool is_snap = length >= SNAP_BYTES && (load64(frame + 14) & MAC_MASK) == LLC_SNAP && frame[20] >= 6;
    return is_snap ? load16(frame + 20) : TYPE_OTHER;
  }
  uint32_t type = load16(frame + 12);
  if (likely(type != TYPE_CTAG && type != TYPE_STAG)) return type;
  return length >= TAGGED_BYTES ? TYPE_TAGGED : TYPE_OTHER;
}

/* ── MPLS, IPv4, ARP ── */

#define LABEL_BYTES 4u
#define LABEL_BOTTOM 0x100u
#define IPV4_BYTES 20u
#define IPV4_WORDS 5u
#define ARP_BYTES 28u
#define ARP_ETHERNET_IPV4 0x040600080100ull
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

ALWAYS uint32_t ipv4_words(const uint8_t *header) { return header[0] & 15u; }
ALWAYS uint32_t ipv4_total(const uint8_t *header) { return __builtin_bswap16(load16(header + 2)); }

ALWAYS bool ipv4_is_readable(const uint8_t *header, uint32_t available) {
  if (available < IPV4_BYTES) return false;
  uint32_t ihl_bytes = ipv4_words(header) << 2;
  uint32_t total_bytes = ipv4_total(header);
  return ihl_bytes >= IPV4_BYTES && total_bytes >= ihl_bytes && available >= total_bytes;
}

ALWAYS uint32_t ipv4_ttl(const uint8_t *header) { return header[8]; }
ALWAYS uint32_t ipv4_source(const uint8_t *header) { return load32(header + 12); }
ALWAYS uint32_t ipv4_destination(const uint8_t *header) { return load32(header + 16); }

ALWAYS bool ipv4_is_martian(uint32_t address) {
  uint32_t first = address & 0xff;
  return first == 0 || first == 127 || first >= 224;
}

/* Bytes 8…11 with the TTL one less and the checksum after RFC 1624; protocol 0 stays as it is (see ipv4.ts). */
ALWAYS uint32_t ipv4_decrement_ttl(uint32_t word) {
  if (unlikely((word & 0xff00) == 0)) return word;
  uint32_t sum = ((word >> 16) ^ 0xffff) + 0xfffe;
  sum = (sum & 0xffff) + (sum >> 16);
  return ((word & 0xffff) - 1) | (~sum << 16);
}

ALWAYS bool arp_is_readable(const uint8_t *header, uint32_t available) {
  return available >= ARP_BYTES && (load64(header) & MAC_MASK) == ARP_ETHERNET_IPV4;
}

ALWAYS uint32_t arp_operation(const uint8_t *header) { return header[6] != 0 ? 0 : header[7]; }
ALWAYS uint64_t arp_sender_mac(const uint8_t *header) { return load64(header + 8) & MAC_MASK; }
ALWAYS uint32_t arp_sender(const uint8_t *header) { return load32(header + 14); }
ALWAYS uint32_t arp_target(const uint8_t *header) { return load32(header + 24); }

/* ── Decisions: target (a port or next hop) in the upper half, the rest as assembly/decision.ts draws it ── */

enum action { ACTION_BRIDGE, ACTION_DELIVER, ACTION_FORWARD, ACTION_REPLY };

#define POPPED 16u
#define VERDICT_MASK 3u

ALWAYS uint64_t dropped(uint32_t reason, uint32_t path) { return reason << 8 | path << 13; }

ALWAYS uint64_t leaving(enum action action, uint32_t popped, uint32_t path, uint32_t target) {
  uint32_t verdict = action == ACTION_REPLY ? VERDICT_REPLY : VERDICT_OUTPUT;
  return (uint64_t)target << 32 | verdict | (uint32_t)action << 2 | popped | path << 13;
}

ALWAYS uint32_t verdict_of(uint64_t decision) { return decision & VERDICT_MASK; }
ALWAYS enum action action_of(uint64_t decision) { return (enum action)(decision >> 2 & 3); }
ALWAYS uint32_t popped_bytes_of(uint64_t decision) { return decision & POPPED ? LABEL_BYTES : 0; }
ALWAYS uint32_t outcome_of(uint64_t decision) { return decision >> 8 & 0x7ff; }
ALWAYS uint32_t target_of(uint64_t decision) { return (uint32_t)(decision >> 32); }

#endif
