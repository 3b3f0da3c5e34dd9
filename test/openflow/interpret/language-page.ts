/** docs/language.md as text, from the table of features; language.test.ts holds the file to it and writes it. */
import {
  ACTION_FEATURES,
  type Feature,
  MATCH_FEATURES,
  VERSION_DIFFERENCES,
} from "../../../src/openflow/index.ts";

const HEAD = `# The flow language, and what of it is executed

The interpreter is an executable reference of Open vSwitch 3.1: a frame and its port in, what leaves the switch out. What
it cannot know it calls **unknown**, by name and line, and only when a packet meets it. Two flows of one priority that match
the same packet and do different things make an outcome **ambiguous**.

This page is made from \`src/openflow/interpret/features.ts\` and \`versions.ts\`: \`UPDATE=1 npm test -- language\` writes it.
`;

function rows(features: readonly Feature[]): string {
  return features.map(({ name, support, note }) => `| \`${name}\` | ${support} | ${note} |`).join("\n");
}

const table = (title: string, what: string, features: readonly Feature[]): string =>
  `## ${title}\n\n| ${what} | | |\n|---|---|---|\n${rows(features)}\n`;

const VERSIONS = `## Versions of Open vSwitch

\`trace\`, \`verify\` and \`diff\` execute flows as Open vSwitch 3.1 does, and with \`--ovs 3.5\` as 3.5 does. These are the
differences that random tables and frames have shown between 3.1.0 and 3.5.0 (\`npm run fuzz -- --ovs 3.5\`); versions in
between were not tested.

| | 3.1 | 3.5 |
|---|---|---|
${VERSION_DIFFERENCES.map(row => `| ${row.of} | ${row["3.1"]} | ${row["3.5"]} |`).join("\n")}
`;

export const languagePage = (): string =>
  [
    HEAD,
    table("Matches", "field", MATCH_FEATURES),
    table("Actions", "action", ACTION_FEATURES),
    VERSIONS,
  ].join("\n");
