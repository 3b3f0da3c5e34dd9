/**
 * The tables from outside: routes and addresses are edited, and frames show what the core now knows. A
 * linear list of routes, searched from the longest prefix down, says what is right.
 */
import * as abi from "../../assembly/abi.ts";
import { CapacityError, Core, editRoutes, type RouteEdit, setNextHop } from "../../src/core/index.ts";
import { type Intent, parseIntent, type Routes } from "../../src/intent/index.ts";
import { eth, formatIpv4, maskOf } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { type Rng, rng } from "../model/random.ts";
import { allCores } from "./compare.ts";

const test = suite("tables");
const VM = 11;
const HOPS = 40;

function baseIntent(routes?: Routes): Intent {
  const { intent } = parseIntent(
    `{name: a, bridge: br0, label: 1001, uplink: {port: up, ofport: 1, mac: "02:00:00:00:00:01"}, vms: [
      {id: 1, name: a, port: t, ofport: ${VM}, mac: "52:54:00:00:00:01", addresses: [203.0.113.7], path: l3}]}`,
    "base.yaml",
    ".",
  );
  return { ...intent!, routes: routes ?? intent!.routes };
}

/** A core with next hops 0…HOPS-1, next hop i pushing label 100 + i. */
function coreWithHops(core: Core): Core {
  core.install(baseIntent());
  for (let index = 0; index < HOPS; index++)
    setNextHop(core, index, { labels: [100 + index], via: 0x020000000099 }, 0);
  return core;
}

function packetTo(address: number): Uint8Array {
  return eth({ dst: "fe:00:00:00:01:01", src: "52:54:00:00:00:01" })
    .ipv4({ src: "203.0.113.7", dst: formatIpv4(address), ttl: 64 })
    .payload(new Uint8Array(8))
    .bytes();
}

/** The next hop that packets to these addresses take, null for none. */
function lookUp(core: Core, addresses: readonly number[]): (number | null)[] {
  const frames = addresses.map(address => ({ inPort: VM, frame: packetTo(address) }));
  return core.runFrames(frames).map(({ frame, reason }) => {
    if (frame === null) {
      assert.is(reason, "no-route");
      return null;
    }
    return ((frame[14]! << 12) | (frame[15]! << 4) | (frame[16]! >> 4)) - 100;
  });
}

/** Routes as a map from `length/prefix`, searched the slow way. */
class Reference {
  readonly routes = new Map<string, number>();

  apply({ prefix, length, nextHop }: RouteEdit): void {
    const key = `${length}/${prefix}`;
    if (nextHop === null) this.routes.delete(key);
    else this.routes.set(key, nextHop);
  }

  lookUp(address: number): number | null {
    for (let length = 32; length >= 0; length--) {
      const hop = this.routes.get(`${length}/${(address & maskOf(length)) >>> 0}`);
      if (hop !== undefined) return hop;
    }
    return null;
  }

  /** A route that is there. */
  pick(random: Rng): { prefix: number; length: number } {
    const [length, prefix] = random
      .pick([...this.routes.keys()])
      .split("/")
      .map(Number) as [number, number];
    return { prefix, length };
  }
}

/** An address among few, so that prefixes nest; never martian. */
function address(random: Rng): number {
  const octets = [
    random.pick([1, 10, 100, 203]),
    random.below(4),
    random.pick([0, 1, 128, 255]),
    random.below(256),
  ];
  return octets.reduce((sum, octet) => sum * 256 + octet, 0) >>> 0;
}

function randomEdit(random: Rng, reference: Reference): RouteEdit {
  if (reference.routes.size > 0 && random.chance(45)) {
    const there = reference.pick(random);
    return { ...there, nextHop: random.chance(30) ? random.below(HOPS) : null };
  }
  const length = random.chance(40) ? 32 : random.below(33);
  return { prefix: (address(random) & maskOf(length)) >>> 0, length, nextHop: random.below(HOPS) };
}

for (const [build, core] of allCores()) {
  const first = seed();
  test(`${build}: 20,000 random edits, longest match after every hundred (SEED=${first})`, () => {
    const random = rng(first);
    const reference = new Reference();
    coreWithHops(core);
    for (let round = 0; round < 200; round++) {
      const edits: RouteEdit[] = [];
      for (let index = 0; index < 100; index++) {
        const edit = randomEdit(random, reference);
        reference.apply(edit);
        edits.push(edit);
      }
      editRoutes(core, edits);
      const addresses = Array.from({ length: 50 }, () => address(random));
      assert.equal(
        lookUp(core, addresses),
        addresses.map(target => reference.lookUp(target)),
        `round ${round}`,
      );
    }
  });
}

/** n different /32s (or prefixes of another length) spread by a multiplicative hash, none of them martian. */
function scattered(count: number, length: number, firstIndex = 0): number[] {
  const prefixes = new Set<number>();
  for (let index = firstIndex; prefixes.size < count; index++) {
    const prefix = (Math.imul(index + 1, 0x9e3779b1) & maskOf(length)) >>> 0;
    const octet = prefix >>> 24;
    if (octet !== 0 && octet !== 127 && octet < 224) prefixes.add(prefix);
  }
  return [...prefixes];
}

function routesOf(prefixes: readonly number[], length: number): Routes {
  return {
    count: prefixes.length,
    prefixes: Uint32Array.from(prefixes),
    lengths: new Uint8Array(prefixes.length).fill(length),
    nextHopOf: Uint32Array.from(prefixes, (_, index) => index % HOPS),
    nextHops: Array.from({ length: HOPS }, (_, index) => ({ labels: [100 + index], via: 0x020000000099 })),
  };
}

for (const length of [32, 31, 25]) {
  test(`1,048,576 routes of length ${length}: all there, one more is refused, all can go`, () => {
    const core = Core.load();
    const prefixes = scattered(abi.MAX_ROUTES + 1, length);
    const extra = prefixes.pop()!;
    core.install(baseIntent(routesOf(prefixes, length)));
    for (let index = 0; index < prefixes.length; index += 997) {
      assert.is(lookUp(core, [prefixes[index]!])[0], index % HOPS);
    }
    assert.throws(
      () => editRoutes(core, [{ prefix: extra, length, nextHop: 0 }]),
      (error: unknown) => error instanceof CapacityError && /1048576 routes/.test(error.message),
    );
    assert.is(lookUp(core, [extra])[0], null);
    editRoutes(
      core,
      prefixes.map(prefix => ({ prefix, length, nextHop: null })),
    );
    assert.is(lookUp(core, [prefixes[5]!])[0], null);
    editRoutes(core, [{ prefix: extra, length, nextHop: 7 }]);
    assert.is(lookUp(core, [extra])[0], 7);
  });
}

test("tables grow from nothing to 300,000 routes by single edits, and nothing is lost on the way", () => {
  const core = coreWithHops(Core.load());
  const prefixes = scattered(150_000, 32);
  const shorter = scattered(150_000, 24).map(prefix => prefix);
  const edits: RouteEdit[] = [];
  for (const [index, prefix] of prefixes.entries()) {
    edits.push(
      { prefix, length: 32, nextHop: index % HOPS },
      { prefix: shorter[index]!, length: 24, nextHop: 3 },
    );
  }
  editRoutes(core, edits);
  for (let index = 0; index < prefixes.length; index += 613) {
    assert.is(lookUp(core, [prefixes[index]!])[0], index % HOPS);
  }
});

test("an install that fails leaves the tables as they were", () => {
  const core = Core.load();
  core.install(baseIntent(routesOf([0x0a000001], 32)));
  const bad = routesOf([0x0a000001, 0x0a000002], 32);
  bad.nextHopOf[1] = HOPS + 5;
  assert.throws(() => core.install(baseIntent(bad)), /Invalid/);
  assert.is(lookUp(core, [0x0a000001])[0], 0);
  editRoutes(core, [{ prefix: 0x0a000003, length: 32, nextHop: 0 }]);
  assert.is(lookUp(core, [0x0a000003])[0], 0);
  core.install(baseIntent(routesOf([0x0b000001], 32)));
  assert.equal(lookUp(core, [0x0a000001, 0x0b000001]), [null, 0]);
});

test("edits that make no sense are refused and change nothing", () => {
  const core = coreWithHops(Core.load());
  editRoutes(core, [{ prefix: 0x0a000000, length: 8, nextHop: 1 }]);
  const refused: RouteEdit[] = [
    { prefix: 0x0a000001, length: 8, nextHop: 1 },
    { prefix: 0x0a000000, length: 33, nextHop: 1 },
    { prefix: 0x0a000000, length: 8, nextHop: HOPS },
    { prefix: 0x0b000000, length: 8, nextHop: null },
    { prefix: 0x0b000000, length: 32, nextHop: null },
  ];
  for (const edit of refused) assert.throws(() => editRoutes(core, [edit]), /Invalid/);
  assert.equal(lookUp(core, [0x0a010203, 0x0b000000]), [1, null]);
});

test("65,536 addresses on 4,095 VMs work; what is more is refused by name", () => {
  const vms = Array.from({ length: 4095 }, (_, index) => ({
    id: index + 1,
    name: `vm${index}`,
    port: `tap${index}`,
    ofport: index + 2,
    mac: 0x525400000000 + index,
    addresses: Array.from({ length: 16 }, (_, part) => 0x0a000000 + index * 16 + part),
    path: "l3" as const,
    mtu: null,
  }));
  const more = {
    ...vms[0]!,
    addresses: [...vms[0]!.addresses, ...Array.from({ length: 16 }, (_, i) => 0x0b000000 + i)],
  };
  const core = Core.load();
  core.install({ ...baseIntent(), vms: [more, ...vms.slice(1)] });
  const frame = (address: number) =>
    eth({ dst: "02:00:00:00:00:01", src: "02:00:00:00:00:02" })
      .mpls({ label: 1001, ttl: 9 })
      .ipv4({ src: "198.51.100.1", dst: formatIpv4(address), ttl: 64 })
      .payload(new Uint8Array(8))
      .bytes();
  const out = core.runFrames(
    [0x0a000000, 0x0a00ffef, 0x0b00000f, 0x0b000010].map(to => ({ inPort: 1, frame: frame(to) })),
  );
  assert.equal(
    out.map(({ port }) => port),
    [2, 4096, 2, null],
  );
  const tooMany = { ...vms[1]!, addresses: [...vms[1]!.addresses, 0x0c000000] };
  assert.throws(
    () => core.install({ ...baseIntent(), vms: [more, tooMany, ...vms.slice(2)] }),
    (error: unknown) => error instanceof CapacityError && /65536 addresses/.test(error.message),
  );
  const another = { ...vms[0]!, id: 5000, ofport: 5000, mac: 0x525400010000, addresses: [0x0d000000] };
  assert.throws(
    () => core.install({ ...baseIntent(), vms: [...vms, another] }),
    (error: unknown) => error instanceof CapacityError && /4096 ports/.test(error.message),
  );
});

test.run();
