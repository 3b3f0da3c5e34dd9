/** The comparison of outputs that stands before the timing of large captures notices a single byte. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isSameFile } from "../../bench/large.ts";
import { workFolder } from "../../bench/traffic.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bench/large");

test("files that differ in one byte, or in length, are not the same", () => {
  const folder = workFolder();
  const put = (name: string, bytes: Uint8Array): string => {
    const file = join(folder.path, name);
    writeFileSync(file, bytes);
    return file;
  };
  try {
    const bytes = Buffer.alloc((1 << 21) + 5, 7);
    const original = put("original", bytes);
    assert.ok(isSameFile(original, put("copy", bytes)));
    assert.not.ok(isSameFile(original, put("shorter", bytes.subarray(1))));
    for (const at of [0, 1 << 20, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = 8;
      assert.not.ok(isSameFile(original, put("changed", changed)), `byte ${at}`);
    }
  } finally {
    folder.remove();
  }
});

test.run();
