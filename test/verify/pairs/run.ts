/**
 * Pairs of tables, a table of a family and the same after edits, whose verdicts a switch judges: `equal` is
 * false when it does two things with one frame, `different` when it treats the frame that is shown alike
 * under both. What the prover leaves open is counted. Each pair has a seed of its own.
 */
import {
  FlowColumns,
  type Group,
  Interpreter,
  type Outcome,
  parseGroups,
} from "../../../src/openflow/index.ts";
import { type Proof, type ProofOptions, prove } from "../../../src/verify/index.ts";
import { type Rng, rng } from "../../model/random.ts";
import type { Prover } from "../tiny/judge.ts";
import { edited, NEUTRAL } from "../whole/edits.ts";
import { BESIDE, FAMILIES, PORTS, type Rules, TUNNELS } from "./families.ts";
import { enteringOf, type Question, questionsFor, stateOf } from "./frames.ts";
import { Death, type Judge, linesOf, Refused, traceLines } from "./judge.ts";

const PROTOCOL = "OpenFlow13";
/** Frames for a pair that was proven equal. */
const FRAMES = 40;
/** Neighbours of the frame of a rule. */
const NEIGHBOURS = 4;

export interface Pair {
  readonly family: string;
  readonly a: Rules;
  readonly b: Rules;
}

/**
 * Ports of which no rule speaks: what holds for them holds for any other such port, also one that is not
 * there.
 */
const SPARE = { wired: 8, tunnel: 11 };

function portOf(inPort: number, state: readonly string[] | null): number {
  if (PORTS.includes(inPort) || TUNNELS.includes(inPort)) return inPort;
  return state?.some(one => one.startsWith("tun_")) === true ? SPARE.tunnel : SPARE.wired;
}

const OPTIONS: ProofOptions = {
  ports: { tunnels: new Set(TUNNELS), others: new Set(PORTS), isComplete: false },
  maxClasses: 4000,
  maxSeconds: 20,
  maxDifferences: 3,
};

class Side {
  readonly flows: FlowColumns;
  readonly groups: readonly Group[];
  readonly interpreter: Interpreter;

  static of({ groups, flows }: Rules, name: string): Side | null {
    const read = parseGroups(groups.join("\n"), `${name}.groups`, { protocol: PROTOCOL });
    if (read.problems.some(({ level }) => level === "error")) return null;
    const columns = new FlowColumns(Buffer.from(`${flows.join("\n")}\n`), name, { protocol: PROTOCOL });
    return columns.errorCount > 0 ? null : new Side(columns, read.groups);
  }

  private constructor(flows: FlowColumns, groups: readonly Group[]) {
    this.flows = flows;
    this.groups = groups;
    this.interpreter = new Interpreter(flows, {
      groups,
      ports: [...PORTS, ...TUNNELS],
      isPortLive: () => true,
    });
  }
}

/** What became of a pair. */
export interface Judgement {
  readonly verdict: Proof["verdict"] | "unread" | "refused" | "ended";
  /** What is wrong; null when nothing is. */
  readonly wrong: string | null;
  readonly frames: number;
  /** A difference that is there and that neither frames nor trace can show: a flow that is learned, LOCAL. */
  readonly unseen: boolean;
  readonly open: string;
}

/** A table of a family, and the same after edits of its flows, or of its groups. */
export function pairOf(seed: number): Pair | null {
  const r = rng(seed);
  const family = r.pick(Object.keys(FAMILIES));
  const a = FAMILIES[family]!(r);
  if (a === null || a.flows.length === 0) return null;
  const isOfGroups = a.groups.length > 0 && r.chance(40);
  const b = isOfGroups
    ? { ...a, groups: editedGroups(r, a.groups) }
    : { ...a, flows: [...edited(r, a.flows, PROTOCOL).lines] };
  if (r.chance(10))
    return { family, a, b: { ...a, flows: NEUTRAL.respelt!(r, a.flows, PROTOCOL) ?? a.flows } };
  return { family, a, b };
}

/** One action of one bucket gone, moved, or of another port; or a bucket gone. */
function editedGroups(r: Rng, groups: readonly string[]): string[] {
  const at = r.below(groups.length);
  const [head, ...buckets] = groups[at]!.split(",bucket=") as [string, ...string[]];
  const which = r.below(Math.max(1, buckets.length));
  const bucket = buckets[which] ?? "";
  const [before, list] = bucket.split("actions=") as [string, string?];
  const actions = (list ?? "").split(/,(?![^(]*\))/);
  const n = r.below(actions.length);
  const changed = r
    .pick([
      () => actions.toSpliced(n, 1),
      () => [...actions.toSpliced(n, 1), actions[n]!],
      () =>
        actions.with(
          n,
          actions[n]!.replace(/\d+/, digits => String((Number(digits) % 4) + 1)),
        ),
      () => [
        ...actions,
        r.pick(["controller", "controller(id=5)", "output:2", "note:01", "ct_clear", "set_field:1->reg0"]),
      ],
    ])()
    .filter(one => one !== "");
  const next =
    changed.length === 0
      ? buckets.toSpliced(which, 1)
      : buckets.with(which, `${before}actions=${changed.join(",")}`);
  return groups.with(at, [head, ...(next.length === 0 ? buckets : next)].join(",bucket="));
}

const isDecided = ({ verdict }: Outcome): boolean => verdict !== "unknown" && verdict !== "ambiguous";

const wayOf = ({ tables, errors }: Outcome): string =>
  `${tables.map(({ table, flow }) => flow?.source.line ?? -table).slice(0, 30)} ${errors}`;

/**
 * Of many frames those that go different ways: the interpreter chooses, and says nothing of what is right.
 */
function chosen(sides: readonly Side[], questions: readonly Question[]): Question[] {
  const ways = new Map<string, Question[]>();
  for (const question of questions) {
    const entering = enteringOf(question.state);
    const outcomes = sides.map(({ interpreter }) =>
      interpreter.run(question.inPort, question.frame, null, entering),
    );
    if (!outcomes.every(isDecided)) continue;
    if (outcomes.some(({ packetIns, outputs }) => packetIns.length > 6 || outputs.length > 60)) continue;
    const way = outcomes.map(wayOf).join("|");
    ways.set(way, [...(ways.get(way) ?? []), question]);
  }
  const out: Question[] = [];
  for (let depth = 0; out.length < FRAMES; depth++) {
    const level = [...ways.values()].flatMap(list => list.slice(depth, depth + 1));
    if (level.length === 0) break;
    out.push(...level);
  }
  return out.slice(0, FRAMES);
}

const textOf = ({ inPort, frame, state }: Question): string =>
  `in_port ${inPort} ${state} ${Buffer.from(frame).toString("hex")}`;

/** Whether a frame can come in by a wire as it is. */
const isReal = ({ inPort, state, frame }: Question): boolean =>
  PORTS.includes(inPort) && state.length === 0 && frame.length >= 14 && frame.length < 9000;

/** What the switch made of a question under one table. */
interface Told {
  /** Of real frames; those of expired TTLs apart. */
  readonly seen: string;
  readonly all: string;
  readonly traced: readonly string[];
}

type Means = "frames" | "traces" | "both";

/** What the switch makes of questions under both tables. */
async function asked(
  judge: Judge,
  pair: Pair,
  questions: readonly Question[],
  means: Means,
): Promise<Told[][]> {
  const out: Told[][] = [];
  for (const rules of [pair.a, pair.b]) {
    await judge.install(rules);
    const texts = means === "frames" ? [] : await judge.traces(questions);
    const traced = texts.map((text, i) => traceLines(text, questions[i]!.state));
    const wired = means === "traces" ? [] : questions.filter(isReal);
    if (wired.length > 0 && means === "both") await judge.forget();
    const answers = await judge.answers(wired);
    const answer = new Map(wired.map((question, i) => [question, answers[i]!]));
    const lines = (question: Question, hasExpired: boolean): string =>
      answer.has(question) ? linesOf(answer.get(question)!, hasExpired).join("\n    ") : "";
    out.push(
      questions.map((one, i) => ({
        seen: lines(one, false),
        all: lines(one, true),
        traced: traced[i] ?? [],
      })),
    );
  }
  return out;
}

/** Outputs alone: what else a trace prints of a packet-in is not all that it carries. */
const outputsOf = ({ traced }: Told): string =>
  traced.filter(line => !line.startsWith("userspace")).join("\n    ");

/** A frame that an equal pair is not equal for; null when there is none. */
async function unequal(judge: Judge, pair: Pair, questions: readonly Question[]): Promise<string | null> {
  const means = BESIDE.has(pair.family) ? "both" : "frames";
  const differ = (a: Told, b: Told): boolean => a.seen !== b.seen || outputsOf(a) !== outputsOf(b);
  const [a, b] = await asked(judge, pair, questions, means);
  for (const [i, question] of questions.entries()) {
    if (!differ(a![i]!, b![i]!)) continue;
    // A cache that had masked too little answers otherwise when it is empty.
    const [[freshA], [freshB]] = (await asked(judge, pair, [question], means)) as [[Told], [Told]];
    if (differ(freshA, freshB))
      return `equal, but ${textOf(question)}\n  a ${freshA.seen}\n    traced ${outputsOf(freshA)}\n  b ${freshB.seen}\n    traced ${outputsOf(freshB)}`;
  }
  return null;
}

/** What is wrong with the differences that a proof shows. */
async function unshown(
  judge: Judge,
  pair: Pair,
  { differences }: Proof,
): Promise<{ wrong: string | null; unseen: boolean }> {
  const told = differences.map(({ inPort, frame, state }) => ({
    inPort: portOf(inPort, stateOf(state)),
    frame,
    state: stateOf(state),
  }));
  const questions = told.map(({ inPort, frame, state }) => ({ inPort, frame, state: state ?? [] }));
  const [first, second] = await asked(judge, pair, questions, "frames");
  const alike = differences.filter((_, i) => told[i]!.state === null || first![i]!.all === second![i]!.all);
  let unseen = false;
  for (const difference of alike) {
    const at = differences.indexOf(difference);
    const [[x], [y]] = (await asked(judge, pair, [questions[at]!], "both")) as [[Told], [Told]];
    if (x.all !== y.all || x.traced.join() !== y.traced.join()) continue;
    const { a, b, what } = difference;
    const isHidden = [a, b].some(
      side => side.others.length > 0 || side.outputs.some(({ port }) => !PORTS.includes(port)),
    );
    const isStopped = x.traced.some(line => line.includes("recirc"));
    // A trace does not show what a packet-in carries, and no wire brings state along.
    const isCarried = !isReal(questions[at]!) && [a, b].some(({ packetIns }) => packetIns.length > 0);
    const isBeside = /queue|mark|tun_|max_len/.test(what);
    const isShort =
      told[at]!.state === null || isCarried || (isStopped && (isBeside || !isReal(questions[at]!)));
    if (!isShort && !isHidden && !hasOtherOrder(a.outputs, b.outputs))
      return {
        wrong: `different (${what}), but ${textOf(questions[at]!)}\n  both ${x.all}\n  traced ${x.traced}`,
        unseen,
      };
    unseen = true;
  }
  return { wrong: null, unseen };
}

type Sent = readonly { readonly port: number; readonly frame: Uint8Array }[];

/** The same frames by the same ports, in another order: seen by nobody outside. */
function hasOtherOrder(a: Sent, b: Sent): boolean {
  const texts = (some: Sent): string[] =>
    some.map(({ port, frame }) => `${port} ${Buffer.from(frame).toString("hex")}`);
  return texts(a).join() !== texts(b).join() && texts(a).sort().join() === texts(b).sort().join();
}

const RESULT = { wrong: null, frames: 0, unseen: false, open: "" } as const;

/** Proves a pair, and has the switch judge it. */
export async function judged(
  judge: Judge,
  pair: Pair,
  seed: number,
  prover: Prover = prove,
): Promise<Judgement> {
  const sides = [Side.of(pair.a, "a"), Side.of(pair.b, "b")];
  const [a, b] = sides;
  if (a === null || b === null || a === undefined || b === undefined) return { ...RESULT, verdict: "unread" };
  const proof = prover(a, b, OPTIONS);
  const open = proof.unknown[0]?.feature ?? "";
  // Beside differences that are shown it says too little, and nothing that is false.
  if (open.startsWith("unconfirmed") && proof.verdict !== "different")
    return { ...RESULT, verdict: proof.verdict, wrong: open };
  if (proof.verdict === "unknown" || proof.verdict === "ambiguous")
    return { ...RESULT, verdict: proof.verdict, open };
  try {
    if (proof.verdict === "different") {
      const { wrong, unseen } = await unshown(judge, pair, proof);
      return { verdict: "different", wrong, unseen, frames: proof.differences.length, open };
    }
    const lines = [...new Set([...pair.a.flows, ...pair.b.flows])];
    const questions = chosen(
      [a, b],
      questionsFor(rng(seed ^ 0x5eed), lines, NEIGHBOURS, BESIDE.has(pair.family)),
    );
    return {
      verdict: "equal",
      wrong: await unequal(judge, pair, questions),
      unseen: false,
      frames: questions.length,
      open,
    };
  } catch (error) {
    if (error instanceof Refused) return { ...RESULT, verdict: "refused", open: error.message };
    if (error instanceof Death) return { ...RESULT, verdict: "ended", open: error.message };
    throw error;
  }
}

export interface Summary {
  pairs: number;
  frames: number;
  unseen: number;
  /** By family, then by verdict. */
  readonly verdicts: Map<string, Map<string, number>>;
  readonly open: Map<string, number>;
  readonly refusals: Map<string, number>;
  readonly failures: { readonly seed: number; readonly wrong: string; readonly pair: Pair }[];
}

const count = (counts: Map<string, number>, name: string): void => {
  counts.set(name, (counts.get(name) ?? 0) + 1);
};

export const newSummary = (): Summary => ({
  pairs: 0,
  frames: 0,
  unseen: 0,
  verdicts: new Map(),
  open: new Map(),
  refusals: new Map(),
  failures: [],
});

/** Judges pairs with a verdict until there are `wanted` of them; `isEnough` ends it before. */
export async function runPairs(
  judge: Judge,
  from: number,
  wanted: number,
  {
    prover = prove,
    isEnough = () => false,
    families = null,
  }: { prover?: Prover; isEnough?: (summary: Summary) => boolean; families?: readonly string[] | null } = {},
): Promise<Summary> {
  const summary = newSummary();
  for (let seed = from; summary.pairs < wanted && !isEnough(summary); seed = (seed + 1) >>> 0) {
    const pair = pairOf(seed);
    if (pair === null || (families !== null && !families.includes(pair.family))) continue;
    const judgement = await judged(judge, pair, seed, prover);
    const { verdict, wrong, open } = judgement;
    const verdicts = summary.verdicts.get(pair.family) ?? new Map<string, number>();
    summary.verdicts.set(pair.family, verdicts);
    count(verdicts, verdict);
    if (verdict === "refused") count(summary.refusals, open.slice(0, 90));
    else if (open !== "") count(summary.open, open);
    summary.frames += judgement.frames;
    if (judgement.unseen) summary.unseen++;
    if (verdict === "equal" || verdict === "different") summary.pairs++;
    if (wrong !== null) summary.failures.push({ seed, wrong, pair });
  }
  return summary;
}

export function pairText({ family, a, b }: Pair): string {
  const side = ({ groups, flows }: Rules): string =>
    [...groups.map(one => `group ${one}`), ...flows].join("\n");
  return `${family}\n--- a\n${side(a)}\n--- b\n${side(b)}`;
}

/** A few lines for the log of a test. */
export function summaryText(summary: Summary, from: number): string {
  const listed = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort((x, y) => y[1] - x[1])
      .map(([name, n]) => `${name} ${n}`)
      .join(", ");
  const families = [...summary.verdicts]
    .sort()
    .map(([family, verdicts]) => `    ${family}: ${listed(verdicts)}`);
  return [
    `  seed ${from}: ${summary.pairs} pairs with a verdict, ${summary.frames} frames; ${summary.unseen} with a difference that nobody outside can see`,
    ...families,
    `  left open: ${listed(summary.open)}`,
    `  refused: ${listed(summary.refusals)}`,
    "",
  ].join("\n");
}
