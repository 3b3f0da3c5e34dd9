/*
 * Batches (assembly/run.ts and the pcap half of assembly/capture.ts): up to 256 packets are queued from the window,
 * decided as a whole, then written. Counts by outcome and port exactly as the core does. Where the tables are larger
 * than the cache, a pass over the queue asks for the cache lines that the decisions will need.
 */
#ifndef RUN_H
#define RUN_H

#include "pipeline.h"
#include "rewrite.h"

#define RECORD_HEADER_BYTES 16u
/* Readable bytes behind the window, and writable ones behind the output. */
#define YARDSTICK_SLACK 64u
/* Tables above this are prefetched: what stays of a second-level cache beside window and output. */
#define CACHED_BYTES 0x60000u
/* Tables above this are loaded from instead: what the processor holds of their pages' addresses is not enough. */
#define PREFETCHED_BYTES 0x400000u

struct entry {
  uint32_t frame, captured, length, interface;
  uint64_t time, decision;
};

struct interface {
  uint32_t in_port;
  /* Output units of a second, and of the capture's own fraction. */
  uint64_t units, multiplier;
};

struct port_counters {
  uint64_t rx_frames, rx_bytes, drop_frames, tx_frames, tx_bytes, reply_frames, reply_bytes, unused;
};

struct counters {
  uint64_t outcomes[PATH_COUNT * OUTCOMES_A_PATH];
  uint64_t bytes, snapped;
  struct port_counters ports[MAX_PORT_NUMBER + 1];
};

struct run {
  struct tables tables;
  struct interface interfaces[1];
  struct counters *counters;
  /* The window, and the offsets of the first byte not consumed and of the first not read. */
  uint8_t *window;
  uint32_t at, end;
  bool is_swapped, is_eof;
  const char *fault;
  /* The output, and the bytes that stand there. */
  uint8_t *output;
  uint32_t used;
  bool is_wanted;
  /* Queue entries that are filled, and the first that is not dealt with. */
  uint32_t filled, first;
  struct entry queue[QUEUE_ENTRIES];
};

enum event { EVENT_READY, EVENT_WANTS_INPUT, EVENT_IS_FULL, EVENT_ENDED };

/* ── Queue ── */

/* A record that is odd or not all there: queues it, or says what stands in the way. */
COLD enum event fill_odd(struct run *run) {
  uint32_t available = run->end - run->at;
  bool is_whole = false;
  if (available >= RECORD_HEADER_BYTES) {
    const uint8_t *record = run->window + run->at;
    uint32_t captured = load32(record + 8), length = load32(record + 12);
    if (run->is_swapped) captured = __builtin_bswap32(captured), length = __builtin_bswap32(length);
    if (captured > MAX_RECORD_BYTES) run->fault = "a record is too large";
    else if (captured > length) run->fault = "more was captured than the frame had";
    if (run->fault != NULL) return EVENT_ENDED;
    is_whole = available - RECORD_HEADER_BYTES >= captured;
    if (is_whole && captured == 0) {
      struct interface link = run->interfaces[0];
      uint32_t seconds = load32(record), fraction = load32(record + 4);
      if (run->is_swapped) seconds = __builtin_bswap32(seconds), fraction = __builtin_bswap32(fraction);
      uint64_t time = seconds * link.units + fraction * link.multiplier;
      run->queue[run->filled++] = (struct entry){run->at + RECORD_HEADER_BYTES, 0, length, 0, time, 0};
      run->at += RECORD_HEADER_BYTES;
      return EVENT_READY;
    }
  }
  if (!run->is_eof) return EVENT_WANTS_INPUT;
  if (available != 0) run->fault = "the file ends inside a record";
  return EVENT_ENDED;
}

/* Queues records as long as nothing is odd about them. */
ALWAYS void fill_plain(struct run *run, bool is_swapped) {
  const uint8_t *window = run->window;
  struct entry *queue = run->queue;
  const struct interface link = run->interfaces[0];
  uint32_t at = run->at, end = run->end, filled = run->filled;
  while (filled < QUEUE_ENTRIES && end - at >= RECORD_HEADER_BYTES) {
    uint64_t sizes = load64(window + at + 8), clock = load64(window + at);
    uint32_t captured = (uint32_t)sizes, length = (uint32_t)(sizes >> 32);
    uint32_t seconds = (uint32_t)clock, fraction = (uint32_t)(clock >> 32);
    if (is_swapped) {
      captured = __builtin_bswap32(captured), length = __builtin_bswap32(length);
      seconds = __builtin_bswap32(seconds), fraction = __builtin_bswap32(fraction);
    }
    bool is_odd = captured == 0 || captured > length || captured > MAX_RECORD_BYTES;
    if (unlikely(is_odd || end - at - RECORD_HEADER_BYTES < captured)) break;
    struct entry *entry = &queue[filled++];
    entry->frame = at + RECORD_HEADER_BYTES;
    entry->captured = captured;
    entry->length = length;
    entry->interface = 0;
    entry->time = seconds * link.units + fraction * link.multiplier;
    at += RECORD_HEADER_BYTES + captured;
  }
  run->at = at;
  run->filled = filled;
}

static enum event fill(struct run *run) {
  run->first = 0;
  run->filled = 0;
  while (run->filled < QUEUE_ENTRIES) {
    if (run->is_swapped) fill_plain(run, true);
    else fill_plain(run, false);
    if (run->filled == QUEUE_ENTRIES) break;
    enum event event = fill_odd(run);
    if (event != EVENT_READY) return event;
  }
  return EVENT_READY;
}

/* ── Prefetch ── */

/* Where an untagged frame's destination address stands, whatever comes in front of it; only a guess. */
ALWAYS uint32_t guess_destination(const uint8_t *frame) {
  uint32_t layer3 = load16(frame + 12) == TYPE_MPLS ? POPPED_LAYER3 : ETHERNET_BYTES;
  return load32(frame + layer3 + 16);
}

/* Asks for what an address will be looked up in, or waits for it when that is so large that the processor would not
   look up its pages for a prefetch. */
ALWAYS uint32_t ask(const uint8_t *at, bool is_huge) {
  if (is_huge) return load32(at);
  __builtin_prefetch(at);
  return 0;
}

ALWAYS size_t bytes_of(struct dense dense, struct buckets buckets) {
  if (dense.pages != 0) return (size_t)dense.pages * DENSE_PAGE_BYTES;
  return ((size_t)buckets.mask + 1) * BUCKET_BYTES;
}

/* Asks for a table's lines, one an address. */
ALWAYS void ask_all(struct dense dense, struct buckets buckets, const uint32_t *addresses, uint32_t count) {
  const size_t bytes = bytes_of(dense, buckets);
  if (bytes <= CACHED_BYTES) return;
  const bool is_dense = dense.pages != 0, is_huge = bytes > PREFETCHED_BYTES;
  uint32_t seen = 0;
  for (uint32_t index = 0; index < count; index++) {
    uint32_t to = addresses[index];
    if (!is_dense) seen += ask(bucket_home(buckets, to), is_huge);
    else if ((to & 0xff) == dense.octet) seen += ask(dense_leaf(dense, to), is_huge);
  }
  __asm__ volatile("" : : "r"(seen));
}

static void prefetch_queue(const struct run *run, const struct tables *t, bool is_uplink) {
  const bool has_many_hosts = bytes_of(t->dense_hosts, t->hosts) > CACHED_BYTES;
  const bool has_many_routes = !is_uplink && bytes_of(t->dense_exact, t->exact) > CACHED_BYTES;
  const bool has_many_hops = !is_uplink && t->next_hop_count >= CACHED_BYTES / NEXT_HOP_BYTES;
  if (!has_many_hosts && !has_many_routes && !has_many_hops) return;
  uint32_t addresses[QUEUE_ENTRIES];
  for (uint32_t index = 0; index < run->filled; index++) {
    const struct entry *entry = &run->queue[index];
    bool has_address = entry->captured >= POPPED_LAYER3 + IPV4_BYTES;
    addresses[index] = has_address ? guess_destination(run->window + entry->frame) : 0;
  }
  ask_all(t->dense_hosts, t->hosts, addresses, run->filled);
  if (is_uplink) return;
  ask_all(t->dense_exact, t->exact, addresses, run->filled);
  if (!has_many_hops) return;
  for (uint32_t index = 0; index < run->filled; index++) {
    uint32_t next_hop = find_in(t->dense_exact, t->exact, addresses[index]);
    if (next_hop != 0) __builtin_prefetch(next_hop_at(t, next_hop));
  }
}

/* ── Decide ── */

#define LABELLED_BYTES (POPPED_LAYER3 + IPV4_BYTES)
#define UNLABELLED_BYTES (ETHERNET_BYTES + IPV4_BYTES)
/* Bytes 12…19: type, label, S bit and IHL; TC, TTL, version and TOS left out. */
#define LABELLED_MASK 0x000f00f1ffffffffull
#define LABELLED_PATH (TABLE_CLASSIFY | TABLE_LABEL | TABLE_LOCAL)
#define ROUTED_PATH (TABLE_CLASSIFY | TABLE_LOCAL | TABLE_REMOTE)

/* What a run of entries adds to the port that they came in by. */
struct arrivals {
  uint64_t frames, bytes, drops;
};

ALWAYS void count_in(struct counters *counters, uint32_t number, struct arrivals arrivals) {
  counters->bytes += arrivals.bytes;
  if (number > MAX_PORT_NUMBER) return;
  struct port_counters *came = &counters->ports[number];
  came->rx_frames += arrivals.frames;
  came->rx_bytes += arrivals.bytes;
  came->drop_frames += arrivals.drops;
}

ALWAYS struct port_counters *counters_of(struct counters *counters, const struct tables *t, uint32_t port) {
  return &counters->ports[load32(t->bank + port + PORT_NUMBER)];
}

ALWAYS void count_outcome(struct counters *counters, uint64_t decision, uint64_t frames) {
  counters->outcomes[outcome_of(decision)] += frames;
}

/* One packet by the whole pipeline. */
ALWAYS void decide_one(struct run *run, struct entry *entry, const struct tables *t, const struct ingress *in,
                       struct arrivals *arrivals) {
  struct counters *counters = run->counters;
  uint32_t length = entry->length;
  if (unlikely(entry->captured != length)) {
    counters->bytes += entry->captured;
    counters->snapped++;
    return;
  }
  uint64_t decision = decide(t, in, run->window + entry->frame, length);
  entry->decision = decision;
  count_outcome(counters, decision, 1);
  arrivals->frames++;
  arrivals->bytes += length;
  if (verdict_of(decision) == VERDICT_DROP) {
    arrivals->drops++;
    return;
  }
  uint32_t target = target_of(decision);
  bool is_forward = action_of(decision) == ACTION_FORWARD;
  uint32_t out_length = length + (is_forward ? labels_bytes(t, target) : 0) - popped_bytes_of(decision);
  struct port_counters *left = counters_of(counters, t, is_forward ? t->uplink : target);
  if (verdict_of(decision) == VERDICT_REPLY) {
    left->reply_frames++;
    left->reply_bytes += out_length;
  } else {
    left->tx_frames++;
    left->tx_bytes += out_length;
  }
}

/* Packets of a port that is neither the uplink nor a VM's that sends by route. */
static struct entry *decide_others(struct run *run, struct entry *entry, const struct entry *end,
                                   const struct tables *t, const struct ingress *in, uint32_t number) {
  const uint32_t interface = entry->interface;
  struct arrivals arrivals = {0};
  for (; entry < end && entry->interface == interface; entry++) decide_one(run, entry, t, in, &arrivals);
  count_in(run->counters, number, arrivals);
  return entry;
}

/* The word under LABELLED_MASK of a frame with our label alone and an IPv4 header without options. */
ALWAYS uint64_t labelled_word(uint32_t value) {
  uint64_t entry = __builtin_bswap32(value << 12 | LABEL_BOTTOM);
  return TYPE_MPLS | entry << 16 | (uint64_t)IPV4_WORDS << 48;
}

/* Packets of the uplink: the usual ones in the inner loop, as in batch.ts. */
ALWAYS struct entry *decide_from_uplink(struct run *run, struct entry *entry, const struct entry *end,
                                        const struct tables *t, const struct ingress *in, uint32_t number,
                                        bool is_dense) {
  struct counters *counters = run->counters;
  const uint8_t *window = run->window;
  const uint32_t interface = entry->interface;
  const uint64_t labelled = labelled_word(t->label), mac = t->uplink_mac;
  const struct buckets hosts = t->hosts;
  const struct dense dense = t->dense_hosts;
  uint64_t delivered = 0, strays = 0, usual_bytes = 0;
  struct arrivals arrivals = {0};
  for (;;) {
    for (; entry < end; entry++) {
      uint32_t length = entry->length, room = length - LABELLED_BYTES;
      if (unlikely(entry->captured != length || entry->interface != interface)) break;
      if (unlikely(room > MAX_FRAME_BYTES - LABELLED_BYTES)) break;
      const uint8_t *frame = window + entry->frame, *header = frame + POPPED_LAYER3;
      if (unlikely(eth_destination(frame) != mac)) break;
      if (unlikely((load64(frame + 12) & LABELLED_MASK) != labelled)) break;
      if (unlikely(ipv4_total(header) - IPV4_BYTES > room)) break;
      uint32_t to = ipv4_destination(header);
      uint32_t slot = is_dense ? find_dense(dense, to) : find(hosts, to);
      if (slot == 0) {
        entry->decision = dropped(REASON_NO_LOCAL_VM, LABELLED_PATH);
        usual_bytes += length;
        strays++;
        continue;
      }
      uint32_t owner = port_of_slot(slot - 1), out_length = length - LABEL_BYTES;
      if (unlikely((port_flags(t, owner) & (FLAG_L3_IN | FLAG_UPLINK)) != FLAG_L3_IN)) break;
      if (unlikely(ipv4_ttl(header) <= 1 || out_length > port_max_frame(t, owner))) break;
      entry->decision = leaving(ACTION_DELIVER, POPPED, LABELLED_PATH, owner);
      struct port_counters *left = counters_of(counters, t, owner);
      left->tx_frames++;
      left->tx_bytes += out_length;
      usual_bytes += length;
      delivered++;
    }
    if (entry == end || entry->interface != interface) break;
    decide_one(run, entry++, t, in, &arrivals);
  }
  count_outcome(counters, leaving(ACTION_DELIVER, POPPED, LABELLED_PATH, 0), delivered);
  count_outcome(counters, dropped(REASON_NO_LOCAL_VM, LABELLED_PATH), strays);
  arrivals.frames += delivered + strays;
  arrivals.bytes += usual_bytes;
  arrivals.drops += strays;
  count_in(counters, number, arrivals);
  return entry;
}

/* Packets of a VM that sends by route: the usual ones in the inner loop, as in batch.ts. */
ALWAYS struct entry *decide_from_vm(struct run *run, struct entry *entry, const struct entry *end,
                                    const struct tables *t, const struct ingress *in, uint32_t number,
                                    bool is_dense) {
  struct counters *counters = run->counters;
  const uint8_t *window = run->window;
  const uint32_t interface = entry->interface;
  const uint32_t most_bytes = port_max_frame(t, t->uplink);
  const uint64_t sent_ipv4 = in->mac | (uint64_t)TYPE_IPV4 << 48;
  const struct buckets exact = t->exact;
  const struct dense dense = t->dense_exact;
  uint32_t own = load32(t->bank + in->port + PORT_ADDRESS);
  uint64_t forwarded = 0, usual_bytes = 0, out_bytes = 0;
  struct arrivals arrivals = {0};
  for (;;) {
    for (; entry < end; entry++) {
      uint32_t length = entry->length, room = length - UNLABELLED_BYTES;
      if (unlikely(entry->captured != length || entry->interface != interface)) break;
      if (unlikely(room > MAX_FRAME_BYTES - UNLABELLED_BYTES)) break;
      const uint8_t *frame = window + entry->frame, *header = frame + ETHERNET_BYTES;
      if (unlikely(load64(frame + 6) != sent_ipv4 || eth_is_group(frame))) break;
      if (unlikely(ipv4_words(header) != IPV4_WORDS || ipv4_total(header) - IPV4_BYTES > room)) break;
      uint32_t from = ipv4_source(header), to = ipv4_destination(header);
      if (unlikely(from != own)) {
        if (!owns_address(t, in->port, from)) break;
        own = from;
      }
      if (unlikely(host_value(t, to) != 0 || ipv4_is_martian(to))) break;
      uint32_t next_hop = is_dense ? find_dense(dense, to) : find(exact, to);
      if (unlikely(next_hop == 0)) {
        next_hop = prefix_lookup(t, __builtin_bswap32(to));
        if (next_hop == 0) break;
      }
      uint32_t out_length = length + labels_bytes(t, next_hop);
      if (unlikely(ipv4_ttl(header) <= 1 || out_length > most_bytes)) break;
      entry->decision = leaving(ACTION_FORWARD, 0, ROUTED_PATH, next_hop);
      usual_bytes += length;
      out_bytes += out_length;
      forwarded++;
    }
    if (entry == end || entry->interface != interface) break;
    decide_one(run, entry++, t, in, &arrivals);
  }
  count_outcome(counters, leaving(ACTION_FORWARD, 0, ROUTED_PATH, 0), forwarded);
  struct port_counters *left = counters_of(counters, t, t->uplink);
  left->tx_frames += forwarded;
  left->tx_bytes += out_bytes;
  arrivals.frames += forwarded;
  arrivals.bytes += usual_bytes;
  count_in(counters, number, arrivals);
  return entry;
}

static void decide_queue(struct run *run) {
  const struct tables tables = run->tables;
  struct entry *end = run->queue + run->filled;
  for (struct entry *entry = run->queue; entry < end;) {
    uint32_t number = run->interfaces[entry->interface].in_port;
    struct ingress in = {.port = port_of_number(&tables, number)};
    if (in.port != 0) {
      in.flags = port_flags(&tables, in.port);
      in.mac = load64(tables.bank + in.port + PORT_MAC);
      in.is_uplink = (in.flags & FLAG_UPLINK) != 0;
    }
    prefetch_queue(run, &tables, in.is_uplink);
    if (in.is_uplink) {
      entry = tables.dense_hosts.pages != 0 ? decide_from_uplink(run, entry, end, &tables, &in, number, true)
                                                   : decide_from_uplink(run, entry, end, &tables, &in, number, false);
    } else if ((in.flags & FLAG_L3_OUT) != 0) {
      entry = tables.dense_exact.pages != 0 ? decide_from_vm(run, entry, end, &tables, &in, number, true)
                                                   : decide_from_vm(run, entry, end, &tables, &in, number, false);
    } else {
      entry = decide_others(run, entry, end, &tables, &in, number);
    }
  }
}

/* ── Write ── */

/* Writes out what became of the queued packets. False when the output is full before all is done. */
static bool write_packets(struct run *run) {
  const struct tables tables = run->tables, *t = &tables;
  const uint32_t filled = run->filled;
  const uint8_t *window = run->window;
  uint8_t *block = run->output + run->used;
  const uint8_t *full = run->output + (OUTPUT_BYTES - MAX_FRAME_BYTES - MAX_LABELS * 4 - BLOCK_OVERHEAD_BYTES);
  uint32_t index = run->first;
  for (; index < filled && block <= full; index++) {
    const struct entry *entry = &run->queue[index];
    uint32_t length = entry->length;
    uint64_t decision = entry->decision;
    /* A packet that the capture cut was not judged. */
    if (unlikely(entry->captured != length) || verdict_of(decision) == VERDICT_DROP) continue;
    enum action action = action_of(decision);
    uint32_t target = target_of(decision);
    const uint8_t *frame = window + entry->frame, *port = t->bank + (action == ACTION_FORWARD ? t->uplink : target);
    uint8_t *out = block + BLOCK_HEADER_BYTES;
    uint32_t labels = 0, popped_bytes = 0;
    if (action == ACTION_DELIVER) {
      popped_bytes = popped_bytes_of(decision);
      deliver(port, popped_bytes, frame, length, out);
    } else if (action == ACTION_FORWARD) {
      labels = labels_bytes(t, target);
      forward(next_hop_at(t, target), labels, frame, length, out);
    } else if (action == ACTION_REPLY) {
      reply(t->virtual_mac, frame, length, out);
    } else {
      copy(out, frame, length);
    }
    block += finish_block(block, load32(port + PORT_OUTPUT_INTERFACE), entry->time, length + labels - popped_bytes);
  }
  run->first = index;
  run->used = (uint32_t)(block - run->output);
  return index == filled;
}

static bool write_queue(struct run *run) {
  if (run->is_wanted) return write_packets(run);
  run->first = run->filled;
  return true;
}

/* Runs the window's packets until more bytes are wanted, the output is full, or the capture is at its end. */
static enum event run_window(struct run *run) {
  if (!write_queue(run)) return EVENT_IS_FULL;
  for (;;) {
    enum event event = fill(run);
    if (run->filled == 0) return event;
    decide_queue(run);
    if (!write_queue(run)) return EVENT_IS_FULL;
    if (event != EVENT_READY) return event;
  }
}

#endif
