/**
 * A finding of a check, from which all reports are made: JUnit, SARIF, Markdown, HTML and annotations are
 * functions of findings and do not depend on flows. A finding has a title of one line, a location, and the
 * paths of a frame, step by step.
 */

/** A place in a file; lines count from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
}

/** A step of a path: a location, and the text there. */
export interface Step extends Location {
  readonly text: string;
}

/** The path of a frame through one input, and its end. */
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
  /** error: a check failed; warning: a check could not be completed. */
  readonly level: "error" | "warning";
  /** Stable from run to run: without line numbers, counts, values and times. */
  readonly name: string;
  readonly title: string;
  /** Further lines. */
  readonly details: readonly string[];
  /** All flows concerned, a line each, or the first `most` of them and `how` to print the others. */
  rows(most: number, how: string): Iterable<string>;
  readonly place: Location;
  readonly related: readonly Related[];
  /** The places of all rows. */
  rowPlaces(): Iterable<Related>;
  readonly ways: readonly Way[];
}

/** All findings of a run. */
export interface Findings {
  readonly command: string;
  readonly version: string;
  /** `equal: …`, one line. */
  readonly headline: string;
  readonly facts: readonly string[];
  readonly seconds: number;
  /** The worst first. */
  readonly findings: readonly Finding[];
  /** The claim that was checked, for reports that list passed checks. */
  readonly checked: string;
}

/** An explanation of each rule. */
export const RULES: Readonly<Record<Rule, string>> = {
  difference: "a and b handle the same frame differently",
  cookie: "Flows with the same table, priority and match carry different cookies",
  ambiguous: "Two flows of equal priority match the same frame and their actions differ",
  unknown: "The effect of a flow could not be determined, so the verdict does not cover its frames",
};

/** Parts of a dumped line without an effect on frames. */
const PASSING = new RegExp(
  "\\b(?:cookie|duration|n_packets|n_bytes|idle_timeout|hard_timeout|idle_age|hard_age|importance)" +
    "=[^,\\s]*,?\\s*",
  "g",
);

/** A flow's table, match and actions, without cookie, counters and ages. */
export const ruleOf = (text: string): string => text.replace(PASSING, "").trim();

/** A flow's table, priority and match. */
export const matchOf = (text: string): string => ruleOf(text).replace(/[\s,]*\bactions=.*$/, "");

/** Unique names of findings: of equal names the second becomes `… (2)`. */
export function uniqueNames(findings: readonly Finding[]): string[] {
  const seen = new Map<string, number>();
  return findings.map(({ rule, name }) => {
    const times = (seen.get(`${rule} ${name}`) ?? 0) + 1;
    seen.set(`${rule} ${name}`, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** Escapes text for XML and HTML; characters that XML 1.0 §2.2 does not allow become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}

/** A finding as lines of plain text, without its title and with at most `most` rows. */
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
