/**
 * Runs every test/**\/*.test.ts in this process (or those whose path contains one of the arguments) and prints
 * `N passed, N failed` alone on the last line, followed by `, N skipped` when there were any.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;
const wanted = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter(name => name.endsWith(".test.ts"))
  .filter(name => wanted.length === 0 || wanted.some(part => name.includes(part)))
  .sort();

// uvu reads these globals when it is first imported: queue the suites of all files, run them in exec().
const queue: unknown[] = [];
Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: queue, UVU_INDEX: 0 });
const { exec } = await import("uvu");
const { counts } = await import("./harness.ts");
for (const [index, name] of files.entries()) {
  Object.assign(globalThis, { UVU_INDEX: index });
  queue.push([name]);
  await import(pathToFileURL(join(here, name)).href);
}
await exec(false);

const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
const none = counts.passed + counts.failed + counts.skipped === 0;
if (none) process.stdout.write("no test matched\n");
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
process.exitCode = counts.failed > 0 || none ? 1 : process.exitCode;
