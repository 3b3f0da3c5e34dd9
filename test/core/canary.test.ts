/**
 * Canaries: cores with one mistake each, which the comparison with the model must notice. A comparison that lets one
 * of them pass could not be trusted about the real core either.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { Core } from "../../src/core/index.ts";
import { instantiateCore } from "../../src/core/load.ts";
import { assert, seed, suite } from "../harness.ts";
import { firstDifference, makeWorld } from "./compare.ts";

const test = suite("canaries");
const root = join(import.meta.dirname, "../..");

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

/** Compiles the core with one file changed; the unoptimised build, as that is quick. */
async function compileMutant(file: string, from: string, to: string): Promise<Core> {
  let wasm: Uint8Array | null = null;
  let hits = 0;
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", "debug", "--noAssert"], {
    readFile: name => {
      const path = join(root, name);
      if (!existsSync(path)) return null;
      const text = readFileSync(path, "utf8");
      if (name !== `assembly/${file}`) return text;
      hits = text.split(from).length - 1;
      return text.replace(from, to);
    },
    writeFile: (name, contents) => {
      if (name.endsWith(".wasm")) wasm = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  assert.is(error, null, `${stderr.toString()}`);
  assert.is(hits, 1, `${file} has "${from}" ${hits} times`);
  return new Core(instantiateCore(wasm!));
}

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
