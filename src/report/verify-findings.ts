/**
 * The result of verify and diff as findings, from which JUnit, SARIF, Markdown, HTML and annotations are
 * made. Pure functions of plain data.
 */
import { type Cause, causesOf, reasonOf, titleOf } from "./causes.ts";
import {
  type Finding,
  type Findings,
  type Location,
  matchOf,
  type Related,
  ruleOf,
  type Step,
  type Way,
} from "./finding.ts";
import {
  type CookiePair,
  placeText,
  trackerText,
  type VerifyAmbiguity,
  type VerifyBehaviour,
  type VerifyPlace,
  type VerifyReport,
  type VerifySide,
  type VerifyStep,
  type VerifyUnknown,
} from "./verify.ts";
import {
  endsOf,
  folded,
  furtherRows,
  INCOMPLETE,
  loopText,
  portText,
  verifyFacts,
  verifyHeadline,
  whyAmbiguous,
} from "./verify-text.ts";

const start = ({ name }: VerifySide): Location => ({ file: name, line: 1 });

/** A step at a valid line number. */
const stepOf = ({ file, line, text, compiledLine }: VerifyPlace): Step => ({
  file,
  line: Math.max(1, line),
  text: compiledLine === null ? text : `compiled line ${compiledLine}: ${text}`,
});

const wayOf = (letter: string, side: VerifySide, behaviour: VerifyBehaviour): Way => ({
  title: `${letter}, ${side.name}`,
  steps: folded(behaviour.flows).flatMap(({ step, loop }) => {
    const at = stepOf(step);
    const told = loop === null ? at : { ...at, text: `${at.text} … ${loopText(loop)}` };
    return [...(step.clauses ?? []).map(stepOf), told];
  }),
  end: endsOf(behaviour).join("; "),
});

const originsOf = (steps: readonly VerifyStep[]): Related[] =>
  steps.flatMap(({ origin, text }) =>
    origin === null
      ? []
      : [{ ...origin, message: `the part of the intent that this flow implements: ${ruleOf(text)}` }],
  );

/** Both flows of every pair, at the lines to fix. */
function* rowPlaces(cause: Cause): Generator<Related> {
  for (const { a, b, missing } of cause.rows()) {
    if (b !== null && missing !== "b") yield { ...stepOf(b), message: `b has: ${ruleOf(b.text)}` };
    if (a !== null && missing !== "a") yield { ...stepOf(a), message: `a has: ${ruleOf(a.text)}` };
  }
}

function causeFinding(cause: Cause, { a, b }: VerifyReport): Finding {
  const first = cause.differences[0]!;
  const right = first.b.flows[cause.at];
  const last = right ?? first.b.flows.at(-1);
  const frame = frameText(first);
  return {
    rule: "difference",
    level: "error",
    name: cause.name,
    title: titleOf(cause),
    details: [reasonOf(cause), frame, `replay: ${first.replay}`],
    rows: (most, how) => furtherRows(cause, most, how),
    place: last === undefined ? start(b) : stepOf(last),
    related: originsOf([...first.a.flows, ...first.b.flows]),
    rowPlaces: () => rowPlaces(cause),
    ways: [wayOf("a", a, first.a), wayOf("b", b, first.b)],
  };
}

const frameText = ({
  inPort,
  inPortName,
  state,
  tracker,
  hex,
  summary,
}: Pick<VerifyAmbiguity, "inPort" | "inPortName" | "state" | "tracker" | "hex" | "summary">): string =>
  [
    `in_port ${portText(inPort, inPortName)}`,
    ...(state === "" ? [] : [state]),
    `frame ${hex} (${summary})`,
    ...tracker.map(trackerText),
  ].join(", ");

const NO_ROWS = { rows: () => [], rowPlaces: () => [] };

function ambiguityFinding(one: VerifyAmbiguity, report: VerifyReport): Finding {
  const side = report[one.side];
  const [first, second] = one.flows.map(stepOf) as [Step, Step];
  const places = one.flows.map(placeText).join(" and ");
  return {
    ...NO_ROWS,
    rule: "ambiguous",
    level: "error",
    name: `${whyAmbiguous(one)} (${one.flows.map(({ text }) => matchOf(text)).join(" and ")})`,
    title: `${whyAmbiguous(one)}: ${places}`,
    details: [frameText(one), `replay: ${one.replay}`],
    place: first,
    related: [{ ...second, message: "the other flow" }, ...originsOf(one.flows)],
    ways: [{ title: `${one.side}, ${side.name}`, steps: [first, second], end: "" }],
  };
}

function unknownFinding(one: VerifyUnknown, report: VerifyReport): Finding {
  const { name, kind } = report[one.side ?? "b"];
  const line = kind === "intent" ? 1 : Math.max(1, one.line);
  return {
    ...NO_ROWS,
    rule: "unknown",
    level: "warning",
    name: `not decided: ${one.feature}${one.side === null ? "" : ` in ${name}`}`,
    title: `not decided: ${one.feature}`,
    details: one.note === undefined ? [] : [one.note],
    place: { file: name, line },
    related: [],
    ways: [],
  };
}

const cookieFinding = ({ a, b }: CookiePair): Finding => ({
  ...NO_ROWS,
  rule: "cookie",
  level: "error",
  name: `cookies differ (${matchOf(b.text)})`,
  title: "cookies differ",
  details: [`a: ${a.text}`, `b: ${b.text}`],
  place: stepOf(b),
  related: [{ ...stepOf(a), message: `a has: ${a.text}` }],
  ways: [],
});

/** The worst first. */
export function verifyFindings(report: VerifyReport, version: string): Findings {
  const { type, a, b, seconds, differences, ambiguous, unknown, cookies, isComplete } = report;
  const pairs = Array.from({ length: cookies?.count ?? 0 }, (_, index) => cookies!.at(index));
  const isCut = !isComplete && differences.length + ambiguous.length > 0;
  return {
    command: type,
    version,
    headline: verifyHeadline(report),
    facts: [...verifyFacts(report), ...(isCut ? [INCOMPLETE] : [])],
    seconds,
    findings: [
      ...causesOf(differences).map(cause => causeFinding(cause, report)),
      ...ambiguous.map(one => ambiguityFinding(one, report)),
      ...pairs.map(cookieFinding),
      ...unknown.map(one => unknownFinding(one, report)),
    ],
    checked: `${a.name} and ${b.name} do the same with every frame`,
  };
}
