/**
 * From two sides to a report: the proof, the cookies, and all that people need beside them (names of ports,
 * summaries of frames, where in the intent a flow comes from, the command that shows it again).
 */
import {
  canonicalText,
  type FlowColumns,
  formatTrackerAnswer,
  identityText,
  KEY,
} from "../openflow/index.ts";
import {
  type Compared,
  plural,
  type VerifyBehaviour,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRows,
  type VerifySide,
  type VerifyStep,
} from "../report/index.ts";
import {
  type Behaviour,
  type CookieMismatches,
  compareCookies,
  type Difference,
  type FlowLine,
  type FlowPairs,
  type FlowTable,
  type Ignored,
  type Proof,
  type ProofOptions,
  prove,
  type Unknown,
} from "../verify/index.ts";
import { formatHex, summarize } from "../wire/index.ts";
import { type DoubtOptions, readAs, weighed } from "./doubts.ts";
import { work } from "./second-thread.ts";
import { enteringText, shownOutput, shownPacketIn } from "./state-text.ts";
import type { Side } from "./verify-inputs.ts";

export interface JudgeOptions extends ProofOptions, DoubtOptions {
  /** Names that nothing defines, and the numbers they have in this report. */
  readonly symbols: Compared["symbols"];
  readonly isStrictAboutCookies: boolean;
}

/** A report, and the frames in it as bytes. */
export interface Judgement {
  readonly report: VerifyReport;
  readonly proof: Proof;
}

/** Compares two sides; all that is long asks `work` whether it is to go on. */
export function judge(type: VerifyReport["type"], a: Side, b: Side, options: JudgeOptions): Judgement {
  work.begin();
  const tables = [a, b].map(({ flows, groups }) => ({ flows, groups })) as [FlowTable, FlowTable];
  const judged = { ...options, isStopped: work.isStopped };
  const proven = prove(...tables, judged);
  const again = (ofA: FlowColumns, ofB: FlowColumns): Proof =>
    prove({ flows: ofA, groups: a.groups }, { flows: ofB, groups: b.groups }, judged);
  const weighing = weighed(proven, a, b, options, again);
  const { proof, doubts } = weighing;
  const cookies = options.isStrictAboutCookies ? compareCookies(a.flows, b.flows) : null;
  const left = [
    ...proof.unknown.map(one => withSide(one, a, b)),
    ...unsteady(a, "a"),
    ...unsteady(b, "b"),
    ...doubts,
  ];
  const open = verdictOf(proof, left.length > 0, cookies !== null && cookies.count > 0);
  const isItself = open === "unknown" && !work.isStopped() && isOneDump(a, b);
  const [unknown, extent] = isItself ? [[], "as both are one file"] : [left, weighing.extent];
  const nameOf = (port: number): string | null => a.ports.nameOf(port) ?? b.ports.nameOf(port);
  const shown = (
    { inPort, frame, state: entering, tracker }: Pick<Difference, "inPort" | "frame" | "state" | "tracker">,
    sides: readonly (readonly [Side, "a" | "b"])[],
  ) => {
    const hex = formatHex(frame);
    const state = enteringText(entering);
    const says = tracker.map(one => ({ ...one, says: formatTrackerAnswer(one.words) }));
    const ctNext = (name: "a" | "b"): string[] =>
      says.filter(({ side }) => side === "both" || side === name).map(one => one.says);
    const replay = sides.map(([side, name]) => side.trace(inPort, state, hex, ctNext(name))).join("; ");
    const shownTracker = says.map(({ side, line, words, says }) => {
      const { file } = (side === "b" ? b : a).flows;
      return { side, place: `${file}:${line}`, zone: words.get(KEY.ctZone) ?? 0, says };
    });
    const summary = summarize(frame);
    return { inPort, inPortName: nameOf(inPort), state, tracker: shownTracker, hex, summary, replay };
  };
  const report: VerifyReport = {
    type,
    verdict: isItself ? "equal" : open,
    classes: proof.classes,
    packets: proof.packets,
    seconds: proof.seconds,
    a: sideOf(a, proof.flows.a),
    b: sideOf(b, proof.flows.b),
    compared: { ...comparedOf(a, b, options), readAs: readAs([a, b]), extent, symbols: options.symbols },
    differences: proof.differences.map(difference => ({
      ...shown(difference, [
        [a, "a"],
        [b, "b"],
      ]),
      what: `${wordsFor(difference.what)}${assumed(difference.tunnels, nameOf)}`,
      affected: difference.affected,
      a: behaviourOf(a, difference.a, nameOf),
      b: behaviourOf(b, difference.b, nameOf),
      rows: rowsOf(difference.rows, a, b),
      alike: difference.alike,
    })),
    isComplete: isItself || proof.isComplete,
    ambiguous: proof.ambiguous.map(found => {
      const { side, flows } = found;
      const one = side === "a" ? a : b;
      return { side, ...shown(found, [[one, side]]), flows: [stepOf(one, flows[0]), stepOf(one, flows[1])] };
    }),
    unknown,
    cookies: cookies === null ? null : cookiesOf(cookies, a, b),
  };
  return { report, proof };
}

/** What differs outweighs what is unknown: it was shown with a frame. */
function verdictOf(proof: Proof, isUnknown: boolean, haveCookiesDiffer: boolean): VerifyReport["verdict"] {
  if (proof.verdict === "different" || haveCookiesDiffer) return "different";
  if (proof.verdict === "ambiguous") return "ambiguous";
  return isUnknown ? "unknown" : proof.verdict;
}

/**
 * A dump and itself: one table of one switch, which does the same as itself whatever the dump does not show
 * and the proof could not follow.
 */
function isOneDump(a: Side, b: Side): boolean {
  const isDump = ({ kind }: Side): boolean => kind === "dump";
  if (!isDump(a) || !isDump(b) || a.name !== b.name || a.flows.count !== b.flows.count) return false;
  const textOf = ({ groups }: Side): string => groups.map(({ text }) => text).join("\n");
  if (textOf(a) !== textOf(b)) return false;
  // The file may have changed between the two times that it was read.
  for (let index = 0; index < a.flows.count; index++)
    if (a.flows.textOf(index) !== b.flows.textOf(index)) return false;
  return true;
}

/** What both sides were at together has a line and no side: it is the one whose flow there says so. */
function withSide(unknown: Unknown, a: Side, b: Side): Unknown {
  const { feature, line, side } = unknown;
  if (side !== null || line === 0) return unknown;
  const [isA, isB] = [a, b].map(({ flows }) => textAt(flows, line)?.includes(feature) === true);
  if (isA === isB) return unknown;
  return { feature, line, side: isA ? "a" : "b" };
}

/** The text of the flow of a line, or null. */
function textAt(flows: FlowColumns, line: number): string | null {
  let low = 0;
  let high = flows.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (flows.lineOf(middle) < line) low = middle + 1;
    else high = middle;
  }
  return low < flows.count && flows.lineOf(low) === line ? flows.flow(low).text : null;
}

const unsteady = ({ isSteady }: Side, side: "a" | "b"): Proof["unknown"] =>
  isSteady ? [] : [{ feature: "flows that changed while they were read", line: 0, side }];

const sideOf = ({ name, kind, leftOut, unread, isSteady }: Side, flows: number): VerifySide => ({
  name,
  kind,
  flows,
  leftOut,
  unread,
  isSteady,
});

function behaviourOf(
  side: Side,
  { outputs, packetIns, others, errors, flows }: Behaviour,
  nameOf: (port: number) => string | null,
): VerifyBehaviour {
  return {
    outputs: outputs.map(output => shownOutput(output, nameOf)),
    packetIns: packetIns.map(shownPacketIn),
    others: others.map(({ text }) => text),
    errors,
    flows: flows.map(line => stepOf(side, line)),
  };
}

/** A flow of an intent is at the line of what it is for; the line that it was compiled to is called that. */
function placeOf(side: Side, { file, line, text }: FlowLine): VerifyPlace {
  const plain = { text: text.trim() };
  if (side.kind !== "intent") return { ...plain, file, line, compiledLine: null, origin: null };
  const origin = side.placeOf(line);
  return { ...plain, file: origin?.file ?? file, line: origin?.line ?? 0, compiledLine: line, origin };
}

/** The rows of a difference, read from their lines when they are asked for. */
function rowsOf(pairs: FlowPairs, a: Side, b: Side): VerifyRows {
  const placeAt = (side: Side, flow: number): VerifyPlace | null => {
    if (flow < 0) return null;
    const { flows } = side;
    return placeOf(side, { file: flows.file, line: flows.lineOf(flow), text: flows.textOf(flow) });
  };
  return {
    count: pairs.count,
    openCount: pairs.openCount,
    nameAt: index => pairs.nameAt(index),
    at(index) {
      const pair = pairs.at(index);
      return { a: placeAt(a, pair.a), b: placeAt(b, pair.b), missing: pair.missing };
    },
  };
}

const cookiesOf = ({ count, at }: CookieMismatches, a: Side, b: Side): VerifyReport["cookies"] => ({
  count,
  at(index) {
    const pair = at(index);
    return { a: placeOf(a, pair.a), b: placeOf(b, pair.b) };
  },
});

/** Parts of an outcome that --ignore leaves out: the whole part in words, and what is still compared then. */
const IGNORABLE_PARTS: Readonly<Record<Ignored, { readonly whole: string; readonly rest: string | null }>> = {
  order: {
    whole: "the ports by which a frame leaves, in their order",
    rest: "the ports by which a frame leaves, and the order of the frames of one port",
  },
  queue: { whole: "its queue", rest: null },
  mark: { whole: "its mark", rest: null },
  "packet-in": {
    whole:
      "packet-ins: reason, controller id, max_len, userdata, metadata, registers and bytes, " +
      "but for those of expired TTLs",
    rest: null,
  },
  sample: { whole: "samples", rest: null },
};

/** The parts of an outcome that a proof compares (docs/proof.md), without those that --ignore leaves out. */
function includedWithout(ignored: ReadonlySet<Ignored>): string[] {
  const part = (name: Ignored): string | null =>
    ignored.has(name) ? IGNORABLE_PARTS[name].rest : IGNORABLE_PARTS[name].whole;
  const parts = [
    part("order"),
    "the bytes of each frame that leaves",
    "its tunnel fields where the port may be a tunnel",
    part("queue"),
    part("mark"),
    part("packet-in"),
    "learned flows",
    part("sample"),
  ];
  return parts.filter(text => text !== null);
}

/** ` if port 2 is a tunnel`: the assumption of a difference; empty without one. */
function assumed(tunnels: readonly number[], nameOf: (port: number) => string | null): string {
  if (tunnels.length === 0) return "";
  const names = tunnels.map(port => nameOf(port) ?? String(port));
  if (names.length === 1) return ` if port ${names[0]} is a tunnel`;
  return ` if ports ${names.slice(0, -1).join(", ")} and ${names.at(-1)} are tunnels`;
}

function comparedOf(
  a: Side,
  b: Side,
  { isStrictAboutCookies, ignored = new Set() }: JudgeOptions,
): Pick<Compared, "included" | "leftOut"> {
  const byOption = new Map<string, number>();
  for (const { by, flows } of [...a.leftOut, ...b.leftOut]) byOption.set(by, (byOption.get(by) ?? 0) + flows);
  const leftOut = [...byOption].map(([by, flows]) => `${plural(flows, "flow")} left out by ${by}`);
  const unread = a.unread + b.unread;
  if (unread > 0) leftOut.push(`${plural(unread, "flow")} that --lenient left out as unreadable`);
  if (ignored.size > 0) leftOut.push(`${[...ignored].join(", ")} left out by --ignore`);
  const included = includedWithout(ignored);
  return { included: [...included, ...(isStrictAboutCookies ? ["cookies"] : [])], leftOut };
}

function stepOf(side: Side, { file, line, text, clauses }: FlowLine): VerifyStep {
  const { flow } = side.flows.reread(text, { file, line });
  if (flow === null) throw new Error(`assertion: ${file}:${line} was read before`);
  return {
    ...placeOf(side, { file, line, text }),
    match: identityText(flow),
    actions: canonicalText(flow.actions),
    priority: flow.priority,
    ...(clauses === undefined ? {} : { clauses: clauses.map(one => placeOf(side, one)) }),
  };
}

/** The proof's word for what differs, in words; b is measured by a. */
const WORDS: Readonly<Record<string, string>> = {
  "an output too many": "b has an output that a lacks",
  "an output too few": "b lacks an output that a has",
  "a packet-in too many": "b sends a packet-in that a does not send",
  "a packet-in too few": "b does not send a packet-in that a sends",
  port: "the output port differs",
  "number of labels": "the number of labels differs",
  type: "the Ethernet type differs",
  checksum: "the checksum differs",
};

function wordsFor(what: string): string {
  const only = /^(.*) in ([ab]) only$/.exec(what);
  if (only !== null) return `only ${only[2]} runs ${only[1]}`;
  return WORDS[what] ?? `${what} ${what.includes(", ") ? "differ" : "differs"}`;
}
