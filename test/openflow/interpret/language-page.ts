/** docs/language.md as text, from the table of features; language.test.ts holds the file to it and writes it. */
import {
  ACTION_FEATURES,
  type Feature,
  MATCH_FEATURES,
  VERSION_DIFFERENCES,
} from "../../../src/openflow/index.ts";

const HEAD = `# The flow language

This page lists the matches and actions of OpenFlow and Open vSwitch that slash32 executes, and those with
unknown results.

The interpreter is an executable reference of Open vSwitch 3.1: it takes a frame and its input port, and
returns the frames that leave the switch. If a packet meets a feature that the interpreter cannot decide, the
outcome is **unknown**, with the name and line of the feature. If two flows of one priority match the same
packet and have different effects, the outcome is **ambiguous**. For example, a flow with the action \`ct\`:

<!-- run -->
\`\`\`sh
printf '%s\\n' 'ip actions=ct(table=1)' 'arp actions=output:2' > ct.flows
bin/slash32 trace -f ct.flows in_port=1,ip | tail -n 1
bin/slash32 trace -f ct.flows in_port=1,arp | grep -o '^out  2'
\`\`\`

<!-- output -->
\`\`\`text
unknown ct, line 1
out  2
\`\`\`

Support is *executed*, *no effect* (the action does not change the outcome of a frame) or *unknown*.
`;

function rows(features: readonly Feature[]): string {
  return features.map(({ name, support, note }) => `| \`${name}\` | ${support} | ${note} |`).join("\n");
}

const table = (title: string, what: string, features: readonly Feature[]): string =>
  `## ${title}\n\n| ${what} | support | notes |\n|---|---|---|\n${rows(features)}\n`;

const VERSIONS = `## Versions of Open vSwitch

\`trace\`, \`verify\` and \`diff\` execute flows as Open vSwitch 3.1 does, and with \`--ovs 3.5\` as 3.5
does. Tests with random tables and frames found these differences between 3.1.0 and 3.5.0
(\`npm run fuzz -- --ovs 3.5\`). Versions in between were not tested.

| | 3.1 | 3.5 |
|---|---|---|
${VERSION_DIFFERENCES.map(row => `| ${row.of} | ${row["3.1"]} | ${row["3.5"]} |`).join("\n")}

## How this page is made

The tables come from \`src/openflow/interpret/features.ts\` and \`versions.ts\`, which the interpreter uses
as well. \`UPDATE=1 npm test -- language\` writes this page.
`;

export const languagePage = (): string =>
  [
    HEAD,
    table("Matches", "field", MATCH_FEATURES),
    table("Actions", "action", ACTION_FEATURES),
    VERSIONS,
  ].join("\n");
