/**
 * docs/language.md as text, from the tables of fields and actions; language.test.ts compares the file and
 * writes it.
 */
import {
  ACTION_FEATURES,
  type ActionFeature,
  type Feature,
  MATCH_FEATURES,
  VERSION_DIFFERENCES,
} from "../../../src/openflow/index.ts";

const HEAD = `# Flow language reference

\`trace\`, \`verify\` and \`diff\` execute OpenFlow matches and actions as Open vSwitch 3.1 does. The tables
below list every field and action with its support:

- **executed**: the result is exact.
- **no effect**: the action changes neither the frame nor its outputs.
- **uninterpreted**: the result is not known, but a proof knows that it is the same on both sides where the same
  is asked ([proof.md](proof.md#connection-tracking)).
- **unknown**: the result depends on something that a flow table and one frame do not contain, such as a
  connection or a hash. If a packet meets the feature, the outcome is \`unknown\`, with its name and line.

An outcome is **ambiguous** if two flows of equal priority match the same packet and have different actions.
Below, an IP packet meets \`ct\`, and an ARP packet does not:

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

This page is generated from \`src/openflow/actions/\` and from \`features.ts\` and \`versions.ts\` in
\`src/openflow/interpret/\`: \`UPDATE=1 npm test -- language\` writes it.
`;

const row = (cells: readonly string[]): string => `| ${cells.map(cell => cell || " ").join(" | ")} |`;

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  return `## ${title}\n\n${[head, head.map(() => "---"), ...rows].map(row).join("\n")}\n`;
}

const matchCells = ({ name, support, note }: Feature): string[] => [`\`${name}\``, support, note];

/** OpenFlow versions as a range: every action that 1.3 has and 1.0 lacks exists since 1.1. */
const versionCell = ({ versions }: ActionFeature): string =>
  versions === null ? "" : versions.includes("OpenFlow10") ? "1.0" : versions.length > 0 ? "1.1" : "none";

const actionCells = (feature: ActionFeature): string[] => {
  const [name, ...rest] = matchCells(feature);
  return [name!, versionCell(feature), ...rest];
};

const VERSIONS = `## Versions of Open vSwitch

By default slash32 executes flows as Open vSwitch 3.1 does; with \`--ovs 3.5\`, as 3.5 does. The table lists
the differences between 3.1.0 and 3.5.0 that random tables and frames have shown (\`npm run fuzz -- --ovs
3.5\`). Versions in between were not tested.

| | 3.1 | 3.5 |
|---|---|---|
${VERSION_DIFFERENCES.map(one => `| ${one.of} | ${one["3.1"]} | ${one["3.5"]} |`).join("\n")}
`;

export const languagePage = (): string =>
  [
    HEAD,
    table("Matches", ["field", "support", "notes"], MATCH_FEATURES.map(matchCells)),
    table("Actions", ["action", "since OpenFlow", "support", "notes"], ACTION_FEATURES.map(actionCells)),
    VERSIONS,
  ].join("\n");
