/**
 * The text report of verify and diff: the verdict in one line, the two inputs, then causes with their
 * flows, ambiguities, cookies, and the reasons why a proof is incomplete. Pure functions of plain data.
 */
import { type Cause, causesOf, plural, reasonOf, titleOf } from "./causes.ts";
import { alongText, packetInText } from "./ends.ts";
import { ruleOf } from "./finding.ts";
import { count, type Palette } from "./text.ts";
import {
  placeText,
  trackerText,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyDifference,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRow,
  type VerifySide,
  type VerifyUnknown,
} from "./verify.ts";

/** Flow pairs of a cause that are printed; JSON has all. */
const ROWS_SHOWN = 20;
/** Pairs of flows with different cookies that are printed. */
const COOKIES_SHOWN = 10;

/** `, apart from 12 flows left out by --ignore-cookie`; empty where nothing was left out. */
function apartFrom(report: VerifyReport): string {
  const { leftOut } = report.compared;
  return leftOut.length === 0 ? "" : `, apart from ${leftOut.join(" and ")}`;
}

/** Whether a signal ended the proof. */
const isInterrupted = ({ unknown }: VerifyReport): boolean =>
  unknown.some(({ feature, side }) => feature === "interrupted" && side === null);

const classText = ({ classes }: VerifyReport): string =>
  `${count(classes)} packet ${classes === 1 ? "class" : "classes"}`;

/** `equal: …`: verdict and meaning in one line. It claims no more than the proof compared. */
export function verifyHeadline(report: VerifyReport): string {
  const { verdict, a, b, differences, ambiguous, unknown, cookies } = report;
  const apart = apartFrom(report);
  const { extent } = report.compared;
  const read = report.compared.readAs.map(how => `, ${how}`).join("");
  if (verdict === "equal") {
    const limited = extent === null ? "" : `, ${extent}`;
    return (
      `equal${apart}${limited}: ${a.name} and ${b.name} ` +
      `do the same with every frame on every port${read}`
    );
  }
  if (verdict === "ambiguous") {
    const where = [...new Set(ambiguous.map(({ side }) => report[side].name))].join(" and ");
    return (
      `ambiguous: for some frames the outcome in ${where} ` +
      `depends on the order in which flows were installed${read}`
    );
  }
  if (verdict === "unknown" && isInterrupted(report))
    return (
      `interrupted: no difference found between ${a.name} and ${b.name}${apart} ` +
      `in the ${classText(report)} compared so far; this is not a verdict`
    );
  if (verdict === "unknown") {
    const reasons = plural(unknown.length, "reason");
    return (
      `unknown: no difference found between ${a.name} and ${b.name}${apart}, ` +
      `but the proof is incomplete (${reasons} below)${read}`
    );
  }
  if (differences.length === 0)
    return (
      `different: only the cookies of ${plural(cookies?.count ?? 0, "flow")} differ ` +
      `between ${a.name} and ${b.name}`
    );
  const causes = causesOf(differences).length;
  const found = `${plural(causes, "cause")} (${plural(differences.length, "difference")})`;
  return `different: ${found} between ${a.name} and ${b.name}${read}`;
}

/** The two inputs and the size of the proof, a line each. */
export function verifyFacts(report: VerifyReport): string[] {
  const { a, b, packets, seconds } = report;
  const side = (letter: string, { name, kind, flows, leftOut, unread, isSteady }: VerifySide): string =>
    [
      `${letter}: ${name}, ${kind}, ${plural(flows, "flow")}`,
      ...leftOut.map(one => `${count(one.flows)} left out by ${one.by}`),
      ...(unread === 0 ? [] : [`${count(unread)} that cannot be parsed`]),
      ...(isSteady ? [] : ["changed while slash32 read it"]),
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
  const undone = errors.map(error => `outcome discarded: ${error}`);
  if (ends.length === 0) return [["drop", ...undone].join(", ")];
  return [...ends, ...undone];
}

/** Steps in which a loop is listed once. */
export interface Folded<T> {
  readonly step: T;
  readonly index: number;
  /** Set at the last step of a loop: its number of steps and of repetitions. */
  readonly loop: { readonly steps: number; readonly times: number } | null;
}

/** Loops of more steps are not detected; fewer repetitions are printed in full. */
const MAX_LOOP = 16;
const MIN_TIMES = 3;

/** Folds repeated runs of steps. */
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

/** The shortest run of steps from `index` on that repeats at least MIN_TIMES; else one step, once. */
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

type Shown = Pick<
  VerifyDifference,
  "inPort" | "inPortName" | "state" | "tracker" | "summary" | "hex" | "replay"
>;

const frameLines = (
  { inPort, inPortName, state, tracker, summary, hex }: Shown,
  paint: Palette,
): string[] => [
  `   in ${portText(inPort, inPortName)}${state === "" ? "" : ` with ${state}`}: ${summary}`,
  `      ${paint.dim(hex)}`,
  ...tracker.map(one => `      ${trackerText(one)}`),
];

const replayLine = ({ replay }: Shown, paint: Palette): string => `   ${paint.cyan("$")}  ${replay}`;

/** A pair of flows as `ovs-ofctl diff-flows` prints it: - the flow of a, + the flow of b. */
function rowLines({ a, b, missing }: VerifyRow): string[] {
  const line = (sign: string, place: VerifyPlace | null): string[] =>
    place === null ? [] : [`${sign} ${placeText(place)}: ${ruleOf(place.text)}`];
  return [...(missing === "a" ? [] : line("-", a)), ...(missing === "b" ? [] : line("+", b))];
}

/** The flow pairs of a cause as lines; of more than `most` the first ones and the number of the others. */
function* rowsText(cause: Cause, most: number, how: string): Generator<string> {
  const { rowCount } = cause;
  yield `${plural(rowCount, "flow pair")} (- in a, + in b):`;
  let left = most;
  for (const row of cause.rows()) {
    if (left-- === 0) {
      yield `  … and ${plural(rowCount - most, "more flow pair")}; ${how}`;
      break;
    }
    for (const line of rowLines(row)) yield `  ${line}`;
  }
  const open = cause.differences.reduce((sum, { rows }) => sum + rows.openCount, 0);
  if (open > 0) yield `  … and ${plural(open, "undecided flow pair")}`;
}

const hasRows = ({ rowCount, differences }: Cause): boolean =>
  rowCount > 1 || differences.some(({ rows }) => rows.openCount > 0);

/** The flow pairs, if they are more than those that the paths of the first frame show. */
export const furtherRows = (cause: Cause, most: number, how: string): Iterable<string> =>
  hasRows(cause) ? rowsText(cause, most, how) : [];

const HOW = "use --format json or --report FILE.json for all";

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

/** Printed if the search ended early. */
export const INCOMPLETE =
  "The search stopped here: there may be more differences, and more flows with these. " +
  "Use --max-differences all and a larger --budget to find them.";

/** The whole text. */
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

/** Why the outcome of a frame depends on the order of installation. */
export const whyAmbiguous = ({ flows }: VerifyAmbiguity): string =>
  flows.some(({ clauses }) => clauses !== undefined)
    ? "the order of conjunction flows decides which of two flows this frame matches, and their actions differ"
    : "two flows of equal priority match this frame and their actions differ";

function unknownText({ note, ...one }: VerifyUnknown, report: VerifyReport): string {
  return note === undefined ? placed(one, report) : `${placed(one, report)}: ${note}`;
}

function placed({ feature, line, side }: VerifyUnknown, report: VerifyReport): string {
  if (side === null) return line === 0 ? feature : `${feature}, line ${line}`;
  const { name, kind } = report[side];
  if (line === 0) return `${name}: ${feature}`;
  return kind === "intent" ? `${name}, compiled line ${line}: ${feature}` : `${name}:${line}: ${feature}`;
}
