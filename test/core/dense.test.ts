/**
 * Dense tables from outside: addresses that lie close together, edits that cross the rule's border both
 * ways, and the corners of address space. What is right a Map says; whether a dense table or the buckets
 * answered is read from the bank. Also that looking at large tables before a batch changes nothing but the
 * time it takes.
 */
import * as abi from "../../assembly/abi.ts";
import { adoptImage, Core, editRoutes, imageOf, setNextHop } from "../../src/core/index.ts";
import { type Intent, parseIntent, type Routes } from "../../src/intent/index.ts";
import { eth, formatIpv4 } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { allCores, captured } from "./compare.ts";

const test = suite("dense tables");
const UPLINK = 1;
const VM = 11;
const HOPS = 40;
const BASE = 0x0a000000;

/** A VM, and these /32 routes; next hop i pushes label 100 + i. */
function intentOf(addresses: readonly number[]): Intent {
  const { intent } = parseIntent(
    `{name: a, bridge: br0, label: 1001, uplink: {port: up, ofport: ${UPLINK}, mac: "02:00:00:00:00:01"}, vms: [
      {id: 1, name: a, port: t, ofport: ${VM}, mac: "52:54:00:00:00:01", addresses: [203.0.113.7], path: l3}]}`,
    "dense.yaml",
    ".",
  );
  const routes: Routes = {
    count: addresses.length,
    prefixes: Uint32Array.from(addresses),
    lengths: new Uint8Array(addresses.length).fill(32),
    nextHopOf: Uint32Array.from(addresses, (_, index) => index % HOPS),
    nextHops: Array.from({ length: HOPS }, (_, index) => ({ labels: [100 + index], via: 0x020000000099 })),
  };
  return { ...intent!, routes };
}

function range(first: number, count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, index) => first + index * step);
}

function frameTo(address: number): Uint8Array {
  return eth({ dst: "fe:00:00:00:01:01", src: "52:54:00:00:00:01" })
    .ipv4({ src: "203.0.113.7", dst: formatIpv4(address), ttl: 64 })
    .payload(new Uint8Array(8))
    .bytes();
}

/** The next hop that packets to these addresses take, null for none. */
function lookUp(core: Core, addresses: readonly number[]): (number | null)[] {
  const results = core.runFrames(addresses.map(to => ({ inPort: VM, frame: frameTo(to) })));
  return results.map(({ frame }) =>
    frame === null ? null : ((frame[14]! << 12) | (frame[15]! << 4) | (frame[16]! >> 4)) - 100,
  );
}

/** Pages of the dense table of /32 routes (or of local addresses), 0 when the buckets are asked. */
function pagesOf(core: Core, record = abi.SETTING_DENSE_EXACT): number {
  return core.words[(core.exports.activeBank() + record + abi.DENSE_PAGES) >>> 2]!;
}

const add = (prefix: number, nextHop = 1) => ({ prefix, length: 32, nextHop });
const remove = (prefix: number) => ({ prefix, length: 32, nextHop: null });

for (const [build, core] of allCores()) {
  const first = seed();
  test(`${build}: random edits among 5,000 neighbours and, at times, a stranger (SEED=${first})`, () => {
    const random = rng(first);
    const known = new Map<number, number>();
    core.install(intentOf([]));
    for (let hop = 0; hop < HOPS; hop++)
      setNextHop(core, hop, { labels: [100 + hop], via: 0x020000000099 }, 0);
    const seen = new Set<boolean>();
    for (let round = 0; round < 150; round++) {
      // Strangers come in the middle third and go again.
      const isStrange = round >= 50 && round < 100;
      for (const address of isStrange ? [] : [...known.keys()].filter(key => key >>> 24 !== 10)) {
        editRoutes(core, [remove(address)]);
        known.delete(address);
      }
      for (let edit = 0; edit < 100; edit++) {
        const address =
          isStrange && random.chance(3) ? 0x14000000 + random.below(1 << 20) : BASE + random.below(5000);
        const isGone = known.has(address) && random.chance(50);
        const nextHop = random.below(HOPS);
        editRoutes(core, [isGone ? remove(address) : add(address, nextHop)]);
        if (isGone) known.delete(address);
        else known.set(address, nextHop);
      }
      seen.add(pagesOf(core) > 0);
      const asked = range(0, 60).map(() => BASE - 300 + random.below(5600));
      const strangers = [...known.keys()].filter(key => key >>> 24 !== 10).slice(0, 5);
      for (const address of [...asked, ...strangers])
        assert.is(lookUp(core, [address])[0], known.get(address) ?? null, `round ${round}`);
    }
    assert.equal([...seen].sort(), [false, true], "both tables answered");
    assert.ok(pagesOf(core) > 0, "and in the end the dense one again");
  });

  test(`${build}: a full page, the ends of a /8, and what is next to them`, () => {
    const page = range(0x0b010200, 256);
    const ends = [0x0b000000, 0x0bffffff];
    core.install(intentOf([...page, ...ends]));
    assert.is(pagesOf(core), 4);
    const expected = [...page, ...ends].map((_, index) => index % HOPS);
    assert.equal(lookUp(core, [...page, ...ends]), expected);
    assert.equal(lookUp(core, [0x0b0101ff, 0x0b010300, 0x0affffff, 0x0c000000, 0x0b000001, 0x0bfffffe]), [
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  test(`${build}: local addresses in the first and the last /8`, () => {
    for (const octet of [0, 255]) {
      const addresses = [1, 0xff, 0x100, 0xffff00, 0xffffff].map(rest => ((octet << 24) | rest) >>> 0);
      core.install(intentOf([]));
      // The intent's own address lies elsewhere: without it the addresses share their first octet.
      const edits = [[0xcb007107, abi.REMOVE], ...addresses.map(address => [address, VM])];
      core.words.set(edits.flat(), abi.STAGING >>> 2);
      assert.is(core.exports.applyHosts(edits.length), edits.length);
      // Edits went by while another octet was noted; as many again decide anew.
      const again = addresses.flatMap(address => [address, abi.REMOVE, address, VM]);
      core.words.set(again, abi.STAGING >>> 2);
      assert.is(core.exports.applyHosts(again.length / 2), again.length / 2);
      assert.ok(pagesOf(core, abi.SETTING_DENSE_HOSTS) > 0, `octet ${octet}`);
      const asked = [...addresses, addresses[0]! + 1, addresses[3]! + 1];
      const results = core.runFrames(asked.map(to => ({ inPort: UPLINK, frame: labelledTo(to) })));
      assert.equal(
        results.map(({ port }) => port),
        [...addresses.map(() => VM), null, null],
      );
    }
  });
}

function labelledTo(address: number): Uint8Array {
  return eth({ dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" })
    .mpls({ label: 1001, ttl: 9 })
    .ipv4({ src: "198.51.100.1", dst: formatIpv4(address), ttl: 64 })
    .payload(new Uint8Array(8))
    .bytes();
}

test("the border of the rule: pages, octets and values", () => {
  const core = Core.load();
  // 32 pages are always allowed, and the empty one is not counted.
  core.install(intentOf(range(BASE, 32, 256)));
  assert.is(pagesOf(core), 33);
  editRoutes(core, [add(BASE + 32 * 256)]);
  assert.is(pagesOf(core), 0);
  assert.equal(lookUp(core, [BASE, BASE + 31 * 256, BASE + 32 * 256]), [0, 31, 1]);
  core.install(intentOf(range(BASE, 33, 256)));
  assert.is(pagesOf(core), 0);
  // 5,000 entries have 128 KiB of buckets, a quarter of that is 64 pages.
  core.install(intentOf(range(BASE, 5000, 3)));
  assert.is(pagesOf(core), 60);
  const spread = range(BASE, 5000, 4);
  core.install(intentOf(spread));
  assert.is(pagesOf(core), 0);
  // As many edits as there are entries: what is left lies on few pages.
  editRoutes(core, spread.slice(0, 2400).map(remove));
  assert.is(pagesOf(core), 0);
  editRoutes(core, spread.slice(2400, 3400).map(remove));
  assert.ok(pagesOf(core) > 0);
  assert.equal(lookUp(core, [spread[3399]!, spread[3400]!, spread[4999]!]), [null, 3400 % HOPS, 4999 % HOPS]);
  core.install(intentOf([BASE, 0x0b000000]));
  assert.is(pagesOf(core), 0);
  core.install(intentOf([BASE]));
  for (let hop = HOPS; hop <= 65_535; hop++)
    setNextHop(core, hop, { labels: [7000], via: 0x020000000099 }, 0);
  editRoutes(core, [add(BASE + 1, 65_534)]);
  assert.is(pagesOf(core), 2);
  editRoutes(core, [add(BASE + 2, 65_535)]);
  assert.is(pagesOf(core), 0);
  assert.equal(lookUp(core, range(BASE, 4)), [0, 6900, 6900, null]);
});

test("an image carries dense tables along", () => {
  const [from, to] = [Core.load(), Core.load()];
  from.install(intentOf(range(BASE, 3000)));
  adoptImage(to, imageOf(from));
  assert.is(pagesOf(to), 13);
  assert.equal(lookUp(to, [BASE, BASE + 2999, BASE + 3000]), [0, 2999 % HOPS, null]);
  editRoutes(to, [add(BASE + 3000, 5)]);
  assert.is(lookUp(to, [BASE + 3000])[0], 5);
  from.install(intentOf([BASE, 0x14000000]));
  adoptImage(to, imageOf(from));
  assert.is(pagesOf(to), 0);
  assert.equal(lookUp(to, [BASE, 0x14000000, BASE + 1]), [0, 1, null]);
});

test("tables of every size that are looked at before a batch, or are not, give the same packets", () => {
  const core = Core.load();
  const routed = range(BASE, 600);
  const asked = range(0, 1000).map(index => BASE + ((index * 7) % 900));
  const frames = asked.map(frameTo);
  const others: readonly (readonly number[])[] = [
    [],
    range(0x0a010000, 400_000),
    range(0x14000000, 100_000, 977),
    range(0x0a100000, 30_000, 64),
  ];
  const sizes = others.map(more => {
    core.install(intentOf([...routed, ...more]));
    const buckets = core.words[(core.exports.activeBank() + abi.SETTING_EXACT + abi.TABLE_BUCKETS) >>> 2]!;
    return { output: captured(core, VM, frames), pages: pagesOf(core), buckets };
  });
  const [small, dense, scattered, sparse] = sizes as [
    (typeof sizes)[0],
    (typeof sizes)[0],
    (typeof sizes)[0],
    (typeof sizes)[0],
  ];
  const cached = 0x60000;
  assert.ok(small.buckets * abi.BUCKET_BYTES < cached && small.pages > 0, "neither");
  assert.ok(dense.pages * abi.DENSE_PAGE_BYTES > cached, "pages");
  assert.ok(scattered.pages === 0 && scattered.buckets * abi.BUCKET_BYTES > cached, "buckets");
  assert.ok(sparse.buckets * abi.BUCKET_BYTES > cached, "buckets of one /8");
  const found = asked.filter(address => address < BASE + routed.length).length;
  assert.is(small.output.length, found * (16 + 42 + 4));
  for (const { output } of sizes) assert.ok(output.equals(small.output), "other packets");
});

test.run();
