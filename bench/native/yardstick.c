/*
 * The native yardstick: what the core does, done by a C program on the core's own tables, with the same checks,
 * reasons and counters and byte-identical output, as well as we can write it. It exists to be compared with.
 *
 *   yardstick replay BANK (IN.pcap IN_PORT HEADER OUT)...      captures to pcapng files, or to nothing when OUT is -
 *   yardstick memory BANK IN.pcap WINDOWS                      parts of a capture again and again, in memory
 *
 * BANK is written by dump.ts, HEADER holds the bytes that stand in front of the packets of OUT. Each capture gives
 * one line of JSON. WINDOWS has a line `IN_PORT BYTES` for each part of IN.pcap, in order; what is to be done with them
 * comes by standard input, until that ends, and each line is answered by one of JSON:
 *
 *   check OUT                        one pass over all windows: the packets written to OUT, and what was counted
 *   turn judge|write SAMPLES SECONDS passes for SECONDS, SAMPLES times: the median of a pass's nanoseconds a frame
 *
 * YARDSTICK_PAGES=small keeps the tables off huge pages, where a WebAssembly memory never is.
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

/* ── Windows in memory ── */

#define MAX_SAMPLES 1000u

struct window {
  uint32_t in_port, bytes;
};

/* Windows that take turns, one behind the other in memory. */
struct windows {
  struct window *each;
  size_t count;
  uint8_t *bytes;
  uint64_t frames;
};

static struct windows read_windows(const char *list_name, const char *capture_name) {
  FILE *list = fopen(list_name, "r");
  if (list == NULL) die("%s: %s", list_name, strerror(errno));
  struct windows windows = {0};
  struct window next;
  size_t total = 0;
  while (fscanf(list, "%u %u", &next.in_port, &next.bytes) == 2) {
    windows.each = realloc(windows.each, (windows.count + 1) * sizeof next);
    if (windows.each == NULL) die("no memory for %zu windows", windows.count + 1);
    windows.each[windows.count++] = next;
    total += next.bytes;
  }
  if (!feof(list) || windows.count == 0) die("%s: no list of windows", list_name);
  fclose(list);
  windows.bytes = allocate(4096, total + YARDSTICK_SLACK);
  memset(windows.bytes + total, 0, YARDSTICK_SLACK);
  FILE *capture = fopen(capture_name, "rb");
  if (capture == NULL) die("%s: %s", capture_name, strerror(errno));
  if (fseek(capture, PCAP_HEADER_BYTES, SEEK_SET) != 0) die("%s: %s", capture_name, strerror(errno));
  read_exactly(capture, capture_name, windows.bytes, total);
  fclose(capture);
  return windows;
}

/* Runs every window from its start to its end; what leaves goes to `output`, or nowhere when that is negative. */
static void run_windows(struct run *run, const struct windows *windows, int output) {
  uint8_t *at = windows->bytes;
  for (size_t index = 0; index < windows->count; index++) {
    const struct window *window = &windows->each[index];
    run->window = at;
    run->interfaces[0].in_port = window->in_port;
    run->at = run->used = run->filled = run->first = 0;
    run->end = window->bytes;
    run->is_eof = true;
    at += window->bytes;
    enum event event;
    do {
      event = run_window(run);
      if (output >= 0) write_all(output, run->output, run->used);
      run->used = 0;
    } while (event == EVENT_IS_FULL);
    if (run->fault != NULL) die("window %zu: %s", index, run->fault);
  }
}

/* One pass whose packets are kept, to be compared with what the core makes of the same windows. */
static void check_windows(struct run *run, struct windows *windows, const char *name) {
  int output = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (output < 0) die("%s: %s", name, strerror(errno));
  prepare(run, 0, true);
  run_windows(run, windows, output);
  if (close(output) != 0) die("%s: %s", name, strerror(errno));
  windows->frames = counters.snapped;
  for (uint32_t outcome = 0; outcome < PATH_COUNT * OUTCOMES_A_PATH; outcome++) {
    windows->frames += counters.outcomes[outcome];
  }
  printf("{");
  print_counts();
  print_ports();
  printf("}\n");
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void time_windows(struct run *run, const struct windows *windows, bool is_wanted, uint32_t samples,
                         double seconds) {
  static double times[MAX_SAMPLES];
  if (windows->frames == 0) die("a turn before any check");
  if (samples == 0 || samples > MAX_SAMPLES) die("%u samples", samples);
  prepare(run, 0, is_wanted);
  /* What has just been cleared is not where the caches were in the steady state. */
  run_windows(run, windows, -1);
  uint64_t all_passes = 0;
  for (uint32_t sample = 0; sample < samples; sample++) {
    uint64_t passes = 0, start = now_ns(), now;
    do {
      run_windows(run, windows, -1);
      passes++;
      now = now_ns();
    } while ((double)(now - start) < seconds * 1e9);
    times[sample] = (double)(now - start) / (double)passes / (double)windows->frames;
    all_passes += passes;
  }
  qsort(times, samples, sizeof *times, compare);
  double median = (times[(samples - 1) / 2] + times[samples / 2]) / 2;
  printf("{\"ns\":%.6f,\"samples\":%u,\"passes\":%" PRIu64 "}\n", median, samples, all_passes);
}

static void serve_windows(struct run *run, char **arguments) {
  struct windows windows = read_windows(arguments[1], arguments[0]);
  run->interfaces[0].units = 1000000;
  run->interfaces[0].multiplier = 1;
  static char line[4096], name[4096];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char mode[6];
    uint32_t samples;
    double seconds;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "check %4095[^\n]", name) == 1) {
      check_windows(run, &windows, name);
    } else if (sscanf(line, "turn %5s %u %lf", mode, &samples, &seconds) == 3) {
      bool is_wanted = strcmp(mode, "write") == 0;
      if (!is_wanted && strcmp(mode, "judge") != 0) die("neither judge nor write: %s", mode);
      time_windows(run, &windows, is_wanted, samples, seconds);
    } else {
      die("neither check nor turn: %s", line);
    }
    fflush(stdout);
  }
  free(windows.each);
  free(windows.bytes);
}

int main(int count, char **arguments) {
  bool is_replay = count >= 7 && (count - 3) % 4 == 0 && strcmp(arguments[1], "replay") == 0;
  bool is_memory = count == 5 && strcmp(arguments[1], "memory") == 0;
  if (!is_replay && !is_memory) {
    fputs("usage: yardstick replay BANK (IN.pcap IN_PORT HEADER OUT)...\n"
          "       yardstick memory BANK IN.pcap WINDOWS\n", stderr);
    return 2;
  }
  struct run *run = allocate(LINE_BYTES, sizeof *run);
  memset(run, 0, sizeof *run);
  run->tables = read_bank(arguments[2]);
  run->counters = &counters;
  uint8_t *window = allocate(4096, WINDOW_BYTES + YARDSTICK_SLACK);
  memset(window + WINDOW_BYTES, 0, YARDSTICK_SLACK);
  run->window = window;
  run->output = allocate(4096, OUTPUT_BYTES + YARDSTICK_SLACK);
  if (is_memory) serve_windows(run, arguments + 3);
  for (int at = 3; is_replay && at < count; at += 4) replay_capture(run, arguments + at);
  free_tables(&run->tables);
  free(window);
  free(run->output);
  free(run);
  return 0;
}
