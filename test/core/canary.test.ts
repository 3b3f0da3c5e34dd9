/**
 * Canaries: cores with one mistake each, which the comparison with the model must notice. A comparison that
 * lets one of them pass could not be trusted about the real core either.
 */
import { assert, seed, suite } from "../harness.ts";
import { firstDifference, makeWorld } from "./compare.ts";
import { compileMutant } from "./mutant.ts";

const test = suite("canaries");

/** File, what stands there, what the canary has instead. */
const MUTATIONS: readonly (readonly [string, string, string])[] = [
  ["wire/ipv4.ts", "+ 0xfffe;", "+ 0xffff;"],
  ["wire/ipv4.ts", "available >= total_bytes", "available > total_bytes"],
  ["wire/arp.ts", "store<u32>(out, asked_address, 14);", "store<u32>(out, asker_address, 14);"],
  ["wire/ethernet.ts", "length >= TAGGED_BYTES", "length > TAGGED_BYTES"],
  ["pipeline.ts", "ipv4.ttl(header) <= 1", "ipv4.ttl(header) < 1"],
  [
    "pipeline.ts",
    "value != load<u32>(bank, SETTING_LABEL) && value != 0",
    "value != load<u32>(bank, SETTING_LABEL)",
  ],
  ["pipeline.ts", "if (owner == port) return dropped(Reason.SamePort, path);", ""],
  ["pipeline.ts", "if (arp.senderAddress(header) == 0) return dropped(Reason.ArpProbe, path);", ""],
  ["rewrite.ts", "const ttl = (ttl_word & 0xff) - 1;", "const ttl = ttl_word & 0xff;"],
  ["table/prefixes.ts", "const length = 31 - clz(lengths);", "const length = ctz(lengths);"],
];

const first = seed();
test(`SEED=${first}: the unchanged core passes`, async () => {
  const core = await compileMutant("index.ts", "return VERSION;", "return VERSION;");
  for (let index = 0; index < 20; index++)
    assert.is(firstDifference(core, makeWorld(first + index, 500)), null);
});

for (const [file, from, to] of MUTATIONS) {
  test(`${file}: ${to === "" ? "without" : ""} ${to === "" ? from : to}`, async () => {
    const core = await compileMutant(file, from, to);
    let isCaught = false;
    for (let index = 0; index < 60 && !isCaught; index++) {
      isCaught = firstDifference(core, makeWorld(first + index, 500)) !== null;
    }
    assert.ok(isCaught, "the comparison did not notice the mistake");
  });
}

test.run();
