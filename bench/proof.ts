/**
 * Rows about the proof: `slash32 diff` and `slash32 verify` as processes, with their peak resident memory, on
 * the flows of an intent, reordered, in another notation, with one label changed, and on a table of
 * overlapping wildcards and its rewrite (wildcards.ts). ovs-ofctl(8) diff-flows, which compares text, stands
 * beside the first. Linux only.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, Effort, Section, Target, Yardstick } from "./cases.ts";
import { isInstalled, ROOT, ratioOf, runCommand, spreadOf } from "./harness.ts";
import { shuffled } from "./real-tables.ts";
import { numbers, VM_COUNT, writeIntent } from "./traffic.ts";
import { rewrittenPair } from "./wildcards.ts";

interface Size {
  readonly routes: number;
  readonly fewRoutes: number;
  readonly rounds: number;
}

const SIZES: Readonly<Record<Effort["name"], Size>> = {
  smoke: { routes: 5_000, fewRoutes: 1_000, rounds: 1 },
  short: { routes: 200_000, fewRoutes: 10_000, rounds: 2 },
  long: { routes: 1_000_000, fewRoutes: 10_000, rounds: 5 },
};

const NEXT_HOPS = 16;
const PROGRAM = [process.execPath, join(ROOT, "bin/slash32")];
const PEAK_SAMPLE_MS = 20;

// ── Inputs ─────────────────────────────────────────────────────────────────────────────────────────────────

interface Inputs {
  readonly intent: string;
  /** As dump-flows prints them, in the order of the intent. */
  readonly dump: string;
  /** In another order, with another label in one flow. */
  readonly changed: string;
  /** In that order, in the words of OpenFlow 1.0, all labels as they were. */
  readonly respelt: string;
}

/** A flow as a switch dumps it: with its age and counters. */
function dumped(line: string, random: (below: number) => number): string {
  const [, cookie, table, rest] = /^cookie=(\w+),table=(\d+),(.*)$/.exec(line)!;
  const age = `${random(1e5)}.${String(random(1000)).padStart(3, "0")}s`;
  const counters = `n_packets=${random(1e6)}, n_bytes=${random(1e8)}`;
  return ` cookie=${cookie}, duration=${age}, table=${table}, ${counters}, ${rest}`;
}

/** The same actions as Nicira extensions and OpenFlow 1.0 say them. */
const respelt = (line: string): string =>
  line
    .replaceAll(/set_field:([0-9a-f:]+)->eth_(src|dst)/g, "mod_dl_$2:$1")
    .replaceAll(/set_field:(\d+)->mpls_(label|tc)/g, (_, value: string, field: string) => {
      const name = field === "tc" ? "TC" : "LABEL";
      return `load:0x${Number(value).toString(16)}->OXM_OF_MPLS_${name}[]`;
    })
    .replaceAll(/goto_table:(\d+)/g, "resubmit(,$1)");

export const writeLines = (file: string, lines: readonly string[]): void => {
  const fd = openSync(file, "w");
  for (let at = 0; at < lines.length; at += 10_000)
    writeFileSync(fd, `${lines.slice(at, at + 10_000).join("\n")}\n`);
  closeSync(fd);
};

function inputs(routes: number, name: string, folder: string): Inputs {
  const intent = writeIntent(folder, name, {
    localCount: VM_COUNT,
    routeCount: routes,
    nextHopCount: NEXT_HOPS,
  });
  const compiled = join(folder, `${name}.compiled`);
  runCommand([...PROGRAM, "compile", intent, "-w", compiled]);
  const random = numbers(7);
  const flows = readFileSync(compiled, "latin1").trimEnd().split("\n");
  const lines = flows.map(line => dumped(line, random));
  const [dump, changed, spelt] = ["dump", "changed", "respelt"].map(kind => join(folder, `${name}.${kind}`));
  writeLines(dump!, lines);
  const others = shuffled(lines, random);
  writeLines(spelt!, others.map(respelt));
  const middle = others.findIndex((line, at) => at > others.length / 2 && line.includes("push_mpls"));
  others[middle] = others[middle]!.replace(/set_field:\d+->mpls_label/, "set_field:999->mpls_label");
  writeLines(changed!, others);
  return { intent, dump: dump!, changed: changed!, respelt: spelt! };
}

// ── Processes ──────────────────────────────────────────────────────────────────────────────────────────────

interface Finished {
  readonly seconds: number;
  /** Peak of resident memory, in megabytes (10^6 bytes). */
  readonly megabytes: number;
  readonly stdout: string;
}

const peakOf = (pid: number): number => {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return line === null ? 0 : (Number(line[1]) * 1024) / 1e6;
  } catch {
    return 0;
  }
};

/** Runs a command to its end; its peak is asked for again and again, as it is gone with the process. */
async function finished(command: readonly string[], wanted: number): Promise<Finished> {
  const start = performance.now();
  const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "ignore"] });
  let megabytes = 0;
  const watch = setInterval(() => {
    megabytes = Math.max(megabytes, peakOf(child.pid!));
  }, PEAK_SAMPLE_MS);
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  clearInterval(watch);
  const seconds = (performance.now() - start) / 1000;
  if (code !== wanted) throw new Error(`${command.join(" ")} ended with ${code}, not ${wanted}`);
  return { seconds, megabytes, stdout };
}

const EXIT: Readonly<Record<string, number>> = { equal: 0, different: 2 };

/** Ours, whole process, with the verdict that is right. */
async function ours(args: readonly string[], verdict: "equal" | "different"): Promise<Finished> {
  const run = await finished([...PROGRAM, ...args, "-q", "--format", "json"], EXIT[verdict]!);
  if (verdict === "different" && !run.stdout.includes(`"verdict":"${verdict}"`))
    throw new Error(`${args.join(" ")}: not ${verdict}`);
  return run;
}

// ── Rows ───────────────────────────────────────────────────────────────────────────────────────────────────

export function caseOf(
  name: string,
  unit: "s" | "MB",
  samples: readonly number[],
  entries: number,
  target: Target | null,
  yardsticks: readonly Yardstick[] = [],
  moreTargets: readonly Target[] = [],
): Case {
  const value = spreadOf(samples);
  return {
    name,
    remark: "",
    entries,
    distribution: null,
    unit,
    value,
    frames: null,
    yardsticks,
    target,
    moreTargets,
  };
}

export const atMost = (what: string, target: number, stretch: number | null): Target => ({
  what,
  kind: "at most",
  target,
  stretch,
});

const DIFF_FLOWS = "ovs-ofctl diff-flows";

function beside(own: readonly number[], theirs: readonly number[], objection: string | null): Yardstick {
  if (objection !== null) return { name: DIFF_FLOWS, value: null, timesFaster: null, objection };
  return { name: DIFF_FLOWS, value: spreadOf(theirs), timesFaster: ratioOf(own, theirs), objection: null };
}

/** As many routes on both sides, one label different, the lines in another order. */
async function orderCases(size: Size, isHeld: boolean, { dump, changed }: Inputs): Promise<Case[]> {
  const own: Finished[] = [];
  const theirs: Finished[] = [];
  const objection = isInstalled("ovs-ofctl") ? null : "not installed";
  for (let round = 0; round < size.rounds; round++) {
    own.push(await ours(["diff", dump, changed], "different"));
    if (objection === null)
      theirs.push(await finished(["ovs-ofctl", "-O", "OpenFlow13", "diff-flows", dump, changed], 2));
  }
  const [seconds, megabytes] = [own.map(run => run.seconds), own.map(run => run.megabytes)];
  const yardsticks = [
    beside(
      seconds,
      theirs.map(run => run.seconds),
      objection,
    ),
  ];
  const memory = [
    beside(
      megabytes,
      theirs.map(run => run.megabytes),
      objection,
    ),
  ];
  const faster: Target = {
    what: "one label in a million, against the comparison of texts",
    kind: "times faster",
    target: 2,
    stretch: null,
  };
  return [
    caseOf(
      "proof-order",
      "s",
      seconds,
      size.routes,
      isHeld ? atMost("one label in a million flows, another order", 5, 2) : null,
      yardsticks,
      isHeld ? [faster] : [],
    ),
    caseOf(
      "proof-order, peak",
      "MB",
      megabytes,
      size.routes,
      isHeld ? atMost("resident memory of that", 1000, 500) : null,
      memory,
    ),
  ];
}

export async function secondsOf(
  rounds: number,
  args: readonly string[],
  verdict: "equal" | "different",
): Promise<number[]> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) seconds.push((await ours(args, verdict)).seconds);
  return seconds;
}

/** All rows: they share their inputs. */
export async function proofRow(effort: Effort, folder: string): Promise<Section> {
  const size = SIZES[effort.name];
  const isHeld = effort.name === "long";
  const { rounds, routes, fewRoutes } = size;
  const many = inputs(routes, "proof", folder);
  const few = inputs(fewRoutes, "proof-few", folder);
  const [left, right] = rewrittenPair(11);
  const wild = [join(folder, "proof-wild.a"), join(folder, "proof-wild.b")] as const;
  writeLines(wild[0], left);
  writeLines(wild[1], right);
  return {
    title: "Proofs",
    notes: [
      "slash32 diff and verify, whole processes, all threads; dumps as of dump-flows, without header",
      "order: the same flows in another order, one label different; respelt: also in OpenFlow 1.0 notation;",
      "intent: an intent with its routes in a file against its dump; few: order, with few routes;",
      "wildcards: 300 flows that overlap in 20 tables against a rewritten set that does the same",
      "ovs-ofctl diff-flows compares texts, by which respelt flows differ, every one",
    ],
    cases: [
      ...(await orderCases(size, isHeld, many)),
      caseOf(
        "proof-respelt",
        "s",
        await secondsOf(rounds, ["diff", many.dump, many.respelt, "--of10"], "equal"),
        routes,
        isHeld ? atMost("a million flows respelt, no difference", 6, 2.5) : null,
      ),
      caseOf(
        "proof-intent",
        "s",
        await secondsOf(rounds, ["verify", "-n", many.intent, "-f", many.dump], "equal"),
        routes,
        isHeld ? atMost("an intent with a million routes against its dump", 5, 2) : null,
      ),
      caseOf(
        "proof-few",
        "s",
        await secondsOf(rounds, ["diff", few.dump, few.changed], "different"),
        fewRoutes,
        effort.name === "smoke" ? null : atMost("10,000 routes, whole command", 0.5, 0.25),
      ),
      caseOf(
        "proof-wildcards",
        "s",
        await secondsOf(rounds, ["diff", ...wild], "equal"),
        left.length,
        atMost("300 overlapping wildcards in 20 tables, rewritten", 1, 0.1),
      ),
    ],
  };
}
