/**
 * What a check found, as all reports have it: JUnit, SARIF, Markdown, HTML and annotations are functions of this and
 * know nothing of flows. A finding has a title of one line, a place to point at, and for those who ask the ways that a
 * frame took, step by step.
 */

/** A place in a file; lines count from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
}

/** A step of a way: where it stands, and what stands there. */
export interface Step extends Location {
  readonly text: string;
}

/** One way through one side, and how it ends. */
export interface Way {
  readonly title: string;
  readonly steps: readonly Step[];
  readonly end: string;
}

export type Rule = "difference" | "cookie" | "ambiguous" | "unknown";

export interface Related extends Location {
  readonly message: string;
}

export interface Finding {
  readonly rule: Rule;
  /** An error is something found, a warning something that could not be found out. */
  readonly level: "error" | "warning";
  /** The same for the same finding in the next run: no line numbers, counts, values or times are in it. */
  readonly name: string;
  readonly title: string;
  /** Further lines. */
  readonly details: readonly string[];
  /** All that is concerned, a line each, or the first `most` of them and `how` to see the others. */
  rows(most: number, how: string): Iterable<string>;
  readonly place: Location;
  readonly related: readonly Related[];
  /** The places of all rows. */
  rowPlaces(): Iterable<Related>;
  readonly ways: readonly Way[];
}

/** All that a run has to say. */
export interface Findings {
  readonly command: string;
  readonly version: string;
  /** `equal: …`, one line. */
  readonly headline: string;
  readonly facts: readonly string[];
  readonly seconds: number;
  /** The worst first. */
  readonly findings: readonly Finding[];
  /** What was checked, for reports that name what passed. */
  readonly checked: string;
}

/** What each rule says, for those who meet it for the first time. */
export const RULES: Readonly<Record<Rule, string>> = {
  difference: "The two sides do different things with the same frame",
  cookie: "Flows with the same table, priority and match carry different cookies",
  ambiguous: "Two flows of one priority match the same frame and do different things",
  unknown: "What a flow does could not be decided, so nothing is said about its frames",
};

/** What in a dumped line says nothing of what the flow does. */
const PASSING =
  /\b(?:cookie|duration|n_packets|n_bytes|idle_timeout|hard_timeout|idle_age|hard_age|importance)=[^,\s]*,?\s*/g;

/** A flow's table, match and actions, without cookie, counters and ages. */
export const ruleOf = (text: string): string => text.replace(PASSING, "").trim();

/** A flow's table, priority and match. */
export const matchOf = (text: string): string => ruleOf(text).replace(/[\s,]*\bactions=.*$/, "");

/** Names of findings that are all different: of equal ones the second is called `… (2)`. */
export function uniqueNames(findings: readonly Finding[]): string[] {
  const seen = new Map<string, number>();
  return findings.map(({ rule, name }) => {
    const times = (seen.get(`${rule} ${name}`) ?? 0) + 1;
    seen.set(`${rule} ${name}`, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** Text in XML and HTML; what XML 1.0 §2.2 does not have becomes U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}

/** Finding as lines of plain text, the title aside, with at most so many rows. */
export function* bodyOf(
  { details, ways, rows }: Finding,
  most = Number.POSITIVE_INFINITY,
  how = "",
): Generator<string> {
  yield* details;
  for (const { title, steps, end } of ways) {
    yield title;
    for (const { file, line, text } of steps) yield `  ${file}:${line}: ${text}`;
    if (end !== "") yield `  ${end}`;
  }
  yield* rows(most, how);
}
