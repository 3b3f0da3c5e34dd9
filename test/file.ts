/** Runs one test file, bundled, for run.ts: `file NAME BUNDLE`. Prints its counts: passed, failed, skipped, seconds of processor time. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { pathToFileURL } from "node:url";

const [name, bundle] = process.argv.slice(2);
// What tests register for "exit" cleans up; without these a signal ends the process before it.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => process.exit(128 + constants.signals[signal]));

/** Processor time of this process, and of those it started that have ended, where /proc tells (proc(5), cutime). */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  let ticks = 0;
  try {
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ")[1]!.split(" ");
    ticks = Number(fields[13]) + Number(fields[14]);
  } catch {
    // No /proc: this process's own time alone.
  }
  return (user + system) / 1e6 + ticks / 100;
}

// uvu reads these globals when it is first imported: the suites of the file are queued, exec() runs them.
Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: [[name]], UVU_INDEX: 0 });
const { exec } = await import("uvu");
const { counts } = await import("./harness.ts");
await import(pathToFileURL(bundle!).href);
await exec(false);
process.stdout.write(
  `\ncounts: ${counts.passed} ${counts.failed} ${counts.skipped} ${cpuSeconds().toFixed(2)}\n`,
);
process.exitCode = counts.failed > 0 ? 1 : process.exitCode;
