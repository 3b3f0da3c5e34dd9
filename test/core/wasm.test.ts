/** The compiled core as a module: small, without imports, and never trapping, whatever bytes it gets. */
import * as abi from "../../assembly/abi.ts";
import { readCore } from "../../src/core/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { allCores, install, makeWorld } from "./compare.ts";

const test = suite("wasm");

test("no imports, at most 36 KiB, a memory that cannot grow", () => {
  const bytes = readCore();
  // biome-ignore lint/suspicious/noExplicitAny: WebAssembly has no types without the DOM's.
  const { Module } = (globalThis as any).WebAssembly;
  assert.equal(Module.imports(new Module(bytes)), []);
  assert.ok(bytes.length <= 36 * 1024, `${bytes.length} bytes`);
  for (const [build, core] of allCores()) {
    const memory = core.exports.memory as unknown as { grow(pages: number): number; buffer: ArrayBuffer };
    assert.is(memory.buffer.byteLength, abi.MEMORY_PAGES * 65536, build);
    assert.throws(() => memory.grow(1));
  }
});

function denseBytes(pages: number): number {
  return abi.DENSE_DIRECTORY_BYTES + pages * abi.DENSE_PAGE_BYTES;
}

test("the memory map leaves no two areas on top of one another", () => {
  const areas: [string, number, number][] = [
    ["captures", abi.CAPTURES, abi.CAPTURES + abi.MAX_CAPTURES * abi.CAPTURE_BYTES],
    ["queue", abi.QUEUE, abi.QUEUE + abi.QUEUE_ENTRIES * abi.QUEUE_ENTRY_BYTES],
    ["reason options", abi.REASON_OPTIONS, abi.REASON_OPTIONS + abi.REASON_COUNT * abi.REASON_OPTIONS_BYTES],
    ["queue options", abi.QUEUE_OPTIONS, abi.QUEUE_OPTIONS + abi.QUEUE_ENTRIES * abi.QUEUE_OPTIONS_BYTES],
    ["places", abi.PLACES, abi.PLACES + 4 * abi.ROUTE_TABLE_COUNT],
    ["seen", abi.SEEN, abi.SEEN + 4],
    ["counters", abi.COUNTERS, abi.COUNTERS_END],
    ["staging", abi.STAGING, abi.STAGING + abi.MAX_EDITS * abi.ROUTE_EDIT_BYTES],
    ["frames", abi.FRAMES, abi.FRAMES_END],
    ["interfaces", abi.INTERFACES, abi.INTERFACES + abi.MAX_INTERFACES * abi.INTERFACE_BYTES],
    ["input", abi.INPUT, abi.INPUT + abi.MAX_CAPTURES * abi.WINDOW_BYTES + abi.SLACK_BYTES],
    ["output", abi.OUTPUT, abi.OUTPUT + abi.OUTPUT_BYTES + abi.SLACK_BYTES],
    ["drops", abi.DROPS, abi.DROPS + abi.DROPS_BYTES + abi.SLACK_BYTES],
    ["bank 0", abi.BANKS, abi.BANKS + abi.BANK_BYTES],
    ["bank 1", abi.BANKS + abi.BANK_BYTES, abi.BANKS + 2 * abi.BANK_BYTES],
    ["route tables", abi.ROUTE_TABLES, abi.MEMORY_PAGES * 65536],
    // In a bank.
    ["settings", abi.BANK_SETTINGS, abi.BANK_SETTINGS + abi.SETTINGS_BYTES],
    ["slots", abi.BANK_PORT_SLOTS, abi.BANK_PORT_SLOTS + 2 * (abi.MAX_PORT_NUMBER + 1)],
    ["ports", abi.BANK_PORTS, abi.BANK_PORTS + abi.MAX_PORTS * abi.PORT_BYTES],
    ["macs", abi.BANK_MACS, abi.BANK_MACS + abi.MAC_SLOTS * 8],
    ["hosts", abi.BANK_HOSTS, abi.BANK_HOSTS + abi.MAX_HOST_BUCKETS * abi.BUCKET_BYTES],
    ["leaves", abi.BANK_SHORT_LEAVES, abi.BANK_SHORT_LEAVES + 4 * 65536],
    ["heap", abi.BANK_SHORT_HEAP, abi.BANK_SHORT_HEAP + 4 * 131072],
    ["lengths", abi.BANK_LONG_LENGTHS, abi.BANK_LONG_LENGTHS + 4 * 65536],
    ["counts", abi.BANK_LONG_COUNTS, abi.BANK_LONG_COUNTS + 2 * 65536 * 16],
    ["next hops", abi.BANK_NEXT_HOPS, abi.BANK_NEXT_HOPS + abi.MAX_NEXT_HOPS * abi.NEXT_HOP_BYTES],
    ["dense hosts", abi.BANK_DENSE_HOSTS, abi.BANK_DENSE_HOSTS + denseBytes(abi.MAX_DENSE_HOST_PAGES)],
    ["dense routes", abi.BANK_DENSE_EXACT, abi.BANK_DENSE_EXACT + denseBytes(abi.MAX_DENSE_EXACT_PAGES)],
  ];
  const check = (rows: typeof areas): void => {
    for (const [index, [name, , end]] of rows.entries()) {
      const next = rows[index + 1];
      if (next !== undefined)
        assert.ok(end <= next[1], `${name} ends at ${end}, ${next[0]} begins at ${next[1]}`);
    }
  };
  const inBank = areas.findIndex(([name]) => name === "settings");
  check(areas.slice(0, inBank));
  check(areas.slice(inBank));
  assert.ok(abi.BANK_DENSE_EXACT + denseBytes(abi.MAX_DENSE_EXACT_PAGES) <= abi.BANK_BYTES);
});

test("100,000 descriptors full of random bytes: no trap, verdicts in range", () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  for (const [build, core] of allCores()) {
    const random = rng(first);
    install(core, makeWorld(first, 1).intent);
    const { bytes, words, exports } = core;
    const data = abi.FRAMES_END - abi.FRAMES_DATA;
    for (let index = 0; index < data; index += 4) words[(abi.FRAMES_DATA + index) >>> 2] = random.u32();
    for (let batch = 0; batch < 100; batch++) {
      for (let index = 0; index < 1000; index++) {
        const at = (abi.FRAMES + index * abi.DESCRIPTOR_BYTES) >>> 2;
        const length = random.chance(90) ? random.below(2000) : random.u32();
        words[at] = random.chance(80) ? random.below(40) : random.u32();
        words[at + 1] = abi.FRAMES_DATA + 64 + random.below(data - 20_000);
        words[at + 2] = length;
      }
      exports.runFrames(1000);
      for (let index = 0; index < 1000; index++) {
        const at = abi.FRAMES + index * abi.DESCRIPTOR_BYTES;
        const reason = bytes[at + abi.DESCRIPTOR_REASON]!;
        assert.ok(reason < abi.REASON_COUNT, build);
        assert.is(bytes[at + abi.DESCRIPTOR_VERDICT] === abi.Verdict.Drop, reason !== 0, build);
      }
    }
  }
});

test.run();
