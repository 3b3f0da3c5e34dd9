/**
 * Rows about flows: a dump parsed, frames traced through it, captures compared with it, and a dump compiled,
 * as processes on one core. Open vSwitch does the first two beside it, where it is installed (ovs-ofctl(8)
 * parse-flows, ovs-vswitchd(8) ofproto/trace); it is a server and a parser in C with other output, as the
 * notes say.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PrivateSwitch } from "../test/ovs/private-switch.ts";
import type { Case, Effort, Section, Target, Yardstick } from "./cases.ts";
import { beside } from "./commands.ts";
import { isInstalled, onOneCore, ROOT, ratioOf, runCommand, spreadOf, takeTurns } from "./harness.ts";
import { bundleFile } from "./paths.ts";
import { frameOf, inPortOf, numbers, UPLINK_PORT, VM_COUNT, vmPort, writeIntent } from "./traffic.ts";

interface Size {
  /** Flows that are read, and routes that are made flows of. */
  readonly flows: number;
  /** Routes of the dump that frames are traced through. */
  readonly traced: number;
  readonly frames: number;
  /** Frames that Open vSwitch traces; its time is scaled to `frames`. */
  readonly framesOfSwitch: number;
  /** Times that the captures are repeated. */
  readonly repeats: number;
  readonly rounds: number;
}

const SIZES: Readonly<Record<Effort["name"], Size>> = {
  smoke: { flows: 10_000, traced: 500, frames: 2_000, framesOfSwitch: 50, repeats: 5, rounds: 1 },
  short: { flows: 200_000, traced: 10_000, frames: 200_000, framesOfSwitch: 1_000, repeats: 200, rounds: 2 },
  long: { flows: 1_000_000, traced: 10_000, frames: 300_000, framesOfSwitch: 2_000, repeats: 500, rounds: 5 },
};

/** The dumps of this size are made of that many next hops. */
const NEXT_HOPS = 16;

const PROGRAM = [process.execPath, join(ROOT, "bin/slash32")];

/** Runs a command on one core with its output in a file; seconds of the whole process. */
function secondsOf(command: readonly string[], output: string): number {
  return runCommand([...onOneCore(), "sh", "-c", 'exec "$@" > "$0"', output, ...command]).seconds;
}

/** An intent with that many routes, and its flows in a file. */
function dumpOf(routes: number, name: string, folder: string): { intent: string; flows: string } {
  const intent = writeIntent(folder, name, {
    localCount: VM_COUNT,
    routeCount: routes,
    nextHopCount: NEXT_HOPS,
  });
  const flows = join(folder, `${name}.flows`);
  runCommand([...PROGRAM, "compile", intent, "-w", flows]);
  return { intent, flows };
}

interface Figure {
  readonly name: string;
  readonly unit: "s" | "MB";
  readonly samples: readonly number[];
  readonly entries: number | null;
  /** Frames that a sample stands for. */
  readonly frames: number | null;
  readonly yardsticks?: readonly Yardstick[];
  readonly target: Target | null;
}

function caseOf({ samples, yardsticks = [], ...figure }: Figure): Case {
  return { ...figure, remark: "", distribution: null, value: spreadOf(samples), yardsticks };
}

// ── A dump is read ─────────────────────────────────────────────────────────────────────────────────────────

/** Flows of a file into columns; every time in a new process. */
export function parseRow(effort: Effort, folder: string): Section {
  const { flows, rounds } = SIZES[effort.name];
  const dump = dumpOf(flows, "parse", folder).flows;
  const theirs = "ovs-ofctl parse-flows";
  const objection = isInstalled("ovs-ofctl") ? null : "not installed";
  const ours = (): Record<string, number> => {
    const { stdout } = runCommand([
      ...onOneCore(),
      process.execPath,
      bundleFile("bench-load"),
      "flows",
      dump,
    ]);
    return JSON.parse(stdout);
  };
  const ovs = (): Record<string, number> => ({
    [theirs]: secondsOf(["ovs-ofctl", "-O", "OpenFlow13", "parse-flows", dump], "/dev/null"),
  });
  const contenders = [{ run: ours }, ...(objection === null ? [{ run: ovs }] : [])];
  const samples = takeTurns(contenders, rounds, 0);
  const parse = samples.get("parse")!;
  const count = samples.get("flows")![0]!;
  const isHeld = effort.name === "long";
  return {
    title: "Flows from a file",
    notes: [
      "a compiled dump into columns, its bytes already read; a new process every time, its start not counted",
      "ovs-ofctl parse-flows: the whole process, which prints each flow",
    ],
    cases: [
      caseOf({
        name: "flows-parse",
        unit: "s",
        samples: parse,
        entries: count,
        frames: null,
        yardsticks: [beside(theirs, { objection }, parse, samples.get(theirs))],
        target: isHeld ? { what: "1,000,000 flows read", kind: "at most", target: 1, stretch: 0.5 } : null,
      }),
      caseOf({
        name: "flows-parse, resident",
        unit: "MB",
        samples: samples.get("megabytes")!,
        entries: count,
        frames: null,
        target: isHeld
          ? { what: "resident memory of a million flows", kind: "at most", target: 600, stretch: null }
          : null,
      }),
    ],
  };
}

// ── Frames are traced ──────────────────────────────────────────────────────────────────────────────────────

/** Seconds in which a private Open vSwitch traces these frames, all asked for at once; or why it does not. */
async function switchSeconds(dump: string, frames: readonly string[]): Promise<number | string> {
  if (!isInstalled("ovs-vswitchd")) return "not installed";
  const numbersOfPorts = [UPLINK_PORT, ...Array.from({ length: VM_COUNT }, (_, vm) => vmPort(vm))];
  try {
    const bridge = await PrivateSwitch.start({ ports: numbersOfPorts.map(number => ({ number })) });
    try {
      await bridge.replaceFlows(readFileSync(dump, "utf8"));
      const start = performance.now();
      await Promise.all(frames.map(hex => bridge.trace(inPortOf("outbound"), hex)));
      return (performance.now() - start) / 1e3;
    } finally {
      await bridge.close();
    }
  } catch (error) {
    return `does not count, it failed: ${(error as Error).message.slice(0, 80)}`;
  }
}

/** `slash32 trace --batch`: frames of one VM to all routes of a dump. */
export async function traceRow(effort: Effort, folder: string): Promise<Section> {
  const { traced, frames, framesOfSwitch, rounds } = SIZES[effort.name];
  const { flows } = dumpOf(traced, "trace", folder);
  const random = numbers(3);
  const hex = Array.from({ length: frames }, () =>
    Buffer.from(frameOf("outbound", traced, random)).toString("hex"),
  );
  const input = join(folder, "trace.ndjson");
  const output = join(folder, "traced.ndjson");
  const inPort = inPortOf("outbound");
  writeFileSync(input, hex.map(frame => `{"in_port":${inPort},"frame":"${frame}"}\n`).join(""));
  const ours: number[] = [];
  for (let round = 0; round < rounds; round++)
    ours.push(secondsOf([...PROGRAM, "trace", "-f", flows, "--batch", input], output));
  const left = runCommand(["grep", "-c", '"verdict":"output"', output]).stdout;
  if (Number(left) !== frames) throw new Error(`of ${frames} frames ${left.trim()} left`);
  rmSync(output);
  const theirs = await switchSeconds(flows, hex.slice(0, framesOfSwitch));
  const scaled = typeof theirs === "number" ? (theirs * frames) / framesOfSwitch : null;
  return {
    title: "Frames through flows",
    notes: [
      "slash32 trace --batch, 60-byte frames, with the tables of each; whole process, with parsing the dump",
      `ofproto/trace: ${framesOfSwitch} of the frames, sent at once to a running switch, scaled to all`,
    ],
    cases: [
      caseOf({
        name: "flows-trace",
        unit: "s",
        samples: ours,
        entries: traced,
        frames,
        yardsticks: [
          {
            name: "ofproto/trace",
            value: scaled === null ? null : spreadOf([scaled]),
            timesFaster:
              scaled === null
                ? null
                : ratioOf(
                    ours,
                    ours.map(() => scaled),
                  ),
            objection: typeof theirs === "string" ? theirs : null,
          },
        ],
        target:
          effort.name === "smoke"
            ? null
            : {
                what: "frames traced through 10k flows",
                kind: "Mpps at least",
                target: 0.06,
                stretch: 0.15,
              },
      }),
    ],
  };
}

// ── Captures are compared ──────────────────────────────────────────────────────────────────────────────────

/** Bundled captures that name their ports; sections of pcapng can follow each other. */
const CAPTURES = ["uplink.pcapng", "bridged.pcapng", "guests.pcapng"];

/** `slash32 replay --against` the flows of the same intent. */
export function againstRow(effort: Effort, folder: string): Section {
  const { repeats, rounds } = SIZES[effort.name];
  const title = "Captures against flows";
  const files = CAPTURES.map(name => join(ROOT, "pcaps", name));
  if (!files.every(file => existsSync(file)))
    return { title, notes: ["skipped: the bundled captures are not here"], cases: [] };
  const intent = join(ROOT, "pcaps/hv1.yaml");
  const flows = join(folder, "against.flows");
  const input = join(folder, "against.pcapng");
  const report = join(folder, "against.json");
  runCommand([...PROGRAM, "compile", intent, "-w", flows]);
  const all = Buffer.concat(files.map(file => readFileSync(file)));
  writeFileSync(input, Buffer.concat(Array.from({ length: repeats }, () => all)));
  const samples: number[] = [];
  let frames = 0;
  for (let round = 0; round < rounds; round++) {
    secondsOf(
      [...PROGRAM, "replay", "-n", intent, "-r", input, "--against", flows, "--format", "json"],
      report,
    );
    const { seconds, against } = JSON.parse(readFileSync(report, "utf8"));
    if (against.different !== 0) throw new Error(`${against.different} frames differ`);
    samples.push(seconds);
    frames = against.frames;
  }
  rmSync(input);
  return {
    title,
    notes: [`replay alone; ${CAPTURES.join(", ")} of pcaps, ${repeats} times; no frame may differ`],
    cases: [
      caseOf({
        name: "flows-against",
        unit: "s",
        samples,
        entries: null,
        frames,
        target:
          effort.name === "smoke"
            ? null
            : {
                what: "captures replayed against flows",
                kind: "Mpps at least",
                target: 0.3,
                stretch: null,
              },
      }),
    ],
  };
}

// ── A dump is made ─────────────────────────────────────────────────────────────────────────────────────────

/** `slash32 compile`: routes from a file into flows in a file. */
export function compileRow(effort: Effort, folder: string): Section {
  const { flows, rounds } = SIZES[effort.name];
  const intent = writeIntent(folder, "compile", {
    localCount: VM_COUNT,
    routeCount: flows,
    nextHopCount: NEXT_HOPS,
  });
  const output = join(folder, "compiled.flows");
  const compile = [...onOneCore(), ...PROGRAM, "compile", intent, "-w", output];
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) samples.push(runCommand(compile).seconds);
  rmSync(output);
  return {
    title: "Flows into a file",
    notes: ["slash32 compile -w: whole process, the intent and its routes read from files"],
    cases: [
      caseOf({
        name: "flows-compile",
        unit: "s",
        samples,
        entries: flows,
        frames: null,
        target:
          flows === 1_000_000
            ? { what: "1,000,000 routes into flows", kind: "at most", target: 4, stretch: null }
            : null,
      }),
    ],
  };
}
