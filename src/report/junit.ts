/**
 * Findings as JUnit XML for Jenkins, GitLab and others (the common subset of Surefire's and Jenkins' XSD),
 * in pieces. A failed check is a failure, an incomplete check an error; a run without findings is one test
 * that passed. CI systems identify tests by name, so names have no changing figures: those are in the
 * message.
 */
import { bodyOf, escapeXml, type Finding, type Findings, RULES, uniqueNames } from "./finding.ts";

export function* junit(run: Findings): Generator<string> {
  const { command, findings, seconds } = run;
  const failures = findings.filter(({ level }) => level === "error").length;
  const errors = findings.length - failures;
  const counts = `tests="${Math.max(1, findings.length)}" failures="${failures}" errors="${errors}"`;
  const time = `time="${seconds.toFixed(3)}"`;
  yield '<?xml version="1.0" encoding="UTF-8"?>\n';
  yield `<testsuites name="slash32" ${counts} ${time}>\n`;
  yield `  <testsuite name="slash32 ${command}" ${counts} skipped="0" ${time}>\n`;
  if (findings.length === 0)
    yield `    <testcase name="${escapeXml(run.checked)}" classname="slash32.${command}" ${time}/>\n`;
  const names = uniqueNames(findings);
  for (const [index, finding] of findings.entries()) yield* testcase(command, finding, names[index]!);
  yield `    <system-out>${escapeXml([run.headline, ...run.facts].join("\n"))}</system-out>\n`;
  yield "  </testsuite>\n</testsuites>\n";
}

function* testcase(command: string, finding: Finding, name: string): Generator<string> {
  const { rule, level, title, place } = finding;
  const kind = level === "error" ? "failure" : "error";
  const message = `${title} (${place.file}:${place.line})`;
  yield `    <testcase name="${escapeXml(name)}" classname="slash32.${command}.${rule}" time="0">\n`;
  yield `      <${kind} message="${escapeXml(message)}" type="${rule}">${escapeXml(`${RULES[rule]}.`)}`;
  for (const line of bodyOf(finding)) yield `\n${escapeXml(line)}`;
  yield `</${kind}>\n    </testcase>\n`;
}
