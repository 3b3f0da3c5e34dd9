/**
 * Memory of a long stream: the resident set size (VmRSS) of a replay from standard input, sampled while a
 * generator feeds it. proc(5).
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, Effort, Section, Yardstick } from "./cases.ts";
import { spreadOf } from "./harness.ts";
import { bundleFile, ROOT } from "./paths.ts";
import { frameOf, numbers, RECORD_BYTES, recordsOf, writeIntent } from "./traffic.ts";

const SAMPLE_MS = 50;

interface Sample {
  /** Since the process was there. */
  readonly ms: number;
  readonly megabytes: number;
}

/** Resident megabytes (10^6 bytes) of a process, null when it is gone. */
function rssMegabytes(pid: number): number | null {
  try {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return line === null ? null : (Number(line[1]) * 1024) / 1e6;
  } catch {
    return null;
  }
}

/** Runs generator and replay in a pipe of the shell's making; gives the replay's samples and its report. */
async function watch(generator: string[], replay: string[]): Promise<{ samples: Sample[]; report: string }> {
  // $! is the last process of the pipe; the shell hands on its exit code.
  const script = `"$1" "$2" "$3" "$4" | { shift 4; exec "$@"; } & echo "$!"; wait "$!"`;
  const child = spawn("sh", ["-c", script, "sh", ...generator, ...replay], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: ROOT,
  });
  let text = "";
  let pid = 0;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    if (pid === 0 && text.includes("\n")) pid = Number.parseInt(text, 10);
  });
  const samples: Sample[] = [];
  let start = 0;
  const timer = setInterval(() => {
    const megabytes = pid === 0 ? null : rssMegabytes(pid);
    if (megabytes === null) return;
    if (start === 0) start = performance.now();
    samples.push({ ms: performance.now() - start, megabytes });
  }, SAMPLE_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  clearInterval(timer);
  if (code !== 0) throw new Error(`the replay of a stream ended with ${code}`);
  return { samples, report: text.slice(text.indexOf("\n") + 1) };
}

function memoryCase(
  name: string,
  megabytes: number,
  yardsticks: readonly Yardstick[],
  isTarget: boolean,
): Case {
  const what = "resident memory while a 2 GB stream is replayed from stdin to /dev/null";
  return {
    name,
    remark: "",
    entries: null,
    distribution: null,
    unit: "MB",
    value: spreadOf([megabytes]),
    frames: null,
    yardsticks,
    target: isTarget ? { what, kind: "at most", target: 250, stretch: null } : null,
  };
}

export async function streamRow(effort: Effort, folder: string): Promise<Section> {
  const title = "Memory of a long stream";
  if (!existsSync("/proc/self/status"))
    return { title, notes: ["skipped: there is no /proc here"], cases: [] };
  const records = join(folder, "records");
  const random = numbers(2);
  const some = recordsOf(Array.from({ length: 10_000 }, () => frameOf("inbound", effort.entries, random)));
  const copies = Math.max(1, Math.round(effort.streamBlockBytes / some.length));
  writeFileSync(records, Buffer.concat(Array.from({ length: copies }, () => some)));
  const intent = writeIntent(folder, "stream", {
    localCount: effort.entries,
    routeCount: 0,
    nextHopCount: 0,
  });
  const { execPath } = process;
  const generator = [execPath, bundleFile("bench-stream"), records];
  const ours = [execPath, join(ROOT, "bin/slash32"), "replay", "--format", "json", "-n", intent];
  const { samples, report } = await watch(
    [...generator, String(effort.streamBytes)],
    [...ours, "-r", "uplink0=-", "-w", "/dev/null"],
  );
  const { frames, seconds } = JSON.parse(report) as { frames: number; seconds: number };
  if (frames * RECORD_BYTES < effort.streamBytes) throw new Error(`only ${frames} frames arrived: ${report}`);
  const idle = spawnSync(execPath, ["-p", "process.memoryUsage.rss()"], { encoding: "utf8" });
  const node = Number(idle.stdout) / 1e6;
  const firstSecond = samples.filter(({ ms }) => ms <= 1000).map(({ megabytes }) => megabytes);
  const all = samples.map(({ megabytes }) => megabytes);
  // Shown and not compared: how much of Node's own file is resident depends on the machine's page cache.
  const yardstick = {
    name: "node alone",
    value: null,
    timesFaster: null,
    objection: `${node.toFixed(1)} MB, with its file's pages`,
  };
  const gigabytes = (frames * RECORD_BYTES) / 1e9;
  const rate = (frames / seconds / 1e6).toFixed(1);
  const size = `${gigabytes.toFixed(gigabytes < 1 ? 2 : 1)} GB`;
  return {
    title,
    notes: [
      `${size} from stdin to /dev/null, ${all.length} samples, one every ${SAMPLE_MS} ms; 10^6 bytes each MB`,
      `${seconds.toFixed(1)} s, ${rate} Mpps, with the program that feeds it on the other core`,
    ],
    cases: [
      memoryCase("largest in the first second", Math.max(...firstSecond), [], false),
      memoryCase("largest of all", Math.max(...all), [yardstick], gigabytes >= 2),
      memoryCase("last", all.at(-1)!, [], false),
    ],
  };
}
