/**
 * Findings as JUnit XML, as Jenkins, GitLab and the rest read it (the common subset of Surefire's and Jenkins' XSD).
 * What was found is a failure, what could not be found out an error, and a run without either one test that passed.
 */
import { bodyOf, escapeXml, type Finding, type Findings, RULES } from "./finding.ts";

export function junit(run: Findings): string {
  const { command, findings, seconds } = run;
  const failures = findings.filter(({ level }) => level === "error").length;
  const errors = findings.length - failures;
  const counts = `tests="${Math.max(1, findings.length)}" failures="${failures}" errors="${errors}"`;
  const time = `time="${seconds.toFixed(3)}"`;
  const cases =
    findings.length === 0
      ? [`    <testcase name="${escapeXml(run.checked)}" classname="slash32.${command}" ${time}/>`]
      : findings.map(finding => testcase(command, finding));
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="slash32" ${counts} ${time}>`,
    `  <testsuite name="slash32 ${command}" ${counts} skipped="0" ${time}>`,
    ...cases,
    `    <system-out>${escapeXml([run.headline, ...run.facts].join("\n"))}</system-out>`,
    "  </testsuite>",
    "</testsuites>",
  ].join("\n")}\n`;
}

function testcase(command: string, finding: Finding): string {
  const { rule, level, title, place } = finding;
  const kind = level === "error" ? "failure" : "error";
  const name = `${title} (${place.file}:${place.line})`;
  return [
    `    <testcase name="${escapeXml(name)}" classname="slash32.${command}.${rule}" time="0">`,
    `      <${kind} message="${escapeXml(title)}" type="${rule}">${escapeXml(`${RULES[rule]}.\n${bodyOf(finding)}`)}</${kind}>`,
    "    </testcase>",
  ].join("\n");
}
