/** Runs one test file, bundled, for run.ts: `file NAME BUNDLE`. Prints its counts: passed, failed, skipped. */
import { pathToFileURL } from "node:url";

const [name, bundle] = process.argv.slice(2);
// uvu reads these globals when it is first imported: the suites of the file are queued, exec() runs them.
Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: [[name]], UVU_INDEX: 0 });
const { exec } = await import("uvu");
const { counts } = await import("./harness.ts");
await import(pathToFileURL(bundle!).href);
await exec(false);
process.stdout.write(`\ncounts: ${counts.passed} ${counts.failed} ${counts.skipped}\n`);
process.exitCode = counts.failed > 0 ? 1 : process.exitCode;
