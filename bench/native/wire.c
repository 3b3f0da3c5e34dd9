/*
 * Yardsticks and tools for live ports, each as small as the work allows:
 *   wire tap A B               reads from tap A, writes to tap B, a frame a call, and does nothing else
 *   wire packet A B            recvmmsg from interface A, sendmmsg to interface B, 64 frames a call, and nothing else
 *   wire burst IF COUNT HEX           sends a frame so many times, as fast as it goes
 *   wire send IF SECONDS RATE HEX     sends a frame again and again, RATE a second (0: as fast as it goes)
 *   wire latency A B COUNT GAP_US HEX sends a frame by A, waits for one at B; nanoseconds between, a line each
 * The first two say "ready" and run until SIGTERM, then print the frames they moved. Linux only: packet(7), tuntap.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { FRAME_BYTES = 2048, BATCH = 64, RECEIVE_BYTES = 32 << 20, QUEUE_FRAMES = 8192, MOST_DUE = 2048 };

static volatile sig_atomic_t is_stopped = 0;

static void stop(int signal_number) {
  (void)signal_number;
  is_stopped = 1;
}

static void fail(const char *what) {
  fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void change_interface(const char *name, unsigned long request, struct ifreq *structure) {
  strncpy(structure->ifr_name, name, IFNAMSIZ - 1);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, request, structure) < 0) fail(name);
  close(fd);
}

static int open_tap(const char *name) {
  int fd = open("/dev/net/tun", O_RDWR);
  if (fd < 0) fail("/dev/net/tun");
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (ioctl(fd, TUNSETIFF, &request) < 0) fail(name);
  struct ifreq queue = {0};
  queue.ifr_qlen = QUEUE_FRAMES;
  change_interface(name, SIOCSIFTXQLEN, &queue);
  struct ifreq flags = {0};
  change_interface(name, SIOCGIFFLAGS, &flags);
  flags.ifr_flags |= IFF_UP;
  change_interface(name, SIOCSIFFLAGS, &flags);
  return fd;
}

static int open_packet(const char *name, int protocol) {
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) fail("packet socket");
  int one = 1;
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0) fail("PACKET_IGNORE_OUTGOING");
  if (protocol == 0) setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  int bytes = RECEIVE_BYTES;
  setsockopt(fd, SOL_SOCKET, protocol == 0 ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &bytes, sizeof bytes);
  struct sockaddr_ll address = {0};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons((uint16_t)protocol);
  address.sll_ifindex = (int)if_nametoindex(name);
  if (address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail(name);
  return fd;
}

static void ready(void) {
  struct sigaction action = {0};
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, NULL);
  puts("ready");
  fflush(stdout);
}

static void forward_tap(const char *from, const char *to) {
  static char frame[FRAME_BYTES];
  int in = open_tap(from), out = open_tap(to);
  uint64_t frames = 0;
  ready();
  while (!is_stopped) {
    ssize_t bytes = read(in, frame, sizeof frame);
    if (bytes > 0 && write(out, frame, (size_t)bytes) == bytes) frames++;
  }
  printf("%llu\n", (unsigned long long)frames);
}

struct batch {
  char frames[BATCH][FRAME_BYTES];
  struct iovec vectors[BATCH];
  struct mmsghdr headers[BATCH];
};

static void forward_packet(const char *from, const char *to) {
  static struct batch batch;
  int in = open_packet(from, ETH_P_ALL), out = open_packet(to, 0);
  for (int index = 0; index < BATCH; index++) {
    batch.vectors[index].iov_base = batch.frames[index];
    batch.headers[index].msg_hdr.msg_iov = &batch.vectors[index];
    batch.headers[index].msg_hdr.msg_iovlen = 1;
  }
  uint64_t frames = 0;
  ready();
  while (!is_stopped) {
    for (int index = 0; index < BATCH; index++) batch.vectors[index].iov_len = FRAME_BYTES;
    int got = recvmmsg(in, batch.headers, BATCH, MSG_WAITFORONE, NULL);
    if (got <= 0) continue;
    for (int index = 0; index < got; index++) batch.vectors[index].iov_len = batch.headers[index].msg_len;
    for (int sent = 0; sent < got;) {
      int more = sendmmsg(out, batch.headers + sent, (unsigned)(got - sent), 0);
      if (more <= 0) more = 1;
      else frames += (uint64_t)more;
      sent += more;
    }
  }
  printf("%llu\n", (unsigned long long)frames);
}

static size_t read_hex(const char *hex, char *frame) {
  size_t bytes = strlen(hex) / 2;
  for (size_t at = 0; at < bytes && at < FRAME_BYTES; at++) {
    unsigned int byte = 0;
    sscanf(hex + 2 * at, "%2x", &byte);
    frame[at] = (char)byte;
  }
  return bytes;
}

/* A batch of the same frame over and over. */
static struct batch repeated;

static void repeat(const char *hex) {
  size_t bytes = read_hex(hex, repeated.frames[0]);
  for (int index = 0; index < BATCH; index++) {
    repeated.vectors[index].iov_base = repeated.frames[0];
    repeated.vectors[index].iov_len = bytes;
    repeated.headers[index].msg_hdr.msg_iov = &repeated.vectors[index];
    repeated.headers[index].msg_hdr.msg_iovlen = 1;
  }
}

/* Sends up to so many frames with one call; gives how many, 0 when the interface refused one. */
static uint64_t send_some(int out, uint64_t most) {
  int sent = sendmmsg(out, repeated.headers, most < BATCH ? (unsigned)most : BATCH, 0);
  return sent > 0 ? (uint64_t)sent : 0;
}

static void send_burst(const char *name, uint64_t count, const char *hex) {
  repeat(hex);
  int out = open_packet(name, 0);
  uint64_t sent = 0, refused = 0;
  while (sent + refused < count) {
    uint64_t more = send_some(out, count - sent - refused);
    sent += more;
    if (more == 0) refused++;
  }
  printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)refused);
}

/* What it did not send because it did not run itself is not sent later in one burst: that would be another rate. */
static void send_frames(const char *name, double seconds, double rate, const char *hex) {
  repeat(hex);
  int out = open_packet(name, 0);
  int64_t before = now_ns(), end = before + (int64_t)(seconds * 1e9);
  uint64_t sent = 0, refused = 0;
  double due = 0;
  for (int64_t now = before; now < end; before = now, now = now_ns()) {
    due += (double)(now - before) / 1e9 * rate;
    if (due > MOST_DUE || rate == 0) due = rate == 0 ? BATCH : MOST_DUE;
    while (due >= 1) {
      uint64_t more = send_some(out, (uint64_t)due);
      sent += more;
      if (more == 0) refused++;
      due -= more == 0 ? 1 : (double)more;
    }
    if (rate != 0) {
      struct timespec pause = {0, 50000};
      nanosleep(&pause, NULL);
    }
  }
  printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)refused);
}

static void measure_latency(const char *from, const char *to, int count, int gap_us, const char *hex) {
  static char frame[FRAME_BYTES], answer[FRAME_BYTES];
  size_t bytes = read_hex(hex, frame);
  int out = open_packet(from, 0), in = open_packet(to, ETH_P_ALL);
  for (int index = 0; index < count; index++) {
    struct pollfd wait = {in, POLLIN, 0};
    struct timespec pause = {0, gap_us * 1000L};
    nanosleep(&pause, NULL);
    int64_t start = now_ns();
    if (send(out, frame, bytes, 0) < 0) fail("send");
    if (poll(&wait, 1, 1000) != 1) {
      fprintf(stderr, "wire: no frame at %s within a second\n", to);
      exit(1);
    }
    int64_t end = now_ns();
    while (recv(in, answer, sizeof answer, MSG_DONTWAIT) > 0) continue;
    printf("%lld\n", (long long)(end - start));
  }
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (count == 4 && strcmp(what, "tap") == 0) forward_tap(words[2], words[3]);
  else if (count == 4 && strcmp(what, "packet") == 0) forward_packet(words[2], words[3]);
  else if (count == 5 && strcmp(what, "burst") == 0) send_burst(words[2], (uint64_t)atoll(words[3]), words[4]);
  else if (count == 6 && strcmp(what, "send") == 0) send_frames(words[2], atof(words[3]), atof(words[4]), words[5]);
  else if (count == 7 && strcmp(what, "latency") == 0)
    measure_latency(words[2], words[3], atoi(words[4]), atoi(words[5]), words[6]);
  else {
    fputs("wire: tap A B | packet A B | burst IF COUNT HEX | send IF SECONDS RATE HEX | latency A B COUNT GAP_US HEX\n", stderr);
    return 1;
  }
  return 0;
}
