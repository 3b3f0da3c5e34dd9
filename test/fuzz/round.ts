/**
 * Rounds of the fuzzer: rules on a switch, frames through it and through the interpreter, and the frames on
 * which the two differ. A switch that has cached the answer for another frame may answer wrongly, so a
 * difference counts only when the switch repeats it with empty caches.
 */

import type { Interpreter, Outcome } from "../../src/openflow/index.ts";
import { type Rng, rng } from "../model/random.ts";
import { linesOf } from "../openflow/interpret/compare.ts";
import type { Input, Protocol } from "../ovs/private-switch.ts";
import type { Lines, Rig } from "./rig.ts";
import type { Statistics } from "./statistics.ts";
import {
  chooseFrames,
  interpreterOf,
  isDecided,
  LANGUAGE,
  outcomeOf,
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

/**
 * The lines that both sides take. One that only the switch takes is a difference; we take more than it does.
 */
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

/** Groups that both sides take: all that we take, else by trying one after the other. None names another. */
async function agreedGroups(rig: Rig, groups: readonly string[]): Promise<string[]> {
  const only = (some: readonly string[]): Rules => ({ groups: some, flows: [], protocol: "OpenFlow13" });
  const ours = groups.filter(group => typeof read(only([group])) !== "string");
  const isTaken = async (some: readonly string[]): Promise<boolean> =>
    (await rig.install(only(some))) === null;
  if (await isTaken(ours)) return ours;
  const taken: string[] = [];
  for (const group of ours) if (await isTaken([group])) taken.push(group);
  return taken;
}

/** What the interpreter says when that is not the answer; null when it is. */
export function unlike(interpreter: Interpreter, input: Input, answer: Lines): string[] | null {
  const outcome = outcomeOf(interpreter, input);
  const ours = outcome === null ? ["recirculates too often"] : saidBy(outcome);
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
  isLate: () => boolean,
  statistics: Statistics,
): Promise<Omit<Round, "number">> {
  const protocol: Protocol = r.chance(75) ? "OpenFlow13" : "OpenFlow15";
  const lines = randomFlows(r).filter(line => hasGroups(line, groups));
  const { flows, differences } = await agreedFlows(rig, lines, protocol, statistics);
  const rules = { groups, flows, protocol, ovs: rig.ovs };
  const message = await rig.install(rules);
  if (message !== null) {
    statistics.refused(`all flows: ${message}`);
    return { rules, frames: [], differences };
  }
  const interpreter = interpreterOf(rules);
  const chosen = chooseFrames(r, interpreter, count, isLate);
  statistics.chosen(rules, chosen);
  const { frames } = chosen;
  const inputs = frames.map(({ input }) => input);
  const answers = isLate() ? [] : await rig.ask(rules, inputs);
  const asked: Round["frames"][number][] = [];
  for (const [i, { input }] of frames.entries()) {
    const first = answers[i] ?? null;
    let answer = first;
    if (first !== null && unlike(interpreter, input, first) !== null)
      answer = isLate() ? null : (await rig.ask(rules, [input]))[0]!;
    if (answer === null) {
      statistics.unasked++;
      continue;
    }
    asked.push({ input, answer });
    const ours = unlike(interpreter, input, answer);
    if (ours !== null) differences.push({ rules, input, theirs: answer, ours });
    else if (answer !== first) statistics.stale++;
  }
  return { rules, frames: asked, differences };
}

/** Groups stay for as many rounds. */
const ROUNDS_PER_GROUPS = 4;

export interface RoundOptions {
  /** The number of the first round; 0. */
  readonly first?: number;
  /** Frames a round; 250. A round of other size has other frames. */
  readonly frames?: number;
  /** Whether a round is to ask no more than it has; never. */
  readonly isLate?: () => boolean;
}

/**
 * Runs rounds from a seed until `isEnough` says so. Round n of a seed is the same whatever came before it.
 */
export async function* rounds(
  rig: Rig,
  seed: number,
  statistics: Statistics,
  isEnough: () => boolean,
  { first = 0, frames = 250, isLate = () => false }: RoundOptions = {},
): AsyncGenerator<Round> {
  let groups: string[] = [];
  for (let number = first; !isEnough(); number++) {
    const generation = Math.floor(number / ROUNDS_PER_GROUPS);
    if (number === first || number % ROUNDS_PER_GROUPS === 0)
      groups = await agreedGroups(rig, randomGroups(rng((seed ^ Math.imul(generation, 0x9e3779b1)) >>> 0)));
    const r = rng((seed + Math.imul(number, 0x85ebca6b) + 1) >>> 0);
    yield { number, ...(await runRound(rig, r, groups, frames, isLate, statistics)) };
  }
}
