/*
 * The native yardstick: what the core does, done by a C program on the core's own tables, with the same checks,
 * reasons and counters and byte-identical output, as well as we can write it. It exists to be compared with.
 *
 *   yardstick replay BANK (IN.pcap IN_PORT HEADER OUT)...      captures to pcapng files, or to nothing when OUT is -
 *   yardstick memory BANK IN.pcap IN_PORT ROUNDS judge|write   the first 512 KiB again and again, in memory
 *
 * BANK is written by dump.ts, HEADER holds the bytes that stand in front of the packets of OUT. Each capture gives
 * one line of JSON. YARDSTICK_PAGES=small keeps the tables off huge pages, where a WebAssembly memory never is.
 */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PCAP_HEADER_BYTES 24u
#define READ_BYTES 0x40000u
#define BANK_MAGIC 0x4b4e4142u
#define HUGE_PAGE_BYTES 0x200000u
#define LINE_BYTES 64u

static const char *const reasons[] = {REASON_NAMES};
static const uint32_t table_numbers[] = {0, 10, 20, 30, 40, 50};
static struct counters counters;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("yardstick: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *allocate(size_t alignment, size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, bytes) != 0) die("no memory for %zu bytes", bytes);
  return memory;
}

/* ── Tables ── */

/* Memory of an image's own, on huge pages or off them. */
static uint8_t *table_memory(size_t bytes) {
  uint8_t *memory = allocate(bytes < HUGE_PAGE_BYTES ? 4096 : HUGE_PAGE_BYTES, bytes);
#ifdef MADV_HUGEPAGE
  const char *pages = getenv("YARDSTICK_PAGES");
  bool is_small = pages != NULL && strcmp(pages, "small") == 0;
  if (bytes >= HUGE_PAGE_BYTES) madvise(memory, bytes, is_small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
#endif
  return memory;
}

static void read_exactly(FILE *file, const char *name, void *to, size_t bytes) {
  if (fread(to, 1, bytes, file) != bytes) die("%s: cut short", name);
}

/* Reads a piece of an image, which must have the length that is wanted of it. */
static uint8_t *read_piece(FILE *file, const char *name, uint32_t wanted) {
  uint32_t bytes;
  read_exactly(file, name, &bytes, sizeof bytes);
  if (bytes != wanted) die("%s: a piece of %u bytes, not %u", name, bytes, wanted);
  uint8_t *piece = table_memory(bytes);
  read_exactly(file, name, piece, bytes);
  return piece;
}

/* Reads an image: magic, VERSION, then bank, next hops, the two route tables and the two dense tables. */
static struct tables read_bank(const char *name) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) die("%s: %s", name, strerror(errno));
  uint32_t head[2];
  read_exactly(file, name, head, sizeof head);
  if (head[0] != BANK_MAGIC) die("%s: no bank image", name);
  if (head[1] != VERSION) die("%s: ABI %u, not %u", name, head[1], VERSION);
  const uint8_t *bank = read_piece(file, name, BANK_NEXT_HOPS);
  const uint8_t *next_hops = read_piece(file, name, load32(bank + SETTING_NEXT_HOP_COUNT) * NEXT_HOP_BYTES);
  const uint8_t *exact = read_piece(file, name, table_bytes(bank, SETTING_EXACT));
  const uint8_t *longer = read_piece(file, name, table_bytes(bank, SETTING_LONG));
  const uint8_t *dense_hosts = read_piece(file, name, dense_bytes(bank, SETTING_DENSE_HOSTS));
  const uint8_t *dense_exact = read_piece(file, name, dense_bytes(bank, SETTING_DENSE_EXACT));
  fclose(file);
  return tables_of(bank, next_hops, exact, longer, dense_hosts, dense_exact);
}

static void free_tables(const struct tables *tables) {
  const uint8_t *pieces[] = {tables->bank, tables->next_hops, tables->exact.first, tables->longer.first,
                             tables->dense_hosts.directory, tables->dense_exact.directory};
  for (size_t index = 0; index < sizeof pieces / sizeof *pieces; index++) free((void *)(uintptr_t)pieces[index]);
}

/* ── Captures ── */

/* Moves what is left to the window's start and reads behind it. */
static void refill(struct run *run, int input) {
  uint32_t left = run->end - run->at;
  memmove(run->window, run->window + run->at, left);
  run->at = 0;
  uint32_t room = WINDOW_BYTES - left < READ_BYTES ? WINDOW_BYTES - left : READ_BYTES;
  ssize_t got = read(input, run->window + left, room);
  if (got < 0) die("cannot read: %s", strerror(errno));
  run->end = left + (uint32_t)got;
  run->is_eof = got == 0;
}

/* Opens a capture, reads its header, and sets byte order and clock. */
static int open_capture(struct run *run, const char *name) {
  int input = open(name, O_RDONLY);
  if (input < 0) die("%s: %s", name, strerror(errno));
  while (run->end < PCAP_HEADER_BYTES && !run->is_eof) refill(run, input);
  if (run->end < PCAP_HEADER_BYTES) die("%s: no pcap", name);
  uint32_t magic = load32(run->window);
  run->is_swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
  if (run->is_swapped) magic = __builtin_bswap32(magic);
  if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) die("%s: no pcap", name);
  run->interfaces[0].units = magic == 0xa1b23c4d ? 1000000000 : 1000000;
  run->interfaces[0].multiplier = 1;
  run->at = PCAP_HEADER_BYTES;
  return input;
}

static void write_all(int output, const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t done = write(output, bytes, count);
    if (done < 0) die("cannot write: %s", strerror(errno));
    bytes += done;
    count -= (size_t)done;
  }
}

/* Copies a small file, the header of the output. */
static void write_header_file(int output, const char *name) {
  uint8_t piece[4096];
  int input = open(name, O_RDONLY);
  if (input < 0) die("%s: %s", name, strerror(errno));
  for (ssize_t got; (got = read(input, piece, sizeof piece)) > 0;) write_all(output, piece, (size_t)got);
  close(input);
}

/* Makes a run ready for a capture: nothing read, nothing written, nothing counted. */
static void prepare(struct run *run, uint32_t in_port, bool is_wanted) {
  memset(&counters, 0, sizeof counters);
  run->interfaces[0].in_port = in_port;
  run->at = run->end = run->used = run->filled = run->first = 0;
  run->is_eof = false;
  run->fault = NULL;
  run->is_wanted = is_wanted;
}

/* ── Report ── */

static void print_counts(void) {
  uint64_t frames = counters.snapped, drops[REASON_COUNT] = {0}, tables[6] = {0}, dropped_frames = 0, replies = 0;
  for (uint32_t path = 0; path < PATH_COUNT; path++) {
    for (uint32_t reason = 0; reason < REASON_COUNT; reason++) {
      uint64_t met = counters.outcomes[path * OUTCOMES_A_PATH + reason];
      frames += met;
      drops[reason] += met;
      if (reason != REASON_NONE) dropped_frames += met;
      for (uint32_t bit = 0; bit < 6; bit++) tables[bit] += path >> bit & 1 ? met : 0;
    }
  }
  for (uint32_t port = 0; port <= MAX_PORT_NUMBER; port++) replies += counters.ports[port].reply_frames;
  printf("\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"snapped\":%" PRIu64, frames, counters.bytes, counters.snapped);
  printf(",\"verdicts\":{\"drop\":%" PRIu64 ",\"output\":%" PRIu64 ",\"reply\":%" PRIu64 "}", dropped_frames,
         frames - counters.snapped - dropped_frames - replies, replies);
  const char *comma = "";
  printf(",\"drops\":{");
  for (uint32_t reason = 1; reason < REASON_COUNT; reason++) {
    if (drops[reason] == 0) continue;
    printf("%s\"%s\":%" PRIu64, comma, reasons[reason], drops[reason]);
    comma = ",";
  }
  comma = "";
  printf("},\"tables\":{");
  for (uint32_t bit = 0; bit < 6; bit++) {
    if (tables[bit] == 0) continue;
    printf("%s\"%u\":%" PRIu64, comma, table_numbers[bit], tables[bit]);
    comma = ",";
  }
  printf("}");
}

static void print_ports(void) {
  const char *comma = "";
  printf(",\"ports\":[");
  for (uint32_t number = 0; number <= MAX_PORT_NUMBER; number++) {
    const struct port_counters *port = &counters.ports[number];
    if (port->rx_frames == 0 && port->tx_frames == 0) continue;
    printf("%s{\"port\":%u,\"rxFrames\":%" PRIu64 ",\"rxBytes\":%" PRIu64 ",\"txFrames\":%" PRIu64, comma, number,
           port->rx_frames, port->rx_bytes, port->tx_frames);
    printf(",\"txBytes\":%" PRIu64 ",\"replyFrames\":%" PRIu64 ",\"replyBytes\":%" PRIu64 ",\"dropFrames\":%" PRIu64 "}",
           port->tx_bytes, port->reply_frames, port->reply_bytes, port->drop_frames);
    comma = ",";
  }
  printf("]");
}

/* ── Commands ── */

static void replay_capture(struct run *run, char **arguments) {
  const char *in_name = arguments[0], *header_name = arguments[2], *out_name = arguments[3];
  bool is_wanted = strcmp(out_name, "-") != 0;
  uint64_t start = now_ns();
  prepare(run, (uint32_t)strtoul(arguments[1], NULL, 10), is_wanted);
  int input = open_capture(run, in_name), output = -1;
  if (is_wanted) {
    output = open(out_name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (output < 0) die("%s: %s", out_name, strerror(errno));
    write_header_file(output, header_name);
  }
  for (enum event event; (event = run_window(run)) != EVENT_ENDED;) {
    if (event == EVENT_WANTS_INPUT) {
      refill(run, input);
    } else {
      write_all(output, run->output, run->used);
      run->used = 0;
    }
  }
  if (is_wanted) {
    write_all(output, run->output, run->used);
    if (close(output) != 0) die("%s: %s", out_name, strerror(errno));
  }
  close(input);
  double seconds = (double)(now_ns() - start) / 1e9;
  if (run->fault != NULL) die("%s: %s", in_name, run->fault);
  printf("{");
  print_counts();
  print_ports();
  printf(",\"seconds\":%.9f}\n", seconds);
}

/* Runs the whole window once. Gives the number of frames. */
static uint64_t run_round(struct run *run, uint32_t first, uint32_t end) {
  uint64_t output_bytes = 0;
  run->at = first;
  run->end = end;
  run->used = run->filled = run->first = 0;
  while (run_window(run) == EVENT_IS_FULL) {
    output_bytes += run->used;
    run->used = 0;
  }
  return output_bytes + run->used;
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void run_in_memory(struct run *run, char **arguments) {
  uint32_t rounds = (uint32_t)strtoul(arguments[2], NULL, 10);
  if (rounds == 0) die("no rounds");
  prepare(run, (uint32_t)strtoul(arguments[1], NULL, 10), strcmp(arguments[3], "write") == 0);
  int input = open_capture(run, arguments[0]);
  uint32_t first = run->at;
  run->at = 0;
  while (run->end < WINDOW_BYTES && !run->is_eof) refill(run, input);
  close(input);
  uint32_t end = run->end;
  /* A record that the window's end cuts is no damage: more would be read. */
  run->is_eof = false;
  uint64_t output_bytes = run_round(run, first, end), frames = counters.snapped;
  for (uint32_t outcome = 0; outcome < PATH_COUNT * OUTCOMES_A_PATH; outcome++) frames += counters.outcomes[outcome];
  if (run->fault != NULL || frames == 0) die("%s: no frames, or damaged", arguments[0]);
  double *times = allocate(LINE_BYTES, rounds * sizeof *times);
  for (uint32_t round = 0; round < rounds; round++) {
    uint64_t start = now_ns();
    run_round(run, first, end);
    times[round] = (double)(now_ns() - start) / (double)frames;
  }
  qsort(times, rounds, sizeof *times, compare);
  printf("{\"frames\":%" PRIu64 ",\"rounds\":%u,\"outputBytes\":%" PRIu64 ",", frames, rounds, output_bytes);
  printf("\"minNs\":%.4f,\"medianNs\":%.4f,\"p90Ns\":%.4f}\n", times[0], times[rounds / 2], times[(size_t)rounds * 9 / 10]);
  free(times);
}

int main(int count, char **arguments) {
  bool is_replay = count >= 7 && (count - 3) % 4 == 0 && strcmp(arguments[1], "replay") == 0;
  bool is_memory = count == 7 && strcmp(arguments[1], "memory") == 0;
  if (!is_replay && !is_memory) {
    fputs("usage: yardstick replay BANK (IN.pcap IN_PORT HEADER OUT)...\n"
          "       yardstick memory BANK IN.pcap IN_PORT ROUNDS judge|write\n", stderr);
    return 2;
  }
  struct run *run = allocate(LINE_BYTES, sizeof *run);
  memset(run, 0, sizeof *run);
  run->tables = read_bank(arguments[2]);
  run->counters = &counters;
  run->window = allocate(4096, WINDOW_BYTES + YARDSTICK_SLACK);
  run->output = allocate(4096, OUTPUT_BYTES + YARDSTICK_SLACK);
  memset(run->window + WINDOW_BYTES, 0, YARDSTICK_SLACK);
  if (is_memory) run_in_memory(run, arguments + 3);
  for (int at = 3; is_replay && at < count; at += 4) replay_capture(run, arguments + at);
  free_tables(&run->tables);
  free(run->window);
  free(run->output);
  free(run);
  return 0;
}
