/** Findings as Markdown, for a summary page of CI or a comment, and as a plain page of HTML. Pure functions. */
import { bodyOf, escapeXml, type Finding, type Findings } from "./finding.ts";

/** Findings told in full; GitHub takes a megabyte a step. */
const TOLD = 50;

export function markdown(run: Findings): string {
  const { findings } = run;
  const lines = [`# ${plain(run.headline)}`, "", ...run.facts.map(fact => `- ${plain(fact)}`)];
  if (findings.length > 0) lines.push("", "| | what | where |", "|---|---|---|", ...findings.map(row));
  for (const [index, finding] of findings.slice(0, TOLD).entries())
    lines.push("", `## ${index + 1}. ${plain(finding.title)}`, "", ...fenced(bodyOf(finding)));
  if (findings.length > TOLD) lines.push("", `${findings.length - TOLD} more are not told in full.`);
  return `${lines.join("\n")}\n`;
}

const row = ({ level, title, place }: Finding): string =>
  `| ${level} | ${plain(title)} | \`${cell(`${place.file}:${place.line}`)}\` |`;

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("`", "'");

/** Text in which nothing is markup. */
const plain = (text: string): string => text.replace(/[\\`*_{}[\]<>#|]/g, "\\$&");

/** A block that no line of the text can end. */
function fenced(text: string): string[] {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return [`${fence}text`, text, fence];
}

export function html(run: Findings): string {
  const { findings } = run;
  const told = findings.map(
    finding =>
      `<h2>${escapeXml(finding.title)}</h2>\n<p>${escapeXml(finding.level)}, ${escapeXml(`${finding.place.file}:${finding.place.line}`)}</p>\n<pre>${escapeXml(bodyOf(finding))}</pre>`,
  );
  return `${[
    "<!doctype html>",
    '<html lang="en">',
    `<head><meta charset="utf-8"><title>${escapeXml(run.headline)}</title>`,
    "<style>body{font:16px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}pre{overflow:auto;background:#8881;padding:1em}</style></head>",
    "<body>",
    `<h1>${escapeXml(run.headline)}</h1>`,
    `<ul>${run.facts.map(fact => `<li>${escapeXml(fact)}</li>`).join("")}</ul>`,
    ...told,
    "</body>",
    "</html>",
  ].join("\n")}\n`;
}
