/**
 * Thousands of random lines read by us and by `ovs-ofctl parse-flows`: the same are refused, and those that
 * are taken mean the same, printed in the spelling of three OpenFlow versions. The seed is printed; LINES
 * sets how many.
 */
import { formatActions, formatMatch, type Protocol, parseFlow } from "../../src/openflow/index.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { Dice, lineOf } from "./generate.ts";
import { askOfctl } from "./ofctl.ts";

const test = suite("openflow: against ovs-ofctl parse-flows");
const LINES = Number(process.env.LINES ?? 1200);

/** What we make of a line, or null when it is refused. */
function ours(line: string, version: Protocol): string | null {
  const { flow } = parseFlow(line, { file: "random", line: 1 }, { protocol: version });
  if (flow === null) return null;
  const match = formatMatch(flow.match, flow.priority);
  return `${match}${match === "" ? "" : " "}actions=${formatActions(flow.actions, { version }, flow.match)}`;
}

for (const version of ["OpenFlow13", "OpenFlow15"] as const) {
  test(`${version}: what is taken, and what it means`, () => {
    peer("ovs-ofctl");
    const start = seed();
    process.stdout.write(`  seed ${start}\n`);
    const dice = new Dice(start);
    const lines = Array.from({ length: LINES }, () => lineOf(dice));
    const mine = lines.map(line => ours(line, version));
    const theirs = askOfctl(
      version,
      lines,
      mine.map(one => one !== null),
    );
    const wrong = lines.flatMap((line, index) =>
      mine[index] === theirs[index]
        ? []
        : [`${line}\n  ovs-ofctl: ${theirs[index]}\n  we:        ${mine[index]}`],
    );
    const taken = mine.filter(one => one !== null).length;
    assert.ok(taken > LINES / 4 && taken < LINES * 0.98, `${taken} of ${LINES} were taken`);
    assert.is(
      wrong.length,
      0,
      `${wrong.length} of ${LINES} differ (seed ${start}):\n${wrong.slice(0, 20).join("\n")}`,
    );
  });
}

test.run();
