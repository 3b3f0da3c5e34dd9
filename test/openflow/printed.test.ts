/**
 * Whatever a switch prints is read: random flows of every field and every action are installed in each
 * OpenFlow version, printed in each with and without names, statistics and order, and read back line by line.
 * No line is refused, by neither way of reading; where the version loses nothing, it means what was
 * installed. What ovs-ofctl refuses as input we refuse. PRINTED_LINES sets how many lines are read (200000
 * takes some ten minutes).
 */
import {
  canonicalText,
  type Flow,
  FlowColumns,
  matchWords,
  parseFlow,
  portSymbols,
  tableSymbols,
} from "../../src/openflow/index.ts";
import { assert, draws, peer, seed, suite } from "../harness.ts";
import { Dice } from "./generate.ts";
import { installableOf } from "./generate-dumps.ts";
import {
  DIALECTS,
  type Dialect,
  PORT_NAMES,
  PrintingSwitch,
  protocolOf,
  TABLE_NAMES,
  WAYS,
} from "./printed.ts";

const test = suite("openflow: what a switch prints");
const LINES = Number(process.env.PRINTED_LINES ?? draws(9000));
const AT_ONCE = 150;

/** Printed without their masks: a dump does not show what they match. */
const UNPRINTED = /tun_(?:gbp_flags|erspan_\w+|gtpu_\w+)/;
/**
 * What OpenFlow 1.0 cannot show, prints as something else, or cuts on its way into the switch (masks, VLANs,
 * ICMP).
 */
const NOT_IN_10 =
  /write_actions|clear_actions|meter:|push_vlan|set_vlan_|goto_table|write_metadata|send_flow_rem|no_\w+_counts|vlan_(?:tci|vid|pcp)=|icmp.*(?:tcp|udp|sctp|tp)_(?:src|dst)|importance|set_field:[^,]+\/[^,]+->(?!x*reg|metadata|tun_id|pkt_mark)/;

/**
 * A flow's meaning; tunnel options have the width that the switch gives them, which its text does not say.
 */
function meaningOf(flow: Flow): string {
  const { words, unplaced } = matchWords(flow);
  const compared = words.map(({ word, value, mask }) => `${word}:${value}/${mask}`).join(" ");
  const isFull = (mask: bigint): boolean => mask !== 0n && (mask & (mask + 1n)) === 0n;
  const options = unplaced.map(
    ({ field, value, mask }) => `${field.name}=${value}${isFull(mask) ? "" : `/${mask}`}`,
  );
  const { table, priority, cookie, idleTimeout, hardTimeout } = flow;
  // Whether counters are reset is a matter of OpenFlow 1.0, and each version adds or leaves out this word.
  const flags = flow.flags.filter(flag => flag !== "reset_counts");
  const rest = [table, priority, cookie, idleTimeout, hardTimeout, flags.join()];
  const actions = canonicalText(flow.actions).replace(
    /(set\(tun_metadata\d+,0x[0-9a-f]+),0x[137]?f+\)/g,
    "$1)",
  );
  return [compared, options.join(), ...rest, actions].join(" | ");
}

interface Round {
  readonly sw: PrintingSwitch;
  readonly version: Dialect;
  readonly dialect: Dialect;
  readonly installed: ReadonlyMap<string, string>;
  /** One for each flow that was installed, the first. */
  readonly complaints: Map<string, string>;
}

const cookieOf = (line: string): string | undefined => /\bcookie=(0x[0-9a-f]+)/.exec(line)?.[1];

/** Whether a dump in one version shows all of a flow that was installed in another. */
function isLossless({ version, dialect }: Round, line: string): boolean {
  if (UNPRINTED.test(line)) return false;
  if (version === "OpenFlow10" || dialect === "OpenFlow10")
    return version === dialect && !NOT_IN_10.test(line);
  return true;
}

function checkMeaning(round: Round, flow: Flow): void {
  const line = round.installed.get(`0x${flow.cookie.toString(16)}`);
  if (line === undefined || !isLossless(round, line)) return;
  const own = parseFlow(line, undefined, { protocol: protocolOf(round.version) });
  if (own.flow === null) {
    round.complaints.set(
      line,
      `the switch has it, and we refuse it: ${line}: ${own.problems.at(-1)!.message}`,
    );
    return;
  }
  const [mine, theirs] = [meaningOf(own.flow), meaningOf(flow)];
  if (mine !== theirs)
    round.complaints.set(line, `another meaning: ${line}\n  printed ${flow.text}\n  ${mine}\n  ${theirs}`);
}

/** Reads a dump in all ways; gives how many lines it had. */
function readBack(round: Round, way: readonly string[]): number {
  const { text, isWhole } = round.sw.dump(round.dialect, way);
  const where = `${round.version} → ${round.dialect} ${way.join(" ")}`;
  const bytes = new TextEncoder().encode(text);
  const named = new FlowColumns(bytes, "dump", { isDetected: true, ports: PORT_NAMES, tables: TABLE_NAMES });
  if (!isWhole) {
    if (!named.problems.some(({ message }) => message.startsWith("this dump is not whole")))
      round.complaints.set(
        where,
        `${where}: a dump that is not whole was taken for whole: ${text.slice(0, 400)}`,
      );
    return 0;
  }
  const symbolic = new FlowColumns(bytes, "dump", {
    isDetected: true,
    ports: portSymbols([]),
    tables: tableSymbols([], () => false),
  });
  for (const columns of [named, symbolic])
    for (const { line, column, message } of columns.problems) {
      const printed = text.split("\n")[line - 1]!;
      round.complaints.set(
        cookieOf(printed) ?? printed,
        `${where}: column ${column}: ${message}\n  ${printed}`,
      );
    }
  if (text.includes("actions=") && !named.origin.isPrinted)
    round.complaints.set(where, `${where}: was not seen to be printed: ${text.slice(0, 200)}`);
  for (let index = 0; index < named.count; index++) checkMeaning(round, named.flow(index));
  return named.count;
}

test("each line of a dump is read, and means what was installed", async () => {
  peer("ovs-vswitchd");
  const first = seed();
  process.stdout.write(`\n  SEED=${first}: ${LINES} lines\n`);
  const sw = await PrintingSwitch.start();
  const complaints = new Map<string, string>();
  let [read, refusals, rounds, wholes] = [0, 0, 0, 0];
  try {
    for (; read < LINES && complaints.size < 50; rounds++) {
      const dice = new Dice(first + rounds);
      const version = DIALECTS[rounds % DIALECTS.length]!;
      const lines = Array.from({ length: AT_ONCE }, (_, index) => installableOf(dice, index));
      sw.clear();
      const refused = sw.install(version, lines);
      for (const { line, message } of refused) {
        refusals++;
        const { flow } = parseFlow(line, undefined, { protocol: protocolOf(version) });
        // In OpenFlow 1.0 a misfit is refused only beside something that 1.0 has no message for, which we do
        // not count.
        const isOf10 = version === "OpenFlow10" && message.includes("OFPBAC_MATCH_INCONSISTENT");
        if (flow !== null && !isOf10 && message !== "no usable flow format")
          complaints.set(line, `${version}: ovs-ofctl refuses, and we take: ${line}\n  ${message}`);
      }
      const installed = new Map(lines.map(line => [cookieOf(line)!, line]));
      for (const dialect of DIALECTS)
        for (const way of WAYS) {
          const count = readBack({ sw, version, dialect, installed, complaints }, way);
          read += count;
          wholes += Number(count > 0);
        }
    }
  } finally {
    await sw.stop();
  }
  process.stdout.write(`  ${read} lines of ${wholes} dumps, ${refusals} lines refused, ${rounds} rounds\n`);
  assert.is(
    complaints.size,
    0,
    `${complaints.size} complaints, SEED=${first}:\n${[...complaints.values()].slice(0, 20).join("\n")}`,
  );
  assert.ok(read >= LINES && refusals > rounds, "lines were read, and some refused");
});

test.run();
