/**
 * Findings as Markdown, for a summary page of CI or a comment, and as a plain page of HTML. Pure functions.
 */
import { bodyOf, escapeXml, type Finding, type Findings } from "./finding.ts";

/** Findings printed in full, and flow pairs of each; GitHub accepts one megabyte a step. */
const TOLD = 50;
const ROWS = 100;
const HOW = "a .json, .xml or .sarif report has all";

export function* markdown(run: Findings): Generator<string> {
  const { findings } = run;
  yield `# ${plain(run.headline)}\n\n`;
  for (const fact of run.facts) yield `- ${plain(fact)}\n`;
  if (findings.length > 0) yield "\n| | finding | where |\n|---|---|---|\n";
  for (const finding of findings) yield `${row(finding)}\n`;
  for (const [index, finding] of findings.slice(0, TOLD).entries()) {
    const body = [...bodyOf(finding, ROWS, HOW)].join("\n");
    yield `\n## ${index + 1}. ${plain(finding.title)}\n\n${fenced(body)}\n`;
  }
  if (findings.length > TOLD) yield `\n${findings.length - TOLD} more are not shown in full; ${HOW}.\n`;
}

const row = ({ level, title, place }: Finding): string =>
  `| ${level} | ${plain(title)} | ${code(`${place.file}:${place.line}`)} |`;

/** Text in which nothing is markup, on one line. */
export const plain = (text: string): string =>
  text.replace(/[\\`*_{}[\]<>#|~&]/g, "\\$&").replace(/\s*[\r\n]+\s*/g, " ");

/**
 * Text as code in a cell of a table, every character as it is. A bar would end the cell even there, so it
 * is written as an entity, and with it the text cannot stand between backticks.
 */
export function code(text: string): string {
  const line = text.replace(/\s*[\r\n]+\s*/g, " ");
  if (/[`|]/.test(line))
    return `<code>${escapeXml(line).replaceAll("|", "&#124;").replaceAll("`", "&#96;")}</code>`;
  return `\`${line}\``;
}

/** A block that no line of the text can end. */
export function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}

export function* html(run: Findings): Generator<string> {
  const style =
    "body{font:16px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}" +
    "pre{overflow:auto;background:#8881;padding:1em}";
  yield '<!doctype html>\n<html lang="en">\n';
  yield `<head><meta charset="utf-8"><title>${escapeXml(run.headline)}</title>\n`;
  yield `<style>${style}</style></head>\n`;
  yield `<body>\n<h1>${escapeXml(run.headline)}</h1>\n`;
  yield `<ul>${run.facts.map(fact => `<li>${escapeXml(fact)}</li>`).join("")}</ul>\n`;
  for (const finding of run.findings) {
    const { title, level, place } = finding;
    yield `<h2>${escapeXml(title)}</h2>\n<p>${escapeXml(`${level}, ${place.file}:${place.line}`)}</p>\n<pre>`;
    let separator = "";
    for (const line of bodyOf(finding)) {
      yield separator + escapeXml(line);
      separator = "\n";
    }
    yield "</pre>\n";
  }
  yield "</body>\n</html>\n";
}
