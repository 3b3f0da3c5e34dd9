/*
 * Lookups in the core's tables (assembly/table/), on the very bytes that the core built. What is constant during a
 * batch (settings, places, sizes) is taken out of the bank once, as a C program would. A port is its record's offset
 * in the bank, a next hop its number from 1 on; 0 is none. A bucket's eight keys are compared at once, in whatever the
 * processor has.
 */
#ifndef TABLES_H
#define TABLES_H

#include "wire.h"

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#define GOLDEN 0x9e3779b97f4a7c15ull
#define BUCKET_VALUES 32u
#define BUCKET_OVERFLOW 63u
#define VALUE_MASK 0xffffffu

_Static_assert(BUCKET_BYTES == 64, "eight keys, eight values, one cache line");

struct buckets {
  const uint8_t *first;
  uint32_t mask;
};

/* A dense table (assembly/table/dense.ts): directory, then pages; none when there are no pages. */
struct dense {
  const uint8_t *directory;
  uint32_t octet, pages;
};

struct tables {
  const uint8_t *bank, *next_hops;
  struct buckets hosts, exact, longer;
  struct dense dense_hosts, dense_exact;
  uint64_t uplink_mac, virtual_mac;
  uint32_t label, uplink, next_hop_count;
};

/* ── Buckets ── */

/* Bit i: slot i holds the key. */
ALWAYS uint32_t bucket_matches(const uint8_t *bucket, uint32_t key) {
#if defined(__AVX2__)
  __m256i keys = _mm256_load_si256((const __m256i *)bucket);
  __m256i equal = _mm256_cmpeq_epi32(keys, _mm256_set1_epi32((int)key));
  return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(equal));
#elif defined(__SSE2__)
  __m128i wanted = _mm_set1_epi32((int)key);
  __m128i low = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)bucket), wanted);
  __m128i high = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(bucket + 16)), wanted);
  return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(low)) | (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
#else
  uint32_t found = 0;
  for (uint32_t slot = 0; slot < 8; slot++) found |= (uint32_t)(load32(bucket + slot * 4) == key) << slot;
  return found;
#endif
}

ALWAYS const uint8_t *bucket_home(struct buckets table, uint32_t key) {
  uint32_t hash = (uint32_t)(key * GOLDEN >> 44);
  return table.first + (size_t)(hash & table.mask) * BUCKET_BYTES;
}

ALWAYS uint32_t bucket_value(const uint8_t *bucket, uint32_t found) {
  return load32(bucket + BUCKET_VALUES + (unsigned)__builtin_ctz(found) * 4) & VALUE_MASK;
}

COLD uint32_t find_further(const uint8_t *table, uint32_t mask, const uint8_t *bucket, uint32_t key) {
  const uint8_t *end = table + ((size_t)mask + 1) * BUCKET_BYTES;
  for (uint32_t passed = 1; passed <= mask && bucket[BUCKET_OVERFLOW] != 0; passed++) {
    bucket += BUCKET_BYTES;
    if (bucket == end) bucket = table;
    uint32_t found = bucket_matches(bucket, key);
    if (found != 0) return bucket_value(bucket, found);
  }
  return 0;
}

/* The key's value, 0 when it is not there. */
ALWAYS uint32_t find(struct buckets table, uint32_t key) {
  const uint8_t *bucket = bucket_home(table, key);
  uint32_t found = bucket_matches(bucket, key);
  if (found != 0) return bucket_value(bucket, found);
  if (likely(bucket[BUCKET_OVERFLOW] == 0)) return 0;
  return find_further(table.first, table.mask, bucket, key);
}

/* ── Dense tables ── */

ALWAYS const uint8_t *dense_entry(struct dense table, uint32_t key) {
  return table.directory + (key << 1 & 0x1fe00) + (key >> 15 & 0x1fe);
}

ALWAYS const uint8_t *dense_leaf(struct dense table, uint32_t key) {
  uint32_t page = load16(dense_entry(table, key));
  return table.directory + DENSE_DIRECTORY_BYTES + (size_t)page * DENSE_PAGE_BYTES + (key >> 24) * 2;
}

/* The key's value, 0 when it is not there. */
ALWAYS uint32_t find_dense(struct dense table, uint32_t key) {
  return (key & 0xff) == table.octet ? load16(dense_leaf(table, key)) : 0;
}

ALWAYS uint32_t find_in(struct dense dense, struct buckets buckets, uint32_t key) {
  return dense.pages != 0 ? find_dense(dense, key) : find(buckets, key);
}

/* ── Ports and hosts ── */

ALWAYS uint32_t port_of_slot(uint32_t slot) { return BANK_PORTS + slot * PORT_BYTES; }

ALWAYS uint32_t port_of_number(const struct tables *tables, uint32_t number) {
  if (number > MAX_PORT_NUMBER) return 0;
  uint32_t slot = load16(tables->bank + BANK_PORT_SLOTS + (size_t)number * 2);
  return slot == 0 ? 0 : port_of_slot(slot - 1);
}

ALWAYS uint32_t port_flags(const struct tables *tables, uint32_t port) {
  return load32(tables->bank + port + PORT_FLAGS);
}

ALWAYS uint32_t port_max_frame(const struct tables *tables, uint32_t port) {
  return load32(tables->bank + port + PORT_MAX_FRAME_BYTES);
}

/* The slot, from 1 on, of the port behind which an address lives. */
ALWAYS uint32_t host_value(const struct tables *tables, uint32_t address) {
  return find_in(tables->dense_hosts, tables->hosts, address);
}

ALWAYS uint32_t port_of_host(const struct tables *tables, uint32_t address) {
  uint32_t value = host_value(tables, address);
  return value == 0 ? 0 : port_of_slot(value - 1);
}

ALWAYS bool owns_address(const struct tables *tables, uint32_t port, uint32_t address) {
  const uint8_t *record = tables->bank + port;
  uint32_t known = load32(record + PORT_ADDRESS);
  if (likely(address == known)) return address != 0;
  if (known != 0 && load32(record + PORT_ADDRESS_COUNT) == 1) return false;
  uint32_t value = host_value(tables, address);
  return value != 0 && port_of_slot(value - 1) == port;
}

ALWAYS uint32_t port_of_mac(const struct tables *tables, uint64_t mac) {
  const uint8_t *macs = tables->bank + BANK_MACS;
  uint32_t slot = (uint32_t)(mac * GOLDEN >> 50);
  uint64_t there = load64(macs + (size_t)slot * 8);
  while (there != 0 && (there & MAC_MASK) != mac) {
    slot = (slot + 1) % MAC_SLOTS;
    there = load64(macs + (size_t)slot * 8);
  }
  return there == 0 ? 0 : port_of_slot((uint32_t)(there >> 48) - 1);
}

/* ── Routes ── */

/* The most specific route of length 0…31 for an address in host order. */
ALWAYS uint32_t prefix_lookup(const struct tables *tables, uint32_t address) {
  const uint8_t *block = tables->bank + (size_t)(address >> 16) * 4;
  uint32_t lengths = load32(block + BANK_LONG_LENGTHS);
  while (lengths != 0) {
    uint32_t length = 31u - (uint32_t)__builtin_clz(lengths);
    uint32_t after = 1u << (31 - length);
    uint32_t found = find(tables->longer, (address & ~(after - 1)) | after);
    if (found != 0) return found;
    lengths ^= 1u << length;
  }
  return load32(block + BANK_SHORT_LEAVES) & VALUE_MASK;
}

ALWAYS uint32_t next_hop_to(const struct tables *tables, uint32_t address) {
  uint32_t found = find_in(tables->dense_exact, tables->exact, address);
  return found != 0 ? found : prefix_lookup(tables, __builtin_bswap32(address));
}

ALWAYS const uint8_t *next_hop_at(const struct tables *tables, uint32_t next_hop) {
  return tables->next_hops + (size_t)(next_hop - 1) * NEXT_HOP_BYTES;
}

/* Bytes of the label stack that a next hop pushes. */
ALWAYS uint32_t labels_bytes(const struct tables *tables, uint32_t next_hop) {
  return load32(next_hop_at(tables, next_hop) + NEXT_HOP_LABEL_COUNT) * LABEL_BYTES;
}

/* Of a table that a TABLE record in the bank describes, wherever its buckets lie. */
ALWAYS uint32_t table_bytes(const uint8_t *bank, uint32_t record) {
  return load32(bank + record + TABLE_BUCKETS) * BUCKET_BYTES;
}

ALWAYS struct buckets buckets_of(const uint8_t *bank, uint32_t record, const uint8_t *first) {
  return (struct buckets){first, load32(bank + record + TABLE_BUCKETS) - 1};
}

/* Bytes of a dense table that a DENSE record in the bank describes. */
ALWAYS uint32_t dense_bytes(const uint8_t *bank, uint32_t record) {
  uint32_t pages = load32(bank + record + DENSE_PAGES);
  return pages == 0 ? 0 : DENSE_DIRECTORY_BYTES + pages * DENSE_PAGE_BYTES;
}

ALWAYS struct dense dense_of(const uint8_t *bank, uint32_t record, const uint8_t *directory) {
  uint32_t pages = load32(bank + record + DENSE_PAGES);
  return (struct dense){directory, load32(bank + record + DENSE_OCTET), pages};
}

/* Takes the settings out of a bank. Local addresses lie in it, routes and next hops where the caller put them. */
static struct tables tables_of(const uint8_t *bank, const uint8_t *next_hops, const uint8_t *exact,
                               const uint8_t *longer, const uint8_t *dense_hosts, const uint8_t *dense_exact) {
  return (struct tables){
      .bank = bank,
      .next_hops = next_hops,
      .hosts = buckets_of(bank, SETTING_HOSTS, bank + BANK_HOSTS),
      .exact = buckets_of(bank, SETTING_EXACT, exact),
      .longer = buckets_of(bank, SETTING_LONG, longer),
      .dense_hosts = dense_of(bank, SETTING_DENSE_HOSTS, dense_hosts),
      .dense_exact = dense_of(bank, SETTING_DENSE_EXACT, dense_exact),
      .uplink_mac = load64(bank + SETTING_UPLINK_MAC),
      .virtual_mac = load64(bank + SETTING_VIRTUAL_MAC),
      .label = load32(bank + SETTING_LABEL),
      .uplink = load32(bank + SETTING_UPLINK),
      .next_hop_count = load32(bank + SETTING_NEXT_HOP_COUNT),
  };
}

#endif
