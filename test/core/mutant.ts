/** Cores with one mistake: compiled from assembly/ with one text of one file changed. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { Core } from "../../src/core/index.ts";
import { instantiateCore } from "../../src/core/load.ts";
import { assert } from "../harness.ts";

const root = join(import.meta.dirname, "../..");

/** Compiles the core with one file changed; the unoptimised build, as that is quick. */
export async function compileMutant(file: string, from: string, to: string): Promise<Core> {
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
