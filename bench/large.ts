/**
 * Rows that replay captures of hundreds of megabytes on one core and on two, as whole processes that take
 * turns with the yardstick in C and with other tools on the same files. The outputs of one core, of two, and
 * of the yardstick are compared byte by byte before anything is timed. Small captures, where the start of the
 * process dominates, are in commands.ts.
 */
import {
  closeSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pcapngHeader } from "../src/capture/index.ts";
import { Core } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
import type { Case, Effort, Section, Target } from "./cases.ts";
import { beside, type Direction, intentFor, replayContender, TCPDUMP_SAYS } from "./commands.ts";
import { type Contender, onOneCore, Peer, runCommand, spreadOf, takeTurns } from "./harness.ts";
import { buildYardstick } from "./native/build.ts";
import { dumpBank, outputHeader } from "./native/dump.ts";
import { FRAME_BYTES, inPortOf, RECORD_BYTES, vmPortName, writeCapture } from "./traffic.ts";

interface Size {
  readonly frames: number;
  readonly rounds: number;
  readonly warmups: number;
}

/** 76 bytes a frame as pcap, 92 as pcapng: 380 and 460 MB, or 205 and 248. */
const SIZES: Readonly<Record<Effort["name"], Size>> = {
  smoke: { frames: 20_000, rounds: 1, warmups: 0 },
  short: { frames: 2_700_000, rounds: 1, warmups: 0 },
  long: { frames: 5_000_000, rounds: 5, warmups: 1 },
};

type Format = "pcap" | "pcapng";
type Figure = "replay alone" | "whole process";
const FIGURES: readonly Figure[] = ["replay alone", "whole process"];

interface Job {
  readonly from: Format;
  /** Null: only counts. */
  readonly to: Format | null;
  /** What it is compared with on one core: a tool, the yardstick, or another job of ours. */
  readonly rivals: readonly string[];
}

/** As `nameOf` of the yardstick calls it where gcc is there. */
const YARDSTICK = "gcc -O3";
const INBOUND_JOBS: readonly Job[] = [
  { from: "pcap", to: "pcapng", rivals: ["tcprewrite", "tcpdump -r -w", YARDSTICK] },
  { from: "pcap", to: "pcap", rivals: ["tcprewrite", "tcpdump -r -w", "editcap"] },
  { from: "pcap", to: null, rivals: [YARDSTICK, "tcpdump -w /dev/null"] },
  { from: "pcapng", to: "pcapng", rivals: ["tcprewrite", "tcpdump -r -w", "editcap", "pcap → .pcapng"] },
  { from: "pcapng", to: null, rivals: ["tcpdump -w /dev/null", "pcap → counts only"] },
];

/** Labels pushed instead of popped: reading and the tools are the same, so fewer of them. */
const OUTBOUND_JOBS: readonly Job[] = [
  { from: "pcap", to: "pcapng", rivals: ["tcprewrite", "tcpdump -r -w", YARDSTICK] },
  { from: "pcap", to: null, rivals: [YARDSTICK, "tcpdump -w /dev/null"] },
];
const JOBS: Readonly<Record<Direction, readonly Job[]>> = { inbound: INBOUND_JOBS, outbound: OUTBOUND_JOBS };

/** Limits of one core beside a rival, for the jobs that write. */
const LIMITS: Readonly<Record<string, Omit<Target, "what">>> = {
  tcprewrite: { kind: "times faster", target: 8, stretch: 14 },
  "tcpdump -r -w": { kind: "times faster", target: 4, stretch: 7 },
  [YARDSTICK]: { kind: "times slower at most", target: 1.3, stretch: 1.05 },
};

function nameOf({ from, to }: Job): string {
  return `${from} → ${to === null ? "counts only" : `.${to}`}`;
}

/** The files of one direction: inputs, intent, what the yardstick needs, and outputs that come and go. */
interface Files {
  readonly at: (name: string) => string;
  readonly intent: string;
  readonly port: string;
  readonly inPort: number;
}

function prepare(direction: Direction, frames: number, entries: number, folder: string): Files {
  const at = (name: string): string => join(folder, `large-${name}`);
  const intent = intentFor(direction, folder, entries);
  writeCapture(at("in.pcap"), direction, frames, entries);
  const port = direction === "inbound" ? "uplink0" : vmPortName(0);
  toPcapNg(at("in.pcap"), at("in.pcapng"), port);
  const loaded = loadIntent(intent).intent!;
  const core = Core.load();
  core.install(loaded);
  dumpBank(core, at("bank"));
  writeFileSync(at("header"), outputHeader(loaded));
  return { at, intent, port, inPort: inPortOf(direction) };
}

/** Writes the packets of a pcap that `writeCapture` made as pcapng, one Enhanced Packet Block each. */
function toPcapNg(from: string, to: string, port: string): void {
  const [input, output] = [openSync(from, "r"), openSync(to, "w")];
  const blockBytes = 28 + FRAME_BYTES + 4;
  const records = Buffer.alloc(0x4000 * RECORD_BYTES);
  const blocks = Buffer.alloc(0x4000 * blockBytes);
  writeSync(output, pcapngHeader([port], 6));
  let at = 24;
  for (;;) {
    const bytes = readSync(input, records, 0, records.length, at);
    if (bytes === 0) break;
    at += bytes;
    const count = bytes / RECORD_BYTES;
    for (let index = 0; index < count; index++) {
      const record = index * RECORD_BYTES;
      const block = index * blockBytes;
      const time =
        BigInt(records.readUInt32LE(record)) * 1_000_000n + BigInt(records.readUInt32LE(record + 4));
      const words = [6, blockBytes, 0, Number(time >> 32n), Number(time & 0xffffffffn)];
      for (const [place, word] of [...words, FRAME_BYTES, FRAME_BYTES].entries())
        blocks.writeUInt32LE(word, block + 4 * place);
      records.copy(blocks, block + 28, record + 16, record + RECORD_BYTES);
      blocks.writeUInt32LE(blockBytes, block + blockBytes - 4);
    }
    writeSync(output, blocks, 0, count * blockBytes);
  }
  closeSync(input);
  closeSync(output);
}

/** `slash32 replay` of a job: pinned to one core, or free on two. */
function ours(job: Job, cores: 1 | 2, frames: number, files: Files, before: () => void): Contender {
  const { at, intent, port } = files;
  const args = ["-n", intent, "-r", `${port}=${at(`in.${job.from}`)}`, "--threads", String(cores)];
  const write = job.to === null ? [] : ["-w", at(`out.${job.to}`)];
  const pin = cores === 1 ? onOneCore() : [];
  return replayContender(`${nameOf(job)}, ${cores}`, [...args, ...write], frames, before, pin);
}

/** The yardstick on a job that reads pcap: its own seconds, and those of the process. */
function yardstickContender(program: string, job: Job, files: Files, before: () => void): Contender {
  const { at, inPort } = files;
  const output = job.to === null ? "-" : at(`out.${job.to}`);
  const jobArgs = [at("bank"), at("in.pcap"), String(inPort), at("header"), output];
  const run = (): Record<string, number> => {
    const { seconds, stdout } = runCommand([...onOneCore(), program, "replay", ...jobArgs]);
    const name = `${YARDSTICK}, ${nameOf(job)}`;
    return { [`${name}, replay alone`]: JSON.parse(stdout).seconds, [`${name}, whole process`]: seconds };
  };
  return { run, before };
}

/** Whether two files hold the same bytes; a chunk at a time, so that this process stays small. */
export function isSameFile(a: string, b: string): boolean {
  if (statSync(a).size !== statSync(b).size) return false;
  const [one, other] = [openSync(a, "r"), openSync(b, "r")];
  const chunks = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)] as const;
  try {
    for (;;) {
      const bytes = readSync(one, chunks[0], 0, 1 << 20, null);
      if (readSync(other, chunks[1], 0, 1 << 20, null) !== bytes) return false;
      if (bytes === 0) return true;
      if (chunks[0].compare(chunks[1], 0, bytes, 0, bytes) !== 0) return false;
    }
  } finally {
    closeSync(one);
    closeSync(other);
  }
}

/** Throws unless all write the same pcapng: one core, two, from pcap and from pcapng, and the yardstick. */
function assertSameOutput(
  jobs: readonly Job[],
  frames: number,
  files: Files,
  program: string | null,
  before: () => void,
): void {
  const writing = jobs.filter(({ to }) => to === "pcapng");
  const runs = writing.flatMap(job =>
    ([1, 2] as const).map(cores => ({
      name: `${nameOf(job)}, ${cores}`,
      one: ours(job, cores, frames, files, before),
    })),
  );
  if (program !== null) {
    runs.push({ name: YARDSTICK, one: yardstickContender(program, writing[0]!, files, before) });
  }
  const wanted = files.at("wanted.pcapng");
  const made = files.at("out.pcapng");
  for (const [index, { name, one }] of runs.entries()) {
    one.before?.();
    one.run();
    if (index === 0) renameSync(made, wanted);
    else if (!isSameFile(made, wanted)) throw new Error(`${name} writes other bytes than ${runs[0]!.name}`);
  }
  rmSync(wanted);
}

/** Other people's tools on the same files, by name and format of what they read. */
function toolsFor(jobs: readonly Job[], files: Files, before: () => void): Map<string, Peer> {
  const pin = onOneCore();
  const theirs = files.at("theirs.cap");
  const tools = new Map<string, Peer>();
  for (const from of ["pcap", "pcapng"] as const) {
    const input = files.at(`in.${from}`);
    const add = (name: string, command: readonly string[], expected?: RegExp): void => {
      if (!jobs.some(job => job.from === from && job.rivals.includes(name))) return;
      const options = expected === undefined ? { before } : { before, expected };
      tools.set(`${name}, ${from}`, new Peer(`${name}, ${from}`, [...pin, ...command], options));
    };
    add("tcprewrite", [
      "tcprewrite",
      "--enet-dmac=52:54:00:00:01:00",
      `--infile=${input}`,
      `--outfile=${theirs}`,
    ]);
    add("tcpdump -r -w", ["tcpdump", "-r", input, "-w", theirs], TCPDUMP_SAYS);
    add("tcpdump -w /dev/null", ["tcpdump", "-r", input, "-w", "/dev/null"], TCPDUMP_SAYS);
    add("editcap", ["editcap", "-F", from, input, theirs]);
  }
  return tools;
}

/** Samples of everybody, by name and figure, and why some have none. */
interface Measured {
  readonly samples: ReadonlyMap<string, number[]>;
  readonly tools: ReadonlyMap<string, Peer>;
  readonly yardstickObjection: string | null;
}

/** The samples of a rival of a job in one figure: tools have one figure only. */
function rivalOf(name: string, job: Job, figure: Figure, measured: Measured) {
  const { samples, tools, yardstickObjection } = measured;
  const tool = tools.get(`${name}, ${job.from}`);
  if (tool !== undefined) return { peer: tool, theirs: samples.get(tool.name) };
  const peer = { objection: name === YARDSTICK ? yardstickObjection : null };
  const own = name === YARDSTICK ? `${YARDSTICK}, ${nameOf(job)}` : `${name}, 1`;
  return { peer, theirs: samples.get(`${own}, ${figure}`) };
}

interface Scene {
  readonly direction: Direction;
  readonly megabytes: number;
  readonly size: Size;
  readonly entries: number;
}

/** One figure of a job, on one core beside its rivals, or on two beside one. */
function caseOf(job: Job, cores: 1 | 2, figure: Figure, scene: Scene, measured: Measured): Case {
  const { direction, size, entries } = scene;
  const own = measured.samples.get(`${nameOf(job)}, ${cores}, ${figure}`)!;
  const where = `${cores === 1 ? "one core" : "two cores"}, ${figure}`;
  const yardsticks = (cores === 1 ? job.rivals : ["one core"]).map(rival => {
    const { peer, theirs } = rivalOf(rival === "one core" ? nameOf(job) : rival, job, figure, measured);
    return beside(rival, peer, own, theirs);
  });
  return {
    name: `${direction} ${size.frames / 1e6}M ${nameOf(job)}, ${where}`,
    remark: "",
    entries,
    distribution: "uniform",
    unit: "s",
    value: spreadOf(own),
    frames: size.frames,
    yardsticks,
    target: null,
    moreTargets: targetsOf(job, cores, where, scene),
  };
}

function targetsOf(job: Job, cores: 1 | 2, where: string, { direction, megabytes }: Scene): Target[] {
  const isWriting = job.to !== null;
  const what = `${direction}, ${megabytes} MB, ${where}, ${isWriting ? "with -w" : "without -w"}`;
  if (cores === 2) {
    const limits = isWriting ? { target: 1.4, stretch: 1.7 } : { target: 1.8, stretch: 1.95 };
    return [{ what: `${what}, beside one core`, kind: "times faster", beside: "one core", ...limits }];
  }
  const rivals = isWriting ? job.rivals.filter(rival => rival in LIMITS) : [];
  return rivals.map(rival => ({ what: `${what}, beside ${rival}`, beside: rival, ...LIMITS[rival]! }));
}

/** Lets everybody take turns, the outputs having been compared; gives the cases of one direction. */
function measure(direction: Direction, effort: Effort, folder: string): { cases: Case[]; notes: string[] } {
  const size = SIZES[effort.name];
  const jobs = JOBS[direction];
  const files = prepare(direction, size.frames, effort.entries, folder);
  const names = ["out.pcap", "out.pcapng", "theirs.cap"].map(files.at);
  const before = (): void => {
    for (const file of names) rmSync(file, { force: true });
  };
  const built = buildYardstick();
  assertSameOutput(jobs, size.frames, files, built.program, before);
  const tools = toolsFor(jobs, files, before);
  const contenders: Contender[] = jobs.flatMap(job =>
    ([1, 2] as const).map(cores => ours(job, cores, size.frames, files, before)),
  );
  const { program } = built;
  if (program !== null) {
    const native = jobs.filter(({ rivals }) => rivals.includes(YARDSTICK));
    contenders.push(...native.map(job => yardstickContender(program, job, files, before)));
  }
  const samples = takeTurns([...contenders, ...tools.values()], size.rounds, size.warmups);
  const megabytes = Math.round(statSync(files.at("in.pcap")).size / 1e6);
  const scene: Scene = { direction, megabytes, size, entries: effort.entries };
  const measured: Measured = {
    samples,
    tools,
    yardstickObjection: built.program === null ? built.reason : null,
  };
  before();
  for (const name of ["in.pcap", "in.pcapng", "bank", "header"]) rmSync(files.at(name));
  const cases = FIGURES.flatMap(figure =>
    jobs.flatMap(job => [caseOf(job, 1, figure, scene, measured), caseOf(job, 2, figure, scene, measured)]),
  );
  const compiler = built.program === null ? [] : [`${YARDSTICK}: bench/native, ${built.compiler}, -O3`];
  return { cases, notes: compiler };
}

/** Captures of hundreds of megabytes through the pipeline into new captures, on one core and on two. */
export function largeRow(direction: Direction): (effort: Effort, folder: string) => Section {
  return (effort, folder) => {
    const { cases, notes } = measure(direction, effort, folder);
    const { rounds, warmups, frames } = SIZES[effort.name];
    return {
      title: `Capture → capture, ${direction}, large`,
      notes: [
        `${frames.toLocaleString("en")} frames of ${FRAME_BYTES} bytes; as pcapng they take a fifth more`,
        `${rounds} rounds in turns after ${warmups} warm-up; input in page cache, every output a new file`,
        "one core: --threads 1, process pinned, as are the tools; two cores: --threads 2, not pinned",
        "before the timing, one core, two, and the yardstick wrote the same bytes",
        "replay alone: the report's seconds (the yardstick's own, too); tools have whole processes only",
        ...notes,
      ],
      cases,
    };
  };
}
