/**
 * Rounds of the fuzzer: rules on a switch, frames through it and through the interpreter, and the frames on which the
 * two differ. A switch that has cached the answer for another frame may answer wrongly, so a difference counts only
 * when the switch repeats it with empty caches.
 */
import type { Interpreter, Outcome } from "../../src/openflow/index.ts";
import type { Input, Protocol } from "../../src/verify/index.ts";
import { type Rng, rng } from "../model/random.ts";
import { linesOf } from "../openflow/interpret/compare.ts";
import type { Lines, Rig } from "./rig.ts";
import type { Statistics } from "./statistics.ts";
import {
  chooseFrames,
  interpreterOf,
  isDecided,
  LANGUAGE,
  type Rules,
  randomFlows,
  randomGroups,
  read,
} from "./world.ts";

/** A frame on which interpreter and switch differ, or (`input` null) a line that only the switch takes. */
export interface Difference {
  readonly rules: Rules;
  readonly input: Input | null;
  readonly theirs: Lines;
  readonly ours: Lines;
}

/** What a round leaves: enough to put other interpreters to the same test. */
export interface Round {
  readonly number: number;
  readonly rules: Rules;
  readonly frames: readonly { readonly input: Input; readonly answer: Lines }[];
  readonly differences: readonly Difference[];
}

/** An outcome as lines, one for an undecided verdict. */
export const saidBy = (outcome: Outcome): string[] =>
  isDecided(outcome) ? linesOf(outcome) : [outcome.verdict];

/** The lines that both sides take. One that only the switch takes is a difference; we take more than it does. */
async function agreedFlows(
  rig: Rig,
  lines: readonly string[],
  protocol: Protocol,
  statistics: Statistics,
): Promise<{ flows: string[]; differences: Difference[] }> {
  const theirs = await rig.parseFlows(lines, protocol);
  const differences: Difference[] = [];
  const flows = lines.filter((line, i) => {
    const said = theirs[i]!;
    const ours = LANGUAGE.parseFlow(line, undefined, { protocol });
    const isOurs = ours.flow !== null;
    const isTheirs = "text" in said;
    if (isTheirs && !isOurs) {
      const why = ours.problems[0]!.message;
      differences.push({
        rules: { groups: [], flows: [line], protocol },
        input: null,
        theirs: ["taken"],
        ours: [why],
      });
    }
    if (!isTheirs) statistics.refused(said.error);
    return isOurs && isTheirs;
  });
  return { flows, differences };
}

/** Groups that both sides take, by trying one after the other. */
async function agreedGroups(rig: Rig, groups: readonly string[]): Promise<string[]> {
  const taken: string[] = [];
  for (const group of groups) {
    const one = { groups: [group], flows: [], protocol: "OpenFlow13" } as const;
    if (typeof read(one) !== "string" && (await rig.install(one)) === null) taken.push(group);
  }
  return taken;
}

/** What the interpreter says when that is not the answer; null when it is. */
export function unlike(interpreter: Interpreter, { inPort, frame }: Input, answer: Lines): string[] | null {
  const ours = saidBy(interpreter.run(inPort, frame));
  return ours.join() === answer.join() ? null : ours;
}

/** Whether the groups that a flow names are there. */
function hasGroups(line: string, groups: readonly string[]): boolean {
  const named = [...line.matchAll(/\bgroup:(\d+)/g)].map(([, id]) => `group_id=${id},`);
  return named.every(head => groups.some(group => group.startsWith(head)));
}

/** One set of rules and `count` frames. */
async function runRound(
  rig: Rig,
  r: Rng,
  groups: readonly string[],
  count: number,
  statistics: Statistics,
): Promise<Omit<Round, "number">> {
  const protocol: Protocol = r.chance(75) ? "OpenFlow13" : "OpenFlow15";
  const lines = randomFlows(r).filter(line => hasGroups(line, groups));
  const { flows, differences } = await agreedFlows(rig, lines, protocol, statistics);
  const rules = { groups, flows, protocol };
  const message = await rig.install(rules);
  if (message !== null) {
    statistics.refused(`all flows: ${message}`);
    return { rules, frames: [], differences };
  }
  const interpreter = interpreterOf(rules);
  const { frames, undecided, immodest } = chooseFrames(r, interpreter, count);
  statistics.chosen(rules, frames, undecided, immodest);
  const answers = await rig.ask(
    rules,
    frames.map(({ input }) => input),
  );
  const asked: Round["frames"][number][] = [];
  for (const [i, { input }] of frames.entries()) {
    const first = answers[i];
    if (first === null || first === undefined) {
      statistics.unasked++;
      continue;
    }
    const answer = unlike(interpreter, input, first) === null ? first : await freshAnswer(rig, rules, input);
    asked.push({ input, answer });
    const ours = unlike(interpreter, input, answer);
    if (ours !== null) differences.push({ rules, input, theirs: answer, ours });
    else if (answer !== first) statistics.stale++;
  }
  return { rules, frames: asked, differences };
}

/** The answer of a switch that has forgotten all frames. */
async function freshAnswer(rig: Rig, rules: Rules, input: Input): Promise<Lines> {
  return (await rig.ask(rules, [input]))[0]!;
}

/** Groups stay for as many rounds. */
const ROUNDS_PER_GROUPS = 4;

export interface RoundOptions {
  /** The number of the first round; 0. */
  readonly first?: number;
  /** Frames a round; 250. A round of other size has other frames. */
  readonly frames?: number;
}

/**
 * Runs rounds from a seed until `isEnough` says so. Round n of a seed is the same whatever came before it.
 */
export async function* rounds(
  rig: Rig,
  seed: number,
  statistics: Statistics,
  isEnough: () => boolean,
  { first = 0, frames = 250 }: RoundOptions = {},
): AsyncGenerator<Round> {
  let groups: string[] = [];
  for (let number = first; !isEnough(); number++) {
    const generation = Math.floor(number / ROUNDS_PER_GROUPS);
    if (number === first || number % ROUNDS_PER_GROUPS === 0)
      groups = await agreedGroups(rig, randomGroups(rng((seed ^ Math.imul(generation, 0x9e3779b1)) >>> 0)));
    const r = rng((seed + Math.imul(number, 0x85ebca6b) + 1) >>> 0);
    yield { number, ...(await runRound(rig, r, groups, frames, statistics)) };
  }
}
