/**
 * Runs every test/**\/*.test.ts, or those whose path contains one of the arguments, or a file that an argument names
 * (`test/run/hangs.ts`). Each file runs in a process of its own, as many at a time as there are cores, and one more that
 * mostly waits for others. Prints the output of each when it ends, and `N passed, N failed` alone on the last line,
 * followed by `, N skipped` when there were any. A file that leaves a process or a temporary file behind has failed.
 * SIGINT and SIGTERM end everything that the run started: exit status 130 and 143.
 *
 * `--quick` leaves out the files that take longest or wait for daemons; `--times` prints the processor time of each.
 */
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism, constants } from "node:os";
import { relative } from "node:path";
import { bundleTests } from "./bundle.ts";
import { Started } from "./started.ts";

const here = import.meta.dirname;
/** Files that take longest, in this order; they begin first, so that none of them is alone at the end. */
const LONGEST = [
  "replay/bad-input.test.ts",
  "bench/bench.test.ts",
  "verify/whole-language.test.ts",
  "verify/tiny.test.ts",
  "fuzz/fuzz.test.ts",
  "bench/native.test.ts",
  "cli/compile.test.ts",
  "cli/trace.test.ts",
  "cli/program.test.ts",
  "live/devices.test.ts",
  "live/sockets.test.ts",
  "replay/outputs.test.ts",
  "ovs/private-switch.test.ts",
  "replay/against.test.ts",
  "docs/examples.test.ts",
  "openflow/interpret/ovs.test.ts",
  "core/model.test.ts",
  "replay/merge.test.ts",
  "replay/streams.test.ts",
  "openflow/differential.test.ts",
  "replay/fuzz.test.ts",
  "replay/threads.test.ts",
  "cli/trace-flows.test.ts",
  "bench/workloads.test.ts",
  "openflow/interpret/corners.test.ts",
];
/** Files that mostly wait for daemons: they take turns beside all others. */
const WAITING = [
  "lab/agents.test.ts",
  "bgp/real.test.ts",
  "agent/kills.test.ts",
  "agent/joined.test.ts",
  "bgp/corners.test.ts",
  "lab/ends.test.ts",
  "agent/unit.test.ts",
  "run/run.test.ts",
];
/** Files that `--quick` leaves out as well. Of every room something stays; with WAITING and ALONE it leaves out the lab. */
const THOROUGH = [
  "cli/verify.test.ts",
  "agent/agent.test.ts",
  "agent/kill.test.ts",
  "agent/live-bridge.test.ts",
  "agent/reconciler.test.ts",
  "core/canary.test.ts",
  "core/tables.test.ts",
  "live/capture.test.ts",
  "live/edits.test.ts",
  "replay/formats.test.ts",
  "replay/peers.test.ts",
  "verify/bdd.test.ts",
  "verify/prove-intent.test.ts",
  "verify/tiny-canary.test.ts",
];
/** One of the longest, which is the only one that tries the command line as a whole. */
const QUICK_TOO = "cli/program.test.ts";
/** Files with limits on time that traffic must keep: they run when nothing else does, after all others. */
const ALONE = ["lab/lab.test.ts"];
const all = readdirSync(here, { recursive: true, encoding: "utf8" }).filter(name =>
  name.endsWith(".test.ts"),
);
const stranger = [...LONGEST, ...WAITING, ...ALONE, ...THOROUGH].find(name => !all.includes(name));
if (stranger !== undefined) throw new Error(`test/run.ts: ${stranger} is no test file`);
const words = process.argv.slice(2);
const options = words.filter(word => word.startsWith("--"));
const unknown = options.find(word => word !== "--quick" && word !== "--times");
if (unknown !== undefined) {
  process.stderr.write(
    `test/run.ts: unknown option "${unknown}"; expected --quick, --times or a part of a path\n`,
  );
  process.exit(1);
}
const [isQuick, hasTimes] = ["--quick", "--times"].map(word => options.includes(word));
const parts = words.filter(word => !word.startsWith("--"));
const named = parts
  .filter(part => part.endsWith(".ts") && existsSync(part))
  .map(part => relative(here, part));
const notQuick = new Set([...LONGEST, ...WAITING, ...ALONE, ...THOROUGH]);
notQuick.delete(QUICK_TOO);
const isWanted = (name: string): boolean =>
  (parts.length === 0 || parts.some(part => name.includes(part))) && !(isQuick && notQuick.has(name));
const files = [...new Set([...LONGEST, ...all.sort()].filter(isWanted)), ...named];

const started = new Started();
let signalled: NodeJS.Signals | null = null;
let done = 0;
async function endBy(signal: NodeJS.Signals): Promise<void> {
  if (signalled !== null) return;
  signalled = signal;
  await started.end();
  process.stderr.write(
    `test/run.ts: ${signal}: ended ${files.length - done} of ${files.length} files early\n`,
  );
  process.exit(128 + constants.signals[signal]);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => endBy(signal));
// npm passes SIGTERM on to its shell, which ends without passing it on to us: the parent is then another one.
const parent = process.ppid;
if (process.env.npm_lifecycle_event !== undefined)
  setInterval(() => void (process.ppid !== parent && endBy("SIGTERM")), 200).unref();
const { folder, bundleOf } = await bundleTests(["file.ts", ...files]);

/** Waits are ten times as long as `npm run lab` has them, and figures of time have no limits, unless the caller says so. */
const { WAIT_FACTOR = "10", TIMED = "0" } = process.env;
const PATIENT = { WAIT_FACTOR, TIMED };
/** npm on Node from 22 on keeps what it compiled in the temporary folder, where it looks like something left behind. */
const TIDY = { NODE_DISABLE_COMPILE_CACHE: "1" };
const total = { passed: 0, failed: 0, skipped: 0 };
const times: { name: string; cpu: number; wall: number }[] = [];

/** Runs one file; its last line is its counts. */
async function runFile(name: string): Promise<void> {
  if (signalled !== null) return;
  const begun = performance.now();
  const args = ["--enable-source-maps", bundleOf("file.ts"), name, bundleOf(name)];
  const { child, left } = started.start(args, {
    ...PATIENT,
    ...TIDY,
    YARDSTICK_DIR: folder,
    BUNDLE_DIR: folder,
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (piece: Buffer) => said.push(piece));
  const closed = new Promise(resolve => child.once("close", resolve));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", resolve);
  });
  if (signalled !== null) return;
  const leftBehind = await left();
  // A process that was left behind may hold the pipes open: hence after its end.
  await closed;
  const lines = Buffer.concat(said).toString().trimEnd().split("\n");
  const counts = /^counts: (\d+) (\d+) (\d+) ([\d.]+)$/.exec(lines.at(-1)!);
  if (counts !== null) lines.pop();
  total.passed += Number(counts?.[1] ?? 0);
  total.failed += Number(counts?.[2] ?? 0);
  total.skipped += Number(counts?.[3] ?? 0);
  times.push({ name, cpu: Number(counts?.[4] ?? Number.NaN), wall: (performance.now() - begun) / 1000 });
  // A file that ends before its tests do, or fails outside of them, has failed.
  if (counts === null || (code !== 0 && counts[2] === "0")) {
    total.failed++;
    lines.push(`${name} ended with ${code}`);
  }
  if (leftBehind.length > 0) {
    total.failed++;
    lines.push(`FAIL  ${name} left behind: ${leftBehind.join(", ")}`);
  }
  done++;
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function lane(names: Iterable<string>): Promise<void> {
  for (const name of names) await runFile(name);
}

/** The processor time of each file, with that of its processes, the longest first. */
function tableOfTimes(): string {
  const sum = times.reduce((seconds, { cpu }) => seconds + cpu, 0);
  const rows = times
    .sort((a, b) => b.cpu - a.cpu)
    .map(({ name, cpu, wall }) => `${cpu.toFixed(1).padStart(8)} ${wall.toFixed(1).padStart(8)}  ${name}\n`);
  return `   CPU s   wall s  file\n${rows.join("")}${sum.toFixed(1).padStart(8)}           together\n`;
}

const left = files.filter(name => !WAITING.includes(name) && !ALONE.includes(name)).values();
const waiting = WAITING.filter(name => files.includes(name));
await Promise.all([...Array.from({ length: availableParallelism() }, () => lane(left)), lane(waiting)]);
for (const name of files.filter(name => ALONE.includes(name))) await runFile(name);

// The handler of the signal ends this process.
if (signalled !== null) await new Promise(() => undefined);
if (hasTimes) process.stdout.write(tableOfTimes());
if (files.length === 0) process.stdout.write("no test matched\n");
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
process.exitCode = total.failed > 0 || files.length === 0 ? 1 : 0;
