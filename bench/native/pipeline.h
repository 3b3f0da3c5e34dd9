/*
 * The six tables (assembly/pipeline.ts): what happens to one frame, decided without writing anything. Function for
 * function the same as there; whether a frame comes from the uplink is known per port, not asked per frame.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include "tables.h"

#define POPPED_LAYER3 (ETHERNET_BYTES + LABEL_BYTES)

/* What is known of the port by which a batch's frames come in. */
struct ingress {
  uint32_t port, flags;
  bool is_uplink;
  uint64_t mac;
};

/* A frame leaves as it came, but not by the port it came in by. */
ALWAYS uint64_t output(const struct tables *t, const struct ingress *in, uint32_t out, uint32_t length, uint32_t path) {
  if (out == in->port) return dropped(REASON_SAME_PORT, path);
  if (length > port_max_frame(t, out)) return dropped(REASON_TOO_LONG, path);
  return leaving(ACTION_BRIDGE, 0, path, out);
}

/* Table 50. */
static uint64_t bridge(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length,
                       uint32_t before) {
  uint32_t path = before | TABLE_BRIDGE;
  uint32_t owner = port_of_mac(t, eth_destination(frame));
  if (owner != 0) return output(t, in, owner, length, path);
  if (in->is_uplink) return dropped(REASON_BRIDGE_SUPPRESSED, path);
  return output(t, in, t->uplink, length, path);
}

/* Table 40: only packets of VMs come here, and their fields were read. */
ALWAYS uint64_t remote(const struct tables *t, const uint8_t *header, uint32_t length) {
  uint32_t path = TABLE_CLASSIFY | TABLE_LOCAL | TABLE_REMOTE;
  uint32_t to = ipv4_destination(header);
  if (ipv4_is_martian(to)) return dropped(REASON_MARTIAN, path);
  uint32_t next_hop = next_hop_to(t, to);
  if (next_hop == 0) return dropped(REASON_NO_ROUTE, path);
  if (ipv4_ttl(header) <= 1) return dropped(REASON_TTL_EXPIRED, path);
  if (length + labels_bytes(t, next_hop) > port_max_frame(t, t->uplink)) return dropped(REASON_TOO_LONG, path);
  return leaving(ACTION_FORWARD, 0, path, next_hop);
}

/* Table 30. */
ALWAYS uint64_t local(const struct tables *t, const struct ingress *in, const uint8_t *header, uint32_t length,
                      bool is_readable, uint32_t before) {
  uint32_t path = before | TABLE_LOCAL;
  uint32_t popped = before & TABLE_LABEL ? POPPED : 0;
  if (likely(is_readable)) {
    uint32_t owner = port_of_host(t, ipv4_destination(header));
    if (owner != 0 && (port_flags(t, owner) & FLAG_L3_IN) != 0) {
      if (ipv4_ttl(header) <= 1) return dropped(REASON_TTL_EXPIRED, path) | popped;
      if (owner == in->port) return dropped(REASON_SAME_PORT, path);
      uint32_t out_length = popped ? length - LABEL_BYTES : length;
      if (out_length > port_max_frame(t, owner)) return dropped(REASON_TOO_LONG, path);
      return leaving(ACTION_DELIVER, popped, path, owner);
    }
  }
  if (in->is_uplink) return dropped(is_readable ? REASON_NO_LOCAL_VM : REASON_MALFORMED, path);
  return remote(t, header, length);
}

/* Table 10. */
ALWAYS uint64_t label(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length) {
  uint32_t path = TABLE_CLASSIFY | TABLE_LABEL;
  uint32_t header_bytes = eth_header_bytes(frame);
  if (length - header_bytes < LABEL_BYTES) return dropped(REASON_MALFORMED, path);
  uint32_t entry = __builtin_bswap32(load32(frame + header_bytes));
  uint32_t value = entry >> 12;
  if (value != t->label && value != 0) return dropped(REASON_UNKNOWN_LABEL, path);
  if ((entry & 0x100) == 0) return dropped(REASON_LABEL_STACK, path);
  /* Behind SNAP a popped frame is read again from byte 14, where the LLC header is (see pipeline.ts). */
  uint32_t begins = header_bytes == ETHERNET_BYTES ? POPPED_LAYER3 : ETHERNET_BYTES;
  bool is_readable = ipv4_is_readable(frame + begins, length - POPPED_LAYER3);
  return local(t, in, frame + POPPED_LAYER3, length, is_readable, path);
}

/* Row 20/300: the port of the VM that is asked for, if requests reach it. */
ALWAYS uint32_t owner_asked(const struct tables *t, const uint8_t *header) {
  uint32_t owner = port_of_host(t, arp_target(header));
  return owner != 0 && (port_flags(t, owner) & FLAG_L2_IN) != 0 ? owner : 0;
}

/* Table 20 for frames of the uplink. */
static uint64_t arp_from_uplink(const struct tables *t, const struct ingress *in, const uint8_t *frame,
                                uint32_t length) {
  uint32_t path = TABLE_CLASSIFY | TABLE_ARP;
  uint32_t layer3 = eth_header_bytes(frame);
  const uint8_t *header = frame + layer3;
  if (!arp_is_readable(header, length - layer3)) return dropped(REASON_MALFORMED, path);
  uint32_t operation = arp_operation(header);
  if (operation == ARP_REPLY) return bridge(t, in, frame, length, path);
  uint32_t owner = operation == ARP_REQUEST ? owner_asked(t, header) : 0;
  return owner != 0 ? output(t, in, owner, length, path) : dropped(REASON_ARP_SUPPRESSED, path);
}

/* Table 20 for a VM on the layer-3 path. */
ALWAYS uint64_t arp_from_l3(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length,
                            const uint8_t *header) {
  uint32_t path = TABLE_CLASSIFY | TABLE_ARP;
  if (arp_sender(header) == 0) return dropped(REASON_ARP_PROBE, path);
  if (owns_address(t, in->port, arp_target(header))) return dropped(REASON_ARP_SUPPRESSED, path);
  uint32_t operation = arp_operation(header);
  if (operation == ARP_REQUEST) {
    uint64_t to = eth_destination(frame);
    if (to == MAC_MASK || to == t->virtual_mac) {
      if (length > port_max_frame(t, in->port)) return dropped(REASON_TOO_LONG, path);
      return leaving(ACTION_REPLY, 0, path, in->port);
    }
  }
  bool is_bridged = operation == ARP_REPLY && (in->flags & FLAG_L2_IN) != 0;
  return is_bridged ? bridge(t, in, frame, length, path) : dropped(REASON_ARP_SUPPRESSED, path);
}

/* Table 20 for a VM on the layer-2 path. */
static uint64_t arp_from_l2(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length,
                            const uint8_t *header) {
  uint32_t path = TABLE_CLASSIFY | TABLE_ARP;
  uint32_t operation = arp_operation(header);
  if (operation == ARP_REPLY) return bridge(t, in, frame, length, path);
  if (owns_address(t, in->port, arp_target(header))) return output(t, in, t->uplink, length, path);
  uint32_t owner = operation == ARP_REQUEST ? owner_asked(t, header) : 0;
  return owner != 0 ? output(t, in, owner, length, path) : bridge(t, in, frame, length, path);
}

/* Table 0, the uplink's rows. */
ALWAYS uint64_t from_uplink(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length,
                            uint32_t type) {
  if (likely(eth_destination(frame) == t->uplink_mac)) {
    if (likely(type == TYPE_MPLS)) return label(t, in, frame, length);
    if (type == TYPE_IPV4) {
      uint32_t layer3 = eth_header_bytes(frame);
      bool is_readable = ipv4_is_readable(frame + layer3, length - layer3);
      return local(t, in, frame + layer3, length, is_readable, TABLE_CLASSIFY);
    }
  }
  if (type == TYPE_ARP) return arp_from_uplink(t, in, frame, length);
  return bridge(t, in, frame, length, TABLE_CLASSIFY);
}

/* Table 0, a VM's rows. */
ALWAYS uint64_t from_vm(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length,
                        uint32_t type) {
  if (eth_source(frame) != in->mac) return dropped(REASON_SPOOFED_SOURCE, TABLE_CLASSIFY);
  uint32_t layer3 = eth_header_bytes(frame);
  const uint8_t *header = frame + layer3;
  bool is_routed = (in->flags & FLAG_L3_OUT) != 0;
  if (likely(type == TYPE_IPV4)) {
    if (!ipv4_is_readable(header, length - layer3)) return dropped(REASON_MALFORMED, TABLE_CLASSIFY);
    if (!owns_address(t, in->port, ipv4_source(header))) return dropped(REASON_SPOOFED_SOURCE, TABLE_CLASSIFY);
    if (!is_routed) return bridge(t, in, frame, length, TABLE_CLASSIFY);
    if (eth_is_group(frame)) return dropped(REASON_MULTICAST_DESTINATION, TABLE_CLASSIFY);
    return local(t, in, header, length, true, TABLE_CLASSIFY);
  }
  if (type == TYPE_ARP) {
    if (!arp_is_readable(header, length - layer3)) return dropped(REASON_MALFORMED, TABLE_CLASSIFY);
    if (arp_sender_mac(header) != in->mac) return dropped(REASON_SPOOFED_SOURCE, TABLE_CLASSIFY);
    uint32_t sender = arp_sender(header);
    if (sender != 0 && !owns_address(t, in->port, sender)) return dropped(REASON_SPOOFED_SOURCE, TABLE_CLASSIFY);
    return is_routed ? arp_from_l3(t, in, frame, length, header) : arp_from_l2(t, in, frame, length, header);
  }
  return dropped(REASON_NOT_IP, TABLE_CLASSIFY);
}

ALWAYS uint64_t decide(const struct tables *t, const struct ingress *in, const uint8_t *frame, uint32_t length) {
  if (unlikely(length < ETHERNET_BYTES)) return dropped(REASON_TOO_SHORT, 0);
  if (unlikely(length > MAX_FRAME_BYTES)) return dropped(REASON_TOO_LONG, 0);
  if (unlikely(in->port == 0)) return dropped(REASON_UNKNOWN_PORT, 0);
  uint32_t type = eth_type(frame, length);
  if (unlikely(type == TYPE_TAGGED)) return dropped(REASON_VLAN_TAGGED, TABLE_CLASSIFY);
  return in->is_uplink ? from_uplink(t, in, frame, length, type) : from_vm(t, in, frame, length, type);
}

#endif
