/** What verify and diff found, for people: the verdict in one line, what was compared, then causes with their rows. */
import { type Cause, causesOf, plural, reasonOf, titleOf } from "./causes.ts";
import { alongText, packetInText } from "./ends.ts";
import { ruleOf } from "./finding.ts";
import { count, type Palette } from "./text.ts";
import {
  placeText,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyDifference,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRow,
  type VerifySide,
  type VerifyUnknown,
} from "./verify.ts";

/** Rows of a cause that are printed; JSON has all. */
const ROWS_SHOWN = 20;
/** Pairs of flows with different cookies that are printed. */
const COOKIES_SHOWN = 10;

/** `, apart from 12 flows left out by --ignore-cookie`; empty where nothing was left out. */
function apartFrom(report: VerifyReport): string {
  const { leftOut } = report.compared;
  return leftOut.length === 0 ? "" : `, apart from ${leftOut.join(" and ")}`;
}

/** Whether a signal ended the proof: what there is was found until then. */
const isInterrupted = ({ unknown }: VerifyReport): boolean =>
  unknown.some(({ feature, side }) => feature === "interrupted" && side === null);

const classText = ({ classes }: VerifyReport): string =>
  `${plural(classes, "class").replace(/classs$/, "classes")} of frames`;

/** `equal: …`: the verdict and what it means, in one line. It claims no more than was compared. */
export function verifyHeadline(report: VerifyReport): string {
  const { verdict, a, b, differences, ambiguous, unknown, cookies } = report;
  const apart = apartFrom(report);
  const { extent } = report.compared;
  const read = report.compared.readAs.map(how => `, ${how}`).join("");
  if (verdict === "equal") {
    const limited = extent === null ? "" : `, ${extent}`;
    return `equal${apart}${limited}: ${a.name} and ${b.name} do the same with every frame on every port${read}`;
  }
  if (verdict === "ambiguous") {
    const where = [...new Set(ambiguous.map(({ side }) => report[side].name))].join(" and ");
    return `ambiguous: what ${where} does with some frames depends on which flow was installed first${read}`;
  }
  if (verdict === "unknown" && isInterrupted(report))
    return `interrupted: no difference between ${a.name} and ${b.name} was found${apart} in the ${classText(report)} compared until then; this is no verdict`;
  if (verdict === "unknown") {
    const reasons = plural(unknown.length, "reason");
    return `unknown: no difference between ${a.name} and ${b.name} was found${apart}, but not all could be decided (${reasons})${read}`;
  }
  if (differences.length === 0)
    return `different: ${plural(cookies?.count ?? 0, "cookie")} of ${a.name} and ${b.name}, and nothing else`;
  const causes = causesOf(differences).length;
  const found = `${plural(differences.length, "difference")} with ${plural(causes, "cause")}`;
  return `different: ${found} between ${a.name} and ${b.name}${read}`;
}

/** What was compared, a line each. */
export function verifyFacts(report: VerifyReport): string[] {
  const { a, b, packets, seconds } = report;
  const side = (letter: string, { name, kind, flows, leftOut, unread, isSteady }: VerifySide): string =>
    [
      `${letter}: ${name}, ${kind}, ${plural(flows, "flow")}`,
      ...leftOut.map(one => `${count(one.flows)} left out by ${one.by}`),
      ...(unread === 0 ? [] : [`${count(unread)} that cannot be read`]),
      ...(isSteady ? [] : ["changed while it was read"]),
    ].join(", ");
  const time = seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;
  const told = `${classText(report)}, ${packets} flow keys, ${time}`;
  return [side("a", a), side("b", b), told];
}

export const portText = (port: number, name: string | null): string =>
  name === null ? `${port}` : `${name} (${port})`;

export function endsOf({ outputs, packetIns, others, errors }: VerifyBehaviour): string[] {
  const ends = outputs.map(
    output => `out ${portText(output.port, output.portName)}${alongText(output)}: ${output.summary}`,
  );
  ends.push(...packetIns.map(packetInText), ...others);
  const undone = errors.map(error => `everything is undone: ${error}`);
  if (ends.length === 0) return [["drop", ...undone].join(", ")];
  return [...ends, ...undone];
}

/** Steps in which a loop stands once. */
export interface Folded<T> {
  readonly step: T;
  readonly index: number;
  /** Of the last step of a loop: how many steps it has, and how often they come. */
  readonly loop: { readonly steps: number; readonly times: number } | null;
}

/** Longer loops are not looked for; shorter rows of the same are printed. */
const MAX_LOOP = 16;
const MIN_TIMES = 3;

/** Folds runs of steps that come again and again. */
export function folded<T extends VerifyPlace>(steps: readonly T[]): Folded<T>[] {
  const out: Folded<T>[] = [];
  const isAlike = (i: number, j: number): boolean =>
    steps[i]?.line === steps[j]?.line && steps[i]?.text === steps[j]?.text;
  for (let index = 0; index < steps.length; ) {
    const { length, times } = loopAt(steps.length, index, isAlike);
    for (let step = 0; step < length; step++) {
      const loop = times > 1 && step === length - 1 ? { steps: length, times } : null;
      out.push({ step: steps[index + step]!, index: index + step, loop });
    }
    index += length * times;
  }
  return out;
}

/** The shortest run of steps from `index` on that comes at least MIN_TIMES; else one step, once. */
function loopAt(
  count: number,
  index: number,
  isAlike: (i: number, j: number) => boolean,
): { length: number; times: number } {
  for (let length = 1; length <= MAX_LOOP; length++) {
    let end = index + length;
    while (end < count && isAlike(end, end - length)) end++;
    const times = Math.floor((end - index) / length);
    if (times >= MIN_TIMES) return { length, times };
  }
  return { length: 1, times: 1 };
}

export const loopText = ({ steps, times }: { steps: number; times: number }): string =>
  `${steps === 1 ? "this flow" : `these ${count(steps)} flows`} ${count(times)} times`;

function behaviourLines(letter: string, behaviour: VerifyBehaviour, at: number, paint: Palette) {
  const [end, ...more] = endsOf(behaviour);
  return [
    `   ${paint.bold(letter)}  ${end}`,
    ...more.map(line => `      ${line}`),
    ...folded(behaviour.flows).flatMap(({ step, index, loop }) => {
      const mark = index === at ? paint.red("≠") : " ";
      const lineOf = (one: VerifyPlace, place: string): string =>
        `${paint.dim(`${place}:`)} ${ruleOf(one.text)}`;
      const lines = [
        `    ${mark}   ${lineOf(step, placeText(step))}`,
        ...(step.clauses ?? []).map(one => `          ${lineOf(one, `clause, ${placeText(one)}`)}`),
      ];
      return loop === null ? lines : [...lines, `        ${paint.dim(`… ${loopText(loop)}`)}`];
    }),
  ];
}

type Shown = Pick<VerifyDifference, "inPort" | "inPortName" | "state" | "summary" | "hex" | "replay">;

const frameLines = ({ inPort, inPortName, state, summary, hex }: Shown, paint: Palette): string[] => [
  `   in ${portText(inPort, inPortName)}${state === "" ? "" : ` with ${state}`}: ${summary}`,
  `      ${paint.dim(hex)}`,
];

const replayLine = ({ replay }: Shown, paint: Palette): string => `   ${paint.cyan("$")}  ${replay}`;

/** A row as `ovs-ofctl diff-flows` prints it: what only a has, what only b has. */
export function rowLines({ a, b, missing }: VerifyRow): string[] {
  const line = (sign: string, place: VerifyPlace | null): string[] =>
    place === null ? [] : [`${sign} ${placeText(place)}: ${ruleOf(place.text)}`];
  return [...(missing === "a" ? [] : line("-", a)), ...(missing === "b" ? [] : line("+", b))];
}

/** All rows of a cause as lines, or, when there are more than `most`, the first of them and how many more there are. */
export function* rowsText(cause: Cause, most: number, how: string): Generator<string> {
  const { rowCount } = cause;
  yield `${plural(rowCount, "row")} (- what a has, + what b has):`;
  let left = most;
  for (const row of cause.rows()) {
    if (left-- === 0) {
      yield `  … and ${plural(rowCount - most, "more row")}; ${how}`;
      break;
    }
    for (const line of rowLines(row)) yield `  ${line}`;
  }
  const open = cause.differences.reduce((sum, { rows }) => sum + rows.openCount, 0);
  if (open > 0) yield `  … and ${plural(open, "row")} that could not be decided`;
}

const hasRows = ({ rowCount, differences }: Cause): boolean =>
  rowCount > 1 || differences.some(({ rows }) => rows.openCount > 0);

/** Rows that the ways of the first frame do not show already. */
export const furtherRows = (cause: Cause, most: number, how: string): Iterable<string> =>
  hasRows(cause) ? rowsText(cause, most, how) : [];

const HOW = "--format json or --report FILE.json has all";

function causeLines(cause: Cause, index: number, paint: Palette): string[] {
  const first = cause.differences[0]!;
  const { at } = cause;
  return [
    "",
    `${index + 1}. ${paint.bold(titleOf(cause))}`,
    `   ${reasonOf(cause)}`,
    ...frameLines(first, paint),
    ...behaviourLines("a", first.a, at, paint),
    ...behaviourLines("b", first.b, at, paint),
    replayLine(first, paint),
    ...[...furtherRows(cause, ROWS_SHOWN, HOW)].map(line => `   ${line}`),
  ];
}

const COLORS = { equal: "green", different: "red", ambiguous: "red", unknown: "yellow" } as const;

/** Where the search ended early, how to go on. */
export const INCOMPLETE =
  "The search stopped here: there may be more differences, and more rows of these. --max-differences all and a larger --budget show them.";

/** For people: the verdict, then causes, overlaps, what is unknown. */
export function verifyText(report: VerifyReport, paint: Palette): string {
  const { verdict, differences, ambiguous, unknown, cookies, isComplete } = report;
  const lines = [
    paint[COLORS[verdict]](verifyHeadline(report)),
    ...verifyFacts(report).map(fact => `  ${fact}`),
  ];
  for (const [index, cause] of causesOf(differences).entries())
    lines.push(...causeLines(cause, index, paint));
  for (const one of ambiguous) {
    lines.push("", `${paint.red("ambiguous")} in ${report[one.side].name}: ${whyAmbiguous(one)}`);
    const flows = one.flows.flatMap(step => [
      `      ${placeText(step)}: ${ruleOf(step.text)}`,
      ...(step.clauses ?? []).map(clause => `        clause, ${placeText(clause)}: ${ruleOf(clause.text)}`),
    ]);
    lines.push(...frameLines(one, paint), ...flows);
    lines.push(replayLine(one, paint));
  }
  if (cookies !== null && cookies.count > 0) {
    lines.push("", `${paint.red("cookies")} differ in ${plural(cookies.count, "flow")}`);
    for (let index = 0; index < Math.min(COOKIES_SHOWN, cookies.count); index++) {
      const { a, b } = cookies.at(index);
      lines.push(...[a, b].map(place => `      ${placeText(place)}: ${place.text}`));
    }
    if (cookies.count > COOKIES_SHOWN)
      lines.push(`      … and ${plural(cookies.count - COOKIES_SHOWN, "more pair")}; ${HOW}`);
  }
  if (!isComplete && differences.length + ambiguous.length > 0) lines.push("", INCOMPLETE);
  if (unknown.length > 0) lines.push("");
  for (const one of unknown) lines.push(`${paint.yellow("unknown")} ${unknownText(one, report)}`);
  return `${lines.join("\n")}\n`;
}

/** Why it depends on the order of installation what becomes of a frame. */
export const whyAmbiguous = ({ flows }: VerifyAmbiguity): string =>
  flows.some(({ clauses }) => clauses !== undefined)
    ? "the order of conjunction flows decides which of two flows this frame finds, and they do different things"
    : "two flows of one priority match this frame and do different things";

function unknownText({ note, ...one }: VerifyUnknown, report: VerifyReport): string {
  return note === undefined ? placed(one, report) : `${placed(one, report)}: ${note}`;
}

function placed({ feature, line, side }: VerifyUnknown, report: VerifyReport): string {
  if (side === null) return line === 0 ? feature : `${feature}, line ${line}`;
  const { name, kind } = report[side];
  if (line === 0) return `${name}: ${feature}`;
  return kind === "intent" ? `${name}, compiled line ${line}: ${feature}` : `${name}:${line}: ${feature}`;
}
