/**
 * What to do with a difference: make it as small as it gets, asking the switch each time, and write it down
 * as a case.
 */
import { type Case, writeCase } from "./cases.ts";
import { DEATH, type Lines, type Rig } from "./rig.ts";
import { type Difference, saidBy } from "./round.ts";
import { type Question, shrink } from "./shrink.ts";
import { interpreterOf, LANGUAGE, type Language, read } from "./world.ts";

const isDeath = (lines: Lines): boolean => lines[0]?.startsWith(DEATH) === true;

/**
 * Whether interpreter and switch differ, in the way of `like`: over an answer, or over whether there is one.
 */
async function differ(
  rig: Rig,
  { rules, input }: Question,
  like: Difference,
  language: Language,
): Promise<[theirs: Lines, ours: Lines] | null> {
  if (typeof read(rules, language) === "string") return null;
  const ours = saidBy(interpreterOf(rules, language).run(input.inPort, input.frame));
  if (ours[0] === "unknown" || ours[0] === "ambiguous") return null;
  if ((await rig.install(rules)) !== null) return null;
  const [theirs] = await rig.ask(rules, [input]);
  if (!theirs || isDeath(theirs) !== isDeath(like.theirs) || theirs.join() === ours.join()) return null;
  return [theirs, ours];
}

/** Shrinks for `seconds` at most; what is left still differs. */
export async function smallestCase(
  rig: Rig,
  difference: Difference,
  comment: string,
  seconds: number,
  language: Language = LANGUAGE,
): Promise<Case> {
  const { rules, input } = difference;
  if (input === null) throw new Error("assertion: a line is small enough");
  const until = performance.now() + seconds * 1000;
  let [theirs, ours] = [difference.theirs, difference.ours];
  const small = await shrink({ rules, input }, async question => {
    if (performance.now() > until) return false;
    const answers = await differ(rig, question, difference, language);
    if (answers === null) return false;
    [theirs, ours] = answers;
    return true;
  });
  return { comment, ...small, theirs, ours, isUnknown: isDeath(theirs) };
}

/** Shrinks a difference and writes it into the folder of cases; the name of its file. */
export async function keep(
  rig: Rig,
  difference: Difference,
  seed: number,
  round: number,
  seconds: number,
): Promise<string> {
  const name = `seed-${seed}-${round}.txt`;
  const comment = `Seed ${seed}, round ${round}. Found by the fuzzer; not yet explained.`;
  writeCase(name, await smallestCase(rig, difference, comment, seconds));
  return name;
}
