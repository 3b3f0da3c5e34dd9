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

static void prefetch_queue(const struct run *run, const struct tables *tables, bool is_uplink) {
  const bool has_many_hosts = tables->hosts.mask >= CACHED_BYTES / BUCKET_BYTES;
  const bool has_many_routes = !is_uplink && tables->exact.mask >= CACHED_BYTES / BUCKET_BYTES;
  const bool has_many_hops = !is_uplink && tables->next_hop_count >= CACHED_BYTES / NEXT_HOP_BYTES;
  if (!has_many_hosts && !has_many_routes && !has_many_hops) return;
  uint32_t destinations[QUEUE_ENTRIES];
  for (uint32_t index = 0; index < run->filled; index++) {
    const struct entry *entry = &run->queue[index];
    bool has_address = entry->captured >= POPPED_LAYER3 + IPV4_BYTES;
    uint32_t to = has_address ? guess_destination(run->window + entry->frame) : 0;
    destinations[index] = to;
    if (has_many_hosts) __builtin_prefetch(bucket_home(tables->hosts, to));
    if (has_many_routes) __builtin_prefetch(bucket_home(tables->exact, to));
  }
  if (!has_many_hops) return;
  for (uint32_t index = 0; index < run->filled; index++) {
    const uint8_t *bucket = bucket_home(tables->exact, destinations[index]);
    uint32_t found = bucket_matches(bucket, destinations[index]);
    uint32_t next_hop = found != 0 ? bucket_value(bucket, found) : 0;
    if (next_hop != 0) __builtin_prefetch(next_hop_at(tables, next_hop));
  }
}

/* ── Decide ── */

ALWAYS void count_in(struct counters *counters, uint32_t number, uint64_t frames, uint64_t bytes, uint64_t drops) {
  counters->bytes += bytes;
  if (number > MAX_PORT_NUMBER) return;
  struct port_counters *came = &counters->ports[number];
  came->rx_frames += frames;
  came->rx_bytes += bytes;
  came->drop_frames += drops;
}

/* Decides a run of entries that came in by one interface. Gives the entry behind them. */
ALWAYS struct entry *decide_run(struct run *run, struct entry *entry, const struct entry *end, bool is_uplink,
                                const struct tables *t, struct ingress in, uint32_t number) {
  struct counters *counters = run->counters;
  const uint8_t *window = run->window;
  const uint32_t interface = entry->interface;
  uint64_t frames = 0, bytes = 0, drops = 0;
  in.is_uplink = is_uplink;
  for (; entry < end && entry->interface == interface; entry++) {
    uint32_t length = entry->length;
    if (unlikely(entry->captured != length)) continue;
    uint64_t decision = decide(t, &in, window + entry->frame, length);
    entry->decision = decision;
    counters->outcomes[outcome_of(decision)]++;
    frames++;
    bytes += length;
    drops += verdict_of(decision) == VERDICT_DROP;
  }
  if (frames != 0) count_in(counters, number, frames, bytes, drops);
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
    }
    bool is_uplink = (in.flags & FLAG_UPLINK) != 0;
    prefetch_queue(run, &tables, is_uplink);
    entry = is_uplink ? decide_run(run, entry, end, true, &tables, in, number)
                      : decide_run(run, entry, end, false, &tables, in, number);
  }
}

/* ── Write ── */

ALWAYS bool is_full(const struct run *run) {
  return run->used > OUTPUT_BYTES - MAX_FRAME_BYTES - MAX_LABELS * 4 - BLOCK_OVERHEAD_BYTES;
}

/* Counts what leaves and, if it is wanted, writes it. */
ALWAYS void write_entry(struct run *run, const struct tables *t, const struct entry *entry, bool is_wanted) {
  struct counters *counters = run->counters;
  uint32_t length = entry->length;
  if (unlikely(entry->captured != length)) {
    counters->bytes += entry->captured;
    counters->snapped++;
    return;
  }
  uint64_t decision = entry->decision;
  if (verdict_of(decision) == VERDICT_DROP) return;
  enum action action = action_of(decision);
  uint32_t target = target_of(decision);
  uint32_t labels = action == ACTION_FORWARD ? labels_bytes(t, target) : 0;
  uint32_t popped_bytes = popped_bytes_of(decision);
  uint32_t out_length = length + labels - popped_bytes;
  const uint8_t *port = t->bank + (action == ACTION_FORWARD ? t->uplink : target);
  struct port_counters *left = &counters->ports[load32(port + PORT_NUMBER)];
  if (verdict_of(decision) == VERDICT_REPLY) {
    left->reply_frames++;
    left->reply_bytes += out_length;
  } else {
    left->tx_frames++;
    left->tx_bytes += out_length;
  }
  if (!is_wanted) return;
  const uint8_t *frame = run->window + entry->frame;
  uint8_t *block = run->output + run->used, *out = block + BLOCK_HEADER_BYTES;
  if (action == ACTION_DELIVER) deliver(port, popped_bytes, frame, length, out);
  else if (action == ACTION_FORWARD) forward(next_hop_at(t, target), labels, frame, length, out);
  else if (action == ACTION_REPLY) reply(t->virtual_mac, frame, length, out);
  else copy(out, frame, length);
  run->used += finish_block(block, load32(port + PORT_OUTPUT_INTERFACE), entry->time, out_length);
}

/* Deals with what is queued. False when the output is full before all is done. */
ALWAYS bool write_entries(struct run *run, bool is_wanted) {
  const struct tables tables = run->tables;
  const uint32_t filled = run->filled;
  for (uint32_t index = run->first; index < filled; index++) {
    if (is_wanted && is_full(run)) {
      run->first = index;
      return false;
    }
    write_entry(run, &tables, &run->queue[index], is_wanted);
  }
  run->first = filled;
  return true;
}

static bool write_queue(struct run *run) {
  return run->is_wanted ? write_entries(run, true) : write_entries(run, false);
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
