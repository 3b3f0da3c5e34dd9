/**
 * Findings as workflow commands of GitHub Actions, which become annotations of the lines they name. GitHub
 * shows ten of a kind a step, so the worst ten are printed.
 */
import { type Findings, ruleOf } from "./finding.ts";

const SHOWN = 10;

/** One line a finding: `::error file=…,line=…,title=…::message`. */
export function githubAnnotations({ command, findings }: Findings): string[] {
  return findings.slice(0, SHOWN).map(({ level, title, details, place, ways }) => {
    const properties = [
      `file=${property(place.file)}`,
      `line=${Math.max(1, place.line)}`,
      `title=${property(`slash32 ${command}: ${title}`)}`,
    ];
    const ends = ways.map(({ title: side, steps, end }) =>
      [side, end, steps.length === 0 ? "" : `(${ruleOf(steps.at(-1)!.text)})`].filter(Boolean).join(" "),
    );
    return `::${level} ${properties.join()}::${message([title, ...details, ...ends].join("\n"))}`;
  });
}

const message = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");

const property = (text: string): string => message(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
