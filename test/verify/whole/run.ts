/**
 * Random pairs of flow tables in the whole language, proven and then tried: frames of every kind go through
 * the interpreter with both tables. A proof that a frame contradicts is false; one that covers what the
 * interpreter leaves open must be about what docs/proof.md says is taken as it stands; and a difference for
 * which the prover finds no frame is its own bug.
 */

import {
  FlowColumns,
  type Group,
  Interpreter,
  type Outcome,
  type Protocol,
  parseGroups,
} from "../../../src/openflow/index.ts";
import { sameOutcome } from "../../../src/verify/counterexample/confirm.ts";
import { type FlowTable, type Proof, prove } from "../../../src/verify/index.ts";
import { outcomeOf, randomFlows, randomGroups } from "../../fuzz/world.ts";
import { type Rng, rng } from "../../model/random.ts";
import { randomFrame, WORLD } from "../../openflow/interpret/frames.ts";
import type { Input } from "../../ovs/private-switch.ts";
import { shrunk } from "../shrink.ts";
import { randomTracker } from "../tracker/world.ts";
import { edited } from "./edits.ts";

/** Two tables and the groups that both name. */
export interface Pair {
  readonly groups: readonly string[];
  readonly a: readonly string[];
  readonly b: readonly string[];
  readonly protocol: Protocol;
}

/** Taken as they stand: the same on both sides is the same (docs/proof.md). */
const AS_IT_STANDS: ReadonlySet<string> = new Set([
  "NORMAL",
  "FLOOD",
  "ALL",
  "bundle",
  "select group",
  "a pop_mpls that makes Open vSwitch end itself",
]);

const STEPS = 200_000;
const DIFFERENCES = 5;
const CLASSES = 3000;

/** A table as the prover and the interpreter take it; null when a line cannot be read. */
export class Table {
  readonly flows: FlowColumns;
  readonly groups: readonly Group[];
  readonly interpreter: Interpreter;

  static of(lines: readonly string[], { groups, protocol }: Pair, name: string): Table | null {
    const read = parseGroups(groups.join("\n"), `${name}.groups`);
    if (read.problems.some(({ level }) => level === "error")) return null;
    const flows = new FlowColumns(Buffer.from(`${lines.join("\n")}\n`), name, { protocol });
    return flows.errorCount > 0 ? null : new Table(flows, read.groups);
  }

  private constructor(flows: FlowColumns, groups: readonly Group[]) {
    this.flows = flows;
    this.groups = groups;
    this.interpreter = new Interpreter(flows, { groups });
  }
}

/** A budget in steps alone: the same on every machine. */
const within = (maxSteps: number) => ({ maxSteps, maxSeconds: Number.POSITIVE_INFINITY });

export interface Judgement {
  readonly proof: Proof;
  /** What is wrong, with the frame that shows it; null when nothing is. */
  readonly wrong: string | null;
  readonly frames: number;
}

const isOpen = ({ verdict }: Outcome): boolean => verdict === "unknown" || verdict === "ambiguous";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** What a frame says against a proof that two tables are equal; null: nothing. */
function contradiction(a: Outcome, b: Outcome): string | null {
  if (!isOpen(a) && !isOpen(b)) return sameOutcome(a, b) ? null : "a false proof";
  if ([a, b].some(({ verdict }) => verdict === "ambiguous")) return "a proof over what is ambiguous";
  if (isOpen(a) !== isOpen(b)) return "a proof over what is unknown on one side";
  const open = [...a.unknown, ...b.unknown].find(({ feature }) => !AS_IT_STANDS.has(feature));
  return open === undefined ? null : `a proof over what is unknown: ${open.feature}`;
}

/**
 * Proves a pair, and tries `frames` frames of the generator on it when it was proven. Null: a line cannot be
 * read.
 */
export function judge(pair: Pair, r: Rng, frames: number): Judgement | null {
  const [a, b] = [Table.of(pair.a, pair, "a"), Table.of(pair.b, pair, "b")];
  if (a === null || b === null) return null;
  const proof = prove(a, b, {
    ...within(STEPS),
    maxClasses: CLASSES,
    maxDifferences: DIFFERENCES,
    // What is the same on both sides, and therefore equal, may be unknown to the interpreter.
    isThorough: true,
  });
  const unconfirmed = proof.unknown.find(({ feature }) => feature.startsWith("unconfirmed"));
  if (unconfirmed !== undefined) return { proof, wrong: unconfirmed.feature, frames: 0 };
  if (proof.verdict !== "equal") return { proof, wrong: null, frames: 0 };
  const reaching = [a, b].flatMap(framesFor);
  const inputs = Array.from({ length: frames }, () => ({
    inPort: r.pick(WORLD.ports),
    frame: randomFrame(r),
  }));
  for (const [n, input] of [...reaching, ...inputs].entries()) {
    const outcomes = [a, b].map(({ interpreter }) => outcomeOf(interpreter, input, randomTracker(n)));
    const [x, y] = outcomes;
    if (x === null || y === null) continue;
    const wrong = contradiction(x!, y!);
    if (wrong !== null)
      return { proof, wrong: `${wrong}: in_port ${input.inPort} ${hex(input.frame)}`, frames: n + 1 };
  }
  return { proof, wrong: null, frames: reaching.length + frames };
}

const NOTHING: FlowTable = { flows: new FlowColumns(new Uint8Array(0), "nothing") };
const WAYS = 12;

/** Frames that leave by as many ways through a table: those that tell it from one without flows. */
function framesFor(table: Table): Input[] {
  const { differences } = prove(table, NOTHING, {
    ...within(STEPS / 4),
    maxClasses: CLASSES,
    maxDifferences: WAYS,
  });
  return differences.flatMap(({ inPort, frame }) =>
    [inPort, ...WORLD.ports].map(port => ({ inPort: port, frame })),
  );
}

/** A pair of the generator: some flows of a random world, and the same after some edits. */
export function randomPair(r: Rng): { readonly pair: Pair; readonly edits: readonly string[] } {
  const protocol: Protocol = r.chance(75) ? "OpenFlow13" : "OpenFlow15";
  const groups = randomGroups(r).filter(group =>
    parseGroups(group, "groups").problems.every(({ level }) => level !== "error"),
  );
  const kept = r.pick([8, 15, 25, 40, 70]);
  const probe: Pair = { groups, a: [], b: [], protocol };
  const all = randomFlows(r).filter(line => Table.of([line], probe, "a") !== null);
  const some = all.filter(() => r.chance(kept));
  const a = some.length === 0 ? all.slice(0, 2) : some;
  const { lines, names } = edited(r, a, protocol);
  return { pair: { groups, a, b: lines, protocol }, edits: names };
}

/**
 * The pair with as little as still shows what is wrong: flows, actions and parts of matches are left out on
 * both sides.
 */
export const shrink = (start: Pair, isStill: (pair: Pair) => boolean): Pair =>
  shrunk(start, smallerOnes, isStill);

function* smallerLines(line: string): Generator<string> {
  const [head, text] = line.split(" actions=") as [string, string];
  const parts = head.split(",");
  const actions = text.split(/,(?![^(]*\))/);
  for (let at = 0; at < actions.length; at++) {
    const less = actions.toSpliced(at, 1);
    yield `${head} actions=${less.length === 0 ? "drop" : less.join(",")}`;
  }
  for (let at = 2; at < parts.length; at++) yield `${parts.toSpliced(at, 1).join(",")} actions=${text}`;
}

function* smallerOnes(pair: Pair): Generator<Pair> {
  for (const line of new Set([...pair.a, ...pair.b]))
    yield { ...pair, a: pair.a.filter(one => one !== line), b: pair.b.filter(one => one !== line) };
  for (const side of ["a", "b"] as const)
    for (const [at] of pair[side].entries()) yield { ...pair, [side]: pair[side].toSpliced(at, 1) };
  for (const [at] of pair.groups.entries()) yield { ...pair, groups: pair.groups.toSpliced(at, 1) };
  for (const [at, line] of pair.a.entries())
    for (const less of smallerLines(line)) {
      const other = pair.b.indexOf(line);
      yield { ...pair, a: pair.a.with(at, less), b: other < 0 ? pair.b : pair.b.with(other, less) };
    }
  for (const side of ["a", "b"] as const)
    for (const [at, line] of pair[side].entries())
      for (const less of smallerLines(line)) yield { ...pair, [side]: pair[side].with(at, less) };
}

export const pairText = ({ groups, a, b, protocol }: Pair): string =>
  `${protocol}\n${groups.join("\n")}\n--- a\n${a.join("\n")}\n--- b\n${b.join("\n")}`;

export interface Summary {
  pairs: number;
  frames: number;
  readonly verdicts: Record<Proof["verdict"], number>;
  /** What was left open, by feature. */
  readonly open: Map<string, number>;
  readonly failures: { readonly seed: number; readonly wrong: string; readonly pair: Pair }[];
}

/** Judges pairs from a seed on, each by a seed of its own; what fails is made small. */
export function run(from: number, pairs: number, frames: number): Summary {
  const verdicts = { equal: 0, different: 0, ambiguous: 0, unknown: 0 };
  const summary: Summary = { pairs: 0, frames: 0, verdicts, open: new Map(), failures: [] };
  for (let seed = from; seed < from + pairs; seed++) {
    const { pair } = randomPair(rng(seed));
    const judgement = judge(pair, rng(seed), frames);
    if (judgement === null) continue;
    const { proof, wrong } = judgement;
    summary.pairs++;
    summary.frames += judgement.frames;
    verdicts[proof.verdict]++;
    for (const { feature } of proof.unknown) summary.open.set(feature, (summary.open.get(feature) ?? 0) + 1);
    if (wrong === null) continue;
    const kind = wrong.split(":")[0];
    const small = shrink(pair, one => judge(one, rng(seed), frames)?.wrong?.split(":")[0] === kind);
    summary.failures.push({ seed, wrong: judge(small, rng(seed), frames)!.wrong!, pair: small });
  }
  return summary;
}
