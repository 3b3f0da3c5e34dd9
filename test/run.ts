/**
 * Runs every test/**\/*.test.ts, or those whose path contains one of the arguments, each file in a process of its own
 * and as many at a time as there are cores, and one more that mostly waits for others. Prints what each said when it is done, and `N passed, N failed` alone on
 * the last line, followed by `, N skipped` when there were any.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { bundleTests } from "./bundle.ts";

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
  "verify/switch.test.ts",
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
  "bench/windows.test.ts",
  "openflow/interpret/corners.test.ts",
];
/** Files that mostly wait for daemons: they take turns beside all others. */
const WAITING = [
  "lab/agents.test.ts",
  "control/bgp/real.test.ts",
  "control/kills.test.ts",
  "control/joined.test.ts",
  "control/bgp/corners.test.ts",
  "lab/ends.test.ts",
  "control/unit.test.ts",
];
/** Files with limits on time that traffic must keep: they run when nothing else does, after all others. */
const ALONE = ["lab/lab.test.ts"];
const all = readdirSync(here, { recursive: true, encoding: "utf8" }).filter(name =>
  name.endsWith(".test.ts"),
);
const stranger = [...LONGEST, ...WAITING, ...ALONE].find(name => !all.includes(name));
if (stranger !== undefined) throw new Error(`test/run.ts: ${stranger} is no test file`);
const wanted = process.argv.slice(2);
const files = [...new Set([...LONGEST, ...all.sort()])].filter(
  name => wanted.length === 0 || wanted.some(part => name.includes(part)),
);
// Bundles go when this process ends, which a signal must let it do.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const { folder, bundleOf } = await bundleTests(["file.ts", ...files]);

const total = { passed: 0, failed: 0, skipped: 0 };

/** Runs one file; its last line is its counts. */
async function runFile(name: string): Promise<void> {
  const args = ["--enable-source-maps", bundleOf("file.ts"), name, bundleOf(name)];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { YARDSTICK_DIR: folder, ...process.env },
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => said.push(piece));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const lines = Buffer.concat(said).toString().trimEnd().split("\n");
  const counts = /^counts: (\d+) (\d+) (\d+)$/.exec(lines.at(-1)!);
  if (counts !== null) lines.pop();
  total.passed += Number(counts?.[1] ?? 0);
  total.failed += Number(counts?.[2] ?? 0);
  total.skipped += Number(counts?.[3] ?? 0);
  // A file that ends before its tests do, or fails outside of them, has failed.
  if (counts === null || (code !== 0 && counts[2] === "0")) {
    total.failed++;
    lines.push(`${name} ended with ${code}`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function lane(names: Iterable<string>): Promise<void> {
  for (const name of names) await runFile(name);
}
const left = files.filter(name => !WAITING.includes(name) && !ALONE.includes(name)).values();
const waiting = WAITING.filter(name => files.includes(name));
await Promise.all([...Array.from({ length: availableParallelism() }, () => lane(left)), lane(waiting)]);
for (const name of files.filter(name => ALONE.includes(name))) await runFile(name);

if (files.length === 0) process.stdout.write("no test matched\n");
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
process.exitCode = total.failed > 0 || files.length === 0 ? 1 : 0;
