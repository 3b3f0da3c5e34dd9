/**
 * How things are timed: commands as whole processes, in turns (A B A B …, so that whatever disturbs the
 * machine disturbs all of them), and pieces of code in memory by the package `benchmark`, which only this
 * file knows. Also who was measured where: the machine and the commit. What is measured is not decided here.
 */
import { spawnSync } from "node:child_process";
import { cpus, release, type } from "node:os";
import benchmark from "benchmark";
import lodash from "lodash";
import { isInstalled } from "../lab/programs.ts";
import { ROOT } from "./paths.ts";

export { isInstalled, ROOT };

// ── Figures ────────────────────────────────────────────────────────────────────────────────────────────────

/** Several samples of one thing. */
export interface Spread {
  /** The median, or where `isMean` the mean: that of edits, whose rare growth must not be left out. */
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly isMean: boolean;
}

/** Median, least and greatest of some samples. */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new Error("a spread needs a sample");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  const value = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { value, min: sorted[0]!, max: sorted.at(-1)!, count: sorted.length, isMean: false };
}

/** Mean, least and greatest of some samples. */
export function meanSpreadOf(samples: readonly number[]): Spread {
  const value = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  return { ...spreadOf(samples), value, isMean: true };
}

/** Theirs over ours, pair by pair: above 1 means that ours is faster. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  if (ours.length !== theirs.length) throw new Error("a ratio needs pairs");
  return spreadOf(ours.map((sample, index) => theirs[index]! / sample));
}

/** The same samples in another unit. */
export function scaled(spread: Spread, factor: number): Spread {
  const { value, min, max } = spread;
  return { ...spread, value: value * factor, min: min * factor, max: max * factor };
}

// ── Commands ───────────────────────────────────────────────────────────────────────────────────────────────

/** One of several that take turns. */
export interface Contender {
  /** Runs once; gives its measures by name. */
  readonly run: () => Record<string, number>;
  /** Runs before each, outside the time: removes an old output, for instance. */
  readonly before?: (() => void) | undefined;
}

/** Lets all run in turns; gives the samples of each measure. Warm-up rounds are run and thrown away. */
export function takeTurns(
  contenders: readonly Contender[],
  rounds: number,
  warmups: number,
): Map<string, number[]> {
  const samples = new Map<string, number[]>();
  for (let round = -warmups; round < rounds; round++) {
    for (const { run, before } of contenders) {
      before?.();
      const measures = run();
      if (round >= 0) note(samples, measures);
    }
  }
  return samples;
}

/** The same for those that must be waited for; each gives one measure. */
export async function alternate(
  contenders: Readonly<Record<string, () => number | Promise<number>>>,
  rounds: number,
  warmups: number,
): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>();
  for (let round = -warmups; round < rounds; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      const measure = await run();
      if (round >= 0) note(samples, { [name]: measure });
    }
  }
  return samples;
}

function note(samples: Map<string, number[]>, measures: Record<string, number>): void {
  for (const [name, value] of Object.entries(measures)) {
    const list = samples.get(name);
    if (list === undefined) samples.set(name, [value]);
    else list.push(value);
  }
}

/** A finished command. */
export interface Finished {
  readonly seconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. Throws when it fails, with what it said. */
export function runCommand(command: readonly string[]): Finished {
  const [program, ...args] = command;
  const start = process.hrtime.bigint();
  const result = spawnSync(program!, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(`${program} ended with ${result.status}: ${result.stderr.trim()}`);
  return { seconds, stdout: result.stdout, stderr: result.stderr };
}

/**
 * What to put before a command so that it and all its threads share one core; nothing where that is not
 * possible.
 */
export function onOneCore(): string[] {
  const prefix = ["taskset", "-c", String(cpus().length - 1)];
  return spawnSync(prefix[0]!, [...prefix.slice(1), "true"]).status === 0 ? prefix : [];
}

/**
 * A program of other people to compare with. It fails, or says something other than `expected`, and it is out
 * of the comparison: what it does then is not what it is compared for.
 */
export class Peer implements Contender {
  readonly name: string;
  readonly before: (() => void) | undefined;
  readonly #command: readonly string[];
  readonly #expected: RegExp;
  #objection: string | null = null;

  constructor(
    name: string,
    command: readonly string[],
    options: { expected?: RegExp; before?: () => void } = {},
  ) {
    this.name = name;
    this.#command = command;
    this.#expected = options.expected ?? /^$/;
    this.before = options.before;
    const program = command[0] === "taskset" ? command[3]! : command[0]!;
    if (!isInstalled(program)) this.#objection = "not installed";
  }

  /** Why it does not count; null when it does. */
  get objection(): string | null {
    return this.#objection;
  }

  readonly run = (): Record<string, number> => {
    if (this.#objection !== null) return {};
    try {
      const { seconds, stderr } = runCommand(this.#command);
      const unexpected = stderr.split("\n").find(line => !this.#expected.test(line) && line !== "");
      if (unexpected === undefined) return { [this.name]: seconds };
      this.#objection = `does not count, it said: ${unexpected.slice(0, 80)}`;
    } catch (error) {
      this.#objection = `does not count, it failed: ${(error as Error).message.slice(0, 80)}`;
    }
    return {};
  };
}

/** In a bundle `benchmark` cannot `require` lodash by itself; it takes it from a context. */
const Benchmark = benchmark.runInContext({ _: lodash }) as typeof benchmark;

// ── In memory ──────────────────────────────────────────────────────────────────────────────────────────────

/** How long a piece of code is timed. */
export interface MicroEffort {
  /** Turns of each piece of code. */
  readonly rounds: number;
  /** Samples of one turn, and the least seconds that a sample lasts. */
  readonly samples: number;
  readonly sampleSeconds: number;
}

/** Times pieces of code in turns by `benchmark`; gives seconds a call, one sample a turn. */
export function timeInMemory(
  codes: Readonly<Record<string, () => void>>,
  effort: MicroEffort,
): Map<string, number[]> {
  const contenders = Object.entries(codes).map(([name, code]) => ({
    run: () => ({ [name]: timeOne(code, effort) }),
  }));
  return takeTurns(contenders, effort.rounds, 1);
}

/** Seconds a call: the median of several samples, by `benchmark`. */
export function timeOne(code: () => void, { samples, sampleSeconds }: MicroEffort): number {
  const bench = new Benchmark(code, {
    minSamples: samples,
    minTime: sampleSeconds,
    maxTime: samples * sampleSeconds,
  });
  bench.run();
  if (bench.error !== undefined) throw bench.error;
  return spreadOf(bench.stats.sample as number[]).value;
}

// ── Where ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Processor, cores, Node and kernel: what a reader needs to place the figures, and nothing that names the
 * machine.
 */
export function machineLine(): string {
  const cores = cpus();
  const model = cores[0]?.model.trim().replace(/\s+/g, " ") ?? "unknown processor";
  const node = `Node ${process.versions.node} (V8 ${process.versions.v8.replace(/-node.*/, "")})`;
  return `${model}, ${cores.length} cores, ${node}, ${type()} ${release()}`;
}

/** The commit that was measured, `+` behind it when files differ from it; `unknown` outside a repository. */
export function commitName(): string {
  const git = (...args: string[]): string | null => {
    const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
    return status === 0 ? stdout.trim() : null;
  };
  // An installed copy may lie in somebody else's repository.
  if (git("rev-parse", "--show-prefix") !== "") return "unknown";
  const name = git("rev-parse", "--short", "HEAD");
  if (name === null) return "unknown";
  // What the figures are written into does not change them.
  const written = ["docs/performance.md", "docs/performance", "bench/baseline.json"].map(path => `:!${path}`);
  return git("status", "--porcelain", "--", ".", ...written) === "" ? name : `${name}+`;
}
