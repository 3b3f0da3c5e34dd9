/**
 * Rows that time `slash32` as its users run it: whole processes that take turns with other tools on the same
 * files. The tools do less than a pipeline (copy, or write one MAC address); the table says so.
 */
import { rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, Effort, Section, Target, Yardstick } from "./cases.ts";
import {
  type Contender,
  onOneCore,
  Peer,
  ROOT,
  ratioOf,
  runCommand,
  scaled,
  spreadOf,
  takeTurns,
} from "./harness.ts";
import { frameOf, numbers, pcapHeader, recordsOf, vmPortName, writeCapture, writeIntent } from "./traffic.ts";

const NODE = process.execPath;
const PROGRAM = join(ROOT, "bin/slash32");

/** tcpdump prints this for every input. */
export const TCPDUMP_SAYS = /^reading from (file|PCAP-NG)/;

/** Our samples beside those of another program, unless that has an objection. */
export function beside(
  name: string,
  peer: { objection: string | null },
  ours: number[],
  theirs: number[] | undefined,
): Yardstick {
  if (peer.objection !== null || theirs === undefined) {
    return { name, value: null, timesFaster: null, objection: peer.objection ?? "not run" };
  }
  return { name, value: spreadOf(theirs), timesFaster: ratioOf(ours, theirs), objection: null };
}

// ── Capture → capture ──────────────────────────────────────────────────────────────────────────────────────

export type Direction = "inbound" | "outbound";

/** The fields of the report that are looked at. */
interface Report {
  readonly frames: number;
  readonly outputs: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/**
 * `slash32 replay`, pinned to one core or by `pin`: its own seconds, and those of the process. Throws if a
 * frame was not sent.
 */
export function replayContender(
  name: string,
  args: readonly string[],
  frames: number,
  before?: () => void,
  pin: readonly string[] = onOneCore(),
): Contender {
  const run = (): Record<string, number> => {
    const { seconds, stdout } = runCommand([...pin, NODE, PROGRAM, "replay", "--format", "json", ...args]);
    const report: Report = JSON.parse(stdout);
    const left = Object.values(report.outputs).reduce((sum, count) => sum + count, 0);
    if (report.frames !== frames || left !== frames)
      throw new Error(`of ${frames} frames ${left} left: ${stdout}`);
    return { [`${name}, replay alone`]: report.seconds, [`${name}, whole process`]: seconds };
  };
  return { run, before };
}

export function intentFor(direction: Direction, folder: string, entries: number): string {
  return direction === "inbound"
    ? writeIntent(folder, "inbound", { localCount: entries, routeCount: 0, nextHopCount: 0 })
    : writeIntent(folder, "outbound", { localCount: 4, routeCount: entries, nextHopCount: 16 });
}

/** One size of capture in one direction: ours three ways, the tools, in turns. */
function replayOne(
  direction: Direction,
  effort: Effort,
  { frames, rounds }: { frames: number; rounds: number },
  folder: string,
): Case[] {
  const { entries, warmups } = effort;
  const at = (name: string): string => join(folder, name);
  const [input, pcap, pcapng, theirs] = [at("in.pcap"), at("out.pcap"), at("out.pcapng"), at("theirs.pcap")];
  writeCapture(input, direction, frames, entries);
  // All write into fresh pages; overwriting is faster than that.
  const before = (): void => {
    for (const file of [pcap, pcapng, theirs]) rmSync(file, { force: true });
  };
  const port = direction === "inbound" ? "uplink0" : vmPortName(0);
  const args = ["-n", intentFor(direction, folder, entries), "-r", `${port}=${input}`];
  const pin = onOneCore();
  const tcpdump = { expected: TCPDUMP_SAYS, before };
  const rewrite = [
    ...pin,
    "tcprewrite",
    "--enet-dmac=52:54:00:00:01:00",
    `--infile=${input}`,
    `--outfile=${theirs}`,
  ];
  const peers = {
    tcprewrite: new Peer("tcprewrite", rewrite, { before }),
    tcpdump: new Peer("tcpdump -r -w", [...pin, "tcpdump", "-r", input, "-w", theirs], tcpdump),
    reader: new Peer("tcpdump -w /dev/null", [...pin, "tcpdump", "-r", input, "-w", "/dev/null"], tcpdump),
  };
  const jobs = [
    { name: "→ .pcap", args: ["-w", pcap], peers: [peers.tcprewrite, peers.tcpdump] },
    { name: "→ .pcapng", args: ["-w", pcapng], peers: [peers.tcprewrite, peers.tcpdump] },
    { name: "→ counts only", args: [], peers: [peers.reader] },
  ];
  const ours = jobs.map(job => replayContender(job.name, [...args, ...job.args], frames, before));
  const samples = takeTurns([...ours, ...Object.values(peers)], rounds, warmups);
  before();
  rmSync(input);
  return jobs.flatMap(job =>
    ["replay alone", "whole process"].map((figure): Case => {
      const own = samples.get(`${job.name}, ${figure}`)!;
      return {
        name: `${direction} ${frames / 1e6}M ${job.name}, ${figure}`,
        remark: "",
        entries,
        distribution: "uniform",
        unit: "s",
        value: spreadOf(own),
        frames,
        yardsticks: job.peers.map(peer => beside(peer.name, peer, own, samples.get(peer.name))),
        target: targetOf(direction, job.name, figure, frames),
      };
    }),
  );
}

/** The target for a million frames; both figures are compared with it. */
function targetOf(direction: Direction, job: string, figure: string, frames: number): Target | null {
  if (frames !== 1_000_000 || job !== "→ .pcap") return null;
  const what = `${direction}, 1M frames of 60 bytes, 1k entries, ${figure}, beside tcprewrite`;
  return { what, kind: "times faster", target: 5, stretch: 10 };
}

/** a. Captures through the pipeline into new captures. */
export function replayRow(direction: Direction): (effort: Effort, folder: string) => Section {
  return (effort, folder) => ({
    title: `Capture → capture, ${direction}`,
    notes: [
      direction === "inbound"
        ? "label popped, /32 looked up among the addresses of 16 VMs, TTL, checksum, MACs"
        : "source checked, /32 route looked up, TTL, checksum, MACs, label pushed; one VM sends",
      onOneCore().length > 0
        ? "each process with all its threads on one core; new output files; input in the page cache"
        : "processes are not bound to one core here; new output files; input in the page cache",
      "replay alone: the report's seconds; whole process: with Node's start and loading the intent",
    ],
    cases: effort.captures.flatMap(size => replayOne(direction, effort, size, folder)),
  });
}

// ── Start-up ───────────────────────────────────────────────────────────────────────────────────────────────

/** d. From nothing to the report of ten frames. */
export function startRow(effort: Effort, folder: string): Section {
  const input = join(folder, "tiny.pcap");
  const random = numbers(1);
  const frames = Array.from({ length: 10 }, () => frameOf("inbound", 4, random));
  writeFileSync(input, Buffer.concat([pcapHeader(), recordsOf(frames)]));
  const intent = writeIntent(folder, "tiny", { localCount: 4, routeCount: 0, nextHopCount: 0 });
  const replay = [NODE, PROGRAM, "replay", "-n", intent, "-r", `uplink0=${input}`];
  const node = new Peer("node -e 0", [NODE, "-e", "0"]);
  const samples = takeTurns(
    [{ run: () => ({ ours: runCommand(replay).seconds }) }, node],
    effort.starts,
    Math.max(1, effort.warmups),
  );
  const ours = samples.get("ours")!;
  const yardstick = beside(node.name, node, ours, samples.get(node.name));
  return {
    title: "Start-up",
    notes: ["slash32 replay of ten frames, four VMs, from start to end of the process"],
    cases: [
      {
        name: "slash32 replay",
        remark: "ten frames",
        entries: 4,
        distribution: null,
        unit: "ms",
        value: scaled(spreadOf(ours), 1e3),
        frames: null,
        yardsticks: [{ ...yardstick, value: yardstick.value === null ? null : scaled(yardstick.value, 1e3) }],
        target: {
          what: "start of slash32 replay on a tiny capture",
          kind: "at most",
          target: 180,
          stretch: 100,
        },
      },
    ],
  };
}

// ── Size ───────────────────────────────────────────────────────────────────────────────────────────────────

/** f. Bytes of the core. */
export function wasmRow(): Section {
  const bytes = statSync(join(ROOT, "build/core.wasm")).size;
  return {
    title: "Size",
    notes: [],
    cases: [
      {
        name: "build/core.wasm",
        remark: "",
        entries: null,
        distribution: null,
        unit: "bytes",
        value: spreadOf([bytes]),
        frames: null,
        yardsticks: [],
        target: { what: "size of the core", kind: "at most", target: 32 * 1024, stretch: 12 * 1024 },
      },
    ],
  };
}
