/**
 * Random cases judged one after the other: a program with neighbours that are neutral edits of it, or
 * mutants, or both. What went wrong is made small and told with the seed that leads back to it.
 */
import type { ProofOptions } from "../../../src/verify/prove.ts";
import { MUTANTS, NEUTRAL } from "./edits.ts";
import { randomProgram, randomWorld } from "./generate.ts";
import {
  type Case,
  caseText,
  Disagreement,
  Engines,
  Enumeration,
  type Judgement,
  judge,
  judgeEngines,
  type Prover,
  shrink,
} from "./judge.ts";
import type { Program, Rule } from "./language.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Of the mutants of one sort. */
export interface Kills {
  made: number;
  /** Those that some packet tells, or that meet a tie. */
  seen: number;
  /** Those of them that the prover did not call equal. */
  killed: number;
}

export interface Summary {
  pairs: number;
  packets: number;
  agreed: number;
  neutral: number;
  readonly mutants: Map<string, Kills>;
  readonly truths: Map<string, number>;
  /** What the prover left open, by feature. */
  readonly open: Map<string, number>;
  readonly failures: string[];
  /** The pair that failed first, counted from 1; 0: none. */
  firstFailure: number;
}

export interface RunOptions {
  readonly seed: number;
  readonly pairs: number;
  readonly prover?: Prover;
  /** Stops at the first failure and does not make it small. */
  readonly isBrief?: boolean;
  /** Gets every case that was judged. */
  readonly onJudged?: (one: Case, judgement: Judgement, isNeutral: boolean) => void;
}

const NEIGHBOURS = 4;
/** The longest of some thousand pairs takes 25,000 steps. */
const LIMITS: ProofOptions = {
  maxSeconds: Number.POSITIVE_INFINITY,
  maxSteps: 2_000_000,
  maxDifferences: 3,
};
const FAILURES_TOLD = 5;

const count = <Name>(counts: Map<Name, number>, name: Name): void =>
  void counts.set(name, (counts.get(name) ?? 0) + 1);

interface Neighbour {
  readonly name: string;
  readonly isNeutral: boolean;
  readonly program: Program;
}

/** A neutral edit or two, or a mutant, which may be in disguise. */
function neighbourOf(program: Program, random: Random, world: World, isNeutral: boolean): Neighbour | null {
  const change = (from: Program, edits: typeof NEUTRAL): [string, Program] | null => {
    const name = random.pick(Object.keys(edits));
    const made = edits[name]!(from, random, world);
    return made === null ? null : [name, made];
  };
  const first = change(program, isNeutral ? NEUTRAL : MUTANTS);
  if (first === null) return null;
  const second = random.chance(0.4) ? change(first[1], NEUTRAL) : null;
  return { name: first[0], isNeutral, program: second?.[1] ?? first[1] };
}

export function run(options: RunOptions): Summary {
  const summary: Summary = {
    pairs: 0,
    packets: 0,
    agreed: 0,
    neutral: 0,
    mutants: new Map(),
    truths: new Map(),
    open: new Map(),
    failures: [],
    firstFailure: 0,
  };
  for (let seed = options.seed; summary.pairs < options.pairs; seed = (seed + 1) >>> 0) {
    const random = new Random(seed);
    const world = randomWorld(random);
    const program = randomProgram(random, world);
    const engines = Engines.of(program, "a");
    if (engines === null) continue;
    const packets = new Enumeration(world);
    const original = { ...program, live: hitsOf(engines, packets) };
    for (let i = 0; i < NEIGHBOURS && summary.pairs < options.pairs; i++) {
      const neighbour = neighbourOf(original, random, world, i % 2 === 0);
      if (neighbour === null) continue;
      judgeNeighbour(summary, options, seed, packets, engines, neighbour);
      if (options.isBrief === true && summary.failures.length > 0) return summary;
    }
  }
  return summary;
}

/** The rules that packets hit; none where the engines disagree, which the judge will say. */
function hitsOf(engines: Engines, packets: Enumeration): readonly Rule[] {
  try {
    for (const one of packets.all) engines.run(one);
  } catch (error) {
    if (!(error instanceof Disagreement)) throw error;
  }
  return engines.hits;
}

function judgeNeighbour(
  summary: Summary,
  options: RunOptions,
  seed: number,
  packets: Enumeration,
  a: Engines,
  neighbour: Neighbour,
): void {
  const b = Engines.of(neighbour.program, "b");
  if (b === null) return;
  summary.pairs++;
  const one: Case = { world: packets.world, a: a.program, b: b.program };
  let wrong: string | null;
  try {
    const judgement = judgeEngines(packets, a, b, options.prover, LIMITS);
    wrong = judgement.wrong;
    if (wrong === null && neighbour.isNeutral && judgement.truth === "different")
      wrong = "a neutral edit was seen";
    take(summary, judgement, neighbour);
    options.onJudged?.(one, judgement, neighbour.isNeutral);
  } catch (error) {
    wrong = error instanceof Error ? error.message : String(error);
  }
  if (wrong === null) return;
  if (summary.firstFailure === 0) summary.firstFailure = summary.pairs;
  if (summary.failures.length >= FAILURES_TOLD) return;
  const small = options.isBrief === true ? one : shrink(one, other => isAlike(wrong, other, options.prover));
  summary.failures.push(`seed ${seed}, ${neighbour.name}: ${wrong}\n${caseText(small)}`);
}

function take(
  summary: Summary,
  { truth, verdict, packets, open, agreed }: Judgement,
  { name, isNeutral }: Neighbour,
): void {
  summary.packets += packets;
  summary.agreed += agreed;
  count(summary.truths, `${truth}, called ${verdict}`);
  for (const feature of new Set(open)) count(summary.open, feature);
  if (isNeutral) {
    summary.neutral++;
    return;
  }
  const kills = summary.mutants.get(name) ?? { made: 0, seen: 0, killed: 0 };
  kills.made++;
  if (truth !== "equal") kills.seen++;
  if (truth !== "equal" && verdict !== "equal") kills.killed++;
  summary.mutants.set(name, kills);
}

/** What a failure is, without its numbers. */
const kindOf = (wrong: string): string => wrong.replace(/[:{(].*/s, "");

function isAlike(wrong: string, one: Case, prover: Prover | undefined): boolean {
  try {
    const found = judge(one, prover, LIMITS);
    if (found === null) return false;
    if (wrong === "a neutral edit was seen") return false;
    return found.wrong !== null && kindOf(found.wrong) === kindOf(wrong);
  } catch (error) {
    const isSame =
      error instanceof Disagreement
        ? wrong.includes("the interpreter says")
        : error instanceof Error && error.message === wrong;
    return isSame;
  }
}

/** A few lines for the log of a test. */
export function summaryText(summary: Summary, seed: number): string {
  const kills = [...summary.mutants.values()];
  const sum = (part: keyof Kills): number => kills.reduce((total, one) => total + one[part], 0);
  const listed = (counts: Map<string, number>): string =>
    [...counts].map(([name, number]) => `${name}: ${number}`).join("; ");
  const mutants = [...summary.mutants]
    .sort()
    .map(([name, { made, seen, killed }]) => `${name} ${killed}/${seen} of ${made}`);
  return [
    `seed ${seed}: ${summary.pairs} pairs, ${summary.packets} packets on both tables, ${summary.agreed} judged by both engines`,
    `  ${listed(summary.truths)}`,
    `  neutral edits: ${summary.neutral}; mutants: ${sum("made")}, of which ${sum("seen")} are seen and ${sum("killed")} were killed`,
    `  killed/seen of made: ${mutants.join(", ")}`,
    ...(summary.open.size === 0 ? [] : [`  left open: ${listed(summary.open)}`]),
    "",
  ].join("\n");
}
