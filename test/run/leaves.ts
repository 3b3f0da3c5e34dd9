/** A test file whose test passes and that leaves a process and a file behind. Only `run.test.ts` runs it. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "../harness.ts";

const test = suite("leaves");

test("a process that ends by itself some time later, and a file", () => {
  spawn("sleep", ["600"], { detached: true, stdio: "ignore" }).unref();
  writeFileSync(join(tmpdir(), "slash32-left"), "");
});

test.run();
